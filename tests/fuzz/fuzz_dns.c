/* DNS messages: parsing never crashes, and what was parsed is written, read again and the same. */
#include "proto/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rrs(const struct dns_rrs *a, const struct dns_rrs *b)
{
    ASSERT(a->n == b->n);
    for (size_t i = 0; i < a->n; i++) {
        ASSERT(str_eq(a->v[i].owner, b->v[i].owner));
        ASSERT(a->v[i].type == b->v[i].type && a->v[i].class == b->v[i].class);
        ASSERT(a->v[i].ttl == b->v[i].ttl);
        ASSERT(str_eq(a->v[i].data, b->v[i].data));
    }
}

static void check_text(struct str name)
{
    char text[DNS_TEXT_SIZE_MAX];
    uint8_t wire[DNS_NAME_SIZE_MAX];
    if (name.n > 0) {
        int n = dns_name_parse(dns_name_text(name, false, text), wire);
        ASSERT(n > 0 && str_eq(str_make(wire, (size_t)n), name));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[DNS_SIZE_MAX];
    static struct dns_names *names;
    struct arena arena = {0};
    struct dns_msg m, back;
    if (names == NULL) {
        names = dns_names_new();
    }
    if (dns_parse(&arena, str_make(data, size), &m) == 0) {
        check_text(m.question.name);
        for (int compress = 0; compress < 2; compress++) {
            int n = dns_write(&m, compress, names, bytes, sizeof(bytes));
            if (n < 0) {
                continue;
            }
            ASSERT(dns_parse(&arena, str_make(bytes, (size_t)n), &back) == 0);
            ASSERT(back.id == m.id && back.flags == m.flags);
            ASSERT(str_eq(back.question.name, m.question.name));
            check_rrs(&m.answer, &back.answer);
            check_rrs(&m.authority, &back.authority);
            check_rrs(&m.additional, &back.additional);
        }
    }
    arena_deinit(&arena);
    return 0;
}
