/* config_fields.h - what the field tables of all kinds of config entries begin and end with
 * (private to the config_*.c of schema/). */
#pragma once
#include "schema/config_entry.h"

#define F_CONFIG_HEAD(T) F_STR(T, head.kind, "Kind", 0), F_STR(T, head.name, "Name", 0)
#define F_CONFIG_TAIL(T)                         \
    F_STRMAP(T, head.meta, "Meta", F_OMITEMPTY), \
        F_SPLICE(T, head.raft, struct raft_index, &raft_index_schema), FIELDS_END
