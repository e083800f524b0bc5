/* Prepared sets: they never show a state that is over, whatever changed; drawing is fair. */
#include "fixture.h"

#include <stdlib.h>

static void fixture_query(struct fixture *f, struct dns_query *q)
{
    dns_query_init(q, f->dns, &f->arena, STR_NULL, &f->client);
}

/* --- against sets made anew ------------------------------------------------------------------- */

static int by_content(const void *x, const void *y)
{
    const struct dns_instance *a = x, *b = y;
    int r = str_cmp(a->address, b->address);
    return r != 0 ? r : str_cmp(a->srv, b->srv);
}

static void check_same(struct fixture *f, struct dns_set *kept, struct dns_set *fresh)
{
    assert_int_equal(kept->healthy, fresh->healthy);
    assert_int_equal(kept->n, fresh->n);
    assert_int_equal(kept->n_addresses, fresh->n_addresses);
    assert_int_equal(kept->order_count, fresh->order_count);
    size_t size = kept->n * sizeof(struct dns_instance);
    struct dns_instance *a = arena_alloc(&f->arena, size + 1),
                        *b = arena_alloc(&f->arena, size + 1);
    if (size > 0) {
        memcpy(a, kept->v, size);
        memcpy(b, fresh->v, size);
        qsort(a, kept->n, sizeof(*a), by_content);
        qsort(b, kept->n, sizeof(*b), by_content);
    }
    for (size_t i = 0; i < kept->n; i++) {
        assert_str_equal(a[i].address, b[i].address);
        assert_str_equal(a[i].srv, b[i].srv);
        assert_int_equal(a[i].metas_count, b[i].metas_count);
    }
}

static const struct str service_names[] = {STR_INIT("web"), STR_INIT("db"), STR_INIT("web-proxy")};
static const struct str tag_names[] = {STR_INIT(""), STR_INIT("v1"), STR_INIT("v2")};

static struct str pick(struct fixture *f, const char *stem, unsigned count)
{
    return arena_printf(&f->arena, "%s%u", stem,
                        (unsigned)rng_below(&f->worker.rng, (uint64_t)count));
}

static struct str pick_address(struct fixture *f)
{
    switch (rng_below(&f->worker.rng, 4)) {
    case 0:
        return STR("");
    case 1:
        return arena_printf(&f->arena, "fd00::%u", (unsigned)rng_below(&f->worker.rng, 3));
    case 2:
        return STR("elsewhere.example.com");
    default:
        return arena_printf(&f->arena, "10.1.0.%u", (unsigned)rng_below(&f->worker.rng, 3));
    }
}

static void random_service(struct fixture *f)
{
    struct rng *rng = &f->worker.rng;
    struct str tags[2] = {tag_names[1 + rng_below(rng, 2)], STR("all")};
    struct node_service s = {.id = pick(f, "id", 3),
                             .service = service_names[rng_below(rng, 3)],
                             .address = pick_address(f),
                             .port = (int64_t)rng_below(rng, 3),
                             .tags = {tags, 1 + rng_below(rng, 2)}};
    if (rng_below(rng, 3) == 0) {
        s.kind = SERVICE_KIND_CONNECT_PROXY;
        s.proxy.destination_service_name = service_names[rng_below(rng, 2)];
    } else {
        s.connect.native = rng_below(rng, 4) == 0;
    }
    const struct register_request req = {.datacenter = STR("dc1"),
                                         .node = pick(f, "n", 4),
                                         .address = pick(f, "10.0.0.", 200),
                                         .service = &s};
    fixture_register(f, &req);
}

static void random_check(struct fixture *f)
{
    static const struct str states[] = {STR_INIT("passing"), STR_INIT("warning"),
                                        STR_INIT("critical")};
    struct rng *rng = &f->worker.rng;
    struct str node = pick(f, "n", 4), id = rng_below(rng, 2) ? pick(f, "id", 3) : STR_NULL;
    const struct store_view *v = store_view(f->server.store);
    if (catalog_node(v, node) != NULL && (id.n == 0 || catalog_service_row(v, node, id) != NULL)) {
        fixture_check(f, node, id, states[rng_below(rng, 3)]);
    }
}

static void random_removal(struct fixture *f)
{
    struct err err = {0};
    struct rng *rng = &f->worker.rng;
    struct deregister_request req = {.datacenter = STR("dc1"), .node = pick(f, "n", 4)};
    switch (rng_below(rng, 4)) {
    case 0:
        break; /* the node */
    case 1:
        req.check_id = STR("c");
        break;
    default:
        req.service_id = pick(f, "id", 3);
        break;
    }
    struct store_txn *tx = store_txn_begin(f->server.store, ++f->index);
    assert_ok(catalog_deregister(tx, &req, &err));
    store_txn_commit(tx);
    (void)epoch_collect(f->server.epoch);
}

static void check_lookup(struct fixture *f, const struct dns_lookup *lookup)
{
    struct dns_query q;
    struct objlist nodes;
    struct strlist tags = {&lookup->tag, 1};
    fixture_query(f, &q);
    struct dns_set *kept = dns_set_find(&q, lookup);
    if (lookup->kind == DNS_KIND_CONNECT) {
        (void)catalog_health_connect_nodes(q.view, NULL, &f->arena, lookup->service, &nodes);
    } else {
        (void)catalog_health_nodes(q.view, NULL, &f->arena, lookup->service,
                                   lookup->tag.n > 0 ? &tags : NULL, &nodes);
    }
    struct dns_set *fresh = dns_set_new(f->dns->settings, lookup, &nodes);
    check_same(f, kept, fresh);
    (void)dns_set_free(fresh);
}

static void test_sets_follow_the_catalog(void **state)
{
    struct fixture *f = *state;
    struct rng *rng = &f->worker.rng;
    for (int i = 0; i < 4000; i++) {
        switch (rng_below(rng, 5)) {
        case 0:
        case 1:
            random_service(f);
            break;
        case 2:
        case 3:
            random_check(f);
            break;
        default:
            random_removal(f);
            break;
        }
        for (int k = 0; k < 3; k++) {
            const struct dns_lookup lookup = {.kind = rng_below(rng, 3) == 0 ? DNS_KIND_CONNECT
                                                                             : DNS_KIND_SERVICE,
                                              .type = (enum dns_set_type)rng_below(rng, 5),
                                              .service = service_names[rng_below(rng, 3)],
                                              .tag = tag_names[rng_below(rng, 3)]};
            check_lookup(f, &lookup);
        }
        if (i % 50 == 0) {
            arena_reset(&f->arena);
        }
    }
}

/* A restored snapshot may have the same indexes for other rows. */
static void test_restore_empties_the_cache(void **state)
{
    struct fixture *f = *state;
    const struct dns_lookup lookup = {
        .kind = DNS_KIND_SERVICE, .type = DNS_SET_A, .service = STR("web")};
    struct dns_query q;
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("web"), STR(""), 1);
    fixture_query(f, &q);
    assert_str_lit(dns_set_find(&q, &lookup)->v[0].address, "\x0a\0\0\1");

    struct err err = {0};
    struct node_service s = {.id = STR("web"), .service = STR("web")};
    const struct register_request req = {
        .datacenter = STR("dc1"), .node = STR("n1"), .address = STR("10.0.0.2"), .service = &s};
    struct store_txn *tx = store_txn_begin(f->server.store, f->index);
    store_clear(tx);
    assert_ok(catalog_register(tx, &req, 0, &err));
    store_txn_commit(tx);
    fixture_query(f, &q);
    assert_str_lit(dns_set_find(&q, &lookup)->v[0].address, "\x0a\0\0\2");
}

/* --- the cache's bounds ----------------------------------------------------------------------- */

static void test_cache_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct dns_query q;
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("web"), STR(""), 1);
    for (unsigned i = 0; i < 2 * DNS_CACHE_SETS_MAX; i++) {
        struct str made_up = arena_printf(&f->arena, "x%u", i);
        const struct dns_lookup lookups[] = {
            {.kind = DNS_KIND_SERVICE, .type = DNS_SET_A, .service = STR("web"), .tag = made_up},
            {.kind = DNS_KIND_SERVICE, .type = DNS_SET_A, .service = made_up},
        };
        fixture_query(f, &q);
        assert_int_equal(dns_set_find(&q, &lookups[0])->healthy, 0);
        assert_ptr_equal(dns_set_find(&q, &lookups[1]), f->dns->cache.empty);
        assert_true(f->dns->cache.sets.n <= DNS_CACHE_SETS_MAX);
        assert_true(f->dns->cache.size <= DNS_CACHE_SIZE_MAX);
        arena_reset(&f->arena);
    }
}

/* --- drawing ---------------------------------------------------------------------------------- */

static void test_drawing_is_fair(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 20, ROUNDS = 20000, WANT = 3 };
    unsigned first[COUNT] = {0}, any[COUNT] = {0};
    struct dns_query q;
    const struct dns_lookup lookup = {
        .kind = DNS_KIND_SERVICE, .type = DNS_SET_A, .service = STR("web")};
    for (unsigned i = 0; i < COUNT; i++) {
        struct str node = arena_printf(&f->arena, "n%02u", i);
        struct str ip = arena_printf(&f->arena, "10.0.0.%u", i);
        fixture_service(f, node, ip, STR("web"), STR(""), 1);
    }
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t drawn[WANT];
        fixture_query(f, &q);
        struct dns_set *set = dns_set_find(&q, &lookup);
        assert_int_equal(dns_set_draw(&q, set, WANT, drawn), WANT);
        assert_true(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
        first[(uint8_t)set->v[drawn[0]].address.p[3]]++;
        for (int k = 0; k < WANT; k++) {
            any[(uint8_t)set->v[drawn[k]].address.p[3]]++;
        }
    }
    for (int i = 0; i < COUNT; i++) { /* six standard deviations and more */
        assert_in_range(first[i], ROUNDS / COUNT - 200, ROUNDS / COUNT + 200);
        assert_in_range(any[i], WANT * ROUNDS / COUNT - 350, WANT * ROUNDS / COUNT + 350);
    }
}

/* Two instances on one address: one record, first twice as often. */
static void test_equal_records_are_one(void **state)
{
    struct fixture *f = *state;
    unsigned first = 0;
    const struct dns_lookup lookup = {
        .kind = DNS_KIND_SERVICE, .type = DNS_SET_A, .service = STR("web")};
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("web"), STR("10.9.9.9"), 1);
    fixture_service(f, STR("n2"), STR("10.0.0.2"), STR("web"), STR("10.9.9.9"), 2);
    fixture_service(f, STR("n3"), STR("10.0.0.3"), STR("web"), STR(""), 1);
    for (int i = 0; i < 3000; i++) {
        struct dns_query q;
        uint32_t drawn[3];
        fixture_query(f, &q);
        struct dns_set *set = dns_set_find(&q, &lookup);
        assert_int_equal(set->n, 2);
        assert_int_equal(dns_set_draw(&q, set, 3, drawn), 2);
        first += set->v[drawn[0]].address.p[1] == 9;
    }
    assert_in_range(first, 1850, 2150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sets_follow_the_catalog, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_restore_empties_the_cache, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_cache_is_bounded, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_drawing_is_fair, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_equal_records_are_one, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("dns/set", tests, NULL, NULL);
}
