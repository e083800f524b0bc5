/* member.h - this agent as a member of the pools: the tags it shows there. */
#pragma once
#include "schema/member.h"

struct agent_config;
struct arena;

/* This node, in the LAN or the WAN pool; made in the arena. */
void member_self(const struct agent_config *config, struct str node_id, bool is_wan,
                 struct arena *a, struct member *ret_member);
/* "1.10.3:c976ffd2": what it says it was built from. */
struct str member_build(const struct agent_config *config, struct arena *a);
