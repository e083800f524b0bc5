#include "server/exchange_core.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/vec.h"
#include "server/membership.h"
#include "server/server_info.h"

struct peer {
    struct member *member; /* one block; status is this server's own opinion */
    uint64_t incarnation;
    enum exchange_state state;
    uint64_t heard_ms; /* when it was last heard of at first hand, or first by hearsay */
    uint64_t asked_ms;
    uint64_t since_ms; /* its status is what it is */
    bool is_being_asked, was_asked;
};

struct exchange_core {
    struct str datacenter;
    bool is_leaving;
    struct peer peers[EXCHANGE_MEMBERS_MAX]; /* [0] is this server */
    size_t count;
    VEC(struct exchange_event) events;
    size_t events_taken;
};

#define R struct exchange_record
static const struct field record_fields[] = {
    F_OBJ(R, member, struct member, "Member", 0, &member_schema),
    F_UINT(R, incarnation, "Incarnation", 0),
    F_UINT(R, state, "State", 0),
    FIELDS_END,
};
#undef R
static const struct schema record_schema =
    SCHEMA("ExchangeRecord", struct exchange_record, record_fields);

static const struct field message_fields[] = {
    F_STR(struct exchange_message, from, "From", 0),
    F_OBJLIST(struct exchange_message, records, "Records", 0, &record_schema),
    FIELDS_END,
};
const struct schema exchange_message_schema =
    SCHEMA("ExchangeMessage", struct exchange_message, message_fields);

/* --- the table ------------------------------------------------------------------------------- */

static struct peer *peer_find(struct exchange_core *c, struct str name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (str_eq(c->peers[i].member->name, name)) {
            return &c->peers[i];
        }
    }
    return NULL;
}

static void event_push(struct exchange_core *c, enum membership_event kind, const struct member *m)
{
    struct exchange_event e = {kind, schema_clone(&member_schema, m, NULL)};
    vec_push(&c->events, e);
}

static void peer_set_status(struct exchange_core *c, struct peer *p, enum member_status status,
                            enum membership_event event, uint64_t now_ms)
{
    if (p->member->status != (int64_t)status) {
        p->member->status = status;
        p->since_ms = now_ms;
        event_push(c, event, p->member);
    }
}

static bool member_same(const struct member *a, const struct member *b)
{
    struct member x = *a;
    x.status = b->status;
    return schema_equal(&member_schema, &x, b);
}

static void peer_remove(struct exchange_core *c, struct peer *p)
{
    size_t i = (size_t)(p - c->peers);
    ASSERT(i > 0);
    mem_free(p->member);
    memmove(p, p + 1, (c->count - i - 1) * sizeof(*p));
    c->count--;
}

static bool is_listed(const struct peer *p)
{
    return p->state != EXCHANGE_PRUNED;
}

/* --- what another server told ---------------------------------------------------------------- */

static int record_check_size(const struct exchange_record *r, struct err *err)
{
    const struct member *m = &r->member;
    bool fits = m->name.n > 0 && m->name.n <= EXCHANGE_NAME_SIZE_MAX && m->addr.n > 0 &&
                m->addr.n <= EXCHANGE_NAME_SIZE_MAX && m->tags.n <= EXCHANGE_TAGS_MAX &&
                r->state <= EXCHANGE_PRUNED && r->incarnation < UINT64_MAX / 2;
    for (size_t i = 0; fits && i < m->tags.n; i++) {
        fits = m->tags.v[i].key.n + m->tags.v[i].value.n <= EXCHANGE_TAG_SIZE_MAX;
    }
    return fits ? 0 : err_set(err, ERR_INVALID, "exchange: a member's record is malformed");
}

/* The rules of merging with a pool, and their words, are those of Consul's LAN pool, but that one
 * node id under two names is refused only between the two who talk: a server that was renamed is
 * remembered by its old name for a while. */
static int record_check(const struct exchange_core *c, const struct exchange_message *message,
                        const struct exchange_record *r, struct err *err)
{
    const struct member *m = &r->member, *self = c->peers[0].member;
    int rc = record_check_size(r, err);
    if (rc < 0 || r->state != EXCHANGE_ALIVE) {
        return rc;
    }
    struct str id = member_tag(m, STR("id")), dc = member_tag(m, STR("dc"));
    if (!str_eq(dc, c->datacenter)) {
        return err_set(err, ERR_FAILED, "Member '%.*s' part of wrong datacenter '%.*s'",
                       STRF(m->name), STRF(dc));
    }
    if (id.n > 0 && str_eq(id, member_tag(self, STR("id"))) && !str_eq(m->name, self->name) &&
        str_eq(m->name, message->from)) {
        return err_set(err, ERR_FAILED,
                       "Member '%.*s' has conflicting node ID '%.*s' with this agent's ID",
                       STRF(m->name), STRF(id));
    }
    return 0;
}

static int message_check(const struct exchange_core *c, const struct exchange_message *message,
                         struct err *err)
{
    const struct exchange_record *records = message->records.v;
    int rc = 0;
    if (message->records.n > EXCHANGE_MEMBERS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "exchange: more than %u members", EXCHANGE_MEMBERS_MAX);
    }
    for (size_t i = 0; i < message->records.n && rc == 0; i++) {
        rc = record_check(c, message, &records[i], err);
    }
    return rc;
}

/* What is said of this server itself. Somebody else of the same name changes nothing here. */
static void self_merge(struct exchange_core *c, const struct exchange_record *r)
{
    struct peer *self = &c->peers[0];
    bool is_other = !str_eq(member_tag(&r->member, STR("id")), member_tag(self->member, STR("id")));
    if (is_other || c->is_leaving || r->incarnation < self->incarnation) {
        return;
    }
    if (r->incarnation > self->incarnation || r->state != EXCHANGE_ALIVE) {
        self->incarnation = r->incarnation + 1;
    }
}

static struct peer *peer_add(struct exchange_core *c, const struct exchange_record *r,
                             uint64_t now_ms)
{
    struct peer *p = &c->peers[c->count++];
    struct member m = r->member;
    m.status = MEMBER_NONE;
    *p = (struct peer){
        .member = schema_clone(&member_schema, &m, NULL),
        .incarnation = r->incarnation,
        .state = (enum exchange_state)r->state,
        .heard_ms = now_ms,
        .since_ms = now_ms,
    };
    return p;
}

/* The status follows from what is claimed now. */
static void peer_follow_state(struct exchange_core *c, struct peer *p, uint64_t now_ms)
{
    switch (p->state) {
    case EXCHANGE_ALIVE:
        peer_set_status(c, p, MEMBER_ALIVE, MEMBERSHIP_JOIN, now_ms);
        break;
    case EXCHANGE_LEFT:
        peer_set_status(c, p, MEMBER_LEFT, MEMBERSHIP_LEAVE, now_ms);
        break;
    case EXCHANGE_PRUNED:
        if (p->member->status != MEMBER_NONE) {
            peer_set_status(c, p, MEMBER_LEFT, MEMBERSHIP_LEAVE, now_ms);
            event_push(c, MEMBERSHIP_REAP, p->member);
            p->member->status = MEMBER_NONE;
        }
        break;
    }
}

/* A newer incarnation: its owner's own word. */
static void peer_renew(struct exchange_core *c, struct peer *p, const struct exchange_record *r,
                       uint64_t now_ms)
{
    bool is_changed = !member_same(&r->member, p->member);
    int64_t status = p->member->status;
    if (is_changed) {
        struct member m = r->member;
        m.status = status;
        mem_free(p->member);
        p->member = schema_clone(&member_schema, &m, NULL);
    }
    p->incarnation = r->incarnation;
    p->state = (enum exchange_state)r->state;
    p->heard_ms = now_ms; /* it has a time to be heard again */
    /* Also when it says what it said before: it has started anew, or has been thought gone by
     * somebody, and the leader must see to it that it is a server of Raft's. */
    if (status == MEMBER_ALIVE && p->state == EXCHANGE_ALIVE) {
        event_push(c, MEMBERSHIP_UPDATE, p->member);
    }
    peer_follow_state(c, p, now_ms);
}

static void record_merge(struct exchange_core *c, const struct exchange_record *r, uint64_t now_ms)
{
    struct peer *p = peer_find(c, r->member.name);
    if (p == &c->peers[0]) {
        self_merge(c, r);
    } else if (p == NULL) {
        if (c->count < EXCHANGE_MEMBERS_MAX) {
            peer_follow_state(c, peer_add(c, r, now_ms), now_ms);
        }
    } else if (r->incarnation > p->incarnation) {
        peer_renew(c, p, r, now_ms);
    } else if (r->incarnation == p->incarnation && r->state > p->state &&
               p->member->status != MEMBER_ALIVE) {
        p->state = (enum exchange_state)r->state;
        peer_follow_state(c, p, now_ms);
    }
}

int exchange_core_merge(struct exchange_core *c, const struct exchange_message *message,
                        uint64_t now_ms, struct err *err)
{
    int rc = message_check(c, message, err);
    if (rc < 0) {
        return rc;
    }
    const struct exchange_record *records = message->records.v;
    for (size_t i = 0; i < message->records.n; i++) {
        record_merge(c, &records[i], now_ms);
    }
    struct peer *from = peer_find(c, message->from);
    if (from != NULL && from != &c->peers[0] && from->state == EXCHANGE_ALIVE) {
        from->heard_ms = now_ms;
        peer_set_status(c, from, MEMBER_ALIVE, MEMBERSHIP_JOIN, now_ms);
    }
    return 0;
}

void exchange_core_message(const struct exchange_core *c, struct arena *a,
                           struct exchange_message *ret_message)
{
    struct exchange_record *records = ARENA_ARRAY(a, struct exchange_record, c->count);
    for (size_t i = 0; i < c->count; i++) {
        const struct peer *p = &c->peers[i];
        records[i] = (struct exchange_record){*p->member, p->incarnation, p->state};
        records[i].member.status = MEMBER_NONE;
    }
    *ret_message = (struct exchange_message){c->peers[0].member->name, {records, c->count}};
}

/* --- time ------------------------------------------------------------------------------------ */

void exchange_core_tick(struct exchange_core *c, uint64_t now_ms)
{
    for (size_t i = c->count; i-- > 1;) {
        struct peer *p = &c->peers[i];
        uint64_t age = now_ms - p->since_ms;
        if (p->member->status == MEMBER_ALIVE && now_ms - p->heard_ms > EXCHANGE_FAILED_AFTER_MS) {
            peer_set_status(c, p, MEMBER_FAILED, MEMBERSHIP_FAILED, now_ms);
        } else if ((p->member->status == MEMBER_FAILED && age > EXCHANGE_REAP_FAILED_AFTER_MS) ||
                   (p->state != EXCHANGE_ALIVE && age > EXCHANGE_REAP_LEFT_AFTER_MS)) {
            if (is_listed(p)) {
                event_push(c, MEMBERSHIP_REAP, p->member);
            }
            peer_remove(c, p);
        }
    }
}

static bool peer_is_due(const struct peer *p, uint64_t now_ms)
{
    uint64_t interval_ms = p->member->status == MEMBER_FAILED ? EXCHANGE_ASK_FAILED_INTERVAL_MS
                                                              : EXCHANGE_ASK_INTERVAL_MS;
    return p->state == EXCHANGE_ALIVE && !p->is_being_asked &&
           (!p->was_asked || now_ms - p->asked_ms >= interval_ms);
}

size_t exchange_core_due(struct exchange_core *c, uint64_t now_ms, struct arena *a,
                         struct exchange_ask **ret_asks)
{
    struct exchange_ask *asks = ARENA_ARRAY(a, struct exchange_ask, c->count);
    size_t n = 0;
    for (size_t i = 1; i < c->count; i++) {
        struct peer *p = &c->peers[i];
        struct server_info info;
        if (peer_is_due(p, now_ms) && server_info_of(p->member, a, &info)) {
            p->is_being_asked = p->was_asked = true;
            p->asked_ms = now_ms;
            asks[n++] = (struct exchange_ask){arena_str(a, p->member->name), info.address};
        }
    }
    *ret_asks = asks;
    return n;
}

void exchange_core_answered(struct exchange_core *c, struct str name)
{
    struct peer *p = peer_find(c, name);
    if (p != NULL) {
        p->is_being_asked = false;
    }
}

/* --- leaving --------------------------------------------------------------------------------- */

void exchange_core_leave(struct exchange_core *c)
{
    if (!c->is_leaving) {
        c->is_leaving = true;
        c->peers[0].incarnation++;
        c->peers[0].state = EXCHANGE_LEFT;
        c->peers[0].member->status = MEMBER_LEAVING;
    }
}

void exchange_core_left(struct exchange_core *c)
{
    c->peers[0].member->status = MEMBER_LEFT;
}

void exchange_core_force_leave(struct exchange_core *c, struct str name, bool prune,
                               uint64_t now_ms)
{
    struct peer *p = peer_find(c, name);
    if (p == NULL || p == &c->peers[0] || p->member->status == MEMBER_ALIVE) {
        return;
    }
    if (prune) {
        p->state = EXCHANGE_PRUNED;
    } else if (p->state == EXCHANGE_ALIVE) {
        p->state = EXCHANGE_LEFT;
    }
    peer_follow_state(c, p, now_ms);
}

/* --- asking the core ------------------------------------------------------------------------- */

bool exchange_core_next_event(struct exchange_core *c, struct exchange_event *ret_event)
{
    if (c->events_taken == c->events.n) {
        vec_clear(&c->events);
        c->events_taken = 0;
        return false;
    }
    *ret_event = c->events.v[c->events_taken++];
    return true;
}

size_t exchange_core_members(const struct exchange_core *c, struct arena *a,
                             struct member **ret_members)
{
    struct member *members = ARENA_ARRAY(a, struct member, c->count);
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (is_listed(&c->peers[i])) {
            const struct member *copy = schema_copy(a, &member_schema, c->peers[i].member);
            members[n++] = *copy;
        }
    }
    *ret_members = members;
    return n;
}

bool exchange_core_knows(const struct exchange_core *c, struct str address)
{
    struct arena a = {0};
    bool knows = false;
    for (size_t i = 0; i < c->count && !knows; i++) {
        struct server_info info;
        knows = server_info_of(c->peers[i].member, &a, &info) && str_eq(info.address, address);
    }
    arena_deinit(&a);
    return knows;
}

struct exchange_core *exchange_core_new(const struct exchange_options *options)
{
    struct exchange_core *c = xcalloc(1, sizeof(*c));
    struct member self = *options->self;
    self.status = MEMBER_ALIVE;
    c->datacenter = str_make(str_to_cstr(options->datacenter), options->datacenter.n);
    c->peers[0] = (struct peer){
        .member = schema_clone(&member_schema, &self, NULL),
        .incarnation = options->incarnation,
    };
    c->count = 1;
    event_push(c, MEMBERSHIP_JOIN, c->peers[0].member);
    return c;
}

struct exchange_core *exchange_core_free(struct exchange_core *c)
{
    if (c == NULL) {
        return NULL;
    }
    struct exchange_event event;
    while (exchange_core_next_event(c, &event)) {
        mem_free(event.member);
    }
    vec_deinit(&c->events);
    for (size_t i = 0; i < c->count; i++) {
        mem_free(c->peers[i].member);
    }
    mem_free((void *)(uintptr_t)c->datacenter.p);
    return mem_free(c);
}
