/* The entry and the snapshot record of autopilot's configuration. */
#include "store/autopilot.h"
#include "fsm/internal.h"

int fsm_apply_autopilot(struct apply *ap)
{
    struct autopilot_set_config_request req = {0};
    int r = fsm_decode(ap, &autopilot_set_config_request_schema, &req);
    if (r < 0) {
        return r;
    }
    if (req.cas) {
        bool done = autopilot_config_cas(ap->tx, &req.config, req.config.raft.modify_index);
        *ap->result = (struct fsm_result){.kind = FSM_RESULT_BOOL, .b = done};
    } else {
        autopilot_config_set(ap->tx, &req.config);
    }
    return 0;
}

int snapshot_write_autopilot(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_AUTOPILOT_CONFIG_ID, FSM_AUTOPILOT,
                               &autopilot_config_schema);
}

int snapshot_read_autopilot(struct snapshot_in *in)
{
    struct autopilot_config config = {0};
    int r = snapshot_read_object(in, &autopilot_config_schema, &config);
    if (r == 0) {
        autopilot_config_restore(in->tx, &config);
    }
    return r;
}
