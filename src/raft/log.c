/* The happy path: append() encodes into a block of memory, batch_begin() decides where in the last
 * segment the staged records go (or that a new segment is due), batch_write() lays checksums over
 * them and writes and syncs, batch_end() moves the durable index. The blocks then serve as the
 * cache of the newest entries.
 *
 * Failures: see docs/raft-log.md. In short, whatever fails before the sync is cut off the file by
 * repair(); whatever a sync says no to stays doubtful until a restart, and nothing more is
 * written. */
#include "raft/log.h"

#include "base/mem.h"
#include "raft/log_internal.h"

#include <errno.h>
#include <stdio.h>

/* Segments. */

int segment_path_(const struct raft_log *log, uint64_t first_index, const char *suffix,
                  char to[RAFT_PATH_SIZE_MAX])
{
    char name[64];
    snprintf(name, sizeof(name), "%020llu.seg%s", (unsigned long long)first_index, suffix);
    return raft_io_path(to, log->dir, name);
}

void segment_free_(struct raft_log *log, struct segment *s)
{
    if (s->file >= 0) {
        log->io->ops->close(log->io, s->file);
    }
    vec_deinit(&s->offsets);
    mem_free(s);
}

static struct segment *segment_last(const struct raft_log *log)
{
    return log->segments.n > 0 ? log->segments.v[log->segments.n - 1] : NULL;
}

int log_io_fail_(struct err *err, int r, const char *what, const char *path)
{
    return err_set(err, -r, "raft log: %s %s: %s", what, path, err_code_text(-r));
}

/* Make the file under another name first: a segment that can be seen has a good header. */
static int segment_make(struct raft_log *log, struct segment *s, struct err *err)
{
    struct raft_io *io = log->io;
    char tmp[RAFT_PATH_SIZE_MAX], path[RAFT_PATH_SIZE_MAX];
    int r = segment_path_(log, s->first_index, ".tmp", tmp);
    r = r < 0 ? r : segment_path_(log, s->first_index, "", path);
    if (r < 0) {
        return log_io_fail_(err, r, "cannot name a segment in", log->dir);
    }
    int file = io->ops->open(io, tmp, RAFT_IO_CREATE);
    if (file < 0) {
        return log_io_fail_(err, file, "cannot create", tmp);
    }
    char header[SEGMENT_HEADER_SIZE];
    segment_header_put(header, s->salt);
    struct iovec iov = {header, sizeof(header)};
    const char *what = "cannot allocate";
    r = io->ops->allocate(io, file, s->size);
    if (r == 0) {
        what = "cannot write";
        r = io->ops->pwritev(io, file, &iov, 1, 0);
    }
    if (r == 0) {
        what = "cannot sync";
        r = io->ops->sync(io, file);
    }
    if (r == 0) {
        what = "cannot rename";
        r = io->ops->rename(io, tmp, path);
    }
    if (r == 0) {
        what = "cannot sync the directory of";
        r = io->ops->dir_sync(io, log->dir);
    }
    if (r < 0) {
        io->ops->close(io, file);
        (void)io->ops->remove(io, tmp);
        return log_io_fail_(err, r, what, path);
    }
    s->file = file;
    return 0;
}

/* Cut the file behind `end`, leaving zeros there again. */
static int segment_cut(struct raft_log *log, struct segment *s, uint64_t end, struct err *err)
{
    struct raft_io *io = log->io;
    char path[RAFT_PATH_SIZE_MAX];
    int r = segment_path_(log, s->first_index, "", path);
    r = r < 0 ? r : io->ops->truncate(io, s->file, end);
    if (r == 0) {
        /* Space that was there is there again, unless somebody took it: then later. */
        (void)io->ops->allocate(io, s->file, s->size);
        r = io->ops->sync(io, s->file);
        log->broken = log->broken || r < 0;
    }
    return r < 0 ? log_io_fail_(err, r, "cannot cut", path) : 0;
}

/* Terms, as runs: how a follower's or a vote's question is answered without reading. */

void log_term_note_(struct raft_log *log, uint64_t index, uint64_t term)
{
    if (log->terms.n == 0 || log->terms.v[log->terms.n - 1].term != term) {
        vec_push(&log->terms, ((struct raft_term_run){index, term}));
    }
}

static void terms_cut_from(struct raft_log *log, uint64_t index)
{
    while (log->terms.n > 0 && log->terms.v[log->terms.n - 1].first_index >= index) {
        log->terms.n--;
    }
}

static void terms_cut_before(struct raft_log *log, uint64_t index)
{
    size_t i = 0;
    while (i + 1 < log->terms.n && log->terms.v[i + 1].first_index <= index) {
        i++;
    }
    if (i > 0) {
        memmove(log->terms.v, log->terms.v + i, (log->terms.n - i) * sizeof(log->terms.v[0]));
        log->terms.n -= i;
    }
    if (log->terms.n > 0 && log->terms.v[0].first_index < index) {
        log->terms.v[0].first_index = index;
    }
}

uint64_t raft_log_term(const struct raft_log *log, uint64_t index)
{
    if (index < log->first_index || index > log->last_index) {
        return 0;
    }
    size_t low = 0, high = log->terms.n; /* the last run that starts at or before index */
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (log->terms.v[mid].first_index <= index) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return log->terms.v[low].term;
}

const struct raft_term_run *raft_log_term_runs(const struct raft_log *log, size_t *ret_count)
{
    *ret_count = log->terms.n;
    return log->terms.v;
}

uint64_t raft_log_first_index(const struct raft_log *log)
{
    return log->first_index;
}

uint64_t raft_log_last_index(const struct raft_log *log)
{
    return log->last_index;
}

uint64_t raft_log_durable_index(const struct raft_log *log)
{
    return log->durable_index;
}

uint64_t raft_log_size(const struct raft_log *log)
{
    uint64_t size = 0;
    for (size_t i = 0; i < log->segments.n; i++) {
        size += log->segments.v[i]->end;
    }
    return size;
}

/* Blocks: encoded entries in memory. */

static struct block *block_free(struct block *b)
{
    if (b != NULL) {
        vec_deinit(&b->offsets);
        mem_free(b->bytes);
        mem_free(b);
    }
    return NULL;
}

static uint64_t block_last_index(const struct block *b)
{
    return b->first_index + b->offsets.n - 1;
}

/* A block with room for one more record at its end. */
static struct block *block_for(struct raft_log *log, size_t size)
{
    struct block *b = log->blocks.n > 0 ? log->blocks.v[log->blocks.n - 1] : NULL;
    if (b != NULL && b->cap - b->n >= size) {
        return b;
    }
    b = NULL;
    if (size <= BLOCK_SIZE_MIN && log->spare != NULL) {
        b = TAKE(log->spare);
    } else {
        size_t cap = MAX(size, (size_t)BLOCK_SIZE_MIN);
        char *bytes = try_malloc(cap);
        if (bytes == NULL) {
            return NULL;
        }
        b = xcalloc(1, sizeof(*b));
        b->bytes = bytes;
        b->cap = cap;
    }
    b->n = 0;
    b->offsets.n = 0;
    b->first_index = log->last_index + 1;
    vec_push(&log->blocks, b);
    log->blocks_size += b->cap;
    return b;
}

static void block_drop(struct raft_log *log, struct block *b)
{
    log->blocks_size -= b->cap;
    if (b->cap == BLOCK_SIZE_MIN && log->spare == NULL) {
        log->spare = b;
    } else {
        block_free(b);
    }
}

/* The cache gives back its oldest blocks; never one that is not durable yet. */
static void blocks_trim(struct raft_log *log)
{
    size_t i = 0;
    while (i < log->blocks.n && log->blocks_size > log->cache_size_max &&
           block_last_index(log->blocks.v[i]) <= log->durable_index) {
        block_drop(log, log->blocks.v[i++]);
    }
    if (i > 0) {
        memmove(log->blocks.v, log->blocks.v + i, (log->blocks.n - i) * sizeof(log->blocks.v[0]));
        log->blocks.n -= i;
    }
}

static void blocks_cut_from(struct raft_log *log, uint64_t index)
{
    while (log->blocks.n > 0) {
        struct block *b = log->blocks.v[log->blocks.n - 1];
        if (b->first_index < index) {
            if (block_last_index(b) >= index) {
                size_t keep = (size_t)(index - b->first_index);
                b->n = b->offsets.v[keep];
                b->offsets.n = keep;
            }
            return;
        }
        block_drop(log, b);
        log->blocks.n--;
    }
}

/* Appending. */

static void batch_clear(struct raft_log_batch *b)
{
    vec_clear(&b->slices);
    b->count = 0;
    b->size = 0;
    b->segment = NULL;
    b->make_segment = b->sync_failed = false;
}

int raft_log_append(struct raft_log *log, const struct raft_entry *e)
{
    ASSERT(e->index == log->last_index + 1);
    DASSERT(e->term >= raft_log_term(log, log->last_index));
    if (log->failed < 0) {
        return log->failed;
    }
    if (e->data.n > RAFT_ENTRY_SIZE_MAX || e->extensions.n > RAFT_EXTENSIONS_SIZE_MAX) {
        return -ERR_TOO_LARGE;
    }
    size_t size = record_size(e->data.n, e->extensions.n);
    struct block *b = block_for(log, size);
    if (b == NULL) {
        return -ENOMEM;
    }
    struct raft_log_batch *staged = &log->staged;
    if (staged->count == 0) {
        staged->first_index = e->index;
    }
    record_put(b->bytes + b->n, e, (uint32_t)staged->count);
    struct slice *s = staged->slices.n > 0 ? &staged->slices.v[staged->slices.n - 1] : NULL;
    if (s != NULL && s->block == b) {
        s->to += size;
    } else {
        vec_push(&staged->slices, ((struct slice){b, b->n, b->n + size}));
    }
    vec_push(&b->offsets, (uint32_t)b->n);
    b->n += size;
    staged->count++;
    staged->size += size;
    log_term_note_(log, e->index, e->term);
    log->last_index = e->index;
    return 0;
}

/* Take from the staged records what one batch may hold. What is left keeps its place, but starts
 * a batch of its own, so its back counts are written anew. */
static void batch_split(struct raft_log *log)
{
    struct raft_log_batch *staged = &log->staged, *w = &log->writing;
    batch_clear(w);
    w->first_index = staged->first_index;
    if (staged->size <= RAFT_BATCH_SIZE_MAX && staged->count <= RAFT_BATCH_COUNT_MAX) {
        __typeof__(w->slices) slices = w->slices;
        w->slices = staged->slices;
        staged->slices = slices;
        w->count = staged->count;
        w->size = staged->size;
        batch_clear(staged);
        return;
    }
    size_t i = 0;
    for (bool full = false; i < staged->slices.n && !full;) {
        struct slice *s = &staged->slices.v[i];
        struct slice part = {s->block, s->from, s->from};
        while (part.to < s->to) {
            struct record record;
            record_get(s->block->bytes + part.to, &record);
            full = w->count > 0 && (w->size + record.size > RAFT_BATCH_SIZE_MAX ||
                                    w->count == RAFT_BATCH_COUNT_MAX);
            if (full) {
                break;
            }
            part.to += record.size;
            w->count++;
            w->size += record.size;
        }
        if (part.to > part.from) {
            vec_push(&w->slices, part);
        }
        s->from = part.to;
        i += s->from == s->to;
    }
    memmove(staged->slices.v, staged->slices.v + i,
            (staged->slices.n - i) * sizeof(staged->slices.v[0]));
    staged->slices.n -= i;
    staged->first_index += w->count;
    staged->count -= w->count;
    staged->size -= w->size;
    uint32_t back = 0;
    for (size_t k = 0; k < staged->slices.n; k++) {
        struct slice *s = &staged->slices.v[k];
        struct record record;
        for (size_t at = s->from; at < s->to; at += record.size) {
            put_le32(s->block->bytes + at + RECORD_BATCH_BACK, back++);
            record_get(s->block->bytes + at, &record);
        }
    }
}

struct raft_log_batch *raft_log_batch_begin(struct raft_log *log)
{
    if (log->is_writing || log->staged.count == 0) {
        return NULL;
    }
    batch_split(log);
    struct raft_log_batch *w = &log->writing;
    struct segment *s = segment_last(log);
    w->log = log;
    w->make_segment =
        s == NULL || (s->end > SEGMENT_HEADER_SIZE && s->end + w->size > log->segment_size);
    if (w->make_segment) {
        s = xcalloc(1, sizeof(*s));
        s->file = -1;
        s->first_index = w->first_index;
        s->salt = rng_u64(&log->rng);
        s->end = SEGMENT_HEADER_SIZE;
        s->size = MAX(log->segment_size, SEGMENT_HEADER_SIZE + (uint64_t)w->size);
        vec_push(&log->segments, s);
    }
    w->segment = s;
    w->offset = s->end;
    for (size_t i = 0; i < w->slices.n; i++) {
        const struct slice *slice = &w->slices.v[i];
        struct record record;
        for (size_t at = slice->from; at < slice->to; at += record.size) {
            record_get(slice->block->bytes + at, &record);
            vec_push(&s->offsets, (uint32_t)s->end);
            s->end += record.size;
        }
    }
    log->is_writing = true;
    return w;
}

#define WRITE_IOV_MAX 64

int raft_log_batch_write(struct raft_log_batch *w, struct err *err)
{
    struct raft_log *log = w->log;
    struct raft_io *io = log->io;
    if (w->make_segment) {
        int r = segment_make(log, w->segment, err);
        if (r < 0) {
            return r;
        }
    }
    char path[RAFT_PATH_SIZE_MAX];
    uint64_t offset = w->offset;
    for (size_t i = 0; i < w->slices.n;) {
        struct iovec iov[WRITE_IOV_MAX];
        int count = 0;
        uint64_t size = 0;
        for (; i < w->slices.n && count < WRITE_IOV_MAX; i++, count++) {
            const struct slice *s = &w->slices.v[i];
            for (size_t at = s->from; at < s->to;) {
                at += record_seal(s->block->bytes + at, w->segment->salt);
            }
            iov[count] = (struct iovec){s->block->bytes + s->from, s->to - s->from};
            size += s->to - s->from;
        }
        int r = io->ops->pwritev(io, w->segment->file, iov, count, offset);
        if (r < 0) {
            (void)segment_path_(log, w->segment->first_index, "", path);
            return log_io_fail_(err, r, "cannot write", path);
        }
        offset += size;
    }
    int r = io->ops->sync(io, w->segment->file);
    if (r < 0) {
        w->sync_failed = true;
        (void)segment_path_(log, w->segment->first_index, "", path);
        return log_io_fail_(err, r, "cannot sync", path);
    }
    return 0;
}

/* Forget the entries from `index` on; the files are the caller's matter. */
static void forget_from(struct raft_log *log, uint64_t index)
{
    terms_cut_from(log, index);
    blocks_cut_from(log, index);
    for (size_t i = log->segments.n; i > 0; i--) {
        struct segment *s = log->segments.v[i - 1];
        size_t keep = index > s->first_index ? (size_t)(index - s->first_index) : 0;
        if (keep >= s->offsets.n) {
            break;
        }
        s->end = s->offsets.v[keep];
        s->offsets.n = keep;
    }
    log->last_index = index - 1;
    log->durable_index = MIN(log->durable_index, log->last_index);
}

void raft_log_batch_end(struct raft_log *log, struct raft_log_batch *batch, int result)
{
    ASSERT(batch == &log->writing && log->is_writing);
    log->is_writing = false;
    if (result == 0) {
        log->durable_index = batch->first_index + batch->count - 1;
        blocks_trim(log);
        return;
    }
    log->failed = result;
    log->broken = log->broken || batch->sync_failed;
    forget_from(log, batch->first_index);
    batch_clear(&log->staged);
}

int raft_log_repair(struct raft_log *log, struct err *err)
{
    ASSERT(!log->is_writing);
    if (log->failed == 0) {
        return 0;
    }
    if (log->broken) {
        return err_set(err, ERR_FAILED,
                       "raft log: a sync of %s failed; what the disk holds is not known until this "
                       "server is restarted",
                       log->dir);
    }
    if (log->is_emptied) {
        return err_set(err, -log->failed, "raft log: %s could not be emptied", log->dir);
    }
    struct segment *s = segment_last(log);
    int r = 0;
    if (s != NULL && s->offsets.n == 0 && s->first_index == log->last_index + 1) {
        r = segment_remove_(log, log->segments.n - 1, true,
                            err); /* made for the batch, or not even */
    } else if (s != NULL) {
        r = segment_cut(log, s, s->end, err);
    }
    if (r == 0) {
        log->failed = 0;
    }
    return r;
}

uint64_t raft_log_batch_last_index(const struct raft_log_batch *batch)
{
    return batch->first_index + batch->count - 1;
}

uint64_t raft_log_batch_count(const struct raft_log_batch *batch)
{
    return batch->count;
}

size_t raft_log_batch_size(const struct raft_log_batch *batch)
{
    return batch->size;
}

int raft_log_append_sync(struct raft_log *log, const struct raft_entry *entry, struct err *err)
{
    int r = raft_log_append(log, entry);
    if (r < 0) {
        return err_from_errno(err, r, "raft log: cannot append");
    }
    struct raft_log_batch *batch = raft_log_batch_begin(log);
    ASSERT(batch != NULL);
    r = raft_log_batch_write(batch, err);
    raft_log_batch_end(log, batch, r);
    return r;
}

/* Reading. */

/* to: NULL when only their number and size are asked for. */
static size_t read_blocks(const struct raft_log *log, uint64_t index, size_t count_max,
                          size_t size_max, struct raft_entry *to, size_t *ret_size)
{
    size_t i = log->blocks.n;
    *ret_size = 0;
    while (i > 0 && log->blocks.v[i - 1]->first_index > index) {
        i--;
    }
    if (i == 0) {
        return 0;
    }
    size_t n = 0, size = 0;
    for (i--; i < log->blocks.n && n < count_max; i++) {
        const struct block *b = log->blocks.v[i];
        for (size_t k = (size_t)(index + n - b->first_index); k < b->offsets.n && n < count_max;
             k++) {
            struct record record;
            record_get(b->bytes + b->offsets.v[k], &record);
            if (n > 0 && size + record.entry.data.n > size_max) {
                return n;
            }
            *ret_size = size += record.entry.data.n;
            if (to != NULL) {
                to[n] = record.entry;
            }
            n++;
        }
    }
    return n;
}

/* Records of one segment, as they lie in its file. */
struct span {
    const struct segment *segment;
    uint64_t from, to;
    size_t count;
};

static struct span segment_span(const struct raft_log *log, uint64_t index, size_t count_max,
                                size_t size_max)
{
    size_t i = log->segments.n - 1;
    while (log->segments.v[i]->first_index > index) {
        i--;
    }
    const struct segment *s = log->segments.v[i];
    size_t k = (size_t)(index - s->first_index), end = k;
    struct span span = {.segment = s, .from = s->offsets.v[k], .to = s->offsets.v[k]};
    /* The last segment's table already has the batch that is under way: not on the disk yet, but in
     * memory, and so the caller's next read. */
    size_t readable = (size_t)MIN((uint64_t)s->offsets.n, log->durable_index + 1 - s->first_index);
    while (end < readable && end - k < count_max) {
        uint64_t next = end + 1 < s->offsets.n ? s->offsets.v[end + 1] : s->end;
        if (end > k && next - span.from > size_max) {
            break;
        }
        span.to = next;
        end++;
    }
    span.count = end - k;
    return span;
}

uint64_t raft_log_fit(const struct raft_log *log, uint64_t index, uint64_t count_max,
                      uint64_t size_max, uint64_t *ret_size)
{
    size_t size;
    *ret_size = 0;
    if (index < log->first_index || index > log->last_index || count_max == 0) {
        return 0;
    }
    size_t n = read_blocks(log, index, count_max, size_max, NULL, &size);
    if (n > 0) {
        *ret_size = size;
        return n;
    }
    struct span span = segment_span(log, index, count_max, size_max);
    *ret_size = span.to - span.from;
    return span.count;
}

int raft_log_read(struct raft_log *log, uint64_t index, size_t count_max, size_t size_max,
                  struct raft_entry *ret_entries, struct err *err)
{
    if (index < log->first_index || index > log->last_index || count_max == 0) {
        return err_set(err, ERR_NOT_FOUND, "raft log: no entry %llu (it has %llu to %llu)",
                       (unsigned long long)index, (unsigned long long)log->first_index,
                       (unsigned long long)log->last_index);
    }
    size_t size, n = read_blocks(log, index, count_max, size_max, ret_entries, &size);
    if (n > 0) {
        return (int)n;
    }
    struct span span = segment_span(log, index, count_max, size_max);
    const struct segment *s = span.segment;
    uint64_t from = span.from, to = span.to;
    char path[RAFT_PATH_SIZE_MAX];
    (void)segment_path_(log, s->first_index, "", path);
    buf_clear(&log->read);
    char *bytes = buf_reserve(&log->read, (size_t)(to - from));
    if (bytes == NULL) {
        return log_io_fail_(err, -ENOMEM, "cannot read", path);
    }
    ptrdiff_t got = log->io->ops->pread(log->io, s->file, bytes, (size_t)(to - from), from);
    if (got < 0) {
        return log_io_fail_(err, (int)got, "cannot read", path);
    }
    for (uint64_t at = from; at < to;) {
        struct record record;
        size_t left = (size_t)((uint64_t)got > at - from ? (uint64_t)got - (at - from) : 0);
        if (record_check(bytes + (at - from), left, s->salt, &record) != RECORD_GOOD ||
            record.entry.index != index + n) {
            return err_set(err, ERR_CORRUPT,
                           "raft log: %s: the record of entry %llu at offset %llu is damaged", path,
                           (unsigned long long)(index + n), (unsigned long long)at);
        }
        ret_entries[n++] = record.entry;
        at += record.size;
    }
    return (int)n;
}

/* Cutting. */

int raft_log_truncate(struct raft_log *log, uint64_t index, struct err *err)
{
    ASSERT(!log->is_writing && log->staged.count == 0);
    ASSERT(index >= log->first_index);
    if (index > log->last_index) {
        return 0;
    }
    /* Newest first, so that a crash on the way leaves a log without a hole. */
    while (log->segments.n > 0 && segment_last(log)->first_index >= index) {
        forget_from(log, segment_last(log)->first_index);
        int r = segment_remove_(log, log->segments.n - 1, true, err);
        if (r < 0) {
            log->failed = r;
            return r;
        }
    }
    if (index > log->last_index) {
        return 0;
    }
    forget_from(log, index);
    struct segment *s = segment_last(log);
    int r = segment_cut(log, s, s->end, err);
    if (r < 0) {
        log->failed = r;
    }
    return r;
}

void raft_log_compact(struct raft_log *log, uint64_t index)
{
    while (log->segments.n > 1 && log->segments.v[1]->first_index <= index + 1 &&
           log->segments.v[1]->first_index <= log->durable_index + 1) {
        uint64_t first_index = log->segments.v[1]->first_index;
        segment_forget_(log);
        log->first_index = first_index;
        terms_cut_before(log, first_index);
        size_t i = 0;
        while (i + 1 < log->blocks.n && block_last_index(log->blocks.v[i]) < first_index) {
            block_drop(log, log->blocks.v[i++]);
        }
        if (i > 0) {
            memmove(log->blocks.v, log->blocks.v + i,
                    (log->blocks.n - i) * sizeof(log->blocks.v[0]));
            log->blocks.n -= i;
        }
    }
}

int raft_log_reset(struct raft_log *log, uint64_t next_index, struct err *err)
{
    ASSERT(!log->is_writing && log->staged.count == 0 && next_index > 0);
    blocks_cut_from(log, 0);
    int r = segments_remove_(log, err);
    log->is_emptied = r < 0;
    if (r < 0) {
        log->failed = r;
        return r;
    }
    vec_clear(&log->terms);
    log->first_index = next_index;
    log->last_index = log->durable_index = next_index - 1;
    log->failed = log->broken ? log->failed : 0;
    return 0;
}

/* Life. */

int raft_log_open(const struct raft_log_options *options, struct raft_log **ret_log,
                  struct err *err)
{
    struct raft_log *log = xcalloc(1, sizeof(*log));
    log->io = options->io;
    log->dir = xmemdup(options->dir, strlen(options->dir) + 1);
    log->segment_size = options->segment_size != 0 ? options->segment_size : RAFT_SEGMENT_SIZE;
    ASSERT(log->segment_size <= UINT32_MAX / 4); /* offsets are kept in 32 bits */
    log->cache_size_max =
        options->cache_size_max != 0 ? options->cache_size_max : RAFT_LOG_CACHE_SIZE_MAX;
    log->first_index = 1;
    if (options->salt_seed != 0) {
        rng_seed(&log->rng, options->salt_seed);
    } else {
        rng_seed_system(&log->rng);
    }
    int r = log->io->ops->dir_make(log->io, log->dir);
    r = r < 0 ? log_io_fail_(err, r, "cannot make", log->dir) : raft_log_recover_(log, err);
    if (r < 0) {
        raft_log_free(log);
        return r;
    }
    *ret_log = log;
    return 0;
}

struct raft_log *raft_log_free(struct raft_log *log)
{
    if (log == NULL) {
        return NULL;
    }
    ASSERT(!log->is_writing);
    for (size_t i = 0; i < log->segments.n; i++) {
        segment_free_(log, log->segments.v[i]);
    }
    log_removal_free_(log);
    for (size_t i = 0; i < log->blocks.n; i++) {
        block_free(log->blocks.v[i]);
    }
    block_free(log->spare);
    vec_deinit(&log->segments);
    vec_deinit(&log->blocks);
    vec_deinit(&log->terms);
    vec_deinit(&log->staged.slices);
    vec_deinit(&log->writing.slices);
    buf_deinit(&log->read);
    mem_free(log->dir);
    return mem_free(log);
}
