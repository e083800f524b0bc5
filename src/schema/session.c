#include "schema/session.h"

/* clang-format off */
static const struct field session_service_check_fields[] = {
    F_STR(struct session_service_check, id, "ID", 0),
    F_STR(struct session_service_check, namespace_, "Namespace", 0),
    FIELDS_END,
};
const struct schema session_service_check_schema =
    SCHEMA("ServiceCheck", struct session_service_check, session_service_check_fields);

static const struct field session_fields[] = {
    F_STR(struct session, id, "ID", 0),
    F_STR(struct session, name, "Name", 0),
    F_STR(struct session, node, "Node", 0),
    F_DURATION(struct session, lock_delay, "LockDelay", 0),
    F_STR(struct session, behavior, "Behavior", 0),
    F_STR(struct session, ttl, "TTL", 0),
    F_STRLIST(struct session, node_checks, "NodeChecks", 0),
    F_OBJLIST(struct session, service_checks, "ServiceChecks", 0, &session_service_check_schema),
    F_STRLIST(struct session, checks, "Checks", F_OMITEMPTY),
    F_SPLICE(struct session, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema session_schema = SCHEMA("Session", struct session, session_fields);

static const struct field session_request_fields[] = {
    F_STR(struct session_request, datacenter, "Datacenter", 0),
    F_STR(struct session_request, op, "Op", 0),
    F_OBJ(struct session_request, session, struct session, "Session", 0, &session_schema),
    F_SPLICE(struct session_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema session_request_schema =
    SCHEMA("SessionRequest", struct session_request, session_request_fields);

static const struct field session_specific_request_fields[] = {
    F_STR(struct session_specific_request, datacenter, "Datacenter", 0),
    F_STR(struct session_specific_request, session_id, "SessionID", 0),
    F_STR(struct session_specific_request, session, "Session", 0),
    F_SPLICE(struct session_specific_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema session_specific_request_schema = SCHEMA(
    "SessionSpecificRequest", struct session_specific_request, session_specific_request_fields);

static const struct field indexed_sessions_fields[] = {
    F_PTRLIST(struct indexed_sessions, sessions, "Sessions", 0, &session_schema),
    F_SPLICE(struct indexed_sessions, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_sessions_schema =
    SCHEMA("IndexedSessions", struct indexed_sessions, indexed_sessions_fields);
/* clang-format on */
