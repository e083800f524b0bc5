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

struct federation_state_query {   /* FederationState.Get */
    struct str datacenter;        /* whose */
    struct str target_datacenter; /* who is asked */
    struct query_options options;
};

struct federation_state_response {
    const struct federation_state *state; /* NULL: there is none */
    struct query_meta meta;
};

struct indexed_federation_states { /* FederationState.List */
    struct ptrlist states;         /* struct federation_state */
    struct query_meta meta;
};

struct federation_gateways { /* a bare list on the wire */
    struct objlist nodes;    /* struct check_service_node */
};

struct federation_gateways_reply { /* FederationState.ListMeshGateways */
    struct objmap datacenters;     /* struct federation_gateways */
    struct query_meta meta;
};

/* Do they say the same, whenever it was written? */
bool federation_state_is_same(const struct federation_state *a, const struct federation_state *b);

extern const struct schema federation_state_schema, federation_state_request_schema,
    federation_state_query_schema, federation_state_response_schema,
    indexed_federation_states_schema, federation_gateways_reply_schema;
