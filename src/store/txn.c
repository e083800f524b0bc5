#include "store/txn.h"

#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"
#include "store/catalog.h"
#include "store/kv.h"
#include "store/session.h"

struct run {
    const struct store_view *v;
    struct store_txn *tx; /* NULL: read-only */
    struct arena *a;
    VEC(struct txn_result) results;
    VEC(struct txn_error) errors;
};

static struct str quote(struct run *run, struct str s)
{
    struct buf quoted = {0};
    go_quote(&quoted, s);
    struct str copy = arena_str(run->a, buf_view(&quoted));
    buf_deinit(&quoted);
    return copy;
}

/* --- keys ----------------------------------------------------------------------------------- */

enum kv_verb {
    VERB_GET,
    VERB_GET_TREE,
    VERB_CHECK_SESSION,
    VERB_CHECK_INDEX,
    VERB_CHECK_NOT_EXISTS,
    VERB_SET, /* from here on they write */
    VERB_CAS,
    VERB_LOCK,
    VERB_UNLOCK,
    VERB_DELETE,
    VERB_DELETE_CAS,
    VERB_DELETE_TREE,
    VERB_UNKNOWN,
};

static enum kv_verb kv_verb_parse(struct str verb)
{
    static const struct str names[] = {
        [VERB_GET] = STR_INIT("get"),
        [VERB_GET_TREE] = STR_INIT("get-tree"),
        [VERB_CHECK_SESSION] = STR_INIT("check-session"),
        [VERB_CHECK_INDEX] = STR_INIT("check-index"),
        [VERB_CHECK_NOT_EXISTS] = STR_INIT("check-not-exists"),
        [VERB_SET] = STR_INIT("set"),
        [VERB_CAS] = STR_INIT("cas"),
        [VERB_LOCK] = STR_INIT("lock"),
        [VERB_UNLOCK] = STR_INIT("unlock"),
        [VERB_DELETE] = STR_INIT("delete"),
        [VERB_DELETE_CAS] = STR_INIT("delete-cas"),
        [VERB_DELETE_TREE] = STR_INIT("delete-tree"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (str_eq(verb, names[i])) {
            return (enum kv_verb)i;
        }
    }
    return VERB_UNKNOWN;
}

/* An entry as result. In a transaction that writes, a row may be gone by the time the answer is
 * rendered: it is copied. All but the reading verbs leave the value out. */
static void kv_result(struct run *run, const struct dir_entry *e, bool with_value)
{
    struct dir_entry *copy = (struct dir_entry *)e;
    if (run->tx != NULL || !with_value) {
        struct dir_entry shown = *e;
        if (!with_value) {
            shown.value = STR_NULL;
        }
        copy = schema_copy(run->a, &dir_entry_schema, &shown);
    }
    avec_push(run->a, &run->results, ((struct txn_result){.kv = copy}));
}

static int kv_check(struct run *run, enum kv_verb verb, const struct dir_entry *wanted,
                    struct err *err)
{
    bool session = verb == VERB_CHECK_SESSION;
    const struct dir_entry *e;
    (void)kv_get(run->v, NULL, wanted->key, &e);
    struct str key = quote(run, wanted->key);
    if (e == NULL) {
        return err_set(err, ERR_FAILED, "failed to check %s, key %.*s doesn't exist",
                       session ? "session" : "index", STRF(key));
    }
    if (session && !str_eq(e->session, wanted->session)) {
        struct str current = quote(run, e->session);
        struct str other = quote(run, wanted->session);
        return err_set(err, ERR_FAILED,
                       "failed session check for key %.*s, current session %.*s != %.*s", STRF(key),
                       STRF(current), STRF(other));
    }
    if (!session && e->raft.modify_index != wanted->raft.modify_index) {
        return err_set(
            err, ERR_FAILED, "failed index check for key %.*s, current modify index %ju != %ju",
            STRF(key), (uintmax_t)e->raft.modify_index, (uintmax_t)wanted->raft.modify_index);
    }
    kv_result(run, e, false);
    return 0;
}

static int kv_read(struct run *run, enum kv_verb verb, const struct dir_entry *wanted,
                   struct err *err)
{
    const struct dir_entry *e;
    switch (verb) {
    case VERB_GET_TREE: {
        struct ptrlist entries;
        (void)kv_list(run->v, NULL, run->a, wanted->key, &entries);
        for (size_t i = 0; i < entries.n; i++) {
            kv_result(run, entries.v[i], true);
        }
        return 0;
    }
    case VERB_CHECK_SESSION:
    case VERB_CHECK_INDEX:
        return kv_check(run, verb, wanted, err);
    default: {
        (void)kv_get(run->v, NULL, wanted->key, &e);
        struct str key = quote(run, wanted->key);
        if (verb == VERB_CHECK_NOT_EXISTS) {
            return e == NULL ? 0 : err_set(err, ERR_FAILED, "key %.*s exists", STRF(key));
        }
        if (e == NULL) {
            return err_set(err, ERR_FAILED, "key %.*s doesn't exist", STRF(key));
        }
        kv_result(run, e, true);
        return 0;
    }
    }
}

static int kv_write(struct run *run, enum kv_verb verb, const struct dir_entry *wanted,
                    struct err *err)
{
    struct dir_entry e = *wanted;
    const char *stale = NULL;
    int r = 1;
    switch (verb) {
    case VERB_SET:
        kv_set(run->tx, &e);
        break;
    case VERB_CAS:
        r = kv_cas(run->tx, &e);
        stale = "failed to set key %.*s, index is stale";
        break;
    case VERB_LOCK:
        r = kv_lock(run->tx, &e, err);
        stale = "failed to lock key %.*s, lock is already held";
        break;
    case VERB_UNLOCK:
        r = kv_unlock(run->tx, &e, err);
        stale = "failed to unlock key %.*s, lock isn't held, or is held by another session";
        break;
    case VERB_DELETE:
        kv_delete(run->tx, e.key);
        return 0;
    case VERB_DELETE_TREE:
        kv_delete_tree(run->tx, e.key);
        return 0;
    default: /* VERB_DELETE_CAS */
        if (kv_delete_cas(run->tx, e.key, e.raft.modify_index)) {
            return 0;
        }
        r = 0;
        stale = "failed to delete key %.*s, index is stale";
        break;
    }
    if (r == 0) {
        struct str key = quote(run, e.key);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        return err_set(err, ERR_FAILED, stale, STRF(key));
#pragma GCC diagnostic pop
    }
    if (r > 0) {
        kv_result(run, &e, false);
        r = 0;
    }
    return r;
}

static int run_kv(struct run *run, const struct txn_kv_op *op, struct err *err)
{
    enum kv_verb verb = kv_verb_parse(op->verb);
    if (verb == VERB_UNKNOWN) {
        struct str name = quote(run, op->verb);
        return err_set(err, ERR_FAILED, "unknown KV verb %.*s", STRF(name));
    }
    if (verb < VERB_SET) {
        return kv_read(run, verb, &op->dir_ent, err);
    }
    if (run->tx == NULL) {
        return err_set(err, ERR_FAILED, "cannot %.*s in a read-only transaction", STRF(op->verb));
    }
    return kv_write(run, verb, &op->dir_ent, err);
}

/* --- sessions ------------------------------------------------------------------------------- */

/* Odd but Consul's: the session alone goes; its locks and checks stay. */
static int run_session(struct run *run, const struct txn_session_op *op, struct err *err)
{
    const struct session *row;
    int r;
    if (!str_eq_lit(op->verb, "delete")) {
        struct str name = quote(run, op->verb);
        return err_set(err, ERR_FAILED, "failed to delete session: unknown Session verb %.*s",
                       STRF(name));
    }
    if (run->tx == NULL) {
        return err_set(err, ERR_FAILED, "cannot delete in a read-only transaction");
    }
    r = session_find(run->v, op->session.id, &row, err);
    if (r < 0) {
        return r;
    }
    if (row == NULL) {
        return err_set(err, ERR_FAILED,
                       "failed to delete session: failed deleting session: not found");
    }
    session_delete_row(run->tx, row->id);
    return 0;
}

/* --- all ------------------------------------------------------------------------------------ */

static int run_op(struct run *run, const struct txn_op *op, struct err *err)
{
    struct txn_result result = {0};
    int r;
    if (op->kv != NULL) {
        return run_kv(run, op->kv, err);
    }
    if (op->session != NULL) {
        return run_session(run, op->session, err);
    }
    if (op->node != NULL) {
        r = catalog_txn_node(run->v, run->tx, op->node, run->a, &result, err);
    } else if (op->service != NULL) {
        r = catalog_txn_service(run->v, run->tx, op->service, run->a, &result, err);
    } else if (op->check != NULL) {
        r = catalog_txn_check(run->v, run->tx, op->check, run->a, &result, err);
    } else {
        r = err_set(err, ERR_FAILED, "no operation specified");
    }
    if (r > 0) {
        avec_push(run->a, &run->results, result);
    }
    return r;
}

static bool run_all(struct run *run, const struct objlist *ops, struct txn_response *ret_answer)
{
    const struct txn_op *op = ops->v;
    for (size_t i = 0; i < ops->n; i++) {
        struct err err = {0};
        if (run_op(run, &op[i], &err) < 0) {
            struct txn_error e = {.op_index = (int64_t)i,
                                  .what = arena_str(run->a, str_from_cstr(err_text(&err)))};
            avec_push(run->a, &run->errors, e);
        }
    }
    if (run->errors.n > 0) {
        *ret_answer = (struct txn_response){.errors = {.v = run->errors.v, .n = run->errors.n}};
        return false;
    }
    void *results = run->results.n > 0 ? (void *)run->results.v : SCHEMA_EMPTY;
    *ret_answer = (struct txn_response){.results = {.v = results, .n = run->results.n}};
    return true;
}

bool txn_apply(struct store_txn *tx, const struct objlist *ops, struct arena *a,
               struct txn_response *ret_answer)
{
    struct run run = {.v = store_txn_view(tx), .tx = tx, .a = a};
    return run_all(&run, ops, ret_answer);
}

bool txn_read(const struct store_view *v, const struct objlist *ops, struct arena *a,
              struct txn_response *ret_answer)
{
    struct run run = {.v = v, .a = a};
    return run_all(&run, ops, ret_answer);
}

bool txn_op_writes(const struct txn_op *op)
{
    if (op->kv != NULL) {
        enum kv_verb verb = kv_verb_parse(op->kv->verb);
        return verb >= VERB_SET && verb != VERB_UNKNOWN;
    }
    if (op->node != NULL) {
        return !str_eq_lit(op->node->verb, "get");
    }
    if (op->service != NULL) {
        return !str_eq_lit(op->service->verb, "get");
    }
    if (op->check != NULL) {
        return !str_eq_lit(op->check->verb, "get");
    }
    return true;
}
