/* query_template.h - templates of prepared queries: one query that stands for all names with a
 * prefix.
 *
 * In the text of a template's service part ${name.full}, ${name.prefix}, ${name.suffix},
 * ${agent.segment} and ${match(n)} (the groups of its regular expression in the name that was asked
 * for) are filled in when it is looked up. schema/hil.h says what else may stand in ${…}. */
#pragma once
#include "schema/prepared_query.h"

struct err;

static inline bool query_is_template(const struct prepared_query *query)
{
    return query->template_.type.n > 0;
}

/* That it can be rendered: its kind, the syntax of every text, its expression, and a trial. */
NODISCARD int query_template_check(struct arena *a, const struct prepared_query *query,
                                   struct err *err);
/* What the template is for a name, in the arena. */
NODISCARD int query_template_render(struct arena *a, const struct prepared_query *query,
                                    struct str name, struct str segment,
                                    const struct prepared_query **ret_query, struct err *err);
