/* Entries and snapshot records of prepared queries. */
#include "store/prepared_query.h"
#include "fsm/internal.h"

int fsm_apply_prepared_query(struct apply *ap)
{
    struct prepared_query_request req = {0};
    int r = fsm_decode(ap, &prepared_query_request_schema, &req);
    if (r < 0) {
        return r;
    }
    ap->op = req.op;
    bool is_set = str_eq(req.op, PREPARED_QUERY_CREATE) || str_eq(req.op, PREPARED_QUERY_UPDATE);
    if (!is_set && !str_eq(req.op, PREPARED_QUERY_DELETE)) {
        return err_set(ap->err, ERR_FAILED, "Invalid PreparedQuery operation '%.*s'", STRF(req.op));
    }
    if (req.query == NULL) {
        return err_set(ap->err, ERR_INVALID, "PreparedQuery operation '%.*s' without a query",
                       STRF(req.op));
    }
    return is_set ? prepared_query_set(ap->tx, req.query, ap->err)
                  : prepared_query_delete(ap->tx, req.query->id, ap->err);
}

int snapshot_write_prepared_queries(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_PREPARED_QUERIES_ID, FSM_PREPARED_QUERY,
                               &prepared_query_schema);
}

int snapshot_read_prepared_query(struct snapshot_in *in)
{
    struct prepared_query query = {0};
    int r = snapshot_read_object(in, &prepared_query_schema, &query);
    return r < 0 ? r : prepared_query_restore(in->tx, &query, in->err);
}
