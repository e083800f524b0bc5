/* Services: their instances as addresses, or as SRV records with the addresses behind them. */
#include <arpa/inet.h>

#include "base/err.h"
#include "dns/internal.h"

/* Without EDNS no more of what lies behind a name is shown. */
#define RECORDS_BEHIND_MAX 5u

struct dns_set *dns_find_set(struct dns_query *q, const struct dns_lookup *lookup,
                             enum dns_outcome *ret_outcome)
{
    if (lookup->kind != DNS_KIND_INGRESS && dns_may_read(q, lookup->datacenter, DNS_NEED_SERVICE)) {
        return dns_set_find(q, lookup);
    }
    struct dns_need want = {.kind = DNS_NEED_SERVICE, .lookup = *lookup};
    want.key = arena_printf(q->arena, "%d.%d.%.*s.%.*s.%.*s", (int)lookup->kind, (int)lookup->type,
                            STRF(lookup->tag), STRF(lookup->service), STRF(lookup->datacenter));
    const struct dns_need *need = dns_need(q, &want);
    if (need != NULL && need->set != NULL) {
        return need->set;
    }
    if (ret_outcome != NULL) {
        *ret_outcome = need != NULL && need->code == -ERR_NO_DC_PATH ? DNS_NO_NAME : DNS_FAILED;
    }
    return NULL;
}

static uint16_t address_type(struct str address)
{
    return address.n == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA;
}

/* What lies behind a name, under the TTL of the service. */
static void add_behind(struct dns_query *q, struct dns_rrs *to, struct str name, uint32_t ttl,
                       unsigned depth)
{
    struct dns_rrs more = dns_resolve_name(q, name, depth);
    size_t added = 0;
    for (size_t i = 0; i < more.n && (q->opt != NULL || added < RECORDS_BEHIND_MAX); i++) {
        struct dns_rr rr = more.v[i];
        if (rr.type == DNS_TYPE_CNAME || rr.type == DNS_TYPE_A || rr.type == DNS_TYPE_AAAA) {
            rr.ttl = ttl;
            dns_add(q->arena, to, &rr);
            added++;
        }
    }
}

/* A service whose address is the very name that was asked for: its node's address counts. */
static bool is_own_alias(const struct dns_ask *ask, const struct dns_instance *instance)
{
    return instance->node_address.n > 0 && str_eq(str_from(instance->srv, 6), ask->name);
}

/* --- SRV -------------------------------------------------------------------------------------- */

static void add_srv(struct dns_query *q, const struct dns_ask *ask, const struct dns_set *set,
                    const struct dns_instance *instance)
{
    struct dns_msg *m = &q->reply;
    struct str srv = instance->srv, address = instance->address;
    if (address.n == 0 && is_own_alias(ask, instance)) {
        srv = instance->node_srv;
        address = instance->node_address;
    }
    struct str target = str_from(srv, 6);
    dns_reply_add(q, &m->answer, ask->name, DNS_TYPE_SRV, set->ttl, srv);
    if (address.n > 0) {
        dns_reply_add(q, &m->additional, target, address_type(address), set->ttl, address);
    } else {
        add_behind(q, &m->additional, target, set->ttl, ask->depth);
    }
    for (uint32_t i = 0; i < instance->metas_count; i++) {
        dns_reply_add(q, &m->additional, instance->meta_owner, DNS_TYPE_TXT, set->ttl,
                      instance->metas[i]);
    }
}

static void add_srvs(struct dns_query *q, const struct dns_ask *ask, struct dns_set *set)
{
    size_t want = MIN(dns_answers_max(q, ask), set->n);
    uint32_t *drawn = ARENA_ARRAY(q->arena, uint32_t, want);
    size_t n = dns_set_draw(q, set, want, drawn);
    for (size_t i = 0; i < n; i++) {
        add_srv(q, ask, set, &set->v[drawn[i]]);
    }
}

/* --- addresses -------------------------------------------------------------------------------- */

/* Asking for text gives addresses too, as in 1.10.3. */
static bool wants_addresses(uint16_t type)
{
    return type == DNS_TYPE_A || type == DNS_TYPE_AAAA || type == DNS_TYPE_ANY ||
           type == DNS_TYPE_TXT;
}

static bool has_answer(const struct dns_query *q, struct str address)
{
    for (size_t i = 0; i < q->reply.answer.n; i++) {
        if (str_eq(q->reply.answer.v[i].data, address)) {
            return true;
        }
    }
    return false;
}

static void add_own_aliases(struct dns_query *q, const struct dns_ask *ask,
                            const struct dns_set *set, size_t max)
{
    for (size_t i = set->n_addresses; i < set->n && q->reply.answer.n < max; i++) {
        const struct dns_instance *instance = &set->v[i];
        struct str address = instance->node_address;
        bool fits = set->type == DNS_SET_ANY || address.n == (set->type == DNS_SET_A ? 4u : 16u);
        if (is_own_alias(ask, instance) && fits && !has_answer(q, address)) {
            dns_reply_add(q, &q->reply.answer, ask->name, address_type(address), set->ttl, address);
        }
    }
}

/* One of the names, and what lies behind it; only for want of addresses. */
static void add_cname(struct dns_query *q, const struct dns_ask *ask, const struct dns_set *set)
{
    size_t names = set->order_count - set->order_addresses;
    size_t start = set->in_order ? 0 : rng_below(&q->rng, names);
    for (size_t i = 0; i < names; i++) {
        size_t at = set->order_addresses + (start + i) % names;
        const struct dns_instance *instance = &set->v[set->order[at]];
        if (is_own_alias(ask, instance)) {
            continue;
        }
        struct str target = str_from(instance->srv, 6);
        dns_reply_add(q, &q->reply.answer, ask->name, DNS_TYPE_CNAME, set->ttl, target);
        add_behind(q, &q->reply.answer, target, set->ttl, ask->depth);
        return;
    }
}

static void add_addresses(struct dns_query *q, const struct dns_ask *ask, struct dns_set *set)
{
    size_t max = dns_answers_max(q, ask);
    if (wants_addresses(ask->type)) {
        size_t want = MIN(max, set->n_addresses);
        uint32_t *drawn = ARENA_ARRAY(q->arena, uint32_t, want);
        struct dns_rr *rrs = arena_alloc(q->arena, (want + 1) * sizeof(*rrs));
        size_t n = dns_set_draw(q, set, want, drawn);
        for (size_t i = 0; i < n; i++) {
            struct str address = set->v[drawn[i]].address;
            rrs[i] =
                (struct dns_rr){ask->name, address_type(address), DNS_CLASS_IN, set->ttl, address};
        }
        q->reply.answer = (struct dns_rrs){rrs, n, want + 1};
        add_own_aliases(q, ask, set, max);
    }
    if (q->reply.answer.n == 0 && set->order_count > set->order_addresses) {
        add_cname(q, ask, set);
    }
}

static enum dns_set_type set_type(uint16_t type)
{
    return type == DNS_TYPE_A      ? DNS_SET_A
           : type == DNS_TYPE_AAAA ? DNS_SET_AAAA
           : type == DNS_TYPE_SRV  ? DNS_SET_SRV
                                   : DNS_SET_ANY;
}

static enum dns_outcome answer_set(struct dns_query *q, const struct dns_ask *ask,
                                   struct dns_set *set)
{
    if (set->healthy == 0) {
        return DNS_NO_NAME;
    }
    if (ask->type == DNS_TYPE_SRV) {
        add_srvs(q, ask, set);
    } else {
        add_addresses(q, ask, set);
    }
    return q->reply.answer.n > 0 ? DNS_OK : DNS_NO_DATA;
}

enum dns_outcome dns_answer_service(struct dns_query *q, const struct dns_ask *ask,
                                    const struct dns_name_parts *parts)
{
    enum dns_outcome outcome = DNS_OK;
    struct dns_lookup lookup = {.kind = parts->kind,
                                .type = set_type(ask->type),
                                .service = parts->name,
                                .tag = parts->tag,
                                .datacenter = parts->datacenter};
    if (lookup.service.n == 0) {
        return DNS_FAILED; /* "_._tcp": a service without a name cannot be asked for */
    }
    struct dns_set *set = dns_find_set(q, &lookup, &outcome);
    return set != NULL ? answer_set(q, ask, set) : outcome;
}

/* --- prepared queries ------------------------------------------------------------------------- */

/* Whom an answer is for: the network that EDNS tells, else the one who asks. */
static struct str client_ip(const struct dns_query *q, char to[ADDRESS_IP_SIZE_MAX])
{
    struct dns_subnet subnet;
    if (q->opt == NULL || !dns_opt_subnet(q->opt, &subnet)) {
        return address_ip(&q->client->peer.address, to);
    }
    const char *text =
        inet_ntop(subnet.family == 2 ? AF_INET6 : AF_INET, subnet.address, to, ADDRESS_IP_SIZE_MAX);
    return text != NULL ? str_from_cstr(text) : STR_NULL;
}

enum dns_outcome dns_answer_query(struct dns_query *q, const struct dns_ask *ask,
                                  const struct dns_name_parts *parts)
{
    char ip[ADDRESS_IP_SIZE_MAX];
    struct dns_need want = {.kind = DNS_NEED_QUERY,
                            .name = arena_str(q->arena, client_ip(q, ip)),
                            .lookup = {.kind = DNS_KIND_QUERY,
                                       .type = set_type(ask->type),
                                       .service = parts->name,
                                       .datacenter = parts->datacenter}};
    want.key = arena_printf(q->arena, "%d.%.*s.%.*s", (int)want.lookup.type, STRF(parts->name),
                            STRF(parts->datacenter));
    const struct dns_need *need = dns_need(q, &want);
    if (need != NULL && need->set != NULL) {
        return answer_set(q, ask, need->set);
    }
    bool is_unknown =
        need != NULL && (need->code == -ERR_NOT_FOUND || need->code == -ERR_NO_DC_PATH);
    return is_unknown ? DNS_NO_NAME : DNS_FAILED;
}

/* --- names behind names ----------------------------------------------------------------------- */

static bool is_below(struct str name, struct str domain)
{
    while (domain.n > 1 && name.n > domain.n) {
        name = dns_name_parent(name, 1);
        if (name.n == domain.n) {
            return dns_name_eq_fold(name, domain);
        }
    }
    return false;
}

static struct dns_rrs resolve_ours(struct dns_query *q, struct str name, unsigned depth)
{
    struct dns_msg saved = q->reply;
    const struct dns_ask ask = {name, DNS_TYPE_ANY, depth - 1};
    q->reply.answer = q->reply.additional = (struct dns_rrs){0};
    (void)dns_dispatch(q, &ask);
    struct dns_rrs found = q->reply.answer;
    q->reply = saved;
    return found;
}

struct dns_rrs dns_resolve_name(struct dns_query *q, struct str name, unsigned depth)
{
    const struct dns_settings *s = q->settings;
    if (is_below(name, s->domain_wire) || is_below(name, s->alt_domain_wire)) {
        return depth > 0 ? resolve_ours(q, name, depth) : (struct dns_rrs){0};
    }
    if (s->recursors_count == 0) {
        return (struct dns_rrs){0};
    }
    struct dns_need want = {.kind = DNS_NEED_NAME, .key = name, .name = name};
    const struct dns_need *need = dns_need(q, &want);
    return need != NULL ? need->rrs : (struct dns_rrs){0};
}
