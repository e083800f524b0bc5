/* Reload, leave, join, force-leave and the agent's own tokens. */
#include "agent/state.h"

#include "agent/sync.h"
#include "base/log.h"
#include "http/agent_request.h"

/* --- reload ---------------------------------------------------------------------------------- */

static void reload_run(struct agent_request *r)
{
    if (agent_reload(r->call.agent, &r->call.err) < 0) {
        r->call.err.code = ERR_FAILED; /* whatever it was, the request was fine */
        agent_call_finish(&r->call);
        return;
    }
    agent_call_finish(&r->call);
}

void agent_reload_handle(struct http_req *req)
{
    agent_request_start(agent_request_new(req, reload_run, agent_reply_ok, 0));
}

/* --- the cluster ----------------------------------------------------------------------------- */

void agent_leave_handle(struct http_req *req)
{
    struct agent *a = req->agent;
    http_finish(req, 200);
    agent_leave_soon(a);
}

void agent_join_handle(struct http_req *req)
{
    http_error(
        req, 500,
        "1 error occurred:\n\t* Failed to join %.*s: this agent does not take part in gossip "
        "yet\n\n",
        STRF(req->tail));
}

void agent_force_leave_handle(struct http_req *req)
{
    (void)agent_read_begin(req->agent, req->worker);
    bool is_self = str_eq(req->tail, agent_config(req->agent)->node_name);
    agent_read_end(req->agent, req->worker);
    if (!is_self) {
        http_error(req, 500, "agent: No node found with name '%.*s'", STRF(req->tail));
        return;
    }
    http_finish(req, 200); /* the only member there is lives, and would say so */
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
    if (!http_decode_body(req, &token_body_schema, &body, DECODE_STRICT)) {
        return;
    }
    struct agent_request *r =
        agent_request_new(req, token_run, agent_reply_ok, sizeof(struct token_change));
    struct token_change *args = r->args;
    args->target = agent_request_str(r, req->tail);
    args->secret = agent_request_str(r, body.token);
    agent_request_start(r);
}
