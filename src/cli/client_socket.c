/* HTTP, plain or with TLS, over TCP or a Unix socket, with blocking waits that signals can end.
 *
 * A connection carries one request ("Connection: close"). Addresses of a name are tried in order;
 * when none answers the first one's error is told, as Go does. */
#include "cli/client_tls.h"
#include "cli/response.h"
#include "cli/transport.h"
#include "cli/url.h"

#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE (64u * 1024u)

static int error_of(struct err *err, int errnum, const char *what)
{
    return err_set(err, ERR_CONNECTION, "%s: %s", what, err_code_text(errnum));
}

int transport_wait(const struct client_interrupt *interrupt, int fd, short events,
                   int64_t timeout_ms, struct err *err)
{
    uint64_t end = clock_mono_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
    for (;;) {
        if (interrupt != NULL && *interrupt->flag != 0) {
            return err_set(err, ERR_CANCELED, "canceled");
        }
        uint64_t now = clock_mono_ms(), left = end > now ? end - now : 0;
        struct timespec left_ts = {(time_t)(left / 1000), (long)(left % 1000 * NS_PER_MS)};
        struct pollfd p = {.fd = fd, .events = events};
        int n = ppoll(&p, 1, timeout_ms < 0 ? NULL : &left_ts,
                      interrupt != NULL ? &interrupt->mask : NULL);
        if (n >= 0) {
            return n;
        }
        if (errno != EINTR) {
            return error_of(err, errno, "poll");
        }
    }
}

/* --- connecting ------------------------------------------------------------------------------ */

static int connect_socket(const struct transport_call *call, const struct sockaddr *address,
                          socklen_t size, const char *what, int *ret_fd, struct err *err)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return error_of(err, errno, what);
    }
    int rc = 0;
    if (connect(fd, address, size) < 0) {
        int problem = errno;
        socklen_t problem_size = sizeof(problem);
        if (problem == EINPROGRESS) {
            rc = transport_wait(call->interrupt, fd, POLLOUT, CLIENT_CONNECT_TIMEOUT_MS, err);
            if (rc == 0) {
                rc = err_set(err, ERR_TIMEOUT, "%s: i/o timeout", what);
            } else if (rc > 0) {
                (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &problem_size);
            }
        }
        if (rc >= 0 && problem != 0) {
            char connect_what[ERR_TEXT_SIZE_MAX];
            (void)snprintf(connect_what, sizeof(connect_what), "%s: connect", what);
            rc = error_of(err, problem, connect_what);
        }
    }
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

static int dial_unix(const struct transport_call *call, int *ret_fd, struct err *err)
{
    struct str path = call->config->address;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path.n >= sizeof(address.sun_path)) {
        return err_set(err, ERR_INVALID, "dial unix %.*s: connect: invalid argument", STRF(path));
    }
    memcpy(address.sun_path, path.p, path.n);
    char what[ERR_TEXT_SIZE_MAX];
    (void)snprintf(what, sizeof(what), "dial unix %.*s", STRF(path));
    return connect_socket(call, (struct sockaddr *)&address, sizeof(address), what, ret_fd, err);
}

static int dial_address(const struct transport_call *call, const struct addrinfo *a, bool has_host,
                        int *ret_fd, struct err *err)
{
    char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "", what[NI_MAXHOST + NI_MAXSERV + 16];
    (void)getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), port, sizeof(port),
                      NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(what, sizeof(what),
                   a->ai_family == AF_INET6 && has_host ? "dial tcp [%s]:%s" : "dial tcp %s:%s",
                   has_host ? host : "", port);
    return connect_socket(call, a->ai_addr, a->ai_addrlen, what, ret_fd, err);
}

static int dial_tcp(const struct transport_call *call, int *ret_fd, struct err *err)
{
    struct str host, port;
    uint64_t number = 0;
    if (call->config->address.n == 0) {
        return err_set(err, ERR_INVALID, "http: no Host in request URL");
    }
    url_authority_split(call->config->address, &host, &port);
    if (port.n > 0 && (str_parse_u64(port, &number) < 0 || number > UINT16_MAX)) {
        return err_set(err, ERR_INVALID, "dial tcp: address %.*s: invalid port", STRF(port));
    }
    struct str host_z = arena_str(call->arena, host);
    struct str port_z = arena_str(call->arena, port.n > 0               ? port
                                               : call->config->is_https ? STR("443")
                                                                        : STR("80"));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    int problem = getaddrinfo(host.n > 0 ? host_z.p : "localhost", port_z.p, &hints, &list);
    if (problem != 0) {
        return err_set(err, ERR_CONNECTION, "dial tcp: lookup %.*s: %s", STRF(host),
                       problem == EAI_NONAME ? "no such host" : gai_strerror(problem));
    }
    int rc = -ERR_CONNECTION;
    struct err later = {0};
    for (const struct addrinfo *a = list; a != NULL && rc < 0 && rc != -ERR_CANCELED;
         a = a->ai_next) {
        rc = dial_address(call, a, host.n > 0, ret_fd, a == list ? err : &later);
    }
    freeaddrinfo(list);
    return rc;
}

/* --- talking --------------------------------------------------------------------------------- */

static void head_write(const struct transport_call *call, struct buf *to)
{
    buf_printf(to, "%s %.*s HTTP/1.1\r\nHost: ", call->method, STRF(call->target));
    buf_str(to, call->config->is_unix ? STR("localhost") : call->config->address);
    buf_lit(to, "\r\nUser-Agent: consul\r\nConnection: close\r\n");
    for (size_t i = 0; i < call->headers_count; i++) {
        buf_printf(to, "%.*s: %.*s\r\n", STRF(call->headers[i].name), STRF(call->headers[i].value));
    }
    if (call->has_body || strcmp(call->method, "GET") != 0) {
        buf_printf(to, "Content-Length: %zu\r\n", call->body.n);
    }
    buf_lit(to, "\r\n");
}

struct connection {
    const struct transport_call *call;
    int fd;
    struct client_tls *tls; /* NULL: plain */
};

/* Bytes that went or came, 0 at the end, negative: an error, or -EAGAIN with what to wait for. */
static ssize_t connection_send(const struct connection *c, struct str bytes, short *ret_events,
                               struct err *err)
{
    if (c->tls != NULL) {
        return client_tls_send(c->tls, bytes, ret_events, err);
    }
    *ret_events = POLLOUT;
    ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
    return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? -EAGAIN : error_of(err, errno, "write");
}

static ssize_t connection_recv(const struct connection *c, char *to, size_t size, short *ret_events,
                               struct err *err)
{
    if (c->tls != NULL) {
        return client_tls_recv(c->tls, to, size, ret_events, err);
    }
    *ret_events = POLLIN;
    ssize_t n = recv(c->fd, to, size, 0);
    return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? -EAGAIN : error_of(err, errno, "read");
}

static int connection_wait(const struct connection *c, short events, struct err *err)
{
    int rc = transport_wait(c->call->interrupt, c->fd, events, -1, err);
    return rc < 0 ? rc : 0;
}

static int send_all(const struct connection *c, struct str bytes, struct err *err)
{
    while (bytes.n > 0) {
        short events;
        ssize_t n = connection_send(c, bytes, &events, err);
        int rc = n == -EAGAIN ? connection_wait(c, events, err) : n < 0 ? (int)n : 0;
        if (rc < 0) {
            return rc;
        }
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static int read_answer(const struct connection *c, struct response_parser *p, struct err *err)
{
    char *bytes = arena_alloc(c->call->arena, READ_SIZE);
    while (!p->done) {
        short events;
        ssize_t n = connection_recv(c, bytes, READ_SIZE, &events, err);
        int rc = (int)n;
        if (n > 0) {
            rc = response_feed(p, str_make(bytes, (size_t)n), err);
        } else if (n == 0) {
            rc = response_end(p, err);
        } else if (n == -EAGAIN) {
            rc = connection_wait(c, events, err);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int socket_perform(const struct transport_call *call, struct client_response *ret_response,
                   struct err *err)
{
    struct connection c = {.call = call, .fd = -1};
    int rc = call->config->is_unix ? dial_unix(call, &c.fd, err) : dial_tcp(call, &c.fd, err);
    if (rc >= 0 && call->config->is_https) {
        rc = client_tls_open(call, c.fd, &c.tls, err);
        if (rc < 0) {
            (void)close(c.fd);
        }
    }
    if (rc < 0) {
        return rc;
    }
    struct buf head = {0};
    head_write(call, &head);
    struct response_parser p;
    response_init(&p, call->arena, strcmp(call->method, "HEAD") == 0, call->on_body, call->data);
    rc = send_all(&c, buf_view(&head), err);
    if (rc == 0) {
        rc = send_all(&c, call->body, err);
    }
    /* A server that refuses the body answers before it has read it all: its words count more. */
    struct err write_err = *err;
    if (rc != -ERR_CANCELED) {
        int read_rc = read_answer(&c, &p, err);
        if (rc < 0 && read_rc < 0) {
            *err = write_err;
        } else {
            rc = read_rc;
        }
    }
    if (rc == 0) {
        *ret_response = p.response;
        ret_response->body = arena_str(call->arena, p.response.body);
    }
    response_deinit(&p);
    buf_deinit(&head);
    (void)client_tls_free(c.tls);
    (void)close(c.fd);
    return rc;
}
