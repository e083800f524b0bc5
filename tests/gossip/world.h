/* world.h - many SWIM cores in one process, with a network between them and virtual time, all from
 * one seed.
 *
 *     struct world *w = world_new(seed, count);
 *     world_start(w, 0); world_join(w, 1, 0);
 *     world_run(w, 5 * WORLD_SECOND);
 *
 * Node i is called "n<i>" and lives at 10.0.<i / 256>.<i % 256>:8301. Datagrams are delayed, lost,
 * doubled and so reordered; streams keep their order. A paused node takes nothing: its datagrams
 * wait (as many as a socket holds), its timers are late. Whoever uses it watches through the
 * watch functions. */
#pragma once
#include "base/rand.h"
#include "base/vec.h"
#include "gossip/core/broadcast.h"
#include "gossip/core/swim.h"

#define WORLD_MS UINT64_C(1000000)
#define WORLD_SECOND (1000 * WORLD_MS)
#define WORLD_DATAGRAMS_WAITING 128u

struct world;
struct world_event;
struct world_pipe;

struct world_node {
    struct world *world;
    unsigned number;
    char name[16];
    struct gossip_address address;
    struct swim *swim; /* NULL: not running */
    struct rng rng;
    struct seal_ring *keys;
    struct buf meta;
    uint8_t vsn[MEMBERLIST_VSN_SIZE];
    uint64_t life; /* counts starts */
    uint64_t started_ns, stopped_ns, paused_until_ns;
    uint64_t tick_ns; /* of the earliest tick event that is queued */
    unsigned waiting; /* datagrams, while it is paused */
    bool is_leaving, has_left;
    uint64_t sent, received;       /* datagrams */
    struct broadcast_queue *queue; /* of messages of users */
    bool *heard;                   /* by message */
};

/* What may be looked at; each may be NULL. */
struct world_watch {
    void (*send)(struct world_node *n, const struct gossip_address *to, struct str packet);
    void (*stream)(struct world_node *n, unsigned to, const char *what, struct str bytes);
    void (*join)(struct world_node *n, const struct swim_member *m);
    void (*update)(struct world_node *n, const struct swim_member *m);
    void (*leave)(struct world_node *n, const struct swim_member *m);
    void (*conflict)(struct world_node *n, const struct swim_member *m,
                     const struct swim_member *other);
    void (*joined)(struct world_node *n, const struct err *err);
    void (*left)(struct world_node *n, bool timed_out);
    void (*message)(struct world_node *n, struct str bytes);
    void (*pinged)(struct world_node *n, const struct swim_member *m, uint64_t rtt_ns);
    void (*log)(struct world_node *n, enum swim_log level, struct str line);
    int (*alive)(struct world_node *n, const struct swim_member *m, struct err *err);
    int (*merge)(struct world_node *n, size_t count, struct err *err);
};

struct world_cut { /* from, to: WORLD_ANY for all */
    unsigned from, to;
    bool udp, tcp;
};
#define WORLD_ANY UINT32_MAX

struct world {
    struct rng rng;
    uint64_t now_ns, events, pieces; /* of those events: bytes of streams that came */
    struct world_node *nodes;
    unsigned count;
    struct swim_config config;
    uint32_t members_max; /* 0: as many as there may be */
    bool has_clock;       /* incarnations begin with the time */
    const struct world_watch *watch;
    void *data;
    /* The network. */
    uint64_t delay_min_ns, delay_max_ns;
    double loss, duplicate;
    unsigned *side; /* by node: those on different sides do not reach each other */
    VEC(struct world_cut) cuts;
    size_t chunk_max; /* of a stream; 0: as written */
    bool ticks_first; /* after a pause the tick comes before the packets: else by chance */
    unsigned messages_count, messages_max;
    bool has_ack_payload;
    /* world.c's: */
    VEC(struct world_event *) heap;
    uint64_t sequence;
    VEC(struct world_pipe *) pipes;
};

struct world *world_new(uint64_t seed, unsigned count);
struct world *world_free(struct world *w);
void world_run(struct world *w, uint64_t span_ns);

void world_start(struct world *w, unsigned i);
void world_crash(struct world *w, unsigned i);
void world_pause(struct world *w, unsigned i, uint64_t span_ns);
void world_wake(struct world *w, unsigned i); /* before its pause is over */
void world_join(struct world *w, unsigned i, unsigned to);
void world_leave(struct world *w, unsigned i);
void world_update(struct world *w, unsigned i, struct str meta);
/* A message to all from node i; its number. */
unsigned world_tell(struct world *w, unsigned i);
/* A datagram from a stranger. */
void world_inject(struct world *w, unsigned to, const struct gossip_address *from,
                  struct str bytes);
/* After anything that was done to a core by hand. */
void world_touch(struct world_node *n);
unsigned world_number(struct str name); /* WORLD_ANY: not one of ours */
struct world_node *world_node_at(struct world *w, const struct gossip_address *a);
