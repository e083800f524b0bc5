/* What is asked of the node besides proposals, and when it is answered. */
#include "base/metrics.h"
#include "raft/node.h"

static struct metric metric_verify = METRIC_COUNTER("raft.verify_leader");
static struct metric metric_restore = METRIC_COUNTER("raft.restore");

void node_request_done(struct raft_request *q, int code)
{
    if (code < 0 && q->err.code == 0) {
        (void)err_set(&q->err, -code, "%s", err_code_text(-code));
    }
    q->done(q, code);
}

static void request_verify(struct raft *r, struct raft_request *q)
{
    q->token = ++r->tokens;
    q->next = r->verifies;
    r->verifies = q; /* before the step: a lone voter is told at once */
    struct raft_core_event e = {.kind = RAFT_EVENT_VERIFY, .token = q->token};
    int k = node_step(r, &e, &q->err);
    if (k < 0) {
        node_verified(r, e.token, k);
    }
}

void node_verified(struct raft *r, uint64_t token, int code)
{
    for (struct raft_request **at = &r->verifies; *at != NULL; at = &(*at)->next) {
        struct raft_request *q = *at;
        if (q->token == token) {
            *at = q->next;
            /* We lead; but until all of the terms before is applied what is read here is old. */
            bool is_ready = atomic_load_explicit(&r->is_leader, memory_order_relaxed);
            node_request_done(q, code < 0 || is_ready ? code : -ERR_NO_LEADER);
            return;
        }
    }
}

static void request_change(struct raft *r, struct raft_request *q)
{
    if (r->change != NULL) {
        node_request_done(
            q, err_set(&q->err, ERR_AGAIN, "another change of the configuration is under way"));
        return;
    }
    struct raft_core_event e = {.kind = RAFT_EVENT_CHANGE,
                                .change = (enum raft_change)q->change,
                                .server = str_from_cstr(q->id),
                                .address = str_from_cstr(q->address),
                                .prev_index = q->prev_index};
    r->change = q;
    r->change_index = UINT64_MAX;
    r->change_term = raft_core_term(r->core);
    int k = node_step(r, &e, &q->err);
    if (r->change != q) {
        return; /* it was the end of our leading */
    }
    if (k < 0) {
        r->change = NULL;
        node_request_done(q, k);
        return;
    }
    (void)raft_core_configuration(r->core, &r->change_index);
    node_requests_settle(r);
}

void node_requests_settle(struct raft *r)
{
    uint64_t committed;
    (void)raft_core_committed_configuration(r->core, &committed);
    if (r->change != NULL && committed >= r->change_index) {
        node_request_done(TAKE(r->change), 0);
    }
}

static void request_transfer(struct raft *r, struct raft_request *q)
{
    struct raft_core_event e = {.kind = RAFT_EVENT_TRANSFER, .server = str_from_cstr(q->id)};
    int k = r->transfer != NULL ? err_set(&q->err, ERR_AGAIN, "a transfer is under way")
                                : node_step(r, &e, &q->err);
    if (k < 0) {
        node_request_done(q, k);
    } else {
        r->transfer = q;
    }
}

/* code 0: we do not lead any more. */
void node_transferred(struct raft *r, int code)
{
    if (r->transfer != NULL) {
        node_request_done(TAKE(r->transfer), code);
    }
}

static void request_bootstrap(struct raft *r, struct raft_request *q)
{
    int k;
    if (r->halted || r->configuration.count > 0 || raft_log_last_index(r->log) > 0 ||
        raft_core_term(r->core) > 0) {
        k = err_set(&q->err, ERR_CONFLICT, "bootstrap only works on new clusters");
    } else if ((k = node_bootstrap(r, q->configuration, &q->err)) == 0) {
        node_core_begin(r);
        node_publish_status(r);
        if (r->observe != NULL) {
            r->observe(r->leadership_data);
        }
    }
    node_request_done(q, k);
}

bool node_take_requests(struct raft *r)
{
    struct raft_request *q = node_requests_take(r, false);
    if (q == NULL) {
        return false;
    }
    while (q != NULL) {
        struct raft_request *next = q->next;
        err_clear(&q->err);
        q->next = NULL;
        if (atomic_load_explicit(&r->stopping, memory_order_relaxed)) {
            node_request_done(q, -ERR_CLOSED);
            q = next;
            continue;
        }
        switch (q->kind) {
        case RAFT_REQUEST_VERIFY:
            metric_add(&metric_verify, 1);
            request_verify(r, q);
            break;
        case RAFT_REQUEST_CHANGE:
            request_change(r, q);
            break;
        case RAFT_REQUEST_TRANSFER:
            request_transfer(r, q);
            break;
        case RAFT_REQUEST_BOOTSTRAP:
            request_bootstrap(r, q);
            break;
        case RAFT_REQUEST_SNAPSHOT:
            node_snapshot_request(r, q);
            break;
        case RAFT_REQUEST_RESTORE:
            metric_add(&metric_restore, 1);
            node_restore_request(r, q);
            break;
        }
        q = next;
    }
    return true;
}

/* We lead no more: who waits for the leader's doing is told. */
void node_requests_fail(struct raft *r, int code)
{
    while (r->verifies != NULL) {
        struct raft_request *q = r->verifies;
        r->verifies = q->next;
        node_request_done(q, code);
    }
    if (r->change != NULL) {
        node_request_done(TAKE(r->change), code);
    }
    if (r->transfer != NULL) {
        node_request_done(TAKE(r->transfer), r->halted || r->closed ? code : 0);
    }
}
