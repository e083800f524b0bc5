/* /v1/snapshot: GET gives an archive of the whole state, PUT puts one in the place of it. Here the
 * work is done on other threads (server/snapshot.h), and the archive is in memory. What another
 * server has to do (the leader; on a client any) goes to it and comes from it in pieces
 * (server/snapshot_remote.h): each is asked for once the last has been taken, so that one slow side
 * slows the other, and nothing piles up. */
#include "server/snapshot.h"

#include "base/log.h"
#include "base/mem.h"
#include "http/http.h"
#include "schema/query.h"
#include "schema/snapshot.h"
#include "server/client_agent.h"
#include "server/router.h"
#include "server/rpc_pool.h"
#include "server/snapshot_remote.h"

#include <stdio.h>

/* --- here ------------------------------------------------------------------------------------- */

static void client_gone(struct http_req *req)
{
    snapshot_task_cancel(req->data);
}

/* The request is the task's no more; what failed is answered. */
static bool task_ended(struct http_req *req, const struct snapshot_task *t)
{
    req->on_close = NULL;
    req->data = NULL;
    if (t->err.code != 0) {
        http_error(req, 500, "%s", err_text(&t->err));
    }
    return t->err.code == 0;
}

static void saved(struct snapshot_task *t)
{
    struct http_req *req = t->data;
    if (task_ended(req, t)) {
        http_set_meta(req, &t->meta);
        req->content_type = STR("application/x-gzip");
        struct buf out = *req->out; /* the archive as it is, not a copy of it */
        *req->out = t->archive;
        req->out->max = out.max; /* the buffer is used again for other answers */
        t->archive = out;
        http_finish(req, 200);
    }
    snapshot_task_free(t);
}

static void restored(struct snapshot_task *t)
{
    struct http_req *req = t->data;
    if (task_ended(req, t)) {
        http_finish(req, 200);
    }
    snapshot_task_free(t);
}

static void task_started(struct http_req *req, struct snapshot_task *t, const struct err *err)
{
    if (t == NULL) {
        http_error_from(req, err);
        return;
    }
    req->data = t;
    req->on_close = client_gone;
}

static void save_here(struct http_req *req, bool allow_stale)
{
    struct err err = {0};
    task_started(req, snapshot_save(req->worker, allow_stale, saved, req, &err), &err);
}

/* What came of the archive until its client was gone. */
static void archive_drop(struct http_req *req)
{
    struct buf *archive = req->data;
    buf_deinit(archive);
    mem_free(archive);
}

static void refuse_size(struct http_req *req)
{
    http_error(req, 413, "Request body(%llu bytes) too large, max size: %zu bytes.",
               (unsigned long long)req->body_size, SNAPSHOT_ARCHIVE_SIZE_MAX);
}

static void archive_gather(struct http_req *req, struct str piece, bool is_last)
{
    struct buf *archive = req->data;
    struct err err = {0};
    buf_str(archive, piece);
    if (archive->failed || is_last) {
        req->on_close = NULL;
        req->data = NULL;
    }
    if (archive->failed) {
        req->body_size = MAX(req->body_size, (uint64_t)archive->n + piece.n);
        buf_deinit(archive);
        mem_free(archive);
        refuse_size(req);
    } else if (is_last) {
        struct snapshot_task *t =
            snapshot_restore_archive(req->worker, archive, restored, req, &err);
        mem_free(archive);
        task_started(req, t, &err);
    }
}

static void restore_here(struct http_req *req)
{
    if (req->body_size > SNAPSHOT_ARCHIVE_SIZE_MAX) {
        refuse_size(req);
        return;
    }
    struct buf *archive = xcalloc(1, sizeof(*archive));
    buf_init(archive, SNAPSHOT_ARCHIVE_SIZE_MAX);
    req->data = archive;
    req->on_close = archive_drop;
    req->on_body = archive_gather;
}

/* --- at another server
 * ---------------------------------------------------------------------------- */

static void remote_client_gone(struct http_req *req)
{
    snapshot_remote_cancel(req->data);
}

static void remote_answered(void *data, const struct snapshot_response *response)
{
    struct http_req *req = data;
    http_set_meta(req, &response->meta);
    req->content_type = STR("application/x-gzip");
    http_stream_begin(req, 200);
}

static void remote_bytes(void *data, struct str bytes)
{
    struct http_req *req = data;
    bool is_taken = http_stream_write(req, bytes);
    ASSERT(is_taken); /* one is asked for when the client has taken the last */
    if (!http_stream_has_room(req)) {
        snapshot_remote_pause(req->data);
    }
}

static void remote_client_has_room(struct http_req *req)
{
    snapshot_remote_resume(req->data);
}

static void remote_ended(void *data, const struct err *err)
{
    struct http_req *req = data;
    bool is_begun = http_stream_is_begun(req);
    req->on_close = NULL;
    if (err != NULL && is_begun) {
        log_write(LOG_ERROR, "agent.http", "snapshot of the leader broke off",
                  LOG_CSTR("error", err_text(err)));
        http_stream_abort(req);
    } else if (err != NULL) {
        int code = rpc_error_code(str_from_cstr(err_text(err)));
        bool is_denied = code == ERR_PERMISSION_DENIED || code == ERR_ACL_NOT_FOUND;
        http_error(req, is_denied ? 403 : 500, "%s", err_text(err));
    } else if (is_begun) {
        http_stream_end(req);
    } else {
        http_finish(req, 200);
    }
}

static const struct snapshot_remote_ops save_ops = {
    .answered = remote_answered, .bytes = remote_bytes, .ended = remote_ended};

static void remote_room(void *data)
{
    http_body_resume(data);
}

static void remote_body(struct http_req *req, struct str piece, bool is_last)
{
    bool has_room = snapshot_remote_write(req->data, piece);
    if (is_last) {
        snapshot_remote_finish(req->data);
    } else if (!has_room) {
        http_body_pause(req);
    }
}

static const struct snapshot_remote_ops restore_ops = {.room = remote_room, .ended = remote_ended};

static void ask(struct http_req *req, const struct snapshot_route *to,
                const struct snapshot_request *r)
{
    struct err err = {0};
    bool is_restore = r->op == SNAPSHOT_RESTORE;
    req->data =
        snapshot_remote_new(req->worker, to, r, is_restore ? &restore_ops : &save_ops, req, &err);
    if (req->data == NULL) {
        http_error(req, 500, "%s", err_text(&err));
        return;
    }
    req->on_close = remote_client_gone;
    if (is_restore) {
        req->on_body = remote_body;
        http_body_pause(req); /* until it is connected */
    } else {
        req->on_room = remote_client_has_room;
    }
}

/* --- both ------------------------------------------------------------------------------------- */

static int place(const struct http_req *req, const struct snapshot_request *r,
                 struct snapshot_route *to, struct err *err)
{
    struct delegate *d = req->worker->delegate;
    struct route route;
    int rc;
    if (d->client == NULL) {
        rc = delegate_count_call(d, err);
        return rc < 0 ? rc : snapshot_place(req->worker->server, r, to, err);
    }
    rc = client_agent_route(d->client, &route, err);
    if (rc >= 0) {
        *to = (struct snapshot_route){.router = d->router, .id = route.id};
        (void)snprintf(to->address, sizeof(to->address), "%.*s", STRF(route.address));
    }
    return rc;
}

static void snapshot_handle(struct http_req *req)
{
    struct err err = {0};
    struct snapshot_route to;
    struct str datacenter = http_param_value(req, STR("dc"));
    struct snapshot_request r = {
        .datacenter = datacenter.n > 0 ? datacenter : http_datacenter(req),
        .token = req->token,
        .allow_stale = http_has_param(req, STR("stale")),
        .op = req->method == HTTP_PUT ? SNAPSHOT_RESTORE : SNAPSHOT_SAVE,
    };
    if (place(req, &r, &to, &err) < 0) {
        http_error_from(req, &err);
    } else if (to.address[0] != '\0') {
        ask(req, &to, &r);
    } else if (!http_permit(req, ACL_SNAPSHOT, STR(""))) {
        return; /* answered; elsewhere the other server asks */
    } else if (r.op == SNAPSHOT_RESTORE) {
        restore_here(req);
    } else {
        save_here(req, r.allow_stale);
    }
}

const struct http_route http_snapshot_routes[] = {
    {"/v1/snapshot", HTTP_GET | HTTP_PUT, "GET,PUT", HTTP_ROUTE_STREAM_BODY | HTTP_ROUTE_ACL,
     snapshot_handle},
};
const size_t http_snapshot_routes_count = ARRAY_SIZE(http_snapshot_routes);
