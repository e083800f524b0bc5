/* config.h - what the commands about config entries have in common. */
#pragma once
#include "cli/flags.h"

/* -kind and -name. */
extern struct str config_kind, config_name;

/* False, and a line on stderr, without a -kind. */
bool config_has_kind(void);
/* The command line of a command about one entry, which has to have both. False: exit with
 * *ret_code. */
bool config_parse_named(const char *command, int argc, char **argv, int *ret_code);
