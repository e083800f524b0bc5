/* Session.*: sessions and their TTLs. The timers themselves are the leader's (leader.h). */
#include "schema/session.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/acl_filter.h"
#include "server/leader.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/session.h"

#define SESSION_CREATE STR("create")
#define SESSION_DESTROY STR("destroy")

static int session_check_ttl(struct rpc_ctx *ctx, struct str ttl)
{
    if (ttl.n == 0) {
        return 0;
    }
    int64_t ttl_ns, min_ns = ctx->server->options.session_ttl_min_ns;
    if (duration_parse(ttl, &ttl_ns) < 0) {
        return err_set(ctx->err, ERR_FAILED, "Session TTL '%.*s' invalid: %.*s", STRF(ttl),
                       STRF(duration_fault(ctx->arena, ttl)));
    }
    if (ttl_ns != 0 && (ttl_ns < min_ns || ttl_ns > SESSION_TTL_NS_MAX)) {
        struct str min = duration_format(ctx->arena, min_ns);
        struct str max = duration_format(ctx->arena, SESSION_TTL_NS_MAX);
        return err_set(ctx->err, ERR_FAILED,
                       "Invalid Session TTL '%lld', must be between [%.*s=%.*s]", (long long)ttl_ns,
                       STRF(min), STRF(max));
    }
    return 0;
}

/* Whoever may write sessions on the node; one that is gone already (1) may be destroyed by all. */
static int session_permit(struct rpc_ctx *ctx, struct str op, const struct session *session)
{
    const struct session *existing;
    if (ctx->who == NULL) {
        return acl_known(ctx);
    }
    if (str_eq(op, SESSION_CREATE)) {
        return acl_check(ctx, ACL_SESSION_WRITE, session->node);
    }
    if (!str_eq(op, SESSION_DESTROY)) {
        return err_set(ctx->err, ERR_FAILED, "Invalid session operation \"%.*s\"", STRF(op));
    }
    if (session_find(ctx->view, session->id, &existing, ctx->err) < 0) {
        return err_wrap(ctx->err, "Session lookup failed");
    }
    return existing == NULL ? 1 : acl_check(ctx, ACL_SESSION_WRITE, existing->node);
}

static int session_apply_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    struct session_request *request = args;
    struct session *session = &request->session;
    bool is_create = str_eq(request->op, SESSION_CREATE);
    (void)reply;

    if (session->id.n == 0 && str_eq(request->op, SESSION_DESTROY)) {
        return err_set(ctx->err, ERR_FAILED, "Must provide ID");
    }
    if (session->node.n == 0 && is_create) {
        return err_set(ctx->err, ERR_FAILED, "Must provide Node");
    }
    int rc = session_permit(ctx, request->op, session);
    if (rc != 0) {
        return rc < 0 ? rc : RPC_PREPARE_DONE;
    }
    if (session->behavior.n == 0) {
        session->behavior = SESSION_RELEASE;
    } else if (!str_eq(session->behavior, SESSION_RELEASE) &&
               !str_eq(session->behavior, SESSION_DELETE)) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Behavior setting '%.*s'",
                       STRF(session->behavior));
    }
    rc = session_check_ttl(ctx, session->ttl);
    if (rc < 0) {
        return rc;
    }
    if (is_create) {
        /* Made here because entries of the log must mean the same on every server. */
        char id[UUID_TEXT_SIZE];
        const struct session *existing;
        do {
            uuid_generate(id);
            session->id = arena_str(ctx->arena, str_make(id, sizeof(id)));
            rc = session_find(ctx->view, session->id, &existing, ctx->err);
        } while (rc >= 0 && existing != NULL);
        if (rc < 0) {
            return rc;
        }
    }
    buf_byte(entry, FSM_SESSION);
    msgpack_object(entry, &session_request_schema, request);
    return RPC_PREPARE_PROPOSE;
}

static uint64_t session_ttl_ms(const struct session *s)
{
    int64_t ttl_ns;
    if (s->ttl.n == 0 || duration_parse(s->ttl, &ttl_ns) < 0 || ttl_ns <= 0) {
        return 0;
    }
    return (uint64_t)ttl_ns / NS_PER_MS;
}

static int session_applied(struct rpc_ctx *ctx, const void *args, const struct fsm_result *result,
                           void *reply)
{
    const struct session_request *request = args;
    struct string_reply *r = reply;
    if (str_eq(request->op, SESSION_CREATE)) {
        uint64_t ttl_ms = session_ttl_ms(&request->session);
        if (ttl_ms > 0) {
            leader_session_touch(ctx->server->leader, request->session.id, ttl_ms);
        }
    } else {
        leader_session_forget(ctx->server->leader, request->session.id);
    }
    r->value = result->kind == FSM_RESULT_STR ? result->s : STR("");
    return 0;
}

static struct metric time_apply = METRIC_SAMPLE("session.apply");

const struct rpc_method rpc_session_apply = {
    .name = "Session.Apply",
    .flags = RPC_WRITE,
    .args = &session_request_schema,
    .reply = &string_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "session:write",
    .time = &time_apply,
    .prepare = session_apply_prepare,
    .applied = session_applied,
    .apply_error = "apply failed",
};

/* Peers from before 1.7 send the id under its old name. */
static struct str request_session_id(const struct session_specific_request *request)
{
    return request->session_id.n > 0 ? request->session_id : request->session;
}

static void reply_session(struct rpc_ctx *ctx, struct indexed_sessions *r,
                          const struct session *session)
{
    if (session != NULL) {
        r->sessions.v = arena_alloc(ctx->arena, sizeof(void *));
        r->sessions.v[0] = (void *)session;
        r->sessions.n = 1;
    }
}

static int session_get_read(struct rpc_ctx *ctx, const void *args, void *reply)
{
    struct indexed_sessions *r = reply;
    const struct session *session;
    int rc = session_get(ctx->view, ctx->ws, request_session_id(args), &r->meta.index, &session,
                         ctx->err);
    if (rc >= 0) {
        reply_session(ctx, r, session);
        rc = acl_filter_sessions(ctx, &r->sessions);
    }
    return rc;
}

const struct rpc_method rpc_session_get = {
    .name = "Session.Get",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &session_specific_request_schema,
    .reply = &indexed_sessions_schema,
    .options_offset = offsetof(struct session_specific_request, options),
    .meta_offset = offsetof(struct indexed_sessions, meta),
    .acl = "session:read",
    .read = session_get_read,
};

static int session_list_read(struct rpc_ctx *ctx, const void *args, void *reply)
{
    struct indexed_sessions *r = reply;
    (void)args;
    r->meta.index = session_list(ctx->view, ctx->ws, ctx->arena, &r->sessions);
    return acl_filter_sessions(ctx, &r->sessions);
}

const struct rpc_method rpc_session_list = {
    .name = "Session.List",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &session_specific_request_schema,
    .reply = &indexed_sessions_schema,
    .options_offset = offsetof(struct session_specific_request, options),
    .meta_offset = offsetof(struct indexed_sessions, meta),
    .acl = "session:read",
    .read = session_list_read,
};

static int session_node_sessions_read(struct rpc_ctx *ctx, const void *args, void *reply)
{
    const struct node_request *request = args;
    struct indexed_sessions *r = reply;
    r->meta.index = session_list_node(ctx->view, ctx->ws, ctx->arena, request->node, &r->sessions);
    return acl_filter_sessions(ctx, &r->sessions);
}

const struct rpc_method rpc_session_node_sessions = {
    .name = "Session.NodeSessions",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &node_request_schema,
    .reply = &indexed_sessions_schema,
    .options_offset = offsetof(struct node_request, options),
    .meta_offset = offsetof(struct indexed_sessions, meta),
    .acl = "session:read",
    .read = session_node_sessions_read,
};

static int session_renew_read(struct rpc_ctx *ctx, const void *args, void *reply)
{
    struct indexed_sessions *r = reply;
    const struct session *session;
    int rc = acl_known(ctx);
    if (rc < 0) {
        return rc;
    }
    rc = session_get(ctx->view, NULL, request_session_id(args), &r->meta.index, &session, ctx->err);
    if (rc >= 0 && session != NULL) {
        rc = acl_check(ctx, ACL_SESSION_WRITE, session->node);
    }
    if (rc >= 0 && session != NULL) {
        reply_session(ctx, r, session);
        uint64_t ttl_ms = session_ttl_ms(session);
        if (ttl_ms > 0) {
            leader_session_touch(ctx->server->leader, session->id, ttl_ms);
        }
    }
    return rc;
}

static struct metric time_renew = METRIC_SAMPLE("session.renew");

const struct rpc_method rpc_session_renew = {
    .name = "Session.Renew",
    .flags = RPC_READ | RPC_LEADER_ONLY | RPC_INDEX_ONLY,
    .args = &session_specific_request_schema,
    .reply = &indexed_sessions_schema,
    .options_offset = offsetof(struct session_specific_request, options),
    .meta_offset = offsetof(struct indexed_sessions, meta),
    .acl = "session:write",
    .time = &time_renew,
    .read = session_renew_read,
};
