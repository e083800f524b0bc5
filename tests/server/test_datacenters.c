/* Which data centers there are, in order of their distance, and which of them a query fails over
 * to. */
#include "test.h"

#include "member_make.h"

#include "base/buf.h"
#include "gossip/pool_members.h"
#include "schema/coordinate.h"
#include "schema/prepared_query.h"
#include "server/datacenters.h"
#include "server/query_failover.h"

struct fixture {
    struct arena arena;
    struct member_board *board;
    struct node_coordinate known[16];
    size_t known_count;
    int members;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->board = member_board_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)member_board_free(f->board);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

/* A server of the data center, so many milliseconds away from where all begins; < 0: nobody knows.
 */
static void server(struct fixture *f, const char *datacenter, double ms, enum member_status status)
{
    const struct extra_tag tag[] = {{"dc", datacenter}};
    struct member m = member_make(&f->arena, ++f->members, status, tag, 1);
    m.name = arena_printf(&f->arena, "s%d.%s", f->members, datacenter);
    struct member_ref *r = member_ref_new(&m);
    member_board_put(f->board, r);
    member_board_publish(f->board);
    (void)member_ref_unref(r);
    if (ms >= 0) {
        struct coordinate *c = ARENA_NEW(&f->arena, struct coordinate);
        double *vec = ARENA_ARRAY(&f->arena, double, COORDINATE_DIMENSIONS);
        vec[0] = ms / 1000;
        c->vec = (struct f64list){vec, COORDINATE_DIMENSIONS};
        f->known[f->known_count++] = (struct node_coordinate){.node = m.name, .coord = c};
    }
}

static void expect_order(struct fixture *f, const char *want)
{
    struct member_list *list = member_board_read(f->board);
    struct strlist names = datacenters_by_distance(list, STR("dc1"), STR("s1.dc1"), f->known,
                                                   f->known_count, &f->arena);
    struct buf b = {0};
    for (size_t i = 0; i < names.n; i++) {
        buf_printf(&b, "%s%.*s", i > 0 ? " " : "", STRF(names.v[i]));
    }
    assert_str_equal(buf_view(&b), str_from_cstr(want));
    buf_deinit(&b);
    (void)member_list_unref(list);
}

static void test_alone(void **state)
{
    struct fixture *f = *state;
    expect_order(f, "dc1");
    struct strlist names =
        datacenters_by_distance(NULL, STR("dc1"), STR("s1.dc1"), NULL, 0, &f->arena);
    assert_int_equal(names.n, 1);
}

static void test_by_distance(void **state)
{
    struct fixture *f = *state;
    server(f, "dc1", 0, MEMBER_ALIVE);
    server(f, "far", 80, MEMBER_ALIVE);
    server(f, "near", 5, MEMBER_ALIVE);
    server(f, "middle", 20, MEMBER_FAILED); /* may come back */
    expect_order(f, "dc1 near middle far");
}

/* This one's own comes first wherever its servers are; who has left does not count; of what nobody
 * knows the distance comes last, by name. */
static void test_odd_ones(void **state)
{
    struct fixture *f = *state;
    server(f, "dc1", 0, MEMBER_ALIVE);
    server(f, "dc1", 900, MEMBER_ALIVE);
    server(f, "zz", -1, MEMBER_ALIVE);
    server(f, "aa", -1, MEMBER_ALIVE);
    server(f, "gone", 1, MEMBER_LEFT);
    server(f, "known", 700, MEMBER_ALIVE);
    expect_order(f, "dc1 known aa zz");
}

/* The middle one of its servers, the farther of two. */
static void test_median(void **state)
{
    struct fixture *f = *state;
    server(f, "dc1", 0, MEMBER_ALIVE);
    server(f, "three", 1, MEMBER_ALIVE);
    server(f, "three", 10, MEMBER_ALIVE);
    server(f, "three", 100, MEMBER_ALIVE);
    server(f, "two", 2, MEMBER_ALIVE);
    server(f, "two", 11, MEMBER_ALIVE);
    expect_order(f, "dc1 three two");
    server(f, "two", 3, MEMBER_ALIVE);
    expect_order(f, "dc1 two three");
}

/* Without a coordinate of its own nothing is near. */
static void test_not_placed_yet(void **state)
{
    struct fixture *f = *state;
    server(f, "dc1", -1, MEMBER_ALIVE);
    server(f, "b", 1, MEMBER_ALIVE);
    server(f, "a", 2, MEMBER_ALIVE);
    expect_order(f, "dc1 a b");
}

/* --- failing over ------------------------------------------------------------------------------
 */

static const struct str known_names[] = {STR_INIT("dc1"), STR_INIT("near"), STR_INIT("middle"),
                                         STR_INIT("far")};
static const struct strlist known = {known_names, ARRAY_SIZE(known_names)};

static void expect_choice(struct fixture *f, int64_t nearest, const struct str *named, size_t n,
                          const char *want)
{
    const struct query_datacenter_options options = {nearest, {named, n}};
    struct strlist got = query_failover_choose(&options, known, STR("dc1"), &f->arena);
    struct buf b = {0};
    for (size_t i = 0; i < got.n; i++) {
        buf_printf(&b, "%s%.*s", i > 0 ? " " : "", STRF(got.v[i]));
    }
    assert_str_equal(buf_view(&b), str_from_cstr(want));
    buf_deinit(&b);
}

static void test_choice(void **state)
{
    struct fixture *f = *state;
    const struct str named[] = {STR("far"), STR("dc9"), STR("near"), STR("dc1"), STR("far")};
    expect_choice(f, 0, NULL, 0, "");
    expect_choice(f, 2, NULL, 0, "near middle");
    expect_choice(f, 99, NULL, 0, "near middle far");
    expect_choice(f, 0, named, ARRAY_SIZE(named), "far near far"); /* as often as it is named */
    expect_choice(f, 1, named, ARRAY_SIZE(named), "near far far");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_alone),  T(test_by_distance),    T(test_odd_ones),
        T(test_median), T(test_not_placed_yet), T(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
