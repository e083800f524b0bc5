#include "test.h"

#include "base/err.h"
#include "loop/udp.h"

enum { COUNT = 200 };

static struct loop *loop;
static struct udp_socket server, client;
static int answered;
static bool seen[COUNT];

static void serve(struct udp_socket *s, struct str data, const struct udp_peer *peer)
{
    udp_send(s, data, peer);
}

static void count_answer(struct udp_socket *s, struct str data, const struct udp_peer *peer)
{
    (void)s;
    struct address expected;
    udp_local_address(&server, &expected);
    assert_int_equal(address_port(&peer->address), address_port(&expected));
    uint16_t i;
    assert_int_equal(data.n, sizeof(i));
    memcpy(&i, data.p, sizeof(i));
    assert_true(i < COUNT && !seen[i]);
    seen[i] = true;
    if (++answered == COUNT) {
        loop_stop(loop);
    }
}

/* Datagrams may be dropped by the kernel: what is still missing is sent again. */
static struct loop_timer again;
static struct udp_peer server_peer;
static void send_missing(struct loop_timer *t)
{
    for (uint16_t i = 0; i < COUNT; i++) {
        if (!seen[i]) {
            udp_send(&client, str_make(&i, sizeof(i)), &server_peer);
        }
    }
    loop_timer_start(loop, t, 5000, send_missing);
}

static void exchange(const char *server_ip, const char *to_ip)
{
    struct address a;
    memset(seen, 0, sizeof(seen));
    answered = 0;
    again = (struct loop_timer){0};
    loop = loop_new("udp");
    assert_ok(address_parse(&a, str_from_cstr(server_ip), 0, NULL));
    assert_ok(udp_open(&server, loop, &a, &(struct udp_options){.reuse_port = true}, serve, NULL));
    assert_ok(address_parse(&a, STR("127.0.0.1"), 0, NULL));
    assert_ok(udp_open(&client, loop, &a, &(struct udp_options){0}, count_answer, NULL));
    struct address bound;
    udp_local_address(&server, &bound);
    server_peer = (struct udp_peer){0};
    assert_ok(
        address_parse(&server_peer.address, str_from_cstr(to_ip), address_port(&bound), NULL));
    loop_timer_start(loop, &again, 0, send_missing);
    loop_run(loop);
    assert_int_equal(answered, COUNT);
    udp_close(&server);
    loop_free(loop);
}

static void test_batches(void **state)
{
    (void)state;
    exchange("127.0.0.1", "127.0.0.1");
}

static void test_wildcard_answers_from_the_asked_address(void **state)
{
    (void)state;
    exchange("0.0.0.0", "127.0.0.2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_wildcard_answers_from_the_asked_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
