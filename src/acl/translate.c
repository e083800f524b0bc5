#include "acl/translate.h"

#include "schema/hcl_format.h"

static struct str key_translate(struct str key)
{
    static const struct {
        struct str from, to;
    } keys[] = {
        {STR_INIT("policy"), STR_INIT("policy")}, /* without quotes, if it had any */
        {STR_INIT("agent"), STR_INIT("agent_prefix")},
        {STR_INIT("key"), STR_INIT("key_prefix")},
        {STR_INIT("node"), STR_INIT("node_prefix")},
        {STR_INIT("query"), STR_INIT("query_prefix")},
        {STR_INIT("service"), STR_INIT("service_prefix")},
        {STR_INIT("session"), STR_INIT("session_prefix")},
        {STR_INIT("event"), STR_INIT("event_prefix")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (str_eq(keys[i].from, key)) {
            return keys[i].to;
        }
    }
    return STR_NULL;
}

int acl_rules_translate(struct arena *a, struct str rules, struct str *ret_rules, struct err *err)
{
    int rc = hcl_format(a, rules, key_translate, ret_rules, err);
    return rc < 0 ? err_wrap(err, "Failed to parse rules") : 0;
}
