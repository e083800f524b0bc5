/* Opening a log: read every segment, check every record, decide what a crash may have left.
 *
 * Only the last batch ever written can be torn: the one before it was synced before this one was
 * begun, and batches do not cross segments. So a record that fails its checks is a torn tail when
 * no record of a later batch follows it; it and all behind it are cut off. When one does follow,
 * entries that were acknowledged are damaged: that is refused, never repaired by forgetting.
 *
 * The records kept of the last batch may be only in the kernel's cache (a process that died between
 * write and sync), so that batch is written and synced once more before anything relies on it. */
#include "base/mem.h"
#include "raft/log_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A segment is larger than its usual size when one entry is. */
#define SEGMENT_FILE_SIZE_MAX (RAFT_ENTRY_SIZE_MAX + RAFT_SEGMENT_SIZE)

struct scan {
    struct raft_log *log;
    VEC(uint64_t) firsts;
    VEC(uint64_t) strays; /* unfinished segments, to be removed */
    bool is_reset;        /* all of them were being removed */
    struct err *err;
};

/* "00000000000000000001.seg": 20 digits. */
static bool segment_name_parse(const char *name, const char *suffix, uint64_t *ret_first)
{
    return strlen(name) == 20 + strlen(suffix) && strcmp(name + 20, suffix) == 0 &&
           str_parse_u64(str_make(name, 20), ret_first) == 0 && *ret_first > 0;
}

static int scan_entry(void *data, const char *name, bool is_dir)
{
    struct scan *scan = data;
    uint64_t first;
    if (is_dir) {
        return 0;
    }
    if (segment_name_parse(name, ".seg", &first)) {
        vec_push(&scan->firsts, first);
    } else if (segment_name_parse(name, ".seg.tmp", &first)) {
        vec_push(&scan->strays, first);
    } else if (strcmp(name, RESET_MARK) == 0) {
        scan->is_reset = true;
    }
    return 0; /* what is not ours is left alone */
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Whether a record of a batch later than that of entry `expected` lies behind `at`; where, and
 * which entry. Only a record whose header checks out counts, and the salt in the checksum keeps
 * users' data from posing as one. */
static bool later_batch(const char *bytes, size_t n, size_t at, uint64_t salt, uint64_t expected,
                        struct record *ret_record, size_t *ret_at)
{
    for (at += RECORD_ALIGN; n - MIN(n, at) >= RECORD_HEADER_SIZE; at += RECORD_ALIGN) {
        if (get_le64(bytes + at + RECORD_INDEX) <= expected) {
            continue;
        }
        if (record_check(bytes + at, n - at, salt, ret_record) == RECORD_BAD_HEADER) {
            continue;
        }
        if (ret_record->entry.index - ret_record->batch_back > expected) {
            *ret_at = at;
            return true;
        }
    }
    return false;
}

#define WAY_OUT                                                                                 \
    "Nothing was changed. If this server has peers, remove its data directory and let it join " \
    "them again; else restore a snapshot or a backup"

static int refuse(struct err *err, const char *path, uint64_t at, uint64_t index, const char *why)
{
    return err_set(err, ERR_CORRUPT,
                   "raft log: %s: damaged at offset %" PRIu64 " (entry %" PRIu64 "): %s. " WAY_OUT
                   ", or cut the file to %" PRIu64
                   " bytes and remove later .seg files, which loses "
                   "every entry from %" PRIu64 " on",
                   path, at, index, why, at, index);
}

struct segment_scan {
    size_t batch_at; /* where the last batch starts */
    bool torn;
};

/* Check the records of one segment; is_last allows a torn tail. */
static int segment_scan(struct raft_log *log, struct segment *s, const char *bytes, size_t n,
                        const char *path, bool is_last, struct segment_scan *ret, struct err *err)
{
    size_t at = SEGMENT_HEADER_SIZE;
    uint64_t index = s->first_index;
    uint64_t term = log->terms.n > 0 ? log->terms.v[log->terms.n - 1].term : 0;
    struct record record;
    *ret = (struct segment_scan){.batch_at = at};
    while (record_check(bytes + at, n - at, s->salt, &record) == RECORD_GOOD) {
        if (record.entry.index != index || record.entry.term < term) {
            return refuse(err, path, at, index, "its index or term is out of order");
        }
        if (record.batch_back == 0) {
            ret->batch_at = at;
        }
        vec_push(&s->offsets, (uint32_t)at);
        term = record.entry.term;
        log_term_note_(log, index, term);
        index++;
        at += record.size;
    }
    s->end = at;
    if (at == n || (bytes[at] == '\0' && memcmp(bytes + at, bytes + at + 1, n - at - 1) == 0)) {
        return 0; /* only the zeros it was made of */
    }
    size_t later_at;
    if (later_batch(bytes, n, at, s->salt, index, &record, &later_at)) {
        char why[128];
        snprintf(why, sizeof(why), "entry %" PRIu64 ", of a later write, is intact at offset %zu",
                 record.entry.index, later_at);
        return refuse(err, path, at, index, why);
    }
    if (!is_last) {
        return refuse(err, path, at, index, "later segments exist");
    }
    ret->torn = true;
    return 0;
}

/* Make what was kept of the last segment durable, and what was not, gone. */
static int segment_settle(struct raft_log *log, struct segment *s, char *bytes,
                          const struct segment_scan *scan, const char *path, struct err *err)
{
    struct raft_io *io = log->io;
    int r = 0;
    if (scan->torn || s->size < log->segment_size) {
        r = io->ops->truncate(io, s->file, s->end);
        if (r == 0) {
            s->size = MAX(s->size, log->segment_size);
            (void)io->ops->allocate(io, s->file, s->size); /* a full disk shows at the next write */
        }
    }
    if (r == 0 && s->end > scan->batch_at) {
        struct iovec iov = {bytes + scan->batch_at, (size_t)s->end - scan->batch_at};
        r = io->ops->pwritev(io, s->file, &iov, 1, scan->batch_at);
    }
    r = r < 0 ? r : io->ops->sync(io, s->file);
    return r < 0 ? err_set(err, -r, "raft log: cannot settle %s: %s", path, err_code_text(-r)) : 0;
}

static int segment_open(struct raft_log *log, uint64_t first_index, bool is_last, struct err *err)
{
    struct raft_io *io = log->io;
    char path[RAFT_PATH_SIZE_MAX];
    int r = segment_path_(log, first_index, "", path);
    if (r < 0) {
        return err_from_errno(err, r, log->dir);
    }
    struct segment *s = xcalloc(1, sizeof(*s));
    s->first_index = first_index;
    s->file = io->ops->open(io, path, is_last ? RAFT_IO_WRITE : RAFT_IO_READ);
    r = s->file < 0 ? s->file : io->ops->size(io, s->file, &s->size);
    if (r < 0) {
        segment_free_(log, s);
        return err_set(err, -r, "raft log: cannot open %s: %s", path, err_code_text(-r));
    }
    vec_push(&log->segments, s);
    if (s->size > SEGMENT_FILE_SIZE_MAX) {
        return err_set(err, ERR_CORRUPT,
                       "raft log: %s: %" PRIu64 " bytes, more than was ever "
                       "written. " WAY_OUT,
                       path, s->size);
    }
    char *bytes = try_malloc((size_t)s->size + 1);
    if (bytes == NULL) {
        return err_from_errno(err, ENOMEM, path);
    }
    struct segment_scan scan = {0};
    ptrdiff_t n = io->ops->pread(io, s->file, bytes, (size_t)s->size, 0);
    if (n < 0) {
        r = err_set(err, (int)-n, "raft log: cannot read %s: %s", path, err_code_text((int)-n));
    } else if ((size_t)n < SEGMENT_HEADER_SIZE || !segment_header_get(bytes, &s->salt)) {
        r = err_set(err, ERR_CORRUPT,
                    "raft log: %s: damaged at offset 0: not the header of a segment. " WAY_OUT
                    ", or remove this and later .seg files, which loses every entry from %" PRIu64
                    " on",
                    path, first_index);
    } else {
        r = segment_scan(log, s, bytes, (size_t)n, path, is_last, &scan, err);
    }
    if (r == 0 && is_last) {
        r = segment_settle(log, s, bytes, &scan, path, err);
    }
    mem_free(bytes);
    return r;
}

/* A crash while the log was being emptied; what it covered is in a snapshot. */
static int finish_reset(struct raft_log *log, struct scan *scan, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < scan->firsts.n; i++) {
        char path[RAFT_PATH_SIZE_MAX];
        r = segment_path_(log, scan->firsts.v[i], "", path);
        r = r < 0 ? r : log->io->ops->remove(log->io, path);
    }
    if (r < 0) {
        return err_set(err, -r, "raft log: cannot empty %s: %s", log->dir, err_code_text(-r));
    }
    vec_clear(&scan->firsts);
    return raft_log_mark_remove_(log, err);
}

int raft_log_recover_(struct raft_log *log, struct err *err)
{
    struct scan scan = {.log = log, .err = err};
    int r = log->io->ops->dir_list(log->io, log->dir, scan_entry, &scan);
    if (r < 0) {
        r = err_set(err, -r, "raft log: cannot list %s: %s", log->dir, err_code_text(-r));
    }
    for (size_t i = 0; r == 0 && i < scan.strays.n; i++) {
        char path[RAFT_PATH_SIZE_MAX];
        if (segment_path_(log, scan.strays.v[i], ".tmp", path) == 0) {
            (void)log->io->ops->remove(log->io, path); /* else the next one empties it */
        }
    }
    if (r == 0 && scan.is_reset) {
        r = finish_reset(log, &scan, err);
    }
    if (scan.firsts.n > 0) {
        qsort(scan.firsts.v, scan.firsts.n, sizeof(scan.firsts.v[0]), compare_u64);
        log->first_index = scan.firsts.v[0];
    }
    uint64_t next = log->first_index;
    for (size_t i = 0; r == 0 && i < scan.firsts.n; i++) {
        uint64_t first = scan.firsts.v[i];
        if (first != next) {
            char path[RAFT_PATH_SIZE_MAX] = "";
            (void)segment_path_(log, first, "", path);
            r = err_set(err, ERR_CORRUPT,
                        "raft log: %s: starts at entry %" PRIu64 ", but the segment before it "
                        "ends at %" PRIu64 ". " WAY_OUT ", or remove this and later .seg files, "
                        "which loses every entry from %" PRIu64 " on",
                        path, first, next - 1, next);
            break;
        }
        r = segment_open(log, first, i + 1 == scan.firsts.n, err);
        if (r == 0) {
            next = first + log->segments.v[i]->offsets.n;
        }
    }
    log->last_index = log->durable_index = next - 1;
    vec_deinit(&scan.firsts);
    vec_deinit(&scan.strays);
    return r;
}
