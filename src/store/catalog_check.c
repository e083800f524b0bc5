/* Health checks: rows of a node and a check id, about the node itself or about one of its
 * services. */
#include "base/err.h"
#include "store/catalog_internal.h"
#include "store/session.h"

struct health_check *catalog_check(const struct store_view *v, struct str node, struct str check_id)
{
    struct buf b = {0};
    struct health_check *row = store_get(v, INDEX_CHECKS_ID, catalog_key2(&b, node, check_id));
    buf_deinit(&b);
    return row;
}

/* Type, interval, timeout and exposed port are not looked at: a check that differs in them alone
 * is not written, as in 1.10.3. */
static bool same_check(const struct health_check *a, const struct health_check *b)
{
    return str_eq(a->node, b->node) && str_eq(a->check_id, b->check_id) &&
           str_eq(a->name, b->name) && str_eq(a->status, b->status) && str_eq(a->notes, b->notes) &&
           str_eq(a->output, b->output) && str_eq(a->service_id, b->service_id) &&
           str_eq(a->service_name, b->service_name) &&
           catalog_same_list(a->service_tags, b->service_tags) &&
           schema_equal(&health_check_definition_schema, &a->definition, &b->definition);
}

int catalog_check_set(struct store_txn *tx, const struct health_check *check, unsigned flags,
                      struct err *err)
{
    const struct store_view *v = store_txn_view(tx);
    const uint64_t index = store_txn_raft_index(tx);
    if (check->node.n == 0 || check->check_id.n == 0) {
        return err_set(
            err, ERR_FAILED,
            "failed health check lookup: index error: object is missing a value for this "
            "index");
    }
    const struct health_check *existing = catalog_check(v, check->node, check->check_id);

    struct health_check row = *check;
    row.rendered = NULL;
    if (existing != NULL) {
        row.raft = existing->raft;
    } else if ((flags & CATALOG_RESTORE) == 0) {
        row.raft.create_index = index;
    }
    if (row.status.n == 0) {
        row.status = HEALTH_CRITICAL;
    }
    if (catalog_node(v, check->node) == NULL) {
        return err_set(err, ERR_FAILED, "Missing node registration");
    }

    const struct service_row *service = NULL;
    if (row.service_id.n > 0) {
        service = catalog_service_row(v, row.node, row.service_id);
        if (service == NULL) {
            return err_set(err, ERR_FAILED, "Missing service registration");
        }
        /* A snapshot's is kept as it is: it may be of before the service got another name, and who
         * restores must end with what those have who did not. */
        if ((flags & CATALOG_RESTORE) == 0 || row.service_name.n == 0) {
            row.service_name = service->service.service;
            row.service_tags = service->service.tags;
        }
    }
    bool modified = existing == NULL || !same_check(existing, &row);
    if (existing != NULL && !str_eq(existing->service_id, row.service_id)) {
        /* Of what it was about before no index moves, as in 1.10.3. */
        store_era_begin(tx);
    }
    if (modified && service != NULL) {
        catalog_raise_service(tx, service->service.service, index);
        catalog_raise_kind(tx, service->service.kind, index);
    } else if (modified) {
        catalog_raise_node(tx, row.node, index);
    }

    if (existing != NULL && !str_eq_fold(existing->service_id, row.service_id)) {
        if (existing->service_id.n > 0) {
            catalog_note_left(tx, existing->service_name);
        } else {
            catalog_note_left_node(tx, row.node);
        }
    }

    /* Sessions that depend on the check do not survive its failure, not even one that was known. */
    if (str_eq(row.status, HEALTH_CRITICAL)) {
        session_invalidate_for_check(tx, index, row.node, row.check_id);
    }
    if (!modified) {
        return 0;
    }
    if ((flags & CATALOG_RESTORE) == 0) {
        row.raft.modify_index = index;
    }
    struct health_check *copy = schema_clone(&health_check_schema, &row, NULL);
    copy->rendered = NULL;
    store_insert(tx, TABLE_CHECKS, copy);
    store_index_set(tx, STR("checks"), index);
    return 0;
}

int catalog_check_cas(struct store_txn *tx, const struct health_check *check, struct err *err)
{
    const struct health_check *existing =
        catalog_check(store_txn_view(tx), check->node, check->check_id);
    uint64_t want = check->raft.modify_index;
    if (want != (existing != NULL ? existing->raft.modify_index : 0)) {
        return 0;
    }
    int r = catalog_check_set(tx, check, 0, err);
    return r < 0 ? r : 1;
}

bool catalog_check_delete_cas(struct store_txn *tx, struct str node, struct str check_id,
                              uint64_t index)
{
    const struct health_check *existing = catalog_check(store_txn_view(tx), node, check_id);
    if (existing == NULL || existing->raft.modify_index != index) {
        return false;
    }
    catalog_check_delete(tx, node, check_id);
    return true;
}

void catalog_check_delete(struct store_txn *tx, struct str node, struct str check_id)
{
    const struct store_view *v = store_txn_view(tx);
    const uint64_t index = store_txn_raft_index(tx);
    const struct health_check *existing = catalog_check(v, node, check_id);
    if (existing == NULL) {
        return;
    }
    if (existing->service_id.n > 0) {
        const struct service_row *service =
            catalog_service_row(v, existing->node, existing->service_id);
        catalog_raise_service(tx, existing->service_name, index);
        if (service != NULL && !str_eq_fold(existing->service_name, service->service.service)) {
            catalog_note_left(tx, service->service.service); /* renamed since */
        }
        if (service != NULL) {
            catalog_raise_kind(tx, service->service.kind, index);
            if (!str_eq(service->service.service, existing->service_name)) {
                /* Since the check was written the instance has taken another name. */
                store_era_begin(tx);
            }
        }
    } else {
        catalog_raise_node(tx, existing->node, index);
        store_index_raise(tx, STR("services"), index);
    }
    struct buf key = {0};
    store_delete(tx, TABLE_CHECKS, catalog_key2(&key, node, check_id));
    buf_deinit(&key);
    store_index_set(tx, STR("checks"), index);
    session_invalidate_for_check(tx, index, node, check_id);
}
