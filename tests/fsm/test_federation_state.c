/* Log entries and snapshot records of federation states. (test_recorded.c has one of a real
 * cluster.) */
#include "store/federation_state.h"

#include "fsm_fixture.h"

#include "fsm/snapshot.h"
#include "schema/msgpack.h"

static void apply(struct machine *m, struct str op, struct federation_state *s)
{
    struct buf b = {0};
    struct federation_state_request req = {.datacenter = STR("dc1"), .op = op, .state = s};
    buf_byte(&b, FSM_FEDERATION_STATE);
    msgpack_object(&b, &federation_state_request_schema, &req);
    assert_ok(fsm_apply(m->fsm, ++m->index, buf_view(&b), 0, &m->arena, &m->result));
    buf_deinit(&b);
}

static const struct federation_state *get(const struct machine *m, struct str datacenter)
{
    return federation_state_get(store_view(m->store), datacenter);
}

static uint64_t table_index(const struct machine *m)
{
    return store_index(store_view(m->store), STR("federation-states"));
}

static int append(void *data, struct str chunk)
{
    buf_str(data, chunk);
    return 0;
}

static void test_entries(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m);
    struct federation_state dc1 = {.datacenter = STR("DC1"), .updated_at = 1600000000000000000},
                            dc2 = {.datacenter = STR("dc2"), .primary_modify_index = 7};
    apply(&m, FEDERATION_STATE_UPSERT, &dc1);
    assert_int_equal(m.result.kind, FSM_RESULT_BOOL);
    assert_true(m.result.b);
    apply(&m, FEDERATION_STATE_UPSERT, &dc2);
    apply(&m, FEDERATION_STATE_UPSERT, &dc1);
    assert_int_equal(get(&m, STR("dc1"))->raft.create_index, 11);
    assert_int_equal(get(&m, STR("dc1"))->raft.modify_index, 13);
    assert_int_equal(get(&m, STR("dc1"))->primary_modify_index, 13);
    assert_int_equal(get(&m, STR("dc1"))->updated_at, 1600000000000000000);
    assert_int_equal(get(&m, STR("dc2"))->primary_modify_index, 7);
    assert_int_equal(table_index(&m), 13);

    apply(&m, STR("bogus"), &dc1);
    assert_str_lit(m.result.text, "invalid federation state operation type: bogus");
    dc1.datacenter = STR("");
    apply(&m, FEDERATION_STATE_UPSERT, &dc1);
    assert_str_lit(m.result.text, "missing datacenter on federation state");
    apply(&m, FEDERATION_STATE_UPSERT, NULL);
    assert_str_lit(m.result.text, "missing datacenter on federation state");
    assert_int_equal(table_index(&m), 13);

    dc1.datacenter = STR("dc3");
    apply(&m, FEDERATION_STATE_DELETE, &dc1); /* there is none */
    assert_int_equal(m.result.kind, FSM_RESULT_NONE);
    assert_int_equal(table_index(&m), 13);
    apply(&m, FEDERATION_STATE_DELETE, &dc2);
    assert_null(get(&m, STR("dc2")));
    assert_int_equal(table_index(&m), m.index);
    machine_deinit(&m);
}

/* With a gateway, which brings its node and its checks. */
static void test_snapshot(void **state)
{
    (void)state;
    struct machine m, again;
    machine_init(&m);
    machine_init(&again);
    struct node node = {.node = STR("n"), .address = STR("10.0.0.1")};
    struct node_service service = {.id = STR("gw"), .service = STR("gw"), .port = 443};
    struct health_check check = {.node = STR("n"), .check_id = STR("c"), .status = STR("passing")};
    void *checks[] = {&check};
    struct check_service_node gateway = {.node = &node, .service = &service, .checks = {checks, 1}};
    struct federation_state dc1 = {.datacenter = STR("dc1"), .mesh_gateways = {&gateway, 1}};
    apply(&m, FEDERATION_STATE_UPSERT, &dc1);

    struct buf first = {0}, second = {0};
    struct err err = {0};
    assert_ok(snapshot_write(store_view(m.store), append, &first, &err));
    assert_ok(snapshot_restore(again.store, buf_view(&first), &err));
    const struct federation_state *s = get(&again, STR("dc1"));
    assert_int_equal(s->raft.modify_index, 11);
    assert_int_equal(s->mesh_gateways.n, 1);
    const struct check_service_node *back = s->mesh_gateways.v;
    assert_str_lit(back->node->address, "10.0.0.1");
    assert_int_equal(back->service->port, 443);
    assert_int_equal(back->checks.n, 1);
    assert_int_equal(table_index(&again), 11);
    assert_ok(snapshot_write(store_view(again.store), append, &second, &err));
    assert_str_equal(buf_view(&second), buf_view(&first));

    buf_clear(&first); /* a record without a state is refused */
    msgpack_map(&first, 0);
    buf_byte(&first, FSM_FEDERATION_STATE);
    msgpack_map(&first, 0);
    assert_true(snapshot_restore(again.store, buf_view(&first), &err) < 0);
    assert_non_null(get(&again, STR("dc1")));
    buf_deinit(&first);
    buf_deinit(&second);
    machine_deinit(&m);
    machine_deinit(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_entries),
                                       cmocka_unit_test(test_snapshot)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
