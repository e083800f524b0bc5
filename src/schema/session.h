/* session.h - sessions, which hold locks in the key/value store. */
#pragma once
#include "schema/catalog.h"

struct session_service_check { /* ServiceCheck */
    struct str id;
    struct str namespace_;
};

struct session {
    struct str id;
    struct str name;
    struct str node;
    int64_t lock_delay; /* ns */
    struct str behavior; /* release, delete */
    struct str ttl;      /* "" or a duration */
    struct strlist node_checks;
    struct objlist service_checks; /* struct session_service_check */
    struct strlist checks;         /* deprecated in 1.7, still answered */
    struct raft_index raft;
};

#define SESSION_RELEASE STR("release")
#define SESSION_DELETE STR("delete")
#define SESSION_LOCK_DELAY_NS_DEFAULT (15 * INT64_C(1000000000))
#define SESSION_LOCK_DELAY_NS_MAX (60 * INT64_C(1000000000))
#define SESSION_TTL_MIN_NS_DEFAULT (10 * INT64_C(1000000000))
#define SESSION_TTL_NS_MAX (86400 * INT64_C(1000000000))

struct session_request { /* Raft entry type 3 */
    struct str datacenter;
    struct str op; /* create, destroy */
    struct session session;
    struct write_request write;
};

struct session_specific_request {
    struct str datacenter;
    struct str session_id;
    struct str session; /* deprecated in 1.7, still sent by older peers */
    struct query_options options;
};

struct indexed_sessions {
    struct ptrlist sessions; /* struct session */
    struct query_meta meta;
};

extern const struct schema session_service_check_schema, session_schema, session_request_schema,
    session_specific_request_schema, indexed_sessions_schema;
