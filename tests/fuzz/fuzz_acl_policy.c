/* Any text as rules of both syntaxes; what is accepted makes an authorizer that answers. */
#include "acl/authorizer.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct acl_policy policies[2];
    size_t count = 0;
    struct str text = str_make(data, size);
    for (int syntax = ACL_SYNTAX_CURRENT; syntax <= ACL_SYNTAX_LEGACY; syntax++) {
        struct err err = {0};
        int rc = acl_policy_parse(&a, text, (enum acl_syntax)syntax, &policies[count], &err);
        ASSERT((rc < 0) == (err.code != 0));
        count += rc == 0;
    }
    struct acl_authorizer *who = acl_authorizer_new(policies, count, ACL_DEFAULT_DENY);
    for (int right = 0; right < ACL_RIGHT_COUNT; right++) {
        struct str name = str_first(text, (size_t)right);
        bool yes = acl_allows(who, (enum acl_right)right, name);
        ASSERT(count > 0 || !yes);
    }
    acl_authorizer_free(who);
    arena_deinit(&a);
    return 0;
}
