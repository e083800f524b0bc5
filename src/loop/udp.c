#include "loop/udp.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#define UDP_SIZE_DEFAULT 4096u
#define RECEIVES_PER_TURN_MAX 16
#define SEND_BYTES_MAX (256u * 1024u) /* collected before an early flush */

union control { /* room for one packet info of either family */
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct udp_batch {
    struct mmsghdr in[UDP_BATCH_MAX], out[UDP_BATCH_MAX];
    struct iovec in_iov[UDP_BATCH_MAX], out_iov[UDP_BATCH_MAX];
    struct address in_peer[UDP_BATCH_MAX], out_peer[UDP_BATCH_MAX];
    union control in_control[UDP_BATCH_MAX], out_control[UDP_BATCH_MAX];
    uint32_t out_count;
    size_t out_size;
    char *out_bytes; /* SEND_BYTES_MAX */
    char *in_bytes;  /* UDP_BATCH_MAX datagrams of size_max */
};

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void flush(struct udp_socket *s)
{
    struct udp_batch *b = s->batch;
    uint32_t done = 0;
    while (done < b->out_count) {
        int n = sendmmsg(s->fd, b->out + done, b->out_count - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            done += (uint32_t)n;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            s->dropped += b->out_count - done;
            break;
        } else if (errno != EINTR) {
            s->dropped++; /* this one cannot be sent (no route, port refused): go on with the next
                           */
            done++;
        }
    }
    b->out_count = 0;
    b->out_size = 0;
}

static void flush_run(struct loop_msg *msg)
{
    struct udp_socket *s = container_of(msg, struct udp_socket, flush);
    s->flushing = false;
    if (!s->closing) {
        flush(s);
    }
}

/* Where an answer must come from: the same packet info that came in, turned round. */
static void put_local(struct udp_batch *b, uint32_t i, const struct udp_peer *to)
{
    struct msghdr *msg = &b->out[i].msg_hdr;
    if (!to->has_local) {
        msg->msg_control = NULL;
        msg->msg_controllen = 0;
        return;
    }
    msg->msg_control = &b->out_control[i];
    memset(&b->out_control[i], 0, sizeof(b->out_control[i]));
    struct cmsghdr *c = &b->out_control[i].align;
    if (to->address.sa.ss_family == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst = to->local.v4};
        *c = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO};
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        msg->msg_controllen = CMSG_SPACE(sizeof(info));
    } else {
        struct in6_pktinfo info = {.ipi6_addr = to->local.v6};
        *c = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO};
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        msg->msg_controllen = CMSG_SPACE(sizeof(info));
    }
}

void udp_send(struct udp_socket *s, struct str data, const struct udp_peer *to)
{
    struct udp_batch *b = s->batch;
    if (s->closing || data.n > UDP_SIZE_MAX) {
        s->dropped++;
        return;
    }
    if (b->out_count == UDP_BATCH_MAX || b->out_size + data.n > SEND_BYTES_MAX) {
        flush(s);
    }
    if (b->out_bytes == NULL) {
        b->out_bytes = xmalloc(SEND_BYTES_MAX);
    }
    uint32_t i = b->out_count++;
    char *p = b->out_bytes + b->out_size;
    if (data.n > 0) {
        memcpy(p, data.p, data.n);
    }
    b->out_size += data.n;
    b->out_iov[i] = (struct iovec){p, data.n};
    b->out_peer[i] = to->address;
    b->out[i].msg_hdr = (struct msghdr){.msg_name = &b->out_peer[i].sa,
                                        .msg_namelen = to->address.size,
                                        .msg_iov = &b->out_iov[i],
                                        .msg_iovlen = 1};
    put_local(b, i, to);
    if (!s->flushing) {
        s->flushing = true;
        loop_defer(s->loop, &s->flush);
    }
}

static void find_local(struct msghdr *msg, struct udp_peer *peer)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            peer->local.v4 = info.ipi_addr;
            peer->has_local = peer->address.sa.ss_family == AF_INET;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            peer->local.v6 = info.ipi6_addr;
            peer->has_local = true;
        }
    }
}

static void receive_one(struct udp_socket *s, uint32_t i)
{
    struct udp_batch *b = s->batch;
    struct msghdr *msg = &b->in[i].msg_hdr;
    if ((msg->msg_flags & MSG_TRUNC) != 0) {
        return;
    }
    struct udp_peer peer = {.address = {.size = msg->msg_namelen}};
    memcpy(&peer.address.sa, &b->in_peer[i].sa, msg->msg_namelen);
    if (s->wildcard) {
        find_local(msg, &peer);
    }
    s->receive(s, str_make(b->in_iov[i].iov_base, b->in[i].msg_len), &peer);
}

void udp_receive_now(struct udp_socket *s)
{
    struct udp_batch *b = s->batch;
    for (int round = 0; round < RECEIVES_PER_TURN_MAX && !s->closing; round++) {
        for (uint32_t i = 0; i < UDP_BATCH_MAX; i++) {
            b->in[i].msg_hdr.msg_namelen = sizeof(b->in_peer[i].sa);
            b->in[i].msg_hdr.msg_controllen = s->wildcard ? sizeof(b->in_control[i]) : 0;
        }
        int n = recvmmsg(s->fd, b->in, UDP_BATCH_MAX, MSG_DONTWAIT, NULL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        s->received_ns = clock_mono_ns();
        for (int i = 0; i < n && !s->closing; i++) {
            receive_one(s, (uint32_t)i);
        }
        if (n < (int)UDP_BATCH_MAX) {
            return; /* also an error: a refused earlier answer shows up here and means nothing */
        }
    }
}

static void receive_cb(uv_poll_t *poll, int status, int events)
{
    struct udp_socket *s = container_of(poll, struct udp_socket, poll);
    (void)status;
    (void)events;
    loop_turn_begin(s->loop);
    udp_receive_now(s);
}

static void batch_init(struct udp_socket *s)
{
    struct udp_batch *b = s->batch = xcalloc(1, sizeof(*b));
    b->in_bytes = xmalloc((size_t)UDP_BATCH_MAX * s->size_max);
    for (uint32_t i = 0; i < UDP_BATCH_MAX; i++) {
        b->in_iov[i] = (struct iovec){b->in_bytes + (size_t)i * s->size_max, s->size_max};
        b->in[i].msg_hdr = (struct msghdr){.msg_name = &b->in_peer[i].sa,
                                           .msg_iov = &b->in_iov[i],
                                           .msg_iovlen = 1,
                                           .msg_control = &b->in_control[i]};
    }
}

static void closed_cb(uv_handle_t *handle)
{
    struct udp_socket *s = container_of((uv_poll_t *)handle, struct udp_socket, poll);
    mem_free(s->batch->in_bytes);
    mem_free(s->batch->out_bytes);
    s->batch = mem_free(s->batch);
    if (s->closed != NULL) {
        loop_turn_begin(s->loop);
        s->closed(s);
    }
}

void udp_close(struct udp_socket *s)
{
    if (s->loop == NULL || s->closing) {
        return;
    }
    flush(s);
    s->closing = true;
    uv_close((uv_handle_t *)&s->poll, closed_cb);
    (void)close(s->fd);
}

static void udp_shutdown(struct loop_handle *base)
{
    udp_close(container_of(base, struct udp_socket, base));
}

static int open_fail(struct err *err, int fd, const struct address *address, const char *what)
{
    int code = errno;
    struct buf text = {0};
    address_format(address, &text);
    (void)err_set(err, code, "listen udp %.*s: %s: %s", STRF(buf_view(&text)), what,
                  err_code_text(code));
    buf_deinit(&text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return -code;
}

static bool is_wildcard(const struct address *address)
{
    char text[ADDRESS_IP_SIZE_MAX];
    struct str ip = address_ip(address, text);
    return str_eq_lit(ip, "0.0.0.0") || str_eq_lit(ip, "::");
}

int udp_open(struct udp_socket *s, struct loop *l, const struct address *address,
             const struct udp_options *options,
             void (*receive)(struct udp_socket *s, struct str data, const struct udp_peer *peer),
             struct err *err)
{
    int family = address->sa.ss_family;
    const struct sockaddr *sa = (const struct sockaddr *)&address->sa;
    if (options->reuse_port && options->exclusive) {
        int probe = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (probe < 0 || bind(probe, sa, address->size) < 0) {
            return open_fail(err, probe, address, probe < 0 ? "socket" : "bind");
        }
        (void)close(probe);
    }
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return open_fail(err, fd, address, "socket");
    }
    if (options->reuse_port) {
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (options->buffer_size > 0) {
        set_int(fd, SOL_SOCKET, SO_RCVBUF, options->buffer_size);
        set_int(fd, SOL_SOCKET, SO_SNDBUF, options->buffer_size);
    }
    if (bind(fd, sa, address->size) < 0) {
        return open_fail(err, fd, address, "bind");
    }
    *s = (struct udp_socket){.base = {udp_shutdown},
                             .loop = l,
                             .fd = fd,
                             .receive = receive,
                             .flush = {NULL, flush_run},
                             .wildcard = is_wildcard(address),
                             .size_max =
                                 options->size_max > 0 ? options->size_max : UDP_SIZE_DEFAULT};
    if (s->wildcard) {
        set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
        if (family == AF_INET6) {
            set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        }
    }
    batch_init(s);
    ASSERT(uv_poll_init(&l->uv, &s->poll, fd) == 0);
    s->poll.data = &s->base;
    ASSERT(uv_poll_start(&s->poll, UV_READABLE, receive_cb) == 0);
    return 0;
}

void udp_local_address(const struct udp_socket *s, struct address *ret_address)
{
    *ret_address = (struct address){.size = sizeof(ret_address->sa)};
    (void)getsockname(s->fd, (struct sockaddr *)&ret_address->sa, &ret_address->size);
}
