#include "schema/snapshot.h"

/* clang-format off */
static const struct field snapshot_request_fields[] = {
    F_STR(struct snapshot_request, datacenter, "Datacenter", 0),
    F_STR(struct snapshot_request, token, "Token", 0),
    F_BOOL(struct snapshot_request, allow_stale, "AllowStale", 0),
    F_INT(struct snapshot_request, op, "Op", 0),
    FIELDS_END,
};
const struct schema snapshot_request_schema =
    SCHEMA("SnapshotRequest", struct snapshot_request, snapshot_request_fields);

static const struct field snapshot_response_fields[] = {
    F_STR(struct snapshot_response, error, "Error", 0),
    F_SPLICE(struct snapshot_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema snapshot_response_schema =
    SCHEMA("SnapshotResponse", struct snapshot_response, snapshot_response_fields);
/* clang-format on */
