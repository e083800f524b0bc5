/* Any bytes as a snapshot. What is accepted is consistent, and writing and restoring it changes
 * nothing more. */
#include "base/buf.h"
#include "base/epoch.h"
#include "base/err.h"
#include "fsm/snapshot.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int append(void *data, struct str chunk)
{
    buf_str(data, chunk);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct epoch *epoch = epoch_new();
    struct store *store = store_new(epoch);
    struct err err = {0};
    if (snapshot_restore(store, str_make(data, size), &err) == 0) {
        struct buf first = {0}, second = {0};
        ASSERT(store_is_consistent(store_view(store)));
        ASSERT(snapshot_write(store_view(store), append, &first, &err) == 0);
        if (snapshot_restore(store, buf_view(&first), &err) == 0) {
            ASSERT(store_is_consistent(store_view(store)));
            ASSERT(snapshot_write(store_view(store), append, &second, &err) == 0);
        }
        buf_deinit(&first);
        buf_deinit(&second);
    } else {
        ASSERT(err.code != 0 && store_view(store)->last_index == 0);
    }
    store_free(store);
    epoch_free(epoch);
    return 0;
}
