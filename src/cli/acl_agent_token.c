#include "cli/client.h"
#include "cli/command.h"

#include "base/gofmt.h"
#include "schema/json.h"

#include <stdio.h>

static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags}};

/* Of each kind the path, and the one that agents before 1.4.3 know. */
static const struct token_kind {
    struct str name;
    const char *path, *old_path;
} kinds[] = {
    {STR_INIT("default"), "default", "acl_token"},
    {STR_INIT("agent"), "agent", "acl_agent_token"},
    {STR_INIT("master"), "agent_master", "acl_agent_master_token"},
    {STR_INIT("replication"), "replication", "acl_replication_token"},
};

static const struct token_kind *kind_named(struct str name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (str_eq(kinds[i].name, name)) {
            return &kinds[i];
        }
    }
    return NULL;
}

struct agent_token {
    struct str token;
};
static const struct field token_fields[] = {F_STR(struct agent_token, token, "Token", 0),
                                            FIELDS_END};
static const struct schema token_schema = SCHEMA("AgentToken", struct agent_token, token_fields);

static int put(struct client *c, const char *path, struct str token,
               struct client_response *ret_response, struct err *err)
{
    struct client_request r;
    struct buf body = {0};
    struct json_writer w = json_writer_make(&body, false);
    json_object(&w, &token_schema, &(struct agent_token){token});
    client_request_init(&r, c, "PUT", "/v1/agent/token/%s", path);
    client_body(&r, buf_view(&body), STR_NULL);
    int rc = client_send(&r, ret_response, err);
    buf_deinit(&body);
    return rc;
}

static int token_set(struct client *c, struct str name, struct str token)
{
    struct client_response response;
    struct err err = {0};
    const struct token_kind *kind = kind_named(name);
    if (kind == NULL) {
        return cli_error("Unknown token type");
    }
    int rc = put(c, kind->path, token, &response, &err);
    if (rc == 0 && response.status == 404) {
        rc = put(c, kind->old_path, token, &response, &err);
    }
    if (rc == 0 && response.status != 200) {
        rc = client_status_error(&response, &err);
    }
    struct str quoted = go_quoted(client_arena(c), name);
    if (rc < 0) {
        return cli_error("Failed to set ACL token %.*s: %s", STRF(quoted), err_text(&err));
    }
    printf("ACL token %.*s set successfully\n", STRF(quoted));
    return 0;
}

/* TYPE and TOKEN. */
static int arguments_load(struct arena *a, const struct cli_args *args, struct str *ret_token,
                          struct err *err)
{
    switch (args->argc) {
    case 0:
        return err_set(err, ERR_INVALID, "Missing TYPE and TOKEN arguments");
    case 1:
        return err_set(err, ERR_INVALID, "%s",
                       kind_named(str_from_cstr(args->argv[0])) != NULL ? "Missing TOKEN argument"
                                                                        : "MISSING TYPE argument");
    case 2:
        return cli_data_read(a, str_from_cstr(args->argv[1]), ret_token, err);
    default:
        return err_set(err, ERR_INVALID, "Too many arguments: expected 2 got %d", args->argc);
    }
}

static int acl_set_agent_token_run(int argc, char **argv)
{
    struct cli_args args;
    struct arena a = {0};
    struct err err = {0};
    struct str token;
    int code;
    if (!cli_parse("acl set-agent-token", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (arguments_load(&a, &args, &token, &err) < 0) {
        code = cli_error("Error! %s", err_text(&err));
    } else {
        CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul Agent");
        code = c != NULL ? token_set(c, str_from_cstr(args.argv[0]), token) : 1;
    }
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_acl_agent_token_commands[] = {
    {.name = "acl set-agent-token",
     .synopsis = "Give the agent a token of its own",
     .run = acl_set_agent_token_run,
     .usage = "[options] TYPE TOKEN",
     .help = "  Gives the agent a token to use. Unless the agent is configured to keep them, it is "
             "forgotten\n  when the agent ends.\n\n"
             "      default      for requests that carry no token, and where there is no other\n"
             "      agent        for what the agent does on its own account\n"
             "      master       opens the agent's own endpoints when no server can be asked\n"
             "      replication  for copying from the primary datacenter\n\n"
             "      $ consul acl set-agent-token agent 5d3b2c1f-8a40-4c1e-9c71-0f6f3a1d2b9e"},
};
const size_t cli_acl_agent_token_commands_count = ARRAY_SIZE(cli_acl_agent_token_commands);
