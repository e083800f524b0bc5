/* snapshot.h - what opens and answers a snapshot connection (kind 5 of port 8300): the archive's
 * bytes follow the request to restore, and the response to a save. */
#pragma once
#include "schema/query.h"

enum snapshot_op { SNAPSHOT_SAVE, SNAPSHOT_RESTORE };

struct snapshot_request {
    struct str datacenter;
    struct str token;
    bool allow_stale; /* of a save */
    int64_t op;       /* enum snapshot_op */
};

struct snapshot_response {
    struct str error; /* empty: it worked */
    struct query_meta meta;
};

extern const struct schema snapshot_request_schema, snapshot_response_schema;
