/* intention.h - intentions, who may talk to whom, as their API and RPC methods have them (Consul's
 * structs of the same names).
 *
 * What is kept are config entries, one for each destination (config_intentions.h); an intention is
 * one source of such an entry, told together with its destination. */
#pragma once
#include "schema/config_intentions.h"
#include "schema/dump.h"

#define INTENTION_NAMESPACE STR("default") /* the only one in this edition */

struct intention {
    int64_t created_at, updated_at; /* TIME_ZERO: it was never the old API's */
    struct str id;                  /* of the old API only */
    struct str description;
    struct str source_ns, source_name;
    struct str destination_ns, destination_name;
    struct str source_type;
    struct str action;
    struct ptrlist permissions; /* struct intention_permission; then there is no action */
    struct str default_addr;    /* of no use any more */
    int64_t default_port;
    struct strmap meta;
    int64_t precedence;
    struct str hash;        /* of those with an id: 32 bytes that change with the content */
    struct raft_index raft; /* the entry's */
};

/* One as clients send it: what they say of times and hash is read over. */
struct intention_body {
    struct intention intention;
    struct str hash, created_at, updated_at;
};

/* --- changes --------------------------------------------------------------------------------- */

#define INTENTION_CREATE STR("create") /* the old API */
#define INTENTION_UPDATE STR("update") /* the old API */
#define INTENTION_UPSERT STR("upsert")
#define INTENTION_DELETE STR("delete") /* with an id: the old API */
/* Intentions live in config entries now: what the old ones were is forgotten. */
#define INTENTION_DELETE_ALL STR("delete-all")

/* What a change of one intention does to the config entry of its destination. */
struct intention_mutation {
    struct str id; /* of the old API; empty: the intention is named by destination and source */
    struct service_name destination, source;
    struct source_intention *value;
};

struct intention_request { /* Raft entry type 12, Intention.Apply */
    struct str datacenter;
    struct str op;
    struct intention *intention;         /* what is asked for */
    struct intention_mutation *mutation; /* what the log is told instead */
    struct write_request write;
};

/* --- questions ------------------------------------------------------------------------------- */

#define INTENTION_BY_SOURCE STR("source")
#define INTENTION_BY_DESTINATION STR("destination")

struct intention_match_entry {
    struct str ns, name;
};

struct intention_query_match {
    struct str type;        /* by source, by destination */
    struct objlist entries; /* struct intention_match_entry */
};

struct intention_query_check {
    struct str source_ns, source_name;
    struct str destination_ns, destination_name;
    struct str source_type;
};

struct intention_query_exact {
    struct str source_ns, source_name;
    struct str destination_ns, destination_name;
};

struct intention_query_request { /* Intention.Get, .Match, .Check; Internal.GatewayIntentions */
    struct str datacenter;
    struct str intention_id;
    struct intention_query_match *match;
    struct intention_query_check *check;
    struct intention_query_exact *exact;
    struct query_options options;
};

struct intention_list_request { /* Intention.List */
    struct str datacenter;
    bool legacy; /* those of before 1.9, of which there are none */
    struct query_options options;
};

/* --- answers --------------------------------------------------------------------------------- */

struct indexed_intentions {
    struct ptrlist intentions; /* struct intention; highest precedence first */
    struct str data_origin;    /* "config", "legacy" */
    struct query_meta meta;
};

/* A list within a list. */
struct intention_list {
    struct ptrlist intentions; /* struct intention; highest precedence first */
};

struct indexed_intention_matches {
    struct objlist matches; /* struct intention_list, one for each entry that was asked */
    struct query_meta meta;
};

struct intention_check_response {
    bool allowed;
};

extern const struct schema intention_schema, intention_body_schema, intention_mutation_schema,
    intention_request_schema, intention_match_entry_schema, intention_query_match_schema,
    intention_query_check_schema, intention_query_exact_schema, intention_query_request_schema,
    intention_list_request_schema, indexed_intentions_schema, intention_list_schema,
    indexed_intention_matches_schema, intention_check_response_schema;
