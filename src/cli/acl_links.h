/* acl_links.h - what `acl token` and `acl role` grant: policies and roles, services and nodes, from
 * flags into the lists of a token or a role.
 *
 *     static const struct cli_flag flags[] = {ACL_POLICY_FLAGS("token"), …};
 *     code = acl_policies_add(c, &token->policies);
 *
 * The flags' lists are freed by acl_links_deinit(). */
#pragma once
#include "cli/acl.h"

extern struct cli_list acl_policy_ids, acl_policy_names, acl_role_ids, acl_role_names;
extern struct cli_list acl_service_identities, acl_node_identities;

#define ACL_POLICY_FLAGS                                             \
    {"policy-id", CLI_STRLIST, &acl_policy_ids,                      \
     "Id of a policy to grant, or how it begins. May be repeated."}, \
    {                                                                \
        "policy-name", CLI_STRLIST, &acl_policy_names,               \
            "Name of a policy to grant. May be repeated."            \
    }
#define ACL_ROLE_FLAGS                                                                         \
    {"role-id", CLI_STRLIST, &acl_role_ids,                                                    \
     "Id of a role to grant, or how it begins. May be repeated."},                             \
    {                                                                                          \
        "role-name", CLI_STRLIST, &acl_role_names, "Name of a role to grant. May be repeated." \
    }
#define ACL_IDENTITY_FLAGS                                                                      \
    {"node-identity", CLI_STRLIST, &acl_node_identities,                                        \
     "NODE:DATACENTER, which grants what the agent there needs. May be repeated."},             \
    {                                                                                           \
        "service-identity", CLI_STRLIST, &acl_service_identities,                               \
            "SERVICE or SERVICE:DC1,DC2, which grants what an instance of that service needs. " \
            "May be "                                                                           \
            "repeated."                                                                         \
    }

/* Whether any of the flags was given. */
bool acl_links_given(void);
void acl_links_deinit(void);
/* Add what the flags name to a list, but for what it has already. Ids are resolved by asking. The
 * exit code, 0 when all went well; errors are told. */
int acl_policies_add(struct client *c, struct objlist *links);
int acl_roles_add(struct client *c, struct objlist *links);
/* What the flags say: "Malformed -service-identity argument: "a:b:c"". */
NODISCARD int acl_identities_parse(struct arena *a, struct objlist *ret_services,
                                   struct objlist *ret_nodes, struct err *err);
/* One of the same service takes the other's place. */
void acl_services_merge(struct arena *a, struct objlist *to, struct objlist more);
void acl_nodes_merge(struct arena *a, struct objlist *to, struct objlist more);
