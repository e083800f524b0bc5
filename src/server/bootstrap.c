#include "server/bootstrap.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "server/membership.h"
#include "server/raft_ask.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/rpc_pool.h"
#include "server/server.h"
#include "server/server_info.h"

#include <stdio.h>
#include <stdlib.h>

#define PEERS_TIMEOUT_MS 10000u

/* --- the decision ---------------------------------------------------------------------------- */

static int server_cmp(const void *x, const void *y)
{
    const struct raft_server *a = x, *b = y;
    return strcmp(a->id, b->id);
}

/* NULL when it fits. */
static const char *member_problem(const struct bootstrap_input *in, const struct server_info *info)
{
    if (info->expect != 0 && info->expect != in->expect) {
        return "Member has a conflicting expect value. All nodes should expect the same number.";
    }
    return info->is_bootstrap ? "Member has bootstrap mode. Expect disabled." : NULL;
}

/* False when the member's flags, or ours, make it impossible. */
static bool plan_add(const struct bootstrap_input *in, const struct member *m, struct arena *a,
                     struct bootstrap_plan *plan)
{
    struct server_info info;
    struct err err = {0};
    if (!server_info_of(m, a, &info) || !str_eq(info.datacenter, in->datacenter) ||
        info.status == MEMBER_LEFT) {
        return true;
    }
    plan->problem = member_problem(in, &info);
    if (plan->problem == NULL &&
        raft_configuration_add(&plan->configuration,
                               info.is_read_replica ? RAFT_NONVOTER : RAFT_VOTER, info.id,
                               info.address, &err) < 0) {
        plan->problem = "Member does not fit into a Raft configuration";
    }
    plan->member = m->name;
    return plan->problem == NULL;
}

void bootstrap_decide(const struct bootstrap_input *in, struct bootstrap_plan *ret_plan)
{
    struct arena a = {0};
    *ret_plan = (struct bootstrap_plan){.step = BOOTSTRAP_ENDED};
    if (in->last_index == 0) {
        ret_plan->step = BOOTSTRAP_ASK;
        for (size_t i = 0; i < in->count && ret_plan->step == BOOTSTRAP_ASK; i++) {
            if (!plan_add(in, in->members[i], &a, ret_plan)) {
                ret_plan->step = BOOTSTRAP_CONFLICT;
            }
        }
    }
    struct raft_configuration *c = &ret_plan->configuration;
    if (ret_plan->step == BOOTSTRAP_ASK && (int64_t)raft_configuration_voters(c) < in->expect) {
        ret_plan->step = BOOTSTRAP_WAIT;
    }
    qsort(c->servers, c->count, sizeof(c->servers[0]), server_cmp);
    arena_deinit(&a);
}

/* --- carrying it out ------------------------------------------------------------------------- */

struct bootstrap {
    struct server *server;
    int64_t expect; /* 0: it has ended */
    bool is_asking; /* one server of the plan after the other */
    bool is_remote_out;
    struct bootstrap_plan plan;
    uint32_t at, attempt;
    struct rpc_remote remote;
    struct arena arena; /* of the question */
    struct loop_timer retry_timer;
    struct raft_ask ask;
};

static void peers_ask(struct bootstrap *b);

static void bootstrap_end(struct bootstrap *b)
{
    b->expect = 0;
    b->is_asking = false;
}

static void formed(struct raft_ask *q)
{
    struct bootstrap *b = q->data;
    if (q->code < 0) {
        log_write(LOG_ERROR, "agent.server", "Failed to bootstrap cluster",
                  LOG_CSTR("error", err_text(&q->request.err)));
    }
    bootstrap_end(b);
}

static void form(struct bootstrap *b)
{
    struct buf peers = {0};
    const struct raft_configuration *c = &b->plan.configuration;
    for (uint32_t i = 0; i < c->count; i++) {
        buf_printf(&peers, "%s%s", i > 0 ? "," : "", c->servers[i].address);
    }
    log_write(LOG_INFO, "agent.server", "Found expected number of peers, attempting bootstrap",
              LOG_STR("peers", buf_view(&peers)));
    buf_deinit(&peers);
    b->ask = (struct raft_ask){
        .request = {.kind = RAFT_REQUEST_BOOTSTRAP, .configuration = c}, .done = formed, .data = b};
    raft_ask_start(b->server, &b->ask);
}

static void peers_next(struct bootstrap *b)
{
    b->attempt = 0;
    if (++b->at < b->plan.configuration.count) {
        peers_ask(b);
    } else {
        form(b);
    }
}

static void retry_due(struct loop_timer *t)
{
    struct bootstrap *b = container_of(t, struct bootstrap, retry_timer);
    if (b->attempt < BOOTSTRAP_ATTEMPTS_MAX) {
        peers_ask(b);
    } else {
        peers_next(b);
    }
}

static void peers_failed(struct bootstrap *b)
{
    uint64_t pause_s = 1u << b->attempt++;
    char interval[16];
    (void)snprintf(interval, sizeof(interval), "%us", (unsigned)pause_s);
    log_write(LOG_ERROR, "agent.server", "Failed to confirm peer status for server (will retry).",
              LOG_CSTR("server", b->plan.configuration.servers[b->at].address),
              LOG_CSTR("retry_interval", interval), LOG_CSTR("error", err_text(b->remote.err)));
    loop_timer_start(b->server->main->loop, &b->retry_timer, pause_s * 1000, retry_due);
}

static void peers_answered(struct rpc_remote *remote)
{
    struct bootstrap *b = remote->data;
    b->is_remote_out = false;
    if (remote->err != NULL) {
        peers_failed(b);
        return;
    }
    const struct strlist_reply *reply = remote->reply;
    if (reply->values.n > 0) {
        log_write(LOG_INFO, "agent.server",
                  "Existing Raft peers reported by server, disabling bootstrap mode",
                  LOG_CSTR("server", b->plan.configuration.servers[b->at].address));
        bootstrap_end(b);
        return;
    }
    peers_next(b);
}

/* This server need not ask itself: it would not be here with state. */
static void peers_ask(struct bootstrap *b)
{
    struct server *s = b->server;
    struct str address = str_from_cstr(b->plan.configuration.servers[b->at].address);
    if (str_eq(address, s->options.rpc_address)) {
        peers_next(b);
        return;
    }
    arena_reset(&b->arena);
    struct dc_request *args = ARENA_NEW(&b->arena, struct dc_request);
    args->datacenter = s->options.datacenter;
    b->remote = (struct rpc_remote){
        .method = &rpc_status_peers,
        .args = args,
        .arena = &b->arena,
        .done = peers_answered,
        .data = b,
    };
    b->is_remote_out = true;
    rpc_pool_call(s->main->pool, address, &b->remote, PEERS_TIMEOUT_MS);
}

void bootstrap_consider(struct bootstrap *b)
{
    struct server *s = b->server;
    if (b->expect == 0 || b->is_asking) {
        return;
    }
    struct raft_status status;
    raft_status(s->raft, &status);
    struct member_list *list = membership_list(s->delegate.membership);
    const struct bootstrap_input in = {
        .expect = b->expect,
        .datacenter = s->options.datacenter,
        .members = list->v,
        .count = list->count,
        .last_index = MAX(status.last_log_index, status.last_snapshot_index),
    };
    bootstrap_decide(&in, &b->plan);
    switch (b->plan.step) {
    case BOOTSTRAP_WAIT:
        break;
    case BOOTSTRAP_ENDED:
        log_write(LOG_INFO, "agent.server", "Raft data found, disabling bootstrap mode");
        bootstrap_end(b);
        break;
    case BOOTSTRAP_CONFLICT:
        log_write(LOG_ERROR, "agent.server", b->plan.problem, LOG_STR("member", b->plan.member));
        break;
    case BOOTSTRAP_ASK:
        b->is_asking = true;
        b->at = b->attempt = 0;
        peers_ask(b);
        break;
    }
    b->plan.member = STR("");
    (void)member_list_unref(list);
}

struct bootstrap *bootstrap_new(struct server *s, int64_t expect)
{
    struct bootstrap *b = xcalloc(1, sizeof(*b));
    b->server = s;
    b->expect = expect;
    return b;
}

void bootstrap_stop(struct bootstrap *b)
{
    if (b->is_remote_out) {
        b->is_remote_out = false;
        rpc_pool_cancel(b->server->main->pool, &b->remote);
    }
    loop_timer_stop(b->server->main->loop, &b->retry_timer);
    b->expect = 0;
}

struct bootstrap *bootstrap_free(struct bootstrap *b)
{
    if (b != NULL) {
        arena_deinit(&b->arena);
    }
    return mem_free(b);
}
