/* reply.h - replies of methods that answer one plain value (Go's string, []string, bool). */
#pragma once
#include "schema/field.h"

struct fsm_result;
struct rpc_ctx;

struct empty_args { /* struct{} */
    char unused;
};

struct string_reply {
    struct str value;
};

struct strlist_reply {
    struct strlist values;
};

struct bool_reply {
    bool value;
};

extern const struct schema bool_reply_schema, string_reply_schema, strlist_reply_schema;

/* rpc_method.applied of a write that answers whether it was done: what the state machine said. */
int reply_bool_applied(struct rpc_ctx *ctx, const void *args, const struct fsm_result *result,
                       void *reply);
