#include "cli/command.h"

#include "agent/config.h"

#include <stdio.h>

static bool is_quiet;
static struct str format;

static const struct cli_flag flags[] = {
    {"config-format", CLI_STR, &format,
     "Read all files as \"hcl\" or \"json\", whatever their "
     "names."},
    {"quiet", CLI_BOOL, &is_quiet, "Print nothing when the configuration is valid."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{"Command Options", flags}};

static int validate_paths(const struct cli_args *args, struct arena *a)
{
    struct err err = {0};
    struct agent_config *config = NULL;
    struct strlist warnings = {0};
    struct str *paths = ARENA_ARRAY(a, struct str, (size_t)args->argc);
    for (int i = 0; i < args->argc; i++) {
        paths[i] = str_from_cstr(args->argv[i]);
    }
    struct config_sources sources = {.paths = {paths, (size_t)args->argc}, .format = format};
    if (config_load(&sources, a, &config, &warnings, &err) < 0) {
        return cli_error("Config validation failed: %s", err_text(&err));
    }
    if (!is_quiet) {
        for (size_t i = 0; i < warnings.n; i++) {
            (void)cli_error("%.*s", STRF(warnings.v[i]));
        }
        puts("Configuration is valid!");
    }
    config_unref(config);
    return 0;
}

static int validate_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("validate", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc < 1) {
        return cli_error("Must specify at least one config file or directory");
    }
    if (format.n > 0 && !str_eq_lit(format, "json") && !str_eq_lit(format, "hcl")) {
        return cli_error("-config-format must be either 'hcl' or 'json");
    }
    struct arena a = {0};
    code = validate_paths(&args, &a);
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_validate_commands[] = {
    {.name = "validate",
     .synopsis = "Check configuration files",
     .run = validate_run,
     .usage = "[options] FILE_OR_DIRECTORY...",
     .help = "  Reads configuration as \"consul agent\" would and says what is wrong with it. The "
             "files have to\n  be complete: what an agent does not start with is not valid."},
};
const size_t cli_validate_commands_count = ARRAY_SIZE(cli_validate_commands);
