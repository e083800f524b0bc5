/* Reload, leave, join, force-leave and the agent's own tokens. */
#include "agent/state.h"

#include "agent/join.h"
#include "agent/sync.h"
#include "base/log.h"
#include "http/agent_request.h"
#include "server/delegate.h"

/* --- reload ---------------------------------------------------------------------------------- */

static void reload_run(struct agent_request *r)
{
    if (agent_reload(r->call.agent, &r->call.err) < 0) {
        r->call.err.code = ERR_FAILED; /* whatever it was, the request was fine */
    }
    agent_call_finish(&r->call);
}

void agent_reload_handle(struct http_req *req)
{
    if (http_permit(req, ACL_AGENT_WRITE, http_node_name(req))) {
        agent_request_start(agent_request_new(req, reload_run, agent_reply_ok, 0));
    }
}

/* --- the cluster ----------------------------------------------------------------------------- */

static void leave_run(struct agent_request *r)
{
    agent_leave_call(r->call.agent, &r->call);
}

/* Answered when it has left; then the agent ends. */
void agent_leave_handle(struct http_req *req)
{
    if (http_permit(req, ACL_AGENT_WRITE, http_node_name(req))) {
        agent_request_start(agent_request_new(req, leave_run, agent_reply_ok, 0));
    }
}

struct join_args {
    struct agent_join join;
    struct str address;
    bool is_wan;
};

static void join_done(struct agent_join *join)
{
    struct agent_request *r = join->data;
    if (join->join.err.code != 0) {
        r->call.err = join->join.err;
        r->call.err.code = ERR_FAILED;
    }
    agent_call_finish(&r->call);
}

static void join_run(struct agent_request *r)
{
    struct join_args *args = r->args;
    args->join.join.addresses = (struct strlist){&args->address, 1};
    args->join.is_wan = args->is_wan;
    args->join.done = join_done;
    args->join.data = r;
    agent_join(r->call.agent, &args->join);
}

void agent_join_handle(struct http_req *req)
{
    if (!http_permit(req, ACL_AGENT_WRITE, http_node_name(req))) {
        return;
    }
    struct agent_request *r =
        agent_request_new(req, join_run, agent_reply_ok, sizeof(struct join_args));
    struct join_args *args = r->args;
    args->address = agent_request_str(r, req->tail);
    args->is_wan = http_param_value(req, STR("wan")).n > 0; /* "?wan" alone does not ask for it */
    agent_request_start(r);
}

struct force_leave_args {
    struct str node;
    bool prune;
};

static void force_leave_run(struct agent_request *r)
{
    const struct force_leave_args *args = r->args;
    struct delegate *d = r->call.agent->worker->delegate;
    log_write(LOG_INFO, "agent", "Force leaving node", LOG_STR("node", args->node));
    if (!delegate_has_member(d, args->node)) {
        (void)err_set(&r->call.err, ERR_FAILED, "agent: No node found with name '%.*s'",
                      STRF(args->node));
    } else if (delegate_force_leave(d, args->node, args->prune, &r->call.err) < 0) {
        log_write(LOG_WARN, "agent", "Failed to remove node", LOG_STR("node", args->node),
                  LOG_CSTR("error", err_text(&r->call.err)));
    }
    agent_call_finish(&r->call);
}

void agent_force_leave_handle(struct http_req *req)
{
    if (!http_permit(req, ACL_OPERATOR_WRITE, STR(""))) {
        return;
    }
    struct agent_request *r =
        agent_request_new(req, force_leave_run, agent_reply_ok, sizeof(struct force_leave_args));
    struct force_leave_args *args = r->args;
    args->node = agent_request_str(r, req->tail);
    args->prune = http_has_param(req, STR("prune"));
    agent_request_start(r);
}

/* --- tokens ---------------------------------------------------------------------------------- */

struct token_body {
    struct str token;
};
static const struct field token_body_fields[] = {F_STR(struct token_body, token, "Token", 0),
                                                 FIELDS_END};
static const struct schema token_body_schema =
    SCHEMA("AgentToken", struct token_body, token_body_fields);

struct token_change {
    struct str target, secret;
};

static void token_run(struct agent_request *r)
{
    const struct token_change *args = r->args;
    struct agent *a = r->call.agent;
    enum token_kind kind;
    bool is_changed = false;
    if (token_kind_parse(args->target, &kind) < 0) {
        (void)err_set(&r->call.err, ERR_NOT_FOUND, "Token \"%.*s\" is unknown", STRF(args->target));
    } else if (tokens_set(&a->tokens, conf(a), kind, args->secret, &is_changed, &r->call.err) >=
               0) {
        log_write(LOG_INFO, "agent", "Updated agent's ACL token", LOG_STR("token", args->target));
    }
    if (is_changed && (kind == TOKEN_default || kind == TOKEN_agent)) {
        sync_full_soon(a->sync); /* what was forbidden may be allowed now */
    }
    agent_call_finish(&r->call);
}

void agent_token_handle(struct http_req *req)
{
    (void)agent_read_begin(req->agent, req->worker);
    bool has_acls = agent_config(req->agent)->acl.enabled;
    agent_read_end(req->agent, req->worker);
    if (!has_acls) {
        http_error(req, 401, "ACL support disabled");
        return;
    }
    struct token_body body = {0};
    if (!http_permit(req, ACL_AGENT_WRITE, http_node_name(req)) ||
        !http_decode_body(req, &token_body_schema, &body, DECODE_STRICT)) {
        return;
    }
    struct agent_request *r =
        agent_request_new(req, token_run, agent_reply_ok, sizeof(struct token_change));
    struct token_change *args = r->args;
    args->target = agent_request_str(r, req->tail);
    args->secret = agent_request_str(r, body.token);
    agent_request_start(r);
}
