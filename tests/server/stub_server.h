/* stub_server.h - another server, as the calls to one see it: port, yamux, a stream for each call;
 * what it answers is the test's to say. On a loop of the test's.
 *
 *     stub_start(&stub, loop, handle, data);       // on a free port; stub.address
 *     static void handle(struct stub *stub, struct stub_call *call)
 *     { stub_reply(call, schema, &reply); }        // or stub_error(), stub_raw(), stub_hang_up(),
 * later
 */
#pragma once
#include "test.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "loop/tcp.h"
#include "proto/msgpack_scan.h"
#include "proto/rpc_frame.h"
#include "proto/yamux.h"
#include "server/rpc_body.h"

#define STUB_STREAMS_MAX 1024u

struct stub_session {
    struct tcp_stream tcp;
    struct stub *stub;
    struct list node;
    struct yamux *yamux;
    bool is_greeted;
    struct buf in[STUB_STREAMS_MAX]; /* by (id - 1) / 2 */
};

struct stub_call {
    struct stub_session *session;
    uint32_t id; /* of the stream */
    uint64_t seq;
    struct str method, body; /* borrowed: as long as handle() runs */
};

struct stub {
    struct tcp_listener listener;
    struct loop *loop;
    char address[32];
    struct list sessions;
    void (*handle)(struct stub *stub, struct stub_call *call);
    void *data;
    bool is_silent;                     /* reads nothing */
    char peer[ADDRESS_IP_SIZE_MAX + 1]; /* of the last connection */
    unsigned accepted, calls, opened, resets, pings;
};

static void stub_flush(struct stub_session *s)
{
    struct str out = yamux_out(s->yamux);
    const struct iovec iov = {(void *)out.p, out.n};
    if (out.n > 0 && tcp_write(&s->tcp, &iov, 1) == 0) {
        yamux_out_done(s->yamux, out.n);
    }
}

/* Everything at once: the test's answers fit the window. */
UNUSED static void stub_raw(const struct stub_call *call, struct str bytes)
{
    assert_int_equal(yamux_send(call->session->yamux, call->id, bytes), bytes.n);
    stub_flush(call->session);
}

UNUSED static void stub_reply(const struct stub_call *call, const struct schema *schema,
                              const void *reply)
{
    struct buf b = {0};
    rpc_response_header_encode(&b, call->seq, call->method);
    rpc_body_encode(&b, schema, reply);
    stub_raw(call, buf_view(&b));
    buf_deinit(&b);
}

UNUSED static void stub_error(const struct stub_call *call, const char *text)
{
    struct buf b = {0};
    rpc_error_encode(&b, call->seq, call->method, str_from_cstr(text));
    stub_raw(call, buf_view(&b));
    buf_deinit(&b);
}

UNUSED static void stub_hang_up(struct stub *stub)
{
    list_for_each (node, &stub->sessions) {
        tcp_close(&list_entry(node, struct stub_session, node)->tcp);
    }
}

static void stub_data(struct stub_session *s, uint32_t id, struct str data)
{
    struct buf *in = &s->in[(id - 1) / 2 % STUB_STREAMS_MAX];
    struct msgpack_scan scan;
    struct rpc_request request;
    struct err err = {0};
    buf_str(in, data);
    msgpack_scan_begin(&scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
    if (msgpack_scan(&scan, buf_view(in)) != 1) {
        return;
    }
    assert_int_equal(scan.at, in->n); /* one call at a time in a stream */
    assert_ok(rpc_request_decode(buf_view(in), &request, &err));
    struct stub_call call = {s, id, request.seq, request.method, request.body};
    struct buf taken = *in;
    *in = (struct buf){0};
    s->stub->calls++;
    s->stub->handle(s->stub, &call);
    buf_deinit(&taken);
}

static void stub_event(struct stub_session *s, const struct yamux_event *e)
{
    struct stub *stub = s->stub;
    switch (e->kind) {
    case YAMUX_OPENED:
        stub->opened++;
        break;
    case YAMUX_DATA:
        yamux_consumed(s->yamux, e->id, e->data.n);
        stub_data(s, e->id, e->data);
        break;
    case YAMUX_RESET:
        stub->resets++;
        buf_deinit(&s->in[(e->id - 1) / 2 % STUB_STREAMS_MAX]);
        break;
    case YAMUX_FINISHED:
        yamux_close(s->yamux, e->id);
        break;
    case YAMUX_ACCEPTED:
    case YAMUX_WRITABLE:
    case YAMUX_PONG:
    case YAMUX_GO_AWAY:
        break;
    }
}

static void stub_read(struct tcp_stream *tcp, const char *p, size_t n)
{
    struct stub_session *s = container_of(tcp, struct stub_session, tcp);
    struct str in = str_make(p, n);
    struct yamux_event e;
    if (!s->is_greeted) {
        assert_int_equal(in.p[0], RPC_CONN_MULTIPLEX);
        s->is_greeted = true;
        in = str_from(in, 1);
    }
    while (!tcp->closing && yamux_next(s->yamux, &in, &e) > 0) {
        stub_event(s, &e);
    }
    stub_flush(s);
}

static void stub_eof(struct tcp_stream *tcp)
{
    tcp_close(tcp);
}

static void stub_fail(struct tcp_stream *tcp, int code)
{
    (void)code;
    tcp_close(tcp);
}

static void stub_closed(struct tcp_stream *tcp)
{
    struct stub_session *s = container_of(tcp, struct stub_session, tcp);
    list_remove(&s->node);
    for (size_t i = 0; i < STUB_STREAMS_MAX; i++) {
        buf_deinit(&s->in[i]);
    }
    s->yamux = yamux_free(s->yamux);
    mem_free(s);
}

static const struct tcp_ops stub_ops = {
    .read = stub_read, .eof = stub_eof, .fail = stub_fail, .closed = stub_closed};

static void stub_accept(struct tcp_listener *l, int fd, const struct address *peer)
{
    struct stub *stub = container_of(l, struct stub, listener);
    struct stub_session *s = xcalloc(1, sizeof(*s));
    struct str ip = address_ip(peer, stub->peer);
    memmove(stub->peer, ip.p, ip.n);
    stub->peer[ip.n] = '\0';
    stub->accepted++;
    s->stub = stub;
    s->yamux = yamux_new(&(struct yamux_options){.is_client = false});
    list_push_back(&stub->sessions, &s->node);
    tcp_start(&s->tcp, stub->loop, fd, &stub_ops);
    if (stub->is_silent) {
        tcp_read_stop(&s->tcp);
    }
}

UNUSED static void stub_start(struct stub *stub, struct loop *loop,
                              void (*handle)(struct stub *stub, struct stub_call *call), void *data)
{
    struct address address;
    struct sockaddr_in bound;
    socklen_t size = sizeof(bound);
    struct err err = {0};
    assert_ok(address_parse(&address, STR("127.0.0.1"), 0, &err));
    int fd = listen_socket(&address, &(struct listen_options){0}, &err);
    assert_ok(fd);
    assert_ok(getsockname(fd, (struct sockaddr *)&bound, &size));
    (void)snprintf(stub->address, sizeof(stub->address), "127.0.0.1:%u", ntohs(bound.sin_port));
    stub->loop = loop;
    stub->handle = handle;
    stub->data = data;
    list_init(&stub->sessions);
    tcp_listener_start(&stub->listener, loop, fd, stub_accept);
}

/* Connections stay as they are. */
UNUSED static void stub_stop_listening(struct stub *stub)
{
    tcp_listener_close(&stub->listener);
}
