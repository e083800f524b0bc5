/* session.h - sessions of commands that hold one for as long as they run. */
#pragma once
#include "cli/client.h"

#define SESSION_TTL "15s"

struct cli_session_options {
    struct str name;
    const char *behavior; /* NULL: the default */
    struct str node; /* empty: the agent's own; else without checks, for nodes of other places */
};

/* *ret_id is in `a`. */
NODISCARD int cli_session_create(struct client *c, const struct cli_session_options *options,
                                 struct arena *a, struct str *ret_id, struct err *err);
/* 0, -ERR_NOT_FOUND when it is gone, or another error. */
NODISCARD int cli_session_renew(struct client *c, struct str id, struct err *err);
/* Whatever comes of it: it ends by its TTL. */
void cli_session_destroy(struct client *c, struct str id);
