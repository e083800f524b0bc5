#include "server/flood.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "server/membership.h"
#include "server/server.h"
#include "server/server_info.h"

/* One join for all that are missing; the next round follows it. */
struct flood {
    struct server *server;
    struct membership_listener listener;
    struct loop_timer timer;
    struct membership_join join;
    struct arena arena; /* of the addresses of the join */
    bool is_joining, is_due_again, is_started, is_stopped;
};

static void flood_round(struct flood *f);

static struct loop *loop_of(const struct flood *f)
{
    return f->server->main->loop;
}

/* A server's name in the WAN pool. */
static struct str wan_name(const struct server_info *info, struct arena *a)
{
    return arena_printf(a, "%.*s.%.*s", STRF(info->name), STRF(info->datacenter));
}

/* "name.dc/address:port" of each server that is alive here and unknown there. */
static struct strlist missing(struct flood *f)
{
    struct delegate *d = &f->server->delegate;
    struct arena *a = &f->arena;
    struct member_list *lan = membership_list(d->membership), *wan = membership_list(d->wan);
    struct str *addresses = ARENA_ARRAY(a, struct str, lan->count);
    size_t n = 0;
    for (size_t i = 0; i < lan->count; i++) {
        struct server_info info;
        if (lan->v[i]->status != MEMBER_ALIVE || !server_info_of(lan->v[i], a, &info) ||
            member_list_find(wan, wan_name(&info, a)) != NULL) {
            continue;
        }
        if (info.wan_join_port == 0) {
            log_write(LOG_DEBUG, "agent.server", "Failed to flood-join server",
                      LOG_STR("server", info.name), LOG_STR("address", info.address),
                      LOG_CSTR("error", "no WAN join port for the server"));
            continue;
        }
        struct str at = server_address(a, info.host, info.wan_join_port);
        addresses[n++] = arena_printf(a, "%.*s/%.*s", STRF(wan_name(&info, a)), STRF(at));
    }
    (void)member_list_unref(lan);
    (void)member_list_unref(wan);
    return (struct strlist){addresses, n};
}

static void flood_due(struct loop_timer *t)
{
    flood_round(container_of(t, struct flood, timer));
}

static void flood_joined(struct membership_join *join)
{
    struct flood *f = container_of(join, struct flood, join);
    f->is_joining = false;
    if (join->err.code != 0) {
        log_write(LOG_DEBUG, "agent.server", "Failed to flood-join servers",
                  LOG_CSTR("error", err_text(&join->err)));
    } else {
        log_write(LOG_DEBUG, "agent.server", "Successfully performed flood-join",
                  LOG_UINT("servers", join->joined));
    }
    if (f->is_due_again && !f->is_stopped) {
        flood_round(f);
    }
}

static void flood_round(struct flood *f)
{
    if (f->is_joining) {
        f->is_due_again = true;
        return;
    }
    f->is_due_again = false;
    loop_timer_start(loop_of(f), &f->timer, FLOOD_INTERVAL_MS, flood_due);
    arena_reset(&f->arena);
    struct strlist addresses = missing(f);
    if (addresses.n > 0) {
        f->is_joining = true;
        f->join = (struct membership_join){.addresses = addresses, .done = flood_joined};
        membership_join(f->server->delegate.wan, &f->join);
    }
}

static void flood_event(struct membership_listener *l, enum membership_event event,
                        const struct member *member)
{
    struct flood *f = container_of(l, struct flood, listener);
    struct arena a = {0};
    struct server_info info;
    if (event == MEMBERSHIP_JOIN && f->is_started && server_info_of(member, &a, &info)) {
        flood_round(f);
    }
    arena_deinit(&a);
}

struct flood *flood_new(struct server *s)
{
    struct flood *f = xcalloc(1, sizeof(*f));
    f->server = s;
    f->listener.event = flood_event;
    if (s->delegate.wan != NULL) {
        membership_listen(s->delegate.membership, &f->listener);
    }
    return f;
}

void flood_start(struct flood *f)
{
    if (f->server->delegate.wan != NULL) {
        f->is_started = true;
        membership_start(f->server->delegate.wan);
        loop_timer_start(loop_of(f), &f->timer, FLOOD_INTERVAL_MS, flood_due);
    }
}

void flood_stop(struct flood *f)
{
    if (!f->is_stopped) {
        f->is_stopped = true;
        f->is_started = false;
        list_remove(&f->listener.node);
        loop_timer_stop(loop_of(f), &f->timer);
        if (f->server->delegate.wan != NULL) {
            membership_stop(f->server->delegate.wan);
        }
    }
}

struct flood *flood_free(struct flood *f)
{
    arena_deinit(&f->arena);
    return mem_free(f);
}
