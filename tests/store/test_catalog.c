/* The catalog: what registrations leave behind, which indexes move with them, and that reads see
 * the same as plain lists would. */
#include "store/catalog.h"

#include "store_fixture.h"

#include "base/rand.h"
#include "schema/json.h"
#include "store/coordinate.h"

#include <math.h>

static int setup(void **state)
{
    int r = store_fixture_setup(state);
    ((struct store_fixture *)*state)->index = 10;
    return r;
}

/* --- one operation, one transaction ----------------------------------------------------------- */

static int try_register(struct store_fixture *f, const struct register_request *req)
{
    struct store_txn *tx = store_fixture_begin(f);
    return store_fixture_end(tx, catalog_register(tx, req, 0, &f->err));
}

static void do_register(struct store_fixture *f, const struct register_request *req)
{
    assert_int_equal(try_register(f, req), 0);
}

static void do_deregister(struct store_fixture *f, struct deregister_request req)
{
    struct store_txn *tx = store_fixture_begin(f);
    assert_int_equal(catalog_deregister(tx, &req, &f->err), 0);
    store_txn_commit(tx);
}

static struct register_request node_request(const char *name)
{
    return (struct register_request){
        .node = str_from_cstr(name), .address = STR("10.0.0.1"), .datacenter = STR("dc1")};
}

static void add_node(struct store_fixture *f, const char *name)
{
    struct register_request req = node_request(name);
    do_register(f, &req);
}

static void add_service(struct store_fixture *f, const char *node, struct node_service service)
{
    struct register_request req = node_request(node);
    req.service = &service;
    do_register(f, &req);
}

static void add_check(struct store_fixture *f, const char *node, const char *id,
                      const char *service_id, const char *status)
{
    struct register_request req = node_request(node);
    struct health_check check = {.node = str_from_cstr(node),
                                 .check_id = str_from_cstr(id),
                                 .service_id = str_from_cstr(service_id),
                                 .status = str_from_cstr(status)};
    req.check = &check;
    do_register(f, &req);
}

static uint64_t index_of(const struct store_fixture *f, const char *name)
{
    return store_index(store_view(f->store), str_from_cstr(name));
}

static struct objlist health_of(struct store_fixture *f, const char *service, uint64_t *ret_index)
{
    struct objlist list;
    *ret_index = catalog_health_nodes(store_view(f->store), NULL, &f->arena, str_from_cstr(service),
                                      NULL, &list);
    return list;
}

#define assert_str(s, literal)                         \
    do {                                               \
        struct str str_ = (s);                         \
        assert_int_equal(str_.n, sizeof(literal) - 1); \
        assert_memory_equal(str_.p, literal, str_.n);  \
    } while (0)

/* --- registering ----------------------------------------------------------------------------- */

static void test_register_creates(void **state)
{
    struct store_fixture *f = *state;
    add_node(f, "Node1");
    assert_int_equal(index_of(f, "nodes"), 11);
    assert_int_equal(index_of(f, "services"), 0);

    add_service(f, "node1", (struct node_service){.id = STR("w1"), .service = STR("web")});
    assert_int_equal(index_of(f, "nodes"), 12); /* the name changed its case */
    assert_int_equal(index_of(f, "services"), 12);
    assert_int_equal(index_of(f, "service.web"), 12);
    assert_int_equal(index_of(f, "service_kind.typical"), 12);

    add_check(f, "node1", "c", "w1", "");
    const struct store_view *v = store_view(f->store);
    const struct health_check *check = catalog_check(v, STR("NODE1"), STR("C"));
    assert_non_null(check);
    assert_str(check->status, "critical");
    assert_str(check->service_name, "web");
    assert_int_equal(check->raft.create_index, 13);
    assert_int_equal(index_of(f, "checks"), 13);
    assert_int_equal(index_of(f, "service.web"), 13);
    assert_int_equal(index_of(f, "services"), 12);

    const struct service_row *row = catalog_service_row(v, STR("node1"), STR("w1"));
    assert_int_equal(row->service.weights->passing, 1);
    assert_int_equal(row->service.weights->warning, 1);
}

static void test_the_same_again_changes_nothing(void **state)
{
    struct store_fixture *f = *state;
    struct weights none = {0, 0};
    struct node_service web = {.id = STR("w1"), .service = STR("web"), .weights = &none};
    add_service(f, "n", web);
    add_check(f, "n", "c", "w1", "passing");
    const struct store_view *before = store_view(f->store);
    web.weights = NULL; /* as good as weights out of range */
    web.socket_path = STR("/tmp/overlooked/in/1.10.3");
    add_service(f, "n", web);
    add_check(f, "n", "c", "w1", "passing");
    assert_ptr_equal(store_view(f->store), before);

    struct str one = STR("tag");
    web.tags = (struct strlist){&one, 1};
    add_service(f, "n", web);
    assert_int_equal(index_of(f, "service.web"), f->index);
    assert_int_equal(index_of(f, "checks"), 12);
}

static void test_refusals(void **state)
{
    struct store_fixture *f = *state;
    struct register_request req = node_request("x");
    struct health_check check = {.node = STR("x"), .check_id = STR("c"), .service_id = STR("no")};
    req.check = &check;
    assert_true(try_register(f, &req) < 0);
    assert_string_equal(f->err.text,
                        "failed inserting check: Missing service registration on node \"x\"");
    assert_null(catalog_node(store_view(f->store), STR("x"))); /* all or nothing */

    check.node = STR("other");
    assert_true(try_register(f, &req) < 0);
    assert_string_equal(f->err.text, "check node \"other\" does not match node \"x\"");

    struct strpair reserved = {STR("consul-x"), STR("v")};
    struct node_service s = {.id = STR("s"), .service = STR("s"), .meta = {&reserved, 1}};
    req.check = NULL;
    req.service = &s;
    assert_true(try_register(f, &req) < 0);
    assert_string_equal(
        f->err.text, "failed inserting service: Invalid Service Meta for node x and serviceID s: "
                     "Couldn't load metadata pair ('consul-x', 'v'): Key prefix 'consul-' is "
                     "reserved for internal use");
}

#define ID_A STR("10000000-0000-4000-8000-00000000000a")
#define ID_B STR("20000000-0000-4000-8000-00000000000b")

static void test_names_and_ids(void **state)
{
    struct store_fixture *f = *state;
    struct register_request a = node_request("a"), b = node_request("a");
    a.id = ID_A;
    b.id = ID_B;
    do_register(f, &a);
    add_check(f, "a", "serfHealth", "", "passing");
    do_register(f, &a); /* add_check took the ID away again */

    /* The name of a live member is reserved, in any case of letters. */
    b.node = STR("A");
    assert_true(try_register(f, &b) < 0);
    assert_string_equal(f->err.text,
                        "failed inserting node: Error while renaming Node ID: "
                        "\"20000000-0000-4000-8000-00000000000b\": Node name A is reserved by node "
                        "10000000-0000-4000-8000-00000000000a with name a (10.0.0.1)");

    /* The owner of the ID may rename it; what was on the old name is gone. */
    add_service(f, "a", (struct node_service){.id = STR("s"), .service = STR("s")});
    do_register(f, &a);
    uint64_t created = catalog_node(store_view(f->store), STR("a"))->raft.create_index;
    a.node = STR("renamed");
    do_register(f, &a);
    const struct store_view *v = store_view(f->store);
    assert_null(catalog_node(v, STR("a")));
    assert_null(catalog_service_row(v, STR("a"), STR("s")));
    struct node *node;
    assert_int_equal(catalog_node_by_id(v, ID_A, &node, NULL), 0);
    assert_str(node->node, "renamed");
    assert_int_equal(node->raft.create_index, created);
    assert_int_equal(node->raft.modify_index, f->index);
    assert_int_equal(index_of(f, "service_last_extinction"), f->index);

    /* A failed node gives its name away. */
    add_check(f, "renamed", "serfHealth", "", "critical");
    b.node = STR("renamed");
    do_register(f, &b);
    v = store_view(f->store);
    assert_int_equal(catalog_node_by_id(v, ID_A, &node, NULL), 0);
    assert_null(node);
    assert_int_equal(catalog_node_by_id(v, ID_B, &node, NULL), 0);
    assert_str(node->node, "renamed");

    struct ptrlist services;
    catalog_node_services(v, NULL, &f->arena, STR("2000"), &node, &services);
    assert_non_null(node);
    catalog_node_services(v, NULL, &f->arena, STR("2"), &node, &services);
    assert_null(node);
    catalog_node_services(v, NULL, &f->arena, STR("zz"), &node, &services);
    assert_null(node);
}

/* --- indexes --------------------------------------------------------------------------------- */

static void test_what_moves_a_service(void **state)
{
    struct store_fixture *f = *state;
    uint64_t index;
    add_service(f, "n1", (struct node_service){.id = STR("w"), .service = STR("web")});
    add_service(f, "n1", (struct node_service){.id = STR("d"), .service = STR("db")});
    add_service(f, "n2", (struct node_service){.id = STR("c"), .service = STR("cache")});
    uint64_t cache = index_of(f, "service.cache");

    add_check(f, "n1", "w-up", "w", "passing");
    assert_int_equal(index_of(f, "service.web"), f->index);
    assert_true(index_of(f, "service.db") < f->index);
    add_check(f, "n1", "disk", "", "passing");
    assert_int_equal(index_of(f, "service.web"), f->index);
    assert_int_equal(index_of(f, "service.db"), f->index);
    struct register_request req = node_request("n1");
    req.address = STR("10.9.9.9");
    do_register(f, &req);
    assert_int_equal(index_of(f, "service.web"), f->index);
    assert_int_equal(index_of(f, "nodes"), f->index);
    assert_int_equal(index_of(f, "service.cache"), cache);

    /* Removing a check of the node moves all of its services, and the table. */
    req.address = STR("10.0.0.1");
    do_register(f, &req);
    do_deregister(f, (struct deregister_request){.node = STR("n1"), .check_id = STR("disk")});
    assert_int_equal(index_of(f, "service.db"), f->index);
    assert_int_equal(index_of(f, "services"), f->index);
    assert_int_equal(index_of(f, "checks"), f->index);

    /* The last instance: the entry goes, readers see the extinction. */
    do_deregister(f, (struct deregister_request){.node = STR("n1"), .service_id = STR("d")});
    assert_int_equal(index_of(f, "service.db"), 0);
    struct objlist list = health_of(f, "db", &index);
    assert_int_equal(list.n, 0);
    assert_null(list.v);
    assert_int_equal(index, f->index);
    health_of(f, "never", &index);
    assert_int_equal(index, index_of(f, "service_last_extinction"));
}

static void test_node_takes_everything_along(void **state)
{
    struct store_fixture *f = *state;
    add_service(f, "n", (struct node_service){.id = STR("a"), .service = STR("web")});
    add_service(f, "n", (struct node_service){.id = STR("b"), .service = STR("web")});
    add_check(f, "n", "c1", "a", "passing");
    add_check(f, "n", "c2", "", "passing");
    double zero[8] = {0};
    struct coordinate at = {.vec = {zero, 8}, .height = 1e-5};
    struct node_coordinate updates[] = {{.node = STR("n"), .coord = &at},
                                        {.node = STR("unknown"), .coord = &at}};
    struct store_txn *tx = store_fixture_begin(f);
    coordinate_update(tx, updates, 2);
    store_txn_commit(tx);
    struct ptrlist coordinates;
    assert_int_equal(coordinate_list(store_view(f->store), NULL, &f->arena, &coordinates),
                     f->index);
    assert_int_equal(coordinates.n, 1);

    do_deregister(f, (struct deregister_request){.node = STR("N")});
    const struct store_view *v = store_view(f->store);
    assert_int_equal(v->trees[INDEX_NODES_ID].count, 0);
    assert_int_equal(v->trees[INDEX_SERVICES_ID].count, 0);
    assert_int_equal(v->trees[INDEX_SERVICES_KIND].count, 0);
    assert_int_equal(v->trees[INDEX_CHECKS_ID].count, 0);
    assert_int_equal(v->trees[INDEX_COORDINATES_ID].count, 0);
    static const char *const moved[] = {"nodes",
                                        "services",
                                        "checks",
                                        "coordinates",
                                        "service_last_extinction",
                                        "service_kind.typical"};
    for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
        assert_int_equal(index_of(f, moved[i]), f->index);
    }
}

/* --- compare and set ------------------------------------------------------------------------- */

static void test_compare_and_set(void **state)
{
    struct store_fixture *f = *state;
    struct txn_node_op op = {.verb = STR("cas"), .node = {.node = STR("n")}};
    struct txn_result result;
    struct store_txn *tx = store_fixture_begin(f);
    assert_int_equal(catalog_txn_node(NULL, tx, &op, &f->arena, &result, &f->err), 1);
    assert_int_equal(result.node->raft.modify_index, f->index);
    assert_true(catalog_txn_node(NULL, tx, &op, &f->arena, &result, &f->err) < 0);
    assert_string_equal(f->err.text, "failed to set node \"n\", index is stale");

    struct txn_service_op set = {
        .verb = STR("set"), .node = STR("n"), .service = {.id = STR("w"), .service = STR("web")}};
    assert_int_equal(catalog_txn_service(NULL, tx, &set, &f->arena, &result, &f->err), 1);
    set.verb = STR("delete-cas");
    set.service.raft.modify_index = f->index - 1;
    assert_true(catalog_txn_service(NULL, tx, &set, &f->arena, &result, &f->err) < 0);
    assert_string_equal(f->err.text,
                        "failed to delete service \"w\" on node \"n\", index is stale");
    set.service.raft.modify_index = f->index;
    assert_int_equal(catalog_txn_service(NULL, tx, &set, &f->arena, &result, &f->err), 0);
    store_txn_commit(tx);

    /* Without a transaction only get is known. */
    op.verb = STR("get");
    const struct store_view *v = store_view(f->store);
    assert_int_equal(catalog_txn_node(v, NULL, &op, &f->arena, &result, &f->err), 1);
    op.verb = STR("delete");
    assert_true(catalog_txn_node(v, NULL, &op, &f->arena, &result, &f->err) < 0);
    assert_string_equal(f->err.text, "unknown Node verb \"delete\"");
    struct txn_check_op check = {.verb = STR("get"),
                                 .check = {.node = STR("n"), .check_id = STR("c")}};
    assert_true(catalog_txn_check(v, NULL, &check, &f->arena, &result, &f->err) < 0);
    assert_string_equal(f->err.text, "check \"c\" on node \"n\" doesn't exist");

    /* The refusal of a compare-and-set that is not stale is lost. */
    check.verb = STR("cas");
    check.check.service_id = STR("missing");
    tx = store_fixture_begin(f);
    assert_int_equal(catalog_txn_check(NULL, tx, &check, &f->arena, &result, &f->err), 0);
    check.verb = STR("set");
    assert_true(catalog_txn_check(NULL, tx, &check, &f->arena, &result, &f->err) < 0);
    assert_string_equal(f->err.text, "Missing service registration");
    store_txn_abort(tx);
}

/* --- reads ----------------------------------------------------------------------------------- */

static void test_services_and_tags(void **state)
{
    struct store_fixture *f = *state;
    const struct str tags1[] = {STR("v1"), STR("Blue")}, tags2[] = {STR("v2"), STR("Blue")};
    add_service(f, "n1",
                (struct node_service){.id = STR("w1"), .service = STR("web"), .tags = {tags1, 2}});
    add_service(f, "n2",
                (struct node_service){.id = STR("w2"), .service = STR("web"), .tags = {tags2, 2}});
    add_service(f, "n2", (struct node_service){.id = STR("d"), .service = STR("DB")});
    const struct store_view *v = store_view(f->store);
    struct strlistmap services;
    catalog_services(v, NULL, &f->arena, (struct strmap){0}, &services);
    assert_int_equal(services.n, 2);
    assert_str(services.v[0].key, "DB");
    assert_int_equal(services.v[0].values.n, 0);
    assert_non_null(services.v[0].values.v);
    assert_int_equal(services.v[1].values.n, 3);
    assert_str(services.v[1].values.v[0], "Blue");

    struct str wanted[] = {STR("blue"), STR("V2")};
    struct objlist nodes;
    catalog_service_nodes(v, NULL, &f->arena, STR("WEB"), &(struct strlist){wanted, 2}, false,
                          &nodes);
    assert_int_equal(nodes.n, 1);
    assert_str(((struct service_node *)nodes.v)[0].node->node, "n2");
    wanted[1] = STR("");
    catalog_health_nodes(v, NULL, &f->arena, STR("web"), &(struct strlist){wanted, 2}, &nodes);
    assert_int_equal(nodes.n, 0);
}

static void test_connect(void **state)
{
    struct store_fixture *f = *state;
    uint64_t index;
    struct objlist nodes;
    add_service(f, "n",
                (struct node_service){.kind = SERVICE_KIND_CONNECT_PROXY,
                                      .id = STR("p"),
                                      .service = STR("web-proxy"),
                                      .proxy = {.destination_service_name = STR("Web")}});
    add_service(f, "n",
                (struct node_service){
                    .id = STR("native"), .service = STR("web"), .connect = {.native = true}});
    add_service(f, "n", (struct node_service){.id = STR("plain"), .service = STR("web")});
    index = catalog_health_connect_nodes(store_view(f->store), NULL, &f->arena, STR("web"), &nodes);
    assert_int_equal(nodes.n, 2);
    assert_int_equal(index, f->index);
    catalog_service_nodes(store_view(f->store), NULL, &f->arena, STR("web"), NULL, true, &nodes);
    assert_int_equal(nodes.n, 2);
    struct str kind = SERVICE_KIND_CONNECT_PROXY;
    index = catalog_service_dump(store_view(f->store), NULL, &f->arena, &kind, &nodes);
    assert_int_equal(nodes.n, 1);
    assert_int_equal(index, 11);
}

static void test_distances(void **state)
{
    (void)state;
    double va[] = {0, 0}, vb[] = {0.3, 0.4}, vc[] = {1};
    struct coordinate a = {.vec = {va, 2}, .height = 0.1}, b = {.vec = {vb, 2}, .height = 0.2},
                      c = {.vec = {vc, 1}};
    assert_true(fabs(coordinate_distance(&a, &b) - 0.8) < 1e-9);
    b.adjustment = -0.3;
    assert_true(fabs(coordinate_distance(&a, &b) - 0.5) < 1e-9);
    b.adjustment = -3; /* not below zero: left out */
    assert_true(fabs(coordinate_distance(&a, &b) - 0.8) < 1e-9);
    assert_true(isinf(coordinate_distance(&a, &c)));
    assert_true(isinf(coordinate_distance(&a, NULL)));
    a.error = NAN;
    assert_false(coordinate_is_valid(&a));
}

static bool wakes(struct store_fixture *f, const struct watch_set *ws)
{
    struct watch_registry *registry = watch_registry_new();
    struct watch watch = {0};
    struct list fired;
    list_init(&fired);
    watch_register(registry, &watch, ws);
    if (f->changes != NULL) {
        watch_fire(registry, f->changes, &fired);
    }
    bool has_fired = !list_is_empty(&fired);
    watch_unregister(registry, &watch);
    watch_registry_free(registry);
    return has_fired;
}

/* Who waits is woken by what it was shown, and by nothing else. */
static void test_who_wakes(void **state)
{
    struct store_fixture *f = *state;
    struct watch_set critical = {.arena = &f->arena}, instances = {.arena = &f->arena},
                     proxies = {.arena = &f->arena}, checks = {.arena = &f->arena};
    struct ptrlist pointers;
    struct objlist objects;
    add_service(f, "n", (struct node_service){.id = STR("w"), .service = STR("web")});
    add_check(f, "n", "c", "w", "passing");
    const struct store_view *v = store_view(f->store);
    catalog_checks_in_state(v, &critical, &f->arena, HEALTH_CRITICAL, (struct strmap){0},
                            &pointers);
    catalog_service_nodes(v, &instances, &f->arena, STR("web"), NULL, false, &objects);
    catalog_health_connect_nodes(v, &proxies, &f->arena, STR("web"), &objects);
    catalog_service_checks(v, &checks, &f->arena, STR("web"), (struct strmap){0}, &pointers);

    add_check(f, "n", "c", "w", "warning");
    assert_false(wakes(f, &critical));
    assert_false(wakes(f, &instances)); /* although its index has moved */
    assert_false(wakes(f, &proxies));
    assert_true(wakes(f, &checks));
    add_check(f, "n", "c", "w", "critical");
    assert_true(wakes(f, &critical));

    add_service(f, "n", (struct node_service){.id = STR("d"), .service = STR("db")});
    assert_false(wakes(f, &instances));
    add_service(f, "m", (struct node_service){.id = STR("w"), .service = STR("web")});
    assert_true(wakes(f, &instances));
    assert_false(wakes(f, &checks));
    add_service(f, "m",
                (struct node_service){.kind = SERVICE_KIND_CONNECT_PROXY,
                                      .id = STR("p"),
                                      .service = STR("p"),
                                      .proxy = {.destination_service_name = STR("WEB")}});
    assert_true(wakes(f, &proxies));
    assert_false(wakes(f, &instances));
    struct register_request req = node_request("n");
    req.address = STR("10.0.0.2");
    do_register(f, &req);
    assert_true(wakes(f, &instances));
}

/* --- against plain lists --------------------------------------------------------------------- */

#define MODEL_NODES 4u
#define MODEL_IDS 4u
#define MODEL_NAMES 3u
#define MODEL_CHECKS 5u
#define MODEL_STEPS 3000u

static const char *const node_names[MODEL_NODES] = {"alpha", "Beta", "gamma-1", "d"};
static const char *const service_ids[MODEL_IDS] = {"w", "x1", "Y", "zz"};
static const char *const service_names[MODEL_NAMES] = {"web", "db", "Cache"};
static const char *const check_ids[MODEL_CHECKS] = {"a", "b", "serfHealth", "c", "e"};
static const char *const statuses[] = {"passing", "warning", "critical"};

struct model_check {
    bool is_set;
    size_t status, service_id; /* service_id == MODEL_IDS: the node's */
};

struct model_node {
    bool is_set;
    bool has_service[MODEL_IDS];
    size_t service_name[MODEL_IDS];
    struct model_check checks[MODEL_CHECKS];
};

struct model {
    struct model_node nodes[MODEL_NODES];
};

static void model_step(struct store_fixture *f, struct model *m, struct rng *rng)
{
    size_t n = rng_below(rng, MODEL_NODES), id = rng_below(rng, MODEL_IDS),
           name = rng_below(rng, MODEL_NAMES), check = rng_below(rng, MODEL_CHECKS);
    struct model_node *node = &m->nodes[n];
    switch (rng_below(rng, 10)) {
    case 0:
        do_deregister(f, (struct deregister_request){.node = str_from_cstr(node_names[n])});
        memset(node, 0, sizeof(*node));
        break;
    case 1:
    case 2:
        do_deregister(f, (struct deregister_request){.node = str_from_cstr(node_names[n]),
                                                     .service_id = str_from_cstr(service_ids[id])});
        for (size_t i = 0; i < MODEL_CHECKS; i++) {
            if (node->has_service[id] && node->checks[i].service_id == id) {
                node->checks[i].is_set = false;
            }
        }
        node->has_service[id] = false;
        break;
    case 3:
        do_deregister(f, (struct deregister_request){.node = str_from_cstr(node_names[n]),
                                                     .check_id = str_from_cstr(check_ids[check])});
        node->checks[check].is_set = false;
        break;
    case 4:
    case 5:
    case 6:
        add_service(f, node_names[n],
                    (struct node_service){.id = str_from_cstr(service_ids[id]),
                                          .service = str_from_cstr(service_names[name])});
        node->is_set = true;
        node->has_service[id] = true;
        node->service_name[id] = name;
        break;
    default: {
        size_t status = rng_below(rng, ARRAY_SIZE(statuses));
        bool of_service = rng_below(rng, 2) == 0 && node->has_service[id];
        add_check(f, node_names[n], check_ids[check], of_service ? service_ids[id] : "",
                  statuses[status]);
        node->is_set = true;
        node->checks[check] =
            (struct model_check){true, status, of_service ? id : (size_t)MODEL_IDS};
    }
    }
}

static bool model_has_check(const struct model_node *node, const struct health_check *check)
{
    for (size_t i = 0; i < MODEL_CHECKS; i++) {
        const struct model_check *c = &node->checks[i];
        if (str_eq(check->check_id, str_from_cstr(check_ids[i]))) {
            return c->is_set && str_eq(check->status, str_from_cstr(statuses[c->status]));
        }
    }
    return false;
}

/* The health of one service name, instance by instance. */
static void model_compare(struct store_fixture *f, const struct model *m, size_t name)
{
    uint64_t index;
    struct objlist list = health_of(f, service_names[name], &index);
    const struct check_service_node *instances = list.v;
    size_t expected = 0;
    for (size_t n = 0; n < MODEL_NODES; n++) {
        const struct model_node *node = &m->nodes[n];
        assert_int_equal(catalog_node(store_view(f->store), str_from_cstr(node_names[n])) != NULL,
                         node->is_set);
        for (size_t id = 0; id < MODEL_IDS; id++) {
            if (!node->has_service[id] || node->service_name[id] != name) {
                continue;
            }
            expected++;
            const struct check_service_node *found = NULL;
            for (size_t i = 0; i < list.n; i++) {
                if (str_eq(instances[i].node->node, str_from_cstr(node_names[n])) &&
                    str_eq(instances[i].service->id, str_from_cstr(service_ids[id]))) {
                    found = &instances[i];
                }
            }
            assert_non_null(found);
            size_t checks = 0;
            for (size_t c = 0; c < MODEL_CHECKS; c++) {
                checks += node->checks[c].is_set && (node->checks[c].service_id == id ||
                                                     node->checks[c].service_id == MODEL_IDS);
            }
            assert_int_equal(found->checks.n, checks);
            for (size_t c = 0; c < checks; c++) {
                assert_true(model_has_check(node, found->checks.v[c]));
            }
        }
    }
    assert_int_equal(list.n, expected);
}

/* What a client would be shown, as text. */
static void answer(struct store_fixture *f, size_t name, struct buf *to, uint64_t *ret_index)
{
    struct watch_set ws = {.arena = &f->arena}; /* as one who waits */
    struct objlist list;
    *ret_index = catalog_health_nodes(store_view(f->store), &ws, &f->arena,
                                      str_from_cstr(service_names[name]), NULL, &list);
    const struct check_service_node *instances = list.v;
    buf_clear(to);
    struct json_writer w = json_writer_make(to, false);
    json_array_begin(&w);
    for (size_t i = 0; i < list.n; i++) {
        json_object(&w, &check_service_node_schema, &instances[i]);
    }
    json_array_end(&w);
}

/* Whenever the answer about a service changes, its index is that of the change, and whoever waited
 * for it wakes; it never runs backwards. */
static void test_model(void **state)
{
    struct store_fixture *f = *state;
    struct model *m = xcalloc(1, sizeof(*m));
    struct buf before[MODEL_NAMES] = {0}, after = {0};
    uint64_t index_before[MODEL_NAMES] = {0}, index;
    struct rng rng;
    rng_seed(&rng, 20210401);
    for (size_t name = 0; name < MODEL_NAMES; name++) {
        answer(f, name, &before[name], &index_before[name]);
    }
    for (size_t step = 0; step < MODEL_STEPS; step++) {
        arena_reset(&f->arena);
        struct watch_set ws[MODEL_NAMES];
        for (size_t name = 0; name < MODEL_NAMES; name++) {
            struct objlist list;
            ws[name] = (struct watch_set){.arena = &f->arena};
            catalog_health_nodes(store_view(f->store), &ws[name], &f->arena,
                                 str_from_cstr(service_names[name]), NULL, &list);
            assert_int_equal(ws[name].points.n, 2);
        }
        f->changes = change_list_unref(f->changes);
        model_step(f, m, &rng);
        for (size_t name = 0; name < MODEL_NAMES; name++) {
            answer(f, name, &after, &index);
            if (!str_eq(buf_view(&after), buf_view(&before[name]))) {
                assert_int_equal(index, f->index);
                assert_true(wakes(f, &ws[name]));
            }
            assert_true(index >= index_before[name]);
            buf_clear(&before[name]);
            buf_str(&before[name], buf_view(&after));
            index_before[name] = index;
            model_compare(f, m, name);
        }
    }
    for (size_t name = 0; name < MODEL_NAMES; name++) {
        buf_deinit(&before[name]);
    }
    buf_deinit(&after);
    mem_free(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, store_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_register_creates),
        TEST(test_the_same_again_changes_nothing),
        TEST(test_refusals),
        TEST(test_names_and_ids),
        TEST(test_what_moves_a_service),
        TEST(test_node_takes_everything_along),
        TEST(test_compare_and_set),
        TEST(test_services_and_tags),
        TEST(test_connect),
        cmocka_unit_test(test_distances),
        TEST(test_who_wakes),
        TEST(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
