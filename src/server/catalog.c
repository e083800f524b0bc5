/* Catalog.*: what is registered, as /v1/catalog and other agents ask for it. */
#include "store/catalog.h"
#include "base/metrics.h"
#include "fsm/fsm.h"
#include "schema/dump.h"
#include "schema/msgpack.h"
#include "server/acl_filter.h"
#include "server/acl_register.h"
#include "server/query_metrics.h"
#include "server/read.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"
#include "server/validate.h"

#include <stdlib.h>

/* --- writes ---------------------------------------------------------------------------------- */

/* The request's structs may belong to someone else (the agent's own state), so what is completed
 * is a copy. */
static int prepare_service(struct rpc_ctx *ctx, struct register_request *args)
{
    struct node_service *service = arena_alloc(ctx->arena, sizeof(*service));
    *service = *args->service;
    args->service = service;
    int r = validate_prepare_service(service, ctx->err);
    return r < 0 ? r : acl_check_service(ctx, service);
}

/* The single check of old requests joins the others, which get what they can do without. */
static void prepare_checks(struct rpc_ctx *ctx, struct register_request *args)
{
    size_t n = args->checks.n + (args->check != NULL ? 1 : 0);
    if (n == 0) {
        return;
    }
    void **checks = ARENA_ARRAY(ctx->arena, void *, n);
    for (size_t i = 0; i < n; i++) {
        const struct health_check *from =
            i < args->checks.n ? args->checks.v[i] : (void *)args->check;
        struct health_check *check = arena_alloc(ctx->arena, sizeof(*check));
        memcpy(check, from, sizeof(*check));
        if (check->node.n == 0) {
            check->node = args->node;
        }
        validate_prepare_check(check);
        if (check->type.n == 0) {
            check->type = validate_check_type(&check->definition);
        }
        checks[i] = check;
    }
    args->checks = (struct ptrlist){checks, n};
    args->check = NULL;
}

static int register_prepare(struct rpc_ctx *ctx, void *data, void *reply UNUSED, struct buf *entry)
{
    struct register_request *args = data;
    int r = acl_known(ctx);
    if (r < 0 || (r = validate_node(args->node, args->id, ctx->err)) < 0) {
        return r;
    }
    if (args->address.n == 0 && !args->skip_node_update) {
        return err_set(ctx->err, ERR_FAILED, "Must provide address if SkipNodeUpdate is not set");
    }
    if (args->service != NULL) {
        r = prepare_service(ctx, args);
        if (r < 0) {
            return r;
        }
    }
    prepare_checks(ctx, args);
    r = acl_check_register(ctx, args);
    if (r < 0) {
        return r;
    }
    buf_byte(entry, FSM_REGISTER);
    msgpack_object(entry, &register_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static int deregister_prepare(struct rpc_ctx *ctx, void *data, void *reply UNUSED,
                              struct buf *entry)
{
    const struct deregister_request *args = data;
    if (args->node.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide node");
    }
    int r = acl_check_deregister(ctx, args);
    if (r < 0) {
        return r;
    }
    buf_byte(entry, FSM_DEREGISTER);
    msgpack_object(entry, &deregister_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

/* --- nodes and names of services ------------------------------------------------------------- */

static struct str node_of_node(const void *element)
{
    return ((const struct node *)element)->node;
}

/* The asker said it would rather hear that nothing has changed. */
static bool is_unmodified(const struct query_options *options, uint64_t index)
{
    return options->allow_not_modified_response && options->min_query_index > 0 &&
           options->min_query_index == index;
}

static int list_nodes(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct dc_request *args = data;
    struct indexed_nodes *reply = out;
    reply->meta.index =
        catalog_nodes(ctx->view, ctx->ws, ctx->arena, args->node_meta_filters, &reply->nodes);
    if (is_unmodified(&args->options, reply->meta.index)) {
        reply->meta.not_modified = true;
        reply->nodes = (struct ptrlist){0};
    }
    int r = acl_filter_nodes(ctx, &reply->nodes);
    if (r < 0) {
        return r;
    }
    r = read_filter_ptrs(ctx, args->options.filter, &node_schema, &reply->nodes);
    if (r < 0) {
        return r;
    }
    read_sort_ptrs(ctx, &args->source, node_of_node, &reply->nodes);
    return 0;
}

static int list_services(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct dc_request *args = data;
    struct indexed_services *reply = out;
    reply->meta.index =
        catalog_services(ctx->view, ctx->ws, ctx->arena, args->node_meta_filters, &reply->services);
    if (is_unmodified(&args->options, reply->meta.index)) {
        reply->meta.not_modified = true;
        reply->services = (struct strlistmap){0};
        return acl_known(ctx);
    }
    return acl_filter_services(ctx, &reply->services);
}

static int service_list(struct rpc_ctx *ctx, const void *data UNUSED, void *out)
{
    struct indexed_service_list *reply = out;
    struct strlist names;
    reply->meta.index = catalog_service_names(ctx->view, ctx->ws, ctx->arena, &names);
    struct service_name *list = ARENA_ARRAY(ctx->arena, struct service_name, names.n);
    for (size_t i = 0; i < names.n; i++) {
        list[i].name = names.v[i];
    }
    reply->services = (struct objlist){names.n > 0 ? list : SCHEMA_EMPTY, names.n};
    return acl_filter_service_names(ctx, &reply->services);
}

/* --- instances ------------------------------------------------------------------------------- */

static struct str node_of_service_node(const void *element)
{
    return ((const struct service_node *)element)->node->node;
}

static int service_nodes(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct service_request *args = data;
    struct indexed_service_nodes *reply = out;
    struct objlist *list = &reply->service_nodes;
    if (args->service_name.n == 0 && args->service_address.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide service name");
    }
    int r = acl_known(ctx);
    if (r < 0) {
        return r;
    }
    if (args->connect && !acl_may(ctx, ACL_SERVICE_READ, args->service_name)) {
        ctx->ws = NULL; /* answered at once, and with nothing */
        return 0;
    }
    if (!args->connect && args->service_address.n > 0) {
        reply->meta.index = catalog_service_address_nodes(ctx->view, ctx->ws, ctx->arena,
                                                          args->service_address, list);
    } else {
        struct strlist tags = service_request_tags(args);
        reply->meta.index =
            catalog_service_nodes(ctx->view, ctx->ws, ctx->arena, args->service_name,
                                  args->tag_filter ? &tags : NULL, args->connect, list);
    }
    read_keep_node_meta(args->node_meta_filters, sizeof(struct service_node), list);
    r = acl_filter_service_nodes(ctx, list);
    if (r < 0) {
        return r;
    }
    r = read_filter_objs(ctx, args->options.filter, &service_node_schema, list);
    if (r < 0) {
        return r;
    }
    read_sort_objs(ctx, &args->source, node_of_service_node, sizeof(struct service_node), list);
    if (read_will_answer(ctx, &args->options, reply->meta.index)) {
        query_metrics_count("catalog", args, list->n);
    }
    return 0;
}

static int by_key(const void *x, const void *y)
{
    const struct objmap_pair *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

static int node_services(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct node_request *args = data;
    struct indexed_node_services *reply = out;
    struct ptrlist list;
    struct node *node;
    if (args->node.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide node");
    }
    reply->meta.index =
        catalog_node_services(ctx->view, ctx->ws, ctx->arena, args->node, &node, &list);
    struct objmap map = {SCHEMA_EMPTY, 0};
    if (list.n > 0) {
        map.v = ARENA_ARRAY(ctx->arena, struct objmap_pair, list.n);
        map.n = list.n;
        for (size_t i = 0; i < list.n; i++) {
            struct node_service *service = list.v[i];
            map.v[i] = (struct objmap_pair){service->id, service};
        }
        qsort(map.v, map.n, sizeof(map.v[0]), by_key);
    }
    if (node != NULL) {
        reply->node_services = ARENA_NEW(ctx->arena, struct node_services);
        *reply->node_services = (struct node_services){node, map};
    }
    int r = acl_filter_node_services(ctx, reply);
    if (r < 0) {
        return r;
    }
    /* Also with no node: a filter that makes no sense is refused. */
    struct objmap none = {SCHEMA_EMPTY, 0};
    return read_filter_map(ctx, args->options.filter, &node_service_schema,
                           reply->node_services != NULL ? &reply->node_services->services : &none);
}

static int node_service_list(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct node_request *args = data;
    struct indexed_node_service_list *reply = out;
    struct ptrlist list;
    struct node *node;
    if (args->node.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide node");
    }
    reply->meta.index =
        catalog_node_services(ctx->view, ctx->ws, ctx->arena, args->node, &node, &list);
    if (node != NULL) {
        reply->node_services = (struct node_service_list){node, list};
    }
    int r = acl_filter_node_service_list(ctx, reply);
    if (r < 0) {
        return r;
    }
    struct ptrlist none = {0};
    return read_filter_ptrs(ctx, args->options.filter, &node_service_schema,
                            reply->node_services.node != NULL ? &reply->node_services.services
                                                              : &none);
}

/* --- the table ------------------------------------------------------------------------------- */

static struct metric time_register = METRIC_SAMPLE("catalog.register");

const struct rpc_method rpc_catalog_register = {
    .name = "Catalog.Register",
    .flags = RPC_WRITE,
    .args = &register_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "node:write,service:write",
    .time = &time_register,
    .prepare = register_prepare,
};
static struct metric time_deregister = METRIC_SAMPLE("catalog.deregister");

const struct rpc_method rpc_catalog_deregister = {
    .name = "Catalog.Deregister",
    .flags = RPC_WRITE,
    .args = &deregister_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "node:write,service:write",
    .time = &time_deregister,
    .prepare = deregister_prepare,
};
const struct rpc_method rpc_catalog_list_nodes = {
    .name = "Catalog.ListNodes",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &dc_request_schema,
    .reply = &indexed_nodes_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct indexed_nodes, meta),
    .acl = "node:read",
    .read = list_nodes,
};
const struct rpc_method rpc_catalog_list_services = {
    .name = "Catalog.ListServices",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &dc_request_schema,
    .reply = &indexed_services_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct indexed_services, meta),
    .acl = "service:read",
    .read = list_services,
};
const struct rpc_method rpc_catalog_service_list = {
    .name = "Catalog.ServiceList",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &dc_request_schema,
    .reply = &indexed_service_list_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct indexed_service_list, meta),
    .acl = "service:read",
    .read = service_list,
};
const struct rpc_method rpc_catalog_service_nodes = {
    .name = "Catalog.ServiceNodes",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &service_request_schema,
    .reply = &indexed_service_nodes_schema,
    .options_offset = offsetof(struct service_request, options),
    .meta_offset = offsetof(struct indexed_service_nodes, meta),
    .acl = "node:read,service:read",
    .read = service_nodes,
};
const struct rpc_method rpc_catalog_node_services = {
    .name = "Catalog.NodeServices",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &node_request_schema,
    .reply = &indexed_node_services_schema,
    .options_offset = offsetof(struct node_request, options),
    .meta_offset = offsetof(struct indexed_node_services, meta),
    .acl = "node:read,service:read",
    .read = node_services,
};
const struct rpc_method rpc_catalog_node_service_list = {
    .name = "Catalog.NodeServiceList",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &node_request_schema,
    .reply = &indexed_node_service_list_schema,
    .options_offset = offsetof(struct node_request, options),
    .meta_offset = offsetof(struct indexed_node_service_list, meta),
    .acl = "node:read,service:read",
    .read = node_service_list,
};
