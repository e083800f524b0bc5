#include "test.h"

#include "base/err.h"
#include "base/rand.h"

static void test_same_seed_same_numbers(void **state)
{
    (void)state;
    struct rng a, b;
    rng_seed(&a, 5);
    rng_seed(&b, 5);
    for (int i = 0; i < 100; i++) {
        assert_true(rng_u64(&a) == rng_u64(&b));
    }
    rng_seed(&b, 6);
    assert_true(rng_u64(&a) != rng_u64(&b));
    /* xoshiro256** from the state 1, 2, 3, 4. */
    struct rng known = {{1, 2, 3, 4}};
    assert_true(rng_u64(&known) == 11520u);
    assert_true(rng_u64(&known) == 0u);
    assert_true(rng_u64(&known) == 1509978240u);
}

static void test_below_is_even(void **state)
{
    (void)state;
    struct rng r;
    size_t counts[10] = {0};
    rng_seed(&r, 1);
    for (int i = 0; i < 10000; i++) {
        counts[rng_below(&r, 10)]++;
        double f = rng_f64(&r);
        assert_true(f >= 0 && f < 1);
    }
    for (size_t i = 0; i < 10; i++) {
        assert_in_range(counts[i], 850, 1150);
    }
    assert_int_equal(rng_below(&r, 0), 0);
    assert_int_equal(rng_below(&r, 1), 0);
}

static void test_bytes_fill_all(void **state)
{
    (void)state;
    struct rng r;
    rng_seed_system(&r);
    for (size_t n = 0; n < 40; n++) {
        uint8_t seen[40] = {0};
        for (int i = 0; i < 30; i++) {
            uint8_t bytes[41] = {0};
            rng_bytes(&r, bytes, n);
            assert_int_equal(bytes[n], 0);
            for (size_t k = 0; k < n; k++) {
                seen[k] |= bytes[k];
            }
        }
        for (size_t k = 0; k < n; k++) {
            assert_int_not_equal(seen[k], 0);
        }
    }
}

static void test_uuid(void **state)
{
    (void)state;
    char text[UUID_TEXT_SIZE], again[UUID_TEXT_SIZE];
    uint8_t bytes[16];
    uuid_generate(text);
    uuid_generate(again);
    assert_memory_not_equal(text, again, UUID_TEXT_SIZE);
    assert_ok(uuid_parse(str_make(text, UUID_TEXT_SIZE), bytes));
    uuid_format(bytes, again);
    assert_memory_equal(text, again, UUID_TEXT_SIZE);
    assert_ok(uuid_parse(STR("01234567-89AB-cdef-0123-456789abcdef"), bytes));
    assert_memory_equal(bytes, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef",
                        16);
    assert_false(uuid_is_valid(STR("")));
    assert_false(uuid_is_valid(STR("01234567-89ab-cdef-0123-456789abcde")));
    assert_false(uuid_is_valid(STR("01234567-89ab-cdef-0123-456789abcdeff")));
    assert_false(uuid_is_valid(STR("01234567-89ab-cdef-0123-456789abcdeg")));
    assert_false(uuid_is_valid(STR("012345678-9ab-cdef-0123-456789abcdef")));
    assert_false(uuid_is_valid(STR("01234567-89ab-cdef-0123--56789abcdef")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_numbers),
        cmocka_unit_test(test_below_is_even),
        cmocka_unit_test(test_bytes_fill_all),
        cmocka_unit_test(test_uuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
