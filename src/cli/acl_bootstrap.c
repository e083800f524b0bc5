#include "cli/acl.h"

static int bootstrap(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    void *token;
    client_request_init(&r, c, "PUT", "/v1/acl/bootstrap");
    if (acl_fetch(&r, &api_token_schema, &token, &err) < 0) {
        return cli_error("Failed ACL bootstrapping: %s", err_text(&err));
    }
    return acl_show(c, &acl_token_kind, token);
}

static int acl_bootstrap_run(int argc, char **argv)
{
    static const struct cli_flag flags[] = {ACL_FORMAT_FLAG, CLI_FLAGS_END};
    return acl_command_run(&(struct acl_command){"acl bootstrap", flags, NULL, bootstrap}, argc,
                           argv);
}

const struct cli_command cli_acl_bootstrap_commands[] = {
    {.name = "acl bootstrap",
     .synopsis = "Make the first token",
     .run = acl_bootstrap_run,
     .help = "  Makes the first token, which may do everything, and prints it. This works once."},
};
const size_t cli_acl_bootstrap_commands_count = ARRAY_SIZE(cli_acl_bootstrap_commands);
