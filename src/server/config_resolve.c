/* ConfigEntry.ResolveServiceConfig: what proxy-defaults and service-defaults together say about the
 * proxies of one service and of its upstreams.
 *
 * For the service: proxy-defaults, and over them what service-defaults says. For each upstream
 * (those the agent asks about, and those that service-defaults has overrides for): the protocol,
 * from the widest to the narrowest (proxy-defaults, the upstream's own service-defaults), then the
 * defaults for all upstreams, the mesh gateway of the registration, and the override for this
 * upstream. */
#include "base/metrics.h"
#include "base/vec.h"
#include "schema/config_defaults.h"
#include "server/acl.h"
#include "server/rpc.h"
#include "store/config_entry.h"

#define MODE_TRANSPARENT STR("transparent")

struct resolver {
    struct rpc_ctx *ctx;
    const struct service_config_request *args;
    struct service_config_response *reply;
    const struct proxy_defaults *proxy;     /* NULL: none */
    const struct service_defaults *service; /* NULL: none */
    struct str protocol;                    /* of proxy-defaults, or empty */
};

/* --- free-form maps -------------------------------------------------------------------------- */

struct pairs {
    struct arena *a;
    VEC(struct value_pair) v;
};

static struct value *pairs_set(struct pairs *m, struct str key)
{
    for (size_t i = 0; i < m->v.n; i++) {
        if (str_eq(m->v.v[i].key, key)) {
            return &m->v.v[i].value;
        }
    }
    struct value_pair pair = {.key = key};
    avec_push(m->a, &m->v, pair);
    return &m->v.v[m->v.n - 1].value;
}

static void pairs_set_str(struct pairs *m, struct str key, struct str s)
{
    *pairs_set(m, key) = (struct value){.kind = VALUE_STR, .s = s};
}

static void pairs_set_int(struct pairs *m, struct str key, int64_t i)
{
    *pairs_set(m, key) = (struct value){.kind = VALUE_INT, .i = i};
}

static struct value pairs_value(const struct pairs *m)
{
    return (struct value){.kind = VALUE_MAP, .map = {m->v.v, m->v.n}};
}

static void pairs_set_int_ptr(struct pairs *m, struct str key, const int64_t *i)
{
    *pairs_set(m, key) =
        i != NULL ? (struct value){.kind = VALUE_INT, .i = *i} : (struct value){.kind = VALUE_NULL};
}

static void set_mesh_gateway(struct pairs *to, const struct mesh_gateway_config *m)
{
    struct pairs inner = {.a = to->a};
    pairs_set_str(&inner, STR("Mode"), m->mode);
    *pairs_set(to, STR("mesh_gateway")) = pairs_value(&inner);
}

/* What is said of an upstream, under the names its proxy knows; what is not said overrides nothing.
 */
static void merge_upstream(struct pairs *to, const struct upstream_config *u)
{
    if (u->envoy_listener_json.n > 0) {
        pairs_set_str(to, STR("envoy_listener_json"), u->envoy_listener_json);
    }
    if (u->envoy_cluster_json.n > 0) {
        pairs_set_str(to, STR("envoy_cluster_json"), u->envoy_cluster_json);
    }
    if (u->protocol.n > 0) {
        pairs_set_str(to, STR("protocol"), u->protocol);
    }
    if (u->connect_timeout_ms != 0) {
        pairs_set_int(to, STR("connect_timeout_ms"), u->connect_timeout_ms);
    }
    if (u->mesh_gateway.mode.n > 0) {
        set_mesh_gateway(to, &u->mesh_gateway);
    }
    if (u->limits != NULL) {
        struct pairs inner = {.a = to->a};
        pairs_set_int_ptr(&inner, STR("MaxConnections"), u->limits->max_connections);
        pairs_set_int_ptr(&inner, STR("MaxPendingRequests"), u->limits->max_pending_requests);
        pairs_set_int_ptr(&inner, STR("MaxConcurrentRequests"), u->limits->max_concurrent_requests);
        *pairs_set(to, STR("limits")) = pairs_value(&inner);
    }
    if (u->passive_health_check != NULL) {
        struct pairs inner = {.a = to->a};
        pairs_set_int(&inner, STR("Interval"), u->passive_health_check->interval);
        pairs_set_int(&inner, STR("MaxFailures"), (int64_t)u->passive_health_check->max_failures);
        *pairs_set(to, STR("passive_health_check")) = pairs_value(&inner);
    }
}

/* --- the service's own proxy ----------------------------------------------------------------- */

static const void *find(struct resolver *r, enum config_entry_kind type, struct str name,
                        uint64_t *ret_index)
{
    const struct config_entry *entry;
    uint64_t index = config_entry_get(r->ctx->view, r->ctx->ws, type, name, &entry);
    if (ret_index != NULL) {
        *ret_index = index;
    }
    return entry;
}

static int merge_proxy_defaults(struct resolver *r)
{
    const struct proxy_defaults *e = r->proxy;
    r->reply->proxy_config = e->config;
    r->reply->mode = e->mode;
    r->reply->transparent_proxy = e->transparent_proxy;
    r->reply->mesh_gateway = e->mesh_gateway;
    r->reply->expose = e->expose;
    const struct value *v = e->config != NULL ? value_get(e->config, STR("protocol")) : NULL;
    if (v != NULL && v->kind != VALUE_NULL) {
        if (v->kind != VALUE_STR) {
            return err_set(r->ctx->err, ERR_FAILED, "invalid protocol type %s",
                           value_kind_text(v->kind));
        }
        r->protocol = v->s;
    }
    return 0;
}

static void set_protocol(struct resolver *r, struct str protocol)
{
    struct pairs config = {.a = r->ctx->arena};
    const struct value *old = r->reply->proxy_config;
    for (size_t i = 0; old != NULL && i < old->map.n; i++) {
        *pairs_set(&config, old->map.v[i].key) = old->map.v[i].value;
    }
    pairs_set_str(&config, STR("protocol"), protocol);
    struct value *v = ARENA_NEW(r->ctx->arena, struct value);
    *v = pairs_value(&config);
    r->reply->proxy_config = v;
}

static void merge_service_defaults(struct resolver *r)
{
    const struct service_defaults *e = r->service;
    struct service_config_response *reply = r->reply;
    reply->expose.checks |= e->expose.checks;
    if (e->expose.paths.n > 0) {
        reply->expose.paths = e->expose.paths;
    }
    if (e->mesh_gateway.mode.n > 0) {
        reply->mesh_gateway.mode = e->mesh_gateway.mode;
    }
    if (e->protocol.n > 0) {
        set_protocol(r, e->protocol);
    }
    if (e->transparent_proxy.outbound_listener_port != 0) {
        reply->transparent_proxy.outbound_listener_port =
            e->transparent_proxy.outbound_listener_port;
    }
    reply->transparent_proxy.dialed_directly |= e->transparent_proxy.dialed_directly;
    if (e->mode.n > 0) {
        reply->mode = e->mode;
    }
}

/* --- upstreams ------------------------------------------------------------------------------- */

static const struct upstream_config *override_of(const struct resolver *r, struct str upstream)
{
    const struct upstream_config *found = NULL;
    size_t count = r->service != NULL && r->service->upstream_config != NULL
                       ? r->service->upstream_config->overrides.n
                       : 0;
    for (size_t i = 0; i < count; i++) {
        const struct upstream_config *u = r->service->upstream_config->overrides.v[i];
        found = str_eq(u->name, upstream) ? u : found; /* the last one counts */
    }
    return found;
}

static const struct upstream_config *defaults_of(const struct resolver *r)
{
    return r->service != NULL && r->service->upstream_config != NULL
               ? r->service->upstream_config->defaults
               : NULL;
}

static struct value resolve_upstream(struct resolver *r, struct str upstream)
{
    struct pairs config = {.a = r->ctx->arena};
    const struct service_defaults *own = find(r, CONFIG_SERVICE_DEFAULTS, upstream, NULL);
    struct str protocol = own != NULL && own->protocol.n > 0 ? own->protocol : r->protocol;
    if (protocol.n > 0) {
        pairs_set_str(&config, STR("protocol"), protocol);
    }
    if (defaults_of(r) != NULL) {
        merge_upstream(&config, defaults_of(r));
    }
    if (r->args->mesh_gateway.mode.n > 0) {
        set_mesh_gateway(&config, &r->args->mesh_gateway);
    }
    const struct upstream_config *override = override_of(r, upstream);
    if (override != NULL) {
        merge_upstream(&config, override);
    }
    return pairs_value(&config);
}

static void add_name(struct pairs *seen, struct str name)
{
    (void)pairs_set(seen, name);
}

/* Every upstream there is something to say about, by name, in the order they were found. */
static void collect_upstreams(struct resolver *r, struct pairs *seen)
{
    const struct service_id *ids = r->args->upstream_ids.v;
    for (size_t i = 0; i < r->args->upstream_ids.n; i++) {
        add_name(seen, ids[i].id);
    }
    for (size_t i = 0; r->args->upstream_ids.n == 0 && i < r->args->upstreams.n; i++) {
        add_name(seen, r->args->upstreams.v[i]);
    }
    size_t count = r->service != NULL && r->service->upstream_config != NULL
                       ? r->service->upstream_config->overrides.n
                       : 0;
    for (size_t i = 0; i < count; i++) {
        const struct upstream_config *u = r->service->upstream_config->overrides.v[i];
        if (u->name.n > 0) {
            add_name(seen, u->name);
        }
    }
}

static void reply_upstreams(struct resolver *r, const struct pairs *resolved)
{
    struct arena *a = r->ctx->arena;
    if (r->args->upstream_ids.n == 0 && r->args->upstreams.n > 0) {
        struct value *map = ARENA_NEW(a, struct value);
        *map = pairs_value(resolved);
        r->reply->upstream_configs = map;
        return;
    }
    struct opaque_upstream_config *list =
        ARENA_ARRAY(a, struct opaque_upstream_config, resolved->v.n);
    for (size_t i = 0; i < resolved->v.n; i++) {
        list[i] = (struct opaque_upstream_config){.upstream = {resolved->v.v[i].key},
                                                  .config = &resolved->v.v[i].value};
    }
    r->reply->upstream_id_configs = (struct objlist){list, resolved->v.n};
}

static void resolve_upstreams(struct resolver *r)
{
    struct pairs seen = {.a = r->ctx->arena}, resolved = {.a = r->ctx->arena};
    if (defaults_of(r) != NULL) {
        /* For upstreams that only intentions tell of. */
        struct pairs config = {.a = r->ctx->arena};
        merge_upstream(&config, defaults_of(r));
        *pairs_set(&resolved, CONFIG_WILDCARD) = pairs_value(&config);
    }
    collect_upstreams(r, &seen);
    for (size_t i = 0; i < seen.v.n; i++) {
        struct value config = resolve_upstream(r, seen.v.v[i].key);
        if (config.map.n > 0) {
            *pairs_set(&resolved, seen.v.v[i].key) = config;
        }
    }
    if (resolved.v.n > 0) {
        reply_upstreams(r, &resolved);
    }
}

static int resolve_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    struct resolver r = {.ctx = ctx, .args = data, .reply = out};
    int rc = acl_check(ctx, ACL_SERVICE_READ, r.args->name);
    if (rc < 0) {
        return rc;
    }
    r.proxy = find(&r, CONFIG_PROXY_DEFAULTS, CONFIG_PROXY_GLOBAL, NULL);
    rc = r.proxy != NULL ? merge_proxy_defaults(&r) : 0;
    if (rc < 0) {
        return rc;
    }
    r.service = find(&r, CONFIG_SERVICE_DEFAULTS, r.args->name, &r.reply->meta.index);
    if (r.service != NULL) {
        merge_service_defaults(&r);
    }
    bool is_transparent =
        str_eq(r.args->mode, MODE_TRANSPARENT) || str_eq(r.reply->mode, MODE_TRANSPARENT);
    /* A proxy that names no upstreams has none, unless everything goes through it. */
    if (r.args->upstream_ids.n > 0 || r.args->upstreams.n > 0 || is_transparent) {
        resolve_upstreams(&r);
    }
    return 0;
}

static struct metric time_resolve = METRIC_SAMPLE("config_entry.resolve_service_config");

const struct rpc_method rpc_config_entry_resolve_service_config = {
    .name = "ConfigEntry.ResolveServiceConfig",
    .flags = RPC_READ | RPC_BLOCKING | RPC_INDEX_ONLY,
    .args = &service_config_request_schema,
    .reply = &service_config_response_schema,
    .options_offset = offsetof(struct service_config_request, options),
    .meta_offset = offsetof(struct service_config_response, meta),
    .acl = "service:read",
    .time = &time_resolve,
    .read = resolve_read,
};
