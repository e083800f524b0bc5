#include "test.h"

#include <errno.h>

#include "base/err.h"

static void test_set_and_wrap(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_NOT_FOUND, "no node \"%s\"", "a"), -ERR_NOT_FOUND);
    assert_string_equal(err_text(&err), "no node \"a\"");
    assert_int_equal(err_wrap(&err, "reading %d", 7), -ERR_NOT_FOUND);
    assert_string_equal(err_text(&err), "reading 7: no node \"a\"");
    err_clear(&err);
    assert_int_equal(err.code, 0);
    err.code = ERR_TIMEOUT;
    assert_string_equal(err_text(&err), "timeout");
    assert_int_equal(err_wrap(&err, "dial"), -ERR_TIMEOUT);
    assert_string_equal(err_text(&err), "dial: timeout");
    assert_int_equal(err_set(NULL, ERR_RANGE, "x"), -ERR_RANGE);
    assert_int_equal(err_set(NULL, -ERR_RANGE, "x"), -ERR_RANGE);
    assert_int_equal(err_wrap(NULL, "x"), -ERR_FAILED);
}

static void test_errno(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_from_errno(&err, ENOENT, "open a.json"), -ENOENT);
    assert_string_equal(err_text(&err), "open a.json: no such file or directory");
    assert_int_equal(err_from_errno(&err, -ERR_CLOSED, "write"), -ERR_CLOSED);
    assert_string_equal(err_text(&err), "write: closed");
    assert_string_equal(err_code_text(-ERR_PERMISSION_DENIED), "Permission denied");
    assert_string_equal(err_code_text(999), "unknown error");
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    struct err err;
    (void)err_set(&err, ERR_FAILED, "%02000d", 1);
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE_MAX - 1);
    (void)err_wrap(&err, "words");
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE_MAX - 1);
    assert_memory_equal(err.text, "words: 000", 10);
    (void)err_wrap(&err, "%02000d", 2);
    assert_int_equal(strlen(err.text), ERR_TEXT_SIZE_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_wrap),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
