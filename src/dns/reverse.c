/* in-addr.arpa and ip6.arpa: from an address to the name of the first node that has it, else of the
 * first service. The index over all addresses is made when a question comes and "nodes" or
 * "services" have moved since it was made last. */
#include <arpa/inet.h>

#include "dns/internal.h"
#include "schema/catalog.h"
#include "store/catalog.h"

#define NIBBLES 32u

/* --- the name's address ----------------------------------------------------------------------- */

static bool parse_octet(struct str text, uint8_t *ret_octet)
{
    uint64_t value;
    if (text.n == 0 || text.n > 3 || (text.n > 1 && text.p[0] == '0') ||
        str_parse_u64(text, &value) < 0 || value > 255) {
        return false;
    }
    *ret_octet = (uint8_t)value;
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static unsigned parse_v4(struct str text, uint8_t *ip)
{
    for (int i = 3; i >= 0; i--) {
        struct str octet;
        if (!str_cut(text, '.', &octet, &text) && i > 0) {
            return 0;
        }
        if (!parse_octet(octet, &ip[i])) {
            return 0;
        }
    }
    return text.n == 0 ? 4 : 0;
}

static unsigned parse_v6(struct str text, uint8_t *ip)
{
    if (text.n != 2 * NIBBLES - 1) {
        return 0;
    }
    for (unsigned i = 0; i < NIBBLES; i++) {
        int digit = hex_digit(text.p[2 * i]);
        if (digit < 0 || (i + 1 < NIBBLES && text.p[2 * i + 1] != '.')) {
            return 0;
        }
        unsigned at = (NIBBLES - 1 - i) / 2;
        ip[at] = (uint8_t)(i % 2 == 0 ? digit : ip[at] | digit << 4);
    }
    return 16;
}

/* text is in lower case. */
static unsigned parse_arpa(struct str text, uint8_t *ip)
{
    static const struct str v4 = STR_INIT(".in-addr.arpa."), v6 = STR_INIT(".ip6.arpa.");
    if (str_has_suffix(text, v4)) {
        return parse_v4(str_first(text, text.n - v4.n), ip);
    }
    return str_has_suffix(text, v6) ? parse_v6(str_first(text, text.n - v6.n), ip) : 0;
}

/* --- the index -------------------------------------------------------------------------------- */

static void index_add(struct dns_reverse *r, struct map *map, const uint8_t *ip, unsigned size,
                      struct str name)
{
    struct str key = arena_str(&r->arena, str_make(ip, size));
    if (name.n > 0 && map_get(map, key) == NULL) {
        struct str *value = ARENA_NEW(&r->arena, struct str);
        *value = arena_str(&r->arena, name);
        map_put(map, key, value);
    }
}

/* Services are found by the text of the address, which has to be the usual one. */
static unsigned canonical_ip(struct str text, uint8_t *ip)
{
    char again[INET6_ADDRSTRLEN];
    unsigned size = dns_ip_parse(text, ip);
    if (size == 0 || inet_ntop(size == 4 ? AF_INET : AF_INET6, ip, again, sizeof(again)) == NULL) {
        return 0;
    }
    return str_eq(str_from_cstr(again), text) ? size : 0;
}

static void index_nodes(struct dns_query *q, struct dns_reverse *r)
{
    const struct dns_settings *s = q->settings;
    struct tree_iter it;
    const struct node *node;
    uint8_t ip[16];
    store_iter(&it, q->view, INDEX_NODES_ID, STR_NULL);
    while ((node = tree_next(&it, NULL)) != NULL) {
        unsigned size = dns_ip_parse(node->address, ip);
        if (size > 0) {
            struct str text = arena_printf(&r->arena, "%.*s.node.%.*s.%.*s", STRF(node->node),
                                           STRF(s->datacenter), STRF(s->domain));
            index_add(r, &r->nodes, ip, size, dns_query_name(q, text));
        }
    }
}

static void index_services(struct dns_query *q, struct dns_reverse *r)
{
    const struct dns_settings *s = q->settings;
    struct tree_iter it;
    const struct service_row *row;
    uint8_t ip[16];
    store_iter(&it, q->view, INDEX_SERVICES_ID, STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        unsigned size = canonical_ip(row->service.address, ip);
        if (size > 0) {
            struct str text =
                arena_printf(&r->arena, "%.*s.service.%.*s.%.*s", STRF(row->service.service),
                             STRF(s->datacenter), STRF(s->domain));
            index_add(r, &r->services, ip, size, dns_query_name(q, text));
        }
    }
}

void dns_reverse_clear(struct dns_reverse *r)
{
    map_deinit(&r->nodes);
    map_deinit(&r->services);
    arena_deinit(&r->arena);
    r->is_built = false;
}

static void index_refresh(struct dns_query *q, struct dns_reverse *r)
{
    const struct store_view *v = q->view;
    if (r->is_built && r->era == v->era && r->view_index == v->last_index) {
        return;
    }
    uint64_t nodes = store_index(v, STR("nodes")), services = store_index(v, STR("services"));
    if (!r->is_built || r->era != v->era || r->nodes_index != nodes ||
        r->services_index != services) {
        dns_reverse_clear(r);
        map_init(&r->nodes, MAP_KEYS_BORROWED);
        map_init(&r->services, MAP_KEYS_BORROWED);
        index_nodes(q, r);
        index_services(q, r);
    }
    r->is_built = true;
    r->era = v->era;
    r->view_index = v->last_index;
    r->nodes_index = nodes;
    r->services_index = services;
}

/* --- answers ---------------------------------------------------------------------------------- */

static struct str find_here(struct dns_query *q, struct str ip)
{
    struct dns_reverse *r = &q->server->reverse;
    index_refresh(q, r);
    const struct str *name = map_get(&r->nodes, ip);
    if (name == NULL) {
        name = map_get(&r->services, ip);
    }
    return name != NULL ? *name : STR_NULL;
}

static struct str find_elsewhere(struct dns_query *q, struct str ip)
{
    const struct dns_settings *s = q->settings;
    char text[INET6_ADDRSTRLEN];
    struct str label = STR("node");
    struct dns_need want = {.kind = DNS_NEED_NODE_AT, .key = ip};
    const struct dns_need *need = dns_need(q, &want);
    if (need != NULL && need->found_at.n == 0) {
        const char *usual = inet_ntop(ip.n == 4 ? AF_INET : AF_INET6, ip.p, text, sizeof(text));
        want.kind = DNS_NEED_SERVICE_AT;
        want.name = arena_str(q->arena, str_from_cstr(usual));
        label = STR("service");
        need = dns_need(q, &want);
    }
    if (need == NULL || need->found_at.n == 0) {
        return STR_NULL;
    }
    struct buf name = {0};
    buf_printf(&name, "%.*s.%.*s.%.*s.%.*s", STRF(need->found_at), STRF(label), STRF(s->datacenter),
               STRF(s->domain));
    struct str wire = dns_query_name(q, buf_view(&name));
    buf_deinit(&name);
    return wire;
}

bool dns_answer_ptr(struct dns_query *q)
{
    char lower[DNS_TEXT_SIZE_MAX];
    uint8_t bytes[16];
    unsigned size = parse_arpa(dns_name_text(q->request.question.name, true, lower), bytes);
    if (size == 0) {
        return false;
    }
    struct str ip = arena_str(q->arena, str_make(bytes, size));
    struct str name = dns_may_read(q, STR_NULL, DNS_NEED_NODE_AT) ? find_here(q, ip) : find_elsewhere(q, ip);
    if (name.n == 0) {
        return false;
    }
    dns_reply_add(q, &q->reply.answer, q->request.question.name, DNS_TYPE_PTR, 0, name);
    return true;
}
