#include "server/client_agent.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "server/call.h"
#include "server/members.h"
#include "server/membership.h"
#include "server/router.h"
#include "server/server_info.h"

#define LOG_MODULE "agent.client"

/* --- the pool -------------------------------------------------------------------------------- */

static void server_seen(struct client_agent *c, const struct server_info *info, const char *what,
                        struct arena *a)
{
    if (!str_eq(info->datacenter, c->delegate.datacenter)) {
        log_write(LOG_WARN, LOG_MODULE, "server has joined the wrong cluster: wrong datacenter",
                  LOG_STR("server", info->name), LOG_STR("datacenter", info->datacenter));
        return;
    }
    log_write(LOG_INFO, LOG_MODULE, what, LOG_STR("server", server_info_text(info, a)));
    router_add(c->delegate.router, ROUTER_LAN, info);
}

static void client_event(struct membership_listener *l, enum membership_event event,
                         const struct member *member)
{
    struct client_agent *c = container_of(l, struct client_agent, listener);
    struct arena a = {0};
    struct server_info info;
    if (server_info_of(member, &a, &info)) {
        switch (event) {
        case MEMBERSHIP_JOIN:
            server_seen(c, &info, "adding server", &a);
            break;
        case MEMBERSHIP_UPDATE:
            server_seen(c, &info, "updating server", &a);
            break;
        case MEMBERSHIP_LEAVE:
        case MEMBERSHIP_FAILED:
        case MEMBERSHIP_REAP:
            log_write(LOG_INFO, LOG_MODULE, "removing server",
                      LOG_STR("server", server_info_text(&info, &a)));
            router_remove(c->delegate.router, ROUTER_LAN, &info);
            break;
        }
    }
    arena_deinit(&a);
}

static void client_user_event(struct membership_listener *l, const struct serf_user_event *event)
{
    (void)l;
    members_log_user_event(LOG_MODULE, event);
}

/* --- the router ------------------------------------------------------------------------------ */

static size_t count_nodes(void *data)
{
    const struct client_agent *c = data;
    struct member_list *list = membership_list(c->delegate.membership);
    size_t n = list->count;
    (void)member_list_unref(list);
    return n;
}

struct changed_msg {
    struct loop_msg msg;
    struct worker *worker;
};

static void changed_run(struct loop_msg *msg)
{
    struct changed_msg *m = container_of(msg, struct changed_msg, msg);
    rpc_worker_servers_changed(m->worker);
    mem_free(m);
}

static void router_changed(void *data)
{
    struct client_agent *c = data;
    for (uint32_t i = 0; i < c->workers_count; i++) {
        struct changed_msg *m = xmalloc(sizeof(*m));
        *m = (struct changed_msg){{.run = changed_run}, c->workers[i]};
        loop_post(c->workers[i]->loop, &m->msg);
    }
}

int client_agent_route(struct client_agent *c, struct route *ret_route, struct err *err)
{
    if (!router_find_lan(c->delegate.router, ret_route)) {
        log_write(LOG_WARN, "agent.router.manager", "No servers available");
        return err_set(err, ERR_NO_SERVERS, "%s", err_code_text(ERR_NO_SERVERS));
    }
    return delegate_count_call(&c->delegate, err);
}

void client_agent_call_failed(struct client_agent *c, uint32_t route, const char *method,
                              const struct err *err)
{
    struct route r = {.name = STR("(left)")};
    struct arena a = {0};
    bool is_listed = router_find_id(c->delegate.router, route, &r);
    const struct metric_label label = {"server", arena_str(&a, r.name).p};
    log_write(LOG_ERROR, LOG_MODULE, "RPC failed to server", LOG_CSTR("method", method),
              LOG_STR("server", r.address), LOG_CSTR("error", err_text(err)));
    metric_add(metric_labeled(METRIC_KIND_COUNTER, "client.rpc.failed", &label, 1), 1);
    if (is_listed) {
        router_failed(c->delegate.router, route);
    }
    arena_deinit(&a);
}

/* --- leaving --------------------------------------------------------------------------------- */

static void left(struct membership_leave *leave)
{
    struct client_agent *c = container_of(leave, struct client_agent, leave);
    if (c->left != NULL) {
        c->left(c->left_data);
    }
}

void client_agent_leave(struct client_agent *c, void (*done)(void *data), void *data)
{
    ASSERT(c->left == NULL);
    c->leave.done = left;
    c->left = done;
    c->left_data = data;
    log_write(LOG_INFO, LOG_MODULE, "client starting leave");
    membership_leave(c->delegate.membership, &c->leave);
}

/* --- life ------------------------------------------------------------------------------------ */

struct client_agent *client_agent_new(const struct client_agent_options *o, struct worker *main)
{
    struct client_agent *c = xcalloc(1, sizeof(*c));
    c->delegate = (struct delegate){
        .client = c,
        .membership = o->membership,
        .datacenter = arena_str(&c->strings, o->datacenter),
        .primary_datacenter = arena_str(&c->strings, o->primary_datacenter),
        .node_name = arena_str(&c->strings, o->node_name),
        .node_id = arena_str(&c->strings, o->node_id),
        .max_query_time_ms = o->max_query_time_ms,
        .default_query_time_ms = o->default_query_time_ms,
        .rpc_hold_timeout_ms = o->rpc_hold_timeout_ms,
        .kv_max_value_size = o->kv_max_value_size,
        .txn_max_req_len = o->txn_max_req_len,
        .acl = o->acl,
    };
    rate_limit_init(&c->delegate.rate, -1, 0);
    acl_secrets_init(&c->delegate.secrets);
    c->main = main;
    const struct router_options router = {
        .main = main,
        .datacenter = c->delegate.datacenter,
        .nodes = count_nodes,
        .changed = router_changed,
        .data = c,
    };
    c->delegate.router = router_new(&router);
    c->listener.event = client_event;
    c->listener.user_event = client_user_event;
    membership_listen(c->delegate.membership, &c->listener);
    client_agent_add_worker(c, main);
    return c;
}

void client_agent_add_worker(struct client_agent *c, struct worker *w)
{
    ASSERT(c->workers_count < WORKERS_MAX);
    w->delegate = &c->delegate;
    router_add_reader(c->delegate.router, w->loop);
    c->workers[c->workers_count++] = w;
}

void client_agent_start(struct client_agent *c)
{
    membership_start(c->delegate.membership);
}

void client_agent_stop(struct client_agent *c)
{
    log_write(LOG_INFO, LOG_MODULE, "shutting down client");
    c->left = NULL;
    membership_stop(c->delegate.membership);
    list_remove(&c->listener.node);
    router_stop(c->delegate.router);
}

struct client_agent *client_agent_free(struct client_agent *c)
{
    if (c == NULL) {
        return NULL;
    }
    c->delegate.membership = membership_free(c->delegate.membership);
    c->delegate.router = router_free(c->delegate.router);
    rate_limit_deinit(&c->delegate.rate);
    acl_secrets_deinit(&c->delegate.secrets);
    arena_deinit(&c->strings);
    return mem_free(c);
}
