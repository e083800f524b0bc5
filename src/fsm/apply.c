/* Entries of the catalog, keys, sessions, coordinates and transactions: decode, apply, answer. */
#include "base/vec.h"
#include "fsm/internal.h"
#include "schema/coordinate.h"
#include "schema/kv.h"
#include "schema/msgpack.h"
#include "schema/session.h"
#include "store/catalog.h"
#include "store/coordinate.h"
#include "store/kv.h"
#include "store/session.h"
#include "store/txn.h"

static void answer_bool(struct apply *ap, bool b)
{
    *ap->result = (struct fsm_result){.kind = FSM_RESULT_BOOL, .b = b};
}

int fsm_apply_register(struct apply *ap)
{
    struct register_request req = {0};
    int r = fsm_decode(ap, &register_request_schema, &req);
    return r < 0 ? r : catalog_register(ap->tx, &req, 0, ap->err);
}

int fsm_apply_deregister(struct apply *ap)
{
    struct deregister_request req = {0};
    int r = fsm_decode(ap, &deregister_request_schema, &req);
    return r < 0 ? r : catalog_deregister(ap->tx, &req, ap->err);
}

int fsm_apply_kvs(struct apply *ap)
{
    struct kvs_request req = {0};
    int r = fsm_decode(ap, &kvs_request_schema, &req);
    if (r < 0) {
        return r;
    }
    ap->op = req.op;
    struct dir_entry *e = &req.dir_ent;
    if (e->key.n > TREE_KEY_SIZE_MAX) {
        return err_set(ap->err, ERR_TOO_LARGE, "key of %zu bytes is over the maximum of %u",
                       e->key.n, TREE_KEY_SIZE_MAX);
    }
    if (str_eq(req.op, KV_SET)) {
        kv_set(ap->tx, e);
    } else if (str_eq(req.op, KV_DELETE)) {
        kv_delete(ap->tx, e->key);
    } else if (str_eq(req.op, KV_DELETE_TREE)) {
        kv_delete_tree(ap->tx, e->key);
    } else if (str_eq(req.op, KV_DELETE_CAS)) {
        answer_bool(ap, kv_delete_cas(ap->tx, e->key, e->raft.modify_index));
    } else if (str_eq(req.op, KV_CAS)) {
        answer_bool(ap, kv_cas(ap->tx, e));
    } else if (str_eq(req.op, KV_LOCK) || str_eq(req.op, KV_UNLOCK)) {
        r = str_eq(req.op, KV_LOCK) ? kv_lock(ap->tx, e, ap->err) : kv_unlock(ap->tx, e, ap->err);
        if (r < 0) {
            return r;
        }
        answer_bool(ap, r > 0);
    } else {
        return err_set(ap->err, ERR_FAILED, "Invalid KVS operation '%.*s'", STRF(req.op));
    }
    return 0;
}

int fsm_apply_session(struct apply *ap)
{
    struct session_request req = {0};
    int r = fsm_decode(ap, &session_request_schema, &req);
    if (r < 0) {
        return r;
    }
    ap->op = req.op;
    if (str_eq_lit(req.op, "create")) {
        r = session_create(ap->tx, &req.session, ap->err);
        if (r == 0) {
            *ap->result = (struct fsm_result){.kind = FSM_RESULT_STR,
                                              .s = arena_str(ap->arena, req.session.id)};
        }
        return r;
    }
    if (str_eq_lit(req.op, "destroy")) {
        return session_destroy(ap->tx, req.session.id, ap->err);
    }
    return err_set(ap->err, ERR_FAILED, "Invalid Session operation '%.*s'", STRF(req.op));
}

int fsm_apply_tombstone(struct apply *ap)
{
    struct tombstone_request req = {0};
    int r = fsm_decode(ap, &tombstone_request_schema, &req);
    if (r < 0) {
        return r;
    }
    ap->op = req.op;
    if (!str_eq_lit(req.op, "reap")) {
        return err_set(ap->err, ERR_FAILED, "Invalid Tombstone operation '%.*s'", STRF(req.op));
    }
    kv_reap_tombstones(ap->tx, req.reap_index);
    return 0;
}

int fsm_apply_coordinates(struct apply *ap)
{
    VEC(struct node_coordinate) updates = {0};
    size_t count = msgpack_read_array(ap->body);
    for (size_t i = 0; i < count; i++) {
        struct node_coordinate c = {0};
        int r = fsm_decode(ap, &node_coordinate_schema, &c);
        if (r < 0) {
            return r;
        }
        avec_push(ap->arena, &updates, c);
    }
    if (ap->body->failed) {
        return err_set(ap->err, ERR_CORRUPT, "failed to decode batch updates");
    }
    coordinate_update(ap->tx, updates.v, updates.n);
    return 0;
}

int fsm_apply_txn(struct apply *ap)
{
    struct txn_request req = {0};
    int r = fsm_decode(ap, &txn_request_schema, &req);
    if (r < 0) {
        return r;
    }
    struct txn_response *answer = ARENA_NEW(ap->arena, struct txn_response);
    bool all = txn_apply(ap->tx, &req.ops, ap->arena, answer);
    *ap->result = (struct fsm_result){.kind = FSM_RESULT_TXN, .txn = answer};
    return all ? 0 : -ERR_FAILED;
}
