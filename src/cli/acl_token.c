#include "cli/acl.h"
#include "cli/acl_links.h"

#include "base/gofmt.h"

#include <stdio.h>

static struct str id, description;

static int id_check(void)
{
    return id.n == 0 ? cli_error("Must specify the -id parameter") : 0;
}

#define ID_FLAG(what)                                                                 \
    {                                                                                 \
        "id", CLI_STR, &id, "Accessor id of the token to " what ", or how it begins." \
    }

/* The id in full; the exit code when it cannot be told. */
static int id_complete(struct client *c)
{
    struct err err = {0};
    return acl_token_id(c, id, &id, &err) < 0
               ? cli_error("Error determining token ID: %s", err_text(&err))
               : 0;
}

/* --- list ------------------------------------------------------------------------------------ */

static int list(struct client *c)
{
    struct client_request r;
    client_request_init(&r, c, "GET", "/v1/acl/tokens");
    return acl_list(&r, &acl_token_kind, "Failed to retrieve the token list");
}

static int acl_token_list_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ACL_FORMAT_FLAG, ACL_META_FLAG, CLIENT_NAMESPACE_FLAG,
                                            CLI_FLAGS_END};
    return acl_command_run(&(struct acl_command){"acl token list", flags, NULL, list}, argc, argv);
}

/* --- read ------------------------------------------------------------------------------------ */

static bool is_self;

static int read_check(void)
{
    return is_self ? 0 : id_check();
}

static int read_token(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *token;
    if (is_self) {
        client_request_init(&r, c, "GET", "/v1/acl/token/self");
        if (acl_fetch(&r, &api_token_schema, &token, &err) < 0) {
            return cli_error("Error reading token: %s", err_text(&err));
        }
        return acl_show(c, &acl_token_kind, token);
    }
    int code = id_complete(c);
    if (code != 0) {
        return code;
    }
    client_request_init(&r, c, "GET", "/v1/acl/token/%.*s", STRF(id));
    if (acl_fetch(&r, &api_token_schema, &token, &err) < 0) {
        return cli_error("Error reading token %.*s: %s", STRF(go_quoted(client_arena(c), id)),
                         err_text(&err));
    }
    return acl_show(c, &acl_token_kind, token);
}

static int acl_token_read_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {
        ACL_FORMAT_FLAG,
        ID_FLAG("read"),
        ACL_META_FLAG,
        CLIENT_NAMESPACE_FLAG,
        {"self", CLI_BOOL, &is_self, "The token of this request itself, in place of -id."},
        CLI_FLAGS_END};
    return acl_command_run(&(struct acl_command){"acl token read", flags, read_check, read_token},
                           argc, argv);
}

/* --- delete ---------------------------------------------------------------------------------- */

static int delete_token(struct client *c)
{
    struct client_request r;
    int code = id_complete(c);
    if (code != 0) {
        return code;
    }
    client_request_init(&r, c, "DELETE", "/v1/acl/token/%.*s", STRF(id));
    return acl_delete(&r, "token", id);
}

static int acl_token_delete_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ID_FLAG("delete"), CLIENT_NAMESPACE_FLAG,
                                            CLI_FLAGS_END};
    return acl_command_run(&(struct acl_command){"acl token delete", flags, id_check, delete_token},
                           argc, argv);
}

/* --- clone ----------------------------------------------------------------------------------- */

static int clone_check(void)
{
    return id.n == 0 ? cli_error("Cannot update a token without specifying the -id parameter") : 0;
}

struct clone {
    struct str description;
};
static const struct field clone_fields[] = {F_STR(struct clone, description, "Description", 0),
                                            FIELDS_END};
static const struct schema clone_schema = SCHEMA("", struct clone, clone_fields);

static int clone_token(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *token;
    int code = id_complete(c);
    if (code != 0) {
        return code;
    }
    client_request_init(&r, c, "PUT", "/v1/acl/token/%.*s/clone", STRF(id));
    acl_body(&r, &clone_schema, &(struct clone){description});
    if (acl_fetch(&r, &api_token_schema, &token, &err) < 0) {
        return cli_error("Error cloning token: %s", err_text(&err));
    }
    return acl_show(c, &acl_token_kind, token);
}

static int acl_token_clone_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {
        {"description", CLI_STR, &description, "What the new token is for."},
        ACL_FORMAT_FLAG,
        ID_FLAG("clone"),
        CLIENT_NAMESPACE_FLAG,
        CLI_FLAGS_END};
    return acl_command_run(
        &(struct acl_command){"acl token clone", flags, clone_check, clone_token}, argc, argv);
}

const struct cli_command cli_acl_token_commands[] = {
    {.name = "acl token clone",
     .synopsis = "Make a token like another",
     .run = acl_token_clone_run,
     .help = "  Makes a token that may do what another may."},
    {.name = "acl token delete",
     .synopsis = "Delete a token",
     .run = acl_token_delete_run,
     .usage = "[options] -id TOKEN",
     .help = "  Deletes a token. Requests that carry it are refused from then on."},
    {.name = "acl token list",
     .synopsis = "List the tokens",
     .run = acl_token_list_run,
     .help = "  Lists all tokens."},
    {.name = "acl token read",
     .synopsis = "Show a token",
     .run = acl_token_read_run,
     .usage = "[options] -id TOKENID",
     .help = "  Shows one token, by its accessor id, or the one that the request carries."},
};
const size_t cli_acl_token_commands_count = ARRAY_SIZE(cli_acl_token_commands);
