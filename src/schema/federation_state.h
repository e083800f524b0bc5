/* federation_state.h - what data centers tell each other of themselves: one record each, with the
 * mesh gateways by which it is reached (Consul's structs of the same names). The leader of a data
 * center writes its own whenever its gateways change, and once when there is none yet. */
#pragma once
#include "schema/catalog.h"

struct federation_state {
    struct str datacenter;
    struct objlist mesh_gateways; /* struct check_service_node */
    int64_t updated_at;
    uint64_t primary_modify_index; /* its modify_index in the primary data center */
    struct raft_index raft;
};

#define FEDERATION_STATE_UPSERT STR("upsert")
#define FEDERATION_STATE_DELETE STR("delete")

struct federation_state_request { /* Raft entry type 30, and its record in a snapshot */
    struct str datacenter;
    struct str op;
    struct federation_state *state; /* to delete: its datacenter */
    struct write_request write;
};

extern const struct schema federation_state_schema, federation_state_request_schema;
