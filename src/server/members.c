#include "server/members.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/serf.h"
#include "server/bootstrap.h"
#include "server/membership.h"
#include "server/server.h"
#include "server/server_info.h"
#include "server/user_events.h"

struct server_members {
    struct server *server;
    struct membership_listener listener;
};

/* --- events ---------------------------------------------------------------------------------- */

static const char *event_text(enum membership_event event)
{
    switch (event) {
    case MEMBERSHIP_JOIN:
        return "Adding LAN server";
    case MEMBERSHIP_UPDATE:
        return "Updating LAN server";
    case MEMBERSHIP_LEAVE:
    case MEMBERSHIP_FAILED:
    case MEMBERSHIP_REAP:
        break;
    }
    return "Removing LAN server";
}

static void members_event(struct membership_listener *l, enum membership_event event,
                          const struct member *member)
{
    struct server_members *m = container_of(l, struct server_members, listener);
    struct arena a = {0};
    struct server_info info;
    if (server_info_of(member, &a, &info) && info.segment.n == 0) {
        log_write(LOG_INFO, "agent.server", event_text(event),
                  LOG_STR("server", server_info_text(&info, &a)));
        if (event == MEMBERSHIP_JOIN) {
            bootstrap_consider(m->server->bootstrap);
        }
    }
    arena_deinit(&a);
}

/* --- user events: Consul's own among them ------------------------------------------------------
 */

void members_log_user_event(const char *module, const struct serf_user_event *event)
{
    if (!str_has_prefix(event->name, SERVER_EVENT_PREFIX)) {
        return;
    }
    if (str_eq(event->name, NEW_LEADER_EVENT)) {
        log_write(LOG_INFO, module, "New leader elected", LOG_STR("payload", event->payload));
    } else if (str_has_prefix(event->name, USER_EVENT_PREFIX)) {
        log_write(LOG_DEBUG, module, "User event",
                  LOG_STR("event", str_from(event->name, USER_EVENT_PREFIX.n)));
    } else {
        log_write(LOG_WARN, module, "Unhandled local event", LOG_STR("event", event->name));
    }
}

static void members_user_event(struct membership_listener *l, const struct serf_user_event *event)
{
    (void)l;
    members_log_user_event("agent.server", event);
}

/* --- life ------------------------------------------------------------------------------------ */

struct server_members *server_members_new(struct server *s)
{
    struct server_members *m = xcalloc(1, sizeof(*m));
    m->server = s;
    m->listener.event = members_event;
    m->listener.user_event = members_user_event;
    membership_listen(s->delegate.membership, &m->listener);
    return m;
}

void server_members_stop(struct server_members *m)
{
    list_remove(&m->listener.node);
}

struct server_members *server_members_free(struct server_members *m)
{
    return mem_free(m);
}
