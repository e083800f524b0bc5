/* Which services are behind a gateway: named ones, all of them, and how that follows the catalog.
 */
#include "store/gateway_services.h"

#include "config_fixture.h"
#include "store_fixture.h"

#include "store/catalog.h"
#include "store/config_entry.h"

struct fixture {
    struct store_fixture base;
    uint64_t answer_index;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    store_fixture_init(&f->base);
    *state = f;
    return 0;
}

static void set(struct fixture *f, const char *json)
{
    struct store_txn *tx = store_fixture_begin(&f->base);
    if (config_entry_set(tx, config_entry_from(&f->base.arena, json), &f->base.err) < 0) {
        fail_msg("%s: %s", json, err_text(&f->base.err));
    }
    store_txn_commit(tx);
}

static void delete (struct fixture *f, enum config_entry_kind type, const char *name)
{
    struct store_txn *tx = store_fixture_begin(&f->base);
    assert_ok(config_entry_delete(tx, type, str_from_cstr(name), &f->base.err));
    store_txn_commit(tx);
}

static void add(struct fixture *f, const char *name, const char *kind)
{
    struct node_service service = {
        .id = str_from_cstr(name), .service = str_from_cstr(name), .kind = str_from_cstr(kind)};
    struct register_request req = {
        .node = STR("n"), .address = STR("10.0.0.1"), .service = &service};
    struct store_txn *tx = store_fixture_begin(&f->base);
    assert_ok(catalog_register(tx, &req, 0, &f->base.err));
    store_txn_commit(tx);
}

static void drop(struct fixture *f, const char *name)
{
    struct store_txn *tx = store_fixture_begin(&f->base);
    catalog_service_delete(tx, STR("n"), str_from_cstr(name));
    store_txn_commit(tx);
}

/* "name:port" of each, in order; '*' behind those that a wildcard brought. */
static const char *services(struct fixture *f, const char *gateway)
{
    struct ptrlist list;
    struct buf b = {0};
    f->answer_index = gateway_services_list(store_view(f->base.store), NULL, &f->base.arena,
                                            str_from_cstr(gateway), &list);
    for (size_t i = 0; i < list.n; i++) {
        const struct gateway_service *g = list.v[i];
        buf_printf(&b, "%s%.*s:%lld%s", i > 0 ? " " : "", STRF(g->service.name), (long long)g->port,
                   g->from_wildcard ? "*" : "");
    }
    assert_true((list.v == NULL) == (list.n == 0));
    struct str text = arena_str(&f->base.arena, buf_view(&b));
    buf_deinit(&b);
    return text.p;
}

static void test_named(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(services(f, "edge"), "");
    assert_int_equal(f->answer_index, 0);
    set(f, "{'Kind':'ingress-gateway','Name':'Edge','Listeners':[{'Port':8080,'Protocol':'tcp',"
           "'Services':[{'Name':'api'}]},{'Port':81,'Protocol':'tcp','Services':[{'Name':'api'}]},"
           "{'Port':7,'Protocol':'tcp','Services':[{'Name':'aaa'}]}]}");
    assert_string_equal(services(f, "eDGE"), "aaa:7 api:81 api:8080");
    assert_int_equal(f->answer_index, 1);
    /* The same again changes nothing; fewer of them do. */
    set(f, "{'Kind':'ingress-gateway','Name':'Edge','Listeners':[{'Port':8080,'Protocol':'tcp',"
           "'Services':[{'Name':'api'}]},{'Port':81,'Protocol':'tcp','Services':[{'Name':'api'}]},"
           "{'Port':7,'Protocol':'tcp','Services':[{'Name':'aaa'}]}],'Meta':{'a':'b'}}");
    (void)services(f, "edge");
    assert_int_equal(f->answer_index, 1);
    set(f, "{'Kind':'ingress-gateway','Name':'Edge','Listeners':[{'Port':81,'Protocol':'tcp',"
           "'Services':[{'Name':'api'}]}]}");
    assert_string_equal(services(f, "edge"), "api:81");
    assert_int_equal(f->answer_index, 3);
    delete (f, CONFIG_INGRESS_GATEWAY, "edge");
    assert_string_equal(services(f, "edge"), "");
    assert_int_equal(f->answer_index, 4);
}

static void test_wildcard(void **state)
{
    struct fixture *f = *state;
    add(f, "api", "");
    add(f, "proxy", "connect-proxy");
    add(f, "consul", "");
    set(f, "{'Kind':'terminating-gateway','Name':'t','Services':[{'Name':'db','SNI':'s'},"
           "{'Name':'*','CAFile':'c'}]}");
    assert_string_equal(services(f, "t"), "api:0* db:0");
    add(f, "web", "");
    add(f, "web2", "mesh-gateway");
    assert_string_equal(services(f, "t"), "api:0* db:0 web:0*");
    assert_int_equal(f->answer_index, 5);
    struct ptrlist list;
    (void)gateway_services_list(store_view(f->base.store), NULL, &f->base.arena, STR("t"), &list);
    const struct gateway_service *g = list.v[2];
    assert_str_lit(g->ca_file, "c");
    assert_str_lit(g->gateway_kind, "terminating-gateway");
    assert_int_equal(g->raft.create_index, 5);
    /* What a wildcard brought goes with the last instance. */
    drop(f, "web");
    assert_string_equal(services(f, "t"), "api:0* db:0");
    /* A registration makes a service the wildcard's that was named; 1.10.3 overlooks it. */
    add(f, "db", "");
    assert_string_equal(services(f, "t"), "api:0* db:0*");
    drop(f, "db");
    drop(f, "api");
    assert_string_equal(services(f, "t"), "");
}

static void test_named_ones_stay(void **state)
{
    struct fixture *f = *state;
    add(f, "db", "");
    set(f, "{'Kind':'terminating-gateway','Name':'t','Services':[{'Name':'db','SNI':'s'},"
           "{'Name':'*','CAFile':'c'}]}");
    assert_string_equal(services(f, "t"), "db:0");
    drop(f, "db");
    assert_string_equal(services(f, "t"), "db:0");
}

static void test_protocols_decide(void **state)
{
    struct fixture *f = *state;
    add(f, "api", "");
    add(f, "tcp", "");
    set(f, "{'Kind':'service-defaults','Name':'api','Protocol':'http'}");
    set(f, "{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1,'Protocol':'http',"
           "'Services':[{'Name':'*'}]}]}");
    assert_string_equal(services(f, "g"), "api:1*");
    set(f, "{'Kind':'service-defaults','Name':'tcp','Protocol':'http'}");
    assert_string_equal(services(f, "g"), "api:1* tcp:1*");
    assert_int_equal(f->answer_index, 5);
}

/* Restored after the catalog, as snapshots have it. */
static void test_restored(void **state)
{
    struct fixture *f = *state;
    add(f, "api", "");
    struct config_entry *e = config_entry_from(
        &f->base.arena, "{'Kind':'terminating-gateway','Name':'t','Services':[{'Name':'*'}]}");
    e->raft = (struct raft_index){3, 9};
    struct store_txn *tx = store_fixture_begin(&f->base);
    assert_ok(config_entry_restore(tx, e, &f->base.err));
    store_txn_commit(tx);
    assert_string_equal(services(f, "t"), "api:0*");
    assert_int_equal(f->answer_index, 9);
}

/* --- answers that gateways are part of -------------------------------------------------------- */

static const char *names(struct fixture *f, struct objlist list)
{
    const struct check_service_node *nodes = list.v;
    struct buf b = {0};
    for (size_t i = 0; i < list.n; i++) {
        buf_printf(&b, "%s%.*s", i > 0 ? " " : "", STRF(nodes[i].service->id));
    }
    struct str text = arena_str(&f->base.arena, buf_view(&b));
    buf_deinit(&b);
    return text.p;
}

static void test_instances(void **state)
{
    struct fixture *f = *state;
    struct objlist list;
    add(f, "api", "");
    add(f, "term", "terminating-gateway");
    add(f, "edge", "ingress-gateway");
    f->answer_index = catalog_health_connect_nodes(store_view(f->base.store), NULL, &f->base.arena,
                                                   STR("api"), &list);
    assert_string_equal(names(f, list), "");
    assert_int_equal(f->answer_index, 1); /* that of the service itself */
    set(f, "{'Kind':'terminating-gateway','Name':'term','Services':[{'Name':'api'}]}");
    set(f,
        "{'Kind':'ingress-gateway','Name':'edge','Listeners':[{'Port':1,'Protocol':'tcp',"
        "'Services':[{'Name':'api'}]},{'Port':2,'Protocol':'tcp','Services':[{'Name':'api'}]}]}");
    const struct store_view *v = store_view(f->base.store);
    assert_int_equal(catalog_health_connect_nodes(v, NULL, &f->base.arena, STR("api"), &list), 4);
    assert_string_equal(names(f, list), "term");
    assert_int_equal(catalog_health_ingress_nodes(v, NULL, &f->base.arena, STR("api"), &list), 5);
    assert_string_equal(names(f, list), "edge"); /* once, whatever its ports */
    assert_int_equal(catalog_service_nodes(v, NULL, &f->base.arena, STR("api"), NULL, true, &list),
                     4);
    assert_int_equal(list.n, 1);
    assert_str_lit(((const struct service_node *)list.v)->service->id, "term");
    drop(f, "edge");
    assert_int_equal(catalog_health_ingress_nodes(store_view(f->base.store), NULL, &f->base.arena,
                                                  STR("api"), &list),
                     6);
    assert_int_equal(list.n, 0);
}

static void note_changes(void *data, struct change_list *changes)
{
    struct change_list **last = data;
    change_list_unref(*last);
    *last = change_list_ref(changes);
}

/* Who waits for a service's ingress gateways wakes when one is linked, registered, or gone; not for
 * what another gateway has. */
static void test_who_waits_wakes(void **state)
{
    struct fixture *f = *state;
    struct watch_registry *registry = watch_registry_new();
    struct watch_set ws = {.arena = &f->base.arena};
    struct watch watch = {0};
    struct change_list *changes = NULL;
    struct objlist list;
    struct list fired;
    static const struct {
        const char *entry, *service;
        bool wakes;
    } steps[] = {
        {"{'Kind':'ingress-gateway','Name':'g1','Listeners':[{'Port':1,'Protocol':'tcp',"
         "'Services':[{'Name':'other'}]}]}",
         NULL, false},
        {"{'Kind':'ingress-gateway','Name':'g2','Listeners':[{'Port':1,'Protocol':'tcp',"
         "'Services':[{'Name':'api'}]}]}",
         NULL, true},
        {NULL, "g2", true},
        {NULL, "g1", false},
    };
    store_set_listener(f->base.store, note_changes, &changes);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        ws.points.n = 0;
        (void)catalog_health_ingress_nodes(store_view(f->base.store), &ws, &f->base.arena,
                                           STR("api"), &list);
        watch_register(registry, &watch, &ws);
        if (steps[i].entry != NULL) {
            set(f, steps[i].entry);
        } else {
            add(f, steps[i].service, "ingress-gateway");
        }
        list_init(&fired);
        watch_fire(registry, changes, &fired);
        assert_int_equal(!list_is_empty(&fired), steps[i].wakes);
        watch_unregister(registry, &watch);
        watch = (struct watch){0};
    }
    store_set_listener(f->base.store, NULL, NULL);
    change_list_unref(changes);
    watch_registry_free(registry);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_named),           TEST(test_wildcard),
        TEST(test_named_ones_stay), TEST(test_protocols_decide),
        TEST(test_restored),        TEST(test_instances),
        TEST(test_who_waits_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
