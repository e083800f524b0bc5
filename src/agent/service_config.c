/* One blocking query a followed service: ConfigEntry.ResolveServiceConfig. A server answers the
 * first within rpc_start(), so that nobody sees the registration without its defaults; a client
 * agent's comes later. */
#include "agent/service_config.h"

#include "agent/state.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "schema/config_entry.h"
#include "schema/value.h"
#include "server/rpc.h"

#define MODE_TRANSPARENT STR("transparent")
#define MESH_GATEWAY_KEY STR("mesh_gateway")
#define RETRY_AFTER 3u
#define RETRY_MS_MAX 60000u
#define QUERY_WAIT_NS (int64_t)(600 * NS_PER_SEC)

struct follow {
    struct agent *agent;
    struct node_service *service; /* as registered; one heap block */
    struct buf token;
    struct rpc_call *call;
    struct loop_timer timer;
    uint64_t index;
    uint32_t failures;
    /* While service_config_follow() asks for the first time. */
    struct arena *arena;
    struct node_service *merged;
};

/* --- merging --------------------------------------------------------------------------------- */

/* What `to` lacks or has empty, from `from`; maps within maps likewise. */
static struct value maps_merge(struct arena *a, const struct value *to, const struct value *from)
{
    VEC(struct value_pair) pairs = {0};
    for (size_t i = 0; to != NULL && to->kind == VALUE_MAP && i < to->map.n; i++) {
        avec_push(a, &pairs, to->map.v[i]);
    }
    for (size_t i = 0; from != NULL && from->kind == VALUE_MAP && i < from->map.n; i++) {
        const struct value_pair *new = &from->map.v[i];
        if (new->value.kind == VALUE_NULL) {
            continue;
        }
        size_t at = 0;
        while (at < pairs.n && !str_eq(pairs.v[at].key, new->key)) {
            at++;
        }
        if (at == pairs.n) {
            avec_push(a, &pairs, *new);
        } else if (new->value.kind == VALUE_MAP && pairs.v[at].value.kind == VALUE_MAP) {
            pairs.v[at].value = maps_merge(a, &pairs.v[at].value, &new->value);
        } else if (value_is_empty(&pairs.v[at].value)) {
            pairs.v[at].value = new->value;
        }
    }
    return (struct value){.kind = VALUE_MAP, .map = {pairs.v, pairs.n}};
}

static const struct value *config_merge(struct arena *a, const struct value *to,
                                        const struct value *from)
{
    if (value_is_empty(from)) {
        return to;
    }
    struct value *merged = ARENA_NEW(a, struct value);
    *merged = maps_merge(a, to, from);
    return merged;
}

/* The mesh gateway among the free-form settings of an upstream. */
static struct str mesh_gateway_mode(const struct value *config)
{
    const struct value *gateway = value_get(config, MESH_GATEWAY_KEY);
    const struct value *mode = gateway != NULL ? value_get(gateway, STR("Mode")) : NULL;
    if (mode == NULL && gateway != NULL) {
        mode = value_get(gateway, STR("mode"));
    }
    return mode != NULL && mode->kind == VALUE_STR ? mode->s : STR_NULL;
}

/* Without the mesh gateway, which has a member of its own. */
static const struct value *without_gateway(struct arena *a, const struct value *config)
{
    if (config == NULL || value_get(config, MESH_GATEWAY_KEY) == NULL) {
        return config;
    }
    struct value *copy = ARENA_NEW(a, struct value);
    struct value_pair *pairs = ARENA_ARRAY(a, struct value_pair, config->map.n);
    size_t n = 0;
    for (size_t i = 0; i < config->map.n; i++) {
        if (!str_eq(config->map.v[i].key, MESH_GATEWAY_KEY)) {
            pairs[n++] = config->map.v[i];
        }
    }
    *copy = (struct value){.kind = VALUE_MAP, .map = {pairs, n}};
    return copy;
}

static bool is_of_service(const struct upstream *u)
{
    return u->destination_type.n == 0 || str_eq_lit(u->destination_type, "service");
}

/* The registration's upstreams with what the entries say of them; where everything goes through the
 * proxy also those that only the entries know. */
static void upstreams_merge(struct connect_proxy_config *proxy,
                            const struct service_config_response *defaults, struct arena *a)
{
    const struct opaque_upstream_config *known = defaults->upstream_id_configs.v;
    const size_t known_count = defaults->upstream_id_configs.n;
    const struct upstream *given = proxy->upstreams.v;
    struct upstream *merged = ARENA_ARRAY(a, struct upstream, proxy->upstreams.n + known_count);
    size_t n = 0;
    for (; n < proxy->upstreams.n; n++) {
        struct upstream *u = &merged[n];
        *u = given[n];
        for (size_t i = 0; is_of_service(u) && i < known_count; i++) {
            if (str_eq(known[i].upstream.id, u->destination_name)) {
                if (u->mesh_gateway.mode.n == 0) {
                    u->mesh_gateway.mode = mesh_gateway_mode(known[i].config);
                }
                u->config = without_gateway(a, config_merge(a, u->config, known[i].config));
            }
        }
    }
    for (size_t i = 0; str_eq(proxy->mode, MODE_TRANSPARENT) && i < known_count; i++) {
        bool is_given = false;
        for (size_t j = 0; j < proxy->upstreams.n; j++) {
            is_given |=
                is_of_service(&given[j]) && str_eq(given[j].destination_name, known[i].upstream.id);
        }
        if (!is_given) {
            merged[n++] = (struct upstream){
                .destination_namespace = STR("default"),
                .destination_name = known[i].upstream.id,
                .config = known[i].config,
                .mesh_gateway.mode = mesh_gateway_mode(known[i].config),
                .centrally_configured = true,
            };
        }
    }
    if (n > 0) {
        proxy->upstreams = (struct objlist){merged, n};
    }
}

struct node_service *service_config_merge(const struct node_service *service,
                                          const struct service_config_response *defaults,
                                          struct arena *arena)
{
    struct node_service *merged = ARENA_NEW(arena, struct node_service);
    *merged = *service;
    struct connect_proxy_config *proxy = &merged->proxy;
    proxy->config = config_merge(arena, proxy->config, defaults->proxy_config);
    proxy->expose.checks |= defaults->expose.checks;
    if (proxy->expose.paths.n == 0 && defaults->expose.paths.n > 0) {
        proxy->expose.paths = defaults->expose.paths;
    }
    if (proxy->mesh_gateway.mode.n == 0) {
        proxy->mesh_gateway.mode = defaults->mesh_gateway.mode;
    }
    if (proxy->mode.n == 0) {
        proxy->mode = defaults->mode;
    }
    if (proxy->transparent_proxy.outbound_listener_port == 0) {
        proxy->transparent_proxy.outbound_listener_port =
            defaults->transparent_proxy.outbound_listener_port;
    }
    proxy->transparent_proxy.dialed_directly |= defaults->transparent_proxy.dialed_directly;
    upstreams_merge(proxy, defaults, arena);
    return merged;
}

/* --- following ------------------------------------------------------------------------------- */

static bool is_sidecar(const struct node_service *service)
{
    return str_eq(service->kind, SERVICE_KIND_CONNECT_PROXY) &&
           service->proxy.destination_service_id.n > 0;
}

static bool is_concerned(const struct agent *a, const struct node_service *service)
{
    return conf(a)->enable_central_service_config &&
           (is_sidecar(service) || str_eq(service->kind, SERVICE_KIND_MESH_GATEWAY) ||
            str_eq(service->kind, SERVICE_KIND_TERMINATING_GATEWAY) ||
            str_eq(service->kind, SERVICE_KIND_INGRESS_GATEWAY));
}

static void query(struct follow *f);

static void again(struct loop_timer *t)
{
    query(container_of(t, struct follow, timer));
}

static void put_merged(struct follow *f, const struct service_config_response *defaults)
{
    struct agent *a = f->agent;
    struct service_entry *e = local_service(a->local, f->service->id);
    if (f->arena != NULL) { /* service_config_follow() waits for it */
        f->merged = service_config_merge(f->service, defaults, f->arena);
        f->merged = schema_copy(f->arena, &node_service_schema, f->merged);
        return;
    }
    if (e == NULL) {
        return;
    }
    struct arena arena = {0};
    const struct node_service *merged = service_config_merge(f->service, defaults, &arena);
    if (!schema_equal(&node_service_schema, &e->row->service, merged)) {
        (void)local_put_service(a->local, merged, buf_view(&f->token));
        expose_service_put(a, merged);
        agent_publish_soon(a);
    }
    arena_deinit(&arena);
}

static void answered(struct rpc_call *call)
{
    struct follow *f = call->data;
    uint64_t wait_ms = 0; /* through the timer all the same: an answer at once would recurse */
    f->call = NULL;
    if (call->err != NULL) {
        f->failures++;
        uint32_t shift = f->failures > RETRY_AFTER ? MIN(f->failures - RETRY_AFTER, 16u) : 0;
        wait_ms = MIN((uint64_t)1000 << shift, (uint64_t)RETRY_MS_MAX);
        log_write(LOG_WARN, "agent", "cannot get the config entries of a service",
                  LOG_STR("service", f->service->id), LOG_CSTR("error", err_text(call->err)));
    } else {
        const struct service_config_response *reply = call->reply;
        f->failures = 0;
        f->index = MAX(reply->meta.index, (uint64_t)1);
        put_merged(f, reply);
    }
    rpc_call_free(call);
    loop_timer_start(f->agent->loop, &f->timer, wait_ms, again);
}

static void query(struct follow *f)
{
    struct agent *a = f->agent;
    const struct node_service *service = f->service;
    struct rpc_call *call = rpc_call_new(a->worker, &rpc_config_entry_resolve_service_config);
    struct service_config_request *args = call->args;
    args->name = service->service;
    if (is_sidecar(service)) { /* it has what is said of its service */
        const struct upstream *upstreams = service->proxy.upstreams.v;
        struct service_id *ids =
            ARENA_ARRAY(&call->arena, struct service_id, service->proxy.upstreams.n + 1);
        args->name = service->proxy.destination_service_name;
        for (size_t i = 0; i < service->proxy.upstreams.n; i++) {
            if (is_of_service(&upstreams[i])) {
                ids[args->upstream_ids.n++].id = upstreams[i].destination_name;
            }
        }
        args->upstream_ids.v = ids;
    }
    args->datacenter = conf(a)->datacenter;
    args->mesh_gateway = service->proxy.mesh_gateway;
    args->mode = service->proxy.mode;
    args->options.token = f->token.n > 0 ? buf_view(&f->token) : tokens_agent(&a->tokens);
    args->options.allow_stale = true;
    args->options.min_query_index = f->index;
    args->options.max_query_time = QUERY_WAIT_NS;
    /* The service and its token may go while the call is under way. */
    void *own = schema_copy(&call->arena, &service_config_request_schema, args);
    *args = *(struct service_config_request *)own;
    call->done = answered;
    call->data = f;
    f->call = call;
    rpc_start(call);
}

static void follow_end(struct follow *f)
{
    loop_timer_stop(f->agent->loop, &f->timer);
    if (f->call != NULL) {
        rpc_cancel(TAKE(f->call));
    }
    mem_free(f->service);
    buf_deinit(&f->token);
    mem_free(f);
}

const struct node_service *service_config_follow(struct agent *a,
                                                 const struct node_service *service,
                                                 struct str token, struct arena *arena)
{
    service_config_unfollow(a, service->id);
    if (!is_concerned(a, service)) {
        return service;
    }
    struct follow *f = xcalloc(1, sizeof(*f));
    *f = (struct follow){
        .agent = a,
        .service = schema_clone(&node_service_schema, service, NULL),
        .arena = arena,
    };
    buf_str(&f->token, token);
    (void)map_put(&a->service_configs.follows, service->id, f);
    query(f);
    f->arena = NULL;
    return f->merged != NULL ? TAKE(f->merged) : service;
}

void service_config_unfollow(struct agent *a, struct str id)
{
    struct follow *f = map_remove(&a->service_configs.follows, id);
    if (f != NULL) {
        follow_end(f);
    }
}

void service_configs_deinit(struct service_configs *configs)
{
    size_t at = 0;
    struct str id;
    void *follow;
    while (map_next(&configs->follows, &at, &id, &follow)) {
        follow_end(follow);
    }
    map_deinit(&configs->follows);
}
