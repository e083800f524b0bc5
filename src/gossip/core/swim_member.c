/* Who is known. The ring is the order in which members are probed: a new one comes in at a random
 * place, and after each round all are shuffled. So a member that dies is probed by somebody soon,
 * and no two agents probe in step. */
#include "gossip/core/swim_internal.h"

#include "base/mem.h"

struct swim_node *swim_node_find(const struct swim *s, struct str name)
{
    return map_get(&s->by_name, name);
}

bool swim_node_is_live(const struct swim_node *n)
{
    return n->pub.state == MEMBERLIST_STATE_ALIVE || n->pub.state == MEMBERLIST_STATE_SUSPECT;
}

static void ring_put(struct swim *s, size_t place, struct swim_node *n)
{
    s->ring.v[place] = n;
    n->place = place;
}

static void ring_swap(struct swim *s, size_t a, size_t b)
{
    struct swim_node *n = s->ring.v[a];
    ring_put(s, a, s->ring.v[b]);
    ring_put(s, b, n);
}

struct swim_node *swim_node_add(struct swim *s, struct str name,
                                const struct gossip_address *address)
{
    struct swim_node *n = xcalloc(1, sizeof(*n) + name.n);
    memcpy(n + 1, name.p, name.n);
    n->pub.name = str_make(n + 1, name.n);
    n->pub.address = *address;
    n->pub.state = MEMBERLIST_STATE_DEAD; /* until something is said of it */
    n->pub.state_changed_ns = s->now_ns;
    size_t last = s->ring.n;
    vec_push(&s->ring, n);
    n->place = last;
    if (last > 0) {
        ring_swap(s, last, rng_below(s->rng, last));
    }
    (void)map_put(&s->by_name, n->pub.name, n);
    return n;
}

void swim_node_free(struct swim_node *n)
{
    mem_free((void *)n->pub.meta.p);
    mem_free(n);
}

void swim_node_set_state(struct swim *s, struct swim_node *n, enum memberlist_state state)
{
    s->live_count -= swim_node_is_live(n);
    n->pub.state = state;
    n->pub.state_changed_ns = s->now_ns;
    s->live_count += swim_node_is_live(n);
}

void swim_node_set_meta(struct swim_node *n, struct str meta)
{
    struct str old = n->pub.meta;
    if (!str_eq(old, meta)) {
        n->pub.meta = meta.n > 0 ? str_make(xmemdup(meta.p, meta.n), meta.n) : STR_NULL;
        mem_free((void *)old.p);
    }
}

/* --- a round is over --- */

static bool is_over(const struct swim *s, const struct swim_node *n, bool is_full)
{
    uint64_t kept_ns;
    if (n == s->self || swim_node_is_live(n)) {
        return false;
    }
    kept_ns = n->pub.state == MEMBERLIST_STATE_DEAD || is_full ? s->config.gossip_to_the_dead_ns
                                                               : SWIM_LEFT_KEPT_NS;
    return s->now_ns - n->pub.state_changed_ns > kept_ns;
}

void swim_ring_renew(struct swim *s)
{
    bool is_full = s->ring.n > s->members_max / 2;
    size_t kept = 0;
    for (size_t i = 0; i < s->ring.n; i++) {
        struct swim_node *n = s->ring.v[i];
        if (is_over(s, n, is_full)) {
            (void)map_remove(&s->by_name, n->pub.name);
            swim_node_free(n);
        } else {
            ring_put(s, kept++, n);
        }
    }
    s->ring.n = kept;
    for (size_t i = kept; i > 1; i--) { /* Fisher, Yates */
        ring_swap(s, i - 1, rng_below(s->rng, i));
    }
}

/* --- picks --- */

static void pick_add(struct swim_picks *to, struct swim_node *n)
{
    for (size_t i = 0; i < to->n; i++) {
        if (to->v[i] == n) {
            return;
        }
    }
    vec_push(to, n);
}

/* A few tries at random, which is enough unless most are not wanted; then whoever is next, from a
 * random place on. So as many are found as there are, and none is copied. */
void swim_pick(struct swim *s, size_t count, struct swim_picks *to,
               bool (*wanted)(const struct swim *s, const struct swim_node *n, const void *data),
               const void *data)
{
    vec_clear(to);
    size_t n = s->ring.n;
    for (size_t tries = 4 * count + 8; tries > 0 && n > 0 && to->n < count; tries--) {
        struct swim_node *at = s->ring.v[rng_below(s->rng, n)];
        if (wanted(s, at, data)) {
            pick_add(to, at);
        }
    }
    if (to->n < count && n > 0) {
        size_t from = rng_below(s->rng, n);
        for (size_t i = 0; i < n && to->n < count; i++) {
            struct swim_node *at = s->ring.v[(from + i) % n];
            if (wanted(s, at, data)) {
                pick_add(to, at);
            }
        }
    }
}

struct random_wish {
    bool (*wanted)(void *data, const struct swim_member *m);
    void *data;
};

static bool random_wanted(const struct swim *s, const struct swim_node *n, const void *data)
{
    (void)s;
    const struct random_wish *wish = data;
    return wish->wanted(wish->data, &n->pub);
}

const struct swim_member *
swim_random(struct swim *s, bool (*wanted)(void *data, const struct swim_member *m), void *data)
{
    struct random_wish wish = {wanted, data};
    struct swim_node *room[1];
    struct swim_picks pick = {room, 0, 1}; /* s->picks may be in use */
    swim_pick(s, 1, &pick, random_wanted, &wish);
    return pick.n > 0 ? &room[0]->pub : NULL;
}

/* --- for others --- */

size_t swim_members_count(const struct swim *s)
{
    return s->live_count;
}

size_t swim_known_count(const struct swim *s)
{
    return s->ring.n;
}

const struct swim_member *swim_find(const struct swim *s, struct str name)
{
    const struct swim_node *n = swim_node_find(s, name);
    return n != NULL ? &n->pub : NULL;
}

const struct swim_member *swim_next(const struct swim *s, size_t *pos)
{
    return *pos < s->ring.n ? &s->ring.v[(*pos)++]->pub : NULL;
}

const struct swim_member *swim_self(const struct swim *s)
{
    return &s->self->pub;
}
