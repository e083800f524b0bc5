/* config_keys.h - the table of every key a configuration file may hold: its type, where it ends up,
 * its default.
 *
 * Internal to src/agent/config*.c. One line a key; from it come decoding and type errors, "invalid
 * config key", merging, defaults, and the comparison at a reload. */
#pragma once
#include "agent/config.h"

enum config_kind {
    CONFIG_STR,
    CONFIG_BOOL,
    CONFIG_INT,
    CONFIG_PORT, /* an int; <= 0 becomes -1 */
    CONFIG_UINT,
    CONFIG_UINT32, /* these two are like it, but that faults say what they are in 1.10.3 */
    CONFIG_UINT64,
    CONFIG_FLOAT,
    CONFIG_DURATION, /* text in the file, nanoseconds in the struct */
    CONFIG_STRLIST,
    CONFIG_STRMAP,
    CONFIG_STRLISTMAP,
    CONFIG_OBJ,     /* keys below it: those under `sub`, or its own path */
    CONFIG_OBJLIST, /* a list of such */
    CONFIG_OBJMAP,  /* a map from any name to such */
    CONFIG_ANYMAP,  /* anything goes below */
    CONFIG_ANYLIST, /* a list of such maps */
};

enum config_key_flag {
    CONFIG_RELOADABLE = 1u << 0,
    CONFIG_FIXED = 1u << 1,   /* accepted, but the user's value gives way to the default */
    CONFIG_REPLACE = 1u << 2, /* an object that is replaced, not merged, by a later source */
};

struct config_key {
    const char *path; /* dotted; NULL ends the table */
    uint16_t kind;    /* enum config_kind */
    uint16_t flags;
    uint32_t offset; /* in struct agent_config, when has_member */
    bool has_member; /* else: kept, and looked at by name if at all */
    const char *sub; /* path under which the keys of an object are listed */
    const char *alias;
    const char *initial;     /* default, as text; NULL: none */
    const char *initial_dev; /* with -dev, where different */
};

extern const struct config_key config_key_table[];
extern const size_t config_key_count;

/* The index of a key, which must exist. */
size_t config_key_index(const char *path);
/* The last component of the path ("tokens.master": "master"; "telemetry.disable_compat_1.9" is
 * the exception that has a dot in its name). */
struct str config_key_name(const struct config_key *key);
/* Is the key a direct member of the object listed under `prefix`? */
bool config_key_is_under(const struct config_key *key, struct str prefix);
