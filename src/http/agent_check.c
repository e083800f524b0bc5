/* Registering and deregistering checks, and what the clients of TTL checks report. */
#include "agent/service.h"

#include "http/agent_acl.h"
#include "http/agent_request.h"

struct check_registration {
    struct health_check check;
    struct check_def *def;
    struct str token;
};

static void register_run(struct agent_request *r)
{
    struct check_registration *args = r->args;
    struct check_addition req = {
        .check = &args->check,
        .def = args->def,
        .token = args->token,
        .source = SOURCE_REMOTE,
        .persist = true,
        .arena = &r->arena,
    };
    agent_request_finish(r, check_register(r->call.agent, &req, &r->call.err));
}

void agent_check_register_handle(struct http_req *req)
{
    struct check_def def = {0};
    struct err err = {0};
    if (!http_check_namespace(req) ||
        !http_decode_body(req, &check_def_schema, &def, DECODE_STRICT)) {
        return;
    }
    if (def.name.n == 0) {
        http_error(req, 400, "Missing check name");
        return;
    }
    if (def.status.n > 0 && !health_is_status(def.status)) {
        http_error(req, 400, "Bad check status");
        return;
    }
    if (!http_known(req)) {
        return;
    }
    if (check_def_validate(&def, &err) < 0) {
        http_error(req, 400, "Invalid check: %s", err_text(&err));
        return;
    }
    struct agent_request *r =
        agent_request_new(req, register_run, agent_reply_ok, sizeof(struct check_registration));
    struct check_registration *args = r->args;
    struct check_def *copy = schema_copy(&r->arena, &check_def_schema, &def);
    args->def = copy;
    check_def_to_health_check(copy, agent_request_str(r, http_node_name(req)), &r->arena,
                              &args->check);
    args->check.type = str_from_cstr(check_def_type(copy));
    args->token = agent_request_str(r, req->token);
    if (!agent_may_register_check(req, &args->check)) {
        agent_request_drop(r);
        return;
    }
    agent_request_start(r);
}

static void deregister_run(struct agent_request *r)
{
    const struct str *id = r->args;
    agent_request_finish(r, check_deregister(r->call.agent, *id, true, &r->call.err));
}

void agent_check_deregister_handle(struct http_req *req)
{
    if (http_check_namespace(req) && http_known(req) && agent_may_change_check(req, req->tail)) {
        agent_request_start_by_id(req, deregister_run);
    }
}

/* --- TTL ------------------------------------------------------------------------------------- */

struct ttl_report {
    struct str id, status, output;
};

/* A heartbeat that changes nothing is answered at once; a new status once the catalog has it. */
static void ttl_run(struct agent_request *r)
{
    const struct ttl_report *args = r->args;
    bool is_changed = false;
    int rc = check_ttl_report(r->call.agent, args->id, args->status, args->output, &is_changed,
                              &r->call.err);
    if (rc < 0 || !is_changed) {
        agent_call_finish(&r->call);
        return;
    }
    agent_call_finish_synced(&r->call);
}

static void ttl_start(struct http_req *req, struct str status, struct str output)
{
    if (!http_check_namespace(req) || !http_known(req) || !agent_may_change_check(req, req->tail)) {
        return;
    }
    struct agent_request *r =
        agent_request_new(req, ttl_run, agent_reply_ok, sizeof(struct ttl_report));
    struct ttl_report *args = r->args;
    args->id = agent_request_str(r, req->tail);
    args->status = agent_request_str(r, status);
    args->output = agent_request_str(r, output);
    agent_request_start(r);
}

void agent_check_pass_handle(struct http_req *req)
{
    ttl_start(req, HEALTH_PASSING, http_param_value(req, STR("note")));
}

void agent_check_warn_handle(struct http_req *req)
{
    ttl_start(req, HEALTH_WARNING, http_param_value(req, STR("note")));
}

void agent_check_fail_handle(struct http_req *req)
{
    ttl_start(req, HEALTH_CRITICAL, http_param_value(req, STR("note")));
}

struct check_update {
    struct str status, output;
};
static const struct field check_update_fields[] = {
    F_STR(struct check_update, status, "Status", 0),
    F_STR(struct check_update, output, "Output", 0),
    FIELDS_END,
};
static const struct schema check_update_schema =
    SCHEMA("checkUpdate", struct check_update, check_update_fields);

void agent_check_update_handle(struct http_req *req)
{
    struct check_update update = {0};
    if (!http_decode_body(req, &check_update_schema, &update, DECODE_STRICT)) {
        return;
    }
    if (!health_is_status(update.status)) {
        http_error(req, 400, "Invalid check status: '%.*s'", STRF(update.status));
        return;
    }
    ttl_start(req, update.status, update.output);
}
