/* Tokens whose servers are elsewhere: a client agent's are those of its data center, a server's
 * those of the primary one.
 *
 * Asking for one is a lookup, one for each secret, however many wait for it: first the token
 * (ACL.TokenRead), then its roles (ACL.RoleResolve), then all policies (ACL.PolicyResolve). Each
 * step takes what is remembered and young enough, and asks for the rest; try_known() is run again
 * after each answer until it has everything. What is remembered is told to the next by its age
 * alone.
 *
 * Nobody answers: with extend-cache and async-cache what was remembered is young again; without
 * that it is acl.down_policy's business. With async-cache nobody waits for what is but old: the
 * lookup goes on with nobody waiting. A token that was deleted meanwhile is unknown; one whose
 * policies may not be read any more has changed, and is looked up anew, a few times. Servers
 * without ACLs switch them off here, for a while. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "schema/acl_request.h"
#include "server/acl_resolver_internal.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/acl.h"

#define SERVER_TOKENS_MAX 10240u
#define CLIENT_TOKENS_MAX 1024u
#define ROWS_MAX 4096u /* of policies and of roles, each */
/* More at a time: whoever comes then is told that nobody answers. */
#define LOOKUPS_MAX 4096u
/* A token that wants more questions than this has more parts than are remembered at a time, or
 * changes all the time. */
#define QUESTIONS_MAX 12u

enum asked { ASKED_NOTHING, ASKED_TOKEN, ASKED_ROLES, ASKED_POLICIES };

/* What has to be asked for before an answer, or beside it. */
struct want {
    struct arena *a;
    enum asked asked;
    VEC(struct str) ids;
    bool is_missing; /* some were never known */
};

struct lookup {
    struct acl_resolver *resolver;
    struct str secret; /* own */
    struct list waiters;
    struct rpc_call *call;
    struct arena arena; /* of the want */
    struct want want;
    uint64_t started_ms; /* what came since is young enough, whatever the TTL */
    unsigned questions;
};

static struct metric cache_hits = METRIC_COUNTER("acl.token.cache_hit");
static struct metric cache_misses = METRIC_COUNTER("acl.token.cache_miss");

static const struct acl_settings *settings_of(const struct acl_resolver *r)
{
    return &r->worker->delegate->acl;
}

static uint64_t now_ms(const struct acl_resolver *r)
{
    return loop_now_ms(r->worker->loop);
}

static bool extends_cache(const struct acl_resolver *r)
{
    enum acl_down down = settings_of(r)->down;
    return down == ACL_DOWN_EXTEND_CACHE || down == ACL_DOWN_ASYNC_CACHE;
}

/* --- what is remembered ------------------------------------------------------------------------
 */

static void row_drop(struct acl_cache *c, struct acl_cached_row *row)
{
    (void)map_remove(&c->map, row->key);
    list_remove(&row->node);
    mem_free(row->row);
    mem_free((void *)(uintptr_t)row->key.p);
    mem_free(row);
}

static struct acl_cached_row *row_get(struct acl_cache *c, struct str key)
{
    struct acl_cached_row *row = map_get(&c->map, key);
    if (row != NULL) {
        list_remove(&row->node);
        list_push_back(&c->lru, &row->node);
    }
    return row;
}

/* take_row NULL: there is none of that name. */
static void row_put(struct acl_cache *c, size_t max, struct str key, void *take_row, uint64_t at_ms)
{
    struct acl_cached_row *row = row_get(c, key);
    if (row == NULL) {
        if (c->map.n >= max) {
            row_drop(c, list_entry(c->lru.next, struct acl_cached_row, node));
        }
        row = xcalloc(1, sizeof(*row));
        row->key = str_make(str_to_cstr(key), key.n);
        (void)map_put(&c->map, row->key, row);
        list_push_back(&c->lru, &row->node);
    }
    mem_free(row->row);
    row->row = take_row;
    row->fetched_ms = at_ms;
}

static void token_put(struct acl_resolver *r, struct str secret, const struct acl_token *token)
{
    size_t max = r->worker->server != NULL ? SERVER_TOKENS_MAX : CLIENT_TOKENS_MAX;
    void *row = token != NULL ? schema_clone(&acl_token_schema, token, NULL) : NULL;
    row_put(&r->tokens, max, secret, row, now_ms(r));
}

static void token_forget(struct acl_resolver *r, struct str secret)
{
    struct acl_cached_row *row = map_get(&r->tokens.map, secret);
    if (row != NULL) {
        row_drop(&r->tokens, row);
    }
}

/* --- the three steps ---------------------------------------------------------------------------
 */

struct trial {
    struct acl_resolver *r;
    struct lookup *lookup; /* NULL: none yet */
    struct want *want;
    uint64_t valid_until_ms; /* the least that any part is good for */
};

/* Whether it may be used; what is old, or not there, is wanted. Consul takes a token up to its TTL
 * and other rows below it. */
static bool may_use(struct trial *t, const struct acl_cached_row *row, uint64_t ttl_ms)
{
    if (row == NULL) {
        t->want->is_missing = true;
        return false;
    }
    bool is_new = t->lookup != NULL && row->fetched_ms >= t->lookup->started_ms;
    uint64_t until_ms = row->fetched_ms + ttl_ms;
    if (is_new || now_ms(t->r) < until_ms) {
        t->valid_until_ms = MIN(t->valid_until_ms, until_ms);
        return true;
    }
    t->valid_until_ms = 0;
    return false;
}

/* With async-cache what is old serves while it is asked for again. */
static bool must_wait(const struct trial *t)
{
    return t->want->is_missing || settings_of(t->r)->down != ACL_DOWN_ASYNC_CACHE;
}

/* From this server's tables, where roles and policies are copied to whether or not tokens are.
 * False: they have none yet, others have to be asked. */
static bool find_here(const struct acl_resolver *r, enum asked what, struct str id,
                      const void **ret_row)
{
    const struct server *s = r->worker->server;
    if (s == NULL) {
        return false;
    }
    const struct store_view *v = store_view(s->store);
    *ret_row = what == ASKED_ROLES ? (const void *)acl_role_by_id(v, id)
                                   : (const void *)acl_policy_by_id(v, id);
    struct str table = what == ASKED_ROLES ? STR("acl-roles") : STR("acl-policies");
    return *ret_row != NULL || acl_resolver_is_primary(r) || store_index(v, table) > 0;
}

/* NULL: there is none, or it has to be asked for (and then *want says so). */
static const void *find_row(struct trial *t, enum asked what, struct str id)
{
    struct acl_resolver *r = t->r;
    const struct acl_settings *s = settings_of(r);
    const void *here;
    if (find_here(r, what, id, &here)) {
        return here;
    }
    struct acl_cached_row *row = row_get(what == ASKED_ROLES ? &r->roles : &r->policies, id);
    if (!may_use(t, row, what == ASKED_ROLES ? s->role_ttl_ms : s->policy_ttl_ms)) {
        t->want->asked = what;
        avec_push(t->want->a, &t->want->ids, arena_str(t->want->a, id));
    }
    return row != NULL ? row->row : NULL;
}

static void add_policies(struct trial *t, struct objlist links, struct acl_policies *p)
{
    const struct acl_link *link = links.v;
    for (size_t i = 0; i < links.n; i++) {
        const void *row = find_row(t, ASKED_POLICIES, link[i].id);
        if (row != NULL) {
            acl_policies_add(p, row);
        }
    }
}

static int fail_unknown(struct err *err)
{
    return err_set(err, ERR_ACL_NOT_FOUND, "%s", err_code_text(ERR_ACL_NOT_FOUND));
}

/* All policies of a token. False: some have to be waited for. */
static bool collect(struct trial *t, const struct acl_token *token, struct acl_policies *p)
{
    const struct acl_link *links = token->roles.v;
    VEC(const struct acl_role *) roles = {0};
    if (token->policies.n == 0 && token->roles.n == 0 && token->service_identities.n == 0 &&
        token->node_identities.n == 0) {
        acl_policies_add_embedded(p, token);
        return true;
    }
    for (size_t i = 0; i < token->roles.n; i++) {
        const void *role = find_row(t, ASKED_ROLES, links[i].id);
        if (role != NULL) {
            avec_push(p->a, &roles, role);
        }
    }
    if (t->want->asked == ASKED_ROLES && must_wait(t)) {
        return false;
    }
    if (t->want->asked == ASKED_ROLES) { /* one thing at a time: policies are asked for the next */
        t->want->is_missing = false;
    }
    add_policies(t, token->policies, p);
    acl_policies_add_identities(p, token->service_identities, token->node_identities);
    for (size_t i = 0; i < roles.n; i++) {
        add_policies(t, roles.v[i]->policies, p);
        acl_policies_add_identities(p, roles.v[i]->service_identities, roles.v[i]->node_identities);
    }
    return t->want->asked != ASKED_POLICIES || !must_wait(t);
}

/* Try with what is known. 0 (*ret_who), or negative; 1: want has to be asked for first. With 0
 * there may be something to be asked for, too, with nobody waiting. */
static int try_known(struct acl_resolver *r, struct lookup *l, struct str secret, struct want *want,
                     struct acl_who **ret_who, struct err *err)
{
    struct trial t = {.r = r, .lookup = l, .want = want, .valid_until_ms = UINT64_MAX};
    struct acl_policies p = {.a = want->a};
    const struct acl_cached_row *row = row_get(&r->tokens, secret);
    if (!may_use(&t, row, settings_of(r)->token_ttl_ms)) {
        want->asked = ASKED_TOKEN;
        metric_add(&cache_misses, 1);
        if (must_wait(&t)) {
            return 1;
        }
    } else {
        metric_add(&cache_hits, 1);
    }
    const struct acl_token *token = row->row;
    if (token == NULL || acl_token_is_expired(token, clock_wall_ns())) {
        return fail_unknown(err);
    }
    struct want parts = {.a = want->a};
    t.want = &parts;
    bool is_whole = collect(&t, token, &p);
    if (want->asked == ASKED_NOTHING || !is_whole) {
        *want = parts;
    }
    if (!is_whole) {
        return 1;
    }
    int rc = acl_who_make(r, &p, token->accessor_id, ret_who, err);
    if (rc >= 0 && t.valid_until_ms > now_ms(r)) {
        acl_holder_put(r, secret, *ret_who, token->expiration_time, NULL, t.valid_until_ms);
    }
    return rc;
}

/* --- lookups -----------------------------------------------------------------------------------
 */

static void lookup_go_on(struct lookup *l);

static void lookup_free(struct lookup *l)
{
    (void)map_remove(&l->resolver->lookups, l->secret);
    mem_free((void *)(uintptr_t)l->secret.p);
    arena_deinit(&l->arena);
    mem_free(l);
}

/* who: a reference, taken. */
static void lookup_end(struct lookup *l, struct acl_who *take_who, const struct err *err)
{
    struct list waiters;
    list_init(&waiters);
    list_splice_back(&waiters, &l->waiters);
    lookup_free(l); /* first: whoever is answered may ask again */
    for (struct list *node; (node = list_pop_front(&waiters)) != NULL;) {
        struct acl_wait *wait = list_entry(node, struct acl_wait, node);
        wait->who = take_who != NULL ? acl_who_ref(take_who) : NULL;
        wait->err = err;
        wait->done(wait);
    }
    acl_who_unref(take_who);
}

static bool renew(struct acl_cache *c, struct str key, uint64_t at_ms)
{
    struct acl_cached_row *row = map_get(&c->map, key);
    if (row != NULL) {
        row->fetched_ms = at_ms;
    }
    return row != NULL;
}

/* What was known is as good as new. False: not all was known. */
static bool lookup_extend(struct lookup *l)
{
    struct acl_resolver *r = l->resolver;
    if (!extends_cache(r)) {
        return false;
    }
    if (l->want.asked == ASKED_TOKEN) {
        return renew(&r->tokens, l->secret, now_ms(r));
    }
    struct acl_cache *c = l->want.asked == ASKED_ROLES ? &r->roles : &r->policies;
    bool all = true;
    for (size_t i = 0; i < l->want.ids.n; i++) {
        all &= renew(c, l->want.ids.v[i], now_ms(r));
    }
    return all;
}

static void lookup_down(struct lookup *l, const struct err *err)
{
    struct err copy = *err;
    log_write(LOG_ERROR, "agent.acl", "Error resolving token", LOG_CSTR("error", err_text(&copy)));
    lookup_end(l, acl_who_down(l->resolver), NULL);
}

static void lookup_failed(struct lookup *l, const struct err *err)
{
    struct acl_resolver *r = l->resolver;
    if (err->code == ERR_ACL_NOT_FOUND) {
        struct err unknown;
        (void)fail_unknown(&unknown);
        token_put(r, l->secret, NULL);
        lookup_end(l, NULL, &unknown);
    } else if (err->code == ERR_PERMISSION_DENIED && l->want.asked != ASKED_TOKEN &&
               l->questions < QUESTIONS_MAX) {
        token_forget(r, l->secret);
        lookup_go_on(l);
    } else if (err->code == ERR_ACL_DISABLED && r->worker->server == NULL) {
        r->disabled_until_ms = now_ms(r) + settings_of(r)->disabled_ttl_ms;
        log_write(LOG_DEBUG, "agent.acl", "ACLs disabled on upstream servers, will retry",
                  LOG_UINT("retry_interval_ms", settings_of(r)->disabled_ttl_ms));
        lookup_down(l, err);
    } else if (lookup_extend(l)) {
        lookup_go_on(l);
    } else {
        lookup_down(l, err);
    }
}

static void take_token(struct lookup *l, const struct acl_token_response *reply, struct err *err)
{
    const struct acl_token *token = reply->token;
    bool is_foreign = token != NULL && token->local &&
                      !str_eq(reply->source_datacenter, l->resolver->worker->delegate->datacenter);
    token_put(l->resolver, l->secret, is_foreign ? NULL : token);
    if (token == NULL) {
        (void)fail_unknown(err);
    } else if (is_foreign) {
        (void)err_set(err, ERR_PERMISSION_DENIED,
                      "Permission denied: This is a local token in datacenter \"%.*s\"",
                      STRF(reply->source_datacenter));
    }
}

static struct str id_of(enum asked what, const void *row)
{
    return what == ASKED_ROLES ? ((const struct acl_role *)row)->id
                               : ((const struct acl_policy_row *)row)->id;
}

/* Those that are not among the answer are not there. */
static void take_rows(struct lookup *l, struct ptrlist rows)
{
    struct acl_resolver *r = l->resolver;
    bool are_roles = l->want.asked == ASKED_ROLES;
    struct acl_cache *c = are_roles ? &r->roles : &r->policies;
    const struct schema *schema = are_roles ? &acl_role_schema : &acl_policy_row_schema;
    for (size_t i = 0; i < l->want.ids.n; i++) {
        void *row = NULL;
        for (size_t k = 0; k < rows.n && row == NULL; k++) {
            if (str_eq(id_of(l->want.asked, rows.v[k]), l->want.ids.v[i])) {
                row = schema_clone(schema, rows.v[k], NULL);
            }
        }
        row_put(c, ROWS_MAX, l->want.ids.v[i], row, now_ms(r));
    }
}

static void answered(struct rpc_call *call)
{
    struct lookup *l = call->data;
    struct err err = {0};
    l->call = NULL;
    if (call->err != NULL) {
        err = *call->err;
    } else if (l->want.asked == ASKED_TOKEN) {
        take_token(l, call->reply, &err);
    } else if (l->want.asked == ASKED_ROLES) {
        const struct acl_role_batch_response *reply = call->reply;
        take_rows(l, reply->roles);
    } else {
        const struct acl_policy_batch_response *reply = call->reply;
        take_rows(l, reply->policies);
    }
    rpc_call_free(call);
    if (err.code != 0) {
        lookup_failed(l, &err);
    } else {
        lookup_go_on(l);
    }
}

static struct str ask_datacenter(const struct acl_resolver *r)
{
    const struct delegate *d = r->worker->delegate;
    return r->worker->server != NULL ? d->primary_datacenter : d->datacenter;
}

static struct strlist ids_copy(struct arena *a, const struct want *w)
{
    struct str *v = ARENA_ARRAY(a, struct str, w->ids.n + 1);
    for (size_t i = 0; i < w->ids.n; i++) {
        v[i] = arena_str(a, w->ids.v[i]);
    }
    return (struct strlist){v, w->ids.n};
}

static void lookup_ask(struct lookup *l)
{
    struct acl_resolver *r = l->resolver;
    const struct rpc_method *method = l->want.asked == ASKED_TOKEN   ? &rpc_acl_token_read
                                      : l->want.asked == ASKED_ROLES ? &rpc_acl_role_resolve
                                                                     : &rpc_acl_policy_resolve;
    struct rpc_call *call = rpc_call_new(r->worker, method);
    struct arena *a = &call->arena;
    struct str datacenter = arena_str(a, ask_datacenter(r)), secret = arena_str(a, l->secret);
    struct query_options options = {.token = secret, .allow_stale = true};
    if (l->want.asked == ASKED_TOKEN) {
        struct acl_token_get_request *args = call->args;
        *args = (struct acl_token_get_request){secret, ACL_TOKEN_BY_SECRET, datacenter, options};
    } else if (l->want.asked == ASKED_ROLES) {
        struct acl_role_batch_get_request *args = call->args;
        *args = (struct acl_role_batch_get_request){ids_copy(a, &l->want), datacenter, options};
    } else {
        struct acl_policy_batch_get_request *args = call->args;
        *args = (struct acl_policy_batch_get_request){ids_copy(a, &l->want), datacenter, options};
    }
    call->done = answered;
    call->data = l;
    l->call = call;
    rpc_start(call);
}

/* Again with what has come by now; ends it, or asks for more. */
static void lookup_go_on(struct lookup *l)
{
    struct acl_who *who = NULL;
    struct err err = {0};
    arena_reset(&l->arena);
    l->want = (struct want){.a = &l->arena};
    int rc = try_known(l->resolver, l, l->secret, &l->want, &who, &err);
    /* With nobody waiting it is there for what is asked for beside an answer. */
    bool has_question = l->want.asked != ASKED_NOTHING && (rc > 0 || list_is_empty(&l->waiters));
    if (has_question && l->questions++ < QUESTIONS_MAX) {
        acl_who_unref(who);
        lookup_ask(l);
    } else if (rc > 0) {
        (void)err_set(&err, ERR_FAILED, "too many questions for one token");
        lookup_down(l, &err);
    } else {
        lookup_end(l, who, rc < 0 ? &err : NULL);
    }
}

static struct lookup *lookup_new(struct acl_resolver *r, struct str secret)
{
    struct lookup *l = xcalloc(1, sizeof(*l));
    l->resolver = r;
    l->secret = str_make(str_to_cstr(secret), secret.n);
    l->started_ms = now_ms(r);
    list_init(&l->waiters);
    (void)map_put(&r->lookups, l->secret, l);
    return l;
}

int acl_remote_resolve(struct acl_resolver *r, struct str secret, struct acl_wait *wait,
                       struct acl_who **ret_who, struct err *err)
{
    struct arena a = {0};
    struct want want = {.a = &a};
    int rc = try_known(r, NULL, secret, &want, ret_who, err);
    enum asked asked = want.asked;
    arena_deinit(&a);
    if (asked == ASKED_NOTHING) {
        return rc;
    }
    struct lookup *l = map_get(&r->lookups, secret);
    bool is_new = l == NULL && r->lookups.n < LOOKUPS_MAX;
    if (rc > 0 && (wait == NULL || (l == NULL && !is_new))) {
        *ret_who = acl_who_down(r);
        rc = 0;
    }
    l = is_new ? lookup_new(r, secret) : l;
    if (rc > 0) {
        list_push_back(&l->waiters, &wait->node);
        rc = ACL_RESOLVE_WAITS;
    }
    if (is_new) {
        lookup_go_on(l);
    }
    return rc;
}

/* --- life --------------------------------------------------------------------------------------
 */

void acl_remote_init(struct acl_resolver *r)
{
    struct acl_cache *v[] = {&r->tokens, &r->policies, &r->roles};
    for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
        map_init(&v[i]->map, MAP_KEYS_BORROWED);
        list_init(&v[i]->lru);
    }
    map_init(&r->lookups, MAP_KEYS_BORROWED);
}

void acl_remote_deinit(struct acl_resolver *r)
{
    struct acl_cache *v[] = {&r->tokens, &r->policies, &r->roles};
    size_t pos = 0;
    struct str secret;
    void *lookup;
    while (map_next(&r->lookups, &pos, &secret, &lookup)) {
        struct lookup *l = lookup;
        if (l->call != NULL) {
            rpc_cancel(l->call);
        }
        lookup_free(l);
    }
    map_deinit(&r->lookups);
    for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
        while (!list_is_empty(&v[i]->lru)) {
            row_drop(v[i], list_entry(v[i]->lru.next, struct acl_cached_row, node));
        }
        map_deinit(&v[i]->map);
    }
}
