#include "server/router.h"

#include "base/arena.h"
#include "base/epoch.h"
#include "base/err.h"
#include "base/log.h"
#include "base/rand.h"
#include "loop/loop.h"
#include "server/rpc.h"
#include "server/rpc_pool.h"
#include "server/server_list.h"
#include "server/worker.h"

#include <stdlib.h>

#define LOG_MODULE "agent.router.manager"

/* A list and what is done with it on the main loop. */
struct lane {
    struct router *router;
    enum router_area area;
    struct str datacenter; /* NUL-terminated, own */
    struct server_list list;
    struct loop_timer timer;
    struct rpc_remote ping;
    struct arena arena; /* of the ping */
    bool is_pinging;
    uint64_t pinged_ms; /* when the last rebalance began */
};

/* What is published. */
struct view_lane {
    enum router_area area;
    struct str datacenter;
    bool is_offline;
    _Atomic bool is_told; /* that somebody was not reached: once is enough */
    const struct route *routes;
    size_t count;
};

struct view {
    struct arena arena;      /* of everything below */
    struct view_lane *lanes; /* [0]: the LAN's of this data center */
    size_t count;
};

struct router {
    struct router_options options;
    struct arena strings;
    struct epoch *epoch;
    _Atomic(struct view *) view;
    VEC(struct lane *) lanes; /* the same order */
    uint32_t last_id;
    bool is_stopped;
};

/* --- publishing ------------------------------------------------------------------------------ */

static void view_free(void *object)
{
    struct view *v = object;
    arena_deinit(&v->arena);
    mem_free(v);
}

static void view_lane_init(struct view_lane *to, const struct lane *lane, struct arena *a)
{
    const struct server_list *l = &lane->list;
    struct route *routes = ARENA_ARRAY(a, struct route, l->servers.n);
    for (size_t i = 0; i < l->servers.n; i++) {
        const struct server_entry *e = l->servers.v[i];
        routes[i] = (struct route){e->id, arena_str(a, e->name), arena_str(a, e->address),
                                   arena_str(a, e->text), l->servers.n};
    }
    *to = (struct view_lane){.area = lane->area,
                             .datacenter = arena_str(a, lane->datacenter),
                             .is_offline = l->is_offline,
                             .routes = routes,
                             .count = l->servers.n};
}

static void publish(struct router *r)
{
    struct view *v = xcalloc(1, sizeof(*v));
    v->lanes = ARENA_ARRAY(&v->arena, struct view_lane, r->lanes.n);
    for (size_t i = 0; i < r->lanes.n; i++) {
        view_lane_init(&v->lanes[i], r->lanes.v[i], &v->arena);
    }
    v->count = r->lanes.n;
    struct view *old = atomic_exchange(&r->view, v);
    if (old != NULL) {
        epoch_retire(r->epoch, old, view_free);
        (void)epoch_collect(r->epoch);
        r->options.changed(r->options.data);
    }
}

/* --- reading --------------------------------------------------------------------------------- */

static const struct view *view_of(const struct router *r)
{
    return atomic_load(&((struct router *)(uintptr_t)r)->view);
}

bool router_find_lan(const struct router *r, struct route *ret_route)
{
    const struct view_lane *lan = &view_of(r)->lanes[0];
    if (lan->count > 0) {
        *ret_route = lan->routes[0];
    }
    return lan->count > 0;
}

/* The one behind it, where it is still there. */
static const struct route *route_besides(const struct view_lane *l, uint32_t failed)
{
    for (size_t i = 0; failed != 0 && i < l->count; i++) {
        if (l->routes[i].id == failed) {
            return &l->routes[(i + 1) % l->count];
        }
    }
    return &l->routes[0];
}

enum router_found router_find(const struct router *r, struct str datacenter, uint32_t failed,
                              struct route *ret_route)
{
    const struct view *v = view_of(r);
    enum router_found found = ROUTER_UNKNOWN;
    for (size_t i = 0; i < v->count; i++) {
        const struct view_lane *l = &v->lanes[i];
        if (l->count == 0 || !str_eq(l->datacenter, datacenter)) {
            continue;
        }
        if (!l->is_offline) {
            *ret_route = *route_besides(l, failed);
            return ROUTER_FOUND;
        }
        found = ROUTER_OFFLINE;
    }
    return found;
}

bool router_has(const struct router *r, struct str datacenter)
{
    struct route route;
    return router_find(r, datacenter, 0, &route) != ROUTER_UNKNOWN;
}

static int by_name(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    return str_cmp(*a, *b);
}

struct strlist router_datacenters(const struct router *r, struct arena *a)
{
    const struct view *v = view_of(r);
    struct str *names = ARENA_ARRAY(a, struct str, v->count);
    size_t n = 0;
    for (size_t i = 0; i < v->count; i++) {
        if (v->lanes[i].area == ROUTER_WAN) {
            names[n++] = arena_str(a, v->lanes[i].datacenter);
        }
    }
    qsort(names, n, sizeof(names[0]), by_name);
    return (struct strlist){names, n};
}

bool router_find_id(const struct router *r, uint32_t id, struct route *ret_route)
{
    const struct view *v = view_of(r);
    for (size_t i = 0; i < v->count; i++) {
        for (size_t k = 0; k < v->lanes[i].count; k++) {
            if (v->lanes[i].routes[k].id == id) {
                *ret_route = v->lanes[i].routes[k];
                return true;
            }
        }
    }
    return false;
}

size_t router_count_lan(const struct router *r)
{
    return view_of(r)->lanes[0].count;
}

/* --- rebalancing ----------------------------------------------------------------------------- */

static void lane_rebalance(struct loop_timer *t);
static void lane_ping(struct lane *lane);

static void lane_schedule_in(struct lane *lane, uint64_t delay_ms)
{
    const struct router_options *o = &lane->router->options;
    loop_timer_start(o->main->loop, &lane->timer, o->rebalance_ms > 0 ? o->rebalance_ms : delay_ms,
                     lane_rebalance);
}

static void lane_schedule(struct lane *lane)
{
    const struct router_options *o = &lane->router->options;
    if (lane->area == ROUTER_WAN && lane->list.is_offline) {
        lane_schedule_in(lane, ROUTER_OFFLINE_PAUSE_MS);
        return;
    }
    lane_schedule_in(lane,
                     server_list_delay_ms(lane->list.servers.n, o->nodes(o->data), &o->main->rng));
}

static void lane_pinged(struct rpc_remote *ping)
{
    struct lane *lane = container_of(ping, struct lane, ping);
    lane->is_pinging = false;
    if (ping->err != NULL) {
        log_write(LOG_DEBUG, LOG_MODULE, "pinging server failed",
                  LOG_STR("server", server_list_candidate(&lane->list)->text),
                  LOG_CSTR("error", err_text(ping->err)));
    }
    bool was_offline = lane->list.is_offline;
    switch (server_list_pinged(&lane->list, ping->err == NULL)) {
    case SERVER_LIST_PINGING:
        lane_ping(lane);
        return;
    case SERVER_LIST_REORDERED:
        log_write(LOG_DEBUG, LOG_MODULE, "Rebalanced servers, new active server",
                  LOG_UINT("number_of_servers", lane->list.servers.n),
                  LOG_STR("active_server", lane->list.servers.v[0]->text));
        publish(lane->router);
        break;
    case SERVER_LIST_OFFLINE:
        log_write(LOG_DEBUG, LOG_MODULE, "No healthy servers during rebalance, aborting");
        if (!was_offline) {
            publish(lane->router);
        }
        break;
    case SERVER_LIST_KEPT:
        break;
    }
    lane_schedule(lane);
}

static void lane_ping(struct lane *lane)
{
    arena_reset(&lane->arena);
    lane->ping = (struct rpc_remote){
        .method = &rpc_status_ping,
        .args = arena_zalloc(&lane->arena, rpc_status_ping.args->size),
        .datacenter = lane->datacenter,
        .arena = &lane->arena,
        .done = lane_pinged,
    };
    lane->is_pinging = true;
    rpc_pool_call(lane->router->options.main->pool, server_list_candidate(&lane->list)->address,
                  &lane->ping, ROUTER_PING_TIMEOUT_MS);
}

static void lane_rebalance(struct loop_timer *t)
{
    struct lane *lane = container_of(t, struct lane, timer);
    lane->pinged_ms = loop_now_ms(lane->router->options.main->loop);
    if (server_list_rebalance(&lane->list, &lane->router->options.main->rng)) {
        lane_ping(lane);
    } else {
        lane_schedule(lane);
    }
}

/* Somebody was not reached. */
static void lane_hurry(struct lane *lane)
{
    struct loop *loop = lane->router->options.main->loop;
    if (lane->area == ROUTER_WAN && !lane->is_pinging) {
        uint64_t due_ms = lane->pinged_ms + ROUTER_HURRY_PAUSE_MS, now_ms = loop_now_ms(loop);
        loop_timer_start(loop, &lane->timer, due_ms > now_ms ? due_ms - now_ms : 0, lane_rebalance);
    }
}

/* --- lists ----------------------------------------------------------------------------------- */

static struct lane *lane_new(struct router *r, enum router_area area, struct str datacenter)
{
    struct lane *lane = xcalloc(1, sizeof(*lane));
    lane->router = r;
    lane->area = area;
    lane->datacenter = str_make(str_to_cstr(datacenter), datacenter.n);
    server_list_init(&lane->list);
    vec_push(&r->lanes, lane);
    lane_schedule_in(lane, SERVER_LIST_DELAY_MIN_MS);
    return lane;
}

static void lane_stop(struct lane *lane)
{
    loop_timer_stop(lane->router->options.main->loop, &lane->timer);
    if (lane->is_pinging) {
        lane->is_pinging = false;
        rpc_pool_cancel(lane->router->options.main->pool, &lane->ping);
    }
}

static void lane_free(struct lane *lane)
{
    server_list_deinit(&lane->list);
    arena_deinit(&lane->arena);
    mem_free((void *)(uintptr_t)lane->datacenter.p);
    mem_free(lane);
}

static struct lane *lane_find(struct router *r, enum router_area area, struct str datacenter)
{
    for (size_t i = 0; i < r->lanes.n; i++) {
        struct lane *lane = r->lanes.v[i];
        if (lane->area == area && str_eq(lane->datacenter, datacenter)) {
            return lane;
        }
    }
    return NULL;
}

static void lane_drop(struct router *r, struct lane *lane)
{
    size_t i = 0;
    while (r->lanes.v[i] != lane) {
        i++;
    }
    memmove(&r->lanes.v[i], &r->lanes.v[i + 1], (r->lanes.n - i - 1) * sizeof(lane));
    r->lanes.n--;
    lane_stop(lane);
    lane_free(lane);
}

void router_add(struct router *r, enum router_area area, const struct server_info *info)
{
    struct lane *lane = lane_find(r, area, info->datacenter);
    if (lane == NULL) {
        if (r->lanes.n >= ROUTER_DATACENTERS_MAX) {
            return;
        }
        lane = lane_new(r, area, info->datacenter);
    }
    if (server_list_add(&lane->list, info, ++r->last_id)) {
        publish(r);
    }
}

void router_remove(struct router *r, enum router_area area, const struct server_info *info)
{
    struct lane *lane = lane_find(r, area, info->datacenter);
    if (lane != NULL && server_list_remove(&lane->list, info->name)) {
        if (lane->list.servers.n == 0 && lane != r->lanes.v[0]) {
            lane_drop(r, lane);
        }
        publish(r);
    }
}

/* --- failures -------------------------------------------------------------------------------- */

struct failed_msg {
    struct loop_msg msg;
    struct router *router;
    uint32_t id;
    bool is_unreachable;
};

static void lane_failed(struct lane *lane, uint32_t id)
{
    struct server_list *l = &lane->list;
    if (server_list_failed(l, id)) {
        log_write(LOG_DEBUG, LOG_MODULE, "cycled away from server",
                  LOG_STR("server", l->servers.v[l->servers.n - 1]->text));
        publish(lane->router);
    }
}

void router_fail(struct router *r, enum router_area area, const struct server_info *info)
{
    struct lane *lane = lane_find(r, area, info->datacenter);
    const struct server_entry *e = lane != NULL ? server_list_find(&lane->list, info->name) : NULL;
    if (e != NULL) {
        lane_failed(lane, e->id);
        lane_hurry(lane);
    }
}

static bool has_id(const struct server_list *l, uint32_t id)
{
    for (size_t i = 0; i < l->servers.n; i++) {
        if (l->servers.v[i]->id == id) {
            return true;
        }
    }
    return false;
}

static void failed_run(struct loop_msg *msg)
{
    struct failed_msg *m = container_of(msg, struct failed_msg, msg);
    struct router *r = m->router;
    for (size_t i = 0; !r->is_stopped && i < r->lanes.n; i++) {
        struct lane *lane = r->lanes.v[i];
        if (m->is_unreachable && has_id(&lane->list, m->id)) {
            lane_hurry(lane);
        }
        lane_failed(lane, m->id);
    }
    mem_free(m);
}

static void post_failed(struct router *r, uint32_t id, bool is_unreachable)
{
    struct failed_msg *m = xmalloc(sizeof(*m));
    *m = (struct failed_msg){{.run = failed_run}, r, id, is_unreachable};
    loop_post(r->options.main->loop, &m->msg);
}

static bool is_first(const struct view *v, uint32_t id)
{
    for (size_t i = 0; i < v->count; i++) {
        if (v->lanes[i].count > 1 && v->lanes[i].routes[0].id == id) {
            return true;
        }
    }
    return false;
}

void router_failed(struct router *r, uint32_t id)
{
    if (is_first(view_of(r), id)) { /* not so most of those that fail together */
        post_failed(r, id, false);
    }
}

void router_unreachable(struct router *r, uint32_t id)
{
    struct view *v = atomic_load(&r->view);
    for (size_t i = 0; i < v->count; i++) {
        struct view_lane *l = &v->lanes[i];
        for (size_t k = 0; k < l->count; k++) {
            if (l->routes[k].id == id && !l->is_offline && !atomic_exchange(&l->is_told, true)) {
                post_failed(r, id, true);
            }
        }
    }
}

/* --- life ------------------------------------------------------------------------------------ */

struct router *router_new(const struct router_options *options)
{
    struct router *r = xcalloc(1, sizeof(*r));
    r->options = *options;
    r->options.datacenter = arena_str(&r->strings, options->datacenter);
    r->epoch = epoch_new();
    log_write(LOG_INFO, "agent.router", "Initializing LAN area manager");
    (void)lane_new(r, ROUTER_LAN, r->options.datacenter);
    publish(r);
    return r;
}

void router_add_reader(struct router *r, struct loop *l)
{
    loop_add_epoch(l, r->epoch);
}

void router_stop(struct router *r)
{
    r->is_stopped = true;
    for (size_t i = 0; i < r->lanes.n; i++) {
        lane_stop(r->lanes.v[i]);
    }
}

struct router *router_free(struct router *r)
{
    if (r == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < r->lanes.n; i++) {
        lane_free(r->lanes.v[i]);
    }
    vec_deinit(&r->lanes);
    view_free(atomic_load(&r->view));
    r->epoch = epoch_free(r->epoch);
    arena_deinit(&r->strings);
    return mem_free(r);
}
