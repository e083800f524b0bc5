/* Snapshots between simulated servers. The sender's bytes are read a piece at a time and go out in
 * chunks that are much smaller, so that a snapshot of a few kilobytes takes as many turns as a real
 * one; the next chunk comes only when the receiver asks for it. A link that breaks, either server
 * that dies, and a time limit end it on both sides. */
#include "base/mem.h"
#include "sim_net.h"

#define STREAM_TIMEOUT_US (10 * SIM_SECOND)
#define CHUNK_SIZE_MAX 700u

struct net_stream {
    uint64_t number; /* of the stream; the receiver's token is another */
    uint64_t token;  /* 0: the receiver has not heard of it yet */
    struct sim_server *from, *to;
    uint64_t from_life, to_life, call, size;
    struct raft_msg *msg;
    struct raft_snapshot_source *source; /* NULL: let go of */
    struct buf bytes;                    /* read, not delivered yet */
    size_t at;
    bool is_told; /* the receiver knows of the end */
    bool is_read; /* to its end */
};

static struct net_stream *stream_find(struct sim *s, uint64_t number)
{
    for (size_t i = 0; i < s->streams.n; i++) {
        if (s->streams.v[i]->number == number) {
            return s->streams.v[i];
        }
    }
    return NULL;
}

static struct net_stream *stream_by_token(struct sim *s, uint64_t token)
{
    for (size_t i = 0; i < s->streams.n; i++) {
        if (s->streams.v[i]->token == token) {
            return s->streams.v[i];
        }
    }
    return NULL;
}

static void source_drop(struct net_stream *x)
{
    if (x->source != NULL) {
        x->source->ops->free(x->source);
        x->source = NULL;
    }
}

static void stream_free(struct sim *s, struct net_stream *x)
{
    source_drop(x);
    for (size_t i = 0; i < s->streams.n; i++) {
        if (s->streams.v[i] == x) {
            s->streams.v[i] = s->streams.v[--s->streams.n];
            break;
        }
    }
    buf_deinit(&x->bytes);
    mem_free(x->msg);
    mem_free(x);
}

/* --- the end, for the receiver --- */

static void told_run(struct sim *s, struct sim_event *e)
{
    (void)s;
    struct net_event *n = container_of(e, struct net_event, event);
    net_events(e->server)->snapshot_end(e->server->net->base.events_data, n->number,
                                        -ERR_CONNECTION);
}

static void stream_break(struct sim *s, struct net_stream *x)
{
    if (x->token != 0 && !x->is_told) {
        net_after(s, x->to, x->to_life, sim_below(s, 200 * SIM_MS), x->token, told_run);
    }
    net_call_fail(s, x->call);
    stream_free(s, x);
}

static void timeout_run(struct sim *s, struct sim_event *e)
{
    struct net_stream *x = stream_find(s, container_of(e, struct net_event, event)->number);
    if (x != NULL) {
        stream_break(s, x);
    }
}

/* --- chunks --- */

static void chunk_run(struct sim *s, struct sim_event *e);

/* At times a snapshot stands still for a while, and what else happens overtakes it. */
static void chunk_soon(struct sim *s, struct net_stream *x)
{
    uint64_t delay_us = net_delay_us(s, x->from, x->to, NET_SNAPSHOT);
    if (!s->is_quiet && sim_chance(s, 0.05)) {
        delay_us += sim_below(s, 2 * SIM_SECOND);
    }
    struct sim_event *e = net_after(s, x->to, x->to_life, delay_us, x->number, chunk_run);
    net_hold(e, x->from, x->to, NET_SNAPSHOT);
}

static void piece_read(struct raft_snapshot_source *source, struct str bytes, int code)
{
    struct net_stream *x = source->user;
    struct sim *s = x->from->sim;
    if (code < 0) {
        stream_break(s, x);
        return;
    }
    if (bytes.n == 0) {
        x->is_read = true;
        source_drop(x);
    }
    buf_clear(&x->bytes);
    buf_str(&x->bytes, bytes);
    x->at = 0;
    chunk_soon(s, x);
}

static void read_run(struct sim *s, struct sim_event *e)
{
    struct net_stream *x = stream_find(s, container_of(e, struct net_event, event)->number);
    if (x != NULL && x->source != NULL) {
        x->source->ops->next(x->source, piece_read);
    }
}

static void chunk_run(struct sim *s, struct sim_event *e)
{
    struct net_stream *x = stream_find(s, container_of(e, struct net_event, event)->number);
    if (x == NULL) {
        return;
    }
    if (s->cut[x->from->number][x->to->number] || sim_chance(s, s->loss / 4)) {
        stream_break(s, x);
        return;
    }
    const struct raft_transport_events *events = net_events(x->to);
    void *data = x->to->net->base.events_data;
    size_t left = x->bytes.n - x->at;
    if (left > 0) {
        size_t n = MIN(left, 1 + (size_t)sim_below(s, CHUNK_SIZE_MAX));
        char *chunk = xmemdup(x->bytes.p + x->at, n); /* with an end that is noticed */
        x->at += n;
        events->snapshot_data(data, x->token, str_make(chunk, n));
        mem_free(chunk);
    } else if (x->is_read) {
        x->is_told = true;
        events->snapshot_end(data, x->token, 0);
    } else {
        net_after(s, x->from, x->from_life, 20, x->number, read_run);
    }
}

/* --- the table's --- */

static void begin_run(struct sim *s, struct sim_event *e)
{
    struct net_stream *x = stream_find(s, container_of(e, struct net_event, event)->number);
    if (x == NULL) {
        return;
    }
    bool is_unknown = x->msg->install.pre && !s->knows_pre_vote; /* of the reference: hangs up */
    if (x->to->raft == NULL || net_is_lost(s, x->from, x->to) || is_unknown) {
        stream_break(s, x);
        return;
    }
    x->to_life = x->to->life;
    x->token = x->msg->token = net_serve(x->to, x->from, x->call, NET_SNAPSHOT);
    net_events(x->to)->request(x->to->net->base.events_data, x->msg);
}

void net_send_snapshot(struct raft_transport *t, struct str id, struct str address,
                       const struct raft_msg *m, struct raft_snapshot_source *source)
{
    struct sim_server *from = container_of(t, struct sim_net, base)->server;
    struct sim *s = from->sim;
    struct net_stream *x = xcalloc(1, sizeof(*x));
    (void)address;
    x->number = ++s->tokens;
    x->from = from;
    x->to = net_server(s, id);
    x->from_life = from->life;
    x->call = net_call_new(s, from, x->to, m, STREAM_TIMEOUT_US + SIM_SECOND);
    x->size = source->size;
    x->msg = xmemdup(m, sizeof(*m));
    x->msg->install.leader = str_from_cstr(from->address);
    x->source = source;
    source->user = x;
    vec_push(&s->streams, x);
    uint64_t delay_us = net_delay_us(s, from, x->to, NET_SNAPSHOT);
    net_hold(net_after(s, x->to, 0, delay_us, x->number, begin_run), from, x->to, NET_SNAPSHOT);
    net_after(s, NULL, 0, STREAM_TIMEOUT_US, x->number, timeout_run);
}

uint64_t net_snapshot_size(struct raft_transport *t, uint64_t token)
{
    struct sim_net *net = container_of(t, struct sim_net, base);
    struct net_stream *x = stream_by_token(net->server->sim, token);
    SIM_CHECK(x != NULL && x->to == net->server, token, 0);
    return x->size;
}

void net_receive(struct raft_transport *t, uint64_t token)
{
    struct sim *s = container_of(t, struct sim_net, base)->server->sim;
    struct net_stream *x = stream_by_token(s, token);
    if (x != NULL) { /* else it has broken: the receiver is about to hear */
        chunk_soon(s, x);
    }
}

void net_stream_answered(struct sim *s, uint64_t token)
{
    struct net_stream *x = stream_by_token(s, token);
    if (x != NULL) {
        stream_free(s, x);
    }
}

void net_streams_leave(struct sim_server *sv)
{
    struct sim *s = sv->sim;
    for (size_t i = 0; i < s->streams.n;) {
        struct net_stream *x = s->streams.v[i];
        if (x->from != sv && (x->to != sv || x->token == 0)) {
            i++;
            continue;
        }
        if (x->to == sv) {
            x->token = 0; /* there is nobody to tell */
        }
        stream_break(s, x);
        i = 0;
    }
}
