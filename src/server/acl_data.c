#include "server/acl_data.h"

#include "base/clock.h"
#include "base/gofmt.h"
#include "base/rand.h"
#include "base/vec.h"
#include "schema/msgpack.h"
#include "server/acl_resolver.h"
#include "server/server.h"
#include "store/acl.h"

#include <stdlib.h>

#define Q(s) STRF(go_quoted(ctx->arena, (s)))
#define IDENTITY_NAME_SIZE_MAX 256u

/* --- who asks -------------------------------------------------------------------------------- */

int acl_check_enabled(const struct rpc_ctx *ctx)
{
    return ctx->server->delegate.acl.enabled
               ? 0
               : err_set(ctx->err, ERR_ACL_DISABLED, "%s", err_code_text(ERR_ACL_DISABLED));
}

bool acl_is_primary(const struct rpc_ctx *ctx)
{
    const struct server_options *o = &ctx->server->options;
    return o->primary_datacenter.n == 0 || str_eq(o->primary_datacenter, o->datacenter);
}

bool acl_is_elsewhere(const struct rpc_ctx *ctx, void *args)
{
    (void)args;
    return ctx->server->delegate.acl.enabled && !acl_is_primary(ctx);
}

bool acl_has_local_tokens(const struct rpc_ctx *ctx)
{
    return acl_is_primary(ctx) || (ctx->server->delegate.acl.replicates_tokens &&
                                   acl_secret(ctx->worker->acl, ACL_SECRET_REPLICATION).n > 0);
}

int acl_permit(const struct rpc_ctx *ctx, enum acl_right right)
{
    int r = acl_check_enabled(ctx);
    return r < 0 ? r : acl_check(ctx, right, STR(""));
}

/* --- names and ids --------------------------------------------------------------------------- */

static bool is_taken(const struct store_view *v, struct str id)
{
    return acl_id_is_reserved(id) || acl_token_by_accessor(v, id) != NULL ||
           acl_token_by_secret(v, id) != NULL || acl_policy_by_id(v, id) != NULL ||
           acl_role_by_id(v, id) != NULL || acl_binding_rule_by_id(v, id) != NULL;
}

struct str acl_new_id(struct rpc_ctx *ctx)
{
    char id[UUID_TEXT_SIZE];
    do {
        uuid_generate(id);
    } while (is_taken(ctx->view, str_make(id, sizeof(id))));
    return arena_str(ctx->arena, str_make(id, sizeof(id)));
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool acl_name_is_valid(struct str name, size_t size_max)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!is_alphanumeric(c) && !(c >= 'A' && c <= 'Z') && c != '-' && c != '_') {
            return false;
        }
    }
    return name.n > 0 && name.n <= size_max;
}

bool acl_identity_name_is_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool is_edge = i == 0 || i == name.n - 1;
        if (!is_alphanumeric(c) && (is_edge || (c != '-' && c != '_'))) {
            return false;
        }
    }
    return name.n > 0 && name.n <= IDENTITY_NAME_SIZE_MAX;
}

/* --- links ----------------------------------------------------------------------------------- */

/* Keep the first of each id, without its name. */
static void links_tidy(struct arena *a, struct objlist *links)
{
    const struct acl_link *from = links->v;
    VEC(struct acl_link) tidy = {0};
    for (size_t i = 0; i < links->n; i++) {
        bool is_new = true;
        for (size_t j = 0; j < tidy.n && is_new; j++) {
            is_new = !str_eq(tidy.v[j].id, from[i].id);
        }
        if (is_new) {
            struct acl_link link = {.id = from[i].id};
            avec_push(a, &tidy, link);
        }
    }
    *links = (struct objlist){tidy.v, tidy.n};
}

int acl_link_policies(struct rpc_ctx *ctx, struct objlist *links, bool must_exist)
{
    struct acl_link *link = links->v;
    for (size_t i = 0; i < links->n; i++) {
        const struct acl_policy_row *policy = NULL;
        uint64_t index;
        if (link[i].id.n == 0) {
            policy = acl_policy_by_name(ctx->view, link[i].name);
            if (policy == NULL) {
                return err_set(ctx->err, ERR_FAILED, "No such ACL policy with name %.*s",
                               Q(link[i].name));
            }
            link[i].id = policy->id;
        } else if (must_exist) {
            if (acl_policy_get(ctx->view, NULL, link[i].id, &index, &policy, ctx->err) < 0) {
                return err_wrap(ctx->err, "Error looking up policy for id %.*s", Q(link[i].id));
            }
            if (policy == NULL) {
                return err_set(ctx->err, ERR_FAILED, "No such ACL policy with ID %.*s",
                               Q(link[i].id));
            }
        }
    }
    links_tidy(ctx->arena, links);
    return 0;
}

int acl_link_roles(struct rpc_ctx *ctx, struct objlist *links)
{
    struct acl_link *link = links->v;
    for (size_t i = 0; i < links->n; i++) {
        const struct acl_role *role = NULL;
        uint64_t index;
        if (link[i].id.n == 0) {
            role = acl_role_by_name(ctx->view, link[i].name);
            if (role == NULL) {
                return err_set(ctx->err, ERR_FAILED, "No such ACL role with name %.*s",
                               Q(link[i].name));
            }
            link[i].id = role->id;
        } else {
            if (acl_role_get(ctx->view, NULL, ctx->arena, link[i].id, &index, &role, ctx->err) <
                0) {
                return err_wrap(ctx->err, "Error looking up role for id %.*s", Q(link[i].id));
            }
            if (role == NULL) {
                return err_set(ctx->err, ERR_FAILED, "No such ACL role with ID %.*s",
                               Q(link[i].id));
            }
        }
    }
    links_tidy(ctx->arena, links);
    return 0;
}

/* --- identities ------------------------------------------------------------------------------ */

static int by_service_name(const void *x, const void *y)
{
    const struct acl_service_identity *a = *(void *const *)x, *b = *(void *const *)y;
    return str_cmp(a->service_name, b->service_name);
}

static int by_node_name(const void *x, const void *y)
{
    const struct acl_node_identity *a = *(void *const *)x, *b = *(void *const *)y;
    int c = str_cmp(a->node_name, b->node_name);
    return c != 0 ? c : str_cmp(a->datacenter, b->datacenter);
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* Both, sorted, each once; none stands for everywhere and takes the others in. */
static struct strlist merge_datacenters(struct arena *a, struct strlist x, struct strlist y)
{
    if (x.n == 0 || y.n == 0) {
        return (struct strlist){0};
    }
    struct str *all = ARENA_ARRAY(a, struct str, x.n + y.n);
    memcpy(all, x.v, x.n * sizeof(*all));
    memcpy(all + x.n, y.v, y.n * sizeof(*all));
    qsort(all, x.n + y.n, sizeof(*all), by_text);
    size_t n = 1;
    for (size_t i = 1; i < x.n + y.n; i++) {
        if (!str_eq(all[i], all[n - 1])) {
            all[n++] = all[i];
        }
    }
    return (struct strlist){all, n};
}

static void services_tidy(struct arena *a, struct ptrlist *list)
{
    if (list->n <= 1) {
        return;
    }
    qsort(list->v, list->n, sizeof(void *), by_service_name);
    size_t last = 0;
    for (size_t i = 1; i < list->n; i++) {
        struct acl_service_identity *kept = list->v[last];
        const struct acl_service_identity *next = list->v[i];
        if (str_eq(kept->service_name, next->service_name)) {
            kept->datacenters = merge_datacenters(a, kept->datacenters, next->datacenters);
        } else {
            list->v[++last] = list->v[i];
        }
    }
    list->n = last + 1;
}

static void nodes_tidy(struct ptrlist *list)
{
    if (list->n <= 1) {
        return;
    }
    qsort(list->v, list->n, sizeof(void *), by_node_name);
    size_t last = 0;
    for (size_t i = 1; i < list->n; i++) {
        if (by_node_name(&list->v[last], &list->v[i]) != 0) {
            list->v[++last] = list->v[i];
        }
    }
    list->n = last + 1;
}

int acl_check_identities_of(struct rpc_ctx *ctx, const char *of, bool is_local,
                            struct ptrlist *services, struct ptrlist *nodes)
{
    for (size_t i = 0; i < services->n; i++) {
        const struct acl_service_identity *s = services->v[i];
        if (s->service_name.n == 0) {
            return err_set(ctx->err, ERR_FAILED,
                           "Service identity is missing the service name field on this %s", of);
        }
        if (is_local && s->datacenters.n > 0) {
            return err_set(ctx->err, ERR_FAILED,
                           "Service identity %.*s cannot specify a list of datacenters on a local "
                           "token",
                           Q(s->service_name));
        }
        if (!acl_identity_name_is_valid(s->service_name)) {
            return err_set(ctx->err, ERR_FAILED,
                           "Service identity %.*s has an invalid name. Only alphanumeric "
                           "characters, '-' and '_' are allowed",
                           Q(s->service_name));
        }
    }
    services_tidy(ctx->arena, services);
    for (size_t i = 0; i < nodes->n; i++) {
        const struct acl_node_identity *n = nodes->v[i];
        if (n->node_name.n == 0 || n->datacenter.n == 0) {
            return err_set(ctx->err, ERR_FAILED, "Node identity is missing the %s field on this %s",
                           n->node_name.n == 0 ? "node name" : "datacenter", of);
        }
        if (!acl_identity_name_is_valid(n->node_name)) {
            return err_set(ctx->err, ERR_FAILED,
                           "Node identity has an invalid name. Only alphanumeric characters, '-' "
                           "and '_' are allowed");
        }
    }
    nodes_tidy(nodes);
    return 0;
}

void acl_entry_put(struct buf *entry, uint8_t type, const struct schema *schema,
                   const void *request)
{
    buf_byte(entry, type);
    msgpack_object(entry, schema, request);
}
