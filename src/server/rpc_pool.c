/* Calls and their ends. A call finds the connection of its address, or makes one, and is encoded
 * into a stream of it (rpc_connection.c). It comes back through rpc_pool_finish(), which queues it
 * for the end of the turn: reports are made there, from no one's callback, then everything that is
 * to be sent is written. A report may start, cancel or forget calls as it likes. */
#include "server/rpc_pool.h"

#include "base/arena.h"
#include "base/err.h"
#include "loop/tls.h"
#include "proto/rpc_frame.h"
#include "server/rpc.h"
#include "server/rpc_body.h"
#include "server/rpc_connection.h"

static void turn_run(struct loop_msg *msg);

struct rpc_pool *rpc_pool_new(struct loop *loop)
{
    struct rpc_pool *p = xcalloc(1, sizeof(*p));
    p->loop = loop;
    p->turn.run = turn_run;
    p->streams_max = RPC_POOL_STREAMS_MAX;
    p->connect_ms = RPC_POOL_CONNECT_MS;
    p->write_ms = RPC_POOL_WRITE_MS;
    p->ping_ms = RPC_POOL_PING_MS;
    p->silence_ms = RPC_POOL_SILENCE_MS;
    p->idle_ms = RPC_POOL_IDLE_MS;
    list_init(&p->connections);
    list_init(&p->finished);
    return p;
}

struct rpc_pool *rpc_pool_free(struct rpc_pool *p)
{
    if (p == NULL) {
        return NULL;
    }
    list_for_each (node, &p->connections) {
        struct rpc_connection *c = list_entry(node, struct rpc_connection, node);
        rpc_pool_remove(p, c);
        rpc_connection_close(c);
    }
    p->is_freed = true;
    return p->is_turn_posted ? NULL : mem_free(p); /* else turn_run() frees it */
}

int rpc_pool_bind(struct rpc_pool *p, struct str host, struct err *err)
{
    int rc = host.n > 0 ? address_parse(&p->from, host, 0, err) : 0;
    p->is_bound = rc >= 0 && host.n > 0;
    return rc;
}

void rpc_pool_set_tls(struct rpc_pool *p, struct tls_configurator *tls)
{
    p->tls = tls;
}

int rpc_pool_connect(struct rpc_pool *p, struct tcp_stream *stream, const struct address *to,
                     struct str datacenter, const struct tcp_ops *ops)
{
    bool is_alike = p->is_bound && p->from.sa.ss_family == to->sa.ss_family;
    int r = tcp_connect(stream, p->loop, to, is_alike ? &p->from : NULL, ops);
    if (r >= 0 && p->tls != NULL) {
        tls_connect_if(stream, p->tls, RPC_CONN_TLS, datacenter);
    }
    return r;
}

uint32_t rpc_pool_calls(const struct rpc_pool *p)
{
    return p->calls;
}

/* --- the end of the turn ---------------------------------------------------------------------- */

static void turn_run(struct loop_msg *msg)
{
    struct rpc_pool *p = container_of(msg, struct rpc_pool, turn);
    if (p->is_freed) {
        mem_free(p);
        return;
    }
    /* Marked as posted until the last: what reports start is flushed below. */
    for (;;) {
        for (struct list *node; (node = list_pop_front(&p->finished)) != NULL;) {
            struct rpc_remote *call = list_entry(node, struct rpc_remote, node);
            p->calls--;
            call->done(call);
        }
        list_for_each (node, &p->connections) {
            struct rpc_connection *c = list_entry(node, struct rpc_connection, node);
            if (c->is_dirty) {
                c->is_dirty = false;
                rpc_connection_flush(c);
            }
        }
        if (list_is_empty(&p->finished)) {
            break;
        }
    }
    p->is_turn_posted = false;
}

struct err *rpc_remote_err(struct rpc_remote *call)
{
    if (call->err == NULL) {
        call->err = ARENA_NEW(call->arena, struct err);
    }
    return call->err;
}

void rpc_pool_wake(struct rpc_pool *p)
{
    if (!p->is_turn_posted) {
        p->is_turn_posted = true;
        loop_defer(p->loop, &p->turn);
    }
}

void rpc_pool_finish(struct rpc_pool *p, struct rpc_remote *call)
{
    loop_timer_stop(p->loop, &call->timer);
    call->stream = NULL;
    list_push_back(&p->finished, &call->node);
    rpc_pool_wake(p);
}

/* --- connections ------------------------------------------------------------------------------ */

void rpc_pool_remove(struct rpc_pool *p, struct rpc_connection *c)
{
    if (list_is_linked(&c->node)) {
        list_remove(&c->node);
        p->connections_count--;
    }
}

static struct rpc_connection *connection_find(struct rpc_pool *p, struct str address)
{
    list_for_each (node, &p->connections) {
        struct rpc_connection *c = list_entry(node, struct rpc_connection, node);
        if (!c->is_leaving && c->calls < p->streams_max &&
            str_eq(str_from_cstr(c->address), address)) {
            return c;
        }
    }
    return NULL;
}

/* The list is in order of use. */
static bool make_room(struct rpc_pool *p)
{
    if (p->connections_count < RPC_POOL_SERVERS_MAX) {
        return true;
    }
    list_for_each (node, &p->connections) {
        struct rpc_connection *c = list_entry(node, struct rpc_connection, node);
        if (c->calls == 0) {
            rpc_pool_remove(p, c);
            rpc_connection_close(c);
            return true;
        }
    }
    return false;
}

static struct rpc_connection *connection_get(struct rpc_pool *p, struct str address,
                                             struct rpc_remote *call)
{
    struct rpc_connection *c = connection_find(p, address);
    if (c == NULL) {
        if (!make_room(p)) {
            (void)err_set(rpc_remote_err(call), ERR_RATE_LIMIT,
                          "connections to %u other servers are in use", RPC_POOL_SERVERS_MAX);
            return NULL;
        }
        struct err err = {0};
        c = rpc_connection_new(p, address, call->datacenter, &err);
        if (c == NULL) {
            *rpc_remote_err(call) = err;
            return NULL;
        }
        p->connections_count++;
    } else {
        list_remove(&c->node);
    }
    list_push_back(&p->connections, &c->node);
    return c;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void call_timed_out(struct loop_timer *t)
{
    struct rpc_remote *call = container_of(t, struct rpc_remote, timer);
    struct rpc_stream *s = call->stream;
    struct rpc_connection *c = s->connection;
    /* A stream that was never opened has sent nothing. */
    (void)err_set(rpc_remote_err(call), s->id == 0 ? ERR_UNREACHABLE : ERR_TIMEOUT,
                  "i/o deadline reached");
    rpc_connection_drop(c, s);
    rpc_pool_finish(c->pool, call);
}

static int request_encode(struct rpc_pool *p, struct rpc_remote *call, struct buf *to)
{
    const char *name = call->method->name;
    buf_init(to, RPC_FRAME_SIZE_MAX);
    rpc_request_header_encode(to, call->seq, str_from_cstr(name));
    rpc_body_encode(to, call->method->args, call->args);
    if (to->failed) {
        return err_set(rpc_remote_err(call), ERR_TOO_LARGE, "%s: request is too large", name);
    }
    if (p->out_size + to->n > RPC_POOL_OUT_SIZE_MAX) {
        return err_set(rpc_remote_err(call), ERR_RATE_LIMIT,
                       "too much is waiting to be sent to other servers");
    }
    return 0;
}

static int call_start(struct rpc_pool *p, struct str address, struct rpc_remote *call,
                      uint64_t timeout_ms)
{
    struct buf request;
    if (p->calls > RPC_POOL_CALLS_MAX) { /* this one included */
        return err_set(rpc_remote_err(call), ERR_RATE_LIMIT,
                       "%u calls to other servers are under way", RPC_POOL_CALLS_MAX);
    }
    int r = request_encode(p, call, &request);
    struct rpc_connection *c = r < 0 ? NULL : connection_get(p, address, call);
    if (c != NULL && c->out_size > 0 &&
        c->out_size + request.n > RPC_POOL_CONNECTION_OUT_SIZE_MAX) {
        (void)err_set(rpc_remote_err(call), ERR_RATE_LIMIT, "too much is waiting to be sent to %s",
                      c->address);
        c = NULL;
    }
    if (c == NULL) {
        buf_deinit(&request);
        return -call->err->code;
    }
    rpc_connection_call(c, call, &request);
    if (timeout_ms > 0) {
        loop_timer_start(p->loop, &call->timer, timeout_ms, call_timed_out);
    }
    rpc_pool_wake(p);
    return 0;
}

void rpc_pool_call(struct rpc_pool *p, struct str address, struct rpc_remote *call,
                   uint64_t timeout_ms)
{
    ASSERT(call->err == NULL && call->stream == NULL && !list_is_linked(&call->node));
    p->calls++;
    call->reply = NULL;
    call->seq = ++p->seq;
    if (call_start(p, address, call, timeout_ms) < 0) {
        rpc_pool_finish(p, call);
    }
}

void rpc_pool_cancel(struct rpc_pool *p, struct rpc_remote *call)
{
    loop_timer_stop(p->loop, &call->timer);
    list_remove(&call->node);
    if (call->stream != NULL) {
        rpc_connection_drop(call->stream->connection, call->stream);
        call->stream = NULL;
    }
    p->calls--;
}

/* --- errors ----------------------------------------------------------------------------------- */

int rpc_error_code(struct str sentence)
{
    static const int codes[] = {ERR_NO_LEADER, ERR_NO_DC_PATH, ERR_PERMISSION_DENIED,
                                ERR_ACL_NOT_FOUND, ERR_ACL_DISABLED};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (str_contains(sentence, str_from_cstr(err_code_text(codes[i])))) {
            return codes[i];
        }
    }
    if (str_contains(sentence, STR("Query not found"))) {
        return ERR_NOT_FOUND;
    }
    /* A large value that the leader has proposed in chunks, of which not all came through. */
    if (str_contains(sentence, STR("please resubmit call"))) {
        return ERR_AGAIN;
    }
    return str_contains(sentence, STR("RPC rate limit exceeded")) ? ERR_RATE_LIMIT : ERR_FAILED;
}
