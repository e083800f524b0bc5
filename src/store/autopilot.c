#include "store/autopilot.h"

const struct autopilot_config *autopilot_config_get(const struct store_view *v)
{
    return store_first(v, INDEX_AUTOPILOT_CONFIG_ID, STR_NULL);
}

void autopilot_config_restore(struct store_txn *tx, const struct autopilot_config *config)
{
    store_insert(tx, TABLE_AUTOPILOT_CONFIG, schema_clone(&autopilot_config_schema, config, NULL));
}

void autopilot_config_set(struct store_txn *tx, struct autopilot_config *config)
{
    const struct autopilot_config *old = autopilot_config_get(store_txn_view(tx));
    uint64_t now = store_txn_raft_index(tx);
    config->raft.create_index = old != NULL ? old->raft.create_index : now;
    config->raft.modify_index = now;
    autopilot_config_restore(tx, config);
}

bool autopilot_config_cas(struct store_txn *tx, struct autopilot_config *config, uint64_t index)
{
    const struct autopilot_config *old = autopilot_config_get(store_txn_view(tx));
    if (old == NULL || old->raft.modify_index != index) {
        return false;
    }
    autopilot_config_set(tx, config);
    return true;
}
