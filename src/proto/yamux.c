/* A frame is a header of twelve bytes (version, type, flags, stream, length), behind that of a data
 * frame its bytes. Flags ride on data and window frames: SYN opens, ACK accepts, FIN closes one
 * direction, RST both. A frame may carry several things; they come out as events one after the
 * other: opened, accepted, writable, data, finished or reset.
 *
 * Frames of streams that are not there are dropped: they were on their way while we reset it. */
#include "proto/yamux.h"

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

enum { TYPE_DATA, TYPE_WINDOW, TYPE_PING, TYPE_GO_AWAY };
enum { FLAG_SYN = 1, FLAG_ACK = 2, FLAG_FIN = 4, FLAG_RST = 8 };

/* What of the current frame has still to be told. */
enum { TODO_OPENED = 1, TODO_ACCEPTED = 2, TODO_WRITABLE = 4, TODO_FINISHED = 8, TODO_RESET = 16 };

struct stream {
    uint32_t id;
    uint32_t send_window, receive_window;
    uint32_t held;     /* came and is not consumed */
    uint32_t consumed; /* consumed, and the peer has not been told */
    bool is_opening;   /* ours, not accepted yet */
    bool is_closed;    /* by us */
    bool is_finished;  /* by the peer */
};

struct yamux {
    bool is_client, is_leaving, peer_is_leaving;
    uint32_t streams_max;
    size_t out_size_max;
    uint32_t next_id; /* 0: no more */
    uint32_t ping, opening;
    bool is_pinging;
    const char *error;
    struct map streams; /* by the bytes of their id */
    struct buf out;

    uint8_t header[YAMUX_HEADER_SIZE];
    size_t header_size;
    uint32_t frame_id, body_left;
    unsigned todo;
};

struct yamux *yamux_new(const struct yamux_options *options)
{
    struct yamux *y = xcalloc(1, sizeof(*y));
    y->is_client = options->is_client;
    y->streams_max = options->streams_max > 0 ? options->streams_max : YAMUX_STREAMS_MAX;
    y->out_size_max = options->out_size_max > 0 ? options->out_size_max : YAMUX_OUT_SIZE_MAX;
    y->next_id = options->is_client ? 1 : 2;
    map_init(&y->streams, 0);
    buf_init(&y->out, y->out_size_max + YAMUX_OUT_CONTROL_SIZE);
    return y;
}

struct yamux *yamux_free(struct yamux *y)
{
    if (y != NULL) {
        size_t pos = 0;
        struct str key;
        void *s;
        while (map_next(&y->streams, &pos, &key, &s)) {
            (void)mem_free(s);
        }
        map_deinit(&y->streams);
        buf_deinit(&y->out);
    }
    return mem_free(y);
}

const char *yamux_error(const struct yamux *y)
{
    return y->error;
}

size_t yamux_streams(const struct yamux *y)
{
    return y->streams.n;
}

struct str yamux_out(const struct yamux *y)
{
    return buf_view(&y->out);
}

void yamux_out_done(struct yamux *y, size_t size)
{
    buf_consume(&y->out, size);
}

static struct str id_key(const uint32_t *id)
{
    return str_make(id, sizeof(*id));
}

static struct stream *stream_find(const struct yamux *y, uint32_t id)
{
    return map_get(&y->streams, id_key(&id));
}

static struct stream *stream_add(struct yamux *y, uint32_t id)
{
    struct stream *s = xcalloc(1, sizeof(*s));
    s->id = id;
    s->send_window = s->receive_window = YAMUX_WINDOW_SIZE;
    (void)map_put(&y->streams, id_key(&id), s);
    return s;
}

static void stream_remove(struct yamux *y, struct stream *s)
{
    y->opening -= s->is_opening;
    (void)map_remove(&y->streams, id_key(&s->id));
    (void)mem_free(s);
}

static void frame_put(struct yamux *y, uint8_t type, uint16_t flags, uint32_t id, uint32_t length)
{
    char *p = buf_reserve(&y->out, YAMUX_HEADER_SIZE);
    if (p == NULL) {
        y->error = y->error != NULL ? y->error : "peer does not read what it asks for";
        return;
    }
    p[0] = 0;
    p[1] = (char)type;
    put_be16(p + 2, flags);
    put_be32(p + 4, id);
    put_be32(p + 8, length);
    y->out.n += YAMUX_HEADER_SIZE;
}

static int session_fail(struct yamux *y, const char *error)
{
    frame_put(y, TYPE_GO_AWAY, 0, 0, YAMUX_PROTOCOL_ERROR);
    y->error = error;
    return -ERR_INVALID;
}

/* --- of our own accord ---------------------------------------------------------------------- */

int yamux_open(struct yamux *y, uint32_t *ret_id)
{
    if (y->error != NULL || y->peer_is_leaving || y->next_id == 0) {
        return -ERR_CLOSED;
    }
    if (y->opening >= YAMUX_OPENING_MAX || y->streams.n >= y->streams_max) {
        return -ERR_AGAIN;
    }
    struct stream *s = stream_add(y, y->next_id);
    s->is_opening = true;
    y->opening++;
    y->next_id = y->next_id >= UINT32_MAX - 2 ? 0 : y->next_id + 2;
    frame_put(y, TYPE_WINDOW, FLAG_SYN, s->id, 0);
    *ret_id = s->id;
    return 0;
}

int64_t yamux_send(struct yamux *y, uint32_t id, struct str bytes)
{
    struct stream *s = stream_find(y, id);
    if (y->error != NULL || s == NULL || s->is_closed) {
        return -ERR_CLOSED;
    }
    size_t size = bytes.n < s->send_window ? bytes.n : s->send_window;
    size_t used = y->out.n + YAMUX_HEADER_SIZE;
    size_t room = used < y->out_size_max ? y->out_size_max - used : 0;
    size = size < room ? size : room;
    if (size > 0) {
        frame_put(y, TYPE_DATA, 0, id, (uint32_t)size);
        buf_str(&y->out, str_first(bytes, size));
        s->send_window -= (uint32_t)size;
    }
    return (int64_t)size;
}

/* The peer is told in portions of half a window, as the reference does: not for every byte. */
void yamux_consumed(struct yamux *y, uint32_t id, size_t size)
{
    struct stream *s = stream_find(y, id);
    if (s == NULL) {
        return;
    }
    ASSERT(size <= s->held);
    s->held -= (uint32_t)size;
    s->consumed += (uint32_t)size;
    if (s->consumed >= YAMUX_WINDOW_SIZE / 2 && !s->is_finished) {
        frame_put(y, TYPE_WINDOW, 0, id, s->consumed);
        s->receive_window += s->consumed;
        s->consumed = 0;
    }
}

void yamux_close(struct yamux *y, uint32_t id)
{
    struct stream *s = stream_find(y, id);
    if (s == NULL || s->is_closed) {
        return;
    }
    s->is_closed = true;
    frame_put(y, TYPE_WINDOW, FLAG_FIN, id, 0);
    if (s->is_finished) {
        stream_remove(y, s);
    }
}

void yamux_reset(struct yamux *y, uint32_t id)
{
    struct stream *s = stream_find(y, id);
    if (s != NULL) {
        frame_put(y, TYPE_WINDOW, FLAG_RST, id, 0);
        stream_remove(y, s);
    }
}

uint32_t yamux_ping(struct yamux *y)
{
    y->is_pinging = true;
    frame_put(y, TYPE_PING, FLAG_SYN, 0, ++y->ping);
    return y->ping;
}

void yamux_go_away(struct yamux *y, enum yamux_go_away why)
{
    y->is_leaving = true;
    frame_put(y, TYPE_GO_AWAY, 0, 0, why);
}

/* --- what comes ----------------------------------------------------------------------------- */

/* 0, also when the stream is refused. */
static int syn_handle(struct yamux *y, uint32_t id)
{
    if (id == 0 || (id & 1) == (y->is_client ? 1 : 0)) {
        return session_fail(y, "stream opened with an id that is not the peer's");
    }
    if (stream_find(y, id) != NULL) {
        return session_fail(y, "stream opened twice");
    }
    if (y->is_leaving || y->streams.n >= y->streams_max) {
        frame_put(y, TYPE_WINDOW, FLAG_RST, id, 0);
        return 0;
    }
    (void)stream_add(y, id);
    frame_put(y, TYPE_WINDOW, FLAG_ACK, id, 0);
    y->todo |= TODO_OPENED;
    return 0;
}

static int stream_frame_handle(struct yamux *y, uint8_t type, uint16_t flags, uint32_t id,
                               uint32_t length)
{
    y->frame_id = id;
    y->body_left = type == TYPE_DATA ? length : 0;
    if ((flags & FLAG_SYN) != 0) {
        int r = syn_handle(y, id);
        if (r < 0) {
            return r;
        }
    }
    struct stream *s = stream_find(y, id);
    if (s == NULL) {
        return 0;
    }
    if ((flags & FLAG_ACK) != 0 && s->is_opening) {
        s->is_opening = false;
        y->opening--;
        y->todo |= TODO_ACCEPTED;
    }
    if ((flags & FLAG_RST) != 0) {
        stream_remove(y, s); /* its body, if any, finds no stream */
        /* Opened and reset in one frame: nobody has heard of it. */
        y->todo = (y->todo & TODO_OPENED) != 0 ? 0 : TODO_RESET;
        return 0;
    }
    if (s->is_finished && ((flags & FLAG_FIN) != 0 || (type == TYPE_DATA && length > 0))) {
        return session_fail(y, "stream goes on after its end");
    }
    if (type == TYPE_WINDOW) {
        y->todo |= s->send_window == 0 && length > 0 && !s->is_closed ? TODO_WRITABLE : 0;
        if (__builtin_add_overflow(s->send_window, length, &s->send_window)) {
            s->send_window = UINT32_MAX;
        }
    } else {
        if (length > s->receive_window) {
            return session_fail(y, "receive window exceeded");
        }
        s->receive_window -= length;
    }
    y->todo |= (flags & FLAG_FIN) != 0 ? TODO_FINISHED : 0;
    return 0;
}

/* 1 when there is an event. */
static int header_handle(struct yamux *y, struct yamux_event *ret_event)
{
    uint8_t type = y->header[1];
    uint16_t flags = get_be16(y->header + 2);
    uint32_t id = get_be32(y->header + 4), length = get_be32(y->header + 8);
    if (y->header[0] != 0) {
        return session_fail(y, "unknown protocol version");
    }
    switch (type) {
    case TYPE_DATA:
    case TYPE_WINDOW:
        return stream_frame_handle(y, type, flags, id, length);
    case TYPE_PING:
        if ((flags & FLAG_SYN) != 0) {
            frame_put(y, TYPE_PING, FLAG_ACK, 0, length);
        } else if (y->is_pinging && length == y->ping) {
            y->is_pinging = false;
            *ret_event = (struct yamux_event){.kind = YAMUX_PONG, .id = length};
            return 1;
        }
        return 0;
    case TYPE_GO_AWAY:
        if (length != YAMUX_NORMAL) {
            y->error = length == YAMUX_PROTOCOL_ERROR   ? "peer reports a protocol error"
                       : length == YAMUX_INTERNAL_ERROR ? "peer reports an internal error"
                                                        : "peer goes away for an unknown reason";
            return -ERR_CLOSED;
        }
        y->peer_is_leaving = true;
        *ret_event = (struct yamux_event){.kind = YAMUX_GO_AWAY};
        return 1;
    default:
        return session_fail(y, "unknown frame type");
    }
}

static bool todo_take(struct yamux *y, unsigned what)
{
    bool is_set = (y->todo & what) != 0;
    y->todo &= ~what;
    return is_set;
}

/* The next event of the frame whose header was handled. A stream the caller has dropped in the
 * meantime has no more of them. */
static bool frame_event(struct yamux *y, struct str *in, struct yamux_event *ret_event)
{
    struct yamux_event e = {.id = y->frame_id};
    struct stream *s = stream_find(y, y->frame_id);
    if (s == NULL && !todo_take(y, TODO_RESET)) {
        y->todo = 0;
        uint32_t skip = in->n < y->body_left ? (uint32_t)in->n : y->body_left;
        *in = str_from(*in, skip);
        y->body_left -= skip;
        return false;
    }
    if (s == NULL) {
        e.kind = YAMUX_RESET;
        y->todo = 0;
    } else if (todo_take(y, TODO_OPENED)) {
        e.kind = YAMUX_OPENED;
    } else if (todo_take(y, TODO_ACCEPTED)) {
        e.kind = YAMUX_ACCEPTED;
    } else if (todo_take(y, TODO_WRITABLE)) {
        e.kind = YAMUX_WRITABLE;
    } else if (y->body_left > 0) {
        if (in->n == 0) {
            return false;
        }
        e.kind = YAMUX_DATA;
        e.data = str_first(*in, y->body_left);
        *in = str_from(*in, e.data.n);
        y->body_left -= (uint32_t)e.data.n;
        s->held += (uint32_t)e.data.n;
    } else if (todo_take(y, TODO_FINISHED)) {
        e.kind = YAMUX_FINISHED;
        s->is_finished = true;
        if (s->is_closed) {
            stream_remove(y, s);
        }
    } else {
        return false;
    }
    *ret_event = e;
    return true;
}

int yamux_next(struct yamux *y, struct str *in, struct yamux_event *ret_event)
{
    while (y->error == NULL) {
        if (frame_event(y, in, ret_event)) {
            return 1;
        }
        if (in->n == 0 || y->body_left > 0) {
            return 0;
        }
        size_t n = YAMUX_HEADER_SIZE - y->header_size;
        n = in->n < n ? in->n : n;
        memcpy(y->header + y->header_size, in->p, n);
        y->header_size += n;
        *in = str_from(*in, n);
        if (y->header_size == YAMUX_HEADER_SIZE) {
            y->header_size = 0;
            y->todo = 0;
            int r = header_handle(y, ret_event);
            if (r != 0) {
                return r;
            }
        }
    }
    return -ERR_CLOSED;
}
