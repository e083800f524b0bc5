/* store.h - the state store: tables of immutable rows under persistent trees.
 *
 * One writer (the thread that applies Raft entries, through fsm/), any number of readers without
 * locks. A reader takes the published view inside an epoch (the event loop enters one each turn)
 * and uses it and the rows it finds until the turn ends. All trees of a view are of the same
 * moment, so a read over several tables is consistent.
 *
 *     const struct store_view *v = store_view(store);
 *     const struct node *n = store_first(v, INDEX_NODES_ID, key);
 *
 * The writer:
 *
 *     struct store_txn *tx = store_txn_begin(store, raft_index);
 *     store_insert(tx, TABLE_NODES, row);            // row: one heap block, now the store's
 *     store_index_set(tx, STR("nodes"), raft_index);
 *     store_txn_commit(tx);                          // or store_txn_abort(tx)
 *
 * A transaction's own view (store_txn_view) shows its changes; functions that read take a view and
 * so work in both places. Nothing is visible to others before commit; abort undoes everything. One
 * transaction at a time.
 *
 * Changing a tree ends the life of iterators over the transaction's view: collect rows first, then
 * change.
 *
 * Keys. Names are lower-cased (ASCII) in keys, parts end with a NUL byte, as in Consul's schema:
 * services are found by node \0 id \0, and by name \0 node \0 id \0. store_key() builds one.
 *
 * Indexes. TABLE_INDEX maps names ("nodes", "kvs", "service.web", "service_kind.connect-proxy", …)
 * to the Raft index of the last change: X-Consul-Index comes from here. Its keys are the
 * lower-cased names, without a NUL. */
#pragma once
#include "base/buf.h"
#include "store/tree.h"
#include "store/watch.h"

struct epoch;
struct rendered;
struct store;
struct store_txn;

/* Consul's table names; the text is what snapshots call the index of the table. */
#define STORE_TABLES(X)                                         \
    X(TABLE_INDEX, "index")                                     \
    X(TABLE_NODES, "nodes")                                     \
    X(TABLE_SERVICES, "services")                               \
    X(TABLE_CHECKS, "checks")                                   \
    X(TABLE_KVS, "kvs")                                         \
    X(TABLE_TOMBSTONES, "tombstones")                           \
    X(TABLE_SESSIONS, "sessions")                               \
    X(TABLE_SESSION_CHECKS, "session_checks")                   \
    X(TABLE_COORDINATES, "coordinates")                         \
    X(TABLE_PREPARED_QUERIES, "prepared-queries")               \
    X(TABLE_AUTOPILOT_CONFIG, "autopilot-config")               \
    X(TABLE_CONFIG_ENTRIES, "config-entries")                   \
    X(TABLE_INTENTIONS, "connect-intentions")                   \
    X(TABLE_CA_BUILTIN, "connect-ca-builtin")                   \
    X(TABLE_CA_CONFIG, "connect-ca-config")                     \
    X(TABLE_CA_ROOTS, "connect-ca-roots")                       \
    X(TABLE_CA_LEAF_CERTS, "connect-ca-leaf-certs")             \
    X(TABLE_ACL_TOKENS, "acl-tokens")                           \
    X(TABLE_ACL_POLICIES, "acl-policies")                       \
    X(TABLE_ACL_ROLES, "acl-roles")                             \
    X(TABLE_ACL_BINDING_RULES, "acl-binding-rules")             \
    X(TABLE_ACL_AUTH_METHODS, "acl-auth-methods")               \
    X(TABLE_FEDERATION_STATES, "federation-states")             \
    X(TABLE_SYSTEM_METADATA, "system-metadata")                 \
    X(TABLE_GATEWAY_SERVICES, "gateway-services")               \
    X(TABLE_MESH_TOPOLOGY, "mesh-topology")                     \
    X(TABLE_OPAQUE, "opaque") /* ours: see struct opaque_row */ \
    X(TABLE_CHUNKS, "chunks") /* ours: see struct chunk_row */

/* Records of a snapshot whose tables are still to come are kept as they are. */
struct opaque_row {
    uint8_t type;      /* the record's message type */
    uint64_t sequence; /* position among those of its type */
    struct str body;   /* msgpack */
};

/* A piece of a log entry that comes in several, until all are there. */
struct chunk_row {
    uint64_t op;              /* of which operation */
    uint32_t sequence, count; /* which one of how many */
    uint64_t term;            /* of its entry */
    struct str data;
};

enum store_table {
#define X(id, name) id,
    STORE_TABLES(X)
#undef X
        TABLE_COUNT
};

/* Every index of every table: the first of a table is its primary one, unique. Secondary indexes
 * append the primary key, so that equal values stay apart. Defined in store/tables.c. */
enum store_index {
    INDEX_INDEX_ID,                  /* name */
    INDEX_NODES_ID,                  /* node */
    INDEX_NODES_UUID,                /* 16 bytes; only nodes with an ID */
    INDEX_SERVICES_ID,               /* node, service id */
    INDEX_SERVICES_SERVICE,          /* service name; then node, id */
    INDEX_SERVICES_CONNECT,          /* destination name of proxies, own name of native ones */
    INDEX_SERVICES_KIND,             /* kind */
    INDEX_CHECKS_ID,                 /* node, check id */
    INDEX_CHECKS_STATUS,             /* status */
    INDEX_CHECKS_SERVICE,            /* service name */
    INDEX_CHECKS_NODE_SERVICE,       /* node, service id ("" for node checks) */
    INDEX_KVS_ID,                    /* key, bytes as they are, no NUL */
    INDEX_TOMBSTONES_ID,             /* key */
    INDEX_SESSIONS_ID,               /* id */
    INDEX_SESSIONS_NODE,             /* node */
    INDEX_KVS_SESSION,               /* of TABLE_KVS: session that holds the lock */
    INDEX_SESSION_CHECKS_ID,         /* node, check id, session */
    INDEX_SESSION_CHECKS_SESSION,    /* session */
    INDEX_COORDINATES_ID,            /* node, segment */
    INDEX_OPAQUE_ID,                 /* type byte, sequence (big-endian) */
    INDEX_CHUNKS_ID,                 /* operation, sequence (big-endian) */
    INDEX_CA_BUILTIN_ID,             /* id of the provider's configuration */
    INDEX_CA_CONFIG_ID,              /* one row, under the empty key */
    INDEX_CA_ROOTS_ID,               /* id */
    INDEX_AUTOPILOT_CONFIG_ID,       /* one row, under the empty key */
    INDEX_CONFIG_ENTRIES_ID,         /* kind, name */
    INDEX_GATEWAY_SERVICES_ID,       /* gateway, service, port (big-endian) */
    INDEX_GATEWAY_SERVICES_SERVICE,  /* service */
    INDEX_SYSTEM_METADATA_ID,        /* key */
    INDEX_FEDERATION_STATES_ID,      /* data center */
    INDEX_PREPARED_QUERIES_ID,       /* the bytes of the id */
    INDEX_PREPARED_QUERIES_NAME,     /* name; only queries that have one */
    INDEX_PREPARED_QUERIES_TEMPLATE, /* name, also an empty one; only templates */
    INDEX_PREPARED_QUERIES_SESSION,  /* session; only queries bound to one */
    INDEX_INTENTIONS_ID,             /* destination, source (as it is written) */
    INDEX_INTENTIONS_SOURCE,         /* source (as it is written) */
    INDEX_INTENTIONS_LEGACY_ID,      /* id of the old API (as it is written) */
    INDEX_MESH_TOPOLOGY_ID,          /* upstream, downstream */
    INDEX_MESH_TOPOLOGY_DOWNSTREAM,  /* downstream */
    INDEX_ACL_TOKENS_ID,             /* secret, as it is written */
    INDEX_ACL_TOKENS_ACCESSOR,       /* the bytes of the accessor; only tokens that have one */
    INDEX_ACL_TOKENS_AUTH_METHOD,    /* auth method (as it is written); only tokens of one */
    INDEX_ACL_TOKENS_EXPIRES_GLOBAL, /* second of expiration (big-endian); no local tokens */
    INDEX_ACL_TOKENS_EXPIRES_LOCAL,  /* the same of local tokens */
    INDEX_ACL_TOKENS_NO_ACCESSOR,    /* nothing; only legacy tokens without an accessor */
    INDEX_ACL_POLICIES_ID,           /* the bytes of the id */
    INDEX_ACL_POLICIES_NAME,         /* name */
    INDEX_ACL_ROLES_ID,              /* the bytes of the id */
    INDEX_ACL_ROLES_NAME,            /* name */
    INDEX_ACL_BINDING_RULES_ID,      /* the bytes of the id */
    INDEX_ACL_BINDING_RULES_METHOD,  /* auth method */
    INDEX_ACL_AUTH_METHODS_ID,       /* name */
    INDEX_COUNT_NOW,
};

#define STORE_INDEX_MAX 64u

/* For watch_prefix(): the rows behind keys of a secondary index, where looking at the whole table
 * would wake too many. Only indexes that tables.c marks as watched tell their changes:
 * INDEX_SESSIONS_NODE, INDEX_SERVICES_SERVICE and _CONNECT, INDEX_CHECKS_STATUS and _SERVICE,
 * INDEX_GATEWAY_SERVICES_SERVICE, INDEX_INTENTIONS_SOURCE and _LEGACY_ID,
 * INDEX_MESH_TOPOLOGY_DOWNSTREAM, INDEX_ACL_TOKENS_ACCESSOR, INDEX_ACL_POLICIES_NAME,
 * INDEX_ACL_ROLES_NAME, INDEX_ACL_BINDING_RULES_METHOD. */
#define STORE_WATCH_INDEX(index) ((unsigned)TABLE_COUNT + (unsigned)(index))
#define STORE_WATCH_TABLES_MAX ((unsigned)TABLE_COUNT + STORE_INDEX_MAX)

struct store_view {
    struct tree trees[STORE_INDEX_MAX]; /* by enum store_index */
    uint64_t last_index;                /* Raft index of the commit that made this view */
    uint64_t era; /* moves when rows changed in a way that TABLE_INDEX does not tell: for caches */
};

/* A table's name, and its primary index. */
const char *store_table_name(enum store_table table);
enum store_index store_primary_index(enum store_table table);

/* epoch is borrowed; NULL: nobody reads it but the writer. */
struct store *store_new(struct epoch *epoch);
struct store *store_free(struct store *s); /* no reader may be inside */

/* The published view: atomic load. Valid inside the caller's epoch turn. */
const struct store_view *store_view(const struct store *s);

/* --- reading ------------------------------------------------------------------------------- */

/* Build a key into `to`: each part lower-cased and ended by a NUL. Returns a view of `to`. */
struct str store_key(struct buf *to, const struct str *parts, size_t count);
#define STORE_KEY_SIZE 320u
/* Append the bytes of a UUID in text; what is no hexadecimal digit is passed over. */
void store_key_uuid(struct buf *to, struct str id);
/* The key of a name in which upper and lower case differ: as it is, ended by a NUL. */
void store_key_exact(struct buf *to, struct str name);
/* The row under exactly this key of a unique index, or the first one with this prefix of another.
 */
void *store_get(const struct store_view *v, enum store_index index, struct str key);
void *store_first(const struct store_view *v, enum store_index index, struct str prefix);
/* Over all rows with a prefix, in key order. */
static inline void store_iter(struct tree_iter *it, const struct store_view *v,
                              enum store_index index, struct str prefix)
{
    tree_iter_prefix(it, &v->trees[index], prefix);
}

/* The recorded index of a name in TABLE_INDEX; 0 when it has none. */
uint64_t store_index(const struct store_view *v, struct str name);
/* The largest of several. */
uint64_t store_index_max(const struct store_view *v, const struct str *names, size_t count);
/* Watch one name of TABLE_INDEX. */
void store_index_watch(struct watch_set *ws, struct str name);

/* For tests and simulations: every row is found under all its keys and nothing else is. Walks
 * everything. */
bool store_is_consistent(const struct store_view *v);

/* --- writing (the writer thread only) ------------------------------------------------------ */

struct store_txn *store_txn_begin(struct store *s, uint64_t raft_index);
/* Publish. What was replaced is retired; the owner calls epoch_collect() after a batch. */
void store_txn_commit(struct store_txn *tx);
void store_txn_abort(struct store_txn *tx);
const struct store_view *store_txn_view(const struct store_txn *tx);
uint64_t store_txn_raft_index(const struct store_txn *tx);

/* Insert or replace by primary key. Takes the row (a single heap block; its `rendered`, for rows
 * that have one, must be NULL); the one it replaces is retired. */
void store_insert(struct store_txn *tx, enum store_table table, void *take_row);
/* Remove the row with this primary key; false when there was none. */
bool store_delete(struct store_txn *tx, enum store_table table, struct str primary_key);
void store_index_set(struct store_txn *tx, struct str name, uint64_t index);
/* Only upwards. */
void store_index_raise(struct store_txn *tx, struct str name, uint64_t index);
void store_index_delete(struct store_txn *tx, struct str name);
/* Drop every row of every table (snapshot restore); the following inserts rebuild the store, and
 * all watchers wake at commit. */
void store_clear(struct store_txn *tx);

/* What caches know of rows by the entries of TABLE_INDEX is void: a snapshot takes the place of
 * everything, a service instance goes from one name to another. */
void store_era_begin(struct store_txn *tx);

/* Put the content of `take_other`, a store of its own that nobody reads (made with a NULL epoch),
 * in the place of all there is. Cheap: what was there is freed bit by bit as the epoch is
 * collected, and `freed`, unless NULL, called when the last of it is gone. Watchers wake as after
 * store_clear(). No transaction may run in either. */
void store_adopt(struct store *s, struct store *take_other, void (*freed)(void *data), void *data);

/* Things that follow from a change but are no part of the state, told after the commit on the
 * writer thread (dropped by an abort): a key that was locked may not be locked again for a while; a
 * tombstone was left at this Raft index and is to be reaped some day. Either function may be NULL.
 */
struct store_effects {
    void (*lock_delay)(void *data, struct str key, int64_t delay_ns);
    void (*tombstone)(void *data, uint64_t index);
    void *data;
};
void store_set_effects(struct store *s, const struct store_effects *effects);
void store_effect_lock_delay(struct store_txn *tx, struct str key, int64_t delay_ns);
void store_effect_tombstone(struct store_txn *tx);

/* What each commit changed, told to one listener on the writer thread right after publishing. The
 * list is the listener's to ref. A commit that changed nothing is told nobody. */
typedef void (*store_changed_fn)(void *data, struct change_list *changes);
void store_set_listener(struct store *s, store_changed_fn fn, void *data);
