/* fsm_fixture.h - a state machine over an empty store. */
#pragma once
#include "test.h"

#include "base/epoch.h"
#include "fsm/fsm.h"
#include "store/lock_delay.h"
#include "store/store.h"

struct machine {
    struct epoch *epoch;
    struct store *store;
    struct lock_delay *lock_delay;
    struct fsm *fsm;
    struct arena arena;
    struct fsm_result result;
    uint64_t index;
};

static void machine_init(struct machine *m)
{
    *m = (struct machine){.epoch = epoch_new(), .lock_delay = lock_delay_new(), .index = 10};
    m->store = store_new(m->epoch);
    m->fsm = fsm_new(m->store, m->lock_delay);
}

static void machine_deinit(struct machine *m)
{
    assert_true(store_is_consistent(store_view(m->store)));
    fsm_free(m->fsm);
    lock_delay_free(m->lock_delay);
    store_free(m->store);
    epoch_free(m->epoch);
    arena_deinit(&m->arena);
}
