#include "test.h"

#include "base/encode.h"
#include "base/mem.h"
#include "raft/snapshot.h"
#include "sim_io.h"

#include <errno.h>
#include <stdio.h>

static struct raft_snapshot_meta meta_make(uint64_t term, uint64_t index)
{
    struct raft_snapshot_meta m = {.index = index, .term = term, .configuration_index = 1};
    assert_ok(raft_configuration_add(&m.configuration, RAFT_VOTER, STR("node-1"),
                                     STR("10.0.0.1:8300"), NULL));
    return m;
}

/* n bytes that depend on the index. */
static int snapshot_put(struct raft_snapshots *store, uint64_t term, uint64_t index, size_t n,
                        struct err *err)
{
    struct raft_snapshot_meta m = meta_make(term, index);
    struct raft_snapshot_sink *sink = NULL;
    int r = raft_snapshot_create(store, &m, 1700000000000 + index, &sink, err);
    char bytes[777];
    for (size_t at = 0; r == 0 && at < n;) {
        size_t some = MIN(n - at, 1 + (at * 31 + index) % sizeof(bytes));
        memset(bytes, (int)(index + at), sizeof(bytes));
        r = raft_snapshot_sink_write(sink, str_make(bytes, some), err);
        at += some;
    }
    if (r < 0) {
        raft_snapshot_cancel(sink);
        return r;
    }
    return raft_snapshot_close(sink, NULL, err);
}

static struct raft_snapshots *store_open(struct sim_io *s)
{
    struct raft_snapshots *store = NULL;
    struct err err = {0};
    assert_ok(raft_snapshots_open(&s->io, "dir", &store, &err));
    return store;
}

static void test_crc64(void **state)
{
    (void)state;
    /* The check values of CRC-64/XZ, which is Go's ECMA table. */
    assert_true(raft_crc64(0, "123456789", 9) == 0x995dc9bbdf1939faull);
    assert_true(raft_crc64(0, "", 0) == 0);
    assert_true(raft_crc64(raft_crc64(0, "1234", 4), "56789", 5) == 0x995dc9bbdf1939faull);
}

static void test_meta(void **state)
{
    (void)state;
    struct raft_snapshot_meta m = meta_make(3, 1234), back;
    struct err err = {0};
    struct buf b = {0};
    (void)snprintf(m.id, sizeof(m.id), "3-1234-1700000000000");
    m.size = 99;
    m.crc = 0x0102030405060708;
    raft_snapshot_meta_encode(&m, &b);
    assert_str_lit(buf_view(&b),
                   "{\"Version\":1,\"ID\":\"3-1234-1700000000000\",\"Index\":1234,\"Term\":3,"
                   "\"Peers\":\"ka0xMC4wLjAuMTo4MzAw\",\"Configuration\":{\"Servers\":["
                   "{\"Suffrage\":0,\"ID\":\"node-1\",\"Address\":\"10.0.0.1:8300\"}]},"
                   "\"ConfigurationIndex\":1,\"Size\":99,\"CRC\":\"AQIDBAUGBwg=\"}\n");
    assert_ok(raft_snapshot_meta_decode(buf_view(&b), &back, &err));
    assert_true(back.index == 1234 && back.term == 3 && back.size == 99 && back.crc == m.crc);
    assert_true(raft_configuration_eq(&m.configuration, &back.configuration));
    assert_string_equal(back.id, m.id);
    for (size_t n = 0; n < b.n - 1; n++) {
        assert_true(raft_snapshot_meta_decode(str_first(buf_view(&b), n), &back, &err) < 0);
    }
    assert_true(raft_snapshot_meta_decode(STR("{\"Version\":2}"), &back, &err) < 0);
    assert_true(raft_snapshot_meta_decode(STR("{\"Version\":1,\"ID\":\"../x\"}"), &back, &err) < 0);
    buf_deinit(&b);
}

static void test_store(void **state)
{
    (void)state;
    struct sim_io *s = sim_io_new(1);
    struct raft_snapshots *store = store_open(s);
    struct err err = {0};
    struct raft_snapshot_meta metas[8];
    assert_int_equal(raft_snapshots_list(store, metas, 8, &err), 0);
    for (uint64_t i = 1; i <= 4; i++) {
        assert_ok(snapshot_put(store, 1 + i / 3, i * 10, 300000, &err));
        raft_snapshots_free(store);
        sim_io_crash(s); /* whole and durable once it is closed */
        store = store_open(s);
        int n = raft_snapshots_list(store, metas, 8, &err);
        /* The removal of an old one may have been lost with the crash. */
        assert_true(n >= (int)MIN(i, (uint64_t)RAFT_SNAPSHOTS_KEPT) && n <= 3);
        assert_true(metas[0].index == i * 10 && metas[0].term == 1 + i / 3);
    }
    assert_ok(snapshot_put(store, 3, 50, 10, &err));
    assert_int_equal(raft_snapshots_list(store, metas, 8, &err), RAFT_SNAPSHOTS_KEPT);
    metas[0] = metas[1];
    struct str bytes;
    assert_ok(raft_snapshot_read(store, &metas[0], &bytes, &err));
    assert_int_equal(bytes.n, 300000);
    assert_int_equal(bytes.p[0], 40);
    mem_free((void *)bytes.p);
    /* A damaged one says so; a file that is cut short, too. */
    char path[256];
    sim_io_settle(s);
    snprintf(path, sizeof(path), "dir/snapshots/%s/state.bin", metas[0].id);
    sim_io_flip(sim_io_file(s, path), 1234, 4);
    assert_int_equal(raft_snapshot_read(store, &metas[0], &bytes, &err), -ERR_CORRUPT);
    assert_non_null(strstr(err.text, "CRC mismatch"));
    sim_io_file(s, path)->size = 5;
    assert_int_equal(raft_snapshot_read(store, &metas[0], &bytes, &err), -ERR_CORRUPT);
    raft_snapshots_free(store);
    sim_io_free(s);
}

/* The log's sync may have to wait for all of a file system's writes: few of them are a snapshot's.
 */
static void test_synced_as_it_grows(void **state)
{
    (void)state;
    struct sim_io *s = sim_io_new(1);
    struct raft_snapshots *store = store_open(s);
    struct err err = {0};
    struct raft_snapshot_meta m = meta_make(1, 7);
    struct raft_snapshot_sink *sink = NULL;
    assert_ok(raft_snapshot_create(store, &m, 1700000000000, &sink, &err));
    char *bytes = xcalloc(1, 1 << 20);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t before = s->syncs;
        assert_ok(raft_snapshot_sink_write(sink, str_make(bytes, 1 << 20), &err));
        assert_int_equal(s->syncs - before, i % 4 == 3);
    }
    /* One that fails is not forgotten. */
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(raft_snapshot_sink_write(sink, str_make(bytes, 1 << 20), &err));
    }
    s->fail_at = s->ops + 2;
    s->fail_error = EIO;
    assert_int_equal(raft_snapshot_sink_write(sink, str_make(bytes, 1 << 20), &err), -EIO);
    assert_non_null(strstr(err.text, "cannot sync"));
    assert_int_equal(raft_snapshot_close(sink, NULL, &err), -EIO);
    mem_free(bytes);
    raft_snapshots_free(store);
    sim_io_free(s);
}

/* At every call that can fail: the snapshots of before are still there and whole, and one that was
 * said to be stored is, too. */
static void test_every_call_fails(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        for (uint64_t seed = 1; seed <= 8; seed++) {
            struct sim_io *s = sim_io_new(seed);
            struct raft_snapshots *store = store_open(s);
            struct err err = {0};
            assert_ok(snapshot_put(store, 1, 10, 1000, &err));
            s->fail_at = s->ops + n;
            s->fail_stays = seed % 2;
            s->fail_error = ENOSPC;
            uint64_t stored = 10;
            for (uint64_t index = 20; index <= 40; index += 10) {
                if (snapshot_put(store, 1, index, 100000, &err) == 0) {
                    stored = index;
                }
            }
            failed = s->failed;
            raft_snapshots_free(store);
            sim_io_crash(s);
            store = store_open(s);
            struct raft_snapshot_meta metas[8];
            int count = raft_snapshots_list(store, metas, 8, &err);
            assert_true(count >= 1 && metas[0].index >= stored);
            for (int i = 0; i < count; i++) {
                struct str bytes;
                assert_ok(raft_snapshot_read(store, &metas[i], &bytes, &err));
                assert_int_equal(bytes.n, metas[i].index == 10 ? 1000 : 100000);
                mem_free((void *)bytes.p);
            }
            raft_snapshots_free(store);
            sim_io_free(s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc64),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_synced_as_it_grows),
        cmocka_unit_test(test_every_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
