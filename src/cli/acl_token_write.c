#include "cli/acl.h"
#include "cli/acl_links.h"
#include "cli/api_time.h"

static struct str id, description, accessor, secret;
static bool is_local;
static int64_t expires_ttl;

/* --- create ---------------------------------------------------------------------------------- */

static int create_check(void)
{
    return acl_links_given()
               ? 0
               : cli_error("Cannot create a token without specifying -policy-name, -policy-id, "
                           "-role-name, -role-id, -service-identity, or -node-identity at least "
                           "once");
}

static int create(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *token;
    struct api_token new = {.description = description,
                            .local = is_local,
                            .accessor_id = accessor,
                            .secret_id = secret,
                            .expiration_ttl = MAX(expires_ttl, (int64_t)0),
                            .create_time = API_TIME_NONE};
    if (acl_identities_parse(client_arena(c), &new.service_identities, &new.node_identities, &err) <
        0) {
        return cli_error("%s", err_text(&err));
    }
    int code = acl_policies_add(c, &new.policies);
    if (code != 0 || (code = acl_roles_add(c, &new.roles)) != 0) {
        return code;
    }
    client_request_init(&r, c, "PUT", "/v1/acl/token");
    acl_body(&r, &api_token_schema, &new);
    if (acl_fetch(&r, &api_token_schema, &token, &err) < 0) {
        return cli_error("Failed to create new token: %s", err_text(&err));
    }
    return acl_show(c, &acl_token_kind, token);
}

static int acl_token_create_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {
        {"accessor", CLI_STR, &accessor, "Accessor id to give it; a UUID. By default a new one."},
        {"description", CLI_STR, &description, "What it is for."},
        {"expires-ttl", CLI_DURATION, &expires_ttl,
         "How long it is good for. By default until it is deleted."},
        ACL_FORMAT_FLAG,
        {"local", CLI_BOOL, &is_local, "Good in this datacenter only."},
        ACL_META_FLAG,
        CLIENT_NAMESPACE_FLAG,
        ACL_POLICY_FLAGS,
        ACL_ROLE_FLAGS,
        ACL_IDENTITY_FLAGS,
        {"secret", CLI_STR, &secret, "Secret id to give it; a UUID. By default a new one."},
        CLI_FLAGS_END};
    int code = acl_command_run(
        &(struct acl_command){"acl token create", flags, create_check, create}, argc, argv);
    acl_links_deinit();
    return code;
}

/* --- update ---------------------------------------------------------------------------------- */

static bool merges_policies, merges_roles, merges_services, merges_nodes, upgrades;

static int update_check(void)
{
    return id.n == 0 ? cli_error("Cannot update a token without specifying the -id parameter") : 0;
}

static int links_update(struct client *c, struct api_token *t)
{
    struct arena *a = client_arena(c);
    struct objlist services, nodes;
    struct err err = {0};
    if (acl_identities_parse(a, &services, &nodes, &err) < 0) {
        return cli_error("%s", err_text(&err));
    }
    t->policies = merges_policies ? t->policies : (struct objlist){0};
    t->roles = merges_roles ? t->roles : (struct objlist){0};
    t->service_identities = merges_services ? t->service_identities : (struct objlist){0};
    t->node_identities = merges_nodes ? t->node_identities : (struct objlist){0};
    acl_services_merge(a, &t->service_identities, services);
    acl_nodes_merge(a, &t->node_identities, nodes);
    int code = acl_policies_add(c, &t->policies);
    return code != 0 ? code : acl_roles_add(c, &t->roles);
}

/* What the token is to be. A description cannot be emptied. */
static int token_update(struct client *c, struct api_token *t)
{
    if (upgrades && t->rules.n == 0) {
        return cli_error("Can't use -upgrade-legacy on a non-legacy token");
    }
    t->rules = upgrades ? STR_NULL : t->rules;
    t->description = description.n > 0 ? description : t->description;
    return links_update(c, t);
}

static int update(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *token;
    if (acl_token_id(c, id, &id, &err) < 0) {
        return cli_error("Error determining token ID: %s", err_text(&err));
    }
    client_request_init(&r, c, "GET", "/v1/acl/token/%.*s", STRF(id));
    if (acl_fetch(&r, &api_token_schema, &token, &err) < 0) {
        return cli_error("Error when retrieving current token: %s", err_text(&err));
    }
    struct api_token *t = token;
    int code = token_update(c, t);
    if (code != 0) {
        return code;
    }
    if (t->accessor_id.n == 0) {
        return cli_error("Failed to update token %.*s: Must specify an AccessorID for Token "
                         "Updating",
                         STRF(id));
    }
    client_request_init(&r, c, "PUT", "/v1/acl/token/%.*s", STRF(t->accessor_id));
    acl_body(&r, &api_token_schema, t);
    if (acl_fetch(&r, &api_token_schema, &token, &err) < 0) {
        return cli_error("Failed to update token %.*s: %s", STRF(id), err_text(&err));
    }
    return acl_show(c, &acl_token_kind, token);
}

static int acl_token_update_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {
        {"description", CLI_STR, &description, "What it is for. By default as it was."},
        ACL_FORMAT_FLAG,
        {"id", CLI_STR, &id, "Accessor id of the token to change, or how it begins."},
        {"merge-node-identities", CLI_BOOL, &merges_nodes,
         "Add to the nodes it has, rather than replace them."},
        {"merge-policies", CLI_BOOL, &merges_policies,
         "Add to the policies it has, rather than replace them."},
        {"merge-roles", CLI_BOOL, &merges_roles,
         "Add to the roles it has, rather than replace them."},
        {"merge-service-identities", CLI_BOOL, &merges_services,
         "Add to the services it has, rather than replace them."},
        ACL_META_FLAG,
        CLIENT_NAMESPACE_FLAG,
        ACL_POLICY_FLAGS,
        ACL_ROLE_FLAGS,
        ACL_IDENTITY_FLAGS,
        {"upgrade-legacy", CLI_BOOL, &upgrades,
         "Turn a token of the legacy kind into one of today's with the same secret: its rules go, "
         "so what it needs has to be granted along with this."},
        CLI_FLAGS_END};
    int code = acl_command_run(
        &(struct acl_command){"acl token update", flags, update_check, update}, argc, argv);
    acl_links_deinit();
    return code;
}

const struct cli_command cli_acl_token_write_commands[] = {
    {.name = "acl token create",
     .synopsis = "Make a token",
     .run = acl_token_create_run,
     .help = "  Makes a token, and prints its ids.\n\n"
             "      $ consul acl token create -description ci -policy-name ops\n"
             "      $ consul acl token create -service-identity web:dc1,dc2"},
    {.name = "acl token update",
     .synopsis = "Change a token",
     .run = acl_token_update_run,
     .help = "  Changes what a token may do. What is not merged is replaced, by nothing where no "
             "flag names\n  anything.\n\n"
             "      $ consul acl token update -id 5d3b -merge-policies -policy-name ops"},
};
const size_t cli_acl_token_write_commands_count = ARRAY_SIZE(cli_acl_token_write_commands);
