/* A snapshot request: read, checked, carried out, answered.
 *
 * A save: the request is whole → the task makes the archive → the response, the archive. A restore:
 * the request is whole → the archive gathers until the peer shuts its direction → the task checks
 * it and puts it in place → the response. What is refused is refused before the archive is read.
 * The connection ends behind the response. Nothing is forwarded to the leader from here. */
#include "server/snapshot.h"

#include "base/log.h"
#include "base/mem.h"
#include "proto/msgpack_scan.h"
#include "raft/raft.h"
#include "schema/msgpack.h"
#include "schema/snapshot.h"
#include "server/rpc_conn.h"
#include "server/server.h"

#define REQUEST_SIZE_MAX (64u * 1024u)
/* A read may bring the archive's beginning along with the request. */
#define INPUT_SIZE_MAX (SNAPSHOT_ARCHIVE_SIZE_MAX + (1u << 20))

enum snapshot_state {
    SNAPSHOT_REQUEST,   /* until it is whole */
    SNAPSHOT_RECEIVING, /* the archive to be restored */
    SNAPSHOT_WORKING,   /* a task is under way; input is thrown away */
    SNAPSHOT_ANSWERED,  /* the same */
};

struct rpc_snapshot {
    struct rpc_conn *conn;
    enum snapshot_state state;
    bool is_restore;
    struct msgpack_scan scan;
    struct buf in;
    struct snapshot_task *task;
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
        struct raft_status status;
        raft_status(snapshot_server(s)->raft, &status);
        bool is_leader = server_is_leader(snapshot_server(s));
        response.meta.index = t->index;
        response.meta.known_leader = is_leader || status.leader_address[0] != '\0';
        response.meta.last_contact = is_leader ? 0 : (int64_t)status.last_contact_ms * 1000000;
        s->archive = t->archive;
        t->archive = (struct buf){0};
        snapshot_answer(s, &response);
    }
    snapshot_task_free(t);
}

static void snapshot_work(struct rpc_snapshot *s)
{
    struct worker *w = s->conn->listener->worker;
    struct err err = {0};
    s->state = SNAPSHOT_WORKING;
    s->task = s->is_restore ? snapshot_restore_archive(w, buf_view(&s->in), task_done, s, &err)
                            : snapshot_save(w, task_done, s, &err);
    buf_deinit(&s->in);
    if (s->task == NULL) {
        snapshot_refuse(s, &err);
    }
}

static int request_check(const struct rpc_snapshot *s, const struct snapshot_request *r,
                         struct err *err)
{
    const struct server *server = snapshot_server(s);
    if (!str_eq(r->datacenter, server->options.datacenter)) {
        return err_set(err, ERR_NO_DC_PATH, "%s", err_code_text(ERR_NO_DC_PATH));
    }
    if (!r->allow_stale && !server_is_leader(server)) {
        return err_set(err, ERR_NO_LEADER, "%s", err_code_text(ERR_NO_LEADER));
    }
    if (r->op != SNAPSHOT_SAVE && r->op != SNAPSHOT_RESTORE) {
        return err_set(err, ERR_INVALID, "unrecognized snapshot op '\\x%02llx'",
                       (unsigned long long)r->op);
    }
    if (r->op == SNAPSHOT_RESTORE && r->allow_stale) {
        return err_set(err, ERR_INVALID, "stale not allowed for restore");
    }
    return 0;
}

/* What came is no request: nothing is answered, as in the reference. */
static void request_fail(struct rpc_snapshot *s, struct err *err)
{
    err_wrap(err, "failed to decode request");
    snapshot_log(s, err);
    s->state = SNAPSHOT_ANSWERED;
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
    struct cur c = cur_make(str_first(buf_view(&s->in), s->scan.at));
    if (msgpack_decode(&c, &snapshot_request_schema, &r, &a, &err) < 0) {
        request_fail(s, &err);
    } else if (request_check(s, &r, &err) < 0) {
        snapshot_refuse(s, &err);
    } else if (r.op == SNAPSHOT_SAVE) {
        snapshot_work(s);
    } else {
        buf_consume(&s->in, s->scan.at);
        s->state = SNAPSHOT_RECEIVING;
        s->is_restore = true;
    }
    arena_deinit(&a);
}

/* --- the connection's ------------------------------------------------------------------------ */

void rpc_snapshot_read(struct rpc_snapshot *s, struct str bytes)
{
    if (s->state != SNAPSHOT_REQUEST && s->state != SNAPSHOT_RECEIVING) {
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
    }
}

void rpc_snapshot_end(struct rpc_snapshot *s)
{
    struct err err = {0};
    if (s->state == SNAPSHOT_RECEIVING) {
        snapshot_work(s);
    } else if (s->state == SNAPSHOT_REQUEST) {
        err_set(&err, ERR_INVALID, "EOF");
        request_fail(s, &err);
    }
}

bool rpc_snapshot_is_reading(const struct rpc_snapshot *s)
{
    return s->state == SNAPSHOT_REQUEST || s->state == SNAPSHOT_RECEIVING;
}

bool rpc_snapshot_flush(struct rpc_snapshot *s)
{
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
