#include "server/snapshot.h"

#include "base/clock.h"
#include "base/epoch.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "fsm/archive.h"
#include "fsm/snapshot.h"
#include "raft/raft.h"
#include "raft/snapshot.h"
#include "schema/kv.h"
#include "server/fsm_metrics.h"
#include "server/leader.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#define LOG_MODULE "agent.server.snapshot"

struct snapshots {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    uint32_t running;
    _Atomic bool stopping;
};

struct task {
    struct snapshot_task pub;
    struct worker *worker;
    struct server *server;
    struct loop_msg msg;
    bool is_canceled; /* the worker's */
    /* a save */
    const struct store_view *view;
    uint32_t pin;
    struct raft_snapshot_meta meta;
    struct archive_writer *writer;
    /* a restore */
    struct buf bytes; /* of the archive */
    struct buf state; /* what it had in it */
    struct raft_request restore;
};

/* --- life of a task -------------------------------------------------------------------------- */

static void task_free(struct task *t)
{
    buf_deinit(&t->pub.archive);
    buf_deinit(&t->state);
    buf_deinit(&t->bytes);
    mem_free(t);
}

void snapshot_task_free(struct snapshot_task *t)
{
    task_free(container_of(t, struct task, pub));
}

void snapshot_task_cancel(struct snapshot_task *t)
{
    container_of(t, struct task, pub)->is_canceled = true;
}

static void task_done_run(struct loop_msg *msg)
{
    struct task *t = container_of(msg, struct task, msg);
    if (t->is_canceled) {
        task_free(t);
    } else {
        t->pub.done(&t->pub);
    }
}

/* From any thread: the task belongs to its worker again. */
static void task_answer(struct task *t)
{
    t->msg.run = task_done_run;
    loop_post(t->worker->loop, &t->msg);
}

static void thread_ended(struct snapshots *s)
{
    pthread_mutex_lock(&s->lock);
    s->running--;
    pthread_cond_broadcast(&s->ended);
    pthread_mutex_unlock(&s->lock);
}

static int thread_start(struct task *t, void *(*run)(void *task), struct err *err)
{
    struct snapshots *s = t->server->snapshots;
    pthread_mutex_lock(&s->lock);
    bool may = s->running < SNAPSHOT_TASKS_MAX && !atomic_load(&s->stopping);
    s->running += may;
    pthread_mutex_unlock(&s->lock);
    if (!may) {
        return err_set(err, ERR_RATE_LIMIT, "too many snapshots are being saved or restored");
    }
    pthread_t thread;
    int k = -pthread_create(&thread, NULL, run, t);
    if (k < 0) {
        thread_ended(s);
        return err_from_errno(err, k, "cannot start a thread for a snapshot");
    }
    (void)pthread_detach(thread);
    return 0;
}

static struct task *task_new(struct worker *w, snapshot_done_fn done, void *data)
{
    struct task *t = xcalloc(1, sizeof(*t));
    t->worker = w;
    t->server = w->server;
    t->pub.done = done;
    t->pub.data = data;
    return t;
}

/* --- saving ---------------------------------------------------------------------------------- */

static int count_chunk(void *data, struct str chunk)
{
    struct task *t = data;
    t->meta.size += chunk.n;
    return atomic_load(&t->server->snapshots->stopping) ? -ERR_CLOSED : 0;
}

static int state_chunk(void *data, struct str chunk)
{
    struct task *t = data;
    int r = archive_writer_state(t->writer, chunk);
    return r == 0 && atomic_load(&t->server->snapshots->stopping) ? -ERR_CLOSED : r;
}

static int archive_piece(void *data, struct str piece)
{
    struct task *t = data;
    buf_str(&t->pub.archive, piece);
    return t->pub.archive.failed ? -ERR_TOO_LARGE : 0;
}

static int save(struct task *t)
{
    struct err *err = &t->pub.err;
    struct buf meta = {0};
    int r = snapshot_write(t->view, count_chunk, t, err);
    if (r < 0) {
        return r;
    }
    buf_init(&t->pub.archive, SNAPSHOT_ARCHIVE_SIZE_MAX);
    raft_archive_meta_encode(&t->meta, &meta);
    t->writer =
        archive_writer_new(buf_view(&meta), t->meta.size, clock_wall_ms() / 1000, archive_piece, t);
    uint64_t started_ns = clock_mono_ns();
    r = snapshot_write(t->view, state_chunk, t, err);
    fsm_metrics_persisted(started_ns);
    if (r == 0 && (r = archive_writer_finish(t->writer)) < 0) {
        err_set(err, -r, "snapshot archive could not be written: %s", err_code_text(-r));
    }
    t->writer = archive_writer_free(t->writer);
    buf_deinit(&meta);
    return r;
}

static void *save_run(void *data)
{
    struct task *t = data;
    struct server *s = t->server;
    thread_background("snapshot");
    int r = save(t);
    epoch_unpin(s->epoch, t->pin);
    if (r < 0 && t->pub.err.code == 0) {
        err_set(&t->pub.err, -r, "%s", err_code_text(-r));
    }
    task_answer(t);
    thread_ended(s->snapshots);
    return NULL;
}

/* The state of this moment is what will be saved. */
static int save_begin(struct task *t, struct err *err)
{
    struct server *s = t->server;
    struct raft_status status;
    server_fill_meta(s, &t->pub.meta);
    raft_status(s->raft, &status); /* before the view: that has all that was applied by then */
    t->view = store_view(s->store);
    int r = epoch_pin(s->epoch, &t->pin);
    if (r < 0) {
        return err_set(err, -r, "too many snapshots are being written");
    }
    t->meta.index = MAX(t->view->last_index, status.applied_index);
    t->pub.meta.index = t->meta.index;
    t->meta.term = status.term;
    (void)snprintf(t->meta.id, sizeof(t->meta.id), "%" PRIu64 "-%" PRIu64 "-%" PRIu64, t->meta.term,
                   t->meta.index, clock_wall_ms());
    raft_get_configuration(s->raft, &t->meta.configuration, &t->meta.configuration_index);
    r = thread_start(t, save_run, err);
    if (r < 0) {
        epoch_unpin(s->epoch, t->pin);
    }
    return r;
}

static void verified(struct rpc_call *call)
{
    struct task *t = call->data;
    if (call->err != NULL) {
        t->pub.err = *call->err;
    }
    rpc_call_free(call);
    if (t->is_canceled) {
        task_free(t);
    } else if (t->pub.err.code != 0 || save_begin(t, &t->pub.err) < 0) {
        task_answer(t);
    }
}

/* A consistent read of nothing, which is not to be made elsewhere, finds out whether this server
 * still leads. */
static void save_verify(struct task *t)
{
    struct rpc_call *call = rpc_call_new(t->worker, &rpc_kvs_get);
    struct key_request *args = call->args;
    args->options.require_consistent = true;
    call->is_duty = true;
    call->done = verified;
    call->data = t;
    rpc_start(call);
}

struct snapshot_task *snapshot_save(struct worker *w, bool allow_stale, snapshot_done_fn done,
                                    void *data, struct err *err)
{
    struct task *t = task_new(w, done, data);
    if (!allow_stale) {
        save_verify(t);
    } else if (save_begin(t, err) < 0) {
        task_free(t);
        return NULL;
    }
    return &t->pub;
}

/* --- restoring ------------------------------------------------------------------------------- */

static void restored(struct raft_request *q, int code)
{
    struct task *t = container_of(q, struct task, restore);
    if (code < 0) {
        t->pub.err = q->err;
        (void)err_wrap(&t->pub.err, "Raft error when restoring snapshot");
    } else {
        t->pub.meta.index = q->restored_index;
        leader_restored(t->server->leader);
    }
    task_answer(t);
}

static int take_state(void *data, struct str bytes)
{
    struct task *t = data;
    buf_str(&t->state, bytes);
    return t->state.failed ? -ERR_TOO_LARGE : 0;
}

static int archive_unpack(struct task *t, struct archive_reader *reader)
{
    struct err *err = &t->pub.err;
    struct str meta;
    int r = archive_reader_feed(reader, buf_view(&t->bytes), err);
    if (t->state.failed) {
        err_clear(err);
        return err_set(err, ERR_TOO_LARGE, "state.bin has more than %zu bytes", t->state.max);
    }
    r = r < 0 ? r : archive_reader_finish(reader, &meta, err);
    return r < 0 ? r : raft_archive_meta_decode(meta, &t->meta, err);
}

/* What the archive says it is of must not lie below what is in it. */
static int restore_check(struct task *t)
{
    struct err *err = &t->pub.err;
    uint64_t last_index = 0;
    struct archive_reader *reader = archive_reader_new(take_state, t);
    buf_init(&t->state, SNAPSHOT_STATE_SIZE_MAX);
    int r = archive_unpack(t, reader);
    archive_reader_free(reader);
    if (r == 0 && t->meta.size != t->state.n) {
        r = err_set(err, ERR_CORRUPT, "state.bin has %zu bytes, but meta.json says %" PRIu64,
                    t->state.n, t->meta.size);
    }
    r = r < 0 ? r : snapshot_last_index(buf_view(&t->state), &last_index, err);
    t->restore.snapshot_index = MAX(t->meta.index, last_index);
    return r;
}

static void *restore_run(void *data)
{
    struct task *t = data;
    struct snapshots *s = t->server->snapshots;
    thread_background("snapshot");
    int r = restore_check(t);
    buf_deinit(&t->bytes); /* unpacked by now */
    if (r < 0) {
        task_answer(t);
    } else {
        t->restore.bytes = buf_view(&t->state);
        t->restore.kind = RAFT_REQUEST_RESTORE;
        t->restore.done = restored;
        raft_request(t->server->raft, &t->restore);
    }
    thread_ended(s);
    return NULL;
}

struct snapshot_task *snapshot_restore_archive(struct worker *w, struct buf *take_archive,
                                               snapshot_done_fn done, void *data, struct err *err)
{
    struct task *t = task_new(w, done, data);
    size_t size = take_archive->n;
    t->bytes = *take_archive;
    *take_archive = (struct buf){0};
    if (thread_start(t, restore_run, err) < 0) {
        task_free(t);
        return NULL;
    }
    log_write(LOG_INFO, LOG_MODULE, "restoring a snapshot", LOG_UINT("bytes", size));
    return &t->pub;
}

/* --- all of them ----------------------------------------------------------------------------- */

struct snapshots *snapshots_new(void)
{
    struct snapshots *s = xcalloc(1, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->ended, NULL);
    return s;
}

void snapshots_stop(struct snapshots *s)
{
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->stopping, true);
    while (s->running > 0) {
        pthread_cond_wait(&s->ended, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

struct snapshots *snapshots_free(struct snapshots *s)
{
    if (s == NULL) {
        return NULL;
    }
    snapshots_stop(s);
    pthread_cond_destroy(&s->ended);
    pthread_mutex_destroy(&s->lock);
    return mem_free(s);
}
