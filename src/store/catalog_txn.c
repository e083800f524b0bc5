/* The catalog's operations of a transaction: verbs, results, and the words of their failures. */
#include "base/err.h"
#include "store/catalog_internal.h"

static int unknown_verb(const char *kind, struct str verb, struct err *err)
{
    return err_set(err, ERR_FAILED, "unknown %s verb \"%.*s\"", kind, STRF(verb));
}

/* A read-only transaction knows nothing but get. */
static bool may(const struct store_txn *tx, struct str verb, const char *name)
{
    return tx != NULL && str_eq(verb, str_from_cstr(name));
}

/* 1.10.3 forgets why a compare-and-set of a node or a check was refused and goes on as if it had
 * been done. The servers of a cluster have to agree on which transactions succeed. */
static int swallow(int r, struct err *err)
{
    if (r < 0 && err != NULL) {
        err_clear(err);
    }
    return r < 0 ? 1 : r;
}

/* Of a service or a check: `doing` is "set" or "delete". */
static int stale(const char *doing, const char *kind, struct str id, struct str node,
                 struct err *err)
{
    return err_set(err, ERR_FAILED, "failed to %s %s \"%.*s\" on node \"%.*s\", index is stale",
                   doing, kind, STRF(id), STRF(node));
}

int catalog_txn_node(const struct store_view *v, struct store_txn *tx, const struct txn_node_op *op,
                     struct arena *a, struct txn_result *ret_result, struct err *err)
{
    const struct node *node = &op->node;
    const bool is_get = str_eq_lit(op->verb, "get");
    int r;
    v = tx != NULL ? store_txn_view(tx) : v;
    if (is_get) {
        r = 0;
    } else if (may(tx, op->verb, "set")) {
        r = catalog_node_set(tx, node, 0, err);
    } else if (may(tx, op->verb, "cas")) {
        r = swallow(catalog_node_cas(tx, node, err), err);
        if (r == 0) {
            r = err_set(err, ERR_FAILED, "failed to set node \"%.*s\", index is stale",
                        STRF(node->node));
        }
    } else if (may(tx, op->verb, "delete")) {
        catalog_node_delete(tx, node->node);
        return 0;
    } else if (may(tx, op->verb, "delete-cas")) {
        return catalog_node_delete_cas(tx, node->node, node->raft.modify_index)
                   ? 0
                   : err_set(err, ERR_FAILED, "failed to delete node \"%.*s\", index is stale",
                             STRF(node->node));
    } else {
        r = unknown_verb("Node", op->verb, err);
    }
    if (r < 0) {
        return r;
    }

    struct node *row = NULL;
    if (node->id.n > 0) {
        r = catalog_node_by_id(v, node->id, &row, err);
        if (r < 0) {
            return r;
        }
    } else {
        row = catalog_node(v, node->node);
    }
    if (row == NULL && !is_get) {
        return 0;
    }
    if (row == NULL) {
        return err_set(err, ERR_FAILED, "node \"%.*s\" doesn't exist", STRF(node->node));
    }
    *ret_result = (struct txn_result){.node = schema_copy(a, &node_schema, row)};
    return 1;
}

int catalog_txn_service(const struct store_view *v, struct store_txn *tx,
                        const struct txn_service_op *op, struct arena *a,
                        struct txn_result *ret_result, struct err *err)
{
    const struct node_service *service = &op->service;
    int r;
    v = tx != NULL ? store_txn_view(tx) : v;
    if (str_eq_lit(op->verb, "get")) {
        r = 0;
    } else if (may(tx, op->verb, "set")) {
        r = catalog_service_set(tx, op->node, service, 0, err);
    } else if (may(tx, op->verb, "cas")) {
        r = catalog_service_cas(tx, op->node, service, err);
        if (r == 0) {
            r = stale("set", "service", service->id, op->node, err);
        }
    } else if (may(tx, op->verb, "delete")) {
        catalog_service_delete(tx, op->node, service->id);
        return 0;
    } else if (may(tx, op->verb, "delete-cas")) {
        return catalog_service_delete_cas(tx, op->node, service->id, service->raft.modify_index)
                   ? 0
                   : stale("delete", "service", service->id, op->node, err);
    } else {
        r = unknown_verb("Service", op->verb, err);
    }
    if (r < 0) {
        return r;
    }
    const struct service_row *row = catalog_service_row(v, op->node, service->id);
    if (row == NULL) {
        return err_set(err, ERR_FAILED, "service \"%.*s\" on node \"%.*s\" doesn't exist",
                       STRF(service->id), STRF(op->node));
    }
    *ret_result =
        (struct txn_result){.service = schema_copy(a, &node_service_schema, &row->service)};
    return 1;
}

int catalog_txn_check(const struct store_view *v, struct store_txn *tx,
                      const struct txn_check_op *op, struct arena *a, struct txn_result *ret_result,
                      struct err *err)
{
    const struct health_check *check = &op->check;
    const bool is_get = str_eq_lit(op->verb, "get");
    int r;
    v = tx != NULL ? store_txn_view(tx) : v;
    if (is_get) {
        r = 0;
    } else if (may(tx, op->verb, "set")) {
        r = catalog_check_set(tx, check, 0, err);
    } else if (may(tx, op->verb, "cas")) {
        r = swallow(catalog_check_cas(tx, check, err), err);
        if (r == 0) {
            r = stale("set", "check", check->check_id, check->node, err);
        }
    } else if (may(tx, op->verb, "delete")) {
        catalog_check_delete(tx, check->node, check->check_id);
        return 0;
    } else if (may(tx, op->verb, "delete-cas")) {
        return catalog_check_delete_cas(tx, check->node, check->check_id, check->raft.modify_index)
                   ? 0
                   : stale("delete", "check", check->check_id, check->node, err);
    } else {
        r = unknown_verb("Check", op->verb, err);
    }
    if (r < 0) {
        return r;
    }
    const struct health_check *row = catalog_check(v, check->node, check->check_id);
    if (row == NULL && !is_get) {
        return 0;
    }
    if (row == NULL) {
        return err_set(err, ERR_FAILED, "check \"%.*s\" on node \"%.*s\" doesn't exist",
                       STRF(check->check_id), STRF(check->node));
    }
    *ret_result = (struct txn_result){.check = schema_copy(a, &health_check_schema, row)};
    return 1;
}
