#include "http/cached.h"

#include "loop/loop.h"
#include "schema/msgpack.h"
#include "server/rpc.h"
#include "server/worker.h"

#include <stdatomic.h>

/* Requests asked before, by hash, for all workers. A full set of a bucket forgets its oldest; two
 * requests of the same hash (64 bits, keyed) would share a header, no more. */
#define CACHED_BUCKETS 1024u
#define CACHED_WAYS 4u
#define CACHED_FORGET_MS (UINT64_C(72) * 3600 * 1000)

struct cached_entry {
    _Atomic uint64_t hash; /* 0: free */
    _Atomic uint64_t since_ms;
};

static struct cached_entry entries[CACHED_BUCKETS][CACHED_WAYS];

/* Since when this request is known, or 0 when it was not until now. */
static uint64_t remember(uint64_t hash, uint64_t now_ms)
{
    struct cached_entry *bucket = entries[hash % CACHED_BUCKETS], *oldest = &bucket[0];
    for (size_t i = 0; i < CACHED_WAYS; i++) {
        uint64_t since = atomic_load(&bucket[i].since_ms);
        if (atomic_load(&bucket[i].hash) == hash && now_ms - since < CACHED_FORGET_MS) {
            return since;
        }
        if (since < atomic_load(&oldest->since_ms)) {
            oldest = &bucket[i];
        }
    }
    atomic_store(&oldest->since_ms, now_ms);
    atomic_store(&oldest->hash, hash);
    return 0;
}

/* What tells one request from another: the method and its arguments, less those that do not change
 * what is kept: how long to wait, how stale, sorted from where. */
static uint64_t request_hash(const struct rpc_call *call)
{
    struct arena a = {0};
    struct buf key = {0};
    const struct rpc_method *method = call->method;
    char *args = arena_alloc(&a, method->args->size);
    memcpy(args, call->args, method->args->size);
    struct query_options *options = (struct query_options *)(args + method->options_offset);
    *options = (struct query_options){.token = options->token, .filter = options->filter};
    size_t offset;
    const struct field *source = schema_find(method->args, STR("Source"), &offset);
    if (source != NULL && source->sub == &query_source_schema) {
        memset(args + offset, 0, sizeof(struct query_source));
    }
    buf_str(&key, str_from_cstr(method->name));
    msgpack_object(&key, method->args, args);
    uint64_t hash = str_hash(buf_view(&key));
    buf_deinit(&key);
    arena_deinit(&a);
    return hash != 0 ? hash : 1;
}

void http_cached(struct http_req *req, const struct rpc_call *call, bool is_refreshed)
{
    const struct query_options *options =
        (const struct query_options *)((const char *)call->args + call->method->options_offset);
    if (!options->use_cache) {
        return;
    }
    /* Never 0, which would mean unknown. */
    uint64_t now_ms = loop_now_ms(req->worker->loop) + 1;
    uint64_t since_ms = remember(request_hash(call), now_ms);
    if (since_ms == 0) {
        http_set_header(req, STR("X-Cache"), STR("MISS"));
        return;
    }
    uint64_t age_ms = is_refreshed || since_ms > now_ms ? 0 : now_ms - since_ms;
    http_set_header(req, STR("X-Cache"), STR("HIT"));
    http_set_header(req, STR("Age"),
                    arena_printf(req->arena, "%llu", (unsigned long long)(age_ms / 1000)));
}
