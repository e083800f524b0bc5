#include "server/members.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "raft/configuration.h"
#include "raft/raft.h"
#include "server/bootstrap.h"
#include "server/exchange.h"
#include "server/rpc_pool.h"
#include "server/server.h"
#include "server/server_info.h"

static struct metric metric_events[] = {
    [MEMBERSHIP_JOIN] = METRIC_COUNTER("serf.member.join"),
    [MEMBERSHIP_UPDATE] = METRIC_COUNTER("serf.member.update"),
    [MEMBERSHIP_LEAVE] = METRIC_COUNTER("serf.member.left"),
    [MEMBERSHIP_FAILED] = METRIC_COUNTER("serf.member.failed"),
    [MEMBERSHIP_REAP] = METRIC_COUNTER("serf.member.reap"),
};

struct server_members {
    struct server *server;
    struct membership_listener listener;
    char leader_id[sizeof(((struct raft_status *)0)->leader_id)]; /* the last that was told */
};

/* --- the pool -------------------------------------------------------------------------------- */

static void pool_call(void *data, struct str address, struct rpc_remote *call, uint64_t timeout_ms)
{
    const struct server *s = data;
    rpc_pool_call(s->main->pool, address, call, timeout_ms);
}

static void pool_cancel(void *data, struct rpc_remote *call)
{
    const struct server *s = data;
    rpc_pool_cancel(s->main->pool, call);
}

/* After a restart the servers of Raft's configuration are worth asking: a leader that does not know
 * its members would take them out of the catalog. */
static struct strlist configured_addresses(void *data, struct arena *a)
{
    const struct server *s = data;
    struct raft_configuration *c = ARENA_NEW(a, struct raft_configuration);
    uint64_t index;
    raft_get_configuration(s->raft, c, &index);
    struct str *addresses = ARENA_ARRAY(a, struct str, c->count);
    size_t n = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if (!str_eq(str_from_cstr(c->servers[i].address), s->options.rpc_address)) {
            addresses[n++] = str_from_cstr(c->servers[i].address);
        }
    }
    return (struct strlist){addresses, n};
}

static int64_t rpc_port(const struct server_options *o)
{
    ptrdiff_t colon = str_rfind_byte(o->rpc_address, ':');
    int64_t port;
    if (colon < 0 || str_parse_i64(str_from(o->rpc_address, (size_t)colon + 1), &port) < 0) {
        return 0;
    }
    return port;
}

struct membership *server_membership_new(struct server *s)
{
    const struct exchange_new_options options = {
        .loop = s->main->loop,
        .core = {.self = &s->options.self,
                 .incarnation = clock_wall_ms(),
                 .datacenter = s->options.datacenter},
        .calls = {pool_call, pool_cancel, s},
        .rpc_port = rpc_port(&s->options),
        .serf_port = s->options.serf_port,
        .hints = configured_addresses,
        .hints_data = s,
    };
    return exchange_new(&options);
}

struct member server_self_member(const struct server_options *o, struct arena *a)
{
    if (o->self.name.n > 0) {
        const struct member *copy = schema_copy(a, &member_schema, &o->self);
        return *copy;
    }
    const struct strpair pairs[] = {
        {STR("build"), STR(CONSUL_VERSION)},
        {STR("dc"), o->datacenter},
        {STR("id"), o->node_id},
        {STR("port"), arena_printf(a, "%lld", (long long)rpc_port(o))},
        {STR("raft_vsn"), STR("3")},
        {STR("role"), STR("consul")},
        {STR("segment"), STR("")},
        {STR("vsn"), STR("2")},
    };
    struct strpair *tags = ARENA_ARRAY(a, struct strpair, ARRAY_SIZE(pairs));
    memcpy(tags, pairs, sizeof(pairs));
    return (struct member){
        .name = o->node_name,
        .addr = o->advertise_address,
        .port = o->serf_port,
        .tags = strmap_build(tags, ARRAY_SIZE(pairs)),
        .status = MEMBER_ALIVE,
        .protocol_min = 1,
        .protocol_max = 5,
        .protocol_cur = 2,
        .delegate_min = 2,
        .delegate_max = 5,
        .delegate_cur = 4,
    };
}

bool server_has_member(const struct server *s, struct str name)
{
    struct arena a = {0};
    struct member *members;
    bool has_it = false;
    size_t n = membership_members(s->membership, &a, &members);
    for (size_t i = 0; i < n && !has_it; i++) {
        has_it = str_eq(members[i].name, name);
    }
    arena_deinit(&a);
    return has_it;
}

/* --- events ---------------------------------------------------------------------------------- */

static void count_members(struct server *s)
{
    struct arena a = {0};
    struct member *members;
    size_t n = membership_members(s->membership, &a, &members), servers = 0, clients = 0;
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
    metric_add(&metric_events[event], 1);
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
    size_t n = membership_members(s->membership, &a, &members);
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
    membership_listen(s->membership, &m->listener);
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
