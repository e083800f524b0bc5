/* Joins: each address text is resolved on home, each address it gives is asked by the core, one
 * after the other. And the rejoin at start: members of before are asked, a few at a time in any
 * order, until one has answered. */
#include "gossip/pool_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "gossip/pool_address.h"
#include "loop/resolve.h"

#define REJOINS_MAX 3u /* at a time */

struct pool_join_state {
    struct pool *pool;
    struct pool_join *join; /* NULL: it has ended before it began */
    struct list node;
    bool has_begun;
    struct loop_msg start_msg;
    struct resolve resolve;
    size_t next_text, next_address;
    struct str name; /* who must be there; "": whoever */
    struct arena arena;
    VEC(struct str) errors; /* the arena's */
};

static void join_next(struct pool_join_state *s);

/* --- addresses ------------------------------------------------------------------------------- */

/* As memberlist takes them apart; the texts are Go's. */
static int address_split(struct str text, uint16_t port, struct str *ret_name, struct str *ret_host,
                         uint16_t *ret_port, struct err *err)
{
    struct str name = STR(""), host = text, port_text = STR("");
    if (str_find_byte(text, '/') >= 0) {
        (void)str_cut(text, '/', &name, &host);
        if (name.n == 0) {
            return err_set(err, ERR_INVALID, "empty node name provided");
        }
    }
    ptrdiff_t colon = str_rfind_byte(host, ':');
    bool is_bracketed = host.n > 0 && host.p[0] == '[';
    bool has_port = colon >= 0 && (is_bracketed ? str_rfind_byte(host, ']') < colon
                                                : str_find_byte(host, ':') == colon);
    if (has_port) {
        port_text = str_from(host, (size_t)colon + 1);
        host = str_first(host, (size_t)colon);
    }
    if (is_bracketed) {
        if (host.n < 2 || host.p[host.n - 1] != ']') {
            return err_set(err, ERR_INVALID, "address %.*s: missing ']' in address", STRF(text));
        }
        host = str_make(host.p + 1, host.n - 2);
    }
    uint64_t number = port;
    if (has_port && str_parse_u64(port_text, &number) < 0) {
        return err_set(err, ERR_INVALID, "strconv.ParseUint: parsing \"%.*s\": invalid syntax",
                       STRF(port_text));
    }
    if (number > UINT16_MAX) {
        return err_set(err, ERR_RANGE, "strconv.ParseUint: parsing \"%.*s\": value out of range",
                       STRF(port_text));
    }
    if (host.n == 0) {
        return err_set(err, ERR_INVALID, "lookup : no such host");
    }
    *ret_name = name;
    *ret_host = host;
    *ret_port = (uint16_t)number;
    return 0;
}

/* --- one after the other --------------------------------------------------------------------- */

static void join_fail(struct pool_join_state *s, struct str text)
{
    vec_push(&s->errors, text);
}

static void join_end(struct pool_join_state *s)
{
    struct pool_join *join = s->join;
    list_remove(&s->node);
    if (join->joined == 0 && join->err.code == 0 && s->errors.n > 0) {
        struct str text = errors_text(&s->arena, s->errors.v, s->errors.n);
        (void)err_set(&join->err, ERR_FAILED, "%.*s", STRF(text));
    }
    resolve_cancel(&s->resolve);
    s->join = NULL;
    vec_deinit(&s->errors);
    arena_deinit(&s->arena);
    if (s->has_begun) {
        mem_free(s);
    }
    join->state = NULL;
    join->done(join);
}

static void ask_run(struct pool_request *r)
{
    serf_join(r->pool->core, clock_mono_ns(), &r->to, r->name, r->flag, (uint64_t)(uintptr_t)r);
}

void pool_joined(void *data, uint64_t token, const struct err *err)
{
    struct pool_request *r = (void *)(uintptr_t)token;
    (void)data;
    if (err != NULL) {
        r->err = *err;
    }
    pool_request_answer(r);
}

static void ask_finish(struct pool_request *r)
{
    struct pool_join_state *s = r->asked;
    if (s->pool->is_stopped) {
        (void)err_set(&s->join->err, ERR_CLOSED, "the agent is shutting down");
        join_end(s);
        return;
    }
    if (r->err.code == 0) {
        s->join->joined++;
    } else {
        struct str text = str_from_cstr(err_text(&r->err));
        log_write(LOG_DEBUG, s->pool->options.memberlist_module,
                  arena_printf(&r->arena, "memberlist: %.*s", STRF(text)).p);
        join_fail(s, arena_str(&s->arena, text));
    }
    join_next(s);
}

static void join_ask(struct pool_join_state *s)
{
    struct pool_request *r = pool_request_new(s->pool, ask_run, ask_finish);
    r->asked = s;
    r->to = gossip_address_from(&s->resolve.addresses[s->next_address++]);
    r->name = arena_str(&r->arena, s->name);
    r->flag = s->join->ignore_old;
    pool_request_send(r);
}

static void resolve_fail(struct pool_join_state *s, const struct err *err)
{
    struct str text = arena_printf(&s->arena, "Failed to resolve %.*s: %s",
                                   STRF(s->join->addresses.v[s->next_text - 1]), err_text(err));
    log_write(LOG_WARN, s->pool->options.memberlist_module,
              arena_printf(&s->arena, "memberlist: %.*s", STRF(text)).p);
    join_fail(s, text);
}

static void join_resolved(struct resolve *r)
{
    struct pool_join_state *s = container_of(r, struct pool_join_state, resolve);
    if (r->err.code != 0) {
        resolve_fail(s, &r->err);
    }
    join_next(s);
}

static void join_next(struct pool_join_state *s)
{
    if (s->next_address < s->resolve.count) {
        join_ask(s);
        return;
    }
    while (s->next_text < s->join->addresses.n) {
        struct str text = s->join->addresses.v[s->next_text++], host;
        struct err err = {0};
        uint16_t port;
        if (address_split(text, address_port(&s->pool->options.bind), &s->name, &host, &port,
                          &err) < 0) {
            resolve_fail(s, &err);
            continue;
        }
        s->next_address = 0;
        resolve_start(s->pool->options.home, &s->resolve, host, port);
        return;
    }
    join_end(s);
}

static void join_begin(struct loop_msg *msg)
{
    struct pool_join_state *s = container_of(msg, struct pool_join_state, start_msg);
    s->has_begun = true;
    if (s->join == NULL) {
        mem_free(s);
        return;
    }
    join_next(s);
}

void pool_join(struct pool *p, struct pool_join *join)
{
    struct pool_join_state *s = xcalloc(1, sizeof(*s));
    s->pool = p;
    s->join = join;
    s->resolve.done = join_resolved;
    s->start_msg.run = join_begin;
    join->state = s;
    join->joined = 0;
    err_clear(&join->err);
    list_push_back(&p->joins, &s->node);
    loop_post(p->options.home, &s->start_msg); /* done() never comes from inside this call */
}

/* --- at start -------------------------------------------------------------------------------- */

struct rejoin_try {
    struct pool_join join;
    struct pool_rejoin *rejoin;
    struct str address;
    size_t node;
    bool is_busy;
};

struct pool_rejoin {
    struct pool *pool;
    struct rejoin_try tries[REJOINS_MAX];
    size_t next, busy;
    bool has_joined;
    struct arena arena;
};

static void rejoin_next(struct pool_rejoin *j);

static struct str node_text(struct arena *a, const struct snapshot_node *n)
{
    return arena_printf(a, "%.*s: %.*s", STRF(n->name), STRF(n->address));
}

static void rejoin_log(struct pool_rejoin *j, enum log_level level, const char *what,
                       const struct snapshot_node *n)
{
    struct str text =
        arena_printf(&j->arena, "serf: %s: %.*s", what, STRF(node_text(&j->arena, n)));
    log_write(level, j->pool->options.serf_module, text.p);
}

static void rejoin_done(struct pool_join *join)
{
    struct rejoin_try *t = join->data;
    struct pool_rejoin *j = t->rejoin;
    t->is_busy = false;
    j->busy--;
    if (join->joined > 0 && !j->has_joined) {
        j->has_joined = true;
        rejoin_log(j, LOG_INFO, "Re-joined to previously known node",
                   &j->pool->before.nodes[t->node]);
    }
    rejoin_next(j);
}

static void rejoin_try(struct pool_rejoin *j, struct rejoin_try *t, size_t i)
{
    const struct snapshot_node *n = &j->pool->before.nodes[i];
    t->rejoin = j;
    t->node = i;
    t->is_busy = true;
    t->address = arena_printf(&j->arena, "%.*s%s%.*s", STRF(n->name), n->name.n > 0 ? "/" : "",
                              STRF(n->address));
    t->join = (struct pool_join){.addresses = {&t->address, 1}, .done = rejoin_done, .data = t};
    j->busy++;
    rejoin_log(j, LOG_INFO, "Attempting re-join to previously known node", n);
    pool_join(j->pool, &t->join);
}

static void rejoin_next(struct pool_rejoin *j)
{
    struct pool *p = j->pool;
    for (size_t i = 0; i < REJOINS_MAX; i++) {
        bool wants_more = !j->has_joined && !p->is_stopped && j->next < p->before.count;
        if (wants_more && !j->tries[i].is_busy) {
            rejoin_try(j, &j->tries[i], j->next++);
        }
    }
    if (j->busy == 0) {
        if (!j->has_joined && !p->is_stopped) {
            log_write(LOG_WARN, p->options.serf_module,
                      "serf: Failed to re-join any previously known node");
        }
        p->rejoin = NULL;
        arena_deinit(&j->arena);
        mem_free(j);
    }
}

/* Without this agent, in any order: not everybody asks the same one first. */
static void before_shuffle(struct pool *p)
{
    struct snapshot_state *b = &p->before;
    struct rng rng;
    size_t n = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (!str_eq(b->nodes[i].name, p->options.name)) {
            b->nodes[n++] = b->nodes[i];
        }
    }
    b->count = n;
    rng_seed_system(&rng);
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)rng_below(&rng, i);
        struct snapshot_node other = b->nodes[k];
        b->nodes[k] = b->nodes[i - 1];
        b->nodes[i - 1] = other;
    }
}

void pool_rejoin_start(struct pool *p)
{
    before_shuffle(p);
    if (p->before.count > 0) {
        struct pool_rejoin *j = p->rejoin = xcalloc(1, sizeof(*j));
        j->pool = p;
        rejoin_next(j);
    }
}

void pool_joins_end(struct pool *p)
{
    while (!list_is_empty(&p->joins)) {
        struct pool_join_state *s = list_entry(p->joins.next, struct pool_join_state, node);
        (void)err_set(&s->join->err, ERR_CLOSED, "the agent is shutting down");
        join_end(s);
    }
}
