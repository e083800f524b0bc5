#include "transport_fixture.h"

#include <unistd.h>

struct loop *loop;
size_t sources_alive;
uint64_t source_given;

static void stop_fire(struct loop_timer *t)
{
    (void)t;
    loop_stop(loop);
}

void loop_some(void)
{
    static struct loop_timer timer;
    loop_timer_start(loop, &timer, 1, stop_fire);
    loop_run(loop);
}

void fixture_begin(void)
{
    loop = loop_new("transport");
    sources_alive = 0;
    source_given = 0;
}

void fixture_end(void)
{
    loop = loop_free(loop);
    assert_int_equal(sources_alive, 0);
}

/* --- nodes ---------------------------------------------------------------------------------- */

static void name_copy(char *to, struct str name)
{
    assert_true(name.n <= RAFT_NAME_SIZE_MAX);
    (void)snprintf(to, RAFT_NAME_SIZE_MAX + 1, "%.*s", STRF(name));
}

static void request_note(const struct raft_msg *m, struct seen *s)
{
    *s = (struct seen){.kind = m->kind, .term = m->term, .token = m->token};
    if (m->kind == RAFT_MSG_APPEND) {
        name_copy(s->name, m->append.leader);
        s->prev_index = m->append.prev_index;
        s->prev_term = m->append.prev_term;
        s->commit_index = m->append.commit_index;
        s->count = m->append.count;
        s->entries_are_nil = m->append.entries == NULL;
        for (uint64_t i = 0; i < s->count; i++) {
            s->data_size += m->append.entries[i].data.n;
        }
    } else if (m->kind == RAFT_MSG_VOTE) {
        name_copy(s->name, m->vote.candidate);
        s->last_index = m->vote.last_index;
        s->last_term = m->vote.last_term;
        s->transfer = m->vote.transfer;
        s->pre = m->vote.pre;
    } else if (m->kind == RAFT_MSG_INSTALL) {
        name_copy(s->name, m->install.leader);
        s->index = m->install.index;
        s->last_term = m->install.term;
        s->pre = m->install.pre;
        s->stage = m->install.stage;
        s->count = m->install.configuration.count;
    }
}

static bool is_heartbeat(const struct seen *s)
{
    return s->kind == RAFT_MSG_APPEND && s->prev_index == 0 && s->count == 0;
}

void node_answer(struct node *n, size_t request, bool yes)
{
    struct seen *s = &n->requests.v[request];
    struct raft_msg m = {.term = s->term, .token = s->token};
    assert_false(s->is_answered);
    s->is_answered = true;
    if (s->kind == RAFT_MSG_APPEND) {
        m.kind = RAFT_MSG_APPEND_RESULT;
        m.append_result.success = yes;
        m.append_result.last_index = s->prev_index + s->count;
        m.append_result.conflict_index = yes ? 0 : s->prev_index;
    } else if (s->kind == RAFT_MSG_VOTE) {
        m.kind = RAFT_MSG_VOTE_RESULT;
        m.vote_result.granted = yes;
        m.vote_result.pre = s->pre;
    } else if (s->kind == RAFT_MSG_INSTALL) {
        m.kind = RAFT_MSG_INSTALL_RESULT;
        m.install_result.success = yes;
    } else {
        assert_int_equal(s->token, 0);
        return;
    }
    n->t->ops->reply(n->t, s->token, &m);
}

static void receive_fire(struct loop_timer *timer)
{
    struct node *n = container_of(timer, struct node, receive_timer);
    n->t->ops->receive(n->t, n->receive_token);
}

static void on_request(void *data, struct raft_msg *msg)
{
    struct node *n = data;
    struct seen s;
    request_note(msg, &s);
    vec_push(&n->requests, s);
    if (msg->kind == RAFT_MSG_INSTALL && n->accepts_snapshots) {
        if (loop_timer_is_active(&n->receive_timer)) { /* of the one before, which may end now */
            loop_timer_stop(loop, &n->receive_timer);
            receive_fire(&n->receive_timer);
        }
        n->snapshot_token = msg->token;
        n->snapshot_received = 0;
        n->t->ops->receive(n->t, msg->token);
    } else if (!(is_heartbeat(&s)               ? n->holds_heartbeats
                 : msg->kind == RAFT_MSG_APPEND ? n->holds_appends
                                                : n->holds_votes)) {
        node_answer(n, n->requests.n - 1, msg->kind != RAFT_MSG_INSTALL);
    }
}

static void on_result(void *data, struct str id, const struct raft_msg *m)
{
    struct node *n = data;
    struct seen s = {.kind = m->kind, .term = m->term, .token = m->token};
    name_copy(s.name, id);
    if (m->kind == RAFT_MSG_APPEND_RESULT) {
        s.success = m->append_result.success;
        s.prev_index = m->append_result.prev_index;
        s.count = m->append_result.count;
        s.round = m->append_result.round;
        s.last_index = m->append_result.last_index;
        s.conflict_index = m->append_result.conflict_index;
    } else if (m->kind == RAFT_MSG_VOTE_RESULT) {
        s.granted = m->vote_result.granted;
        s.pre = m->vote_result.pre;
        s.unsupported = m->vote_result.unsupported;
    } else {
        assert_int_equal(m->kind, RAFT_MSG_INSTALL_RESULT);
        s.success = m->install_result.success;
        s.index = m->install_result.index;
        s.pre = m->install_result.pre;
    }
    vec_push(&n->results, s);
}

static void on_unreachable(void *data, struct str id)
{
    struct node *n = data;
    assert_true(id.n > 0);
    n->unreachable++;
}

static void on_snapshot_data(void *data, uint64_t token, struct str bytes)
{
    struct node *n = data;
    if (token != n->snapshot_token) {
        n->t->ops->receive(n->t, token); /* another took its place: to its end */
        return;
    }
    assert_true(bytes.n > 0 && bytes.n <= RAFT_SNAPSHOT_PIECE_SIZE_MAX);
    assert_false(loop_timer_is_active(&n->receive_timer)); /* only one piece at a time */
    for (size_t i = 0; i < bytes.n; i++) {
        if (bytes.p[i] != snapshot_byte(n->snapshot_received + i)) {
            fail_msg("byte %zu of the snapshot is wrong", (size_t)n->snapshot_received + i);
        }
    }
    n->snapshot_received += bytes.n;
    if (n->receive_delay_ms > 0) {
        n->receive_token = token;
        loop_timer_start(loop, &n->receive_timer, n->receive_delay_ms, receive_fire);
    } else {
        n->t->ops->receive(n->t, token);
    }
}

static void on_snapshot_end(void *data, uint64_t token, int code)
{
    struct node *n = data;
    if (token == n->receive_token) {
        loop_timer_stop(loop, &n->receive_timer);
    }
    n->snapshot_ends++;
    n->snapshot_code = code;
    if (code == 0) {
        assert_int_equal(n->t->ops->snapshot_size(n->t, token), n->snapshot_received);
    }
    for (size_t i = 0; i < n->requests.n; i++) {
        if (n->requests.v[i].token == token) {
            node_answer(n, i, code == 0);
        }
    }
}

/* The first byte belongs to the port, not to the transport: read it with a stream, and hand a copy
 * of the descriptor on. */
struct first {
    struct tcp_stream stream;
    struct node *node;
    bool is_done;
};

static void first_read(struct tcp_stream *s, const char *p, size_t n)
{
    struct first *f = container_of(s, struct first, stream);
    if (!f->is_done) {
        f->is_done = true;
        assert_int_equal(p[0], 1);
        tcp_read_stop(s);
        int fd = dup(s->fd);
        assert_true(fd >= 0);
        f->node->accepted++;
        raft_transport_tcp_accept(f->node->t, fd, NULL, str_make(p + 1, n - 1));
        tcp_close(s);
    }
}
static void first_eof(struct tcp_stream *s)
{
    tcp_close(s);
}
static void first_fail(struct tcp_stream *s, int code)
{
    (void)code;
    tcp_close(s);
}
static void first_closed(struct tcp_stream *s)
{
    mem_free(container_of(s, struct first, stream));
}

static void node_accept(struct tcp_listener *l, int fd, const struct address *peer)
{
    static const struct tcp_ops ops = {
        .read = first_read, .eof = first_eof, .fail = first_fail, .closed = first_closed};
    struct first *f = xcalloc(1, sizeof(*f));
    (void)peer;
    f->node = container_of(l, struct node, listener);
    tcp_start(&f->stream, loop, fd, &ops);
}

static void listen_at(struct node *n, int i, struct tcp_listener *l,
                      void (*accept)(struct tcp_listener *, int, const struct address *))
{
    char host[32];
    struct err err = {0};
    struct buf text = {0};
    (void)snprintf(n->id, sizeof(n->id), "n%d", i);
    (void)snprintf(host, sizeof(host), "127.0.7%d.1", i);
    assert_ok(address_parse(&n->address, str_from_cstr(host), 0, NULL));
    int fd = listen_socket(&n->address, &(struct listen_options){0}, &err);
    assert_true(fd >= 0);
    n->address.size = sizeof(n->address.sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&n->address.sa, &n->address.size), 0);
    address_format(&n->address, &text);
    (void)snprintf(n->text, sizeof(n->text), "%.*s", STRF(buf_view(&text)));
    buf_deinit(&text);
    tcp_listener_start(l, loop, fd, accept);
}

void node_start(struct node *n, int i, uint64_t timeout_ms, uint32_t connections_max)
{
    static const struct raft_transport_events events = {.request = on_request,
                                                        .result = on_result,
                                                        .unreachable = on_unreachable,
                                                        .snapshot_data = on_snapshot_data,
                                                        .snapshot_end = on_snapshot_end};
    *n = (struct node){0};
    listen_at(n, i, &n->listener, node_accept);
    char host[ADDRESS_IP_SIZE_MAX];
    struct raft_transport_tcp_options options = {.loop = loop,
                                                 .bind_host = address_ip(&n->address, host),
                                                 .timeout_ms = timeout_ms,
                                                 .network_timeout_ms = timeout_ms,
                                                 .vote_timeout_ms = timeout_ms * 1000,
                                                 .connections_max = connections_max};
    n->t = raft_transport_tcp_new(&options);
    assert_non_null(n->t);
    n->t->events = &events;
    n->t->events_data = n;
}

void node_stop(struct node *n)
{
    loop_timer_stop(loop, &n->receive_timer);
    tcp_listener_close(&n->listener);
    n->t = n->t->ops->free(n->t);
    vec_deinit(&n->requests);
    vec_deinit(&n->results);
}

/* --- sending -------------------------------------------------------------------------------- */

void node_send(struct node *from, const struct node *to, const struct raft_msg *msg,
               const struct raft_entry *entries)
{
    from->t->ops->send(from->t, str_from_cstr(to->id), str_from_cstr(to->text), msg, entries);
}

void node_append(struct node *from, const struct node *to, uint64_t prev_index, uint64_t count)
{
    struct raft_entry entries[RAFT_APPEND_COUNT_MAX] = {0};
    for (uint64_t i = 0; i < count; i++) {
        entries[i].index = prev_index + 1 + i;
        entries[i].term = 3;
        entries[i].data = STR("\x01some entry");
    }
    struct raft_msg m = {.kind = RAFT_MSG_APPEND, .term = 3, .token = prev_index + 1000};
    m.append.leader = str_from_cstr(from->text);
    m.append.prev_index = prev_index;
    m.append.prev_term = 3;
    m.append.commit_index = prev_index;
    m.append.count = count;
    node_send(from, to, &m, entries);
    memset(entries, 0x5a, sizeof(entries)); /* they were copied */
}

void node_heartbeat(struct node *from, const struct node *to, uint64_t round)
{
    struct raft_msg m = {.kind = RAFT_MSG_APPEND, .term = 3, .token = round};
    m.append.leader = str_from_cstr(from->text);
    node_send(from, to, &m, NULL);
}

void node_vote(struct node *from, const struct node *to, bool pre)
{
    struct raft_msg m = {.kind = RAFT_MSG_VOTE, .term = 4, .token = 77};
    m.vote.candidate = str_from_cstr(from->text);
    m.vote.last_index = 9;
    m.vote.last_term = 2;
    m.vote.transfer = !pre;
    m.vote.pre = pre;
    node_send(from, to, &m, NULL);
}

/* A source whose pieces come in a later turn. */
struct source {
    struct raft_snapshot_source base;
    struct loop_timer timer;
    uint64_t at;
    void (*piece)(struct raft_snapshot_source *s, struct str bytes, int code);
    char bytes[100000];
};

static void source_fire(struct loop_timer *timer)
{
    struct source *s = container_of(timer, struct source, timer);
    size_t n = (size_t)MIN(s->base.size - s->at, (uint64_t)sizeof(s->bytes));
    for (size_t i = 0; i < n; i++) {
        s->bytes[i] = snapshot_byte(s->at + i);
    }
    s->at += n;
    source_given += n;
    s->piece(&s->base, str_make(s->bytes, n), 0);
}

static void source_next(struct raft_snapshot_source *base,
                        void (*piece)(struct raft_snapshot_source *, struct str, int))
{
    struct source *s = container_of(base, struct source, base);
    assert_false(loop_timer_is_active(&s->timer));
    s->piece = piece;
    loop_timer_start(loop, &s->timer, 0, source_fire);
}

static struct raft_snapshot_source *source_free(struct raft_snapshot_source *base)
{
    struct source *s = container_of(base, struct source, base);
    loop_timer_stop(loop, &s->timer);
    mem_free(s);
    sources_alive--;
    return NULL;
}

void node_send_snapshot(struct node *from, const struct node *to, uint64_t index, uint64_t size)
{
    static const struct raft_snapshot_source_ops ops = {.next = source_next, .free = source_free};
    struct source *s = xcalloc(1, sizeof(*s));
    s->base.ops = &ops;
    s->base.size = size;
    sources_alive++;
    struct raft_msg m = {.kind = RAFT_MSG_INSTALL, .term = 3, .token = index + 5};
    m.install.leader = str_from_cstr(from->text);
    m.install.index = index;
    m.install.term = 2;
    m.install.configuration_index = 1;
    m.install.pre = from->sends_ahead;
    m.install.stage = from->stage;
    assert_ok(raft_configuration_add(&m.install.configuration, RAFT_VOTER, str_from_cstr(from->id),
                                     str_from_cstr(from->text), NULL));
    from->t->ops->send_snapshot(from->t, str_from_cstr(to->id), str_from_cstr(to->text), &m,
                                &s->base);
}

/* --- raw peers ------------------------------------------------------------------------------ */

static void raw_read(struct tcp_stream *s, const char *p, size_t n)
{
    buf_put(&container_of(s, struct raw, stream)->got, p, n);
}
static void raw_eof(struct tcp_stream *s)
{
    container_of(s, struct raw, stream)->has_ended = true;
}
static void raw_fail(struct tcp_stream *s, int code)
{
    (void)code;
    container_of(s, struct raw, stream)->has_ended = true;
}
static void raw_closed(struct tcp_stream *s)
{
    container_of(s, struct raw, stream)->is_open = false;
}
static const struct tcp_ops raw_ops = {
    .read = raw_read, .eof = raw_eof, .fail = raw_fail, .closed = raw_closed};

void raw_connect(struct raw *r, const struct address *to)
{
    *r = (struct raw){.is_open = true};
    assert_ok(tcp_connect(&r->stream, loop, to, NULL, &raw_ops));
}

void raw_write(struct raw *r, struct str bytes)
{
    const struct iovec iov = {(void *)bytes.p, bytes.n};
    assert_ok(tcp_write(&r->stream, &iov, 1));
}

void raw_close(struct raw *r)
{
    if (r->is_open) {
        tcp_close(&r->stream);
        UNTIL(!r->is_open);
    }
    buf_deinit(&r->got);
}

void raw_put_install(struct buf *to, uint64_t size)
{
    struct raft_wire_request request = {.protocol = 3, .snapshot_size = size};
    request.msg.kind = RAFT_MSG_INSTALL;
    assert_ok(raft_configuration_add(&request.msg.install.configuration, RAFT_VOTER, STR("x"),
                                     STR("1.2.3.4:8300"), NULL));
    raft_wire_request_encode(&request, to);
}

void raw_put_append(struct buf *to, uint64_t term)
{
    const struct raft_wire_request request = {.protocol = 3,
                                              .msg = {.kind = RAFT_MSG_APPEND, .term = term}};
    raft_wire_request_encode(&request, to);
}

static void raw_server_read(struct tcp_stream *s, const char *p, size_t n)
{
    struct raw *r = container_of(s, struct raw, stream);
    struct raw_server *server = container_of(r, struct raw_server, raw);
    buf_put(&r->got, p, n);
    if (server->answer.n > 0) {
        raw_write(r, server->answer);
    }
    if (server->closes) {
        tcp_close(s);
    }
}

static void raw_server_accept(struct tcp_listener *l, int fd, const struct address *peer)
{
    static const struct tcp_ops ops = {
        .read = raw_server_read, .eof = raw_eof, .fail = raw_fail, .closed = raw_closed};
    struct raw_server *s = container_of(l, struct raw_server, listener);
    (void)peer;
    assert_false(s->raw.is_open);
    buf_deinit(&s->raw.got);
    s->raw = (struct raw){.is_open = true};
    s->accepted++;
    tcp_start(&s->raw.stream, loop, fd, &ops);
}

void raw_server_start(struct raw_server *s, int i)
{
    *s = (struct raw_server){0};
    listen_at(&s->as, i, &s->listener, raw_server_accept);
}

void raw_server_stop(struct raw_server *s)
{
    raw_close(&s->raw);
    tcp_listener_close(&s->listener);
}
