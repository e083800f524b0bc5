/* Sets of prepared records: the instances of a service that may be given out, each with the bytes
 * of its records, so that answering is drawing a few and writing them.
 *
 * Invariants.
 * - A set shows the state of a view. It is true of another view of the same era as long as the
 *   service's entry in TABLE_INDEX ("service.<name>") has not moved: that entry moves with each
 *   instance, its node, its checks and its node's checks. Sets of proxies also depend on
 *   "service_kind.connect-proxy". What no entry tells (a snapshot was restored, an instance changed
 *   its name or kind) begins a new era.
 * - A service without an entry is only believed for the view it was looked up in.
 * - v[] holds different records; order[] has one element for each instance, so that an address with
 *   two instances comes first twice as often, as when instances are shuffled.
 * - Nothing in a set points into the store. */
#include "base/mem.h"
#include "base/vec.h"
#include "dns/internal.h"
#include "schema/catalog.h"
#include "store/catalog.h"

#define SRV_PRIORITY 1
#define KIND_PROXY STR("service_kind.connect-proxy")
#define INDEX_NAME_SIZE (8u + DNS_TEXT_SIZE_MAX)

/* --- building: one instance ------------------------------------------------------------------- */

struct builder {
    const struct dns_settings *settings;
    const struct dns_lookup *lookup;
    struct str datacenter;
    struct str node_suffix, address_suffix; /* wire */
    struct dns_set *set;
    struct arena *arena; /* the set's */
    struct map seen[2];  /* of addresses, of names: key to index + 1 */
    VEC(struct dns_instance) found[2];
    VEC(uint32_t) order[2];
    struct buf key;
    struct arena scratch; /* keys of the maps */
};

static bool is_healthy(const struct check_service_node *csn, bool only_passing)
{
    for (size_t i = 0; i < csn->checks.n; i++) {
        const struct health_check *check = csn->checks.v[i];
        if (str_eq(check->status, HEALTH_CRITICAL) ||
            (only_passing && !str_eq(check->status, HEALTH_PASSING))) {
            return false;
        }
    }
    return true;
}

static uint16_t weight(const struct check_service_node *csn)
{
    const struct node_service *service = csn->service;
    bool warning = false, critical = false, maintenance = false;
    for (size_t i = 0; i < csn->checks.n; i++) {
        const struct health_check *check = csn->checks.v[i];
        if (check->service_name.n > 0 && !str_eq(check->service_name, service->service)) {
            continue;
        }
        if (str_eq(check->check_id, NODE_MAINT_ID) ||
            str_has_prefix(check->check_id, SERVICE_MAINT_PREFIX)) {
            maintenance = true;
        } else if (str_eq(check->status, HEALTH_WARNING)) {
            warning = true;
        } else if (str_eq(check->status, HEALTH_CRITICAL)) {
            critical = true;
        } else if (!str_eq(check->status, HEALTH_PASSING)) {
            return 1; /* a status we do not know */
        }
    }
    if (maintenance || critical) {
        return 0;
    }
    const struct weights *w = service->weights;
    return w == NULL ? 1 : (uint16_t)(warning ? w->warning : w->passing);
}

static struct str wire(struct builder *b, struct str text)
{
    uint8_t name[DNS_NAME_SIZE_MAX];
    int n = dns_name_parse(text, name);
    return n < 0 ? STR_NULL : arena_str(b->arena, str_make(name, (size_t)n));
}

/* ".node.<dc>.<domain>" or ".addr.…", made once for all names that end so. */
static struct str suffix(struct builder *b, const char *label, struct str datacenter)
{
    struct buf text = {0};
    buf_printf(&text, "%s.%.*s.%.*s", label, STRF(datacenter), STRF(b->settings->domain));
    struct str name = wire(b, buf_view(&text));
    buf_deinit(&text);
    return name;
}

/* The labels of `front` (a name on its own) before a suffix; empty when that is too long. */
static struct str join(struct builder *b, const uint8_t *front, int size, struct str suffix_wire)
{
    if (size <= 1 || suffix_wire.n == 0 || (size_t)size - 1 + suffix_wire.n > DNS_NAME_SIZE_MAX) {
        return STR_NULL;
    }
    size_t labels = (size_t)size - 1;
    char *name = arena_alloc(b->arena, labels + suffix_wire.n);
    memcpy(name, front, labels);
    memcpy(name + labels, suffix_wire.p, suffix_wire.n);
    return str_make(name, labels + suffix_wire.n);
}

static struct str node_name(struct builder *b, const struct node *node)
{
    uint8_t front[DNS_NAME_SIZE_MAX];
    return join(b, front, dns_name_parse(node->node, front), b->node_suffix);
}

static struct str address_name(struct builder *b, const uint8_t *ip, unsigned size)
{
    uint8_t front[1 + 32 + 1];
    static const char digits[] = "0123456789abcdef";
    front[0] = (uint8_t)(2 * size);
    for (unsigned i = 0; i < size; i++) {
        front[1 + 2 * i] = (uint8_t)digits[ip[i] >> 4];
        front[2 + 2 * i] = (uint8_t)digits[ip[i] & 15];
    }
    return join(b, front, (int)(2 * size + 2), b->address_suffix);
}

static struct str srv_data(struct builder *b, const struct check_service_node *csn,
                           struct str target)
{
    int64_t port = dns_service_port(b->settings, csn->service, b->datacenter);
    char *p = arena_alloc(b->arena, 6 + target.n);
    put_be16(p, SRV_PRIORITY);
    put_be16(p + 2, weight(csn));
    put_be16(p + 4, (uint16_t)port);
    memcpy(p + 6, target.p, target.n);
    return str_make(p, 6 + target.n);
}

static void add_metas(struct builder *b, const struct node *node, struct dns_instance *instance)
{
    if (b->lookup->type != DNS_SET_SRV || !b->settings->node_meta_txt || node->meta.n == 0) {
        return;
    }
    struct str *metas = ARENA_ARRAY(b->arena, struct str, node->meta.n);
    for (size_t i = 0; i < node->meta.n; i++) {
        const struct strpair *pair = &node->meta.v[i];
        metas[i] = dns_txt_data(b->arena, dns_meta_text(b->arena, pair->key, pair->value));
    }
    instance->metas = metas;
    instance->metas_count = (uint32_t)node->meta.n;
    instance->meta_owner = node_name(b, node);
}

/* What instances that look the same have in common: the record, or for SRV node, address and port;
 * as bytes. */
static struct str instance_key(struct builder *b, const struct check_service_node *csn,
                               struct str looks)
{
    if (b->lookup->type != DNS_SET_SRV) {
        return looks;
    }
    int64_t port = dns_service_port(b->settings, csn->service, b->datacenter);
    buf_clear(&b->key);
    buf_put(&b->key, &port, sizeof(port));
    buf_str(&b->key, csn->node->node);
    buf_byte(&b->key, 0);
    buf_str(&b->key, dns_service_address(b->settings, DNS_SET_ANY, csn->service, b->datacenter));
    return buf_view(&b->key);
}

/* Where an instance with this key was put, + 1; 0: nowhere yet. */
static uintptr_t seen_before(const struct builder *b, bool is_name, struct str key)
{
    return (uintptr_t)map_get(&b->seen[is_name], key);
}

static uintptr_t add_found(struct builder *b, bool is_name, struct str key,
                           const struct dns_instance *instance)
{
    vec_push(&b->found[is_name], *instance);
    uintptr_t at = b->found[is_name].n;
    map_put(&b->seen[is_name], arena_str(&b->scratch, key), (void *)at);
    return at;
}

static bool fits(enum dns_set_type type, unsigned size)
{
    return type == DNS_SET_A ? size == 4 : type == DNS_SET_AAAA ? size == 16 : true;
}

/* An instance with an address: its target, for SRV, is the node's name or one made of the address.
 */
static void add_address(struct builder *b, const struct check_service_node *csn, const uint8_t *ip,
                        unsigned size, bool by_node)
{
    if (!fits(b->lookup->type, size)) {
        return;
    }
    struct str key = instance_key(b, csn, str_make(ip, size));
    uintptr_t at = seen_before(b, false, key);
    if (at == 0) {
        struct dns_instance instance = {.address = arena_str(b->arena, str_make(ip, size))};
        if (b->lookup->type == DNS_SET_SRV) {
            struct str target = by_node ? node_name(b, csn->node) : address_name(b, ip, size);
            if (target.n == 0) {
                return; /* no record can hold the node's name */
            }
            instance.srv = srv_data(b, csn, target);
            add_metas(b, csn->node, &instance);
        }
        at = add_found(b, false, key, &instance);
    }
    vec_push(&b->order[false], (uint32_t)(at - 1));
}

/* An instance whose address is a name. node_ip: what counts when the name is the service's own. */
static void add_name(struct builder *b, const struct check_service_node *csn, struct str text,
                     const uint8_t *node_ip, unsigned node_ip_size)
{
    struct str key = instance_key(b, csn, text);
    uintptr_t at = seen_before(b, true, key);
    if (at == 0) {
        struct str target = wire(b, text);
        if (target.n == 0) {
            return;
        }
        struct dns_instance instance = {.srv = srv_data(b, csn, target)};
        struct str node_target = node_name(b, csn->node);
        if (node_ip_size > 0 && node_target.n > 0) {
            instance.node_address = arena_str(b->arena, str_make(node_ip, node_ip_size));
            instance.node_srv = srv_data(b, csn, node_target);
        }
        add_metas(b, csn->node, &instance);
        at = add_found(b, true, key, &instance);
    }
    vec_push(&b->order[true], (uint32_t)(at - 1));
}

static void add_instance(struct builder *b, const struct check_service_node *csn)
{
    const struct node *node = csn->node;
    enum dns_set_type type = b->lookup->type;
    uint8_t node_ip[16], service_ip[16];
    struct str service = dns_service_address(b->settings, type, csn->service, b->datacenter);
    struct str node_text = dns_node_address(b->settings, type, node, node->datacenter);
    unsigned node_size = dns_ip_parse(node_text, node_ip);
    unsigned service_size = dns_ip_parse(service, service_ip);
    if (service.n == 0 && node_size > 0) {
        /* A tagged address is not what the node's own name leads to. */
        add_address(b, csn, node_ip, node_size, str_eq(node->address, node_text));
    } else if (service.n == 0 && node_text.n > 0) {
        add_name(b, csn, node_text, NULL, 0);
    } else if (service_size > 0) {
        add_address(b, csn, service_ip, service_size, false);
    } else if (service.n > 0) {
        add_name(b, csn, service, node_ip, node_size);
    }
}

/* Letters, digits, '-' and, as in 1.10.3, '\'. */
static bool may_be_nameserver(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '-' || c == '\\')) {
            return false;
        }
    }
    return true;
}

static void add_nameserver(struct builder *b, const struct check_service_node *csn)
{
    const struct node *node = csn->node;
    uint8_t ip[16];
    struct dns_instance instance = {0};
    struct str name = node_name(b, node);
    if (!may_be_nameserver(node->node) || name.n == 0) {
        return;
    }
    name = arena_lower(b->arena, name);
    instance.srv = srv_data(b, csn, name);
    unsigned size =
        dns_ip_parse(dns_node_address(b->settings, DNS_SET_ANY, node, node->datacenter), ip);
    instance.address = arena_str(b->arena, str_make(ip, size));
    vec_push(&b->found[false], instance);
    vec_push(&b->order[false], (uint32_t)(b->found[false].n - 1));
}

/* --- building: the set ------------------------------------------------------------------------ */

static void finish(struct builder *b)
{
    struct dns_set *set = b->set;
    size_t n0 = b->found[0].n, n1 = b->found[1].n, o0 = b->order[0].n, o1 = b->order[1].n;
    set->v = ARENA_ARRAY(b->arena, struct dns_instance, n0 + n1);
    set->order = ARENA_ARRAY(b->arena, uint32_t, o0 + o1);
    for (size_t i = 0; i < n0 + n1; i++) {
        set->v[i] = i < n0 ? b->found[0].v[i] : b->found[1].v[i - n0];
    }
    for (size_t i = 0; i < o0 + o1; i++) {
        set->order[i] = i < o0 ? b->order[0].v[i] : (uint32_t)(b->order[1].v[i - o0] + n0);
    }
    set->n_addresses = n0;
    set->n = n0 + n1;
    set->order_addresses = o0;
    set->order_count = o0 + o1;
    for (int i = 0; i < 2; i++) {
        vec_deinit(&b->found[i]);
        vec_deinit(&b->order[i]);
        map_deinit(&b->seen[i]);
    }
    buf_deinit(&b->key);
    arena_deinit(&b->scratch);
}

struct dns_set *dns_set_new(const struct dns_settings *settings, const struct dns_lookup *lookup,
                            const struct objlist *nodes)
{
    struct dns_set *set = xcalloc(1, sizeof(*set));
    struct builder b = {
        .settings = settings,
        .lookup = lookup,
        .datacenter = lookup->datacenter.n > 0 ? lookup->datacenter : settings->datacenter,
        .set = set,
        .arena = &set->arena,
    };
    map_init(&b.seen[0], MAP_KEYS_BORROWED);
    map_init(&b.seen[1], MAP_KEYS_BORROWED);
    set->type = lookup->type;
    set->in_order = lookup->kind == DNS_KIND_QUERY;
    set->ttl = dns_service_ttl(settings, lookup->service);
    b.node_suffix = suffix(&b, "node", b.datacenter);
    b.address_suffix = suffix(&b, "addr", b.datacenter);
    const struct check_service_node *v = nodes->v;
    for (size_t i = 0; i < nodes->n; i++) {
        /* A prepared query has its own idea of health. */
        if (lookup->kind != DNS_KIND_QUERY && !is_healthy(&v[i], settings->only_passing)) {
            continue;
        }
        set->healthy++;
        if (lookup->type == DNS_SET_NS) {
            add_nameserver(&b, &v[i]);
        } else {
            add_instance(&b, &v[i]);
        }
    }
    finish(&b);
    return set;
}

struct dns_set *dns_set_free(struct dns_set *set)
{
    if (set != NULL) {
        arena_deinit(&set->arena);
    }
    return mem_free(set);
}

/* --- drawing ---------------------------------------------------------------------------------- */

/* The first steps of a Fisher-Yates shuffle. Instances that look like one that was drawn are drawn
 * and passed over; when all looks are out there is nothing more to find. */
size_t dns_set_draw(struct dns_query *q, struct dns_set *set, size_t want, uint32_t *to)
{
    bool with_names = set->type == DNS_SET_SRV || set->type == DNS_SET_NS;
    size_t from = with_names ? set->order_count : set->order_addresses;
    size_t looks = with_names ? set->n : set->n_addresses;
    uint32_t *order = set->order;
    if (from > set->order_addresses) {
        /* Names may have to be looked up, and then the question is run again: it has to draw the
         * same ones, so the order must not depend on what was asked in between. */
        order = ARENA_ARRAY(q->arena, uint32_t, from);
        memcpy(order, set->order, from * sizeof(*order));
    }
    if (++set->stamp == 0) {
        set->stamp = 1;
        for (size_t i = 0; i < set->n; i++) {
            set->v[i].stamp = 0;
        }
    }
    size_t n = 0;
    want = MIN(want, looks);
    for (size_t i = 0; i < from && n < want; i++) {
        size_t j = set->in_order ? i : i + rng_below(&q->rng, from - i);
        uint32_t drawn = order[j];
        order[j] = order[i];
        order[i] = drawn;
        if (set->v[drawn].stamp != set->stamp) {
            set->v[drawn].stamp = set->stamp;
            to[n++] = drawn;
        }
    }
    return n;
}

/* --- the cache -------------------------------------------------------------------------------- */

void dns_cache_init(struct dns_cache *cache)
{
    map_init(&cache->sets, MAP_KEYS_BORROWED);
    list_init(&cache->lru);
    list_init(&cache->dead);
    cache->empty = xcalloc(1, sizeof(struct dns_set));
}

static size_t set_size(const struct dns_set *set)
{
    return sizeof(*set) + set->arena.size;
}

static void cache_remove(struct dns_cache *cache, struct dns_set *set)
{
    (void)map_remove(&cache->sets, set->key);
    list_remove(&set->node);
    cache->size -= set_size(set);
    list_push_back(&cache->dead, &set->node); /* the running question may use it */
}

void dns_cache_collect(struct dns_cache *cache)
{
    for (struct list *node; (node = list_pop_front(&cache->dead)) != NULL;) {
        dns_set_free(list_entry(node, struct dns_set, node));
    }
}

static void cache_add(struct dns_cache *cache, struct dns_set *set)
{
    while (!list_is_empty(&cache->lru) && (cache->sets.n >= DNS_CACHE_SETS_MAX ||
                                           cache->size + set_size(set) > DNS_CACHE_SIZE_MAX)) {
        cache_remove(cache, list_entry(cache->lru.next, struct dns_set, node));
    }
    (void)map_put(&cache->sets, set->key, set);
    list_push_back(&cache->lru, &set->node);
    cache->size += set_size(set);
}

void dns_cache_clear(struct dns_cache *cache)
{
    while (!list_is_empty(&cache->lru)) {
        cache_remove(cache, list_entry(cache->lru.next, struct dns_set, node));
    }
}

void dns_cache_deinit(struct dns_cache *cache)
{
    if (cache->empty != NULL) {
        dns_cache_clear(cache);
        dns_cache_collect(cache);
        map_deinit(&cache->sets);
        cache->empty = dns_set_free(cache->empty);
    }
}

static struct str set_key(const struct dns_lookup *lookup, char *to)
{
    size_t n = 0;
    to[n++] = (char)lookup->type;
    to[n++] = (char)lookup->kind;
    memcpy(to + n, lookup->service.p, lookup->service.n);
    n += lookup->service.n;
    to[n++] = '\0';
    if (lookup->tag.n > 0) {
        memcpy(to + n, lookup->tag.p, lookup->tag.n);
        n += lookup->tag.n;
    }
    return str_make(to, n);
}

static uint64_t service_index(const struct store_view *v, const struct dns_lookup *lookup)
{
    char name[INDEX_NAME_SIZE];
    memcpy(name, "service.", 8);
    memcpy(name + 8, lookup->service.p, lookup->service.n);
    return store_index(v, str_make(name, 8 + lookup->service.n));
}

static uint64_t kind_index(const struct store_view *v, const struct dns_lookup *lookup)
{
    return lookup->kind == DNS_KIND_CONNECT ? store_index(v, KIND_PROXY) : 0;
}

static bool is_current(struct dns_set *set, const struct store_view *v,
                       const struct dns_lookup *lookup)
{
    if (set->era != v->era) {
        return false;
    }
    if (set->view_index == v->last_index) {
        return true;
    }
    if (set->service_index == 0 || set->service_index != service_index(v, lookup) ||
        set->kind_index != kind_index(v, lookup)) {
        return false;
    }
    set->view_index = v->last_index;
    return true;
}

static struct dns_set *build(struct dns_query *q, const struct dns_lookup *lookup)
{
    struct objlist nodes;
    struct strlist tags = {&lookup->tag, 1};
    if (lookup->kind == DNS_KIND_CONNECT) {
        (void)catalog_health_connect_nodes(q->view, NULL, q->arena, lookup->service, &nodes);
    } else {
        (void)catalog_health_nodes(q->view, NULL, q->arena, lookup->service,
                                   lookup->tag.n > 0 ? &tags : NULL, &nodes);
    }
    return nodes.n > 0 || lookup->tag.n > 0 ? dns_set_new(q->settings, lookup, &nodes) : NULL;
}

struct dns_set *dns_set_find(struct dns_query *q, const struct dns_lookup *lookup)
{
    char text[2 * DNS_TEXT_SIZE_MAX + 3];
    struct dns_cache *cache = &q->server->cache;
    struct str key = set_key(lookup, text);
    struct dns_set *set = map_get(&cache->sets, key);
    if (LIKELY(set != NULL && is_current(set, q->view, lookup))) {
        list_remove(&set->node);
        list_push_back(&cache->lru, &set->node);
        return set;
    }
    if (set != NULL) {
        cache_remove(cache, set);
    }
    set = build(q, lookup);
    if (set == NULL) { /* made up names must not push out good ones */
        return cache->empty;
    }
    set->key = arena_str(&set->arena, key);
    set->era = q->view->era;
    set->view_index = q->view->last_index;
    set->service_index = service_index(q->view, lookup);
    set->kind_index = kind_index(q->view, lookup);
    cache_add(cache, set);
    return set;
}
