#include "schema/intention.h"

/* clang-format off */
static const struct field intention_fields[] = {
    F_TIME(struct intention, created_at, "CreatedAt", F_OMITEMPTY | F_NO_FILTER),
    F_TIME(struct intention, updated_at, "UpdatedAt", F_OMITEMPTY | F_NO_FILTER),
    F_STR(struct intention, id, "ID", F_OMITEMPTY),
    F_STR(struct intention, description, "Description", F_OMITEMPTY),
    F_STR(struct intention, source_ns, "SourceNS", 0),
    F_STR(struct intention, source_name, "SourceName", 0),
    F_STR(struct intention, destination_ns, "DestinationNS", 0),
    F_STR(struct intention, destination_name, "DestinationName", 0),
    F_STR(struct intention, source_type, "SourceType", 0),
    F_STR(struct intention, action, "Action", F_OMITEMPTY),
    F_PTRLIST(struct intention, permissions, "Permissions", F_OMITEMPTY | F_NO_FILTER,
              &intention_permission_schema),
    F_STR(struct intention, default_addr, "DefaultAddr",
          F_OMITEMPTY | F_MSGPACK_OMITEMPTY | F_NO_FILTER),
    F_INT(struct intention, default_port, "DefaultPort",
          F_OMITEMPTY | F_MSGPACK_OMITEMPTY | F_NO_FILTER),
    F_STRMAP(struct intention, meta, "Meta", F_OMITEMPTY),
    F_INT(struct intention, precedence, "Precedence", 0),
    F_BYTES(struct intention, hash, "Hash", F_OMITEMPTY | F_NO_FILTER),
    F_SPLICE(struct intention, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema intention_schema = SCHEMA("Intention", struct intention, intention_fields);

static const struct field intention_body_fields[] = {
    F_STR(struct intention_body, hash, "Hash", 0),
    F_STR(struct intention_body, created_at, "CreatedAt", 0),
    F_STR(struct intention_body, updated_at, "UpdatedAt", 0),
    F_SPLICE(struct intention_body, intention, struct intention, &intention_schema),
    FIELDS_END,
};
const struct schema intention_body_schema =
    SCHEMA("Intention", struct intention_body, intention_body_fields);

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
    F_PTR(struct intention_request, intention, struct intention, "Intention", 0,
          &intention_schema),
    F_PTR(struct intention_request, mutation, struct intention_mutation, "Mutation", 0,
          &intention_mutation_schema),
    F_SPLICE(struct intention_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema intention_request_schema =
    SCHEMA("IntentionRequest", struct intention_request, intention_request_fields);

static const struct field intention_match_entry_fields[] = {
    F_STR(struct intention_match_entry, ns, "Namespace", 0),
    F_STR(struct intention_match_entry, name, "Name", 0),
    FIELDS_END,
};
const struct schema intention_match_entry_schema =
    SCHEMA("IntentionMatchEntry", struct intention_match_entry, intention_match_entry_fields);

static const struct field intention_query_match_fields[] = {
    F_STR(struct intention_query_match, type, "Type", 0),
    F_OBJLIST(struct intention_query_match, entries, "Entries", 0, &intention_match_entry_schema),
    FIELDS_END,
};
const struct schema intention_query_match_schema =
    SCHEMA("IntentionQueryMatch", struct intention_query_match, intention_query_match_fields);

static const struct field intention_query_check_fields[] = {
    F_STR(struct intention_query_check, source_ns, "SourceNS", 0),
    F_STR(struct intention_query_check, source_name, "SourceName", 0),
    F_STR(struct intention_query_check, destination_ns, "DestinationNS", 0),
    F_STR(struct intention_query_check, destination_name, "DestinationName", 0),
    F_STR(struct intention_query_check, source_type, "SourceType", 0),
    FIELDS_END,
};
const struct schema intention_query_check_schema =
    SCHEMA("IntentionQueryCheck", struct intention_query_check, intention_query_check_fields);

static const struct field intention_query_exact_fields[] = {
    F_STR(struct intention_query_exact, source_ns, "SourceNS", 0),
    F_STR(struct intention_query_exact, source_name, "SourceName", 0),
    F_STR(struct intention_query_exact, destination_ns, "DestinationNS", 0),
    F_STR(struct intention_query_exact, destination_name, "DestinationName", 0),
    FIELDS_END,
};
const struct schema intention_query_exact_schema =
    SCHEMA("IntentionQueryExact", struct intention_query_exact, intention_query_exact_fields);

static const struct field intention_query_request_fields[] = {
    F_STR(struct intention_query_request, datacenter, "Datacenter", 0),
    F_STR(struct intention_query_request, intention_id, "IntentionID", 0),
    F_PTR(struct intention_query_request, match, struct intention_query_match, "Match", 0,
          &intention_query_match_schema),
    F_PTR(struct intention_query_request, check, struct intention_query_check, "Check", 0,
          &intention_query_check_schema),
    F_PTR(struct intention_query_request, exact, struct intention_query_exact, "Exact", 0,
          &intention_query_exact_schema),
    F_SPLICE(struct intention_query_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema intention_query_request_schema =
    SCHEMA("IntentionQueryRequest", struct intention_query_request, intention_query_request_fields);

static const struct field intention_list_request_fields[] = {
    F_STR(struct intention_list_request, datacenter, "Datacenter", 0),
    F_BOOL(struct intention_list_request, legacy, "Legacy", 0),
    F_SPLICE(struct intention_list_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema intention_list_request_schema =
    SCHEMA("IntentionListRequest", struct intention_list_request, intention_list_request_fields);

static const struct field indexed_intentions_fields[] = {
    F_PTRLIST(struct indexed_intentions, intentions, "Intentions", 0, &intention_schema),
    F_STR(struct indexed_intentions, data_origin, "DataOrigin", F_NO_JSON),
    F_SPLICE(struct indexed_intentions, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_intentions_schema =
    SCHEMA("IndexedIntentions", struct indexed_intentions, indexed_intentions_fields);

static const struct field intention_list_fields[] = {
    F_PTRLIST(struct intention_list, intentions, "", 0, &intention_schema),
    FIELDS_END,
};
const struct schema intention_list_schema =
    SCHEMA("Intentions", struct intention_list, intention_list_fields);

static const struct field indexed_intention_matches_fields[] = {
    F_OBJLIST(struct indexed_intention_matches, matches, "Matches", 0, &intention_list_schema),
    F_SPLICE(struct indexed_intention_matches, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_intention_matches_schema =
    SCHEMA("IndexedIntentionMatches", struct indexed_intention_matches,
           indexed_intention_matches_fields);

static const struct field intention_check_response_fields[] = {
    F_BOOL(struct intention_check_response, allowed, "Allowed", 0),
    FIELDS_END,
};
const struct schema intention_check_response_schema =
    SCHEMA("IntentionQueryCheckResponse", struct intention_check_response,
           intention_check_response_fields);
/* clang-format on */
