/* The happy path: connect; the kind's byte and the request in one write; of a restore the archive's
 * pieces and a half-close; the response; of a save the archive until the connection's end.
 *
 * A save needs a half-close, too, where a follower of the reference passes it on. With TLS it is
 * bytes, which its leader leaves unread: closing then resets the connection, and the end of the
 * archive may be lost. There it comes only when no answer does.
 *
 * A saved archive's bytes are taken from the socket one read at a time: the read is kept, reading
 * stops, and slices of it are unpacked (for the sums) and handed on, one a turn of the loop, while
 * the receiver has room. When all are gone the socket is read again.
 *
 * Failures. A write that fails does not end it: the other server may have said why before it hung
 * up, and its answer, or the end, is about to be read. An answer that comes before the whole
 * archive was sent is the answer. Error texts are the reference's. */
#include "server/snapshot_remote.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "fsm/archive.h"
#include "loop/tls.h"
#include "proto/msgpack_scan.h"
#include "proto/rpc_frame.h"
#include "raft/raft.h"
#include "schema/msgpack.h"
#include "schema/snapshot.h"
#include "server/router.h"
#include "server/rpc_pool.h"
#include "server/server.h"

#include <ctype.h>
#include <stdio.h>

/* How long a save over TLS waits for its answer before it says that nothing follows it. */
#define END_MS 1000u
#define RESPONSE_SIZE_MAX (64u * 1024u)
/* Of a packed archive; very regular state unpacks to a thousand times that. */
#define SLICE_SIZE (16u * 1024u)

struct snapshot_remote {
    struct tcp_stream tcp;
    struct loop_timer timer;
    struct loop_msg msg; /* the next slice */
    const struct snapshot_remote_ops *ops;
    void *data;
    struct snapshot_route to;
    struct buf request;
    struct buf in; /* the response, then what was read of the archive */
    struct msgpack_scan scan;
    struct archive_reader *archive;
    uint64_t answer_ms, stall_ms;
    size_t pending_seen; /* by the kernel not taken when the timer was started */
    bool is_restore;
    bool is_connected;
    bool is_sent;    /* all of the request, the archive included, was written */
    bool is_broken;  /* a write failed */
    bool is_end_due; /* of a save over TLS: our half of the connection, unless an answer comes */
    bool is_answered, is_paused, is_posted;
    bool is_over, is_closed;
};

/* --- where ------------------------------------------------------------------------------------ */

static int place_abroad(const struct server *s, struct str datacenter, struct snapshot_route *to,
                        struct err *err)
{
    struct route route;
    enum router_found found = router_find(s->delegate.router, datacenter, 0, &route);
    if (found != ROUTER_FOUND) {
        int code = found == ROUTER_OFFLINE ? ERR_DC_NOT_AVAILABLE : ERR_NO_DC_PATH;
        return err_set(err, code, "%s", err_code_text(code));
    }
    to->router = s->delegate.router;
    to->id = route.id;
    (void)snprintf(to->address, sizeof(to->address), "%.*s", STRF(route.address));
    return 0;
}

int snapshot_place(struct server *s, const struct snapshot_request *request,
                   struct snapshot_route *to, struct err *err)
{
    struct raft_status status;
    *to = (struct snapshot_route){0};
    if (!str_eq(request->datacenter, s->options.datacenter)) {
        return place_abroad(s, request->datacenter, to, err);
    }
    if (!request->allow_stale && !server_is_leader(s)) {
        raft_status(s->raft, &status);
        struct str leader = str_from_cstr(status.leader_address);
        if (leader.n == 0 || str_eq(leader, s->options.rpc_address)) {
            return err_set(err, ERR_NO_LEADER, "%s", err_code_text(ERR_NO_LEADER));
        }
        _Static_assert(sizeof(status.leader_address) <= SNAPSHOT_ADDRESS_SIZE, "an address fits");
        memcpy(to->address, status.leader_address, sizeof(status.leader_address));
        return 0;
    }
    if (request->op != SNAPSHOT_SAVE && request->op != SNAPSHOT_RESTORE) {
        return err_set(err, ERR_INVALID, "unrecognized snapshot op '\\x%02llx'",
                       (unsigned long long)request->op);
    }
    if (request->op == SNAPSHOT_RESTORE && request->allow_stale) {
        return err_set(err, ERR_INVALID, "stale not allowed for restore");
    }
    return 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

static struct snapshot_remote *remote_of(struct tcp_stream *tcp)
{
    return container_of(tcp, struct snapshot_remote, tcp);
}

static void remote_free(struct snapshot_remote *r)
{
    archive_reader_free(r->archive);
    buf_deinit(&r->request);
    buf_deinit(&r->in);
    mem_free(r);
}

static void closed(struct tcp_stream *tcp)
{
    struct snapshot_remote *r = remote_of(tcp);
    r->is_closed = true;
    if (!r->is_posted) {
        remote_free(r);
    } /* else slice_run() does */
}

void snapshot_remote_cancel(struct snapshot_remote *r)
{
    if (!r->is_over) {
        r->is_over = true;
        loop_timer_stop(r->tcp.loop, &r->timer);
        tcp_close(&r->tcp);
    }
}

static void end(struct snapshot_remote *r, const struct err *err)
{
    if (!r->is_over) {
        snapshot_remote_cancel(r);
        if (err != NULL && r->to.router != NULL) {
            router_failed(r->to.router, r->to.id);
            if (!r->is_connected) {
                router_unreachable(r->to.router, r->to.id);
            }
        }
        r->ops->ended(r->data, err);
    }
}

/* At whatever stage it is. */
static void end_with(struct snapshot_remote *r, int code, const char *why)
{
    struct err err = {0};
    if (!r->is_connected) {
        (void)err_set(&err, ERR_UNREACHABLE, "dial tcp %s: %s", r->to.address, why);
    } else if (r->is_answered) {
        (void)err_set(&err, code, "failed to stream snapshot: %s", why);
    } else if (!r->is_sent && r->is_restore) {
        (void)err_set(&err, code, "failed to copy snapshot in: %s", why);
    } else {
        (void)err_set(&err, code, "failed to decode response: %s", why);
    }
    end(r, &err);
}

/* --- time limits ------------------------------------------------------------------------------ */

static void time_out(struct loop_timer *t);

static void limit(struct snapshot_remote *r, uint64_t ms)
{
    r->pending_seen = tcp_pending(&r->tcp);
    loop_timer_start(r->tcp.loop, &r->timer, ms, time_out);
}

static void limit_none(struct snapshot_remote *r)
{
    loop_timer_stop(r->tcp.loop, &r->timer);
}

static void time_out(struct loop_timer *t)
{
    struct snapshot_remote *r = container_of(t, struct snapshot_remote, timer);
    size_t pending = tcp_pending(&r->tcp);
    if (r->is_end_due && !r->is_answered) {
        r->is_end_due = false;
        tcp_shutdown_write(&r->tcp);
        limit(r, r->answer_ms);
    } else if (pending > 0 && pending < r->pending_seen) {
        limit(r, r->stall_ms);
    } else {
        end_with(r, ERR_TIMEOUT, "i/o timeout");
    }
}

/* --- what comes ------------------------------------------------------------------------------- */

static void archive_next(struct snapshot_remote *r);

static void slice_run(struct loop_msg *msg)
{
    struct snapshot_remote *r = container_of(msg, struct snapshot_remote, msg);
    struct err err = {0};
    r->is_posted = false;
    if (r->is_closed) {
        remote_free(r);
        return;
    }
    if (r->is_over || r->is_paused) {
        return;
    }
    struct str slice = str_first(buf_view(&r->in), MIN(r->in.n, (size_t)SLICE_SIZE));
    if (archive_reader_feed(r->archive, slice, &err) < 0) {
        (void)err_wrap(&err, "failed to stream snapshot");
        end(r, &err);
        return;
    }
    r->ops->bytes(r->data, slice);
    buf_consume(&r->in, slice.n);
    archive_next(r);
}

/* The next slice, or else more of them. */
static void archive_next(struct snapshot_remote *r)
{
    if (r->is_over || r->is_paused || r->is_posted) {
        return;
    }
    if (r->in.n > 0) {
        r->is_posted = true;
        r->msg.run = slice_run;
        loop_post(r->tcp.loop, &r->msg);
        return;
    }
    limit(r, r->stall_ms);
    tcp_read_start(&r->tcp);
}

static void archive_ended(struct snapshot_remote *r)
{
    struct err err = {0};
    struct str meta;
    if (archive_reader_finish(r->archive, &meta, &err) < 0) {
        (void)err_wrap(&err, "failed to stream snapshot");
        end(r, &err);
    } else {
        end(r, NULL);
    }
}

static void answered(struct snapshot_remote *r, const struct snapshot_response *response)
{
    struct err err = {0};
    if (response->error.n > 0) {
        (void)err_set(&err, rpc_error_code(response->error), "%.*s", STRF(response->error));
        end(r, &err);
    } else if (r->is_restore) {
        end(r, NULL);
    } else {
        r->is_answered = true;
        r->archive = archive_reader_new(NULL, NULL);
        tcp_read_stop(&r->tcp);
        limit_none(r);
        r->ops->answered(r->data, response);
        buf_consume(&r->in, r->scan.at);
        archive_next(r);
    }
}

static void response_read(struct snapshot_remote *r)
{
    struct arena a = {0};
    struct err err = {0};
    struct snapshot_response response = {0};
    int rc = msgpack_scan(&r->scan, buf_view(&r->in));
    if (rc == 0) {
        return;
    }
    if (rc < 0) {
        end_with(r, ERR_INVALID, err_code_text(-rc));
        return;
    }
    struct cur c = cur_make(str_first(buf_view(&r->in), r->scan.at));
    if (msgpack_decode(&c, &snapshot_response_schema, &response, &a, &err) < 0) {
        end_with(r, ERR_INVALID, err_text(&err));
    } else {
        answered(r, &response);
    }
    arena_deinit(&a);
}

static void read_cb(struct tcp_stream *tcp, const char *p, size_t n)
{
    struct snapshot_remote *r = remote_of(tcp);
    if (r->is_over) {
        return;
    }
    buf_put(&r->in, p, n);
    if (!r->is_answered) {
        response_read(r);
        return;
    }
    tcp_read_stop(tcp);
    limit_none(r);
    archive_next(r);
}

static void eof_cb(struct tcp_stream *tcp)
{
    struct snapshot_remote *r = remote_of(tcp);
    if (r->is_answered) {
        archive_ended(r);
    } else {
        end_with(r, ERR_CONNECTION, "EOF");
    }
}

static void fail_cb(struct tcp_stream *tcp, int code)
{
    struct snapshot_remote *r = remote_of(tcp);
    char why[160];
    const char *text = err_code_text(code < 0 ? -code : code);
    if (tls_error(tcp) != NULL) {
        end_with(r, ERR_CONNECTION, tls_error(tcp));
        return;
    }
    (void)snprintf(why, sizeof(why), "%s%c%s",
                   r->is_connected ? "" : "connect: ", tolower((uint8_t)text[0]), text + 1);
    end_with(r, ERR_CONNECTION, why);
}

/* --- what goes -------------------------------------------------------------------------------- */

static void sent(struct snapshot_remote *r)
{
    if (tcp_pending(&r->tcp) == 0) {
        r->is_end_due = !r->is_restore && r->tcp.filter != NULL;
        if (!r->is_end_due) {
            tcp_shutdown_write(&r->tcp);
        }
        limit(r, r->is_end_due ? END_MS : r->answer_ms);
    }
}

static void wrote(struct snapshot_remote *r, int code)
{
    r->is_broken |= code < 0;
    if (tcp_pending(&r->tcp) > 0 || r->is_broken) {
        limit(r, r->stall_ms);
    }
}

static void drained_cb(struct tcp_stream *tcp)
{
    struct snapshot_remote *r = remote_of(tcp);
    if (r->is_over || r->is_broken) {
        return;
    }
    if (r->is_sent) {
        sent(r);
    } else {
        limit_none(r); /* it is the giver's turn, who is watched elsewhere */
        r->ops->room(r->data);
    }
}

static void connected_cb(struct tcp_stream *tcp)
{
    struct snapshot_remote *r = remote_of(tcp);
    if (r->is_over) {
        return;
    }
    r->is_connected = true;
    limit_none(r);
    wrote(r, tcp_write_buf(tcp, &r->request));
    r->is_sent = !r->is_restore;
    if (tcp_pending(tcp) == 0) {
        drained_cb(tcp);
    }
}

bool snapshot_remote_write(struct snapshot_remote *r, struct str piece)
{
    ASSERT(r->is_restore && r->is_connected && !r->is_sent);
    if (r->is_over || r->is_broken) {
        return false;
    }
    const struct iovec iov = {(void *)(uintptr_t)piece.p, piece.n};
    wrote(r, piece.n > 0 ? tcp_write(&r->tcp, &iov, 1) : 0);
    return tcp_pending(&r->tcp) == 0 && !r->is_broken;
}

void snapshot_remote_finish(struct snapshot_remote *r)
{
    ASSERT(r->is_restore && r->is_connected && !r->is_sent);
    if (!r->is_over && !r->is_broken) {
        r->is_sent = true;
        sent(r);
    }
}

void snapshot_remote_pause(struct snapshot_remote *r)
{
    r->is_paused = true;
    if (r->is_answered && !r->is_over) {
        tcp_read_stop(&r->tcp);
        limit_none(r);
    }
}

void snapshot_remote_resume(struct snapshot_remote *r)
{
    if (r->is_paused) {
        r->is_paused = false;
        archive_next(r);
    }
}

/* --- the beginning ---------------------------------------------------------------------------- */

static const struct tcp_ops ops_tcp = {.read = read_cb,
                                       .eof = eof_cb,
                                       .fail = fail_cb,
                                       .drained = drained_cb,
                                       .connected = connected_cb,
                                       .closed = closed};

struct snapshot_remote *snapshot_remote_new(struct worker *w, const struct snapshot_route *to,
                                            const struct snapshot_request *request,
                                            const struct snapshot_remote_ops *ops, void *data,
                                            struct err *err)
{
    struct address address;
    if (address_parse_host_port(&address, str_from_cstr(to->address), err) < 0) {
        return NULL;
    }
    struct snapshot_remote *r = xcalloc(1, sizeof(*r));
    r->ops = ops;
    r->data = data;
    r->is_restore = request->op == SNAPSHOT_RESTORE;
    r->answer_ms = SNAPSHOT_REMOTE_ANSWER_MS;
    r->stall_ms = SNAPSHOT_REMOTE_STALL_MS;
    r->to = *to;
    struct str datacenter =
        w->server != NULL ? request->datacenter : STR(""); /* a client asks its own */
    int rc = rpc_pool_connect(w->pool, &r->tcp, &address, datacenter, &ops_tcp);
    if (rc < 0) {
        (void)err_set(err, ERR_UNREACHABLE, "dial tcp %s: %s", to->address, err_code_text(-rc));
        remote_free(r);
        return NULL;
    }
    buf_init(&r->request, RESPONSE_SIZE_MAX);
    buf_byte(&r->request, RPC_CONN_SNAPSHOT);
    msgpack_object(&r->request, &snapshot_request_schema, request);
    buf_init(&r->in, RESPONSE_SIZE_MAX + LOOP_READ_BUFFER_SIZE);
    msgpack_scan_begin(&r->scan, 0, 1, RESPONSE_SIZE_MAX);
    tcp_set_user_timeout(&r->tcp, SNAPSHOT_REMOTE_STALL_MS);
    limit(r, RPC_POOL_CONNECT_MS);
    return r;
}

void snapshot_remote_set_limits(struct snapshot_remote *r, uint64_t answer_ms, uint64_t stall_ms)
{
    r->answer_ms = answer_ms;
    r->stall_ms = stall_ms;
}
