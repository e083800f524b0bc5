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
/* clang-format on */
