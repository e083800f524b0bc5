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

static const struct field intention_mutation_fields[] = {
    F_STR(struct intention_mutation, id, "ID", 0),
    F_OBJ(struct intention_mutation, destination, struct service_name, "Destination", 0,
          &service_name_schema),
    F_OBJ(struct intention_mutation, source, struct service_name, "Source", 0,
          &service_name_schema),
    F_PTR(struct intention_mutation, value, struct source_intention, "Value", 0,
          &source_intention_schema),
    FIELDS_END,
};
const struct schema intention_mutation_schema =
    SCHEMA("IntentionMutation", struct intention_mutation, intention_mutation_fields);

static const struct field intention_request_fields[] = {
    F_STR(struct intention_request, datacenter, "Datacenter", 0),
    F_STR(struct intention_request, op, "Op", 0),
    F_VALUE(struct intention_request, intention, "Intention", 0),
    F_PTR(struct intention_request, mutation, struct intention_mutation, "Mutation", 0,
          &intention_mutation_schema),
    F_SPLICE(struct intention_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema intention_request_schema =
    SCHEMA("IntentionRequest", struct intention_request, intention_request_fields);
/* clang-format on */
