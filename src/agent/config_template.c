/* Address templates: {{ GetPrivateIP }}, {{ GetInterfaceIP "eth0" }}, {{ GetAllInterfaces | include
 * "network" "10.0.0.0/8" | attr "address" }}.
 *
 * The language is the part of Go's text/template that such templates use: text with actions in
 * double braces, each a pipeline of calls; what comes out of one call is the last argument of the
 * next. Values are texts and lists of interface addresses. */
#include "agent/config_build.h"
#include "base/buf.h"

#include <errno.h>
#include <net/if.h>
#include <regex.h>
#include <stdlib.h>

#define TEMPLATE_ARGS_MAX 4u
#define TEMPLATE_CALLS_MAX 32u

struct tvalue {
    bool is_list;
    struct str text;
    struct iface_list list;
};

struct template
{
    struct arena *a;
    struct iface_list all;
    struct err *err;
};

typedef int (*template_fn)(struct template *t, const struct str *args, struct iface_list in,
                           struct tvalue *ret_value);

struct function {
    const char *name;
    unsigned arg_count; /* texts, not counting the list */
    bool takes_list;
    template_fn fn;
};

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

static const struct function functions[] = {
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

/* --- evaluation
 * ------------------------------------------------------------------------------------ */

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+';
}

/* The next operand: a quoted text, a word or number, or "." (the list of all addresses). */
static int operand_next(struct template *t, struct str *rest, struct str *ret_text,
                        bool *ret_is_literal)
{
    char first = rest->p[0];
    if (first == '"' || first == '`') {
        ptrdiff_t end = str_find_byte(str_from(*rest, 1), first);
        if (end < 0) {
            return err_set(t->err, ERR_INVALID, "unterminated quoted string");
        }
        *ret_text = str_make(rest->p + 1, (size_t)end);
        *rest = str_trim(str_from(*rest, (size_t)end + 2));
        *ret_is_literal = true;
        return 0;
    }
    size_t n = first == '.' ? 1 : 0;
    while (first != '.' && n < rest->n && is_word_char(rest->p[n])) {
        n++;
    }
    if (n == 0) {
        return err_set(t->err, ERR_INVALID, "unexpected \"%c\" in operand", first);
    }
    *ret_text = str_first(*rest, n);
    *rest = str_trim(str_from(*rest, n));
    *ret_is_literal = (first >= '0' && first <= '9') || first == '-' || first == '+';
    return 0;
}

static int call_eval(struct template *t, struct str name, const struct str *args, size_t count,
                     bool has_list, struct iface_list in, struct tvalue *ret_value)
{
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        const struct function *f = &functions[i];
        if (str_eq(name, str_from_cstr(f->name))) {
            if (count != f->arg_count || has_list != f->takes_list) {
                return err_set(t->err, ERR_INVALID, "wrong number of args for %s: want %u got %zu",
                               f->name, f->arg_count + f->takes_list, count + has_list);
            }
            return f->fn(t, args, in, ret_value);
        }
    }
    return err_set(t->err, ERR_INVALID, "function \"%.*s\" not defined", STRF(name));
}

/* One call of a pipeline, up to the bar or the end. `value` is what the call before it gave. */
static int command_eval(struct template *t, struct str *rest, bool has_value, struct tvalue *value)
{
    struct str name, args[TEMPLATE_ARGS_MAX + 1];
    size_t count = 0;
    bool is_literal, has_list = false;
    struct iface_list list = t->all;
    int rc = operand_next(t, rest, &name, &is_literal);
    if (rc < 0) {
        return rc;
    }
    if (is_literal || str_eq_lit(name, ".")) {
        *value = (struct tvalue){.is_list = !is_literal, .text = name, .list = t->all};
        return 0;
    }
    while (rest->n > 0 && rest->p[0] != '|') {
        if (count >= TEMPLATE_ARGS_MAX) {
            return err_set(t->err, ERR_INVALID, "wrong number of args for %.*s", STRF(name));
        }
        rc = operand_next(t, rest, &args[count], &is_literal);
        if (rc < 0) {
            return rc;
        }
        if (str_eq_lit(args[count], ".") && !is_literal) {
            has_list = true;
        } else {
            count++;
        }
    }
    if (has_value && value->is_list) {
        has_list = true;
        list = value->list;
    } else if (has_value) {
        args[count++] = value->text;
    }
    return call_eval(t, name, args, count, has_list, list, value);
}

static int action_eval(struct template *t, struct str action, struct str *ret_text)
{
    struct str rest = str_trim(action);
    struct tvalue value = {0};
    for (unsigned calls = 0;; calls++) {
        if (rest.n == 0) {
            return err_set(t->err, ERR_INVALID, "missing value for command");
        }
        if (calls >= TEMPLATE_CALLS_MAX) {
            return err_set(t->err, ERR_INVALID, "more than %u calls in a pipeline",
                           TEMPLATE_CALLS_MAX);
        }
        int rc = command_eval(t, &rest, calls > 0, &value);
        if (rc < 0) {
            return rc;
        }
        if (rest.n == 0) {
            break;
        }
        if (rest.p[0] != '|') {
            return err_set(t->err, ERR_INVALID, "unexpected \"%c\" in command", rest.p[0]);
        }
        rest = str_trim(str_from(rest, 1));
    }
    if (value.is_list) {
        return err_set(t->err, ERR_INVALID,
                       "the pipeline ends in a list of interfaces, not in "
                       "text: attr or join is missing");
    }
    *ret_text = value.text;
    return 0;
}

int template_expand(struct arena *a, struct str text, struct str *ret_text, struct err *err)
{
    if (str_find(text, STR("{{")) < 0) {
        *ret_text = text;
        return 0;
    }
    struct template t = {.a = a, .err = err};
    int rc = iface_list_read(a, &t.all, err);
    struct buf out;
    buf_init(&out, 65536);
    while (rc == 0 && text.n > 0) {
        ptrdiff_t start = str_find(text, STR("{{"));
        if (start < 0) {
            buf_str(&out, text);
            break;
        }
        struct str tail = str_from(text, (size_t)start + 2), result;
        ptrdiff_t end = str_find(tail, STR("}}"));
        if (end < 0) {
            rc = err_set(err, ERR_INVALID, "unable to parse template \"%.*s\": unclosed action",
                         STRF(text));
            break;
        }
        buf_str(&out, str_first(text, (size_t)start));
        rc = action_eval(&t, str_first(tail, (size_t)end), &result);
        if (rc == 0) {
            buf_str(&out, result);
            text = str_from(tail, (size_t)end + 2);
        } else {
            (void)err_wrap(err, "unable to execute sockaddr input \"%.*s\"", STRF(text));
        }
    }
    if (rc == 0) {
        *ret_text = arena_str(a, buf_view(&out));
    }
    buf_deinit(&out);
    return rc;
}
