#include "server/leave.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "raft/configuration.h"
#include "server/membership.h"
#include "server/raft_ask.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/rpc_pool.h"
#include "server/server.h"
#include "server/server_info.h"

#define TRANSFER_ATTEMPTS_MAX 3u
#define REMOVED_POLL_MS 100u
#define PEERS_TIMEOUT_MS 1000u

struct server_leave {
    struct server *server;
    void (*done)(void *data);
    void *data;
    bool was_leader; /* and took itself out: nobody else has to */
    uint32_t attempts;
    struct raft_ask ask;
    struct membership_leave lan, wan;
    uint32_t farewells; /* pools that have not been left yet */
    struct loop_timer timer;
    uint64_t deadline_ms;
    /* Who is taken out is not told by Raft: the others are asked. */
    struct rpc_remote remote;
    struct arena arena; /* of the question */
    size_t asked;
    bool is_asking, is_removed;
};

static struct loop *loop_of(const struct server_leave *l)
{
    return l->server->main->loop;
}

/* --- last: out of Raft's configuration ------------------------------------------------------- */

static bool is_configured(const struct server_leave *l)
{
    struct arena a = {0};
    struct raft_configuration *c = ARENA_NEW(&a, struct raft_configuration);
    uint64_t index;
    raft_get_configuration(l->server->raft, c, &index);
    bool is_there = raft_configuration_find(c, l->server->options.node_id) != NULL;
    arena_deinit(&a);
    return is_there;
}

static void leave_end(struct server_leave *l)
{
    if (l->done != NULL) {
        l->done(l->data);
    }
}

static void peers_answered(struct rpc_remote *remote)
{
    struct server_leave *l = remote->data;
    const struct strlist_reply *reply = remote->reply;
    l->is_asking = false;
    l->is_removed = remote->err == NULL && reply->values.n > 0 &&
                    !strlist_contains(reply->values, l->server->options.rpc_address);
}

/* One of the servers that stay, in turn; "" when there is none. */
static struct str other_server(struct server_leave *l, struct arena *a)
{
    struct member_list *list = membership_list(l->server->delegate.membership);
    struct str address = STR("");
    for (size_t i = 0; i < list->count && address.n == 0; i++) {
        struct server_info info;
        const struct member *m = list->v[l->asked++ % list->count];
        if (m->status == MEMBER_ALIVE && server_info_of(m, a, &info) &&
            !str_eq(info.id, l->server->options.node_id)) {
            address = info.address; /* the arena's */
        }
    }
    (void)member_list_unref(list);
    return address;
}

static void peers_ask(struct server_leave *l)
{
    struct server *s = l->server;
    if (l->is_asking) {
        return;
    }
    arena_reset(&l->arena);
    struct str address = other_server(l, &l->arena);
    if (address.n == 0) {
        return;
    }
    struct dc_request *args = ARENA_NEW(&l->arena, struct dc_request);
    args->datacenter = s->options.datacenter;
    l->remote = (struct rpc_remote){
        .method = &rpc_status_peers,
        .args = args,
        .arena = &l->arena,
        .done = peers_answered,
        .data = l,
    };
    l->is_asking = true;
    rpc_pool_call(s->main->pool, address, &l->remote, PEERS_TIMEOUT_MS);
}

static void removed_poll(struct loop_timer *t)
{
    struct server_leave *l = container_of(t, struct server_leave, timer);
    bool is_removed = l->is_removed || !is_configured(l);
    if (!is_removed && loop_now_ms(loop_of(l)) < l->deadline_ms) {
        peers_ask(l);
        loop_timer_start(loop_of(l), t, REMOVED_POLL_MS, removed_poll);
        return;
    }
    if (!is_removed) {
        log_write(LOG_WARN, "agent.server",
                  "failed to leave raft configuration gracefully, timeout");
    }
    leave_end(l);
}

static void drained(struct loop_timer *t)
{
    struct server_leave *l = container_of(t, struct server_leave, timer);
    if (l->was_leader) {
        leave_end(l);
        return;
    }
    l->deadline_ms = loop_now_ms(loop_of(l)) + LEAVE_RAFT_GRACE_MS;
    removed_poll(t);
}

/* --- then: the others know ------------------------------------------------------------------- */

static void members_told(struct server_leave *l)
{
    uint64_t drain_ms = l->server->options.leave_drain_ms;
    char text[24];
    struct buf buf = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    duration_put(&buf, (int64_t)(drain_ms * NS_PER_MS));
    log_write(LOG_INFO, "agent.server", "Waiting to drain RPC traffic",
              LOG_STR("drain_time", buf_view(&buf)));
    loop_timer_start(loop_of(l), &l->timer, drain_ms, drained);
}

static void pool_left(struct server_leave *l)
{
    if (--l->farewells == 0) {
        members_told(l);
    }
}

static void lan_left(struct membership_leave *leave)
{
    pool_left(container_of(leave, struct server_leave, lan));
}

static void wan_left(struct membership_leave *leave)
{
    pool_left(container_of(leave, struct server_leave, wan));
}

static void members_tell(struct server_leave *l)
{
    const struct delegate *d = &l->server->delegate;
    l->lan.done = lan_left;
    l->wan.done = wan_left;
    l->farewells = d->wan != NULL ? 2 : 1;
    if (d->wan != NULL) {
        membership_leave(d->wan, &l->wan);
    }
    membership_leave(d->membership, &l->lan);
}

/* --- first: leadership ----------------------------------------------------------------------- */

static void self_removed(struct raft_ask *q)
{
    struct server_leave *l = q->data;
    if (q->code < 0) {
        log_write(LOG_ERROR, "agent.server", "failed to remove ourself as a Raft peer",
                  LOG_CSTR("error", err_text(&q->request.err)));
    }
    l->was_leader = true;
    members_tell(l);
}

static void transfer(struct server_leave *l);

static void transferred(struct raft_ask *q)
{
    struct server_leave *l = q->data;
    if (q->code == 0) {
        log_write(LOG_INFO, "agent.server", "successfully transferred leadership",
                  LOG_UINT("attempt", l->attempts), LOG_UINT("retry_limit", TRANSFER_ATTEMPTS_MAX));
        members_tell(l);
        return;
    }
    log_write(LOG_ERROR, "agent.server", "failed to transfer leadership attempt, will retry",
              LOG_UINT("attempt", l->attempts), LOG_UINT("retry_limit", TRANSFER_ATTEMPTS_MAX),
              LOG_CSTR("error", err_text(&q->request.err)));
    if (++l->attempts < TRANSFER_ATTEMPTS_MAX && server_is_leader(l->server)) {
        transfer(l);
    } else if (server_is_leader(l->server)) {
        l->ask = (struct raft_ask){.done = self_removed, .data = l};
        raft_ask_change(&l->ask, RAFT_REMOVE_SERVER, l->server->options.node_id,
                        l->server->options.rpc_address);
        raft_ask_start(l->server, &l->ask);
    } else {
        members_tell(l);
    }
}

static void transfer(struct server_leave *l)
{
    l->ask = (struct raft_ask){
        .request = {.kind = RAFT_REQUEST_TRANSFER}, .done = transferred, .data = l};
    raft_ask_start(l->server, &l->ask);
}

static uint32_t voters_count(const struct server *s)
{
    struct arena a = {0};
    struct raft_configuration *c = ARENA_NEW(&a, struct raft_configuration);
    uint64_t index;
    raft_get_configuration(s->raft, c, &index);
    uint32_t n = raft_configuration_voters(c);
    arena_deinit(&a);
    return n;
}

void server_leave_start(struct server *s, void (*done)(void *data), void *data)
{
    ASSERT(s->leave == NULL);
    struct server_leave *l = xcalloc(1, sizeof(*l));
    l->server = s;
    l->done = done;
    l->data = data;
    s->leave = l;
    log_write(LOG_INFO, "agent.server", "server starting leave");
    if (!server_is_leader(s)) {
        members_tell(l);
    } else if (voters_count(s) > 1) {
        transfer(l);
    } else {
        l->was_leader = true;
        members_tell(l);
    }
}

void server_leave_stop(struct server_leave *l)
{
    if (l != NULL) {
        l->done = NULL;
        loop_timer_stop(loop_of(l), &l->timer);
        if (l->is_asking) {
            l->is_asking = false;
            rpc_pool_cancel(l->server->main->pool, &l->remote);
        }
    }
}

struct server_leave *server_leave_free(struct server_leave *l)
{
    if (l != NULL) {
        arena_deinit(&l->arena);
    }
    return mem_free(l);
}
