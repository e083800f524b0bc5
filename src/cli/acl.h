/* acl.h - what the `acl` commands share: their frame, the flags of output, requests with typed
 * objects, ids given in part, and how each kind of object is shown.
 *
 *     client_request_init(&r, c, "GET", "/v1/acl/policy/%.*s", STRF(id));
 *     if (acl_fetch(&r, &api_policy_schema, &object, &err) < 0) …
 *     return acl_show(c, &acl_policy_kind, object);
 *
 * Objects live in the client's arena. */
#pragma once
#include "cli/api_acl.h"
#include "cli/client.h"
#include "cli/command.h"

#define ACL_CLIENT_FAILURE "Error connecting to Consul agent"

extern struct str acl_format; /* of -format */
extern bool acl_shows_meta;   /* -meta */
#define ACL_FORMAT_FLAG                                                    \
    {                                                                      \
        "format", CLI_STR, &acl_format, "How to print it: pretty or json." \
    }
#define ACL_META_FLAG                                                           \
    {                                                                           \
        "meta", CLI_BOOL, &acl_shows_meta, "Show hashes and Raft indexes, too." \
    }

/* The frame of a command: its flags, then `check` (0, or the exit code after it has told what is
 * wrong with them; may be NULL), then a client, then `run`. */
struct acl_command {
    const char *name;
    const struct cli_flag *flags; /* besides those of HTTP requests */
    int (*check)(void);
    int (*run)(struct client *c);
};

int acl_command_run(const struct acl_command *command, int argc, char **argv);
/* A message, and the help of the command. Returns 1. */
int acl_usage_error(const struct acl_command *command, const char *message);

/* --- requests -------------------------------------------------------------------------------- */

/* The JSON of an object as the request's content. */
void acl_body(struct client_request *r, const struct schema *schema, const void *object);
/* Send, and decode the answer. */
NODISCARD int acl_fetch(struct client_request *r, const struct schema *schema, void **ret_object,
                        struct err *err);
/* The same, NULL when there is none (404). */
NODISCARD int acl_find(struct client_request *r, const struct schema *schema, void **ret_object,
                       struct err *err);
/* The id that begins with what was given; one of 36 bytes is whole, and is not asked about. Errors
 * name the noun ("No such token ID with prefix: x"). */
NODISCARD int acl_token_id(struct client *c, struct str partial, struct str *ret_id,
                           struct err *err);
NODISCARD int acl_policy_id(struct client *c, struct str partial, struct str *ret_id,
                            struct err *err);
NODISCARD int acl_role_id(struct client *c, struct str partial, struct str *ret_id,
                          struct err *err);
NODISCARD int acl_rule_id(struct client *c, struct str partial, struct str *ret_id,
                          struct err *err);
/* By an exact name. */
NODISCARD int acl_policy_id_named(struct client *c, struct str name, struct str *ret_id,
                                  struct err *err);
NODISCARD int acl_role_id_named(struct client *c, struct str name, struct str *ret_id,
                                struct err *err);
/* A name as the last part of a path: escaped once more, since names may have slashes. */
struct str acl_path_name(struct client *c, struct str name);
/* What a legacy token allows, in the legacy syntax. `is_secret`: the id is the secret one. */
NODISCARD int acl_legacy_rules(struct client *c, struct str token, bool is_secret,
                               struct str *ret_rules, struct err *err);

/* --- output ---------------------------------------------------------------------------------- */

struct acl_kind {
    const struct schema *schema, *entry_schema; /* of one by itself, of one in a list */
    void (*put)(struct buf *to, struct arena *a, const void *object);
    void (*put_entry)(struct buf *to, struct arena *a, const void *object);
    const char *separator; /* between entries */
};

extern const struct acl_kind acl_token_kind, acl_policy_kind, acl_role_kind, acl_auth_method_kind,
    acl_binding_rule_kind;

/* Print one, as -format says. The exit code: a format that does not exist is noticed here. */
int acl_show(struct client *c, const struct acl_kind *kind, const void *object);
/* Ask for all of a kind and print them; the exit code. `failure` goes before what went wrong. */
int acl_list(struct client_request *r, const struct acl_kind *kind, const char *failure);
/* Send the DELETE of what is called so ("role", its id) and tell the outcome; the exit code. */
int acl_delete(struct client_request *r, const char *noun, struct str which);
