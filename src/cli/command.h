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
    const char *usage;    /* what follows the name in "Usage: consul NAME …"; NULL: "[options]" */
};

/* Each file of cli/ exports its commands; cli/cli.c lists the files. */
/* clang-format off */
#define CLI_COMMAND_FILES(X)                                                                     \
    X(acl) X(acl_agent_token) X(acl_auth_method) X(acl_binding_rule) X(acl_bootstrap)            \
    X(acl_policy) X(acl_role) X(acl_rules) X(acl_token) X(acl_token_write) X(agent) X(catalog)   \
    X(catalog_nodes) X(catalog_services) X(config) X(config_delete) X(config_list)               \
    X(config_read) X(config_write) X(connect_ca) X(connect_expose) X(connect_redirect) X(debug)  \
    X(event) X(exec) X(force_leave) X(info) X(intention) X(intention_create) X(join) X(keygen)   \
    X(keyring) X(kv) X(kv_delete) X(kv_export) X(kv_get) X(kv_import) X(kv_put) X(leave) X(lock) \
    X(login) X(maint) X(members) X(monitor) X(operator) X(operator_autopilot) X(reload) X(rtt)   \
    X(services) X(services_deregister) X(services_register) X(snapshot) X(snapshot_inspect)      \
    X(tls) X(tls_ca) X(tls_cert) X(validate) X(version) X(watch)
/* clang-format on */
#define X(file)                                                \
    extern const struct cli_command cli_##file##_commands[];   \
    extern const size_t cli_##file##_commands_count;
CLI_COMMAND_FILES(X)
#undef X

/* All commands, one after the other; NULL behind the last. */
const struct cli_command *cli_command_at(size_t index);
/* The whole program. */
int cli_main(int argc, char **argv);

/* Parse a command's flags; on failure the message and the usage are shown. False: exit with *ret_code
 * (1, or 0 after -help). "-help" anywhere before "--" asks for help: cli_main() then leaves only it
 * in argv. */
bool cli_parse(const char *command, int argc, char **argv, const struct cli_flag_group *groups,
               size_t groups_count, struct cli_args *ret_args, int *ret_code);
/* The usage, the help text and the flags of a command. */
void cli_help(FILE *to, const char *command, const struct cli_flag_group *groups,
              size_t groups_count);
/* A message and the help on stderr, for arguments that make no sense. Returns 1. */
int cli_usage_error(const char *command, const struct cli_flag_group *groups, size_t groups_count,
                    const char *message);
/* A line on stderr. Returns 1, the exit code that goes with it. */
int cli_error(const char *format, ...) PRINTF(1, 2);
/* A line of a log on stderr, as libraries of 1.10.3 write there: "<time> [WARN]  module: …". */
void cli_log(const char *level, const char *module, const char *format, ...) PRINTF(3, 4);
/* Whether a regular expression compiles; told when not: "Failed to compile node filter regexp: …". */
bool cli_filter_is_valid(const char *what, struct str pattern);
/* JSON that is indented by four spaces, by another unit instead. */
void cli_print_indented(FILE *to, struct str json, const char *unit);
/* By tabs. */
void cli_print_tabs(FILE *to, struct str json);
