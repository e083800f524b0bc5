#include "cli/command.h"

#include <stdio.h>

#define PROTOCOL_DEFAULT 2
#define PROTOCOL_MIN 2
#define PROTOCOL_MAX 3

static struct str format;

static const struct cli_flag flags[] = {
    {"format", CLI_STR, &format, "How to print it: pretty or json."}, CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{"Command Options", flags}};

static int version_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    format = STR("pretty");
    if (!cli_parse("version", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (str_eq_lit(format, "json")) {
        printf("{\n   \"Version\": \"%s\",\n   \"Revision\": \"\",\n   \"Prerelease\": \"\",\n"
               "   \"RPC\": {\n      \"Default\": %d,\n      \"Min\": %d,\n      \"Max\": %d\n"
               "   }\n}\n",
               CONSUL_VERSION, PROTOCOL_DEFAULT, PROTOCOL_MIN, PROTOCOL_MAX);
        return 0;
    }
    if (!str_eq_lit(format, "pretty")) {
        return cli_error("Unknown format: %.*s", STRF(format));
    }
    printf("Consul v" CONSUL_VERSION "\n"
           "Protocol %d spoken by default, understands %d to %d (agent will automatically use "
           "protocol >%d when speaking to compatible agents)\n\n",
           PROTOCOL_DEFAULT, PROTOCOL_MIN, PROTOCOL_MAX, PROTOCOL_DEFAULT);
    return 0;
}

const struct cli_command cli_version_commands[] = {
    {.name = "version",
     .synopsis = "Print the version",
     .run = version_run,
     .help = "  Prints the release this program stands in for."},
};
const size_t cli_version_commands_count = ARRAY_SIZE(cli_version_commands);
