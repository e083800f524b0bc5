/* Members, as swim tells of them and intents colour it.
 *
 * New or back: alive, or leaving when the intent to leave came before. Gone: left when he had said
 * so, else failed. Failed members are reconnected to now and then, until they are reaped; those
 * that left are remembered for a while, so that others hear of it in push/pulls. */
#include "gossip/core/serf_internal.h"

#define NAME_SIZE_MAX SERF_NODE_NAME_SIZE_MAX

struct serf_member *serf_member_find(const struct serf *s, struct str name)
{
    return map_get(&s->members, name);
}

const struct member *serf_find(const struct serf *s, struct str name)
{
    const struct serf_member *m = serf_member_find(s, name);
    return m != NULL ? m->member : NULL;
}

const struct member *serf_next(const struct serf *s, size_t *pos)
{
    struct str name;
    void *m;
    return map_next(&s->members, pos, &name, &m) ? ((struct serf_member *)m)->member : NULL;
}

size_t serf_members_count(const struct serf *s)
{
    return s->members.n;
}

bool serf_has_others_alive(const struct serf *s)
{
    size_t pos = 0;
    const struct member *m;
    while ((m = serf_next(s, &pos)) != NULL) {
        if (m->status == MEMBER_ALIVE && !str_eq(m->name, s->name)) {
            return true;
        }
    }
    return false;
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
}

int serf_name_check(const struct serf_config *c, struct str name, struct err *err)
{
    if (!c->validate_node_names) {
        return 0;
    }
    for (size_t i = 0; i < name.n; i++) {
        if (!is_name_character(name.p[i])) {
            return err_set(err, ERR_INVALID,
                           "Node name contains invalid characters %.*s , Valid characters include "
                           "all alpha-numerics and dashes and '.' ",
                           STRF(name));
        }
    }
    if (name.n > NAME_SIZE_MAX) {
        return err_set(err, ERR_INVALID,
                       "Node name is %zu characters. Valid length is between 1 and %u characters",
                       name.n, NAME_SIZE_MAX);
    }
    return 0;
}

/* --- what swim says -------------------------------------------------------------------------- */

void serf_member_view(struct serf *s, const struct swim_member *m, struct arena *a,
                      struct member *ret)
{
    struct err err;
    *ret = (struct member){.name = m->name, .port = m->address.port};
    buf_clear(&s->text);
    gossip_address_format_ip(&m->address, &s->text);
    ret->addr = arena_str(a, buf_view(&s->text));
    if (serf_tags_decode(m->meta, a, &ret->tags, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to decode tags: %s", err_text(&err));
        ret->tags = (struct strmap){0};
    }
    ret->protocol_min = m->vsn[0];
    ret->protocol_max = m->vsn[1];
    ret->protocol_cur = m->vsn[2];
    ret->delegate_min = m->vsn[3];
    ret->delegate_max = m->vsn[4];
    ret->delegate_cur = m->vsn[5];
}

/* Take over all but the status. */
static void member_set(struct serf *s, struct serf_member *m, const struct swim_member *from,
                       int64_t status)
{
    struct member view;
    arena_reset(&s->scratch);
    serf_member_view(s, from, &s->scratch, &view);
    view.status = status;
    (void)mem_free(m->member);
    m->member = schema_clone(&member_schema, &view, NULL);
    m->address = from->address;
}

void serf_member_free(struct serf_member *m)
{
    (void)mem_free(m->member);
    (void)mem_free(m);
}

/* Out of the lists of those who are gone. */
static void member_back(struct serf *s, struct serf_member *m)
{
    if (list_is_linked(&m->link)) {
        *(m->member->status == MEMBER_LEFT ? &s->left_count : &s->failed_count) -= 1;
        list_remove(&m->link);
    }
}

static void member_gone(struct serf *s, struct serf_member *m, int64_t status)
{
    member_back(s, m);
    m->member->status = status;
    *(status == MEMBER_LEFT ? &s->left_count : &s->failed_count) += 1;
    list_push_back(status == MEMBER_LEFT ? &s->left : &s->failed, &m->link);
}

static void member_event(struct serf *s, const struct serf_member *m, enum serf_event_kind kind)
{
    serf_event(s, &(struct serf_event){.kind = kind, .member = m->member});
    serf_snapshot_member(s, kind, m);
}

void serf_on_member_join(struct serf *s, const struct swim_member *from)
{
    struct serf_member *m = serf_member_find(s, from->name);
    int64_t status = MEMBER_ALIVE;
    if (m == NULL) {
        const struct serf_recent_intent *intent = serf_intent_recent(s, from->name);
        m = xcalloc(1, sizeof(*m));
        if (intent != NULL) {
            m->status_ltime = intent->ltime;
            status = intent->is_leave ? MEMBER_LEAVING : MEMBER_ALIVE;
        }
        (void)map_put(&s->members, from->name, m);
    } else {
        if (m->member->status == MEMBER_FAILED &&
            serf_now(s) - m->gone_ns < s->config.flap_timeout_ns) {
            serf_measure(s, SERF_MEASURE_MEMBER_FLAP, STR_NULL, 1);
        }
        member_back(s, m);
        m->gone_ns = 0;
    }
    member_set(s, m, from, status);
    serf_measure(s, SERF_MEASURE_MEMBER_JOIN, STR_NULL, 1);
    serf_log(s, SWIM_LOG_INFO, "EventMemberJoin: %.*s %.*s", STRF(m->member->name),
             STRF(m->member->addr));
    member_event(s, m, SERF_EVENT_MEMBER_JOIN);
}

void serf_on_member_update(struct serf *s, const struct swim_member *from)
{
    struct serf_member *m = serf_member_find(s, from->name);
    if (m == NULL) {
        return; /* pruned */
    }
    member_set(s, m, from, m->member->status);
    serf_measure(s, SERF_MEASURE_MEMBER_UPDATE, STR_NULL, 1);
    serf_log(s, SWIM_LOG_INFO, "EventMemberUpdate: %.*s", STRF(m->member->name));
    member_event(s, m, SERF_EVENT_MEMBER_UPDATE);
}

void serf_on_member_leave(struct serf *s, const struct swim_member *from)
{
    struct serf_member *m = serf_member_find(s, from->name);
    if (m == NULL) {
        return;
    }
    if (m->member->status != MEMBER_LEAVING && m->member->status != MEMBER_ALIVE) {
        serf_log(s, SWIM_LOG_WARN, "Bad state when leave: %lld", (long long)m->member->status);
        return;
    }
    bool left = m->member->status == MEMBER_LEAVING;
    m->gone_ns = serf_now(s);
    member_gone(s, m, left ? MEMBER_LEFT : MEMBER_FAILED);
    serf_measure(s, left ? SERF_MEASURE_MEMBER_LEFT : SERF_MEASURE_MEMBER_FAILED, STR_NULL, 1);
    serf_log(s, SWIM_LOG_INFO, "%s: %.*s %.*s", left ? "EventMemberLeave" : "EventMemberFailed",
             STRF(m->member->name), STRF(m->member->addr));
    member_event(s, m, left ? SERF_EVENT_MEMBER_LEAVE : SERF_EVENT_MEMBER_FAILED);
    if (m->prune) {
        serf_member_erase(s, m);
    }
}

void serf_member_forced_left(struct serf *s, struct serf_member *m)
{
    member_gone(s, m, MEMBER_LEFT);
    serf_log(s, SWIM_LOG_INFO, "EventMemberLeave (forced): %.*s %.*s", STRF(m->member->name),
             STRF(m->member->addr));
    member_event(s, m, SERF_EVENT_MEMBER_LEAVE);
}

/* --- forgetting and looking for those who are gone -------------------------------------------- */

void serf_member_erase(struct serf *s, struct serf_member *m)
{
    serf_log(s, SWIM_LOG_INFO, "EventMemberReap%s: %.*s", m->prune ? " (forced)" : "",
             STRF(m->member->name));
    member_back(s, m);
    (void)map_remove(&s->members, m->member->name);
    if (s->vivaldi != NULL) {
        vivaldi_forget(s->vivaldi, m->member->name);
    }
    member_event(s, m, SERF_EVENT_MEMBER_REAP);
    serf_member_free(m);
}

static void reap(struct serf *s, struct list *gone, uint64_t timeout_ns)
{
    uint64_t now_ns = serf_now(s);
    list_for_each (link, gone) {
        struct serf_member *m = list_entry(link, struct serf_member, link);
        uint64_t own_ns = s->ops->reconnect_timeout_ns != NULL
                              ? s->ops->reconnect_timeout_ns(s->data, m->member)
                              : 0;
        if (now_ns - m->gone_ns > (own_ns > 0 ? own_ns : timeout_ns) &&
            !str_eq(m->member->name, s->name)) {
            serf_member_erase(s, m);
        }
    }
}

void serf_reap(struct serf *s)
{
    reap(s, &s->failed, s->config.reconnect_timeout_ns);
    reap(s, &s->left, s->config.tombstone_timeout_ns);
}

/* So likely that, over the whole pool, each failed member is tried about once an interval. */
void serf_reconnect(struct serf *s)
{
    size_t alive = s->members.n - s->failed_count - s->left_count;
    if (s->failed_count == 0 || s->phase != SERF_ALIVE) {
        return;
    }
    if (rng_f64(s->rng) > (double)s->failed_count / (double)MAX(alive, (size_t)1)) {
        serf_log(s, SWIM_LOG_DEBUG, "forgoing reconnect for random throttling");
        return;
    }
    const struct list *link = s->failed.next;
    for (uint64_t skip = rng_below(s->rng, s->failed_count); skip > 0; skip--) {
        link = link->next;
    }
    const struct serf_member *m = list_entry(link, struct serf_member, link);
    struct buf address = {0};
    gossip_address_format(&m->address, &address);
    serf_log(s, SWIM_LOG_INFO, "attempting reconnect to %.*s %.*s", STRF(m->member->name),
             STRF(buf_view(&address)));
    buf_deinit(&address);
    swim_join(s->swim, serf_now(s), &m->address, m->member->name, 0); /* 0: nobody asks */
}

/* --- coordinates ----------------------------------------------------------------------------- */

const struct coordinate *serf_coordinate(const struct serf *s)
{
    return s->vivaldi != NULL ? vivaldi_coordinate(s->vivaldi) : NULL;
}

const struct coordinate *serf_cached_coordinate(const struct serf *s, struct str name)
{
    if (str_eq(name, s->name)) {
        return serf_coordinate(s);
    }
    const struct serf_member *m = serf_member_find(s, name);
    return m != NULL && m->coordinate.vec.n > 0 ? &m->coordinate : NULL;
}
