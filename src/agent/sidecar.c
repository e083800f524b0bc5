/* connect { sidecar_service {} }: sugar for a proxy registered beside its service, which shares its
 * tags and metadata, gets a port from a range, and has two checks unless it brings its own. */
#include "agent/service.h"
#include "base/clock.h"
#include "base/map.h"

#define SIDECAR_CHECK_INTERVAL_NS (int64_t)(10 * NS_PER_SEC)

static int find_port(struct agent *a, struct node_service *sidecar, struct err *err)
{
    int64_t min = conf(a)->ports.sidecar_min, max = conf(a)->ports.sidecar_max;
    if (min > 0 && max - min + 1 > 0) {
        /* It keeps the port it has; else the first that no service of ours uses. */
        struct arena arena = {0};
        size_t count = (size_t)(max - min + 1);
        bool *used = ARENA_ARRAY(&arena, bool, count);
        size_t at = 0;
        struct str key;
        void *value;
        while (sidecar->port < 1 && map_next(&a->local->services, &at, &key, &value)) {
            const struct service_entry *e = value;
            if (e->row == NULL || e->row->service.port < min || e->row->service.port > max) {
                continue;
            }
            if (str_eq(e->id, sidecar->id)) {
                sidecar->port = e->row->service.port;
            } else {
                used[e->row->service.port - min] = true;
            }
        }
        for (size_t i = 0; sidecar->port < 1 && i < count; i++) {
            if (!used[i]) {
                sidecar->port = min + (int64_t)i;
            }
        }
        arena_deinit(&arena);
    }
    if (sidecar->port >= 1) {
        return 0;
    }
    if (min < 1 || max < 1) {
        return err_set(err, ERR_BAD_REQUEST,
                       "no port provided for sidecar_service and auto-assignment disabled in "
                       "config");
    }
    return err_set(err, ERR_BAD_REQUEST,
                   "no port provided for sidecar_service and none left in the configured range "
                   "[%lld, %lld]",
                   (long long)min, (long long)max);
}

static void fill_proxy(struct node_service *sidecar, const struct node_service *parent)
{
    struct connect_proxy_config *proxy = &sidecar->proxy;
    if (proxy->destination_service_name.n == 0) {
        proxy->destination_service_name = parent->service;
    }
    if (proxy->destination_service_id.n == 0) {
        proxy->destination_service_id = parent->id;
    }
    if (proxy->local_service_socket_path.n > 0 ||
        (proxy->local_service_address.n > 0 && proxy->local_service_port >= 1)) {
        return;
    }
    if (parent->socket_path.n > 0) {
        proxy->local_service_socket_path = parent->socket_path;
        return;
    }
    if (proxy->local_service_address.n == 0) {
        proxy->local_service_address = STR("127.0.0.1");
    }
    if (proxy->local_service_port < 1) {
        proxy->local_service_port = parent->port;
    }
}

static struct ptrlist default_checks(const struct node_service *sidecar,
                                     const struct node_service *parent, struct arena *arena)
{
    struct str address = sidecar->proxy.local_service_address;
    bool is_ipv6 = str_find_byte(address, ':') >= 0;
    struct check_def *defs = ARENA_ARRAY(arena, struct check_def, 2);
    defs[0].name = STR("Connect Sidecar Listening");
    defs[0].tcp = arena_printf(arena, is_ipv6 ? "[%.*s]:%lld" : "%.*s:%lld", STRF(address),
                               (long long)sidecar->port);
    defs[0].interval = SIDECAR_CHECK_INTERVAL_NS;
    defs[1].name = arena_printf(arena, "Connect Sidecar Aliasing %.*s", STRF(parent->id));
    defs[1].alias_service = parent->id;
    void **v = ARENA_ARRAY(arena, void *, 2);
    v[0] = &defs[0];
    v[1] = &defs[1];
    return (struct ptrlist){v, 2};
}

int sidecar_from_service(struct agent *a, const struct service_def *def,
                         const struct node_service *parent, struct str token, struct arena *arena,
                         struct node_service **ret_sidecar, struct ptrlist *ret_checks,
                         struct str *ret_token, struct err *err)
{
    *ret_sidecar = NULL;
    if (def->connect == NULL || def->connect->sidecar_service == NULL) {
        return 0;
    }
    const struct service_def *given = def->connect->sidecar_service;
    struct node_service *sidecar = ARENA_NEW(arena, struct node_service);
    service_def_to_node_service(given, arena, sidecar);
    sidecar->id = arena_printf(arena, "%.*s" SIDECAR_SUFFIX, STRF(parent->id));
    int rc = 0;
    if (sidecar->meta.v != NULL) {
        rc = service_meta_validate(sidecar->kind, sidecar->meta, err);
    }
    if (sidecar->meta.n == 0 && parent->meta.n > 0) {
        sidecar->meta = parent->meta;
    }
    if (sidecar->tags.n == 0 && parent->tags.n > 0) {
        sidecar->tags = parent->tags;
    }
    sidecar->locally_registered_as_sidecar = true;
    *ret_token = given->token.n > 0 ? given->token : token;
    if (sidecar->kind.n == 0) {
        sidecar->kind = SERVICE_KIND_CONNECT_PROXY;
    }
    if (sidecar->service.n == 0) {
        sidecar->service = arena_printf(arena, "%.*s" SIDECAR_SUFFIX, STRF(parent->service));
    }
    if (sidecar->address.n == 0) {
        sidecar->address = parent->address;
    }
    fill_proxy(sidecar, parent);
    rc = rc < 0 ? rc : find_port(a, sidecar, err);
    rc = rc < 0 ? rc : service_def_checks(given, arena, ret_checks, err);
    if (rc < 0) {
        return rc;
    }
    if (ret_checks->n == 0) {
        *ret_checks = default_checks(sidecar, parent, arena);
    }
    *ret_sidecar = sidecar;
    return 0;
}
