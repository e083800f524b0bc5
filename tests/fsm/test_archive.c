#include "test.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "fsm/archive.h"

#include <stdio.h>
#include <stdlib.h>

static int collect(void *data, struct str bytes)
{
    struct buf *to = data;
    buf_str(to, bytes);
    return to->failed ? -ERR_TOO_LARGE : 0;
}

/* Read an archive in pieces; the result of it. */
static int read_pieces(struct str archive, size_t step, struct buf *state, struct buf *meta,
                       struct err *err)
{
    struct archive_reader *r = archive_reader_new(collect, state);
    struct str found = STR_NULL;
    int rc = 0;
    while (rc == 0 && archive.n > 0) {
        rc = archive_reader_feed(r, str_first(archive, step), err);
        archive = str_from(archive, step);
    }
    if (rc == 0) {
        rc = archive_reader_finish(r, &found, err);
    }
    if (rc == 0) {
        buf_str(meta, found);
    }
    archive_reader_free(r);
    return rc;
}

static void write_archive(struct str meta, struct str state, size_t step, struct buf *to)
{
    struct archive_writer *w = archive_writer_new(meta, state.n, 1600000000, collect, to);
    while (state.n > 0) {
        assert_ok(archive_writer_state(w, str_first(state, step)));
        state = str_from(state, step);
    }
    assert_ok(archive_writer_finish(w));
    archive_writer_free(w);
}

static void test_round_trip(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {0, 1, 511, 512, 513, 70000, 1000000};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        char *bytes = xmalloc(sizes[i] + 1);
        for (size_t j = 0; j < sizes[i]; j++) {
            bytes[j] = (char)(j * 2654435761u >> 13);
        }
        struct str state = str_make(bytes, sizes[i]);
        struct buf archive = {0}, got_state = {0}, got_meta = {0};
        struct err err = {0};
        write_archive(STR("{\"Version\":1}"), state, 4099, &archive);
        if (read_pieces(buf_view(&archive), 777, &got_state, &got_meta, &err) < 0) {
            fail_msg("%zu bytes: %s", sizes[i], err_text(&err));
        }
        assert_str_equal(buf_view(&got_state), state);
        assert_str_lit(buf_view(&got_meta), "{\"Version\":1}");
        buf_deinit(&archive);
        buf_deinit(&got_state);
        buf_deinit(&got_meta);
        mem_free(bytes);
    }
}

static void test_announced_size(void **unused)
{
    (void)unused;
    struct buf out = {0};
    struct archive_writer *w = archive_writer_new(STR("{}"), 4, 0, collect, &out);
    assert_ok(archive_writer_state(w, STR("abc")));
    assert_int_equal(archive_writer_state(w, STR("de")), -ERR_RANGE);
    assert_int_equal(archive_writer_finish(w), -ERR_RANGE);
    archive_writer_free(w);
    buf_deinit(&out);
}

static struct str recorded(void)
{
    static char bytes[65536];
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/snapshot-1.10.3.tgz", getenv("TEST_DATA"));
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    return str_make(bytes, n);
}

/* An archive that Consul wrote, in pieces of every small size. */
static void test_recorded(void **unused)
{
    (void)unused;
    struct str archive = recorded();
    for (size_t step = 1; step < 5000; step = step * 3 + 1) {
        struct buf state = {0}, meta = {0};
        struct err err = {0};
        assert_ok(read_pieces(archive, step, &state, &meta, &err));
        assert_int_equal(state.n, 9885);
        assert_true(str_contains(buf_view(&meta), STR("\"ID\":\"2-23-1795174268690\"")));
        buf_deinit(&state);
        buf_deinit(&meta);
    }
}

/* Wherever it is cut or changed, it is refused. */
static void test_damage(void **unused)
{
    (void)unused;
    struct str archive = recorded();
    char *copy = xmemdup(archive.p, archive.n);
    for (size_t at = 0; at < archive.n; at += 13) {
        struct buf state = {0}, meta = {0};
        struct err err = {0};
        assert_true(read_pieces(str_first(archive, at), 4096, &state, &meta, &err) < 0);
        buf_deinit(&state);
        buf_deinit(&meta);
        if (at >= 4 && at < 10) {
            continue; /* gzip's time, flags of the compressor, system: nobody's business */
        }
        copy[at] ^= 0x40;
        assert_true(read_pieces(str_make(copy, archive.n), 4096, &state, &meta, &err) < 0);
        copy[at] ^= 0x40;
        buf_deinit(&state);
        buf_deinit(&meta);
    }
    mem_free(copy);
}

static void assert_refused(struct str archive, const char *text)
{
    struct buf state = {0}, meta = {0};
    struct err err = {0};
    assert_true(read_pieces(archive, 100, &state, &meta, &err) < 0);
    assert_string_equal(err_text(&err), text);
    buf_deinit(&state);
    buf_deinit(&meta);
}

static void test_errors(void **unused)
{
    (void)unused;
    assert_refused(STR(""), "failed to decompress snapshot: EOF");
    assert_refused(STR("garbage"), "failed to decompress snapshot: unexpected EOF");
    assert_refused(str_first(recorded(), 9), "failed to decompress snapshot: unexpected EOF");
    assert_refused(STR("this is not a snapshot"), "failed to decompress snapshot: gzip: invalid "
                                                  "header");
    struct buf archive = {0};
    write_archive(STR("{}"), STR("state"), 10, &archive);
    buf_lit(&archive, "junk");
    assert_refused(buf_view(&archive), "4 unread uncompressed bytes remain");
    buf_deinit(&archive);
}

/* The reader of the state may refuse it. */
static void test_state_refused(void **unused)
{
    (void)unused;
    struct buf archive = {0}, state = {.max = 10}, meta = {0};
    struct err err = {0};
    write_archive(STR("{}"), STR("more than ten bytes"), 10, &archive);
    assert_int_equal(read_pieces(buf_view(&archive), 10000, &state, &meta, &err), -ERR_TOO_LARGE);
    buf_deinit(&archive);
    buf_deinit(&state);
    buf_deinit(&meta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_announced_size),
        cmocka_unit_test(test_recorded),   cmocka_unit_test(test_damage),
        cmocka_unit_test(test_errors),     cmocka_unit_test(test_state_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
