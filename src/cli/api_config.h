/* api_config.h - config entries as Go's client of the HTTP API prints them.
 *
 * The structs are those of schema/; only what is left out when it is empty, and the order of
 * members, differ from what the agent answers. */
#pragma once
#include "schema/config_entry.h"

/* The table that an entry of this kind is printed by. */
const struct schema *api_config_schema(enum config_entry_kind kind);
