#include "cli/acl.h"

#include "base/gofmt.h"

#include <stdio.h>

static struct str id, method, description, selector, bind_name;
static struct str bind_type = STR_INIT("service");
static bool is_whole;

#define ID_FLAG(what)                                                       \
    {                                                                       \
        "id", CLI_STR, &id, "Id of the rule to " what ", or how it begins." \
    }
#define RULE_FLAGS                                                                                 \
    {"bind-name", CLI_STR, &bind_name,                                                             \
     "Name of the service or role to grant; ${x} in it stands for what the proof says of x."},     \
        {"bind-type", CLI_STR, &bind_type, "What to grant: service (the default), node or role."}, \
        {"description", CLI_STR, &description, "What it is for."}, ACL_FORMAT_FLAG, ACL_META_FLAG, \
        CLIENT_NAMESPACE_FLAG,                                                                     \
    {                                                                                              \
        "selector", CLI_STR, &selector,                                                            \
            "Expression that the proof has to meet. By default any proof does."                    \
    }

static int id_complete(struct client *c)
{
    struct err err = {0};
    return acl_rule_id(c, id, &id, &err) < 0
               ? cli_error("Error determining binding rule ID: %s", err_text(&err))
               : 0;
}

/* --- create ---------------------------------------------------------------------------------- */

static int create_check(void);
static int create(struct client *c);

static const struct cli_flag create_flags[] = {
    RULE_FLAGS,
    {"method", CLI_STR, &method, "Name of the auth method it belongs to; has to be given."},
    CLI_FLAGS_END};
static const struct acl_command create_command = {"acl binding-rule create", create_flags,
                                                  create_check, create};

static int bind_check(const struct acl_command *command)
{
    if (bind_type.n == 0) {
        return acl_usage_error(command, "Missing required '-bind-type' flag");
    }
    return bind_name.n == 0 ? acl_usage_error(command, "Missing required '-bind-name' flag") : 0;
}

static int create_check(void)
{
    return method.n == 0 ? acl_usage_error(&create_command, "Missing required '-method' flag")
                         : bind_check(&create_command);
}

static int create(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *rule;
    const struct api_binding_rule new = {.description = description,
                                         .auth_method = method,
                                         .bind_type = bind_type,
                                         .bind_name = bind_name,
                                         .selector = selector};
    client_request_init(&r, c, "PUT", "/v1/acl/binding-rule");
    acl_body(&r, &api_binding_rule_schema, &new);
    if (acl_fetch(&r, &api_binding_rule_schema, &rule, &err) < 0) {
        return cli_error("Failed to create new binding rule: %s", err_text(&err));
    }
    return acl_show(c, &acl_binding_rule_kind, rule);
}

static int acl_binding_rule_create_run(int argc, char **argv)
{
    return acl_command_run(&create_command, argc, argv);
}

/* --- update ---------------------------------------------------------------------------------- */

static int update_check(void);
static int update(struct client *c);

static const struct cli_flag update_flags[] = {
    RULE_FLAGS,
    ID_FLAG("change"),
    {"no-merge", CLI_BOOL, &is_whole,
     "What is not given becomes empty, rather than stay as it was."},
    CLI_FLAGS_END};
static const struct acl_command update_command = {"acl binding-rule update", update_flags,
                                                  update_check, update};

static int update_check(void)
{
    return id.n == 0
               ? cli_error("Cannot update a binding rule without specifying the -id parameter")
               : 0;
}

/* GET /v1/acl/binding-rule/ID. The exit code; `failure` goes before what went wrong. */
static int rule_get(struct client *c, const char *failure, void **ret_rule)
{
    struct client_request r;
    struct err err = {0};
    client_request_init(&r, c, "GET", "/v1/acl/binding-rule/%.*s", STRF(id));
    if (acl_find(&r, &api_binding_rule_schema, ret_rule, &err) < 0) {
        return cli_error("%s: %s", failure, err_text(&err));
    }
    return *ret_rule == NULL ? cli_error("Binding rule not found with ID %.*s",
                                         STRF(go_quoted(client_arena(c), id)))
                             : 0;
}

/* The rule as it is to be, in place. An empty selector is one, if it was given. */
static void rule_update(struct api_binding_rule *rule)
{
    if (is_whole) {
        *rule = (struct api_binding_rule){.id = id, .auth_method = rule->auth_method};
    }
    rule->description = description.n > 0 ? description : rule->description;
    rule->bind_type = bind_type.n > 0 ? bind_type : rule->bind_type;
    rule->bind_name = bind_name.n > 0 ? bind_name : rule->bind_name;
    rule->selector = selector.p != NULL ? selector : rule->selector;
}

static int update(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *rule;
    int code = id_complete(c);
    if (code != 0 ||
        (code = rule_get(c, "Error when retrieving current binding rule", &rule)) != 0 ||
        (is_whole && (code = bind_check(&update_command)) != 0)) {
        return code;
    }
    rule_update(rule);
    client_request_init(&r, c, "PUT", "/v1/acl/binding-rule/%.*s", STRF(id));
    acl_body(&r, &api_binding_rule_schema, rule);
    if (acl_fetch(&r, &api_binding_rule_schema, &rule, &err) < 0) {
        return cli_error("Error updating binding rule %.*s: %s",
                         STRF(go_quoted(client_arena(c), id)), err_text(&err));
    }
    return acl_show(c, &acl_binding_rule_kind, rule);
}

static int acl_binding_rule_update_run(int argc, char **argv)
{
    return acl_command_run(&update_command, argc, argv);
}

/* --- read, list, delete ---------------------------------------------------------------------- */

static int read_check(void)
{
    return id.n == 0 ? cli_error("Must specify the -id parameter.") : 0;
}

static int read_rule(struct client *c)
{
    void *rule;
    struct arena *a = client_arena(c);
    int code = id_complete(c);
    if (code != 0) {
        return code;
    }
    struct str failure = arena_printf(a, "Error reading binding rule %.*s", STRF(go_quoted(a, id)));
    code = rule_get(c, failure.p, &rule);
    return code != 0 ? code : acl_show(c, &acl_binding_rule_kind, rule);
}

static int acl_binding_rule_read_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ACL_FORMAT_FLAG, ID_FLAG("read"), ACL_META_FLAG,
                                            CLIENT_NAMESPACE_FLAG, CLI_FLAGS_END};
    return acl_command_run(
        &(struct acl_command){"acl binding-rule read", flags, read_check, read_rule}, argc, argv);
}

static int list(struct client *c)
{
    struct client_request r;
    client_request_init(&r, c, "GET", "/v1/acl/binding-rules");
    if (method.n > 0) {
        client_param(&r, STR("authmethod"), method);
    }
    return acl_list(&r, &acl_binding_rule_kind, "Failed to retrieve the binding rule list");
}

static int acl_binding_rule_list_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {
        ACL_FORMAT_FLAG,
        ACL_META_FLAG,
        {"method", CLI_STR, &method, "Only those of this auth method."},
        CLIENT_NAMESPACE_FLAG,
        CLI_FLAGS_END};
    return acl_command_run(&(struct acl_command){"acl binding-rule list", flags, NULL, list}, argc,
                           argv);
}

static int delete_check(void)
{
    return id.n == 0 ? cli_error("Must specify the -id parameter") : 0;
}

static int delete_rule(struct client *c)
{
    struct client_request r;
    int code = id_complete(c);
    if (code != 0) {
        return code;
    }
    client_request_init(&r, c, "DELETE", "/v1/acl/binding-rule/%.*s", STRF(id));
    return acl_delete(&r, "binding rule", id);
}

static int acl_binding_rule_delete_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ID_FLAG("delete"), CLIENT_NAMESPACE_FLAG,
                                            CLI_FLAGS_END};
    return acl_command_run(
        &(struct acl_command){"acl binding-rule delete", flags, delete_check, delete_rule}, argc,
        argv);
}

const struct cli_command cli_acl_binding_rule_commands[] = {
    {.name = "acl binding-rule create",
     .synopsis = "Make a rule for a login",
     .run = acl_binding_rule_create_run,
     .help = "  Makes a rule: who logs in by a method, and meets the selector, gets what it "
             "binds.\n\n"
             "      $ consul acl binding-rule create -method ci -bind-type role \\\n"
             "          -bind-name deploy -selector 'value.team == ops'"},
    {.name = "acl binding-rule delete",
     .synopsis = "Delete a rule",
     .run = acl_binding_rule_delete_run,
     .usage = "-id ID [options]",
     .help = "  Deletes a rule. Tokens that came of it keep what they have."},
    {.name = "acl binding-rule list",
     .synopsis = "List the rules",
     .run = acl_binding_rule_list_run,
     .help = "  Lists all rules, or those of one method."},
    {.name = "acl binding-rule read",
     .synopsis = "Show a rule",
     .run = acl_binding_rule_read_run,
     .usage = "-id ID [options]",
     .help = "  Shows one rule."},
    {.name = "acl binding-rule update",
     .synopsis = "Change a rule",
     .run = acl_binding_rule_update_run,
     .usage = "-id ID [options]",
     .help = "  Changes a rule. What is not given stays as it was, but for -bind-type."},
};
const size_t cli_acl_binding_rule_commands_count = ARRAY_SIZE(cli_acl_binding_rule_commands);
