#include "agent/watch_plan.h"

#include <stdlib.h>

#include "agent/state.h"
#include "agent/user_event.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "loop/http_client.h"
#include "loop/process.h"
#include "schema/json.h"
#include "schema/kv.h"

extern char **environ;

#define QUERY_TIMEOUT_MS \
    (11u * 60u * 1000u) /* the server answers before: it waits 10 minutes at most */
#define RETRY_MS 5000u
#define RETRY_MS_MAX 180000u
#define ANSWER_SIZE_MAX (64u << 20)
#define HANDLER_OUTPUT_SIZE_MAX 4096u
#define HANDLER_TIMEOUT_MS_DEFAULT 10000u

enum plan_kind { PLAN_KEY, PLAN_KEYPREFIX, PLAN_EVENT, PLAN_AGENT_SERVICE, PLAN_OTHER };

struct plan {
    struct list node;
    struct watch_plans *plans;
    struct arena arena; /* of what does not change */
    struct str type;
    enum plan_kind kind;
    struct str path; /* with its first parameters: always has a '?' */
    struct str token;
    /* The handler: a program, or a URL. */
    struct strlist args;
    struct str url, method;
    struct strlistmap headers;
    uint64_t timeout_ms;
    bool tls_skip_verify;
    /* running */
    struct http_transfer *query, *request;
    struct process *process;
    struct loop_timer retry;
    uint64_t failures;
    bool has_result;
    struct buf index;  /* where the next query waits: an index, or a content hash */
    struct buf result; /* the last */
};

static void plan_query(struct plan *p);

/* --- parsing --------------------------------------------------------------------------------- */

/* What has been looked at is struck from the list; what is left over at the end is a mistake. */
struct params {
    const struct value *map;
    VEC(struct str) known;
    struct arena *arena;
    struct err *err;
    bool failed;
};

static const struct value *param(struct params *ps, struct str name)
{
    avec_push(ps->arena, &ps->known, name);
    return value_get(ps->map, name);
}

static void param_fail(struct params *ps, const char *before, struct str name, const char *after)
{
    if (!ps->failed) {
        ps->failed = true;
        (void)err_set(ps->err, ERR_INVALID, "%s%.*s%s", before, STRF(name), after);
    }
}

static struct str param_str(struct params *ps, struct str name)
{
    const struct value *v = param(ps, name);
    if (v != NULL && v->kind != VALUE_STR) {
        param_fail(ps, "Expecting ", name, " to be a string");
        return STR_NULL;
    }
    return v != NULL ? arena_str(ps->arena, v->s) : STR_NULL;
}

static bool param_bool(struct params *ps, struct str name)
{
    const struct value *v = param(ps, name);
    bool b = false;
    if (v != NULL && v->kind == VALUE_BOOL) {
        return v->b;
    }
    if (v != NULL && (v->kind != VALUE_STR || str_parse_bool(v->s, &b) < 0)) {
        param_fail(ps, "Expecting ", name, " to be a boolean");
    }
    return b;
}

/* A list of strings, or one. */
static struct strlist param_list(struct params *ps, struct str name)
{
    const struct value *v = param(ps, name);
    VEC(struct str) list = {0};
    if (v != NULL && v->kind == VALUE_STR) {
        avec_push(ps->arena, &list, arena_str(ps->arena, v->s));
    }
    for (size_t i = 0; v != NULL && v->kind == VALUE_LIST && i < v->list.n; i++) {
        if (v->list.v[i].kind != VALUE_STR) {
            param_fail(ps, "Expecting ", name, " to be a list of strings");
            break;
        }
        avec_push(ps->arena, &list, arena_str(ps->arena, v->list.v[i].s));
    }
    return (struct strlist){list.v, list.n};
}

static void put_escaped(struct buf *to, struct str s, bool keep_slashes)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '~' ||
                        (c == '/' && keep_slashes);
        if (is_plain) {
            buf_byte(to, c);
        } else {
            buf_printf(to, "%%%02X", c);
        }
    }
}

static void put_param(struct buf *to, const char *name, struct str value)
{
    buf_printf(to, "&%s=", name);
    put_escaped(to, value, false);
}

/* "/v1/health/service/web?&passing=1&tag=a": where a plan of this type asks. */
static void parse_type(struct plan *p, struct params *ps, struct buf *path)
{
    struct str name;
    if (str_eq_lit(p->type, "key")) {
        p->kind = PLAN_KEY;
        name = param_str(ps, STR("key"));
        if (name.n == 0) {
            param_fail(ps, "Must specify a single key to watch", STR(""), "");
        }
        buf_lit(path, "/v1/kv/");
        put_escaped(path, name, true);
        buf_byte(path, '?');
    } else if (str_eq_lit(p->type, "keyprefix")) {
        p->kind = PLAN_KEYPREFIX;
        name = param_str(ps, STR("prefix"));
        if (name.n == 0) {
            param_fail(ps, "Must specify a single prefix to watch", STR(""), "");
        }
        buf_lit(path, "/v1/kv/");
        put_escaped(path, name, true);
        buf_lit(path, "?recurse");
    } else if (str_eq_lit(p->type, "services")) {
        buf_lit(path, "/v1/catalog/services?");
    } else if (str_eq_lit(p->type, "nodes")) {
        buf_lit(path, "/v1/catalog/nodes?");
    } else if (str_eq_lit(p->type, "service")) {
        name = param_str(ps, STR("service"));
        if (name.n == 0) {
            param_fail(ps, "Must specify a single service to watch", STR(""), "");
        }
        buf_lit(path, "/v1/health/service/");
        put_escaped(path, name, false);
        buf_byte(path, '?');
        struct strlist tags = param_list(ps, STR("tag"));
        for (size_t i = 0; i < tags.n; i++) {
            put_param(path, "tag", tags.v[i]);
        }
        if (param_bool(ps, STR("passingonly"))) {
            buf_lit(path, "&passing=1");
        }
    } else if (str_eq_lit(p->type, "checks")) {
        name = param_str(ps, STR("service"));
        struct str state = param_str(ps, STR("state"));
        if (name.n > 0 && state.n > 0) {
            param_fail(ps, "Cannot specify service and state", STR(""), "");
        }
        buf_str(path, name.n > 0 ? STR("/v1/health/checks/") : STR("/v1/health/state/"));
        put_escaped(path, name.n > 0 ? name : state.n > 0 ? state : STR("any"), false);
        buf_byte(path, '?');
    } else if (str_eq_lit(p->type, "event")) {
        p->kind = PLAN_EVENT;
        buf_lit(path, "/v1/event/list?");
        name = param_str(ps, STR("name"));
        if (name.n > 0) {
            put_param(path, "name", name);
        }
    } else if (str_eq_lit(p->type, "agent_service")) {
        p->kind = PLAN_AGENT_SERVICE;
        buf_lit(path, "/v1/agent/service/");
        put_escaped(path, param_str(ps, STR("service_id")), true);
        buf_byte(path, '?');
    } else if (str_has_prefix(p->type, STR("connect_"))) {
        param_fail(ps, "Watch type ", p->type, " is not allowed in agent config");
    } else {
        param_fail(ps, "Unsupported watch type: ", p->type, "");
    }
}

struct handler_config {
    struct str path, method;
    int64_t timeout;
    struct strlistmap header;
    bool tls_skip_verify;
};
static const struct field handler_config_fields[] = {
    F_STR(struct handler_config, path, "Path", 0),
    F_STR(struct handler_config, method, "Method", 0),
    F_DURATION(struct handler_config, timeout, "Timeout", 0),
    F_STRLISTMAP(struct handler_config, header, "Header", 0),
    F_BOOL(struct handler_config, tls_skip_verify, "TLSSkipVerify", 0),
    FIELDS_END,
};
static const struct schema handler_config_schema =
    SCHEMA("HttpHandlerConfig", struct handler_config, handler_config_fields);

static int parse_http_handler(struct plan *p, struct params *ps)
{
    const struct value *given = param(ps, STR("http_handler_config"));
    if (given == NULL) {
        return err_set(ps->err, ERR_INVALID,
                       "Handler type 'http' requires 'http_handler_config' to be set");
    }
    if (given->kind == VALUE_LIST && given->list.n == 1) {
        given = &given->list.v[0]; /* HCL's block */
    }
    struct handler_config config = {0};
    if (schema_decode(&handler_config_schema, given, &config, ps->arena, DECODE_SNAKE | DECODE_WEAK,
                      ps->err) < 0) {
        return err_wrap(ps->err, "Failed to parse 'http_handler_config'");
    }
    if (config.path.n == 0) {
        return err_set(ps->err, ERR_INVALID,
                       "Failed to parse 'http_handler_config': Requires 'path' to be set");
    }
    p->url = arena_str(ps->arena, config.path);
    p->method = config.method.n > 0 ? arena_str(ps->arena, config.method) : STR("POST");
    p->timeout_ms =
        config.timeout > 0 ? (uint64_t)config.timeout / NS_PER_MS : HANDLER_TIMEOUT_MS_DEFAULT;
    p->tls_skip_verify = config.tls_skip_verify;
    const struct handler_config *copy = schema_copy(ps->arena, &handler_config_schema, &config);
    p->headers = copy->header;
    return 0;
}

static int parse_handler(struct plan *p, struct params *ps)
{
    struct str kind = param_str(ps, STR("handler_type"));
    const struct value *script = param(ps, STR("handler")), *args = value_get(ps->map, STR("args"));
    bool is_http = str_eq_lit(kind, "http");
    if (!is_http && kind.n > 0 && !str_eq_lit(kind, "script")) {
        return err_set(ps->err, ERR_INVALID, "Handler type '%.*s' not recognized", STRF(kind));
    }
    if ((script != NULL) + (args != NULL) + is_http > 1) {
        return err_set(ps->err, ERR_INVALID, "Only one watch handler allowed");
    }
    if (is_http) {
        return parse_http_handler(p, ps);
    }
    if (script != NULL) {
        if (script->kind != VALUE_STR) {
            return err_set(ps->err, ERR_INVALID, "Watch handler must be a string");
        }
        const char *shell = getenv("SHELL");
        struct str *v = ARENA_ARRAY(ps->arena, struct str, 3);
        v[0] = str_from_cstr(shell != NULL && shell[0] != '\0' ? shell : "/bin/sh");
        v[1] = STR("-c");
        v[2] = arena_str(ps->arena, script->s);
        p->args = (struct strlist){v, 3};
        return 0;
    }
    p->args = param_list(ps, STR("args"));
    if (p->args.n == 0 && !ps->failed) {
        return err_set(ps->err, ERR_INVALID, "Must define a watch handler");
    }
    return 0;
}

static int refuse_unknown(const struct params *ps)
{
    for (size_t i = 0; i < ps->map->map.n; i++) {
        struct str key = ps->map->map.v[i].key;
        bool is_known = false;
        for (size_t k = 0; k < ps->known.n; k++) {
            is_known |= str_eq(key, ps->known.v[k]);
        }
        if (!is_known) {
            return err_set(ps->err, ERR_INVALID, "Invalid parameters: [%.*s]", STRF(key));
        }
    }
    return 0;
}

static int plan_parse(struct plan *p, const struct value *map, struct err *err)
{
    struct params ps = {.map = map, .arena = &p->arena, .err = err};
    struct buf path = {0};
    struct str datacenter = param_str(&ps, STR("datacenter"));
    p->token = param_str(&ps, STR("token"));
    p->type = param_str(&ps, STR("type"));
    if (p->type.n == 0 && !ps.failed) {
        ps.failed = true;
        (void)err_set(err, ERR_INVALID, "Watch type must be specified");
    }
    p->kind = PLAN_OTHER;
    int rc = ps.failed ? -ERR_INVALID : parse_handler(p, &ps);
    if (rc >= 0) {
        parse_type(p, &ps, &path);
        if (datacenter.n > 0) {
            put_param(&path, "dc", datacenter);
        }
        if (p->kind != PLAN_EVENT && p->kind != PLAN_AGENT_SERVICE &&
            param_bool(&ps, STR("stale"))) {
            buf_lit(&path, "&stale");
        }
        p->path = arena_str(&p->arena, buf_view(&path));
        rc = ps.failed ? -ERR_INVALID : refuse_unknown(&ps);
    }
    buf_deinit(&path);
    return rc;
}

/* --- handlers -------------------------------------------------------------------------------- */

static void handler_exited(void *data, struct process *process)
{
    struct plan *p = data;
    struct process_status status = process_status(process);
    struct buf output = {0}, text = {0};
    uint64_t total = process_output(process, &output);
    check_put_captured(&text, buf_view(&output), total);
    if (status.signal != 0 || status.exit_code != 0) {
        log_write(LOG_ERROR, "agent", "Failed to run watch handler",
                  LOG_STR("watch_handler", p->args.v[0]), LOG_INT("exit_code", status.exit_code),
                  LOG_INT("signal", status.signal));
    }
    log_write(LOG_DEBUG, "agent", "watch handler output", LOG_STR("watch_handler", p->args.v[0]),
              LOG_STR("output", buf_view(&text)));
    buf_deinit(&text);
    buf_deinit(&output);
    process_free(TAKE(p->process));
    plan_query(p);
}

static int run_program(struct plan *p, struct str index, struct str json, struct err *err)
{
    struct arena a = {0};
    const char **args = ARENA_ARRAY(&a, const char *, p->args.n + 1);
    for (size_t i = 0; i < p->args.n; i++) {
        args[i] = arena_str(&a, p->args.v[i]).p;
    }
    size_t count = 0, kept = 0;
    while (environ[count] != NULL) {
        count++;
    }
    const char **env = ARENA_ARRAY(&a, const char *, count + 2);
    for (size_t i = 0; i < count; i++) {
        if (!str_has_prefix(str_from_cstr(environ[i]), STR("CONSUL_INDEX="))) {
            env[kept++] = environ[i];
        }
    }
    env[kept] = arena_printf(&a, "CONSUL_INDEX=%.*s", STRF(index)).p;
    const struct process_options options = {.args = args,
                                            .env = env,
                                            .input = arena_concat(&a, json, STR("\n")),
                                            .output_size_max = HANDLER_OUTPUT_SIZE_MAX,
                                            .exited = handler_exited,
                                            .data = p};
    int rc = process_start(p->plans->agent->loop, &options, &p->process, err);
    arena_deinit(&a);
    return rc;
}

static void handler_answered(void *data, struct http_transfer *t)
{
    struct plan *p = data;
    const struct http_client_result *r = http_client_result(t);
    if (r->error != HTTP_CLIENT_OK) {
        log_write(LOG_ERROR, "agent", "Failed to invoke http watch handler",
                  LOG_STR("watch", p->url), LOG_STR("error", r->error_text));
    } else if (r->status < 200 || r->status > 299) {
        log_write(LOG_ERROR, "agent", "http watch handler failed with output",
                  LOG_STR("watch", p->url), LOG_STR("status", r->status_text),
                  LOG_STR("output", r->body));
    }
    http_client_end(TAKE(p->request));
    plan_query(p);
}

static int run_request(struct plan *p, struct str index, struct str json, struct err *err)
{
    static const struct str json_type = STR_INIT("application/json");
    struct arena a = {0};
    struct strlist_pair *headers = ARENA_ARRAY(&a, struct strlist_pair, p->headers.n + 2);
    headers[0] = (struct strlist_pair){STR("Content-Type"), {&json_type, 1}};
    headers[1] = (struct strlist_pair){STR("X-Consul-Index"), {&index, 1}};
    for (size_t i = 0; i < p->headers.n; i++) {
        headers[i + 2] = p->headers.v[i];
    }
    const struct http_client_options options = {
        .method = p->method,
        .url = p->url,
        .headers = {headers, p->headers.n + 2},
        .body = arena_concat(&a, json, STR("\n")),
        .timeout_ms = p->timeout_ms,
        .body_size_max = HANDLER_OUTPUT_SIZE_MAX,
        .tls.skip_verify = p->tls_skip_verify,
        .done = handler_answered,
        .data = p,
    };
    int rc = http_client_start(checks_http(&p->plans->agent->checks), &options, &p->request, err);
    arena_deinit(&a);
    return rc;
}

/* --- queries --------------------------------------------------------------------------------- */

static void retry_due(struct loop_timer *t)
{
    plan_query(container_of(t, struct plan, retry));
}

static void plan_failed(struct plan *p, const char *error)
{
    p->failures++;
    buf_clear(&p->index);
    uint64_t wait_ms = MIN(p->failures * p->failures * RETRY_MS, (uint64_t)RETRY_MS_MAX);
    log_write(LOG_ERROR, "agent.watch", "Watch errored", LOG_STR("type", p->type),
              LOG_CSTR("error", error), LOG_UINT("retry_ms", wait_ms));
    loop_timer_start(p->plans->agent->loop, &p->retry, wait_ms, retry_due);
}

/* The client library's KVPair, which is what handlers get. */
struct kv_pair {
    struct str key;
    uint64_t create_index, modify_index, lock_index, flags;
    struct str value, session;
};
static const struct field kv_pair_fields[] = {
    F_STR(struct kv_pair, key, "Key", 0),
    F_UINT(struct kv_pair, create_index, "CreateIndex", 0),
    F_UINT(struct kv_pair, modify_index, "ModifyIndex", 0),
    F_UINT(struct kv_pair, lock_index, "LockIndex", 0),
    F_UINT(struct kv_pair, flags, "Flags", 0),
    F_BYTES(struct kv_pair, value, "Value", 0),
    F_STR(struct kv_pair, session, "Session", 0),
    FIELDS_END,
};
static const struct schema kv_pair_schema = SCHEMA("KVPair", struct kv_pair, kv_pair_fields);

static int shape_pairs(const struct plan *p, const struct value *list, struct arena *a,
                       struct json_writer *w, struct err *err)
{
    if (p->kind == PLAN_KEYPREFIX) {
        json_array_begin(w);
    }
    for (size_t i = 0; list->kind == VALUE_LIST && i < list->list.n; i++) {
        struct kv_pair pair = {0};
        int rc = schema_decode(&kv_pair_schema, &list->list.v[i], &pair, a, 0, err);
        if (rc < 0) {
            return rc;
        }
        json_object(w, &kv_pair_schema, &pair);
    }
    if (p->kind == PLAN_KEYPREFIX) {
        json_array_end(w);
    }
    return 0;
}

/* Of events only those after the one that the plan has seen. */
static int shape_events(const struct plan *p, const struct value *list, struct arena *a,
                        struct json_writer *w, struct err *err)
{
    size_t count = list->kind == VALUE_LIST ? list->list.n : 0, first = 0;
    struct user_event *events = ARENA_ARRAY(a, struct user_event, count + 1);
    uint64_t seen = 0;
    bool has_seen = str_parse_u64(buf_view(&p->index), &seen) == 0;
    for (size_t i = 0; i < count; i++) {
        int rc = schema_decode(&user_event_schema, &list->list.v[i], &events[i], a, 0, err);
        if (rc < 0) {
            return rc;
        }
        if (has_seen && user_events_index((struct objlist){&events[i], 1}) == seen) {
            first = i + 1;
        }
    }
    json_array_begin(w);
    for (size_t i = first; i < count; i++) {
        json_object(w, &user_event_schema, &events[i]);
    }
    json_array_end(w);
    return 0;
}

/* What the handler gets: compact, and in the shape that Consul's client library gives it. */
static int shape(const struct plan *p, const struct http_client_result *r, struct buf *to,
                 struct err *err)
{
    if (r->status == 404) {
        buf_lit(to, "null");
        return 0;
    }
    struct arena a = {0};
    struct value *value;
    struct json_writer w = json_writer_make(to, false);
    int rc = json_parse(&a, r->body, &value, err);
    if (rc >= 0 && (p->kind == PLAN_KEY || p->kind == PLAN_KEYPREFIX)) {
        rc = shape_pairs(p, value, &a, &w, err);
    } else if (rc >= 0 && p->kind == PLAN_EVENT) {
        rc = shape_events(p, value, &a, &w, err);
    } else if (rc >= 0) {
        json_value(&w, value);
    }
    arena_deinit(&a);
    return rc;
}

static void query_answered(void *data, struct http_transfer *t)
{
    struct plan *p = data;
    const struct http_client_result *r = http_client_result(t);
    struct buf json = {0};
    struct arena a = {0};
    struct err err = {0};
    struct str index = arena_str(&a, r->wanted_header);
    bool is_kv = p->kind == PLAN_KEY || p->kind == PLAN_KEYPREFIX;
    int rc = 0;
    if (r->error != HTTP_CLIENT_OK) {
        rc = err_set(&err, ERR_FAILED, "%.*s", STRF(r->error_text));
    } else if (r->status != 200 && !(r->status == 404 && is_kv)) {
        rc = err_set(&err, ERR_FAILED, "Unexpected response code: %d (%.*s)", r->status,
                     STRF(str_first(r->body, 512)));
    } else if (r->body_total > r->body.n) {
        rc = err_set(&err, ERR_TOO_LARGE, "the answer is too large");
    } else {
        rc = shape(p, r, &json, &err);
    }
    http_client_end(TAKE(p->query));
    bool same_index = p->has_result && str_eq(index, buf_view(&p->index));
    bool is_news =
        rc >= 0 && !same_index && !(p->has_result && str_eq(buf_view(&p->result), buf_view(&json)));
    if (rc >= 0) {
        p->failures = 0;
        buf_clear(&p->index);
        buf_str(&p->index, index);
    }
    if (is_news) {
        buf_clear(&p->result);
        buf_str(&p->result, buf_view(&json));
        p->has_result = true;
        rc = p->args.n > 0 ? run_program(p, index, buf_view(&json), &err)
                           : run_request(p, index, buf_view(&json), &err);
    }
    if (rc < 0) {
        plan_failed(p, err_text(&err));
    } else if (!is_news) {
        /* Through the timer, and not at once: an agent that does not block is not to be overrun. */
        loop_timer_start(p->plans->agent->loop, &p->retry, 10, retry_due);
    }
    arena_deinit(&a);
    buf_deinit(&json);
}

static void plan_query(struct plan *p)
{
    struct agent *a = p->plans->agent;
    struct arena arena = {0};
    struct err err = {0};
    struct str url = config_api_url(&arena, conf(a));
    struct strlist_pair header = {STR("X-Consul-Token"), {&p->token, 1}};
    struct http_client_options options = {
        .timeout_ms = QUERY_TIMEOUT_MS,
        .body_size_max = ANSWER_SIZE_MAX,
        .headers = {&header, p->token.n > 0 ? 1 : 0},
        .wanted_header = p->kind == PLAN_AGENT_SERVICE ? "X-Consul-ContentHash" : "X-Consul-Index",
        .tls = {.agent = a->options.tls, .skip_verify = !conf(a)->tls.verify_outgoing},
        .done = query_answered,
        .data = p,
    };
    struct str scheme = STR("unix://");
    if (str_has_prefix(url, scheme)) {
        options.unix_socket = str_from(url, scheme.n);
        url = STR("http://localhost");
    }
    options.url = arena_printf(&arena, "%.*s%.*s%s%.*s", STRF(url), STRF(p->path),
                               p->index.n == 0                 ? ""
                               : p->kind == PLAN_AGENT_SERVICE ? "&hash="
                                                               : "&index=",
                               STRF(buf_view(&p->index)));
    if (http_client_start(checks_http(&a->checks), &options, &p->query, &err) < 0) {
        plan_failed(p, err_text(&err));
    }
    arena_deinit(&arena);
}

/* --- all of them ----------------------------------------------------------------------------- */

static void plan_free(struct plan *p)
{
    loop_timer_stop(p->plans->agent->loop, &p->retry);
    http_client_end(TAKE(p->query));
    http_client_end(TAKE(p->request));
    process_free(TAKE(p->process));
    list_remove(&p->node);
    buf_deinit(&p->index);
    buf_deinit(&p->result);
    arena_deinit(&p->arena);
    mem_free(p);
}

void watch_plans_init(struct watch_plans *plans, struct agent *a)
{
    plans->agent = a;
    list_init(&plans->all);
}

void watch_plans_stop(struct watch_plans *plans)
{
    list_for_each (node, &plans->all) {
        plan_free(list_entry(node, struct plan, node));
    }
}

int watch_plans_load(struct watch_plans *plans, const struct agent_config *config, struct err *err)
{
    const struct value *maps = config->watches.v;
    watch_plans_stop(plans);
    if (config->watches.n == 0) {
        return 0;
    }
    struct arena a = {0};
    bool has_http = config_api_url(&a, config).n > 0;
    arena_deinit(&a);
    if (!has_http) {
        return err_set(err, ERR_INVALID, "watch plans require an HTTP or HTTPS endpoint");
    }
    if (config->watches.n > WATCH_PLANS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %u watches", WATCH_PLANS_MAX);
    }
    for (size_t i = 0; i < config->watches.n; i++) {
        struct plan *p = xcalloc(1, sizeof(*p));
        p->plans = plans;
        list_push_back(&plans->all, &p->node);
        int rc = plan_parse(p, &maps[i], err);
        if (rc < 0) {
            watch_plans_stop(plans);
            return rc;
        }
    }
    list_for_each (node, &plans->all) {
        struct plan *p = list_entry(node, struct plan, node);
        loop_timer_start(plans->agent->loop, &p->retry, 0, retry_due);
    }
    return 0;
}
