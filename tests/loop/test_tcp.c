#include "test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "loop/tcp.h"

/* An echo server and one client in one loop. */
static struct loop *loop;
static struct tcp_listener listener;
static int closed_count;

struct peer {
    struct tcp_stream s;
    size_t received;
    bool echo, eof, heap;
    int failed;
};

static size_t to_send;

static void peer_read(struct tcp_stream *s, const char *p, size_t n)
{
    struct peer *peer = container_of(s, struct peer, s);
    if (peer->echo) {
        const struct iovec iov = {(void *)p, n};
        assert_ok(tcp_write(s, &iov, 1));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal((uint8_t)p[i], (uint8_t)((peer->received + i) * 7));
    }
    peer->received += n;
    if (peer->received == to_send) {
        tcp_close(s);
    }
}
static void peer_eof(struct tcp_stream *s)
{
    container_of(s, struct peer, s)->eof = true;
    tcp_close(s);
}
static void peer_fail(struct tcp_stream *s, int code)
{
    container_of(s, struct peer, s)->failed = code;
    tcp_close(s);
}
static void peer_closed(struct tcp_stream *s)
{
    struct peer *peer = container_of(s, struct peer, s);
    closed_count++;
    if (peer->heap) {
        mem_free(peer);
    }
    if (closed_count == 2) {
        loop_stop(loop);
    }
}
static void client_connected(struct tcp_stream *s)
{
    struct buf b = {0};
    for (size_t i = 0; i < to_send; i++) {
        buf_byte(&b, (uint8_t)(i * 7));
    }
    assert_ok(tcp_write_buf(s, &b));
    assert_int_equal(b.n, 0);
    buf_deinit(&b);
}
static const struct tcp_ops peer_ops = {.read = peer_read,
                                        .eof = peer_eof,
                                        .fail = peer_fail,
                                        .connected = client_connected,
                                        .closed = peer_closed};

static void accept_peer(struct tcp_listener *l, int fd, const struct address *from)
{
    (void)from;
    struct peer *peer = xcalloc(1, sizeof(*peer));
    peer->echo = peer->heap = true;
    tcp_start(&peer->s, l->loop, fd, &peer_ops);
}

static void echo(const struct address *address, size_t size)
{
    struct err err = {0};
    to_send = size;
    closed_count = 0;
    loop = loop_new("echo");
    memset(&listener, 0, sizeof(listener));
    int fd = listen_socket(
        address, &(struct listen_options){.reuse_port = true, .exclusive = true, .mode = "600"},
        &err);
    if (fd < 0) {
        fail_msg("%s", err.text);
    }
    struct address bound = {.size = sizeof(bound.sa)};
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound.sa, &bound.size), 0);
    tcp_listener_start(&listener, loop, fd, accept_peer);
    struct peer client = {0};
    assert_ok(tcp_connect(&client.s, loop, &bound, NULL, &peer_ops));
    loop_run(loop);
    assert_int_equal(client.received, size);
    assert_int_equal(client.failed, 0);
    tcp_listener_close(&listener);
    loop_free(loop);
}

static void test_echo_tcp(void **state)
{
    (void)state;
    struct address a;
    assert_ok(address_parse(&a, STR("127.0.0.1"), 0, NULL));
    echo(&a, 100);
    echo(&a, 20u << 20); /* far more than the socket's buffers: the rest is kept and drained */
}

static void test_echo_unix(void **state)
{
    (void)state;
    char dir[] = "test_tcp.XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct arena arena = {0};
    struct str path = arena_printf(&arena, "unix://%s/socket", dir);
    struct address a;
    assert_ok(address_parse(&a, path, 0, NULL));
    echo(&a, 5000);
    struct stat st;
    assert_int_equal(stat(path.p + 7, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    echo(&a, 10); /* over the file the last one left */
    assert_int_equal(unlink(path.p + 7), 0);
    assert_int_equal(rmdir(dir), 0);
    arena_deinit(&arena);
}

static void test_listening_twice_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct address a;
    assert_ok(address_parse(&a, STR("127.0.0.1"), 0, NULL));
    const struct listen_options first = {.reuse_port = true, .exclusive = true};
    const struct listen_options more = {.reuse_port = true};
    int fd = listen_socket(&a, &first, &err);
    assert_ok(fd);
    a.size = sizeof(a.sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a.sa, &a.size), 0);
    int second = listen_socket(&a, &more, &err); /* another worker's */
    assert_ok(second);
    assert_true(listen_socket(&a, &first, &err) < 0); /* another program's */
    assert_non_null(strstr(err.text, "in use"));
    close(fd);
    close(second);
}

static void refused_fail(struct tcp_stream *s, int code)
{
    peer_fail(s, code);
    loop_stop(loop);
}

static void test_connect_refused(void **state)
{
    (void)state;
    const struct tcp_ops ops = {
        .read = peer_read, .eof = peer_eof, .fail = refused_fail, .closed = peer_closed};
    struct address a;
    loop = loop_new("one");
    assert_ok(address_parse(&a, STR("127.0.0.1"), 1, NULL));
    struct peer client = {0};
    if (tcp_connect(&client.s, loop, &a, NULL, &ops) == 0) {
        loop_run(loop);
        assert_true(client.failed < 0);
    }
    loop_free(loop);
}

/* Streams that are open when their loop goes away are closed and freed by their owners. */
static void stop_on_connected(struct tcp_stream *s)
{
    (void)s;
    loop_stop(loop);
}

static void test_free_closes_streams(void **state)
{
    (void)state;
    const struct tcp_ops ops = {.read = peer_read,
                                .eof = peer_eof,
                                .fail = peer_fail,
                                .connected = stop_on_connected,
                                .closed = peer_closed};
    struct address a;
    closed_count = 0;
    loop = loop_new("one");
    memset(&listener, 0, sizeof(listener));
    assert_ok(address_parse(&a, STR("127.0.0.1"), 0, NULL));
    int fd = listen_socket(&a, &(struct listen_options){0}, NULL);
    assert_ok(fd);
    a.size = sizeof(a.sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a.sa, &a.size), 0);
    tcp_listener_start(&listener, loop, fd, accept_peer);
    struct peer *client = xcalloc(1, sizeof(*client));
    client->heap = true;
    assert_ok(tcp_connect(&client->s, loop, &a, NULL, &ops));
    loop_run(loop);
    loop_free(loop);
    assert_true(closed_count >= 1);
}

static void test_address(void **state)
{
    (void)state;
    struct address a;
    struct buf out = {0};
    char ip[ADDRESS_IP_SIZE_MAX];
    assert_ok(address_parse_host_port(&a, STR("[::1]:8500"), NULL));
    address_format(&a, &out);
    assert_str_lit(buf_view(&out), "[::1]:8500");
    assert_ok(address_parse(&a, STR("::ffff:10.0.0.1"), 1, NULL));
    assert_str_lit(address_ip(&a, ip), "10.0.0.1");
    assert_true(address_parse(&a, STR("localhost"), 1, NULL) < 0);
    assert_true(address_parse(&a, STR("unix://"), 1, NULL) < 0);
    assert_true(address_parse_host_port(&a, STR("1.2.3.4:65536"), NULL) < 0);
    assert_ok(address_parse(&a, STR("unix:///run/x"), 1, NULL));
    assert_str_lit(address_ip(&a, ip), "@");
    buf_deinit(&out);
}

/* Hands each connection it accepts to a stream on another loop, with the first byte it read. */
static struct loop *other_loop;
static struct peer taken;

struct hand_over {
    struct loop_msg msg;
    int fd;
};
static struct hand_over hand_over;

static void hand_over_run(struct loop_msg *msg)
{
    (void)msg;
    taken.echo = true;
    tcp_start(&taken.s, other_loop, hand_over.fd, &peer_ops);
    const struct iovec iov = {(void *)"\0", 1}; /* the byte the first owner has read */
    assert_ok(tcp_write(&taken.s, &iov, 1));
}

static void first_read(struct tcp_stream *s, const char *p, size_t n)
{
    (void)p;
    assert_int_equal(n, 1);
    hand_over.fd = tcp_detach(s);
    hand_over.msg.run = hand_over_run;
    loop_post(other_loop, &hand_over.msg);
}

static void first_closed(struct tcp_stream *s)
{
    mem_free(container_of(s, struct peer, s));
}

static void accept_first(struct tcp_listener *l, int fd, const struct address *from)
{
    static const struct tcp_ops ops = {
        .read = first_read, .eof = peer_eof, .fail = peer_fail, .closed = first_closed};
    struct peer *peer = xcalloc(1, sizeof(*peer));
    (void)from;
    tcp_start(&peer->s, l->loop, fd, &ops);
}

static struct peer asker;

static void asker_connected(struct tcp_stream *s)
{
    const struct iovec iov = {(void *)"\0", 1};
    assert_ok(tcp_write(s, &iov, 1));
}

static void asker_read(struct tcp_stream *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) { /* 0, 7, 14, ...: each byte is answered by the next */
        assert_int_equal((uint8_t)p[i], (uint8_t)(asker.received * 7));
        asker.received++;
        if (asker.received == 100) {
            tcp_close(s);
            return;
        }
        char next = (char)(uint8_t)(asker.received * 7);
        const struct iovec iov = {&next, 1};
        assert_ok(tcp_write(s, &iov, 1));
    }
}

static void test_detached_goes_on_elsewhere(void **state)
{
    static const struct tcp_ops asker_ops = {.read = asker_read,
                                             .eof = peer_eof,
                                             .fail = peer_fail,
                                             .connected = asker_connected,
                                             .closed = peer_closed};
    (void)state;
    struct address a;
    assert_ok(address_parse(&a, STR("127.0.0.1"), 0, NULL));
    closed_count = 0;
    taken = asker = (struct peer){0};
    loop = loop_new("first");
    other_loop = loop_new("other");
    memset(&listener, 0, sizeof(listener));
    int fd = listen_socket(&a, &(struct listen_options){0}, NULL);
    assert_ok(fd);
    a.size = sizeof(a.sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a.sa, &a.size), 0);
    tcp_listener_start(&listener, loop, fd, accept_first);
    assert_ok(tcp_connect(&asker.s, other_loop, &a, NULL, &asker_ops));
    loop_thread_start(loop);
    struct loop *first = loop;
    loop = other_loop; /* which the peers stop */
    loop_run(other_loop);
    loop_stop(first);
    loop_thread_join(first);
    assert_int_equal(asker.received, 100);
    assert_int_equal(asker.failed, 0);
    loop_free(first);
    loop_free(other_loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_echo_tcp),
        cmocka_unit_test(test_echo_unix),
        cmocka_unit_test(test_listening_twice_is_refused),
        cmocka_unit_test(test_connect_refused),
        cmocka_unit_test(test_free_closes_streams),
        cmocka_unit_test(test_detached_goes_on_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
