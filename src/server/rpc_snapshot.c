/* A snapshot request: read, checked, carried out, answered.
 *
 * A save: the request is whole → the task makes the archive → the response, the archive. A restore:
 * the request is whole → the archive gathers until the peer shuts its direction → the task checks
 * it and puts it in place → the response. What is refused is refused before the archive is read.
 * The connection ends behind the response.
 *
 * A server that does not lead passes the request on (snapshot_remote.h) and everything that follows
 * it, either way, a piece at a time: this connection is read when the other has taken all, and the
 * other when this one has. What breaks off there is cut off here. */
#include "server/snapshot.h"

#include "base/log.h"
#include "base/mem.h"
#include "proto/msgpack_scan.h"
#include "raft/raft.h"
#include "schema/msgpack.h"
#include "schema/snapshot.h"
#include "server/acl_resolver.h"
#include "server/rpc_conn.h"
#include "server/server.h"
#include "server/snapshot_remote.h"

#define REQUEST_SIZE_MAX (64u * 1024u)
/* A read may bring the archive's beginning along with the request. */
#define INPUT_SIZE_MAX (SNAPSHOT_ARCHIVE_SIZE_MAX + (1u << 20))

enum snapshot_state {
    SNAPSHOT_REQUEST,     /* until it is whole */
    SNAPSHOT_RESOLVING,   /* who asks; the archive is not read meanwhile */
    SNAPSHOT_RECEIVING,   /* the archive to be restored */
    SNAPSHOT_WORKING,     /* a task is under way; input is thrown away */
    SNAPSHOT_PASSING_IN,  /* the archive goes on to the leader, `in` holds what is to go first */
    SNAPSHOT_PASSING_OUT, /* its answer comes from there; input is thrown away */
    SNAPSHOT_ANSWERED,    /* the same */
};

struct rpc_snapshot {
    struct rpc_conn *conn;
    enum snapshot_state state;
    bool is_restore;
    struct msgpack_scan scan;
    struct buf in;
    struct snapshot_task *task;
    struct snapshot_remote *remote;
    bool has_room;   /* the remote waits for a piece */
    bool has_answer; /* of the remote, and has begun to pass it on */
    bool is_ended;   /* by the peer, in its direction */
    bool allow_stale;
    struct acl_wait acl_wait;
    struct buf head, archive; /* the answer */
};

struct rpc_snapshot *rpc_snapshot_new(struct rpc_conn *c)
{
    struct rpc_snapshot *s = xcalloc(1, sizeof(*s));
    s->conn = c;
    c->tcp.write_max = SNAPSHOT_ARCHIVE_SIZE_MAX + REQUEST_SIZE_MAX;
    buf_init(&s->in, INPUT_SIZE_MAX);
    msgpack_scan_begin(&s->scan, 0, 1, REQUEST_SIZE_MAX);
    return s;
}

struct rpc_snapshot *rpc_snapshot_free(struct rpc_snapshot *s)
{
    if (s == NULL) {
        return NULL;
    }
    if (s->task != NULL) {
        snapshot_task_cancel(s->task);
    }
    if (s->remote != NULL) {
        snapshot_remote_cancel(s->remote);
    }
    acl_wait_cancel(&s->acl_wait);
    buf_deinit(&s->in);
    buf_deinit(&s->head);
    buf_deinit(&s->archive);
    return mem_free(s);
}

static struct server *snapshot_server(const struct rpc_snapshot *s)
{
    return s->conn->listener->worker->server;
}

static void snapshot_log(const struct rpc_snapshot *s, const struct err *err)
{
    log_write(LOG_ERROR, "agent.server.rpc", "Snapshot RPC error", LOG_CSTR("conn", s->conn->peer),
              LOG_CSTR("error", err_text(err)));
}

static void snapshot_answer(struct rpc_snapshot *s, const struct snapshot_response *response)
{
    msgpack_object(&s->head, &snapshot_response_schema, response);
    s->state = SNAPSHOT_ANSWERED;
    buf_deinit(&s->in);
    rpc_conn_flush_soon(s->conn);
}

static void snapshot_refuse(struct rpc_snapshot *s, const struct err *err)
{
    snapshot_answer(s, &(struct snapshot_response){.error = str_from_cstr(err_text(err))});
}

/* --- carrying out ---------------------------------------------------------------------------- */

static void task_done(struct snapshot_task *t)
{
    struct rpc_snapshot *s = t->data;
    struct snapshot_response response = {0};
    s->task = NULL;
    if (t->err.code != 0) {
        snapshot_refuse(s, &t->err);
    } else if (s->is_restore) {
        snapshot_answer(s, &response);
    } else {
        response.meta = t->meta;
        s->archive = t->archive;
        t->archive = (struct buf){0};
        snapshot_answer(s, &response);
    }
    snapshot_task_free(t);
}

static void snapshot_work(struct rpc_snapshot *s, bool allow_stale)
{
    struct worker *w = s->conn->listener->worker;
    struct err err = {0};
    s->state = SNAPSHOT_WORKING;
    s->task = s->is_restore ? snapshot_restore_archive(w, &s->in, task_done, s, &err)
                            : snapshot_save(w, allow_stale, task_done, s, &err);
    buf_deinit(&s->in);
    if (s->task == NULL) {
        snapshot_refuse(s, &err);
    }
}

/* --- passing on ------------------------------------------------------------------------------ */

static void remote_answered(void *data, const struct snapshot_response *response)
{
    struct rpc_snapshot *s = data;
    s->has_answer = true;
    msgpack_object(&s->head, &snapshot_response_schema, response);
    if (tcp_write_buf(&s->conn->tcp, &s->head) < 0) {
        rpc_conn_close(s->conn); /* and this object, and the remote */
    }
}

static void remote_bytes(void *data, struct str bytes)
{
    struct rpc_snapshot *s = data;
    const struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
    if (tcp_write(&s->conn->tcp, &iov, 1) < 0) {
        rpc_conn_close(s->conn);
    } else if (tcp_pending(&s->conn->tcp) > 0) {
        snapshot_remote_pause(s->remote);
        rpc_conn_flush_soon(s->conn); /* for its timer */
    }
}

/* What was read goes out, and there is more to be read. */
static void pass_in(struct rpc_snapshot *s)
{
    if (s->has_room && s->in.n > 0) {
        s->has_room = snapshot_remote_write(s->remote, buf_view(&s->in));
        buf_clear(&s->in);
    }
    if (s->has_room && s->is_ended) {
        snapshot_remote_finish(s->remote);
        s->state = SNAPSHOT_PASSING_OUT;
        s->has_room = false;
    } else if (s->has_room) {
        tcp_read_start(&s->conn->tcp);
    } else if (!s->is_ended) {
        tcp_read_stop(&s->conn->tcp);
    }
    rpc_conn_flush_soon(s->conn); /* for its timer */
}

static void remote_room(void *data)
{
    struct rpc_snapshot *s = data;
    s->has_room = true;
    pass_in(s);
}

static void remote_ended(void *data, const struct err *err)
{
    struct rpc_snapshot *s = data;
    s->remote = NULL;
    if (err != NULL && s->has_answer) {
        snapshot_log(s, err);
        rpc_conn_close(s->conn);
    } else if (err != NULL) {
        tcp_read_start(&s->conn->tcp);
        snapshot_refuse(s, err);
    } else if (s->has_answer) {
        s->state = SNAPSHOT_ANSWERED;
        rpc_conn_flush_soon(s->conn);
    } else {
        snapshot_answer(s, &(struct snapshot_response){0});
    }
}

static const struct snapshot_remote_ops remote_ops = {
    .answered = remote_answered, .bytes = remote_bytes, .room = remote_room, .ended = remote_ended};

/* The archive's beginning may be in `in` already. */
static void snapshot_pass(struct rpc_snapshot *s, const struct snapshot_route *to,
                          const struct snapshot_request *r)
{
    struct err err = {0};
    s->remote = snapshot_remote_new(s->conn->listener->worker, to, r, &remote_ops, s, &err);
    if (s->remote == NULL) {
        snapshot_refuse(s, &err);
    } else if (s->is_restore) {
        s->state = SNAPSHOT_PASSING_IN;
        tcp_read_stop(&s->conn->tcp); /* until it is connected */
    } else {
        s->state = SNAPSHOT_PASSING_OUT;
        buf_deinit(&s->in);
    }
}

/* --- the request ------------------------------------------------------------------------------ */

/* What came is no request: nothing is answered, as in the reference. */
static void request_fail(struct rpc_snapshot *s, struct err *err)
{
    err_wrap(err, "failed to decode request");
    snapshot_log(s, err);
    s->state = SNAPSHOT_ANSWERED;
}

/* Archives hold every token: who may have one, or put one in place, may do everything. */
static void request_begin(struct rpc_snapshot *s, struct acl_who *take_who, const struct err *err)
{
    struct err denied;
    bool may = take_who == NULL || acl_allows(take_who->rights, ACL_SNAPSHOT, STR(""));
    acl_who_unref(take_who);
    if (err == NULL && !may) {
        (void)err_set(&denied, ERR_PERMISSION_DENIED, "%s", err_code_text(ERR_PERMISSION_DENIED));
        err = &denied;
    }
    if (err != NULL) {
        snapshot_refuse(s, err);
    } else if (!s->is_restore) {
        snapshot_work(s, s->allow_stale);
    } else {
        s->state = SNAPSHOT_RECEIVING;
        if (s->is_ended) {
            snapshot_work(s, false);
        }
    }
}

static void request_resolved(struct acl_wait *wait)
{
    struct rpc_snapshot *s = container_of(wait, struct rpc_snapshot, acl_wait);
    tcp_read_start(&s->conn->tcp);
    request_begin(s, wait->who, wait->err);
}

static void request_place(struct rpc_snapshot *s, const struct snapshot_route *to,
                          const struct snapshot_request *r)
{
    struct acl_who *who;
    struct err err = {0};
    if (to->address[0] != '\0') {
        snapshot_pass(s, to, r); /* the other server asks who it is */
        return;
    }
    s->state = SNAPSHOT_RESOLVING;
    s->allow_stale = r->allow_stale;
    s->acl_wait.done = request_resolved;
    tcp_read_stop(&s->conn->tcp);
    int rc = acl_resolve(s->conn->listener->worker->acl, r->token, &s->acl_wait, &who, &err);
    if (rc != ACL_RESOLVE_WAITS) {
        tcp_read_start(&s->conn->tcp);
        request_begin(s, who, rc < 0 ? &err : NULL);
    }
}

static void request_handle(struct rpc_snapshot *s)
{
    struct err err = {0};
    int rc = msgpack_scan(&s->scan, buf_view(&s->in));
    if (rc < 0) {
        err_set(&err, -rc, "%s", err_code_text(-rc));
        request_fail(s, &err);
        return;
    }
    if (rc == 0) {
        return;
    }
    struct arena a = {0};
    struct snapshot_request r = {0};
    /* A copy: what follows it moves to its place. */
    struct cur c = cur_make(arena_str(&a, str_first(buf_view(&s->in), s->scan.at)));
    struct snapshot_route to;
    if (msgpack_decode(&c, &snapshot_request_schema, &r, &a, &err) < 0) {
        request_fail(s, &err);
    } else if (snapshot_place(snapshot_server(s), &r, &to, &err) < 0) {
        snapshot_refuse(s, &err);
    } else {
        buf_consume(&s->in, s->scan.at); /* what is left of it is the archive's */
        s->is_restore = r.op == SNAPSHOT_RESTORE;
        request_place(s, &to, &r);
    }
    arena_deinit(&a);
}

/* --- the connection's ------------------------------------------------------------------------ */

void rpc_snapshot_read(struct rpc_snapshot *s, struct str bytes)
{
    if (s->state != SNAPSHOT_REQUEST && s->state != SNAPSHOT_RECEIVING &&
        s->state != SNAPSHOT_RESOLVING && s->state != SNAPSHOT_PASSING_IN) {
        return;
    }
    buf_str(&s->in, bytes);
    if (s->in.failed) {
        struct err err = {0};
        err_set(&err, ERR_TOO_LARGE, "snapshot is larger than %zu bytes",
                SNAPSHOT_ARCHIVE_SIZE_MAX);
        snapshot_refuse(s, &err);
    } else if (s->state == SNAPSHOT_REQUEST) {
        request_handle(s);
    } else if (s->state == SNAPSHOT_PASSING_IN) {
        pass_in(s);
    }
}

void rpc_snapshot_end(struct rpc_snapshot *s)
{
    struct err err = {0};
    s->is_ended = true;
    if (s->state == SNAPSHOT_RECEIVING) {
        snapshot_work(s, false);
    } else if (s->state == SNAPSHOT_PASSING_IN) {
        pass_in(s);
    } else if (s->state == SNAPSHOT_REQUEST) {
        err_set(&err, ERR_INVALID, "EOF");
        request_fail(s, &err);
    }
}

bool rpc_snapshot_is_reading(const struct rpc_snapshot *s)
{
    return s->state == SNAPSHOT_REQUEST || s->state == SNAPSHOT_RECEIVING ||
           (s->state == SNAPSHOT_PASSING_IN && s->has_room && !s->is_ended);
}

bool rpc_snapshot_flush(struct rpc_snapshot *s)
{
    if (s->state == SNAPSHOT_PASSING_OUT && tcp_pending(&s->conn->tcp) == 0) {
        snapshot_remote_resume(s->remote);
    }
    if (s->state != SNAPSHOT_ANSWERED) {
        return false;
    }
    if (s->head.n > 0 && (tcp_write_buf(&s->conn->tcp, &s->head) < 0 ||
                          tcp_write_buf(&s->conn->tcp, &s->archive) < 0)) {
        rpc_conn_close(s->conn); /* and this object with it */
        return false;
    }
    return true;
}
