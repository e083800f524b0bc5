/* config_graph.h - whether a config entry may change: what it and its neighbours would make
 * together.
 *
 * Checked are the discovery chains the change could affect, ingress gateways whose listeners lead
 * into them, and intentions that need a protocol like HTTP. Deterministic: every server says the
 * same. */
#pragma once
#include "schema/config_entry.h"
#include "store/store.h"

struct err;

/* Does a router, splitter, resolver or ingress gateway lead to this service? */
bool config_entry_refers(const struct config_entry *entry, struct str service);

/* Would the entry do; with NULL: would the graph do without it? */
NODISCARD int config_graph_check(const struct store_view *v, enum config_entry_kind type,
                                 struct str name, const struct config_entry *entry,
                                 struct err *err);
