/* dns.h - DNS messages (RFC 1035, 2782, 3596, 6891, 7871): from bytes to records and back.
 *
 *     struct dns_msg m;
 *     r = dns_parse(&arena, bytes, &m);         // records borrow from bytes and arena
 *     ... m.question, m.additional.v[i] ...
 *     dns_add(&arena, &m.answer, &(struct dns_rr){owner, DNS_TYPE_A, DNS_CLASS_IN, ttl, address});
 *     n = dns_write(&m, true, names, to, size); // n bytes, or -ERR_TOO_LARGE
 *
 * Names are in wire form without compression: labels with their length in front, a zero at the end,
 * at most DNS_NAME_SIZE_MAX bytes. The data of a record is its wire form too, with the names in it
 * uncompressed; the writer knows where names are and compresses those that may be.
 *
 * Text form is the master file's without the shortcuts: '\' before the characters that mean
 * something there, \DDD for what does not print, a dot at the end. Letter case is kept everywhere;
 * compression looks for the very same bytes, so that it never changes a name's case.
 *
 * What is parsed is bounded by the message (64 KB): at most one record each 11 bytes, and each name
 * that compression hides is at most 255 bytes. Pure; a struct dns_names is one thread's. */
#pragma once
#include "base/arena.h"

#define DNS_HEADER_SIZE 12u
#define DNS_NAME_SIZE_MAX 255u
#define DNS_LABEL_SIZE_MAX 63u
#define DNS_LABELS_MAX 127u
#define DNS_TEXT_SIZE_MAX 1024u /* of a name: each byte may become \DDD */
#define DNS_SIZE_MAX 65535u
#define DNS_UDP_SIZE 512u /* what a client without EDNS takes */
#define DNS_TXT_SIZE_MAX 255u

enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_NS = 2,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_MX = 15,
    DNS_TYPE_TXT = 16,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_SRV = 33,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_DS = 43,
    DNS_TYPE_AXFR = 252,
    DNS_TYPE_ANY = 255,
};

enum dns_class { DNS_CLASS_IN = 1 };

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
};

enum dns_opcode { DNS_OPCODE_QUERY = 0, DNS_OPCODE_NOTIFY = 4 };

/* The header's second word. */
#define DNS_QR 0x8000u
#define DNS_AA 0x0400u
#define DNS_TC 0x0200u
#define DNS_RD 0x0100u
#define DNS_RA 0x0080u
#define DNS_Z 0x0040u
#define DNS_AD 0x0020u
#define DNS_CD 0x0010u
#define DNS_OPCODE_SHIFT 11
#define DNS_OPCODE_MASK 0x7800u
#define DNS_RCODE_MASK 0x000fu

struct dns_question {
    struct str name; /* p == NULL: the message has no question */
    uint16_t type, class;
};

struct dns_rr {
    struct str owner;
    uint16_t type, class;
    uint32_t ttl;
    struct str data;
};

struct dns_rrs {
    struct dns_rr *v;
    size_t n, cap; /* grows in an arena: dns_add() */
};

struct dns_msg {
    uint16_t id, flags;
    struct dns_question question;
    struct dns_rrs answer, authority, additional;
};

struct dns_header {
    uint16_t id, flags;
    uint16_t questions, answers, authorities, additionals;
};

static inline unsigned dns_opcode(uint16_t flags)
{
    return (flags & DNS_OPCODE_MASK) >> DNS_OPCODE_SHIFT;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* False when there are not even DNS_HEADER_SIZE bytes. */
bool dns_parse_header(struct str bytes, struct dns_header *ret_header);
/* The whole message. Sections that promise more than there is are taken as they are; a record that
 * is cut short or contradicts itself is -ERR_INVALID, and then *ret_msg holds the header, the
 * question where that was read, and nothing else. More than one question is -ERR_INVALID. What
 * follows the last record is ignored. */
NODISCARD int dns_parse(struct arena *a, struct str bytes, struct dns_msg *ret_msg);

/* The last OPT record among the additional ones, or NULL. */
const struct dns_rr *dns_find_opt(const struct dns_msg *m);

/* EDNS client subnet (RFC 7871). */
struct dns_subnet {
    uint16_t family; /* 0 (none given), 1 IPv4, 2 IPv6 */
    uint8_t source_bits, scope_bits;
    uint8_t address[16]; /* zeros behind what was sent */
};
/* True when the OPT record has one. Parsed messages have only good ones. */
bool dns_opt_subnet(const struct dns_rr *opt, struct dns_subnet *ret_subnet);

/* --- names ------------------------------------------------------------------------------------ */

/* Text to wire form; a dot at the end is optional. The size, or -ERR_INVALID: an empty label, one
 * over DNS_LABEL_SIZE_MAX, or too long in all. */
NODISCARD int dns_name_parse(struct str text, uint8_t ret_name[DNS_NAME_SIZE_MAX]);
/* Wire to text form, lower-cased if wanted; "." for the root. `to` has DNS_TEXT_SIZE_MAX bytes. */
struct str dns_name_text(struct str name, bool lower, char *to);
bool dns_name_eq_fold(struct str a, struct str b);
/* The part of `name` from its count-th label on. */
struct str dns_name_parent(struct str name, size_t count);

/* --- writing ---------------------------------------------------------------------------------- */

void dns_add(struct arena *a, struct dns_rrs *rrs, const struct dns_rr *rr);
/* Data of a TXT record: the text in strings of at most DNS_TXT_SIZE_MAX. */
struct str dns_txt_data(struct arena *a, struct str text);
/* An OPT record that offers `size`, with the client subnet (may be NULL) echoed. */
struct dns_rr dns_opt_make(struct arena *a, uint16_t size, const struct dns_subnet *subnet);

/* Where names stand in the message being written, for compression; reused without clearing. */
struct dns_names;
struct dns_names *dns_names_new(void);
struct dns_names *dns_names_free(struct dns_names *names);

/* The size written, or -ERR_TOO_LARGE when `size` bytes do not hold it. names may be NULL unless
 * compress is set. */
NODISCARD int dns_write(const struct dns_msg *m, bool compress, struct dns_names *names,
                        uint8_t *to, size_t size);
/* The same; answer_ends[i] becomes the size of the message up to its i-th answer (of n + 1). */
NODISCARD int dns_write_ends(const struct dns_msg *m, bool compress, struct dns_names *names,
                             uint8_t *to, size_t size, uint32_t *answer_ends);
/* What was written, cut after its n-th answer: new counts and flags in the header. */
void dns_patch_cut(uint8_t *written, uint16_t flags, size_t answers);
/* The size without compression. */
size_t dns_size_uncompressed(const struct dns_msg *m);
