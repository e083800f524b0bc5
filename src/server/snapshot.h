/* snapshot.h - archives of the whole state, made and restored while the server goes on.
 *
 *     struct snapshot_task *t = snapshot_save(worker, false, done, data, &err); // on its thread
 *     ... done(t): t->err, or t->archive and t->meta ...; snapshot_task_free(t)
 *     snapshot_restore_archive(worker, &bytes, done, data, &err);
 *
 * Each task has a thread of its own. A save pins the store's view and writes it out twice: once to
 * learn its size, which a tar wants first, and once to keep it; writes go on meanwhile. A restore
 * checks the whole archive before Raft hears of it. At most SNAPSHOT_TASKS_MAX are under way. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "schema/query.h"

struct server;
struct snapshots;
struct snapshot_task;
struct worker;

#define SNAPSHOT_TASKS_MAX 4u
#define SNAPSHOT_ARCHIVE_SIZE_MAX ((size_t)1 << 30)
#define SNAPSHOT_STATE_SIZE_MAX ((size_t)4 << 30) /* unpacked */

typedef void (*snapshot_done_fn)(struct snapshot_task *t);

struct snapshot_task {
    struct err err;     /* code 0: it worked */
    struct buf archive; /* of a save */
    /* Of a save: what is known of the state that was saved, as of before. Of a restore: the index.
     */
    struct query_meta meta;
    snapshot_done_fn done;
    void *data;
};

/* done is called on the worker's thread, never before these return. NULL: refused, err is set.
 * Unless a stale state will do, this server first makes sure that it still leads. */
struct snapshot_task *snapshot_save(struct worker *w, bool allow_stale, snapshot_done_fn done,
                                    void *data, struct err *err);
/* The bytes are taken over. */
struct snapshot_task *snapshot_restore_archive(struct worker *w, struct buf *take_archive,
                                               snapshot_done_fn done, void *data, struct err *err);
/* After done. */
void snapshot_task_free(struct snapshot_task *t);
/* The asker is gone: done will not be called (a restore is still carried out). */
void snapshot_task_cancel(struct snapshot_task *t);

struct snapshots *snapshots_new(void);
struct snapshots *snapshots_free(struct snapshots *s);
/* Break off saves and wait until no task's thread runs; after Raft was stopped. */
void snapshots_stop(struct snapshots *s);
