/* server.h - the server half of an agent: store, state machine, consensus, and the duties of the
 * leader.
 *
 * Owned by the agent's main thread (start, stop). The store is written on the raft thread alone;
 * workers read it. Leader duties (leader.h) run on the main loop while this server leads. */
#pragma once
#include "base/err.h"
#include "schema/operator.h"
#include "server/delegate.h"
#include "server/worker.h"

struct auth_logins;
struct autopilot;
struct bootstrap;
struct change_list;
struct coordinate_batch;
struct datacenters;
struct epoch;
struct flood;
struct fsm;
struct leader;
struct loop;
struct lock_delay;
struct membership;
struct query_meta;
struct raft;
struct raft_transport;
struct server_leave;
struct server_members;
struct snapshots;
struct store;
struct tls_configurator;
struct tls_session;

struct server_options {
    struct str datacenter, primary_datacenter;
    struct str node_name, node_id;
    struct str rpc_address; /* host:port, advertised */
    struct str advertise_address;
    struct strmap tagged_addresses, node_meta; /* of this server's own catalog entry */
    struct str data_dir;                       /* "" with in_memory */
    bool in_memory;                            /* -dev */
    bool bootstrap;
    int64_t bootstrap_expect;      /* form a cluster when so many servers have met; 0: do not */
    int64_t raft_protocol;         /* 0: 3 */
    struct membership *membership; /* the pool it takes part in; taken */
    struct membership *wan;        /* and that of all servers everywhere, or NULL; taken */
    uint64_t leave_drain_ms;
    uint64_t max_query_time_ms, default_query_time_ms;
    uint64_t rpc_hold_timeout_ms;
    int64_t session_ttl_min_ns;
    uint64_t kv_max_value_size, txn_max_req_len;
    struct acl_settings acl;
    uint64_t snapshot_threshold, snapshot_interval_ms, trailing_logs;
    uint64_t tombstone_ttl_ms, tombstone_granularity_ms; /* 15 min, 30 s */
    uint64_t coordinate_update_period_ms;
    uint32_t coordinate_update_batch_size, coordinate_update_max_batches;
    struct tls_configurator *tls; /* borrowed; NULL: Raft is plain */
    struct str rpc_bind_host;     /* connect to other servers from here; "": from anywhere */
    uint32_t raft_multiplier;     /* of Raft's timeouts; 0 is 1 */
    struct str acl_master_token;  /* "": none; a leader makes a token of it */
    uint64_t federation_prune_ms; /* 0: an hour */
    bool connect_enabled;
    struct str ca_provider;            /* "": the built-in one */
    const struct value *ca_config;     /* a map with CamelCase keys, or NULL */
    struct autopilot_config autopilot; /* written by a leader that finds none */
    struct ptrlist config_entries;     /* struct config_entry: written by one that misses them */
};

struct server {
    struct delegate delegate;
    struct server_options options; /* strings are the server's own, in `strings` */
    struct arena strings;
    struct epoch *epoch;
    struct store *store;
    struct fsm *fsm;
    struct raft *raft;
    struct loop *raft_loop;
    struct raft_transport *raft_transport; /* raft's from server_start() on */
    struct lock_delay *lock_delay;
    /* This server leads and has its own entry in the catalog. Until then it does not call itself
     * leader, so that whoever waits for one may create sessions at once. */
    _Atomic bool is_established;
    _Atomic bool has_federation_states; /* federation_state.c's, any thread */
    struct worker *main;                /* the agent's main loop: the leader's duties run there */
    struct server_members *members;     /* what follows from it on every server */
    struct rpc_asks *asks;              /* calls that wait for the main loop */
    struct auth_logins *logins;         /* who is being asked about, main loop */
    struct bootstrap *bootstrap;
    struct datacenters *datacenters;      /* keeps the router's lists of the others */
    struct flood *flood;                  /* joins the data center's servers to the WAN pool */
    struct server_leave *leave;           /* NULL: it stays */
    struct leader *leader;                /* leader.c's, touched on the main loop */
    struct autopilot *autopilot;          /* run by the leader; any thread may ask for its state */
    struct coordinate_batch *coordinates; /* updates on their way into the log, any thread */
    struct snapshots *snapshots;          /* archives being made and restored, any thread */
    struct worker *workers[WORKERS_MAX];  /* all that are told of changes; main is among them */
    uint32_t workers_count;
    /* Change lists of the running batch of applies, raft thread only. */
    struct change_list **changes;
    size_t changes_count, changes_cap;
    uint64_t apply_started_ns; /* of the entry being applied, raft thread only */
    uint64_t tombstone_index;  /* of the running batch; 0: no tombstone was made */
};

/* Opens the state and starts consensus. `main` is the worker of the loop that owns the server. Add
 * the other workers before any call is made. Their loops enter server->epoch around each turn. */
NODISCARD int server_new(const struct server_options *options, struct worker *main,
                         struct server **ret_server, struct err *err);
void server_add_worker(struct server *s, struct worker *w);
/* Start taking part: elects itself, takes up the leader's duties. After the workers were added. */
NODISCARD int server_start(struct server *s, struct err *err);
/* Calls under way end with errors; consensus stops. The workers' loops may still run. */
void server_stop(struct server *s);
/* After all loops have ended. */
struct server *server_free(struct server *s);

bool server_is_leader(const struct server *s); /* any thread */
/* A connection to port 8300 that began with Raft's byte: data is the server, fd is taken over, what
 * was read behind that byte is copied. Any thread, while the server runs. */
void server_raft_accept(void *data, int fd, struct tls_session *take_tls, struct str rest);
/* What metadata of an answer from this server's own tables tells: whether a leader is known, and
 * for how long none was heard of (0 on the leader, INT64_MAX: since ever). Any thread. */
void server_fill_meta(const struct server *s, struct query_meta *meta);
/* "host:port" of the leader's RPC, or empty; copied into the arena. */
struct str server_leader_address(const struct server *s, struct arena *a);
