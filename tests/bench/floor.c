/* floor.c - the least a server on this machine can take: bench.py's column "floor".
 *
 *     floor ADDRESS THREADS
 *
 * It answers on the ports of an agent with bytes that stand ready, of the size of ours, and knows
 * of requests only what decides when they are answered: HTTP reads are, those with ?index= when a
 * PUT comes, DNS questions are. What it takes is the kernel's, and moves with the machine and what
 * else runs there; what a program takes more than that is its own. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_PORT 8500
#define DNS_PORT 8600
#define THREADS_MAX 32
#define EVENTS_MAX 1024
#define BATCH_MAX 64
#define QUESTION_SIZE_MAX 512
#define RECORDS_SIZE 48 /* three addresses */
#define READ_SIZE_MAX 65536
#define PARKED_MAX 65536

struct thread {
    int epoll, listener, udp, wake;
    int parked[PARKED_MAX]; /* sockets that wait for a PUT */
    size_t parked_count;
};

static struct thread threads[THREADS_MAX];
static size_t threads_count;
static struct in_addr address;
static char answer[1024];
static size_t answer_size;

static void make_answer(void)
{
    char value[345], body[512];
    memset(value, 'e', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    int n = snprintf(body, sizeof(body),
                     "[{\"LockIndex\":0,\"Key\":\"bench/value\",\"Flags\":0,\"Value\":\"%s\","
                     "\"CreateIndex\":15,\"ModifyIndex\":15}]",
                     value);
    answer_size = (size_t)snprintf(
        answer, sizeof(answer),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nVary: Accept-Encoding\r\n"
        "X-Consul-Index: 15\r\nX-Consul-Knownleader: true\r\nX-Consul-Lastcontact: 0\r\n"
        "X-Consul-Query-Backend: blocking-query\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\n"
        "Content-Length: %d\r\n\r\n%s",
        n, body);
}

static void watch(const struct thread *t, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        err(1, "epoll_ctl");
    }
}

static int open_socket(int type, uint16_t port)
{
    const int on = 1, size = 1 << 20;
    struct sockaddr_in sa = {AF_INET, htons(port), address, {0}};
    int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (type == SOCK_DGRAM) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
    if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
        (type == SOCK_STREAM && listen(fd, 1024) < 0)) {
        err(1, "port %d", port);
    }
    return fd;
}

static void accept_all(const struct thread *t)
{
    const int on = 1;
    int fd;
    while ((fd = accept4(t->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        watch(t, fd);
    }
}

static void answer_one(int fd)
{
    (void)send(fd, answer, answer_size, MSG_NOSIGNAL);
}

static void answer_parked(struct thread *t)
{
    uint64_t count;
    (void)!read(t->wake, &count, sizeof(count));
    for (size_t i = 0; i < t->parked_count; i++) {
        answer_one(t->parked[i]);
    }
    t->parked_count = 0;
}

static void read_request(struct thread *t, int fd)
{
    static _Thread_local char bytes[READ_SIZE_MAX];
    ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    if (n <= 0) {
        (void)close(fd);
    } else if (memcmp(bytes, "PUT", 3) == 0) {
        const uint64_t one = 1;
        answer_one(fd);
        for (size_t i = 0; i < threads_count; i++) {
            (void)!write(threads[i].wake, &one, sizeof(one));
        }
    } else if (memmem(bytes, (size_t)n, "index=", 6) != NULL && t->parked_count < PARKED_MAX) {
        t->parked[t->parked_count++] = fd;
    } else {
        answer_one(fd);
    }
}

struct batch {
    struct mmsghdr messages[BATCH_MAX];
    struct iovec iov[BATCH_MAX];
    struct sockaddr_in peers[BATCH_MAX];
    char bytes[BATCH_MAX][QUESTION_SIZE_MAX + RECORDS_SIZE];
};

static void answer_questions(const struct thread *t)
{
    static _Thread_local struct batch b;
    for (int i = 0; i < BATCH_MAX; i++) {
        b.iov[i] = (struct iovec){b.bytes[i], QUESTION_SIZE_MAX};
        b.messages[i].msg_hdr = (struct msghdr){.msg_name = &b.peers[i],
                                                .msg_namelen = sizeof(b.peers[i]),
                                                .msg_iov = &b.iov[i],
                                                .msg_iovlen = 1};
    }
    int n = recvmmsg(t->udp, b.messages, BATCH_MAX, 0, NULL);
    for (int i = 0; i < n; i++) {
        size_t size = b.messages[i].msg_len;
        b.bytes[i][2] = (char)(b.bytes[i][2] | 0x80); /* a response */
        memset(b.bytes[i] + size, 0, RECORDS_SIZE);
        b.iov[i].iov_len = size + RECORDS_SIZE;
    }
    for (int done = 0; done < n;) {
        int sent = sendmmsg(t->udp, b.messages + done, (unsigned)(n - done), 0);
        done += sent > 0 ? sent : 1;
    }
}

static void *run(void *data)
{
    struct thread *t = data;
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(t->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == t->listener) {
                accept_all(t);
            } else if (fd == t->udp) {
                answer_questions(t);
            } else if (fd == t->wake) {
                answer_parked(t);
            } else {
                read_request(t, fd);
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3 || inet_aton(argv[1], &address) == 0) {
        errx(2, "usage: floor ADDRESS THREADS");
    }
    threads_count = (size_t)strtoul(argv[2], NULL, 10);
    if (threads_count < 1 || threads_count > THREADS_MAX) {
        errx(2, "1 to %d threads", THREADS_MAX);
    }
    make_answer();
    for (size_t i = 0; i < threads_count; i++) {
        struct thread *t = &threads[i];
        t->epoll = epoll_create1(0);
        t->listener = open_socket(SOCK_STREAM, HTTP_PORT);
        t->udp = open_socket(SOCK_DGRAM, DNS_PORT);
        t->wake = eventfd(0, EFD_NONBLOCK);
        watch(t, t->listener);
        watch(t, t->udp);
        watch(t, t->wake);
    }
    for (size_t i = 0; i < threads_count; i++) {
        pthread_t id;
        if (pthread_create(&id, NULL, run, &threads[i]) != 0) {
            errx(1, "pthread_create");
        }
    }
    (void)pause();
    return 0;
}
