/* Queries of ours: who has acknowledged, who has answered, until their time is over. A member's
 * answer may come several times (relays), and counts once. */
#include "gossip/core/serf_internal.h"

#include <math.h>

struct seen {
    struct map acks, answers; /* by name */
    size_t max;               /* names in each: more than there are members is a lie */
    bool wants_acks;
};

/* --- beginning and end ------------------------------------------------------------------------ */

static uint64_t default_timeout_ns(const struct serf *s)
{
    double n = (double)swim_members_count(s->swim);
    uint64_t rounds = s->config.query_timeout_mult * (uint64_t)ceil(log10(n + 1));
    return s->config.swim.gossip_interval_ns * rounds;
}

static void encode_filters(const struct serf_query_params *p, struct arena *a,
                           struct serf_query *ret)
{
    ret->filters = ARENA_ARRAY(a, struct str, p->filter_tags.n + 1);
    for (size_t i = 0; i <= p->filter_tags.n; i++) {
        struct serf_filter f = {.nodes = p->filter_nodes};
        struct buf bytes = {0};
        if (i > 0) { /* the first place is the nodes' */
            f = (struct serf_filter){.is_tag = true,
                                     .tag = p->filter_tags.v[i - 1].key,
                                     .regexp = p->filter_tags.v[i - 1].value};
        } else if (p->filter_nodes.n == 0) {
            continue;
        }
        serf_filter_encode(&f, &bytes);
        ret->filters[ret->filters_count++] = arena_str(a, buf_view(&bytes));
        buf_deinit(&bytes);
    }
}

static void asking_add(struct serf *s, struct serf_asking *q, const struct serf_query *query)
{
    struct seen *seen = xcalloc(1, sizeof(*seen));
    seen->max = 2 * s->members.n + 16; /* some may join meanwhile */
    seen->wants_acks = (query->flags & SERF_QUERY_FLAG_ACK) != 0;
    q->ltime = query->ltime;
    q->id = query->id;
    q->deadline_ns = serf_after(serf_now(s), (uint64_t)query->timeout_ns);
    q->seen = seen;
    q->next = s->asking;
    s->asking = q;
    s->asking_count++;
}

/* NULL: it is none of those under way. */
static struct serf_asking *asking_take(struct serf *s, const struct serf_asking *q)
{
    for (struct serf_asking **at = &s->asking; *at != NULL; at = &(*at)->next) {
        if (*at == q) {
            struct serf_asking *taken = *at;
            struct seen *seen = taken->seen;
            *at = taken->next;
            taken->next = NULL;
            s->asking_count--;
            map_deinit(&seen->acks);
            map_deinit(&seen->answers);
            taken->seen = mem_free(seen);
            return taken;
        }
    }
    return NULL;
}

int serf_query(struct serf *s, uint64_t now_ns, const struct serf_query_params *p,
               struct serf_asking *q, struct err *err)
{
    s->now_ns = now_ns;
    if (s->phase == SERF_STOPPED) {
        return err_set(err, ERR_CLOSED, "the pool has ended");
    }
    if (s->asking_count >= SERF_QUERIES_MAX) {
        return err_set(err, ERR_AGAIN, "more than %u queries under way", SERF_QUERIES_MAX);
    }
    struct arena a = {0};
    struct buf message = {0};
    uint64_t timeout_ns = p->timeout_ns > 0 ? p->timeout_ns : default_timeout_ns(s);
    struct serf_query query = {
        .ltime = s->query_clock,
        .id = (uint32_t)rng_below(s->rng, (uint64_t)1 << 31),
        .source = s->address,
        .source_node = s->name,
        .flags = p->ack ? SERF_QUERY_FLAG_ACK : 0,
        .relay_factor = p->relay_factor,
        .timeout_ns = (int64_t)MIN(timeout_ns, (uint64_t)INT64_MAX),
        .name = p->name,
        .payload = p->payload,
    };
    int rc = 0;
    if (p->filter_tags.n >= SERF_FILTERS_MAX) {
        rc = err_set(err, ERR_TOO_LARGE, "more than %u filters", SERF_FILTERS_MAX);
    } else {
        encode_filters(p, &a, &query);
        serf_query_encode(&query, &message);
        if (message.n > s->config.query_size_max) {
            rc = err_set(err, ERR_TOO_LARGE, "query exceeds limit of %u bytes",
                         s->config.query_size_max);
        }
    }
    if (rc == 0) {
        asking_add(s, q, &query);
        (void)serf_on_query(s, &query, str_from(buf_view(&message), 1));
        serf_broadcast(s, s->query_queue, buf_view(&message), NULL);
    }
    buf_deinit(&message);
    arena_deinit(&a);
    return rc;
}

void serf_query_close(struct serf *s, struct serf_asking *q)
{
    (void)asking_take(s, q);
}

static struct serf_asking *asking_first_due(const struct serf *s, uint64_t now_ns)
{
    for (struct serf_asking *q = s->asking; q != NULL; q = q->next) {
        if (q->deadline_ns <= now_ns) {
            return q;
        }
    }
    return NULL;
}

static void end_all_until(struct serf *s, uint64_t now_ns)
{
    struct serf_asking *q;
    while ((q = asking_first_due(s, now_ns)) != NULL) {
        (void)asking_take(s, q);
        q->done(q);
    }
}

void serf_asking_due(struct serf *s)
{
    end_all_until(s, s->now_ns);
}

void serf_asking_end(struct serf *s)
{
    end_all_until(s, UINT64_MAX);
}

uint64_t serf_asking_deadline_ns(const struct serf *s)
{
    uint64_t deadline_ns = UINT64_MAX;
    for (const struct serf_asking *q = s->asking; q != NULL; q = q->next) {
        deadline_ns = MIN(deadline_ns, q->deadline_ns);
    }
    return deadline_ns;
}

/* --- answers ---------------------------------------------------------------------------------- */

static bool first_of(struct map *names, size_t max, struct str from)
{
    if (names->n >= max || map_get(names, from) != NULL) {
        return false;
    }
    (void)map_put(names, from, names);
    return true;
}

void serf_on_query_response(struct serf *s, const struct serf_query_response *r)
{
    struct serf_asking *q = s->asking;
    while (q != NULL && q->ltime != r->ltime) {
        q = q->next;
    }
    if (q == NULL) {
        serf_log(s, SWIM_LOG_WARN, "reply for non-running query (LTime: %llu, ID: %u) From: %.*s",
                 (unsigned long long)r->ltime, r->id, STRF(r->from));
        return;
    }
    if (q->id != r->id) {
        serf_log(s, SWIM_LOG_WARN, "query reply ID mismatch (Local: %u, Response: %u)", q->id,
                 r->id);
        return;
    }
    struct seen *seen = q->seen;
    if (q->deadline_ns < serf_now(s)) {
        return;
    }
    if ((r->flags & SERF_QUERY_FLAG_ACK) == 0) {
        if (!first_of(&seen->answers, seen->max, r->from)) {
            serf_measure(s, SERF_MEASURE_QUERY_DUPLICATE_RESPONSES, STR_NULL, 1);
            return;
        }
        serf_measure(s, SERF_MEASURE_QUERY_RESPONSES, STR_NULL, 1);
        if (q->answer != NULL) {
            q->answer(q, r->from, r->payload);
        }
    } else if (seen->wants_acks) {
        if (!first_of(&seen->acks, seen->max, r->from)) {
            serf_measure(s, SERF_MEASURE_QUERY_DUPLICATE_ACKS, STR_NULL, 1);
            return;
        }
        serf_measure(s, SERF_MEASURE_QUERY_ACKS, STR_NULL, 1);
        if (q->ack != NULL) {
            q->ack(q, r->from);
        }
    }
}
