/* A TCP check passes when a connection is accepted; it is closed at once. */
#include "agent/check.h"
#include "agent/state.h"
#include "base/buf.h"
#include "base/log.h"
#include "loop/http_client.h"

struct check_tcp {
    struct check check;
    struct http_transfer *transfer;
};

static void tcp_done(void *data, struct http_transfer *t)
{
    struct check_tcp *tcp = data;
    struct check *c = &tcp->check;
    const struct http_client_result *r = http_client_result(t);
    struct buf output = {0};
    bool is_ok = r->error == HTTP_CLIENT_OK;
    if (is_ok) {
        buf_printf(&output, "TCP connect %.*s: Success", STRF(c->def->tcp));
    } else {
        buf_str(&output, r->error_text);
        log_write(LOG_WARN, "agent", "Check socket connection failed",
                  LOG_STR("check", c->entry->id), LOG_STR("error", r->error_text));
    }
    http_client_end(TAKE(tcp->transfer));
    check_report(c, is_ok ? HEALTH_PASSING : HEALTH_CRITICAL, buf_view(&output));
    buf_deinit(&output);
}

static void tcp_probe(struct check *c)
{
    struct check_tcp *tcp = container_of(c, struct check_tcp, check);
    struct arena arena = {0};
    struct str address = c->def->tcp;
    struct err err = {0};
    int rc = 0;
    if (str_find_byte(address, ':') < 0) {
        rc = err_set(&err, ERR_INVALID, "dial tcp: address %.*s: missing port in address",
                     STRF(address));
    } else {
        struct http_client_options options = {
            .kind = HTTP_CLIENT_CONNECT,
            .url = arena_printf(&arena, "http://%.*s", STRF(address)),
            .timeout_ms = check_timeout_ms(c, CHECK_TIMEOUT_MS_DEFAULT),
            .done = tcp_done,
            .data = tcp,
        };
        rc = http_client_start(checks_http(c->checks), &options, &tcp->transfer, &err);
    }
    if (rc < 0) {
        check_report(c, HEALTH_CRITICAL, str_from_cstr(err.text));
    }
    arena_deinit(&arena);
}

static void tcp_stop(struct check *c)
{
    http_client_end(TAKE(container_of(c, struct check_tcp, check)->transfer));
}

const struct check_ops check_tcp_ops = {.type = "tcp",
                                        .size = sizeof(struct check_tcp),
                                        .is_periodic = true,
                                        .probe = tcp_probe,
                                        .stop = tcp_stop};
