#include "server/members.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "raft/raft.h"
#include "server/bootstrap.h"
#include "server/membership.h"
#include "server/server.h"
#include "server/server_info.h"

struct server_members {
    struct server *server;
    struct membership_listener listener;
    char leader_id[sizeof(((struct raft_status *)0)->leader_id)]; /* the last that was told */
};

/* --- events ---------------------------------------------------------------------------------- */

static void count_members(struct server *s)
{
    struct arena a = {0};
    struct member *members;
    size_t n = membership_members(s->delegate.membership, &a, &members), servers = 0, clients = 0;
    for (size_t i = 0; i < n; i++) {
        struct server_info info;
        if (members[i].status == MEMBER_ALIVE) {
            bool is_server = server_info_of(&members[i], &a, &info);
            servers += is_server;
            clients += !is_server;
        }
    }
    s->servers_alive = (uint32_t)servers;
    s->clients_alive = (uint32_t)clients;
    arena_deinit(&a);
}

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
    count_members(m->server);
    if (server_info_of(member, &a, &info) && info.segment.n == 0) {
        log_write(LOG_INFO, "agent.server", event_text(event),
                  LOG_STR("server", server_info_text(&info, &a)));
        if (event == MEMBERSHIP_JOIN) {
            bootstrap_consider(m->server->bootstrap);
        }
    }
    arena_deinit(&a);
}

/* --- the leader ------------------------------------------------------------------------------ */

/* As every server says it; the leader itself does when it takes up its duties. */
static void leader_log(const struct server *s, struct str id)
{
    struct arena a = {0};
    struct member *members;
    size_t n = membership_members(s->delegate.membership, &a, &members);
    for (size_t i = 0; i < n; i++) {
        if (str_eq(member_tag(&members[i], STR("id")), id)) {
            log_write(LOG_INFO, "agent.server", "New leader elected",
                      LOG_STR("payload", members[i].name));
        }
    }
    arena_deinit(&a);
}

void server_members_leader_known(struct server_members *m)
{
    struct raft_status status;
    raft_status(m->server->raft, &status);
    struct str id = str_from_cstr(status.leader_id);
    if (id.n > 0 && strcmp(status.leader_id, m->leader_id) != 0) {
        memcpy(m->leader_id, status.leader_id, sizeof(m->leader_id));
        if (!str_eq(id, m->server->options.node_id)) {
            leader_log(m->server, id);
        }
    }
}

/* --- life ------------------------------------------------------------------------------------ */

struct server_members *server_members_new(struct server *s)
{
    struct server_members *m = xcalloc(1, sizeof(*m));
    m->server = s;
    m->listener.event = members_event;
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
