/* The log of a real cluster of 1.10.3, applied entry by entry, gives the tables of the snapshot
 * that cluster took: rows, their indexes, and the indexes of the tables.
 *
 * tests/data/log-1.10.3.bin: index (8 bytes), size (4), type byte and msgpack, repeated;
 * tests/data/snapshot-1.10.3.tgz was taken at index 23. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/epoch.h"
#include "base/mem.h"
#include "fsm/fsm.h"
#include "fsm/snapshot.h"
#include "schema/msgpack.h"
#include "store/catalog.h"
#include "store/kv.h"
#include "store/lock_delay.h"

#define SNAPSHOT_INDEX 23u
#define FILE_SIZE_MAX (1 << 20)

static char *read_data(const char *name, size_t *ret_size)
{
    char path[1024];
    char *bytes = xmalloc(FILE_SIZE_MAX);
    (void)snprintf(path, sizeof(path), "%s/%s", getenv("TEST_DATA"), name);
    gzFile file = gzopen(path, "rb"); /* reads what is not compressed as it is */
    assert_non_null(file);
    int n = gzread(file, bytes, FILE_SIZE_MAX);
    assert_in_range(n, 1, FILE_SIZE_MAX - 1);
    gzclose(file);
    *ret_size = (size_t)n;
    return bytes;
}

/* The content of one file in a tar. */
static struct str tar_find(const char *tar, size_t n, const char *name)
{
    enum { BLOCK = 512 };
    for (size_t at = 0; at + BLOCK <= n && tar[at] != '\0';) {
        size_t size = (size_t)strtoul(tar + at + 124, NULL, 8);
        assert_true(at + BLOCK + size <= n);
        if (strcmp(tar + at, name) == 0) {
            return str_make(tar + at + BLOCK, size);
        }
        at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    }
    fail_msg("no %s in the archive", name);
    return STR_NULL;
}

struct record {
    uint8_t type;
    struct value *value;
};

struct records {
    struct record v[256];
    size_t n;
};

static void parse(struct str bytes, struct arena *a, struct records *ret)
{
    struct cur c = cur_make(bytes);
    struct err err = {0};
    struct value *header;
    ret->n = 0;
    assert_int_equal(msgpack_decode_value(&c, a, &header, &err), 0);
    while (cur_left(&c) > 0) {
        assert_true(ret->n < ARRAY_SIZE(ret->v));
        struct record *r = &ret->v[ret->n++];
        r->type = cur_u8(&c);
        assert_int_equal(msgpack_decode_value(&c, a, &r->value, &err), 0);
    }
}

static void print_record(const char *whose, const struct record *r)
{
    const struct value *v = r->value;
    if (v == NULL) {
        print_message("%s: none\n", whose);
        return;
    }
    print_message("%s: type %u\n", whose, r->type);
    for (size_t i = 0; v->kind == VALUE_MAP && i < v->map.n; i++) {
        const struct value *m = &v->map.v[i].value;
        print_message("  %.*s %d %jd %.*s\n", STRF(v->map.v[i].key), (int)m->kind,
                      m->kind == VALUE_INT ? (intmax_t)m->i : 0,
                      m->kind == VALUE_STR ? (int)m->s.n : 0, m->kind == VALUE_STR ? m->s.p : "");
    }
}

static int append(void *data, struct str chunk)
{
    buf_str(data, chunk);
    return 0;
}

static void compare(struct str got, struct str expected)
{
    static struct records ours, theirs;
    struct arena a = {0};
    parse(got, &a, &ours);
    parse(expected, &a, &theirs);
    size_t i = 0, compared = 0;
    for (size_t j = 0; j < theirs.n; j++) {
        struct record none = {0};
        const struct record *mine = i < ours.n ? &ours.v[i++] : &none;
        if (mine->value == NULL || mine->type != theirs.v[j].type ||
            !value_eq(mine->value, theirs.v[j].value)) {
            print_record("ours", mine);
            print_record("theirs", &theirs.v[j]);
            fail_msg("record %zu differs", j);
        }
        compared++;
    }
    assert_int_equal(i, ours.n);
    assert_true(compared > 20);
    arena_deinit(&a);
}

static void test_log_gives_snapshot(void **state)
{
    (void)state;
    size_t log_size, tar_size;
    char *log = read_data("log-1.10.3.bin", &log_size);
    char *tar = read_data("snapshot-1.10.3.tgz", &tar_size);
    struct epoch *epoch = epoch_new();
    struct store *store = store_new(epoch);
    struct lock_delay *delays = lock_delay_new();
    struct fsm *fsm = fsm_new(store, delays);
    struct arena a = {0};
    struct cur c = cur_make(str_make(log, log_size));
    size_t applied = 0;
    while (cur_left(&c) > 0) {
        uint64_t index = cur_be64(&c);
        struct str entry = cur_take(&c, cur_be32(&c));
        assert_false(c.failed);
        if (index > SNAPSHOT_INDEX) {
            break;
        }
        struct fsm_result result;
        int r = fsm_apply(fsm, index, entry, 0, &a, &result);
        assert_int_equal(r, 0);
        assert_int_not_equal(result.kind, FSM_RESULT_ERROR);
        applied++;
        arena_reset(&a);
    }
    assert_true(applied >= 16);
    struct buf snapshot = {0};
    struct err err = {0};
    assert_int_equal(snapshot_write(store_view(store), append, &snapshot, &err), 0);
    compare(buf_view(&snapshot), tar_find(tar, tar_size, "state.bin"));
    buf_deinit(&snapshot);
    arena_deinit(&a);
    fsm_free(fsm);
    store_free(store);
    lock_delay_free(delays);
    epoch_free(epoch);
    mem_free(log);
    mem_free(tar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_log_gives_snapshot)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
