/* autopilot.h - autopilot's configuration: one row, the same for all servers. */
#pragma once
#include "schema/operator.h"
#include "store/store.h"

/* NULL before a leader has written the first one. */
const struct autopilot_config *autopilot_config_get(const struct store_view *v);
/* Sets the indexes of *config, which is copied. */
void autopilot_config_set(struct store_txn *tx, struct autopilot_config *config);
/* Only if there is one whose ModifyIndex is `index`; whether it was. */
bool autopilot_config_cas(struct store_txn *tx, struct autopilot_config *config, uint64_t index);
void autopilot_config_restore(struct store_txn *tx, const struct autopilot_config *config);
