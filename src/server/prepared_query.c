/* PreparedQuery.*: queries kept under a name, and what they find.
 *
 * Running one: find it by id, name or template; take the healthy instances that fit; shuffle; sort
 * by distance if somebody asked for it; cut to the limit. When nothing is left, other data centers
 * are asked (query_failover.c). */
#include "server/prepared_query.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/acl_filter.h"
#include "server/query_failover.h"
#include "server/read.h"
#include "server/reply.h"
#include "server/server.h"
#include "store/catalog.h"
#include "store/prepared_query.h"

#define MODULE "agent.server.prepared_query"
/* How far down the nearest node is looked for that should be first. */
#define NEAREST_SEARCH_MAX 10u

#define META_PAIRS_MAX 64u
#define META_KEY_SIZE_MAX 128u
#define META_VALUE_SIZE_MAX 512u

/* --- writing --------------------------------------------------------------------------------- */

static bool is_meta_key(struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
        if (!ok) {
            return false;
        }
    }
    return true;
}

static int check_meta_pair(const struct strpair *pair, struct err *err)
{
    if (pair->key.n == 0) {
        return err_set(err, ERR_FAILED, "Key cannot be blank");
    }
    if (!is_meta_key(pair->key)) {
        return err_set(err, ERR_FAILED, "Key contains invalid characters");
    }
    if (pair->key.n > META_KEY_SIZE_MAX) {
        return err_set(err, ERR_FAILED, "Key is too long (limit: %u characters)",
                       META_KEY_SIZE_MAX);
    }
    if (pair->value.n > META_VALUE_SIZE_MAX) {
        return err_set(err, ERR_FAILED, "Value is too long (limit: %u characters)",
                       META_VALUE_SIZE_MAX);
    }
    return 0;
}

static int check_node_meta(struct strmap meta, struct err *err)
{
    if (meta.n > META_PAIRS_MAX) {
        return err_set(err, ERR_FAILED, "Node metadata cannot contain more than %u key/value pairs",
                       META_PAIRS_MAX);
    }
    for (size_t i = 0; i < meta.n; i++) {
        if (check_meta_pair(&meta.v[i], err) < 0) {
            return err_wrap(err, "Couldn't load metadata pair ('%.*s', '%.*s')",
                            STRF(meta.v[i].key), STRF(meta.v[i].value));
        }
    }
    return 0;
}

static int check_ttl(struct str ttl, struct err *err)
{
    int64_t ns;
    if (ttl.n == 0) {
        return 0;
    }
    if (duration_parse(ttl, &ns) < 0) {
        struct buf fault = {0};
        duration_put_fault(&fault, ttl);
        int r =
            err_set(err, ERR_FAILED, "Bad DNS TTL '%.*s': %.*s", STRF(ttl), STRF(buf_view(&fault)));
        buf_deinit(&fault);
        return r;
    }
    return ns >= 0 ? 0 : err_set(err, ERR_FAILED, "DNS TTL '%lld', must be >=0", (long long)ns);
}

/* What does not depend on the tables; those are asked when the entry is applied. */
static int check_query(const struct prepared_query *q, struct err *err)
{
    if (q->name.n == 0 && q->template_.type.n == 0 && q->session.n == 0) {
        return err_set(err, ERR_FAILED, "Must be bound to a session");
    }
    if (str_eq(q->token, ACL_REDACTED)) {
        return err_set(err, ERR_FAILED,
                       "Bad Token '%.*s', it looks like a query definition with a redacted token "
                       "was submitted",
                       STRF(q->token));
    }
    if (q->service.service.n == 0) {
        return err_set(err, ERR_FAILED, "Must provide a Service name to query");
    }
    if (q->service.failover.nearest_n < 0) {
        return err_set(err, ERR_FAILED, "Bad NearestN '%lld', must be >= 0",
                       (long long)q->service.failover.nearest_n);
    }
    int r = check_node_meta(q->service.node_meta, err);
    return r < 0 ? r : check_ttl(q->dns.ttl, err);
}

/* Made here because entries of the log must mean the same on every server. */
static int make_id(struct rpc_ctx *ctx, struct prepared_query *query)
{
    const struct prepared_query *existing;
    uint64_t index;
    int r;
    if (query->id.n > 0) {
        return err_set(ctx->err, ERR_FAILED, "ID must be empty when creating a new prepared query");
    }
    do {
        char id[UUID_TEXT_SIZE];
        uuid_generate(id);
        query->id = arena_str(ctx->arena, str_make(id, sizeof(id)));
        r = prepared_query_get(ctx->view, NULL, query->id, &index, &existing, ctx->err);
    } while (r >= 0 && existing != NULL);
    return r < 0 ? err_wrap(ctx->err, "Prepared query lookup failed") : 0;
}

static int check_write(struct rpc_ctx *ctx, const struct prepared_query *query)
{
    struct str name;
    int r = acl_known(ctx);
    if (r < 0 || !acl_query_name(query, &name) || acl_may(ctx, ACL_QUERY_WRITE, name)) {
        return r;
    }
    log_write(LOG_WARN, MODULE, "Operation on prepared query denied due to ACLs",
              LOG_STR("query", query->id));
    return acl_deny(ctx);
}

/* And the caller may change it. */
static int check_exists(struct rpc_ctx *ctx, struct str id)
{
    const struct prepared_query *existing;
    uint64_t index;
    if (prepared_query_get(ctx->view, NULL, id, &index, &existing, ctx->err) < 0) {
        return err_wrap(ctx->err, "Prepared Query lookup failed");
    }
    return existing != NULL
               ? check_write(ctx, existing)
               : err_set(ctx->err, ERR_FAILED, "Cannot modify non-existent prepared query: '%.*s'",
                         STRF(id));
}

static int apply_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct prepared_query_request *args = data;
    bool is_create = str_eq(args->op, PREPARED_QUERY_CREATE);
    (void)reply;
    if (args->query == NULL) {
        args->query = ARENA_NEW(ctx->arena, struct prepared_query);
    }
    int r = is_create ? make_id(ctx, args->query) : 0;
    if (r < 0 || (r = check_write(ctx, args->query)) < 0) {
        return r;
    }
    r = is_create ? 0 : check_exists(ctx, args->query->id);
    if (r < 0) {
        return r;
    }
    if (is_create || str_eq(args->op, PREPARED_QUERY_UPDATE)) {
        if (check_query(args->query, ctx->err) < 0) {
            return err_wrap(ctx->err, "Invalid prepared query");
        }
    } else if (!str_eq(args->op, PREPARED_QUERY_DELETE)) {
        return err_set(ctx->err, ERR_FAILED, "Unknown prepared query operation: %.*s",
                       STRF(args->op));
    }
    buf_byte(entry, FSM_PREPARED_QUERY);
    msgpack_object(entry, &prepared_query_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static int apply_applied(struct rpc_ctx *ctx, const void *data, const struct fsm_result *result,
                         void *reply)
{
    const struct prepared_query_request *args = data;
    (void)ctx;
    (void)result;
    ((struct string_reply *)reply)->value = args->query->id;
    return 0;
}

static struct metric time_apply = METRIC_SAMPLE("prepared-query.apply");

const struct rpc_method rpc_prepared_query_apply = {
    .name = "PreparedQuery.Apply",
    .flags = RPC_WRITE,
    .args = &prepared_query_request_schema,
    .reply = &string_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "query:write",
    .time = &time_apply,
    .prepare = apply_prepare,
    .applied = apply_applied,
    .apply_error = "raft apply failed",
};

/* --- reading --------------------------------------------------------------------------------- */

static int not_found(struct rpc_ctx *ctx)
{
    return err_set(ctx->err, ERR_NOT_FOUND, "Query not found");
}

/* Whoever has the id of one without a name may see it. */
static int show(struct rpc_ctx *ctx, const struct prepared_query **query)
{
    struct str name;
    int r = acl_known(ctx);
    if (r >= 0 && acl_query_name(*query, &name) && !acl_may(ctx, ACL_ACL_WRITE, STR("")) &&
        !acl_may(ctx, ACL_QUERY_READ, name)) {
        log_write(LOG_WARN, MODULE, "Request to get prepared query denied due to ACLs",
                  LOG_STR("query", (*query)->id));
        return acl_deny(ctx);
    }
    return r < 0 ? r : acl_hide_query_token(ctx, query);
}

static int get_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct prepared_query_specific_request *args = data;
    struct indexed_prepared_queries *reply = out;
    const struct prepared_query *query;
    int r = prepared_query_get(ctx->view, ctx->ws, args->query_id, &reply->meta.index, &query,
                               ctx->err);
    if (r < 0) {
        return r;
    }
    if (query == NULL) {
        return not_found(ctx);
    }
    r = show(ctx, &query);
    reply->queries.v = arena_alloc(ctx->arena, sizeof(void *));
    reply->queries.v[0] = (void *)query;
    reply->queries.n = 1;
    return r;
}

const struct rpc_method rpc_prepared_query_get = {
    .name = "PreparedQuery.Get",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &prepared_query_specific_request_schema,
    .reply = &indexed_prepared_queries_schema,
    .options_offset = offsetof(struct prepared_query_specific_request, options),
    .meta_offset = offsetof(struct indexed_prepared_queries, meta),
    .acl = "query:read",
    .read = get_read,
};

static int list_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    struct indexed_prepared_queries *reply = out;
    (void)data;
    reply->meta.index = prepared_query_list(ctx->view, ctx->ws, ctx->arena, &reply->queries);
    return acl_filter_prepared_queries(ctx, &reply->queries);
}

const struct rpc_method rpc_prepared_query_list = {
    .name = "PreparedQuery.List",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &dc_request_schema,
    .reply = &indexed_prepared_queries_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct indexed_prepared_queries, meta),
    .acl = "query:read",
    .read = list_read,
};

static int resolve(struct rpc_ctx *ctx, const struct prepared_query_execute_request *args,
                   const struct prepared_query **ret_query)
{
    int r = prepared_query_resolve(ctx->view, ctx->arena, args->query_id_or_name,
                                   args->agent.segment, ret_query, ctx->err);
    return r < 0 || *ret_query != NULL ? r : not_found(ctx);
}

static int explain_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    struct prepared_query_explain_response *reply = out;
    const struct prepared_query *query;
    struct str name;
    int r = resolve(ctx, data, &query);
    if (r < 0 || (r = acl_known(ctx)) < 0) {
        return r;
    }
    if (!acl_query_name(query, &name) && !acl_may(ctx, ACL_ACL_WRITE, STR(""))) {
        return acl_deny(ctx); /* as from a list, which it would not be in */
    }
    r = show(ctx, &query);
    if (r >= 0) {
        reply->query = *query;
    }
    return r;
}

static struct metric time_explain = METRIC_SAMPLE("prepared-query.explain");

const struct rpc_method rpc_prepared_query_explain = {
    .name = "PreparedQuery.Explain",
    .flags = RPC_READ,
    .args = &prepared_query_execute_request_schema,
    .reply = &prepared_query_explain_response_schema,
    .options_offset = offsetof(struct prepared_query_execute_request, options),
    .meta_offset = offsetof(struct prepared_query_explain_response, meta),
    .acl = "query:read",
    .time = &time_explain,
    .read = explain_read,
};

/* --- running --------------------------------------------------------------------------------- */

static bool is_healthy(const struct service_query *q, const struct check_service_node *n)
{
    for (size_t i = 0; i < n->checks.n; i++) {
        const struct health_check *c = n->checks.v[i];
        bool fails = str_eq(c->status, HEALTH_CRITICAL) ||
                     (q->only_passing && !str_eq(c->status, HEALTH_PASSING));
        if (fails && !strlist_contains(q->ignore_check_ids, c->check_id)) {
            return false;
        }
    }
    return true;
}

/* All of the tags, and none of those after an exclamation mark; in any case of letters. */
static bool has_tags(struct strlist wanted, const struct check_service_node *n)
{
    for (size_t i = 0; i < wanted.n; i++) {
        struct str tag = wanted.v[i];
        bool is_forbidden = str_has_prefix(tag, STR("!"));
        if (strlist_contains_fold(n->service->tags, str_from(tag, is_forbidden)) == is_forbidden) {
            return false;
        }
    }
    return true;
}

static bool fits(const struct service_query *q, const struct check_service_node *n)
{
    return is_healthy(q, n) && strmap_has_all(n->node->meta, q->node_meta) &&
           strmap_has_all(n->service->meta, q->service_meta) && has_tags(q->tags, n);
}

static void shuffle(struct rng *rng, struct objlist *list)
{
    struct check_service_node *nodes = list->v;
    for (size_t i = list->n; i > 1; i--) {
        size_t j = rng_below(rng, i);
        struct check_service_node tmp = nodes[i - 1];
        nodes[i - 1] = nodes[j];
        nodes[j] = tmp;
    }
}

/* The instances of this data center that fit, in random order. */
static int run_here(struct rpc_ctx *ctx, const struct prepared_query *query, bool connect,
                    struct prepared_query_execute_response *reply)
{
    const struct service_query *q = &query->service;
    struct objlist list = {0};
    if (q->connect || connect) {
        (void)catalog_health_connect_nodes(ctx->view, NULL, ctx->arena, q->service, &list);
    } else {
        (void)catalog_health_nodes(ctx->view, NULL, ctx->arena, q->service, NULL, &list);
    }
    struct check_service_node *nodes = list.v;
    size_t kept = 0;
    for (size_t i = 0; i < list.n; i++) {
        if (fits(q, &nodes[i])) {
            nodes[kept++] = nodes[i];
        }
    }
    list.n = kept;
    int r = acl_filter_check_service_nodes(ctx, &list);
    shuffle(&ctx->worker->rng, &list);
    reply->service = q->service;
    reply->nodes = list;
    reply->dns = query->dns;
    reply->datacenter = ctx->server->options.datacenter;
    return r;
}

static struct str node_at(struct rpc_ctx *ctx, struct str ip)
{
    struct tree_iter it;
    const struct node *n;
    store_iter(&it, ctx->view, INDEX_NODES_ID, STR_NULL);
    while ((n = tree_next(&it, NULL)) != NULL) {
        if (str_eq(n->address, ip)) {
            return n->node;
        }
    }
    return STR("");
}

/* Whom the answer is to be near: what the client says goes before what the query says. */
static struct query_source find_source(struct rpc_ctx *ctx, const struct prepared_query *query,
                                       const struct prepared_query_execute_request *args)
{
    struct query_source source = args->source;
    if (source.datacenter.n == 0) {
        source.datacenter = args->agent.datacenter;
    }
    if (source.node.n == 0) {
        source.node = query->service.near;
    }
    if (str_eq_lit(source.node, "_agent")) {
        source.node = args->agent.node;
    } else if (str_eq_lit(source.node, "_ip")) {
        if (args->source.ip.n == 0) {
            log_write(LOG_WARN, MODULE,
                      "Prepared Query using near=_ip requires the source IP to be set but none was "
                      "provided. No distance sorting will be done.");
        }
        source.node = args->source.ip.n > 0 ? node_at(ctx, args->source.ip) : STR("");
    }
    return source;
}

static struct str node_of_instance(const void *element)
{
    return ((const struct check_service_node *)element)->node->node;
}

static void sort_nodes(struct rpc_ctx *ctx, const struct query_source *source, struct objlist *list)
{
    struct check_service_node *nodes = list->v;
    read_sort_objs(ctx, source, node_of_instance, sizeof(struct check_service_node), list);
    if (source->node.n == 0 || !str_eq(source->datacenter, ctx->server->options.datacenter)) {
        return;
    }
    /* Near oneself is at oneself, also where coordinates do not tell. */
    for (size_t i = 0; i < MIN(list->n, (size_t)NEAREST_SEARCH_MAX); i++) {
        if (str_eq(nodes[i].node->node, source->node)) {
            struct check_service_node tmp = nodes[0];
            nodes[0] = nodes[i];
            nodes[i] = tmp;
            return;
        }
    }
}

static void cut(struct objlist *list, int64_t limit)
{
    if (limit > 0 && (uint64_t)limit < list->n) {
        list->n = (size_t)limit;
    }
}

static int execute_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct prepared_query_execute_request *args = data;
    struct prepared_query_execute_response *reply = out;
    const struct prepared_query *query;
    int r = resolve(ctx, args, &query);
    if (r < 0) {
        return r;
    }
    r = run_here(ctx, query, args->connect, reply);
    if (r < 0) {
        return r;
    }
    struct query_source source = find_source(ctx, query, args);
    sort_nodes(ctx, &source, &reply->nodes);
    cut(&reply->nodes, args->limit);
    if (reply->nodes.n > 0 || !query_failover_wanted(query)) {
        return 0;
    }
    reply->service = arena_str(ctx->arena, reply->service);
    reply->dns.ttl = arena_str(ctx->arena, reply->dns.ttl);
    ctx->more = schema_copy(ctx->arena, &prepared_query_schema, query);
    return RPC_READ_MORE;
}

/* A query that has a token of its own finds what that may find, whoever runs it. */
static struct str execute_token(struct rpc_ctx *ctx, const void *data)
{
    const struct prepared_query_execute_request *args = data;
    const struct prepared_query *query;
    bool has_own = resolve(ctx, args, &query) >= 0 && query->token.n > 0;
    return has_own ? query->token : args->options.token;
}

static struct metric time_execute = METRIC_SAMPLE("prepared-query.execute");

const struct rpc_method rpc_prepared_query_execute = {
    .name = "PreparedQuery.Execute",
    .flags = RPC_READ,
    .args = &prepared_query_execute_request_schema,
    .reply = &prepared_query_execute_response_schema,
    .options_offset = offsetof(struct prepared_query_execute_request, options),
    .meta_offset = offsetof(struct prepared_query_execute_response, meta),
    .acl = "node:read,service:read",
    .time = &time_execute,
    .read = execute_read,
    .token = execute_token,
    .more = query_failover,
};

/* For another data center that found nothing at home: it sends the query along. */
static struct str execute_remote_token(struct rpc_ctx *ctx, const void *data)
{
    const struct prepared_query_execute_remote_request *args = data;
    (void)ctx;
    return args->query.token.n > 0 ? args->query.token : args->options.token;
}

static int execute_remote_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct prepared_query_execute_remote_request *args = data;
    struct prepared_query_execute_response *reply = out;
    int r = run_here(ctx, &args->query, args->connect, reply);
    cut(&reply->nodes, args->limit);
    return r;
}

static struct metric time_execute_remote = METRIC_SAMPLE("prepared-query.execute_remote");

const struct rpc_method rpc_prepared_query_execute_remote = {
    .name = "PreparedQuery.ExecuteRemote",
    .flags = RPC_READ,
    .args = &prepared_query_execute_remote_request_schema,
    .reply = &prepared_query_execute_response_schema,
    .options_offset = offsetof(struct prepared_query_execute_remote_request, options),
    .meta_offset = offsetof(struct prepared_query_execute_response, meta),
    .acl = "node:read,service:read",
    .time = &time_execute_remote,
    .read = execute_remote_read,
    .token = execute_remote_token,
};
