/* system_metadata.h - what a cluster remembers of its own transitions: small pairs that only the
 * leader writes (Consul's structs of the same names). */
#pragma once
#include "schema/catalog.h"

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

extern const struct schema system_metadata_entry_schema, system_metadata_request_schema;
