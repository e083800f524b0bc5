#include "test.h"
#include "transcript.h"

#include "acl/authorizer.h"
#include "base/err.h"
#include "base/rand.h"

/* --- transcripts: rules and questions -------------------------------------------------------- */

#define POLICIES_MAX 8u

struct play {
    struct arena arena;
    struct acl_policy policies[POLICIES_MAX];
    size_t count;
    enum acl_default fallback;
    struct acl_authorizer *who;
    struct buf *out;
};

static void *play_new(struct buf *out)
{
    struct play *p = xcalloc(1, sizeof(*p));
    p->out = out;
    p->who = acl_authorizer_new(NULL, 0, p->fallback);
    return p;
}

static void play_free(void *data)
{
    struct play *p = data;
    acl_authorizer_free(p->who);
    arena_deinit(&p->arena);
    mem_free(p);
}

static void play_add(struct play *p, enum acl_syntax syntax, struct str *words, size_t count)
{
    struct buf text = {0};
    struct err err = {0};
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "%s%.*s", i > 0 ? " " : "", STRF(words[i]));
    }
    assert_true(p->count < POLICIES_MAX);
    if (acl_policy_parse(&p->arena, buf_view(&text), syntax, &p->policies[p->count], &err) < 0) {
        buf_printf(p->out, "%s\n", err_text(&err));
    } else {
        p->count++;
    }
    buf_deinit(&text);
}

static const struct {
    struct str name;
    enum acl_right right;
} further_rights[] = {
    {STR_INIT("node:read-all"), ACL_NODE_READ_ALL},
    {STR_INIT("service:read-all"), ACL_SERVICE_READ_ALL},
    {STR_INIT("snapshot"), ACL_SNAPSHOT},
    {STR_INIT("intention:default"), ACL_INTENTION_DEFAULT},
};

static void play_ask(struct play *p, struct str asked, struct str name)
{
    struct str resource, access;
    struct err err = {0};
    enum acl_right right;
    (void)str_cut(asked, ':', &resource, &access);
    for (size_t i = 0; i < ARRAY_SIZE(further_rights); i++) {
        if (str_eq(asked, further_rights[i].name)) {
            bool yes = acl_allows(p->who, further_rights[i].right, name);
            buf_printf(p->out, "%s\n", yes ? "allow" : "deny");
            return;
        }
    }
    if (acl_right_parse(resource, access, &right, &err) < 0) {
        buf_printf(p->out, "%s\n", err_text(&err));
    } else {
        buf_printf(p->out, "%s\n", acl_allows(p->who, right, name) ? "allow" : "deny");
    }
}

/* policy TEXT | legacy TEXT | default allow|deny | new | ask RESOURCE:ACCESS [NAME...] */
static void play_command(void *data, struct str *words, size_t count)
{
    struct play *p = data;
    if (str_eq_lit(words[0], "policy")) {
        play_add(p, ACL_SYNTAX_CURRENT, words + 1, count - 1);
    } else if (str_eq_lit(words[0], "legacy")) {
        play_add(p, ACL_SYNTAX_LEGACY, words + 1, count - 1);
    } else if (str_eq_lit(words[0], "default")) {
        p->fallback = str_eq_lit(words[1], "allow") ? ACL_DEFAULT_ALLOW : ACL_DEFAULT_DENY;
    } else if (str_eq_lit(words[0], "new")) {
        p->count = 0;
        p->fallback = ACL_DEFAULT_DENY;
    } else if (str_eq_lit(words[0], "ask")) {
        play_ask(p, words[1], count > 2 ? words[2] : STR(""));
        return;
    } else {
        fail();
    }
    acl_authorizer_free(p->who);
    p->who = acl_authorizer_new(p->policies, p->count, p->fallback);
}

static void test_transcripts(void **state)
{
    (void)state;
    static const struct transcript_player player = {play_new, play_command, play_free};
    transcript_play_all("acl", &player, getenv("REWRITE") != NULL);
}

/* --- against rules read one by one ----------------------------------------------------------- */

enum decision { DENY, ALLOW, NO_RULE };

static enum decision enforce(enum acl_level level, enum acl_level needed)
{
    switch (level) {
    case ACL_LEVEL_NONE:
        return NO_RULE;
    case ACL_LEVEL_DENY:
        return DENY;
    case ACL_LEVEL_WRITE:
        return ALLOW;
    case ACL_LEVEL_LIST:
        return needed != ACL_LEVEL_WRITE ? ALLOW : DENY;
    case ACL_LEVEL_READ:
        return needed == ACL_LEVEL_READ ? ALLOW : DENY;
    }
    return NO_RULE;
}

struct model {
    const struct acl_policy *policies;
    size_t count;
};

static bool is_stronger(enum acl_level a, enum acl_level b)
{
    static const enum acl_level order[] = {ACL_LEVEL_DENY, ACL_LEVEL_WRITE, ACL_LEVEL_LIST,
                                           ACL_LEVEL_READ};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        if (a == order[i] || b == order[i]) {
            return a == order[i];
        }
    }
    return false;
}

/* The merged rule of one name, of its kind; false: there is none. */
static bool model_rule(const struct model *m, enum acl_resource r, bool is_prefix, struct str name,
                       bool intentions, enum acl_level *ret)
{
    enum acl_level level = ACL_LEVEL_NONE, own = ACL_LEVEL_NONE;
    for (size_t i = 0; i < m->count; i++) {
        const struct acl_rule_list *list =
            is_prefix ? &m->policies[i].prefix[r] : &m->policies[i].exact[r];
        for (size_t j = 0; j < list->n; j++) {
            if (str_eq(list->v[j].name, name)) {
                level = is_stronger(list->v[j].level, level) ? list->v[j].level : level;
                own = is_stronger(list->v[j].intentions, own) ? list->v[j].intentions : own;
            }
        }
    }
    if (level == ACL_LEVEL_NONE) {
        return false;
    }
    if (intentions) {
        level = own != ACL_LEVEL_NONE                                 ? own
                : level == ACL_LEVEL_READ || level == ACL_LEVEL_WRITE ? ACL_LEVEL_READ
                                                                      : ACL_LEVEL_DENY;
    }
    *ret = level;
    return true;
}

static enum acl_level model_longest(const struct model *m, enum acl_resource r, struct str name,
                                    bool intentions)
{
    enum acl_level level = ACL_LEVEL_NONE, found;
    for (size_t n = 0; n <= name.n; n++) {
        if (model_rule(m, r, true, str_first(name, n), intentions, &found)) {
            level = found;
        }
    }
    return level;
}

static enum decision model_one(const struct model *m, enum acl_resource r, struct str name,
                               bool intentions, enum acl_level needed)
{
    enum acl_level level;
    if (!model_rule(m, r, false, name, intentions, &level)) {
        level = model_longest(m, r, name, intentions);
    }
    return enforce(level, needed);
}

/* Whether some rule for names that begin with the prefix gives that decision. */
static bool model_some(const struct model *m, enum acl_resource r, struct str prefix,
                       bool intentions, enum acl_level needed, enum decision wanted)
{
    for (size_t i = 0; i < m->count; i++) {
        for (int is_prefix = 0; is_prefix < 2; is_prefix++) {
            const struct acl_rule_list *list =
                is_prefix ? &m->policies[i].prefix[r] : &m->policies[i].exact[r];
            for (size_t j = 0; j < list->n; j++) {
                enum acl_level level;
                struct str name = list->v[j].name;
                if (str_has_prefix(name, prefix) &&
                    model_rule(m, r, is_prefix, name, intentions, &level) &&
                    enforce(level, needed) == wanted) {
                    return true;
                }
            }
        }
    }
    return false;
}

static enum decision model_all(const struct model *m, enum acl_resource r, bool intentions,
                               enum acl_level needed)
{
    enum acl_level level;
    if (model_some(m, r, STR(""), intentions, needed, DENY)) {
        return DENY;
    }
    return model_rule(m, r, true, STR(""), intentions, &level) ? enforce(level, needed) : NO_RULE;
}

static enum decision model_any(const struct model *m, enum acl_resource r, bool intentions,
                               enum acl_level needed)
{
    enum acl_level level;
    if (model_some(m, r, STR(""), intentions, needed, ALLOW)) {
        return ALLOW;
    }
    return model_rule(m, r, true, STR(""), intentions, &level) ? enforce(level, needed) : NO_RULE;
}

static enum decision model_under(const struct model *m, struct str prefix)
{
    enum acl_level level = model_longest(m, ACL_RESOURCE_KEY, prefix, false);
    if (enforce(level, ACL_LEVEL_WRITE) == DENY ||
        model_some(m, ACL_RESOURCE_KEY, prefix, false, ACL_LEVEL_WRITE, DENY)) {
        return DENY;
    }
    return enforce(level, ACL_LEVEL_WRITE);
}

static struct str random_name(struct rng *rng, struct arena *a, bool may_be_star)
{
    if (may_be_star && rng_below(rng, 8) == 0) {
        return STR("*");
    }
    char text[6];
    size_t n = rng_below(rng, sizeof(text));
    for (size_t i = 0; i < n; i++) {
        text[i] = "ab/"[rng_below(rng, 3)];
    }
    return arena_str(a, str_make(text, n));
}

static void random_rules(struct rng *rng, struct arena *a, enum acl_resource r,
                         struct acl_rule_list *list)
{
    list->n = rng_below(rng, 6);
    list->v = ARENA_ARRAY(a, struct acl_rule, list->n);
    for (size_t i = 0; i < list->n; i++) {
        list->v[i].name = random_name(rng, a, false);
        do {
            list->v[i].level = (enum acl_level)(1 + rng_below(rng, 4));
        } while (list->v[i].level == ACL_LEVEL_LIST && r != ACL_RESOURCE_KEY);
        static const enum acl_level intentions[] = {ACL_LEVEL_NONE, ACL_LEVEL_READ, ACL_LEVEL_WRITE,
                                                    ACL_LEVEL_DENY};
        list->v[i].intentions =
            r == ACL_RESOURCE_SERVICE ? intentions[rng_below(rng, 4)] : ACL_LEVEL_NONE;
    }
}

static enum decision model_ask(const struct model *m, enum acl_right right, struct str name)
{
    static const struct {
        enum acl_right right;
        enum acl_resource resource;
        enum acl_level needed;
    } plain[] = {
        {ACL_AGENT_READ, ACL_RESOURCE_AGENT, ACL_LEVEL_READ},
        {ACL_AGENT_WRITE, ACL_RESOURCE_AGENT, ACL_LEVEL_WRITE},
        {ACL_EVENT_READ, ACL_RESOURCE_EVENT, ACL_LEVEL_READ},
        {ACL_EVENT_WRITE, ACL_RESOURCE_EVENT, ACL_LEVEL_WRITE},
        {ACL_KEY_READ, ACL_RESOURCE_KEY, ACL_LEVEL_READ},
        {ACL_KEY_LIST, ACL_RESOURCE_KEY, ACL_LEVEL_LIST},
        {ACL_KEY_WRITE, ACL_RESOURCE_KEY, ACL_LEVEL_WRITE},
        {ACL_NODE_READ, ACL_RESOURCE_NODE, ACL_LEVEL_READ},
        {ACL_NODE_WRITE, ACL_RESOURCE_NODE, ACL_LEVEL_WRITE},
        {ACL_QUERY_READ, ACL_RESOURCE_QUERY, ACL_LEVEL_READ},
        {ACL_QUERY_WRITE, ACL_RESOURCE_QUERY, ACL_LEVEL_WRITE},
        {ACL_SERVICE_READ, ACL_RESOURCE_SERVICE, ACL_LEVEL_READ},
        {ACL_SERVICE_WRITE, ACL_RESOURCE_SERVICE, ACL_LEVEL_WRITE},
        {ACL_SESSION_READ, ACL_RESOURCE_SESSION, ACL_LEVEL_READ},
        {ACL_SESSION_WRITE, ACL_RESOURCE_SESSION, ACL_LEVEL_WRITE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        if (plain[i].right == right) {
            return model_one(m, plain[i].resource, name, false, plain[i].needed);
        }
    }
    bool is_star = str_eq_lit(name, "*");
    switch (right) {
    case ACL_INTENTION_READ:
        return is_star ? model_any(m, ACL_RESOURCE_SERVICE, true, ACL_LEVEL_READ)
                       : model_one(m, ACL_RESOURCE_SERVICE, name, true, ACL_LEVEL_READ);
    case ACL_INTENTION_WRITE:
        return is_star ? model_all(m, ACL_RESOURCE_SERVICE, true, ACL_LEVEL_WRITE)
                       : model_one(m, ACL_RESOURCE_SERVICE, name, true, ACL_LEVEL_WRITE);
    case ACL_KEY_WRITE_PREFIX:
        return model_under(m, name);
    case ACL_NODE_READ_ALL:
        return model_all(m, ACL_RESOURCE_NODE, false, ACL_LEVEL_READ);
    case ACL_SERVICE_READ_ALL:
        return model_all(m, ACL_RESOURCE_SERVICE, false, ACL_LEVEL_READ);
    default:
        return NO_RULE;
    }
}

static void test_decides_as_rules_read_one_by_one(void **state)
{
    (void)state;
    struct rng rng;
    struct arena a = {0};
    rng_seed(&rng, 1);
    for (unsigned round = 0; round < 600; round++) {
        struct acl_policy policies[3] = {0};
        struct model m = {policies, rng_below(&rng, 4)};
        for (size_t i = 0; i < m.count; i++) {
            for (size_t r = 0; r < ACL_NAMED_RESOURCE_COUNT; r++) {
                random_rules(&rng, &a, (enum acl_resource)r, &policies[i].exact[r]);
                random_rules(&rng, &a, (enum acl_resource)r, &policies[i].prefix[r]);
            }
        }
        enum acl_default fallback = rng_below(&rng, 2) ? ACL_DEFAULT_ALLOW : ACL_DEFAULT_DENY;
        struct acl_authorizer *who = acl_authorizer_new(policies, m.count, fallback);
        for (unsigned i = 0; i < 200; i++) {
            enum acl_right right = (enum acl_right)rng_below(&rng, ACL_RIGHT_COUNT);
            struct str name = random_name(&rng, &a, true);
            enum decision d = model_ask(&m, right, name);
            bool by_default = fallback == ACL_DEFAULT_ALLOW && right != ACL_ACL_READ &&
                              right != ACL_ACL_WRITE && right != ACL_SNAPSHOT;
            bool want = d == NO_RULE ? by_default : d == ALLOW;
            if (acl_allows(who, right, name) != want) {
                print_error("round %u right %d name \"%.*s\": not %d\n", round, (int)right,
                            STRF(name), want);
                fail();
            }
        }
        acl_authorizer_free(who);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

static void test_static_ones(void **state)
{
    (void)state;
    assert_true(acl_allows(&acl_allow_all, ACL_KEY_WRITE_PREFIX, STR("")));
    assert_true(acl_allows(&acl_allow_all, ACL_INTENTION_DEFAULT, STR("")));
    assert_false(acl_allows(&acl_allow_all, ACL_ACL_READ, STR("")));
    assert_false(acl_allows(&acl_allow_all, ACL_SNAPSHOT, STR("")));
    assert_false(acl_allows(&acl_deny_all, ACL_NODE_READ_ALL, STR("")));
    assert_true(acl_authorizer_size(&acl_deny_all) > 0);
    assert_null(acl_authorizer_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transcripts),
        cmocka_unit_test(test_decides_as_rules_read_one_by_one),
        cmocka_unit_test(test_static_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
