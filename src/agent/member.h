/* member.h - a member of the gossip pools as /v1/agent shows it. */
#pragma once
#include "schema/field.h"

struct agent_config;

enum member_status { MEMBER_NONE, MEMBER_ALIVE, MEMBER_LEAVING, MEMBER_LEFT, MEMBER_FAILED };

struct member {
    struct str name, addr;
    int64_t port;
    struct strmap tags;
    int64_t status; /* enum member_status */
    int64_t protocol_min, protocol_max, protocol_cur, delegate_min, delegate_max, delegate_cur;
};
extern const struct schema member_schema;

/* This node, in the LAN or the WAN pool; made in the arena. */
void member_self(const struct agent_config *config, struct str node_id, bool is_wan,
                 struct arena *a, struct member *ret_member);
/* "1.10.3:c976ffd2": what it says it was built from. */
struct str member_build(const struct agent_config *config, struct arena *a);
