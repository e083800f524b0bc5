/* /v1/snapshot: GET gives an archive of the whole state, PUT puts one in the place of it. The work
 * is done on other threads (server/snapshot.h); the request waits for its task. */
#include "server/snapshot.h"

#include "http/http.h"
#include "schema/query.h"
#include "server/server.h"

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
        struct query_meta meta = {.index = t->index};
        server_fill_meta(req->server, &meta);
        http_set_meta(req, &meta);
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

static void snapshot_handle(struct http_req *req)
{
    struct err err = {0};
    struct str datacenter = http_param_value(req, STR("dc"));
    bool stale = http_has_param(req, STR("stale"));
    bool is_restore = req->method == HTTP_PUT;
    if (datacenter.n > 0 && !str_eq(datacenter, req->server->options.datacenter)) {
        http_error(req, 500, "%s", err_code_text(ERR_NO_DC_PATH));
    } else if (!stale && !server_is_leader(req->server)) {
        http_error(req, 500, "%s", err_code_text(ERR_NO_LEADER));
    } else if (stale && is_restore) {
        http_error(req, 500, "stale not allowed for restore");
    } else {
        req->data = is_restore
                        ? snapshot_restore_archive(req->worker, req->body, restored, req, &err)
                        : snapshot_save(req->worker, saved, req, &err);
        if (req->data == NULL) {
            http_error_from(req, &err);
        } else {
            req->on_close = client_gone;
        }
    }
}

const struct http_route http_snapshot_routes[] = {
    {"/v1/snapshot", HTTP_GET | HTTP_PUT, "GET,PUT", HTTP_ROUTE_HUGE_BODY, snapshot_handle},
};
const size_t http_snapshot_routes_count = ARRAY_SIZE(http_snapshot_routes);
