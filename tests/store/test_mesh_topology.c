/* Links of the mesh: what sidecars and gateways make of them, and that none is forgotten or left.
 */
#include "store/mesh_topology.h"

#include "config_fixture.h"
#include "store_fixture.h"

#include "base/rand.h"
#include "store/catalog.h"
#include "store/config_entry.h"

#define NODES 2u
#define IDS 3u
#define NAMES 4u

static struct str name_of(char prefix, size_t i)
{
    static char space[8][2];
    static size_t at;
    char *to = space[at++ % ARRAY_SIZE(space)];
    to[0] = prefix;
    to[1] = (char)('0' + i);
    return str_make(to, 2);
}

static void reg(struct store_fixture *f, size_t node, size_t id, const char *kind,
                struct str destination, struct objlist upstreams)
{
    struct node_service service = {
        .id = name_of('p', id),
        .service = STR("proxy"),
        .kind = str_from_cstr(kind),
        .proxy = {.destination_service_name = destination, .upstreams = upstreams}};
    struct register_request req = {
        .node = name_of('n', node), .address = STR("10.0.0.1"), .service = &service};
    struct store_txn *tx = store_fixture_begin(f);
    assert_ok(store_fixture_end(tx, catalog_register(tx, &req, 0, &f->err)));
}

static void dereg(struct store_fixture *f, size_t node, size_t id)
{
    struct store_txn *tx = store_fixture_begin(f);
    catalog_service_delete(tx, name_of('n', node), name_of('p', id));
    store_txn_commit(tx);
}

/* What the table should say: the proxies that stand for `down` and name `up`. */
static uint64_t proxies_of(const struct store_view *v, struct str up, struct str down)
{
    struct tree_iter it;
    const struct service_row *row;
    uint64_t count = 0;
    store_iter(&it, v, INDEX_SERVICES_ID, STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        const struct connect_proxy_config *p = &row->service.proxy;
        const struct upstream *u = p->upstreams.v;
        bool has = false;
        for (size_t i = 0; i < p->upstreams.n; i++) {
            has |= str_eq_fold(u[i].destination_name, up) &&
                   !str_eq_lit(u[i].destination_type, "prepared_query");
        }
        count += has && str_eq_lit(row->service.kind, "connect-proxy") &&
                 str_eq_fold(p->destination_service_name, down);
    }
    return count;
}

static bool has_name(struct strlist names, struct str name)
{
    return strlist_contains_fold(names, name);
}

static void check_all(struct store_fixture *f)
{
    const struct store_view *v = store_view(f->store);
    size_t links = 0;
    for (size_t up = 0; up < NAMES; up++) {
        for (size_t down = 0; down < NAMES; down++) {
            struct strlist ups, downs;
            struct str u = name_of('u', up), d = name_of('d', down);
            uint64_t count = proxies_of(v, u, d);
            (void)mesh_topology_upstreams(v, NULL, &f->arena, d, &ups);
            (void)mesh_topology_downstreams(v, NULL, &f->arena, u, &downs);
            assert_int_equal(has_name(ups, u), count > 0);
            assert_int_equal(has_name(downs, d), count > 0);
            links += count > 0;
        }
    }
    assert_int_equal(v->trees[INDEX_MESH_TOPOLOGY_ID].count, links);
}

/* Proxies come, change what they stand for and lead to, become something else, and go. */
static void test_model(void **state)
{
    struct store_fixture *f = *state;
    static const char *const kinds[] = {"connect-proxy", "connect-proxy", "connect-proxy", ""};
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 1500; round++) {
        size_t node = rng_below(&rng, NODES), id = rng_below(&rng, IDS);
        if (rng_below(&rng, 4) == 0) {
            dereg(f, node, id);
        } else {
            struct upstream ups[3] = {0};
            size_t n = rng_below(&rng, 4);
            for (size_t i = 0; i < n; i++) {
                ups[i].destination_name =
                    name_of(rng_below(&rng, 2) == 0 ? 'u' : 'U', rng_below(&rng, NAMES));
                ups[i].destination_type =
                    rng_below(&rng, 6) == 0 ? STR("prepared_query") : STR("service");
            }
            reg(f, node, id, kinds[rng_below(&rng, ARRAY_SIZE(kinds))],
                name_of(rng_below(&rng, 2) == 0 ? 'd' : 'D', rng_below(&rng, NAMES)),
                (struct objlist){ups, n});
        }
        check_all(f);
        arena_reset(&f->arena);
    }
}

static void test_index(void **state)
{
    struct store_fixture *f = *state;
    struct upstream up = {.destination_name = STR("u0")};
    struct strlist names;
    const struct store_view *v = store_view(f->store);
    assert_int_equal(mesh_topology_upstreams(v, NULL, &f->arena, STR("d0"), &names), 0);
    reg(f, 0, 0, "connect-proxy", STR("d0"), (struct objlist){&up, 1});
    uint64_t first = f->index;
    v = store_view(f->store);
    assert_int_equal(mesh_topology_upstreams(v, NULL, &f->arena, STR("d0"), &names), first);
    reg(f, 0, 1, "", STR("d0"), (struct objlist){0});
    v = store_view(f->store);
    assert_int_equal(mesh_topology_downstreams(v, NULL, &f->arena, STR("u0"), &names), first);
    reg(f, 0, 0, "connect-proxy", STR("d0"), (struct objlist){&up, 1}); /* the same again */
    v = store_view(f->store);
    assert_int_equal(mesh_topology_downstreams(v, NULL, &f->arena, STR("u0"), &names), f->index);
    dereg(f, 0, 0);
    v = store_view(f->store);
    assert_int_equal(mesh_topology_downstreams(v, NULL, &f->arena, STR("u0"), &names), f->index);
    assert_int_equal(names.n, 0);
}

static int set(struct store_fixture *f, const char *json)
{
    struct config_entry *e = config_entry_from(&f->arena, json);
    struct store_txn *tx = store_fixture_begin(f);
    return store_fixture_end(tx, config_entry_set(tx, e, &f->err));
}

static void test_gateways(void **state)
{
    struct store_fixture *f = *state;
    struct strlist names;
    struct upstream up = {.destination_name = STR("web")};
    assert_ok(set(f, "{'Kind':'ingress-gateway','Name':'gw','Listeners':[{'Port':1,'Protocol':"
                     "'tcp','Services':[{'Name':'web'}]},{'Port':2,'Protocol':'tcp','Services':["
                     "{'Name':'api'}]}]}"));
    assert_ok(set(f, "{'Kind':'terminating-gateway','Name':'term','Services':[{'Name':'web'}]}"));
    reg(f, 0, 0, "connect-proxy", STR("gw"), (struct objlist){&up, 1});
    (void)mesh_topology_upstreams(store_view(f->store), NULL, &f->arena, STR("gw"), &names);
    assert_int_equal(names.n, 2);
    (void)mesh_topology_downstreams(store_view(f->store), NULL, &f->arena, STR("web"), &names);
    assert_int_equal(names.n, 1);
    assert_ok(set(f, "{'Kind':'ingress-gateway','Name':'gw','Listeners':[{'Port':2,'Protocol':"
                     "'tcp','Services':[{'Name':'api'}]}]}"));
    (void)mesh_topology_upstreams(store_view(f->store), NULL, &f->arena, STR("gw"), &names);
    assert_int_equal(names.n, 2); /* the proxy's is still there */
    dereg(f, 0, 0);
    (void)mesh_topology_upstreams(store_view(f->store), NULL, &f->arena, STR("gw"), &names);
    assert_int_equal(names.n, 1);
    struct store_txn *tx = store_fixture_begin(f);
    assert_ok(
        store_fixture_end(tx, config_entry_delete(tx, CONFIG_INGRESS_GATEWAY, STR("gw"), &f->err)));
    (void)mesh_topology_upstreams(store_view(f->store), NULL, &f->arena, STR("gw"), &names);
    assert_int_equal(names.n, 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, store_fixture_setup, store_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_model), TEST(test_index), TEST(test_gateways)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
