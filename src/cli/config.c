#include "cli/config.h"

#include "cli/command.h"

struct str config_kind, config_name;

bool config_is_unnamed(bool needs_name)
{
    if (config_kind.n == 0) {
        (void)cli_error("Must specify the -kind parameter");
        return true;
    }
    if (needs_name && config_name.n == 0) {
        (void)cli_error("Must specify the -name parameter");
        return true;
    }
    return false;
}

const struct cli_command cli_config_commands[] = {
    {.name = "config",
     .synopsis = "Interact with Consul's Centralized Configurations",
     .usage = "<subcommand> [options] [args]",
     .help = "  Configuration that the servers keep for all agents: defaults of services and "
             "proxies, routes\n  between services, gateways, intentions.\n\n"
             "      $ consul config write web.hcl\n"
             "      $ consul config read -kind service-defaults -name web\n"
             "      $ consul config list -kind service-defaults\n"
             "      $ consul config delete -kind service-defaults -name web"},
};
const size_t cli_config_commands_count = ARRAY_SIZE(cli_config_commands);
