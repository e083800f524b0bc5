/* kv.h - the key/value store's entry and its requests (Consul's DirEntry, KVSRequest, …). */
#pragma once
#include "schema/catalog.h"

struct dir_entry {
    uint64_t lock_index;
    struct str key;
    uint64_t flags;
    struct str value; /* bytes; NULL p is nil */
    struct str session;
    struct raft_index raft;
};

/* Verbs, as text on the wire. */
#define KV_SET STR("set")
#define KV_DELETE STR("delete")
#define KV_DELETE_CAS STR("delete-cas")
#define KV_DELETE_TREE STR("delete-tree")
#define KV_CAS STR("cas")
#define KV_LOCK STR("lock")
#define KV_UNLOCK STR("unlock")
#define KV_GET STR("get")
#define KV_GET_TREE STR("get-tree")
#define KV_CHECK_SESSION STR("check-session")
#define KV_CHECK_INDEX STR("check-index")
#define KV_CHECK_NOT_EXISTS STR("check-not-exists")

struct kvs_request { /* Raft entry type 2 */
    struct str datacenter;
    struct str op;
    struct dir_entry dir_ent;
    struct write_request write;
};

struct key_request { /* KVS.Get, KVS.List */
    struct str datacenter;
    struct str key;
    struct query_options options;
};

struct key_list_request { /* KVS.ListKeys */
    struct str datacenter;
    struct str prefix;
    struct str separator; /* "Seperator" on the wire */
    struct query_options options;
};

struct tombstone_request { /* Raft entry type 5 */
    struct str datacenter;
    struct str op; /* "reap" */
    uint64_t reap_index;
    struct write_request write;
};

struct indexed_dir_entries { /* KVS.Get, KVS.List */
    struct ptrlist entries; /* struct dir_entry */
    struct query_meta meta;
};

struct indexed_key_list { /* KVS.ListKeys */
    struct strlist keys;
    struct query_meta meta;
};

extern const struct schema dir_entry_schema, kvs_request_schema, key_request_schema,
    key_list_request_schema, tombstone_request_schema, indexed_dir_entries_schema,
    indexed_key_list_schema;
