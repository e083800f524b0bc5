/* Segments go in three ways: the newest, one by one, when the log's end is cut; all of them, under
 * a mark, when it is emptied; the oldest, when a snapshot covers them: those leave the log at once
 * and the disk a little later. docs/raft-log.md, "Cutting". */
#include "base/mem.h"
#include "raft/log_internal.h"

#include <errno.h>

#define RESET_SEGMENTS_MIN 4u /* from which on a mark is fewer syncs */

/* is_synced: the directory, too. Were several removals to reach the disk out of order, a crash
 * would leave a hole; under a mark there may be some. */
static int file_remove(const struct raft_log *log, uint64_t first_index, bool is_synced,
                       struct err *err)
{
    struct raft_io *io = log->io;
    char path[RAFT_PATH_SIZE_MAX];
    int r = segment_path_(log, first_index, "", path);
    r = r < 0 ? r : io->ops->remove(io, path);
    r = r == -ENOENT ? 0 : r;
    r = r < 0 || !is_synced ? r : io->ops->dir_sync(io, log->dir);
    return r < 0 ? log_io_fail_(err, r, "cannot remove", path) : 0;
}

int segment_remove_(struct raft_log *log, size_t i, bool is_synced, struct err *err)
{
    int r = file_remove(log, log->segments.v[i]->first_index, is_synced, err);
    if (r == 0) {
        segment_free_(log, log->segments.v[i]);
        vec_remove(&log->segments, i);
    }
    return r;
}

/* --- the oldest ------------------------------------------------------------------------------ */

void segment_forget_(struct raft_log *log)
{
    vec_push(&log->forgotten.segments, log->segments.v[0]);
    vec_remove(&log->segments, 0);
}

struct raft_log_removal *raft_log_removal_begin(struct raft_log *log)
{
    struct raft_log_removal *m = &log->removing;
    if (log->is_removing || log->forgotten.segments.n + m->segments.n == 0) {
        return NULL;
    }
    for (size_t i = 0; i < log->forgotten.segments.n; i++) {
        vec_push(&m->segments, log->forgotten.segments.v[i]);
    }
    vec_clear(&log->forgotten.segments);
    m->log = log;
    log->is_removing = true;
    return m;
}

int raft_log_removal_run(struct raft_log_removal *m, struct err *err)
{
    while (m->segments.n > 0) {
        struct segment *s = m->segments.v[0];
        if (s->file >=
            0) { /* the blocks are given back by whichever comes last, this or removing */
            m->log->io->ops->close(m->log->io, s->file);
            s->file = -1;
        }
        /* Another may have its name by now. */
        int r = s->is_unlinked ? 0 : file_remove(m->log, s->first_index, true, err);
        if (r < 0) {
            return r;
        }
        segment_free_(m->log, s);
        vec_remove(&m->segments, 0);
    }
    return 0;
}

void raft_log_removal_end(struct raft_log *log, struct raft_log_removal *m)
{
    ASSERT(log->is_removing && m == &log->removing);
    log->is_removing = false;
}

void log_removal_free_(struct raft_log *log)
{
    struct raft_log_removal *all[] = {&log->removing, &log->forgotten};
    ASSERT(!log->is_removing);
    for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
        for (size_t i = 0; i < all[k]->segments.n; i++) {
            segment_free_(log, all[k]->segments.v[i]);
        }
        vec_deinit(&all[k]->segments);
    }
}

/* --- all of them ----------------------------------------------------------------------------- */

static int mark_path(const struct raft_log *log, char path[RAFT_PATH_SIZE_MAX])
{
    return raft_io_path(path, log->dir, RESET_MARK);
}

static int mark_make(struct raft_log *log, struct err *err)
{
    struct raft_io *io = log->io;
    char path[RAFT_PATH_SIZE_MAX];
    int r = mark_path(log, path);
    int file = r < 0 ? r : io->ops->open(io, path, RAFT_IO_CREATE);
    if (file >= 0) {
        io->ops->close(io, file);
    }
    r = file < 0 ? file : io->ops->dir_sync(io, log->dir);
    return r < 0 ? log_io_fail_(err, r, "cannot make", path) : 0;
}

int raft_log_mark_remove_(struct raft_log *log, struct err *err)
{
    struct raft_io *io = log->io;
    char path[RAFT_PATH_SIZE_MAX];
    int r = mark_path(log, path);
    r = r < 0 ? r : io->ops->dir_sync(io, log->dir); /* nothing that it is needed for is left */
    r = r < 0 ? r : io->ops->remove(io, path);
    r = r == -ENOENT ? 0 : r;
    r = r < 0 ? r : io->ops->dir_sync(io, log->dir);
    return r < 0 ? log_io_fail_(err, r, "cannot remove", path) : 0;
}

int segments_remove_(struct raft_log *log, struct err *err)
{
    struct raft_log_removal *m = raft_log_removal_begin(log);
    ASSERT(!log->is_removing || m != NULL);
    int r = 0;
    if (m != NULL) { /* the oldest: were they last, a crash would leave nothing else */
        r = raft_log_removal_run(m, err);
        raft_log_removal_end(log, m);
    }
    bool is_marked = log->is_emptied || log->segments.n >= RESET_SEGMENTS_MIN;
    r = r < 0 || !is_marked ? r : mark_make(log, err);
    while (r == 0 && log->segments.n > 0) {
        r = file_remove(log, log->segments.v[0]->first_index, !is_marked, err);
        if (r == 0) {
            log->segments.v[0]->is_unlinked = true;
            segment_forget_(log);
        }
    }
    return r == 0 && is_marked ? raft_log_mark_remove_(log, err) : r;
}
