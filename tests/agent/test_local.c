/* The local state against a plain model, and what readers see of it. */
#include "test.h"

#include <stdio.h>

#include "agent/local.h"
#include "base/buf.h"
#include "base/epoch.h"
#include "base/mem.h"
#include "base/rand.h"

static struct loop *loop;
static struct epoch *epoch;
static struct local *l;
static struct rng rng;
static int out_of_step, changed;

static void note_out_of_step(void *data)
{
    (void)data;
    out_of_step++;
}

static void note_changed(void *data, struct str service_id)
{
    (void)data;
    (void)service_id;
    changed++;
}

static void note_wake(void *data, struct list *waiters)
{
    (void)data;
    while (list_pop_front(waiters) != NULL) {
    }
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new("test");
    epoch = epoch_new();
    rng_seed(&rng, 7);
    const struct local_options options = {.loop = loop,
                                          .epoch = epoch,
                                          .rng = &rng,
                                          .node_name = STR("node1"),
                                          .check_update_interval_ms = 300000,
                                          .out_of_step = note_out_of_step,
                                          .changed = note_changed,
                                          .wake = note_wake};
    l = local_new(&options);
    out_of_step = changed = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    local_stop(l);
    loop_free(loop);
    local_free(l);
    epoch_free(epoch);
    return 0;
}

static struct service_entry *put_service(const char *id, const char *name, int64_t port)
{
    return local_put_service(l,
                             &(struct node_service){.id = str_from_cstr(id),
                                                    .service = str_from_cstr(name),
                                                    .port = port},
                             STR("token"));
}

static struct check_entry *put_check(const char *id, const char *service_id, struct str status)
{
    return local_put_check(l,
                           &(struct health_check){.check_id = str_from_cstr(id),
                                                  .name = str_from_cstr(id),
                                                  .service_id = str_from_cstr(service_id),
                                                  .status = status},
                           STR(""));
}

static void test_readers_see_publications(void **state)
{
    (void)state;
    put_service("a", "web", 1);
    put_check("c", "a", HEALTH_PASSING);
    assert_null(local_root_service(local_root(l), STR("a")));
    local_publish(l);
    struct epoch_slot *slot = epoch_register(epoch);
    epoch_enter(epoch, slot);
    const struct local_root *before = local_root(l);
    assert_int_equal(local_root_service(before, STR("a"))->port, 1);
    assert_str_lit(local_root_check(before, STR("c"))->node, "node1");

    put_service("a", "web", 2);
    assert_true(local_remove_check(l, STR("c")));
    local_publish(l);
    assert_int_equal(local_root_service(before, STR("a"))->port, 1); /* still the old one */
    assert_non_null(local_root_check(before, STR("c")));
    assert_int_equal(local_root_service(local_root(l), STR("a"))->port, 2);
    assert_null(local_root_check(local_root(l), STR("c")));
    epoch_leave(epoch, slot);
    epoch_unregister(epoch, slot);
}

static void test_equal_rows_stay_in_step(void **state)
{
    (void)state;
    struct service_entry *e = put_service("a", "web", 1);
    assert_false(e->in_sync);
    assert_int_equal(out_of_step, 1);
    local_service_set_sync(l, e, true);
    put_service("a", "web", 1);
    assert_true(e->in_sync);
    put_service("a", "web", 2);
    assert_false(e->in_sync);
    assert_int_equal(out_of_step, 2);
}

static void test_output_alone_is_deferred(void **state)
{
    (void)state;
    struct check_entry *e = put_check("c", "", HEALTH_PASSING);
    local_check_set_sync(l, e, true);
    assert_true(local_update_check(l, e, HEALTH_PASSING, STR("one")));
    assert_false(local_update_check(l, e, HEALTH_PASSING, STR("one")));
    assert_true(e->in_sync);
    assert_true(loop_timer_is_active(&e->defer));
    assert_str_lit(e->row->output, "one");
    assert_int_equal(e->critical_since_ms, 0);
    assert_true(local_update_check(l, e, HEALTH_CRITICAL, STR("one")));
    assert_false(e->in_sync);
    assert_true(e->critical_since_ms > 0);
}

static void test_removed_entries_wait_for_the_catalog(void **state)
{
    (void)state;
    struct service_entry *s = put_service("a", "web", 1);
    put_check("c", "a", HEALTH_PASSING);
    put_check("d", "a", HEALTH_PASSING);
    assert_true(local_remove_service(l, STR("a")));
    assert_true(local_remove_check(l, STR("c")));
    assert_true(local_remove_check(l, STR("d")));
    assert_false(local_remove_check(l, STR("d")));
    assert_null(local_service(l, STR("a")));
    assert_str_lit(s->token, "token");
    put_check("d", "", HEALTH_PASSING); /* lives on as a check of the node */
    local_forget_service(l, s);
    assert_int_equal(l->services.n, 0);
    assert_null(map_get(&l->checks, STR("c"))); /* went along */
    assert_non_null(local_check(l, STR("d")));
}

/* --- random changes against an array --------------------------------------------------------- */

enum { IDS = 40, STEPS = 4000 };

struct model {
    bool is_there;
    int64_t port;
    int name;
};

static void check_against(const struct model *services, const int *checks)
{
    const struct local_root *root = local_root(l);
    char id[16], name[16];
    size_t services_count = 0, checks_count = 0;
    for (int i = 0; i < IDS; i++) {
        (void)snprintf(id, sizeof(id), "s%d", i);
        const struct node_service *s = local_root_service(root, str_from_cstr(id));
        assert_int_equal(s != NULL, services[i].is_there);
        if (s != NULL) {
            (void)snprintf(name, sizeof(name), "n%d", services[i].name);
            assert_str_equal(s->service, str_from_cstr(name));
            assert_int_equal(s->port, services[i].port);
            services_count++;
        }
        (void)snprintf(id, sizeof(id), "c%d", i);
        const struct health_check *c = local_root_check(root, str_from_cstr(id));
        assert_int_equal(c != NULL, checks[i] != 0);
        checks_count += c != NULL;
    }
    assert_int_equal(root->services.count, services_count);
    assert_int_equal(root->service_names.count, services_count);
    assert_int_equal(root->checks.count, checks_count);
    assert_int_equal(root->service_checks.count, checks_count);
    /* Each group of checks holds exactly those of its service. */
    struct arena a = {0};
    size_t grouped = 0;
    for (int k = 0; k <= 3; k++) {
        (void)snprintf(id, sizeof(id), "o%d", k);
        struct strlist ids = local_check_ids(l, str_from_cstr(id), &a);
        for (size_t i = 0; i < ids.n; i++) {
            uint64_t n = 0;
            assert_ok(str_parse_u64(str_from(ids.v[i], 1), &n));
            assert_int_equal(checks[n], k + 1);
        }
        grouped += ids.n;
    }
    assert_int_equal(grouped, checks_count);
    arena_deinit(&a);
}

static void test_model(void **state)
{
    (void)state;
    struct model services[IDS] = {0};
    int checks[IDS] = {0};
    char id[16], text[16];
    for (int step = 0; step < STEPS; step++) {
        int i = (int)rng_below(&rng, IDS);
        int what = (int)rng_below(&rng, 5);
        if (what == 0) {
            (void)snprintf(id, sizeof(id), "s%d", i);
            assert_int_equal(local_remove_service(l, str_from_cstr(id)), services[i].is_there);
            services[i].is_there = false;
        } else if (what == 1) {
            (void)snprintf(id, sizeof(id), "s%d", i);
            services[i] =
                (struct model){true, (int64_t)rng_below(&rng, 3), (int)rng_below(&rng, 4)};
            (void)snprintf(text, sizeof(text), "n%d", services[i].name);
            put_service(id, text, services[i].port);
        } else if (what == 2) {
            (void)snprintf(id, sizeof(id), "c%d", i);
            assert_int_equal(local_remove_check(l, str_from_cstr(id)), checks[i] != 0);
            checks[i] = 0;
        } else if (what == 3) {
            (void)snprintf(id, sizeof(id), "c%d", i);
            checks[i] = 1 + (int)rng_below(&rng, 4);
            (void)snprintf(text, sizeof(text), "o%d", checks[i] - 1);
            put_check(id, text, HEALTH_PASSING);
        } else {
            /* The catalog follows one removal. */
            (void)snprintf(id, sizeof(id), "s%d", i);
            struct service_entry *e = map_get(&l->services, str_from_cstr(id));
            if (e != NULL && e->is_deleted) {
                local_forget_service(l, e);
            }
        }
        if (step % 7 == 0) {
            local_publish(l);
            check_against(services, checks);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_readers_see_publications, setup, teardown),
        cmocka_unit_test_setup_teardown(test_equal_rows_stay_in_step, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_alone_is_deferred, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_entries_wait_for_the_catalog, setup, teardown),
        cmocka_unit_test_setup_teardown(test_model, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
