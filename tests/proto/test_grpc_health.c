#include "test.h"

#include "base/buf.h"
#include "proto/grpc_health.h"

#define BYTES(literal) str_make("" literal, sizeof(literal) - 1)

static void test_request(void **state)
{
    (void)state;
    struct buf out = {0};
    grpc_health_put_request(&out, STR(""));
    assert_str_equal(buf_view(&out), BYTES("\0\0\0\0\0"));
    buf_clear(&out);
    grpc_health_put_request(&out, STR("web"));
    assert_str_equal(buf_view(&out), BYTES("\0\0\0\0\005\012\003web"));
    buf_clear(&out);
    char name[200];
    memset(name, 'x', sizeof(name));
    grpc_health_put_request(&out, str_make(name, sizeof(name)));
    assert_str_equal(str_first(buf_view(&out), 8), BYTES("\0\0\0\0\313\012\310\001"));
    buf_deinit(&out);
}

static void test_answers(void **state)
{
    (void)state;
    assert_int_equal(grpc_health_parse(BYTES("\0\0\0\0\002\010\001")), GRPC_SERVING);
    assert_int_equal(grpc_health_parse(BYTES("\0\0\0\0\0")), GRPC_UNKNOWN);
    /* Other fields, of every wire type. */
    assert_int_equal(grpc_health_parse(BYTES("\0\0\0\0\007\022\003abc\010\002")), GRPC_NOT_SERVING);
    assert_int_equal(grpc_health_parse(BYTES("\0\0\0\0\020\031aaaaaaaa\045bbbb\010\003")),
                     GRPC_SERVICE_UNKNOWN);
    static const struct str bad[] = {
        STR_INIT(""),
        STR_INIT("\0\0\0\0"),
        STR_INIT("\001\0\0\0\0"),          /* compressed */
        STR_INIT("\0\0\0\0\003\010\001"),  /* shorter than it says */
        STR_INIT("\0\0\0\0\001\010"),      /* no value */
        STR_INIT("\0\0\0\0\003\022\377a"), /* a longer string */
        STR_INIT("\0\0\0\0\001\013"),      /* a group */
        STR_INIT("\0\0\0\0\013\010\377\377\377\377\377\377\377\377\377\377"), /* eleven bytes */
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_true(grpc_health_parse(bad[i]) < 0);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(grpc_serving_text(GRPC_NOT_SERVING), "NOT_SERVING");
    assert_null(grpc_serving_text(77));
    assert_null(grpc_serving_text(-1));
    assert_string_equal(grpc_code_text(5), "NotFound");
    assert_null(grpc_code_text(17));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
