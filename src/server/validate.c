#include "server/validate.h"
#include "store/catalog.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#define PORT_MAX 65535

/* --- several errors in one ------------------------------------------------------------------- */

struct findings {
    struct buf text; /* "\t* first\n\t* second" */
    unsigned count;
};

static void found(struct findings *f, const char *format, ...) PRINTF(2, 3);
static void found(struct findings *f, const char *format, ...)
{
    va_list args;
    buf_lit(&f->text, "\t* ");
    va_start(args, format);
    buf_vprintf(&f->text, format, args);
    va_end(args);
    buf_lit(&f->text, "\n");
    f->count++;
}

static int findings_result(struct findings *f, struct err *err)
{
    int r = 0;
    if (f->count > 0) {
        r = err_set(err, ERR_FAILED, "%u error%s occurred:\n%.*s\n", f->count,
                    f->count == 1 ? "" : "s", STRF(buf_view(&f->text)));
    }
    buf_deinit(&f->text);
    return r;
}

/* --- connect proxies ------------------------------------------------------------------------- */

static const char *upstream_error(const struct upstream *u)
{
    if (u->destination_name.n == 0) {
        return "upstream destination name cannot be empty";
    }
    if (u->centrally_configured) {
        return NULL;
    }
    if (str_eq_lit(u->destination_name, "*")) {
        return "upstream destination name cannot be a wildcard";
    }
    if (u->local_bind_port == 0 && u->local_bind_socket_path.n == 0) {
        return "upstream local bind port or local socket path must be defined and nonzero";
    }
    if (u->local_bind_port != 0 && u->local_bind_socket_path.n > 0) {
        return "only one of upstream local bind port or local socket path can be defined and "
               "nonzero";
    }
    return NULL;
}

static bool upstream_is_valid(const struct upstream *u, struct findings *f)
{
    if (u->destination_type.n > 0 && !str_eq_lit(u->destination_type, "service") &&
        !str_eq_lit(u->destination_type, "prepared_query")) {
        found(f, "unknown upstream destination type: \"%.*s\"", STRF(u->destination_type));
        return false;
    }
    const char *error = upstream_error(u);
    if (error != NULL) {
        found(f, "%s", error);
    }
    return error == NULL;
}

static bool same_destination(const struct upstream *a, const struct upstream *b)
{
    return str_eq(a->destination_type, b->destination_type) &&
           str_eq(a->destination_name, b->destination_name) &&
           str_eq(a->destination_namespace, b->destination_namespace) &&
           str_eq(a->datacenter, b->datacenter);
}

/* Where the proxy listens for the upstream: a socket's path or host:port. */
static void upstream_listener(const struct upstream *u, struct buf *to)
{
    buf_clear(to);
    if (u->local_bind_port == 0 && u->local_bind_address.n == 0 &&
        u->local_bind_socket_path.n > 0) {
        buf_str(to, u->local_bind_socket_path);
        return;
    }
    struct str host = u->local_bind_address.n > 0 ? u->local_bind_address : STR("127.0.0.1");
    bool is_v6 = str_find_byte(host, ':') >= 0;
    buf_printf(to, is_v6 ? "[%.*s]:%lld" : "%.*s:%lld", STRF(host), (long long)u->local_bind_port);
}

/* Against the upstreams before it that counted themselves. */
static void check_upstream(const struct upstream *upstreams, size_t at, bool *counted,
                           struct findings *f)
{
    const struct upstream *u = &upstreams[at];
    struct buf mine = {0}, theirs = {0};
    if (!upstream_is_valid(u, f)) {
        return;
    }
    for (size_t i = 0; i < at; i++) {
        if (counted[i] && same_destination(u, &upstreams[i])) {
            found(f,
                  "upstreams cannot contain duplicates of [type=\"%.*s\", name=\"%.*s\", "
                  "namespace=\"%.*s\", datacenter=\"%.*s\"]",
                  STRF(u->destination_type), STRF(u->destination_name),
                  STRF(u->destination_namespace), STRF(u->datacenter));
            return;
        }
    }
    counted[at] = true;
    upstream_listener(u, &mine);
    for (size_t i = 0; i < at && !u->centrally_configured; i++) {
        if (!counted[i]) {
            continue;
        }
        upstream_listener(&upstreams[i], &theirs);
        if (str_eq(buf_view(&mine), buf_view(&theirs))) {
            found(f,
                  "upstreams cannot contain duplicates by local bind address and port or unix "
                  "path; \"%.*s\" is specified twice",
                  STRF(buf_view(&mine)));
            break;
        }
    }
    buf_deinit(&mine);
    buf_deinit(&theirs);
}

static void check_exposed_path(const struct expose_path *paths, size_t at, struct findings *f)
{
    const struct expose_path *p = &paths[at];
    if (p->path.n == 0) {
        found(f, "expose.paths: empty path exposed");
    }
    for (size_t i = 0; i < at; i++) {
        if (paths[i].listener_port == p->listener_port) {
            found(f, "expose.paths: duplicate listener ports exposed");
            break;
        }
    }
    if (p->listener_port <= 0 || p->listener_port > PORT_MAX) {
        found(f, "expose.paths: invalid listener port: %lld", (long long)p->listener_port);
    }
    if (p->protocol.n > 0 && !str_eq_fold(p->protocol, STR("http")) &&
        !str_eq_fold(p->protocol, STR("http2"))) {
        found(f, "protocol '%.*s' not supported for path: %.*s, must be in: [http http2]",
              STRF(p->protocol), STRF(p->path));
    }
}

static void check_proxy(const struct node_service *s, struct findings *f)
{
    const struct connect_proxy_config *proxy = &s->proxy;
    if (str_trim(proxy->destination_service_name).n == 0) {
        found(f, "Proxy.DestinationServiceName must be non-empty for Connect proxy services");
    }
    if (str_eq_lit(proxy->destination_service_name, "*")) {
        found(f, "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services");
    }
    if (s->port == 0 && s->socket_path.n == 0) {
        found(f, "Port or SocketPath must be set for a Connect proxy");
    }
    if (s->connect.native) {
        found(f, "A Proxy cannot also be Connect Native, only typical services");
    }
    bool *counted = xcalloc(proxy->upstreams.n + 1, sizeof(*counted));
    for (size_t i = 0; i < proxy->upstreams.n; i++) {
        check_upstream(proxy->upstreams.v, i, counted, f);
    }
    mem_free(counted);
    for (size_t i = 0; i < proxy->expose.paths.n; i++) {
        check_exposed_path(proxy->expose.paths.v, i, f);
    }
}

/* --- gateways, sidecars ---------------------------------------------------------------------- */

static void check_gateway(const struct node_service *s, struct findings *f)
{
    const struct connect_proxy_config *proxy = &s->proxy;
    const struct {
        bool is_set;
        const char *name;
    } refused[] = {
        {proxy->destination_service_name.n > 0, "DestinationServiceName"},
        {proxy->destination_service_id.n > 0, "DestinationServiceID"},
        {proxy->local_service_address.n > 0, "LocalServiceAddress"},
        {proxy->local_service_port != 0, "LocalServicePort"},
        {proxy->local_service_socket_path.n > 0, "LocalServiceSocketPath"},
        {proxy->upstreams.n > 0, "Upstreams"},
    };
    if (s->port == 0 && !str_eq(s->kind, SERVICE_KIND_INGRESS_GATEWAY)) {
        found(f, "Port must be non-zero for a %.*s", STRF(s->kind));
    }
    if (s->connect.sidecar_service != NULL) {
        found(f, "A %.*s cannot have a sidecar service defined", STRF(s->kind));
    }
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        if (refused[i].is_set) {
            found(f, "The Proxy.%s configuration is invalid for a %.*s", refused[i].name,
                  STRF(s->kind));
        }
    }
}

/* A member of a definition that has not been decoded yet, whose names fold case. */
static const struct value *member(const struct value *map, struct str name)
{
    for (size_t i = 0; map != NULL && map->kind == VALUE_MAP && i < map->map.n; i++) {
        if (str_eq_fold(map->map.v[i].key, name)) {
            return &map->map.v[i].value;
        }
    }
    return NULL;
}

static void check_sidecar(const struct value *sidecar, struct findings *f)
{
    const struct value *id = member(sidecar, STR("ID"));
    if (id != NULL && id->kind == VALUE_STR && id->s.n > 0) {
        found(f, "A SidecarService cannot specify an ID as this is managed by the agent");
    }
    const struct value *nested = member(member(sidecar, STR("Connect")), STR("SidecarService"));
    if (nested != NULL && nested->kind != VALUE_NULL) {
        found(f, "A SidecarService cannot have a nested SidecarService");
    }
}

int validate_service(const struct node_service *s, struct err *err)
{
    struct findings f = {0};
    if (str_eq(s->kind, SERVICE_KIND_CONNECT_PROXY)) {
        check_proxy(s, &f);
    } else if (str_eq(s->kind, SERVICE_KIND_MESH_GATEWAY) ||
               str_eq(s->kind, SERVICE_KIND_TERMINATING_GATEWAY) ||
               str_eq(s->kind, SERVICE_KIND_INGRESS_GATEWAY)) {
        check_gateway(s, &f);
    }
    if (s->connect.sidecar_service != NULL) {
        check_sidecar(s->connect.sidecar_service, &f);
    }
    return findings_result(&f, err);
}

bool validate_address_is_any(struct str address)
{
    return str_eq_lit(address, "0.0.0.0") || str_eq_lit(address, "::") ||
           str_eq_lit(address, "[::]");
}

struct str validate_check_type(const struct health_check_definition *d)
{
    bool is_script = d->script_args.n > 0;
    if (d->grpc.n > 0 && d->interval > 0) {
        return STR("grpc");
    }
    if (d->http.n > 0 && d->interval > 0) {
        return STR("http");
    }
    if (d->ttl > 0) {
        return STR("ttl");
    }
    if (d->tcp.n > 0 && d->interval > 0) {
        return STR("tcp");
    }
    if (d->alias_node.n > 0 || d->alias_service.n > 0) {
        return STR("alias");
    }
    if (is_script && d->docker_container_id.n > 0 && d->interval > 0) {
        return STR("docker");
    }
    if (is_script) {
        return STR("script");
    }
    if (d->h2ping.n > 0 && d->interval > 0) {
        return STR("h2ping");
    }
    return STR_NULL;
}

int validate_node(struct str name, struct str id, struct err *err)
{
    if (name.n == 0) {
        return err_set(err, ERR_FAILED, "Must provide node");
    }
    if (id.n > 0) {
        struct err reason = {0};
        uint8_t bytes[16];
        if (catalog_parse_uuid(id, bytes, &reason) < 0) {
            return err_set(err, ERR_FAILED, "Bad node ID: %s", err_text(&reason));
        }
    }
    return 0;
}

int validate_prepare_service(struct node_service *service, struct err *err)
{
    int rc = validate_service(service, err);
    if (rc < 0) {
        return rc;
    }
    if (service->id.n == 0) {
        service->id = service->service;
    } else if (service->service.n == 0) {
        return err_set(err, ERR_FAILED, "Must provide service name with ID");
    }
    if (validate_address_is_any(service->address)) {
        return err_set(err, ERR_FAILED, "Invalid service address");
    }
    return 0;
}

void validate_prepare_check(struct health_check *check)
{
    if (check->check_id.n == 0) {
        check->check_id = check->name;
    }
}
