#include "proto/h2_ping.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HEAD_SIZE 9u
#define FRAME_SETTINGS 4u
#define FRAME_PING 6u
#define FRAME_GOAWAY 7u
#define FLAG_ACK 1u

static void put_frame(struct buf *to, uint8_t type, uint8_t flags, struct str payload)
{
    buf_byte(to, (uint8_t)(payload.n >> 16));
    buf_be16(to, (uint16_t)payload.n);
    buf_byte(to, type);
    buf_byte(to, flags);
    buf_be32(to, 0); /* stream 0: the connection */
    buf_str(to, payload);
}

void h2_ping_begin(struct h2_ping *p, const char opaque[H2_PING_OPAQUE_SIZE], struct buf *out)
{
    *p = (struct h2_ping){.in = {.max = 2 * H2_FRAME_SIZE_MAX}};
    memcpy(p->opaque, opaque, H2_PING_OPAQUE_SIZE);
    buf_lit(out, PREFACE);
    put_frame(out, FRAME_SETTINGS, 0, STR_NULL);
    put_frame(out, FRAME_PING, 0, str_make(opaque, H2_PING_OPAQUE_SIZE));
}

static void fail(struct h2_ping *p, const char *error)
{
    p->state = H2_PING_FAILED;
    p->error = error;
}

static void frame(struct h2_ping *p, uint8_t type, uint8_t flags, struct str payload,
                  struct buf *out)
{
    bool is_ack = (flags & FLAG_ACK) != 0;
    if (type == FRAME_PING && is_ack && str_eq(payload, str_make(p->opaque, sizeof(p->opaque)))) {
        p->state = H2_PING_ANSWERED;
    } else if (type == FRAME_PING && !is_ack && payload.n == H2_PING_OPAQUE_SIZE) {
        put_frame(out, FRAME_PING, FLAG_ACK, payload);
    } else if (type == FRAME_GOAWAY) {
        fail(p, "http2: server sent GOAWAY and closed the connection");
    } else if (type == FRAME_SETTINGS && !is_ack) {
        put_frame(out, FRAME_SETTINGS, FLAG_ACK, STR_NULL);
    }
}

void h2_ping_feed(struct h2_ping *p, struct str bytes, struct buf *out)
{
    if (p->state != H2_PING_WAITING) {
        return;
    }
    if (bytes.n == 0) {
        fail(p, "http2: client connection lost");
        return;
    }
    /* A piece at a time, so that the buffer never holds more than a frame and a piece. */
    while (bytes.n > 0 && p->state == H2_PING_WAITING) {
        struct str piece = str_first(bytes, H2_FRAME_SIZE_MAX - HEAD_SIZE);
        bytes = str_from(bytes, piece.n);
        buf_str(&p->in, piece);
        while (p->state == H2_PING_WAITING && p->in.n >= HEAD_SIZE) {
            const uint8_t *head = (const uint8_t *)p->in.p;
            size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
            if (size > H2_FRAME_SIZE_MAX) {
                fail(p, "http2: frame too large");
                break;
            }
            if (p->in.n < HEAD_SIZE + size) {
                break;
            }
            frame(p, head[3], head[4], str_make(p->in.p + HEAD_SIZE, size), out);
            buf_consume(&p->in, HEAD_SIZE + size);
        }
    }
    ASSERT(!p->in.failed);
}

void h2_ping_deinit(struct h2_ping *p)
{
    buf_deinit(&p->in);
}
