/* The streams of a connection, by their number. A stream is on `waiting` while it has something for
 * rpc_mux_out() to see to: an answer, or its end. Sizes of kept input and unsent answers are summed
 * up after whatever may have changed them (stream_account()); bounds are checked there. */
#include "server/rpc_mux.h"

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "proto/yamux.h"
#include "server/rpc_stream.h"

struct mux_stream {
    struct rpc_stream rpc;
    struct rpc_mux *mux;
    uint32_t id;
    size_t held;                 /* came, and yamux has not been told that it is used */
    size_t sent;                 /* of rpc.out */
    size_t in_size, unsent_size; /* as they are summed up */
    struct list node;            /* of mux->waiting */
};

struct rpc_mux {
    struct worker *worker;
    const char *peer;
    void (*changed)(void *data);
    void *data;
    struct yamux *yamux;
    struct map streams; /* by the bytes of their id */
    struct list waiting;
    size_t in_size, unsent_size;
    bool is_paused; /* some stream found no room */
    const char *error;
};

static bool mux_has_room(const struct rpc_mux *m)
{
    return m->unsent_size + yamux_out(m->yamux).n <= RPC_CONN_UNSENT_PAUSE;
}

static void stream_account(struct mux_stream *s)
{
    struct rpc_mux *m = s->mux;
    size_t unsent = s->rpc.out.n - s->sent;
    m->in_size = m->in_size - s->in_size + s->rpc.in.n;
    m->unsent_size = m->unsent_size - s->unsent_size + unsent;
    s->in_size = s->rpc.in.n;
    s->unsent_size = unsent;
    if (m->in_size > RPC_CONN_INPUT_SIZE_MAX) {
        m->error = "too many bytes of unfinished requests";
    } else if (m->unsent_size > RPC_CONN_UNSENT_SIZE_MAX) {
        m->error = "peer does not read what it asks for";
    }
}

static void stream_changed(struct rpc_stream *rpc)
{
    struct mux_stream *s = container_of(rpc, struct mux_stream, rpc);
    stream_account(s);
    if (!list_is_linked(&s->node)) {
        list_push_back(&s->mux->waiting, &s->node);
        s->mux->changed(s->mux->data);
    }
}

static bool stream_has_room(const struct rpc_stream *rpc)
{
    struct rpc_mux *m = container_of(rpc, struct mux_stream, rpc)->mux;
    bool has_room = mux_has_room(m);
    m->is_paused |= !has_room;
    return has_room;
}

static const struct rpc_stream_ops stream_ops = {.changed = stream_changed,
                                                 .has_room = stream_has_room};

static struct str id_key(const uint32_t *id)
{
    return str_make(id, sizeof(*id));
}

static void stream_new(struct rpc_mux *m, uint32_t id)
{
    struct mux_stream *s = xcalloc(1, sizeof(*s));
    rpc_stream_init(&s->rpc, m->worker, m->peer, &stream_ops);
    s->mux = m;
    s->id = id;
    (void)map_put(&m->streams, id_key(&s->id), s);
}

static void stream_free(struct mux_stream *s)
{
    struct rpc_mux *m = s->mux;
    (void)map_remove(&m->streams, id_key(&s->id));
    list_remove(&s->node);
    rpc_stream_deinit(&s->rpc);
    m->in_size -= s->in_size;
    m->unsent_size -= s->unsent_size;
    mem_free(s);
}

/* After anything that may have moved it on: the peer may send more, or the stream is over. */
static void stream_settle(struct mux_stream *s)
{
    stream_account(s);
    if (rpc_stream_is_done(&s->rpc)) {
        yamux_consumed(s->mux->yamux, s->id, s->held);
        yamux_close(s->mux->yamux, s->id);
        stream_free(s);
    } else if (s->held > 0 && !rpc_stream_is_waiting(&s->rpc) &&
               (s->rpc.in.n == 0 || mux_has_room(s->mux))) {
        yamux_consumed(s->mux->yamux, s->id, s->held);
        s->held = 0;
    }
}

struct rpc_mux *rpc_mux_new(struct worker *w, const char *peer, void (*changed)(void *data),
                            void *data)
{
    struct rpc_mux *m = xcalloc(1, sizeof(*m));
    m->worker = w;
    m->peer = peer;
    m->changed = changed;
    m->data = data;
    m->yamux = yamux_new(&(struct yamux_options){.is_client = false});
    map_init(&m->streams, 0);
    list_init(&m->waiting);
    return m;
}

struct rpc_mux *rpc_mux_free(struct rpc_mux *m)
{
    if (m == NULL) {
        return NULL;
    }
    size_t pos = 0;
    struct str key;
    for (void *s; map_next(&m->streams, &pos, &key, &s);) {
        stream_free(s);
    }
    map_deinit(&m->streams);
    m->yamux = yamux_free(m->yamux);
    return mem_free(m);
}

/* --- what comes ------------------------------------------------------------------------------ */

static void event_handle(struct rpc_mux *m, const struct yamux_event *e)
{
    struct mux_stream *s = map_get(&m->streams, id_key(&e->id));
    switch (e->kind) {
    case YAMUX_OPENED:
        stream_new(m, e->id);
        return;
    case YAMUX_DATA:
        if (s == NULL) { /* closed by us, not yet by the peer */
            yamux_consumed(m->yamux, e->id, e->data.n);
            return;
        }
        s->held += e->data.n;
        rpc_stream_read(&s->rpc, e->data);
        stream_settle(s);
        return;
    case YAMUX_FINISHED:
        if (s != NULL) {
            rpc_stream_end(&s->rpc);
            stream_settle(s);
        }
        return;
    case YAMUX_RESET:
        if (s != NULL) {
            stream_free(s);
        }
        return;
    case YAMUX_WRITABLE:
        m->changed(m->data); /* the stream waits already */
        return;
    case YAMUX_ACCEPTED: /* we open none */
    case YAMUX_PONG:
    case YAMUX_GO_AWAY: /* of streams to come: we open none */
        return;
    }
}

void rpc_mux_read(struct rpc_mux *m, struct str bytes)
{
    struct yamux_event e;
    int r = 0;
    while (m->error == NULL && (r = yamux_next(m->yamux, &bytes, &e)) > 0) {
        event_handle(m, &e);
    }
    if (r < 0 && m->error == NULL) {
        m->error = yamux_error(m->yamux);
    }
    m->changed(m->data); /* yamux itself has things to say: windows, pings, accepted streams */
}

const char *rpc_mux_error(const struct rpc_mux *m)
{
    return m->error;
}

/* --- what goes ------------------------------------------------------------------------------- */

static void stream_send(struct mux_stream *s)
{
    struct rpc_stream *rpc = &s->rpc;
    while (s->sent < rpc->out.n) {
        int64_t n = yamux_send(s->mux->yamux, s->id, str_from(buf_view(&rpc->out), s->sent));
        if (n <= 0) {
            break; /* later; negative cannot be: what is reset or closed is not here any more */
        }
        s->sent += (size_t)n;
    }
    if (s->sent == rpc->out.n && rpc->out.cap > 0) {
        buf_deinit(&rpc->out);
        buf_init(&rpc->out, RPC_REPLY_SIZE_MAX);
        s->sent = 0;
    }
    stream_account(s);
}

/* Streams that could not go on when too much was unsent. */
static void resume_paused(struct rpc_mux *m)
{
    size_t pos = 0;
    struct str key;
    m->is_paused = false;
    for (void *p; map_next(&m->streams, &pos, &key, &p);) {
        struct mux_stream *s = p;
        rpc_stream_resume(&s->rpc);
        stream_settle(s);
    }
}

static void send_waiting(struct rpc_mux *m)
{
    struct list unsent;
    list_init(&unsent);
    for (struct list *node; (node = list_pop_front(&m->waiting)) != NULL;) {
        struct mux_stream *s = container_of(node, struct mux_stream, node);
        stream_send(s);
        if (s->rpc.out.n > 0) {
            list_push_back(&unsent, node);
        } else {
            rpc_stream_resume(&s->rpc); /* may wait again, at the end of the list */
            stream_settle(s);
        }
    }
    list_splice_back(&m->waiting, &unsent);
}

struct str rpc_mux_out(struct rpc_mux *m)
{
    if (m->error == NULL) {
        send_waiting(m);
        if (m->is_paused && mux_has_room(m)) {
            resume_paused(m);
            send_waiting(m);
        }
        if (m->error == NULL) {
            m->error = yamux_error(m->yamux);
        }
    }
    return yamux_out(m->yamux);
}

void rpc_mux_out_done(struct rpc_mux *m, size_t size)
{
    yamux_out_done(m->yamux, size);
}

void rpc_mux_ping(struct rpc_mux *m)
{
    (void)yamux_ping(m->yamux);
}

uint32_t rpc_mux_streams(const struct rpc_mux *m)
{
    return (uint32_t)m->streams.n;
}

size_t rpc_mux_unsent(const struct rpc_mux *m)
{
    return m->unsent_size;
}
