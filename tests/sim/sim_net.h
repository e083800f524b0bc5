/* sim_net.h - what the transport's two files share: messages (sim_net.c), snapshots (sim_stream.c).
 */
#pragma once
#include "sim.h"

/* As of the transport over TCP: each has a connection of its own. */
enum net_path {
    NET_CONTROL, /* heartbeats, votes */
    NET_ENTRIES,
    NET_SNAPSHOT,
};

struct net_serving { /* a request that waits for our answer */
    uint64_t token, call;
    struct sim_server *from;
    enum net_path path;
};

struct sim_net {
    struct raft_transport base;
    struct sim_server *server;
    VEC(struct net_serving) serving;
};

struct net_event { /* about something that has a number */
    struct sim_event event;
    uint64_t number;
};

static inline const struct raft_transport_events *net_events(const struct sim_server *sv)
{
    return sv->net->base.events;
}

/* sim_net.c */
struct sim_server *net_server(struct sim *s, struct str id);
bool net_is_lost(struct sim *s, struct sim_server *from, struct sim_server *to);
uint64_t net_delay_us(struct sim *s, struct sim_server *from, struct sim_server *to,
                      enum net_path path);
struct sim_event *net_after(struct sim *s, struct sim_server *sv, uint64_t life, uint64_t delay_us,
                            uint64_t number, void (*run)(struct sim *s, struct sim_event *e));
/* Whether it comes while the link is held. */
void net_hold(struct sim_event *e, struct sim_server *from, struct sim_server *to,
              enum net_path path);
/* A request is being made; it fails by itself after the timeout. */
uint64_t net_call_new(struct sim *s, struct sim_server *from, struct sim_server *to,
                      const struct raft_msg *m, uint64_t timeout_us);
/* The connection is refused or reset: sooner or later the asker knows. */
void net_call_fail(struct sim *s, uint64_t number);
uint64_t net_serve(struct sim_server *sv, struct sim_server *from, uint64_t call,
                   enum net_path path);

/* sim_stream.c */
void net_send_snapshot(struct raft_transport *t, struct str id, struct str address,
                       const struct raft_msg *m, struct raft_snapshot_source *source);
uint64_t net_snapshot_size(struct raft_transport *t, uint64_t token);
void net_receive(struct raft_transport *t, uint64_t token);
/* The receiver has answered: nothing more is to be sent. */
void net_stream_answered(struct sim *s, uint64_t token);
void net_streams_leave(struct sim_server *sv); /* it dies */
