/* Service instances: rows of a node and a service id. */
#include "base/err.h"
#include "store/catalog_internal.h"
#include "store/gateway_services.h"
#include "store/mesh_topology.h"

#define META_PAIRS_MAX 64u
#define META_KEY_SIZE_MAX 128u
#define META_VALUE_SIZE_MAX 512u
#define META_RESERVED_PREFIX STR("consul-")
#define META_WAN_FEDERATION STR("consul-wan-federation")

struct service_row *catalog_service_row(const struct store_view *v, struct str node,
                                        struct str service_id)
{
    struct buf b = {0};
    struct service_row *row = store_get(v, INDEX_SERVICES_ID, catalog_key2(&b, node, service_id));
    buf_deinit(&b);
    return row;
}

/* --- checks before writing ------------------------------------------------------------------- */

static bool is_meta_key(struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}

static int check_meta_pair(struct str kind, const struct strpair *pair, struct err *err)
{
    if (pair->key.n == 0) {
        return err_set(err, ERR_INVALID, "Key cannot be blank");
    }
    if (!is_meta_key(pair->key)) {
        return err_set(err, ERR_INVALID, "Key contains invalid characters");
    }
    if (pair->key.n > META_KEY_SIZE_MAX) {
        return err_set(err, ERR_INVALID, "Key is too long (limit: %u characters)",
                       META_KEY_SIZE_MAX);
    }
    if (str_has_prefix(pair->key, META_RESERVED_PREFIX) &&
        !(str_eq(kind, SERVICE_KIND_MESH_GATEWAY) && str_eq(pair->key, META_WAN_FEDERATION))) {
        return err_set(err, ERR_INVALID, "Key prefix '%.*s' is reserved for internal use",
                       STRF(META_RESERVED_PREFIX));
    }
    if (pair->value.n > META_VALUE_SIZE_MAX) {
        return err_set(err, ERR_INVALID, "Value is too long (limit: %u characters)",
                       META_VALUE_SIZE_MAX);
    }
    return 0;
}

static int check_meta(const struct node_service *service, struct err *err)
{
    if (service->meta.n > META_PAIRS_MAX) {
        return err_set(err, ERR_INVALID,
                       "Node metadata cannot contain more than %u key/value pairs", META_PAIRS_MAX);
    }
    for (size_t i = 0; i < service->meta.n; i++) {
        const struct strpair *pair = &service->meta.v[i];
        int r = check_meta_pair(service->kind, pair, err);
        if (r < 0) {
            return err_wrap(err, "Couldn't load metadata pair ('%.*s', '%.*s')", STRF(pair->key),
                            STRF(pair->value));
        }
    }
    return 0;
}

/* Weights that make no sense for DNS count as none given. */
static struct weights effective_weights(const struct weights *w)
{
    if (w == NULL || w->passing < 1 || w->warning < 0 || w->passing > 65535 || w->warning > 65535) {
        return (struct weights){1, 1};
    }
    return *w;
}

static bool same_addresses(struct objmap a, struct objmap b)
{
    if ((a.v == NULL) != (b.v == NULL) || a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        const struct service_address *x = a.v[i].value, *y = b.v[i].value;
        if (!str_eq(a.v[i].key, b.v[i].key) || !str_eq(x->address, y->address) ||
            x->port != y->port) {
            return false;
        }
    }
    return true;
}

/* A change of the socket path alone does not count: 1.10.3 overlooks it, and servers of one
 * cluster have to agree. */
static bool same_service(const struct service_row *row, struct str node,
                         const struct node_service *a, const struct weights *weights)
{
    const struct node_service *b = &row->service;
    return str_eq(node, row->node) && str_eq(a->kind, b->kind) && str_eq(a->id, b->id) &&
           str_eq(a->service, b->service) && catalog_same_list(a->tags, b->tags) &&
           str_eq(a->address, b->address) && a->port == b->port &&
           catalog_same_map(a->meta, b->meta) && weights->passing == b->weights->passing &&
           weights->warning == b->weights->warning &&
           a->enable_tag_override == b->enable_tag_override &&
           same_addresses(a->tagged_addresses, b->tagged_addresses) &&
           schema_equal(&connect_proxy_config_schema, &a->proxy, &b->proxy) &&
           schema_equal(&service_connect_schema, &a->connect, &b->connect);
}

/* --- writing --------------------------------------------------------------------------------- */

int catalog_service_set(struct store_txn *tx, struct str node, const struct node_service *service,
                        unsigned flags, struct err *err)
{
    const struct store_view *v = store_txn_view(tx);
    const uint64_t index = store_txn_raft_index(tx);
    const struct service_row *existing = catalog_service_row(v, node, service->id);

    int r = check_meta(service, err);
    if (r < 0) {
        return err_wrap(err, "Invalid Service Meta for node %.*s and serviceID %.*s", STRF(node),
                        STRF(service->id));
    }
    if (catalog_node(v, node) == NULL) {
        return err_set(err, ERR_FAILED, "Missing node registration");
    }
    gateway_services_add(tx, service);
    mesh_topology_replace(tx, existing != NULL ? &existing->service : NULL, service);

    struct weights weights = effective_weights(service->weights);
    if (existing != NULL && same_service(existing, node, service, &weights)) {
        return 0;
    }
    struct service_row row = {.node = node, .service = *service};
    row.service.weights = &weights;
    row.service.locally_registered_as_sidecar = false;
    if (existing != NULL) {
        row.service.raft = existing->service.raft;
        if (!str_eq(existing->service.service, service->service) ||
            !str_eq(existing->service.kind, service->kind)) {
            /* Only the new name's and kind's indexes move, as in 1.10.3. */
            catalog_note_left(tx, existing->service.service);
        }
    }
    if ((flags & CATALOG_RESTORE) == 0) {
        row.service.raft.modify_index = index;
        if (existing == NULL) {
            row.service.raft.create_index = index;
        }
    }

    struct service_row *copy = schema_clone(&service_row_schema, &row, NULL);
    copy->rendered = NULL;
    uint64_t modified = copy->service.raft.modify_index;
    store_insert(tx, TABLE_SERVICES, copy);
    store_index_raise(tx, STR("services"), modified);
    catalog_raise_service(tx, service->service, modified);
    catalog_raise_kind(tx, service->kind, modified);
    return 0;
}

int catalog_service_cas(struct store_txn *tx, struct str node, const struct node_service *service,
                        struct err *err)
{
    const struct service_row *existing = catalog_service_row(store_txn_view(tx), node, service->id);
    uint64_t want = service->raft.modify_index;
    if (want != (existing != NULL ? existing->service.raft.modify_index : 0)) {
        return 0;
    }
    int r = catalog_service_set(tx, node, service, 0, err);
    return r < 0 ? r : 1;
}

bool catalog_service_delete_cas(struct store_txn *tx, struct str node, struct str service_id,
                                uint64_t index)
{
    const struct service_row *existing = catalog_service_row(store_txn_view(tx), node, service_id);
    if (existing == NULL || existing->service.raft.modify_index != index) {
        return false;
    }
    catalog_service_delete(tx, node, service_id);
    return true;
}

/* The last instance of a name is gone: its index goes too, and readers of the missing service get
 * the extinction's, so that what they see never runs backwards. */
static void service_extinct(struct store_txn *tx, struct str name)
{
    struct buf b = {0};
    buf_lit(&b, "service.");
    buf_str(&b, name);
    store_index_delete(tx, buf_view(&b));
    buf_deinit(&b);
    store_index_set(tx, CATALOG_INDEX_EXTINCTION, store_txn_raft_index(tx));
    catalog_forget_left(tx, name);
}

void catalog_service_delete(struct store_txn *tx, struct str node, struct str service_id)
{
    const struct store_view *v = store_txn_view(tx);
    const uint64_t index = store_txn_raft_index(tx);
    const struct service_row *existing = catalog_service_row(v, node, service_id);
    if (existing == NULL) {
        return;
    }

    struct buf key = {0}, id = {0}, name = {0}, kind = {0};
    struct str of_service = catalog_key2(&key, node, service_id);
    const struct health_check *check;
    while ((check = store_first(v, INDEX_CHECKS_NODE_SERVICE, of_service)) != NULL) {
        buf_clear(&id);
        buf_str(&id, check->check_id);
        catalog_check_delete(tx, node, buf_view(&id));
    }
    store_index_set(tx, STR("checks"), index);

    buf_str(&name, existing->service.service);
    buf_str(&kind, existing->service.kind);
    mesh_topology_replace(tx, &existing->service, NULL);
    store_delete(tx, TABLE_SERVICES, of_service);
    store_index_raise(tx, STR("services"), index);
    catalog_raise_kind(tx, buf_view(&kind), index);
    if (store_first(v, INDEX_SERVICES_SERVICE, catalog_key1(&key, buf_view(&name))) != NULL) {
        catalog_raise_service(tx, buf_view(&name), index);
    } else {
        service_extinct(tx, buf_view(&name));
        gateway_services_forget(tx, buf_view(&name));
    }
    buf_deinit(&key);
    buf_deinit(&id);
    buf_deinit(&name);
    buf_deinit(&kind);
}
