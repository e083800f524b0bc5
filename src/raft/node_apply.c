/* Proposals on their way in, entries on their way to the state machine, answers on their way out.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "raft/node.h"

static struct metric metric_apply = METRIC_COUNTER("raft.apply");
static struct metric metric_fsm_apply = METRIC_SAMPLE("raft.fsm.apply");
static struct metric metric_commit = METRIC_SAMPLE("raft.commitTime");
static struct metric metric_commit_count = METRIC_GAUGE("raft.commitNumLogs");
static struct metric metric_dispatch_count = METRIC_GAUGE("raft.leader.dispatchNumLogs");
static struct metric metric_barrier = METRIC_COUNTER("raft.barrier");
static struct metric metric_process = METRIC_SAMPLE("raft.rpc.appendEntries.processLogs");

/* --- in --- */

static void pending_remove(struct raft *r, struct raft_proposal *p)
{
    list_remove(&p->node);
    r->pending_count--;
    r->pending_size -= p->entry.n;
}

void node_pending_fail(struct raft *r, uint64_t index, int code)
{
    while (!list_is_empty(&r->pending)) {
        struct raft_proposal *p = list_entry(r->pending.prev, struct raft_proposal, node);
        if (p->index <= index) {
            break;
        }
        pending_remove(r, p);
        p->done(p, code, 0);
    }
}

/* 0, or why it is refused: without a trace, so it may be asked again. */
static int proposal_check(const struct raft *r, const struct raft_proposal *p)
{
    if (atomic_load_explicit(&r->stopping, memory_order_relaxed)) {
        return -ERR_CLOSED;
    }
    if (r->state != RAFT_LEADER || r->halted) {
        return -ERR_NO_LEADER;
    }
    if (p->entry.n > RAFT_ENTRY_SIZE_MAX) {
        return -ERR_TOO_LARGE;
    }
    if (r->pending_count >= RAFT_PENDING_MAX ||
        p->entry.n > RAFT_PENDING_SIZE_MAX - r->pending_size) {
        return -ERR_RATE_LIMIT;
    }
    return 0;
}

/* One event for all of them. They are pending before the core's outputs are carried out: these may
 * already say that they are lost. */
static void propose(struct raft *r, struct raft_proposal *first, size_t count)
{
    uint64_t index = raft_core_last_index(r->core);
    struct raft_proposal *p = first;
    for (size_t i = 0; i < count; i++, p = p->next) {
        r->proposed[i] = (struct raft_entry){.type = p->type, .data = p->entry};
    }
    struct raft_core_event e = {.kind = RAFT_EVENT_PROPOSE, .entries = r->proposed, .count = count};
    p = first;
    uint64_t now_ns = clock_mono_ns();
    size_t barriers = 0;
    for (size_t i = 0; i < count; i++, p = p->next) {
        p->index = index + 1 + i;
        p->proposed_ns = now_ns;
        barriers += p->type == RAFT_ENTRY_BARRIER;
        p->node = (struct list){NULL, NULL};
        list_push_back(&r->pending, &p->node);
        r->pending_count++;
        r->pending_size += p->entry.n;
    }
    metric_add(&metric_apply, (double)(count - barriers));
    metric_add(&metric_barrier, (double)barriers);
    metric_set(&metric_dispatch_count, (double)count);
    if (node_step(r, &e, NULL) < 0) {
        node_pending_fail(r, index, -ERR_NO_LEADER); /* leadership is being handed over */
    }
}

bool node_take_inbound(struct raft *r)
{
    if (node_restore_is_switching(r) && r->state == RAFT_LEADER &&
        !atomic_load_explicit(&r->stopping, memory_order_relaxed)) {
        return false; /* they are of the state to come */
    }
    struct raft_proposal *p = node_inbound_take(r, false);
    if (p == NULL) {
        return false;
    }
    while (p != NULL) {
        struct raft_proposal *first = p, *last = NULL, *next = NULL;
        size_t count = 0, size = 0;
        int code = 0;
        /* A run of proposals that can be taken; their `next` stays as it is. */
        for (; p != NULL && count < PROPOSE_BATCH_MAX; p = p->next) {
            code = proposal_check(r, p);
            if (code < 0 || count + r->pending_count >= RAFT_PENDING_MAX ||
                size + p->entry.n > RAFT_PENDING_SIZE_MAX - r->pending_size) {
                break;
            }
            size += p->entry.n;
            last = p;
            count++;
        }
        if (count > 0) {
            next = last->next; /* once proposed it may be answered and gone */
            propose(r, first, count);
            p = next;
            continue;
        }
        next = p->next;
        p->done(p, code < 0 ? code : -ERR_RATE_LIMIT, 0);
        p = next;
    }
    return true;
}

/* --- out --- */

static int apply_one(struct raft *r, const struct raft_entry *e, struct raft_proposal *p)
{
    int k = 0;
    uint64_t began_ns;
    switch (e->type) {
    case RAFT_ENTRY_COMMAND:
        began_ns = clock_mono_ns();
        k = r->ops->apply(r->fsm, e->index, e->term, e->data, e->extensions, p);
        metric_observe(&metric_fsm_apply, node_ms_since(began_ns));
        break;
    case RAFT_ENTRY_NOOP:
    case RAFT_ENTRY_BARRIER:
    case RAFT_ENTRY_CONFIGURATION: /* took effect when it was appended */
        break;
    }
    if (k < 0) {
        struct err err = {0};
        (void)err_set(&err, -k, "cannot apply entry %llu: %s", (unsigned long long)e->index,
                      err_code_text(-k));
        node_halt(r, &err);
        return k;
    }
    r->applied_index = e->index;
    return 0;
}

/* Entries of this node's own proposals need no reading: their bytes are still the caller's. */
static int apply_own(struct raft *r, uint64_t to, struct list *applied)
{
    int n = 0;
    uint64_t now_ns = clock_mono_ns();
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
        metric_observe(&metric_commit, (double)(now_ns - p->proposed_ns) / (double)NS_PER_MS);
        if (apply_one(r, &e, p) < 0) {
            p->done(p, -ERR_LEADERSHIP_LOST, 0);
            return -ERR_FAILED;
        }
        list_push_back(applied, &p->node);
        n++;
    }
    return n;
}

static int apply_log(struct raft *r, uint64_t to)
{
    if (!list_is_empty(&r->pending)) {
        to = MIN(to, list_entry(r->pending.next, struct raft_proposal, node)->index - 1);
    }
    struct err err = {0};
    int n = raft_log_read(r->log, r->applied_index + 1, (size_t)(to - r->applied_index),
                          APPLY_READ_SIZE_MAX, r->entries, &err);
    if (n < 0) {
        node_halt(r, &err);
        return n;
    }
    for (int i = 0; i < n; i++) {
        int k = apply_one(r, &r->entries[i], NULL);
        if (k < 0) {
            return k;
        }
    }
    return n;
}

/* A new leader is one when all of the terms before it is applied. */
static void announce(struct raft *r)
{
    if (r->state == RAFT_LEADER && r->applied_index >= r->noop_index &&
        !atomic_load_explicit(&r->is_leader, memory_order_relaxed)) {
        atomic_store(&r->is_leader, true);
        node_publish_status(r);
        node_measure_announced(r);
        if (r->leadership != NULL) {
            r->leadership(r->leadership_data, true);
        }
    }
}

void node_batch_end(struct raft *r)
{
    r->fsm_is_behind = r->ops->batch_end != NULL && r->ops->batch_end(r->fsm);
}

bool node_apply(struct raft *r)
{
    if (r->applied_index >= r->commit_index || r->halted || r->fsm_busy) {
        return false;
    }
    struct list applied;
    list_init(&applied);
    uint64_t began_ns = clock_mono_ns(), from = r->applied_index;
    uint64_t to = MIN(r->commit_index, r->applied_index + APPLY_BATCH_MAX);
    while (r->applied_index < to && !r->halted) {
        if (apply_own(r, to, &applied) == 0) {
            (void)apply_log(r, to);
        }
    }
    node_batch_end(r);
    if (r->state == RAFT_LEADER) {
        metric_set(&metric_commit_count, (double)(r->applied_index - from));
    } else {
        metric_observe(&metric_process, node_ms_since(began_ns));
    }
    node_publish_status(r);
    announce(r);
    for (struct list *node; (node = list_pop_front(&applied)) != NULL;) {
        struct raft_proposal *p = list_entry(node, struct raft_proposal, node);
        p->done(p, 0, p->index);
    }
    node_requests_settle(r);
    return true;
}
