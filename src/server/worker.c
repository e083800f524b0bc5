#include "server/worker.h"

#include "server/acl_resolver.h"
#include "server/call.h"
#include "server/rpc_pool.h"
#include "server/verify.h"
#include "store/watch.h"

void worker_init(struct worker *w, struct loop *loop, uint32_t id)
{
    memset(w, 0, sizeof(*w));
    w->loop = loop;
    w->id = id;
    rng_seed_system(&w->rng);
    w->watches = watch_registry_new();
    w->pool = rpc_pool_new(loop);
    w->verifies = verifies_new(w);
    w->acl = acl_resolver_new(w);
    list_init(&w->waiting);
    list_init(&w->forwarded);
    list_init(&w->idle_calls);
}

void worker_deinit(struct worker *w)
{
    if (w->watches == NULL) {
        return;
    }
    w->acl = acl_resolver_free(w->acl);
    rpc_calls_drop_idle(w);
    /* A canceled write may still come back while the loop is freed: it is not to be kept then. */
    w->idle_calls_count = UINT32_MAX;
    w->verifies = verifies_free(w->verifies);
    w->pool = rpc_pool_free(w->pool);
    rpc_lanes_deinit(w);
    w->watches = watch_registry_free(w->watches);
    /* The loop stays: what comes back while it is freed may start a timer on it, which never fires.
     */
}
