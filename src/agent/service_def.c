#include "agent/service_def.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "base/map.h"

#define META_PAIRS_MAX 64u
#define META_KEY_SIZE_MAX 128u
#define META_VALUE_SIZE_MAX 512u
#define META_RESERVED_PREFIX STR("consul-")
#define META_WAN_FEDERATION STR("consul-wan-federation")
#define DNS_WEIGHT_MAX 65535

extern const struct schema service_def_connect_schema;

/* clang-format off */
#define S struct service_def
static const struct field service_def_fields[] = {
    F_STR(S, kind, "Kind", F_OMITEMPTY),
    F_STR(S, id, "ID", 0),
    F_STR(S, name, "Name", 0),
    F_STRLIST(S, tags, "Tags", 0),
    F_STR(S, address, "Address", 0),
    F_OBJMAP(S, tagged_addresses, "TaggedAddresses", 0, &service_address_schema),
    F_STRMAP(S, meta, "Meta", 0),
    F_INT(S, port, "Port", 0),
    F_STR(S, socket_path, "SocketPath", 0),
    F_PTR(S, check, struct check_def, "Check", 0, &check_type_schema),
    F_PTRLIST(S, checks, "Checks", 0, &check_type_schema),
    F_PTR(S, weights, struct weights, "Weights", 0, &weights_schema),
    F_STR(S, token, "Token", 0),
    F_BOOL(S, enable_tag_override, "EnableTagOverride", 0),
    F_PTR(S, proxy, struct connect_proxy_config, "Proxy", 0, &connect_proxy_config_schema),
    F_PTR(S, connect, struct service_def_connect, "Connect", F_LENIENT, &service_def_connect_schema),
    F_BOOL(S, enable_tag_override, "enable_tag_override", F_ALIAS),
    F_OBJMAP(S, tagged_addresses, "tagged_addresses", F_ALIAS, &service_address_schema),
    FIELDS_END,
};
#undef S
const struct schema service_def_schema =
    SCHEMA("ServiceDefinition", struct service_def, service_def_fields);

static const struct field service_def_connect_fields[] = {
    F_BOOL(struct service_def_connect, native, "Native", F_OMITEMPTY),
    F_PTR(struct service_def_connect, sidecar_service, struct service_def, "SidecarService",
          F_OMITEMPTY, &service_def_schema),
    F_PTR(struct service_def_connect, sidecar_service, struct service_def, "sidecar_service",
          F_ALIAS, &service_def_schema),
    FIELDS_END,
};
const struct schema service_def_connect_schema =
    SCHEMA("ServiceConnect", struct service_def_connect, service_def_connect_fields);
/* clang-format on */

int service_def_decode(const struct value *value, struct service_def *ret_def, struct arena *a,
                       struct err *err)
{
    struct service_def def = {0};
    int rc = schema_decode(&service_def_schema, value, &def, a, DECODE_SNAKE, err);
    if (rc == 0) {
        *ret_def = def;
    }
    return rc;
}

static void upstreams_copy(struct arena *a, struct objlist from, struct objlist *to)
{
    const struct upstream *old = from.v;
    struct upstream *copy = ARENA_ARRAY(a, struct upstream, from.n);
    for (size_t i = 0; i < from.n; i++) {
        copy[i] = old[i];
        if (copy[i].destination_type.n == 0) {
            copy[i].destination_type = STR("service");
        }
    }
    *to = (struct objlist){copy, from.n};
}

void service_def_to_node_service(const struct service_def *def, struct arena *a,
                                 struct node_service *ret_service)
{
    struct node_service ns = {
        .kind = def->kind,
        .id = def->id.n > 0 ? def->id : def->name,
        .service = def->name,
        .tags = def->tags,
        .address = def->address,
        .meta = def->meta,
        .port = def->port,
        .socket_path = def->socket_path,
        .weights = def->weights,
        .enable_tag_override = def->enable_tag_override,
    };
    if (def->tagged_addresses.n > 0) {
        ns.tagged_addresses = def->tagged_addresses;
    }
    if (def->connect != NULL) {
        ns.connect.native = def->connect->native;
    }
    if (def->proxy != NULL) {
        ns.proxy = *def->proxy;
        if (ns.proxy.upstreams.n > 0) {
            upstreams_copy(a, def->proxy->upstreams, &ns.proxy.upstreams);
        }
    }
    *ret_service = ns;
}

/* --- validation ------------------------------------------------------------------------------ */

/* Faults, gathered as Go's multierror prints them. */
struct faults {
    struct buf text;
    unsigned count;
};

static void fault(struct faults *f, const char *format, ...) PRINTF(2, 3);
static void fault(struct faults *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_lit(&f->text, "\t* ");
    buf_vprintf(&f->text, format, args);
    buf_lit(&f->text, "\n");
    va_end(args);
    f->count++;
}

static int faults_end(struct faults *f, struct err *err)
{
    int rc = 0;
    if (f->count > 0) {
        rc = err_set(err, ERR_INVALID, "%u error%s occurred:\n%.*s\n", f->count,
                     f->count == 1 ? "" : "s", STRF(buf_view(&f->text)));
    }
    buf_deinit(&f->text);
    return rc;
}

static bool upstream_check(const struct upstream *u, struct faults *f)
{
    struct buf quoted = {0};
    if (u->destination_type.n > 0 && !str_eq_lit(u->destination_type, "service") &&
        !str_eq_lit(u->destination_type, "prepared_query")) {
        go_quote(&quoted, u->destination_type);
        fault(f, "unknown upstream destination type: %.*s", STRF(buf_view(&quoted)));
    } else if (u->destination_name.n == 0) {
        fault(f, "upstream destination name cannot be empty");
    } else if (str_eq_lit(u->destination_name, "*") && !u->centrally_configured) {
        fault(f, "upstream destination name cannot be a wildcard");
    } else if (u->local_bind_port == 0 && u->local_bind_socket_path.n == 0 &&
               !u->centrally_configured) {
        fault(f, "upstream local bind port or local socket path must be defined and nonzero");
    } else if (u->local_bind_port != 0 && u->local_bind_socket_path.n > 0 &&
               !u->centrally_configured) {
        fault(f, "only one of upstream local bind port or local socket path can be defined and "
                 "nonzero");
    } else {
        return true;
    }
    buf_deinit(&quoted);
    return false;
}

static void upstream_put_key(struct buf *to, const struct upstream *u)
{
    buf_lit(to, "[type=");
    go_quote(to, u->destination_type.n > 0 ? u->destination_type : STR("service"));
    buf_lit(to, ", name=");
    go_quote(to, u->destination_name);
    buf_lit(to, ", namespace=");
    go_quote(to, u->destination_namespace);
    buf_lit(to, ", datacenter=");
    go_quote(to, u->datacenter);
    buf_lit(to, "]");
}

static void upstream_put_address(struct buf *to, const struct upstream *u)
{
    struct str address = u->local_bind_address;
    if (u->local_bind_port == 0 && address.n == 0 && u->local_bind_socket_path.n > 0) {
        buf_str(to, u->local_bind_socket_path);
        return;
    }
    if (address.n == 0) {
        address = STR("127.0.0.1");
    }
    bool is_v6 = str_find_byte(address, ':') >= 0;
    buf_printf(to, "%s%.*s%s:%lld", is_v6 ? "[" : "", STRF(address), is_v6 ? "]" : "",
               (long long)u->local_bind_port);
}

/* No two upstreams to the same service, and none at the same local place. */
static void upstreams_check(const struct node_service *s, struct faults *f)
{
    const struct upstream *upstreams = s->proxy.upstreams.v;
    struct map keys = {0}, addresses = {0};
    struct buf text = {0};
    for (size_t i = 0; i < s->proxy.upstreams.n; i++) {
        const struct upstream *u = &upstreams[i];
        if (!upstream_check(u, f)) {
            continue;
        }
        buf_clear(&text);
        upstream_put_key(&text, u);
        if (map_put(&keys, buf_view(&text), &keys) != NULL) {
            fault(f, "upstreams cannot contain duplicates of %.*s", STRF(buf_view(&text)));
            continue;
        }
        buf_clear(&text);
        upstream_put_address(&text, u);
        if (map_put(&addresses, buf_view(&text), &addresses) != NULL && !u->centrally_configured) {
            struct buf quoted = {0};
            go_quote(&quoted, buf_view(&text));
            fault(f,
                  "upstreams cannot contain duplicates by local bind address and port or unix "
                  "path; %.*s is specified twice",
                  STRF(buf_view(&quoted)));
            buf_deinit(&quoted);
        }
    }
    map_deinit(&keys);
    map_deinit(&addresses);
    buf_deinit(&text);
}

static void expose_check(const struct node_service *s, struct faults *f)
{
    const struct expose_path *paths = s->proxy.expose.paths.v;
    struct map seen = {0};
    for (size_t i = 0; i < s->proxy.expose.paths.n; i++) {
        const struct expose_path *path = &paths[i];
        if (path->path.n == 0) {
            fault(f, "expose.paths: empty path exposed");
        }
        struct str port = str_make(&path->listener_port, sizeof(path->listener_port));
        if (map_put(&seen, port, &seen) != NULL) {
            fault(f, "expose.paths: duplicate listener ports exposed");
        }
        if (path->listener_port <= 0 || path->listener_port > 65535) {
            fault(f, "expose.paths: invalid listener port: %lld", (long long)path->listener_port);
        }
        if (path->protocol.n > 0 && !str_eq_fold(path->protocol, STR("http")) &&
            !str_eq_fold(path->protocol, STR("http2"))) {
            fault(f, "protocol '%.*s' not supported for path: %.*s, must be in: [http http2]",
                  STRF(path->protocol), STRF(path->path));
        }
    }
    map_deinit(&seen);
}

static void proxy_check(const struct node_service *s, struct faults *f)
{
    struct str destination = s->proxy.destination_service_name;
    if (str_trim(destination).n == 0) {
        fault(f, "Proxy.DestinationServiceName must be non-empty for Connect proxy services");
    }
    if (str_eq_lit(destination, "*")) {
        fault(f, "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services");
    }
    if (s->port == 0 && s->socket_path.n == 0) {
        fault(f, "Port or SocketPath must be set for a Connect proxy");
    }
    if (s->connect.native) {
        fault(f, "A Proxy cannot also be Connect Native, only typical services");
    }
    upstreams_check(s, f);
    expose_check(s, f);
}

static void gateway_check(const struct node_service *s, bool has_sidecar, struct faults *f)
{
    struct str kind = s->kind;
    if (s->port == 0 && !str_eq(kind, SERVICE_KIND_INGRESS_GATEWAY)) {
        fault(f, "Port must be non-zero for a %.*s", STRF(kind));
    }
    if (has_sidecar) {
        fault(f, "A %.*s cannot have a sidecar service defined", STRF(kind));
    }
    const struct {
        const char *name;
        bool is_given;
    } refused[] = {
        {"DestinationServiceName", s->proxy.destination_service_name.n > 0},
        {"DestinationServiceID", s->proxy.destination_service_id.n > 0},
        {"LocalServiceAddress", s->proxy.local_service_address.n > 0},
        {"LocalServicePort", s->proxy.local_service_port != 0},
        {"LocalServiceSocketPath", s->proxy.local_service_socket_path.n > 0},
        {"Upstreams", s->proxy.upstreams.n > 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        if (refused[i].is_given) {
            fault(f, "The Proxy.%s configuration is invalid for a %.*s", refused[i].name,
                  STRF(kind));
        }
    }
}

static void sidecar_check(bool has_id, bool is_nested, struct faults *f)
{
    if (has_id) {
        fault(f, "A SidecarService cannot specify an ID as this is managed by the agent");
    }
    if (is_nested) {
        fault(f, "A SidecarService cannot have a nested SidecarService");
    }
}

static void service_check(const struct node_service *s, bool has_sidecar, struct faults *f)
{
    if (str_eq(s->kind, SERVICE_KIND_CONNECT_PROXY)) {
        proxy_check(s, f);
    } else if (str_eq(s->kind, SERVICE_KIND_MESH_GATEWAY) ||
               str_eq(s->kind, SERVICE_KIND_TERMINATING_GATEWAY) ||
               str_eq(s->kind, SERVICE_KIND_INGRESS_GATEWAY)) {
        gateway_check(s, has_sidecar, f);
    }
}

int node_service_validate(const struct node_service *service, struct err *err)
{
    struct faults f = {0};
    service_check(service, service->connect.sidecar_service != NULL, &f);
    return faults_end(&f, err);
}

int service_def_validate(const struct service_def *def, struct err *err)
{
    struct arena a = {0};
    struct node_service ns;
    struct faults f = {0};
    const struct service_def *sidecar = def->connect != NULL ? def->connect->sidecar_service : NULL;
    service_def_to_node_service(def, &a, &ns);
    service_check(&ns, sidecar != NULL, &f);
    if (sidecar != NULL) {
        sidecar_check(sidecar->id.n > 0,
                      sidecar->connect != NULL && sidecar->connect->sidecar_service != NULL, &f);
    }
    int rc = faults_end(&f, err);
    arena_deinit(&a);
    return rc;
}

int service_def_checks(const struct service_def *def, struct arena *a, struct ptrlist *ret_checks,
                       struct err *err)
{
    void **checks = ARENA_ARRAY(a, void *, def->checks.n + 1);
    size_t n = 0;
    if (def->check != NULL && !check_def_is_empty(def->check)) {
        checks[n++] = def->check;
    }
    for (size_t i = 0; i < def->checks.n; i++) {
        checks[n++] = def->checks.v[i];
    }
    for (size_t i = 0; i < n; i++) {
        int rc = check_def_validate(checks[i], err);
        if (rc < 0) {
            return rc;
        }
    }
    *ret_checks = (struct ptrlist){checks, n};
    return 0;
}

static const char *meta_pair_fault(struct str kind, struct strpair pair, bool allow_consul_prefix)
{
    bool is_key = pair.key.n > 0;
    for (size_t i = 0; i < pair.key.n; i++) {
        char c = pair.key.p[i];
        is_key &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
    }
    if (pair.key.n == 0) {
        return "Key cannot be blank";
    }
    if (!is_key) {
        return "Key contains invalid characters";
    }
    if (pair.key.n > META_KEY_SIZE_MAX) {
        return "Key is too long (limit: 128 characters)";
    }
    if (str_has_prefix(pair.key, META_RESERVED_PREFIX) && !allow_consul_prefix &&
        !(str_eq(kind, SERVICE_KIND_MESH_GATEWAY) && str_eq(pair.key, META_WAN_FEDERATION))) {
        return "Key prefix 'consul-' is reserved for internal use";
    }
    if (pair.value.n > META_VALUE_SIZE_MAX) {
        return "Value is too long (limit: 512 characters)";
    }
    return NULL;
}

static int meta_validate(struct str kind, struct strmap meta, bool allow_consul_prefix,
                         struct err *err)
{
    if (meta.n > META_PAIRS_MAX) {
        return err_set(err, ERR_INVALID,
                       "Node metadata cannot contain more than %u key/value pairs", META_PAIRS_MAX);
    }
    for (size_t i = 0; i < meta.n; i++) {
        const char *why = meta_pair_fault(kind, meta.v[i], allow_consul_prefix);
        if (why != NULL) {
            return err_set(err, ERR_INVALID, "Couldn't load metadata pair ('%.*s', '%.*s'): %s",
                           STRF(meta.v[i].key), STRF(meta.v[i].value), why);
        }
    }
    return 0;
}

int service_meta_validate(struct str kind, struct strmap meta, struct err *err)
{
    return meta_validate(kind, meta, false, err);
}

int node_meta_validate(struct strmap meta, bool allow_consul_prefix, struct err *err)
{
    return meta_validate(STR(""), meta, allow_consul_prefix, err);
}

int weights_validate(const struct weights *weights, struct err *err)
{
    if (weights == NULL) {
        return 0;
    }
    if (weights->passing < 1) {
        return err_set(err, ERR_INVALID, "Passing must be greater than 0");
    }
    if (weights->warning < 0) {
        return err_set(err, ERR_INVALID, "Warning must be greater or equal than 0");
    }
    if (weights->passing > DNS_WEIGHT_MAX || weights->warning > DNS_WEIGHT_MAX) {
        return err_set(err, ERR_INVALID, "DNS Weight must be between 0 and 65535");
    }
    return 0;
}
