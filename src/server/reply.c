#include "server/reply.h"

#include "fsm/fsm.h"

static const struct field string_reply_fields[] = {
    F_STR(struct string_reply, value, "", 0),
    FIELDS_END,
};
const struct schema string_reply_schema =
    SCHEMA("string", struct string_reply, string_reply_fields);

static const struct field strlist_reply_fields[] = {
    F_STRLIST(struct strlist_reply, values, "", 0),
    FIELDS_END,
};
const struct schema strlist_reply_schema =
    SCHEMA("[]string", struct strlist_reply, strlist_reply_fields);

static const struct field bool_reply_fields[] = {
    F_BOOL(struct bool_reply, value, "", 0),
    FIELDS_END,
};
const struct schema bool_reply_schema = SCHEMA("bool", struct bool_reply, bool_reply_fields);

int reply_bool_applied(struct rpc_ctx *ctx UNUSED, const void *args UNUSED,
                       const struct fsm_result *result, void *reply)
{
    ((struct bool_reply *)reply)->value = result->kind == FSM_RESULT_BOOL && result->b;
    return 0;
}
