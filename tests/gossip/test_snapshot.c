#include "gossip/snapshot.h"

#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "loop/file.h"
#include "loop/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct arena arena;
    struct loop *files;
    char dir[64];
    struct str path;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/consul-snapshot-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = arena_printf(&f->arena, "%s/serf/local.snapshot", f->dir);
    f->files = loop_new("files");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->path.p);
    (void)rmdir(arena_printf(&f->arena, "%s/serf", f->dir).p);
    (void)rmdir(f->dir);
    (void)loop_free(f->files);
    arena_deinit(&f->arena);
    test_free(f);
    return 0;
}

static void file_write(struct fixture *f, const char *text)
{
    struct err err;
    assert_ok(file_replace(f->path, str_from_cstr(text), false, &err));
}

static struct str file_text(struct fixture *f)
{
    struct err err;
    struct str bytes;
    assert_ok(file_read(f->path, 1 << 24, &f->arena, &bytes, &err));
    return bytes;
}

/* "a=127.0.0.1:1 b=... clocks 1 2 3" */
static const char *read_back(struct fixture *f, bool rejoin_after_leave)
{
    struct snapshot_state s;
    struct err err;
    struct buf text = {0};
    assert_ok(snapshot_read(f->path, rejoin_after_leave, &f->arena, &s, &err));
    for (size_t i = 0; i < s.count; i++) {
        buf_printf(&text, "%.*s=%.*s ", STRF(s.nodes[i].name), STRF(s.nodes[i].address));
    }
    buf_printf(&text, "clocks %llu %llu %llu", (unsigned long long)s.clock,
               (unsigned long long)s.event_clock, (unsigned long long)s.query_clock);
    const char *copy = arena_str(&f->arena, buf_view(&text)).p;
    buf_deinit(&text);
    return copy;
}

static struct snapshot_writer *writer(struct fixture *f, bool rejoin_after_leave)
{
    struct snapshot_state before;
    struct snapshot_writer *w;
    struct err err;
    assert_ok(snapshot_read(f->path, rejoin_after_leave, &f->arena, &before, &err));
    assert_ok(snapshot_writer_new(f->files, f->path, &before, rejoin_after_leave, &w, &err));
    return w;
}

static void run_files(struct fixture *f)
{
    loop_stop(f->files);
    loop_run(f->files);
}

/* As in a pool: the loop's messages are out before. */
static void writer_end(struct fixture *f, struct snapshot_writer *w)
{
    run_files(f);
    (void)snapshot_writer_free(w);
}

/* --- reading --------------------------------------------------------------------------------- */

static void test_no_file(void **state)
{
    assert_string_equal(read_back(*state, false), "clocks 0 0 0");
}

/* Of a server of 1.10.3. */
static void test_recorded(void **state)
{
    file_write(*state, "alive: s1 127.21.0.1:8301\n"
                       "alive: s3 127.21.0.3:8301\n"
                       "alive: s2 127.21.0.2:8301\n"
                       "clock: 2\n"
                       "clock: 3\n"
                       "event-clock: 1\n"
                       "alive: c1 127.21.0.4:8301\n"
                       "clock: 4\n"
                       "event-clock: 2\n");
    assert_string_equal(
        read_back(*state, false),
        "s1=127.21.0.1:8301 s3=127.21.0.3:8301 s2=127.21.0.2:8301 c1=127.21.0.4:8301 clocks 4 2 0");
}

static void test_lines_of_all_kinds(void **state)
{
    file_write(*state, "# a comment\n"
                       "coordinate: {}\n"
                       "alive: two words 127.0.0.1:1\n"
                       "alive: a 127.0.0.1:2\n"
                       "alive: b [::1]:3\n"
                       "not-alive: a\n"
                       "alive: b [::1]:4\n"
                       "alive: nonsense\n"
                       "clock: many\n"
                       "query-clock: 7\n"
                       "something else\n"
                       "clock: 5\n"
                       "clock: 6"); /* cut off */
    assert_string_equal(read_back(*state, false), "two words=127.0.0.1:1 b=[::1]:4 clocks 5 0 7");
}

static void test_leave(void **state)
{
    file_write(*state, "alive: a 127.0.0.1:1\nclock: 4\nleave\nalive: b 127.0.0.1:2\n");
    assert_string_equal(read_back(*state, false), "b=127.0.0.1:2 clocks 0 0 0");
    assert_string_equal(read_back(*state, true), "a=127.0.0.1:1 b=127.0.0.1:2 clocks 4 0 0");
}

/* --- writing --------------------------------------------------------------------------------- */

static void test_written_and_read(void **state)
{
    struct fixture *f = *state;
    struct snapshot_writer *w = writer(f, false);
    snapshot_writer_put(w, STR("alive: a 127.0.0.1:1"));
    snapshot_writer_put(w, STR("alive: b 127.0.0.1:2"));
    snapshot_writer_put(w, STR("clock: 3"));
    snapshot_writer_put(w, STR("not-alive: a"));
    snapshot_writer_put(w, STR("event-clock: 2"));
    snapshot_writer_put(w, STR("clock: 4"));
    writer_end(f, w);
    assert_string_equal(read_back(f, false), "b=127.0.0.1:2 clocks 4 2 0");
    w = writer(f, false); /* appended to */
    snapshot_writer_put(w, STR("alive: a 127.0.0.1:1"));
    writer_end(f, w);
    assert_string_equal(read_back(f, false), "b=127.0.0.1:2 a=127.0.0.1:1 clocks 4 2 0");
}

/* What waits is one fact a subject, however often it has changed. */
static void test_waiting_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct snapshot_writer *w = writer(f, false);
    for (int i = 0; i < 1000; i++) {
        snapshot_writer_put(w, i % 2 ? STR("not-alive: a") : STR("alive: a 127.0.0.1:1"));
        snapshot_writer_put(w, arena_printf(&f->arena, "clock: %d", i));
    }
    writer_end(f, w);
    assert_str_lit(file_text(f), "not-alive: a\nclock: 999\n");
}

/* A name of somebody else's making cannot add lines of its own. */
static void test_lines_within_names(void **state)
{
    struct fixture *f = *state;
    struct snapshot_writer *w = writer(f, false);
    snapshot_writer_put(w, STR("alive: x\nalive: evil 127.0.0.1:1"));
    snapshot_writer_put(w, STR("not-alive: x\nleave"));
    writer_end(f, w);
    assert_str_lit(file_text(f), "");
}

static void test_nothing_after_leave(void **state)
{
    struct fixture *f = *state;
    struct snapshot_writer *w = writer(f, false);
    snapshot_writer_put(w, STR("alive: a 127.0.0.1:1"));
    snapshot_writer_put(w, STR("leave"));
    snapshot_writer_put(w, STR("alive: b 127.0.0.1:2"));
    writer_end(f, w);
    assert_str_lit(file_text(f), "alive: a 127.0.0.1:1\nleave\n");
}

static void test_compacted(void **state)
{
    struct fixture *f = *state;
    struct snapshot_writer *w = writer(f, false);
    struct stat st = {0};
    off_t largest = 0;
    for (int i = 0; i < 20000; i++) {
        struct str line =
            arena_printf(&f->arena, "alive: node%d 127.0.0.%d:8301", i % 100, i / 100 % 250);
        snapshot_writer_put(w, line);
        if (i % 50 == 0) {
            run_files(f);
            assert_int_equal(stat(f->path.p, &st), 0);
            largest = MAX(largest, st.st_size);
        }
        arena_reset(&f->arena);
        f->path = arena_printf(&f->arena, "%s/serf/local.snapshot", f->dir);
    }
    snapshot_writer_put(w, STR("clock: 77"));
    writer_end(f, w);
    assert_true(largest > SNAPSHOT_SIZE_MIN / 2 && largest < (off_t)SNAPSHOT_SIZE_MIN + 8192);
    struct snapshot_state s;
    struct err err;
    assert_ok(snapshot_read(f->path, false, &f->arena, &s, &err));
    assert_int_equal(s.count, 100);
    assert_int_equal(s.clock, 77);
}

/* What a full disk has refused is written when there is room again, at the latest in the end. */
static void test_write_fails(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, none;
    struct snapshot_writer *w = writer(f, false);
    snapshot_writer_put(w, STR("alive: a 127.0.0.1:1"));
    run_files(f);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    snapshot_writer_put(w, STR("alive: b 127.0.0.1:2"));
    run_files(f);
    snapshot_writer_put(w, STR("clock: 9"));
    run_files(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)snapshot_writer_free(w);
    assert_string_equal(read_back(f, false), "a=127.0.0.1:1 b=127.0.0.1:2 clocks 9 0 0");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_no_file),
        T(test_recorded),
        T(test_lines_of_all_kinds),
        T(test_leave),
        T(test_written_and_read),
        T(test_waiting_is_bounded),
        T(test_lines_within_names),
        T(test_nothing_after_leave),
        T(test_compacted),
        T(test_write_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
