/* What this agent has: services and checks, one service (waiting for it to change by the hash of
 * its content), and the health of local services. Read from the published state, on the worker. */
#include "agent/local.h"
#include "agent/state.h"
#include "base/clock.h"
#include "base/rand.h"
#include "base/vec.h"
#include "http/agent_acl.h"
#include "http/agent_json.h"
#include "http/agent_request.h"
#include "schema/filter.h"
#include "schema/hash.h"

#define WAIT_NS_DEFAULT (int64_t)(300 * NS_PER_SEC)
#define WAIT_NS_MAX (int64_t)(600 * NS_PER_SEC)
#define WAIT_JITTER_FRACTION 16u

/* ?filter for elements of this kind; false when it was bad, and answered. NULL: none. */
static bool get_filter(struct http_req *req, const struct schema *schema,
                       struct filter **ret_filter)
{
    struct str text = http_param_value(req, STR("filter"));
    struct err err = {0};
    *ret_filter = NULL;
    if (text.n > 0 && filter_compile(req->arena, text, schema, ret_filter, &err) < 0) {
        http_error(req, 500, "%s", err_text(&err));
        return false;
    }
    return true;
}

/* --- lists ----------------------------------------------------------------------------------- */

void agent_services_handle(struct http_req *req)
{
    struct filter *filter;
    struct err err = {0};
    if (!http_check_namespace(req) || !http_known(req) ||
        !get_filter(req, &agent_service_schema, &filter)) {
        return;
    }
    const struct local_root *root = agent_read_begin(req->agent, req->worker);
    struct str datacenter = agent_config(req->agent)->datacenter;
    struct json_writer w = http_json_begin(req);
    struct tree_iter it;
    const struct local_service *row;
    int rc = 0;
    json_object_begin(&w);
    tree_iter_prefix(&it, &root->services, STR_NULL);
    while (rc >= 0 && (row = tree_next(&it, NULL)) != NULL) {
        struct agent_service shown;
        if (!http_may(req, ACL_SERVICE_READ, row->service.service)) {
            continue;
        }
        agent_service_show(&row->service, datacenter, &shown);
        rc = filter != NULL ? filter_match(filter, &shown, &err) : 1;
        if (rc > 0) {
            json_key(&w, row->service.id);
            json_object(&w, &agent_service_schema, &shown);
        }
    }
    json_object_end(&w);
    agent_read_end(req->agent, req->worker);
    if (rc < 0) {
        http_error(req, 500, "%s", err_text(&err));
        return;
    }
    http_finish(req, 200);
}

void agent_checks_handle(struct http_req *req)
{
    struct filter *filter = NULL;
    struct err err = {0};
    struct str expression = http_param_value(req, STR("filter"));
    if (!http_check_namespace(req) || !http_known(req)) {
        return;
    }
    if (expression.n > 0 && filter_new(req->arena, expression, &filter, &err) < 0) {
        http_error(req, 500, "%s", err_text(&err));
        return;
    }
    const struct local_root *root = agent_read_begin(req->agent, req->worker);
    struct json_writer w = http_json_begin(req);
    struct tree_iter it;
    const struct health_check *row;
    struct str node_name = agent_config(req->agent)->node_name;
    json_object_begin(&w);
    tree_iter_prefix(&it, &root->checks, STR_NULL);
    int rc = filter != NULL && tree_next(&it, NULL) != NULL
                 ? filter_bind(filter, req->arena, &health_check_schema, &err)
                 : 0;
    tree_iter_prefix(&it, &root->checks, STR_NULL);
    while (rc >= 0 && (row = tree_next(&it, NULL)) != NULL) {
        if (!agent_may_see_check(req, row, node_name)) {
            continue;
        }
        rc = filter != NULL ? filter_match(filter, row, &err) : 1;
        if (rc > 0) {
            struct health_check shown = *row;
            if (shown.service_tags.v == NULL) {
                shown.service_tags.v = SCHEMA_EMPTY;
            }
            json_key(&w, row->check_id);
            json_object(&w, &health_check_schema, &shown);
        }
    }
    json_object_end(&w);
    agent_read_end(req->agent, req->worker);
    if (rc < 0) {
        http_error(req, 500, "%s", err_text(&err));
        return;
    }
    http_finish(req, 200);
}

/* --- one service ----------------------------------------------------------------------------- */

struct service_wait {
    struct str id, hash;
    uint64_t version;     /* of the row that was looked at; 0: there was none */
    uint64_t deadline_ms; /* monotonic */
};

static void service_answer(struct http_req *req, struct service_wait *wait, bool may_wait);

static void service_changed(struct http_req *req, struct agent_request *r)
{
    struct service_wait *wait = ARENA_NEW(req->arena, struct service_wait);
    const struct service_wait *old = r->args;
    *wait = *old;
    wait->id = req->tail;
    wait->hash = http_param_value(req, STR("hash"));
    service_answer(req, wait, clock_mono_ms() < wait->deadline_ms);
}

/* On the main loop: unless it changed meanwhile. */
static void service_wait_run(struct agent_request *r)
{
    const struct service_wait *wait = r->args;
    struct agent *a = r->call.agent;
    struct service_entry *e = local_service(a->local, wait->id);
    uint64_t now_ms = clock_mono_ms();
    if (e == NULL || e->row->version != wait->version || now_ms >= wait->deadline_ms) {
        agent_call_finish(&r->call);
        return;
    }
    agent_call_wait(&r->call, &e->waiters, wait->deadline_ms - now_ms);
}

static void service_answer(struct http_req *req, struct service_wait *wait, bool may_wait)
{
    const struct local_root *root = agent_read_begin(req->agent, req->worker);
    const struct local_service *row = tree_get(&root->services, wait->id);
    if (row == NULL) {
        agent_read_end(req->agent, req->worker);
        http_error(req, 404, "unknown service ID: %.*s", STRF(wait->id));
        return;
    }
    if (!http_may(req, ACL_SERVICE_READ, row->service.service)) {
        agent_read_end(req->agent, req->worker);
        http_deny(req, NULL, STR_NULL);
        return;
    }
    struct agent_service shown;
    agent_service_show(&row->service, agent_config(req->agent)->datacenter, &shown);
    shown.content_hash = arena_printf(
        req->arena, "%llx", (unsigned long long)schema_hash(&agent_service_schema, &shown));
    if (may_wait && str_eq(shown.content_hash, wait->hash)) {
        wait->version = row->version;
        agent_read_end(req->agent, req->worker);
        struct agent_request *r =
            agent_request_new(req, service_wait_run, service_changed, sizeof(*wait));
        struct service_wait *args = r->args;
        *args = *wait;
        args->id = agent_request_str(r, wait->id);
        args->hash = STR_NULL;
        agent_request_start(r);
        return;
    }
    http_set_header(req, STR("X-Consul-Contenthash"), shown.content_hash);
    struct json_writer w = http_json_begin(req);
    json_object(&w, &agent_service_schema, &shown);
    agent_read_end(req->agent, req->worker);
    http_finish(req, 200);
}

void agent_service_get_handle(struct http_req *req)
{
    struct query_options options = {0};
    struct str datacenter;
    if (!http_parse_query_options(req, &datacenter, &options) || !http_check_namespace(req) ||
        !http_known(req)) {
        return;
    }
    struct service_wait *wait = ARENA_NEW(req->arena, struct service_wait);
    wait->id = req->tail;
    wait->hash = http_param_value(req, STR("hash"));
    if (wait->hash.n > 0) {
        int64_t ns = options.max_query_time > 0 ? options.max_query_time : WAIT_NS_DEFAULT;
        uint64_t ms = (uint64_t)MIN(ns, WAIT_NS_MAX) / NS_PER_MS;
        ms += rng_below(&req->worker->rng, ms / WAIT_JITTER_FRACTION + 1);
        wait->deadline_ms = clock_mono_ms() + ms;
    }
    service_answer(req, wait, wait->hash.n > 0);
}

/* --- local health ---------------------------------------------------------------------------- */

struct health {
    struct str status; /* a constant */
    int code;
    const struct health_check **checks;
    size_t count;
};

static void take_checks(struct http_req *req, const struct local_root *root, struct str service_id,
                        struct health *h)
{
    VEC(const struct health_check *)
    checks = {(const struct health_check **)h->checks, h->count, h->count};
    struct buf prefix = {0};
    struct tree_iter it;
    const struct health_check *check;
    tree_iter_prefix(&it, &root->service_checks, local_key(&prefix, service_id, STR_NULL));
    while ((check = tree_next(&it, NULL)) != NULL) {
        avec_push(req->arena, &checks, check);
    }
    buf_deinit(&prefix);
    h->checks = checks.v;
    h->count = checks.n;
}

/* The service's checks and the node's together. */
static struct health health_of(struct http_req *req, const struct local_root *root, struct str id)
{
    struct health h = {0};
    take_checks(req, root, STR_NULL, &h);
    if (id.n > 0) {
        take_checks(req, root, id, &h);
    }
    bool is_warning = false, is_critical = false, is_maintenance = false, is_odd = false;
    for (size_t i = 0; i < h.count && !is_odd; i++) {
        const struct health_check *check = h.checks[i];
        if (str_eq(check->check_id, NODE_MAINT_ID) ||
            str_has_prefix(check->check_id, SERVICE_MAINT_PREFIX)) {
            is_maintenance = true;
        } else if (str_eq(check->status, HEALTH_CRITICAL)) {
            is_critical = true;
        } else if (str_eq(check->status, HEALTH_WARNING)) {
            is_warning = true;
        } else {
            is_odd = !str_eq(check->status, HEALTH_PASSING);
        }
    }
    h.status = is_odd           ? STR("")
               : is_maintenance ? HEALTH_MAINT
               : is_critical    ? HEALTH_CRITICAL
               : is_warning     ? HEALTH_WARNING
                                : HEALTH_PASSING;
    h.code = str_eq(h.status, HEALTH_PASSING) ? 200 : str_eq(h.status, HEALTH_WARNING) ? 429 : 503;
    return h;
}

static bool wants_text(const struct http_req *req)
{
    if (str_has_prefix(http_header(req, STR("Accept")), STR("text/plain"))) {
        return true;
    }
    return str_eq_lit(http_param_value(req, STR("format")), "text");
}

static void answer_text(struct http_req *req, int code, struct str text, struct str type)
{
    req->content_type = type;
    buf_str(req->out, text);
    http_finish(req, code);
}

static void put_info(struct json_writer *w, struct http_req *req, const struct health *h,
                     const struct node_service *service)
{
    struct agent_service shown;
    agent_service_show(service, agent_config(req->agent)->datacenter, &shown);
    json_object_begin(w);
    json_key(w, STR("AggregatedStatus"));
    json_str(w, h->status);
    json_key(w, STR("Service"));
    json_object(w, &agent_service_schema, &shown);
    json_key(w, STR("Checks"));
    json_array_begin(w);
    for (size_t i = 0; i < h->count; i++) {
        agent_json_check(w, h->checks[i]);
    }
    json_array_end(w);
    json_object_end(w);
}

void agent_health_id_handle(struct http_req *req)
{
    struct str id = req->tail;
    if (id.n == 0) {
        http_error(req, 500, "Bad request: Missing serviceID");
        return;
    }
    if (!http_check_namespace(req) || !http_known(req)) {
        return;
    }
    const struct local_root *root = agent_read_begin(req->agent, req->worker);
    const struct node_service *service = local_root_service(root, id);
    if (service == NULL) {
        agent_read_end(req->agent, req->worker);
        struct str reason = arena_printf(req->arena, "ServiceId %.*s not found", STRF(id));
        http_set_header(req, STR("X-Consul-Reason"), reason);
        struct json_writer w = http_json_begin(req);
        if (wants_text(req)) {
            json_str(&w, reason);
            http_finish(req, 404);
            return;
        }
        json_raw(&w, STR("{\"AggregatedStatus\":\"critical\",\"Service\":null,\"Checks\":null}"));
        http_finish(req, 404);
        return;
    }
    if (!http_may(req, ACL_SERVICE_READ, service->service)) {
        agent_read_end(req->agent, req->worker);
        http_deny(req, NULL, STR_NULL);
        return;
    }
    struct health h = health_of(req, root, id);
    http_set_header(req, STR("X-Consul-Reason"), h.status);
    if (wants_text(req)) {
        agent_read_end(req->agent, req->worker);
        answer_text(req, h.code, h.status, STR("text/plain"));
        return;
    }
    struct json_writer w = http_json_begin(req);
    put_info(&w, req, &h, service);
    agent_read_end(req->agent, req->worker);
    http_finish(req, h.code);
}

/* The worst of all instances with this name. */
void agent_health_name_handle(struct http_req *req)
{
    struct str name = req->tail;
    if (name.n == 0) {
        http_error(req, 500, "Bad request: Missing service Name");
        return;
    }
    if (!http_check_namespace(req) || !http_permit(req, ACL_SERVICE_READ, name)) {
        return;
    }
    bool is_text = wants_text(req);
    int code = 404;
    struct str status = arena_printf(req->arena, "ServiceName %.*s Not Found", STRF(name));
    const struct local_root *root = agent_read_begin(req->agent, req->worker);
    struct json_writer w = is_text ? (struct json_writer){0} : http_json_begin(req);
    struct buf prefix = {0};
    struct tree_iter it;
    const struct local_service *row;
    if (!is_text) {
        json_array_begin(&w);
    }
    tree_iter_prefix(&it, &root->service_names, local_key(&prefix, name, STR_NULL));
    while ((row = tree_next(&it, NULL)) != NULL) {
        struct health h = health_of(req, root, row->service.id);
        if (!is_text) {
            put_info(&w, req, &h, &row->service);
        }
        if (code == 404 || code < h.code) {
            code = h.code;
            status = h.status;
        }
    }
    if (!is_text) {
        json_array_end(&w);
    }
    agent_read_end(req->agent, req->worker);
    buf_deinit(&prefix);
    http_set_header(req, STR("X-Consul-Reason"), status);
    if (is_text) {
        answer_text(req, code, status, STR("text/plain"));
        return;
    }
    http_finish(req, code);
}
