#include "raft/transport_tcp.h"

#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "raft/transport_internal.h"

void transport_unref(struct transport *t)
{
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(t->slots);
        mem_free(t);
    }
}

/* --- the turn ------------------------------------------------------------------------------- */

/* What there is to tell; events may call ops, which may give more to tell. */
static bool turn_tell(struct transport *t)
{
    struct list *node;
    bool moved = false;
    while ((node = list_pop_front(&t->in_work)) != NULL) {
        in_conn_work(list_entry(node, struct in_conn, work_node));
        moved = true;
    }
    while ((node = list_pop_front(&t->lost)) != NULL) {
        path_tell_lost(list_entry(node, struct path, lost_node));
        moved = true;
    }
    return moved;
}

static void turn_write(struct transport *t)
{
    struct list *node;
    while ((node = list_pop_front(&t->flush)) != NULL) {
        path_flush(list_entry(node, struct path, flush_node));
    }
    while ((node = list_pop_front(&t->in_flush)) != NULL) {
        in_conn_flush(list_entry(node, struct in_conn, flush_node));
    }
    while ((node = list_pop_front(&t->pump)) != NULL) {
        sending_pump(list_entry(node, struct path, pump_node));
    }
}

static void turn_run(struct loop_msg *msg)
{
    struct transport *t = container_of(msg, struct transport, turn);
    t->turn_is_due = false;
    if (!t->is_freed) {
        while (turn_tell(t)) {
        }
        turn_write(t); /* what fails here is told in another turn */
        struct list *node;
        while (list_is_empty(&t->lost) && (node = list_pop_front(&t->dropped)) != NULL) {
            remote_free(list_entry(node, struct remote, node));
        }
    }
    transport_unref(t);
}

void transport_wake(struct transport *t)
{
    if (!t->turn_is_due && !t->is_freed) {
        t->turn_is_due = true;
        transport_ref(t);
        t->turn.run = turn_run;
        loop_defer(t->loop, &t->turn);
    }
}

/* --- accepting ------------------------------------------------------------------------------ */

struct accepted {
    struct loop_msg msg;
    struct transport *t;
    int fd;
    struct tls_session *tls;
    size_t rest_size;
    char rest[];
};

static void accepted_run(struct loop_msg *msg)
{
    struct accepted *a = container_of(msg, struct accepted, msg);
    if (a->t->is_freed) {
        (void)close(a->fd);
        (void)tls_session_free(a->tls);
    } else {
        in_conn_new(a->t, a->fd, a->tls, str_make(a->rest, a->rest_size));
    }
    transport_unref(a->t);
    mem_free(a);
}

void raft_transport_tcp_accept(struct raft_transport *base, int fd, struct tls_session *take_tls,
                               struct str rest)
{
    struct transport *t = container_of(base, struct transport, base);
    struct accepted *a = xcalloc(1, sizeof(*a) + rest.n);
    *a = (struct accepted){
        .msg.run = accepted_run, .t = t, .fd = fd, .tls = take_tls, .rest_size = rest.n};
    if (rest.n > 0) {
        memcpy(a->rest, rest.p, rest.n);
    }
    transport_ref(t);
    loop_post(t->loop, &a->msg);
}

/* --- life ----------------------------------------------------------------------------------- */

static struct raft_transport *transport_free(struct raft_transport *base)
{
    if (base == NULL) {
        return NULL;
    }
    struct transport *t = container_of(base, struct transport, base);
    t->is_freed = true;
    struct list *node;
    while ((node = list_pop_front(&t->conns)) != NULL) {
        in_conn_drop(list_entry(node, struct in_conn, node));
    }
    list_splice_back(&t->dropped, &t->servers);
    while ((node = list_pop_front(&t->dropped)) != NULL) {
        remote_free(list_entry(node, struct remote, node));
    }
    transport_unref(t);
    return NULL;
}

struct raft_transport *raft_transport_tcp_new(const struct raft_transport_tcp_options *options)
{
    static const struct raft_transport_ops ops = {
        .send = transport_send,
        .send_snapshot = transport_send_snapshot,
        .reply = transport_reply,
        .snapshot_size = transport_snapshot_size,
        .receive = transport_receive,
        .configure = transport_configure,
        .free = transport_free,
    };
    struct address from = {0};
    if (options->bind_host.n > 0 && address_parse(&from, options->bind_host, 0, NULL) < 0) {
        return NULL;
    }
    struct transport *t = xcalloc(1, sizeof(*t));
    t->base.ops = &ops;
    t->loop = options->loop;
    t->from = from;
    t->tls = options->tls;
    t->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : RAFT_TRANSPORT_TIMEOUT_MS;
    t->network_timeout_ms = options->network_timeout_ms != 0
                                ? options->network_timeout_ms
                                : MIN(t->timeout_ms, (uint64_t)RAFT_TRANSPORT_NETWORK_TIMEOUT_MS);
    t->vote_timeout_ms = options->vote_timeout_ms != 0
                             ? options->vote_timeout_ms
                             : RAFT_TRANSPORT_VOTE_TIMEOUTS * t->timeout_ms;
    t->slots_count =
        options->connections_max != 0 ? options->connections_max : RAFT_TRANSPORT_CONNECTIONS_MAX;
    ASSERT(t->slots_count <= UINT16_MAX); /* they go into tokens */
    t->slots = xcalloc(t->slots_count, sizeof(*t->slots));
    atomic_init(&t->refs, 1);
    struct list *const lists[] = {&t->servers, &t->dropped, &t->lost,    &t->flush,
                                  &t->pump,    &t->conns,   &t->in_work, &t->in_flush};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        list_init(lists[i]);
    }
    return &t->base;
}
