/* A path: one connection to a server at most, which answers in the order it was asked.
 *
 * Happy path: the first request connects (the byte 1 goes ahead, requests gather behind it), each
 * is remembered in the path's ring, the answer is joined with the oldest of the ring and given on
 * as a result.
 *
 * The connection ends, a time limit passes, the answer is an error or garbage, or too much waits:
 * the path is closed and all of its ring lost; one unreachable() says so in the next turn. What is
 * sent in between would be answered twice if it went out, so it is dropped: unreachable() speaks
 * for it too. A connection that ends while nothing is asked is only forgotten. */
#include "raft/transport_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static const struct {
    uint32_t asked_max;
} path_limits[PATHS_COUNT] = {
    /* More than the core has under way: it begins to count anew when it goes back to probing, while
     * answers to what it sent before are still to come. */
    [PATH_ENTRIES] = {2 * RAFT_PIPELINE_MAX},
    [PATH_CONTROL] = {16},
    [PATH_PRE_VOTE] = {4},
    [PATH_SNAPSHOT] = {1},
};
#define PRE_VOTES_MAX 4u

/* --- asking --------------------------------------------------------------------------------- */

static void out_read(struct tcp_stream *s, const char *p, size_t n);
static void out_eof(struct tcp_stream *s);
static void out_fail(struct tcp_stream *s, int code);
static void out_drained(struct tcp_stream *s);
static void out_connected(struct tcp_stream *s);
static void out_closed(struct tcp_stream *s);

static const struct tcp_ops out_ops = {.read = out_read,
                                       .eof = out_eof,
                                       .fail = out_fail,
                                       .drained = out_drained,
                                       .connected = out_connected,
                                       .closed = out_closed};

static int path_connect(struct path *p)
{
    struct transport *t = p->remote->t;
    struct address to;
    int r = address_parse_host_port(&to, str_from_cstr(p->remote->address), NULL);
    if (r < 0) {
        return r;
    }
    bool is_bound = t->from.size > 0 && t->from.sa.ss_family == to.sa.ss_family;
    struct out_conn *c = xcalloc(1, sizeof(*c));
    *c = (struct out_conn){.t = t, .path = p};
    buf_init(&c->in, RAFT_WIRE_REPLY_SIZE_MAX + LOOP_READ_BUFFER_SIZE);
    raft_wire_reply_scan(&c->scan);
    r = tcp_connect(&c->stream, t->loop, &to, is_bound ? &t->from : NULL, &out_ops);
    if (r < 0) {
        mem_free(c);
        return r;
    }
    tcp_set_user_timeout(&c->stream, t->network_timeout_ms);
    if (t->tls != NULL) {
        tls_connect_if(&c->stream, t->tls, RPC_CONN_TLS, STR_NULL);
    }
    transport_ref(t);
    p->conn = c;
    buf_byte(&p->out, RPC_CONN_RAFT);
    return 0;
}

static struct asked *path_oldest(struct path *p)
{
    return &p->asked[p->asked_first];
}

static void path_timer_fire(struct loop_timer *timer);
static void path_mark_lost(struct path *p, const struct asked *asked, const char *why);

/* When the oldest request has waited too long. Entries and votes wait for disks there. */
static uint64_t path_due_ms(struct path *p)
{
    const struct transport *t = p->remote->t;
    const struct asked *asked = path_oldest(p);
    uint64_t limit_ms = t->network_timeout_ms;
    if (p->conn != NULL && p->conn->is_connected) {
        limit_ms = p->kind == PATH_ENTRIES                       ? t->timeout_ms
                   : asked->kind == RAFT_MSG_VOTE && !asked->pre ? t->vote_timeout_ms
                                                                 : limit_ms;
    }
    return asked->at_ms + limit_ms;
}

static void path_timer_start(struct path *p)
{
    if (p->kind != PATH_SNAPSHOT && p->asked_count > 0 && !loop_timer_is_active(&p->timer)) {
        struct transport *t = p->remote->t;
        uint64_t due_ms = path_due_ms(p), now_ms = loop_now_ms(t->loop);
        loop_timer_start(t->loop, &p->timer, due_ms > now_ms ? due_ms - now_ms : 0,
                         path_timer_fire);
    }
}

/* It is not moved with each answer: it looks when it fires. */
static void path_timer_fire(struct loop_timer *timer)
{
    struct path *p = container_of(timer, struct path, timer);
    struct transport *t = p->remote->t;
    if (p->asked_count > 0 && loop_now_ms(t->loop) >= path_due_ms(p)) {
        path_lose(p, p->conn->is_connected ? "no answer in time" : "connecting took too long");
    } else {
        path_timer_start(p);
    }
}

bool path_ask(struct path *p, const struct asked *asked)
{
    uint32_t max = path_limits[p->kind].asked_max;
    size_t pending = p->out.n + (p->conn != NULL ? tcp_pending(&p->conn->stream) : 0);
    if (p->asked_count == max || pending > RAFT_TRANSPORT_PENDING_SIZE_MAX) {
        path_mark_lost(p, asked, "too much is under way");
        path_close(p);
        return false;
    }
    if (p->asked == NULL) {
        p->asked = xcalloc(max, sizeof(*p->asked));
    }
    struct asked *to = &p->asked[(p->asked_first + p->asked_count++) % max];
    *to = *asked;
    to->at_ms = loop_now_ms(p->remote->t->loop);
    to->at_ns = clock_mono_ns();
    int r = p->conn == NULL ? path_connect(p) : 0;
    if (r < 0) {
        path_lose(p, err_code_text(-r));
        return false;
    }
    path_timer_start(p);
    return true;
}

void path_gathered(struct path *p)
{
    struct transport *t = p->remote->t;
    if (p->out.n >= TRANSPORT_GATHER_SIZE) {
        path_flush(p);
    } else if (!list_is_linked(&p->flush_node)) {
        list_push_back(&t->flush, &p->flush_node);
        transport_wake(t);
    }
}

void path_flush(struct path *p)
{
    list_remove(&p->flush_node);
    if (p->conn == NULL || p->out.n == 0) {
        return;
    }
    int r = p->out.failed ? -ERR_TOO_LARGE : tcp_write_buf(&p->conn->stream, &p->out);
    if (p->out.cap > TRANSPORT_GATHER_SIZE) {
        buf_deinit(&p->out);
    }
    if (r < 0) {
        path_lose(p, err_code_text(-r));
    }
}

/* --- losing --------------------------------------------------------------------------------- */

void path_close(struct path *p)
{
    if (p->conn != NULL) {
        p->conn->path = NULL;
        tcp_close(&p->conn->stream);
        p->conn = NULL;
    }
    p->asked_first = p->asked_count = 0;
    p->heartbeat_is_out = p->heartbeat_waits = false;
    buf_deinit(&p->out);
    buf_deinit(&p->heartbeat_bytes);
    loop_timer_stop(p->remote->t->loop, &p->timer);
    list_remove(&p->flush_node);
    list_remove(&p->pump_node);
    p->sending = sending_free(p->sending);
}

/* The sentences of the reference. */
static const char *asked_failed_text(const struct asked *asked)
{
    switch (asked->kind) {
    case RAFT_MSG_APPEND:
        return asked->is_heartbeat ? "failed to heartbeat to" : "failed to appendEntries to";
    case RAFT_MSG_VOTE:
        return asked->pre ? "failed to make requestPreVote RPC" : "failed to make requestVote RPC";
    case RAFT_MSG_INSTALL:
        return "failed to send snapshot to";
    default:
        return "failed to make timeoutNow RPC";
    }
}

static void path_mark_lost(struct path *p, const struct asked *asked, const char *why)
{
    struct transport *t = p->remote->t;
    if (!p->is_failing) {
        log_write(LOG_ERROR, TRANSPORT_LOG, asked_failed_text(asked),
                  LOG_CSTR("peer", p->remote->address), LOG_CSTR("id", p->remote->id),
                  LOG_CSTR("error", why));
    }
    p->is_failing = true;
    list_push_back(&t->lost, &p->lost_node);
    transport_wake(t);
}

void path_lose(struct path *p, const char *why)
{
    if (p->asked_count > 0) {
        path_mark_lost(p, path_oldest(p), why);
    }
    path_close(p);
}

void path_tell_lost(struct path *p)
{
    struct transport *t = p->remote->t;
    if (p->kind == PATH_PRE_VOTE) {
        return; /* nobody waits for it; a vote may be on its way */
    }
    t->base.events->unreachable(t->base.events_data, str_from_cstr(p->remote->id));
}

/* A server of the reference does not know the question, and hangs up. No leader would have asked
 * before, so it counts as agreed (core/election.c). */
static void path_pre_votes_unsupported(struct path *p)
{
    struct transport *t = p->remote->t;
    struct asked asked[PRE_VOTES_MAX];
    uint32_t count = p->asked_count;
    for (uint32_t i = 0; i < count; i++) {
        asked[i] = p->asked[(p->asked_first + i) % PRE_VOTES_MAX];
    }
    path_close(p);
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_msg msg = {.kind = RAFT_MSG_VOTE_RESULT,
                                     .token = asked[i].token,
                                     .vote_result = {.pre = true, .unsupported = true}};
        t->base.events->result(t->base.events_data, str_from_cstr(p->remote->id), &msg);
    }
}

static void out_end(struct out_conn *c, int code)
{
    struct path *p = c->path;
    if (p == NULL) {
        return;
    }
    bool hung_up = code == -ERR_CLOSED || code == -ECONNRESET || code == -EPIPE;
    if (p->kind == PATH_PRE_VOTE && c->is_connected && !c->has_answered && hung_up &&
        !c->t->is_freed) {
        path_pre_votes_unsupported(p);
    } else {
        const char *tls = tls_error(&c->stream);
        path_lose(p, tls != NULL ? tls : err_code_text(-code));
    }
}

static void out_eof(struct tcp_stream *s)
{
    out_end(container_of(s, struct out_conn, stream), -ERR_CLOSED);
}

static void out_fail(struct tcp_stream *s, int code)
{
    out_end(container_of(s, struct out_conn, stream), code);
}

static void out_connected(struct tcp_stream *s)
{
    container_of(s, struct out_conn, stream)->is_connected = true;
}

static void out_drained(struct tcp_stream *s)
{
    struct path *p = container_of(s, struct out_conn, stream)->path;
    if (p != NULL && p->sending != NULL) {
        sending_wake(p);
    }
}

static void out_closed(struct tcp_stream *s)
{
    struct out_conn *c = container_of(s, struct out_conn, stream);
    buf_deinit(&c->in);
    transport_unref(c->t);
    mem_free(c);
}

/* --- answers -------------------------------------------------------------------------------- */

static void result_fill(const struct asked *asked, struct raft_msg *m)
{
    m->token = asked->token;
    if (asked->kind == RAFT_MSG_APPEND) {
        m->append_result.prev_index = asked->index;
        m->append_result.count = asked->count;
        m->append_result.round = asked->token;
    } else if (asked->kind == RAFT_MSG_INSTALL) {
        m->install_result.index = asked->index;
    }
}

/* 0, or what is wrong with it in err. */
static int answer_take(struct out_conn *c, struct str bytes, struct err *err)
{
    struct path *p = c->path;
    if (p->asked_count == 0) {
        return err_set(err, ERR_INVALID, "an answer to nothing");
    }
    const struct asked asked = *path_oldest(p);
    struct raft_msg request;
    request.kind = asked.kind;
    if (asked.kind == RAFT_MSG_INSTALL) {
        request.install.pre = asked.pre;
    } else {
        request.vote.pre = asked.pre;
    }
    struct raft_wire_reply reply;
    int r = raft_wire_reply_decode(bytes, &request, &reply, err);
    if (r < 0) {
        return r;
    }
    if (reply.error.n > 0) {
        return err_set(err, ERR_FAILED, "it says: %.*s", STRF(reply.error));
    }
    c->has_answered = true;
    p->is_failing = false;
    transport_measure(p->remote, &asked);
    p->asked_first = (p->asked_first + 1) % path_limits[p->kind].asked_max;
    p->asked_count--;
    if (asked.is_heartbeat) {
        heartbeat_answered(p);
    }
    if (p->kind == PATH_SNAPSHOT || (p->kind == PATH_PRE_VOTE && p->asked_count == 0)) {
        path_close(
            p); /* as the reference does; a pre-vote wants a fresh one to be sure of an end */
    }
    if (asked.kind != RAFT_MSG_TIMEOUT_NOW) {
        struct transport *t = c->t;
        result_fill(&asked, &reply.msg);
        t->base.events->result(t->base.events_data, str_from_cstr(p->remote->id), &reply.msg);
    }
    return 0;
}

static void out_read(struct tcp_stream *s, const char *bytes, size_t n)
{
    struct out_conn *c = container_of(s, struct out_conn, stream);
    struct err err = {0};
    int r = 1;
    buf_put(&c->in, bytes, n);
    while (c->path != NULL && r > 0) { /* events may close it */
        struct str rest = str_from(buf_view(&c->in), c->in_used);
        r = c->in.failed ? -ERR_TOO_LARGE : msgpack_scan(&c->scan, rest);
        if (r == 1) {
            size_t size = c->scan.at;
            raft_wire_reply_scan(&c->scan);
            c->in_used += size;
            r = answer_take(c, str_first(rest, size), &err);
            r = r < 0 ? r : 1;
        } else if (r < 0) {
            (void)err_from_errno(&err, r, "raft reply");
        }
    }
    if (c->path != NULL && r < 0) {
        path_lose(c->path, err_text(&err));
        return;
    }
    buf_consume(&c->in, c->in_used);
    c->in_used = 0;
}
