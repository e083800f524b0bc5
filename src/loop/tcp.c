#include "loop/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

/* A stream that sends without end may not keep the loop from the others. */
#define READS_PER_TURN_MAX 8
#define KEEPALIVE_SECONDS 15 /* Go's default */

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* --- listening ------------------------------------------------------------------------------ */

static int socket_fail(struct err *err, int fd, const struct address *address, const char *what)
{
    int code = errno;
    struct buf text = {0};
    address_format(address, &text);
    (void)err_set(err, code, "listen %s %.*s: %s: %s", address_is_unix(address) ? "unix" : "tcp",
                  STRF(buf_view(&text)), what, err_code_text(code));
    buf_deinit(&text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return -code;
}

/* With SO_REUSEPORT a second program of the same user could listen on our port unnoticed. */
static int check_exclusive(const struct address *address, struct err *err)
{
    int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return socket_fail(err, fd, address, "socket");
    }
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, (const struct sockaddr *)&address->sa, address->size) < 0) {
        return socket_fail(err, fd, address, "bind");
    }
    (void)close(fd);
    return 0;
}

/* A number or a name; -1 when there is no such user. */
static int64_t find_user(const char *text)
{
    uint64_t id;
    if (str_parse_u64(str_from_cstr(text), &id) == 0 && id < UINT32_MAX) {
        return (int64_t)id;
    }
    struct passwd *pw = getpwnam(text); /* at start-up, one thread */
    return pw != NULL ? (int64_t)pw->pw_uid : -1;
}

static int64_t find_group(const char *text)
{
    uint64_t id;
    if (str_parse_u64(str_from_cstr(text), &id) == 0 && id < UINT32_MAX) {
        return (int64_t)id;
    }
    struct group *gr = getgrnam(text);
    return gr != NULL ? (int64_t)gr->gr_gid : -1;
}

static int set_path_rights(const char *path, const struct listen_options *options, struct err *err)
{
    if (options->user != NULL || options->group != NULL) {
        int64_t uid = options->user != NULL ? find_user(options->user) : -1;
        int64_t gid = options->group != NULL ? find_group(options->group) : -1;
        if (options->user != NULL && uid < 0) {
            return err_set(err, ERR_INVALID, "no such user: %s", options->user);
        }
        if (options->group != NULL && gid < 0) {
            return err_set(err, ERR_INVALID, "no such group: %s", options->group);
        }
        if (chown(path, (uid_t)uid, (gid_t)gid) < 0) {
            return err_from_errno(err, errno, path);
        }
    }
    if (options->mode != NULL) {
        char *end;
        unsigned long mode = strtoul(options->mode, &end, 8);
        if (*end != '\0' || end == options->mode || mode > 07777) {
            return err_set(err, ERR_INVALID, "not a file mode: %s", options->mode);
        }
        if (chmod(path, (mode_t)mode) < 0) {
            return err_from_errno(err, errno, path);
        }
    }
    return 0;
}

/* Only a socket may be replaced, never a file somebody needs. */
static void remove_old_socket(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)unlink(path);
    }
}

int listen_socket(const struct address *address, const struct listen_options *options,
                  struct err *err)
{
    bool is_unix = address_is_unix(address);
    const char *path = ((const struct sockaddr_un *)(const void *)&address->sa)->sun_path;
    if (!is_unix && options->reuse_port && options->exclusive) {
        int r = check_exclusive(address, err);
        if (r < 0) {
            return r;
        }
    }
    int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return socket_fail(err, fd, address, "socket");
    }
    if (is_unix) {
        remove_old_socket(path);
    } else {
        set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (options->reuse_port) {
            set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        }
    }
    /* Go listens on both families for "::". */
    if (bind(fd, (const struct sockaddr *)&address->sa, address->size) < 0) {
        return socket_fail(err, fd, address, "bind");
    }
    if (is_unix) {
        int r = set_path_rights(path, options, err);
        if (r < 0) {
            (void)close(fd);
            return r;
        }
    }
    if (listen(fd, options->backlog > 0 ? options->backlog : LISTEN_BACKLOG) < 0) {
        return socket_fail(err, fd, address, "listen");
    }
    return fd;
}

/* Out of descriptors: a connection that stays in the queue would wake us without end. Take it with
 * the spare one and drop it. */
static void drop_one(struct tcp_listener *l)
{
    if (l->spare_fd >= 0) {
        (void)close(l->spare_fd);
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)close(fd);
        }
        l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

static void accept_cb(uv_poll_t *poll, int status, int events)
{
    struct tcp_listener *l = container_of(poll, struct tcp_listener, poll);
    (void)status;
    (void)events;
    loop_turn_begin(l->loop);
    for (uint32_t i = 0; i < ACCEPT_BATCH_MAX && l->fd >= 0; i++) {
        struct address peer = {.size = sizeof(peer.sa)};
        int fd =
            accept4(l->fd, (struct sockaddr *)&peer.sa, &peer.size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            l->accept(l, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE) {
            drop_one(l);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void listener_closed_cb(uv_handle_t *handle)
{
    struct tcp_listener *l = container_of((uv_poll_t *)handle, struct tcp_listener, poll);
    if (l->closed != NULL) {
        loop_turn_begin(l->loop);
        l->closed(l);
    }
}

static void listener_shutdown(struct loop_handle *base)
{
    tcp_listener_close(container_of(base, struct tcp_listener, base));
}

void tcp_listener_start(struct tcp_listener *l, struct loop *loop, int fd,
                        void (*accept)(struct tcp_listener *l, int fd, const struct address *peer))
{
    l->base.shutdown = listener_shutdown;
    l->loop = loop;
    l->fd = fd;
    l->accept = accept;
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ASSERT(uv_poll_init(&loop->uv, &l->poll, fd) == 0);
    l->poll.data = &l->base;
    ASSERT(uv_poll_start(&l->poll, UV_READABLE, accept_cb) == 0);
}

void tcp_listener_close(struct tcp_listener *l)
{
    if (l->loop == NULL || l->fd < 0) {
        return;
    }
    uv_close((uv_handle_t *)&l->poll, listener_closed_cb);
    (void)close(l->fd);
    if (l->spare_fd >= 0) {
        (void)close(l->spare_fd);
    }
    l->fd = l->spare_fd = -1;
}

/* --- streams ------------------------------------------------------------------------------- */

static void stream_poll_cb(uv_poll_t *poll, int status, int events);

/* Ask poll for what we wait for now; changing it costs a system call, at the next poll. */
static void update_events(struct tcp_stream *s)
{
    int events = 0;
    if (!s->failed) {
        events |= s->reading && !s->eof ? UV_READABLE : 0;
        events |= s->pending != NULL || s->connecting ? UV_WRITABLE : 0;
    }
    if (events == s->events || s->closing) {
        return;
    }
    s->events = events;
    if (events == 0) {
        (void)uv_poll_stop(&s->poll);
    } else {
        (void)uv_poll_start(&s->poll, events, stream_poll_cb);
    }
}

void tcp_fail(struct tcp_stream *s, int code)
{
    if (!s->failed && !s->closing) {
        s->failed = true;
        update_events(s);
        s->ops->fail(s, code);
    }
}

void tcp_end(struct tcp_stream *s)
{
    s->eof = true;
    update_events(s);
    s->ops->eof(s);
}

void tcp_deliver(struct tcp_stream *s, const char *p, size_t n)
{
    if (!s->closing && n > 0) {
        s->ops->read(s, p, n);
    }
}

static void read_ready(struct tcp_stream *s)
{
    char *p = loop_read_buffer(s->loop);
    for (int i = 0; i < READS_PER_TURN_MAX && s->reading && !s->closing && !s->failed; i++) {
        ssize_t n = recv(s->fd, p, LOOP_READ_BUFFER_SIZE, 0);
        if (n > 0) {
            if (s->filter != NULL) {
                s->filter->input(s, p, (size_t)n);
                if (s->eof) {
                    return; /* said inside */
                }
            } else {
                s->ops->read(s, p, (size_t)n);
            }
            if ((size_t)n < LOOP_READ_BUFFER_SIZE) {
                return; /* that was all; poll tells when there is more */
            }
        } else if (n == 0) {
            if (s->filter != NULL) {
                s->filter->eof(s);
            } else {
                tcp_end(s);
            }
            return;
        } else if (errno != EINTR) {
            if (errno != EAGAIN) {
                tcp_fail(s, -errno);
            }
            return;
        }
    }
}

static void chunk_free(struct tcp_chunk *chunk)
{
    buf_deinit(&chunk->buf);
    mem_free(chunk);
}

static void pending_pop(struct tcp_stream *s)
{
    struct tcp_chunk *chunk = s->pending;
    s->pending = chunk->next;
    if (s->pending == NULL) {
        s->pending_end = &s->pending;
    }
    chunk_free(chunk);
}

/* How much went out (0: the socket is full), or negative. */
static ssize_t send_some(struct tcp_stream *s, const struct iovec *iov, size_t count)
{
    const struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};
    ssize_t n;
    do {
        n = count == 1 ? send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                       : sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN || errno == ENOBUFS ? 0 : -errno;
    }
    return n;
}

static void write_ready(struct tcp_stream *s)
{
    enum { IOV_COUNT = 16 };
    while (s->pending != NULL) {
        struct iovec iov[IOV_COUNT];
        size_t count = 0, size = 0;
        for (struct tcp_chunk *c = s->pending; c != NULL && count < IOV_COUNT; c = c->next) {
            iov[count].iov_base = c->buf.p + c->done;
            iov[count].iov_len = c->buf.n - c->done;
            size += iov[count++].iov_len;
        }
        ssize_t n = send_some(s, iov, count);
        if (n < 0) {
            tcp_fail(s, (int)n);
            return;
        }
        s->pending_size -= (size_t)n;
        size_t left = (size_t)n;
        while (s->pending != NULL && left >= s->pending->buf.n - s->pending->done) {
            left -= s->pending->buf.n - s->pending->done;
            pending_pop(s);
        }
        if (s->pending != NULL) {
            s->pending->done += left;
        }
        if ((size_t)n < size) {
            return;
        }
    }
    update_events(s);
    if (s->ops->drained != NULL && s->pending_size == 0 && !s->handshaking) {
        s->ops->drained(s);
    }
}

static void connect_ready(struct tcp_stream *s)
{
    int code = 0;
    socklen_t size = sizeof(code);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0) {
        code = errno;
    }
    s->connecting = false;
    if (code != 0) {
        tcp_fail(s, -code);
        return;
    }
    update_events(s);
    if (s->filter != NULL) {
        s->filter->connected(s);
    } else if (s->ops->connected != NULL) {
        s->ops->connected(s);
    }
}

static void stream_poll_cb(uv_poll_t *poll, int status, int events)
{
    struct tcp_stream *s = container_of(poll, struct tcp_stream, poll);
    loop_turn_begin(s->loop);
    if (s->connecting) {
        connect_ready(s);
        return;
    }
    if (status < 0) {
        tcp_fail(s, status);
        return;
    }
    if ((events & UV_READABLE) != 0) {
        read_ready(s);
    }
    if ((events & UV_WRITABLE) != 0 && s->pending != NULL && !s->closing && !s->failed) {
        write_ready(s);
    }
}

static void stream_closed_cb(uv_handle_t *handle)
{
    struct tcp_stream *s = container_of((uv_poll_t *)handle, struct tcp_stream, poll);
    loop_turn_begin(s->loop);
    s->ops->closed(s);
}

static void stream_shutdown(struct loop_handle *base)
{
    struct tcp_stream *s = container_of(base, struct tcp_stream, base);
    if (!s->closing) {
        tcp_fail(s, -ERR_CLOSED); /* the owner closes */
        tcp_close(s);
    }
}

static void stream_init(struct tcp_stream *s, struct loop *l, int fd, const struct tcp_ops *ops)
{
    *s = (struct tcp_stream){.base = {stream_shutdown},
                             .loop = l,
                             .ops = ops,
                             .fd = fd,
                             .write_max = TCP_WRITE_MAX_DEFAULT,
                             .reading = true};
    s->pending_end = &s->pending;
    ASSERT(uv_poll_init(&l->uv, &s->poll, fd) == 0);
    s->poll.data = &s->base;
}

static void set_stream_options(int fd)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_SECONDS);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_SECONDS);
}

void tcp_start(struct tcp_stream *s, struct loop *l, int fd, const struct tcp_ops *ops)
{
    int domain = AF_INET;
    socklen_t size = sizeof(domain);
    (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    if (domain != AF_UNIX) {
        set_stream_options(fd);
    }
    stream_init(s, l, fd, ops);
    update_events(s);
}

int tcp_connect(struct tcp_stream *s, struct loop *l, const struct address *to,
                const struct address *from, const struct tcp_ops *ops)
{
    int fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    if (!address_is_unix(to)) {
        set_stream_options(fd);
    }
    if (from != NULL && bind(fd, (const struct sockaddr *)&from->sa, from->size) < 0) {
        int code = errno;
        (void)close(fd);
        return -code;
    }
    if (connect(fd, (const struct sockaddr *)&to->sa, to->size) < 0 && errno != EINPROGRESS) {
        int code = errno;
        (void)close(fd);
        return -code;
    }
    stream_init(s, l, fd, ops);
    s->connecting = true;
    update_events(s);
    return 0;
}

void tcp_set_user_timeout(struct tcp_stream *s, uint64_t timeout_ms)
{
    set_int(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)MIN(timeout_ms, (uint64_t)INT_MAX));
}

void tcp_read_stop(struct tcp_stream *s)
{
    s->reading = false;
    update_events(s);
}

void tcp_read_start(struct tcp_stream *s)
{
    s->reading = true;
    update_events(s);
    if (s->filter != NULL) {
        s->filter->resume(s);
    }
}

static int keep(struct tcp_stream *s, struct buf *b, size_t done)
{
    if (s->pending_size + (b->n - done) > s->write_max || b->failed) {
        buf_deinit(b);
        return -ERR_TOO_LARGE;
    }
    struct tcp_chunk *chunk = xcalloc(1, sizeof(*chunk));
    *chunk = (struct tcp_chunk){.buf = *b, .done = done};
    *b = (struct buf){.max = b->max};
    s->pending_size += chunk->buf.n - done;
    *s->pending_end = chunk;
    s->pending_end = &chunk->next;
    update_events(s);
    return 0;
}

int tcp_raw_write(struct tcp_stream *s, const struct iovec *iov, size_t count)
{
    if (s->failed || s->closing) {
        return -ERR_CLOSED;
    }
    size_t done = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        size += iov[i].iov_len;
    }
    if (s->pending == NULL && !s->connecting) {
        ssize_t n = send_some(s, iov, count);
        if (n < 0) {
            return (int)n;
        }
        done = (size_t)n;
    }
    if (done == size) {
        return 0;
    }
    struct buf rest = {.max = s->write_max};
    for (size_t i = 0; i < count; i++) {
        size_t skip = MIN(done, iov[i].iov_len);
        done -= skip;
        buf_put(&rest, (const char *)iov[i].iov_base + skip, iov[i].iov_len - skip);
    }
    return keep(s, &rest, 0);
}

int tcp_write(struct tcp_stream *s, const struct iovec *iov, size_t count)
{
    if (s->filter != NULL) {
        return s->failed || s->closing ? -ERR_CLOSED : s->filter->output(s, iov, count);
    }
    return tcp_raw_write(s, iov, count);
}

int tcp_write_buf(struct tcp_stream *s, struct buf *b)
{
    const struct iovec iov = {b->p, b->n};
    int r = 0;
    if (s->failed || s->closing) {
        r = -ERR_CLOSED;
    } else if (s->filter != NULL) {
        r = s->filter->output(s, &iov, 1);
    } else {
        size_t done = 0;
        if (s->pending == NULL && !s->connecting) {
            ssize_t n = send_some(s, &iov, 1);
            r = n < 0 ? (int)n : 0;
            done = n < 0 ? 0 : (size_t)n;
        }
        if (r == 0 && done < b->n) {
            return keep(s, b, done);
        }
    }
    buf_clear(b);
    return r;
}

void tcp_shutdown_write(struct tcp_stream *s)
{
    if (s->closing) {
        return;
    }
    if (s->filter != NULL) {
        s->filter->shutdown(s);
        if (s->pending != NULL) {
            return; /* its last words are still to go, and say enough */
        }
    }
    (void)shutdown(s->fd, SHUT_WR);
}

void tcp_close(struct tcp_stream *s)
{
    if (s->closing) {
        return;
    }
    if (s->filter != NULL) {
        s->filter->close(s);
        s->filter = NULL;
    }
    s->closing = true;
    while (s->pending != NULL) {
        pending_pop(s);
    }
    s->pending_size = 0;
    uv_close((uv_handle_t *)&s->poll, stream_closed_cb); /* takes the fd out of epoll */
    (void)close(s->fd);
}

int tcp_detach(struct tcp_stream *s)
{
    ASSERT(!s->closing && s->pending == NULL && s->filter == NULL);
    s->closing = true;
    uv_close((uv_handle_t *)&s->poll, stream_closed_cb); /* takes the fd out of epoll */
    return s->fd;
}
