/* Where a call goes on a client: to the router's first server, whoever leads; the servers know.
 *
 * Whatever failed there is logged, counted, and turns the router to another one. What may be tried
 * again is held for a moment (rpc_forward.c), for no longer than rpc_hold_timeout since the first
 * attempt; a blocking query for as long as it may block besides. docs/client.md has the table. */
#include "base/err.h"
#include "server/call.h"
#include "server/client_agent.h"
#include "server/router.h"
#include "server/worker.h"

static struct client_agent *client_of(const struct worker *w)
{
    return w->delegate->client;
}

/* From the first attempt on. */
static void set_deadline(struct call *c)
{
    const struct worker *w = c->pub.worker;
    uint64_t hold_ms = w->delegate->rpc_hold_timeout_ms;
    if (call_blocks(c)) {
        uint64_t wait_ms = call_wait_ms(c);
        hold_ms += wait_ms + wait_ms / RPC_WAIT_JITTER_FRACTION;
    }
    c->hold_deadline_ms = loop_now_ms(w->loop) + hold_ms;
}

void call_place_on_client(struct call *c)
{
    const struct worker *w = c->pub.worker;
    struct route route;
    struct err err;
    if (c->hold_deadline_ms == 0) {
        set_deadline(c);
    }
    if (w->watches == NULL) { /* the worker has ended, and with it its connections */
        call_fail(c, ERR_CLOSED, "%s", err_code_text(ERR_CLOSED));
    } else if (client_agent_route(client_of(w), &route, &err) < 0) {
        call_fail(c, err.code, "%s", err_text(&err));
    } else {
        call_forward(c, route.address, route.id);
    }
}

void call_route_failed(struct call *c)
{
    client_agent_call_failed(client_of(c->pub.worker), c->route, c->pub.method->name, c->pub.err);
}

static bool is_gone(const struct call *c)
{
    struct route route;
    return !router_find_id(c->pub.worker->delegate->router, c->route, &route);
}

static bool is_never_gone(const struct call *c)
{
    (void)c;
    return false;
}

/* Where there is no other server the connection to the last one may still be good. */
void rpc_worker_servers_changed(struct worker *w)
{
    bool has_others = router_count_lan(w->delegate->router) > 0;
    calls_place_anew(w, has_others ? is_gone : is_never_gone);
}
