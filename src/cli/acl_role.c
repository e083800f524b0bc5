#include "cli/acl.h"
#include "cli/acl_links.h"

#include "base/gofmt.h"

#include <stdio.h>

static struct str id, name, description;
static bool is_whole;

#define ID_FLAG(what)                                                       \
    {                                                                       \
        "id", CLI_STR, &id, "Id of the role to " what ", or how it begins." \
    }
#define NAME_FLAG(what)                                         \
    {                                                           \
        "name", CLI_STR, &name, "Name of the role to " what "." \
    }

static int id_complete(struct client *c)
{
    struct err err = {0};
    return acl_role_id(c, id, &id, &err) < 0
               ? cli_error("Error determining role ID: %s", err_text(&err))
               : 0;
}

/* --- create ---------------------------------------------------------------------------------- */

static int create_check(void);
static int create(struct client *c);

static const struct cli_flag create_flags[] = {
    {"description", CLI_STR, &description, "What it is for."},
    ACL_FORMAT_FLAG,
    ACL_META_FLAG,
    {"name", CLI_STR, &name, "Name of the role; has to be given."},
    CLIENT_NAMESPACE_FLAG,
    ACL_POLICY_FLAGS,
    ACL_IDENTITY_FLAGS,
    CLI_FLAGS_END};
static const struct acl_command create_command = {"acl role create", create_flags, create_check,
                                                  create};

static int create_check(void)
{
    if (name.n == 0) {
        return acl_usage_error(&create_command, "Missing require '-name' flag");
    }
    return acl_links_given()
               ? 0
               : cli_error("Cannot create a role without specifying -policy-name, -policy-id, "
                           "-service-identity, or -node-identity at least once");
}

static int create(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *role;
    struct api_role new = {.name = name, .description = description};
    int code = acl_policies_add(c, &new.policies);
    if (code != 0) {
        return code;
    }
    if (acl_identities_parse(client_arena(c), &new.service_identities, &new.node_identities, &err) <
        0) {
        return cli_error("%s", err_text(&err));
    }
    client_request_init(&r, c, "PUT", "/v1/acl/role");
    acl_body(&r, &api_role_schema, &new);
    if (acl_fetch(&r, &api_role_schema, &role, &err) < 0) {
        return cli_error("Failed to create new role: %s", err_text(&err));
    }
    return acl_show(c, &acl_role_kind, role);
}

static int acl_role_create_run(int argc, char **argv)
{
    int code = acl_command_run(&create_command, argc, argv);
    acl_links_deinit();
    return code;
}

/* --- update ---------------------------------------------------------------------------------- */

static int update_check(void)
{
    return id.n == 0 ? cli_error("Cannot update a role without specifying the -id parameter") : 0;
}

/* The role as it is to be, in place. */
static int role_update(struct client *c, struct api_role *role, struct objlist services,
                       struct objlist nodes)
{
    struct arena *a = client_arena(c);
    if (is_whole) {
        *role = (struct api_role){.id = id, .name = name, .description = description};
    } else {
        role->name = name.n > 0 ? name : role->name;
        role->description = description.n > 0 ? description : role->description;
    }
    acl_services_merge(a, &role->service_identities, services);
    acl_nodes_merge(a, &role->node_identities, nodes);
    return acl_policies_add(c, &role->policies);
}

static int update(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *role;
    struct objlist services, nodes;
    int code = id_complete(c);
    if (code != 0) {
        return code;
    }
    struct str quoted = go_quoted(client_arena(c), id);
    if (acl_identities_parse(client_arena(c), &services, &nodes, &err) < 0) {
        return cli_error("%s", err_text(&err));
    }
    client_request_init(&r, c, "GET", "/v1/acl/role/%.*s", STRF(id));
    if (acl_find(&r, &api_role_schema, &role, &err) < 0) {
        return cli_error("Error when retrieving current role: %s", err_text(&err));
    }
    if (role == NULL) {
        return cli_error("Role not found with ID %.*s", STRF(quoted));
    }
    if ((code = role_update(c, role, services, nodes)) != 0) {
        return code;
    }
    client_request_init(&r, c, "PUT", "/v1/acl/role/%.*s", STRF(id));
    acl_body(&r, &api_role_schema, role);
    if (acl_fetch(&r, &api_role_schema, &role, &err) < 0) {
        return cli_error("Error updating role %.*s: %s", STRF(quoted), err_text(&err));
    }
    return acl_show(c, &acl_role_kind, role);
}

static int acl_role_update_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {
        {"description", CLI_STR, &description, "What it is for."},
        ACL_FORMAT_FLAG,
        ID_FLAG("change"),
        ACL_META_FLAG,
        {"name", CLI_STR, &name, "Name to give it."},
        CLIENT_NAMESPACE_FLAG,
        {"no-merge", CLI_BOOL, &is_whole,
         "What is not given becomes empty, rather than stay as it was."},
        ACL_POLICY_FLAGS,
        ACL_IDENTITY_FLAGS,
        CLI_FLAGS_END};
    int code = acl_command_run(
        &(struct acl_command){"acl role update", flags, update_check, update}, argc, argv);
    acl_links_deinit();
    return code;
}

/* --- read, list, delete ---------------------------------------------------------------------- */

static int read_check(void)
{
    return id.n == 0 && name.n == 0 ? cli_error("Must specify either the -id or -name parameters")
                                    : 0;
}

static int read_role(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *role;
    bool by_id = id.n > 0;
    int code = by_id ? id_complete(c) : 0;
    if (code != 0) {
        return code;
    }
    if (by_id) {
        client_request_init(&r, c, "GET", "/v1/acl/role/%.*s", STRF(id));
    } else {
        client_request_init(&r, c, "GET", "/v1/acl/role/name/%.*s", STRF(acl_path_name(c, name)));
    }
    struct str quoted = go_quoted(client_arena(c), by_id ? id : name);
    if (acl_find(&r, &api_role_schema, &role, &err) < 0) {
        return cli_error("Error reading role %.*s: %s", STRF(quoted), err_text(&err));
    }
    if (role == NULL) {
        return cli_error("Role not found with %s %.*s", by_id ? "ID" : "name", STRF(quoted));
    }
    return acl_show(c, &acl_role_kind, role);
}

static int acl_role_read_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ACL_FORMAT_FLAG,       ID_FLAG("read"),
                                            ACL_META_FLAG,         NAME_FLAG("read"),
                                            CLIENT_NAMESPACE_FLAG, CLI_FLAGS_END};
    return acl_command_run(&(struct acl_command){"acl role read", flags, read_check, read_role},
                           argc, argv);
}

static int list(struct client *c)
{
    struct client_request r;
    client_request_init(&r, c, "GET", "/v1/acl/roles");
    return acl_list(&r, &acl_role_kind, "Failed to retrieve the role list");
}

static int acl_role_list_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ACL_FORMAT_FLAG, ACL_META_FLAG, CLIENT_NAMESPACE_FLAG,
                                            CLI_FLAGS_END};
    return acl_command_run(&(struct acl_command){"acl role list", flags, NULL, list}, argc, argv);
}

static int delete_check(void)
{
    return id.n == 0 && name.n == 0 ? cli_error("Must specify the -id or -name parameters") : 0;
}

static int delete_role(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    int rc = id.n > 0 ? acl_role_id(c, id, &id, &err) : acl_role_id_named(c, name, &id, &err);
    if (rc < 0) {
        return cli_error("Error determining role ID: %s", err_text(&err));
    }
    client_request_init(&r, c, "DELETE", "/v1/acl/role/%.*s", STRF(id));
    return acl_delete(&r, "role", id);
}

static int acl_role_delete_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ID_FLAG("delete"), NAME_FLAG("delete"),
                                            CLIENT_NAMESPACE_FLAG, CLI_FLAGS_END};
    return acl_command_run(
        &(struct acl_command){"acl role delete", flags, delete_check, delete_role}, argc, argv);
}

const struct cli_command cli_acl_role_commands[] = {
    {.name = "acl role create",
     .synopsis = "Make a role",
     .run = acl_role_create_run,
     .usage = "-name NAME [options]",
     .help = "  Makes a role of policies and identities.\n\n"
             "      $ consul acl role create -name deploy -policy-name ops -service-identity web"},
    {.name = "acl role delete",
     .synopsis = "Delete a role",
     .run = acl_role_delete_run,
     .usage = "[options] -id ROLE",
     .help = "  Deletes a role, and with it what it allowed to tokens."},
    {.name = "acl role list",
     .synopsis = "List the roles",
     .run = acl_role_list_run,
     .help = "  Lists all roles."},
    {.name = "acl role read",
     .synopsis = "Show a role",
     .run = acl_role_read_run,
     .usage = "[options] ROLE",
     .help = "  Shows one role."},
    {.name = "acl role update",
     .synopsis = "Change a role",
     .run = acl_role_update_run,
     .help = "  Changes a role. What is given is added to what it has."},
};
const size_t cli_acl_role_commands_count = ARRAY_SIZE(cli_acl_role_commands);
