/* What any thread may call, and the beginning and end of a node. The node itself is in node.c. */
#include "raft/raft.h"

#include "base/clock.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "raft/node.h"

/* What stands in a queue that takes no more. */
static struct raft_proposal inbound_closed;
static struct raft_request requests_closed;

/* --- proposals and requests --- */

static void inbound_push(struct raft *r, struct raft_proposal *p, enum raft_entry_type type)
{
    p->type = type;
    p->index = 0;
    struct raft_proposal *head = atomic_load(&r->inbound);
    do {
        if (head == &inbound_closed) {
            p->done(p, -ERR_CLOSED, 0);
            return;
        }
        p->next = head;
    } while (!atomic_compare_exchange_weak(&r->inbound, &head, p));
    if (head == NULL) {
        node_wake(r); /* who pushed onto something leaves waking to who pushed first */
    }
}

void raft_propose(struct raft *r, struct raft_proposal *p)
{
    inbound_push(r, p, RAFT_ENTRY_COMMAND);
}

void raft_barrier(struct raft *r, struct raft_proposal *p)
{
    p->entry = STR_NULL;
    inbound_push(r, p, RAFT_ENTRY_BARRIER);
}

void raft_request(struct raft *r, struct raft_request *q)
{
    struct raft_request *head = atomic_load(&r->requests);
    do {
        if (head == &requests_closed) {
            q->done(q, err_set(&q->err, ERR_CLOSED, "%s", err_code_text(ERR_CLOSED)));
            return;
        }
        q->next = head;
    } while (!atomic_compare_exchange_weak(&r->requests, &head, q));
    if (head == NULL) {
        node_wake(r);
    }
}

struct raft_proposal *node_inbound_take(struct raft *r, bool close)
{
    if (!close && atomic_load_explicit(&r->inbound, memory_order_relaxed) == NULL) {
        return NULL;
    }
    struct raft_proposal *newest = atomic_exchange(&r->inbound, close ? &inbound_closed : NULL);
    struct raft_proposal *p = NULL;
    while (newest != NULL &&
           newest != &inbound_closed) { /* turn it round: first come, first served */
        struct raft_proposal *next = newest->next;
        newest->next = p;
        p = newest;
        newest = next;
    }
    return p;
}

struct raft_request *node_requests_take(struct raft *r, bool close)
{
    if (!close && atomic_load_explicit(&r->requests, memory_order_relaxed) == NULL) {
        return NULL;
    }
    struct raft_request *newest = atomic_exchange(&r->requests, close ? &requests_closed : NULL);
    struct raft_request *q = NULL;
    while (newest != NULL && newest != &requests_closed) {
        struct raft_request *next = newest->next;
        newest->next = q;
        q = newest;
        newest = next;
    }
    return q;
}

/* --- what it says of itself --- */

bool raft_is_leader(const struct raft *r)
{
    return atomic_load_explicit(&r->is_leader, memory_order_acquire);
}

void raft_status(const struct raft *r, struct raft_status *ret_status)
{
    uint64_t words[STATUS_WORDS];
    uint32_t before, after;
    do {
        before = atomic_load_explicit(&r->status_sequence, memory_order_acquire);
        for (size_t i = 0; i < STATUS_WORDS; i++) {
            words[i] = atomic_load_explicit(&r->status_words[i], memory_order_acquire);
        }
        after = atomic_load_explicit(&r->status_sequence, memory_order_acquire);
    } while (before != after || before % 2 != 0);
    memcpy(ret_status, words, sizeof(*ret_status));
    /* Published is the moment of the contact: nothing is published while nothing is heard. */
    if (ret_status->state == RAFT_LEADER) {
        ret_status->last_contact_ms = 0;
    } else if (ret_status->last_contact_ms != 0) {
        uint64_t now = r->env->ops->now_ms(r->env);
        ret_status->last_contact_ms = now - MIN(now, ret_status->last_contact_ms);
    } else {
        ret_status->last_contact_ms = RAFT_CONTACT_NEVER;
    }
}

void raft_get_configuration(struct raft *r, struct raft_configuration *ret_configuration,
                            uint64_t *ret_index)
{
    pthread_mutex_lock(&r->configuration_lock);
    *ret_configuration = r->configuration;
    *ret_index = r->configuration_index;
    pthread_mutex_unlock(&r->configuration_lock);
}

/* --- start and stop, on the caller's thread --- */

static int name_copy(char to[RAFT_NAME_SIZE_MAX + 1], struct str name, const char *what,
                     struct err *err)
{
    if (name.n == 0 || name.n > RAFT_NAME_SIZE_MAX) {
        return err_set(err, ERR_INVALID, "raft: %s must have 1 to %u bytes, not %zu", what,
                       RAFT_NAME_SIZE_MAX, name.n);
    }
    memcpy(to, name.p, name.n);
    return 0;
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void raft_surroundings(struct raft *r, const struct raft_options *o)
{
    r->transport = o->transport;
    if (r->transport != NULL) {
        r->transport->events = &node_transport_events;
        r->transport->events_data = r;
    }
    r->env = o->env;
    if (r->env == NULL) {
        r->loop = o->loop;
        if (r->loop == NULL) {
            r->loop = r->own_loop = loop_new("raft");
        }
        r->env = r->own_env = raft_env_machine_new(r->loop);
    }
    r->io = o->io != NULL ? o->io : o->in_memory ? raft_io_memory_new() : raft_io_posix();
}

int raft_start(const struct raft_options *o, struct raft **ret_raft, struct err *err)
{
    struct raft *r = xcalloc(1, sizeof(*r));
    raft_surroundings(r, o);
    r->ops = o->ops;
    r->fsm = o->fsm;
    r->leadership = o->leadership;
    r->observe = o->observe;
    r->leadership_data = o->leadership_data;
    r->in_memory = o->in_memory;
    r->heartbeat_timeout_ms =
        or_default(o->heartbeat_timeout_ms, RAFT_HEARTBEAT_TIMEOUT_MS_DEFAULT);
    r->election_timeout_ms = or_default(o->election_timeout_ms, RAFT_ELECTION_TIMEOUT_MS_DEFAULT);
    r->lease_timeout_ms = or_default(o->lease_timeout_ms, RAFT_LEASE_TIMEOUT_MS_DEFAULT);
    r->commit_timeout_ms = or_default(o->commit_timeout_ms, RAFT_COMMIT_TIMEOUT_MS_DEFAULT);
    r->snapshot_threshold = or_default(o->snapshot_threshold, SNAPSHOT_THRESHOLD_DEFAULT);
    r->snapshot_interval_ms = or_default(o->snapshot_interval_ms, SNAPSHOT_INTERVAL_MS_DEFAULT);
    r->trailing_logs = o->trailing_logs;
    pthread_mutex_init(&r->configuration_lock, NULL);
    list_init(&r->pending);
    list_init(&r->sources);
    list_init(&r->stages);
    int k = name_copy(r->id, o->local_id, "the local id", err);
    k = k < 0 ? k : name_copy(r->address, o->local_address, "the local address", err);
    k = k < 0 ? k : node_open(r, o, err);
    if (k < 0) {
        raft_free(r);
        return k;
    }
    node_core_begin(r);
    node_measure_start();
    node_snapshot_schedule(r);
    node_publish_status(r);
    if (r->own_env != NULL) {
        raft_env_machine_start(r->own_env, r);
        loop_thread_start(r->loop);
        r->loop_runs = true;
    }
    *ret_raft = r;
    return 0;
}

void raft_stop(struct raft *r)
{
    if (r->loop_runs) {
        atomic_store(&r->stopping, true);
        node_wake(r);
        loop_thread_join(r->loop); /* the last turn has stopped it */
        r->loop_runs = false;
    } else if (r->own_env == NULL && r->core != NULL && !r->closed) {
        atomic_store(&r->stopping, true);
        node_close(r);
    }
}

struct raft *raft_free(struct raft *r)
{
    if (r == NULL) {
        return NULL;
    }
    raft_stop(r);
    if (r->transport != NULL) {
        r->transport->ops->free(r->transport);
    }
    raft_env_machine_free(r->own_env);
    loop_free(r->own_loop);
    raft_core_free(r->core);
    raft_core_out_deinit(&r->out);
    raft_log_free(r->log);
    raft_stable_free(r->stable);
    raft_snapshots_free(r->snapshots);
    pthread_mutex_destroy(&r->configuration_lock);
    raft_io_free(r->io);
    return mem_free(r);
}
