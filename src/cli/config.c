#include "cli/config.h"

#include "cli/client.h"
#include "cli/command.h"

struct str config_kind, config_name;

static const struct cli_flag named_flags[] = {
    {"kind", CLI_STR, &config_kind, "Kind of the entry, for example service-defaults."},
    {"name", CLI_STR, &config_name, "Name of the entry."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group named_groups[] = {{CLIENT_TITLE, cli_http_flags},
                                                     {"Command Options", named_flags}};

bool config_has_kind(void)
{
    if (config_kind.n == 0) {
        (void)cli_error("Must specify the -kind parameter");
    }
    return config_kind.n > 0;
}

bool config_parse_named(const char *command, int argc, char **argv, int *ret_code)
{
    struct cli_args args;
    if (!cli_parse(command, argc, argv, named_groups, ARRAY_SIZE(named_groups), &args, ret_code)) {
        return false;
    }
    *ret_code = 1;
    if (!config_has_kind()) {
        return false;
    }
    if (config_name.n == 0) {
        (void)cli_error("Must specify the -name parameter");
        return false;
    }
    return true;
}

const struct cli_command cli_config_commands[] = {
    {.name = "config",
     .synopsis = "Configuration entries",
     .usage = "<subcommand> [options] [args]",
     .help = "  Configuration that the servers keep for all agents: defaults of services and "
             "proxies, routes\n  between services, gateways, intentions.\n\n"
             "      $ consul config write web.hcl\n"
             "      $ consul config read -kind service-defaults -name web\n"
             "      $ consul config list -kind service-defaults\n"
             "      $ consul config delete -kind service-defaults -name web"},
};
const size_t cli_config_commands_count = ARRAY_SIZE(cli_config_commands);
