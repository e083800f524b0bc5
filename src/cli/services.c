#include "cli/services.h"

#include "agent/config.h"

#include <stdio.h>

int services_from_files(const struct cli_args *args, struct arena *a,
                        struct agent_config **ret_config)
{
    struct err err = {0};
    struct strlist warnings = {0};
    struct str *paths = ARENA_ARRAY(a, struct str, (size_t)args->argc);
    for (int i = 0; i < args->argc; i++) {
        paths[i] = str_from_cstr(args->argv[i]);
    }
    /* -dev gives everything else that a configuration needs, and no services of its own. */
    struct config_sources sources = {.paths = {paths, (size_t)args->argc}, .is_dev = true};
    if (config_load(&sources, a, ret_config, &warnings, &err) < 0) {
        return cli_error("Error: %s", err_text(&err));
    }
    for (size_t i = 0; i < warnings.n; i++) {
        (void)cli_error("%.*s", STRF(warnings.v[i]));
    }
    return 0;
}

const struct cli_command cli_services_commands[] = {
    {.name = "services",
     .synopsis = "Services of the local agent",
     .help = "  Registers services at the local agent and takes them back. \"consul catalog "
             "services\" lists\n  those of the datacenter."},
};
const size_t cli_services_commands_count = ARRAY_SIZE(cli_services_commands);
