/* The known data centers are asked for in order of their distance, of them the ones to try are
 * chosen, and each is sent the query itself, which it need not know, until one has found instances.
 * What fails counts as tried. */
#include "server/query_failover.h"

#include "base/err.h"
#include "base/log.h"
#include "server/delegate.h"
#include "server/reply.h"
#include "server/worker.h"

#define MODULE "agent.server.prepared_query"

struct failover {
    struct prepared_query *query;
    struct strlist datacenters;
    size_t tried;
};

bool query_failover_wanted(const struct prepared_query *query)
{
    const struct query_datacenter_options *o = &query->service.failover;
    return o->nearest_n > 0 || o->datacenters.n > 0;
}

struct strlist query_failover_choose(const struct query_datacenter_options *options,
                                     struct strlist known, struct str own, struct arena *a)
{
    struct str *v = ARENA_ARRAY(a, struct str, known.n + options->datacenters.n);
    size_t n = 0;
    for (size_t i = 0; i < known.n && (int64_t)n < options->nearest_n; i++) {
        if (!str_eq(known.v[i], own)) {
            v[n++] = known.v[i];
        }
    }
    size_t nearest = n;
    for (size_t i = 0; i < options->datacenters.n; i++) {
        struct str datacenter = options->datacenters.v[i];
        if (!strlist_contains(known, datacenter) || str_eq(datacenter, own)) {
            log_write(LOG_DEBUG, MODULE, "Skipping unknown datacenter in prepared query",
                      LOG_STR("datacenter", datacenter));
        } else if (!strlist_contains((struct strlist){v, nearest}, datacenter)) {
            v[n++] = datacenter;
        }
    }
    return (struct strlist){v, n};
}

static void try_next(struct rpc_call *call);

static void take_reply(struct rpc_call *call, const struct prepared_query_execute_response *found)
{
    struct arena *a = &call->arena;
    struct prepared_query_execute_response *copy =
        schema_copy(a, &prepared_query_execute_response_schema, found);
    *(struct prepared_query_execute_response *)call->reply = *copy;
    call->is_remote = true;
}

static void tried(struct rpc_call *part)
{
    struct rpc_call *call = part->data;
    const struct failover *f = call->more;
    const struct prepared_query_execute_response *reply = call->reply;
    if (part->err != NULL) {
        struct err err = *part->err;
        log_write(LOG_WARN, MODULE, "Failed querying for service in datacenter",
                  LOG_STR("service", f->query->service.service),
                  LOG_STR("datacenter", f->datacenters.v[f->tried - 1]),
                  LOG_CSTR("error", err_text(&err)));
    } else {
        take_reply(call, part->reply);
    }
    rpc_more_end(call);
    if (reply->nodes.n == 0 && f->tried < f->datacenters.n) {
        try_next(call);
        return;
    }
    ((struct prepared_query_execute_response *)call->reply)->failovers = (int64_t)f->tried;
    rpc_more_done(call);
}

static void try_next(struct rpc_call *call)
{
    const struct prepared_query_execute_request *asked = call->args;
    struct failover *f = call->more;
    struct rpc_call *part = rpc_more_new(call, &rpc_prepared_query_execute_remote, tried);
    struct prepared_query_execute_remote_request *args = part->args;
    args->datacenter = f->datacenters.v[f->tried++];
    args->query = *f->query;
    args->limit = asked->limit;
    args->connect = asked->connect;
    args->options = asked->options;
    rpc_start(part);
}

static void known(struct rpc_call *part)
{
    struct rpc_call *call = part->data;
    struct failover *f = call->more;
    struct arena *a = &call->arena;
    if (part->err != NULL) {
        struct err *err = ARENA_NEW(a, struct err);
        *err = *part->err;
        call->err = err;
    } else {
        const struct strlist_reply *reply = part->reply;
        struct str *v = ARENA_ARRAY(a, struct str, reply->values.n);
        struct strlist all = {v, reply->values.n};
        for (size_t i = 0; i < all.n; i++) {
            v[i] = arena_str(a, reply->values.v[i]);
        }
        f->datacenters = query_failover_choose(&f->query->service.failover, all,
                                               call->worker->delegate->datacenter, a);
    }
    rpc_more_end(call);
    if (f->datacenters.n > 0) {
        try_next(call);
    } else {
        rpc_more_done(call);
    }
}

void query_failover(struct rpc_call *call)
{
    struct failover *f = ARENA_NEW(&call->arena, struct failover);
    f->query = call->more;
    call->more = f;
    rpc_start(rpc_more_new(call, &rpc_catalog_list_datacenters, known));
}
