#include "cli/acl.h"

#include "base/gofmt.h"
#include "schema/json.h"

#include <stdio.h>

static struct str name, type, display_name, description, token_locality, config;
static struct str kubernetes_host, kubernetes_ca_cert, kubernetes_jwt;
static int64_t max_token_ttl;
static bool is_whole;

/* clang-format off */
#define METHOD_FLAGS                                                                              \
    {"config", CLI_STR, &config,                                                                  \
     "Configuration of the method, as JSON; @ and a file's path reads it from there, - from "     \
     "standard input."},                                                                          \
    {"description", CLI_STR, &description, "What it is for."},                                    \
    {"display-name", CLI_STR, &display_name, "What the UI calls it. By default its name."},       \
    ACL_FORMAT_FLAG,                                                                              \
    {"kubernetes-ca-cert", CLI_STR, &kubernetes_ca_cert,                                          \
     "Certificate that the Kubernetes API's is verified with, as PEM or @ and a file's path. "    \
     "Methods of type kubernetes need it."},                                                      \
    {"kubernetes-host", CLI_STR, &kubernetes_host,                                                \
     "Address of the Kubernetes API. Methods of type kubernetes need it."},                       \
    {"kubernetes-service-account-jwt", CLI_STR, &kubernetes_jwt,                                  \
     "Token of a service account that may review tokens. Methods of type kubernetes need it."},   \
    {"max-token-ttl", CLI_DURATION, &max_token_ttl,                                               \
     "How long tokens of the method are good for. By default until logout."},                     \
    ACL_META_FLAG,                                                                                \
    CLIENT_NAMESPACE_FLAG,                                                                        \
    {"token-locality", CLI_STR, &token_locality,                                                  \
     "Where tokens of the method are good: local, in this datacenter, the default, or global."}
/* clang-format on */

/* --- the configuration ----------------------------------------------------------------------- */

static bool has_kubernetes_flag(void)
{
    return kubernetes_host.n > 0 || kubernetes_ca_cert.n > 0 || kubernetes_jwt.n > 0;
}

/* What -config says. The exit code. */
static int config_load(struct arena *a, const char *conflict, const char *failure,
                       const struct value **ret_config)
{
    struct str text;
    struct value *v;
    struct err err = {0};
    if (has_kubernetes_flag()) {
        return cli_error("%s", conflict);
    }
    if (cli_data_read(a, config, &text, &err) < 0) {
        return cli_error("Error loading configuration file: %s", err_text(&err));
    }
    if (json_parse(a, text, &v, &err) < 0) {
        return cli_error("%s: %s", failure, err_text(&err));
    }
    if (v->kind != VALUE_MAP && v->kind != VALUE_NULL) {
        return cli_error("%s: json: cannot unmarshal %s into Go value of type "
                         "map[string]interface {}",
                         failure, value_kind_text(v->kind));
    }
    *ret_config = v->kind == VALUE_NULL ? NULL : v;
    return 0;
}

static int kubernetes_check(void)
{
    if (kubernetes_host.n == 0) {
        return cli_error("Missing required '-kubernetes-host' flag");
    }
    if (kubernetes_ca_cert.n == 0) {
        return cli_error("Missing required '-kubernetes-ca-cert' flag");
    }
    return kubernetes_jwt.n == 0
               ? cli_error("Missing required '-kubernetes-service-account-jwt' flag")
               : 0;
}

static int kubernetes_ca_load(struct arena *a)
{
    struct err err = {0};
    if (cli_data_read(a, kubernetes_ca_cert, &kubernetes_ca_cert, &err) < 0) {
        return cli_error("Invalid '-kubernetes-ca-cert' value: %s", err_text(&err));
    }
    return kubernetes_ca_cert.n == 0 ? cli_error("Kubernetes CA Cert is empty") : 0;
}

static void member_set(struct arena *a, struct value *map, struct str key, struct str text)
{
    if (text.n == 0) {
        return;
    }
    struct value_pair *pairs = ARENA_ARRAY(a, struct value_pair, map->map.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < map->map.n; i++) {
        if (!str_eq(map->map.v[i].key, key)) {
            pairs[n++] = map->map.v[i];
        }
    }
    pairs[n++] = (struct value_pair){key, {.kind = VALUE_STR, .s = text}};
    map->map.v = pairs;
    map->map.n = n;
}

/* A configuration with what the flags about Kubernetes say in it. */
static const struct value *kubernetes_config(struct arena *a, const struct value *from)
{
    struct value *map = ARENA_NEW(a, struct value);
    map->kind = VALUE_MAP;
    if (from != NULL && from->kind == VALUE_MAP) {
        map->map = from->map;
    }
    member_set(a, map, STR("Host"), kubernetes_host);
    member_set(a, map, STR("CACert"), kubernetes_ca_cert);
    member_set(a, map, STR("ServiceAccountJWT"), kubernetes_jwt);
    return map;
}

/* --- create ---------------------------------------------------------------------------------- */

static int create_check(void);
static int create(struct client *c);

static const struct cli_flag create_flags[] = {
    METHOD_FLAGS,
    {"name", CLI_STR, &name, "Name of the method; has to be given."},
    {"type", CLI_STR, &type, "kubernetes or jwt; has to be given."},
    CLI_FLAGS_END};
static const struct acl_command create_command = {"acl auth-method create", create_flags,
                                                  create_check, create};

static int create_check(void)
{
    if (type.n == 0) {
        return acl_usage_error(&create_command, "Missing required '-type' flag");
    }
    return name.n == 0 ? acl_usage_error(&create_command, "Missing required '-name' flag") : 0;
}

static int create_config(struct arena *a, const struct value **ret_config)
{
    int code = 0;
    if (config.n > 0) {
        code = config_load(a, "Cannot use command line arguments with '-config' flags",
                           "Error parsing JSON configuration file", ret_config);
    }
    if (code == 0 && str_eq_lit(type, "kubernetes")) {
        code = kubernetes_check();
        code = code != 0 ? code : kubernetes_ca_load(a);
        *ret_config = code == 0 ? kubernetes_config(a, NULL) : NULL;
    }
    return code;
}

static int create(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *method;
    struct api_auth_method new = {.type = type,
                                  .name = name,
                                  .display_name = display_name,
                                  .description = description,
                                  .token_locality = token_locality,
                                  .max_token_ttl = MAX(max_token_ttl, (int64_t)0)};
    int code = create_config(client_arena(c), &new.config);
    if (code != 0) {
        return code;
    }
    client_request_init(&r, c, "PUT", "/v1/acl/auth-method");
    acl_body(&r, &api_auth_method_schema, &new);
    if (acl_fetch(&r, &api_auth_method_schema, &method, &err) < 0) {
        return cli_error("Failed to create new auth method: %s", err_text(&err));
    }
    return acl_show(c, &acl_auth_method_kind, method);
}

static int acl_auth_method_create_run(int argc, char **argv)
{
    return acl_command_run(&create_command, argc, argv);
}

/* --- update ---------------------------------------------------------------------------------- */

static int update_check(void)
{
    return name.n == 0
               ? cli_error("Cannot update an auth method without specifying the -name parameter")
               : 0;
}

static int update_config(struct arena *a, struct api_auth_method *m)
{
    bool is_kubernetes = str_eq_lit(m->type, "kubernetes");
    int code = 0;
    if (config.n > 0) {
        code = config_load(a, "Cannot use command line arguments with '-config' flag",
                           "Error parsing JSON for auth method config", &m->config);
    }
    if (code == 0 && is_kubernetes && is_whole) {
        code = kubernetes_check();
    }
    if (code == 0 && (is_kubernetes || !is_whole)) {
        m->config = is_kubernetes       ? kubernetes_config(a, is_whole ? NULL : m->config)
                    : m->config == NULL ? kubernetes_config(a, NULL)
                                        : m->config;
    }
    return code;
}

/* The method as it is to be, in place. */
static int method_update(struct arena *a, struct api_auth_method *m)
{
    if (is_whole) {
        *m = (struct api_auth_method){.name = m->name, .type = m->type};
    }
    m->display_name = display_name.n > 0 ? display_name : m->display_name;
    m->description = description.n > 0 ? description : m->description;
    m->token_locality = token_locality.n > 0 ? token_locality : m->token_locality;
    m->max_token_ttl = max_token_ttl > 0 ? max_token_ttl : m->max_token_ttl;
    return update_config(a, m);
}

/* GET /v1/acl/auth-method/NAME. The exit code; `failure` goes before what went wrong. */
static int method_get(struct client *c, const char *failure, void **ret_method)
{
    struct client_request r;
    struct err err = {0};
    client_request_init(&r, c, "GET", "/v1/acl/auth-method/%.*s", STRF(acl_path_name(c, name)));
    if (acl_find(&r, &api_auth_method_schema, ret_method, &err) < 0) {
        return cli_error("%s: %s", failure, err_text(&err));
    }
    return *ret_method == NULL ? cli_error("Auth method not found with name %.*s",
                                           STRF(go_quoted(client_arena(c), name)))
                               : 0;
}

static int update(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    struct arena *a = client_arena(c);
    void *method;
    int code = method_get(c, "Error when retrieving current auth method", &method);
    if (code == 0 && kubernetes_ca_cert.n > 0) {
        code = kubernetes_ca_load(a);
    }
    if (code != 0 || (code = method_update(a, method)) != 0) {
        return code;
    }
    client_request_init(&r, c, "PUT", "/v1/acl/auth-method/%.*s",
                        STRF(acl_path_name(c, ((struct api_auth_method *)method)->name)));
    acl_body(&r, &api_auth_method_schema, method);
    if (acl_fetch(&r, &api_auth_method_schema, &method, &err) < 0) {
        return cli_error("Error updating auth method %.*s: %s", STRF(go_quoted(a, name)),
                         err_text(&err));
    }
    return acl_show(c, &acl_auth_method_kind, method);
}

static int acl_auth_method_update_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {
        METHOD_FLAGS,
        {"name", CLI_STR, &name, "Name of the method to change."},
        {"no-merge", CLI_BOOL, &is_whole,
         "What is not given becomes empty, rather than stay as it was."},
        CLI_FLAGS_END};
    return acl_command_run(
        &(struct acl_command){"acl auth-method update", flags, update_check, update}, argc, argv);
}

/* --- read, list, delete ---------------------------------------------------------------------- */

static int name_check(void)
{
    return name.n == 0 ? cli_error("Must specify the -name parameter") : 0;
}

static int read_method(struct client *c)
{
    void *method;
    struct arena *a = client_arena(c);
    struct str failure =
        arena_printf(a, "Error reading auth method %.*s", STRF(go_quoted(a, name)));
    int code = method_get(c, failure.p, &method);
    return code != 0 ? code : acl_show(c, &acl_auth_method_kind, method);
}

static int acl_auth_method_read_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ACL_FORMAT_FLAG,
                                            ACL_META_FLAG,
                                            {"name", CLI_STR, &name, "Name of the method to read."},
                                            CLIENT_NAMESPACE_FLAG,
                                            CLI_FLAGS_END};
    return acl_command_run(
        &(struct acl_command){"acl auth-method read", flags, name_check, read_method}, argc, argv);
}

static int list(struct client *c)
{
    struct client_request r;
    client_request_init(&r, c, "GET", "/v1/acl/auth-methods");
    return acl_list(&r, &acl_auth_method_kind, "Failed to retrieve the auth method list");
}

static int acl_auth_method_list_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ACL_FORMAT_FLAG, ACL_META_FLAG, CLIENT_NAMESPACE_FLAG,
                                            CLI_FLAGS_END};
    return acl_command_run(&(struct acl_command){"acl auth-method list", flags, NULL, list}, argc,
                           argv);
}

static int delete_method(struct client *c)
{
    struct client_request r;
    client_request_init(&r, c, "DELETE", "/v1/acl/auth-method/%.*s", STRF(acl_path_name(c, name)));
    return acl_delete(&r, "auth method", name);
}

static int acl_auth_method_delete_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {
        {"name", CLI_STR, &name, "Name of the method to delete."},
        CLIENT_NAMESPACE_FLAG,
        CLI_FLAGS_END};
    return acl_command_run(
        &(struct acl_command){"acl auth-method delete", flags, name_check, delete_method}, argc,
        argv);
}

const struct cli_command cli_acl_auth_method_commands[] = {
    {.name = "acl auth-method create",
     .synopsis = "Make a way to log in",
     .run = acl_auth_method_create_run,
     .usage = "-name NAME -type TYPE [options]",
     .help = "  Makes a method of logging in.\n\n"
             "      $ consul acl auth-method create -type jwt -name ci -config @ci.json"},
    {.name = "acl auth-method delete",
     .synopsis = "Delete a way to log in",
     .run = acl_auth_method_delete_run,
     .usage = "-name NAME [options]",
     .help = "  Deletes a method, its binding rules, and the tokens of who logged in by it."},
    {.name = "acl auth-method list",
     .synopsis = "List the ways to log in",
     .run = acl_auth_method_list_run,
     .help = "  Lists all methods of logging in."},
    {.name = "acl auth-method read",
     .synopsis = "Show a way to log in",
     .run = acl_auth_method_read_run,
     .usage = "-name NAME [options]",
     .help = "  Shows one method and its configuration."},
    {.name = "acl auth-method update",
     .synopsis = "Change a way to log in",
     .run = acl_auth_method_update_run,
     .usage = "-name NAME [options]",
     .help = "  Changes a method. What is not given stays as it was; a configuration is replaced "
             "as a whole."},
};
const size_t cli_acl_auth_method_commands_count = ARRAY_SIZE(cli_acl_auth_method_commands);
