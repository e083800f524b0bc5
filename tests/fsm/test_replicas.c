/* Two servers that apply the same entries have the same state, also when one of them starts from a
 * snapshot somewhere on the way: nothing that later entries depend on is missing from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/epoch.h"
#include "base/mem.h"
#include "fsm/fsm.h"
#include "fsm/snapshot.h"
#include "schema/connect_ca.h"
#include "schema/coordinate.h"
#include "schema/msgpack.h"
#include "schema/prepared_query.h"
#include "store/lock_delay.h"
#include "store/store.h"

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((rng_state >> 33) % below);
}

struct replica {
    struct epoch *epoch;
    struct store *store;
    struct lock_delay *delays;
    struct fsm *fsm;
};

static void replica_init(struct replica *r)
{
    r->epoch = epoch_new();
    r->store = store_new(r->epoch);
    r->delays = lock_delay_new();
    r->fsm = fsm_new(r->store, r->delays);
}

static void replica_deinit(struct replica *r)
{
    fsm_free(r->fsm);
    store_free(r->store);
    lock_delay_free(r->delays);
    epoch_free(r->epoch);
}

static int append(void *data, struct str chunk)
{
    buf_str(data, chunk);
    return 0;
}

static struct str snapshot(const struct replica *r)
{
    struct buf b = {0};
    struct err err = {0};
    assert_int_equal(snapshot_write(store_view(r->store), append, &b, &err), 0);
    return buf_take(&b);
}

/* --- random requests over few names, so that they meet ---------------------------------------- */

/* Of the table as it is, so that compare-and-set succeeds at times. */
static uint64_t ca_roots_index;

static struct str pick(struct arena *a, const char *stem, uint32_t of)
{
    return arena_printf(a, "%s%u", rng(8) == 0 ? "X" : stem, rng(of));
}

static struct str pick_session(struct arena *a)
{
    return arena_printf(a, "%08u-2222-3333-4444-555555555555", rng(4));
}

static struct dir_entry pick_entry(struct arena *a)
{
    static const char *const keys[] = {"a", "a/", "a/b", "a/b/c", "b", "lock/1", "lock/2", "a/c"};
    return (struct dir_entry){
        .key = str_from_cstr(keys[rng(ARRAY_SIZE(keys))]),
        .value = pick(a, "v", 3),
        .flags = rng(2),
        .session = rng(2) ? pick_session(a) : STR_NULL,
        .raft.modify_index = rng(300),
    };
}

static struct str pick_kv_verb(void)
{
    static const char *const verbs[] = {"set",  "set",    "cas",        "lock",        "lock",
                                        "lock", "unlock", "delete-cas", "delete-tree", "delete"};
    return str_from_cstr(verbs[rng(ARRAY_SIZE(verbs))]);
}

static struct node pick_node(struct arena *a)
{
    struct strpair *meta = ARENA_NEW(a, struct strpair);
    *meta = (struct strpair){STR("rack"), pick(a, "r", 2)};
    return (struct node){.node = pick(a, "node", 3),
                         .address = pick(a, "10.0.0.", 3),
                         .meta = {.v = meta, .n = rng(2)}};
}

static struct node_service *pick_service(struct arena *a)
{
    struct node_service *s = ARENA_NEW(a, struct node_service);
    struct str *tag = ARENA_NEW(a, struct str);
    *tag = pick(a, "tag", 3);
    s->id = pick(a, "id", 3);
    s->service = pick(a, "svc", 3);
    s->tags = (struct strlist){tag, rng(2)};
    s->port = rng(3);
    if (rng(4) == 0) {
        s->kind = SERVICE_KIND_CONNECT_PROXY;
        s->proxy.destination_service_name = pick(a, "svc", 3);
    }
    return s;
}

static struct health_check *pick_check(struct arena *a)
{
    static const char *const statuses[] = {"passing", "warning", "critical", "passing"};
    struct health_check *c = ARENA_NEW(a, struct health_check);
    c->node = pick(a, "node", 3);
    c->check_id = pick(a, "check", 3);
    c->status = str_from_cstr(statuses[rng(4)]);
    c->service_id = rng(2) ? pick(a, "id", 3) : STR_NULL;
    return c;
}

static void encode(struct buf *to, unsigned type, const struct schema *schema, const void *object)
{
    buf_byte(to, (uint8_t)type);
    msgpack_object(to, schema, object);
}

static void encode_txn(struct buf *to, struct arena *a)
{
    struct txn_op *ops = ARENA_ARRAY(a, struct txn_op, 3);
    size_t n = 1 + rng(3);
    for (size_t i = 0; i < n; i++) {
        switch (rng(4)) {
        case 0:
            ops[i].node = ARENA_NEW(a, struct txn_node_op);
            *ops[i].node = (struct txn_node_op){.verb = rng(3) ? STR("set") : STR("delete"),
                                                .node = pick_node(a)};
            break;
        case 1:
            ops[i].service = ARENA_NEW(a, struct txn_service_op);
            *ops[i].service = (struct txn_service_op){.verb = rng(3) ? STR("set") : STR("delete"),
                                                      .node = pick(a, "node", 3),
                                                      .service = *pick_service(a)};
            break;
        default:
            ops[i].kv = ARENA_NEW(a, struct txn_kv_op);
            *ops[i].kv = (struct txn_kv_op){.verb = pick_kv_verb(), .dir_ent = pick_entry(a)};
            break;
        }
    }
    struct txn_request req = {.ops = {.v = ops, .n = n}};
    encode(to, FSM_TXN, &txn_request_schema, &req);
}

static void encode_ca(struct buf *to, struct arena *a)
{
    static const char *const ops[] = {"set-roots",
                                      "set-roots",
                                      "set-config",
                                      "set-provider-state",
                                      "set-roots-config",
                                      "delete-provider-state",
                                      "increment-provider-serial",
                                      "increment-provider-serial"};
    struct ca_root roots[2];
    void *list[] = {&roots[0], &roots[1]};
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        schema_zero(&ca_root_schema, &roots[i]);
        roots[i].id = pick(a, "aa:b", 3);
        roots[i].active = i == 0 || rng(8) == 0;
    }
    struct ca_configuration config = {.cluster_id = rng(2) ? pick(a, "id", 2) : STR_NULL,
                                      .provider = CA_PROVIDER_CONSUL,
                                      .raft.modify_index = rng(2) ? rng(300) : 0};
    struct ca_provider_state state = {.id = rng(8) ? pick(a, "bb:c", 3) : STR_NULL,
                                      .root_cert = pick(a, "cert", 3)};
    struct ca_request req = {
        .op = str_from_cstr(ops[rng(ARRAY_SIZE(ops))]),
        .index = rng(4) ? ca_roots_index : rng(300),
        .roots = {list, 1 + rng(2)},
        .config = &config,
        .provider_state = &state,
    };
    encode(to, FSM_CONNECT_CA, &ca_request_schema, &req);
}

static void encode_query(struct buf *to, struct arena *a)
{
    static const char *const ops[] = {"create", "update", "delete"};
    static const char *const services[] = {"web", "${name.full}", "${match(1)}", "${bad"};
    struct prepared_query query = {
        .id = arena_printf(a, "0000000%u-2222-3333-4444-555555555555", rng(4)),
        .name = rng(3) ? pick(a, "query", 3) : STR_NULL,
        .session = rng(2) ? pick_session(a) : STR_NULL,
        .template_.type = rng(2) ? QUERY_TEMPLATE_NAME_PREFIX_MATCH : STR_NULL,
        .service.service = str_from_cstr(services[rng(4)]),
    };
    struct prepared_query_request req = {.op = str_from_cstr(ops[rng(3)]), .query = &query};
    encode(to, FSM_PREPARED_QUERY, &prepared_query_request_schema, &req);
}

static void encode_random(struct buf *to, struct arena *a)
{
    switch (rng(12)) {
    case 0:
    case 1:
    case 2: {
        struct node n = pick_node(a);
        struct register_request req = {.node = n.node, .address = n.address, .node_meta = n.meta};
        req.service = rng(2) ? pick_service(a) : NULL;
        req.check = rng(2) ? pick_check(a) : NULL;
        if (req.check != NULL) {
            req.check->node = n.node;
        }
        encode(to, FSM_REGISTER, &register_request_schema, &req);
        break;
    }
    case 3: {
        struct deregister_request req = {.node = pick(a, "node", 3)};
        uint32_t what = rng(5);
        req.service_id = what < 2 ? pick(a, "id", 3) : STR_NULL;
        req.check_id = what > 2 ? pick(a, "check", 3) : STR_NULL;
        encode(to, FSM_DEREGISTER, &deregister_request_schema, &req);
        break;
    }
    case 4:
    case 5: {
        struct str *check = ARENA_NEW(a, struct str);
        *check = pick(a, "check", 3);
        struct session_request req = {.op = rng(4) ? STR("create") : STR("destroy"),
                                      .session = {.id = pick_session(a),
                                                  .node = pick(a, "node", 3),
                                                  .behavior = rng(2) ? SESSION_DELETE : STR_NULL,
                                                  .lock_delay = rng(2) * INT64_C(1000000000),
                                                  .node_checks = {check, rng(2)}}};
        encode(to, FSM_SESSION, &session_request_schema, &req);
        break;
    }
    case 6: {
        encode_txn(to, a);
        break;
    }
    case 11: {
        encode_query(to, a);
        break;
    }
    case 10: {
        encode_ca(to, a);
        break;
    }
    case 7: {
        static double vec[COORDINATE_DIMENSIONS];
        vec[0] = rng(10) / 10.0;
        struct coordinate coord = {.vec = {vec, COORDINATE_DIMENSIONS}, .error = 1.5};
        struct node_coordinate c = {.node = pick(a, "node", 3), .coord = &coord};
        buf_byte(to, FSM_COORDINATE_BATCH_UPDATE);
        msgpack_array(to, 1);
        msgpack_object(to, &node_coordinate_schema, &c);
        break;
    }
    default: {
        struct kvs_request req = {.op = pick_kv_verb(), .dir_ent = pick_entry(a)};
        if (rng(40) == 0) {
            struct tombstone_request reap = {.op = STR("reap"), .reap_index = rng(300)};
            encode(to, FSM_TOMBSTONE, &tombstone_request_schema, &reap);
            break;
        }
        encode(to, FSM_KVS, &kvs_request_schema, &req);
        break;
    }
    }
}

static struct fsm_result apply(struct replica *r, uint64_t index, struct str entry, struct arena *a)
{
    struct fsm_result result;
    assert_int_equal(fsm_apply(r->fsm, index, entry, index * 10, a, &result), 0);
    return result;
}

static void check_same_result(const struct fsm_result *x, const struct fsm_result *y)
{
    assert_int_equal(x->kind, y->kind);
    assert_int_equal(x->b, y->b);
    assert_int_equal(x->u, y->u);
    assert_true(str_eq(x->s, y->s));
    assert_true(str_eq(x->text, y->text));
    if (x->kind == FSM_RESULT_TXN) {
        assert_true(schema_equal(&txn_response_schema, x->txn, y->txn));
    }
}

static void run(uint64_t seed)
{
    rng_state = seed;
    struct replica one, two;
    struct arena a = {0};
    struct buf entry = {0};
    struct err err = {0};
    bool kinds[FSM_RESULT_KINDS] = {0};
    replica_init(&one);
    replica_init(&two);
    for (uint64_t index = 1; index <= 300; index++) {
        buf_clear(&entry);
        ca_roots_index = store_index(store_view(one.store), STR("connect-ca-roots"));
        encode_random(&entry, &a);
        struct fsm_result x = apply(&one, index, buf_view(&entry), &a);
        struct fsm_result y = apply(&two, index, buf_view(&entry), &a);
        check_same_result(&x, &y);
        kinds[x.kind] = true;
        arena_reset(&a);
        if (rng(25) == 0) {
            /* The second starts anew. */
            struct str bytes = snapshot(&one);
            replica_deinit(&two);
            replica_init(&two);
            if (snapshot_restore(two.store, bytes, &err) < 0) {
                fail_msg("seed %ju: %s", (uintmax_t)seed, err_text(&err));
            }
            mem_free((void *)bytes.p);
        }
        struct str p = snapshot(&one), q = snapshot(&two);
        if (!str_eq(p, q)) {
            fail_msg("seed %ju: apart after entry %ju", (uintmax_t)seed, (uintmax_t)index);
        }
        mem_free((void *)p.p);
        mem_free((void *)q.p);
        assert_true(store_is_consistent(store_view(one.store)));
        assert_true(store_is_consistent(store_view(two.store)));
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        assert_true(kinds[i]); /* the requests were not all refused, nor all accepted */
    }
    replica_deinit(&one);
    replica_deinit(&two);
    buf_deinit(&entry);
    arena_deinit(&a);
}

static void test_same_state(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_state)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
