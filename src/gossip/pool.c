#include "gossip/pool_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gossip/key_file.h"
#include "gossip/pool_address.h"

#include <unistd.h>

/* A tick that is so late has missed packets, which should be looked at first. */
#define LATE_NS (100 * NS_PER_MS)
#define UDP_BUFFER_SIZE (2 << 20) /* as memberlist asks for; the kernel may give less */

struct strmap pool_tags_copy(struct arena *a, struct strmap tags)
{
    struct strpair *v = ARENA_ARRAY(a, struct strpair, tags.n);
    for (size_t i = 0; i < tags.n; i++) {
        v[i] = (struct strpair){arena_str(a, tags.v[i].key), arena_str(a, tags.v[i].value)};
    }
    return (struct strmap){v, tags.n};
}

/* --- the end of a turn ----------------------------------------------------------------------- */

static void timer_due(struct loop_timer *t)
{
    struct pool *p = container_of(t, struct pool, timer);
    uint64_t now_ns = clock_mono_ns(), armed_ns = p->armed_ns;
    p->armed_ns = UINT64_MAX;
    if (p->core == NULL) {
        return;
    }
    if (now_ns > armed_ns && now_ns - armed_ns > LATE_NS) {
        udp_receive_now(&p->udp);
    }
    serf_tick(p->core, clock_mono_ns());
    pool_touch(p);
}

static void timer_arm(struct pool *p)
{
    uint64_t deadline_ns = serf_deadline_ns(p->core);
    if (deadline_ns == p->armed_ns) {
        return;
    }
    p->armed_ns = deadline_ns;
    if (deadline_ns == UINT64_MAX) {
        loop_timer_stop(p->threads->gossip, &p->timer);
        return;
    }
    uint64_t now_ms = loop_now_ms(p->threads->gossip), deadline_ms = deadline_ns / NS_PER_MS;
    loop_timer_start(p->threads->gossip, &p->timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0,
                     timer_due);
}

static void publish_figures(struct pool *p)
{
    struct serf_stats stats;
    const struct coordinate *c = serf_coordinate(p->core);
    serf_stats(p->core, &stats);
    pthread_mutex_lock(&p->lock);
    p->stats = stats;
    p->has_coordinate = c != NULL && c->vec.n == COORDINATE_DIMENSIONS;
    if (p->has_coordinate) {
        p->coordinate = *c;
        memcpy(p->vec, c->vec.v, sizeof(p->vec));
        p->coordinate.vec = (struct f64list){p->vec, COORDINATE_DIMENSIONS};
    }
    pthread_mutex_unlock(&p->lock);
}

static void core_end(struct pool *p)
{
    struct serf *core = p->core;
    if (core != NULL) {
        serf_stop(core, clock_mono_ns());
        p->core = NULL;
        (void)serf_free(core);
        loop_timer_stop(p->threads->gossip, &p->timer);
        tcp_listener_close(&p->listener);
        udp_close(&p->udp);
    }
}

static void turn_end(struct loop_msg *msg)
{
    struct pool *p = container_of(msg, struct pool, turn_msg);
    p->turn_is_due = false;
    if (p->has_lost) {
        core_end(p);
    }
    if (p->core != NULL) {
        publish_figures(p);
        pool_count_traffic(p);
        timer_arm(p);
    }
    member_board_publish(p->board);
    pool_news_publish(p->news); /* whoever is told looks at the board */
}

void pool_touch(struct pool *p)
{
    if (!p->turn_is_due) {
        p->turn_is_due = true;
        p->turn_msg.run = turn_end;
        loop_defer(p->threads->gossip, &p->turn_msg);
    }
}

/* --- what the core wants of the sockets ------------------------------------------------------- */

static void io_send(void *data, const struct gossip_address *to, struct str packet)
{
    struct pool *p = data;
    struct udp_peer peer = {0};
    if (gossip_address_to(to, p->options.bind.sa.ss_family, &peer.address)) {
        udp_send(&p->udp, packet, &peer);
    }
}

static void io_left(void *data, bool timed_out)
{
    pool_left(data, timed_out);
}

static const struct swim_io pool_io = {
    .send = io_send,
    .dial = pool_stream_dial,
    .write = pool_stream_write,
    .close = pool_stream_close,
    .joined = pool_joined,
    .left = io_left,
};

static void receive(struct udp_socket *s, struct str bytes, const struct udp_peer *peer)
{
    struct pool *p = container_of(s, struct pool, udp);
    if (p->core != NULL) {
        struct gossip_address from = gossip_address_from(&peer->address);
        swim_packet(serf_swim(p->core), clock_mono_ns(), &from, bytes);
        pool_touch(p);
    }
}

/* --- what the core tells ---------------------------------------------------------------------- */

static void op_event(void *data, const struct serf_event *event)
{
    struct pool *p = data;
    if (event->kind == SERF_EVENT_USER) {
        pool_news_user(p->news, event->user);
        return;
    }
    if (event->kind == SERF_EVENT_QUERY) {
        return; /* Consul has none but the internal ones */
    }
    struct member_ref *r = member_ref_new(event->member);
    if (event->kind == SERF_EVENT_MEMBER_REAP) {
        member_board_remove(p->board, event->member->name);
    } else {
        member_board_put(p->board, r);
    }
    pool_news_member(p->news, event->kind, r);
    (void)member_ref_unref(r);
}

/* Leaving, or alive after all: to be seen, but no news. */
static void op_status(void *data, const struct member *member)
{
    struct pool *p = data;
    struct member_ref *r = member_ref_new(member);
    member_board_put(p->board, r);
    (void)member_ref_unref(r);
}

static bool op_allowed(void *data, const struct gossip_address *address)
{
    const struct pool *p = data;
    return p->options.allowed == NULL || p->options.allowed(p->options.data, address);
}

static int op_merge(void *data, const struct member *members, size_t count, struct err *err)
{
    const struct pool *p = data;
    return p->options.merge != NULL ? p->options.merge(p->options.data, members, count, err) : 0;
}

static void op_snapshot(void *data, struct str line)
{
    struct pool *p = data;
    if (p->snapshot != NULL) {
        snapshot_writer_put(p->snapshot, line);
    }
}

/* On its way to the files loop and back. */
struct key_write {
    struct loop_msg msg;
    struct pool *pool;
    uint64_t token;
    struct arena arena;
    struct strlist keys;
    struct err err;
};

static void key_written(struct loop_msg *msg)
{
    struct key_write *k = container_of(msg, struct key_write, msg);
    struct pool *p = k->pool;
    if (p->core != NULL) {
        serf_keys_written(p->core, clock_mono_ns(), k->token, k->err.code != 0 ? &k->err : NULL);
        pool_touch(p);
    }
    arena_deinit(&k->arena);
    mem_free(k);
}

static void key_write_run(struct loop_msg *msg)
{
    struct key_write *k = container_of(msg, struct key_write, msg);
    if (key_file_write(k->pool->options.key_path, k->keys, &k->err) >= 0) {
        err_clear(&k->err);
    }
    k->msg.run = key_written;
    loop_post(k->pool->threads->gossip, &k->msg);
}

static int op_keys_changed(void *data, uint64_t token, struct err *err)
{
    struct pool *p = data;
    struct key_write *k = xcalloc(1, sizeof(*k));
    (void)err;
    k->pool = p;
    k->token = token;
    k->keys = gossip_keys_of(p->keys, &k->arena);
    k->msg.run = key_write_run;
    loop_post(p->threads->files, &k->msg);
    return 1;
}

static void op_log(void *data, enum swim_log level, struct str text)
{
    static const enum log_level levels[] = {
        [SWIM_LOG_DEBUG] = LOG_DEBUG,
        [SWIM_LOG_INFO] = LOG_INFO,
        [SWIM_LOG_WARN] = LOG_WARN,
        [SWIM_LOG_ERROR] = LOG_ERROR,
    };
    const struct pool *p = data;
    const char *module = str_has_prefix(text, STR("memberlist: ")) ? p->options.memberlist_module
                                                                   : p->options.serf_module;
    if (log_is_on(levels[level])) {
        char line[1024];
        (void)snprintf(line, sizeof(line), "%.*s", STRF(text));
        log_write(levels[level], module, line);
    }
}

static uint64_t op_reconnect_timeout_ns(void *data, const struct member *m)
{
    const struct pool *p = data;
    return p->options.reconnect_timeout_ns != NULL
               ? p->options.reconnect_timeout_ns(p->options.data, m)
               : 0;
}

/* The agent goes on without its pool: what it has of it is as it was last, and no request is taken.
 */
static void op_conflict_lost(void *data)
{
    struct pool *p = data;
    p->has_lost = true;
    pool_touch(p);
}

static const struct serf_ops pool_serf_ops = {
    .event = op_event,
    .status = op_status,
    .merge = op_merge,
    .allowed = op_allowed,
    .measure = pool_measure,
    .snapshot = op_snapshot,
    .keys_changed = op_keys_changed,
    .log = op_log,
    .reconnect_timeout_ns = op_reconnect_timeout_ns,
    .conflict_lost = op_conflict_lost,
};

/* --- news, at home ---------------------------------------------------------------------------- */

static void news_tell(struct pool *p, const struct pool_news_item *item)
{
    if (item->dropped > 0) {
        log_write(LOG_WARN, p->options.serf_module, "serf: user events were dropped",
                  LOG_UINT("count", item->dropped));
    }
    if (item->kind != SERF_EVENT_USER) {
        p->options.member(p->options.data, item->kind, item->member->member);
    } else if (p->options.user_event != NULL) {
        p->options.user_event(p->options.data, item->user);
    }
}

static void news_ready(void *data)
{
    struct pool *p = data;
    struct pool_news_item item;
    while (!p->is_stopped && pool_news_next(p->news, &item)) {
        news_tell(p, &item);
        pool_news_item_deinit(&item);
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

struct member_list *pool_members(struct pool *p)
{
    return member_board_read(p->board);
}

void pool_stats(struct pool *p, struct serf_stats *ret)
{
    pthread_mutex_lock(&p->lock);
    *ret = p->stats;
    pthread_mutex_unlock(&p->lock);
}

const struct coordinate *pool_coordinate(struct pool *p, struct arena *a)
{
    struct coordinate *c = ARENA_NEW(a, struct coordinate);
    double *vec = ARENA_ARRAY(a, double, COORDINATE_DIMENSIONS);
    pthread_mutex_lock(&p->lock);
    bool has_it = p->has_coordinate;
    *c = p->coordinate;
    memcpy(vec, p->vec, sizeof(p->vec));
    pthread_mutex_unlock(&p->lock);
    c->vec = (struct f64list){vec, COORDINATE_DIMENSIONS};
    return has_it ? c : NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

static struct serf_options core_options(struct pool *p)
{
    const struct pool_options *o = &p->options;
    return (struct serf_options){
        .config = o->config,
        .name = o->name,
        .address = o->advertise,
        .tags = o->tags,
        .keys = p->keys,
        .has_key_file = o->key_path.n > 0,
        .rng = &p->rng,
        .members_max = o->members_max,
        .incarnation = (uint32_t)(clock_wall_ms() / 1000),
        .io = &pool_io,
        .io_data = p,
        .ops = &pool_serf_ops,
        .data = p,
    };
}

static void core_start(struct loop_msg *msg)
{
    struct pool *p = container_of(msg, struct pool, start_msg);
    const struct serf_options options = core_options(p);
    const struct serf_recovered recovered = {p->before.clock, p->before.event_clock,
                                             p->before.query_clock};
    uint64_t now_ns = clock_mono_ns();
    rng_seed_system(&p->rng);
    p->armed_ns = UINT64_MAX;
    p->core = serf_new(&options, now_ns);
    tcp_listener_start(&p->listener, p->threads->gossip, p->listen_fd, pool_stream_accept);
    p->listen_fd = -1;
    serf_start(p->core, now_ns, &recovered);
    pool_touch(p);
}

/* Who waits for the gossip loop to have let go of a pool. */
struct stopping {
    struct loop_msg msg;
    struct pool *pool;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool has_ended;
};

static void core_stop(struct loop_msg *msg)
{
    struct stopping *s = container_of(msg, struct stopping, msg);
    core_end(s->pool);
    pthread_mutex_lock(&s->lock);
    s->has_ended = true;
    pthread_cond_signal(&s->ended);
    pthread_mutex_unlock(&s->lock);
}

static void core_stop_wait(struct pool *p)
{
    struct stopping s = {.msg = {NULL, core_stop}, .pool = p};
    pthread_mutex_init(&s.lock, NULL);
    pthread_cond_init(&s.ended, NULL);
    loop_post(p->threads->gossip, &s.msg);
    pthread_mutex_lock(&s.lock);
    while (!s.has_ended) {
        pthread_cond_wait(&s.ended, &s.lock);
    }
    pthread_mutex_unlock(&s.lock);
    pthread_cond_destroy(&s.ended);
    pthread_mutex_destroy(&s.lock);
}

void pool_start(struct pool *p)
{
    struct gossip_threads *t = p->threads;
    p->is_started = true;
    t->running++;
    if (!t->has_started) {
        t->has_started = true;
        loop_thread_start(t->files);
        loop_thread_start(t->gossip);
    }
    p->start_msg.run = core_start;
    loop_post(t->gossip, &p->start_msg);
    pool_rejoin_start(p);
}

void pool_stop(struct pool *p)
{
    struct gossip_threads *t = p->threads;
    if (p->is_stopped) {
        return;
    }
    p->is_stopped = true;
    if (p->is_started) {
        core_stop_wait(p);
        if (--t->running == 0) {
            loop_stop(t->gossip);
            loop_thread_join(t->gossip);
            loop_stop(t->files);
            loop_thread_join(t->files);
        }
    }
    pool_requests_end(p);
    pool_joins_end(p);
}

static int bind_fail(const struct pool_options *o, const char *what, struct err *err)
{
    char ip[ADDRESS_IP_SIZE_MAX];
    return err_wrap(err, "Failed to start %s listener on \"%.*s\" port %u", what,
                    STRF(address_ip(&o->bind, ip)), address_port(&o->bind));
}

/* No port was asked for: UDP's is the one that the kernel gave TCP. */
static void bind_to_port_of(struct pool *p)
{
    struct address local = {.size = sizeof(local.sa)};
    ASSERT(getsockname(p->listen_fd, (struct sockaddr *)&local.sa, &local.size) == 0);
    address_set_port(&p->options.bind, address_port(&local));
    if (p->options.advertise.port == 0) {
        p->options.advertise.port = address_port(&local);
    }
}

static int pool_bind(struct pool *p, struct err *err)
{
    const struct listen_options tcp = {0};
    const struct udp_options udp = {.size_max = MEMBERLIST_PACKET_SIZE_MAX,
                                    .buffer_size = UDP_BUFFER_SIZE};
    p->listen_fd = listen_socket(&p->options.bind, &tcp, err);
    if (p->listen_fd < 0) {
        return bind_fail(&p->options, "TCP", err);
    }
    if (address_port(&p->options.bind) == 0) {
        bind_to_port_of(p);
    }
    int rc = udp_open(&p->udp, p->threads->gossip, &p->options.bind, &udp, receive, err);
    return rc < 0 ? bind_fail(&p->options, "UDP", err) : 0;
}

static int pool_recover(struct pool *p, struct err *err)
{
    const struct pool_options *o = &p->options;
    if (o->snapshot_path.n == 0) {
        return 0;
    }
    int rc =
        snapshot_read(o->snapshot_path, o->config.rejoin_after_leave, &p->arena, &p->before, err);
    rc = rc < 0 ? rc
                : snapshot_writer_new(p->threads->files, o->snapshot_path, &p->before,
                                      o->config.rejoin_after_leave, &p->snapshot, err);
    return rc < 0 ? err_wrap(err, "Failed to setup snapshot") : 0;
}

static void pool_destroy(struct pool *p)
{
    (void)pool_news_free(p->news);
    (void)member_board_free(p->board);
    (void)snapshot_writer_free(p->snapshot);
    (void)seal_ring_free(p->keys);
    pool_requests_free(p);
    if (p->listen_fd >= 0) {
        (void)close(p->listen_fd);
    }
    pthread_mutex_destroy(&p->lock);
    list_remove(&p->threads_node);
    arena_deinit(&p->arena);
    mem_free(p);
}

int pool_new(const struct pool_options *options, struct pool **ret_pool, struct err *err)
{
    struct pool *p = xcalloc(1, sizeof(*p));
    struct arena *a = &p->arena;
    p->options = *options;
    p->options.name = arena_str(a, options->name);
    p->options.tags = pool_tags_copy(a, options->tags);
    p->options.snapshot_path = arena_str(a, options->snapshot_path);
    p->options.key_path = arena_str(a, options->key_path);
    p->threads = options->threads;
    p->keys = options->keys;
    p->listen_fd = -1;
    p->board = member_board_new();
    p->news = pool_news_new(options->home, news_ready, p);
    pthread_mutex_init(&p->lock, NULL);
    list_init(&p->streams);
    list_init(&p->requests);
    list_init(&p->ended);
    list_init(&p->joins);
    list_push_back(&p->threads->pools, &p->threads_node);
    p->threads->alive++;
    const struct serf_options core = core_options(p);
    int rc = serf_check(&core, err);
    rc = rc < 0 ? rc : pool_recover(p, err);
    rc = rc < 0 ? rc : pool_bind(p, err);
    if (rc < 0) {
        (void)pool_free(p);
        return rc;
    }
    *ret_pool = p;
    return 0;
}

struct pool *pool_free(struct pool *p)
{
    if (p == NULL) {
        return NULL;
    }
    struct gossip_threads *t = p->threads;
    ASSERT(!p->is_started || p->is_stopped);
    if (--t->alive == 0) { /* sockets of all pools are the loop's until it has closed them */
        t->gossip = loop_free(t->gossip);
        t->files = loop_free(t->files);
        list_for_each (node, &t->pools) {
            pool_destroy(list_entry(node, struct pool, threads_node));
        }
        mem_free(t);
    }
    return NULL;
}

/* --- threads ---------------------------------------------------------------------------------- */

struct gossip_threads *gossip_threads_new(void)
{
    struct gossip_threads *t = xcalloc(1, sizeof(*t));
    t->gossip = loop_new("gossip");
    t->files = loop_new("gossip-files");
    list_init(&t->pools);
    return t;
}

struct gossip_threads *gossip_threads_free(struct gossip_threads *t)
{
    if (t == NULL) {
        return NULL;
    }
    ASSERT(t->alive == 0 && list_is_empty(&t->pools));
    (void)loop_free(t->gossip);
    (void)loop_free(t->files);
    return mem_free(t);
}
