/* flags.h - the command lines of all commands, parsed from tables as Go's flag package does.
 *
 *     static bool recurse; static struct str format;
 *     const struct cli_flag flags[] = {
 *         {"recurse", CLI_BOOL, &recurse, "Whole tree below the prefix."},
 *         {"format", CLI_STR, &format, "pretty or json."},
 *         CLI_FLAGS_END};
 *     rc = cli_flags_parse(argc, argv, groups, &args, &err);
 *
 * -flag, --flag, -flag=value, -flag value; a bool takes its value only after '='. Parsing stops at
 * the first argument that is no flag, after "--", and at "-" by itself. Values are borrowed from argv.
 * Numbers are decimal, or 0x, 0o, 0b and a leading 0 as in Go's source, with underscores after a
 * prefix. Errors have Go's words ("flag provided but not defined: -x"). */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <stdio.h>

enum cli_flag_kind {
    CLI_BOOL,     /* bool * */
    CLI_STR,      /* struct str * */
    CLI_INT,      /* int64_t * */
    CLI_UINT,     /* uint64_t * */
    CLI_DURATION, /* int64_t *, nanoseconds */
    CLI_STRLIST,  /* struct cli_list *: may be repeated */
    CLI_STRMAP,   /* struct cli_map *: key=value, may be repeated; the last of a key counts */
    CLI_FUNC,     /* target is a cli_flag_fn's data, fn is called for each */
};

#define CLI_LIST_MAX 1024u

struct cli_list {
    struct str *v; /* heap */
    size_t n, cap;
};

struct cli_pair {
    struct str key, value;
};

struct cli_map { /* sorted by key */
    struct cli_pair *v; /* heap */
    size_t n, cap;
};

struct cli_flag;
/* Told each use of a CLI_FUNC flag; the text is "true" for a bare flag. */
typedef int (*cli_flag_fn)(void *data, const struct cli_flag *flag, struct str text,
                           struct err *err);

struct cli_flag {
    const char *name; /* NULL ends the table */
    enum cli_flag_kind kind;
    void *target;
    const char *usage;
    cli_flag_fn fn;
    bool is_bool;         /* a CLI_FUNC that may stand bare */
    const char *type;     /* for the help: what stands for the value; NULL: by kind */
    bool is_bool_value;   /* a CLI_BOOL whose error has the words of strconv */
};

#define CLI_FLAGS_END {.name = NULL}

/* Tables that together make a command's flags: its own, those of HTTP requests… */
struct cli_flag_group {
    const char *title; /* heading in the help */
    const struct cli_flag *flags;
};

struct cli_args {
    int argc; /* what is left after the flags */
    char **argv;
};

NODISCARD int cli_flags_parse(int argc, char **argv, const struct cli_flag_group *groups,
                              size_t groups_count, struct cli_args *ret_args, struct err *err);
/* "  -name=<type>\n     usage" of every flag, by name within each group. */
void cli_flags_help(FILE *to, const struct cli_flag_group *groups, size_t groups_count);
void cli_list_deinit(struct cli_list *l);
void cli_map_deinit(struct cli_map *m);
