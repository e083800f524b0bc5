/* Entries and snapshot records of system metadata, and the entries of intentions. */
#include "store/system_metadata.h"
#include "fsm/internal.h"
#include "store/intention.h"

int fsm_apply_system_metadata(struct apply *ap)
{
    struct system_metadata_request req = {0};
    int r = fsm_decode(ap, &system_metadata_request_schema, &req);
    if (r < 0) {
        return r;
    }
    bool is_upsert = str_eq(req.op, SYSTEM_METADATA_UPSERT);
    if (!is_upsert && !str_eq(req.op, SYSTEM_METADATA_DELETE)) {
        return err_set(ap->err, ERR_FAILED, "invalid system metadata operation type: %.*s",
                       STRF(req.op));
    }
    if (req.entry == NULL) {
        return err_set(ap->err, ERR_FAILED, "missing key on system metadata");
    }
    if (is_upsert) {
        r = system_metadata_set(ap->tx, req.entry, ap->err);
        if (r >= 0) {
            *ap->result = (struct fsm_result){.kind = FSM_RESULT_BOOL, .b = true};
        }
        return r;
    }
    system_metadata_delete(ap->tx, req.entry->key);
    return 0;
}

/* Of those without a mutation only clusters older than 1.9 wrote others than delete-all, to a table
 * that is not kept any more. */
int fsm_apply_intention(struct apply *ap)
{
    struct intention_request req = {0};
    int r = fsm_decode(ap, &intention_request_schema, &req);
    if (r < 0) {
        return r;
    }
    ap->op = req.op;
    if (req.mutation != NULL) {
        return intention_mutate(ap->tx, req.op, req.mutation, ap->arena, ap->err);
    }
    if (!str_eq(req.op, INTENTION_DELETE_ALL)) {
        return err_set(ap->err, ERR_UNSUPPORTED, "intention operation '%.*s' is not supported",
                       STRF(req.op));
    }
    intentions_are_config_entries(ap->tx);
    return 0;
}

int snapshot_write_system_metadata(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_SYSTEM_METADATA_ID, FSM_SYSTEM_METADATA,
                               &system_metadata_entry_schema);
}

int snapshot_read_system_metadata(struct snapshot_in *in)
{
    struct system_metadata_entry entry = {0};
    int r = snapshot_read_object(in, &system_metadata_entry_schema, &entry);
    if (r == 0 && entry.key.n > TREE_KEY_SIZE_MAX / 2) {
        r = err_set(in->err, ERR_TOO_LARGE, "key of %zu bytes is over the maximum of %u",
                    entry.key.n, TREE_KEY_SIZE_MAX / 2);
    }
    if (r == 0) {
        system_metadata_restore(in->tx, &entry);
    }
    return r;
}
