/* command.h - the commands of the program: a table of names and functions.
 *
 * A command is found by its words ("kv", "put"); it gets what stands behind them, parses its flags,
 * talks to an agent over HTTP (cli/client.h) and returns the exit code. Commands write results to
 * stdout, and errors to stderr. `consul agent` is the exception that runs the agent itself. */
#pragma once
#include "cli/flags.h"

struct cli_command {
    const char *name;     /* words with a space between: "kv put" */
    const char *synopsis; /* one line, for the list of commands */
    int (*run)(int argc, char **argv); /* NULL: a group of subcommands ("kv") */
    const char *help;     /* what it does, above the flags; for a group the text above its list */
};

/* Each file of cli/ exports its commands; cli/cli.c lists the files. */
#define CLI_COMMAND_FILES(X) X(agent) X(version)
#define X(file)                                                \
    extern const struct cli_command cli_##file##_commands[];   \
    extern const size_t cli_##file##_commands_count;
CLI_COMMAND_FILES(X)
#undef X

/* The whole program. */
int cli_main(int argc, char **argv);

/* Parse a command's flags; on failure the message and the usage are shown. False: exit with *ret_code
 * (1, or 0 after -help). */
bool cli_parse(const char *command, int argc, char **argv, const struct cli_flag_group *groups,
               size_t groups_count, struct cli_args *ret_args, int *ret_code);
