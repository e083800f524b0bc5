/* The transport between simulated servers: loses, delays, repeats and reorders messages, cuts links
 * (also one way), holds back for seconds what is large and its answers (heartbeats and votes
 * overtake it), and carries snapshots a small chunk at a time.
 *
 * As the contract wants it each request ends in one result or in unreachable. With is_ordered
 * requests with entries and their answers keep their order, as on one connection; without, the core
 * gets more than a TCP connection would ever do to it. */
#include "sim_net.h"
#include "base/mem.h"

#include <assert.h>
#include <stddef.h>

#define SENT_PER_SECOND_MAX 30000u /* requests of one server to another; a storm has millions */
#define CALL_TIMEOUT_US (3 * SIM_SECOND)
#define VOTE_TIMEOUT_US (30 * SIM_SECOND)
#define ENTRIES_TIMEOUT_US (10 * SIM_SECOND) /* of what has arrived: disks are waited for */

/* A request that has no answer yet; the asker's. */
struct net_call {
    struct net_call *next;
    uint64_t number;
    struct sim_server *from, *to;
    uint64_t from_life;
    uint64_t token, prev_index, count, index; /* the answer does not repeat them */
    bool pre, pre_vote, has_entries;
};

/* What is on its way: a request, or an answer. */
struct net_message {
    struct sim_event event;
    uint64_t call;
    bool is_repeated; /* nobody waits for the answer of a repetition */
    enum net_path path;
    struct sim_server *from, *to;
    struct raft_msg msg;
    struct raft_entry *entries;
    char *bytes;
};

static struct sim_net *net_of(struct raft_transport *t)
{
    return container_of(t, struct sim_net, base);
}

struct sim_server *net_server(struct sim *s, struct str id)
{
    for (int i = 0; i < SIM_SERVERS; i++) {
        if (str_eq(str_from_cstr(s->servers[i].id), id)) {
            return &s->servers[i];
        }
    }
    sim_fail("a message to a server that was never there", id.n, 0);
}

bool net_is_lost(struct sim *s, struct sim_server *from, struct sim_server *to)
{
    return s->cut[from->number][to->number] || sim_chance(s, s->loss);
}

uint64_t net_delay_us(struct sim *s, struct sim_server *from, struct sim_server *to,
                      enum net_path path)
{
    uint64_t d = 50 + sim_below(s, s->delay_us) + sim_server_ahead_us(from);
    bool is_ordered = s->is_ordered && path == NET_ENTRIES;
    if (sim_chance(s, 0.01) && !s->is_quiet) {
        d += sim_below(s, 20 * s->delay_us);
    }
    uint64_t *last = &s->last_us[from->number][to->number];
    if (is_ordered && s->now_us + d <= *last) {
        d = *last - s->now_us + 1;
    }
    if (is_ordered) {
        *last = s->now_us + d;
    }
    return d;
}

struct sim_event *net_after(struct sim *s, struct sim_server *sv, uint64_t life, uint64_t delay_us,
                            uint64_t number, void (*run)(struct sim *s, struct sim_event *e))
{
    struct net_event *e = xcalloc(1, sizeof(*e));
    e->number = number;
    e->event.server = sv;
    e->event.life = life;
    e->event.run = run;
    sim_push(s, &e->event, delay_us);
    return &e->event;
}

void net_hold(struct sim_event *e, struct sim_server *from, struct sim_server *to,
              enum net_path path)
{
    e->held_us = path != NET_CONTROL ? &from->sim->held_us[from->number][to->number] : NULL;
}

/* --- calls: a request and how it ends --- */

static struct net_call **call_find(struct sim *s, uint64_t number)
{
    struct net_call **at = &s->calls[number % SIM_CALLS];
    while (*at != NULL && (*at)->number != number) {
        at = &(*at)->next;
    }
    return at;
}

static void call_remove(struct net_call **at)
{
    struct net_call *c = *at;
    *at = c->next;
    mem_free(c);
}

static bool call_take(struct sim *s, uint64_t number, struct net_call *ret)
{
    struct net_call **at = call_find(s, number);
    if (*at == NULL) {
        return false;
    }
    *ret = **at;
    call_remove(at);
    return true;
}

static void call_failed(struct sim *s, struct sim_event *e)
{
    struct net_call c;
    if (call_take(s, container_of(e, struct net_event, event)->number, &c) && !c.pre_vote) {
        net_events(c.from)->unreachable(c.from->net->base.events_data, str_from_cstr(c.to->id));
    }
}

/* The connection is refused or reset: sooner or later the asker knows. */
void net_call_fail(struct sim *s, uint64_t number)
{
    const struct net_call *c = *call_find(s, number);
    if (c != NULL) {
        net_after(s, c->from, c->from_life, 20 * SIM_MS + sim_below(s, 200 * SIM_MS), number,
                  call_failed);
    }
}

uint64_t net_call_new(struct sim *s, struct sim_server *from, struct sim_server *to,
                      const struct raft_msg *m, uint64_t timeout_us)
{
    struct net_call *c = xcalloc(1, sizeof(*c));
    *c = (struct net_call){
        .number = ++s->tokens, .from = from, .to = to, .from_life = from->life, .token = m->token};
    if (m->kind == RAFT_MSG_APPEND) {
        c->prev_index = m->append.prev_index;
        c->count = m->append.count;
        c->has_entries = c->prev_index + c->count > 0;
    } else if (m->kind == RAFT_MSG_VOTE) {
        c->pre = c->pre_vote = m->vote.pre;
    } else if (m->kind == RAFT_MSG_INSTALL) {
        c->index = m->install.index;
        c->pre = m->install.pre;
    }
    c->next = s->calls[c->number % SIM_CALLS];
    s->calls[c->number % SIM_CALLS] = c;
    net_after(s, from, from->life, timeout_us, c->number, call_failed);
    return c->number;
}

/* --- messages --- */

static void message_drop(struct sim_event *e)
{
    struct net_message *m = container_of(e, struct net_message, event);
    mem_free(m->entries);
    mem_free(m->bytes);
    mem_free(m);
}

/* Copies without the room for what an INSTALL has. */
static void msg_copy(struct raft_msg *to, const struct raft_msg *m)
{
    static_assert(sizeof(m->append) >= sizeof(m->append_result) &&
                      sizeof(m->append) >= sizeof(m->vote),
                  "the largest of the others");
    memcpy(to, m,
           m->kind == RAFT_MSG_INSTALL ? sizeof(*m)
                                       : offsetof(struct raft_msg, append) + sizeof(m->append));
}

static struct net_message *message_new(struct sim_server *from, struct sim_server *to,
                                       const struct raft_msg *m)
{
    struct net_message *x = xmalloc(sizeof(*x));
    memset(x, 0, offsetof(struct net_message, msg));
    x->entries = NULL;
    x->bytes = NULL;
    msg_copy(&x->msg, m);
    x->from = from;
    x->to = to;
    x->event.server = to;
    x->event.drop = message_drop;
    /* Outlive who lent them. */
    if (m->kind == RAFT_MSG_APPEND) {
        x->msg.append.leader = str_from_cstr(from->address);
    } else if (m->kind == RAFT_MSG_VOTE) {
        x->msg.vote.candidate = str_from_cstr(from->address);
    }
    return x;
}

static void message_entries(struct net_message *x, const struct raft_entry *entries, size_t count)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        size += entries[i].data.n;
    }
    x->entries = xmemdup(entries, count * sizeof(*entries));
    x->bytes = xmalloc(size + 1);
    for (size_t i = 0; i < count; i++) {
        struct str *data = &x->entries[i].data;
        if (data->n > 0) {
            memcpy(x->bytes + at, data->p, data->n);
        }
        data->p = x->bytes + at;
        at += data->n;
    }
    x->msg.append.entries = x->entries;
}

static void answer_run(struct sim *s, struct sim_event *e)
{
    struct net_message *x = container_of(e, struct net_message, event);
    struct net_call c;
    if (!call_take(s, x->call, &c)) {
        return; /* given up */
    }
    struct raft_msg *m = &x->msg;
    m->token = c.token;
    if (m->kind == RAFT_MSG_APPEND_RESULT) {
        m->append_result.prev_index = c.prev_index;
        m->append_result.count = c.count;
        m->append_result.round = c.token;
    } else if (m->kind == RAFT_MSG_INSTALL_RESULT) {
        m->install_result.index = c.index;
        m->install_result.pre = c.pre;
    } else if (m->kind == RAFT_MSG_VOTE_RESULT) {
        m->vote_result.pre = c.pre;
    }
    net_events(c.from)->result(c.from->net->base.events_data, str_from_cstr(c.to->id), m);
}

static void answer_send(struct sim *s, struct sim_server *from, struct sim_server *to,
                        uint64_t call, const struct raft_msg *m, enum net_path path)
{
    if (net_is_lost(s, from, to)) {
        net_call_fail(s, call);
        return;
    }
    const struct net_call *c = *call_find(s, call);
    if (c == NULL) {
        return; /* nobody waits any more */
    }
    struct net_message *x = message_new(from, to, m);
    x->call = call;
    x->event.life = c->from_life;
    x->event.run = answer_run;
    net_hold(&x->event, from, to, path);
    sim_push(s, &x->event, net_delay_us(s, from, to, path));
}

static void request_run(struct sim *s, struct sim_event *e)
{
    struct net_message *x = container_of(e, struct net_message, event);
    struct sim_server *to = x->to;
    uint64_t call = x->is_repeated ? 0 : x->call;
    if (to->raft == NULL || s->cut[x->from->number][to->number]) {
        net_call_fail(s, call);
        return;
    }
    if (x->msg.kind == RAFT_MSG_VOTE && x->msg.vote.pre && !s->knows_pre_vote) {
        struct raft_msg m = {.kind = RAFT_MSG_VOTE_RESULT,
                             .vote_result = {.pre = true, .unsupported = true}};
        answer_send(s, to, x->from, call, &m, NET_CONTROL);
        return;
    }
    x->msg.token = net_serve(to, x->from, call, x->path);
    net_events(to)->request(to->net->base.events_data, &x->msg);
}

/* --- the table --- */

uint64_t net_serve(struct sim_server *sv, struct sim_server *from, uint64_t call,
                   enum net_path path)
{
    uint64_t token = ++sv->sim->tokens;
    vec_push(&sv->net->serving, ((struct net_serving){token, call, from, path}));
    return token;
}

/* Answers must not breed requests. */
static void check_rate(struct sim *s, const struct sim_server *from, const struct sim_server *to)
{
    uint64_t second = s->now_us / SIM_SECOND;
    if (s->sent[from->number][to->number].second != second) {
        s->sent[from->number][to->number].second = second;
        s->sent[from->number][to->number].count = 0;
    }
    uint64_t count = ++s->sent[from->number][to->number].count;
    SIM_CHECK(count <= SENT_PER_SECOND_MAX, from->number, to->number);
}

static void net_send(struct raft_transport *t, struct str id, struct str address,
                     const struct raft_msg *m, const struct raft_entry *entries)
{
    struct sim_server *from = net_of(t)->server, *to = net_server(from->sim, id);
    struct sim *s = from->sim;
    SIM_CHECK(str_eq(address, str_from_cstr(to->address)), to->number, 0);
    if (m->kind == RAFT_MSG_VOTE && !m->vote.pre) {
        sim_check_vote(from, m->term, from->number);
    }
    check_rate(s, from, to);
    bool has_entries = m->kind == RAFT_MSG_APPEND && m->append.prev_index + m->append.count > 0;
    bool is_vote = m->kind == RAFT_MSG_VOTE && !m->vote.pre;
    enum net_path path = has_entries ? NET_ENTRIES : NET_CONTROL;
    uint64_t call = net_call_new(s, from, to, m,
                                 is_vote       ? VOTE_TIMEOUT_US
                                 : has_entries ? ENTRIES_TIMEOUT_US
                                               : CALL_TIMEOUT_US);
    for (int copy = 0; copy < (sim_chance(s, s->duplicate) ? 2 : 1); copy++) {
        struct net_message *x = message_new(from, to, m);
        x->call = call;
        x->is_repeated = copy > 0;
        x->path = path;
        x->event.run = request_run;
        net_hold(&x->event, from, to, path);
        if (m->kind == RAFT_MSG_APPEND && m->append.count > 0) {
            message_entries(x, entries, (size_t)m->append.count);
        }
        if (net_is_lost(s, from, to)) {
            message_drop(&x->event);
            if (copy == 0 && sim_chance(s, 0.5)) {
                net_call_fail(s, call);
            } else if (copy == 0) { /* only time tells */
                (void)net_after(s, from, from->life, CALL_TIMEOUT_US, call, call_failed);
            }
        } else {
            uint64_t late_us = /* a repetition may come long after */
                copy > 0 && !s->is_ordered && sim_chance(s, 0.3) ? sim_below(s, 4 * SIM_SECOND) : 0;
            sim_push(s, &x->event, net_delay_us(s, from, to, path) + late_us);
        }
    }
}

static void net_reply(struct raft_transport *t, uint64_t token, const struct raft_msg *m)
{
    struct sim_net *net = net_of(t);
    struct sim_server *sv = net->server;
    for (size_t i = 0; i < net->serving.n; i++) {
        struct net_serving x = net->serving.v[i];
        if (x.token != token) {
            continue;
        }
        net->serving.v[i] = net->serving.v[--net->serving.n];
        if (m->kind == RAFT_MSG_VOTE_RESULT && m->vote_result.granted && !m->vote_result.pre) {
            sim_check_vote(sv, m->term, x.from->number);
        }
        net_stream_answered(sv->sim, token);
        answer_send(sv->sim, sv, x.from, x.call, m, x.path);
        return;
    }
    sim_fail("a reply to no request", token, m->kind);
}

static void net_configure(struct raft_transport *t, const struct raft_configuration *c)
{
    (void)t;
    SIM_CHECK(c->count <= SIM_SERVERS, c->count, 0);
}

void sim_net_died(struct sim_server *sv)
{
    struct sim_net *net = sv->net;
    for (size_t i = 0; i < net->serving.n; i++) {
        net_call_fail(sv->sim, net->serving.v[i].call);
    }
    net->serving.n = 0;
}

static void reset_run(struct sim *s, struct sim_event *e)
{
    struct sim_server *from = e->server;
    const struct sim_server *to = &s->servers[container_of(e, struct net_event, event)->number];
    bool is_any = false;
    for (size_t i = 0; i < SIM_CALLS; i++) {
        for (struct net_call **at = &s->calls[i]; *at != NULL;) {
            if ((*at)->from == from && (*at)->to == to && (*at)->has_entries) {
                call_remove(at);
                is_any = true;
            } else {
                at = &(*at)->next;
            }
        }
    }
    if (is_any) { /* once for all */
        net_events(from)->unreachable(from->net->base.events_data, str_from_cstr(to->id));
    }
}

void sim_net_reset(struct sim_server *from, const struct sim_server *to)
{
    (void)net_after(from->sim, from, from->life, 1, (uint64_t)to->number, reset_run);
}

static struct raft_transport *net_free(struct raft_transport *t)
{
    struct sim_net *net = net_of(t);
    struct sim_server *sv = net->server;
    struct sim *s = sv->sim;
    net_streams_leave(sv);
    for (size_t i = 0; i < SIM_CALLS; i++) { /* what it has asked */
        for (struct net_call **at = &s->calls[i]; *at != NULL;) {
            if ((*at)->from == sv) {
                call_remove(at);
            } else {
                at = &(*at)->next;
            }
        }
    }
    vec_deinit(&net->serving);
    sv->net = NULL;
    mem_free(net);
    return NULL;
}

static const struct raft_transport_ops net_ops = {
    .send = net_send,
    .send_snapshot = net_send_snapshot,
    .reply = net_reply,
    .snapshot_size = net_snapshot_size,
    .receive = net_receive,
    .configure = net_configure,
    .free = net_free,
};

struct raft_transport *sim_net_new(struct sim_server *sv)
{
    struct sim_net *net = xcalloc(1, sizeof(*net));
    net->base.ops = &net_ops;
    net->server = sv;
    sv->net = net;
    return &net->base;
}
