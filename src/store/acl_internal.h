/* acl_internal.h - what the files store/acl_*.c have in common. */
#pragma once
#include "store/acl.h"

#define INDEX_NAME_ACL_TOKENS STR("acl-tokens")
#define INDEX_NAME_ACL_POLICIES STR("acl-policies")
#define INDEX_NAME_ACL_ROLES STR("acl-roles")
#define INDEX_NAME_ACL_BINDING_RULES STR("acl-binding-rules")
#define INDEX_NAME_ACL_AUTH_METHODS STR("acl-auth-methods")

/* The row of a table whose primary key is a UUID. `what` wraps the error of an id that is none
 * ("failed acl policy lookup"). */
NODISCARD int acl_row_by_id(const struct store_view *v, struct watch_set *ws,
                            enum store_table table, struct str id, const char *what,
                            const void **ret_row, struct err *err);
/* The row whose name, at this place in it, is `name` in any case of letters. */
const void *acl_row_by_name(const struct store_view *v, enum store_index index, struct str name,
                            size_t name_offset);
/* All rows of an index that begin with a prefix. */
void acl_rows(const struct store_view *v, enum store_index index, struct str prefix,
              struct arena *a, struct ptrlist *ret_rows);
bool acl_links_contain(struct objlist links, struct str id);

/* Ids and names that become keys: a bound, and for ids the form of a UUID. */
NODISCARD int acl_check_id(struct str id, const char *what, struct err *err);
NODISCARD int acl_check_name(struct str name, struct err *err);
/* Identities of a "Token" or a "Role" have their names. */
NODISCARD int acl_check_identities(struct ptrlist services, struct ptrlist nodes, const char *of,
                                   struct err *err);

/* Links as they are now, for acl_link_name_fn's names; false: they were so already. */
typedef struct str (*acl_link_name_fn)(const struct store_view *v,
                                       struct str id); /* p NULL: gone */
bool acl_links_current(const struct store_view *v, struct arena *a, struct objlist links,
                       acl_link_name_fn name, struct objlist *ret_links);
struct str acl_policy_link_name(const struct store_view *v, struct str id);
/* Write the present names into links to policies; the number of those that are there. `of`:
 * "Token", "Role". */
NODISCARD int acl_resolve_policy_links(const struct store_view *v, struct objlist links,
                                       bool allow_missing, const char *of, struct err *err);
/* The tokens that were got by a method, of the locality it makes. */
void acl_token_delete_of_method(struct store_txn *tx, const struct acl_auth_method *method);
