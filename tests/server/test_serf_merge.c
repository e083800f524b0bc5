#include "server/serf_pool.h"

#include "test.h"

#include "base/err.h"

#define TAGS_MAX 8u

struct someone {
    struct member member;
    struct strpair tags[TAGS_MAX];
};

/* "role=node dc=dc1": the tags, sorted. */
static const struct member *someone(struct someone *s, const char *name, const char *tags)
{
    struct str rest = str_from_cstr(tags), pair;
    size_t n = 0;
    while (rest.n > 0 && str_split_next(&rest, ' ', &pair)) {
        (void)str_cut(pair, '=', &s->tags[n].key, &s->tags[n].value);
        n++;
    }
    s->member = (struct member){.name = str_from_cstr(name),
                                .addr = STR("127.0.0.1"),
                                .tags = strmap_build(s->tags, n),
                                .status = MEMBER_ALIVE};
    return &s->member;
}

#define SERVER "role=consul port=8300 vsn=2 build=1.10.3:abc dc="

static const struct merge_rules rules = {
    .datacenter = STR_INIT("dc1"), .node_id = STR_INIT("own-id"), .node_name = STR_INIT("self")};

static void assert_lan(const char *name, const char *tags, const char *expected)
{
    struct someone s;
    struct err err = {0};
    int rc = merge_check_lan(&rules, someone(&s, name, tags), 1, &err);
    assert_int_equal(rc < 0, expected != NULL);
    assert_string_equal(err.text, expected != NULL ? expected : "");
}

static void test_lan(void **state)
{
    (void)state;
    assert_lan("a", "dc=dc1 id=x role=node", NULL);
    assert_lan("a", SERVER "dc1 id=x", NULL);
    assert_lan("a", "dc=dc2 id=x role=node", "Member 'a' part of wrong datacenter 'dc2'");
    assert_lan("a", SERVER "dc2 id=x", "Member 'a' part of wrong datacenter 'dc2'");
    assert_lan("a", "dc=dc1 id=own-id role=node",
               "Member 'a' has conflicting node ID 'own-id' with this agent's ID");
    assert_lan("self", "dc=dc1 id=own-id role=node", NULL);
    assert_lan("a", "dc=dc1 id=x role=node segment=alpha",
               "Member 'a' part of wrong segment 'alpha' (expected '')");
    assert_lan("a", "dc=dc2 role=other", NULL); /* nobody of Consul's */
}

static void assert_two(const char *tags, int64_t status, const char *expected)
{
    struct someone s[2];
    struct err err = {0};
    struct member members[2] = {*someone(&s[0], "a", tags), *someone(&s[1], "b", tags)};
    members[1].status = status;
    int rc = merge_check_lan(&rules, members, 2, &err);
    assert_int_equal(rc < 0, expected != NULL);
    assert_string_equal(err.text, expected != NULL ? expected : "");
}

/* Among members of versions that have ids of their own. */
static void test_ids_are_unique(void **state)
{
    static const char text[] = "Member 'b' has conflicting node ID 'x' with member 'a'";
    (void)state;
    assert_two("build=1.10.3:abc dc=dc1 id=x role=node", MEMBER_ALIVE, text);
    assert_two("build=0.8.5:abc dc=dc1 id=x role=node", MEMBER_ALIVE, text);
    assert_two("build=0.8.4:abc dc=dc1 id=x role=node", MEMBER_ALIVE, NULL);
    assert_two("build=0.7.9:abc dc=dc1 id=x role=node", MEMBER_ALIVE, NULL);
    assert_two("dc=dc1 id=x role=node", MEMBER_ALIVE, NULL);
    assert_two("build=1.10.3:abc dc=dc1 id=x role=node", MEMBER_LEFT, NULL);
    assert_two("build=1.10.3:abc dc=dc1 role=node", MEMBER_ALIVE, NULL);
}

static void test_wan(void **state)
{
    struct someone s[2];
    struct err err = {0};
    (void)state;
    struct member members[2] = {*someone(&s[0], "a.dc1", SERVER "dc1"),
                                *someone(&s[1], "b.dc2", SERVER "dc2")};
    assert_ok(merge_check_wan(members, 2, &err));
    members[1] = *someone(&s[1], "c.dc2", "dc=dc2 role=node");
    assert_true(merge_check_wan(members, 2, &err) < 0);
    assert_string_equal(err.text, "Member 'c.dc2' is not a server");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lan),
        cmocka_unit_test(test_ids_are_unique),
        cmocka_unit_test(test_wan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
