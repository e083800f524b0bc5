/* The functions of address templates: which addresses this machine has, and what is chosen from
 * them. */
#include "agent/config_template.h"
#include "base/buf.h"

#include <net/if.h>
#include <regex.h>

/* --- what an address is
 * ---------------------------------------------------------------------------- */

struct block {
    const char *cidr;
    unsigned rfc;
    bool forwardable;
};

/* Special-purpose networks. Those of RFC 6890 make an address private; most of them, and link-local
 * and multicast ones, are not forwardable. */
static const struct block blocks[] = {
    {"0.0.0.0/8", 6890, false},      {"10.0.0.0/8", 1918, true},
    {"100.64.0.0/10", 6598, true},   {"127.0.0.0/8", 6890, false},
    {"169.254.0.0/16", 3927, false}, {"172.16.0.0/12", 1918, true},
    {"192.0.0.0/24", 6890, false},   {"192.0.2.0/24", 5737, false},
    {"192.88.99.0/24", 6890, true},  {"192.168.0.0/16", 1918, true},
    {"198.18.0.0/15", 2544, true},   {"198.51.100.0/24", 5737, false},
    {"203.0.113.0/24", 5737, false}, {"224.0.0.0/4", 5771, false},
    {"240.0.0.0/4", 6890, false},    {"::1/128", 6890, false},
    {"::/128", 6890, false},         {"64:ff9b::/96", 6890, true},
    {"100::/64", 6890, false},       {"2001::/23", 6890, false},
    {"2001:db8::/32", 3849, false},  {"2002::/16", 6890, true},
    {"fc00::/7", 4193, true},        {"fe80::/10", 6890, false},
    {"ff00::/8", 4291, false},
};

static const struct block *block_find(struct template *t, const struct ip *ip)
{
    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
        struct config_cidr cidr;
        if (cidr_parse(t->a, str_from_cstr(blocks[i].cidr), &cidr) == 0 &&
            cidr_contains(&cidr, ip)) {
            return &blocks[i];
        }
    }
    return NULL;
}

static bool is_in_rfc(struct template *t, const struct ip *ip, uint64_t rfc)
{
    const struct block *block = block_find(t, ip);
    bool is_multicast = block != NULL && (block->rfc == 5771 || block->rfc == 4291);
    return block != NULL && (block->rfc == rfc || (rfc == 6890 && !is_multicast));
}

static bool is_forwardable(struct template *t, const struct ip *ip)
{
    const struct block *block = block_find(t, ip);
    return block == NULL || block->forwardable;
}

static int address_attr(struct template *t, const struct iface_addr *addr, struct str name,
                        struct str *ret_text)
{
    struct ip network = addr->ip;
    struct config_cidr cidr;
    if (str_eq_fold(name, STR("address")) || str_eq_fold(name, STR("host"))) {
        *ret_text = ip_format(t->a, &network);
    } else if (str_eq_fold(name, STR("name"))) {
        *ret_text = addr->name;
    } else if (str_eq_fold(name, STR("mask_bits"))) {
        *ret_text = arena_printf(t->a, "%u", addr->bits);
    } else if (str_eq_fold(name, STR("type"))) {
        *ret_text = addr->ip.size == 4 ? STR("IPv4") : STR("IPv6");
    } else if (str_eq_fold(name, STR("string"))) {
        *ret_text = arena_printf(t->a, "%.*s/%u", STRF(ip_format(t->a, &network)), addr->bits);
    } else if (str_eq_fold(name, STR("network")) &&
               cidr_parse(
                   t->a, arena_printf(t->a, "%.*s/%u", STRF(ip_format(t->a, &network)), addr->bits),
                   &cidr) == 0) {
        struct str tail;
        (void)str_cut(cidr.text, '/', ret_text, &tail);
    } else {
        return err_set(t->err, ERR_INVALID, "unknown attribute \"%.*s\"", STRF(name));
    }
    return 0;
}

/* --- filters
 * --------------------------------------------------------------------------------------- */

static int match_flags(struct template *t, struct str flags, const struct iface_addr *addr,
                       bool *ret_match)
{
    static const struct {
        const char *name;
        unsigned flag;
    } names[] = {{"up", IFF_UP},
                 {"broadcast", IFF_BROADCAST},
                 {"loopback", IFF_LOOPBACK},
                 {"multicast", IFF_MULTICAST},
                 {"point-to-point", IFF_POINTOPOINT}};
    struct str flag;
    *ret_match = false;
    while (str_split_next(&flags, '|', &flag)) {
        bool is_known = true;
        if (str_eq_fold(flag, STR("forwardable"))) {
            *ret_match |= is_forwardable(t, &addr->ip);
        } else if (str_eq_fold(flag, STR("down"))) {
            *ret_match |= (addr->flags & IFF_UP) == 0;
        } else if (str_eq_fold(flag, STR("global unicast"))) {
            *ret_match |= is_forwardable(t, &addr->ip);
        } else {
            is_known = false;
            for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (str_eq_fold(flag, str_from_cstr(names[i].name))) {
                    is_known = true;
                    *ret_match |= (addr->flags & names[i].flag) != 0;
                }
            }
        }
        if (!is_known) {
            return err_set(t->err, ERR_INVALID, "Unknown interface flag: \"%.*s\"", STRF(flag));
        }
    }
    return 0;
}

static int match_regex(struct template *t, struct str pattern, struct str text, bool *ret_match)
{
    regex_t re;
    char *z = str_to_cstr(pattern);
    int rc = regcomp(&re, z, REG_EXTENDED | REG_NOSUB);
    mem_free(z);
    if (rc != 0) {
        return err_set(t->err, ERR_INVALID, "Unable to compile name regexp \"%.*s\"",
                       STRF(pattern));
    }
    struct str terminated = arena_str(t->a, text);
    *ret_match = regexec(&re, terminated.p, 0, NULL, 0) == 0;
    regfree(&re);
    return 0;
}

static int match_one(struct template *t, struct str selector, struct str param,
                     const struct iface_addr *addr, bool *ret_match)
{
    struct str rest = param, piece;
    uint64_t number;
    *ret_match = false;
    if (str_eq_fold(selector, STR("name"))) {
        return match_regex(t, param, addr->name, ret_match);
    }
    if (str_eq_fold(selector, STR("address"))) {
        return match_regex(t, param, ip_format(t->a, &addr->ip), ret_match);
    }
    if (str_eq_fold(selector, STR("flag")) || str_eq_fold(selector, STR("flags"))) {
        return match_flags(t, param, addr, ret_match);
    }
    bool is_type = str_eq_fold(selector, STR("type")), is_rfc = str_eq_fold(selector, STR("rfc")),
         is_network = str_eq_fold(selector, STR("network")),
         is_size = str_eq_fold(selector, STR("size"));
    if (!is_type && !is_rfc && !is_network && !is_size && !str_eq_fold(selector, STR("rfcs"))) {
        return err_set(t->err, ERR_INVALID, "invalid include selector \"%.*s\"", STRF(selector));
    }
    while (str_split_next(&rest, '|', &piece)) {
        struct config_cidr cidr;
        if (is_type) {
            if (!str_eq_fold(piece, STR("ip")) && !str_eq_fold(piece, STR("ipv4")) &&
                !str_eq_fold(piece, STR("ipv6")) && !str_eq_fold(piece, STR("unix"))) {
                return err_set(t->err, ERR_INVALID, "unsupported type \"%.*s\" \"%.*s\"",
                               STRF(piece), STRF(param));
            }
            *ret_match |= str_eq_fold(piece, STR("ip")) ||
                          str_eq_fold(piece, addr->ip.size == 4 ? STR("ipv4") : STR("ipv6"));
        } else if (is_network) {
            if (cidr_parse(t->a, piece, &cidr) < 0) {
                return err_set(t->err, ERR_INVALID, "unable to create an IP address from \"%.*s\"",
                               STRF(piece));
            }
            *ret_match |= cidr_contains(&cidr, &addr->ip);
        } else if (is_size) {
            struct str bits = str_has_prefix(piece, STR("/")) ? str_from(piece, 1) : piece;
            if (str_parse_u64(bits, &number) < 0) {
                return err_set(t->err, ERR_INVALID, "invalid mask size \"%.*s\"", STRF(piece));
            }
            *ret_match |= number == addr->bits;
        } else {
            if (str_parse_u64(piece, &number) < 0) {
                return err_set(t->err, ERR_INVALID, "unable to parse RFC number \"%.*s\"",
                               STRF(piece));
            }
            *ret_match |= is_in_rfc(t, &addr->ip, number);
        }
    }
    return 0;
}

static int filter(struct template *t, struct str selector, struct str param, bool keep,
                  struct iface_list in, struct iface_list *ret_list)
{
    struct iface_addr *out = ARENA_ARRAY(t->a, struct iface_addr, in.n);
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        bool match;
        int rc = match_one(t, selector, param, &in.v[i], &match);
        if (rc < 0) {
            return rc;
        }
        if (match == keep) {
            out[n++] = in.v[i];
        }
    }
    *ret_list = (struct iface_list){out, n};
    return 0;
}

/* --- order
 * ----------------------------------------------------------------------------------------- */

static int compare_by(struct template *t, struct str clause, const struct iface_addr *x,
                      const struct iface_addr *y)
{
    if (str_eq_fold(clause, STR("address"))) {
        return memcmp(x->ip.bytes, y->ip.bytes, sizeof(x->ip.bytes));
    }
    if (str_eq_fold(clause, STR("default"))) {
        return (int)y->is_default - (int)x->is_default;
    }
    if (str_eq_fold(clause, STR("name"))) {
        return str_cmp(x->name, y->name);
    }
    if (str_eq_fold(clause, STR("private"))) {
        return (int)is_in_rfc(t, &y->ip, 6890) - (int)is_in_rfc(t, &x->ip, 6890);
    }
    if (str_eq_fold(clause, STR("size"))) { /* large networks first, within one family */
        return x->ip.size != y->ip.size ? 0 : (int)x->bits - (int)y->bits;
    }
    return (int)x->ip.size - (int)y->ip.size; /* type: IPv4 before IPv6 */
}

static int compare_all(struct template *t, struct str clauses, const struct iface_addr *x,
                       const struct iface_addr *y)
{
    struct str clause;
    int order = 0;
    while (order == 0 && str_split_next(&clauses, ',', &clause)) {
        clause = str_trim(clause);
        bool is_descending = str_has_prefix(clause, STR("-"));
        if (is_descending || str_has_prefix(clause, STR("+"))) {
            clause = str_from(clause, 1);
        }
        order = compare_by(t, clause, x, y);
        order = is_descending ? -order : order;
    }
    return order;
}

static int fn_sort(struct template *t, const struct str *args, struct iface_list in,
                   struct tvalue *ret_value)
{
    static const char *const known[] = {"address", "default", "name", "private", "size", "type"};
    struct str rest = args[0], clause;
    while (str_split_next(&rest, ',', &clause)) {
        clause = str_trim(clause);
        bool is_known = false;
        struct str name = clause;
        if (str_has_prefix(name, STR("-")) || str_has_prefix(name, STR("+"))) {
            name = str_from(name, 1);
        }
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
            is_known |= str_eq_fold(name, str_from_cstr(known[i]));
        }
        if (!is_known) {
            return err_set(t->err, ERR_INVALID, "unknown sort type: \"%.*s\"", STRF(clause));
        }
    }
    struct iface_addr *out = ARENA_ARRAY(t->a, struct iface_addr, in.n);
    for (size_t i = 0; i < in.n; i++) { /* by insertion: stable, and machines have few */
        size_t j = i;
        for (; j > 0 && compare_all(t, args[0], &out[j - 1], &in.v[i]) > 0; j--) {
            out[j] = out[j - 1];
        }
        out[j] = in.v[i];
    }
    *ret_value = (struct tvalue){.is_list = true, .list = {out, in.n}};
    return 0;
}

/* --- functions
 * ------------------------------------------------------------------------------------- */

static int fn_include(struct template *t, const struct str *args, struct iface_list in,
                      struct tvalue *ret_value)
{
    *ret_value = (struct tvalue){.is_list = true};
    return filter(t, args[0], args[1], true, in, &ret_value->list);
}

static int fn_exclude(struct template *t, const struct str *args, struct iface_list in,
                      struct tvalue *ret_value)
{
    *ret_value = (struct tvalue){.is_list = true};
    return filter(t, args[0], args[1], false, in, &ret_value->list);
}

static int fn_join(struct template *t, const struct str *args, struct iface_list in,
                   struct tvalue *ret_value)
{
    struct buf text;
    buf_init(&text, 65536);
    int rc = 0;
    for (size_t i = 0; i < in.n && rc == 0; i++) {
        struct str attr;
        rc = address_attr(t, &in.v[i], args[0], &attr);
        if (rc == 0) {
            buf_str(&text, i > 0 ? args[1] : STR(""));
            buf_str(&text, attr);
        }
    }
    *ret_value = (struct tvalue){.text = arena_str(t->a, buf_view(&text))};
    buf_deinit(&text);
    return rc;
}

static int fn_attr(struct template *t, const struct str *args, struct iface_list in,
                   struct tvalue *ret_value)
{
    *ret_value = (struct tvalue){.text = STR("")};
    return in.n > 0 ? address_attr(t, &in.v[0], args[0], &ret_value->text) : 0;
}

static int fn_limit(struct template *t, const struct str *args, struct iface_list in,
                    struct tvalue *ret_value)
{
    uint64_t limit;
    if (str_parse_u64(args[0], &limit) < 0) {
        return err_set(t->err, ERR_INVALID, "limit: expected integer; found %.*s", STRF(args[0]));
    }
    *ret_value = (struct tvalue){.is_list = true, .list = {in.v, MIN(in.n, (size_t)limit)}};
    return 0;
}

static int fn_offset(struct template *t, const struct str *args, struct iface_list in,
                     struct tvalue *ret_value)
{
    int64_t offset;
    if (str_parse_i64(args[0], &offset) < 0 || offset < -(int64_t)in.n || offset > (int64_t)in.n) {
        return err_set(t->err, ERR_INVALID,
                       "unable to seek past the end of the interface array: offset (%.*s) exceeds "
                       "the number of interfaces (%zu)",
                       STRF(args[0]), in.n);
    }
    size_t skip = offset < 0 ? in.n - (size_t)-offset : (size_t)offset;
    *ret_value = (struct tvalue){.is_list = true, .list = {in.v + skip, in.n - skip}};
    return 0;
}

static int fn_unique(struct template *t, const struct str *args, struct iface_list in,
                     struct tvalue *ret_value)
{
    struct iface_addr *out = ARENA_ARRAY(t->a, struct iface_addr, in.n);
    struct str last = STR(""), attr;
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        int rc = address_attr(t, &in.v[i], args[0], &attr);
        if (rc < 0) {
            return rc;
        }
        if (n == 0 || !str_eq(attr, last)) {
            out[n++] = in.v[i];
        }
        last = attr;
    }
    *ret_value = (struct tvalue){.is_list = true, .list = {out, n}};
    return 0;
}

static int fn_all(struct template *t, const struct str *args, struct iface_list in,
                  struct tvalue *ret_value)
{
    (void)args;
    (void)in;
    *ret_value = (struct tvalue){.is_list = true, .list = t->all};
    return 0;
}

static int fn_default(struct template *t, const struct str *args, struct iface_list in,
                      struct tvalue *ret_value)
{
    (void)args;
    (void)in;
    struct iface_addr *out = ARENA_ARRAY(t->a, struct iface_addr, t->all.n);
    size_t n = 0;
    for (size_t i = 0; i < t->all.n; i++) {
        if (t->all.v[i].is_default) {
            out[n++] = t->all.v[i];
        }
    }
    *ret_value = (struct tvalue){.is_list = true, .list = {out, n}};
    return 0;
}

/* Forwardable addresses of interfaces that are up, the default route's first, private or not. */
static int routable(struct template *t, bool want_private, struct tvalue *ret_value)
{
    struct iface_list list = t->all;
    struct str order = STR("default,type,size");
    int rc;
    if ((rc = filter(t, STR("flags"), STR("forwardable"), true, list, &list)) < 0 ||
        (rc = filter(t, STR("flags"), STR("up"), true, list, &list)) < 0 ||
        (rc = filter(t, STR("rfc"), STR("6890"), want_private, list, &list)) < 0) {
        return rc;
    }
    return fn_sort(t, &order, list, ret_value);
}

static int fn_private(struct template *t, const struct str *args, struct iface_list in,
                      struct tvalue *ret_value)
{
    (void)args;
    (void)in;
    return routable(t, true, ret_value);
}

static int fn_public(struct template *t, const struct str *args, struct iface_list in,
                     struct tvalue *ret_value)
{
    (void)args;
    (void)in;
    return routable(t, false, ret_value);
}

static int first_address(struct template *t, int rc, struct tvalue *value)
{
    static const struct str address = STR_INIT("address");
    return rc < 0 ? rc : fn_attr(t, &address, value->list, value);
}

static int all_addresses(struct template *t, int rc, struct tvalue *value)
{
    static const struct str args[] = {STR_INIT("address"), STR_INIT(" ")};
    return rc < 0 ? rc : fn_join(t, args, value->list, value);
}

static int fn_private_ip(struct template *t, const struct str *args, struct iface_list in,
                         struct tvalue *ret_value)
{
    (void)args;
    (void)in;
    return first_address(t, routable(t, true, ret_value), ret_value);
}

static int fn_public_ip(struct template *t, const struct str *args, struct iface_list in,
                        struct tvalue *ret_value)
{
    (void)args;
    (void)in;
    return first_address(t, routable(t, false, ret_value), ret_value);
}

static int rfc6890_ips(struct template *t, bool want_private, struct tvalue *ret_value)
{
    struct iface_list list = t->all;
    struct str order = STR("type,size");
    int rc = filter(t, STR("rfc"), STR("6890"), want_private, list, &list);
    if (rc == 0 && want_private) {
        rc = filter(t, STR("flags"), STR("forwardable"), true, list, &list);
    }
    if (rc == 0) {
        rc = fn_sort(t, &order, list, ret_value);
    }
    return all_addresses(t, rc, ret_value);
}

static int fn_private_ips(struct template *t, const struct str *args, struct iface_list in,
                          struct tvalue *ret_value)
{
    (void)args;
    (void)in;
    return rfc6890_ips(t, true, ret_value);
}

static int fn_public_ips(struct template *t, const struct str *args, struct iface_list in,
                         struct tvalue *ret_value)
{
    (void)args;
    (void)in;
    return rfc6890_ips(t, false, ret_value);
}

static int named(struct template *t, struct str name, bool forwardable, struct tvalue *ret_value)
{
    struct iface_list list = t->all;
    struct str order = STR("type,size");
    int rc = filter(t, STR("name"), name, true, list, &list);
    if (rc == 0 && forwardable) {
        rc = filter(t, STR("flags"), STR("forwardable"), true, list, &list);
    }
    return rc < 0 ? rc : fn_sort(t, &order, list, ret_value);
}

static int fn_interface_ip(struct template *t, const struct str *args, struct iface_list in,
                           struct tvalue *ret_value)
{
    (void)in;
    return first_address(t, named(t, args[0], true, ret_value), ret_value);
}

static int fn_interface_ips(struct template *t, const struct str *args, struct iface_list in,
                            struct tvalue *ret_value)
{
    (void)in;
    return all_addresses(t, named(t, args[0], false, ret_value), ret_value);
}

/* The verbs of fmt.Sprintf that take a text as it is. */
int template_printf(struct template *t, const struct str *args, size_t count,
                    struct tvalue *ret_value)
{
    struct buf text;
    buf_init(&text, 65536);
    size_t used = 1;
    struct str format = args[0];
    for (size_t i = 0; i < format.n; i++) {
        char verb = i + 1 < format.n ? format.p[i + 1] : '\0';
        if (format.p[i] != '%') {
            buf_byte(&text, (uint8_t)format.p[i]);
        } else if (verb == '%') {
            buf_byte(&text, '%');
            i++;
        } else if (used < count && (verb == 's' || verb == 'd' || verb == 'v')) {
            buf_str(&text, args[used++]);
            i++;
        } else {
            buf_deinit(&text);
            return err_set(t->err, ERR_INVALID, "printf: what \"%.*s\" asks for is not there",
                           STRF(format));
        }
    }
    *ret_value = (struct tvalue){.text = arena_str(t->a, buf_view(&text))};
    buf_deinit(&text);
    return 0;
}

static const struct template_function functions[] = {
    {"GetAllInterfaces", 0, false, fn_all},
    {"GetDefaultInterfaces", 0, false, fn_default},
    {"GetPrivateInterfaces", 0, false, fn_private},
    {"GetPublicInterfaces", 0, false, fn_public},
    {"GetPrivateIP", 0, false, fn_private_ip},
    {"GetPrivateIPs", 0, false, fn_private_ips},
    {"GetPublicIP", 0, false, fn_public_ip},
    {"GetPublicIPs", 0, false, fn_public_ips},
    {"GetInterfaceIP", 1, false, fn_interface_ip},
    {"GetInterfaceIPs", 1, false, fn_interface_ips},
    {"include", 2, true, fn_include},
    {"exclude", 2, true, fn_exclude},
    {"sort", 1, true, fn_sort},
    {"limit", 1, true, fn_limit},
    {"offset", 1, true, fn_offset},
    {"unique", 1, true, fn_unique},
    {"attr", 1, true, fn_attr},
    {"join", 2, true, fn_join},
};

const struct template_function *template_function_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        if (str_eq(name, str_from_cstr(functions[i].name))) {
            return &functions[i];
        }
    }
    return NULL;
}
