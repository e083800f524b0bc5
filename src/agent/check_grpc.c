/* A gRPC check calls grpc.health.v1.Health/Check and passes when the answer is SERVING. The target
 * is "host:port" or "host:port/service name".
 *
 * Request and answer are one length-prefixed message each (a zero byte, four bytes of length); the
 * request has the service's name as field 1, the answer an enum as field 1. */
#include "agent/check.h"
#include "agent/state.h"
#include "base/buf.h"
#include "loop/http_client.h"
#include "proto/grpc_health.h"

#define ANSWER_SIZE_MAX 4096u

struct check_grpc {
    struct check check;
    struct http_transfer *transfer;
};

static struct str target_of(const struct check_def *def)
{
    return def->proxy_grpc.n > 0 ? def->proxy_grpc : def->grpc;
}

static bool answer_passes(const struct check_def *def, const struct http_client_result *r,
                          struct buf *output)
{
    struct str target = target_of(def);
    if (r->error == HTTP_CLIENT_CONNECT_FAILED) {
        buf_printf(output,
                   "rpc error: code = Unavailable desc = connection error: desc = \"transport: "
                   "Error while dialing %.*s\"",
                   STRF(r->error_text));
        return false;
    }
    if (r->error == HTTP_CLIENT_TIMEOUT) {
        buf_lit(output, "rpc error: code = DeadlineExceeded desc = context deadline exceeded");
        return false;
    }
    if (r->error == HTTP_CLIENT_TLS_FAILED) {
        buf_printf(output,
                   "rpc error: code = Unavailable desc = all SubConns are in TransientFailure, "
                   "latest connection error: connection error: desc = \"transport: authentication "
                   "handshake failed: %.*s\"",
                   STRF(r->error_text));
        return false;
    }
    if (r->error != HTTP_CLIENT_OK && def->grpc_use_tls) {
        buf_printf(output,
                   "rpc error: code = Unavailable desc = all SubConns are in TransientFailure, "
                   "latest connection error: %.*s",
                   STRF(r->error_text));
        return false;
    }
    if (r->error != HTTP_CLIENT_OK) {
        buf_printf(output, "rpc error: code = Unavailable desc = %.*s", STRF(r->error_text));
        return false;
    }
    uint64_t code = 2; /* Unknown */
    if (r->grpc_status.n == 0) {
        buf_printf(output,
                   "rpc error: code = Unknown desc = unexpected HTTP status code received "
                   "from server: %d",
                   r->status);
        return false;
    }
    if (str_parse_u64(r->grpc_status, &code) < 0 || code != 0) {
        buf_printf(output, "rpc error: code = %s desc = %.*s",
                   grpc_code_text(code) != NULL ? grpc_code_text(code) : "Unknown",
                   STRF(r->grpc_message));
        return false;
    }
    int64_t status = grpc_health_parse(r->body);
    if (status < 0) {
        buf_lit(output, "rpc error: code = Internal desc = malformed health check response");
        return false;
    }
    if (status != GRPC_SERVING) {
        buf_printf(output, "gRPC %.*s serving status: ", STRF(target));
        if (grpc_serving_text(status) != NULL) {
            buf_str(output, str_from_cstr(grpc_serving_text(status)));
        } else {
            buf_i64(output, status);
        }
        return false;
    }
    buf_printf(output, "gRPC check %.*s: success", STRF(target));
    return true;
}

static void grpc_done(void *data, struct http_transfer *t)
{
    struct check_grpc *g = data;
    struct buf output = {0};
    bool is_ok = answer_passes(g->check.def, http_client_result(t), &output);
    http_client_end(TAKE(g->transfer));
    check_report(&g->check, is_ok ? HEALTH_PASSING : HEALTH_CRITICAL, buf_view(&output));
    buf_deinit(&output);
}

static void grpc_probe(struct check *c)
{
    static const struct str content_type = STR_INIT("application/grpc");
    static const struct str trailers = STR_INIT("trailers");
    const struct strlist_pair headers[] = {{STR_INIT("Content-Type"), {&content_type, 1}},
                                           {STR_INIT("TE"), {&trailers, 1}}};
    struct check_grpc *g = container_of(c, struct check_grpc, check);
    struct arena arena = {0};
    struct buf body = {0};
    struct str address, unused, service;
    (void)str_cut(target_of(c->def), '/', &address, &unused);
    (void)str_cut(c->def->grpc, '/', &unused, &service);
    grpc_health_put_request(&body, service);

    bool is_tls = c->def->grpc_use_tls;
    struct http_client_options options = {
        .kind = is_tls ? HTTP_CLIENT_REQUEST_H2 : HTTP_CLIENT_REQUEST_H2C,
        .method = STR("POST"),
        .url = arena_printf(&arena, "%s://%.*s" GRPC_HEALTH_PATH, is_tls ? "https" : "http",
                            STRF(address)),
        .headers = {headers, ARRAY_SIZE(headers)},
        .body = buf_view(&body),
        .timeout_ms = check_timeout_ms(c, CHECK_TIMEOUT_MS_DEFAULT),
        .body_size_max = ANSWER_SIZE_MAX,
        .done = grpc_done,
        .data = g,
    };
    if (is_tls) {
        options.tls = check_tls(c);
    }
    struct err err = {0};
    if (http_client_start(checks_http(c->checks), &options, &g->transfer, &err) < 0) {
        check_report(c, HEALTH_CRITICAL, str_from_cstr(err.text));
    }
    buf_deinit(&body);
    arena_deinit(&arena);
}

static void grpc_stop(struct check *c)
{
    http_client_end(TAKE(container_of(c, struct check_grpc, check)->transfer));
}

const struct check_ops check_grpc_ops = {.type = "grpc",
                                         .size = sizeof(struct check_grpc),
                                         .is_periodic = true,
                                         .probe = grpc_probe,
                                         .stop = grpc_stop};
