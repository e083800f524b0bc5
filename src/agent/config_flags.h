/* config_flags.h - the command line flags of `consul agent` that are configuration.
 *
 *     struct config_flags flags = {0};
 *     rc = config_flag_apply(&flags, "http-port", STR("8501"), &err);   // for each flag given
 *     struct config_sources sources = {.flags = &flags, …};
 *
 * The table is plain data for the command line parser: it knows nothing of parsing argv. Flags that
 * choose sources (-config-file, -config-dir, -config-format, -hcl, -dev) are in the table with key
 * NULL, and config_flag_apply() keeps them apart (paths, hcl, format, is_dev). */
#pragma once
#include "base/arena.h"
#include "schema/field.h"

struct err;

enum config_flag_kind {
    CONFIG_FLAG_BOOL, /* -x, -x=false */
    CONFIG_FLAG_INT,
    CONFIG_FLAG_STR,
    CONFIG_FLAG_DURATION,
    CONFIG_FLAG_STRLIST, /* may be repeated */
    CONFIG_FLAG_STRMAP,  /* key:value, may be repeated */
};

struct config_flag {
    const char *name; /* without the dash; NULL ends the table */
    enum config_flag_kind kind;
    const char *key; /* dotted configuration key, or NULL */
    const char *usage;
};

extern const struct config_flag config_flag_table[]; /* by name */

struct config_flag_value {
    const struct config_flag *flag;
    struct str text;
};

#define CONFIG_FLAG_VALUES_MAX 1024u

/* Zero-initialize; free with config_flags_deinit(). */
struct config_flags {
    struct config_flag_value *v;
    size_t n, cap;
    struct strlist paths; /* -config-file and -config-dir, in order */
    struct strlist hcl;
    struct str format;
    bool is_dev;
    struct arena arena;
};

/* Record one flag; the text is copied and checked against the kind. On failure err has Go's words
 * ('invalid value "x" for flag -http-port: parse error'). */
NODISCARD int config_flag_apply(struct config_flags *flags, const char *name, struct str text,
                                struct err *err);
void config_flags_deinit(struct config_flags *flags);
