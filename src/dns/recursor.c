/* Asking recursors: one after the other, each with the timeout, until one gives an answer that
 * counts.
 *
 * UDP goes over sockets bound to a random port, with a random id each; after SOCKET_USES_MAX
 * questions a new one takes over. A datagram counts when it comes from the recursor that was asked
 * and has the id and the question; others are ignored. What counts but cannot be parsed is a
 * failure of that recursor. A question that came over TCP goes over TCP, on a connection of its
 * own. An answer that was cut (TC) is handed on as it is: the client comes back over TCP. */
#include <netinet/in.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns/internal.h"
#include "loop/tcp.h"
#include "server/worker.h"

#define SOCKET_USES_MAX 256u
#define TIMEOUT_MS_DEFAULT 2000u /* when the configured one is 0 */

struct dns_socket {
    struct udp_socket udp;
    struct list node; /* of resolver->sockets */
    struct dns_resolver *resolver;
    struct list exchanges;
    uint32_t uses;
    bool is_retired, is_closing;
};

struct dns_stream {
    struct tcp_stream tcp;
    struct dns_exchange *exchange; /* NULL: canceled, closing */
    struct dns_server *server;
    struct buf in;
};

struct dns_resolver {
    struct dns_server *server;
    struct dns_socket *v4, *v6; /* the ones in use */
    struct list sockets;
    struct arena arena; /* of the reply being looked at */
};

static void exchange_try(struct dns_exchange *x);

static struct loop *exchange_loop(const struct dns_exchange *x)
{
    return x->server->worker->loop;
}

static const struct address *exchange_recursor(const struct dns_exchange *x)
{
    const struct dns_settings *s = x->server->settings;
    return x->recursor < s->recursors_count ? &s->recursors[x->recursor] : NULL;
}

/* --- sockets ---------------------------------------------------------------------------------- */

static void socket_closed(struct udp_socket *udp)
{
    struct dns_socket *socket = container_of(udp, struct dns_socket, udp);
    mem_free(socket);
}

static void socket_close(struct dns_socket *socket)
{
    if (!socket->is_closing) {
        socket->is_closing = true;
        list_remove(&socket->node);
        udp_close(&socket->udp);
    }
}

static void socket_retire(struct dns_socket *socket)
{
    socket->is_retired = true;
    if (list_is_empty(&socket->exchanges)) {
        socket_close(socket);
    }
}

static void socket_leave(struct dns_exchange *x)
{
    struct dns_socket *socket = x->socket;
    if (socket != NULL) {
        x->socket = NULL;
        list_remove(&x->node);
        if (socket->is_retired && list_is_empty(&socket->exchanges)) {
            socket_close(socket);
        }
    }
}

static void socket_receive(struct udp_socket *udp, struct str data, const struct udp_peer *peer);

static struct dns_socket *socket_open(struct dns_resolver *r, int family, struct err *err)
{
    struct address any;
    const struct udp_options options = {.size_max = UDP_SIZE_MAX};
    struct dns_socket *socket = xcalloc(1, sizeof(*socket));
    socket->resolver = r;
    list_init(&socket->exchanges);
    if (address_parse(&any, family == AF_INET6 ? STR("::") : STR("0.0.0.0"), 0, err) < 0 ||
        udp_open(&socket->udp, r->server->worker->loop, &any, &options, socket_receive, err) < 0) {
        return mem_free(socket);
    }
    socket->udp.closed = socket_closed;
    list_push_back(&r->sockets, &socket->node);
    return socket;
}

static struct dns_socket *socket_for(struct dns_resolver *r, int family, struct err *err)
{
    struct dns_socket **current = family == AF_INET6 ? &r->v6 : &r->v4;
    if (*current != NULL && (*current)->uses >= SOCKET_USES_MAX) {
        socket_retire(*current);
        *current = NULL;
    }
    if (*current == NULL) {
        *current = socket_open(r, family, err);
    }
    return *current;
}

static bool has_id(const struct dns_socket *socket, uint16_t id)
{
    list_for_each (node, &socket->exchanges) {
        if (list_entry(node, struct dns_exchange, node)->id == id) {
            return true;
        }
    }
    return false;
}

/* --- the end of an exchange ------------------------------------------------------------------- */

static void stream_detach(struct dns_exchange *x)
{
    if (x->stream != NULL) {
        x->stream->exchange = NULL;
        tcp_close(&x->stream->tcp);
        x->stream = NULL;
    }
}

void dns_exchange_cancel(struct dns_exchange *x)
{
    loop_timer_stop(exchange_loop(x), &x->timer);
    socket_leave(x);
    stream_detach(x);
}

static void exchange_done(struct dns_exchange *x, struct str reply)
{
    dns_exchange_cancel(x);
    x->done(x, reply);
}

static void exchange_gave_up(struct loop_timer *t)
{
    exchange_done(container_of(t, struct dns_exchange, timer), STR_NULL);
}

static void exchange_failed(struct dns_exchange *x, const char *why)
{
    const struct address *recursor = exchange_recursor(x);
    if (recursor != NULL && log_is_on(LOG_ERROR)) {
        struct buf text = {0};
        address_format(recursor, &text);
        log_write(LOG_ERROR, "agent.dns", "recurse failed", LOG_STR("recursor", buf_view(&text)),
                  LOG_CSTR("error", why));
        buf_deinit(&text);
    }
    dns_exchange_cancel(x);
    x->recursor++;
    exchange_try(x);
}

static void exchange_timed_out(struct loop_timer *t)
{
    exchange_failed(container_of(t, struct dns_exchange, timer), "i/o timeout");
}

enum verdict { VERDICT_ANSWER, VERDICT_FAILURE, VERDICT_STRANGE };

static enum verdict judge(struct dns_exchange *x, struct str bytes)
{
    struct dns_msg asked, got;
    struct arena *a = &x->server->resolver->arena;
    arena_reset(a);
    if (dns_parse(a, bytes, &got) < 0) {
        return VERDICT_FAILURE;
    }
    if ((got.flags & DNS_QR) == 0 ||
        dns_parse(a, str_make(x->request, x->request_size), &asked) < 0) {
        return VERDICT_STRANGE;
    }
    if (got.question.name.n > 0 &&
        (!dns_name_eq_fold(got.question.name, asked.question.name) ||
         got.question.type != asked.question.type || got.question.class != asked.question.class)) {
        return VERDICT_STRANGE;
    }
    unsigned rcode = got.flags & DNS_RCODE_MASK;
    if (!x->any_rcode && rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN) {
        return VERDICT_FAILURE;
    }
    return VERDICT_ANSWER;
}

static void exchange_received(struct dns_exchange *x, struct str bytes)
{
    switch (judge(x, bytes)) {
    case VERDICT_ANSWER:
        exchange_done(x, bytes);
        break;
    case VERDICT_FAILURE:
        exchange_failed(x, "no usable answer");
        break;
    case VERDICT_STRANGE:
        break; /* somebody else's, or worse; ours may still come */
    }
}

/* --- UDP -------------------------------------------------------------------------------------- */

static void socket_receive(struct udp_socket *udp, struct str data, const struct udp_peer *peer)
{
    struct dns_socket *socket = container_of(udp, struct dns_socket, udp);
    if (data.n < 2) {
        return;
    }
    uint16_t id = get_be16(data.p);
    list_for_each (node, &socket->exchanges) {
        struct dns_exchange *x = list_entry(node, struct dns_exchange, node);
        const struct address *recursor = exchange_recursor(x);
        if (x->id == id && recursor != NULL && address_eq(recursor, &peer->address)) {
            exchange_received(x, data);
            return;
        }
    }
}

static int start_udp(struct dns_exchange *x, const struct address *to, struct err *err)
{
    struct dns_socket *socket = socket_for(x->server->resolver, to->sa.ss_family, err);
    if (socket == NULL) {
        return -ERR_CONNECTION;
    }
    do {
        random_bytes(&x->id, sizeof(x->id));
    } while (has_id(socket, x->id)); /* there are far fewer than ids */
    put_be16(x->request, x->id);
    x->socket = socket;
    socket->uses++;
    list_push_back(&socket->exchanges, &x->node);
    const struct udp_peer peer = {.address = *to};
    udp_send(&socket->udp, str_make(x->request, x->request_size), &peer);
    return 0;
}

/* --- TCP -------------------------------------------------------------------------------------- */

static void stream_read(struct tcp_stream *tcp, const char *p, size_t n)
{
    struct dns_stream *stream = container_of(tcp, struct dns_stream, tcp);
    struct dns_exchange *x = stream->exchange;
    if (x == NULL) {
        return;
    }
    buf_put(&stream->in, p, n);
    if (stream->in.failed) {
        exchange_failed(x, "answer is too long");
        return;
    }
    if (stream->in.n < 2 || stream->in.n < 2u + get_be16(stream->in.p)) {
        return;
    }
    struct str reply = str_make(stream->in.p + 2, get_be16(stream->in.p));
    if (reply.n < 2 || get_be16(reply.p) != x->id || judge(x, reply) != VERDICT_ANSWER) {
        exchange_failed(x, "no usable answer");
        return;
    }
    exchange_done(x, reply);
}

static void stream_ended(struct dns_stream *stream, const char *why)
{
    if (stream->exchange != NULL) {
        exchange_failed(stream->exchange, why);
    }
}

static void stream_eof(struct tcp_stream *tcp)
{
    stream_ended(container_of(tcp, struct dns_stream, tcp), "EOF");
}

static void stream_fail(struct tcp_stream *tcp, int code)
{
    stream_ended(container_of(tcp, struct dns_stream, tcp), err_code_text(code < 0 ? -code : code));
}

static void stream_closed(struct tcp_stream *tcp)
{
    struct dns_stream *stream = container_of(tcp, struct dns_stream, tcp);
    buf_deinit(&stream->in);
    mem_free(stream);
}

static const struct tcp_ops stream_ops = {
    .read = stream_read,
    .eof = stream_eof,
    .fail = stream_fail,
    .closed = stream_closed,
};

static int start_tcp(struct dns_exchange *x, const struct address *to, struct err *err)
{
    struct dns_stream *stream = xcalloc(1, sizeof(*stream));
    stream->exchange = x;
    stream->server = x->server;
    buf_init(&stream->in, 2u * (DNS_SIZE_MAX + 2u));
    int r = tcp_connect(&stream->tcp, exchange_loop(x), to, NULL, &stream_ops);
    if (r < 0) {
        buf_deinit(&stream->in);
        mem_free(stream);
        return err_from_errno(err, -r, "connect");
    }
    random_bytes(&x->id, sizeof(x->id));
    put_be16(x->request, x->id);
    char size[2];
    put_be16(size, (uint16_t)x->request_size);
    const struct iovec iov[] = {{size, 2}, {x->request, x->request_size}};
    x->stream = stream;
    return tcp_write(&stream->tcp, iov, 2); /* kept until it is connected */
}

/* --- one recursor after the other ------------------------------------------------------------- */

static void exchange_try(struct dns_exchange *x)
{
    const struct dns_settings *s = x->server->settings;
    struct err err = {0};
    const struct address *to;
    for (; (to = exchange_recursor(x)) != NULL; x->recursor++) {
        if (x->request_size < DNS_HEADER_SIZE) {
            continue;
        }
        if ((x->is_tcp ? start_tcp(x, to, &err) : start_udp(x, to, &err)) >= 0) {
            uint64_t timeout_ms = s->recursor_timeout_ms;
            loop_timer_start(exchange_loop(x), &x->timer,
                             timeout_ms > 0 ? timeout_ms : TIMEOUT_MS_DEFAULT, exchange_timed_out);
            return;
        }
        log_write(LOG_ERROR, "agent.dns", "recurse failed", LOG_CSTR("error", err_text(&err)));
        dns_exchange_cancel(x);
    }
    if (x->is_starting) {
        loop_timer_start(exchange_loop(x), &x->timer, 0, exchange_gave_up);
    } else {
        exchange_done(x, STR_NULL);
    }
}

void dns_exchange_start(struct dns_exchange *x)
{
    x->is_starting = true;
    exchange_try(x);
    x->is_starting = false;
}

/* --- the resolver ----------------------------------------------------------------------------- */

struct dns_resolver *dns_resolver_new(struct dns_server *s)
{
    struct dns_resolver *r = xcalloc(1, sizeof(*r));
    r->server = s;
    list_init(&r->sockets);
    return r;
}

/* No exchange is left. */
void dns_resolver_stop(struct dns_resolver *r)
{
    r->v4 = r->v6 = NULL;
    list_for_each (node, &r->sockets) {
        socket_close(list_entry(node, struct dns_socket, node));
    }
}

struct dns_resolver *dns_resolver_free(struct dns_resolver *r)
{
    if (r != NULL) {
        arena_deinit(&r->arena);
    }
    return mem_free(r);
}
