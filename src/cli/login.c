#include "cli/acl.h"
#include "cli/file.h"

#include <stdio.h>

#define SINK_MODE 0600

/* --- login ----------------------------------------------------------------------------------- */

static struct str method, type, bearer_token_file, token_sink_file;
static struct cli_map meta;

static const struct cli_flag flags[] = {
    {"bearer-token-file", CLI_STR, &bearer_token_file, "File with the proof of who logs in."},
    {"meta", CLI_STRMAP, &meta, "What to note down in the token's description. May be repeated."},
    {"method", CLI_STR, &method, "Name of the auth method."},
    CLIENT_NAMESPACE_FLAG,
    {"token-sink-file", CLI_STR, &token_sink_file, "File to write the token to."},
    {"type", CLI_STR, &type, "Type of the auth method; need not be given."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

static bool flags_make_sense(const struct cli_args *args)
{
    if (args->argc > 0) {
        (void)cli_error("Should have no non-flag arguments.");
    } else if (method.n == 0) {
        (void)cli_error("Missing required '-method' flag");
    } else if (token_sink_file.n == 0) {
        (void)cli_error("Missing required '-token-sink-file' flag");
    } else if (bearer_token_file.n == 0) {
        (void)cli_error("Missing required '-bearer-token-file' flag");
    } else {
        return true;
    }
    return false;
}

static struct strmap meta_map(struct arena *a)
{
    struct strpair *pairs = ARENA_ARRAY(a, struct strpair, meta.n + 1);
    for (size_t i = 0; i < meta.n; i++) {
        pairs[i] = (struct strpair){meta.v[i].key, meta.v[i].value};
    }
    return (struct strmap){meta.n > 0 ? pairs : NULL, meta.n};
}

static int login(struct client *c, struct str bearer_token)
{
    struct client_request r;
    struct err err = {0};
    void *token;
    const struct api_login params = {method, bearer_token, meta_map(client_arena(c))};
    client_request_init(&r, c, "POST", "/v1/acl/login");
    acl_body(&r, &api_login_schema, &params);
    if (acl_fetch(&r, &api_token_schema, &token, &err) < 0) {
        return cli_error("Error logging in: %s", err_text(&err));
    }
    struct str secret = ((const struct api_token *)token)->secret_id;
    return cli_file_replace(token_sink_file, secret, SINK_MODE, &err) < 0
               ? cli_error("Error writing token to file sink: %s", err_text(&err))
               : 0;
}

static int login_with_file(struct arena *a)
{
    struct err err = {0};
    struct str text;
    if (cli_file_read(a, bearer_token_file, &text, &err) < 0) {
        return cli_error("%s", err_text(&err));
    }
    if (str_trim(text).n == 0) {
        return cli_error("No bearer token found in %.*s", STRF(bearer_token_file));
    }
    /* Who logs in has no token yet; those of the flags are not for this. */
    client_flags.token = STR_NULL;
    client_flags.token_file = STR("");
    CLEANUP(client_free) struct client *c = client_open(ACL_CLIENT_FAILURE);
    return c != NULL ? login(c, str_trim(text)) : 1;
}

static int login_run(int argc, char **argv)
{
    struct cli_args args;
    struct arena a = {0};
    int code;
    if (cli_parse("login", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        code = flags_make_sense(&args) ? login_with_file(&a) : 1;
    }
    arena_deinit(&a);
    cli_map_deinit(&meta);
    return code;
}

/* --- logout ---------------------------------------------------------------------------------- */

static int logout(void)
{
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    CLEANUP(client_free) struct client *c = client_open(ACL_CLIENT_FAILURE);
    if (c == NULL) {
        return 1;
    }
    client_request_init(&r, c, "POST", "/v1/acl/logout");
    return client_send_ok(&r, &response, &err) < 0
               ? cli_error("Error destroying token: %s", err_text(&err))
               : 0;
}

static int logout_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("logout", argc, argv, groups, 1, &args, &code)) {
        return code;
    }
    return args.argc > 0 ? cli_error("Should have no non-flag arguments.") : logout();
}

const struct cli_command cli_login_commands[] = {
    {.name = "login",
     .synopsis = "Get a token for a proof",
     .run = login_run,
     .help =
         "  Shows an auth method the proof that a file has, and writes the token it gives for "
         "that to\n  another file:\n\n"
         "      $ consul login -method ci -bearer-token-file jwt.txt -token-sink-file token.txt"},
    {.name = "logout",
     .synopsis = "Give the token of a login back",
     .run = logout_run,
     .help = "  Deletes the token of a login, which is given as for any command:\n\n"
             "      $ consul logout -token-file token.txt"},
};
const size_t cli_login_commands_count = ARRAY_SIZE(cli_login_commands);
