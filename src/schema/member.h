/* member.h - a member of a pool of agents, as Serf has it and /v1/agent/members shows it.
 *
 * What an agent is (server or client, data center, node id, ports, versions) is in its tags, by the
 * names of Consul's Serf tags; server/server_info.h reads those of servers. */
#pragma once
#include "schema/field.h"

/* Numbers of Serf's member states, as they are shown. */
enum member_status { MEMBER_NONE, MEMBER_ALIVE, MEMBER_LEAVING, MEMBER_LEFT, MEMBER_FAILED };

struct member {
    struct str name, addr; /* addr: an IP address */
    int64_t port;          /* of gossip */
    struct strmap tags;
    int64_t status; /* enum member_status */
    int64_t protocol_min, protocol_max, protocol_cur, delegate_min, delegate_max, delegate_cur;
};
extern const struct schema member_schema;

struct str member_tag(const struct member *m, struct str name); /* "" when there is none */
struct str member_status_text(int64_t status);                  /* "alive" */
