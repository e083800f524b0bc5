/* The raft thread calls server_apply() for every committed entry and server_batch_end() after each
 * batch: there the changes of the batch go to the workers, as one message each, and the epoch frees
 * what nobody can see any more. */
#include "server/server.h"

#include "base/clock.h"
#include "base/epoch.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/vec.h"
#include "fsm/fsm.h"
#include "fsm/snapshot.h"
#include "raft/raft.h"
#include "raft/snapshot.h"
#include "raft/transport_tcp.h"
#include "schema/config_entry.h"
#include "schema/query.h"
#include "server/auth_login.h"
#include "server/autopilot.h"
#include "server/bootstrap.h"
#include "server/call.h"
#include "server/coordinate_batch.h"
#include "server/datacenters.h"
#include "server/flood.h"
#include "server/fsm_metrics.h"
#include "server/leader.h"
#include "server/leave.h"
#include "server/members.h"
#include "server/membership.h"
#include "server/peers_json.h"
#include "server/router.h"
#include "server/rpc_ask.h"
#include "server/snapshot.h"
#include "store/lock_delay.h"
#include "store/store.h"

#include <pthread.h>

/* What a batch of commits changed, on its way to one worker. */
struct changed_msg {
    struct loop_msg msg;
    struct worker *worker;
    size_t count;
    struct change_list *lists[];
};

struct leadership_msg {
    struct loop_msg msg;
    struct worker *worker;
};

static void changed_run(struct loop_msg *msg)
{
    struct changed_msg *m = container_of(msg, struct changed_msg, msg);
    rpc_worker_changed(m->worker, m->lists, m->count);
    for (size_t i = 0; i < m->count; i++) {
        change_list_unref(m->lists[i]);
    }
    mem_free(m);
}

static void server_store_changed(void *data, struct change_list *changes)
{
    struct server *s = data;
    if (s->changes_count == s->changes_cap) {
        s->changes = vec_grow_(s->changes, s->changes_count, &s->changes_cap, sizeof(*s->changes));
    }
    s->changes[s->changes_count++] = change_list_ref(changes);
    for (size_t i = 0; i < changes->n; i++) {
        if (changes->v[i].table == TABLE_TOMBSTONES) {
            s->tombstone_index = changes->index;
            break;
        }
    }
}

static bool server_batch_end(void *data)
{
    struct server *s = data;
    for (uint32_t i = 0; i < s->workers_count && s->changes_count > 0; i++) {
        struct worker *w = s->workers[i];
        if (atomic_load(&w->blocking) == 0) {
            continue;
        }
        struct changed_msg *m =
            xmalloc(sizeof(*m) + s->changes_count * sizeof(struct change_list *));
        m->msg.run = changed_run;
        m->worker = w;
        m->count = s->changes_count;
        for (size_t j = 0; j < m->count; j++) {
            m->lists[j] = change_list_ref(s->changes[j]);
        }
        loop_post(w->loop, &m->msg);
    }
    for (size_t i = 0; i < s->changes_count; i++) {
        change_list_unref(s->changes[i]);
    }
    s->changes_count = 0;
    if (s->tombstone_index > 0) {
        leader_tombstones_made(s->leader, s->tombstone_index);
        s->tombstone_index = 0;
    }
    epoch_collect(s->epoch);
    return epoch_is_behind(s->epoch);
}

static void server_applied(void *data, enum fsm_message type, struct str op)
{
    const struct server *s = data;
    uint64_t ns = clock_mono_ns() - s->apply_started_ns;
    fsm_metrics_applied(type, op, (double)ns / (double)NS_PER_MS);
}

static int server_apply(void *data, uint64_t index, uint64_t term, struct str entry,
                        struct str extensions, struct raft_proposal *proposal)
{
    struct server *s = data;
    int rc;
    s->apply_started_ns = clock_mono_ns();
    uint64_t now_ms = s->apply_started_ns / NS_PER_MS;
    if (proposal != NULL) {
        struct call *c = container_of(proposal, struct call, proposal);
        rc = fsm_apply(s->fsm, index, entry, now_ms, &c->result_arena, &c->result);
    } else {
        struct arena arena = {0};
        struct fsm_result result;
        rc = extensions.n > 0
                 ? fsm_apply_chunk(s->fsm, index, term, entry, extensions, now_ms, &arena, &result)
                 : fsm_apply(s->fsm, index, entry, now_ms, &arena, &result);
        arena_deinit(&arena);
    }
    if (rc < 0) {
        log_write(LOG_ERROR, "agent.server.fsm", "cannot apply a log entry",
                  LOG_UINT("index", index), LOG_INT("type", entry.n > 0 ? (uint8_t)entry.p[0] : -1),
                  LOG_CSTR("error", err_code_text(-rc)));
    }
    return rc;
}

/* A moment of the store, held while it is written on another thread. */
struct server_snapshot {
    struct server *server;
    const struct store_view *view;
    uint32_t pin;
};

static void *server_snapshot_begin(void *data, uint64_t last_index)
{
    struct server *s = data;
    uint32_t pin;
    (void)last_index; /* the view carries it */
    if (epoch_pin(s->epoch, &pin) < 0) {
        return NULL;
    }
    struct server_snapshot *snap = xmalloc(sizeof(*snap));
    *snap = (struct server_snapshot){.server = s, .view = store_view(s->store), .pin = pin};
    return snap;
}

struct snapshot_target {
    struct raft_snapshot_sink *sink;
    struct err *err;
};

static int server_snapshot_chunk(void *data, struct str chunk)
{
    const struct snapshot_target *t = data;
    return raft_snapshot_sink_write(t->sink, chunk, t->err);
}

static int server_snapshot_write(void *handle, struct raft_snapshot_sink *sink, struct err *err)
{
    const struct server_snapshot *snap = handle;
    struct snapshot_target target = {.sink = sink, .err = err};
    uint64_t started_ns = clock_mono_ns();
    int rc = snapshot_write(snap->view, server_snapshot_chunk, &target, err);
    fsm_metrics_persisted(started_ns);
    return rc;
}

static void server_snapshot_end(void *handle)
{
    struct server_snapshot *snap = handle;
    epoch_unpin(snap->server->epoch, snap->pin);
    mem_free(snap);
}

static int server_state_new(void *data, struct str bytes, void **ret_state, struct err *err)
{
    struct store *store = NULL;
    int r = snapshot_load(bytes, &store, err);
    (void)data;
    if (r == 0) {
        *ret_state = store;
    }
    return r;
}

static void *trim_run(void *data)
{
    thread_background("trim");
    mem_trim();
    return data;
}

/* As much as the state was lies in holes now; giving it back takes longer than this thread has. */
static void server_state_freed(void *data)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, trim_run, data) == 0) {
        (void)pthread_detach(thread);
    }
}

static void server_state_take(void *data, void *take_state)
{
    struct server *s = data;
    store_adopt(s->store, take_state, server_state_freed, NULL);
}

static void server_state_free(void *data, void *state)
{
    (void)data;
    store_free(state);
}

static const struct raft_fsm_ops server_fsm_ops = {
    .apply = server_apply,
    .snapshot_begin = server_snapshot_begin,
    .snapshot_write = server_snapshot_write,
    .snapshot_end = server_snapshot_end,
    .state_new = server_state_new,
    .state_take = server_state_take,
    .state_free = server_state_free,
    .batch_end = server_batch_end,
};

static void leader_known_run(struct loop_msg *msg)
{
    struct leadership_msg *m = container_of(msg, struct leadership_msg, msg);
    rpc_worker_leader_known(m->worker);
    mem_free(m);
}

static void datacenters_changed_run(struct loop_msg *msg)
{
    struct leadership_msg *m = container_of(msg, struct leadership_msg, msg);
    rpc_worker_datacenters_changed(m->worker);
    mem_free(m);
}

static void server_tell_workers(struct server *s, void (*run)(struct loop_msg *msg))
{
    for (uint32_t i = 0; i < s->workers_count; i++) {
        struct leadership_msg *m = xcalloc(1, sizeof(*m));
        m->msg.run = run;
        m->worker = s->workers[i];
        loop_post(m->worker->loop, &m->msg);
    }
}

/* Who waits for a leader asks again: there may be one, here or elsewhere. */
static void server_observe(void *data)
{
    server_tell_workers(data, leader_known_run);
}

static void server_datacenters_changed(void *data)
{
    server_tell_workers(data, datacenters_changed_run);
}

static void server_leadership(void *data, bool is_leader)
{
    struct server *s = data;
    if (is_leader) {
        leader_gained(s->leader);
    } else {
        leader_lost(s->leader);
    }
    server_observe(s);
}

/* After its options are its own. */
static void server_init_delegate(struct server *s)
{
    const struct server_options *o = &s->options;
    s->delegate = (struct delegate){
        .membership = o->membership,
        .wan = o->wan,
        .datacenter = o->datacenter,
        .primary_datacenter = o->primary_datacenter,
        .node_name = o->node_name,
        .node_id = o->node_id,
        .max_query_time_ms = o->max_query_time_ms,
        .default_query_time_ms = o->default_query_time_ms,
        .rpc_hold_timeout_ms = o->rpc_hold_timeout_ms,
        .kv_max_value_size = o->kv_max_value_size,
        .txn_max_req_len = o->txn_max_req_len,
        .acl = o->acl,
    };
    rate_limit_init(&s->delegate.rate, -1, 0);
    acl_secrets_init(&s->delegate.secrets);
}

static size_t server_count_wan(void *data)
{
    struct server *s = data;
    struct member_list *list = s->delegate.wan != NULL ? membership_list(s->delegate.wan) : NULL;
    size_t n = list != NULL ? list->count : 0;
    if (list != NULL) {
        (void)member_list_unref(list);
    }
    return n;
}

static void server_init_router(struct server *s)
{
    const struct router_options router = {
        .main = s->main,
        .datacenter = s->delegate.datacenter,
        .nodes = server_count_wan,
        .changed = server_datacenters_changed,
        .data = s,
    };
    s->delegate.router = router_new(&router);
}

int server_new(const struct server_options *options, struct worker *main,
               struct server **ret_server, struct err *err)
{
    (void)err;
    struct server *s = xcalloc(1, sizeof(*s));
    struct arena *a = &s->strings;
    s->options = *options;
    s->options.datacenter = arena_str(a, options->datacenter);
    s->options.primary_datacenter = arena_str(a, options->primary_datacenter);
    s->options.node_name = arena_str(a, options->node_name);
    s->options.node_id = arena_str(a, options->node_id);
    s->options.rpc_address = arena_str(a, options->rpc_address);
    s->options.advertise_address = arena_str(a, options->advertise_address);
    s->options.data_dir = arena_str(a, options->data_dir);
    s->options.rpc_bind_host = arena_str(a, options->rpc_bind_host);
    s->options.ca_provider = arena_str(a, options->ca_provider);
    s->options.acl_master_token = arena_str(a, options->acl_master_token);
    s->options.ca_config = options->ca_config != NULL ? value_copy(a, options->ca_config) : NULL;
    struct autopilot_config *autopilot = &s->options.autopilot;
    autopilot->redundancy_zone_tag = arena_str(a, autopilot->redundancy_zone_tag);
    autopilot->upgrade_version_tag = arena_str(a, autopilot->upgrade_version_tag);
    struct ptrlist *entries = &s->options.config_entries;
    entries->v = ARENA_ARRAY(a, void *, entries->n + 1);
    for (size_t i = 0; i < entries->n; i++) {
        entries->v[i] = schema_copy(a, &config_entry_schema, options->config_entries.v[i]);
    }
    s->epoch = epoch_new();
    s->lock_delay = lock_delay_new();
    s->store = store_new(s->epoch);
    store_set_listener(s->store, server_store_changed, s);
    s->fsm = fsm_new(s->store, s->lock_delay);
    fsm_set_applied(s->fsm, server_applied, s);
    s->main = main;
    server_init_delegate(s);
    s->members = server_members_new(s);
    server_init_router(s);
    s->datacenters = datacenters_new(s);
    s->flood = flood_new(s);
    s->asks = rpc_asks_new();
    s->logins = auth_logins_new(s->main->loop);
    s->bootstrap = bootstrap_new(s, options->bootstrap_expect);
    s->autopilot = autopilot_new(s);
    s->snapshots = snapshots_new();
    s->leader = leader_new(s);
    s->coordinates = coordinate_batch_new(s);
    server_add_worker(s, main);
    *ret_server = s;
    return 0;
}

void server_add_worker(struct server *s, struct worker *w)
{
    ASSERT(s->workers_count < WORKERS_MAX);
    ASSERT(s->raft == NULL);
    w->delegate = &s->delegate;
    w->server = s;
    loop_add_epoch(w->loop, s->epoch);
    router_add_reader(s->delegate.router, w->loop);
    s->workers[s->workers_count++] = w;
}

/* peers.json, when there is one. */
static int server_load_peers(struct server *s, struct str dir,
                             struct raft_configuration **ret_configuration, struct err *err)
{
    struct raft_configuration *c = ARENA_NEW(&s->strings, struct raft_configuration);
    int64_t protocol = s->options.raft_protocol > 0 ? s->options.raft_protocol : 3;
    *ret_configuration = NULL;
    if (s->options.in_memory) {
        return 0;
    }
    int rc = peers_json_load(dir, protocol, c, err);
    *ret_configuration = rc > 0 ? c : NULL;
    return rc;
}

int server_start(struct server *s, struct err *err)
{
    const struct server_options *o = &s->options;
    struct str dir = arena_printf(&s->strings, "%.*s/raft", STRF(o->data_dir));
    struct raft_configuration *recover;
    int rc = server_load_peers(s, dir, &recover, err);
    if (rc < 0) {
        return rc;
    }
    uint64_t multiplier = MAX(o->raft_multiplier, 1u);
    s->raft_loop = loop_new("raft");
    struct raft_transport_tcp_options transport = {
        .loop = s->raft_loop,
        .bind_host = o->rpc_bind_host,
        .tls = o->tls,
    };
    s->raft_transport = raft_transport_tcp_new(&transport);
    if (s->raft_transport == NULL) {
        return err_set(err, ERR_INVALID, "raft: %.*s is no IP address", STRF(o->rpc_bind_host));
    }
    struct raft_options raft = {
        .data_dir = dir.p,
        .in_memory = o->in_memory,
        .local_id = o->node_id,
        .local_address = o->rpc_address,
        .bootstrap = o->bootstrap,
        .recover = recover,
        .snapshot_threshold = o->snapshot_threshold,
        .snapshot_interval_ms = o->snapshot_interval_ms,
        .trailing_logs = o->trailing_logs,
        .heartbeat_timeout_ms = RAFT_HEARTBEAT_TIMEOUT_MS_DEFAULT * multiplier,
        .election_timeout_ms = RAFT_ELECTION_TIMEOUT_MS_DEFAULT * multiplier,
        .lease_timeout_ms = RAFT_LEASE_TIMEOUT_MS_DEFAULT * multiplier,
        .loop = s->raft_loop,
        .transport = s->raft_transport,
        .ops = &server_fsm_ops,
        .fsm = s,
        .leadership = server_leadership,
        .observe = server_observe,
        .leadership_data = s,
    };
    rc = raft_start(&raft, &s->raft, err);
    if (rc < 0) {
        return recover != NULL ? err_wrap(err, "recovery failed") : rc;
    }
    if (recover != NULL) {
        rc = peers_json_used(dir, err);
    }
    if (rc >= 0) {
        membership_start(s->delegate.membership);
        flood_start(s->flood);
    }
    return rc;
}

void server_stop(struct server *s)
{
    leader_stop(s->leader);
    flood_stop(s->flood);
    datacenters_stop(s->datacenters);
    router_stop(s->delegate.router);
    membership_stop(s->delegate.membership);
    rpc_asks_stop(s->asks);
    s->logins = auth_logins_free(s->logins);
    bootstrap_stop(s->bootstrap);
    server_leave_stop(s->leave);
    server_members_stop(s->members);
    if (s->raft != NULL) {
        raft_stop(s->raft);
    }
    snapshots_stop(s->snapshots);
}

struct server *server_free(struct server *s)
{
    if (s == NULL) {
        return NULL;
    }
    s->snapshots = snapshots_free(s->snapshots);
    s->raft = raft_free(s->raft); /* and the transport */
    s->raft_loop = loop_free(s->raft_loop);
    s->leader = leader_free(s->leader);
    s->bootstrap = bootstrap_free(s->bootstrap);
    s->leave = server_leave_free(s->leave);
    s->members = server_members_free(s->members);
    s->flood = flood_free(s->flood);
    s->datacenters = datacenters_free(s->datacenters);
    s->delegate.router = router_free(s->delegate.router);
    s->delegate.membership = membership_free(s->delegate.membership);
    s->delegate.wan = membership_free(s->delegate.wan);
    s->logins = auth_logins_free(s->logins);
    s->asks = rpc_asks_free(s->asks);
    s->autopilot = autopilot_free(s->autopilot);
    s->coordinates = coordinate_batch_free(s->coordinates);
    s->fsm = fsm_free(s->fsm);
    s->store = store_free(s->store);
    s->lock_delay = lock_delay_free(s->lock_delay);
    for (size_t i = 0; i < s->changes_count; i++) {
        change_list_unref(s->changes[i]);
    }
    mem_free(s->changes);
    s->epoch = epoch_free(s->epoch);
    rate_limit_deinit(&s->delegate.rate);
    acl_secrets_deinit(&s->delegate.secrets);
    arena_deinit(&s->strings);
    return mem_free(s);
}

void server_raft_accept(void *data, int fd, struct tls_session *take_tls, struct str rest)
{
    struct server *s = data;
    raft_transport_tcp_accept(s->raft_transport, fd, take_tls, rest);
}

bool server_is_leader(const struct server *s)
{
    return raft_is_leader(s->raft);
}

void server_fill_meta(const struct server *s, struct query_meta *meta)
{
    struct raft_status status;
    meta->known_leader = true;
    meta->last_contact = 0;
    if (!server_is_leader(s)) {
        raft_status(s->raft, &status);
        meta->known_leader = status.leader_address[0] != '\0';
        /* Not less than it is: a follower is never as fresh as the leader. */
        meta->last_contact = status.last_contact_ms >= INT64_MAX / NS_PER_MS
                                 ? INT64_MAX
                                 : (int64_t)((status.last_contact_ms + 1) * NS_PER_MS) - 1;
    }
}

struct str server_leader_address(const struct server *s, struct arena *a)
{
    struct raft_status status;
    raft_status(s->raft, &status);
    if (status.state == RAFT_LEADER && !atomic_load(&s->is_established)) {
        return STR("");
    }
    return arena_str(a, str_from_cstr(status.leader_address));
}
