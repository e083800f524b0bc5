/* Push/pull: two members tell each other all they know. It mends what gossip has missed, and it is
 * how one joins. What a push/pull says of others is taken as if it had come by itself, but that a
 * member said to be dead is only suspected: it may still refute.
 *
 * Before that, all versions must go together: each that is spoken, here or there, must be
 * understood by everyone alive. And who joins must be agreed to.
 *
 * memberlist's state.go (pushPull, verifyProtocol, mergeState), net.go (mergeRemoteState). */
#include "gossip/core/swim_internal.h"

/* --- what we tell --- */

void swim_push_pull_encode(struct swim *s, bool join, struct buf *to)
{
    struct arena a = {0};
    struct buf user = {0};
    struct memberlist_push_pull m = {.join = join, .nodes_count = s->ring.n};
    if (s->delegate.local_state != NULL) {
        s->delegate.local_state(s->delegate_data, join, &user);
        m.user_state = buf_view(&user);
    }
    m.nodes = ARENA_ARRAY(&a, struct memberlist_node_state, s->ring.n);
    for (size_t i = 0; i < s->ring.n; i++) {
        const struct swim_member *n = &s->ring.v[i]->pub;
        m.nodes[i].alive = (struct memberlist_alive){.incarnation = n->incarnation,
                                                     .node = n->name,
                                                     .address = n->address,
                                                     .meta = n->meta,
                                                     .has_vsn = true};
        memcpy(m.nodes[i].alive.vsn, n->vsn, MEMBERLIST_VSN_SIZE);
        m.nodes[i].state = n->state;
    }
    memberlist_push_pull_encode(&m, to);
    buf_deinit(&user);
    arena_deinit(&a);
}

/* --- versions --- */

/* What all understand of one of the two protocols. */
struct common {
    size_t at; /* in vsn: min, max, current */
    const char *what;
    unsigned min, max;
};

static void common_add(struct common *c, const uint8_t *vsn)
{
    c->min = MAX(c->min, (unsigned)vsn[c->at]);
    c->max = MIN(c->max, (unsigned)vsn[c->at + 1]);
}

static int common_check(const struct common *c, struct str name, const uint8_t *vsn,
                        struct err *err)
{
    unsigned current = vsn[c->at + 2];
    if (current < c->min || current > c->max) {
        return err_set(err, ERR_INVALID, "Node '%.*s' %s version (%u) is incompatible: [%u, %u]",
                       STRF(name), c->what, current, c->min, c->max);
    }
    return 0;
}

static int versions_check(const struct swim *s, const struct memberlist_push_pull *m,
                          struct err *err)
{
    struct common both[] = {{0, "protocol", 0, UINT8_MAX}, {3, "delegate protocol", 0, UINT8_MAX}};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < m->nodes_count; i++) {
            const struct memberlist_node_state *n = &m->nodes[i];
            if (n->state == MEMBERLIST_STATE_ALIVE && n->alive.has_vsn) {
                common_add(&both[k], n->alive.vsn);
            }
        }
        for (size_t i = 0; i < s->ring.n; i++) {
            if (s->ring.v[i]->pub.state == MEMBERLIST_STATE_ALIVE) {
                common_add(&both[k], s->ring.v[i]->pub.vsn);
            }
        }
    }
    for (size_t i = 0; i < m->nodes_count; i++) {
        const struct memberlist_alive *a = &m->nodes[i].alive; /* none said: zeros */
        if (common_check(&both[0], a->node, a->vsn, err) < 0 ||
            common_check(&both[1], a->node, a->vsn, err) < 0) {
            return -ERR_INVALID;
        }
    }
    for (size_t i = 0; i < s->ring.n; i++) {
        const struct swim_member *n = &s->ring.v[i]->pub;
        if (common_check(&both[0], n->name, n->vsn, err) < 0 ||
            common_check(&both[1], n->name, n->vsn, err) < 0) {
            return -ERR_INVALID;
        }
    }
    return 0;
}

/* --- what we are told --- */

static int merge_agree(struct swim *s, const struct memberlist_push_pull *m, struct err *err)
{
    struct swim_member *members = ARENA_ARRAY(&s->arena, struct swim_member, m->nodes_count);
    for (size_t i = 0; i < m->nodes_count; i++) {
        const struct memberlist_alive *a = &m->nodes[i].alive;
        members[i] = (struct swim_member){.name = a->node,
                                          .address = a->address,
                                          .meta = a->meta,
                                          .state = m->nodes[i].state,
                                          .incarnation = a->incarnation};
        memcpy(members[i].vsn, a->vsn, MEMBERLIST_VSN_SIZE);
    }
    return s->delegate.merge(s->delegate_data, members, m->nodes_count, err);
}

static void merge_one(struct swim *s, const struct memberlist_node_state *n)
{
    struct memberlist_suspect m = {.incarnation = n->alive.incarnation, .node = n->alive.node};
    switch (n->state) {
    case MEMBERLIST_STATE_ALIVE:
        swim_on_alive(s, &n->alive, false);
        break;
    case MEMBERLIST_STATE_LEFT:
        m.from = n->alive.node;
        swim_on_dead(s, &m);
        break;
    case MEMBERLIST_STATE_DEAD:
    case MEMBERLIST_STATE_SUSPECT:
        m.from = s->self->pub.name;
        swim_on_suspect(s, &m);
        break;
    }
}

int swim_push_pull_merge(struct swim *s, const struct memberlist_push_pull *m, bool join,
                         struct err *err)
{
    for (size_t i = 0; i < m->nodes_count; i++) {
        if (m->nodes[i].alive.address.port == 0) {
            m->nodes[i].alive.address.port = s->address.port; /* of the first version */
        }
    }
    if (versions_check(s, m, err) < 0 ||
        (join && s->delegate.merge != NULL && merge_agree(s, m, err) < 0)) {
        return -ERR_INVALID;
    }
    for (size_t i = 0; i < m->nodes_count; i++) {
        merge_one(s, &m->nodes[i]);
    }
    if (m->user_state.n > 0 && s->delegate.remote_state != NULL) {
        s->delegate.remote_state(s->delegate_data, join, m->user_state);
    }
    return 0;
}

/* --- when --- */

static bool may_pull(const struct swim *s, const struct swim_node *n, const void *data)
{
    (void)data;
    return n != s->self && n->pub.state == MEMBERLIST_STATE_ALIVE;
}

static bool is_pulling(const struct swim *s)
{
    list_for_each (link, &s->streams) {
        if (list_entry(link, struct swim_stream, link)->kind == SWIM_STREAM_PUSH_PULL) {
            return true;
        }
    }
    return false;
}

static void push_pull_fire(struct swim *s, struct swim_timer *t)
{
    swim_timer_set(s, t,
                   s->now_ns + swim_push_pull_scale(s->config.push_pull_interval_ns, s->ring.n),
                   push_pull_fire);
    if (is_pulling(s)) {
        return; /* with one that does not answer */
    }
    swim_pick(s, 1, &s->picks, may_pull, NULL);
    if (s->picks.n > 0) {
        const struct swim_member *n = &s->picks.v[0]->pub;
        (void)swim_stream_dial(s, SWIM_STREAM_PUSH_PULL, &n->address, n->name,
                               s->now_ns + s->config.tcp_timeout_ns);
    }
}

void swim_push_pull_start(struct swim *s)
{
    uint64_t interval_ns = s->config.push_pull_interval_ns;
    if (interval_ns > 0) {
        swim_timer_set(s, &s->push_pull_timer,
                       s->now_ns + rng_below(s->rng, interval_ns) +
                           swim_push_pull_scale(interval_ns, s->ring.n),
                       push_pull_fire);
    }
}
