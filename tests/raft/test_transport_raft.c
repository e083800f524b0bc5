/* Three whole nodes over TCP, each on threads of its own: they elect, replicate, elect again when
 * the leader goes, and bring an empty server up with a snapshot. */
#include "test.h"

#include "base/buf.h"
#include "raft/configuration.h"
#include "raft/transport_tcp.h"
#include "sim_io.h"
#include "toy_fsm.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "loop/address.h"
#include "loop/loop.h"

enum { COUNT = 3 };

struct server {
    struct sim_io *disk;
    struct toy toy;
    struct loop *loop;
    struct raft *r;
    char id[16], host[32], address[64];
    int listening;
    pthread_t acceptor;
    pthread_mutex_t lock;
    struct raft_transport *t; /* under the lock; NULL: it is down */
};

static struct server servers[COUNT];

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* The port's side: takes the first byte and hands the connection over. */
static void *accept_run(void *data)
{
    struct server *s = data;
    for (int fd; (fd = accept(s->listening, NULL, NULL)) >= 0;) {
        char first = 0;
        bool is_raft = recv(fd, &first, 1, 0) == 1 && first == 1;
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)pthread_mutex_lock(&s->lock);
        if (is_raft && s->t != NULL) {
            raft_transport_tcp_accept(s->t, fd, NULL, STR_NULL);
        } else {
            (void)close(fd);
        }
        (void)pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static void server_listen(struct server *s, int i)
{
    char host[32];
    (void)snprintf(s->id, sizeof(s->id), "s%d", i);
    (void)snprintf(host, sizeof(host), "127.0.76.%d", i + 1);
    memcpy(s->host, host, sizeof(host));
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof(a);
    assert_int_equal(inet_pton(AF_INET, host, &a.sin_addr), 1);
    s->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listening, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->listening, 64), 0);
    assert_int_equal(getsockname(s->listening, (struct sockaddr *)&a, &size), 0);
    (void)snprintf(s->address, sizeof(s->address), "%s:%u", host, ntohs(a.sin_port));
    assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
    assert_int_equal(pthread_create(&s->acceptor, NULL, accept_run, s), 0);
}

static void server_start(struct server *s, uint64_t seed)
{
    struct err err = {0};
    s->disk = sim_io_new(seed);
    s->loop = loop_new(s->id);
    toy_init(&s->toy);
    struct raft_transport *t = raft_transport_tcp_new(
        &(struct raft_transport_tcp_options){.loop = s->loop, .bind_host = str_from_cstr(s->host)});
    struct raft_options o = {.io = &s->disk->io,
                             .data_dir = "raft",
                             .local_id = str_from_cstr(s->id),
                             .local_address = str_from_cstr(s->address),
                             .snapshot_threshold = 200,
                             .snapshot_interval_ms = 10,
                             .trailing_logs = 20,
                             .loop = s->loop,
                             .transport = t,
                             .ops = &s->toy.ops,
                             .fsm = &s->toy};
    if (raft_start(&o, &s->r, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    (void)pthread_mutex_lock(&s->lock);
    s->t = t;
    (void)pthread_mutex_unlock(&s->lock);
}

static void server_stop(struct server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->t = NULL;
    (void)pthread_mutex_unlock(&s->lock);
    raft_stop(s->r);
    s->r = raft_free(s->r);
    s->loop = loop_free(s->loop);
    s->disk = sim_io_free(s->disk);
}

static struct server *leader(void)
{
    for (int turns = 0; turns < 60000; turns++) {
        for (int i = 0; i < COUNT; i++) {
            if (servers[i].r != NULL && raft_is_leader(servers[i].r)) {
                return &servers[i];
            }
        }
        nap();
    }
    fail_msg("nobody leads");
    return NULL;
}

struct asking {
    struct raft_request q;
    _Atomic int code; /* 1: done */
};

static void on_done(struct raft_request *q, int code)
{
    atomic_store(&container_of(q, struct asking, q)->code, code == 0 ? 1 : code);
}

static int ask(struct server *s, struct asking *a)
{
    atomic_store(&a->code, 0);
    a->q.done = on_done;
    raft_request(s->r, &a->q);
    while (atomic_load(&a->code) == 0) {
        nap();
    }
    return atomic_load(&a->code);
}

static void bootstrap(void)
{
    static struct raft_configuration c;
    for (int i = 0; i < COUNT; i++) {
        assert_ok(raft_configuration_add(&c, RAFT_VOTER, str_from_cstr(servers[i].id),
                                         str_from_cstr(servers[i].address), NULL));
    }
    struct asking a = {.q = {.kind = RAFT_REQUEST_BOOTSTRAP, .configuration = &c}};
    assert_int_equal(ask(&servers[0], &a), 1);
}

/* Puts other state in the place of what there was: now the logs begin behind it, and the only way
 * to the others is a snapshot. */
static void restore(void)
{
    char bytes[40] = {0};
    put_le64(bytes, TOY_MAGIC);
    put_le64(bytes + 8, 1000000);
    struct asking a = {.q = {.kind = RAFT_REQUEST_RESTORE, .bytes = {bytes, sizeof(bytes)}}};
    while (ask(leader(), &a) != 1) {
        nap(); /* another leads by now */
    }
}

/* Through whoever leads; leadership may still move on a slow machine. */
static void write_some(uint64_t count)
{
    static struct toy_proposal p[500];
    assert_true(count <= ARRAY_SIZE(p));
    for (uint64_t done = 0; done < count;) {
        struct server *s = leader();
        for (uint64_t i = done; i < count; i++) {
            toy_propose(s->r, &s->toy, &p[i], i);
        }
        uint64_t from = done;
        for (uint64_t i = from; i < count; i++) {
            done += toy_wait(&p[i]) == 0 && done == i;
        }
    }
}

static uint64_t applied(const struct server *s)
{
    struct raft_status status;
    raft_status(s->r, &status);
    return status.applied_index;
}

/* Until all have applied the same. */
static void settle(void)
{
    for (int turns = 0; turns < 60000; turns++) {
        uint64_t index = applied(leader());
        bool is_same = true;
        for (int i = 0; i < COUNT; i++) {
            is_same &= servers[i].r == NULL || applied(&servers[i]) == index;
        }
        if (is_same) {
            return;
        }
        nap();
    }
    fail_msg("they do not agree");
}

static void test_three(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        server_listen(&servers[i], i);
    }
    for (int i = 0; i < COUNT; i++) {
        server_start(&servers[i], (uint64_t)i);
    }
    bootstrap();
    for (int i = 0; i < 4; i++) {
        write_some(500);
    }
    settle();
    restore();
    write_some(500);
    settle();

    struct server *old = leader();
    server_stop(old);
    write_some(500); /* another leads */
    settle();

    server_start(old, 9); /* of an empty disk */
    write_some(10);
    settle();

    for (int i = 0; i < COUNT; i++) {
        raft_stop(servers[i].r);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_true(servers[i].toy.restores > 0);
    }
    for (int i = 1; i < COUNT; i++) {
        if (servers[i].toy.last_index == servers[0].toy.last_index) {
            assert_int_equal(servers[i].toy.hash, servers[0].toy.hash);
        }
    }
    assert_true(servers[0].toy.count >= 1000000 + 1010);
    for (int i = 0; i < COUNT; i++) {
        server_stop(&servers[i]);
        (void)shutdown(servers[i].listening, SHUT_RDWR);
        (void)pthread_join(servers[i].acceptor, NULL);
        (void)close(servers[i].listening);
        (void)pthread_mutex_destroy(&servers[i].lock);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_three)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
