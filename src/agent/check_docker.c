/* A docker check runs a command inside a container through the Docker engine's API: create an
 * exec, start it (the answer is the output), ask for its exit code. 0 passes, 1 warns, the rest is
 * critical. */
#include <stdlib.h>

#include "agent/check.h"
#include "agent/state.h"
#include "base/buf.h"
#include "loop/http_client.h"
#include "schema/json.h"

#define DOCKER_HOST_DEFAULT "unix:///var/run/docker.sock"
#define DOCKER_ANSWER_SIZE_MAX (256u * 1024u)

enum docker_step { STEP_CREATE, STEP_START, STEP_INSPECT };

struct check_docker {
    struct check check;
    struct http_transfer *transfer;
    enum docker_step step;
    struct buf exec_id;
    struct buf output;
    uint64_t output_total;
};

static void docker_ask(struct check_docker *d, enum docker_step step);

static void docker_end(struct check_docker *d, struct str status, struct str output)
{
    check_report(&d->check, status, output);
    buf_clear(&d->output);
}

static void docker_fail(struct check_docker *d, const char *format, ...) PRINTF(2, 3);
static void docker_fail(struct check_docker *d, const char *format, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    docker_end(d, HEALTH_CRITICAL, buf_view(&text));
    buf_deinit(&text);
}

static const struct value *parse_member(struct arena *arena, struct str body, struct str name)
{
    struct value *v;
    struct err err = {0};
    return json_parse(arena, body, &v, &err) < 0 ? NULL : value_get(v, name);
}

static void created(struct check_docker *d, const struct http_client_result *r)
{
    struct str id = d->check.def->docker_container_id;
    struct arena arena = {0};
    const struct value *v = parse_member(&arena, r->body, STR("Id"));
    if (r->status == 201 && v != NULL && v->kind == VALUE_STR) {
        buf_clear(&d->exec_id);
        buf_str(&d->exec_id, v->s);
        docker_ask(d, STEP_START);
    } else if (r->status == 201) {
        docker_fail(d, "create exec response for container %.*s cannot be parsed", STRF(id));
    } else if (r->status == 404) {
        docker_fail(d, "create exec failed for unknown container %.*s", STRF(id));
    } else if (r->status == 409) {
        docker_fail(d, "create exec failed since container %.*s is paused or stopped", STRF(id));
    } else {
        docker_fail(d, "create exec failed for container %.*s with status %d: %.*s", STRF(id),
                    r->status, STRF(r->body));
    }
    arena_deinit(&arena);
}

static void started(struct check_docker *d, const struct http_client_result *r)
{
    struct str id = d->check.def->docker_container_id;
    if (r->status == 200) {
        size_t max = d->check.output_size_max;
        struct str body = r->body.n > max ? str_from(r->body, r->body.n - max) : r->body;
        buf_clear(&d->output);
        buf_str(&d->output, body);
        d->output_total = r->body_total;
        docker_ask(d, STEP_INSPECT);
    } else if (r->status == 404) {
        docker_fail(d, "start exec failed for container %.*s: invalid exec id %.*s", STRF(id),
                    STRF(buf_view(&d->exec_id)));
    } else if (r->status == 409) {
        docker_fail(d, "start exec failed since container %.*s is paused or stopped", STRF(id));
    } else {
        docker_fail(d, "start exec failed for container %.*s with status %d: body: %.*s err: <nil>",
                    STRF(id), r->status, STRF(r->body));
    }
}

static void inspected(struct check_docker *d, const struct http_client_result *r)
{
    struct str id = d->check.def->docker_container_id;
    struct arena arena = {0};
    const struct value *v = parse_member(&arena, r->body, STR("ExitCode"));
    if (r->status == 200 && v != NULL && v->kind == VALUE_INT) {
        struct buf text = {0};
        check_put_captured(&text, buf_view(&d->output), d->output_total);
        docker_end(d,
                   v->i == 0   ? HEALTH_PASSING
                   : v->i == 1 ? HEALTH_WARNING
                               : HEALTH_CRITICAL,
                   buf_view(&text));
        buf_deinit(&text);
    } else if (r->status == 200) {
        docker_fail(d, "inspect exec response for container %.*s cannot be parsed", STRF(id));
    } else if (r->status == 404) {
        docker_fail(d, "inspect exec failed for container %.*s: invalid exec id %.*s", STRF(id),
                    STRF(buf_view(&d->exec_id)));
    } else {
        docker_fail(d, "inspect exec failed for container %.*s with status %d: %.*s", STRF(id),
                    r->status, STRF(r->body));
    }
    arena_deinit(&arena);
}

static void docker_answered(void *data, struct http_transfer *t)
{
    static const char *const what[] = {"create", "start", "inspect"};
    struct check_docker *d = data;
    const struct http_client_result *r = http_client_result(t);
    d->transfer = NULL;
    /* The engine may reset the connection behind a whole answer; that is fine. */
    if (r->error != HTTP_CLIENT_OK && r->status == 0) {
        docker_fail(d, "%s exec failed for container %.*s: %.*s", what[d->step],
                    STRF(d->check.def->docker_container_id), STRF(r->error_text));
    } else if (d->step == STEP_CREATE) {
        created(d, r);
    } else if (d->step == STEP_START) {
        started(d, r);
    } else {
        inspected(d, r);
    }
    http_client_end(t);
}

static void put_create_body(struct buf *body, const struct check_def *def)
{
    struct json_writer w = json_writer_make(body, false);
    json_object_begin(&w);
    json_key(&w, STR("AttachStdin"));
    json_bool(&w, false);
    json_key(&w, STR("AttachStdout"));
    json_bool(&w, true);
    json_key(&w, STR("AttachStderr"));
    json_bool(&w, true);
    json_key(&w, STR("Tty"));
    json_bool(&w, false);
    json_key(&w, STR("Cmd"));
    json_strlist(&w, def->script_args);
    json_object_end(&w);
}

/* Ids come from definitions: what is not plain is escaped, lest one names another part of the API.
 */
static struct str escaped(struct arena *arena, struct str s)
{
    char *to = arena_alloc(arena, 3 * s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '~';
        if (is_plain) {
            to[n++] = (char)c;
        } else {
            to[n++] = '%';
            to[n++] = "0123456789ABCDEF"[c >> 4];
            to[n++] = "0123456789ABCDEF"[c & 15];
        }
    }
    return str_make(to, n);
}

/* unix:///path, or tcp://host:port/base. */
static int docker_target(struct arena *arena, struct http_client_options *o, struct str path,
                         struct err *err)
{
    const char *env = getenv("DOCKER_HOST");
    struct str host = env != NULL && env[0] != '\0' ? str_from_cstr(env) : STR(DOCKER_HOST_DEFAULT);
    ptrdiff_t at = str_find(host, STR("://"));
    if (at < 0) {
        return err_set(err, ERR_INVALID, "unable to parse docker host `%.*s`", STRF(host));
    }
    struct str rest = str_from(host, (size_t)at + 3);
    if (str_has_prefix(host, STR("unix:"))) {
        o->unix_socket = rest;
        o->url = arena_printf(arena, "http://docker%.*s", STRF(path));
    } else {
        o->url = arena_printf(arena, "http://%.*s%.*s", STRF(rest), STRF(path));
    }
    return 0;
}

static void docker_ask(struct check_docker *d, enum docker_step step)
{
    static const struct str json_type = STR_INIT("application/json");
    const struct strlist_pair header = {STR_INIT("Content-Type"), {&json_type, 1}};
    struct check *c = &d->check;
    struct arena arena = {0};
    struct buf body = {0};
    struct str path, exec_id = escaped(&arena, buf_view(&d->exec_id));
    struct http_client_options o = {
        .method = step == STEP_INSPECT ? STR("GET") : STR("POST"),
        .timeout_ms = check_timeout_ms(c, CHECK_SCRIPT_TIMEOUT_MS_DEFAULT),
        .body_size_max = step == STEP_START ? c->output_size_max : DOCKER_ANSWER_SIZE_MAX,
        .done = docker_answered,
        .data = d,
    };
    if (step == STEP_CREATE) {
        put_create_body(&body, c->def);
        path = arena_printf(&arena, "/containers/%.*s/exec",
                            STRF(escaped(&arena, c->def->docker_container_id)));
    } else if (step == STEP_START) {
        buf_lit(&body, "{\"Detach\":false,\"Tty\":true}");
        path = arena_printf(&arena, "/exec/%.*s/start", STRF(exec_id));
    } else {
        path = arena_printf(&arena, "/exec/%.*s/json", STRF(exec_id));
    }
    if (body.n > 0) {
        o.body = buf_view(&body);
        o.headers = (struct strlistmap){&header, 1};
    }
    d->step = step;
    struct err err = {0};
    int rc = docker_target(&arena, &o, path, &err);
    if (rc >= 0) {
        rc = http_client_start(checks_http(c->checks), &o, &d->transfer, &err);
    }
    if (rc < 0) {
        docker_fail(d, "%s", err.text);
    }
    buf_deinit(&body);
    arena_deinit(&arena);
}

static void docker_probe(struct check *c)
{
    docker_ask(container_of(c, struct check_docker, check), STEP_CREATE);
}

static void docker_stop(struct check *c)
{
    struct check_docker *d = container_of(c, struct check_docker, check);
    http_client_end(TAKE(d->transfer));
    buf_deinit(&d->exec_id);
    buf_deinit(&d->output);
}

const struct check_ops check_docker_ops = {.type = "docker",
                                           .size = sizeof(struct check_docker),
                                           .is_periodic = true,
                                           .probe = docker_probe,
                                           .stop = docker_stop};
