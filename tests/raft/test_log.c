#include "test.h"

#include "base/mem.h"
#include "raft/log.h"
#include "raft/log_format.h"
#include "sim_io.h"

#include <errno.h>
#include <stdio.h>

#define SEGMENT "dir/00000000000000000001.seg"

static struct raft_log *log_open(struct sim_io *s, uint64_t segment_size, size_t cache)
{
    struct raft_log_options o = {.io = &s->io,
                                 .dir = "dir",
                                 .segment_size = segment_size,
                                 .cache_size_max = cache,
                                 .salt_seed = 1 + rng_u64(&s->rng) % 1000};
    struct raft_log *log = NULL;
    struct err err = {0};
    if (raft_log_open(&o, &log, &err) < 0) {
        print_error("open: %s\n", err_text(&err));
        fail();
    }
    return log;
}

/* The bytes of entry `index` of a term: its own numbers, then a pattern. */
static struct str entry_bytes(char to[4096], uint64_t index, uint64_t term, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (char)(index * 31 + term * 7 + i);
    }
    return str_make(to, n);
}

static size_t entry_size(uint64_t index)
{
    return (size_t)(index * index * 7919 % 300);
}

static int put(struct raft_log *log, uint64_t term)
{
    char bytes[4096];
    uint64_t index = raft_log_last_index(log) + 1;
    struct raft_entry e = {.index = index,
                           .term = term,
                           .type = RAFT_ENTRY_COMMAND,
                           .appended_ns = (int64_t)index,
                           .data = entry_bytes(bytes, index, term, entry_size(index)),
                           .extensions = index % 5 == 0 ? STR("ext") : STR_NULL};
    return raft_log_append(log, &e);
}

static int flush(struct raft_log *log)
{
    struct raft_log_batch *b;
    while ((b = raft_log_batch_begin(log)) != NULL) {
        struct err err = {0};
        int r = raft_log_batch_write(b, &err);
        raft_log_batch_end(log, b, r);
        if (r < 0) {
            assert_true(err.code != 0);
            return r;
        }
    }
    return 0;
}

/* Entries from..last are those of `terms`, which holds each entry's term at its index. */
static void check(struct raft_log *log, uint64_t from, uint64_t last, const uint64_t *terms)
{
    struct raft_entry entries[16];
    char bytes[4096];
    struct err err = {0};
    assert_true(raft_log_last_index(log) >= last);
    for (uint64_t index = from; index <= last;) {
        uint64_t size, fit = raft_log_fit(log, index, ARRAY_SIZE(entries), 500, &size);
        int n = raft_log_read(log, index, ARRAY_SIZE(entries), 500, entries, &err);
        assert_int_equal(n, fit);
        if (n <= 0) {
            print_error("read %llu: %s\n", (unsigned long long)index, err_text(&err));
            fail();
        }
        for (int i = 0; i < n && index <= last; i++, index++) {
            assert_true(entries[i].index == index);
            assert_true(entries[i].term == terms[index]);
            assert_true(raft_log_term(log, index) == terms[index]);
            assert_true(entries[i].appended_ns == (int64_t)index);
            assert_str_equal(entries[i].data,
                             entry_bytes(bytes, index, terms[index], entry_size(index)));
            assert_str_equal(entries[i].extensions, index % 5 == 0 ? STR("ext") : STR_NULL);
        }
    }
}

#define MODEL_MAX 5000u

static int forgotten_remove(struct raft_log *log, struct err *err)
{
    struct raft_log_removal *m = raft_log_removal_begin(log);
    if (m == NULL) {
        return 0;
    }
    assert_null(raft_log_removal_begin(log));
    int r = raft_log_removal_run(m, err);
    raft_log_removal_end(log, m);
    return r;
}

/* Random calls against an array of terms; a clean reopen now and then. */
static void test_model(void **state)
{
    (void)state;
    static uint64_t terms[MODEL_MAX];
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct sim_io *s = sim_io_new(seed);
        struct rng *rng = &s->rng;
        size_t cache = 1 + rng_below(rng, 3) * 20000;
        struct raft_log *log = log_open(s, 4096, cache);
        uint64_t first = 1, last = 0, term = 1;
        struct err err = {0};
        for (int step = 0; step < 400 && last + 40 < MODEL_MAX; step++) {
            switch (rng_below(rng, 12)) {
            case 0:
                term++;
                break;
            case 1:
                if (last >= first) {
                    uint64_t index = first + rng_below(rng, last - first + 2);
                    assert_ok(flush(log));
                    assert_ok(raft_log_truncate(log, index, &err));
                    last = index - 1;
                }
                break;
            case 2:
                raft_log_compact(log, first + rng_below(rng, last - first + 2));
                if (rng_below(rng, 2) == 0) {
                    assert_ok(forgotten_remove(log, &err));
                }
                assert_true(raft_log_first_index(log) >= first);
                first = raft_log_first_index(log);
                break;
            case 3:
                assert_ok(flush(log));
                if (last == 0) {
                    break; /* a log of nothing starts at 1 again */
                }
                raft_log_free(log);
                log = log_open(s, 4096, cache);
                if (last >= first) { /* what was forgotten and not removed yet is there again */
                    assert_true(raft_log_first_index(log) <= first);
                    raft_log_compact(log, first - 1);
                } else {
                    assert_ok(raft_log_reset(log, first, &err));
                }
                break;
            case 4:
                if (rng_below(rng, 10) == 0) {
                    assert_ok(flush(log));
                    first = last + 1 + rng_below(rng, 50);
                    assert_ok(raft_log_reset(log, first, &err));
                    last = first - 1;
                }
                break;
            case 5:
            case 6:
                assert_ok(flush(log));
                assert_true(raft_log_durable_index(log) == last);
                break;
            default:
                for (uint64_t n = 1 + rng_below(rng, 20); n > 0; n--) {
                    assert_ok(put(log, term));
                    terms[++last] = term;
                }
            }
            assert_true(raft_log_first_index(log) == first);
            assert_true(raft_log_last_index(log) == last);
            assert_true(raft_log_term(log, last + 1) == 0 && raft_log_term(log, first - 1) == 0);
            if (rng_below(rng, 4) == 0) {
                check(log, first, last, terms);
            }
        }
        assert_ok(flush(log));
        check(log, first, last, terms);
        raft_log_free(log);
        sim_io_free(s);
    }
}

/* A hundred entries that wait together cost one write and one sync. */
static void test_group_commit(void **state)
{
    (void)state;
    struct sim_io *s = sim_io_new(1);
    struct raft_log *log = log_open(s, 1 << 20, 0);
    assert_ok(put(log, 1));
    assert_ok(flush(log));
    uint64_t syncs = s->syncs, writes = s->writes;
    for (int i = 0; i < 100; i++) {
        assert_ok(put(log, 1));
    }
    struct raft_log_batch *b = raft_log_batch_begin(log);
    assert_int_equal(raft_log_batch_count(b), 100);
    for (int i = 0; i < 50; i++) {
        assert_ok(put(log, 1)); /* gathers meanwhile */
    }
    assert_null(raft_log_batch_begin(log));
    assert_ok(raft_log_batch_write(b, NULL));
    assert_true(raft_log_durable_index(log) == 1);
    raft_log_batch_end(log, b, 0);
    assert_true(raft_log_durable_index(log) == 101 && raft_log_last_index(log) == 151);
    assert_int_equal(s->syncs - syncs, 1);
    assert_int_equal(s->writes - writes, 1);
    assert_ok(flush(log));
    assert_int_equal(s->syncs - syncs, 2);
    raft_log_free(log);
    sim_io_free(s);
}

/* While a batch is under way, what stands before it is read from the file and it from memory. */
static void test_read_while_writing(void **state)
{
    (void)state;
    struct sim_io *s = sim_io_new(1);
    struct raft_log *log = log_open(s, 1 << 20, 1);
    uint64_t terms[32] = {0};
    for (int i = 1; i <= 20; i++) {
        assert_ok(put(log, 1));
        terms[i] = 1;
        if (i == 10) {
            assert_ok(flush(log));
        }
    }
    struct raft_log_batch *b = raft_log_batch_begin(log);
    assert_non_null(b);
    check(log, 1, 20, terms);
    assert_ok(raft_log_batch_write(b, NULL));
    raft_log_batch_end(log, b, 0);
    check(log, 1, 20, terms);
    raft_log_free(log);
    sim_io_free(s);
}

/* More than one batch may hold is split, in order. */
static void test_batch_limits(void **state)
{
    (void)state;
    static uint64_t terms[RAFT_BATCH_COUNT_MAX * 2 + 10];
    struct sim_io *s = sim_io_new(1);
    struct raft_log *log = log_open(s, 1 << 24, 1 << 16);
    for (uint64_t i = 1; i < ARRAY_SIZE(terms); i++) {
        terms[i] = 1 + i / 5000;
        assert_ok(put(log, terms[i]));
    }
    assert_ok(flush(log));
    check(log, 1, ARRAY_SIZE(terms) - 1, terms);
    raft_log_free(log);
    log = log_open(s, 1 << 24, 1 << 16);
    check(log, 1, ARRAY_SIZE(terms) - 1, terms);
    struct raft_entry large = {.index = raft_log_last_index(log) + 1, .term = 9};
    large.data = (struct str){"", (size_t)RAFT_ENTRY_SIZE_MAX + 1};
    assert_int_equal(raft_log_append(log, &large), -ERR_TOO_LARGE);
    raft_log_free(log);
    sim_io_free(s);
}

/* Three batches; returns where the last starts and ends in the one segment. */
static struct raft_log *three_batches(struct sim_io *s, uint64_t *terms, uint64_t *ret_from,
                                      uint64_t *ret_to)
{
    struct raft_log *log = log_open(s, 1 << 14, 0);
    static const int counts[] = {3, 4, 6};
    for (size_t k = 0; k < 3; k++) {
        *ret_from = raft_log_size(log) > 0 ? raft_log_size(log) : SEGMENT_HEADER_SIZE;
        for (int i = 0; i < counts[k]; i++) {
            assert_ok(put(log, 1 + k));
            terms[raft_log_last_index(log)] = 1 + k;
        }
        assert_ok(flush(log));
    }
    *ret_to = raft_log_size(log);
    sim_io_settle(s);
    return log;
}

static void set_bytes(struct sim_file *f, uint64_t from, const char *image, uint64_t n)
{
    memcpy(f->bytes + from, image, (size_t)n);
    memcpy(f->durable + from, image, (size_t)n);
}

/* Only the first bytes of the last batch arrived, or only the last ones: at every byte. What was
 * synced before stays, no hole appears, and the log goes on. */
static void test_torn_tail(void **state)
{
    (void)state;
    uint64_t terms[64] = {0}, from, to;
    for (int reversed = 0; reversed < 2; reversed++) {
        for (uint64_t cut = 0;; cut++) {
            struct sim_io *s = sim_io_new(7);
            raft_log_free(three_batches(s, terms, &from, &to));
            if (from + cut > to) {
                sim_io_free(s);
                break;
            }
            struct sim_file *f = sim_io_file(s, SEGMENT);
            static const char zeros[1 << 14];
            if (reversed) {
                set_bytes(f, from, zeros, cut);
            } else {
                set_bytes(f, from + cut, zeros, to - from - cut);
            }
            struct raft_log *log = log_open(s, 1 << 14, 0);
            uint64_t last = raft_log_last_index(log);
            assert_true(last >= 7 && last <= 13);
            assert_true(cut > 0 || last == (reversed ? 13 : 7));
            check(log, 1, last, terms);
            assert_ok(put(log, 4));
            terms[last + 1] = 4;
            assert_ok(flush(log));
            raft_log_free(log);
            log = log_open(s, 1 << 14, 0);
            assert_true(raft_log_last_index(log) == last + 1);
            check(log, 1, last + 1, terms);
            raft_log_free(log);
            sim_io_free(s);
        }
    }
}

/* A bit that fell over in what was acknowledged and has later writes behind it: refused, with the
 * file and the offset, whichever bit it is. (Padding is nobody's.) */
static void test_flipped_bit(void **state)
{
    (void)state;
    uint64_t terms[64] = {0}, from, to;
    struct sim_io *s = sim_io_new(7);
    raft_log_free(three_batches(s, terms, &from, &to));
    struct sim_file *f = sim_io_file(s, SEGMENT);
    size_t refused = 0;
    for (uint64_t at = 0; at < from; at++) {
        sim_io_flip(f, at, (char)(1 << at % 8));
        struct raft_log_options o = {.io = &s->io, .dir = "dir", .segment_size = 1 << 14};
        struct raft_log *log = NULL;
        struct err err = {0};
        int r = raft_log_open(&o, &log, &err);
        if (r == 0) {
            assert_true(raft_log_last_index(log) == 13);
            check(log, 1, 13, terms);
            raft_log_free(log);
        } else {
            assert_int_equal(r, -ERR_CORRUPT);
            assert_non_null(strstr(err.text, SEGMENT));
            assert_non_null(strstr(err.text, "offset"));
            refused++;
        }
        sim_io_flip(f, at, (char)(1 << at % 8));
    }
    assert_true(refused > from - 8 * 7);
    sim_io_free(s);
}

/* Segments that are missing, in the middle or cut short, are noticed. */
static void test_missing_segment(void **state)
{
    (void)state;
    struct sim_io *s = sim_io_new(3);
    struct raft_log *log = log_open(s, 1024, 0);
    uint64_t second = 0, third = 0;
    while (third == 0) {
        uint64_t before = s->names.n;
        assert_ok(put(log, 1));
        assert_ok(flush(log));
        if (s->names.n > before && before > 0) {
            third = second != 0 ? raft_log_last_index(log) : 0;
            second = second != 0 ? second : raft_log_last_index(log);
        }
    }
    raft_log_free(log);
    sim_io_settle(s);
    char path[RAFT_PATH_SIZE_MAX];
    snprintf(path, sizeof(path), "dir/%020llu.seg", (unsigned long long)second);
    struct sim_file *f = sim_io_file(s, path);
    assert_non_null(f);
    struct raft_log_options o = {.io = &s->io, .dir = "dir", .segment_size = 1024};
    struct err err = {0};
    uint64_t size = f->size;
    f->size = SEGMENT_HEADER_SIZE;
    assert_int_equal(raft_log_open(&o, &log, &err), -ERR_CORRUPT);
    f->size = size;
    assert_ok(s->io.ops->remove(&s->io, path));
    assert_int_equal(raft_log_open(&o, &log, &err), -ERR_CORRUPT);
    assert_non_null(strstr(err.text, "starts at entry"));
    sim_io_free(s);
}

/* Emptied at once: whatever call fails, or is the last, there is all of it or nothing after a
 * crash, and what is written when it has succeeded is not taken for a part of what was to go. */
static void reset_with_fault(uint64_t seed, uint64_t n, bool dies, bool *ret_failed)
{
    struct sim_io *s = sim_io_new(seed);
    struct raft_log *log = log_open(s, 2048, 0);
    struct err err = {0};
    for (int i = 0; i < 80; i++) {
        assert_ok(put(log, 1));
        assert_ok(flush(log));
    }
    uint64_t last = raft_log_last_index(log);
    raft_log_compact(log, seed % 2 ? 40 : 0); /* what is forgotten goes with the rest */
    s->fail_at = s->ops + n;
    s->fail_stays = dies;
    int r = raft_log_reset(log, 1000, &err);
    *ret_failed = s->failed;
    s->fail_stays = false;
    s->fail_at = 0;
    if (r < 0 && !dies) {
        assert_true(raft_log_repair(log, &err) < 0); /* half of it is no log */
        r = raft_log_reset(log, 1000, &err);
        assert_int_equal(r, 0);
    }
    if (r == 0 && !dies) {
        assert_ok(put(log, 2));
        assert_ok(flush(log));
    }
    raft_log_free(log);
    sim_io_crash(s);
    log = log_open(s, 2048, 0);
    if (r == 0 && !dies) {
        assert_int_equal(raft_log_first_index(log), 1000);
        assert_int_equal(raft_log_last_index(log), 1000);
    } else if (raft_log_last_index(log) != last) {
        assert_int_equal(raft_log_last_index(log) + 1, raft_log_first_index(log));
    }
    raft_log_free(log);
    sim_io_free(s);
}

static void test_reset_torture(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        bool failed = true;
        for (uint64_t n = 1; failed; n++) {
            for (uint64_t seed = 1; seed <= (dies ? 8 : 2); seed++) {
                reset_with_fault(seed, n, dies, &failed);
            }
        }
    }
}

struct run {
    uint64_t terms[512];
    uint64_t acked; /* all entries up to here were said to be durable and not removed since */
    uint64_t first;
    bool opened;
};

/* Appends, a truncation, a compaction and a reset of the tail's term, under a disk that may fail;
 * goes on after failures as a node would. Stops when the disk is dead. */
static void run(struct sim_io *s, struct run *run)
{
    struct raft_log_options o = {.io = &s->io, .dir = "dir", .segment_size = 2048, .salt_seed = 5};
    struct raft_log *log = NULL;
    struct err err = {0};
    run->opened = raft_log_open(&o, &log, &err) == 0;
    if (!run->opened) {
        return;
    }
    uint64_t term = 1 + raft_log_term(log, raft_log_last_index(log));
    for (int step = 0; step < 24; step++) {
        if (raft_log_repair(log, &err) < 0) {
            break;
        }
        if (step == 10 && raft_log_last_index(log) > raft_log_first_index(log) + 8) {
            uint64_t index = raft_log_last_index(log) - 5;
            uint64_t acked = MIN(run->acked, index - 1);
            run->acked = acked; /* whether it fails or not, the tail is not promised any more */
            if (raft_log_truncate(log, index, &err) < 0) {
                continue;
            }
            term++;
        }
        if (step == 15 || step == 18) { /* what the first left behind is in the second */
            raft_log_compact(log, run->acked > 20 ? run->acked - 10 : 0);
            if (forgotten_remove(log, &err) < 0) {
                continue;
            }
        }
        for (int i = 0; i < 1 + step % 4; i++) {
            if (put(log, term) == 0) {
                run->terms[raft_log_last_index(log)] = term;
            }
        }
        if (flush(log) == 0) {
            run->acked = MAX(run->acked, raft_log_durable_index(log));
        }
    }
    run->first = raft_log_first_index(log);
    assert_true(raft_log_durable_index(log) >= run->acked);
    raft_log_free(log);
}

static void run_with_fault(uint64_t seed, uint64_t fail_at, bool dies, int error, bool *ret_failed)
{
    struct sim_io *s = sim_io_new(seed);
    struct run a = {.first = 1};
    s->fail_at = fail_at;
    s->fail_stays = dies;
    s->fail_error = error;
    run(s, &a);
    *ret_failed = s->failed;
    for (int round = 0; round < 2; round++) {
        sim_io_crash(s);
        struct raft_log *log = log_open(s, 2048, 0);
        if (raft_log_last_index(log) < a.acked) {
            print_error("seed %llu, call %llu, %s: acknowledged %llu, found %llu\n",
                        (unsigned long long)seed, (unsigned long long)fail_at,
                        dies ? "dies" : "fails once", (unsigned long long)a.acked,
                        (unsigned long long)raft_log_last_index(log));
            fail();
        }
        check(log, MAX(raft_log_first_index(log), a.first), a.acked, a.terms);
        raft_log_free(log);
        if (round == 0) {
            run(s, &a); /* and life goes on */
            assert_true(a.opened);
        }
    }
    sim_io_free(s);
}

/* Each call in turn fails once, or is the last the machine made. */
static void test_every_call_fails(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        bool failed = true;
        for (uint64_t n = 1; failed; n++) {
            for (uint64_t seed = 1; seed <= (dies ? 8 : 2); seed++) {
                run_with_fault(seed, n, dies, seed % 2 ? ENOSPC : EIO, &failed);
            }
        }
    }
}

/* A sync fails and the server is restarted: what it finds in the kernel's cache, and builds on, is
 * durable from then on. */
static void test_found_is_durable(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_io *s = sim_io_new(seed);
        struct raft_log *log = log_open(s, 4096, 0);
        uint64_t terms[64] = {0};
        for (int i = 1; i <= 10; i++) {
            assert_ok(put(log, 1));
            terms[i] = 1;
            if (i == 6) {
                assert_ok(flush(log));
            }
        }
        s->fail_at = s->ops + 2; /* the sync after the write */
        assert_true(flush(log) < 0);
        raft_log_free(log);
        s->fail_at = 0;
        log = log_open(s, 4096, 0);
        assert_true(raft_log_last_index(log) == 10 && raft_log_durable_index(log) == 10);
        raft_log_free(log);
        sim_io_crash(s);
        log = log_open(s, 4096, 0);
        assert_true(raft_log_last_index(log) == 10);
        check(log, 1, 10, terms);
        raft_log_free(log);
        sim_io_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),           cmocka_unit_test(test_group_commit),
        cmocka_unit_test(test_batch_limits),    cmocka_unit_test(test_read_while_writing),
        cmocka_unit_test(test_torn_tail),       cmocka_unit_test(test_flipped_bit),
        cmocka_unit_test(test_missing_segment), cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_reset_torture),   cmocka_unit_test(test_found_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
