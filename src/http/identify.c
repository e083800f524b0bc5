/* Who makes a request: its token is resolved before the handler of a route with HTTP_ROUTE_ACL is
 * called, and the handler asks what its holder may do. Requests that become calls need none of
 * this: the methods ask. */
#include "server/acl_resolver.h"

#include "http/front.h"
#include "server/delegate.h"
#include "server/worker.h"

static void keep_error(struct http_req *req, const struct err *err)
{
    struct err *copy = ARENA_NEW(req->arena, struct err);
    *copy = *err;
    req->who_err = copy;
}

static void resolved(struct acl_wait *wait)
{
    struct http_flight *f = container_of(wait, struct http_flight, acl_wait);
    struct http_req *req = &f->req;
    req->on_close = NULL;
    req->who = wait->who;
    if (wait->err != NULL) {
        keep_error(req, wait->err);
    }
    if (f->is_body_open) {
        http_body_resume(req);
    }
    f->identified(req);
}

static void client_gone(struct http_req *req)
{
    acl_wait_cancel(&flight_of(req)->acl_wait);
}

void http_identify_as(struct http_req *req, struct str token, http_handler then)
{
    struct http_flight *f = flight_of(req);
    struct err err;
    req->who = acl_who_unref(req->who);
    f->acl_wait.done = resolved;
    f->identified = then;
    req->on_close = client_gone;
    if (f->is_body_open) {
        http_body_pause(req);
    }
    int rc = acl_resolve(req->worker->acl, token, &f->acl_wait, &req->who, &err);
    if (rc == ACL_RESOLVE_WAITS) {
        return; /* resolved() may have run: f may be gone */
    }
    req->on_close = NULL;
    if (rc < 0) {
        keep_error(req, &err);
    }
    if (f->is_body_open) {
        http_body_resume(req);
    }
    then(req);
}

bool http_known(struct http_req *req)
{
    if (LIKELY(req->who_err == NULL)) {
        return true;
    }
    http_error_from(req, req->who_err);
    return false;
}

bool http_may(const struct http_req *req, enum acl_right right, struct str name)
{
    return req->who == NULL || acl_allows(req->who->rights, right, name);
}

void http_deny(struct http_req *req, const char *missing, struct str name)
{
    const char *text = err_code_text(ERR_PERMISSION_DENIED);
    if (missing == NULL) {
        http_error(req, 403, "%s", text);
    } else {
        http_error(req, 403, "%s: Missing %s on %.*s", text, missing, STRF(name));
    }
}

bool http_permit(struct http_req *req, enum acl_right right, struct str name)
{
    if (!http_known(req)) {
        return false;
    }
    bool may = http_may(req, right, name);
    if (!may) {
        http_deny(req, NULL, STR_NULL);
    }
    return may;
}
