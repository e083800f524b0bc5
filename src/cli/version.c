#include "cli/command.h"

static int version_run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("Consul v" CONSUL_VERSION);
    puts("Protocol 2 spoken by default, understands 2 to 3 (agent will automatically use protocol "
         ">2 when speaking to compatible agents)");
    return 0;
}

const struct cli_command cli_version_commands[] = {
    {.name = "version", .synopsis = "Shows the version of this program", .run = version_run},
};
const size_t cli_version_commands_count = ARRAY_SIZE(cli_version_commands);
