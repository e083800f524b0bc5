#include "schema/member.h"

#define T struct member
static const struct field member_fields[] = {
    F_STR(T, name, "Name", 0),
    F_STR(T, addr, "Addr", 0),
    F_INT(T, port, "Port", 0),
    F_STRMAP(T, tags, "Tags", 0),
    F_INT(T, status, "Status", 0),
    F_INT(T, protocol_min, "ProtocolMin", 0),
    F_INT(T, protocol_max, "ProtocolMax", 0),
    F_INT(T, protocol_cur, "ProtocolCur", 0),
    F_INT(T, delegate_min, "DelegateMin", 0),
    F_INT(T, delegate_max, "DelegateMax", 0),
    F_INT(T, delegate_cur, "DelegateCur", 0),
    FIELDS_END,
};
#undef T
const struct schema member_schema = SCHEMA("AgentMember", struct member, member_fields);

struct str member_tag(const struct member *m, struct str name)
{
    struct str value = STR_NULL;
    (void)strmap_get(m->tags, name, &value);
    return value;
}

struct str member_status_text(int64_t status)
{
    static const struct str texts[] = {STR_INIT("none"), STR_INIT("alive"), STR_INIT("leaving"),
                                       STR_INIT("left"), STR_INIT("failed")};
    return status >= 0 && status < (int64_t)ARRAY_SIZE(texts) ? texts[status] : STR("unknown");
}
