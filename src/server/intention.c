/* Intention.*: who may talk to whom. What is asked for is judged here and becomes a change of a
 * config entry, which the state machine carries out. */
#include "schema/intention.h"

#include "base/clock.h"
#include "base/gofmt.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "base/vec.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/acl_filter.h"
#include "server/read.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/config_check.h"
#include "store/config_entry.h"
#include "store/intention.h"
#include "store/system_metadata.h"

#define Q(s) STRF(go_quoted(ctx->arena, (s)))

/* --- namespaces ------------------------------------------------------------------------------ */

static struct str namespace_or_default(struct str ns)
{
    return ns.n > 0 ? ns : INTENTION_NAMESPACE;
}

/* `what`: "Invalid SourceNS". */
static int check_namespace(struct rpc_ctx *ctx, const char *what, struct str ns)
{
    return ns.n == 0 || str_eq_fold(ns, INTENTION_NAMESPACE)
               ? 0
               : err_set(ctx->err, ERR_FAILED, "%s %.*s: Namespaces is a Consul Enterprise feature",
                         what, Q(ns));
}

static void default_namespaces(struct intention *i)
{
    i->source_ns = namespace_or_default(i->source_ns);
    i->destination_ns = namespace_or_default(i->destination_ns);
}

static int check_namespaces(struct rpc_ctx *ctx, const struct intention *i)
{
    int r = check_namespace(ctx, "Invalid source namespace", i->source_ns);
    return r < 0 ? r : check_namespace(ctx, "Invalid destination namespace", i->destination_ns);
}

/* --- what the old API refuses ---------------------------------------------------------------- */

struct faults {
    struct arena *a;
    VEC(struct str) texts;
};

static bool is_partial_wildcard(struct str name)
{
    return !str_eq(name, CONFIG_WILDCARD) && str_find_byte(name, '*') >= 0;
}

static void add(struct faults *f, bool is_wrong, const char *text)
{
    if (is_wrong) {
        avec_push(f->a, &f->texts, str_from_cstr(text));
    }
}

static void check_meta(struct faults *f, struct strmap meta)
{
    if (meta.n > CONFIG_META_COUNT_MAX) {
        avec_push(
            f->a, &f->texts,
            arena_printf(f->a, "Meta exceeds maximum element count %u", CONFIG_META_COUNT_MAX));
    }
    for (size_t i = 0; i < meta.n; i++) {
        struct str key = go_quoted(f->a, meta.v[i].key);
        if (meta.v[i].key.n > CONFIG_META_KEY_SIZE_MAX) {
            avec_push(f->a, &f->texts,
                      arena_printf(f->a, "Meta key %.*s exceeds maximum length %u", STRF(key),
                                   CONFIG_META_KEY_SIZE_MAX));
        }
        if (meta.v[i].value.n > CONFIG_META_VALUE_SIZE_MAX) {
            avec_push(f->a, &f->texts,
                      arena_printf(f->a, "Meta value for key %.*s exceeds maximum length %u",
                                   STRF(key), CONFIG_META_VALUE_SIZE_MAX));
        }
    }
}

/* Everything that is wrong with one, told together. Namespaces were looked at before. */
static int check_legacy(struct rpc_ctx *ctx, const struct intention *i)
{
    struct faults f = {.a = ctx->arena};
    add(&f, i->source_name.n == 0, "SourceName must be set");
    add(&f, i->destination_name.n == 0, "DestinationName must be set");
    add(&f, is_partial_wildcard(i->source_name),
        "SourceName: wildcard character '*' cannot be used with partial values");
    add(&f, is_partial_wildcard(i->destination_name),
        "DestinationName: wildcard character '*' cannot be used with partial values");
    if (i->description.n > CONFIG_META_VALUE_SIZE_MAX) {
        avec_push(
            f.a, &f.texts,
            arena_printf(f.a, "Description exceeds maximum length %u", CONFIG_META_VALUE_SIZE_MAX));
    }
    check_meta(&f, i->meta);
    add(&f, !str_eq(i->action, INTENTION_ALLOW) && !str_eq(i->action, INTENTION_DENY),
        "Action must be set to 'allow' or 'deny'");
    add(&f, i->permissions.n > 0, "Permissions must not be set when using the legacy APIs");
    add(&f, !str_eq(i->source_type, INTENTION_SOURCE_CONSUL), "SourceType must be set to 'consul'");
    return f.texts.n == 0 ? 0
                          : err_set(ctx->err, ERR_FAILED, "%.*s",
                                    STRF(errors_text(f.a, f.texts.v, f.texts.n)));
}

/* --- changes --------------------------------------------------------------------------------- */

static struct source_intention *to_source(struct arena *a, const struct intention *i)
{
    struct source_intention *s = ARENA_NEW(a, struct source_intention);
    *s = (struct source_intention){
        .name = i->source_name,
        .action = i->action,
        .permissions = i->permissions,
        .legacy_id = i->id,
        .type = i->source_type,
        .description = i->description,
        .legacy_meta = i->meta,
        .legacy_create_time = TIME_ZERO,
        .legacy_update_time = TIME_ZERO,
    };
    return s;
}

static struct source_intention *to_legacy_source(struct arena *a, const struct intention *i)
{
    struct source_intention *s = to_source(a, i);
    s->permissions = (struct ptrlist){0};
    s->legacy_create_time = s->legacy_update_time = clock_wall_ns();
    return s;
}

static int find_by_id(struct rpc_ctx *ctx, struct str id, const struct intention **ret)
{
    uint64_t index;
    int r = intention_get(ctx->view, NULL, id, &index, ret, ctx->err);
    return r < 0 ? err_wrap(ctx->err, "Intention lookup failed") : 0;
}

/* Made here because entries of the log must mean the same on every server. */
static int make_id(struct rpc_ctx *ctx, struct str *ret_id)
{
    const struct intention *existing;
    int r;
    do {
        char id[UUID_TEXT_SIZE];
        uuid_generate(id);
        *ret_id = arena_str(ctx->arena, str_make(id, sizeof(id)));
        r = find_by_id(ctx, *ret_id, &existing);
    } while (r >= 0 && existing != NULL);
    return r;
}

static int complete_legacy(struct rpc_ctx *ctx, struct intention *i)
{
    if (i->source_type.n == 0) {
        i->source_type = INTENTION_SOURCE_CONSUL;
    }
    int r = check_namespaces(ctx, i);
    return r < 0 ? r : check_legacy(ctx, i);
}

static int check_write(struct rpc_ctx *ctx, const struct intention *i)
{
    if (acl_may_write_intention(ctx, i)) {
        return 0;
    }
    log_write(LOG_WARN, "agent.server.intentions", "Operation on intention denied due to ACLs",
              LOG_STR("source", i->source_name), LOG_STR("destination", i->destination_name));
    return acl_deny(ctx);
}

static int create(struct rpc_ctx *ctx, struct intention *i, struct intention_mutation *m)
{
    default_namespaces(i);
    int r = check_write(ctx, i);
    if (r < 0) {
        return r;
    }
    if (i->id.n > 0) {
        return err_set(ctx->err, ERR_FAILED, "ID must be empty when creating a new intention");
    }
    r = make_id(ctx, &i->id);
    if (r < 0 || (r = complete_legacy(ctx, i)) < 0) {
        return r;
    }
    m->destination.name = i->destination_name;
    m->value = to_legacy_source(ctx->arena, i);
    return RPC_PREPARE_PROPOSE;
}

static int update(struct rpc_ctx *ctx, struct intention *i, struct intention_mutation *m)
{
    const struct intention *old;
    int r = find_by_id(ctx, i->id, &old);
    if (r < 0) {
        return r;
    }
    if (old == NULL) {
        return err_set(ctx->err, ERR_FAILED, "Cannot modify non-existent intention: '%.*s'",
                       STRF(i->id));
    }
    if ((r = check_write(ctx, old)) < 0) {
        return r;
    }
    default_namespaces(i);
    if (!str_eq(old->destination_name, i->destination_name)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Cannot modify DestinationNS or DestinationName for an intention once it "
                       "exists.");
    }
    if ((r = complete_legacy(ctx, i)) < 0) {
        return r;
    }
    m->id = i->id;
    m->value = to_legacy_source(ctx->arena, i);
    return RPC_PREPARE_PROPOSE;
}

static int delete_by_id(struct rpc_ctx *ctx, const struct intention *i,
                        struct intention_mutation *m)
{
    const struct intention *old;
    int r = find_by_id(ctx, i->id, &old);
    if (r < 0) {
        return r;
    }
    if (old == NULL) {
        return err_set(ctx->err, ERR_FAILED, "Cannot delete non-existent intention: '%.*s'",
                       STRF(i->id));
    }
    if ((r = check_write(ctx, old)) < 0) {
        return r;
    }
    m->id = i->id;
    return RPC_PREPARE_PROPOSE;
}

static int upsert(struct rpc_ctx *ctx, struct intention *i, struct intention_mutation *m)
{
    if (i->id.n > 0) {
        return err_set(ctx->err, ERR_FAILED, "ID must not be specified");
    }
    default_namespaces(i);
    int r = check_write(ctx, i);
    if (r < 0) {
        return r;
    }
    const struct config_entry *entry =
        config_entry_find(ctx->view, CONFIG_SERVICE_INTENTIONS, i->destination_name);
    if (i->meta.n > 0) {
        /* Metadata is the entry's, not the intention's. Who sends back what the entry has does no
         * harm. */
        if (entry == NULL) {
            return err_set(ctx->err, ERR_FAILED, "Meta must not be specified");
        }
        if (!strmap_eq(entry->meta, i->meta)) {
            return err_set(ctx->err, ERR_FAILED,
                           "Meta must not be specified, or should be unchanged during an update.");
        }
        i->meta = (struct strmap){0};
    }
    m->destination.name = i->destination_name;
    m->source.name = i->source_name;
    m->value = to_source(ctx->arena, i);
    return RPC_PREPARE_PROPOSE;
}

static int delete_by_name(struct rpc_ctx *ctx, struct intention *i, struct intention_mutation *m)
{
    const struct intention *old;
    uint64_t index;
    default_namespaces(i);
    int r = check_write(ctx, i);
    if (r < 0) {
        return r;
    }
    const struct intention_query_exact exact = {
        .source_ns = i->source_ns,
        .source_name = i->source_name,
        .destination_ns = i->destination_ns,
        .destination_name = i->destination_name,
    };
    if (intention_get_exact(ctx->view, NULL, ctx->arena, &exact, &index, &old, ctx->err) < 0) {
        return err_wrap(ctx->err, "Intention lookup failed");
    }
    m->destination.name = i->destination_name;
    m->source.name = i->source_name;
    return old != NULL ? RPC_PREPARE_PROPOSE : RPC_PREPARE_DONE;
}

static int change(struct rpc_ctx *ctx, struct str op, struct intention *i,
                  struct intention_mutation *m)
{
    if (str_eq(op, INTENTION_CREATE)) {
        return create(ctx, i, m);
    }
    if (str_eq(op, INTENTION_UPDATE)) {
        return update(ctx, i, m);
    }
    if (str_eq(op, INTENTION_UPSERT)) {
        return upsert(ctx, i, m);
    }
    if (str_eq(op, INTENTION_DELETE)) {
        return i->id.n > 0 ? delete_by_id(ctx, i, m) : delete_by_name(ctx, i, m);
    }
    return err_set(ctx->err, ERR_FAILED, "Invalid Intention operation: %.*s", STRF(op));
}

static int apply_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct intention_request *args = data;
    struct intention_mutation m = {0};
    (void)reply;
    int r = rpc_check_connect(ctx);
    if (r < 0) {
        return r;
    }
    if (!str_eq(system_metadata_get(ctx->view, SYSTEM_METADATA_INTENTION_FORMAT),
                SYSTEM_METADATA_INTENTION_FORMAT_CONFIG)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Intentions are read only while being upgraded to config entries");
    }
    if (args->mutation != NULL) {
        return err_set(ctx->err, ERR_FAILED,
                       "Mutation field is internal only and must not be set via RPC");
    }
    if (args->intention == NULL) {
        args->intention = ARENA_NEW(ctx->arena, struct intention);
    }
    r = acl_known(ctx);
    if (r >= 0) {
        r = change(ctx, args->op, args->intention, &m);
    }
    if (r == RPC_PREPARE_PROPOSE) {
        struct intention_request logged = *args;
        logged.intention = NULL;
        logged.mutation = &m;
        buf_byte(entry, FSM_INTENTION);
        msgpack_object(entry, &intention_request_schema, &logged);
    }
    return r;
}

/* The id, where the old API was used. */
static int apply_applied(struct rpc_ctx *ctx, const void *data, const struct fsm_result *result,
                         void *reply)
{
    const struct intention_request *args = data;
    (void)ctx;
    (void)result;
    ((struct string_reply *)reply)->value = args->intention->id;
    return 0;
}

static struct metric time_apply = METRIC_SAMPLE("intention.apply");
static struct metric old_time_apply = METRIC_SAMPLE("consul.intention.apply");

const struct rpc_method rpc_intention_apply = {
    .name = "Intention.Apply",
    .flags = RPC_WRITE | RPC_PRIMARY,
    .args = &intention_request_schema,
    .reply = &string_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "intention:write",
    .time = &time_apply,
    .old_time = &old_time_apply,
    .prepare = apply_prepare,
    .applied = apply_applied,
};

/* --- reading --------------------------------------------------------------------------------- */

static int find_exact(struct rpc_ctx *ctx, const struct intention_query_exact *asked,
                      uint64_t *ret_index, const struct intention **ret)
{
    struct intention_query_exact exact = *asked;
    exact.source_ns = namespace_or_default(exact.source_ns);
    exact.destination_ns = namespace_or_default(exact.destination_ns);
    int r = check_namespace(ctx, "Invalid SourceNS", exact.source_ns);
    if (r < 0 || (r = check_namespace(ctx, "Invalid DestinationNS", exact.destination_ns)) < 0) {
        return r;
    }
    return intention_get_exact(ctx->view, ctx->ws, ctx->arena, &exact, ret_index, ret, ctx->err);
}

static int get_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct intention_query_request *args = data;
    struct indexed_intentions *reply = out;
    const struct intention *found = NULL;
    int r = rpc_check_connect(ctx);
    if (r < 0 || (r = acl_known(ctx)) < 0) {
        return r;
    }
    if (args->intention_id.n > 0) {
        r = intention_get(ctx->view, ctx->ws, args->intention_id, &reply->meta.index, &found,
                          ctx->err);
    } else if (args->exact != NULL) {
        r = find_exact(ctx, args->exact, &reply->meta.index, &found);
    }
    if (r < 0) {
        return r;
    }
    if (found == NULL) {
        return err_set(ctx->err, ERR_NOT_FOUND, "Intention not found");
    }
    if (!acl_may_read_intention(ctx, found)) {
        return acl_deny(ctx);
    }
    reply->intentions.v = ARENA_ARRAY(ctx->arena, void *, 1);
    reply->intentions.v[0] = (void *)(uintptr_t)found;
    reply->intentions.n = 1;
    return 0;
}

const struct rpc_method rpc_intention_get = {
    .name = "Intention.Get",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &intention_query_request_schema,
    .reply = &indexed_intentions_schema,
    .options_offset = offsetof(struct intention_query_request, options),
    .meta_offset = offsetof(struct indexed_intentions, meta),
    .acl = "intention:read",
    .read = get_read,
};

static int list_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct intention_list_request *args = data;
    struct indexed_intentions *reply = out;
    int r = rpc_check_connect(ctx);
    if (r < 0) {
        return r;
    }
    reply->meta.index =
        intention_list(ctx->view, ctx->ws, ctx->arena, &reply->intentions, &reply->data_origin);
    if (args->legacy) {
        reply->intentions.n = 0;
        reply->data_origin = STR("legacy");
    }
    r = acl_filter_intentions(ctx, &reply->intentions);
    if (r < 0) {
        return r;
    }
    return read_filter_ptrs(ctx, args->options.filter, &intention_schema, &reply->intentions);
}

const struct rpc_method rpc_intention_list = {
    .name = "Intention.List",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &intention_list_request_schema,
    .reply = &indexed_intentions_schema,
    .options_offset = offsetof(struct intention_list_request, options),
    .meta_offset = offsetof(struct indexed_intentions, meta),
    .acl = "intention:read",
    .read = list_read,
};

static int check_entries(struct rpc_ctx *ctx, const struct intention_query_match *match)
{
    const struct intention_match_entry *e = match->entries.v;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < match->entries.n; i++) {
        r = check_namespace(ctx, "Invalid match entry namespace", e[i].ns);
    }
    for (size_t i = 0; r >= 0 && i < match->entries.n; i++) {
        if (e[i].name.n > 0) {
            r = acl_check(ctx, ACL_INTENTION_READ, e[i].name);
        }
    }
    return r;
}

static int match_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct intention_query_request *args = data;
    struct indexed_intention_matches *reply = out;
    enum intention_side side = INTENTION_SOURCE;
    int r = rpc_check_connect(ctx);
    if (r < 0) {
        return r;
    }
    if (args->match == NULL) {
        return err_set(ctx->err, ERR_FAILED, "Match must be specified on args");
    }
    const struct objlist *entries = &args->match->entries;
    r = acl_known(ctx);
    if (r < 0 || (r = check_entries(ctx, args->match)) < 0 ||
        (entries->n > 0 && (r = intention_side_parse(args->match->type, &side, ctx->err)) < 0)) {
        return r;
    }
    const struct intention_match_entry *entry = entries->v;
    struct intention_list *lists = ARENA_ARRAY(ctx->arena, struct intention_list, entries->n);
    reply->meta.index = 1;
    for (size_t i = 0; i < entries->n; i++) {
        uint64_t index = intention_match(ctx->view, ctx->ws, ctx->arena, side, entry[i].name,
                                         &lists[i].intentions);
        reply->meta.index = MAX(reply->meta.index, index);
    }
    reply->matches = (struct objlist){entries->n > 0 ? (void *)lists : SCHEMA_EMPTY, entries->n};
    return 0;
}

const struct rpc_method rpc_intention_match = {
    .name = "Intention.Match",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &intention_query_request_schema,
    .reply = &indexed_intention_matches_schema,
    .options_offset = offsetof(struct intention_query_request, options),
    .meta_offset = offsetof(struct indexed_intention_matches, meta),
    .acl = "intention:read",
    .read = match_read,
};

/* Intentions with permissions, which decide request by request, count as refusals. */
static int check_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct intention_query_request *args = data;
    const struct intention_query_check *q = args->check;
    struct intention_check_response *reply = out;
    struct ptrlist intentions;
    int r = rpc_check_connect(ctx);
    if (r < 0) {
        return r;
    }
    if (q == NULL) {
        return err_set(ctx->err, ERR_FAILED, "Check must be specified on args");
    }
    if ((r = acl_known(ctx)) < 0) {
        return r;
    }
    r = check_namespace(ctx, "Invalid source namespace", q->source_ns);
    if (r < 0 ||
        (r = check_namespace(ctx, "Invalid destination namespace", q->destination_ns)) < 0) {
        return r;
    }
    if (!str_eq(q->source_type, INTENTION_SOURCE_CONSUL)) {
        return err_set(ctx->err, ERR_FAILED, "unsupported SourceType: %.*s", Q(q->source_type));
    }
    /* Whoever finds the service may know whether it can be reached. */
    if (q->destination_name.n > 0 &&
        (r = acl_check(ctx, ACL_SERVICE_READ, q->destination_name)) < 0) {
        return r;
    }
    (void)intention_match(ctx->view, NULL, ctx->arena, INTENTION_SOURCE, q->source_name,
                          &intentions);
    /* What no intention speaks of is up to the default policy. */
    bool default_allow = acl_may(ctx, ACL_INTENTION_DEFAULT, STR(""));
    reply->allowed =
        intention_decide(intentions, INTENTION_DESTINATION, namespace_or_default(q->destination_ns),
                         q->destination_name, default_allow, false)
            .allowed;
    return 0;
}

const struct rpc_method rpc_intention_check = {
    .name = "Intention.Check",
    .flags = RPC_READ,
    .args = &intention_query_request_schema,
    .reply = &intention_check_response_schema,
    .options_offset = offsetof(struct intention_query_request, options),
    .meta_offset = -1,
    .acl = "service:read",
    .read = check_read,
};
