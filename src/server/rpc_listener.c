#include "server/rpc_listener.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "loop/conn_limit.h"
#include "server/rpc_conn.h"
#include "server/worker.h"

#include <unistd.h>

static struct metric metric_accept = METRIC_COUNTER("rpc.accept_conn");

struct rpc_front *rpc_front_new(const struct rpc_front_options *options)
{
    struct rpc_front *f = xcalloc(1, sizeof(*f));
    f->keepalive_ms = options->keepalive_ms > 0 ? options->keepalive_ms : RPC_CONN_KEEPALIVE_MS;
    f->keepalive_timeout_ms = options->keepalive_timeout_ms > 0 ? options->keepalive_timeout_ms
                                                                : RPC_CONN_KEEPALIVE_TIMEOUT_MS;
    f->stall_ms = options->stall_ms > 0 ? options->stall_ms : RPC_CONN_STALL_MS;
    f->raft_accept = options->raft_accept;
    f->raft_accept_data = options->raft_accept_data;
    f->tls = options->tls;
    f->clients = conn_limit_new();
    rpc_front_set_limits(f, options->max_conns_per_client, options->handshake_timeout_ms);
    return f;
}

struct rpc_front *rpc_front_free(struct rpc_front *f)
{
    if (f != NULL) {
        f->clients = conn_limit_free(f->clients);
    }
    return mem_free(f);
}

void rpc_front_set_limits(struct rpc_front *f, uint32_t max_conns_per_client,
                          uint64_t handshake_timeout_ms)
{
    atomic_store(&f->max_conns_per_client, max_conns_per_client);
    atomic_store(&f->handshake_timeout_ms, handshake_timeout_ms);
}

struct rpc_listener *rpc_listener_new(struct rpc_front *f, struct worker *w)
{
    struct rpc_listener *l = xcalloc(1, sizeof(*l));
    l->front = f;
    l->worker = w;
    list_init(&l->conns);
    return l;
}

void rpc_listener_accept(struct rpc_listener *l, int fd, const struct address *peer)
{
    char ip_text[ADDRESS_IP_SIZE_MAX];
    struct str ip = address_ip(peer, ip_text);
    if (!conn_limit_add(l->front->clients, ip, atomic_load(&l->front->max_conns_per_client))) {
        char peer_text[RPC_PEER_SIZE_MAX];
        log_write(LOG_ERROR, "agent.server.rpc",
                  "rejecting RPC conn because rpc_max_conns_per_client exceeded",
                  LOG_STR("conn", rpc_peer_text(peer, peer_text)));
        (void)close(fd);
        return;
    }
    rpc_conn_accept(l, fd, peer, ip);
    metric_add(&metric_accept, 1);
}

static void socket_accept(struct tcp_listener *tcp, int fd, const struct address *peer)
{
    rpc_listener_accept(container_of(tcp, struct rpc_socket, tcp)->listener, fd, peer);
}

int rpc_listener_listen(struct rpc_listener *l, const struct address *address, bool first,
                        struct err *err)
{
    const struct listen_options options = {.reuse_port = true, .exclusive = first};
    int fd = listen_socket(address, &options, err);
    if (fd < 0) {
        return fd;
    }
    struct rpc_socket *s = xcalloc(1, sizeof(*s));
    s->listener = l;
    s->next = l->sockets;
    l->sockets = s;
    tcp_listener_start(&s->tcp, l->worker->loop, fd, socket_accept);
    return 0;
}

void rpc_listener_stop(struct rpc_listener *l)
{
    l->is_stopping = true;
    for (struct rpc_socket *s = l->sockets; s != NULL; s = s->next) {
        tcp_listener_close(&s->tcp);
    }
    list_for_each (node, &l->conns) {
        rpc_conn_close(list_entry(node, struct rpc_conn, node));
    }
}

struct rpc_listener *rpc_listener_free(struct rpc_listener *l)
{
    if (l == NULL) {
        return NULL;
    }
    ASSERT(l->conns_count == 0);
    while (l->sockets != NULL) {
        struct rpc_socket *s = l->sockets;
        l->sockets = s->next;
        mem_free(s);
    }
    return mem_free(l);
}

uint32_t rpc_listener_connections(const struct rpc_listener *l)
{
    return l->conns_count;
}
