/* Where a call goes that another data center is to answer: to a server of it, by the router,
 * whoever leads there.
 *
 * What was not carried out there, for certain, goes on at once to the next server of that data
 * center, as often as there are servers: a call of which nothing was sent, and a read whose
 * connection was lost. Nothing is held here: the other data center holds what waits for its leader,
 * and when nobody there is reached, that is the answer.
 *
 * A data center that does not answer must not take the others down. So the calls that are under way
 * to one are bounded, for each worker, and so are those to all of them together; and who was not
 * reached is told to the router, which finds out on behalf of all: while nobody there answers,
 * calls fail at once. */
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "server/call.h"
#include "server/router.h"
#include "server/server.h"
#include "store/acl.h"

#define LOG_MODULE "agent.server.rpc"
#define WARN_PAUSE_MS 1000u

/* --- how many --------------------------------------------------------------------------------- */

struct call_lane {
    struct str datacenter; /* own */
    struct metric *metric;
    uint32_t calls;
};

static void lane_init(struct call_lane *l, struct str datacenter)
{
    l->datacenter = str_make(str_to_cstr(datacenter), datacenter.n);
    const struct metric_label label = {"datacenter", l->datacenter.p};
    l->metric = metric_labeled(METRIC_KIND_COUNTER, "rpc.cross-dc", &label, 1);
}

static void lane_deinit(struct call_lane *l)
{
    mem_free((void *)(uintptr_t)l->datacenter.p);
}

/* That of an idle one is given to another data center when there are very many. NULL: none left. */
static struct call_lane *lane_of(struct worker *w, struct str datacenter)
{
    struct call_lane *idle = NULL;
    for (size_t i = 0; i < w->lanes_count; i++) {
        if (str_eq(w->lanes[i]->datacenter, datacenter)) {
            return w->lanes[i];
        }
        idle = w->lanes[i]->calls == 0 ? w->lanes[i] : idle;
    }
    if (w->lanes_count < ROUTER_DATACENTERS_MAX) {
        w->lanes = xrealloc(w->lanes, (w->lanes_count + 1) * sizeof(struct call_lane *));
        w->lanes[w->lanes_count] = xcalloc(1, sizeof(struct call_lane));
        idle = w->lanes[w->lanes_count++];
    } else if (idle != NULL) {
        lane_deinit(idle);
    }
    if (idle != NULL) {
        lane_init(idle, datacenter);
    }
    return idle;
}

void rpc_lanes_deinit(struct worker *w)
{
    for (size_t i = 0; i < w->lanes_count; i++) {
        lane_deinit(w->lanes[i]);
        mem_free(w->lanes[i]);
    }
    w->lanes = mem_free(w->lanes);
    w->lanes_count = 0;
}

static bool lane_enter(struct call *c, struct str datacenter)
{
    struct worker *w = c->pub.worker;
    struct call_lane *l = lane_of(w, datacenter);
    if (l == NULL || l->calls >= RPC_DATACENTER_CALLS_MAX || w->abroad >= RPC_ABROAD_CALLS_MAX) {
        return false;
    }
    metric_add(l->metric, 1);
    l->calls++;
    w->abroad++;
    c->lane = l;
    return true;
}

void call_leave_lane(struct call *c)
{
    if (c->lane != NULL) {
        c->lane->calls--;
        c->pub.worker->abroad--;
        c->lane = NULL;
    }
}

/* --- there ------------------------------------------------------------------------------------ */

/* What fails fast can fail often: once a second it is worth a warning. */
static enum log_level warn_level(struct worker *w)
{
    uint64_t now_ms = loop_now_ms(w->loop);
    if (w->abroad_warned_ms != 0 && now_ms < w->abroad_warned_ms + WARN_PAUSE_MS) {
        return LOG_DEBUG;
    }
    w->abroad_warned_ms = now_ms;
    return LOG_WARN;
}

static void no_server(struct call *c, struct str datacenter, bool is_known)
{
    enum log_level level = warn_level(c->pub.worker);
    if (is_known) {
        log_write(level, LOG_MODULE,
                  "RPC request to DC is currently failing as no server can be reached",
                  LOG_STR("datacenter", datacenter));
        call_fail(c, ERR_DC_NOT_AVAILABLE, "%s", err_code_text(ERR_DC_NOT_AVAILABLE));
        return;
    }
    log_write(level, LOG_MODULE, "RPC request for DC is currently failing as no path was found",
              LOG_STR("datacenter", datacenter), LOG_CSTR("method", c->pub.method->name));
    call_fail(c, ERR_NO_DC_PATH, "%s", err_code_text(ERR_NO_DC_PATH));
}

/* A token that is this data center's alone means nothing there: who has one is anonymous. */
static void strip_local_token(struct call *c)
{
    struct str *token = call_token_field(c);
    if (token != NULL && token->n > 0) {
        const struct store_view *v = store_view(c->pub.worker->server->store);
        const struct acl_token *found = acl_token_by_secret(v, *token);
        if (found != NULL && found->local) {
            *token = STR_NULL;
        }
    }
}

void call_place_abroad(struct call *c)
{
    struct worker *w = c->pub.worker;
    struct str datacenter = call_datacenter(c);
    struct route route;
    if (w->watches == NULL) { /* the worker has ended, and with it its connections */
        call_fail(c, ERR_CLOSED, "%s", err_code_text(ERR_CLOSED));
        return;
    }
    enum router_found found = router_find(w->delegate->router, datacenter, c->route, &route);
    if (found != ROUTER_FOUND) {
        no_server(c, datacenter, found == ROUTER_OFFLINE);
    } else if (!lane_enter(c, datacenter)) {
        call_fail(c, ERR_RATE_LIMIT,
                  "RPC rate limit exceeded: too many calls to datacenter \"%.*s\" are under way",
                  STRF(datacenter));
    } else {
        strip_local_token(c);
        call_forward(c, route.address, route.id);
    }
}

static bool is_unreachable(int code)
{
    return code == ERR_UNREACHABLE || code == ERR_CONNECTION || code == ERR_TIMEOUT;
}

static bool may_go_on(struct call *c, int code)
{
    struct route route;
    bool is_undone = code == ERR_UNREACHABLE || (code == ERR_CONNECTION && !call_is_write(c));
    return is_undone &&
           router_find(c->pub.worker->delegate->router, call_datacenter(c), c->route, &route) ==
               ROUTER_FOUND &&
           route.id != c->route && ++c->tries < route.siblings;
}

bool call_abroad_failed(struct call *c, int code)
{
    struct router *r = c->pub.worker->delegate->router;
    struct route route = {.address = STR("(left)")};
    (void)router_find_id(r, c->route, &route);
    log_write(LOG_ERROR, LOG_MODULE, "RPC failed to server in DC", LOG_STR("server", route.address),
              LOG_STR("datacenter", call_datacenter(c)), LOG_CSTR("method", c->pub.method->name),
              LOG_CSTR("error", err_text(c->pub.err)));
    if (is_unreachable(code)) {
        router_unreachable(r, c->route);
    } else if (code == ERR_NO_LEADER) {
        router_failed(r, c->route);
    }
    if (!may_go_on(c, code)) {
        return false;
    }
    call_place(c);
    return true;
}

/* Its server has left, and there is another one. */
static bool is_stranded(const struct call *c)
{
    const struct router *r = c->pub.worker->delegate->router;
    struct route route;
    return c->is_abroad && !router_find_id(r, c->route, &route) &&
           router_find(r, call_datacenter(c), 0, &route) == ROUTER_FOUND;
}

void rpc_worker_datacenters_changed(struct worker *w)
{
    calls_place_anew(w, is_stranded);
}
