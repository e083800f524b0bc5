#include "proto/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/err.h"
#include "base/mem.h"
#include "proto/memberlist.h"

#define VERSION_PADDED 0u
#define VERSION_PLAIN 1u
#define TAG_SIZE 16u
#define BLOCK_SIZE 16u
#define HEADER_SIZE (1u + SEAL_NONCE_SIZE)

_Static_assert(HEADER_SIZE + TAG_SIZE == SEAL_OVERHEAD, "what a sealed datagram costs");

struct seal_key {
    uint8_t bytes[SEAL_KEY_SIZE_MAX];
    size_t size;
    EVP_CIPHER_CTX *seal, *open; /* have the key; each message gives them its nonce */
};

struct seal_ring {
    struct seal_key *keys[SEAL_KEYS_MAX]; /* the first is the primary one */
    size_t count;
};

/* --- keys ------------------------------------------------------------------------------------ */

bool seal_key_size_is_valid(size_t size)
{
    return size == 16 || size == 24 || size == 32;
}

static struct seal_key *key_free(struct seal_key *k)
{
    EVP_CIPHER_CTX_free(k->seal); /* wipes what it derived from the key */
    EVP_CIPHER_CTX_free(k->open);
    OPENSSL_cleanse(k, sizeof(*k));
    return mem_free(k);
}

static struct seal_key *key_new(struct str key)
{
    const EVP_CIPHER *cipher = key.n == 16   ? EVP_aes_128_gcm()
                               : key.n == 24 ? EVP_aes_192_gcm()
                                             : EVP_aes_256_gcm();
    struct seal_key *k = xcalloc(1, sizeof(*k));
    memcpy(k->bytes, key.p, key.n);
    k->size = key.n;
    k->seal = EVP_CIPHER_CTX_new();
    k->open = EVP_CIPHER_CTX_new();
    /* 12 bytes of nonce is what GCM has unless told otherwise. */
    ASSERT(k->seal != NULL && k->open != NULL &&
           EVP_EncryptInit_ex(k->seal, cipher, NULL, k->bytes, NULL) == 1 &&
           EVP_DecryptInit_ex(k->open, cipher, NULL, k->bytes, NULL) == 1);
    return k;
}

struct seal_ring *seal_ring_new(void)
{
    return xcalloc(1, sizeof(struct seal_ring));
}

struct seal_ring *seal_ring_free(struct seal_ring *r)
{
    if (r == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < r->count; i++) {
        key_free(r->keys[i]);
    }
    return mem_free(r);
}

size_t seal_ring_count(const struct seal_ring *r)
{
    return r->count;
}

struct str seal_ring_key(const struct seal_ring *r, size_t i)
{
    ASSERT(i < r->count);
    return str_make(r->keys[i]->bytes, r->keys[i]->size);
}

/* Where it is; count when it is not there. */
static size_t key_find(const struct seal_ring *r, struct str key)
{
    size_t i = 0;
    while (i < r->count &&
           (r->keys[i]->size != key.n || CRYPTO_memcmp(r->keys[i]->bytes, key.p, key.n) != 0)) {
        i++;
    }
    return i;
}

bool seal_ring_has(const struct seal_ring *r, struct str key)
{
    return key_find(r, key) < r->count;
}

int seal_ring_add(struct seal_ring *r, struct str key, struct err *err)
{
    if (!seal_key_size_is_valid(key.n)) {
        return err_set(err, ERR_INVALID, "key size must be 16, 24 or 32 bytes");
    }
    if (seal_ring_has(r, key)) {
        return 0;
    }
    if (r->count == SEAL_KEYS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the keyring is full: it has %u keys", SEAL_KEYS_MAX);
    }
    r->keys[r->count++] = key_new(key);
    return 0;
}

int seal_ring_use(struct seal_ring *r, struct str key, struct err *err)
{
    size_t i = key_find(r, key);
    if (i == r->count) {
        return err_set(err, ERR_NOT_FOUND, "Requested key is not in the keyring");
    }
    struct seal_key *k = r->keys[i];
    memmove(&r->keys[1], &r->keys[0], i * sizeof(r->keys[0]));
    r->keys[0] = k;
    return 0;
}

int seal_ring_remove(struct seal_ring *r, struct str key, struct err *err)
{
    size_t i = key_find(r, key);
    if (i == r->count) {
        return 0;
    }
    if (i == 0) {
        return err_set(err, ERR_CONFLICT, "Removing the primary key is not allowed");
    }
    key_free(r->keys[i]);
    memmove(&r->keys[i], &r->keys[i + 1], (r->count - i - 1) * sizeof(r->keys[0]));
    r->count--;
    return 0;
}

/* --- sealing --------------------------------------------------------------------------------- */

static const uint8_t *bytes_of(struct str s)
{
    return (const uint8_t *)(s.p != NULL ? s.p : "");
}

/* Version, nonce, cipher text, tag; `aad` is authenticated with it. EVP counts in int, which every
 * size up to the maximum fits. */
static void seal(struct seal_ring *r, const uint8_t nonce[SEAL_NONCE_SIZE], struct str aad,
                 struct str plain, struct buf *to)
{
    ASSERT(r->count > 0);
    uint8_t *p = NULL;
    if (plain.n <= SEAL_FRAME_SIZE_MAX - SEAL_OVERHEAD) {
        p = (uint8_t *)buf_reserve(to, SEAL_OVERHEAD + plain.n);
    }
    if (p == NULL) {
        to->failed = true;
        return;
    }
    p[0] = VERSION_PLAIN;
    memcpy(p + 1, nonce, SEAL_NONCE_SIZE);
    uint8_t *at = p + HEADER_SIZE;
    EVP_CIPHER_CTX *c = r->keys[0]->seal;
    int n = 0;
    bool is_ok = EVP_EncryptInit_ex(c, NULL, NULL, NULL, nonce) == 1 &&
                 (aad.n == 0 || EVP_EncryptUpdate(c, NULL, &n, bytes_of(aad), (int)aad.n) == 1) &&
                 EVP_EncryptUpdate(c, at, &n, bytes_of(plain), (int)plain.n) == 1 &&
                 EVP_EncryptFinal_ex(c, at + plain.n, &n) == 1 &&
                 EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, at + plain.n) == 1;
    ASSERT(is_ok);
    to->n += SEAL_OVERHEAD + plain.n;
}

/* The plain text into size bytes at `to`; false when it was not sealed with this key. */
static bool open_with(const struct seal_key *k, const uint8_t *sealed, size_t size, struct str aad,
                      uint8_t *to)
{
    EVP_CIPHER_CTX *c = k->open;
    const uint8_t *tag = sealed + HEADER_SIZE + size;
    int n = 0;
    bool is_ok = EVP_DecryptInit_ex(c, NULL, NULL, NULL, sealed + 1) == 1 &&
                 (aad.n == 0 || EVP_DecryptUpdate(c, NULL, &n, bytes_of(aad), (int)aad.n) == 1) &&
                 EVP_DecryptUpdate(c, to, &n, sealed + HEADER_SIZE, (int)size) == 1 &&
                 EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, (void *)tag) == 1;
    ASSERT(is_ok);
    return EVP_DecryptFinal_ex(c, to + size, &n) == 1;
}

/* How many bytes of PKCS7's padding there are at the end, or 0 when it is none. */
static size_t padding_size(const uint8_t *plain, size_t size)
{
    size_t n = size > 0 ? plain[size - 1] : 0;
    if (n == 0 || n > BLOCK_SIZE || n > size) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (plain[size - 1 - i] != n) {
            return 0;
        }
    }
    return n;
}

static int open_sealed(struct seal_ring *r, struct str sealed, struct str aad, struct buf *to,
                       struct err *err)
{
    const uint8_t *in = bytes_of(sealed);
    if (sealed.n == 0) {
        return err_set(err, ERR_INVALID, "Cannot decrypt empty payload");
    }
    if (in[0] > VERSION_PLAIN) {
        return err_set(err, ERR_INVALID, "Unsupported encryption version %u", in[0]);
    }
    bool is_padded = in[0] == VERSION_PADDED;
    if (sealed.n < SEAL_OVERHEAD + (is_padded ? BLOCK_SIZE : 0)) {
        return err_set(err, ERR_INVALID, "Payload is too small to decrypt: %zu", sealed.n);
    }
    if (sealed.n > SEAL_FRAME_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "Payload is too large to decrypt: %zu", sealed.n);
    }
    size_t size = sealed.n - SEAL_OVERHEAD;
    uint8_t *out = (uint8_t *)buf_reserve(to, size);
    if (out == NULL) {
        return err_set(err, ERR_TOO_LARGE, "No room for %zu bytes of plain text", size);
    }
    for (size_t i = 0; i < r->count; i++) {
        if (open_with(r->keys[i], in, size, aad, out)) {
            size_t padding = is_padded ? padding_size(out, size) : 0;
            if (is_padded && padding == 0) {
                return err_set(err, ERR_INVALID, "Malformed padding of a decrypted payload");
            }
            to->n += size - padding;
            return 0;
        }
    }
    OPENSSL_cleanse(out, size);
    return err_set(err, ERR_PERMISSION_DENIED, "No installed keys could decrypt the message");
}

void seal_packet(struct seal_ring *r, const uint8_t nonce[SEAL_NONCE_SIZE], struct str plain,
                 struct buf *to)
{
    seal(r, nonce, STR_NULL, plain, to);
}

int seal_packet_open(struct seal_ring *r, struct str sealed, struct buf *to, struct err *err)
{
    return open_sealed(r, sealed, STR_NULL, to, err);
}

/* --- frames ---------------------------------------------------------------------------------- */

void seal_frame(struct seal_ring *r, const uint8_t nonce[SEAL_NONCE_SIZE], struct str plain,
                struct buf *to)
{
    uint8_t header[SEAL_FRAME_HEADER] = {MEMBERLIST_ENCRYPT};
    put_be32(header + 1, (uint32_t)(SEAL_OVERHEAD + plain.n));
    struct str aad = str_make(header, sizeof(header));
    buf_str(to, aad);
    seal(r, nonce, aad, plain, to);
}

ptrdiff_t seal_frame_size(struct str bytes, struct err *err)
{
    if (bytes.n > 0 && bytes.p[0] != MEMBERLIST_ENCRYPT) {
        return err_set(err, ERR_INVALID, "not an encrypted message: it is of type %u",
                       (uint8_t)bytes.p[0]);
    }
    if (bytes.n < SEAL_FRAME_HEADER) {
        return 0;
    }
    uint32_t size = get_be32(bytes.p + 1);
    if (size > SEAL_FRAME_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "Remote node state is larger than limit (%u)", size);
    }
    if (size < SEAL_OVERHEAD) {
        return err_set(err, ERR_INVALID, "Payload is too small to decrypt: %u", size);
    }
    return (ptrdiff_t)(SEAL_FRAME_HEADER + size);
}

int seal_frame_open(struct seal_ring *r, struct str frame, struct buf *to, struct err *err)
{
    ptrdiff_t size = seal_frame_size(frame, err);
    if (size < 0) {
        return (int)size;
    }
    if (size == 0 || (size_t)size != frame.n) {
        return err_set(err, ERR_INVALID, "%zu bytes are not one whole encrypted message", frame.n);
    }
    return open_sealed(r, str_from(frame, SEAL_FRAME_HEADER), str_first(frame, SEAL_FRAME_HEADER),
                       to, err);
}
