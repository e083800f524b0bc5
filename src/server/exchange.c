/* The core decides; here are its clock, its calls and its lock. A round starts every ROUND_MS: whom
 * the core thinks due is asked, what came of it goes back to the core. Events the core has made
 * are told on the loop, by a message of their own, whoever made them.
 *
 * A join goes through its addresses one after the other: resolve, then ask each of the IP
 * addresses. */
#include "server/exchange.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "loop/resolve.h"
#include "server/rpc.h"
#include "server/rpc_pool.h"
#include "server/server.h"
#include "server/server_info.h"

#include <pthread.h>

#define ROUND_MS 500u
#define HINTS_EVERY_ROUNDS 10u

struct exchange {
    struct membership pub;
    struct exchange_new_options options; /* without core */
    pthread_mutex_t lock;
    struct exchange_core *core; /* under the lock */
    struct loop_timer round_timer, leave_timer;
    uint64_t rounds;
    struct list asks;  /* struct ask, under way */
    struct list joins; /* struct membership_join */
    struct membership_leave *leave;
    uint32_t hints_asked, farewells;
    struct loop_msg events_msg;
    _Atomic bool events_are_due;
    bool is_stopped;
};

enum ask_kind { ASK_ROUND, ASK_HINT, ASK_JOIN, ASK_FAREWELL };

/* One question under way. */
struct ask {
    struct rpc_remote remote;
    struct exchange *exchange;
    struct list node;
    enum ask_kind kind;
    struct str name; /* ASK_ROUND: who is asked */
    struct membership_join *join;
    struct arena arena; /* the message, then the reply */
    struct err err;
};

/* What a join has come to. */
struct join_state {
    struct exchange *exchange;
    struct membership_join *join; /* NULL: it has ended before it began */
    bool has_begun;
    struct resolve resolve;
    struct loop_msg start_msg;
    size_t next_text, next_address;
    struct buf errors; /* "\t* ...\n" each */
    uint32_t errors_count;
    char ip[ADDRESS_IP_SIZE_MAX]; /* being asked */
};

static void join_next(struct membership_join *join);
static void leave_check(struct exchange *x);

static struct exchange *exchange_of(struct membership *m)
{
    return container_of(m, struct exchange, pub);
}

static uint64_t now_ms(void)
{
    return clock_mono_ms();
}

/* --- events ---------------------------------------------------------------------------------- */

static bool event_take(struct exchange *x, struct exchange_event *ret_event)
{
    pthread_mutex_lock(&x->lock);
    bool has_one = exchange_core_next_event(x->core, ret_event);
    pthread_mutex_unlock(&x->lock);
    return has_one;
}

static void events_tell(struct loop_msg *msg)
{
    struct exchange *x = container_of(msg, struct exchange, events_msg);
    atomic_store(&x->events_are_due, false);
    struct exchange_event event;
    while (!x->is_stopped && event_take(x, &event)) {
        membership_tell(&x->pub, (enum membership_event)event.kind, event.member);
        mem_free(event.member);
    }
}

/* After whatever may have made some; any thread. */
static void events_soon(struct exchange *x)
{
    if (!atomic_exchange(&x->events_are_due, true)) {
        x->events_msg.run = events_tell;
        loop_post(x->options.loop, &x->events_msg);
    }
}

/* --- asking ---------------------------------------------------------------------------------- */

static void ask_free(struct ask *k)
{
    list_remove(&k->node);
    arena_deinit(&k->arena);
    mem_free(k);
}

static int ask_merge(struct ask *k)
{
    struct exchange *x = k->exchange;
    int rc;
    pthread_mutex_lock(&x->lock);
    if (k->remote.err == NULL) {
        rc = exchange_core_merge(x->core, k->remote.reply, now_ms(), &k->err);
    } else {
        k->err = *k->remote.err;
        rc = -k->err.code;
    }
    if (k->kind == ASK_ROUND) {
        exchange_core_answered(x->core, k->name);
    }
    pthread_mutex_unlock(&x->lock);
    events_soon(x);
    return rc;
}

static void join_answered(struct membership_join *join, int code, const struct err *err)
{
    struct join_state *s = join->state;
    if (code >= 0) {
        join->joined++;
    } else {
        buf_printf(&s->errors, "\t* Failed to join %s: %s\n", s->ip, err_text(err));
        s->errors_count++;
    }
    join_next(join);
}

static void ask_done(struct rpc_remote *remote)
{
    struct ask *k = container_of(remote, struct ask, remote);
    struct exchange *x = k->exchange;
    struct membership_join *join = k->join;
    enum ask_kind kind = k->kind;
    int rc = ask_merge(k);
    struct err err = k->err;
    if (rc < 0 && kind != ASK_JOIN) {
        log_write(LOG_DEBUG, "agent.server.exchange", "server did not answer",
                  LOG_STR("server", k->name), LOG_CSTR("error", err_text(&err)));
    }
    ask_free(k);
    switch (kind) {
    case ASK_ROUND:
        break;
    case ASK_HINT:
        x->hints_asked--;
        break;
    case ASK_JOIN:
        join_answered(join, rc, &err);
        break;
    case ASK_FAREWELL:
        x->farewells--;
        leave_check(x);
        break;
    }
}

static void ask_start(struct exchange *x, enum ask_kind kind, struct str name, struct str address,
                      struct membership_join *join)
{
    struct ask *k = xcalloc(1, sizeof(*k));
    struct exchange_message *message = ARENA_NEW(&k->arena, struct exchange_message);
    k->exchange = x;
    k->kind = kind;
    k->join = join;
    k->name = arena_str(&k->arena, name.n > 0 ? name : address);
    k->remote = (struct rpc_remote){
        .method = &rpc_membership_exchange,
        .args = message,
        .arena = &k->arena,
        .done = ask_done,
    };
    list_push_back(&x->asks, &k->node);
    /* The message points into the core, and is encoded before the call returns. */
    pthread_mutex_lock(&x->lock);
    exchange_core_message(x->core, &k->arena, message);
    x->options.calls.call(x->options.calls.data, address, &k->remote,
                          kind == ASK_JOIN ? EXCHANGE_JOIN_TIMEOUT_MS : EXCHANGE_TIMEOUT_MS);
    pthread_mutex_unlock(&x->lock);
}

/* --- rounds ---------------------------------------------------------------------------------- */

static void hints_ask(struct exchange *x, struct arena *a)
{
    if (x->options.hints == NULL || x->hints_asked > 0) {
        return;
    }
    struct strlist hints = x->options.hints(x->options.hints_data, a);
    for (size_t i = 0; i < hints.n; i++) {
        pthread_mutex_lock(&x->lock);
        bool is_known = exchange_core_knows(x->core, hints.v[i]);
        pthread_mutex_unlock(&x->lock);
        if (!is_known) {
            x->hints_asked++;
            ask_start(x, ASK_HINT, STR(""), hints.v[i], NULL);
        }
    }
}

static void round_due(struct loop_timer *t)
{
    struct exchange *x = container_of(t, struct exchange, round_timer);
    struct arena a = {0};
    struct exchange_ask *asks;
    pthread_mutex_lock(&x->lock);
    size_t n = exchange_core_due(x->core, now_ms(), &a, &asks);
    exchange_core_tick(x->core, now_ms());
    pthread_mutex_unlock(&x->lock);
    events_soon(x);
    for (size_t i = 0; i < n; i++) {
        ask_start(x, ASK_ROUND, asks[i].name, asks[i].address, NULL);
    }
    if (x->rounds++ % HINTS_EVERY_ROUNDS == 0) {
        hints_ask(x, &a);
    }
    arena_deinit(&a);
    loop_timer_start(x->options.loop, t, ROUND_MS, round_due);
}

static void exchange_start(struct membership *m)
{
    struct exchange *x = exchange_of(m);
    round_due(&x->round_timer);
}

static size_t exchange_members(struct membership *m, struct arena *a, struct member **ret_members)
{
    struct exchange *x = exchange_of(m);
    pthread_mutex_lock(&x->lock);
    size_t n = exchange_core_members(x->core, a, ret_members);
    pthread_mutex_unlock(&x->lock);
    return n;
}

/* --- joining --------------------------------------------------------------------------------- */

static void join_done(struct membership_join *join)
{
    struct join_state *s = join->state;
    list_remove(&join->node);
    if (join->joined == 0 && join->err.code == 0) {
        (void)err_set(&join->err, ERR_FAILED, "%u error%s occurred:\n%.*s\n", s->errors_count,
                      s->errors_count == 1 ? "" : "s", STRF(buf_view(&s->errors)));
    }
    resolve_cancel(&s->resolve);
    buf_deinit(&s->errors);
    s->join = NULL;
    if (s->has_begun) {
        mem_free(s);
    }
    join->state = NULL;
    join->done(join);
}

static void join_ask(struct membership_join *join)
{
    struct join_state *s = join->state;
    const struct address *to = &s->resolve.addresses[s->next_address++];
    char bytes[ADDRESS_IP_SIZE_MAX + 16];
    struct buf text = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    struct str ip = address_ip(to, s->ip);
    s->ip[MIN(ip.n, sizeof(s->ip) - 1)] = '\0';
    address_format(to, &text);
    ask_start(s->exchange, ASK_JOIN, STR(""), buf_view(&text), join);
}

static void join_resolved(struct resolve *r)
{
    struct join_state *s = container_of(r, struct join_state, resolve);
    struct membership_join *join = s->join;
    if (r->err.code != 0) {
        buf_printf(&s->errors, "\t* Failed to resolve %.*s: %s\n",
                   STRF(join->addresses.v[s->next_text - 1]), err_text(&r->err));
        s->errors_count++;
    }
    join_next(join);
}

/* "name/host:port" with everything but the host optional. */
static bool address_split(const struct exchange *x, struct str text, struct str *ret_host,
                          uint16_t *ret_port)
{
    struct str name, host = text, port_text = STR("");
    if (str_find_byte(text, '/') >= 0) {
        (void)str_cut(text, '/', &name, &host);
    }
    ptrdiff_t colon = str_rfind_byte(host, ':');
    bool is_bracketed = host.n > 0 && host.p[0] == '[';
    bool has_port = colon >= 0 && (str_find_byte(host, ':') == colon ||
                                   (is_bracketed && colon > 0 && host.p[colon - 1] == ']'));
    if (has_port) {
        port_text = str_from(host, (size_t)colon + 1);
        host = str_first(host, (size_t)colon);
    }
    if (is_bracketed) {
        if (host.n < 2 || host.p[host.n - 1] != ']') {
            return false;
        }
        host = str_make(host.p + 1, host.n - 2);
    }
    uint64_t port = 0;
    if (has_port && (str_parse_u64(port_text, &port) < 0 || port == 0 || port > UINT16_MAX)) {
        return false;
    }
    if (!has_port || (int64_t)port == x->options.serf_port) {
        port = (uint64_t)x->options.rpc_port;
    }
    *ret_host = host;
    *ret_port = (uint16_t)port;
    return host.n > 0;
}

static void join_next(struct membership_join *join)
{
    struct join_state *s = join->state;
    if (s->next_address < s->resolve.count) {
        join_ask(join);
        return;
    }
    while (s->next_text < join->addresses.n) {
        struct str text = join->addresses.v[s->next_text++], host;
        uint16_t port;
        if (address_split(s->exchange, text, &host, &port)) {
            s->next_address = 0;
            resolve_start(s->exchange->options.loop, &s->resolve, host, port);
            return;
        }
        buf_printf(&s->errors, "\t* Failed to resolve %.*s: not an address\n", STRF(text));
        s->errors_count++;
    }
    join_done(join);
}

static void join_begin(struct loop_msg *msg)
{
    struct join_state *s = container_of(msg, struct join_state, start_msg);
    s->has_begun = true;
    if (s->join == NULL) {
        mem_free(s);
        return;
    }
    join_next(s->join);
}

static void exchange_join(struct membership *m, struct membership_join *join)
{
    struct exchange *x = exchange_of(m);
    struct join_state *s = xcalloc(1, sizeof(*s));
    s->exchange = x;
    s->join = join;
    s->resolve.done = join_resolved;
    s->start_msg.run = join_begin;
    join->state = s;
    join->joined = 0;
    err_clear(&join->err);
    list_push_back(&x->joins, &join->node);
    loop_post(x->options.loop, &s->start_msg); /* done() never comes from inside this call */
}

/* --- leaving --------------------------------------------------------------------------------- */

static void leave_done(struct exchange *x)
{
    struct membership_leave *leave = x->leave;
    x->leave = NULL;
    loop_timer_stop(x->options.loop, &x->leave_timer);
    pthread_mutex_lock(&x->lock);
    exchange_core_left(x->core);
    pthread_mutex_unlock(&x->lock);
    leave->done(leave);
}

static void leave_check(struct exchange *x)
{
    if (x->leave != NULL && x->farewells == 0) {
        leave_done(x);
    }
}

static void leave_timed_out(struct loop_timer *t)
{
    leave_done(container_of(t, struct exchange, leave_timer));
}

static void exchange_leave(struct membership *m, struct membership_leave *leave)
{
    struct exchange *x = exchange_of(m);
    struct arena a = {0};
    struct member *members;
    ASSERT(x->leave == NULL);
    x->leave = leave;
    pthread_mutex_lock(&x->lock);
    exchange_core_leave(x->core);
    size_t n = exchange_core_members(x->core, &a, &members);
    pthread_mutex_unlock(&x->lock);
    for (size_t i = 0; i < n; i++) {
        struct server_info info;
        if (members[i].status == MEMBER_ALIVE && server_info_of(&members[i], &a, &info)) {
            x->farewells++;
            ask_start(x, ASK_FAREWELL, info.name, info.address, NULL);
        }
    }
    arena_deinit(&a);
    /* With nobody to tell it is over in a moment: done() never comes from inside this call. */
    loop_timer_start(x->options.loop, &x->leave_timer,
                     x->farewells > 0 ? EXCHANGE_LEAVE_TIMEOUT_MS : 0, leave_timed_out);
}

static int exchange_force_leave(struct membership *m, struct str name, bool prune, struct err *err)
{
    struct exchange *x = exchange_of(m);
    (void)err;
    pthread_mutex_lock(&x->lock);
    exchange_core_force_leave(x->core, name, prune, now_ms());
    pthread_mutex_unlock(&x->lock);
    events_soon(x);
    return 0;
}

/* --- the other side -------------------------------------------------------------------------- */

static const struct membership_ops exchange_ops;

int exchange_serve(struct membership *m, const struct exchange_message *message, struct arena *a,
                   struct exchange_message *ret_reply, struct err *err)
{
    if (m == NULL || m->ops != &exchange_ops) {
        return err_set(err, ERR_UNSUPPORTED, "this server's members are known by gossip");
    }
    struct exchange *x = exchange_of(m);
    struct exchange_message known;
    pthread_mutex_lock(&x->lock);
    int rc = exchange_core_merge(x->core, message, now_ms(), err);
    if (rc == 0) {
        exchange_core_message(x->core, a, &known);
        struct exchange_message *copy = schema_copy(a, &exchange_message_schema, &known);
        *ret_reply = *copy;
    }
    pthread_mutex_unlock(&x->lock);
    events_soon(x);
    return rc;
}

static int exchange_read(struct rpc_ctx *ctx, const void *args, void *reply)
{
    return exchange_serve(ctx->server->delegate.membership, args, ctx->arena, reply, ctx->err);
}

const struct rpc_method rpc_membership_exchange = {
    .name = "Membership.Exchange",
    .flags = RPC_READ | RPC_LOCAL,
    .args = &exchange_message_schema,
    .reply = &exchange_message_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .read = exchange_read,
};

/* --- life ------------------------------------------------------------------------------------ */

static void exchange_stop(struct membership *m)
{
    struct exchange *x = exchange_of(m);
    if (x->is_stopped) {
        return;
    }
    x->is_stopped = true;
    loop_timer_stop(x->options.loop, &x->round_timer);
    while (!list_is_empty(&x->asks)) {
        struct ask *k = list_entry(x->asks.next, struct ask, node);
        x->options.calls.cancel(x->options.calls.data, &k->remote);
        ask_free(k);
    }
    while (!list_is_empty(&x->joins)) {
        struct membership_join *join = list_entry(x->joins.next, struct membership_join, node);
        (void)err_set(&join->err, ERR_CLOSED, "the agent is shutting down");
        join_done(join);
    }
    if (x->leave != NULL) {
        leave_done(x);
    }
}

static struct membership *exchange_free(struct membership *m)
{
    struct exchange *x = exchange_of(m);
    x->core = exchange_core_free(x->core);
    pthread_mutex_destroy(&x->lock);
    return mem_free(x);
}

static const struct membership_ops exchange_ops = {
    .start = exchange_start,
    .members = exchange_members,
    .join = exchange_join,
    .leave = exchange_leave,
    .force_leave = exchange_force_leave,
    .stop = exchange_stop,
    .free = exchange_free,
};

struct membership *exchange_new(const struct exchange_new_options *options)
{
    struct exchange *x = xcalloc(1, sizeof(*x));
    x->pub.ops = &exchange_ops;
    list_init(&x->pub.listeners);
    list_init(&x->asks);
    list_init(&x->joins);
    x->options = *options;
    pthread_mutex_init(&x->lock, NULL);
    x->core = exchange_core_new(&options->core);
    return &x->pub;
}
