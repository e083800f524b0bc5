#include "store/query_template.h"

#include "base/err.h"
#include "schema/hil.h"
#include "schema/regexp.h"

/* Called for every text of the service part, in the order of the table; `path` is its place. The
 * text may be replaced. */
typedef int (*visit_fn)(void *data, struct str path, struct str *text);

struct walk {
    struct arena *a;
    visit_fn visit;
    void *data;
};

static int walk_list(struct walk *w, const char *path, struct strlist *list)
{
    if (list->n == 0) {
        return 0;
    }
    struct str *copy = ARENA_ARRAY(w->a, struct str, list->n);
    for (size_t i = 0; i < list->n; i++) {
        copy[i] = list->v[i];
        int r = w->visit(w->data, arena_printf(w->a, "%s[%zu]", path, i), &copy[i]);
        if (r < 0) {
            return r;
        }
    }
    list->v = copy;
    return 0;
}

static int walk_map(struct walk *w, const char *path, struct strmap *map)
{
    if (map->n == 0) {
        return 0;
    }
    struct strpair *copy = ARENA_ARRAY(w->a, struct strpair, map->n);
    for (size_t i = 0; i < map->n; i++) {
        copy[i] = map->v[i];
        int r = w->visit(w->data, arena_printf(w->a, "%s[%.*s]", path, STRF(copy[i].key)),
                         &copy[i].value);
        if (r < 0) {
            return r;
        }
    }
    map->v = copy;
    return 0;
}

static int walk_service(struct walk *w, struct service_query *s)
{
    int r = w->visit(w->data, STR(".Service"), &s->service);
    if (r >= 0) {
        r = walk_list(w, ".Failover.Datacenters", &s->failover.datacenters);
    }
    if (r >= 0) {
        r = walk_list(w, ".IgnoreCheckIDs", &s->ignore_check_ids);
    }
    if (r >= 0) {
        r = w->visit(w->data, STR(".Near"), &s->near);
    }
    if (r >= 0) {
        r = walk_list(w, ".Tags", &s->tags);
    }
    if (r >= 0) {
        r = walk_map(w, ".NodeMeta", &s->node_meta);
    }
    if (r >= 0) {
        r = walk_map(w, ".ServiceMeta", &s->service_meta);
    }
    return r;
}

struct rendering {
    struct arena *a;
    struct err *err;
    struct hil_scope scope;
};

static int parse_text(struct rendering *r, struct str path, struct str text,
                      struct hil_node **ret_tree)
{
    int code = hil_parse(r->a, text, ret_tree, r->err);
    return code < 0 ? err_wrap(r->err, "Bad format '%.*s' in Service%.*s", STRF(text), STRF(path))
                    : 0;
}

static int visit_parse(void *data, struct str path, struct str *text)
{
    struct hil_node *tree;
    return parse_text(data, path, *text, &tree);
}

static int visit_eval(void *data, struct str path, struct str *text)
{
    struct rendering *r = data;
    struct hil_node *tree;
    int code = parse_text(r, path, *text, &tree);
    if (code < 0) {
        return code;
    }
    code = hil_eval(r->a, tree, &r->scope, text, r->err);
    return code < 0 ? err_wrap(r->err, "Bad evaluation for '%.*s' in Service%.*s", STRF(*text),
                               STRF(path))
                    : 0;
}

static struct str match_group(const void *data, int64_t i)
{
    const struct strlist *groups = data;
    return i >= 0 && (uint64_t)i < groups->n ? groups->v[i] : STR("");
}

/* Nothing matches where there is no expression, or where it does not match. */
static int find_groups(struct rendering *r, const struct prepared_query *query, struct str name,
                       struct strlist *ret_groups)
{
    struct regexp *re;
    *ret_groups = (struct strlist){0};
    if (query->template_.regexp.n == 0) {
        return 0;
    }
    if (regexp_compile(r->a, query->template_.regexp, &re, r->err) < 0) {
        return err_wrap(r->err, "Bad Regexp");
    }
    int code = regexp_match_groups(r->a, re, name, ret_groups);
    return code < 0 ? err_set(r->err, -code, "matching the template's Regexp takes too long") : 0;
}

static void remove_empty(struct arena *a, struct strlist *tags)
{
    struct str *kept = ARENA_ARRAY(a, struct str, tags->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < tags->n; i++) {
        if (tags->v[i].n > 0) {
            kept[n++] = tags->v[i];
        }
    }
    *tags = (struct strlist){kept, n};
}

int query_template_render(struct arena *a, const struct prepared_query *query, struct str name,
                          struct str segment, const struct prepared_query **ret_query,
                          struct err *err)
{
    struct strlist groups;
    struct rendering r = {.a = a, .err = err};
    int code = find_groups(&r, query, name, &groups);
    if (code < 0) {
        return code;
    }
    bool has_prefix = str_has_prefix(name, query->name);
    const struct strpair variables[] = {
        {STR("name.full"), name},
        {STR("name.prefix"), query->name},
        {STR("name.suffix"), has_prefix ? str_from(name, query->name.n) : name},
        {STR("agent.segment"), segment},
    };
    const struct hil_function match = {STR("match"), match_group, &groups};
    r.scope = (struct hil_scope){variables, ARRAY_SIZE(variables), &match, 1};
    struct prepared_query *rendered = ARENA_NEW(a, struct prepared_query);
    *rendered = *query;
    struct walk w = {a, visit_eval, &r};
    code = walk_service(&w, &rendered->service);
    if (code < 0) {
        return code;
    }
    if (query->template_.remove_empty_tags) {
        remove_empty(a, &rendered->service.tags);
    }
    *ret_query = rendered;
    return 0;
}

int query_template_check(struct arena *a, const struct prepared_query *query, struct err *err)
{
    if (!str_eq(query->template_.type, QUERY_TEMPLATE_NAME_PREFIX_MATCH)) {
        return err_set(err, ERR_FAILED, "Bad Template.Type '%.*s'", STRF(query->template_.type));
    }
    struct rendering r = {.a = a, .err = err};
    struct service_query copy = query->service;
    struct walk w = {a, visit_parse, &r};
    int code = walk_service(&w, &copy);
    if (code < 0) {
        return code;
    }
    const struct prepared_query *trial;
    return query_template_render(a, query, query->name, STR(""), &trial, err);
}
