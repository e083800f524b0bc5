#include "cli/command.h"

#include "base/arena.h"
#include "base/clock.h"
#include "cli/complete.h"
#include "schema/regexp.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

struct command_file {
    const struct cli_command *commands;
    const size_t *count;
};

static const struct command_file files[] = {
#define X(file) {cli_##file##_commands, &cli_##file##_commands_count},
    CLI_COMMAND_FILES(X)
#undef X
};

const struct cli_command *cli_command_at(size_t index)
{
    for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
        if (index < *files[f].count) {
            return &files[f].commands[index];
        }
        index -= *files[f].count;
    }
    return NULL;
}

/* How many words of argv the name takes, 0 when it does not match. */
static int command_matches(const char *name, int argc, char **argv)
{
    struct str rest = str_from_cstr(name), word;
    int i = 0;
    while (str_split_next(&rest, ' ', &word)) {
        if (i == argc || !str_eq(word, str_from_cstr(argv[i]))) {
            return 0;
        }
        i++;
    }
    return i;
}

static const struct cli_command *command_find(int argc, char **argv, int *ret_words)
{
    const struct cli_command *best = NULL;
    *ret_words = 0;
    for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
        for (size_t i = 0; i < *files[f].count; i++) {
            int words = command_matches(files[f].commands[i].name, argc, argv);
            if (words > *ret_words) {
                *ret_words = words;
                best = &files[f].commands[i];
            }
        }
    }
    return best;
}

static int command_cmp(const void *a, const void *b)
{
    const struct cli_command *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* The commands one level below a group ("" for the top), by name. */
static void commands_list(FILE *to, const char *group)
{
    const struct cli_command *list[256];
    size_t n = 0;
    struct str prefix = str_from_cstr(group);
    for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
        for (size_t i = 0; i < *files[f].count; i++) {
            const struct cli_command *c = &files[f].commands[i];
            struct str name = str_from_cstr(c->name);
            if (prefix.n > 0 &&
                (!str_has_prefix(name, prefix) || name.n == prefix.n || name.p[prefix.n] != ' ')) {
                continue;
            }
            struct str rest = str_from(name, prefix.n > 0 ? prefix.n + 1 : 0);
            if (str_find_byte(rest, ' ') < 0 && n < ARRAY_SIZE(list)) {
                list[n++] = c;
            }
        }
    }
    qsort(list, n, sizeof(list[0]), command_cmp);
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "    %-16s  %s\n", list[i]->name + (prefix.n > 0 ? prefix.n + 1 : 0),
                list[i]->synopsis);
    }
}

static void program_help(FILE *to)
{
    fputs("Usage: consul [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n", to);
    commands_list(to, "");
    fputs("\n", to);
}

static void group_help(FILE *to, const struct cli_command *c)
{
    fprintf(to, "Usage: consul %s <subcommand> [options] [args]\n\n", c->name);
    if (c->help != NULL) {
        fprintf(to, "%s\n\n", c->help);
    }
    fputs("Subcommands:\n\n", to);
    commands_list(to, c->name);
    fputs("\n", to);
}

static const struct cli_command *command_named(const char *name)
{
    for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
        for (size_t i = 0; i < *files[f].count; i++) {
            if (strcmp(files[f].commands[i].name, name) == 0) {
                return &files[f].commands[i];
            }
        }
    }
    return NULL;
}

void cli_help(FILE *to, const char *command, const struct cli_flag_group *groups,
              size_t groups_count)
{
    const struct cli_command *c = command_named(command);
    fprintf(to, "Usage: consul %s %s\n\n", command,
            c != NULL && c->usage != NULL ? c->usage : "[options]");
    if (c != NULL && c->help != NULL) {
        fprintf(to, "%s\n\n", c->help);
    }
    cli_flags_help(to, groups, groups_count);
}

int cli_usage_error(const char *command, const struct cli_flag_group *groups, size_t groups_count,
                    const char *message)
{
    fprintf(stderr, "%s\n\n", message);
    cli_help(stderr, command, groups, groups_count);
    return 1;
}

int cli_error(const char *format, ...)
{
    va_list args;
    (void)fflush(
        stdout); /* where both go to one place, the order of lines is that of their printing */
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return 1;
}

void cli_log(const char *level, const char *module, const char *format, ...)
{
    va_list args;
    uint64_t now_ms = clock_wall_ms();
    time_t now = (time_t)(now_ms / 1000);
    struct tm tm;
    char stamp[32] = "", zone[8] = "";
    if (localtime_r(&now, &tm) != NULL) {
        (void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
        (void)strftime(zone, sizeof(zone), "%z", &tm);
    }
    fprintf(stderr, "%s.%03u%s [%s]%*s %s: ", stamp, (unsigned)(now_ms % 1000), zone, level,
            strlen(level) < 5 ? 1 : 0, "", module);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

bool cli_filter_is_valid(const char *what, struct str pattern)
{
    struct arena a = {0};
    struct regexp *re = NULL;
    struct err err = {0};
    bool valid = pattern.n == 0 || regexp_compile(&a, pattern, &re, &err) >= 0;
    if (!valid) {
        (void)cli_error("Failed to compile %s filter regexp: %s", what, err_text(&err));
    }
    arena_deinit(&a);
    return valid;
}

void cli_print_indented(FILE *to, struct str json, const char *unit)
{
    struct str rest = json, line;
    while (rest.n > 0 && str_split_next(&rest, '\n', &line)) {
        while (str_has_prefix(line, STR("    "))) {
            fputs(unit, to);
            line = str_from(line, 4);
        }
        (void)fwrite(line.p, 1, line.n, to);
        fputc('\n', to);
    }
}

void cli_print_tabs(FILE *to, struct str json)
{
    cli_print_indented(to, json, "\t");
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "-h") == 0 || strcmp(arg, "-help") == 0 || strcmp(arg, "--help") == 0;
}

bool cli_parse(const char *command, int argc, char **argv, const struct cli_flag_group *groups,
               size_t groups_count, struct cli_args *ret_args, int *ret_code)
{
    struct err err = {0};
    int rc = cli_flags_parse(argc, argv, groups, groups_count, ret_args, &err);
    if (rc >= 0) {
        return true;
    }
    bool asked = rc == -ERR_CANCELED && argc == 1 && is_help(argv[0]); /* "-help=x" is a mistake */
    if (rc != -ERR_CANCELED) {
        fprintf(stderr, "%s\n", err_text(&err));
    }
    cli_help(asked ? stdout : stderr, command, groups, groups_count);
    *ret_code = asked ? 0 : 1;
    return false;
}

/* Whether help is asked for anywhere before "--": the rest of the line does not matter then. */
static bool has_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i])) {
            return true;
        }
    }
    return false;
}

static bool is_version(const char *arg)
{
    return strcmp(arg, "-v") == 0 || strcmp(arg, "-version") == 0 || strcmp(arg, "--version") == 0;
}

/* A flag of the program itself, with one dash or two: it stands before any command. */
static bool has_top_flag(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i] + 1, name) == 0 ||
            strcmp(argv[i] + 1 + (argv[i][1] == '-'), name) == 0) {
            return true;
        }
    }
    return false;
}

/* The flags about shells' completion. False when there is none of them. */
static bool completion_set(int argc, char **argv, int *ret_code)
{
    struct err err = {0};
    bool installs = has_top_flag(argc, argv, "autocomplete-install");
    bool uninstalls = has_top_flag(argc, argv, "autocomplete-uninstall");
    if (!installs && !uninstalls) {
        return false;
    }
    int rc =
        installs && uninstalls
            ? err_set(&err, ERR_INVALID,
                      "Either the autocomplete install or uninstall flag may be specified, but "
                      "not both.")
        : installs ? complete_install(&err)
                   : complete_uninstall(&err);
    *ret_code = rc < 0 ? cli_error("Error executing CLI: %s", err_text(&err)) : 0;
    return true;
}

int cli_main(int argc, char **argv)
{
    int code;
    if ((argc < 2 || !is_version(argv[1])) && complete_answer()) {
        return 0;
    }
    if (argc < 2) {
        program_help(stderr);
        return 127;
    }
    if (is_help(argv[1])) {
        program_help(stdout);
        return 0;
    }
    if (completion_set(argc, argv, &code)) {
        return code;
    }
    static char *version[] = {"version", NULL};
    if (is_version(argv[1])) {
        argv = version;
        argc = 1;
    } else {
        argv++;
        argc--;
    }
    int words;
    const struct cli_command *c = command_find(argc, argv, &words);
    if (c == NULL) {
        program_help(stderr);
        return 127;
    }
    argc -= words;
    argv += words;
    bool asked = has_help(argc, argv);
    if (c->run == NULL) {
        group_help(asked ? stdout : stderr, c);
        return asked ? 0 : 1;
    }
    static char *help[] = {"-help", NULL};
    return asked ? c->run(1, help) : c->run(argc, argv);
}
