/* From a member's status to the catalog and Raft's configuration, step by step: the steps are
 * carried out on a store and a configuration, and put down as a line. */
#include "test.h"

#include "base/buf.h"
#include "base/epoch.h"
#include "base/mem.h"
#include "member_make.h"
#include "raft/configuration.h"
#include "server/reconcile.h"
#include "store/catalog.h"

#define MEMBERS_MAX 8
#define STEPS_MAX 10

struct world {
    struct epoch *epoch;
    struct store *store;
    uint64_t index;
    struct raft_configuration configuration;
    struct member members[MEMBERS_MAX];
    const struct member *listed[MEMBERS_MAX];
    size_t count;
    struct arena arena;
    struct buf out;
};

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    w->epoch = epoch_new();
    w->store = store_new(w->epoch);
    w->index = 10;
    buf_init(&w->out, 65536);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    store_free(w->store);
    epoch_free(w->epoch);
    buf_deinit(&w->out);
    arena_deinit(&w->arena);
    mem_free(w);
    return 0;
}

static void member_add(struct world *w, int n, enum member_status status,
                       const struct extra_tag *extra, size_t extra_count)
{
    w->members[w->count++] = member_make(&w->arena, n, status, extra, extra_count);
}

static void voter_add(struct world *w, const char *id, const char *address)
{
    struct err err = {0};
    assert_ok(raft_configuration_add(&w->configuration, RAFT_VOTER, str_from_cstr(id),
                                     str_from_cstr(address), &err));
}

static struct reconcile_input input(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        w->listed[i] = &w->members[i];
    }
    return (struct reconcile_input){
        .datacenter = STR("dc1"),
        .self = STR("s1"),
        .view = store_view(w->store),
        .configuration = &w->configuration,
        .members = w->listed,
        .count = w->count,
    };
}

static void step_say(struct world *w, const struct reconcile_step *s)
{
    static const char *const changes[] = {"add-voter", "add-nonvoter", "demote", "remove"};
    if (w->out.n > 0 && s->kind != RECONCILE_NOTHING) {
        buf_str(&w->out, STR("; "));
    }
    switch (s->kind) {
    case RECONCILE_REFUSED:
        buf_printf(&w->out, "refused");
        break;
    case RECONCILE_RAFT_CHANGE:
        buf_printf(&w->out, "%s %.*s %.*s", changes[s->change], STRF(s->id), STRF(s->address));
        break;
    case RECONCILE_REGISTER:
        buf_printf(&w->out, "register %.*s %.*s%s%s", STRF(s->registration.node),
                   STRF(s->registration.check->status),
                   s->registration.service != NULL ? " with service" : "",
                   s->registration.skip_node_update ? ", node as it is" : "");
        break;
    case RECONCILE_DEREGISTER:
        buf_printf(&w->out, "deregister");
        break;
    case RECONCILE_NOTHING:
        break;
    }
}

static void step_do(struct world *w, const struct member *m, const struct reconcile_step *s)
{
    struct err err = {0};
    if (s->kind == RECONCILE_RAFT_CHANGE) {
        assert_ok(raft_configuration_change(&w->configuration, (enum raft_change)s->change, s->id,
                                            s->address, &w->configuration, &err));
        return;
    }
    struct store_txn *tx = store_txn_begin(w->store, ++w->index);
    if (s->kind == RECONCILE_REGISTER) {
        struct register_request r = s->registration;
        r.id = STR(""); /* those of the tests are short, not UUIDs */
        assert_ok(catalog_register(tx, &r, 0, &err));
    } else {
        const struct deregister_request r = {.datacenter = STR("dc1"), .node = m->name};
        assert_ok(catalog_deregister(tx, &r, &err));
    }
    store_txn_commit(tx);
}

/* All steps until nothing is left, as a line. */
static struct str settle_as(struct world *w, const struct member *m, bool is_reaped)
{
    struct reconcile_step step;
    buf_clear(&w->out);
    for (int i = 0;; i++) {
        assert_true(i < STEPS_MAX);
        struct reconcile_input in = input(w);
        if (is_reaped) {
            reconcile_next_reaped(&in, m, &w->arena, &step);
        } else {
            reconcile_next(&in, m, &w->arena, &step);
        }
        step_say(w, &step);
        if (step.kind == RECONCILE_NOTHING || step.kind == RECONCILE_REFUSED) {
            return buf_view(&w->out);
        }
        step_do(w, m, &step);
    }
}

static struct str settle(struct world *w, size_t at)
{
    return settle_as(w, &w->members[at], false);
}

static void test_leader_and_a_new_server(void **state)
{
    struct world *w = *state;
    voter_add(w, "id1", "10.0.0.1:8300");
    member_add(w, 1, MEMBER_ALIVE, NULL, 0);
    member_add(w, 2, MEMBER_ALIVE, NULL, 0);
    assert_false(reconcile_is_registered(store_view(w->store), &w->members[0]));
    assert_str_lit(settle(w, 0), "register s1 passing with service, node as it is");
    assert_true(reconcile_is_registered(store_view(w->store), &w->members[0]));
    assert_str_lit(
        settle(w, 1),
        "add-nonvoter id2 10.0.0.2:8300; register s2 passing with service, node as it is");
    assert_str_lit(settle(w, 0), "");
    assert_str_lit(settle(w, 1), "");
    assert_false(raft_configuration_is_voter(&w->configuration, STR("id2")));
}

static void test_failure_and_return(void **state)
{
    struct world *w = *state;
    voter_add(w, "id1", "10.0.0.1:8300");
    voter_add(w, "id2", "10.0.0.2:8300");
    member_add(w, 2, MEMBER_FAILED, NULL, 0);
    assert_str_lit(settle(w, 0), ""); /* not in the catalog: ignored */
    w->members[0].status = MEMBER_ALIVE;
    assert_str_lit(settle(w, 0), "register s2 passing with service, node as it is");
    w->members[0].status = MEMBER_FAILED;
    assert_str_lit(settle(w, 0), "register s2 critical, node as it is");
    assert_str_lit(settle(w, 0), "");
    w->members[0].status = MEMBER_LEAVING;
    assert_str_lit(settle(w, 0), "");
    w->members[0].status = MEMBER_ALIVE;
    assert_str_lit(settle(w, 0), "register s2 passing with service, node as it is");
    assert_int_equal(w->configuration.count, 2);
}

static void test_leaving(void **state)
{
    struct world *w = *state;
    voter_add(w, "id1", "10.0.0.1:8300");
    voter_add(w, "id2", "10.0.0.2:8300");
    member_add(w, 2, MEMBER_ALIVE, NULL, 0);
    member_add(w, 1, MEMBER_LEFT, NULL, 0);
    assert_str_lit(settle(w, 0), "register s2 passing with service, node as it is");
    w->members[0].status = MEMBER_LEFT;
    assert_str_lit(settle(w, 0), "remove id2 10.0.0.2:8300; deregister");
    assert_null(catalog_node(store_view(w->store), STR("s2")));
    /* The leader itself is somebody else's business. */
    assert_str_lit(settle(w, 1), "");
    assert_int_equal(w->configuration.count, 1);
}

static void test_another_server_at_the_address(void **state)
{
    struct world *w = *state;
    static const struct extra_tag new_id[] = {{"id", "id9"}};
    voter_add(w, "id1", "10.0.0.1:8300");
    voter_add(w, "id2", "10.0.0.2:8300");
    member_add(w, 2, MEMBER_ALIVE, new_id, 1);
    /* Of two voters none can be spared. */
    assert_str_lit(settle(w, 0), "refused");
    voter_add(w, "id3", "10.0.0.3:8300");
    assert_str_lit(settle(w, 0), "remove id2 10.0.0.2:8300; add-nonvoter id9 10.0.0.2:8300; "
                                 "register s2 passing with service, node as it is");
}

static void test_the_same_server_at_another_address(void **state)
{
    struct world *w = *state;
    voter_add(w, "id1", "10.0.0.1:8300");
    voter_add(w, "id2", "10.0.0.2:8300");
    member_add(w, 2, MEMBER_ALIVE, NULL, 0);
    (void)settle(w, 0);
    w->members[0].addr = STR("10.0.0.22");
    assert_str_lit(settle(w, 0), "add-voter id2 10.0.0.22:8300; register s2 passing with service");
    assert_str_lit(catalog_node(store_view(w->store), STR("s2"))->address, "10.0.0.22");
    assert_true(raft_configuration_is_voter(&w->configuration, STR("id2")));
}

static void test_two_that_were_to_form_a_cluster(void **state)
{
    struct world *w = *state;
    static const struct extra_tag bootstrap[] = {{"bootstrap", "1"}};
    voter_add(w, "id1", "10.0.0.1:8300");
    member_add(w, 1, MEMBER_ALIVE, bootstrap, 1);
    member_add(w, 2, MEMBER_ALIVE, bootstrap, 1);
    assert_str_lit(settle(w, 1), "register s2 passing with service, node as it is");
    assert_int_equal(w->configuration.count, 1);
}

static void test_a_client(void **state)
{
    struct world *w = *state;
    static const struct extra_tag node[] = {{"role", "node"}};
    static const struct extra_tag dc2[] = {{"role", "node"}, {"dc", "dc2"}};
    static const struct extra_tag segment[] = {{"segment", "alpha"}};
    voter_add(w, "id1", "10.0.0.1:8300");
    member_add(w, 2, MEMBER_ALIVE, node, 1);
    member_add(w, 3, MEMBER_ALIVE, dc2, 2);
    member_add(w, 4, MEMBER_ALIVE, segment, 1);
    assert_str_lit(settle(w, 0), "register s2 passing, node as it is");
    w->members[0].status = MEMBER_LEFT;
    assert_str_lit(settle(w, 0), "deregister");
    struct reconcile_input in = input(w);
    assert_true(reconcile_concerns(&in, &w->members[0], &w->arena));
    assert_false(reconcile_concerns(&in, &w->members[1], &w->arena));
    assert_false(reconcile_concerns(&in, &w->members[2], &w->arena));
}

static void test_nodes_that_nobody_knows(void **state)
{
    struct world *w = *state;
    struct member *unknown;
    static const struct extra_tag node[] = {{"role", "node"}};
    voter_add(w, "id1", "10.0.0.1:8300");
    voter_add(w, "id2", "10.0.0.2:8300");
    member_add(w, 1, MEMBER_ALIVE, NULL, 0);
    member_add(w, 2, MEMBER_ALIVE, NULL, 0);
    member_add(w, 3, MEMBER_ALIVE, node, 1);
    for (size_t i = 0; i < w->count; i++) {
        (void)settle(w, i);
    }
    struct reconcile_input in = input(w);
    assert_int_equal(reconcile_unknown(&in, &w->arena, &unknown), 0);
    w->count = 1; /* the pool has forgotten 2 and 3 */
    in = input(w);
    assert_int_equal(reconcile_unknown(&in, &w->arena, &unknown), 1);
    assert_str_lit(unknown[0].name, "s3");
    assert_str_lit(settle_as(w, &unknown[0], true), "deregister");
    /* 2 is a server that a leader may just not have met again, until Raft has it no more. */
    struct err err = {0};
    assert_ok(raft_configuration_change(&w->configuration, RAFT_REMOVE_SERVER, STR("id2"), STR_NULL,
                                        &w->configuration, &err));
    in = input(w);
    assert_int_equal(reconcile_unknown(&in, &w->arena, &unknown), 1);
    assert_str_lit(unknown[0].name, "s2");
    assert_str_lit(settle_as(w, &unknown[0], true), "deregister");
    in = input(w);
    assert_int_equal(reconcile_unknown(&in, &w->arena, &unknown), 0);
}

static void test_what_is_written(void **state)
{
    struct world *w = *state;
    struct reconcile_step step;
    voter_add(w, "id1", "10.0.0.1:8300");
    member_add(w, 1, MEMBER_ALIVE, NULL, 0);
    struct reconcile_input in = input(w);
    reconcile_next(&in, &w->members[0], &w->arena, &step);
    const struct register_request *r = &step.registration;
    assert_str_lit(r->datacenter, "dc1");
    assert_str_lit(r->id, "id1");
    assert_str_lit(r->address, "10.0.0.1");
    assert_str_lit(r->service->id, "consul");
    assert_str_lit(r->service->service, "consul");
    assert_int_equal(r->service->port, 8300);
    static const char *const meta[][2] = {
        {"non_voter", "false"},         {"raft_version", "3"},      {"read_replica", "false"},
        {"serf_protocol_current", "2"}, {"serf_protocol_max", "5"}, {"serf_protocol_min", "1"},
        {"version", "1.10.3"},
    };
    assert_int_equal(r->service->meta.n, ARRAY_SIZE(meta));
    for (size_t i = 0; i < ARRAY_SIZE(meta); i++) {
        assert_str_equal(r->service->meta.v[i].key, str_from_cstr(meta[i][0]));
        assert_str_equal(r->service->meta.v[i].value, str_from_cstr(meta[i][1]));
    }
    assert_str_lit(r->check->check_id, "serfHealth");
    assert_str_lit(r->check->name, "Serf Health Status");
    assert_str_lit(r->check->output, "Agent alive and reachable");
    step_do(w, &w->members[0], &step);
    w->members[0].status = MEMBER_FAILED;
    in = input(w);
    reconcile_next(&in, &w->members[0], &w->arena, &step);
    assert_str_lit(step.registration.check->output, "Agent not live or unreachable");
    assert_null(step.registration.service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_leader_and_a_new_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_and_return, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leaving, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_server_at_the_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_same_server_at_another_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_that_were_to_form_a_cluster, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nodes_that_nobody_knows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_written, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
