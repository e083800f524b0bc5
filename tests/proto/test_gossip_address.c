#include "test.h"

#include "proto/memberlist.h"

/* As Go's net.ParseIP() and String() have it; NULL: it is none. */
static const struct {
    const char *text, *printed;
} addresses[] = {
    {"1.2.3.4", "1.2.3.4"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"fe80::1:0:0:1", "fe80::1:0:0:1"},
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"},
    {"::ffff:10.0.0.1", "10.0.0.1"},
    {"::1.2.3.4", "::102:304"},
    {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"0:0:1:0:0:0:1:0", "0:0:1::1:0"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"ABCD:ef01::", "abcd:ef01::"},
    {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
    {"", NULL},
    {"1.2.3", NULL},
    {"1.2.3.4.5", NULL},
    {"1.2.3.256", NULL},
    {"1..2.3", NULL},
    {"1.2.3.4.", NULL},
    {"01.2.3.4", NULL},
    {"a.b.c.d", NULL},
    {"1.2.3.+4", NULL},
    {":", NULL},
    {"::1::", NULL},
    {":::", NULL},
    {"1:2:3:4:5:6:7", NULL},
    {"1:2:3:4:5:6:7:8:9", NULL},
    {"1:2:3:4:5:6:7:8::", NULL},
    {"12345::", NULL},
    {"g::", NULL},
    {"1:2:3:4:5:6:7:1.2.3.4", NULL},
    {"::1.2.3", NULL},
    {"1.2.3.4::", NULL},
    {"fe80::1%lo", NULL},
    {"[::1]", NULL},
    {"1:", NULL},
    {"::1:", NULL},
    {":1::2", NULL},
    {"1:2:3:4::5:6:7:8", NULL},
};

static void test_addresses(void **state)
{
    (void)state;
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct gossip_address a = {.size = 99};
        bool is_ip = gossip_address_parse_ip(str_from_cstr(addresses[i].text), &a);
        assert_int_equal(is_ip, addresses[i].printed != NULL);
        if (is_ip) {
            assert_int_equal(a.size, strchr(addresses[i].text, ':') != NULL ? 16 : 4);
            buf_clear(&b);
            gossip_address_format_ip(&a, &b);
            assert_str_equal(buf_view(&b), str_from_cstr(addresses[i].printed));
        } else {
            assert_int_equal(a.size, 99);
        }
    }
    struct gossip_address a = {.size = 16, .ip = {[15] = 1}, .port = 8301};
    buf_clear(&b);
    gossip_address_format(&a, &b);
    a.ip[10] = a.ip[11] = 0xff;
    gossip_address_format(&a, &b);
    a.size = 0;
    gossip_address_format(&a, &b);
    assert_str_lit(buf_view(&b), "[::1]:83010.0.0.1:8301:8301");
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
