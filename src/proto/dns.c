/* Parsing. A message is read once from front to back. Names are followed through their pointers
 * with a budget of bytes and of pointers, so that a loop ends; a record's data must be used up to
 * its last byte by what its type says is in it. */
#include "proto/dns.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "proto/dns_rdata.h"

#define POINTERS_MAX 126u /* more than any name of 255 bytes can have */
#define OPT_SUBNET 8u

bool dns_parse_header(struct str bytes, struct dns_header *ret_header)
{
    if (bytes.n < DNS_HEADER_SIZE) {
        return false;
    }
    const char *p = bytes.p;
    *ret_header = (struct dns_header){get_be16(p),     get_be16(p + 2), get_be16(p + 4),
                                      get_be16(p + 6), get_be16(p + 8), get_be16(p + 10)};
    return true;
}

/* --- names ------------------------------------------------------------------------------------ */

struct reader {
    struct arena *arena;
    const uint8_t *p;
    size_t n, at;
};

/* A name without pointers is borrowed from the message. */
static int read_plain_name(struct reader *r, struct str *ret_name)
{
    size_t at = r->at;
    while (at < r->n && r->p[at] != 0 && r->p[at] <= DNS_LABEL_SIZE_MAX) {
        at += 1u + r->p[at];
    }
    if (at >= r->n || r->p[at] != 0) {
        return 0;
    }
    size_t size = at + 1 - r->at;
    if (size > DNS_NAME_SIZE_MAX) {
        return -ERR_INVALID;
    }
    *ret_name = str_make(r->p + r->at, size);
    r->at = at + 1;
    return 1;
}

static int read_name(struct reader *r, struct str *ret_name)
{
    int plain = read_plain_name(r, ret_name);
    if (plain != 0) {
        return plain < 0 ? plain : 0;
    }
    uint8_t name[DNS_NAME_SIZE_MAX];
    size_t size = 0, at = r->at, end = 0;
    unsigned pointers = 0;
    for (;;) {
        if (at >= r->n) {
            return -ERR_INVALID;
        }
        uint8_t c = r->p[at++];
        if ((c & 0xc0) == 0xc0) {
            if (at >= r->n || ++pointers > POINTERS_MAX) {
                return -ERR_INVALID;
            }
            if (pointers == 1) {
                end = at + 1;
            }
            at = (size_t)(c & 0x3f) << 8 | r->p[at];
            continue;
        }
        if (c > DNS_LABEL_SIZE_MAX || at + c > r->n || size + 1 + c > DNS_NAME_SIZE_MAX - 1u) {
            if (c != 0) {
                return -ERR_INVALID;
            }
        }
        name[size++] = c;
        if (c == 0) {
            break;
        }
        memcpy(name + size, r->p + at, c);
        size += c;
        at += c;
    }
    r->at = pointers > 0 ? end : at;
    *ret_name = arena_str(r->arena, str_make(name, size));
    return 0;
}

/* What a byte of a label is in text: itself, a letter with a lower case, behind a backslash, or as
 * \DDD. */
enum { TEXT_PLAIN = 0, TEXT_UPPER = 1, TEXT_ESCAPED, TEXT_NUMBER };
static const uint8_t text_class[256] = {
    [0 ... ' ' - 1] = TEXT_NUMBER, [0x7f ... 0xff] = TEXT_NUMBER, ['A' ... 'Z'] = TEXT_UPPER,
    ['.'] = TEXT_ESCAPED,          [' '] = TEXT_ESCAPED,          ['\''] = TEXT_ESCAPED,
    ['@'] = TEXT_ESCAPED,          [';'] = TEXT_ESCAPED,          ['('] = TEXT_ESCAPED,
    [')'] = TEXT_ESCAPED,          ['"'] = TEXT_ESCAPED,          ['\\'] = TEXT_ESCAPED,
};

static char *put_escaped(char *to, uint8_t c)
{
    *to++ = '\\';
    if (text_class[c] == TEXT_NUMBER) {
        *to++ = (char)('0' + c / 100);
        *to++ = (char)('0' + c / 10 % 10);
        c = (uint8_t)('0' + c % 10);
    }
    *to++ = (char)c;
    return to;
}

struct str dns_name_text(struct str name, bool lower, char *to)
{
    const uint8_t *p = (const uint8_t *)name.p, *end = p + name.n;
    char *out = to;
    if (name.n <= 1) {
        return STR(".");
    }
    while (p < end && *p != 0) {
        const uint8_t *label_end = MIN(p + 1 + *p, end);
        for (p++; p < label_end; p++) {
            uint8_t class = text_class[*p];
            if (class <= TEXT_UPPER) {
                *out++ = (char)(*p + (lower ? class * ('a' - 'A') : 0));
            } else {
                out = put_escaped(out, *p);
            }
        }
        *out++ = '.';
    }
    return str_make(to, (size_t)(out - to));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int dns_name_parse(struct str text, uint8_t ret_name[DNS_NAME_SIZE_MAX])
{
    size_t label = 0, size = 1; /* where the label's length goes; bytes so far, that one included */
    if (str_eq_lit(text, ".")) {
        ret_name[0] = 0;
        return 1;
    }
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        if (c == '.') {
            if (size - label == 1 || size >= DNS_NAME_SIZE_MAX) {
                return -ERR_INVALID;
            }
            ret_name[label] = (uint8_t)(size - label - 1);
            label = size++;
            continue;
        }
        if (c == '\\' && i + 1 < text.n) {
            c = (uint8_t)text.p[++i];
            if (i + 2 < text.n && is_digit(text.p[i]) && is_digit(text.p[i + 1]) &&
                is_digit(text.p[i + 2])) {
                c = (uint8_t)((text.p[i] - '0') * 100 + (text.p[i + 1] - '0') * 10 +
                              (text.p[i + 2] - '0'));
                i += 2;
            }
        }
        if (size - label > DNS_LABEL_SIZE_MAX || size >= DNS_NAME_SIZE_MAX) {
            return -ERR_INVALID;
        }
        ret_name[size++] = c;
    }
    if (size - label > 1) { /* no dot at the end */
        if (size >= DNS_NAME_SIZE_MAX) {
            return -ERR_INVALID;
        }
        ret_name[label] = (uint8_t)(size - label - 1);
        label = size++;
    } else if (text.n == 0) {
        return -ERR_INVALID;
    }
    ret_name[label] = 0;
    return (int)size;
}

bool dns_name_eq_fold(struct str a, struct str b)
{
    /* Lengths of labels are below 'A', so that folding leaves them alone. */
    return str_eq_fold(a, b);
}

struct str dns_name_parent(struct str name, size_t count)
{
    for (; count > 0 && name.n > 0 && name.p[0] != 0; count--) {
        name = str_from(name, 1u + (uint8_t)name.p[0]);
    }
    return name;
}

/* --- records ---------------------------------------------------------------------------------- */

/* Options are told apart only as far as we use them; a client subnet must make sense. */
static bool subnet_parse(struct str option, struct dns_subnet *ret_subnet)
{
    if (option.n < 4) {
        return false;
    }
    struct dns_subnet s = {.family = get_be16(option.p),
                           .source_bits = (uint8_t)option.p[2],
                           .scope_bits = (uint8_t)option.p[3]};
    unsigned size = s.family == 1 ? 4 : s.family == 2 ? 16 : 0;
    if (s.family > 2 || s.source_bits > size * 8 || (size > 0 && s.scope_bits > size * 8)) {
        return false;
    }
    struct str address = str_first(str_from(option, 4), size);
    if (address.n > 0) {
        memcpy(s.address, address.p, address.n);
    }
    *ret_subnet = s;
    return true;
}

static bool opt_is_good(struct str data)
{
    struct cur c = cur_make(data);
    struct dns_subnet subnet;
    while (cur_left(&c) > 0) {
        uint16_t code = cur_be16(&c);
        struct str option = cur_take(&c, cur_be16(&c));
        if (c.failed || (code == OPT_SUBNET && !subnet_parse(option, &subnet))) {
            return false;
        }
    }
    return true;
}

bool dns_opt_subnet(const struct dns_rr *opt, struct dns_subnet *ret_subnet)
{
    struct cur c = cur_make(opt->data);
    while (cur_left(&c) > 0 && !c.failed) {
        uint16_t code = cur_be16(&c);
        struct str option = cur_take(&c, cur_be16(&c));
        if (!c.failed && code == OPT_SUBNET) {
            return subnet_parse(option, ret_subnet);
        }
    }
    return false;
}

/* Take the names in a record's data out of their compression: before, the name(s), after. */
static int read_data_names(struct reader *r, size_t end, const struct dns_rdata *layout,
                           struct str *ret_data)
{
    struct str names[2] = {{0}};
    size_t start = r->at;
    if (end - start < layout->before) {
        return -ERR_INVALID;
    }
    r->at += layout->before;
    struct reader inner = *r;
    for (unsigned i = 0; i < layout->names; i++) {
        /* A name may point anywhere, but what stands here must end here. */
        if (inner.at >= end || read_name(&inner, &names[i]) < 0 || inner.at > end) {
            return -ERR_INVALID;
        }
    }
    if (end - inner.at != layout->after) {
        return -ERR_INVALID;
    }
    size_t size = layout->before + names[0].n + names[1].n + layout->after;
    if (size == end - start) { /* nothing was compressed */
        *ret_data = str_make(r->p + start, size);
    } else {
        char *to = arena_alloc(r->arena, size);
        *ret_data = str_make(to, size);
        memcpy(to, r->p + start, layout->before);
        to += layout->before;
        for (unsigned i = 0; i < layout->names; i++) {
            memcpy(to, names[i].p, names[i].n);
            to += names[i].n;
        }
        memcpy(to, r->p + inner.at, layout->after);
    }
    r->at = end;
    return 0;
}

static bool txt_is_good(struct str data)
{
    while (data.n > 0) {
        size_t size = 1u + (uint8_t)data.p[0];
        if (size > data.n) {
            return false;
        }
        data = str_from(data, size);
    }
    return true;
}

static int read_data(struct reader *r, size_t size, struct dns_rr *rr)
{
    size_t end = r->at + size;
    const struct dns_rdata *layout = dns_rdata_find(rr->type);
    if (size > 0 && layout != NULL) {
        return read_data_names(r, end, layout, &rr->data);
    }
    rr->data = str_make(r->p + r->at, size);
    r->at = end;
    if (size == 0) { /* as in dynamic updates; any type may come without data */
        return 0;
    }
    bool good = true;
    switch (rr->type) {
    case DNS_TYPE_A:
        good = size == 4;
        break;
    case DNS_TYPE_AAAA:
        good = size == 16;
        break;
    case DNS_TYPE_TXT:
        good = txt_is_good(rr->data);
        break;
    case DNS_TYPE_OPT:
        good = opt_is_good(rr->data);
        break;
    default:
        break;
    }
    return good ? 0 : -ERR_INVALID;
}

static int read_rr(struct reader *r, struct dns_rr *rr)
{
    if (read_name(r, &rr->owner) < 0 || r->n - r->at < 10) {
        return -ERR_INVALID;
    }
    const uint8_t *p = r->p + r->at;
    rr->type = get_be16(p);
    rr->class = get_be16(p + 2);
    rr->ttl = get_be32(p + 4);
    size_t size = get_be16(p + 8);
    r->at += 10;
    return size > r->n - r->at ? -ERR_INVALID : read_data(r, size, rr);
}

static int read_section(struct reader *r, unsigned count, struct dns_rrs *rrs)
{
    for (unsigned i = 0; i < count && r->at < r->n; i++) {
        struct dns_rr rr;
        if (read_rr(r, &rr) < 0) {
            return -ERR_INVALID;
        }
        dns_add(r->arena, rrs, &rr);
    }
    return 0;
}

/* A question may be cut at the end of the message: what is missing counts as zero. One byte of the
 * class is as good as none, but one byte of the type is an error: the reference's habits, which
 * clients that probe servers can see (conformance: malformed_udp). */
static int read_question(struct reader *r, struct dns_question *q)
{
    struct dns_question got = {0};
    if (read_name(r, &got.name) < 0) {
        return -ERR_INVALID;
    }
    size_t left = r->n - r->at;
    if (left == 1) {
        return -ERR_INVALID;
    }
    if (left >= 2) {
        got.type = get_be16(r->p + r->at);
        r->at += 2;
        left -= 2;
    }
    if (left >= 2) {
        got.class = get_be16(r->p + r->at);
        r->at += 2;
    } else {
        r->at = r->n;
    }
    *q = got;
    return 0;
}

int dns_parse(struct arena *a, struct str bytes, struct dns_msg *ret_msg)
{
    struct dns_header h;
    struct dns_msg m = {0};
    *ret_msg = m;
    if (bytes.n > DNS_SIZE_MAX || !dns_parse_header(bytes, &h)) {
        return -ERR_INVALID;
    }
    m.id = h.id;
    m.flags = h.flags;
    *ret_msg = m;
    if (h.questions > 1) {
        return -ERR_INVALID;
    }
    struct reader r = {a, (const uint8_t *)bytes.p, bytes.n, DNS_HEADER_SIZE};
    if (r.at == r.n) {
        return 0;
    }
    if (h.questions > 0 && read_question(&r, &m.question) < 0) {
        return -ERR_INVALID;
    }
    ret_msg->question = m.question;
    if (read_section(&r, h.answers, &m.answer) < 0 ||
        read_section(&r, h.authorities, &m.authority) < 0 ||
        read_section(&r, h.additionals, &m.additional) < 0) {
        return -ERR_INVALID;
    }
    *ret_msg = m;
    return 0;
}

const struct dns_rr *dns_find_opt(const struct dns_msg *m)
{
    for (size_t i = m->additional.n; i > 0; i--) {
        if (m->additional.v[i - 1].type == DNS_TYPE_OPT) {
            return &m->additional.v[i - 1];
        }
    }
    return NULL;
}
