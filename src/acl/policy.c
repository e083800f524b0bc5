#include "acl/policy.h"

#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"
#include "schema/hcl.h"

/* A rule as it is written: its levels are judged when the whole text has been read, in the order of
 * the resources, so that of several mistakes the same one is named as in Consul. */
struct written_rule {
    struct str name, policy, intentions;
};

struct written_rules {
    VEC(struct written_rule) list;
};

struct written {
    struct str acl, keyring, operator;
    struct written_rules exact[ACL_NAMED_RESOURCE_COUNT], prefix[ACL_NAMED_RESOURCE_COUNT];
};

#define KEY_SIZE_MAX 32u /* of what errors tell of a resource's name */

struct parser {
    struct arena *a;
    struct err *err;
};

/* How Go prints a rule in an error. */
static const struct {
    struct str name; /* in rules */
    const char *type, *key;
    bool has_enterprise_rule;
} resources[] = {
    [ACL_RESOURCE_AGENT] = {STR_INIT("agent"), "AgentRule", "Node", false},
    [ACL_RESOURCE_KEY] = {STR_INIT("key"), "KeyRule", "Prefix", true},
    [ACL_RESOURCE_NODE] = {STR_INIT("node"), "NodeRule", "Name", true},
    [ACL_RESOURCE_SERVICE] = {STR_INIT("service"), "ServiceRule", "Name", true},
    [ACL_RESOURCE_SESSION] = {STR_INIT("session"), "SessionRule", "Node", false},
    [ACL_RESOURCE_EVENT] = {STR_INIT("event"), "EventRule", "Event", false},
    [ACL_RESOURCE_QUERY] = {STR_INIT("query"), "PreparedQueryRule", "Prefix", false},
};
_Static_assert(ARRAY_SIZE(resources) == ACL_NAMED_RESOURCE_COUNT, "one line for each");

static const char *const level_texts[] = {
    [ACL_LEVEL_NONE] = "",       [ACL_LEVEL_READ] = "read", [ACL_LEVEL_LIST] = "list",
    [ACL_LEVEL_WRITE] = "write", [ACL_LEVEL_DENY] = "deny",
};

enum acl_level acl_level_parse(struct str text)
{
    for (size_t i = ACL_LEVEL_READ; i < ARRAY_SIZE(level_texts); i++) {
        if (str_eq_fold(text, str_from_cstr(level_texts[i]))) {
            return (enum acl_level)i;
        }
    }
    return ACL_LEVEL_NONE;
}

const char *acl_level_text(enum acl_level level)
{
    return level_texts[level];
}

/* --- values to what is written --------------------------------------------------------------- */

static const char *node_type(const struct value *v)
{
    return v->kind == VALUE_LIST  ? "*ast.ObjectList"
           : v->kind == VALUE_MAP ? "*ast.ObjectType"
                                  : "*ast.LiteralType";
}

static int text_of(struct parser *p, struct str path, const struct value *v, struct str *ret)
{
    switch (v->kind) {
    case VALUE_STR:
        *ret = v->s;
        return 0;
    case VALUE_INT:
        *ret = arena_printf(p->a, "%lld", (long long)v->i);
        return 0;
    default:
        return err_set(p->err, ERR_INVALID, "root.%.*s: unknown type for string %s", STRF(path),
                       node_type(v));
    }
}

/* The members of one block. */
static int block_read(struct parser *p, struct str path, const struct value *block,
                      struct written_rule *rule)
{
    int rc = 0;
    for (size_t i = 0; i < block->map.n && rc == 0; i++) {
        const struct value_pair *pair = &block->map.v[i];
        if (str_eq_fold(pair->key, STR("policy"))) {
            rc = text_of(p, path, &pair->value, &rule->policy);
        } else if (str_eq_fold(pair->key, STR("intentions"))) {
            rc = text_of(p, path, &pair->value, &rule->intentions);
        }
    }
    return rc;
}

/* name { ... }: a rule for each block of that name. */
static int rules_of_name(struct parser *p, struct str path, const struct value_pair *pair,
                         struct written_rules *to)
{
    const struct value *v = &pair->value;
    /* A literal in place of the block is one with itself as the only member: a quirk of HCL's
     * decoder that makes `key { policy = "read" }` a rule for the key "policy". */
    struct value_pair self = *pair;
    struct value literal = {.kind = VALUE_MAP, .map = {&self, 1}};
    const struct value *blocks = &literal;
    size_t count = 1;
    if (v->kind == VALUE_LIST) {
        blocks = v->list.v;
        count = v->list.n;
    } else if (v->kind == VALUE_MAP) {
        blocks = v;
    }
    for (size_t i = 0; i < count; i++) {
        struct written_rule rule = {.name = pair->key};
        if (blocks[i].kind != VALUE_MAP) {
            return err_set(p->err, ERR_INVALID,
                           "root.%.*s: not an object type for struct (*ast.ListType)", STRF(path));
        }
        int rc = block_read(p, path, &blocks[i], &rule);
        if (rc < 0) {
            return rc;
        }
        avec_push(p->a, &to->list, rule);
    }
    return 0;
}

/* key "name" { ... } came as a list with a map for each label, or for a block of several. */
static int rules_read(struct parser *p, struct str path, const struct value *v,
                      struct written_rules *to)
{
    if (v->kind != VALUE_LIST) {
        return err_set(p->err, ERR_INVALID, "root.%.*s: unknown slice type: %s", STRF(path),
                       node_type(v));
    }
    for (size_t i = 0; i < v->list.n; i++) {
        const struct value *map = &v->list.v[i];
        if (map->kind != VALUE_MAP) {
            return err_set(p->err, ERR_INVALID,
                           "root.%.*s[%zu]: not an object type for struct (%s)", STRF(path), i,
                           node_type(map));
        }
        for (size_t j = 0; j < map->map.n; j++) {
            int rc = rules_of_name(p, path, &map->map.v[j], to);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

static int member_read(struct parser *p, const struct value_pair *pair, bool is_legacy,
                       struct written *w)
{
    struct str key = pair->key;
    if (str_eq_fold(key, STR("acl"))) {
        return is_legacy ? 0 : text_of(p, STR("acl"), &pair->value, &w->acl);
    }
    if (str_eq_fold(key, STR("keyring"))) {
        return text_of(p, STR("keyring"), &pair->value, &w->keyring);
    }
    if (str_eq_fold(key, STR("operator"))) {
        return text_of(p, STR("operator"), &pair->value, &w->operator);
    }
    for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
        struct str name = resources[i].name;
        if (!str_eq_fold(str_first(key, name.n), name)) {
            continue;
        }
        struct str path = arena_lower(p->a, str_first(key, KEY_SIZE_MAX));
        struct str rest = str_from(key, name.n);
        if (rest.n == 0) {
            return rules_read(p, path, &pair->value, is_legacy ? &w->prefix[i] : &w->exact[i]);
        }
        if (str_eq_fold(rest, STR("_prefix")) && !is_legacy) {
            return rules_read(p, path, &pair->value, &w->prefix[i]);
        }
    }
    return 0;
}

/* --- levels ---------------------------------------------------------------------------------- */

static int fail_rule(struct parser *p, size_t resource, const char *suffix, const char *what,
                     const struct written_rule *rule)
{
    bool is_service = resource == ACL_RESOURCE_SERVICE;
    struct str intentions = STR("");
    if (is_service) {
        intentions = arena_concat(p->a, STR(", Intentions:"), go_quoted(p->a, rule->intentions));
    }
    return err_set(
        p->err, ERR_INVALID, "Invalid %.*s%s%s policy: &acl.%s{%s:%.*s, Policy:%.*s%.*s%s}",
        STRF(resources[resource].name), suffix, what, resources[resource].type,
        resources[resource].key, STRF(go_quoted(p->a, rule->name)),
        STRF(go_quoted(p->a, rule->policy)), STRF(intentions),
        resources[resource].has_enterprise_rule ? ", EnterpriseRule:acl.EnterpriseRule{}" : "");
}

static enum acl_level level_of(struct str text, bool may_list)
{
    enum acl_level level = acl_level_parse(text);
    return level == ACL_LEVEL_LIST && !may_list ? ACL_LEVEL_NONE : level;
}

static int judge_rules(struct parser *p, size_t resource, const char *suffix,
                       const struct written_rules *from, struct acl_rule_list *to)
{
    to->n = from->list.n;
    to->v = ARENA_ARRAY(p->a, struct acl_rule, to->n);
    for (size_t i = 0; i < to->n; i++) {
        const struct written_rule *written = &from->list.v[i];
        struct acl_rule *rule = &to->v[i];
        rule->name = arena_str(p->a, written->name);
        rule->level = level_of(written->policy, resource == ACL_RESOURCE_KEY);
        if (rule->level == ACL_LEVEL_NONE) {
            return fail_rule(p, resource, suffix, "", written);
        }
        if (resource == ACL_RESOURCE_SERVICE && written->intentions.n > 0) {
            rule->intentions = level_of(written->intentions, false);
            if (rule->intentions == ACL_LEVEL_NONE) {
                return fail_rule(p, resource, suffix, " intentions", written);
            }
        }
    }
    return 0;
}

static int judge_word(struct parser *p, const char *name, struct str text, enum acl_level *ret)
{
    *ret = level_of(text, false);
    if (text.n > 0 && *ret == ACL_LEVEL_NONE) {
        return err_set(p->err, ERR_INVALID, "Invalid %s policy: %.*s", name,
                       STRF(go_quoted(p->a, text)));
    }
    return 0;
}

static int judge(struct parser *p, bool is_legacy, const struct written *w, struct acl_policy *ret)
{
    int rc = judge_word(p, "acl", w->acl, &ret->acl);
    const char *suffix = is_legacy ? "" : "_prefix";
    for (size_t i = 0; i < ACL_NAMED_RESOURCE_COUNT && rc == 0; i++) {
        rc = judge_rules(p, i, "", &w->exact[i], &ret->exact[i]);
        if (rc == 0) {
            rc = judge_rules(p, i, suffix, &w->prefix[i], &ret->prefix[i]);
        }
    }
    if (rc == 0) {
        rc = judge_word(p, "keyring", w->keyring, &ret->keyring);
    }
    return rc < 0 ? rc : judge_word(p, "operator", w->operator, & ret->operator);
}

int acl_policy_parse(struct arena *a, struct str rules, enum acl_syntax syntax,
                     struct acl_policy *ret_policy, struct err *err)
{
    struct value *root;
    struct written w = {0};
    struct acl_policy policy = {0};
    struct arena tmp = {0}; /* the tree of values; what the rules need of it is copied */
    struct err own = {0};
    struct parser p = {a, err != NULL ? err : &own};
    bool is_legacy = syntax == ACL_SYNTAX_LEGACY;
    int rc = hcl_parse(&tmp, rules, &root, p.err);
    for (size_t i = 0; rc == 0 && i < root->map.n; i++) {
        rc = member_read(&p, &root->map.v[i], is_legacy, &w);
    }
    if (rc < 0) {
        rc = err_wrap(p.err, "Failed to parse ACL rules");
    } else {
        rc = judge(&p, is_legacy, &w, &policy);
    }
    arena_deinit(&tmp);
    if (rc == 0) {
        *ret_policy = policy;
    }
    return rc;
}
