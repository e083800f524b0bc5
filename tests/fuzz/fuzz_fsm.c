/* Log entries, one after the other: each is its size (two bytes) and its bytes. Whatever they are,
 * the store stays consistent, and a snapshot of it can be restored. */
#include "base/buf.h"
#include "base/epoch.h"
#include "base/err.h"
#include "fsm/fsm.h"
#include "fsm/snapshot.h"
#include "store/lock_delay.h"
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
    struct lock_delay *delays = lock_delay_new();
    struct fsm *fsm = fsm_new(store, delays);
    struct arena a = {0};
    struct cur c = cur_make(str_make(data, size));
    uint64_t index = 0;
    while (cur_left(&c) >= 2) {
        size_t n = MIN((size_t)cur_be16(&c), cur_left(&c));
        struct fsm_result result;
        uint64_t before = store_view(store)->last_index;
        int r = fsm_apply(fsm, ++index, cur_take(&c, n), 1, &a, &result);
        ASSERT(r == 0 || result.kind == FSM_RESULT_ERROR);
        ASSERT(result.kind != FSM_RESULT_ERROR || store_view(store)->last_index == before);
        arena_reset(&a);
    }
    ASSERT(store_is_consistent(store_view(store)));
    struct buf first = {0}, second = {0};
    struct err err = {0};
    ASSERT(snapshot_write(store_view(store), append, &first, &err) == 0);
    ASSERT(snapshot_restore(store, buf_view(&first), &err) == 0);
    ASSERT(store_is_consistent(store_view(store)));
    ASSERT(snapshot_write(store_view(store), append, &second, &err) == 0);
    ASSERT(str_eq(buf_view(&first), buf_view(&second)));
    buf_deinit(&second);
    buf_deinit(&first);
    arena_deinit(&a);
    fsm_free(fsm);
    store_free(store);
    lock_delay_free(delays);
    epoch_free(epoch);
    return 0;
}
