/* An h2ping check shakes hands over TLS, opens HTTP/2 and passes when a PING is answered. */
#include "agent/check.h"
#include "agent/state.h"
#include "base/buf.h"
#include "loop/http_client.h"
#include "proto/h2_ping.h"

struct check_h2ping {
    struct check check;
    struct http_transfer *transfer;
    struct loop_timer timeout; /* of the ping; the handshake has its own */
    struct h2_ping ping;
};

static void h2ping_end(struct check_h2ping *h, bool is_ok, const char *before, const char *what)
{
    struct buf output = {0};
    if (is_ok) {
        buf_lit(&output, "HTTP2 ping was successful");
    } else {
        buf_str(&output, str_from_cstr(before));
        buf_str(&output, str_from_cstr(what));
    }
    loop_timer_stop(check_loop(&h->check), &h->timeout);
    http_client_end(TAKE(h->transfer));
    h2_ping_deinit(&h->ping);
    check_report(&h->check, is_ok ? HEALTH_PASSING : HEALTH_CRITICAL, buf_view(&output));
    buf_deinit(&output);
}

static void h2ping_timed_out(struct loop_timer *t)
{
    struct check_h2ping *h = container_of(t, struct check_h2ping, timeout);
    h2ping_end(h, false, "HTTP2 ping failed: ", "context deadline exceeded");
}

static void h2ping_read(void *data, struct http_transfer *t, struct str bytes)
{
    struct check_h2ping *h = data;
    struct buf out = {0};
    h2_ping_feed(&h->ping, bytes, &out);
    if (h->ping.state == H2_PING_WAITING && out.n > 0 && http_client_write(t, buf_view(&out)) < 0) {
        h2_ping_feed(&h->ping, STR_NULL, &out); /* as if it had ended */
    }
    buf_deinit(&out);
    if (h->ping.state == H2_PING_ANSWERED) {
        h2ping_end(h, true, "", "");
    } else if (h->ping.state == H2_PING_FAILED) {
        h2ping_end(h, false, "HTTP2 ping failed: ", h->ping.error);
    }
}

static void h2ping_connected(void *data, struct http_transfer *t)
{
    struct check_h2ping *h = data;
    struct check *c = &h->check;
    const struct http_client_result *r = http_client_result(t);
    if (r->error != HTTP_CLIENT_OK) {
        struct buf output = {0};
        buf_printf(&output, "Failed to dial to %.*s: %.*s", STRF(c->def->h2ping),
                   STRF(r->error_text));
        http_client_end(TAKE(h->transfer));
        check_report(c, HEALTH_CRITICAL, buf_view(&output));
        buf_deinit(&output);
        return;
    }
    char opaque[H2_PING_OPAQUE_SIZE];
    struct buf out = {0};
    rng_bytes(&c->checks->agent->worker->rng, opaque, sizeof(opaque));
    h2_ping_begin(&h->ping, opaque, &out);
    int rc = http_client_read_start(t);
    if (rc >= 0) {
        rc = http_client_write(t, buf_view(&out));
    }
    buf_deinit(&out);
    if (rc < 0) {
        h2ping_end(h, false, "Failed to create client connection ", err_code_text(-rc));
        return;
    }
    loop_timer_start(check_loop(c), &h->timeout, check_timeout_ms(c, CHECK_TIMEOUT_MS_DEFAULT),
                     h2ping_timed_out);
}

static void h2ping_probe(struct check *c)
{
    struct check_h2ping *h = container_of(c, struct check_h2ping, check);
    struct arena arena = {0};
    struct http_client_options options = {
        .kind = HTTP_CLIENT_CONNECT,
        .url = arena_printf(&arena, "https://%.*s", STRF(c->def->h2ping)),
        .timeout_ms = check_timeout_ms(c, CHECK_TIMEOUT_MS_DEFAULT),
        .tls = check_tls(c),
        .done = h2ping_connected,
        .read = h2ping_read,
        .data = h,
    };
    struct err err = {0};
    if (http_client_start(checks_http(c->checks), &options, &h->transfer, &err) < 0) {
        check_report(c, HEALTH_CRITICAL, str_from_cstr(err.text));
    }
    arena_deinit(&arena);
}

static void h2ping_stop(struct check *c)
{
    struct check_h2ping *h = container_of(c, struct check_h2ping, check);
    loop_timer_stop(check_loop(c), &h->timeout);
    http_client_end(TAKE(h->transfer));
    h2_ping_deinit(&h->ping);
}

const struct check_ops check_h2ping_ops = {.type = "h2ping",
                                           .size = sizeof(struct check_h2ping),
                                           .is_periodic = true,
                                           .probe = h2ping_probe,
                                           .stop = h2ping_stop};
