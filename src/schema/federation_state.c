#include "schema/federation_state.h"

/* clang-format off */
static const struct field federation_state_fields[] = {
    F_STR(struct federation_state, datacenter, "Datacenter", 0),
    F_OBJLIST(struct federation_state, mesh_gateways, "MeshGateways", F_OMITEMPTY,
              &check_service_node_schema),
    F_TIME(struct federation_state, updated_at, "UpdatedAt", 0),
    F_UINT(struct federation_state, primary_modify_index, "PrimaryModifyIndex", 0),
    F_SPLICE(struct federation_state, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema federation_state_schema =
    SCHEMA("FederationState", struct federation_state, federation_state_fields);

static const struct field federation_state_request_fields[] = {
    F_STR(struct federation_state_request, datacenter, "Datacenter", 0),
    F_STR(struct federation_state_request, op, "Op", 0),
    F_PTR(struct federation_state_request, state, struct federation_state, "State", 0,
          &federation_state_schema),
    F_SPLICE(struct federation_state_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema federation_state_request_schema = SCHEMA(
    "FederationStateRequest", struct federation_state_request, federation_state_request_fields);

static const struct field federation_state_query_fields[] = {
    F_STR(struct federation_state_query, datacenter, "Datacenter", 0),
    F_STR(struct federation_state_query, target_datacenter, "TargetDatacenter", 0),
    F_SPLICE(struct federation_state_query, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema federation_state_query_schema = SCHEMA(
    "FederationStateQuery", struct federation_state_query, federation_state_query_fields);

static const struct field federation_state_response_fields[] = {
    F_PTR(struct federation_state_response, state, const struct federation_state, "State", 0,
          &federation_state_schema),
    F_SPLICE(struct federation_state_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema federation_state_response_schema =
    SCHEMA("FederationStateResponse", struct federation_state_response,
           federation_state_response_fields);

static const struct field indexed_federation_states_fields[] = {
    F_PTRLIST(struct indexed_federation_states, states, "States", 0, &federation_state_schema),
    F_SPLICE(struct indexed_federation_states, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_federation_states_schema =
    SCHEMA("IndexedFederationStates", struct indexed_federation_states,
           indexed_federation_states_fields);

static const struct field federation_gateways_fields[] = {
    F_OBJLIST(struct federation_gateways, nodes, "", 0, &check_service_node_schema),
    FIELDS_END,
};
static const struct schema federation_gateways_schema =
    SCHEMA("CheckServiceNodes", struct federation_gateways, federation_gateways_fields);

static const struct field federation_gateways_reply_fields[] = {
    F_OBJMAP(struct federation_gateways_reply, datacenters, "DatacenterNodes", 0,
             &federation_gateways_schema),
    F_SPLICE(struct federation_gateways_reply, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema federation_gateways_reply_schema =
    SCHEMA("DatacenterIndexedCheckServiceNodes", struct federation_gateways_reply,
           federation_gateways_reply_fields);
/* clang-format on */

bool federation_state_is_same(const struct federation_state *a, const struct federation_state *b)
{
    const struct check_service_node *x = a->mesh_gateways.v, *y = b->mesh_gateways.v;
    if (!str_eq(a->datacenter, b->datacenter) || a->mesh_gateways.n != b->mesh_gateways.n) {
        return false;
    }
    for (size_t i = 0; i < a->mesh_gateways.n; i++) {
        if (!schema_equal(&check_service_node_schema, &x[i], &y[i])) {
            return false;
        }
    }
    return true;
}
