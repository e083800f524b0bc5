/* Where a call runs. The happy paths: this server leads, or need not (stale reads, Status.*): here.
 * Another leads: the call goes there (rpc_pool.h), and what comes back is its end.
 *
 * Nobody leads: it is held, in worker->waiting, until rpc_worker_leader_known() says that somebody
 * does, or rpc_hold_timeout has passed since it first was without a leader.
 *
 * It failed there. Sending it again must not carry a write out twice, so only these are:
 *     - anything that the other server refused for want of a leader, and so did not touch;
 *     - anything that was never sent (nobody there: the leader has just gone);
 *     - a read whose connection was lost.
 * They are held too, and try again after a random fraction of the timeout, as in Consul, since the
 * next leader may be the one that is known already; and at once when another becomes known. A write
 * whose connection was lost is answered with the error: nobody knows what became of it.
 *
 * Another leader becomes known while a read is with the last one: it moves. So a leader that is
 * still connected but does not get to answer keeps nobody waiting.
 *
 * A write that this server took and Raft refused before it came into the log (leadership is being
 * handed over) is placed anew.
 *
 * ?consistent: the leader runs the call once verify.c has found that it still is the leader. If
 * not, the call is placed anew. */
#include "base/clock.h"
#include "base/err.h"
#include "raft/raft.h"
#include "server/call.h"
#include "server/rpc.h"
#include "server/server.h"
#include "server/verify.h"

/* Of the hold timeout: the longest pause between two attempts. Of a wait: its jitter. */
#define JITTER_FRACTION 16u

static bool is_write(const struct call *c)
{
    return (c->pub.method->flags & RPC_WRITE) != 0;
}

static bool needs_leader(const struct call *c)
{
    unsigned flags = c->pub.method->flags;
    const struct query_options *options = call_options(c);
    if ((flags & RPC_LOCAL) != 0) {
        return false;
    }
    return (flags & (RPC_WRITE | RPC_LEADER_ONLY)) != 0 || options == NULL || !options->allow_stale;
}

/* --- waiting for a leader --------------------------------------------------------------------- */

static void hold_due(struct loop_timer *t)
{
    struct call *c = container_of(t, struct call, timer);
    list_remove(&c->node);
    if (loop_now_ms(c->pub.worker->loop) < c->hold_deadline_ms) {
        call_place(c);
    } else if (c->pub.err != NULL) {
        call_done(c); /* what the last attempt was told */
    } else {
        call_fail(c, ERR_NO_LEADER, "%s", err_code_text(ERR_NO_LEADER));
    }
}

static bool may_hold(struct call *c)
{
    const struct worker *w = c->pub.worker;
    uint64_t now_ms = loop_now_ms(w->loop);
    if (c->hold_deadline_ms == 0) {
        c->hold_deadline_ms = now_ms + w->server->options.rpc_hold_timeout_ms;
    }
    return now_ms < c->hold_deadline_ms;
}

/* Until there is news of a leader, or for delay_ms if that is sooner. */
static void hold(struct call *c, uint64_t delay_ms)
{
    struct worker *w = c->pub.worker;
    uint64_t left_ms = c->hold_deadline_ms - loop_now_ms(w->loop);
    c->state = CALL_HELD;
    list_push_back(&w->waiting, &c->node);
    loop_timer_start(w->loop, &c->timer, MIN(delay_ms, left_ms), hold_due);
}

static void hold_without_leader(struct call *c)
{
    c->pub.err = NULL;
    if (may_hold(c)) {
        hold(c, UINT64_MAX);
    } else {
        call_fail(c, ERR_NO_LEADER, "%s", err_code_text(ERR_NO_LEADER));
    }
}

/* --- with the leader -------------------------------------------------------------------------- */

static bool may_retry(const struct call *c, int code)
{
    return code == ERR_NO_LEADER || code == ERR_AGAIN || code == ERR_UNREACHABLE ||
           (code == ERR_CONNECTION && !is_write(c));
}

/* In the words of Consul's pool. */
static void wrap_error(struct err *err)
{
    if (err->code == ERR_UNREACHABLE) {
        (void)err_wrap(err, "rpc error getting client: failed to get conn");
    } else if (err->code != ERR_RATE_LIMIT && err->code != ERR_TOO_LARGE) {
        (void)err_wrap(err, "rpc error making call");
    }
}

static void answered(struct rpc_remote *remote)
{
    struct call *c = remote->data;
    struct worker *w = c->pub.worker;
    list_remove(&c->node);
    c->pub.reply = remote->reply;
    c->pub.is_remote = remote->err == NULL;
    c->pub.err = remote->err;
    if (remote->err == NULL || c->is_canceled) {
        call_done(c);
        return;
    }
    int code = remote->err->code;
    wrap_error(remote->err);
    if (!may_retry(c, code) || !may_hold(c)) {
        call_done(c);
        return;
    }
    uint64_t pause_ms = w->server->options.rpc_hold_timeout_ms / JITTER_FRACTION;
    hold(c, rng_below(&w->rng, pause_ms + 1) + 1);
}

static void forward(struct call *c, const char *leader)
{
    struct worker *w = c->pub.worker;
    uint64_t timeout_ms = RPC_FORWARD_TIMEOUT_MS;
    if (call_blocks(c)) {
        uint64_t wait_ms = call_wait_ms(c);
        timeout_ms += wait_ms + wait_ms / JITTER_FRACTION;
        call_shrink(c);
    }
    c->state = CALL_FORWARDED;
    c->leader_generation = w->leader_generation;
    list_push_back(&w->forwarded, &c->node);
    c->remote = (struct rpc_remote){.method = c->pub.method,
                                    .args = c->pub.args,
                                    .arena = &c->pub.arena,
                                    .done = answered,
                                    .data = c};
    rpc_pool_call(w->pool, str_from_cstr(leader), &c->remote, timeout_ms);
}

/* The address calls are sent to, "" when there is none to send to: nobody leads, or this server is
 * about to. */
static const char *leader_elsewhere(struct worker *w)
{
    struct raft_status status;
    raft_status(w->server->raft, &status);
    struct str address = str_from_cstr(status.leader_address);
    if (status.state == RAFT_LEADER || str_eq(address, w->server->options.rpc_address)) {
        return "";
    }
    if (address.n > 0 && !str_eq(address, str_from_cstr(w->leader_address))) {
        memcpy(w->leader_address, status.leader_address, sizeof(w->leader_address));
        w->leader_generation++;
    }
    return address.n > 0 ? w->leader_address : "";
}

/* --- here ------------------------------------------------------------------------------------- */

/* A lone voter need not ask anybody. */
static bool has_peers(const struct worker *w)
{
    struct raft_status status;
    raft_status(w->server->raft, &status);
    return status.peers > 0;
}

static void run_as_leader(struct call *c)
{
    const struct query_options *options = call_options(c);
    if (options != NULL && options->require_consistent && !is_write(c) && !c->is_verified &&
        has_peers(c->pub.worker)) {
        c->state = CALL_VERIFYING;
        verify_start(c->pub.worker->verifies, c);
        return;
    }
    call_run_here(c);
}

void call_verified(struct call *c, int code)
{
    c->is_verified = code == 0;
    if (code == 0) {
        call_run_here(c);
    } else {
        call_place(c);
    }
}

void call_place(struct call *c)
{
    struct worker *w = c->pub.worker;
    if (!needs_leader(c)) {
        call_run_here(c);
        return;
    }
    if (server_is_leader(w->server)) {
        run_as_leader(c);
        return;
    }
    if (w->watches == NULL) { /* the worker has ended: nobody will tell it of a leader */
        call_fail(c, ERR_CLOSED, "%s", err_code_text(ERR_CLOSED));
        return;
    }
    if (c->pub.is_duty) {
        call_fail(c, ERR_NO_LEADER, "%s", err_code_text(ERR_NO_LEADER));
        return;
    }
    const char *leader = leader_elsewhere(w);
    if (leader[0] != '\0') {
        forward(c, leader);
    } else {
        hold_without_leader(c);
    }
}

/* --- from outside ----------------------------------------------------------------------------- */

bool call_forget_placed(struct call *c)
{
    if (c->state == CALL_FORWARDED) {
        if (is_write(c)) {
            return false; /* it is carried out all the same */
        }
        rpc_pool_cancel(c->pub.worker->pool, &c->remote);
    }
    list_remove(&c->node);
    return true;
}

/* Reads that are with a leader of before. */
static void recall_reads(struct worker *w, struct list *to)
{
    list_for_each (node, &w->forwarded) {
        struct call *c = container_of(node, struct call, node);
        if (!is_write(c) && c->leader_generation != w->leader_generation) {
            rpc_pool_cancel(w->pool, &c->remote);
            list_remove(&c->node);
            list_push_back(to, &c->node);
        }
    }
}

void rpc_worker_leader_known(struct worker *w)
{
    struct list calls;
    list_init(&calls);
    if (server_is_leader(w->server)) {
        w->leader_address[0] = '\0';
        w->leader_generation++;
    } else {
        (void)leader_elsewhere(w);
    }
    recall_reads(w, &calls);
    list_splice_back(&calls, &w->waiting);
    for (struct list *node; (node = list_pop_front(&calls)) != NULL;) {
        struct call *c = container_of(node, struct call, node);
        loop_timer_stop(w->loop, &c->timer);
        call_place(c);
    }
}
