/* api_intention.h - an intention as the HTTP API's clients have it: who may talk to whom.
 *
 * What the agent is sent and answers, in the order of Go's client; times are kept as they came, so
 * that they are shown in the zone they came in. */
#pragma once
#include "schema/field.h"

struct arena;

struct api_intention {
    struct str id, description;
    struct str source_ns, source_name;
    struct str destination_ns, destination_name;
    struct str source_type;
    struct str action;
    struct ptrlist permissions; /* struct intention_permission */
    struct str default_addr;
    int64_t default_port;
    struct strmap meta;
    int64_t precedence;
    struct str created_at, updated_at; /* RFC 3339 */
    struct str hash;
    uint64_t create_index, modify_index;
};

extern const struct schema api_intention_schema;

/* An empty one. */
struct api_intention api_intention_make(void);
/* "namespace/name", the namespace left out where it is empty. */
struct str api_intention_source(struct arena *a, const struct api_intention *i);
struct str api_intention_destination(struct arena *a, const struct api_intention *i);
/* The same for people, for whom the namespace "default" goes without saying. */
struct str api_intention_source_text(struct arena *a, const struct api_intention *i);
struct str api_intention_destination_text(struct arena *a, const struct api_intention *i);
/* "web => db (allow)" */
struct str api_intention_text(struct arena *a, const struct api_intention *i);
