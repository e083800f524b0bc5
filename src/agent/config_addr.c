/* From bind_addr, advertise_addr, client_addr and the like to addresses one can bind and dial.
 *
 * bind_addr 0.0.0.0 may be listened at but not told to others; the address advertised instead is
 * the machine's only private IPv4 address (for ::, its only public IPv6 address), and it is an
 * error when there is none or more than one. */
#include "agent/config_build.h"
#include "base/buf.h"
#include "base/gofmt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>

/* --- IP addresses ------------------------------------------------------------------------------
 */

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int ip_parse(struct str text, struct ip *ret_ip)
{
    char z[INET6_ADDRSTRLEN + 1];
    struct ip ip = {0};
    if (text.n == 0 || text.n >= sizeof(z)) {
        return -ERR_INVALID;
    }
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET, z, ip.bytes) == 1) {
        ip.size = 4;
    } else if (inet_pton(AF_INET6, z, ip.bytes) == 1) {
        ip.size = 16;
        if (memcmp(ip.bytes, v4_prefix, sizeof(v4_prefix)) == 0) { /* ::ffff:1.2.3.4 is 1.2.3.4 */
            memmove(ip.bytes, ip.bytes + 12, 4);
            ip.size = 4;
        }
    } else {
        return -ERR_INVALID;
    }
    *ret_ip = ip;
    return 0;
}

struct str ip_format(struct arena *a, const struct ip *ip)
{
    char z[INET6_ADDRSTRLEN];
    if (ip->size == 0 ||
        inet_ntop(ip->size == 4 ? AF_INET : AF_INET6, ip->bytes, z, sizeof(z)) == NULL) {
        return STR("");
    }
    return arena_str(a, str_from_cstr(z));
}

bool ip_is_any(const struct ip *ip)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < ip->size; i++) {
        sum |= ip->bytes[i];
    }
    return ip->size > 0 && sum == 0;
}

bool ip_text_is_any(struct str text)
{
    return str_eq_lit(text, "0.0.0.0") || str_eq_lit(text, "::") || str_eq_lit(text, "[::]");
}

bool cidr_contains(const struct config_cidr *cidr, const struct ip *ip)
{
    if (cidr->ip_size != ip->size) {
        return false;
    }
    unsigned bytes = cidr->bits / 8, rest = cidr->bits % 8;
    return memcmp(cidr->ip, ip->bytes, bytes) == 0 &&
           (rest == 0 || ((cidr->ip[bytes] ^ ip->bytes[bytes]) >> (8 - rest)) == 0);
}

int cidr_parse(struct arena *a, struct str text, struct config_cidr *ret_cidr)
{
    struct str head, tail;
    struct ip ip;
    uint64_t bits;
    if (!str_cut(text, '/', &head, &tail) || ip_parse(head, &ip) < 0 ||
        str_parse_u64(tail, &bits) < 0 || bits > ip.size * 8u) {
        return -ERR_INVALID;
    }
    for (unsigned i = (unsigned)bits; i < ip.size * 8u; i++) { /* the host's bits go */
        ip.bytes[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
    }
    struct config_cidr cidr = {.ip_size = ip.size, .bits = (uint8_t)bits};
    memcpy(cidr.ip, ip.bytes, sizeof(cidr.ip));
    cidr.text = arena_printf(a, "%.*s/%u", STRF(ip_format(a, &ip)), (unsigned)bits);
    *ret_cidr = cidr;
    return 0;
}

bool config_cidrs_contain(struct config_cidrlist cidrs, struct str text)
{
    struct ip ip;
    if (ip_parse(text, &ip) < 0) {
        return false;
    }
    for (size_t i = 0; i < cidrs.n; i++) {
        if (cidr_contains(&cidrs.v[i], &ip)) {
            return true;
        }
    }
    return false;
}

/* Networks whose addresses are not reachable from everywhere: RFC 6890 and its neighbours. */
bool ip_is_private(const struct ip *ip)
{
    static const struct config_cidr blocks[] = {
        {.ip = {10}, .ip_size = 4, .bits = 8},
        {.ip = {100, 64}, .ip_size = 4, .bits = 10},
        {.ip = {127}, .ip_size = 4, .bits = 8},
        {.ip = {169, 254}, .ip_size = 4, .bits = 16},
        {.ip = {172, 16}, .ip_size = 4, .bits = 12},
        {.ip = {192, 0, 0}, .ip_size = 4, .bits = 24},
        {.ip = {192, 0, 2}, .ip_size = 4, .bits = 24},
        {.ip = {192, 168}, .ip_size = 4, .bits = 16},
        {.ip = {[15] = 1}, .ip_size = 16, .bits = 128},
        {.ip = {0xfe, 0x80}, .ip_size = 16, .bits = 10},
        {.ip = {0xfc}, .ip_size = 16, .bits = 7},
        {.ip = {0xfe, 0xc0}, .ip_size = 16, .bits = 10},
        {.ip = {0x20, 0x01, 0x0d, 0xb8}, .ip_size = 16, .bits = 32},
    };
    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
        if (cidr_contains(&blocks[i], ip)) {
            return true;
        }
    }
    return false;
}

/* --- interfaces --------------------------------------------------------------------------------
 */

static unsigned mask_bits(const uint8_t *mask, size_t size)
{
    unsigned bits = 0;
    for (size_t i = 0; i < size; i++) {
        bits += (unsigned)__builtin_popcount(mask[i]);
    }
    return bits;
}

/* Name of the interface with the IPv4 default route; empty when there is none. */
static struct str default_iface(struct arena *a)
{
    struct str found = STR("");
    FILE *file = fopen("/proc/net/route", "re");
    char line[512], name[64];
    unsigned long destination, mask;
    while (file != NULL && found.n == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%63s %lx %*s %*s %*s %*s %*s %lx", name, &destination, &mask) == 3 &&
            destination == 0 && mask == 0) {
            found = arena_str(a, str_from_cstr(name));
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

int iface_list_read(struct arena *a, struct iface_list *ret_list, struct err *err)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0) {
        return err_from_errno(err, errno, "Failed to get interface addresses");
    }
    struct str default_name = default_iface(a);
    VEC(struct iface_addr) addrs = {0};
    for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        struct iface_addr addr = {.flags = i->ifa_flags};
        if (i->ifa_addr == NULL) {
            continue;
        }
        if (i->ifa_addr->sa_family == AF_INET) {
            addr.ip.size = 4;
            memcpy(addr.ip.bytes, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, 4);
        } else if (i->ifa_addr->sa_family == AF_INET6) {
            addr.ip.size = 16;
            memcpy(addr.ip.bytes, &((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr, 16);
        } else {
            continue;
        }
        addr.bits = addr.ip.size * 8u;
        if (i->ifa_netmask != NULL && addr.ip.size == 4) {
            addr.bits =
                mask_bits((uint8_t *)&((struct sockaddr_in *)(void *)i->ifa_netmask)->sin_addr, 4);
        } else if (i->ifa_netmask != NULL) {
            addr.bits = mask_bits(
                (uint8_t *)&((struct sockaddr_in6 *)(void *)i->ifa_netmask)->sin6_addr, 16);
        }
        addr.name = arena_str(a, str_from_cstr(i->ifa_name));
        addr.is_default = str_eq(addr.name, default_name);
        avec_push(a, &addrs, addr);
    }
    freeifaddrs(all);
    *ret_list = (struct iface_list){addrs.v, addrs.n};
    return 0;
}

/* --- expansion ---------------------------------------------------------------------------------
 */

struct place { /* what an address key may name */
    struct ip ip;
    struct str path; /* of a Unix socket */
};

struct places {
    struct place *v;
    size_t n;
};

static bool next_word(struct str *rest, struct str *ret_word)
{
    *rest = str_trim(*rest);
    size_t n = 0;
    while (n < rest->n && strchr(" \t\n\v\f\r", rest->p[n]) == NULL) {
        n++;
    }
    *ret_word = str_first(*rest, n);
    *rest = str_from(*rest, n);
    return n > 0;
}

static int expand_text(struct config_builder *b, const char *name, struct str text,
                       struct str *ret_text)
{
    struct err why = {0};
    if (template_expand(b->a, text, ret_text, &why) < 0) {
        builder_error(b, "%s: error parsing %.*s: %s", name, STRF(go_quoted(b->a, text)),
                      err_text(&why));
        return -ERR_INVALID;
    }
    return 0;
}

static struct places expand_places(struct config_builder *b, const char *name, struct str text)
{
    VEC(struct place) places = {0};
    struct str rest, word;
    if (text.n == 0 || expand_text(b, name, text, &rest) < 0) {
        return (struct places){0};
    }
    while (next_word(&rest, &word)) {
        struct place place = {0};
        if (str_has_prefix(word, STR("unix://"))) {
            place.path = str_from(word, 7);
        } else if (ip_parse(str_eq_lit(word, "[::]") ? STR("::") : word, &place.ip) < 0) {
            builder_error(b, "%s: invalid ip address: %.*s", name, STRF(word));
            return (struct places){0};
        }
        avec_push(b->a, &places, place);
    }
    return (struct places){places.v, places.n};
}

static struct places expand_ips(struct config_builder *b, const char *name, struct str text)
{
    struct places places = expand_places(b, name, text);
    for (size_t i = 0; i < places.n; i++) {
        if (places.v[i].ip.size == 0) {
            builder_error(b, "%s cannot be a unix socket", name);
            return (struct places){0};
        }
    }
    return places;
}

/* The one address a key may name; size 0 when it names none (or, with an error noted, several). */
static struct ip expand_first_ip(struct config_builder *b, const char *name)
{
    struct places places = expand_places(b, name, builder_str(b, name));
    if (places.n > 1) {
        struct buf text;
        buf_init(&text, 1024);
        for (size_t i = 0; i < places.n; i++) {
            struct str one =
                places.v[i].ip.size > 0 ? ip_format(b->a, &places.v[i].ip) : places.v[i].path;
            buf_printf(&text, "%s%.*s", i > 0 ? " " : "", STRF(one));
        }
        builder_error(b, "%s: multiple addresses found: %.*s", name, STRF(buf_view(&text)));
        buf_deinit(&text);
        return (struct ip){0};
    }
    if (places.n == 1 && places.v[0].ip.size == 0) {
        builder_error(b, "%s cannot be a unix socket", name);
    }
    return places.n == 1 ? places.v[0].ip : (struct ip){0};
}

struct strlist config_expand_optional(struct config_builder *b, const char *name,
                                      struct strlist texts)
{
    VEC(struct str) out = {0};
    for (size_t i = 0; i < texts.n; i++) {
        struct str rest, word;
        if (texts.v[i].n == 0 || expand_text(b, name, texts.v[i], &rest) < 0) {
            continue;
        }
        if (str_eq(rest, texts.v[i])) { /* no template: kept whole, spaces and all */
            avec_push(b->a, &out, rest);
            continue;
        }
        while (next_word(&rest, &word)) {
            avec_push(b->a, &out, word);
        }
    }
    return (struct strlist){out.v, out.n};
}

/* --- the address to advertise --------------------------------------------------------------------
 */

static int detect_candidates(struct config_builder *b, bool is_v6, struct places *ret_places,
                             struct err *err)
{
    VEC(struct place) found = {0};
    const struct config_sources *sources = b->sources;
    if (sources->addresses_given) {
        struct strlist given = is_v6 ? sources->public_ipv6 : sources->private_ipv4;
        for (size_t i = 0; i < given.n; i++) {
            struct place place = {0};
            if (ip_parse(given.v[i], &place.ip) == 0) {
                avec_push(b->a, &found, place);
            }
        }
        *ret_places = (struct places){found.v, found.n};
        return 0;
    }
    struct iface_list ifaces;
    int rc = iface_list_read(b->a, &ifaces, err);
    if (rc < 0) {
        return rc;
    }
    /* Of IPv4 the loopback interface counts only when no other is up. */
    bool has_other = false;
    for (size_t i = 0; i < ifaces.n; i++) {
        has_other |= (ifaces.v[i].flags & (IFF_UP | IFF_LOOPBACK)) == IFF_UP;
    }
    for (size_t i = 0; i < ifaces.n; i++) {
        const struct iface_addr *addr = &ifaces.v[i];
        struct place place = {.ip = addr->ip};
        bool wanted = is_v6 ? addr->ip.size == 16 && !ip_is_private(&addr->ip)
                            : addr->ip.size == 4 && ip_is_private(&addr->ip) &&
                                  (addr->flags & IFF_UP) != 0 &&
                                  ((addr->flags & IFF_LOOPBACK) == 0 || !has_other);
        if (wanted) {
            avec_push(b->a, &found, place);
        }
    }
    *ret_places = (struct places){found.v, found.n};
    return 0;
}

static int detect_advertise(struct config_builder *b, struct ip *ip, struct err *err)
{
    const char *type = ip->size == 4 ? "private IPv4" : "public IPv6";
    struct places places;
    int rc = detect_candidates(b, ip->size == 16, &places, err);
    if (rc < 0) {
        return err_wrap(err, "Error detecting %s address", type);
    }
    if (places.n == 0) {
        return err_set(err, ERR_FAILED, "No %s address found", type);
    }
    if (places.n > 1) {
        return err_set(err, ERR_FAILED,
                       "Multiple %s addresses found. Please configure one with 'bind' and/or "
                       "'advertise'.",
                       type);
    }
    *ip = places.v[0].ip;
    return 0;
}

/* --- putting it together -------------------------------------------------------------------------
 */

static struct config_addr make_addr(struct config_builder *b, struct ip pri, struct ip sec,
                                    int64_t port)
{
    const struct ip *ip = pri.size > 0 ? &pri : &sec;
    if (ip->size == 0 || port <= 0) {
        return (struct config_addr){0};
    }
    return (struct config_addr){.host = ip_format(b->a, ip), .port = (uint16_t)port};
}

static struct config_addrlist make_addrs(struct config_builder *b, const char *name,
                                         struct places clients, int64_t port)
{
    struct places places = expand_places(b, name, builder_str(b, name));
    if (places.n == 0) {
        places = clients;
    }
    if (places.n == 0 || port <= 0) {
        return (struct config_addrlist){0};
    }
    struct config_addr *addrs = ARENA_ARRAY(b->a, struct config_addr, places.n);
    for (size_t i = 0; i < places.n; i++) {
        const struct place *place = &places.v[i];
        addrs[i] = place->ip.size > 0 ? make_addr(b, place->ip, (struct ip){0}, port)
                                      : (struct config_addr){.path = place->path};
    }
    return (struct config_addrlist){addrs, places.n};
}

/* An address of one family: the key for that family, else `general` when it is of it. */
static int family_ip(struct config_builder *b, const char *name, struct ip general, uint8_t size,
                     struct ip *ret_ip, struct err *err)
{
    struct ip ip = expand_first_ip(b, name);
    if (ip.size == 0 && general.size == size) {
        ip = general;
    }
    if (ip.size != 0 && ip.size != size) {
        return err_set(err, ERR_INVALID, "%s must be an ipv%c address", name,
                       size == 4 ? '4' : '6');
    }
    *ret_ip = ip;
    return 0;
}

static struct ip first_of(struct ip pri, struct ip sec)
{
    return pri.size > 0 ? pri : sec;
}

static int build_advertise(struct config_builder *b, struct ip bind, struct ip *ret_lan,
                           struct ip *ret_wan, struct err *err)
{
    struct ip v4, v6, wan_v4, wan_v6;
    struct ip advertise = first_of(expand_first_ip(b, "advertise_addr"), bind);
    int rc = ip_is_any(&advertise) ? detect_advertise(b, &advertise, err) : 0;
    if (rc < 0) {
        return rc;
    }
    struct ip lan = first_of(expand_first_ip(b, "advertise_addr"), advertise);
    if ((rc = family_ip(b, "advertise_addr_ipv4", advertise, 4, &v4, err)) < 0 ||
        (rc = family_ip(b, "advertise_addr_ipv6", advertise, 16, &v6, err)) < 0) {
        return rc;
    }
    struct ip wan = first_of(expand_first_ip(b, "advertise_addr_wan"), lan);
    if ((rc = family_ip(b, "advertise_addr_wan_ipv4", wan, 4, &wan_v4, err)) < 0 ||
        (rc = family_ip(b, "advertise_addr_wan_ipv6", wan, 16, &wan_v6, err)) < 0) {
        return rc;
    }
    const struct value *given = builder_get(b, "tagged_addresses");
    size_t given_count = given != NULL ? given->map.n : 0, n = 0;
    struct strpair *pairs = ARENA_ARRAY(b->a, struct strpair, given_count + 6);
    for (; n < given_count; n++) {
        pairs[n] = (struct strpair){given->map.v[n].key, given->map.v[n].value.s};
    }
    const struct {
        const char *name;
        const struct ip *ip;
    } own[] = {{"lan", &lan}, {"lan_ipv4", &v4},     {"lan_ipv6", &v6},
               {"wan", &wan}, {"wan_ipv4", &wan_v4}, {"wan_ipv6", &wan_v6}};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        if (own[i].ip->size > 0) {
            pairs[n++] = (struct strpair){str_from_cstr(own[i].name), ip_format(b->a, own[i].ip)};
        }
    }
    b->config->addresses.tagged = strmap_build(pairs, n);
    *ret_lan = lan;
    *ret_wan = wan;
    return 0;
}

static int build_bind(struct config_builder *b, struct ip *ret_bind, struct err *err)
{
    struct places places = expand_places(b, "bind_addr", builder_str(b, "bind_addr"));
    if (places.n == 0) {
        return err_set(err, ERR_INVALID, "bind_addr cannot be empty");
    }
    if (places.n > 1) {
        return err_set(err, ERR_INVALID,
                       "bind_addr cannot contain multiple addresses. Use "
                       "'addresses.{dns,http,https}' instead.");
    }
    if (places.v[0].ip.size == 0) {
        return err_set(err, ERR_INVALID, "bind_addr cannot be a unix socket");
    }
    if (ip_text_is_any(builder_str(b, "advertise_addr"))) {
        return err_set(err, ERR_INVALID, "Advertise address cannot be 0.0.0.0, :: or [::]");
    }
    if (ip_text_is_any(builder_str(b, "advertise_addr_wan"))) {
        return err_set(err, ERR_INVALID, "Advertise WAN address cannot be 0.0.0.0, :: or [::]");
    }
    *ret_bind = places.v[0].ip;
    return 0;
}

int config_addresses_build(struct config_builder *b, struct err *err)
{
    struct config_addresses *to = &b->config->addresses;
    const struct config_ports *ports = &b->config->ports;
    struct ip bind, lan, wan, none = {0};
    int rc = build_bind(b, &bind, err);
    if (rc < 0) {
        return rc;
    }
    if ((rc = build_advertise(b, bind, &lan, &wan, err)) < 0) {
        return rc;
    }
    to->bind = ip_format(b->a, &bind);
    to->advertise = ip_format(b->a, &lan);
    to->advertise_wan = ip_format(b->a, &wan);
    to->rpc_bind = make_addr(b, bind, none, ports->server);
    to->rpc_advertise = make_addr(b, lan, none, ports->server);
    to->serf_bind_lan = make_addr(b, expand_first_ip(b, "serf_lan"), bind, ports->serf_lan);
    to->serf_advertise_lan = make_addr(b, lan, none, ports->serf_lan);
    if (ports->serf_wan >= 0) {
        to->serf_bind_wan = make_addr(b, expand_first_ip(b, "serf_wan"), bind, ports->serf_wan);
        to->serf_advertise_wan = make_addr(b, wan, none, ports->serf_wan);
    }
    struct places clients = expand_ips(b, "client_addr", builder_str(b, "client_addr"));
    struct str *texts = ARENA_ARRAY(b->a, struct str, clients.n);
    for (size_t i = 0; i < clients.n; i++) {
        texts[i] = ip_format(b->a, &clients.v[i].ip);
    }
    to->client = (struct strlist){texts, clients.n};
    to->dns = make_addrs(b, "addresses.dns", clients, ports->dns);
    to->http = make_addrs(b, "addresses.http", clients, ports->http);
    to->https = make_addrs(b, "addresses.https", clients, ports->https);
    to->grpc = make_addrs(b, "addresses.grpc", clients, ports->grpc);
    return 0;
}
