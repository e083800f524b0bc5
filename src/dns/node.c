/* <node>.node and <hex>.addr names, and the name servers of our zone. */
#include "base/encode.h"
#include "base/err.h"
#include "dns/internal.h"
#include "schema/catalog.h"
#include "store/catalog.h"

#define NAMESERVERS_MAX 3u

/* --- metadata --------------------------------------------------------------------------------- */

#define RFC1035_PREFIX STR("rfc1035-")

/* A key and its value in one string (RFC 1464); keys that begin with rfc1035- are left out. */
struct str dns_meta_text(struct arena *a, struct str key, struct str value)
{
    struct str start = str_first(key, RFC1035_PREFIX.n);
    if (str_eq_fold(start, RFC1035_PREFIX)) {
        return value;
    }
    struct buf b = {0};
    size_t leading = 0, trailing = key.n;
    while (leading < key.n && key.p[leading] == ' ') {
        leading++;
    }
    while (trailing > leading && key.p[trailing - 1] == ' ') {
        trailing--;
    }
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool quoted = c == '`' || c == '=' || (c == ' ' && (i < leading || i >= trailing));
        if (quoted) {
            buf_byte(&b, '`');
        }
        buf_byte(&b, (uint8_t)c);
    }
    buf_byte(&b, '=');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '`') {
            buf_byte(&b, '`');
        }
        buf_byte(&b, (uint8_t)value.p[i]);
    }
    struct str text = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return text;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static enum dns_set_type set_type(uint16_t type)
{
    switch (type) {
    case DNS_TYPE_A:
        return DNS_SET_A;
    case DNS_TYPE_AAAA:
        return DNS_SET_AAAA;
    default:
        return DNS_SET_ANY;
    }
}

static bool wants_address(uint16_t type, unsigned size)
{
    switch (type) {
    case DNS_TYPE_A:
        return size == 4;
    case DNS_TYPE_AAAA:
        return size == 16;
    default:
        return type == DNS_TYPE_ANY;
    }
}

static void add_node_address(struct dns_query *q, const struct dns_ask *ask,
                             const struct node *node)
{
    uint8_t ip[16];
    uint32_t ttl = q->settings->node_ttl;
    struct str text = dns_node_address(q->settings, set_type(ask->type), node, node->datacenter);
    unsigned size = dns_ip_parse(text, ip);
    if (size > 0) {
        if (wants_address(ask->type, size)) {
            dns_reply_add(q, &q->reply.answer, ask->name, size == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA,
                          ttl, arena_str(q->arena, str_make(ip, size)));
        }
        return;
    }
    struct str target = dns_query_name(q, node->address);
    if (target.n == 0) {
        return;
    }
    dns_reply_add(q, &q->reply.answer, ask->name, DNS_TYPE_CNAME, ttl, target);
    struct dns_rrs more = dns_resolve_name(q, target, ask->depth);
    for (size_t i = 0; i < more.n; i++) {
        dns_add(q->arena, &q->reply.answer, &more.v[i]);
    }
}

static void add_metas(struct dns_query *q, struct dns_rrs *to, struct str owner,
                      const struct node *node)
{
    for (size_t i = 0; i < node->meta.n; i++) {
        struct str text = dns_meta_text(q->arena, node->meta.v[i].key, node->meta.v[i].value);
        dns_reply_add(q, to, owner, DNS_TYPE_TXT, q->settings->node_ttl,
                      dns_txt_data(q->arena, text));
    }
}

/* By name, or by the beginning of its ID. */
static const struct node *find_local(struct dns_query *q, struct str name)
{
    struct node *node = catalog_node(q->view, name);
    struct ptrlist services;
    if (node == NULL) {
        (void)catalog_node_services(q->view, NULL, q->arena, name, &node, &services);
    }
    return node;
}

static enum dns_outcome find_node(struct dns_query *q, const struct dns_name_parts *parts,
                                  const struct node **ret_node)
{
    *ret_node = NULL;
    if (dns_may_read(q, parts->datacenter, DNS_NEED_NODE)) {
        *ret_node = find_local(q, parts->name);
    } else {
        struct dns_need want = {.kind = DNS_NEED_NODE, .name = parts->name};
        want.lookup.datacenter = parts->datacenter;
        want.key = arena_printf(q->arena, "%.*s.%.*s", STRF(parts->name), STRF(parts->datacenter));
        const struct dns_need *need = dns_need(q, &want);
        if (need == NULL || need->code < 0) {
            return need != NULL && need->code == -ERR_NO_DC_PATH ? DNS_NO_NAME : DNS_FAILED;
        }
        *ret_node = need->found;
    }
    return *ret_node != NULL ? DNS_OK : DNS_NO_NAME;
}

enum dns_outcome dns_answer_node(struct dns_query *q, const struct dns_ask *ask,
                                 const struct dns_name_parts *parts)
{
    /* Any other type is "no such records", even of a node that does not exist. */
    if (ask->type != DNS_TYPE_ANY && ask->type != DNS_TYPE_A && ask->type != DNS_TYPE_AAAA &&
        ask->type != DNS_TYPE_TXT) {
        return DNS_OK;
    }
    const struct node *node;
    enum dns_outcome outcome = find_node(q, parts, &node);
    if (outcome != DNS_OK) {
        return outcome;
    }
    bool metas_asked = ask->type == DNS_TYPE_TXT || ask->type == DNS_TYPE_ANY;
    if (ask->type != DNS_TYPE_TXT) {
        add_node_address(q, ask, node);
    }
    if (metas_asked || q->settings->node_meta_txt) {
        add_metas(q, metas_asked ? &q->reply.answer : &q->reply.additional, ask->name, node);
    }
    return DNS_OK;
}

/* --- addresses in names ----------------------------------------------------------------------- */

/* Type and data center do not matter; the owner is the name as we would give it out. */
enum dns_outcome dns_answer_addr(struct dns_query *q, struct str text, struct str digits)
{
    struct str ip;
    size_t size = digits.n / 2;
    if (size != 4 && size != 16) {
        return DNS_OK;
    }
    if (hex_decode(q->arena, digits, &ip) < 0) {
        return DNS_NO_NAME;
    }
    struct str owner = dns_query_name(q, arena_concat(q->arena, text, q->settings->domain));
    if (owner.n > 0) {
        dns_reply_add(q, &q->reply.answer, owner, size == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA,
                      q->settings->node_ttl, ip);
    }
    return DNS_OK;
}

/* --- name servers ----------------------------------------------------------------------------- */

void dns_add_nameservers(struct dns_query *q, struct dns_rrs *to)
{
    const struct dns_lookup lookup = {DNS_KIND_SERVICE, DNS_SET_NS, STR("consul"), STR_NULL,
                                      STR_NULL};
    struct dns_set *set = dns_find_set(q, &lookup, NULL);
    uint32_t drawn[NAMESERVERS_MAX];
    size_t n = set != NULL ? dns_set_draw(q, set, NAMESERVERS_MAX, drawn) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct dns_instance *instance = &set->v[drawn[i]];
        struct str name = str_from(instance->srv, 6);
        dns_reply_add(q, to, q->settings->domain_wire, DNS_TYPE_NS, q->settings->node_ttl, name);
        if (instance->address.n > 0) {
            dns_reply_add(q, &q->reply.additional, name,
                          instance->address.n == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA,
                          q->settings->node_ttl, instance->address);
        }
    }
}
