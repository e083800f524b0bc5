#include "test.h"

#include "cli/flags.h"

#include <stdlib.h>

#define ARGS_MAX 16

static struct options {
    bool wan, stale;
    struct str name;
    int64_t count, wait;
    uint64_t index;
    struct cli_list tags;
    struct cli_map meta;
    size_t calls;
    struct str last;
} o;

static int told(void *data, const struct cli_flag *flag, struct str text, struct err *err)
{
    struct options *to = data;
    to->calls++;
    to->last = text;
    return str_eq_lit(text, "refuse") ? err_set(err, ERR_INVALID, "no -%s like that", flag->name)
                                      : 0;
}

static const struct cli_flag flags[] = {
    {"wan", CLI_BOOL, &o.wan, "Wide area."},      {"name", CLI_STR, &o.name, "A name."},
    {"count", CLI_INT, &o.count, "How many."},    {"index", CLI_UINT, &o.index, "Which."},
    {"wait", CLI_DURATION, &o.wait, "How long."}, CLI_FLAGS_END};
static const struct cli_flag more_flags[] = {
    {"stale", CLI_BOOL, &o.stale, "Old.", .is_bool_value = true},
    {"tag", CLI_STRLIST, &o.tags,
     "A tag. May be repeated, and explained at such length that the "
     "text has to go on in a second line."},
    {"meta", CLI_STRMAP, &o.meta, "Metadata."},
    {"call", CLI_FUNC, &o, "A call.", .fn = told},
    {"bare", CLI_FUNC, &o, "A bare call.", .fn = told, .is_bool = true},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{"Some", flags}, {"Others", more_flags}};

/* Parse "a b c", split at blanks; "_" stands for an empty argument. */
static int parse(const char *line, struct cli_args *ret_args, struct err *err)
{
    static char storage[1024];
    static char *argv[ARGS_MAX + 1];
    int argc = 0;
    cli_list_deinit(&o.tags);
    cli_map_deinit(&o.meta);
    o = (struct options){0};
    (void)snprintf(storage, sizeof(storage), "%s", line);
    for (char *word = storage; *word != '\0';) {
        char *end = strchrnul(word, ' ');
        bool is_last = *end == '\0';
        *end = '\0';
        assert_true(argc < ARGS_MAX);
        argv[argc++] = strcmp(word, "_") == 0 ? end : word;
        word = is_last ? end : end + 1;
    }
    argv[argc] = NULL;
    return cli_flags_parse(argc, argv, groups, ARRAY_SIZE(groups), ret_args, err);
}

static struct cli_args parse_ok(const char *line)
{
    struct cli_args args = {0};
    struct err err = {0};
    if (parse(line, &args, &err) < 0) {
        fail_msg("\"%s\" gave: %s", line, err_text(&err));
    }
    return args;
}

static void assert_refused(const char *line, const char *text)
{
    struct cli_args args = {0};
    struct err err = {0};
    int rc = parse(line, &args, &err);
    assert_true(rc < 0);
    assert_string_equal(err_text(&err), text);
}

static void test_forms(void **state)
{
    (void)state;
    parse_ok("-name=x");
    assert_str_lit(o.name, "x");
    parse_ok("--name=x");
    assert_str_lit(o.name, "x");
    parse_ok("-name x");
    assert_str_lit(o.name, "x");
    parse_ok("--name x");
    assert_str_lit(o.name, "x");
    parse_ok("-name=");
    assert_str_lit(o.name, "");
    assert_non_null(o.name.p); /* given, if empty */
    parse_ok("-name _");
    assert_str_lit(o.name, "");
    parse_ok("-name=a=b");
    assert_str_lit(o.name, "a=b");
    parse_ok("-name -wan"); /* the next argument, whatever it is */
    assert_str_lit(o.name, "-wan");
    assert_false(o.wan);
    parse_ok("-name=a -name=b");
    assert_str_lit(o.name, "b");
}

static void test_where_flags_end(void **state)
{
    (void)state;
    struct cli_args args = parse_ok("-wan a -name=x");
    assert_int_equal(args.argc, 2);
    assert_string_equal(args.argv[0], "a");
    assert_null(o.name.p);
    args = parse_ok("-wan -- -name=x");
    assert_int_equal(args.argc, 1);
    assert_string_equal(args.argv[0], "-name=x");
    args = parse_ok("-wan - -name=x");
    assert_int_equal(args.argc, 2);
    assert_string_equal(args.argv[0], "-");
    args = parse_ok("-wan _ -name=x");
    assert_int_equal(args.argc, 2);
    args = parse_ok("");
    assert_int_equal(args.argc, 0);
    args = parse_ok("-wan");
    assert_int_equal(args.argc, 0);
}

static void test_bools(void **state)
{
    (void)state;
    static const char *const yes[] = {"-wan",      "-wan=1",    "-wan=t",   "-wan=T",
                                      "-wan=true", "-wan=TRUE", "-wan=True"};
    static const char *const no[] = {"-wan=0",     "-wan=f",     "-wan=F",
                                     "-wan=false", "-wan=FALSE", "-wan=False"};
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        parse_ok(yes[i]);
        assert_true(o.wan);
    }
    for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
        parse_ok(no[i]);
        assert_false(o.wan);
    }
    struct cli_args args = parse_ok("-wan false"); /* an argument, not the flag's */
    assert_true(o.wan);
    assert_int_equal(args.argc, 1);
    assert_refused("-wan=maybe", "invalid boolean value \"maybe\" for -wan: parse error");
    assert_refused("-wan=", "invalid boolean value \"\" for -wan: parse error");
    assert_refused("-stale=x", "invalid boolean value \"x\" for -stale: strconv.ParseBool: parsing "
                               "\"x\": invalid syntax");
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } ints[] = {{"0", 0},
                {"-5", -5},
                {"+5", 5},
                {"0x1F", 31},
                {"0b101", 5},
                {"0o17", 15},
                {"017", 15},
                {"-0x10", -16},
                {"0x_f_f", 255},
                {"1_000", 1000},
                {"0_17", 15},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    for (size_t i = 0; i < ARRAY_SIZE(ints); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "-count=%s", ints[i].text);
        parse_ok(line);
        assert_int_equal(o.count, ints[i].value);
    }
    static const char *const wrong[] = {"x",  "1x",  "1__0", "0x", "0x_", "1_",
                                        "_1", "--1", "0b2",  "08", "1e3"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char line[64], text[128];
        (void)snprintf(line, sizeof(line), "-count=%s", wrong[i]);
        (void)snprintf(text, sizeof(text), "invalid value \"%s\" for flag -count: parse error",
                       wrong[i]);
        assert_refused(line, text);
    }
    assert_refused("-count=", "invalid value \"\" for flag -count: parse error");
    assert_refused("-count=9223372036854775808",
                   "invalid value \"9223372036854775808\" for flag -count: value out of range");
    assert_refused("-count=-9223372036854775809",
                   "invalid value \"-9223372036854775809\" for flag -count: value out of range");
    parse_ok("-index=18446744073709551615");
    assert_true(o.index == UINT64_MAX);
    assert_refused("-index=-1", "invalid value \"-1\" for flag -index: parse error");
    assert_refused("-index=18446744073709551616",
                   "invalid value \"18446744073709551616\" for flag -index: value out of range");
    parse_ok("-wait=1m30s");
    assert_int_equal(o.wait, 90000000000);
    assert_refused("-wait=5", "invalid value \"5\" for flag -wait: parse error");
}

static void test_lists_and_maps(void **state)
{
    (void)state;
    parse_ok("-tag=a -tag b -tag=");
    assert_int_equal(o.tags.n, 3);
    assert_str_lit(o.tags.v[0], "a");
    assert_str_lit(o.tags.v[1], "b");
    assert_str_lit(o.tags.v[2], "");
    parse_ok("-meta=z=1 -meta=a=2 -meta=m=x=y -meta=z=3 -meta==");
    assert_int_equal(o.meta.n, 4); /* by key, the last of one key */
    assert_str_lit(o.meta.v[0].key, "");
    assert_str_lit(o.meta.v[1].key, "a");
    assert_str_lit(o.meta.v[2].key, "m");
    assert_str_lit(o.meta.v[2].value, "x=y");
    assert_str_lit(o.meta.v[3].key, "z");
    assert_str_lit(o.meta.v[3].value, "3");
    assert_refused("-meta=bad", "invalid value \"bad\" for flag -meta: Missing \"=\" value in "
                                "argument: bad");
    parse_ok("");
}

static void test_functions(void **state)
{
    (void)state;
    parse_ok("-call=1 -call 2 -bare");
    assert_int_equal(o.calls, 3);
    assert_str_lit(o.last, "true");
    assert_refused("-call=refuse", "no -call like that");
    assert_refused("-call", "flag needs an argument: -call");
}

static void test_errors(void **state)
{
    (void)state;
    assert_refused("-nonsense", "flag provided but not defined: -nonsense");
    assert_refused("--nonsense=1", "flag provided but not defined: -nonsense");
    assert_refused("-WAN", "flag provided but not defined: -WAN");
    assert_refused("-name", "flag needs an argument: -name");
    assert_refused("---name=x", "bad flag syntax: ---name=x");
    assert_refused("-=x", "bad flag syntax: -=x");
    assert_refused("--=x", "bad flag syntax: --=x");
    assert_refused("-count=\"\n", "invalid value \"\\\"\\n\" for flag -count: parse error");
    struct cli_args args;
    struct err err = {0};
    assert_int_equal(parse("-wan -help", &args, &err), -ERR_CANCELED);
    assert_int_equal(parse("-h", &args, &err), -ERR_CANCELED);
}

static void test_list_is_bounded(void **state)
{
    (void)state;
    struct cli_list list = {0};
    const struct cli_flag one[] = {{"t", CLI_STRLIST, &list, ""}, CLI_FLAGS_END};
    const struct cli_flag_group group = {"", one};
    char *argv[] = {"-t=x"};
    struct cli_args args;
    struct err err = {0};
    for (size_t i = 0; i < CLI_LIST_MAX; i++) {
        assert_ok(cli_flags_parse(1, argv, &group, 1, &args, &err));
    }
    assert_int_equal(cli_flags_parse(1, argv, &group, 1, &args, &err), -ERR_TOO_LARGE);
    cli_list_deinit(&list);
}

static void test_help(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    cli_flags_help(to, groups, ARRAY_SIZE(groups));
    (void)fclose(to);
    static const char expected[] =
        "Some\n\n"
        "  -count=<int>\n     How many.\n\n"
        "  -index=<uint>\n     Which.\n\n"
        "  -name=<string>\n     A name.\n\n"
        "  -wait=<duration>\n     How long.\n\n"
        "  -wan\n     Wide area.\n\n"
        "Others\n\n"
        "  -bare\n     A bare call.\n\n"
        "  -call=<value>\n     A call.\n\n"
        "  -meta=<key=value>\n     Metadata.\n\n"
        "  -stale\n     Old.\n\n"
        "  -tag=<value>\n     A tag. May be repeated, and explained at such length that the text\n"
        "     has to go on in a second line.\n\n";
    assert_string_equal(text, expected);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),          cmocka_unit_test(test_where_flags_end),
        cmocka_unit_test(test_bools),          cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_lists_and_maps), cmocka_unit_test(test_functions),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_list_is_bounded),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
