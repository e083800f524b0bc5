#include "schema/system_metadata.h"

/* clang-format off */
static const struct field system_metadata_entry_fields[] = {
    F_STR(struct system_metadata_entry, key, "Key", 0),
    F_STR(struct system_metadata_entry, value, "Value", F_OMITEMPTY),
    F_SPLICE(struct system_metadata_entry, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema system_metadata_entry_schema =
    SCHEMA("SystemMetadataEntry", struct system_metadata_entry, system_metadata_entry_fields);

static const struct field system_metadata_request_fields[] = {
    F_STR(struct system_metadata_request, datacenter, "Datacenter", 0),
    F_STR(struct system_metadata_request, op, "Op", 0),
    F_PTR(struct system_metadata_request, entry, struct system_metadata_entry, "Entry", 0,
          &system_metadata_entry_schema),
    F_SPLICE(struct system_metadata_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema system_metadata_request_schema = SCHEMA(
    "SystemMetadataRequest", struct system_metadata_request, system_metadata_request_fields);
/* clang-format on */
