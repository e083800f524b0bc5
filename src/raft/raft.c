/* The node: threads, queues and the life of an entry.
 *
 *     raft_propose -> inbound -> append to the open batch -> disk thread: write, sync
 *                  -> commit -> apply in order -> batch_end -> done
 *
 * The raft thread goes round one loop: take all that came in, see whether the disk is done, give
 * it the next batch, apply some of what is committed, sleep when nothing moved. While a sync runs
 * the next batch gathers, so its size follows the load by itself.
 *
 * Deciding is kept apart from doing: who leads, what is committed and what must be persisted first
 * are questions of the functions marked "decides", which today know only the lone voter (its vote
 * is a majority, its durable index the commit index) and are where raft/core comes in.
 *
 * When the disk fails the node steps down, answers what was under way with -ERR_LEADERSHIP_LOST,
 * and tries again every RETRY_MS; after a failed sync it stays down until restarted (log.h says
 * why). Nothing that was acknowledged is touched by any of this. */
#include "raft/raft.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "raft/node.h"

static struct raft_proposal inbound_closed;
#define INBOUND_CLOSED (&inbound_closed)

/* --- any thread --- */

static void inbound_push(struct raft *r, struct raft_proposal *p, enum raft_entry_type type)
{
    p->type = type;
    p->index = 0;
    struct raft_proposal *head = atomic_load(&r->inbound);
    do {
        if (head == INBOUND_CLOSED) {
            p->done(p, -ERR_CLOSED, 0);
            return;
        }
        p->next = head;
    } while (!atomic_compare_exchange_weak(&r->inbound, &head, p));
    if (head == NULL) {
        wake_post(&r->wake); /* who pushed onto something leaves waking to who pushed first */
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
}

void raft_get_configuration(struct raft *r, struct raft_configuration *ret_configuration,
                            uint64_t *ret_index)
{
    pthread_mutex_lock(&r->configuration_lock);
    *ret_configuration = r->configuration;
    *ret_index = r->configuration_index;
    pthread_mutex_unlock(&r->configuration_lock);
}

/* --- the raft thread --- */

void node_publish_status(struct raft *r)
{
    struct raft_status s;
    memset(&s, 0, sizeof(s));
    s.state = r->state;
    s.term = r->term;
    s.last_log_index = raft_log_last_index(r->log);
    s.last_log_term = raft_log_term(r->log, s.last_log_index);
    if (s.last_log_term == 0 && s.last_log_index == r->snapshot_index) {
        s.last_log_term = r->snapshot_term;
    }
    s.commit_index = r->commit_index;
    s.applied_index = r->applied_index;
    s.last_snapshot_index = r->snapshot_index;
    s.last_snapshot_term = r->snapshot_term;
    s.fsm_pending = r->commit_index - r->applied_index;
    uint32_t voters = raft_configuration_voters(&r->configuration);
    s.peers = voters - raft_configuration_is_voter(&r->configuration, str_from_cstr(r->id));
    s.configuration_index = r->configuration_index;
    if (r->state == RAFT_LEADER) {
        memcpy(s.leader_address, r->address, MIN(strlen(r->address), sizeof(s.leader_address) - 1));
        memcpy(s.leader_id, r->id, MIN(strlen(r->id), sizeof(s.leader_id) - 1));
    }
    uint64_t words[STATUS_WORDS] = {0};
    memcpy(words, &s, sizeof(s));
    uint32_t sequence = atomic_load_explicit(&r->status_sequence, memory_order_relaxed);
    atomic_store_explicit(&r->status_sequence, sequence + 1, memory_order_relaxed);
    for (size_t i = 0; i < STATUS_WORDS; i++) {
        atomic_store_explicit(&r->status_words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&r->status_sequence, sequence + 2, memory_order_release);
}

static void proposal_done(struct raft_proposal *p, int code, uint64_t index)
{
    p->done(p, code, index);
}

static void pending_remove(struct raft *r, struct raft_proposal *p)
{
    list_remove(&p->node);
    r->pending_count--;
    r->pending_size -= p->entry.n;
}

/* Answer what waits for entries behind `index` with a failure. */
static void pending_fail(struct raft *r, uint64_t index, int code)
{
    while (!list_is_empty(&r->pending)) {
        struct raft_proposal *p = list_entry(r->pending.prev, struct raft_proposal, node);
        if (p->index <= index) {
            break;
        }
        pending_remove(r, p);
        proposal_done(p, code, 0);
    }
}

void node_step_down(struct raft *r, const struct err *err, bool may_retry)
{
    log_write(LOG_ERROR, LOG_MODULE, "stepping down: the disk failed",
              LOG_CSTR("error", err_text(err)));
    r->failed = !may_retry;
    r->retry_ms = may_retry ? clock_mono_ms() + RETRY_MS : 0;
    bool was_leader = atomic_exchange(&r->is_leader, false);
    r->state = RAFT_FOLLOWER;
    node_publish_status(r);
    pending_fail(r, r->commit_index, -ERR_LEADERSHIP_LOST);
    if (was_leader && r->leadership != NULL) {
        r->leadership(r->leadership_data, false);
    }
}

/* Decides: a lone voter wins by voting for itself, in a new term, once the vote is durable. */
static bool node_may_elect(const struct raft *r)
{
    return r->state == RAFT_FOLLOWER && !r->failed &&
           raft_configuration_is_voter(&r->configuration, str_from_cstr(r->id)) &&
           raft_configuration_voters(&r->configuration) == 1;
}

static void node_elect(struct raft *r)
{
    struct err err = {0};
    r->retry_ms = 0;
    int k = raft_log_repair(r->log, &err);
    struct raft_stable_state vote = *raft_stable_get(r->stable);
    vote.term = r->term + 1;
    memcpy(vote.voted_for, r->id, sizeof(vote.voted_for));
    k = k < 0 ? k : raft_stable_set(r->stable, &vote, &err);
    struct raft_entry noop = {.index = raft_log_last_index(r->log) + 1,
                              .term = vote.term,
                              .type = RAFT_ENTRY_NOOP,
                              .appended_ns = clock_wall_ns()};
    if (k == 0) {
        r->term = vote.term;
        k = raft_log_append(r->log, &noop);
    }
    if (k < 0) {
        if (err.code == 0) {
            err_from_errno(&err, k, "raft: cannot start a term");
        }
        node_step_down(r, &err, k != -ERR_FAILED); /* which says that a sync has failed */
        return;
    }
    r->state = RAFT_LEADER;
    r->noop_index = noop.index;
    log_write(LOG_INFO, LOG_MODULE, "election won", LOG_UINT("term", r->term),
              LOG_UINT("tally", 1));
    node_publish_status(r);
}

/* Decides: what a majority has made durable in this term is committed. */
static void node_advance_commit(struct raft *r)
{
    uint64_t durable = raft_log_durable_index(r->log);
    if (r->state == RAFT_LEADER && durable > r->commit_index && durable >= r->noop_index) {
        r->commit_index = durable;
    }
}

static void node_accept(struct raft *r, struct raft_proposal *p)
{
    int code = 0;
    if (atomic_load_explicit(&r->stopping, memory_order_relaxed)) {
        code = -ERR_CLOSED;
    } else if (r->state != RAFT_LEADER) {
        code = -ERR_NO_LEADER;
    } else if (r->pending_count >= RAFT_PENDING_MAX ||
               p->entry.n > RAFT_PENDING_SIZE_MAX - r->pending_size) {
        code = -ERR_RATE_LIMIT;
    } else {
        struct raft_entry e = {.index = raft_log_last_index(r->log) + 1,
                               .term = r->term,
                               .type = p->type,
                               .data = p->entry};
        code = raft_log_append(r->log, &e);
        p->index = e.index;
    }
    if (code < 0) {
        proposal_done(p, code, 0);
        return;
    }
    p->node = (struct list){NULL, NULL};
    list_push_back(&r->pending, &p->node);
    r->pending_count++;
    r->pending_size += p->entry.n;
}

static bool node_take_inbound(struct raft *r)
{
    if (atomic_load_explicit(&r->inbound, memory_order_relaxed) == NULL) {
        return false;
    }
    struct raft_proposal *newest = atomic_exchange(&r->inbound, NULL), *p = NULL;
    while (newest != NULL) { /* turn it round: first come, first in the log */
        struct raft_proposal *next = newest->next;
        newest->next = p;
        p = newest;
        newest = next;
    }
    while (p != NULL) {
        struct raft_proposal *next = p->next; /* done() may free p */
        node_accept(r, p);
        p = next;
    }
    return true;
}

static void node_written(struct raft *r, struct raft_log_batch *batch, int result,
                         const struct err *err)
{
    raft_log_batch_end(r->log, batch, result);
    if (result < 0) {
        node_step_down(r, err, true);
    } else {
        node_advance_commit(r);
    }
}

static bool node_write(struct raft *r)
{
    bool progress = false;
    struct raft_log_batch *batch;
    int result;
    if (r->writing && disk_poll(&r->disk, &batch, &result)) {
        r->writing = false;
        node_written(r, batch, result, &r->disk.err);
        progress = true;
    }
    if (!r->writing && (batch = raft_log_batch_begin(r->log)) != NULL) {
        progress = true;
        if (r->in_memory) { /* no disk to wait for, so no other thread to wake */
            struct err err = {0};
            result = raft_log_batch_write(batch, &err);
            node_written(r, batch, result, &err);
        } else {
            r->writing = true;
            disk_submit(&r->disk, batch);
        }
    }
    return progress;
}

static void node_apply_one(struct raft *r, const struct raft_entry *e, struct raft_proposal *p)
{
    switch (e->type) {
    case RAFT_ENTRY_COMMAND:
        r->ops->apply(r->fsm, e->index, e->term, e->data, p);
        break;
    case RAFT_ENTRY_NOOP:
    case RAFT_ENTRY_BARRIER:
    case RAFT_ENTRY_CONFIGURATION: /* took effect when it was appended */
        break;
    }
    r->applied_index = e->index;
}

/* Entries of this node's own proposals need no reading: their bytes are still the caller's. */
static int node_apply_own(struct raft *r, uint64_t to, struct list *applied)
{
    int n = 0;
    while (r->applied_index < to && !list_is_empty(&r->pending)) {
        struct raft_proposal *p = list_entry(r->pending.next, struct raft_proposal, node);
        if (p->index != r->applied_index + 1) {
            break;
        }
        struct raft_entry e = {.index = p->index,
                               .term = raft_log_term(r->log, p->index),
                               .type = p->type,
                               .data = p->entry};
        pending_remove(r, p);
        list_push_back(applied, &p->node);
        node_apply_one(r, &e, p);
        n++;
    }
    return n;
}

static int node_apply_log(struct raft *r, uint64_t to)
{
    if (!list_is_empty(&r->pending)) {
        to = MIN(to, list_entry(r->pending.next, struct raft_proposal, node)->index - 1);
    }
    struct err err = {0};
    int n = raft_log_read(r->log, r->applied_index + 1, (size_t)(to - r->applied_index),
                          APPLY_READ_SIZE_MAX, r->entries, &err);
    if (n < 0) {
        node_step_down(r, &err, false);
        return n;
    }
    for (int i = 0; i < n; i++) {
        node_apply_one(r, &r->entries[i], NULL);
    }
    return n;
}

static bool node_apply(struct raft *r)
{
    if (r->applied_index == r->commit_index || r->failed) {
        return false;
    }
    struct list applied;
    list_init(&applied);
    uint64_t to = MIN(r->commit_index, r->applied_index + APPLY_BATCH_MAX);
    while (r->applied_index < to) {
        if (node_apply_own(r, to, &applied) == 0 && node_apply_log(r, to) < 0) {
            break;
        }
    }
    if (r->ops->batch_end != NULL) {
        r->ops->batch_end(r->fsm);
    }
    node_publish_status(r);
    if (r->state == RAFT_LEADER && !atomic_load_explicit(&r->is_leader, memory_order_relaxed) &&
        r->applied_index >= r->noop_index) {
        atomic_store(&r->is_leader, true);
        if (r->leadership != NULL) {
            r->leadership(r->leadership_data, true);
        }
    }
    for (struct list *node; (node = list_pop_front(&applied)) != NULL;) {
        struct raft_proposal *p = list_entry(node, struct raft_proposal, node);
        proposal_done(p, 0, p->index);
    }
    return true;
}

static uint64_t node_timeout_ms(const struct raft *r)
{
    uint64_t at = r->retry_ms != 0 ? r->retry_ms : WAKE_FOREVER;
    if (r->snapshots != NULL && !atomic_load_explicit(&r->stopping, memory_order_relaxed)) {
        at = MIN(at, r->snapshot_at_ms);
    }
    if (at == WAKE_FOREVER) {
        return WAKE_FOREVER;
    }
    uint64_t now = clock_mono_ms();
    return at > now ? at - now : 0;
}

static void node_timers(struct raft *r)
{
    if (r->retry_ms != 0 && clock_mono_ms() >= r->retry_ms && !r->writing && node_may_elect(r)) {
        node_elect(r);
    }
}

static bool node_is_idle(const struct raft *r)
{
    return !r->writing && (r->failed || r->state != RAFT_LEADER ||
                           r->applied_index == raft_log_last_index(r->log));
}

static void node_close(struct raft *r)
{
    node_snapshot_stop(r, -ERR_CLOSED);
    bool was_leader = atomic_exchange(&r->is_leader, false);
    r->state = RAFT_SHUTDOWN;
    node_publish_status(r);
    pending_fail(r, 0, -ERR_CLOSED);
    struct raft_proposal *p = atomic_exchange(&r->inbound, INBOUND_CLOSED);
    while (p != NULL) {
        struct raft_proposal *next = p->next;
        proposal_done(p, -ERR_CLOSED, 0);
        p = next;
    }
    if (was_leader && r->leadership != NULL) {
        r->leadership(r->leadership_data, false);
    }
    /* What recovery must find again: a log cut short while we were away is then noticed. */
    struct raft_stable_state state = *raft_stable_get(r->stable);
    state.commit_index = r->commit_index;
    struct err err = {0};
    if (!r->failed && raft_stable_set(r->stable, &state, &err) < 0) {
        log_write(LOG_WARN, LOG_MODULE, "cannot note the commit index",
                  LOG_CSTR("error", err_text(&err)));
    }
}

static void *raft_run(void *data)
{
    struct raft *r = data;
    node_snapshot_schedule(r);
    if (node_may_elect(r)) {
        node_elect(r);
    }
    for (;;) {
        /* A restore waits for the node to come to rest; who proposes waits for the restore. */
        bool progress = !node_restore_waits(r) && node_take_inbound(r);
        progress |= node_write(r);
        progress |= node_apply(r);
        progress |= node_snapshot(r);
        progress |= node_restore_next(r);
        if (progress) {
            continue;
        }
        if (atomic_load(&r->stopping) && node_is_idle(r)) {
            break;
        }
        wake_wait(&r->wake, node_timeout_ms(r));
        node_timers(r);
    }
    node_close(r);
    return NULL;
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

int raft_start(const struct raft_options *o, struct raft **ret_raft, struct err *err)
{
    struct raft *r = xcalloc(1, sizeof(*r));
    r->io = o->in_memory ? raft_io_memory_new() : o->io != NULL ? o->io : raft_io_posix();
    r->ops = o->ops;
    r->fsm = o->fsm;
    r->leadership = o->leadership;
    r->leadership_data = o->leadership_data;
    r->in_memory = o->in_memory;
    r->snapshot_threshold =
        o->snapshot_threshold != 0 ? o->snapshot_threshold : SNAPSHOT_THRESHOLD_DEFAULT;
    r->snapshot_interval_ms =
        o->snapshot_interval_ms != 0 ? o->snapshot_interval_ms : SNAPSHOT_INTERVAL_MS_DEFAULT;
    r->trailing_logs = o->trailing_logs;
    rng_seed_system(&r->rng);
    pthread_mutex_init(&r->requests_lock, NULL);
    pthread_mutex_init(&r->configuration_lock, NULL);
    r->state = RAFT_FOLLOWER;
    list_init(&r->pending);
    int k = name_copy(r->id, o->local_id, "the local id", err);
    k = k < 0 ? k : name_copy(r->address, o->local_address, "the local address", err);
    k = k < 0 ? k : node_open(r, o, err);
    if (k == 0 && !o->in_memory) {
        k = disk_start(&r->disk, &r->wake);
        if (k < 0) {
            err_from_errno(err, k, "raft: cannot start the disk thread");
        }
    }
    if (k == 0) {
        node_publish_status(r);
        k = -pthread_create(&r->thread, NULL, raft_run, r);
        if (k < 0) {
            err_from_errno(err, k, "raft: cannot start the raft thread");
        }
    }
    if (k < 0) {
        raft_free(r);
        return k;
    }
    r->running = true;
    (void)pthread_setname_np(r->thread, "raft");
    *ret_raft = r;
    return 0;
}

void raft_stop(struct raft *r)
{
    if (r->running) {
        atomic_store(&r->stopping, true);
        wake_post(&r->wake);
        pthread_join(r->thread, NULL);
        r->running = false;
    }
    disk_stop(&r->disk);
}

struct raft *raft_free(struct raft *r)
{
    if (r == NULL) {
        return NULL;
    }
    raft_stop(r);
    raft_log_free(r->log);
    raft_stable_free(r->stable);
    raft_snapshots_free(r->snapshots);
    pthread_mutex_destroy(&r->requests_lock);
    pthread_mutex_destroy(&r->configuration_lock);
    raft_io_free(r->io);
    return mem_free(r);
}
