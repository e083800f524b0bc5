#include "test.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/mem.h"
#include "proto/seal.h"

/* Sealed by Go's crypto/cipher with keys of 00 01 02 …, the nonce a0 a1 … ab. */
#define PLAIN "the quick brown fox"
static const struct {
    size_t key_size;
    const char *version_1, *version_0;
} sealed[] = {
    {16,
     "01a0a1a2a3a4a5a6a7a8a9aaabdeee5d9b0ffc5a69e158d7722965de4035815beafe8b9f370cf9fd04df3e1df"
     "67529c5",
     "00a0a1a2a3a4a5a6a7a8a9aaabdeee5d9b0ffc5a69e158d7722965de4035815b058e1a30a2281d7c964f8082a5ffb"
     "400f2e2099c70653242223fc3d368"},
    {24,
     "01a0a1a2a3a4a5a6a7a8a9aaab4f0adb42882671109515ddb380aa9a59f27853b1d3f701e20cd96b45a564783"
     "89a8a35",
     "00a0a1a2a3a4a5a6a7a8a9aaab4f0adb42882671109515ddb380aa9a59f278531f903f43d49f8127e67bbfb536e67"
     "0200567cf964bb8c74019edbb2f20"},
    {32,
     "01a0a1a2a3a4a5a6a7a8a9aaab9270190d34be6bdc0945e5a1680daefe16c321e961db6edcbedc63d2a70400c"
     "93f1fc3",
     "00a0a1a2a3a4a5a6a7a8a9aaab9270190d34be6bdc0945e5a1680daefe16c3211d9fba4f6191032b8b72a6780c1f2"
     "d825a4e37b99159b15e8c7be980d4"},
};
#define FRAME_32                                                                                  \
    "0a0000003001a0a1a2a3a4a5a6a7a8a9aaab9270190d34be6bdc0945e5a1680daefe16c32108b62f21be2e60ede" \
    "50dda5b62a28f54"

static uint8_t key_bytes[32], nonce[SEAL_NONCE_SIZE];

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(key_bytes); i++) {
        key_bytes[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof(nonce); i++) {
        nonce[i] = (uint8_t)(0xa0 + i);
    }
    return 0;
}

static struct str hex(struct arena *a, const char *text)
{
    struct str s;
    assert_ok(hex_decode(a, str_from_cstr(text), &s));
    return s;
}

static void test_golden(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_SIZE(sealed); i++) {
        struct seal_ring *r = seal_ring_new();
        struct buf b = {0};
        assert_ok(seal_ring_add(r, str_make(key_bytes, sealed[i].key_size), &err));
        /* Twice: the contexts are used again. */
        for (int round = 0; round < 2; round++) {
            buf_clear(&b);
            seal_packet(r, nonce, STR(PLAIN), &b);
            assert_str_equal(buf_view(&b), hex(&a, sealed[i].version_1));
            buf_clear(&b);
            assert_ok(seal_packet_open(r, hex(&a, sealed[i].version_1), &b, &err));
            assert_ok(seal_packet_open(r, hex(&a, sealed[i].version_0), &b, &err));
            assert_str_lit(buf_view(&b), PLAIN PLAIN);
        }
        if (sealed[i].key_size == 32) {
            buf_clear(&b);
            seal_frame(r, nonce, STR(PLAIN), &b);
            assert_str_equal(buf_view(&b), hex(&a, FRAME_32));
            buf_clear(&b);
            assert_ok(seal_frame_open(r, hex(&a, FRAME_32), &b, &err));
            assert_str_lit(buf_view(&b), PLAIN);
        }
        buf_deinit(&b);
        seal_ring_free(r);
    }
    arena_deinit(&a);
}

static struct seal_ring *ring_of(size_t key_size)
{
    struct seal_ring *r = seal_ring_new();
    struct err err = {0};
    assert_ok(seal_ring_add(r, str_make(key_bytes, key_size), &err));
    return r;
}

/* No bit of a datagram or frame may be another, none may be missing. */
static void test_damage(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};
    struct seal_ring *r = ring_of(32);
    struct str frame = hex(&a, FRAME_32);
    for (size_t i = 0; i < frame.n * 8; i++) {
        char *p = xmemdup(frame.p, frame.n);
        p[i / 8] = (char)(p[i / 8] ^ 1 << i % 8);
        assert_true(seal_frame_open(r, str_make(p, frame.n), &b, &err) < 0);
        assert_true(seal_packet_open(r, str_make(p + 5, frame.n - 5), &b, &err) < 0);
        mem_free(p);
    }
    for (size_t n = 0; n < frame.n; n++) {
        char *p = xmemdup(frame.p, frame.n); /* exactly as long, for ASan */
        p = xrealloc(p, n > 0 ? n : 1);
        assert_true(seal_frame_open(r, str_make(p, n), &b, &err) < 0);
        assert_true(n < 5 || seal_packet_open(r, str_make(p + 5, n - 5), &b, &err) < 0);
        mem_free(p);
    }
    /* A frame is no datagram: its header is authenticated. */
    assert_int_equal(seal_packet_open(r, str_from(frame, 5), &b, &err), -ERR_PERMISSION_DENIED);
    assert_string_equal(err_text(&err), "No installed keys could decrypt the message");
    assert_int_equal(b.n, 0);
    seal_ring_free(r);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void test_padding(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};
    struct seal_ring *r = ring_of(32);
    /* Empty messages of both versions. */
    assert_ok(seal_packet_open(r,
                               hex(&a, "01a0a1a2a3a4a5a6a7a8a9aaab5c699625af4b93a0f8220a2a6119c5"
                                       "d0"),
                               &b, &err));
    assert_ok(seal_packet_open(r,
                               hex(&a, "00a0a1a2a3a4a5a6a7a8a9aaabf6086c3d55db12af727597c3176ad0"
                                       "ce6e0695199494450fbe3fccbfcfa94849"),
                               &b, &err));
    /* Sealed with a known key, but the padding says 17 of 16, or 0 2 where 2 2 should be. */
    assert_int_equal(seal_packet_open(r,
                                      hex(&a, "00a0a1a2a3a4a5a6a7a8a9aaabe6187c2d45cb02bf626587d"
                                              "3077ac0cf36b23f957baa070c6213d3e17b987ed7"),
                                      &b, &err),
                     -ERR_INVALID);
    assert_int_equal(seal_packet_open(r,
                                      hex(&a, "00a0a1a2a3a4a5a6a7a8a9aaabe6187c2d45cb02bf626587d"
                                              "3077ac0dc0cc37485f25344d1f7bce773f3f1567a"),
                                      &b, &err),
                     -ERR_INVALID);
    assert_int_equal(b.n, 0);
    seal_ring_free(r);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void test_ring(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf b = {0}, plain = {0};
    struct seal_ring *r = seal_ring_new();
    struct str k[3] = {str_make(key_bytes, 16), str_make(key_bytes, 24), str_make(key_bytes, 32)};
    assert_int_equal(seal_ring_count(r), 0);
    assert_ok(seal_ring_remove(r, k[0], &err));
    assert_int_equal(seal_ring_use(r, k[0], &err), -ERR_NOT_FOUND);
    assert_string_equal(err_text(&err), "Requested key is not in the keyring");
    for (size_t n = 0; n < 40; n++) {
        char bytes[40] = {0};
        assert_int_equal(seal_key_size_is_valid(n), n == 16 || n == 24 || n == 32);
        if (!seal_key_size_is_valid(n)) {
            assert_int_equal(seal_ring_add(r, str_make(bytes, n), &err), -ERR_INVALID);
        }
    }
    assert_string_equal(err_text(&err), "key size must be 16, 24 or 32 bytes");
    for (size_t i = 0; i < 3; i++) {
        assert_ok(seal_ring_add(r, k[i], &err));
        assert_ok(seal_ring_add(r, k[0], &err));
    }
    assert_int_equal(seal_ring_count(r), 3);
    assert_str_equal(seal_ring_key(r, 0), k[0]);
    /* Using one moves it to the front, the others keep their order. */
    assert_ok(seal_ring_use(r, k[2], &err));
    assert_ok(seal_ring_use(r, k[2], &err));
    assert_str_equal(seal_ring_key(r, 0), k[2]);
    assert_str_equal(seal_ring_key(r, 1), k[0]);
    assert_str_equal(seal_ring_key(r, 2), k[1]);
    assert_int_equal(seal_ring_remove(r, k[2], &err), -ERR_CONFLICT);
    assert_string_equal(err_text(&err), "Removing the primary key is not allowed");

    /* What the old key sealed is read until that key is gone. */
    seal_packet(r, nonce, STR(PLAIN), &b);
    assert_ok(seal_ring_use(r, k[1], &err));
    assert_ok(seal_packet_open(r, buf_view(&b), &plain, &err));
    assert_ok(seal_ring_remove(r, k[2], &err));
    assert_false(seal_ring_has(r, k[2]));
    assert_true(seal_ring_has(r, k[0]));
    assert_int_equal(seal_packet_open(r, buf_view(&b), &plain, &err), -ERR_PERMISSION_DENIED);
    assert_str_lit(buf_view(&plain), PLAIN);

    for (size_t i = seal_ring_count(r); i < SEAL_KEYS_MAX; i++) {
        uint8_t key[16] = {(uint8_t)i};
        assert_ok(seal_ring_add(r, str_make(key, sizeof(key)), &err));
    }
    assert_int_equal(seal_ring_add(r, k[2], &err), -ERR_TOO_LARGE);
    assert_ok(seal_ring_add(r, k[1], &err));
    seal_ring_free(r);
    assert_null(seal_ring_free(NULL));
    buf_deinit(&b);
    buf_deinit(&plain);
}

static void test_limits(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf b = {0}, plain = {0};
    struct seal_ring *r = ring_of(16);
    const size_t size_max = SEAL_FRAME_SIZE_MAX - SEAL_OVERHEAD;
    char *bytes = xcalloc(1, size_max + 1);
    seal_frame(r, nonce, str_make(bytes, size_max), &b);
    assert_false(b.failed);
    assert_int_equal(seal_frame_size(buf_view(&b), &err), SEAL_FRAME_SIZE_MAX + SEAL_FRAME_HEADER);
    assert_ok(seal_frame_open(r, buf_view(&b), &plain, &err));
    assert_int_equal(plain.n, size_max);
    buf_clear(&b);
    seal_frame(r, nonce, str_make(bytes, size_max + 1), &b);
    assert_true(b.failed);
    mem_free(bytes);

    for (size_t n = 0; n < 5; n++) {
        assert_int_equal(seal_frame_size(str_make("\x0a\0\0\0", n), &err), 0);
        assert_true(seal_frame_open(r, str_make("\x0a\0\0\0", n), &plain, &err) < 0);
    }
    assert_int_equal(seal_frame_size(STR("\x0a\0\0\0\x1d"), &err), 5 + 29);
    assert_int_equal(seal_frame_size(STR("\x0a\0\0\0\x1c"), &err), -ERR_INVALID);
    assert_int_equal(seal_frame_size(STR("\x0a\x01\x40\0\0"), &err), SEAL_FRAME_SIZE_MAX + 5);
    assert_int_equal(seal_frame_size(STR("\x0a\x01\x40\0\1"), &err), -ERR_TOO_LARGE);
    assert_int_equal(seal_frame_size(STR("\x06"), &err), -ERR_INVALID);
    /* Longer or shorter than it says. */
    buf_clear(&b);
    seal_frame(r, nonce, STR(PLAIN), &b);
    buf_byte(&b, 0);
    assert_int_equal(seal_frame_open(r, buf_view(&b), &plain, &err), -ERR_INVALID);
    assert_int_equal(seal_packet_open(r, STR_NULL, &plain, &err), -ERR_INVALID);
    assert_string_equal(err_text(&err), "Cannot decrypt empty payload");
    assert_int_equal(seal_packet_open(r, STR("\2"), &plain, &err), -ERR_INVALID);
    assert_string_equal(err_text(&err), "Unsupported encryption version 2");
    /* A buffer without room. */
    struct buf narrow;
    buf_init(&narrow, 20);
    seal_packet(r, nonce, STR(PLAIN), &narrow);
    assert_true(narrow.failed);
    buf_deinit(&narrow);
    buf_deinit(&b);
    buf_deinit(&plain);
    seal_ring_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),  cmocka_unit_test(test_damage),
        cmocka_unit_test(test_padding), cmocka_unit_test(test_ring),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
