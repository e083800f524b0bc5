#include "acl/translate.h"
#include "cli/acl.h"

#include "base/gofmt.h"

#include <stdio.h>

static struct str id, name, description, rules, from_token;
static struct cli_list datacenters;
static bool is_secret, is_whole;

#define ID_FLAG(what)                                                         \
    {                                                                         \
        "id", CLI_STR, &id, "Id of the policy to " what ", or how it begins." \
    }
#define NAME_FLAG(what)                                           \
    {                                                             \
        "name", CLI_STR, &name, "Name of the policy to " what "." \
    }
#define RULES_FLAG                                                                             \
    {                                                                                          \
        "rules", CLI_STR, &rules,                                                              \
            "What it allows, as HCL or JSON; @ and a file's path reads it from there, - from " \
            "standard input."                                                                  \
    }
#define DATACENTER_FLAG                                                           \
    {                                                                             \
        "valid-datacenter", CLI_STRLIST, &datacenters,                            \
            "Datacenter in which it holds. May be repeated; without any, in all." \
    }

static struct strlist datacenters_list(void)
{
    return (struct strlist){datacenters.v, datacenters.n};
}

static int target_check(void)
{
    return id.n == 0 && name.n == 0 ? cli_error("Must specify either the -id or -name parameters")
                                    : 0;
}

/* The id in full, by what was given of it or by the name. */
static int target_complete(struct client *c)
{
    struct err err = {0};
    int rc = id.n > 0 ? acl_policy_id(c, id, &id, &err) : acl_policy_id_named(c, name, &id, &err);
    return rc < 0 ? cli_error("Error determining policy ID: %s", err_text(&err)) : 0;
}

/* --- create ---------------------------------------------------------------------------------- */

static int create_check(void);
static int create(struct client *c);

static const struct cli_flag create_flags[] = {
    {"description", CLI_STR, &description, "What it is for."},
    ACL_FORMAT_FLAG,
    {"from-token", CLI_STR, &from_token,
     "In place of -rules: a token of the legacy kind, whose rules are translated. Given as -rules "
     "are."},
    ACL_META_FLAG,
    {"name", CLI_STR, &name, "Name of the policy; has to be given."},
    CLIENT_NAMESPACE_FLAG,
    RULES_FLAG,
    {"token-secret", CLI_BOOL, &is_secret,
     "What -from-token names is the secret id, not the accessor id."},
    DATACENTER_FLAG,
    CLI_FLAGS_END};
static const struct acl_command create_command = {"acl policy create", create_flags, create_check,
                                                  create};

static int create_check(void)
{
    return name.n == 0 ? acl_usage_error(&create_command, "Missing require '-name' flag") : 0;
}

static int rules_load(struct client *c, struct str *ret_rules, struct err *err)
{
    struct str token, legacy;
    struct arena *a = client_arena(c);
    if (from_token.n > 0 && rules.n > 0) {
        return err_set(err, ERR_INVALID, "Cannot specify both -rules and -from-token");
    }
    if (from_token.n == 0) {
        return cli_data_read(a, rules, ret_rules, err);
    }
    if (cli_data_read(a, from_token, &token, err) < 0) {
        return err_wrap(err, "Invalid -from-token value");
    }
    int rc = acl_legacy_rules(c, token, is_secret, &legacy, err);
    return rc < 0 ? rc : acl_rules_translate(a, legacy, ret_rules, err);
}

static int create(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *policy;
    struct api_policy new = {
        .name = name, .description = description, .datacenters = datacenters_list()};
    if (rules_load(c, &new.rules, &err) < 0) {
        return cli_error("Error loading rules: %s", err_text(&err));
    }
    client_request_init(&r, c, "PUT", "/v1/acl/policy");
    acl_body(&r, &api_policy_schema, &new);
    if (acl_fetch(&r, &api_policy_schema, &policy, &err) < 0) {
        return cli_error("Failed to create new policy: %s", err_text(&err));
    }
    return acl_show(c, &acl_policy_kind, policy);
}

static int acl_policy_create_run(int argc, char **argv)
{
    int code = acl_command_run(&create_command, argc, argv);
    cli_list_deinit(&datacenters);
    return code;
}

/* --- update ---------------------------------------------------------------------------------- */

/* A flag that was given, even if empty, is not NULL. */
static int policy_merge(struct client *c, struct str text, struct api_policy *ret_policy)
{
    struct client_request r;
    struct err err = {0};
    void *object;
    client_request_init(&r, c, "GET", "/v1/acl/policy/%.*s", STRF(id));
    if (acl_fetch(&r, &api_policy_schema, &object, &err) < 0) {
        return cli_error("Error reading policy %.*s: %s", STRF(go_quoted(client_arena(c), id)),
                         err_text(&err));
    }
    const struct api_policy *old = object;
    *ret_policy = (struct api_policy){
        .id = id,
        .name = name.p != NULL ? name : old->name,
        .description = description.p != NULL ? description : old->description,
        .datacenters = datacenters.n > 0 ? datacenters_list() : old->datacenters,
        .rules = rules.p != NULL ? text : old->rules,
    };
    return 0;
}

static int update(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    struct str text;
    void *policy;
    int code = target_complete(c);
    if (code != 0) {
        return code;
    }
    if (cli_data_read(client_arena(c), rules, &text, &err) < 0) {
        return cli_error("Error loading data source: %s", err_text(&err));
    }
    struct api_policy new = {.id = id,
                             .name = name,
                             .description = description,
                             .datacenters = datacenters_list(),
                             .rules = text};
    if (!is_whole && (code = policy_merge(c, text, &new)) != 0) {
        return code;
    }
    client_request_init(&r, c, "PUT", "/v1/acl/policy/%.*s", STRF(id));
    acl_body(&r, &api_policy_schema, &new);
    if (acl_fetch(&r, &api_policy_schema, &policy, &err) < 0) {
        return cli_error("Error updating policy %.*s: %s", STRF(go_quoted(client_arena(c), id)),
                         err_text(&err));
    }
    return acl_show(c, &acl_policy_kind, policy);
}

static int acl_policy_update_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {
        {"description", CLI_STR, &description, "What it is for."},
        ACL_FORMAT_FLAG,
        ID_FLAG("change"),
        ACL_META_FLAG,
        {"name", CLI_STR, &name,
         "With -id, the name to give it; without, the name of the policy to change."},
        CLIENT_NAMESPACE_FLAG,
        {"no-merge", CLI_BOOL, &is_whole,
         "What is not given becomes empty, rather than stay as it was."},
        RULES_FLAG,
        DATACENTER_FLAG,
        CLI_FLAGS_END};
    int code = acl_command_run(
        &(struct acl_command){"acl policy update", flags, target_check, update}, argc, argv);
    cli_list_deinit(&datacenters);
    return code;
}

/* --- read, list, delete ---------------------------------------------------------------------- */

static int read_policy(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *policy;
    int code = target_complete(c);
    if (code != 0) {
        return code;
    }
    client_request_init(&r, c, "GET", "/v1/acl/policy/%.*s", STRF(id));
    if (acl_fetch(&r, &api_policy_schema, &policy, &err) < 0) {
        return cli_error("Error reading policy %.*s: %s", STRF(go_quoted(client_arena(c), id)),
                         err_text(&err));
    }
    return acl_show(c, &acl_policy_kind, policy);
}

static int acl_policy_read_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ACL_FORMAT_FLAG,       ID_FLAG("read"),
                                            ACL_META_FLAG,         NAME_FLAG("read"),
                                            CLIENT_NAMESPACE_FLAG, CLI_FLAGS_END};
    return acl_command_run(
        &(struct acl_command){"acl policy read", flags, target_check, read_policy}, argc, argv);
}

static int list(struct client *c)
{
    struct client_request r;
    client_request_init(&r, c, "GET", "/v1/acl/policies");
    return acl_list(&r, &acl_policy_kind, "Failed to retrieve the policy list");
}

static int acl_policy_list_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ACL_FORMAT_FLAG, ACL_META_FLAG, CLIENT_NAMESPACE_FLAG,
                                            CLI_FLAGS_END};
    return acl_command_run(&(struct acl_command){"acl policy list", flags, NULL, list}, argc, argv);
}

static int delete_policy(struct client *c)
{
    struct client_request r;
    int code = target_complete(c);
    if (code != 0) {
        return code;
    }
    client_request_init(&r, c, "DELETE", "/v1/acl/policy/%.*s", STRF(id));
    return acl_delete(&r, "policy", id);
}

static int acl_policy_delete_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ID_FLAG("delete"), NAME_FLAG("delete"),
                                            CLIENT_NAMESPACE_FLAG, CLI_FLAGS_END};
    return acl_command_run(
        &(struct acl_command){"acl policy delete", flags, target_check, delete_policy}, argc, argv);
}

const struct cli_command cli_acl_policy_commands[] = {
    {.name = "acl policy create",
     .synopsis = "Make a policy",
     .run = acl_policy_create_run,
     .usage = "-name NAME [options]",
     .help = "  Makes a policy of rules.\n\n"
             "      $ consul acl policy create -name ops -rules @ops.hcl\n"
             "      $ consul acl policy create -name old -from-token 3f1e -token-secret"},
    {.name = "acl policy delete",
     .synopsis = "Delete a policy",
     .run = acl_policy_delete_run,
     .usage = "[options] -id POLICY",
     .help = "  Deletes a policy, and with it what it allowed to tokens and roles."},
    {.name = "acl policy list",
     .synopsis = "List the policies",
     .run = acl_policy_list_run,
     .help = "  Lists all policies, without their rules."},
    {.name = "acl policy read",
     .synopsis = "Show a policy and its rules",
     .run = acl_policy_read_run,
     .usage = "[options] POLICY",
     .help = "  Shows one policy and its rules."},
    {.name = "acl policy update",
     .synopsis = "Change a policy",
     .run = acl_policy_update_run,
     .help = "  Changes a policy. What is not given stays as it was."},
};
const size_t cli_acl_policy_commands_count = ARRAY_SIZE(cli_acl_policy_commands);
