/* udp.h - datagram sockets on a loop, in batches.
 *
 *     r = udp_open(&me->socket, loop, &address, &options, my_receive, &err);
 *     my_receive(socket, data, peer):  udp_send(socket, answer, peer);
 *     udp_close(&me->socket);                                        // ->closed(s) follows
 *
 * Up to UDP_BATCH_MAX datagrams come with one recvmmsg() and go with one sendmmsg(): what is sent
 * within a turn is collected (copied) and goes out at its end. When the kernel's buffer is full,
 * what does not fit is dropped and counted: datagrams may get lost anyway, and waiting would need a
 * queue without bound. A longer datagram than size_max is dropped on receipt. On the loop's thread
 * only.
 *
 * On a wildcard address each answer leaves from the address its question came to (udp_send with the
 * peer handed to receive); on hosts with several addresses clients refuse others. */
#pragma once
#include <netinet/in.h>

#include <uv.h>

#include "loop/address.h"
#include "loop/loop_impl.h"

#define UDP_BATCH_MAX 64u
#define UDP_SIZE_MAX 65535u

struct udp_socket;
struct udp_batch;

struct udp_options {
    bool reuse_port;   /* one socket for each worker */
    bool exclusive;    /* with reuse_port: first make sure nobody else is bound there */
    uint32_t size_max; /* of a received datagram; 0: 4096 */
    int buffer_size;   /* SO_RCVBUF and SO_SNDBUF; 0: the system's */
};

struct udp_peer {
    struct address address;
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } local;
    bool has_local;
};

struct udp_socket {
    struct loop_handle base;
    uv_poll_t poll;
    struct loop *loop;
    int fd;
    void (*receive)(struct udp_socket *s, struct str data, const struct udp_peer *peer);
    void (*closed)(struct udp_socket *s); /* may be NULL */
    struct loop_msg flush;
    bool flushing, wildcard, closing;
    struct udp_batch *batch;
    uint64_t received_ns; /* clock_mono_ns() when the running batch was read */
    uint64_t dropped;     /* could not be sent */
    uint32_t size_max;
};

NODISCARD int udp_open(struct udp_socket *s, struct loop *l, const struct address *address,
                       const struct udp_options *options,
                       void (*receive)(struct udp_socket *s, struct str data,
                                       const struct udp_peer *peer),
                       struct err *err);
void udp_send(struct udp_socket *s, struct str data, const struct udp_peer *to);
/* Receive what waits, now instead of when poll says so: for who has overslept a timer. */
void udp_receive_now(struct udp_socket *s);
void udp_local_address(const struct udp_socket *s, struct address *ret_address);
void udp_close(struct udp_socket *s); /* what was sent before still goes out; again is harmless */
