/* Registering and deregistering services, and maintenance mode. The body is decoded and checked on
 * the worker; what depends on the agent's state is decided on its loop. */
#include "agent/service.h"

#include "base/gofmt.h"
#include "http/agent_acl.h"
#include "http/agent_request.h"

/* --- register -------------------------------------------------------------------------------- */

struct registration {
    struct service_def *def;
    struct node_service *service;
    struct ptrlist checks;
    struct str token;
    bool replace_existing_checks;
};

static void register_run(struct agent_request *r)
{
    struct registration *args = r->args;
    struct agent *a = r->call.agent;
    struct err *err = &r->call.err;
    struct service_addition req = {
        .service = args->service,
        .checks = args->checks,
        .token = args->token,
        .source = SOURCE_REMOTE,
        .persist = true,
        .replace_existing_checks = args->replace_existing_checks,
        .arena = &r->arena,
    };
    struct service_addition sidecar = req;
    if (sidecar_from_service(a, args->def, args->service, args->token, &r->arena, &sidecar.service,
                             &sidecar.checks, &sidecar.token, err) < 0) {
        (void)err_wrap(err, "Bad request: Invalid SidecarService");
        err->code = ERR_BAD_REQUEST;
        agent_call_finish(&r->call);
        return;
    }
    int rc = service_add(a, &req, err);
    if (rc >= 0 && sidecar.service != NULL) {
        rc = service_add(a, &sidecar, err);
    }
    agent_request_finish(r, rc);
}

static bool is_any_address(struct str s)
{
    return str_eq_lit(s, "0.0.0.0") || str_eq_lit(s, "::") || str_eq_lit(s, "[::]");
}

/* Whether the checks of a definition are well-formed; answered when not. */
static bool checks_are_good(struct http_req *req, const struct service_def *def,
                            struct ptrlist *ret_checks, bool is_sidecar)
{
    struct err err = {0};
    const char *prefix = is_sidecar ? "Bad request: " : "";
    int status = is_sidecar ? 500 : 400; /* Consul takes these for other errors */
    if (service_def_checks(def, req->arena, ret_checks, &err) < 0) {
        http_error(req, status, "%s%s: %s", prefix,
                   is_sidecar ? "Invalid check in sidecar_service" : "Invalid check",
                   err_text(&err));
        return false;
    }
    for (size_t i = 0; i < ret_checks->n; i++) {
        struct str first = ((const struct check_def *)ret_checks->v[i])->status;
        if (first.n > 0 && !health_is_status(first)) {
            http_error(req, status, "%sStatus for checks must 'passing', 'warning', 'critical'",
                       prefix);
            return false;
        }
    }
    return true;
}

static bool service_is_good(struct http_req *req, const struct service_def *def,
                            const struct node_service *service)
{
    struct err err = {0};
    if (service->weights != NULL && weights_validate(service->weights, &err) < 0) {
        http_error(req, 400, "Invalid Weights: %s", err_text(&err));
        return false;
    }
    if (service_meta_validate(service->kind, service->meta, &err) < 0) {
        http_error(req, 400, "Invalid Service Meta: %s", err_text(&err));
        return false;
    }
    if (service_def_validate(def, &err) < 0) {
        http_error(req, 400, "%s", err_text(&err));
        return false;
    }
    return true;
}

/* Of a request, in its arena. */
struct parsed_registration {
    struct service_def *def;
    struct node_service *service;
    struct ptrlist checks;
};

static void register_start(struct http_req *req);

/* The sidecar, with what its own token may do. Who it is a proxy of was vetted before. */
static void register_with_sidecar(struct http_req *req)
{
    const struct parsed_registration *p = req->data;
    const struct service_def *given = p->def->connect->sidecar_service;
    struct node_service sidecar = {0};
    service_def_to_node_service(given, req->arena, &sidecar);
    struct str id = p->service->id.n > 0 ? p->service->id : p->service->service;
    sidecar.id = arena_printf(req->arena, "%.*s" SIDECAR_SUFFIX, STRF(id));
    if (sidecar.service.n == 0) {
        sidecar.service =
            arena_printf(req->arena, "%.*s" SIDECAR_SUFFIX, STRF(p->service->service));
    }
    sidecar.kind = SERVICE_KIND_CONNECT_PROXY;
    sidecar.proxy.destination_service_name = p->service->service;
    if (http_known(req) && agent_may_register_service(req, &sidecar)) {
        register_start(req);
    }
}

void agent_service_register_handle(struct http_req *req)
{
    struct service_def def = {0};
    struct node_service service = {0};
    struct ptrlist checks = {0}, sidecar_checks = {0};
    if (!http_check_namespace(req) ||
        !http_decode_body(req, &service_def_schema, &def, DECODE_STRICT | DECODE_FLOATS)) {
        return;
    }
    if (def.name.n == 0) {
        http_error(req, 400, "Missing service name");
        return;
    }
    if (is_any_address(def.address)) {
        http_error(req, 400, "Invalid service address");
        return;
    }
    service_def_to_node_service(&def, req->arena, &service);
    if (!http_known(req) || !service_is_good(req, &def, &service) ||
        !checks_are_good(req, &def, &checks, false)) {
        return;
    }
    if (def.connect != NULL && def.connect->sidecar_service != NULL &&
        !checks_are_good(req, def.connect->sidecar_service, &sidecar_checks, true)) {
        return;
    }
    if (!agent_may_register_service(req, &service)) {
        return;
    }
    struct parsed_registration *p = ARENA_NEW(req->arena, struct parsed_registration);
    *p = (struct parsed_registration){ARENA_NEW(req->arena, struct service_def),
                                      ARENA_NEW(req->arena, struct node_service), checks};
    *p->def = def;
    *p->service = service;
    req->data = p;
    if (req->who != NULL && def.connect != NULL && def.connect->sidecar_service != NULL) {
        struct str token = def.connect->sidecar_service->token;
        http_identify_as(req, token.n > 0 ? token : req->token, register_with_sidecar);
    } else {
        register_start(req);
    }
}

/* On with what was parsed. */
static void register_start(struct http_req *req)
{
    const struct parsed_registration *p = req->data;
    struct ptrlist checks = p->checks;
    struct agent_request *r =
        agent_request_new(req, register_run, agent_reply_ok, sizeof(struct registration));
    struct registration *args = r->args;
    args->def = schema_copy(&r->arena, &service_def_schema, p->def);
    args->service = ARENA_NEW(&r->arena, struct node_service);
    service_def_to_node_service(args->def, &r->arena, args->service);
    args->checks.v = ARENA_ARRAY(&r->arena, void *, checks.n + 1);
    args->checks.n = checks.n;
    for (size_t i = 0; i < checks.n; i++) {
        args->checks.v[i] = schema_copy(&r->arena, &check_type_schema, checks.v[i]);
    }
    args->token = agent_request_str(r, req->token);
    const struct http_param *replace = http_param(req, STR("replace-existing-checks"));
    args->replace_existing_checks =
        replace != NULL && (replace->value.n == 0 || str_eq_lit(replace->value, "true"));
    agent_request_start(r);
}

/* --- deregister ------------------------------------------------------------------------------ */

static void deregister_run(struct agent_request *r)
{
    const struct str *id = r->args;
    agent_request_finish(r, service_remove(r->call.agent, *id, true, &r->call.err));
}

void agent_service_deregister_handle(struct http_req *req)
{
    if (http_check_namespace(req) && http_known(req) && agent_may_change_service(req, req->tail)) {
        agent_request_start_by_id(req, deregister_run);
    }
}

/* --- maintenance ----------------------------------------------------------------------------- */

struct maintenance {
    struct str id; /* of the service */
    bool enable;
    struct str reason, token;
};

/* ?enable, which must be there and a bool; answered when it is not. */
static bool get_enable(struct http_req *req, bool *ret_enable)
{
    const struct http_param *p = http_param(req, STR("enable"));
    if (p == NULL) {
        http_error(req, 400, "Missing value for enable");
        return false;
    }
    if (str_parse_bool(p->value, ret_enable) < 0) {
        struct buf quoted = {0};
        go_quote(&quoted, p->value);
        http_error(req, 400, "Invalid value for enable: %.*s", STRF(buf_view(&quoted)));
        buf_deinit(&quoted);
        return false;
    }
    return true;
}

static struct agent_request *maintenance_new(struct http_req *req, bool enable,
                                             void (*run)(struct agent_request *r))
{
    struct agent_request *r =
        agent_request_new(req, run, agent_reply_ok, sizeof(struct maintenance));
    struct maintenance *args = r->args;
    args->id = agent_request_str(r, req->tail);
    args->enable = enable;
    args->reason = agent_request_str(r, http_param_value(req, STR("reason")));
    args->token = agent_request_str(r, req->token);
    return r;
}

static void service_maintenance_run(struct agent_request *r)
{
    const struct maintenance *args = r->args;
    int rc = service_maintenance(r->call.agent, args->id, args->enable, args->reason, args->token,
                                 &r->call.err);
    agent_request_finish(r, rc);
}

void agent_service_maintenance_handle(struct http_req *req)
{
    bool enable;
    if (http_check_tail(req, "service ID") && get_enable(req, &enable) &&
        http_check_namespace(req) && http_known(req) && agent_may_change_service(req, req->tail)) {
        agent_request_start(maintenance_new(req, enable, service_maintenance_run));
    }
}

static void node_maintenance_run(struct agent_request *r)
{
    const struct maintenance *args = r->args;
    node_maintenance(r->call.agent, args->enable, args->reason, args->token);
    agent_call_finish_synced(&r->call);
}

void agent_node_maintenance_handle(struct http_req *req)
{
    bool enable;
    if (get_enable(req, &enable) && http_permit(req, ACL_NODE_WRITE, http_node_name(req))) {
        agent_request_start(maintenance_new(req, enable, node_maintenance_run));
    }
}
