/* A snapshot of the real 1.10.3: what is in it, and that nothing is lost in writing it again. */
#include "fsm/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/epoch.h"
#include "base/err.h"
#include "base/mem.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "schema/session.h"
#include "store/catalog.h"
#include "store/kv.h"
#include "store/session.h"

struct fixture {
    struct epoch *epoch;
    struct store *store;
    struct arena arena;
    struct str recorded;
};

/* state.bin out of the archive (gzip of a tar). */
static struct str read_recorded(void)
{
    enum { ARCHIVE_SIZE_MAX = 1 << 20, BLOCK = 512 };
    char path[1024];
    char *tar = xmalloc(ARCHIVE_SIZE_MAX);
    (void)snprintf(path, sizeof(path), "%s/snapshot-1.10.3.tgz", getenv("TEST_DATA"));
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    int n = gzread(file, tar, ARCHIVE_SIZE_MAX);
    assert_in_range(n, BLOCK, ARCHIVE_SIZE_MAX - 1);
    gzclose(file);
    struct str found = STR_NULL;
    for (size_t at = 0; at + BLOCK <= (size_t)n && tar[at] != '\0';) {
        size_t size = (size_t)strtoul(tar + at + 124, NULL, 8);
        assert_true(at + BLOCK + size <= (size_t)n);
        if (strcmp(tar + at, "state.bin") == 0) {
            found = str_make(xmemdup(tar + at + BLOCK, size), size);
        }
        at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    }
    mem_free(tar);
    assert_non_null(found.p);
    return found;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->epoch = epoch_new();
    f->store = store_new(f->epoch);
    f->recorded = read_recorded();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_true(store_is_consistent(store_view(f->store)));
    store_free(f->store);
    epoch_free(f->epoch);
    arena_deinit(&f->arena);
    mem_free((void *)f->recorded.p);
    mem_free(f);
    return 0;
}

static int append(void *data, struct str chunk)
{
    buf_str(data, chunk);
    return 0;
}

static void restore(struct fixture *f, struct str bytes)
{
    struct err err = {0};
    if (snapshot_restore(f->store, bytes, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

static void test_recorded_contents(void **state)
{
    struct fixture *f = *state;
    restore(f, f->recorded);
    const struct store_view *v = store_view(f->store);
    struct ptrlist list;
    assert_int_equal(kv_list(v, NULL, &f->arena, STR(""), &list), 23);
    static const struct {
        const char *key, *value;
        uint64_t index, lock_index;
    } keys[] = {{"config/a", "one", 14, 0},
                {"config/b", "two", 15, 0},
                {"lock", "me", 19, 1},
                {"t1", "v", 20, 0}};
    assert_int_equal(list.n, ARRAY_SIZE(keys));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const struct dir_entry *e = list.v[i];
        assert_true(str_eq(e->key, str_from_cstr(keys[i].key)));
        assert_true(str_eq(e->value, str_from_cstr(keys[i].value)));
        assert_int_equal(e->raft.create_index, keys[i].index);
        assert_int_equal(e->raft.modify_index, keys[i].index);
        assert_int_equal(e->lock_index, keys[i].lock_index);
    }
    (void)session_list(v, NULL, &f->arena, &list);
    assert_int_equal(list.n, 1);
    const struct session *s = list.v[0];
    assert_true(str_eq_lit(s->id, "2fbacd9e-d9b2-7787-1826-9544285edabf"));
    assert_int_equal(s->lock_delay, 15000000000);
    assert_true(str_eq_lit(s->ttl, "30s"));
    assert_int_equal(s->node_checks.n, 1);
    assert_true(str_eq(
        ((const struct dir_entry *)store_first(v, INDEX_KVS_SESSION, s->id))->session, s->id));
    assert_int_equal(v->trees[INDEX_SESSION_CHECKS_ID].count, 1);

    (void)catalog_nodes(v, NULL, &f->arena, (struct strmap){0}, &list);
    static const struct {
        const char *node, *address;
        uint64_t create_index, modify_index;
    } nodes[] = {{"c1", "127.21.0.4", 10, 13},
                 {"s1", "127.21.0.1", 6, 12},
                 {"s2", "127.21.0.2", 9, 11},
                 {"s3", "127.21.0.3", 5, 5}};
    assert_int_equal(list.n, ARRAY_SIZE(nodes));
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
        const struct node *n = list.v[i];
        assert_true(str_eq(n->node, str_from_cstr(nodes[i].node)));
        assert_true(str_eq(n->address, str_from_cstr(nodes[i].address)));
        assert_int_equal(n->raft.create_index, nodes[i].create_index);
        assert_int_equal(n->raft.modify_index, nodes[i].modify_index);
        assert_int_equal(n->tagged_addresses.n, 4);
    }
    struct objlist services;
    (void)catalog_service_nodes(v, NULL, &f->arena, STR("web"), NULL, false, &services);
    assert_int_equal(services.n, 1);
    const struct service_node *web = services.v;
    assert_true(str_eq_lit(web->service->id, "web1"));
    assert_int_equal(web->service->port, 80);
    assert_int_equal(web->service->raft.create_index, 17);
    assert_int_equal(web->service->tags.n, 1);
}

/* Record by record the same values in the same order. Not byte by byte: Go's maps have no order. */
static void check_same(struct fixture *f, struct str got, struct str expected)
{
    struct cur a = cur_make(got), b = cur_make(expected);
    struct err err = {0};
    for (size_t record = 0; cur_left(&b) > 0; record++) {
        struct value *x, *y;
        if (record > 0 && cur_u8(&a) != cur_u8(&b)) {
            fail_msg("record %zu is of another type", record);
        }
        assert_int_equal(msgpack_decode_value(&a, &f->arena, &x, &err), 0);
        assert_int_equal(msgpack_decode_value(&b, &f->arena, &y, &err), 0);
        if (!value_eq(x, y)) {
            fail_msg("record %zu differs", record);
        }
    }
    assert_int_equal(cur_left(&a), 0);
}

static void test_written_again(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct buf first = {0}, second = {0};
    restore(f, f->recorded);
    assert_int_equal(snapshot_write(store_view(f->store), append, &first, &err), 0);
    assert_int_equal(first.n, f->recorded.n);
    check_same(f, buf_view(&first), f->recorded);
    uint64_t index;
    assert_int_equal(snapshot_last_index(buf_view(&first), &index, &err), 0);
    /* Restoring over what is there replaces it. */
    restore(f, buf_view(&first));
    assert_int_equal(store_view(f->store)->last_index, index);
    assert_int_equal(snapshot_write(store_view(f->store), append, &second, &err), 0);
    assert_true(str_eq(buf_view(&first), buf_view(&second)));
    buf_deinit(&first);
    buf_deinit(&second);
}

/* Cut or spoilt bytes are refused, and what was there stays. */
static void test_damaged(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    restore(f, f->recorded);
    const struct store_view *before = store_view(f->store);
    size_t refused = 0;
    for (size_t n = 0; n < f->recorded.n; n += 7) {
        /* A cut between two records cannot be told from the end. */
        if (snapshot_restore(f->store, str_first(f->recorded, n), &err) < 0) {
            refused++;
            assert_true(err.text[0] != '\0');
        }
    }
    assert_true(refused > f->recorded.n / 7 * 9 / 10);
    (void)before;
    restore(f, f->recorded);
    before = store_view(f->store);
    char *spoilt = xmemdup(f->recorded.p, f->recorded.n);
    for (size_t at = 0; at < f->recorded.n; at += 5) {
        char was = spoilt[at];
        spoilt[at] = (char)0xc1; /* never used in msgpack */
        if (snapshot_restore(f->store, str_make(spoilt, f->recorded.n), &err) < 0) {
            assert_ptr_equal(store_view(f->store), before);
        } else { /* within a string */
            before = store_view(f->store);
        }
        spoilt[at] = was;
    }
    mem_free(spoilt);
    struct str unknown = STR("\x81\xa9LastIndex\x05\x63\x80");
    assert_int_equal(snapshot_restore(f->store, unknown, &err), -ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "Unrecognized msg type 99"));
    assert_ptr_equal(store_view(f->store), before);
}

static int stop_soon(void *data, struct str chunk)
{
    size_t *calls = data;
    assert_in_range(chunk.n, 1, 2 * SNAPSHOT_CHUNK_SIZE);
    return ++*calls == 3 ? -ERR_CLOSED : 0;
}

static void test_big_in_chunks(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char *value = xcalloc(1, 1000);
    struct store_txn *tx = store_txn_begin(f->store, 5);
    for (uint32_t i = 0; i < 1000; i++) {
        kv_set(tx, &(struct dir_entry){.key = str_make(&i, sizeof(i)), .value = {value, 1000}});
    }
    store_txn_commit(tx);
    size_t calls = 0;
    assert_int_equal(snapshot_write(store_view(f->store), stop_soon, &calls, &err), -ERR_CLOSED);
    assert_int_equal(calls, 3);
    struct buf all = {0};
    assert_int_equal(snapshot_write(store_view(f->store), append, &all, &err), 0);
    restore(f, buf_view(&all));
    assert_int_equal(store_view(f->store)->trees[INDEX_KVS_ID].count, 1000);
    assert_int_equal(store_view(f->store)->last_index, 5);
    buf_deinit(&all);
    mem_free(value);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_recorded_contents),
        T(test_written_again),
        T(test_damaged),
        T(test_big_in_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
