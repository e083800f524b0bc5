/* system_metadata.h - what a cluster remembers of its own transitions: small pairs that only the
 * leader writes; and the request for intentions, one of whose operations writes one of them
 * (Consul's structs of the same names). */
#pragma once
#include "schema/config_intentions.h"
#include "schema/dump.h"

/* Intentions live in config entries; the only way there is. */
#define SYSTEM_METADATA_INTENTION_FORMAT STR("intention-format")
#define SYSTEM_METADATA_INTENTION_FORMAT_CONFIG STR("config-entry")

struct system_metadata_entry {
    struct str key;
    struct str value;
    struct raft_index raft;
};

#define SYSTEM_METADATA_UPSERT STR("upsert")
#define SYSTEM_METADATA_DELETE STR("delete")

struct system_metadata_request { /* Raft entry type 31 */
    struct str datacenter;
    struct str op;
    struct system_metadata_entry *entry;
    struct write_request write;
};

/* Intentions live in config entries now: what the old ones were is forgotten. */
#define INTENTION_DELETE_ALL STR("delete-all")

/* What a change of one intention does to the config entry of its destination. */
struct intention_mutation {
    struct str id; /* of the old API; empty: the intention is named by destination and source */
    struct service_name destination, source;
    struct source_intention *value;
};

struct intention_request { /* Raft entry type 12 */
    struct str datacenter;
    struct str op;
    const struct value *intention;
    struct intention_mutation *mutation;
    struct write_request write;
};

extern const struct schema system_metadata_entry_schema, system_metadata_request_schema,
    intention_mutation_schema, intention_request_schema;
