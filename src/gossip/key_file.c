#include "gossip/key_file.h"

#include "base/arena.h"
#include "base/encode.h"
#include "loop/file.h"
#include "proto/seal.h"
#include "schema/json.h"

#include <errno.h>

int key_file_read(struct str path, struct arena *a, struct strlist *ret_keys, struct err *err)
{
    struct str bytes;
    struct value *v;
    int rc = file_read(path, KEY_FILE_SIZE_MAX, a, &bytes, err);
    if (rc < 0) {
        return rc;
    }
    rc = json_parse(a, bytes, &v, err);
    if (rc < 0) {
        return rc;
    }
    if (v->kind != VALUE_LIST || v->list.n > SEAL_KEYS_MAX) {
        return err_set(err, ERR_INVALID, "%.*s: not a list of at most %u keys", STRF(path),
                       SEAL_KEYS_MAX);
    }
    struct str *keys = ARENA_ARRAY(a, struct str, v->list.n);
    for (size_t i = 0; i < v->list.n; i++) {
        if (v->list.v[i].kind != VALUE_STR) {
            return err_set(err, ERR_INVALID, "%.*s: not a list of strings", STRF(path));
        }
        keys[i] = v->list.v[i].s;
    }
    *ret_keys = (struct strlist){keys, v->list.n};
    return 0;
}

static int write_keys(struct str path, struct strlist keys, bool is_indented, struct err *err)
{
    struct buf text = {0};
    buf_byte(&text, '[');
    for (size_t i = 0; i < keys.n; i++) {
        buf_printf(&text, "%s%s", i > 0 ? "," : "", is_indented ? "\n  " : "");
        json_quote(&text, keys.v[i]);
    }
    buf_printf(&text, "%s]", is_indented && keys.n > 0 ? "\n" : "");
    int rc = file_replace(path, buf_view(&text), true, err);
    memset(text.p, 0, text.n);
    buf_deinit(&text);
    return rc;
}

int key_file_create(struct str path, struct str key, struct err *err)
{
    return write_keys(path, (struct strlist){&key, 1}, false, err);
}

int key_file_write(struct str path, struct strlist keys, struct err *err)
{
    int rc = write_keys(path, keys, true, err);
    return rc < 0 ? err_wrap(err, "Failed to write keyring file") : rc;
}

int gossip_key_decode(struct str text, struct arena *a, struct str *ret_key, struct err *err)
{
    struct str key;
    if (base64_decode(a, text, &key) < 0) {
        return err_set(err, ERR_INVALID, "illegal base64 data");
    }
    if (!seal_key_size_is_valid(key.n)) {
        return err_set(err, ERR_INVALID, "key size must be 16, 24 or 32 bytes");
    }
    *ret_key = key;
    return 0;
}

int gossip_keys_ring(struct strlist keys, struct seal_ring **ret_ring, struct err *err)
{
    struct seal_ring *ring = seal_ring_new();
    struct arena a = {0};
    int rc = 0;
    for (size_t i = 0; i < keys.n && rc >= 0; i++) {
        struct str key;
        rc = gossip_key_decode(keys.v[i], &a, &key, err);
        rc = rc < 0 ? rc : seal_ring_add(ring, key, err);
    }
    arena_deinit(&a);
    if (rc < 0) {
        (void)seal_ring_free(ring);
        return rc;
    }
    *ret_ring = ring;
    return 0;
}

struct strlist gossip_keys_of(const struct seal_ring *ring, struct arena *a)
{
    size_t n = seal_ring_count(ring);
    struct str *keys = ARENA_ARRAY(a, struct str, n);
    for (size_t i = 0; i < n; i++) {
        struct buf text = {0};
        base64_encode(&text, seal_ring_key(ring, i));
        keys[i] = arena_str(a, buf_view(&text));
        buf_deinit(&text);
    }
    return (struct strlist){keys, n};
}
