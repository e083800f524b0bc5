/* The happy path: the token was asked for before, no table of ACLs has changed since, it has not
 * expired: one lookup in the cache of holders.
 *
 * Otherwise, with the tables here: the token's row, its roles, all their policies, and those that
 * identities stand for; policies of other data centers are left out. The set of them (by id and
 * hash) is looked up among what was compiled; only a set that nobody had before is parsed.
 *
 * Elsewhere: acl_remote.c. */
#include "server/acl_resolver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "server/acl_resolver_internal.h"
#include "server/server.h"
#include "store/acl.h"

#include <stdlib.h>

#define SERVER_HOLDERS_MAX 10240u
#define CLIENT_HOLDERS_MAX 1024u
#define SERVER_COMPILED_MAX 1024u
#define CLIENT_COMPILED_MAX 256u
/* Of what is compiled, whoever holds it. */
#define COMPILED_SIZE_MAX ((size_t)64 << 20)

#define INDEX_NAME_TOKENS STR("acl-tokens")
#define INDEX_NAME_POLICIES STR("acl-policies")
#define INDEX_NAME_ROLES STR("acl-roles")

struct holder {
    struct list node;
    struct str secret; /* own */
    struct acl_who *who;
    int64_t expires_ns; /* TIME_ZERO: never */
    bool is_stamped;
    struct acl_stamp stamp;
    uint64_t valid_until_ms; /* without a stamp */
};

static struct metric time_resolve = METRIC_SAMPLE("acl.ResolveToken");

static const struct delegate *delegate_of(const struct acl_resolver *r)
{
    return r->worker->delegate;
}

bool acl_resolver_is_primary(const struct acl_resolver *r)
{
    const struct delegate *d = delegate_of(r);
    return d->primary_datacenter.n == 0 || str_eq(d->primary_datacenter, d->datacenter);
}

bool acl_resolver_is_local(const struct acl_resolver *r)
{
    return r->worker->server != NULL &&
           (acl_resolver_is_primary(r) || delegate_of(r)->acl.replicates_tokens);
}

bool acl_is_on(const struct acl_resolver *r)
{
    return delegate_of(r)->acl.enabled &&
           (r->disabled_until_ms == 0 || loop_now_ms(r->worker->loop) >= r->disabled_until_ms);
}

/* --- holders -----------------------------------------------------------------------------------
 */

static struct acl_compiled *compiled_unref(struct acl_compiled *c)
{
    if (c != NULL && --c->refs == 0) {
        acl_authorizer_free(c->rights);
        mem_free((void *)(uintptr_t)c->key.p);
        mem_free(c);
    }
    return NULL;
}

struct acl_who *acl_who_unref(struct acl_who *who)
{
    if (who != NULL && --who->refs == 0) {
        compiled_unref(who->compiled);
        mem_free((void *)(uintptr_t)who->accessor_id.p);
        mem_free(who);
    }
    return NULL;
}

/* Takes the reference to what was compiled. */
static struct acl_who *who_new(const struct acl_authorizer *rights,
                               struct acl_compiled *take_compiled, struct str accessor_id)
{
    struct acl_who *who = xcalloc(1, sizeof(*who));
    who->refs = 1;
    who->rights = rights;
    who->compiled = take_compiled;
    who->accessor_id = str_make(str_to_cstr(accessor_id), accessor_id.n);
    return who;
}

static void holder_drop(struct acl_resolver *r, struct holder *h)
{
    (void)map_remove(&r->holders.map, h->secret);
    list_remove(&h->node);
    acl_who_unref(h->who);
    mem_free((void *)(uintptr_t)h->secret.p);
    mem_free(h);
}

void acl_holder_put(struct acl_resolver *r, struct str secret, struct acl_who *who,
                    int64_t expires_ns, const struct acl_stamp *stamp, uint64_t valid_until_ms)
{
    struct acl_cache *c = &r->holders;
    struct holder *h = map_get(&c->map, secret);
    if (h == NULL) {
        if (c->map.n >= (r->worker->server != NULL ? SERVER_HOLDERS_MAX : CLIENT_HOLDERS_MAX)) {
            holder_drop(r, list_entry(c->lru.next, struct holder, node));
        }
        h = xcalloc(1, sizeof(*h));
        h->secret = str_make(str_to_cstr(secret), secret.n);
        (void)map_put(&c->map, h->secret, h);
    } else {
        list_remove(&h->node);
        acl_who_unref(h->who);
    }
    list_push_back(&c->lru, &h->node);
    h->who = acl_who_ref(who);
    h->expires_ns = expires_ns;
    h->is_stamped = stamp != NULL;
    h->stamp = stamp != NULL ? *stamp : (struct acl_stamp){0};
    h->valid_until_ms = valid_until_ms;
}

static struct acl_stamp stamp_of(struct acl_resolver *r, const struct store_view *v)
{
    if (r->stamp_index != v->last_index || r->stamp.era != v->era) {
        r->stamp = (struct acl_stamp){v->era, store_index(v, INDEX_NAME_TOKENS),
                                      store_index(v, INDEX_NAME_POLICIES),
                                      store_index(v, INDEX_NAME_ROLES)};
        r->stamp_index = v->last_index;
    }
    return r->stamp;
}

static bool stamp_eq(const struct acl_stamp *a, const struct acl_stamp *b)
{
    return a->tokens == b->tokens && a->policies == b->policies && a->roles == b->roles &&
           a->era == b->era;
}

static bool is_expired(int64_t expires_ns)
{
    return expires_ns != TIME_ZERO && expires_ns < clock_wall_ns();
}

/* NULL: not remembered, or not to be relied on any more. */
static struct acl_who *holder_get(struct acl_resolver *r, struct str secret,
                                  const struct acl_stamp *stamp)
{
    struct holder *h = map_get(&r->holders.map, secret);
    if (h == NULL || is_expired(h->expires_ns)) {
        return NULL;
    }
    bool is_good = h->is_stamped ? stamp != NULL && stamp_eq(&h->stamp, stamp)
                                 : loop_now_ms(r->worker->loop) < h->valid_until_ms;
    if (!is_good) {
        return NULL;
    }
    list_remove(&h->node);
    list_push_back(&r->holders.lru, &h->node);
    return acl_who_ref(h->who);
}

/* --- sets of policies --------------------------------------------------------------------------
 */

void acl_policies_add_identities(struct acl_policies *p, struct ptrlist services,
                                 struct ptrlist nodes)
{
    for (size_t i = 0; i < services.n; i++) {
        acl_policies_add(p, acl_service_identity_policy(p->a, services.v[i]));
    }
    for (size_t i = 0; i < nodes.n; i++) {
        acl_policies_add(p, acl_node_identity_policy(p->a, nodes.v[i]));
    }
}

void acl_policies_add_embedded(struct acl_policies *p, const struct acl_token *token)
{
    const struct acl_policy_row *row = acl_token_embedded_policy(p->a, token);
    if (row != NULL) {
        acl_policies_add(p, row);
    }
}

static int by_content(const void *x, const void *y)
{
    const struct acl_policy_row *a = *(const struct acl_policy_row *const *)x;
    const struct acl_policy_row *b = *(const struct acl_policy_row *const *)y;
    int c = str_cmp(a->hash, b->hash);
    return c != 0 ? c : str_cmp(a->id, b->id);
}

/* Those that hold in this data center, each once, in an order of their own. */
static void policies_settle(const struct acl_resolver *r, struct acl_policies *p)
{
    size_t kept = 0;
    if (p->v.n > 1) {
        qsort(p->v.v, p->v.n, sizeof(p->v.v[0]), by_content);
    }
    for (size_t i = 0; i < p->v.n; i++) {
        const struct acl_policy_row *row = p->v.v[i];
        bool is_here = row->datacenters.n == 0 ||
                       strlist_contains(row->datacenters, delegate_of(r)->datacenter);
        bool is_again = kept > 0 && by_content(&p->v.v[kept - 1], &row) == 0;
        if (is_here && !is_again) {
            p->v.v[kept++] = row;
        }
    }
    p->v.n = kept;
}

/* The hash covers what a policy says; one that has none is told by its words. */
static void put_key(struct buf *to, const struct acl_policy_row *row)
{
    struct str content = row->hash.n > 0 ? row->hash : row->rules;
    buf_be32(to, (uint32_t)content.n);
    buf_str(to, content);
    buf_byte(to, (uint8_t)row->syntax);
    buf_be32(to, (uint32_t)row->id.n);
    buf_str(to, row->id);
}

static void compiled_drop(struct acl_resolver *r, struct acl_compiled *c)
{
    (void)map_remove(&r->compiled.map, c->key);
    list_remove(&c->node);
    r->compiled_size -= acl_authorizer_size(c->rights);
    compiled_unref(c);
}

static int compile(struct acl_resolver *r, const struct acl_policies *p, struct str key,
                   struct acl_compiled **ret, struct err *err)
{
    struct acl_policy *parsed = ARENA_ARRAY(p->a, struct acl_policy, p->v.n);
    for (size_t i = 0; i < p->v.n; i++) {
        const struct acl_policy_row *row = p->v.v[i];
        enum acl_syntax syntax = row->syntax == 1 ? ACL_SYNTAX_LEGACY : ACL_SYNTAX_CURRENT;
        if (acl_policy_parse(p->a, row->rules, syntax, &parsed[i], err) < 0) {
            return err_wrap(err, "failed to parse \"%.*s\"", STRF(row->name));
        }
    }
    struct acl_compiled *c = xcalloc(1, sizeof(*c));
    c->rights = acl_authorizer_new(parsed, p->v.n, delegate_of(r)->acl.fallback);
    c->key = str_make(str_to_cstr(key), key.n);
    c->refs = 1;
    r->compiled_size += acl_authorizer_size(c->rights);
    (void)map_put(&r->compiled.map, c->key, c);
    list_push_back(&r->compiled.lru, &c->node);
    size_t max = r->worker->server != NULL ? SERVER_COMPILED_MAX : CLIENT_COMPILED_MAX;
    while (r->compiled.map.n > max ||
           (r->compiled_size > COMPILED_SIZE_MAX && r->compiled.map.n > 1)) {
        compiled_drop(r, list_entry(r->compiled.lru.next, struct acl_compiled, node));
    }
    *ret = c;
    return 0;
}

int acl_who_make(struct acl_resolver *r, struct acl_policies *p, struct str accessor_id,
                 struct acl_who **ret_who, struct err *err)
{
    struct buf key = {0};
    int rc = 0;
    policies_settle(r, p);
    for (size_t i = 0; i < p->v.n; i++) {
        put_key(&key, p->v.v[i]);
    }
    struct acl_compiled *c = map_get(&r->compiled.map, buf_view(&key));
    if (c == NULL) {
        rc = compile(r, p, buf_view(&key), &c, err);
    } else {
        list_remove(&c->node);
        list_push_back(&r->compiled.lru, &c->node);
    }
    if (rc >= 0) {
        c->refs++;
        *ret_who = who_new(c->rights, c, accessor_id);
    }
    buf_deinit(&key);
    return rc;
}

/* --- from this server's tables -----------------------------------------------------------------
 */

static void log_missing(const char *what, struct str id, const struct acl_token *token)
{
    log_write(LOG_WARN, "agent.server.acl", what, LOG_STR("id", id),
              LOG_STR("accessorID", token->accessor_id));
}

static void add_links(struct acl_policies *p, const struct store_view *v,
                      const struct acl_token *token, struct objlist links)
{
    const struct acl_link *link = links.v;
    for (size_t i = 0; i < links.n; i++) {
        const struct acl_policy_row *row = acl_policy_by_id(v, link[i].id);
        if (row != NULL) {
            acl_policies_add(p, row);
        } else {
            log_missing("policy not found for identity", link[i].id, token);
        }
    }
}

static void add_all(struct acl_policies *p, const struct store_view *v,
                    const struct acl_token *token)
{
    const struct acl_link *roles = token->roles.v;
    if (token->policies.n == 0 && token->roles.n == 0 && token->service_identities.n == 0 &&
        token->node_identities.n == 0) {
        acl_policies_add_embedded(p, token);
        return;
    }
    add_links(p, v, token, token->policies);
    acl_policies_add_identities(p, token->service_identities, token->node_identities);
    for (size_t i = 0; i < token->roles.n; i++) {
        const struct acl_role *role = acl_role_by_id(v, roles[i].id);
        if (role == NULL) {
            log_missing("role not found for identity", roles[i].id, token);
            continue;
        }
        add_links(p, v, token, role->policies);
        acl_policies_add_identities(p, role->service_identities, role->node_identities);
    }
}

void acl_policies_of(struct acl_policies *p, const struct acl_resolver *r,
                     const struct store_view *v, const struct acl_token *token)
{
    add_all(p, v, token);
    policies_settle(r, p);
}

static int fail_unknown(struct err *err)
{
    return err_set(err, ERR_ACL_NOT_FOUND, "%s", err_code_text(ERR_ACL_NOT_FOUND));
}

static int resolve_here(struct acl_resolver *r, struct str secret, struct acl_wait *wait,
                        struct acl_who **ret_who, struct err *err)
{
    const struct store_view *v = store_view(r->worker->server->store);
    struct acl_stamp stamp = stamp_of(r, v);
    *ret_who = holder_get(r, secret, &stamp);
    if (*ret_who != NULL) {
        return 0;
    }
    const struct acl_token *token = acl_token_by_secret(v, secret);
    if (token == NULL || is_expired(token->expiration_time)) {
        /* Tokens are still to be copied to this data center. */
        return acl_resolver_is_primary(r) || stamp.tokens > 0
                   ? fail_unknown(err)
                   : acl_remote_resolve(r, secret, wait, ret_who, err);
    }
    struct arena a = {0};
    struct acl_policies p = {.a = &a};
    add_all(&p, v, token);
    int rc = acl_who_make(r, &p, token->accessor_id, ret_who, err);
    if (rc >= 0) {
        acl_holder_put(r, secret, *ret_who, token->expiration_time, &stamp, 0);
    }
    arena_deinit(&a);
    return rc;
}

/* --- the agent's own ---------------------------------------------------------------------------
 */

static void own_refresh(struct acl_resolver *r, struct acl_secrets *s)
{
    size_t size = 0;
    mem_free(r->own.block);
    (void)pthread_mutex_lock(&s->lock);
    r->own.generation = atomic_load(&s->generation);
    for (size_t i = 0; i < ACL_SECRET_COUNT; i++) {
        size += s->of[i].n;
    }
    char *p = r->own.block = xmalloc(size + 1);
    for (size_t i = 0; i < ACL_SECRET_COUNT; i++) {
        if (s->of[i].n > 0) {
            memcpy(p, s->of[i].p, s->of[i].n);
        }
        r->own.of[i] = str_make(p, s->of[i].n);
        p += s->of[i].n;
    }
    (void)pthread_mutex_unlock(&s->lock);
}

struct str acl_secret(struct acl_resolver *r, enum acl_secret which)
{
    struct acl_secrets *s = &r->worker->delegate->secrets;
    if (UNLIKELY(atomic_load_explicit(&s->generation, memory_order_acquire) != r->own.generation)) {
        own_refresh(r, s);
    }
    return r->own.of[which];
}

/* Whoever runs this machine may look at its agent, and do with that alone what he likes. */
static struct acl_who *agent_master(struct acl_resolver *r)
{
    if (r->agent_master == NULL) {
        struct acl_rule agent = {.name = delegate_of(r)->node_name, .level = ACL_LEVEL_WRITE};
        struct acl_rule nodes = {.level = ACL_LEVEL_READ};
        struct acl_policy policy = {0};
        policy.exact[ACL_RESOURCE_AGENT] = (struct acl_rule_list){&agent, 1};
        policy.prefix[ACL_RESOURCE_NODE] = (struct acl_rule_list){&nodes, 1};
        struct acl_compiled *c = xcalloc(1, sizeof(*c));
        c->refs = 1;
        c->rights = acl_authorizer_new(&policy, 1, ACL_DEFAULT_DENY);
        r->agent_master = who_new(c->rights, c, STR("agent-master"));
    }
    return acl_who_ref(r->agent_master);
}

struct acl_who *acl_who_down(struct acl_resolver *r)
{
    if (r->down == NULL) {
        bool allows = delegate_of(r)->acl.down == ACL_DOWN_ALLOW;
        r->down = who_new(allows ? &acl_allow_all : &acl_deny_all, NULL, STR("primary-dc-down"));
    }
    return acl_who_ref(r->down);
}

/* --- life --------------------------------------------------------------------------------------
 */

/* Names of what the root of Consul's first ACLs could do; nobody may hold them. */
static bool is_root(struct str secret)
{
    return str_eq_lit(secret, "allow") || str_eq_lit(secret, "deny") ||
           str_eq_lit(secret, "manage");
}

int acl_resolve(struct acl_resolver *r, struct str secret, struct acl_wait *wait,
                struct acl_who **ret_who, struct err *err)
{
    *ret_who = NULL;
    if (!acl_is_on(r)) {
        return 0;
    }
    if (is_root(secret)) {
        return err_set(err, ERR_FAILED, "Cannot resolve root ACL");
    }
    if (secret.n == 0) {
        secret = ACL_TOKEN_ANONYMOUS_SECRET;
    }
    struct str own = acl_secret(r, ACL_SECRET_AGENT_MASTER);
    if (own.n > 0 && str_eq(own, secret)) {
        *ret_who = agent_master(r);
        return 0;
    }
    uint64_t started_ns = clock_mono_ns();
    int rc;
    if (acl_resolver_is_local(r)) {
        rc = resolve_here(r, secret, wait, ret_who, err);
    } else {
        *ret_who = holder_get(r, secret, NULL);
        rc = *ret_who != NULL ? 0 : acl_remote_resolve(r, secret, wait, ret_who, err);
    }
    metric_observe(&time_resolve, (double)(clock_mono_ns() - started_ns) / (double)NS_PER_MS);
    return rc;
}

void acl_wait_cancel(struct acl_wait *wait)
{
    list_remove(&wait->node);
}

struct acl_resolver *acl_resolver_new(struct worker *w)
{
    struct acl_resolver *r = xcalloc(1, sizeof(*r));
    r->worker = w;
    list_init(&r->holders.lru);
    list_init(&r->compiled.lru);
    map_init(&r->holders.map, MAP_KEYS_BORROWED);
    map_init(&r->compiled.map, MAP_KEYS_BORROWED);
    acl_remote_init(r);
    return r;
}

struct acl_resolver *acl_resolver_free(struct acl_resolver *r)
{
    if (r == NULL) {
        return NULL;
    }
    acl_remote_deinit(r);
    while (!list_is_empty(&r->holders.lru)) {
        holder_drop(r, list_entry(r->holders.lru.next, struct holder, node));
    }
    while (!list_is_empty(&r->compiled.lru)) {
        compiled_drop(r, list_entry(r->compiled.lru.next, struct acl_compiled, node));
    }
    acl_who_unref(r->agent_master);
    acl_who_unref(r->down);
    map_deinit(&r->holders.map);
    map_deinit(&r->compiled.map);
    mem_free(r->own.block);
    return mem_free(r);
}
