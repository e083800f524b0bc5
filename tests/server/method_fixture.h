/* method_fixture.h - a server that is only a store, for tests that run reading methods by hand.
 *
 *     struct method_fixture *f = *state;
 *     struct rpc_ctx ctx = method_fixture_context(f);
 *     assert_ok(rpc_x_get.read(&ctx, &args, &reply));
 */
#pragma once
#include "test.h"

#include "base/epoch.h"
#include "base/mem.h"
#include "server/rpc.h"
#include "server/server.h"

struct method_fixture {
    struct server server; /* of dc1 */
    struct worker worker;
    struct arena arena;
    struct err err;
    uint64_t index; /* of the last transaction */
};

UNUSED static int method_fixture_setup(void **state)
{
    struct method_fixture *f = xcalloc(1, sizeof(*f));
    f->server.options.datacenter = STR("dc1");
    f->server.options.primary_datacenter = STR("dc1");
    f->server.epoch = epoch_new();
    f->server.store = store_new(f->server.epoch);
    rng_seed(&f->worker.rng, 1);
    *state = f;
    return 0;
}

UNUSED static int method_fixture_teardown(void **state)
{
    struct method_fixture *f = *state;
    store_free(f->server.store);
    epoch_free(f->server.epoch);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

static inline struct rpc_ctx method_fixture_context(struct method_fixture *f)
{
    f->err = (struct err){0};
    return (struct rpc_ctx){.server = &f->server,
                            .worker = &f->worker,
                            .arena = &f->arena,
                            .view = store_view(f->server.store),
                            .err = &f->err};
}

static inline struct store_txn *method_fixture_begin(struct method_fixture *f)
{
    return store_txn_begin(f->server.store, ++f->index);
}
