/* Entries and snapshot records of centralized configuration: both are the request, with the kind in
 * front; in a snapshot it has no operation. */
#include "store/config_entry.h"
#include "fsm/internal.h"
#include "schema/msgpack.h"

static void answer_bool(struct apply *ap, bool b)
{
    *ap->result = (struct fsm_result){.kind = FSM_RESULT_BOOL, .b = b};
}

int fsm_apply_config_entry(struct apply *ap)
{
    struct config_entry_request req = {0};
    int r = fsm_decode(ap, &config_entry_request_schema, &req);
    if (r < 0) {
        return r;
    }
    if (req.entry == NULL) { /* the whole request was nil */
        return err_set(ap->err, ERR_CORRUPT, "config entry operation without an entry");
    }
    if (str_eq(req.op, CONFIG_ENTRY_UPSERT)) {
        r = config_entry_set(ap->tx, req.entry, ap->err);
        answer_bool(ap, true);
    } else if (str_eq(req.op, CONFIG_ENTRY_UPSERT_CAS)) {
        r = config_entry_cas(ap->tx, req.entry, req.entry->raft.modify_index, ap->err);
        answer_bool(ap, r > 0);
    } else if (str_eq(req.op, CONFIG_ENTRY_DELETE)) {
        r = config_entry_delete(ap->tx, req.entry->type, req.entry->name, ap->err);
    } else {
        return err_set(ap->err, ERR_FAILED, "invalid config entry operation type: %.*s",
                       STRF(req.op));
    }
    if (r < 0) {
        ap->result->kind = FSM_RESULT_NONE; /* the sentence is the answer */
    }
    return r;
}

int snapshot_write_config_entries(struct snapshot_out *out, const struct store_view *v)
{
    struct tree_iter it;
    struct config_entry *entry;
    store_iter(&it, v, INDEX_CONFIG_ENTRIES_ID, STR_NULL);
    while ((entry = tree_next(&it, NULL)) != NULL) {
        struct config_entry_request req = {.entry = entry};
        msgpack_object(snapshot_record(out, FSM_CONFIG_ENTRY), &config_entry_request_schema, &req);
    }
    return 0;
}

int snapshot_read_config_entry(struct snapshot_in *in)
{
    struct config_entry_request req = {0};
    int r = snapshot_read_object(in, &config_entry_request_schema, &req);
    if (r >= 0 && req.entry == NULL) {
        r = err_set(in->err, ERR_CORRUPT, "config entry record without an entry");
    }
    return r < 0 ? r : config_entry_restore(in->tx, req.entry, in->err);
}
