/* server.h - the server half of an agent: store, state machine, consensus, and the duties of the
 * leader.
 *
 * Owned by the agent's main thread (start, stop). The store is written on the raft thread alone;
 * workers read it. Leader duties (session timers, tombstone collection, the reconciliation of the
 * catalog with the members) run on the duty loop while this server leads: started after the barrier of a
 * new term, stopped when leadership ends. */
#pragma once
#include "base/err.h"
#include "server/worker.h"

struct epoch;
struct fsm;
struct lock_delay;
struct raft;
struct store;

struct server_options {
    struct str datacenter, primary_datacenter;
    struct str node_name, node_id;
    struct str rpc_address;     /* host:port, advertised */
    struct str advertise_address;
    struct str data_dir;        /* "" with in_memory */
    bool in_memory;             /* -dev */
    bool bootstrap;
    uint32_t workers;           /* threads */
    uint64_t max_query_time_ms, default_query_time_ms;
    uint64_t rpc_hold_timeout_ms;
    int64_t session_ttl_min_ns;
    uint64_t kv_max_value_size, txn_max_req_len;
    uint64_t snapshot_threshold, snapshot_interval_ms, trailing_logs;
    uint64_t tombstone_ttl_ms, tombstone_granularity_ms; /* 15 min, 30 s */
    uint64_t coordinate_update_period_ms;
    uint32_t coordinate_update_batch_size, coordinate_update_max_batches;
    uint32_t raft_multiplier;
};

struct server {
    struct server_options options; /* strings owned by the server */
    struct arena *strings;
    struct epoch *epoch;
    struct store *store;
    struct fsm *fsm;
    struct raft *raft;
    struct lock_delay *lock_delay;
    struct loop *duty_loop;        /* the leader's timers */
    struct leader *leader;         /* leader.c's, touched on duty_loop */
    struct worker *workers;
    uint32_t workers_count;
};

NODISCARD int server_start(const struct server_options *options, struct server **ret_server,
                           struct err *err);
/* Workers' loops must have no calls left that someone waits for. */
void server_stop(struct server *s);
struct server *server_free(struct server *s);
