/* policy.h - the rule language: a text of rules to a list of who may do what.
 *
 *     struct acl_policy policy;
 *     if (acl_policy_parse(&arena, rules, ACL_SYNTAX_CURRENT, &policy, &err) < 0) ...
 *
 * A text is HCL or JSON. Resources with names (key, node, service, agent, session, event, query)
 * have rules for one name and, with _prefix, for all names that begin so; acl, keyring and operator
 * are one word each. Unknown resources and members are passed over, as in Consul: rules of its
 * enterprise edition (sentinel, namespace) say nothing here. In the legacy syntax there is no
 * _prefix: every name is the beginning of names.
 *
 * The names of the rules live in the arena. Levels are read in any case ("Read"). What fails to
 * parse is told in Consul's words, for people see them; only the place in the text is left out
 * where a value has the wrong type. */
#pragma once
#include "base/arena.h"

struct err;

enum acl_syntax {
    ACL_SYNTAX_CURRENT = 0, /* the numbers are those of ACLPolicy.Syntax */
    ACL_SYNTAX_LEGACY = 1,
};

/* ACL_LEVEL_NONE: no rule says anything. Of the others the stronger wins where policies are
 * merged: deny, write, list, read. */
enum acl_level { ACL_LEVEL_NONE, ACL_LEVEL_READ, ACL_LEVEL_LIST, ACL_LEVEL_WRITE, ACL_LEVEL_DENY };

/* X(resource with names, its name in rules) */
#define ACL_NAMED_RESOURCES(X) \
    X(AGENT, "agent")          \
    X(KEY, "key")              \
    X(NODE, "node")            \
    X(SERVICE, "service")      \
    X(SESSION, "session")      \
    X(EVENT, "event")          \
    X(QUERY, "query")

enum acl_resource {
#define X(id, name) ACL_RESOURCE_##id,
    ACL_NAMED_RESOURCES(X)
#undef X
        ACL_NAMED_RESOURCE_COUNT,
};

struct acl_rule {
    struct str name;
    enum acl_level level;
    enum acl_level intentions; /* of a service; NONE: what follows from its level */
};

struct acl_rule_list {
    struct acl_rule *v;
    size_t n;
};

struct acl_policy {
    enum acl_level acl, keyring, operator;
    /* In the order of the text; the same name may occur again. */
    struct acl_rule_list exact[ACL_NAMED_RESOURCE_COUNT], prefix[ACL_NAMED_RESOURCE_COUNT];
};

NODISCARD int acl_policy_parse(struct arena *a, struct str rules, enum acl_syntax syntax,
                               struct acl_policy *ret_policy, struct err *err);
/* "read", "list", "write", "deny", in any case; ACL_LEVEL_NONE: none of them. */
enum acl_level acl_level_parse(struct str text);
const char *acl_level_text(enum acl_level level); /* "" for none */
