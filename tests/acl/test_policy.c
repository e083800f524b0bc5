#include "test.h"

#include "acl/policy.h"
#include "base/err.h"

static struct arena arena;

static struct acl_policy parse(struct str text, enum acl_syntax syntax)
{
    struct acl_policy p;
    struct err err = {0};
    if (acl_policy_parse(&arena, text, syntax, &p, &err) < 0) {
        print_error("%s\n", err_text(&err));
        fail();
    }
    return p;
}

static void assert_refused(struct str text, enum acl_syntax syntax, const char *sentence)
{
    struct acl_policy p = {.acl = ACL_LEVEL_DENY};
    struct err err = {0};
    assert_true(acl_policy_parse(&arena, text, syntax, &p, &err) < 0);
    assert_string_equal(err_text(&err), sentence);
    assert_int_equal(p.acl, ACL_LEVEL_DENY); /* untouched */
}

static void assert_rule(const struct acl_rule_list *list, size_t i, const char *name,
                        enum acl_level level)
{
    assert_true(i < list->n);
    assert_str_equal(list->v[i].name, str_from_cstr(name));
    assert_int_equal(list->v[i].level, level);
}

static void test_all_resources(void **state)
{
    (void)state;
    struct acl_policy p = parse(
        STR("acl = \"read\" operator = \"write\" keyring = \"deny\"\n"
            "agent \"a\" { policy = \"read\" } agent_prefix \"ap\" { policy = \"write\" }\n"
            "key \"k\" { policy = \"list\" } key_prefix \"\" { policy = \"deny\" }\n"
            "node \"n\" { policy = \"read\" } node_prefix \"np\" { policy = \"write\" }\n"
            "service \"s\" { policy = \"write\" intentions = \"deny\" }\n"
            "service_prefix \"sp\" { policy = \"read\" }\n"
            "session \"x\" { policy = \"read\" } session_prefix \"xp\" { policy = \"write\" }\n"
            "event \"e\" { policy = \"read\" } event_prefix \"ep\" { policy = \"write\" }\n"
            "query \"q\" { policy = \"read\" } query_prefix \"qp\" { policy = \"write\" }\n"
            "namespace \"ns\" { policy = \"x\" }\n"),
        ACL_SYNTAX_CURRENT);
    assert_int_equal(p.acl, ACL_LEVEL_READ);
    assert_int_equal(p.operator, ACL_LEVEL_WRITE);
    assert_int_equal(p.keyring, ACL_LEVEL_DENY);
    static const char *const exact[] = {"a", "k", "n", "s", "x", "e", "q"};
    static const char *const prefix[] = {"ap", "", "np", "sp", "xp", "ep", "qp"};
    for (size_t i = 0; i < ACL_NAMED_RESOURCE_COUNT; i++) {
        assert_int_equal(p.exact[i].n, 1);
        assert_int_equal(p.prefix[i].n, 1);
        assert_str_equal(p.exact[i].v[0].name, str_from_cstr(exact[i]));
        assert_str_equal(p.prefix[i].v[0].name, str_from_cstr(prefix[i]));
    }
    assert_rule(&p.exact[ACL_RESOURCE_KEY], 0, "k", ACL_LEVEL_LIST);
    assert_rule(&p.prefix[ACL_RESOURCE_KEY], 0, "", ACL_LEVEL_DENY);
    assert_int_equal(p.exact[ACL_RESOURCE_SERVICE].v[0].intentions, ACL_LEVEL_DENY);
    assert_int_equal(p.prefix[ACL_RESOURCE_SERVICE].v[0].intentions, ACL_LEVEL_NONE);
}

static void test_forms_of_a_rule(void **state)
{
    (void)state;
    static const struct str forms[] = {
        STR_INIT("key \"a\" { policy = \"read\" } key \"b\" { policy = \"write\" }"),
        STR_INIT("key { a { policy = \"read\" } b { policy = \"write\" } }"),
        STR_INIT("KEY \"a\" { Policy = \"READ\", sentinel { code = \"x\" } }\n"
                 "key \"b\" { policy = \"Write\" }"),
        STR_INIT("{\"key\": {\"a\": {\"policy\": \"read\"}, \"b\": {\"policy\": \"write\"}}}"),
        STR_INIT("{\"key\": [{\"a\": {\"policy\": \"read\"}}, {\"b\": {\"policy\": \"write\"}}]}"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        struct acl_policy p = parse(forms[i], ACL_SYNTAX_CURRENT);
        assert_int_equal(p.exact[ACL_RESOURCE_KEY].n, 2);
        assert_rule(&p.exact[ACL_RESOURCE_KEY], 0, "a", ACL_LEVEL_READ);
        assert_rule(&p.exact[ACL_RESOURCE_KEY], 1, "b", ACL_LEVEL_WRITE);
    }
    struct acl_policy p = parse(STR("key { policy = \"read\" }"), ACL_SYNTAX_CURRENT);
    assert_rule(&p.exact[ACL_RESOURCE_KEY], 0, "policy", ACL_LEVEL_READ);
    p = parse(STR(""), ACL_SYNTAX_CURRENT);
    assert_int_equal(p.exact[ACL_RESOURCE_KEY].n, 0);
}

static void test_legacy_names_are_prefixes(void **state)
{
    (void)state;
    struct acl_policy p = parse(STR("acl = \"write\" key \"a\" { policy = \"read\" }\n"
                                    "key_prefix \"b\" { policy = \"read\" }\n"
                                    "service \"\" { policy = \"write\" }\noperator = \"read\""),
                                ACL_SYNTAX_LEGACY);
    assert_int_equal(p.acl, ACL_LEVEL_NONE); /* there was no such rule */
    assert_int_equal(p.operator, ACL_LEVEL_READ);
    assert_int_equal(p.exact[ACL_RESOURCE_KEY].n, 0);
    assert_int_equal(p.prefix[ACL_RESOURCE_KEY].n, 1);
    assert_rule(&p.prefix[ACL_RESOURCE_KEY], 0, "a", ACL_LEVEL_READ);
    assert_rule(&p.prefix[ACL_RESOURCE_SERVICE], 0, "", ACL_LEVEL_WRITE);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *sentence;
    } cases[] = {
        {STR_INIT("acl = \"list\""), "Invalid acl policy: \"list\""},
        {STR_INIT("operator = \"nope\""), "Invalid operator policy: \"nope\""},
        {STR_INIT("keyring = \"nope\""), "Invalid keyring policy: \"nope\""},
        {STR_INIT("agent \"a\" { policy = \"list\" }"),
         "Invalid agent policy: &acl.AgentRule{Node:\"a\", Policy:\"list\"}"},
        {STR_INIT("agent_prefix \"a\" { policy = \"x\" }"),
         "Invalid agent_prefix policy: &acl.AgentRule{Node:\"a\", Policy:\"x\"}"},
        {STR_INIT("key \"k\" { policy = \"x\" }"),
         "Invalid key policy: &acl.KeyRule{Prefix:\"k\", Policy:\"x\", "
         "EnterpriseRule:acl.EnterpriseRule{}}"},
        {STR_INIT("key_prefix \"k\" {}"),
         "Invalid key_prefix policy: &acl.KeyRule{Prefix:\"k\", Policy:\"\", "
         "EnterpriseRule:acl.EnterpriseRule{}}"},
        {STR_INIT("node \"n\" { policy = 3 }"),
         "Invalid node policy: &acl.NodeRule{Name:\"n\", Policy:\"3\", "
         "EnterpriseRule:acl.EnterpriseRule{}}"},
        {STR_INIT("service \"s\" { policy = \"read\" intentions = \"list\" }"),
         "Invalid service intentions policy: &acl.ServiceRule{Name:\"s\", Policy:\"read\", "
         "Intentions:\"list\", EnterpriseRule:acl.EnterpriseRule{}}"},
        {STR_INIT("service_prefix \"s\" { policy = \"list\" }"),
         "Invalid service_prefix policy: &acl.ServiceRule{Name:\"s\", Policy:\"list\", "
         "Intentions:\"\", EnterpriseRule:acl.EnterpriseRule{}}"},
        {STR_INIT("session \"s\" { policy = \"\" }"),
         "Invalid session policy: &acl.SessionRule{Node:\"s\", Policy:\"\"}"},
        {STR_INIT("event \"e\" { policy = \"x\" }"),
         "Invalid event policy: &acl.EventRule{Event:\"e\", Policy:\"x\"}"},
        {STR_INIT("query_prefix \"q\" { policy = \"x\" }"),
         "Invalid query_prefix policy: &acl.PreparedQueryRule{Prefix:\"q\", Policy:\"x\"}"},
        /* of several mistakes that of the first resource in Consul's order */
        {STR_INIT("operator = \"x\" event \"e\" { policy = \"x\" } key \"k\" { policy = \"x\" }"),
         "Invalid key policy: &acl.KeyRule{Prefix:\"k\", Policy:\"x\", "
         "EnterpriseRule:acl.EnterpriseRule{}}"},
        {STR_INIT("key = true"),
         "Failed to parse ACL rules: root.key: unknown slice type: *ast.LiteralType"},
        {STR_INIT("key \"a\" { policy = true }"),
         "Failed to parse ACL rules: root.key: unknown type for string *ast.LiteralType"},
        {STR_INIT("acl \"a\" { policy = \"read\" }"),
         "Failed to parse ACL rules: root.acl: unknown type for string *ast.ObjectList"},
        {STR_INIT("key \"a\" { policy ="),
         "Failed to parse ACL rules: At 1:20: object expected closing RBRACE got: EOF"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_refused(cases[i].text, ACL_SYNTAX_CURRENT, cases[i].sentence);
    }
    assert_refused(STR("agent \"a\" { policy = \"list\" }"), ACL_SYNTAX_LEGACY,
                   "Invalid agent policy: &acl.AgentRule{Node:\"a\", Policy:\"list\"}");
}

static void test_levels(void **state)
{
    (void)state;
    assert_int_equal(acl_level_parse(STR("DENY")), ACL_LEVEL_DENY);
    assert_int_equal(acl_level_parse(STR("")), ACL_LEVEL_NONE);
    assert_int_equal(acl_level_parse(STR("readx")), ACL_LEVEL_NONE);
    assert_string_equal(acl_level_text(ACL_LEVEL_LIST), "list");
}

static int end(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_resources),
        cmocka_unit_test(test_forms_of_a_rule),
        cmocka_unit_test(test_legacy_names_are_prefixes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
