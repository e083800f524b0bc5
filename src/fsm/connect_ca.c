/* Entries and snapshot records of Connect's certificate authority. */
#include "store/connect_ca.h"
#include "fsm/internal.h"

static void answer_bool(struct apply *ap, bool b)
{
    *ap->result = (struct fsm_result){.kind = FSM_RESULT_BOOL, .b = b};
}

static void answer_uint(struct apply *ap, uint64_t u)
{
    *ap->result = (struct fsm_result){.kind = FSM_RESULT_UINT, .u = u};
}

static int missing(struct apply *ap, const char *what, struct str op)
{
    return err_set(ap->err, ERR_INVALID, "CA operation '%.*s' without %s", STRF(op), what);
}

static int apply_config(struct apply *ap, struct ca_request *req)
{
    if (req->config == NULL) {
        return missing(ap, "a configuration", req->op);
    }
    uint64_t index = req->config->raft.modify_index;
    int r = ca_config_set(ap->tx, req->config, index != 0, index, ap->err);
    if (r >= 0 && index != 0) {
        answer_bool(ap, true);
    }
    return r;
}

static int apply_roots(struct apply *ap, struct ca_request *req)
{
    int r = ca_roots_set(ap->tx, req->index, req->roots, ap->err);
    if (r >= 0) {
        answer_bool(ap, r > 0);
    }
    return r;
}

/* Either both are written or none is. */
static int apply_roots_and_config(struct apply *ap, struct ca_request *req)
{
    if (req->config == NULL) {
        return missing(ap, "a configuration", req->op);
    }
    int r = ca_roots_set(ap->tx, req->index, req->roots, ap->err);
    if (r > 0) {
        r = ca_config_set(ap->tx, req->config, true, req->config->raft.modify_index, ap->err);
    }
    if (r >= 0) {
        answer_bool(ap, r > 0);
    }
    return r;
}

static int apply_provider_state(struct apply *ap, struct ca_request *req)
{
    if (req->provider_state == NULL) {
        return missing(ap, "a provider's state", req->op);
    }
    if (str_eq(req->op, CA_DELETE_PROVIDER_STATE)) {
        ca_provider_state_delete(ap->tx, req->provider_state->id);
        answer_bool(ap, true);
        return 0;
    }
    int r = ca_provider_state_set(ap->tx, req->provider_state, ap->err);
    if (r >= 0) {
        answer_bool(ap, true);
    }
    return r;
}

int fsm_apply_connect_ca(struct apply *ap)
{
    struct ca_request req = {0};
    int r = fsm_decode(ap, &ca_request_schema, &req);
    if (r < 0) {
        return r;
    }
    ap->op = req.op;
    if (str_eq(req.op, CA_SET_CONFIG)) {
        return apply_config(ap, &req);
    }
    if (str_eq(req.op, CA_SET_ROOTS)) {
        return apply_roots(ap, &req);
    }
    if (str_eq(req.op, CA_SET_ROOTS_AND_CONFIG)) {
        return apply_roots_and_config(ap, &req);
    }
    if (str_eq(req.op, CA_SET_PROVIDER_STATE) || str_eq(req.op, CA_DELETE_PROVIDER_STATE)) {
        return apply_provider_state(ap, &req);
    }
    if (str_eq(req.op, CA_INCREMENT_PROVIDER_SERIAL)) {
        answer_uint(ap, ca_serial_next(ap->tx));
        return 0;
    }
    return err_set(ap->err, ERR_FAILED, "Invalid CA operation '%.*s'", STRF(req.op));
}

int fsm_apply_connect_ca_leaf(struct apply *ap)
{
    struct ca_leaf_request req = {0};
    int r = fsm_decode(ap, &ca_leaf_request_schema, &req);
    if (r < 0) {
        return r;
    }
    ap->op = req.op;
    if (!str_eq(req.op, CA_LEAF_INCREMENT_INDEX)) {
        return err_set(ap->err, ERR_FAILED, "Invalid CA Leaf operation '%.*s'", STRF(req.op));
    }
    answer_uint(ap, ca_leaf_index_next(ap->tx));
    return 0;
}

/* --- snapshots ------------------------------------------------------------------------------- */

int snapshot_write_ca_roots(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_CA_ROOTS_ID, FSM_CONNECT_CA, &ca_root_schema);
}

int snapshot_write_ca_provider_states(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_CA_BUILTIN_ID, FSM_CONNECT_CA_PROVIDER_STATE,
                               &ca_provider_state_schema);
}

int snapshot_write_ca_config(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_CA_CONFIG_ID, FSM_CONNECT_CA_CONFIG,
                               &ca_configuration_schema);
}

int snapshot_read_ca_root(struct snapshot_in *in)
{
    struct ca_root root;
    schema_zero(&ca_root_schema, &root);
    int r = snapshot_read_object(in, &ca_root_schema, &root);
    if (r == 0) {
        ca_root_restore(in->tx, &root);
    }
    return r;
}

int snapshot_read_ca_provider_state(struct snapshot_in *in)
{
    struct ca_provider_state state = {0};
    int r = snapshot_read_object(in, &ca_provider_state_schema, &state);
    if (r == 0) {
        ca_provider_state_restore(in->tx, &state);
    }
    return r;
}

int snapshot_read_ca_config(struct snapshot_in *in)
{
    struct ca_configuration config = {0};
    int r = snapshot_read_object(in, &ca_configuration_schema, &config);
    if (r == 0) {
        ca_config_restore(in->tx, &config);
    }
    return r;
}
