#include "gossip/core/vivaldi.h"

#include "test.h"

#include "base/clock.h"
#include "base/err.h"

#include <math.h>

enum { NODES = 16 };

struct pool {
    struct rng rng;
    struct vivaldi *v[NODES];
    double rtt[NODES][NODES]; /* ms */
};

static struct str name_of(size_t i)
{
    static const char names[] = "abcdefghijklmnop";
    return str_make(names + i, 1);
}

static int setup(void **state)
{
    static struct pool p;
    memset(&p, 0, sizeof(p));
    rng_seed(&p.rng, 7);
    for (size_t i = 0; i < NODES; i++) {
        p.v[i] = vivaldi_new();
    }
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct pool *p = *state;
    for (size_t i = 0; i < NODES; i++) {
        p->v[i] = vivaldi_free(p->v[i]);
    }
    return 0;
}

static void measure(struct pool *p, size_t from, size_t to)
{
    struct err err;
    uint64_t rtt_ns = (uint64_t)(p->rtt[from][to] * (double)NS_PER_MS);
    assert_ok(vivaldi_update(p->v[from], &p->rng, name_of(to), vivaldi_coordinate(p->v[to]), rtt_ns,
                             &err));
}

/* Everybody measures somebody, over and over; the mean error of all estimates, relative. */
static double converge(struct pool *p, size_t rounds)
{
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < NODES; i++) {
            size_t j = rng_below(&p->rng, NODES);
            if (i != j) {
                measure(p, i, j);
            }
        }
    }
    double sum = 0;
    for (size_t i = 0; i < NODES; i++) {
        for (size_t j = 0; j < NODES; j++) {
            if (i != j) {
                double guess =
                    coordinate_distance(vivaldi_coordinate(p->v[i]), vivaldi_coordinate(p->v[j]));
                sum += fabs(guess * 1000 - p->rtt[i][j]) / p->rtt[i][j];
            }
        }
    }
    return sum / (NODES * (NODES - 1));
}

/* The bounds are those of Serf's own simulations of these shapes. */
static void test_line(void **state)
{
    struct pool *p = *state;
    for (size_t i = 0; i < NODES; i++) {
        for (size_t j = 0; j < NODES; j++) {
            p->rtt[i][j] = 10 * fabs((double)i - (double)j);
        }
    }
    assert_true(converge(p, 1000) < 0.01);
}

static void test_grid(void **state)
{
    struct pool *p = *state;
    for (size_t i = 0; i < NODES; i++) {
        for (size_t j = 0; j < NODES; j++) {
            double x = (double)(i % 4) - (double)(j % 4);
            double y = (double)(i / 4) - (double)(j / 4);
            p->rtt[i][j] = 10 * sqrt(x * x + y * y);
        }
    }
    assert_true(converge(p, 1000) < 0.01);
}

static void test_two_sites(void **state)
{
    struct pool *p = *state;
    for (size_t i = 0; i < NODES; i++) {
        for (size_t j = 0; j < NODES; j++) {
            p->rtt[i][j] = i % 2 == j % 2 ? 1 : 11;
        }
    }
    assert_true(converge(p, 1000) < 0.15);
    double near = coordinate_distance(vivaldi_coordinate(p->v[0]), vivaldi_coordinate(p->v[2]));
    double far = coordinate_distance(vivaldi_coordinate(p->v[0]), vivaldi_coordinate(p->v[1]));
    assert_true(far > 5 * near);
}

/* A pool that is the same everywhere is not pulled away from the origin. */
static void test_gravity(void **state)
{
    struct pool *p = *state;
    for (size_t i = 0; i < NODES; i++) {
        for (size_t j = 0; j < NODES; j++) {
            p->rtt[i][j] = 5;
        }
    }
    (void)converge(p, 2000);
    const struct coordinate *c = vivaldi_coordinate(p->v[3]);
    for (size_t i = 0; i < c->vec.n; i++) {
        assert_true(fabs(c->vec.v[i]) < 0.05);
    }
}

static void test_new(void **state)
{
    struct pool *p = *state;
    const struct coordinate *c = vivaldi_coordinate(p->v[0]);
    assert_int_equal(c->vec.n, 8);
    assert_true(c->error == 1.5 && c->height == 10e-6 && c->adjustment == 0);
}

/* One slow answer among three does not count. */
static void test_filter(void **state)
{
    struct pool *p = *state;
    struct err err;
    double vec[8] = {0.01};
    struct coordinate other = {.vec = {vec, 8}, .error = 0.1, .height = 10e-6};
    for (int i = 0; i < 30; i++) {
        assert_ok(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, 10 * NS_PER_MS, &err));
    }
    double before = coordinate_distance(vivaldi_coordinate(p->v[0]), &other);
    assert_ok(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, 9 * NS_PER_SEC, &err));
    double after = coordinate_distance(vivaldi_coordinate(p->v[0]), &other);
    assert_true(fabs(after - before) < 0.001);
    /* Forgotten, it begins anew: the slow one is all there is. */
    vivaldi_forget(p->v[0], STR("b"));
    vivaldi_forget(p->v[0], STR("nobody"));
    assert_ok(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, 9 * NS_PER_SEC, &err));
    assert_true(coordinate_distance(vivaldi_coordinate(p->v[0]), &other) > 0.1);
}

static void test_refusals(void **state)
{
    struct pool *p = *state;
    struct err err;
    double vec[9] = {0};
    struct coordinate other = {.vec = {vec, 7}, .error = 1, .height = 1};
    assert_int_equal(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, 1, &err), -ERR_INVALID);
    assert_string_equal(err.text, "dimensions aren't compatible");
    other.vec.n = 9;
    assert_int_equal(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, 1, &err), -ERR_INVALID);
    other.vec.n = 8;
    double bad[] = {NAN, INFINITY, -INFINITY};
    double *places[] = {&vec[7], &other.error, &other.adjustment, &other.height};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(places); j++) {
            double good = *places[j];
            *places[j] = bad[i];
            assert_int_equal(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, 1, &err),
                             -ERR_INVALID);
            assert_string_equal(err.text, "coordinate is invalid");
            *places[j] = good;
        }
    }
    assert_int_equal(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, 10 * NS_PER_SEC + 1, &err),
                     -ERR_INVALID);
    struct vivaldi *untouched = vivaldi_new();
    assert_true(schema_equal(&coordinate_schema, vivaldi_coordinate(p->v[0]),
                             vivaldi_coordinate(untouched)));
    untouched = vivaldi_free(untouched);
    assert_ok(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, 10 * NS_PER_SEC, &err));
    assert_ok(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, 0, &err));
    assert_int_equal(vivaldi_resets(p->v[0]), 0);
}

/* Finite numbers whose squares are not: we begin anew, and are well with the next. */
static void test_reset(void **state)
{
    struct pool *p = *state;
    struct err err;
    double vec[8] = {1e300, -1e300};
    struct coordinate other = {.vec = {vec, 8}, .error = 0.1, .height = 10e-6};
    assert_ok(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, NS_PER_MS, &err));
    assert_int_equal(vivaldi_resets(p->v[0]), 1);
    assert_true(vivaldi_coordinate(p->v[0])->error == 1.5);
    vec[0] = vec[1] = 0.001;
    assert_ok(vivaldi_update(p->v[0], &p->rng, STR("b"), &other, NS_PER_MS, &err));
    assert_int_equal(vivaldi_resets(p->v[0]), 1);
    assert_true(coordinate_is_valid(vivaldi_coordinate(p->v[0])));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_line),     T(test_grid), T(test_two_sites),
                                       T(test_gravity),  T(test_new),  T(test_filter),
                                       T(test_refusals), T(test_reset)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
