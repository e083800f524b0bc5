/* Cutting a reply until it fits: the reference's rules, which decide how many answers a client
 * sees.
 *
 * UDP without EDNS (or with at most 512 bytes): no more than answers_limit answers, eight at most;
 * if that cut any, the size that counts is the one without compression. UDP: at most seven bytes
 * under the client's size. TCP: 64 KB. The authority section goes first, then answers from the end,
 * but the last one stays. Once anything was cut, the additional section keeps only what the SRV
 * answers point to, a record for each target: the OPT record goes too. */
#include "base/vec.h"
#include "dns/internal.h"

#define UDP_ANSWERS_MAX 8
#define UDP_SLACK 7u
#define TCP_SIZE_MAX 65523u
#define TCP_ANSWERS_MAX 4096u
#define TCP_SRV_ANSWERS_MAX 1024u
/* A difference below this is closed one answer at a time. */
#define STEP_SIZE_MAX 100u

struct trimmer {
    struct dns_msg *m;
    struct arena *arena;
    const struct dns_trim *options;
    struct dns_rrs answer, additional; /* as they were */
    /* The additional records that go with the first n answers are the first extras_count[n] of
     * these; made when first needed. */
    struct dns_rrs extras;
    uint32_t *extras_count;
    /* Of a message without SRV answers: where each answer ends in what is in out. Nothing stands
     * behind the answers once any was cut, so that sizes can be looked up and cutting is forgetting
     * the rest. NULL: not measured. */
    uint32_t *ends;
    uint8_t *out;
    int written; /* size of what is in out, when that is the message as it is now; else 0 */
    bool compress;
};

static int write_out(struct trimmer *t)
{
    int n = dns_write(t->m, t->options->compress, t->options->names, t->out, DNS_OUT_SIZE);
    t->written = n;
    return n;
}

static size_t size_now(struct trimmer *t)
{
    if (!t->compress) {
        return dns_size_uncompressed(t->m);
    }
    if (t->ends != NULL) {
        return t->ends[t->m->answer.n];
    }
    int n = write_out(t);
    return n < 0 ? DNS_OUT_SIZE : (size_t)n;
}

/* Records by owner, letter case aside. Few are looked through, many go into a map. */
#define SCANNED_MAX 64u

struct owners {
    struct arena *arena;
    const struct dns_rrs *rrs;
    struct map map; /* first of each owner */
};

static void owners_init(struct owners *o, struct arena *a, const struct dns_rrs *rrs)
{
    *o = (struct owners){a, rrs, {0}};
    if (rrs->n <= SCANNED_MAX) {
        return;
    }
    map_init(&o->map, MAP_KEYS_BORROWED);
    for (size_t i = 0; i < rrs->n; i++) {
        struct str owner = arena_lower(a, rrs->v[i].owner);
        if (map_get(&o->map, owner) == NULL) {
            map_put(&o->map, owner, &rrs->v[i]);
        }
    }
}

static struct dns_rr *owners_find(const struct owners *o, struct str name)
{
    if (o->rrs->n > SCANNED_MAX) {
        return map_get(&o->map, arena_lower(o->arena, name));
    }
    for (size_t i = 0; i < o->rrs->n; i++) {
        if (dns_name_eq_fold(o->rrs->v[i].owner, name)) {
            return &o->rrs->v[i];
        }
    }
    return NULL;
}

/* What the targets of SRV records, and CNAMEs from there, lead to; each record once. */
static void make_extras(struct trimmer *t)
{
    struct owners owners;
    t->extras_count = ARENA_ARRAY(t->arena, uint32_t, t->answer.n + 1);
    bool *taken = ARENA_ARRAY(t->arena, bool, t->additional.n);
    owners_init(&owners, t->arena, &t->additional);
    for (size_t i = 0; i < t->answer.n; i++) {
        const struct dns_rr *rr = &t->answer.v[i];
        struct str target = rr->type == DNS_TYPE_SRV ? str_from(rr->data, 6) : STR_NULL;
        while (target.n > 0) {
            struct dns_rr *extra = owners_find(&owners, target);
            if (extra == NULL || taken[extra - t->additional.v]) {
                break;
            }
            taken[extra - t->additional.v] = true;
            dns_add(t->arena, &t->extras, extra);
            target = extra->type == DNS_TYPE_CNAME ? extra->data : STR_NULL;
        }
        t->extras_count[i + 1] = (uint32_t)t->extras.n;
    }
    map_deinit(&owners.map);
}

static void keep(struct trimmer *t, size_t answers)
{
    t->m->answer.n = answers;
    t->written = 0;
    if (t->additional.n == 0) {
        return;
    }
    if (t->extras_count == NULL) {
        make_extras(t);
    }
    t->m->additional = t->extras;
    t->m->additional.n = t->extras_count[answers];
}

/* How many answers fit, by bisection; any number of which less than ten bytes are left over will
 * do, since no record is that small. */
static size_t bisect(struct trimmer *t, size_t size_max)
{
    size_t low = 0, high = t->m->answer.n + 1;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        keep(t, middle);
        size_t size = size_now(t);
        if (size > size_max) {
            high = middle;
        } else if (size_max - size < 10) {
            return middle;
        } else {
            low = middle;
        }
    }
    return low;
}

static bool has_srv(const struct dns_rrs *rrs)
{
    for (size_t i = 0; i < rrs->n; i++) {
        if (rrs->v[i].type == DNS_TYPE_SRV) {
            return true;
        }
    }
    return false;
}

static void measure(struct trimmer *t)
{
    if (t->ends != NULL || !t->compress || has_srv(&t->answer)) {
        return;
    }
    uint32_t *ends = ARENA_ARRAY(t->arena, uint32_t, t->m->answer.n + 1);
    const struct dns_trim *o = t->options;
    if (dns_write_ends(t->m, true, o->names, t->out, DNS_OUT_SIZE, ends) >= 0) {
        t->ends = ends;
    }
}

/* limit: above which the message is too big; target: what the bisection aims for. */
static bool cut_to_size(struct trimmer *t, size_t limit, size_t target)
{
    bool cut = false;
    while (t->m->answer.n > 1) {
        size_t size = size_now(t);
        if (size <= limit) {
            break;
        }
        cut = true;
        measure(t);
        if (t->m->authority.n > 0) {
            t->m->authority.n = 0;
            t->written = 0;
            size = size_now(t);
        }
        size_t n = t->m->answer.n - 1;
        if (size > target && size - target > STEP_SIZE_MAX) {
            n = bisect(t, target);
        }
        keep(t, n);
    }
    return cut;
}

static bool trim_udp(struct trimmer *t)
{
    size_t count = t->answer.n;
    size_t size_max = MAX(t->options->udp_size, (size_t)DNS_UDP_SIZE);
    int64_t limit = MIN(t->options->answers_limit, (int64_t)UDP_ANSWERS_MAX);
    size_t answers_max = limit < 0 ? 0 : (size_t)limit;
    if (size_max == DNS_UDP_SIZE && count > answers_max) {
        t->compress = false;
        keep(t, answers_max);
    }
    cut_to_size(t, size_max - UDP_SLACK, size_max);
    return t->m->answer.n < count;
}

static bool trim_tcp(struct trimmer *t)
{
    bool is_srv = t->m->question.type == DNS_TYPE_SRV;
    t->m->answer.n = MIN(t->m->answer.n, (size_t)(is_srv ? TCP_SRV_ANSWERS_MAX : TCP_ANSWERS_MAX));
    return cut_to_size(t, TCP_SIZE_MAX, TCP_SIZE_MAX);
}

int dns_trim_write(struct dns_msg *m, struct arena *a, const struct dns_trim *trim, uint8_t *out)
{
    struct trimmer t = {.m = m,
                        .arena = a,
                        .options = trim,
                        .answer = m->answer,
                        .additional = m->additional,
                        .out = out,
                        .compress = trim->compress};
    bool cut = trim->is_tcp ? trim_tcp(&t) : trim_udp(&t);
    if (cut && trim->set_truncated) {
        m->flags |= DNS_TC;
        t.written = 0;
    }
    if (t.ends != NULL) {
        dns_patch_cut(out, m->flags, m->answer.n);
        return (int)t.ends[m->answer.n];
    }
    return t.written != 0 ? t.written : write_out(&t);
}
