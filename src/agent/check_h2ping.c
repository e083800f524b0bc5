/* An h2ping check shakes hands over TLS, opens HTTP/2 and passes when a PING is answered.
 *
 * Of HTTP/2 (RFC 9113) that takes the connection preface, an empty SETTINGS and one PING out;
 * coming in, frames are skipped by their length but for SETTINGS (to be acknowledged), GOAWAY and
 * the PING's answer. */
#include "agent/check.h"
#include "agent/state.h"
#include "base/buf.h"
#include "base/mem.h"
#include "loop/http_client.h"

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define H2_FRAME_HEAD_SIZE 9u
#define H2_FRAME_SIZE_MAX 16384u
#define H2_SETTINGS 4u
#define H2_PING 6u
#define H2_GOAWAY 7u
#define H2_FLAG_ACK 1u
#define PING_SIZE 8u

struct check_h2ping {
    struct check check;
    struct http_transfer *transfer;
    struct loop_timer timeout; /* of the ping; the handshake has its own */
    struct buf in;
    char opaque[PING_SIZE];
};

static void put_frame(struct buf *to, uint8_t type, uint8_t flags, struct str payload)
{
    buf_byte(to, (uint8_t)(payload.n >> 16));
    buf_be16(to, (uint16_t)payload.n);
    buf_byte(to, type);
    buf_byte(to, flags);
    buf_be32(to, 0); /* stream 0: the connection */
    buf_str(to, payload);
}

static void h2ping_end(struct check_h2ping *h, bool is_ok, const char *format, const char *what)
{
    struct buf output = {0};
    if (is_ok) {
        buf_lit(&output, "HTTP2 ping was successful");
    } else {
        buf_str(&output, str_from_cstr(format));
        buf_str(&output, str_from_cstr(what));
    }
    loop_timer_stop(check_loop(&h->check), &h->timeout);
    http_client_end(TAKE(h->transfer));
    buf_deinit(&h->in);
    check_report(&h->check, is_ok ? HEALTH_PASSING : HEALTH_CRITICAL, buf_view(&output));
    buf_deinit(&output);
}

static void h2ping_timed_out(struct loop_timer *t)
{
    struct check_h2ping *h = container_of(t, struct check_h2ping, timeout);
    h2ping_end(h, false, "HTTP2 ping failed: ", "context deadline exceeded");
}

/* One whole frame; true when the check has ended. */
static bool h2ping_frame(struct check_h2ping *h, uint8_t type, uint8_t flags, struct str payload)
{
    if (type == H2_PING && (flags & H2_FLAG_ACK) != 0 &&
        str_eq(payload, str_make(h->opaque, PING_SIZE))) {
        h2ping_end(h, true, "", "");
        return true;
    }
    if (type == H2_GOAWAY) {
        h2ping_end(h, false,
                   "HTTP2 ping failed: ", "http2: server sent GOAWAY and closed the connection");
        return true;
    }
    if (type == H2_SETTINGS && (flags & H2_FLAG_ACK) == 0) {
        struct buf out = {0};
        put_frame(&out, H2_SETTINGS, H2_FLAG_ACK, STR_NULL);
        int rc = http_client_write(h->transfer, buf_view(&out));
        buf_deinit(&out);
        if (rc < 0) {
            h2ping_end(h, false, "HTTP2 ping failed: ", "http2: client connection lost");
            return true;
        }
    }
    return false;
}

static void h2ping_read(void *data, struct http_transfer *t, struct str bytes)
{
    struct check_h2ping *h = data;
    (void)t;
    if (bytes.n == 0) {
        h2ping_end(h, false, "HTTP2 ping failed: ", "http2: client connection lost");
        return;
    }
    buf_str(&h->in, bytes);
    while (h->in.n >= H2_FRAME_HEAD_SIZE) {
        const uint8_t *head = (const uint8_t *)h->in.p;
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (size > H2_FRAME_SIZE_MAX || h->in.failed) {
            h2ping_end(h, false, "HTTP2 ping failed: ", "http2: frame too large");
            return;
        }
        if (h->in.n < H2_FRAME_HEAD_SIZE + size) {
            return;
        }
        if (h2ping_frame(h, head[3], head[4], str_make(h->in.p + H2_FRAME_HEAD_SIZE, size))) {
            return;
        }
        buf_consume(&h->in, H2_FRAME_HEAD_SIZE + size);
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
    buf_init(&h->in, 2 * H2_FRAME_SIZE_MAX);
    rng_bytes(&c->checks->agent->worker->rng, h->opaque, sizeof(h->opaque));
    struct buf out = {0};
    buf_lit(&out, H2_PREFACE);
    put_frame(&out, H2_SETTINGS, 0, STR_NULL);
    put_frame(&out, H2_PING, 0, str_make(h->opaque, PING_SIZE));
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
    buf_deinit(&h->in);
}

const struct check_ops check_h2ping_ops = {.type = "h2ping",
                                           .size = sizeof(struct check_h2ping),
                                           .is_periodic = true,
                                           .probe = h2ping_probe,
                                           .stop = h2ping_stop};
