/* Sockets. A datagram is answered while it lies in the batch's buffer, and the answers of a batch
 * go out together. A TCP connection's messages are answered in the order they come, as long as none
 * has to wait; it is not read while too many of its questions wait or its answers are not taken. */
#include "dns/server.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "dns/internal.h"
#include "loop/tcp.h"
#include "server/worker.h"

#define FIRST_TIMEOUT_MS 2000u /* for the first message of a connection */
#define IDLE_TIMEOUT_MS 8000u
#define UDP_BUFFER_SIZE (1 << 20)

struct dns_listener {
    struct dns_server *server;
    struct udp_socket udp;
    struct tcp_listener tcp;
    bool has_udp, has_tcp;
};

struct dns_conn {
    struct tcp_stream stream;
    struct list node; /* of server->conns */
    struct dns_server *server;
    struct dns_client client;
    struct buf in;
    struct loop_timer timer;
    uint32_t waits;
    bool is_closed; /* the stream is gone; memory goes with the last wait */
    bool is_closing, is_paused, is_handling;
};

/* --- connections ------------------------------------------------------------------------------ */

static void conn_close(struct dns_conn *c)
{
    if (!c->is_closing) {
        c->is_closing = true;
        loop_timer_stop(c->server->worker->loop, &c->timer);
        tcp_close(&c->stream);
    }
}

static void conn_free(struct dns_conn *c)
{
    list_remove(&c->node);
    c->server->conns_count--;
    buf_deinit(&c->in);
    mem_free(c);
}

static void conn_closed(struct tcp_stream *stream)
{
    struct dns_conn *c = container_of(stream, struct dns_conn, stream);
    c->is_closed = true;
    if (c->waits == 0) {
        conn_free(c);
    }
}

static void conn_idle(struct loop_timer *t)
{
    struct dns_conn *c = container_of(t, struct dns_conn, timer);
    if (c->waits > 0) { /* it waits for us */
        loop_timer_start(c->server->worker->loop, t, IDLE_TIMEOUT_MS, conn_idle);
        return;
    }
    conn_close(c);
}

static bool conn_is_busy(const struct dns_conn *c)
{
    return c->waits >= DNS_CONN_WAITS_MAX || tcp_pending(&c->stream) >= DNS_CONN_PENDING_MAX;
}

/* Answer all whole messages that are there. */
static void conn_handle(struct dns_conn *c)
{
    size_t done = 0;
    if (c->is_handling) {
        return;
    }
    c->is_handling = true;
    c->client.received_ns = clock_mono_ns();
    while (!c->is_closing && !conn_is_busy(c) && c->in.n - done >= 2) {
        size_t size = get_be16(c->in.p + done);
        if (c->in.n - done - 2 < size) {
            break;
        }
        dns_query_receive(c->server, str_make(c->in.p + done + 2, size), &c->client);
        done += 2 + size;
    }
    c->is_handling = false;
    buf_consume(&c->in, done);
    if (c->is_closing) {
        return;
    }
    if (done > 0) {
        loop_timer_start(c->server->worker->loop, &c->timer, IDLE_TIMEOUT_MS, conn_idle);
    }
    bool pause = conn_is_busy(c);
    if (pause != c->is_paused) {
        c->is_paused = pause;
        if (pause) {
            tcp_read_stop(&c->stream);
        } else {
            tcp_read_start(&c->stream);
        }
    }
}

static void conn_read(struct tcp_stream *stream, const char *p, size_t n)
{
    struct dns_conn *c = container_of(stream, struct dns_conn, stream);
    buf_put(&c->in, p, n);
    if (c->in.failed) {
        conn_close(c);
        return;
    }
    conn_handle(c);
}

static void conn_eof(struct tcp_stream *stream)
{
    conn_close(container_of(stream, struct dns_conn, stream));
}

static void conn_fail(struct tcp_stream *stream, int code)
{
    (void)code;
    conn_close(container_of(stream, struct dns_conn, stream));
}

static void conn_drained(struct tcp_stream *stream)
{
    struct dns_conn *c = container_of(stream, struct dns_conn, stream);
    if (c->is_paused && !c->is_closing) {
        conn_handle(c);
    }
}

static const struct tcp_ops conn_ops = {
    .read = conn_read,
    .eof = conn_eof,
    .fail = conn_fail,
    .drained = conn_drained,
    .closed = conn_closed,
};

void dns_conn_wait_begin(struct dns_conn *c)
{
    c->waits++;
}

void dns_conn_wait_end(struct dns_conn *c)
{
    c->waits--;
    if (c->is_closed) {
        if (c->waits == 0) {
            conn_free(c);
        }
    } else if (c->is_paused && !c->is_closing) {
        conn_handle(c);
    }
}

static void conn_send(const struct dns_client *client, uint8_t *message, size_t size)
{
    struct dns_conn *c = client->conn;
    if (c->is_closing) {
        return;
    }
    char length[2];
    put_be16(length, (uint16_t)size);
    const struct iovec iov[] = {{length, 2}, {message, size}};
    if (tcp_write(&c->stream, iov, 2) < 0) {
        conn_close(c);
    }
}

static void listener_accept(struct tcp_listener *l, int fd, const struct address *peer)
{
    struct dns_listener *listener = container_of(l, struct dns_listener, tcp);
    struct dns_server *s = listener->server;
    struct dns_conn *c = xcalloc(1, sizeof(*c));
    c->server = s;
    c->client = (struct dns_client){.send = conn_send, .is_tcp = true, .conn = c};
    c->client.peer.address = *peer;
    /* A whole message, and what one read brings behind it. */
    buf_init(&c->in, 4u * (DNS_SIZE_MAX + 2u));
    list_push_back(&s->conns, &c->node);
    s->conns_count++;
    tcp_start(&c->stream, s->worker->loop, fd, &conn_ops);
    if (s->conns_count > DNS_CONNS_MAX || s->stopping) {
        conn_close(c);
        return;
    }
    loop_timer_start(s->worker->loop, &c->timer, FIRST_TIMEOUT_MS, conn_idle);
}

/* --- both ------------------------------------------------------------------------------------- */

static void udp_answer(const struct dns_client *client, uint8_t *message, size_t size)
{
    udp_send(client->udp, str_make(message, size), &client->peer);
}

static void udp_receive(struct udp_socket *udp, struct str data, const struct udp_peer *peer)
{
    struct dns_listener *listener = container_of(udp, struct dns_listener, udp);
    const struct dns_client client = {
        .send = udp_answer, .received_ns = udp->received_ns, .udp = udp, .peer = *peer};
    dns_query_receive(listener->server, data, &client);
}

static void log_started(const struct address *address, const char *network)
{
    struct buf text = {0};
    address_format(address, &text);
    log_write(LOG_INFO, "agent", "Started DNS server", LOG_STR("address", buf_view(&text)),
              LOG_CSTR("network", network));
    buf_deinit(&text);
}

int dns_server_listen(struct dns_server *s, const struct address *address, bool first,
                      struct err *err)
{
    if (s->listeners_count == DNS_LISTENERS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %u addresses for DNS", DNS_LISTENERS_MAX);
    }
    struct dns_listener *l = xcalloc(1, sizeof(*l));
    s->listeners[s->listeners_count++] = l;
    l->server = s;
    const struct udp_options udp = {
        .reuse_port = true, .exclusive = first, .buffer_size = UDP_BUFFER_SIZE};
    int r = udp_open(&l->udp, s->worker->loop, address, &udp, udp_receive, err);
    if (r < 0) {
        return r;
    }
    l->has_udp = true;
    const struct listen_options tcp = {.reuse_port = true, .exclusive = first};
    int fd = listen_socket(address, &tcp, err);
    if (fd < 0) {
        return fd;
    }
    tcp_listener_start(&l->tcp, s->worker->loop, fd, listener_accept);
    l->has_tcp = true;
    if (first) {
        log_started(address, "udp");
        log_started(address, "tcp");
    }
    return 0;
}

/* --- life ------------------------------------------------------------------------------------- */

static struct metric *node_metric(const struct dns_settings *settings, const char *name)
{
    char *node = str_to_cstr(settings->node_name);
    const struct metric_label label = {"node", node};
    struct metric *m = metric_labeled(METRIC_KIND_SAMPLE, name, &label, 1);
    mem_free(node);
    return m;
}

struct dns_server *dns_server_new(struct worker *w, struct dns_settings *take_settings)
{
    struct dns_server *s = xcalloc(1, sizeof(*s));
    s->worker = w;
    s->settings = take_settings;
    s->names = dns_names_new();
    s->out = xmalloc(DNS_OUT_SIZE);
    dns_cache_init(&s->cache);
    s->resolver = dns_resolver_new(s);
    list_init(&s->waits);
    list_init(&s->conns);
    s->domain_queries = node_metric(take_settings, "dns.domain_query");
    s->ptr_queries = node_metric(take_settings, "dns.ptr_query");
    return s;
}

void dns_server_configure(struct dns_server *s, struct dns_settings *take_settings)
{
    if (s->stopping) {
        dns_settings_free(take_settings);
        return;
    }
    dns_settings_free(s->settings);
    s->settings = take_settings;
    /* What was prepared has names and times of the old ones in it. */
    dns_cache_clear(&s->cache);
    dns_reverse_clear(&s->reverse);
}

void dns_server_stop(struct dns_server *s)
{
    s->stopping = true;
    dns_waits_cancel(s);
    dns_resolver_stop(s->resolver);
    list_for_each (node, &s->conns) {
        conn_close(list_entry(node, struct dns_conn, node));
    }
    for (uint32_t i = 0; i < s->listeners_count; i++) {
        struct dns_listener *l = s->listeners[i];
        if (l->has_udp) {
            udp_close(&l->udp);
        }
        if (l->has_tcp) {
            tcp_listener_close(&l->tcp);
        }
    }
}

struct dns_server *dns_server_free(struct dns_server *s)
{
    if (s == NULL) {
        return NULL;
    }
    ASSERT(list_is_empty(&s->waits) && list_is_empty(&s->conns));
    for (uint32_t i = 0; i < s->listeners_count; i++) {
        mem_free(s->listeners[i]);
    }
    dns_cache_deinit(&s->cache);
    dns_reverse_clear(&s->reverse);
    s->resolver = dns_resolver_free(s->resolver);
    s->names = dns_names_free(s->names);
    arena_deinit(&s->arena);
    mem_free(s->out);
    dns_settings_free(s->settings);
    return mem_free(s);
}
