/* Nodes. A node is known by its name; one that also has an ID may change its name, and then takes
 * nothing along: what was registered under the old name is removed. */
#include "base/err.h"
#include "store/catalog_internal.h"
#include "store/coordinate.h"
#include "store/session.h"

struct node *catalog_node(const struct store_view *v, struct str node)
{
    struct buf b = {0};
    struct node *row = store_get(v, INDEX_NODES_ID, catalog_key1(&b, node));
    buf_deinit(&b);
    return row;
}

int catalog_node_by_id(const struct store_view *v, struct str id, struct node **ret_node,
                       struct err *err)
{
    uint8_t key[16];
    int r = catalog_parse_uuid(id, key, err);
    if (r < 0) {
        char reason[ERR_TEXT_SIZE_MAX / 2] = "";
        if (err != NULL) {
            memcpy(reason, err->text, strnlen(err->text, sizeof(reason) - 1));
        }
        return err_set(err, ERR_INVALID, "node lookup by ID failed, wrong UUID: %s for '%.*s'",
                       reason, STRF(id));
    }
    *ret_node = store_get(v, INDEX_NODES_UUID, str_make(key, sizeof(key)));
    return 0;
}

static bool same_node(const struct node *a, const struct node *b)
{
    return str_eq(a->id, b->id) && str_eq(a->node, b->node) && str_eq(a->address, b->address) &&
           str_eq(a->datacenter, b->datacenter) &&
           catalog_same_map(a->tagged_addresses, b->tagged_addresses) &&
           catalog_same_map(a->meta, b->meta);
}

/* A name that belongs to another ID may be taken over only when that node has failed, or never
 * was a member (no serfHealth check), or (may_adopt) has no ID yet. Keys fold case, so the one row
 * under this key is the only candidate. */
static int check_name_is_free(const struct store_view *v, const struct node *node, bool may_adopt,
                              struct err *err)
{
    const struct node *other = catalog_node(v, node->node);
    if (other == NULL || str_eq(node->id, other->id) || (other->id.n == 0 && may_adopt)) {
        return 0;
    }
    const struct health_check *serf = catalog_check(v, other->node, SERF_CHECK_ID);
    if (serf == NULL || str_eq(serf->status, HEALTH_CRITICAL)) {
        return 0;
    }
    return err_set(err, ERR_FAILED, "Node name %.*s is reserved by node %.*s with name %.*s (%.*s)",
                   STRF(node->node), STRF(other->id), STRF(other->node), STRF(other->address));
}

int catalog_node_set(struct store_txn *tx, const struct node *node, unsigned flags, struct err *err)
{
    const uint64_t index = store_txn_raft_index(tx);
    const struct store_view *v = store_txn_view(tx);
    struct node *existing = NULL;
    struct raft_index old = {0};
    bool renamed = false;
    int r;

    if (node->id.n > 0) {
        r = catalog_node_by_id(v, node->id, &existing, err);
        if (r < 0) {
            return err_wrap(err, "node lookup failed");
        }
        if (existing == NULL) {
            r = check_name_is_free(v, node, true, err);
            if (r < 0) {
                return err_wrap(err, "Error while renaming Node ID: \"%.*s\"", STRF(node->id));
            }
        } else if (!str_eq(existing->node, node->node)) {
            r = check_name_is_free(v, node, false, err);
            if (r < 0) {
                return err_wrap(err, "Error while renaming Node ID: \"%.*s\" (%.*s)",
                                STRF(node->id), STRF(node->address));
            }
            /* A rename. The new row keeps the creation index of the old one, whose row is gone
             * after this. */
            old = existing->raft;
            renamed = true;
            struct buf name = {0};
            buf_str(&name, existing->node);
            catalog_node_delete(tx, buf_view(&name));
            buf_deinit(&name);
            existing = NULL;
        }
    }
    if (existing == NULL && !renamed) {
        existing = catalog_node(v, node->node);
    }

    struct node row = *node;
    if (existing != NULL || renamed) {
        if (existing != NULL && same_node(node, existing)) {
            return 0;
        }
        row.raft.create_index = existing != NULL ? existing->raft.create_index : old.create_index;
        row.raft.modify_index = index;
    } else if ((flags & CATALOG_RESTORE) == 0 || node->raft.create_index == 0) {
        /* Snapshots from before 1.9.0 have no indexes for nodes. */
        row.raft.create_index = row.raft.modify_index = index;
    }

    struct node *copy = schema_clone(&node_schema, &row, NULL);
    copy->rendered = NULL;
    store_insert(tx, TABLE_NODES, copy);
    store_index_set(tx, STR("nodes"), index);
    /* Health answers of its services show the node. */
    catalog_raise_node(tx, node->node, index);
    return 0;
}

int catalog_node_cas(struct store_txn *tx, const struct node *node, struct err *err)
{
    const struct node *existing = catalog_node(store_txn_view(tx), node->node);
    uint64_t want = node->raft.modify_index;
    if (want != (existing != NULL ? existing->raft.modify_index : 0)) {
        return 0;
    }
    int r = catalog_node_set(tx, node, 0, err);
    return r < 0 ? r : 1;
}

bool catalog_node_delete_cas(struct store_txn *tx, struct str node, uint64_t index)
{
    const struct node *existing = catalog_node(store_txn_view(tx), node);
    if (existing == NULL || existing->raft.modify_index != index) {
        return false;
    }
    catalog_node_delete(tx, node);
    return true;
}

void catalog_node_delete(struct store_txn *tx, struct str node)
{
    const struct store_view *v = store_txn_view(tx);
    const uint64_t index = store_txn_raft_index(tx);
    if (catalog_node(v, node) == NULL) {
        return;
    }

    /* Always the first of what is left: deleting changes the tree one would iterate over. */
    struct buf prefix = {0}, id = {0};
    struct str of_node = catalog_key1(&prefix, node);
    const struct service_row *service;
    while ((service = store_first(v, INDEX_SERVICES_ID, of_node)) != NULL) {
        buf_clear(&id);
        buf_str(&id, service->service.id);
        catalog_service_delete(tx, node, buf_view(&id));
    }
    const struct health_check *check;
    while ((check = store_first(v, INDEX_CHECKS_ID, of_node)) != NULL) {
        buf_clear(&id);
        buf_str(&id, check->check_id);
        catalog_check_delete(tx, node, buf_view(&id));
    }
    coordinate_delete_node(tx, node);
    store_delete(tx, TABLE_NODES, of_node);
    store_index_set(tx, STR("nodes"), index);
    session_invalidate_for_node(tx, index, node);
    buf_deinit(&prefix);
    buf_deinit(&id);
}
