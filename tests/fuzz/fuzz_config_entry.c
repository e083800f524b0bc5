/* Config entries as people write them, HCL or JSON: what decodes can be normalized, validated,
 * printed and stored, and comes out of msgpack as it went in. */
#include "base/epoch.h"
#include "base/err.h"
#include "schema/config_entry.h"
#include "schema/hcl.h"
#include "schema/json.h"
#include "schema/msgpack.h"
#include "store/config_check.h"
#include "store/config_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str to_json(struct arena *a, const struct config_entry *e)
{
    struct buf b = {0};
    struct json_writer w = json_writer_make(&b, false);
    json_object(&w, &config_entry_schema, e);
    struct str text = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return text;
}

static void pass_msgpack(struct arena *a, struct config_entry *e)
{
    struct buf b = {0};
    struct err err = {0};
    struct config_entry_request from = {.op = CONFIG_ENTRY_UPSERT, .entry = e}, to = {0};
    msgpack_object(&b, &config_entry_request_schema, &from);
    struct cur c = cur_make(buf_view(&b));
    int r = msgpack_decode(&c, &config_entry_request_schema, &to, a, &err);
    ASSERT(r == 0 && cur_left(&c) == 0);
    ASSERT(str_eq(to_json(a, to.entry), to_json(a, e)));
    buf_deinit(&b);
}

static void pass_store(struct config_entry *e)
{
    struct err err = {0};
    struct epoch *epoch = epoch_new();
    struct store *store = store_new(epoch);
    struct store_txn *tx = store_txn_begin(store, 1);
    if (config_entry_set(tx, e, &err) < 0) {
        ASSERT(err.text[0] != '\0');
        store_txn_abort(tx);
    } else {
        store_txn_commit(tx);
        ASSERT(store_is_consistent(store_view(store)));
    }
    store_free(store);
    epoch_free(epoch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct value *v;
    struct config_entry *e;
    struct str text = str_make(data, size);
    bool is_json = json_parse(&a, text, &v, &err) == 0;
    if ((is_json || hcl_parse(&a, text, &v, &err) == 0) &&
        config_entry_decode(&a, v, is_json ? DECODE_FLOATS : 0, &e, &err) == 0) {
        config_entry_normalize(&a, e);
        if (config_entry_validate(&a, e, &err) >= 0) {
            pass_msgpack(&a, e); /* what is valid can be read by every server */
        }
        pass_store(e);
    }
    arena_deinit(&a);
    return 0;
}
