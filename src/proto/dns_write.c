/* Writing. With compression, each name is looked for from its first label on: the longest suffix
 * that stands in the message already is replaced by a pointer, and the places of the labels before
 * it are remembered. Names in data that must not be compressed (SRV) are remembered too: the
 * address records behind them then cost two bytes for their name. */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "proto/dns.h"
#include "proto/dns_rdata.h"

/* A slot counts when it has the running message's generation, so that nothing is cleared between
 * messages. Offsets past 14 bits cannot be pointed to. */
#define SLOTS 4096u
#define NAMES_MAX (SLOTS / 4 * 3)
#define OFFSET_MAX 0x3fffu

struct slot {
    uint32_t generation;
    uint16_t offset;
    uint16_t hash; /* the upper bits */
};

struct dns_names {
    uint32_t generation, count;
    struct slot slots[SLOTS];
};

struct dns_names *dns_names_new(void)
{
    return xcalloc(1, sizeof(struct dns_names));
}

struct dns_names *dns_names_free(struct dns_names *names)
{
    return mem_free(names);
}

static void names_begin(struct dns_names *names)
{
    names->count = 0;
    if (++names->generation == 0) {
        memset(names->slots, 0, sizeof(names->slots));
        names->generation = 1;
    }
}

/* --- the layout of data ----------------------------------------------------------------------- */

const struct dns_rdata *dns_rdata_find(uint16_t type)
{
    static const struct dns_rdata layouts[] = {
        {DNS_TYPE_NS, 0, 1, 0, true},
        {DNS_TYPE_CNAME, 0, 1, 0, true},
        {DNS_TYPE_PTR, 0, 1, 0, true},
        {DNS_TYPE_SOA, 0, 2, 20, true},
        {DNS_TYPE_MX, 2, 1, 0, true},
        {DNS_TYPE_SRV, 6, 1, 0, false},
        {3, 0, 1, 0, true},
        {4, 0, 1, 0, true}, /* MD MF */
        {7, 0, 1, 0, true},
        {8, 0, 1, 0, true}, /* MB MG */
        {9, 0, 1, 0, true},
        {14, 0, 2, 0, true}, /* MR MINFO */
        {17, 0, 2, 0, false},
        {18, 2, 1, 0, false}, /* RP AFSDB */
        {21, 2, 1, 0, false},
        {36, 2, 1, 0, false}, /* RT KX */
        {39, 0, 1, 0, false}, /* DNAME */
    };
    if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA || type > 39) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
        if (layouts[i].type == type) {
            return &layouts[i];
        }
    }
    return NULL;
}

/* --- bytes ------------------------------------------------------------------------------------ */

struct writer {
    uint8_t *p;
    size_t n, size;
    bool failed;
    struct dns_names *names; /* NULL: no compression */
    /* The question's name, while its labels are not remembered: most messages have no other. */
    struct str question;
};

static uint8_t *reserve(struct writer *w, size_t n)
{
    if (UNLIKELY(n > w->size - w->n)) {
        w->failed = true;
        return NULL;
    }
    uint8_t *to = w->p + w->n;
    w->n += n;
    return to;
}

static void put(struct writer *w, struct str bytes)
{
    uint8_t *to = reserve(w, bytes.n);
    if (to != NULL && bytes.n > 0) {
        memcpy(to, bytes.p, bytes.n);
    }
}

/* --- names ------------------------------------------------------------------------------------ */

/* Does the name that stands at this place of the message say the same? Pointers there are ours, so
 * they go backwards and end. */
static bool is_at(const struct writer *w, size_t at, const uint8_t *name)
{
    for (;;) {
        uint8_t c = w->p[at];
        if (c >= 0xc0) {
            at = (size_t)(c & 0x3f) << 8 | w->p[at + 1];
            continue;
        }
        if (c != *name || memcmp(w->p + at + 1, name + 1, c) != 0) {
            return false;
        }
        if (c == 0) {
            return true;
        }
        at += 1u + c;
        name += 1u + c;
    }
}

/* The slot of a suffix: one that holds it, or where it would go. */
static struct slot *find_slot(struct writer *w, uint32_t hash, const uint8_t *suffix,
                              bool *ret_found)
{
    struct dns_names *names = w->names;
    for (uint32_t i = hash;; i++) {
        struct slot *slot = &names->slots[i % SLOTS];
        if (slot->generation != names->generation) {
            *ret_found = false;
            return slot;
        }
        if (slot->hash == (uint16_t)(hash >> 16) && is_at(w, slot->offset, suffix)) {
            *ret_found = true;
            return slot;
        }
    }
}

static uint32_t hash_label(uint32_t hash, const uint8_t *label)
{
    for (unsigned i = 0; i <= label[0]; i++) {
        hash = (hash ^ label[i]) * 0x9e3779b1u;
    }
    return hash ^ hash >> 15;
}

/* A name was put at this place: replace what can be replaced, remember the rest. */
static void compress_name(struct writer *w, size_t base, struct str name, bool compress)
{
    const uint8_t *p = (const uint8_t *)name.p;
    uint8_t starts[DNS_LABELS_MAX + 1];
    uint32_t hashes[DNS_LABELS_MAX + 1];
    size_t count = 0;
    for (size_t at = 0; at < name.n && p[at] != 0; at += 1u + p[at]) {
        starts[count++] = (uint8_t)at;
    }
    uint32_t hash = 0;
    for (size_t i = count; i > 0; i--) {
        hash = hashes[i - 1] = hash_label(hash, p + starts[i - 1]);
    }
    for (size_t i = 0; i < count; i++) {
        bool found;
        size_t at = base + starts[i];
        struct slot *slot = find_slot(w, hashes[i], p + starts[i], &found);
        if (found && compress) {
            put_be16(w->p + at, (uint16_t)(0xc000u | slot->offset));
            w->n = at + 2;
            return;
        }
        if (!found && at <= OFFSET_MAX && w->names->count < NAMES_MAX) {
            *slot = (struct slot){w->names->generation, (uint16_t)at, (uint16_t)(hashes[i] >> 16)};
            w->names->count++;
        }
    }
}

static void put_name(struct writer *w, struct str name, bool compress)
{
    size_t base = w->n;
    /* All of it first: what is remembered must be there when is_at() looks. */
    put(w, name);
    if (w->names == NULL || w->failed || name.n <= 1) {
        return;
    }
    if (w->question.n > 0) {
        compress_name(w, DNS_HEADER_SIZE, w->question, false);
        w->question = STR_NULL;
    }
    compress_name(w, base, name, compress);
}

/* --- records ---------------------------------------------------------------------------------- */

/* The size of a name in wire form at the front of bytes, or 0. */
static size_t name_size(struct str bytes)
{
    size_t at = 0;
    while (at < bytes.n && bytes.p[at] != 0) {
        at += 1u + (uint8_t)bytes.p[at];
    }
    return at < bytes.n ? at + 1 : 0;
}

static void put_data(struct writer *w, const struct dns_rr *rr)
{
    const struct dns_rdata *layout = w->names != NULL ? dns_rdata_find(rr->type) : NULL;
    if (layout == NULL || rr->data.n < layout->before) {
        put(w, rr->data);
        return;
    }
    struct str rest = str_from(rr->data, layout->before);
    put(w, str_first(rr->data, layout->before));
    for (unsigned i = 0; i < layout->names; i++) {
        size_t size = name_size(rest);
        put_name(w, str_first(rest, size), layout->compress);
        rest = str_from(rest, size);
    }
    put(w, rest);
}

static void put_rr(struct writer *w, const struct dns_rr *rr, const struct dns_question *q)
{
    /* Nearly every answer is about the name that was asked for, which stands behind the header. */
    if (w->names != NULL && rr->owner.p == q->name.p && rr->owner.n > 1) {
        uint8_t *to = reserve(w, 2);
        if (to != NULL) {
            put_be16(to, 0xc000u | DNS_HEADER_SIZE);
        }
    } else {
        put_name(w, rr->owner, true);
    }
    uint8_t *head = reserve(w, 10);
    if (head == NULL) {
        return;
    }
    put_be16(head, rr->type);
    put_be16(head + 2, rr->class);
    put_be32(head + 4, rr->ttl);
    size_t start = w->n;
    put_data(w, rr);
    put_be16(head + 8, (uint16_t)(w->n - start));
}

static void put_section(struct writer *w, const struct dns_rrs *rrs, const struct dns_question *q)
{
    for (size_t i = 0; i < rrs->n && !w->failed; i++) {
        put_rr(w, &rrs->v[i], q);
    }
}

int dns_write_ends(const struct dns_msg *m, bool compress, struct dns_names *names, uint8_t *to,
                   size_t size, uint32_t *answer_ends)
{
    struct writer w = {.p = to, .size = size, .names = compress ? names : NULL};
    uint8_t *head = reserve(&w, DNS_HEADER_SIZE);
    if (head == NULL || m->answer.n > UINT16_MAX || m->authority.n > UINT16_MAX ||
        m->additional.n > UINT16_MAX) {
        return -ERR_TOO_LARGE;
    }
    if (w.names != NULL) {
        names_begin(w.names);
    }
    put_be16(head, m->id);
    put_be16(head + 2, m->flags);
    put_be16(head + 4, m->question.name.n > 0);
    put_be16(head + 6, (uint16_t)m->answer.n);
    put_be16(head + 8, (uint16_t)m->authority.n);
    put_be16(head + 10, (uint16_t)m->additional.n);
    if (m->question.name.n > 0) {
        put(&w, m->question.name);
        w.question = m->question.name;
        uint8_t *rest = reserve(&w, 4);
        if (rest != NULL) {
            put_be16(rest, m->question.type);
            put_be16(rest + 2, m->question.class);
        }
    }
    for (size_t i = 0; i < m->answer.n && !w.failed; i++) {
        if (answer_ends != NULL) {
            answer_ends[i] = (uint32_t)w.n;
        }
        put_rr(&w, &m->answer.v[i], &m->question);
    }
    if (answer_ends != NULL) {
        answer_ends[m->answer.n] = (uint32_t)w.n;
    }
    put_section(&w, &m->authority, &m->question);
    put_section(&w, &m->additional, &m->question);
    return w.failed ? -ERR_TOO_LARGE : (int)w.n;
}

int dns_write(const struct dns_msg *m, bool compress, struct dns_names *names, uint8_t *to,
              size_t size)
{
    return dns_write_ends(m, compress, names, to, size, NULL);
}

void dns_patch_cut(uint8_t *written, uint16_t flags, size_t answers)
{
    put_be16(written + 2, flags);
    put_be16(written + 6, (uint16_t)answers);
    put_be32(written + 8, 0);
}

static size_t section_size(const struct dns_rrs *rrs)
{
    size_t size = 0;
    for (size_t i = 0; i < rrs->n; i++) {
        size += rrs->v[i].owner.n + 10 + rrs->v[i].data.n;
    }
    return size;
}

size_t dns_size_uncompressed(const struct dns_msg *m)
{
    size_t question = m->question.name.n > 0 ? m->question.name.n + 4 : 0;
    return DNS_HEADER_SIZE + question + section_size(&m->answer) + section_size(&m->authority) +
           section_size(&m->additional);
}

/* --- making records --------------------------------------------------------------------------- */

void dns_add(struct arena *a, struct dns_rrs *rrs, const struct dns_rr *rr)
{
    avec_push(a, rrs, *rr);
}

struct str dns_txt_data(struct arena *a, struct str text)
{
    size_t strings = text.n == 0 ? 1 : (text.n + DNS_TXT_SIZE_MAX - 1) / DNS_TXT_SIZE_MAX;
    char *data = arena_alloc(a, text.n + strings), *to = data;
    do {
        struct str part = str_first(text, DNS_TXT_SIZE_MAX);
        *to++ = (char)part.n;
        if (part.n > 0) {
            memcpy(to, part.p, part.n);
        }
        to += part.n;
        text = str_from(text, part.n);
    } while (text.n > 0);
    return str_make(data, (size_t)(to - data));
}

struct dns_rr dns_opt_make(struct arena *a, uint16_t size, const struct dns_subnet *subnet)
{
    struct dns_rr opt = {.owner = str_make("", 1), .type = DNS_TYPE_OPT, .class = size};
    if (subnet == NULL) {
        return opt;
    }
    size_t bytes = subnet->family == 0 ? 0 : (subnet->source_bits + 7u) / 8;
    char *p = arena_zalloc(a, 8 + bytes);
    put_be16(p, 8); /* the option's code */
    put_be16(p + 2, (uint16_t)(4 + bytes));
    put_be16(p + 4, subnet->family);
    p[6] = (char)subnet->source_bits;
    p[7] = (char)subnet->scope_bits;
    memcpy(p + 8, subnet->address, bytes);
    if (subnet->source_bits % 8 != 0 && bytes > 0) {
        p[7 + bytes] = (char)(p[7 + bytes] & (0xff << (8 - subnet->source_bits % 8)));
    }
    opt.data = str_make(p, 8 + bytes);
    return opt;
}
