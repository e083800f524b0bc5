/* The happy path: bytes hold a whole frame; its method is found, its arguments are decoded into the
 * arena of a call (of a copy of their bytes: what was read is gone by the time the call ends), the
 * call is started, and what it answers is encoded behind the answers before it. Then the next.
 *
 * - A frame is incomplete: it is kept, and scanned on from where the scanner stood.
 * - The call has to wait: the rest of the input is kept; the end of the call goes on with it.
 * - Nobody takes the answers: no further call begins (has_room, RPC_STREAM_OUT_PAUSE).
 * - The frame is garbage, or calls what is not there: the last answer, if it can have one; as
 *   net/rpc's ServeRequest does, whose texts these are.
 * - The peer ends its direction: what it asked for before is answered, a parked call is canceled.
 */
#include "server/rpc_stream.h"

#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "proto/rpc_frame.h"
#include "server/rpc.h"
#include "server/rpc_body.h"

/* Behind a frame: what the last read brought along. */
#define INPUT_SIZE_MAX (RPC_FRAME_SIZE_MAX + (1u << 20))

static struct metric metric_request = METRIC_COUNTER("rpc.request");
static struct metric metric_error = METRIC_COUNTER("rpc.request_error");

void rpc_stream_init(struct rpc_stream *s, struct worker *w, const char *peer,
                     const struct rpc_stream_ops *ops)
{
    *s = (struct rpc_stream){.worker = w, .ops = ops, .peer = peer};
    buf_init(&s->in, INPUT_SIZE_MAX);
    buf_init(&s->out, RPC_REPLY_SIZE_MAX);
    msgpack_scan_begin(&s->scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
}

static void stream_cancel(struct rpc_stream *s)
{
    if (s->call != NULL) {
        rpc_cancel(s->call);
        s->call = NULL;
    }
}

void rpc_stream_deinit(struct rpc_stream *s)
{
    stream_cancel(s);
    buf_deinit(&s->in);
    buf_deinit(&s->out);
}

/* --- answers --------------------------------------------------------------------------------- */

static void stream_fail(struct rpc_stream *s, const char *text)
{
    log_write(LOG_ERROR, "agent.server.rpc", "RPC error", LOG_CSTR("conn", s->peer),
              LOG_CSTR("error", text));
    metric_add(&metric_error, 1);
    s->is_last = true;
    s->ops->changed(s);
}

static void stream_refuse(struct rpc_stream *s, const struct rpc_request *r, const char *text)
{
    rpc_error_encode(&s->out, r->seq, r->method, str_from_cstr(text));
    stream_fail(s, text);
}

static void stream_answer(struct rpc_stream *s, const struct rpc_call *call)
{
    const struct rpc_method *method = call->method;
    struct str name = str_from_cstr(method->name);
    size_t from = s->out.n;
    if (call->err != NULL) {
        rpc_error_encode(&s->out, s->seq, name, str_from_cstr(err_text(call->err)));
        return;
    }
    rpc_response_header_encode(&s->out, s->seq, name);
    rpc_body_encode(&s->out, method->reply, call->reply);
    if (s->out.failed) {
        struct err err = {0};
        err_set(&err, ERR_TOO_LARGE, "rpc: reply of %s is too large", method->name);
        s->out.n = from;
        s->out.failed = false;
        rpc_error_encode(&s->out, s->seq, name, str_from_cstr(err_text(&err)));
    }
}

static void stream_done(struct rpc_call *call)
{
    struct rpc_stream *s = call->data;
    s->call = NULL;
    metric_add(&metric_request, 1);
    stream_answer(s, call);
    rpc_call_free(call);
    s->ops->changed(s);
    rpc_stream_resume(s);
}

/* --- requests -------------------------------------------------------------------------------- */

static bool service_is_known(struct str service)
{
    for (size_t i = 0; i < rpc_method_count(); i++) {
        struct str name = str_from_cstr(rpc_method_at(i)->name);
        if (str_has_prefix(name, service) && name.p[service.n] == '.') {
            return true;
        }
    }
    return false;
}

static void stream_refuse_method(struct rpc_stream *s, const struct rpc_request *r)
{
    ptrdiff_t dot = str_rfind_byte(r->method, '.');
    const char *what = dot < 0 ? "service/method request ill-formed:"
                       : service_is_known(str_first(r->method, (size_t)dot)) ? "can't find method"
                                                                             : "can't find service";
    struct err err = {0};
    err_set(&err, ERR_NOT_FOUND, "rpc: %s %.*s", what, STRF(r->method));
    stream_refuse(s, r, err_text(&err));
}

static void stream_request(struct rpc_stream *s, struct str frame)
{
    struct rpc_request r;
    struct err err = {0};
    if (rpc_request_decode(frame, &r, &err) < 0) {
        err_wrap(&err, "rpc: server cannot decode request");
        stream_fail(s, err_text(&err));
        return;
    }
    const struct rpc_method *method = rpc_method_find(r.method);
    if (method == NULL) {
        stream_refuse_method(s, &r);
        return;
    }
    struct rpc_call *call = rpc_call_new(s->worker, method);
    schema_zero(method->args, call->args);
    if (rpc_body_decode(r.body, method->args, call->args, &call->arena, &err) < 0) {
        rpc_call_free(call);
        stream_refuse(s, &r, err_text(&err));
        return;
    }
    call->is_served = true;
    call->done = stream_done;
    call->data = s;
    s->call = call;
    s->seq = r.seq;
    rpc_start(call);
}

/* Use what can be used of the input; how many bytes that was. */
static size_t stream_use(struct rpc_stream *s, struct str in)
{
    size_t used = 0;
    bool is_short = false; /* of bytes, not of room */
    s->is_running = true;
    while (!s->is_last && !rpc_stream_is_waiting(s) && !is_short && s->ops->has_room(s)) {
        struct str rest = str_from(in, used);
        int r = rest.n == 0 ? 0 : msgpack_scan(&s->scan, rest);
        is_short = r == 0;
        if (r < 0) {
            stream_fail(s, r == -ERR_TOO_LARGE ? "rpc: request is too large"
                                               : "rpc: server cannot decode request: no msgpack");
        } else if (r > 0) {
            size_t size = s->scan.at;
            msgpack_scan_begin(&s->scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
            stream_request(s, str_first(rest, size));
            used += size;
        }
    }
    s->is_running = false;
    if (is_short && s->is_ended && !s->is_last) {
        if (used < in.n) {
            stream_fail(s, "unexpected EOF");
        }
        s->is_last = true;
        s->ops->changed(s);
    }
    return s->is_last ? in.n : used;
}

void rpc_stream_resume(struct rpc_stream *s)
{
    if (s->is_running || s->is_last) {
        return;
    }
    buf_consume(&s->in, stream_use(s, buf_view(&s->in)));
    if (s->in.n == 0) {
        buf_deinit(&s->in);
        buf_init(&s->in, INPUT_SIZE_MAX);
    }
}

void rpc_stream_read(struct rpc_stream *s, struct str bytes)
{
    if (s->is_last || s->is_ended) {
        return;
    }
    if (s->in.n == 0) {
        bytes = str_from(bytes, stream_use(s, bytes)); /* where they lie, not a copy */
        buf_str(&s->in, bytes);
    } else {
        buf_str(&s->in, bytes);
        rpc_stream_resume(s);
    }
    if (s->in.failed && !s->is_last) {
        stream_fail(s, "rpc: too much input");
    }
}

void rpc_stream_end(struct rpc_stream *s)
{
    if (s->is_ended) {
        return;
    }
    s->is_ended = true;
    if (s->call != NULL && rpc_is_parked(s->call)) {
        stream_cancel(s);
        s->is_last = true;
        s->ops->changed(s);
    }
    rpc_stream_resume(s);
}
