#include "schema/gossip.h"

#define T struct event_fire_request
static const struct field event_fire_request_fields[] = {
    F_STR(T, datacenter, "Datacenter", 0),
    F_STR(T, name, "Name", 0),
    F_BYTES(T, payload, "Payload", 0),
    F_SPLICE(T, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
#undef T
const struct schema event_fire_request_schema =
    SCHEMA("EventFireRequest", struct event_fire_request, event_fire_request_fields);

#define T struct event_fire_response
static const struct field event_fire_response_fields[] = {
    F_SPLICE(T, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
#undef T
const struct schema event_fire_response_schema =
    SCHEMA("EventFireResponse", struct event_fire_response, event_fire_response_fields);

#define T struct keyring_request
static const struct field keyring_request_fields[] = {
    F_STR(T, operation, "Operation", 0),
    F_STR(T, key, "Key", 0),
    F_STR(T, datacenter, "Datacenter", 0),
    F_BOOL(T, forwarded, "Forwarded", 0),
    F_UINT(T, relay_factor, "RelayFactor", 0),
    F_BOOL(T, local_only, "LocalOnly", 0),
    F_SPLICE(T, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
#undef T
const struct schema keyring_request_schema =
    SCHEMA("KeyringRequest", struct keyring_request, keyring_request_fields);

#define T struct keyring_response
static const struct field keyring_response_fields[] = {
    F_BOOL(T, wan, "WAN", 0),
    F_STR(T, datacenter, "Datacenter", 0),
    F_STR(T, segment, "Segment", 0),
    F_STRMAP(T, messages, "Messages", F_OMITEMPTY),
    F_INTMAP(T, keys, "Keys", 0),
    F_INTMAP(T, primary_keys, "PrimaryKeys", 0),
    F_INT(T, num_nodes, "NumNodes", 0),
    F_STR(T, error, "Error", F_OMITEMPTY),
    FIELDS_END,
};
#undef T
const struct schema keyring_response_schema =
    SCHEMA("KeyringResponse", struct keyring_response, keyring_response_fields);

#define T struct keyring_responses
static const struct field keyring_responses_fields[] = {
    F_OBJLIST(T, responses, "Responses", 0, &keyring_response_schema),
    F_SPLICE(T, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
#undef T
const struct schema keyring_responses_schema =
    SCHEMA("KeyringResponses", struct keyring_responses, keyring_responses_fields);
