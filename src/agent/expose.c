#include "agent/expose.h"

#include "agent/state.h"
#include "base/log.h"
#include "base/mem.h"

struct exposer {
    struct str proxy_id, address; /* own */
};

static void exposer_free(struct exposer *x)
{
    if (x != NULL) {
        mem_free((void *)(uintptr_t)x->proxy_id.p);
        mem_free((void *)(uintptr_t)x->address.p);
        mem_free(x);
    }
}

void expose_deinit(struct expose *e)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&e->proxies, &at, &key, &value)) {
        exposer_free(value);
    }
    map_deinit(&e->proxies);
    map_deinit(&e->ports);
}

/* --- targets --------------------------------------------------------------------------------- */

static size_t digits(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') {
        n++;
    }
    return n;
}

static size_t host_size(struct str s)
{
    if (s.n > 0 && s.p[0] == '[') {
        ptrdiff_t end = str_find_byte(s, ']');
        return end >= 0 ? (size_t)end + 1 : 0;
    }
    size_t n = 0;
    for (; n < s.n; n++) {
        char c = s.p[n];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && c != '_' && c != '-' && c != '.') {
            break;
        }
    }
    return n;
}

/* An IPv6 address in brackets. */
static struct str bracketed(struct arena *a, struct str host)
{
    ptrdiff_t colon = str_find_byte(host, ':');
    bool is_v6 = colon >= 0 && str_rfind_byte(host, ':') != colon && host.p[0] != '[';
    return is_v6 ? arena_printf(a, "[%.*s]", STRF(host)) : host;
}

struct str expose_http_target(struct arena *a, struct str url, struct str host, int64_t port)
{
    size_t scheme = str_has_prefix(url, STR("http://"))    ? 7
                    : str_has_prefix(url, STR("https://")) ? 8
                                                           : 0;
    struct str rest = str_from(url, scheme);
    size_t n = scheme > 0 ? host_size(rest) : 0;
    if (n == 0) {
        return url;
    }
    rest = str_from(rest, n);
    if (rest.n > 1 && rest.p[0] == ':') {
        n = digits(str_from(rest, 1));
        rest = n > 0 ? str_from(rest, n + 1) : rest;
    }
    return arena_printf(a, "%.*s%.*s:%lld%.*s", (int)scheme, url.p, STRF(bracketed(a, host)),
                        (long long)port, STRF(rest));
}

struct str expose_grpc_target(struct arena *a, struct str target, struct str host, int64_t port)
{
    /* The last colon that digits follow. */
    for (size_t at = target.n; at-- > 0;) {
        if (target.p[at] == ':' && digits(str_from(target, at + 1)) > 0) {
            struct str rest = str_from(target, at + 1);
            rest = str_from(rest, digits(rest));
            return arena_printf(a, "%.*s:%lld%.*s", STRF(host), (long long)port, STRF(rest));
        }
    }
    return target;
}

/* --- ports ----------------------------------------------------------------------------------- */

static bool port_is_taken(const struct expose *e, int64_t port)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&e->ports, &at, &key, &value)) {
        if ((int64_t)(intptr_t)value == port) {
            return true;
        }
    }
    return false;
}

/* The check's port, a new one if it has none; 0 when all are taken. */
static int64_t port_for(struct agent *a, struct str check_id)
{
    struct expose *e = &a->expose;
    int64_t port = (int64_t)(intptr_t)map_get(&e->ports, check_id);
    const struct config_ports *ports = &conf(a)->ports;
    for (int64_t i = ports->expose_min; port == 0 && i > 0 && i < ports->expose_max; i++) {
        if (!port_is_taken(e, i)) {
            port = i;
            (void)map_put(&e->ports, check_id, (void *)(intptr_t)port);
        }
    }
    return port;
}

/* --- checks ---------------------------------------------------------------------------------- */

static bool is_exposable(const struct check *c)
{
    return c != NULL && (c->ops == &check_http_ops || c->ops == &check_grpc_ops);
}

static void set_target(struct agent *a, struct check_entry *e, struct str address, int64_t port)
{
    struct arena arena = {0};
    struct check_def def = *e->runner->def;
    def.proxy_http = def.proxy_grpc = STR_NULL;
    if (port > 0 && def.http.n > 0) {
        def.proxy_http = expose_http_target(&arena, def.http, address, port);
    } else if (port > 0) {
        def.proxy_grpc = expose_grpc_target(&arena, def.grpc, address, port);
    }
    struct check_def *old = e->runner->def;
    e->runner->def = schema_clone(&check_type_schema, &def, NULL);
    mem_free(old);
    arena_deinit(&arena);
    local_set_exposed_port(a->local, e, port);
    agent_publish_soon(a);
}

static void expose_one(struct agent *a, struct check_entry *e, const struct exposer *x)
{
    int64_t port = port_for(a, e->id);
    if (port == 0) {
        log_write(LOG_ERROR, "agent", "error exposing check", LOG_STR("check", e->id),
                  LOG_CSTR("error", "no ports available"));
        return;
    }
    set_target(a, e, x->address, port);
}

static void each_check(struct agent *a, struct str service_id, const struct exposer *x)
{
    struct arena arena = {0};
    struct strlist ids = local_check_ids(a->local, service_id, &arena);
    for (size_t i = 0; i < ids.n; i++) {
        struct check_entry *e = local_check(a->local, ids.v[i]);
        if (!is_exposable(e->runner)) {
            continue;
        }
        if (x != NULL) {
            expose_one(a, e, x);
        } else if (map_remove(&a->expose.ports, e->id) != NULL) {
            set_target(a, e, STR_NULL, 0);
        }
    }
    arena_deinit(&arena);
}

static void stop_exposing(struct agent *a, struct str service_id)
{
    struct exposer *x = map_remove(&a->expose.proxies, service_id);
    if (x != NULL) {
        exposer_free(x);
        each_check(a, service_id, NULL);
    }
}

void expose_service_put(struct agent *a, const struct node_service *service)
{
    struct str target = service->proxy.destination_service_id;
    if (target.n == 0) {
        return;
    }
    if (!service->proxy.expose.checks) {
        stop_exposing(a, target);
        return;
    }
    struct exposer *x = xcalloc(1, sizeof(*x));
    x->proxy_id = str_make(str_to_cstr(service->id), service->id.n);
    x->address = str_make(str_to_cstr(service->address), service->address.n);
    exposer_free(map_put(&a->expose.proxies, target, x));
    each_check(a, target, x);
}

void expose_service_removed(struct agent *a, const struct node_service *service)
{
    struct str target = service->proxy.destination_service_id;
    if (target.n > 0) {
        stop_exposing(a, target);
    }
}

void expose_check_started(struct agent *a, struct check_entry *e)
{
    const struct exposer *x =
        e->row->service_id.n > 0 ? map_get(&a->expose.proxies, e->row->service_id) : NULL;
    if (x != NULL && is_exposable(e->runner)) {
        expose_one(a, e, x);
    }
}

void expose_check_ended(struct agent *a, const struct check_entry *e)
{
    (void)map_remove(&a->expose.ports, e->id);
}
