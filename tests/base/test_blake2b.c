#include "test.h"

#include "base/blake2b.h"
#include "base/encode.h"

/* Hashed in pieces of `piece` bytes, in hexadecimal. */
static struct str hash_in_pieces(struct str bytes, size_t piece, struct buf *to)
{
    struct blake2b h;
    uint8_t digest[BLAKE2B_SIZE];
    blake2b_init(&h);
    for (; bytes.n > 0; bytes = str_from(bytes, piece)) {
        blake2b_add(&h, str_first(bytes, piece));
    }
    blake2b_finish(&h, digest);
    buf_clear(to);
    hex_encode(to, str_make(digest, sizeof(digest)));
    return buf_view(to);
}

static void test_hashes(void **state)
{
    (void)state;
    static const struct {
        char fill;
        size_t n;
        struct str hash;
    } cases[] = {
        {0, 0, STR_INIT("0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8")},
        {'x', 128, STR_INIT("164ffb7089bae6f5a62fb0795e751dc9e88eac92e1a5b2fafe93a25abf2d9c3b")},
        {'y', 129, STR_INIT("1fae0060de404a27c2a5cb5668c24b7277cc51ddd2c3dae88b8a824a81193a49")},
        {'z', 1000, STR_INIT("ede3c7fe61664448156ffacd74769c14d598dd38fc8eb46e06ba84c6e5b2b990")},
    };
    static const size_t pieces[] = {1, 7, 64, 128, 200, 1000};
    char bytes[1000];
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        memset(bytes, cases[i].fill, cases[i].n);
        for (size_t j = 0; j < ARRAY_SIZE(pieces); j++) {
            struct str hash = hash_in_pieces(str_make(bytes, cases[i].n), pieces[j], &b);
            assert_str_equal(hash, cases[i].hash);
        }
    }
    assert_str_equal(hash_in_pieces(STR("abc"), 3, &b),
                     STR("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
