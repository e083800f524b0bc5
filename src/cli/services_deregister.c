#include "cli/services.h"

#include "agent/config.h"
#include "base/gofmt.h"
#include "cli/client.h"

#include <stdio.h>

static struct str id;

static const struct cli_flag flags[] = {
    {"id", CLI_STR, &id, "Id of the service, when no file is given."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

static int deregister(struct client *c, struct str service_id, struct str name)
{
    struct err err = {0};
    struct client_request r;
    struct client_response response;
    client_request_init(&r, c, "PUT", "/v1/agent/service/deregister/%.*s", STRF(service_id));
    if (client_send_ok(&r, &response, &err) < 0) {
        struct buf quoted = {0};
        go_quote(&quoted, name);
        (void)cli_error("Error registering service %.*s: %s", STRF(buf_view(&quoted)),
                        err_text(&err));
        buf_deinit(&quoted);
        return 1;
    }
    printf("Deregistered service: %.*s\n", STRF(service_id));
    return 0;
}

static int deregister_all(const struct agent_config *config)
{
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    if (c == NULL) {
        return 1;
    }
    int code = 0;
    if (config == NULL) {
        code = deregister(c, id, STR_NULL);
    } else {
        const struct service_def *defs = config->services.v;
        for (size_t i = 0; i < config->services.n && code == 0; i++) {
            struct str service_id = defs[i].id.n > 0 ? defs[i].id : defs[i].name;
            code = service_id.n > 0 ? deregister(c, service_id, defs[i].name) : 0;
        }
    }
    return code;
}

static int services_deregister_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("services deregister", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc == 0 && id.n == 0) {
        return cli_error("Service deregistration requires at least one argument or -id.");
    }
    if (args.argc > 0 && id.n > 0) {
        return cli_error("Service deregistration requires arguments or -id, not both.");
    }
    struct arena a = {0};
    struct agent_config *config = NULL;
    code = args.argc > 0 ? services_from_files(&args, &a, &config) : 0;
    if (code == 0) {
        code = deregister_all(config);
    }
    config_unref(config);
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_services_deregister_commands[] = {
    {.name = "services deregister",
     .synopsis = "Take services off the local agent",
     .run = services_deregister_run,
     .usage = "[options] [FILE...]",
     .help = "  Takes services back from the agent they were registered at: those that the files "
             "define, or the\n  one of -id."},
};
const size_t cli_services_deregister_commands_count = ARRAY_SIZE(cli_services_deregister_commands);
