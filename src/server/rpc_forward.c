/* A call that is not carried out here: it waits, or is with another server. Which one, and when it
 * may be carried out here instead, is decided by rpc_leader.c on a server and by rpc_route.c on a
 * client. What is for another data center has rules of its own: rpc_datacenter.c.
 *
 * It failed there. Sending it again must not carry a write out twice, so only these are:
 *     - anything that the other server refused for want of a leader, and so did not touch;
 *     - anything that was never sent (nobody there: the server has just gone);
 *     - a read whose connection was lost.
 * They are held, in worker->waiting, and placed anew after a random fraction of the hold timeout,
 * as in Consul, or at once when there is news of where to go; until their time is up. A write whose
 * connection was lost is answered with the error: nobody knows what became of it.
 *
 * A read may be taken back from a server that is not the right one any more: it moves. What a
 * blocking one has waited by then counts. */
#include "base/clock.h"
#include "base/err.h"
#include "server/call.h"
#include "server/delegate.h"
#include "server/rpc.h"
#include "server/worker.h"

/* Of the hold timeout: the longest pause between two attempts. */
#define JITTER_FRACTION 16u

bool call_is_write(const struct call *c)
{
    return (c->pub.method->flags & RPC_WRITE) != 0;
}

/* --- waiting ---------------------------------------------------------------------------------- */

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

bool call_may_hold(struct call *c)
{
    const struct worker *w = c->pub.worker;
    uint64_t now_ms = loop_now_ms(w->loop);
    if (c->hold_deadline_ms == 0) {
        c->hold_deadline_ms = now_ms + w->delegate->rpc_hold_timeout_ms;
    }
    return now_ms < c->hold_deadline_ms;
}

void call_hold(struct call *c, uint64_t delay_ms)
{
    struct worker *w = c->pub.worker;
    uint64_t left_ms = c->hold_deadline_ms - loop_now_ms(w->loop);
    c->state = CALL_HELD;
    list_push_back(&w->waiting, &c->node);
    loop_timer_start(w->loop, &c->timer, MIN(delay_ms, left_ms), hold_due);
}

/* --- with another server ---------------------------------------------------------------------- */

static bool may_retry(const struct call *c, int code)
{
    return code == ERR_NO_LEADER || code == ERR_AGAIN || code == ERR_UNREACHABLE ||
           (code == ERR_CONNECTION && !call_is_write(c));
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

/* It is with nobody any more. */
static void take_back(struct call *c)
{
    list_remove(&c->node);
    call_leave_lane(c);
}

static void answered(struct rpc_remote *remote)
{
    struct call *c = remote->data;
    struct worker *w = c->pub.worker;
    take_back(c);
    c->pub.reply = remote->reply;
    c->pub.is_remote = remote->err == NULL;
    c->pub.err = remote->err;
    if (remote->err == NULL || c->is_canceled) {
        call_done(c);
        return;
    }
    int code = remote->err->code;
    wrap_error(remote->err);
    if (c->is_abroad) {
        if (!call_abroad_failed(c, code)) {
            call_done(c);
        }
        return;
    }
    if (w->delegate->client != NULL) {
        call_route_failed(c);
    }
    if (!may_retry(c, code) || !call_may_hold(c)) {
        call_done(c);
        return;
    }
    uint64_t pause_ms = w->delegate->rpc_hold_timeout_ms / JITTER_FRACTION;
    call_hold(c, rng_below(&w->rng, pause_ms + 1) + 1);
}

/* Of a blocking query: how long the other server may let it wait, less what it has waited before.
 */
static uint64_t wait_left_ms(struct call *c)
{
    uint64_t now_ms = loop_now_ms(c->pub.worker->loop);
    if (c->wait_deadline_ms == 0) {
        c->wait_deadline_ms = now_ms + call_wait_ms(c);
        return call_wait_ms(c);
    }
    uint64_t left_ms = c->wait_deadline_ms > now_ms ? c->wait_deadline_ms - now_ms : 1;
    call_options(c)->max_query_time = (int64_t)(left_ms * NS_PER_MS); /* 0 is not: no wait */
    return left_ms;
}

void call_forward(struct call *c, struct str address, uint32_t route)
{
    struct worker *w = c->pub.worker;
    uint64_t timeout_ms = RPC_FORWARD_TIMEOUT_MS + w->delegate->rpc_hold_timeout_ms;
    if (call_blocks(c)) {
        uint64_t wait_ms = wait_left_ms(c);
        timeout_ms += wait_ms + wait_ms / RPC_WAIT_JITTER_FRACTION;
        call_shrink(c);
    }
    c->state = CALL_FORWARDED;
    c->route = route;
    list_push_back(&w->forwarded, &c->node);
    c->remote = (struct rpc_remote){.method = c->pub.method,
                                    .args = c->pub.args,
                                    .datacenter = c->is_abroad ? call_datacenter(c) : STR(""),
                                    .arena = &c->pub.arena,
                                    .done = answered,
                                    .data = c};
    rpc_pool_call(w->pool, address, &c->remote, timeout_ms);
}

/* --- from outside ----------------------------------------------------------------------------- */

void call_place(struct call *c)
{
    c->pub.err = NULL; /* of an attempt before this one: a write may be done now */
    c->pub.is_remote = false;
    if (c->pub.worker->delegate->client != NULL) {
        call_place_on_client(c);
    } else if (c->is_abroad) {
        call_place_abroad(c);
    } else {
        call_place_on_server(c);
    }
}

bool call_forget_placed(struct call *c)
{
    if (c->state == CALL_FORWARDED) {
        if (call_is_write(c)) {
            return false; /* it is carried out all the same */
        }
        rpc_pool_cancel(c->pub.worker->pool, &c->remote);
    }
    take_back(c);
    return true;
}

void calls_place_anew(struct worker *w, bool (*is_stale)(const struct call *c))
{
    struct list calls;
    list_init(&calls);
    list_for_each (node, &w->forwarded) {
        struct call *c = container_of(node, struct call, node);
        if (!call_is_write(c) && is_stale(c)) {
            rpc_pool_cancel(w->pool, &c->remote);
            take_back(c);
            list_push_back(&calls, &c->node);
        }
    }
    list_splice_back(&calls, &w->waiting);
    for (struct list *node; (node = list_pop_front(&calls)) != NULL;) {
        struct call *c = container_of(node, struct call, node);
        loop_timer_stop(w->loop, &c->timer);
        call_place(c);
    }
}
