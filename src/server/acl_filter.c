#include "server/acl_filter.h"

#include "base/log.h"
#include "schema/catalog.h"
#include "schema/config_gateways.h"
#include "schema/coordinate.h"
#include "schema/dump.h"
#include "schema/intention.h"
#include "schema/kv.h"
#include "schema/prepared_query.h"
#include "schema/session.h"
#include "schema/topology.h"
#include "schema/txn.h"

/* Whether an element may be seen; what it is called in the log. */
typedef bool (*visible_fn)(const struct rpc_ctx *ctx, const void *element, struct str *ret_name);

static void log_dropped(const char *what, struct str name)
{
    if (UNLIKELY(log_is_on(LOG_DEBUG))) {
        log_write(LOG_DEBUG, "agent.server", "dropping from result due to ACLs",
                  LOG_CSTR("kind", what), LOG_STR("name", name));
    }
}

static int keep_ptrs(const struct rpc_ctx *ctx, const char *what, visible_fn visible,
                     struct ptrlist *list)
{
    int r = acl_known(ctx);
    if (r < 0 || ctx->who == NULL) {
        return r;
    }
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        struct str name = STR_NULL;
        if (visible(ctx, list->v[i], &name)) {
            list->v[kept++] = list->v[i];
        } else {
            log_dropped(what, name);
        }
    }
    list->n = kept;
    return 0;
}

static int keep_objs(const struct rpc_ctx *ctx, const char *what, visible_fn visible, size_t size,
                     struct objlist *list)
{
    int r = acl_known(ctx);
    if (r < 0 || ctx->who == NULL) {
        return r;
    }
    char *elements = list->v;
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        struct str name = STR_NULL;
        const char *element = elements + i * size;
        if (!visible(ctx, element, &name)) {
            log_dropped(what, name);
        } else {
            if (kept < i) {
                memcpy(elements + kept * size, element, size);
            }
            kept++;
        }
    }
    list->n = kept;
    return 0;
}

static bool may_see_node(const struct rpc_ctx *ctx, struct str name)
{
    return acl_may(ctx, ACL_NODE_READ, name);
}

/* What is of no service is its node's. */
static bool may_see_service(const struct rpc_ctx *ctx, struct str name)
{
    return name.n == 0 || acl_may(ctx, ACL_SERVICE_READ, name);
}

/* --- nodes and services ------------------------------------------------------------------------
 */

static bool node_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    *ret_name = ((const struct node *)element)->node;
    return may_see_node(ctx, *ret_name);
}

int acl_filter_nodes(struct rpc_ctx *ctx, struct ptrlist *nodes)
{
    return keep_ptrs(ctx, "node", node_visible, nodes);
}

int acl_filter_services(struct rpc_ctx *ctx, struct strlistmap *services)
{
    int r = acl_known(ctx);
    if (r < 0 || ctx->who == NULL) {
        return r;
    }
    struct strlist_pair *v = ARENA_ARRAY(ctx->arena, struct strlist_pair, services->n + 1);
    size_t kept = 0;
    for (size_t i = 0; i < services->n; i++) {
        if (may_see_service(ctx, services->v[i].key)) {
            v[kept++] = services->v[i];
        } else {
            log_dropped("service", services->v[i].key);
        }
    }
    *services = (struct strlistmap){v, kept};
    return 0;
}

static bool service_name_visible(const struct rpc_ctx *ctx, const void *element,
                                 struct str *ret_name)
{
    *ret_name = ((const struct service_name *)element)->name;
    return acl_may(ctx, ACL_SERVICE_READ, *ret_name);
}

int acl_filter_service_names(struct rpc_ctx *ctx, struct objlist *names)
{
    return keep_objs(ctx, "service", service_name_visible, sizeof(struct service_name), names);
}

static bool service_node_visible(const struct rpc_ctx *ctx, const void *element,
                                 struct str *ret_name)
{
    const struct service_node *n = element;
    *ret_name = n->node->node;
    return may_see_node(ctx, n->node->node) && may_see_service(ctx, n->service->service);
}

int acl_filter_service_nodes(struct rpc_ctx *ctx, struct objlist *nodes)
{
    return keep_objs(ctx, "node", service_node_visible, sizeof(struct service_node), nodes);
}

static bool instance_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    const struct check_service_node *n = element;
    *ret_name = n->node->node;
    return may_see_node(ctx, n->node->node) && may_see_service(ctx, n->service->service);
}

int acl_filter_check_service_nodes(struct rpc_ctx *ctx, struct objlist *nodes)
{
    return keep_objs(ctx, "node", instance_visible, sizeof(struct check_service_node), nodes);
}

/* Consul looks for a rule for the instance's id here, as if that were its name. Both have to be
 * allowed, so that what it hides is hidden, and a name is not told for the sake of an id. */
static bool may_see_instance(const struct rpc_ctx *ctx, struct str id, struct str name)
{
    return may_see_service(ctx, id) && may_see_service(ctx, name);
}

int acl_filter_node_services(struct rpc_ctx *ctx, struct indexed_node_services *reply)
{
    int r = acl_known(ctx);
    struct node_services *found = reply->node_services;
    if (r < 0 || ctx->who == NULL || found == NULL) {
        return r;
    }
    if (!may_see_node(ctx, found->node->node)) {
        reply->node_services = NULL;
        return 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < found->services.n; i++) {
        const struct node_service *s = found->services.v[i].value;
        if (may_see_instance(ctx, found->services.v[i].key, s->service)) {
            found->services.v[kept++] = found->services.v[i];
        } else {
            log_dropped("service", s->service);
        }
    }
    found->services.n = kept;
    return 0;
}

static bool node_service_visible(const struct rpc_ctx *ctx, const void *element,
                                 struct str *ret_name)
{
    *ret_name = ((const struct node_service *)element)->service;
    return may_see_service(ctx, *ret_name);
}

int acl_filter_node_service_list(struct rpc_ctx *ctx, struct indexed_node_service_list *reply)
{
    int r = acl_known(ctx);
    struct node_service_list *found = &reply->node_services;
    if (r < 0 || ctx->who == NULL || found->node == NULL) {
        return r;
    }
    if (!may_see_node(ctx, found->node->node)) {
        *found = (struct node_service_list){0};
        return 0;
    }
    return keep_ptrs(ctx, "service", node_service_visible, &found->services);
}

static bool check_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    const struct health_check *c = element;
    *ret_name = c->check_id;
    return may_see_node(ctx, c->node) && may_see_service(ctx, c->service_name);
}

int acl_filter_checks(struct rpc_ctx *ctx, struct ptrlist *checks)
{
    return keep_ptrs(ctx, "check", check_visible, checks);
}

static bool coordinate_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    *ret_name = ((const struct node_coordinate *)element)->node;
    return may_see_node(ctx, *ret_name);
}

int acl_filter_coordinates(struct rpc_ctx *ctx, struct objlist *coordinates)
{
    return keep_objs(ctx, "coordinate", coordinate_visible, sizeof(struct node_coordinate),
                     coordinates);
}

/* --- dumps -------------------------------------------------------------------------------------
 */

int acl_filter_node_dump(struct rpc_ctx *ctx, struct objlist *dump)
{
    int r = acl_known(ctx);
    if (r < 0 || ctx->who == NULL) {
        return r;
    }
    struct node_info *v = dump->v;
    size_t kept = 0;
    for (size_t i = 0; i < dump->n && r >= 0; i++) {
        if (!may_see_node(ctx, v[i].node->node)) {
            log_dropped("node", v[i].node->node);
            continue;
        }
        v[kept] = v[i];
        r = keep_ptrs(ctx, "service", node_service_visible, &v[kept].services);
        if (r >= 0) {
            r = acl_filter_checks(ctx, &v[kept].checks);
        }
        kept++;
    }
    dump->n = kept;
    return r;
}

/* The gateway, its service and the node the instance is on; there may be none. */
static bool info_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    const struct service_info *info = element;
    const struct gateway_service *g = info->gateway_service;
    *ret_name = g->service.name;
    return may_see_service(ctx, g->gateway.name) && may_see_service(ctx, g->service.name) &&
           (info->node == NULL || may_see_node(ctx, info->node->node));
}

int acl_filter_service_dump(struct rpc_ctx *ctx, struct objlist *dump)
{
    return keep_objs(ctx, "service", info_visible, sizeof(struct service_info), dump);
}

/* The gateway itself was asked for before. */
static bool gateway_service_visible(const struct rpc_ctx *ctx, const void *element,
                                    struct str *ret_name)
{
    *ret_name = ((const struct gateway_service *)element)->service.name;
    return acl_may(ctx, ACL_SERVICE_READ, *ret_name);
}

int acl_filter_gateway_services(struct rpc_ctx *ctx, struct ptrlist *services)
{
    return keep_ptrs(ctx, "service", gateway_service_visible, services);
}

int acl_filter_topology(struct rpc_ctx *ctx, struct service_topology *topology, bool *ret_filtered)
{
    size_t before = topology->upstreams.n + topology->downstreams.n;
    int r = acl_filter_check_service_nodes(ctx, &topology->upstreams);
    if (r >= 0) {
        r = acl_filter_check_service_nodes(ctx, &topology->downstreams);
    }
    *ret_filtered = topology->upstreams.n + topology->downstreams.n < before;
    return r;
}

/* --- the rest ----------------------------------------------------------------------------------
 */

static bool session_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    const struct session *s = element;
    *ret_name = s->id;
    return acl_may(ctx, ACL_SESSION_READ, s->node);
}

int acl_filter_sessions(struct rpc_ctx *ctx, struct ptrlist *sessions)
{
    return keep_ptrs(ctx, "session", session_visible, sessions);
}

static bool dir_entry_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    *ret_name = ((const struct dir_entry *)element)->key;
    return acl_may(ctx, ACL_KEY_READ, *ret_name);
}

int acl_filter_entries(struct rpc_ctx *ctx, struct ptrlist *dir_entries)
{
    return keep_ptrs(ctx, "key", dir_entry_visible, dir_entries);
}

static bool intention_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    const struct intention *i = element;
    *ret_name = i->id;
    return acl_may_read_intention(ctx, i);
}

int acl_filter_intentions(struct rpc_ctx *ctx, struct ptrlist *intentions)
{
    return keep_ptrs(ctx, "intention", intention_visible, intentions);
}

static bool config_entry_visible(const struct rpc_ctx *ctx, const void *element,
                                 struct str *ret_name)
{
    const struct config_entry *e = element;
    *ret_name = e->name;
    return acl_may_read_entry(ctx, e->type, e->name);
}

int acl_filter_config_entries(struct rpc_ctx *ctx, struct ptrlist *entries)
{
    return keep_ptrs(ctx, "config entry", config_entry_visible, entries);
}

static bool query_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    const struct prepared_query *q = element;
    struct str name;
    *ret_name = q->id;
    return acl_query_name(q, &name) && acl_may(ctx, ACL_QUERY_READ, name);
}

int acl_hide_query_token(struct rpc_ctx *ctx, const struct prepared_query **query)
{
    int r = acl_known(ctx);
    if (r < 0 || (*query)->token.n == 0 || acl_may(ctx, ACL_ACL_WRITE, STR(""))) {
        return r;
    }
    struct prepared_query *copy = ARENA_NEW(ctx->arena, struct prepared_query);
    *copy = **query;
    copy->token = ACL_REDACTED;
    *query = copy;
    return 0;
}

int acl_filter_prepared_queries(struct rpc_ctx *ctx, struct ptrlist *queries)
{
    int r = acl_known(ctx);
    if (r < 0 || acl_may(ctx, ACL_ACL_WRITE, STR(""))) {
        return r;
    }
    r = keep_ptrs(ctx, "prepared query", query_visible, queries);
    for (size_t i = 0; i < queries->n && r >= 0; i++) {
        const struct prepared_query *q = queries->v[i];
        r = acl_hide_query_token(ctx, &q);
        queries->v[i] = (void *)(uintptr_t)q;
    }
    return r;
}

static bool result_visible(const struct rpc_ctx *ctx, const void *element, struct str *ret_name)
{
    const struct txn_result *t = element;
    if (t->kv != NULL) {
        *ret_name = t->kv->key;
        return acl_may(ctx, ACL_KEY_READ, t->kv->key);
    }
    if (t->node != NULL) {
        *ret_name = t->node->node;
        return may_see_node(ctx, t->node->node);
    }
    if (t->service != NULL) {
        *ret_name = t->service->service;
        return acl_may(ctx, ACL_SERVICE_READ, t->service->service);
    }
    if (t->check != NULL) {
        *ret_name = t->check->check_id;
        return t->check->service_name.n > 0 ? acl_may(ctx, ACL_SERVICE_READ, t->check->service_name)
                                            : may_see_node(ctx, t->check->node);
    }
    return true;
}

int acl_filter_txn_results(struct rpc_ctx *ctx, struct objlist *results)
{
    return keep_objs(ctx, "transaction result", result_visible, sizeof(struct txn_result), results);
}
