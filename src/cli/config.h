/* config.h - what the commands about config entries have in common. */
#pragma once
#include "cli/flags.h"

/* -kind and -name. */
extern struct str config_kind, config_name;

/* A line on stderr and true when one of them is missing; the name only where it is needed. */
bool config_is_unnamed(bool needs_name);
