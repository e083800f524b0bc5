/* The JSON a row carries along: rendered once, also when many want it at once. */
#include "store/row.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "schema/kv.h"

struct cached {
    _Atomic(struct rendered *) json;
    struct dir_entry entry;
};

static void *render(void *data)
{
    struct cached *row = data;
    struct str s = row_json(&row->json, &dir_entry_schema, &row->entry);
    return (void *)s.p;
}

static void test_once(void **state)
{
    (void)state;
    struct cached row = {.entry = {.key = STR("k"), .value = STR("v"), .raft = {3, 4}}};
    struct str s = row_json(&row.json, &dir_entry_schema, &row.entry);
    assert_true(str_eq_lit(s, "{\"LockIndex\":0,\"Key\":\"k\",\"Flags\":0,\"Value\":\"dg==\","
                              "\"CreateIndex\":3,\"ModifyIndex\":4}"));
    assert_ptr_equal(render(&row), s.p);
    mem_free(row.json);
}

static void test_race(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct cached row = {.entry = {.key = STR("k")}};
        pthread_t threads[4];
        void *seen[4];
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, render, &row), 0);
        }
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
            assert_int_equal(pthread_join(threads[i], &seen[i]), 0);
            assert_ptr_equal(seen[i], seen[0]);
        }
        mem_free(row.json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
