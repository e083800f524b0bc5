/* Entries and snapshot records of federation states. Every leader of 1.10.3 writes one for its own
 * data center, also where there is no other. */
#include "store/federation_state.h"
#include "fsm/internal.h"
#include "schema/msgpack.h"

int fsm_apply_federation_state(struct apply *ap)
{
    struct federation_state_request req = {0};
    struct federation_state none = {0};
    int r = fsm_decode(ap, &federation_state_request_schema, &req);
    if (r < 0) {
        return r;
    }
    ap->op = req.op;
    if (req.state == NULL) {
        req.state = &none;
    }
    if (str_eq(req.op, FEDERATION_STATE_UPSERT)) {
        r = federation_state_set(ap->tx, req.state, ap->err);
        if (r >= 0) {
            *ap->result = (struct fsm_result){.kind = FSM_RESULT_BOOL, .b = true};
        }
        return r;
    }
    if (str_eq(req.op, FEDERATION_STATE_DELETE)) {
        federation_state_delete(ap->tx, req.state->datacenter);
        return 0;
    }
    return err_set(ap->err, ERR_FAILED, "invalid federation state operation type: %.*s",
                   STRF(req.op));
}

/* Each in the guise of the request that would write it. */
int snapshot_write_federation_states(struct snapshot_out *out, const struct store_view *v)
{
    struct tree_iter it;
    struct federation_state_request req = {.op = FEDERATION_STATE_UPSERT};
    store_iter(&it, v, INDEX_FEDERATION_STATES_ID, STR_NULL);
    while ((req.state = tree_next(&it, NULL)) != NULL) {
        msgpack_object(snapshot_record(out, FSM_FEDERATION_STATE), &federation_state_request_schema,
                       &req);
    }
    return 0;
}

int snapshot_read_federation_state(struct snapshot_in *in)
{
    struct federation_state_request req = {0};
    struct federation_state none = {0};
    int r = snapshot_read_object(in, &federation_state_request_schema, &req);
    return r < 0 ? r
                 : federation_state_restore(in->tx, req.state != NULL ? req.state : &none, in->err);
}
