/* Who may read and write a config entry, an intention, a prepared query: what each kind of them
 * asks for. */
#include "schema/config_chain.h"
#include "schema/config_intentions.h"
#include "schema/intention.h"
#include "schema/prepared_query.h"
#include "server/acl_filter.h"

bool acl_may_read_entry(const struct rpc_ctx *ctx, enum config_entry_kind kind, struct str name)
{
    switch (kind) {
    case CONFIG_PROXY_DEFAULTS:
    case CONFIG_MESH:
        return true;
    case CONFIG_SERVICE_INTENTIONS:
        return acl_may(ctx, ACL_INTENTION_READ, name);
    default:
        return acl_may(ctx, ACL_SERVICE_READ, name);
    }
}

/* A service that requests for the entry's own may go to; "" is that one. */
static bool may_lead_to(const struct rpc_ctx *ctx, const struct config_entry *entry,
                        struct str service)
{
    return service.n == 0 || str_eq(service, entry->name) ||
           acl_may(ctx, ACL_SERVICE_READ, service);
}

static bool may_lead_on(const struct rpc_ctx *ctx, const struct config_entry *entry)
{
    bool may = true;
    if (entry->type == CONFIG_SERVICE_ROUTER) {
        const struct service_router *e = (const struct service_router *)entry;
        const struct service_route *v = e->routes.v;
        for (size_t i = 0; i < e->routes.n && may; i++) {
            may = v[i].destination == NULL || may_lead_to(ctx, entry, v[i].destination->service);
        }
    } else if (entry->type == CONFIG_SERVICE_SPLITTER) {
        const struct service_splitter *e = (const struct service_splitter *)entry;
        const struct service_split *v = e->splits.v;
        for (size_t i = 0; i < e->splits.n && may; i++) {
            may = may_lead_to(ctx, entry, v[i].service);
        }
    } else {
        const struct service_resolver *e = (const struct service_resolver *)entry;
        may = e->redirect == NULL || may_lead_to(ctx, entry, e->redirect->service);
        for (size_t i = 0; i < e->failover.n && may; i++) {
            const struct resolver_failover *f = e->failover.v[i].value;
            may = may_lead_to(ctx, entry, f->service);
        }
    }
    return may;
}

bool acl_may_write_entry(const struct rpc_ctx *ctx, const struct config_entry *entry)
{
    switch (entry->type) {
    case CONFIG_SERVICE_INTENTIONS:
        return acl_may(ctx, ACL_INTENTION_WRITE, entry->name);
    case CONFIG_SERVICE_DEFAULTS:
        return acl_may(ctx, ACL_SERVICE_WRITE, entry->name);
    case CONFIG_SERVICE_ROUTER:
    case CONFIG_SERVICE_SPLITTER:
    case CONFIG_SERVICE_RESOLVER:
        return acl_may(ctx, ACL_SERVICE_WRITE, entry->name) &&
               (ctx->who == NULL || may_lead_on(ctx, entry));
    default:
        return acl_may(ctx, ACL_OPERATOR_WRITE, STR(""));
    }
}

/* Either side may know why the two do or do not talk. */
bool acl_may_read_intention(const struct rpc_ctx *ctx, const struct intention *i)
{
    return ctx->who == NULL ||
           (i->source_name.n > 0 && acl_may(ctx, ACL_INTENTION_READ, i->source_name)) ||
           (i->destination_name.n > 0 && acl_may(ctx, ACL_INTENTION_READ, i->destination_name));
}

bool acl_may_write_intention(const struct rpc_ctx *ctx, const struct intention *i)
{
    return ctx->who == NULL ||
           (i->destination_name.n > 0 && acl_may(ctx, ACL_INTENTION_WRITE, i->destination_name));
}

bool acl_query_name(const struct prepared_query *q, struct str *ret_name)
{
    *ret_name = q->name;
    return q->name.n > 0 || q->template_.type.n > 0;
}
