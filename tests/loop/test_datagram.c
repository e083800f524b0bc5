#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "loop/datagram.h"

/* A bound socket to receive with, and where it is. */
static int receiver(struct address *at)
{
    int fd = socket(at->sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at->sa, at->size), 0);
    socklen_t size = sizeof(at->sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at->sa, &size), 0);
    return fd;
}

static void assert_received(int fd, struct str want)
{
    char text[64];
    ssize_t n = recv(fd, text, sizeof(text), 0); /* it has been sent: this does not wait */
    assert_true(n >= 0);
    assert_str_equal(str_make(text, (size_t)n), want);
}

static void test_udp(void **state)
{
    (void)state;
    struct address at;
    assert_int_equal(address_parse(&at, STR("127.0.0.1"), 0, NULL), 0);
    int in = receiver(&at), out = datagram_open(&at, NULL);
    assert_true(out >= 0);
    assert_int_equal(datagram_send(out, STR("one")), 0);
    assert_int_equal(datagram_send(out, STR("two")), 0);
    assert_received(in, STR("one"));
    assert_received(in, STR("two"));
    /* Nobody is there any more: the kernel tells with the next but one. */
    (void)close(in);
    assert_int_equal(datagram_send(out, STR("three")), 0);
    assert_int_equal(datagram_send(out, STR("four")), -ECONNREFUSED);
    (void)close(out);
}

static void test_full_buffers_do_not_block(void **state)
{
    (void)state;
    char path[] = "/tmp/consul-datagram-XXXXXX";
    assert_non_null(mkdtemp(path));
    struct address at = {.size = sizeof(struct sockaddr_un)};
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&at.sa;
    un->sun_family = AF_UNIX;
    size_t n = strlen(path);
    memcpy(un->sun_path, path, n);
    memcpy(un->sun_path + n, "/s", 3);
    struct err err = {0};
    assert_true(datagram_open(&at, &err) < 0);
    assert_int_equal(err.code, ENOENT);
    int in = receiver(&at), out = datagram_open(&at, NULL);
    assert_true(out >= 0);
    for (int i = 0; i < 1000; i++) { /* more than the queue of a unix socket takes */
        assert_int_equal(datagram_send(out, STR("line")), 0);
    }
    assert_received(in, STR("line"));
    (void)close(in);
    (void)close(out);
    assert_int_equal(unlink(un->sun_path), 0);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp),
        cmocka_unit_test(test_full_buffers_do_not_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
