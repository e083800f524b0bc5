/* Any bytes as sealed by who has the key, which nobody finds by chance: they are opened as they
 * are, and as plain text they are sealed and opened again. The first byte chooses what is tried. */
#include "base/err.h"
#include "base/mem.h"
#include "proto/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seal_ring *ring_make(void)
{
    struct seal_ring *r = seal_ring_new();
    uint8_t key[SEAL_KEY_SIZE_MAX];
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)i;
    }
    ASSERT(seal_ring_add(r, str_make(key + 1, 16), NULL) == 0);
    ASSERT(seal_ring_add(r, str_make(key, sizeof(key)), NULL) == 0); /* the recorded one */
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nonce[SEAL_NONCE_SIZE] = {1, 2, 3};
    struct seal_ring *r = ring_make();
    struct str in = str_make(data, size);
    struct err err = {0};
    struct buf plain = {0}, sealed = {0};
    if (seal_packet_open(r, in, &plain, &err) >= 0) {
        ASSERT(plain.n + SEAL_OVERHEAD <= size);
    } else {
        ASSERT(plain.n == 0);
    }
    buf_clear(&plain);
    ptrdiff_t frame_size = seal_frame_size(in, &err);
    if (seal_frame_open(r, in, &plain, &err) >= 0) {
        ASSERT((size_t)frame_size == size);
    }
    /* Only just as long as it is, so that a byte too far is seen. */
    char *exact = xmemdup(data != NULL ? (const void *)data : "", size);
    in = str_make(exact, size);
    buf_clear(&plain);
    seal_packet(r, nonce, in, &sealed);
    ASSERT(seal_packet_open(r, buf_view(&sealed), &plain, &err) == 0);
    ASSERT(str_eq(buf_view(&plain), in));
    buf_clear(&plain);
    buf_clear(&sealed);
    seal_frame(r, nonce, in, &sealed);
    ASSERT((size_t)seal_frame_size(buf_view(&sealed), &err) == sealed.n);
    ASSERT(seal_frame_open(r, buf_view(&sealed), &plain, &err) == 0);
    ASSERT(str_eq(buf_view(&plain), in));
    mem_free(exact);
    buf_deinit(&plain);
    buf_deinit(&sealed);
    seal_ring_free(r);
    return 0;
}
