/* Log entries: what they do, what they answer, and what is refused. */
#include "fsm/fsm.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/epoch.h"
#include "base/mem.h"
#include "schema/coordinate.h"
#include "schema/kv.h"
#include "schema/msgpack.h"
#include "store/autopilot.h"
#include "store/catalog.h"
#include "store/kv.h"
#include "store/lock_delay.h"
#include "store/session.h"

#define SESSION_A STR("11111111-2222-3333-4444-555555555555")

struct fixture {
    struct epoch *epoch;
    struct store *store;
    struct lock_delay *lock_delay;
    struct fsm *fsm;
    struct arena arena;
    uint64_t index;
    uint64_t tombstone;
};

static void on_tombstone(void *data, uint64_t index)
{
    ((struct fixture *)data)->tombstone = index;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->epoch = epoch_new();
    f->store = store_new(f->epoch);
    f->lock_delay = lock_delay_new();
    f->fsm = fsm_new(f->store, f->lock_delay);
    fsm_set_tombstone_hint(f->fsm, on_tombstone, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fsm_free(f->fsm);
    store_free(f->store);
    lock_delay_free(f->lock_delay);
    epoch_free(f->epoch);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

/* Encode and apply; the encoding is freed, so that answers must not point into it. */
static struct fsm_result apply(struct fixture *f, unsigned type, const struct schema *schema,
                               const void *object)
{
    struct buf entry = {0};
    struct fsm_result result;
    buf_byte(&entry, (uint8_t)type);
    msgpack_object(&entry, schema, object);
    assert_int_equal(fsm_apply(f->fsm, ++f->index, buf_view(&entry), 1000, &f->arena, &result), 0);
    buf_deinit(&entry);
    return result;
}

static struct fsm_result kv(struct fixture *f, struct str op, struct dir_entry e)
{
    return apply(f, FSM_KVS, &kvs_request_schema, &(struct kvs_request){.op = op, .dir_ent = e});
}

static void check_bool(struct fsm_result r, bool b)
{
    assert_int_equal(r.kind, FSM_RESULT_BOOL);
    assert_int_equal(r.b, b);
}

static void check_error(struct fsm_result r, const char *text)
{
    assert_int_equal(r.kind, FSM_RESULT_ERROR);
    assert_true(r.code > 0);
    assert_string_equal(r.text.p, text);
}

static void register_node(struct fixture *f)
{
    struct health_check check = {
        .node = STR("n1"), .check_id = STR("alive"), .status = HEALTH_PASSING};
    struct register_request req = {.node = STR("n1"), .address = STR("127.0.0.1"), .check = &check};
    assert_int_equal(apply(f, FSM_REGISTER, &register_request_schema, &req).kind, FSM_RESULT_NONE);
}

static void test_kvs(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(kv(f, KV_SET, (struct dir_entry){.key = STR("k"), .value = STR("v")}).kind,
                     FSM_RESULT_NONE);
    struct dir_entry cas = {.key = STR("k"), .value = STR("w"), .raft.modify_index = 9};
    check_bool(kv(f, KV_CAS, cas), false);
    cas.raft.modify_index = 1;
    check_bool(kv(f, KV_CAS, cas), true);
    check_bool(kv(f, KV_DELETE_CAS, cas), false);
    assert_int_equal(f->tombstone, 0);
    assert_int_equal(kv(f, KV_DELETE, cas).kind, FSM_RESULT_NONE);
    assert_int_equal(f->tombstone, f->index);
    assert_int_equal(store_view(f->store)->last_index, f->index);
    struct dir_entry lock = {.key = STR("l")};
    check_error(kv(f, KV_LOCK, lock), "missing session");
    lock.session = SESSION_A;
    check_error(kv(f, KV_LOCK, lock), "invalid session \"11111111-2222-3333-4444-555555555555\"");
    check_bool(kv(f, KV_UNLOCK, lock), false);
    check_error(kv(f, STR("flip"), lock), "Invalid KVS operation 'flip'");
    for (int i = 0; i < 3; i++) {
        char key[3] = {'t', '/', (char)('a' + i)};
        (void)kv(f, KV_SET, (struct dir_entry){.key = str_make(key, 3)});
    }
    assert_int_equal(kv(f, KV_DELETE_TREE, (struct dir_entry){.key = STR("t/")}).kind,
                     FSM_RESULT_NONE);
    assert_int_equal(store_view(f->store)->trees[INDEX_KVS_ID].count, 0);
    assert_int_equal(store_view(f->store)->trees[INDEX_TOMBSTONES_ID].count, 2);
    struct tombstone_request reap = {.op = STR("reap"), .reap_index = f->index};
    assert_int_equal(apply(f, FSM_TOMBSTONE, &tombstone_request_schema, &reap).kind,
                     FSM_RESULT_NONE);
    assert_int_equal(store_view(f->store)->trees[INDEX_TOMBSTONES_ID].count, 0);
    reap.op = STR("sow");
    check_error(apply(f, FSM_TOMBSTONE, &tombstone_request_schema, &reap),
                "Invalid Tombstone operation 'sow'");
}

static void test_sessions_and_catalog(void **state)
{
    struct fixture *f = *state;
    struct str check = STR("alive");
    struct session_request req = {.op = STR("create"),
                                  .session = {.id = SESSION_A,
                                              .node = STR("n1"),
                                              .lock_delay = 15000000000,
                                              .node_checks = {&check, 1}}};
    check_error(apply(f, FSM_SESSION, &session_request_schema, &req), "Missing node registration");
    register_node(f);
    struct fsm_result r = apply(f, FSM_SESSION, &session_request_schema, &req);
    assert_int_equal(r.kind, FSM_RESULT_STR);
    assert_true(str_eq(r.s, SESSION_A));
    check_bool(kv(f, KV_LOCK, (struct dir_entry){.key = STR("l"), .session = SESSION_A}), true);

    /* The check goes, the session falls, the lock is released, the key protected for a while. */
    struct deregister_request gone = {.node = STR("n1"), .check_id = STR("alive")};
    assert_int_equal(apply(f, FSM_DEREGISTER, &deregister_request_schema, &gone).kind,
                     FSM_RESULT_NONE);
    const struct dir_entry *e;
    (void)kv_get(store_view(f->store), NULL, STR("l"), &e);
    assert_int_equal(e->session.n, 0);
    assert_int_equal(lock_delay_left_ms(f->lock_delay, STR("l"), 2000), 14000);
    assert_int_equal(store_view(f->store)->trees[INDEX_SESSIONS_ID].count, 0);

    struct node_coordinate c = {.node = STR("n1")};
    double vec[COORDINATE_DIMENSIONS] = {0.5};
    struct coordinate coord = {.vec = {vec, COORDINATE_DIMENSIONS}};
    c.coord = &coord;
    struct buf entry = {0};
    buf_byte(&entry, FSM_COORDINATE_BATCH_UPDATE);
    msgpack_array(&entry, 1);
    msgpack_object(&entry, &node_coordinate_schema, &c);
    assert_int_equal(fsm_apply(f->fsm, ++f->index, buf_view(&entry), 0, &f->arena, &r), 0);
    assert_int_equal(r.kind, FSM_RESULT_NONE);
    assert_int_equal(store_view(f->store)->trees[INDEX_COORDINATES_ID].count, 1);
    buf_deinit(&entry);

    req = (struct session_request){.op = STR("destroy"), .session.id = SESSION_A};
    assert_int_equal(apply(f, FSM_SESSION, &session_request_schema, &req).kind, FSM_RESULT_NONE);
    req.op = STR("renew");
    check_error(apply(f, FSM_SESSION, &session_request_schema, &req),
                "Invalid Session operation 'renew'");
}

static struct fsm_result txn(struct fixture *f, struct txn_op *ops, size_t n)
{
    struct txn_request req = {.ops = {.v = ops, .n = n}};
    return apply(f, FSM_TXN, &txn_request_schema, &req);
}

static void test_txn(void **state)
{
    struct fixture *f = *state;
    struct txn_kv_op set = {.verb = KV_SET, .dir_ent = {.key = STR("k"), .value = STR("v")}};
    struct txn_kv_op get = {.verb = KV_GET, .dir_ent = {.key = STR("k")}};
    struct txn_kv_op tree = {.verb = KV_GET_TREE, .dir_ent = {.key = STR("")}};
    struct txn_node_op node = {.verb = STR("set"),
                               .node = {.node = STR("n2"), .address = STR("127.0.0.2")}};
    struct txn_op ops[] = {{.kv = &set}, {.kv = &get}, {.kv = &tree}, {.node = &node}};
    struct fsm_result r = txn(f, ops, ARRAY_SIZE(ops));
    assert_int_equal(r.kind, FSM_RESULT_TXN);
    assert_int_equal(r.txn->errors.n, 0);
    assert_null(r.txn->errors.v);
    const struct txn_result *results = r.txn->results.v;
    assert_int_equal(r.txn->results.n, 4);
    assert_null(results[0].kv->value.p);
    assert_int_equal(results[0].kv->raft.modify_index, f->index);
    assert_true(str_eq_lit(results[1].kv->value, "v"));
    assert_true(str_eq_lit(results[2].kv->key, "k"));
    assert_true(str_eq_lit(results[3].node->node, "n2"));

    /* One failure undoes all, and all failures are told. */
    set.dir_ent.value = STR("w");
    struct txn_kv_op missing = {.verb = KV_GET, .dir_ent = {.key = STR("a\"b")}};
    struct txn_kv_op bogus = {.verb = STR("bogus")};
    struct txn_kv_op stale = {.verb = KV_CHECK_INDEX,
                              .dir_ent = {.key = STR("k"), .raft.modify_index = 77}};
    struct txn_session_op session = {.verb = STR("delete"), .session.id = SESSION_A};
    struct txn_op failing[] = {{.kv = &missing}, {.kv = &set}, {.kv = &bogus},
                               {.kv = &stale},   {.kv = NULL}, {.session = &session}};
    uint64_t was = f->index;
    r = txn(f, failing, ARRAY_SIZE(failing));
    assert_int_equal(r.kind, FSM_RESULT_TXN);
    assert_null(r.txn->results.v);
    static const struct {
        int64_t index;
        const char *text;
    } expected[] = {
        {0, "key \"a\\\"b\" doesn't exist"},
        {2, "unknown KV verb \"bogus\""},
        /* The set before it went through, within the transaction. */
        {3, "failed index check for key \"k\", current modify index 2 != 77"},
        {4, "no operation specified"},
        {5, "failed to delete session: failed deleting session: not found"},
    };
    const struct txn_error *errors = r.txn->errors.v;
    assert_int_equal(r.txn->errors.n, ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        assert_int_equal(errors[i].op_index, expected[i].index);
        assert_string_equal(errors[i].what.p, expected[i].text);
    }
    const struct dir_entry *e;
    (void)kv_get(store_view(f->store), NULL, STR("k"), &e);
    assert_true(str_eq_lit(e->value, "v"));
    assert_int_equal(store_view(f->store)->last_index, was);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    struct fsm_result r;
    static const struct {
        struct str entry;
        int code;
    } cases[] = {
        {STR_INIT(""), -ERR_CORRUPT},
        {STR_INIT("\x02"), -ERR_CORRUPT},
        {STR_INIT("\x02\xc1"), -ERR_CORRUPT},
        {STR_INIT("\x02\x81\xa2Op\x93\x01"), -ERR_CORRUPT},
        {STR_INIT("\x06\xdd\xff\xff\xff\xff"), -ERR_CORRUPT},
        {STR_INIT("\x0a\x80"), -ERR_UNSUPPORTED}, /* areas are not of this edition */
        {STR_INIT("\x63\x80"), -ERR_UNSUPPORTED},
        {STR_INIT("\xe3\x80"), 0}, /* unknown, but may be passed over */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int code = fsm_apply(f->fsm, 1, cases[i].entry, 0, &f->arena, &r);
        assert_int_equal(code, cases[i].code);
        assert_int_equal(r.kind, code == 0 ? FSM_RESULT_NONE : FSM_RESULT_ERROR);
    }
    assert_int_equal(store_view(f->store)->last_index, 0);
    assert_string_equal(fsm_message_name(FSM_KVS | FSM_IGNORE_UNKNOWN), "KVS");
    assert_null(fsm_message_name(99));
}

static struct fsm_result autopilot(struct fixture *f, uint64_t logs, bool cas, uint64_t index)
{
    struct autopilot_set_config_request req = {
        .config = {.max_trailing_logs = logs, .raft.modify_index = index}, .cas = cas};
    return apply(f, FSM_AUTOPILOT, &autopilot_set_config_request_schema, &req);
}

static void test_autopilot(void **state)
{
    struct fixture *f = *state;
    check_bool(autopilot(f, 1, true, 0), false); /* none is there to compare with */
    assert_null(autopilot_config_get(store_view(f->store)));
    assert_int_equal(autopilot(f, 250, false, 0).kind, FSM_RESULT_NONE);
    uint64_t created = f->index;
    check_bool(autopilot(f, 7, true, created + 1), false);
    assert_int_equal(autopilot_config_get(store_view(f->store))->max_trailing_logs, 250);
    check_bool(autopilot(f, 7, true, created), true);
    const struct autopilot_config *c = autopilot_config_get(store_view(f->store));
    assert_int_equal(c->max_trailing_logs, 7);
    assert_int_equal(c->raft.create_index, created);
    assert_int_equal(c->raft.modify_index, f->index);
}

static void on_applied(void *data, enum fsm_message type, struct str op)
{
    buf_printf(data, "%u %.*s;", (unsigned)type, STRF(op));
}

static void test_listener_is_told_of_what_was_understood(void **state)
{
    struct fixture *f = *state;
    struct buf told = {0};
    fsm_set_applied(f->fsm, on_applied, &told);
    register_node(f);
    (void)kv(f, KV_SET, (struct dir_entry){.key = STR("k")});
    assert_int_equal(kv(f, STR("odd"), (struct dir_entry){.key = STR("k")}).kind, FSM_RESULT_ERROR);
    struct fsm_result result;
    assert_true(fsm_apply(f->fsm, ++f->index, STR("\x02garbage"), 1, &f->arena, &result) < 0);
    assert_int_equal(autopilot(f, 250, false, 0).kind, FSM_RESULT_NONE);
    assert_true(str_eq_lit(buf_view(&told), "0 ;2 set;2 odd;9 ;"));
    buf_deinit(&told);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_kvs),       T(test_sessions_and_catalog),
        T(test_txn),       T(test_refused),
        T(test_autopilot), T(test_listener_is_told_of_what_was_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
