/* pool_internal.h - what the files of pool.c share and nobody else includes. */
#pragma once
#include "base/arena.h"
#include "base/list.h"
#include "gossip/pool.h"
#include "gossip/pool_news.h"
#include "gossip/pool_threads.h"
#include "gossip/snapshot.h"
#include "loop/loop.h"
#include "loop/tcp.h"
#include "loop/udp.h"

#include <pthread.h>

struct pool {
    struct pool_options options; /* strings are the arena's */
    struct arena arena;
    struct gossip_threads *threads;
    struct list threads_node;

    /* The gossip loop's. */
    struct serf *core; /* NULL: not started, or stopped */
    struct seal_ring *keys;
    struct rng rng;
    struct udp_socket udp;
    struct tcp_listener listener;
    int listen_fd;
    struct loop_timer timer;
    uint64_t armed_ns; /* what the timer is set to */
    struct swim_stats counted;
    uint32_t health_score; /* as last shown */
    struct loop_msg turn_msg;
    bool turn_is_due;
    bool has_lost; /* its name, to another member: the core ends with this turn */
    struct list streams; /* struct pool_stream */
    uint32_t draining_count;
    struct pool_request *leave; /* under way */

    /* Between the threads. */
    struct member_board *board;
    struct pool_news *news;
    struct snapshot_writer *snapshot; /* NULL: none is kept */
    pthread_mutex_t lock;             /* of the figures, held for a copy */
    struct serf_stats stats;
    double vec[COORDINATE_DIMENSIONS];
    struct coordinate coordinate; /* vec.v is vec */
    bool has_coordinate;

    /* Home's. */
    struct list requests; /* struct pool_request: not answered yet */
    struct list ended;    /* answered by pool_stop(), their messages may still come */
    struct list joins;    /* struct pool_join_state */
    struct snapshot_state before;
    struct loop_msg start_msg, stop_msg;
    struct pool_rejoin *rejoin; /* NULL: over */
    bool is_started, is_stopped;
};

/* Something has happened to the core: look after its deadline and what is to be seen of it, at the
 * end of the turn. */
void pool_touch(struct pool *p);
struct strmap pool_tags_copy(struct arena *a, struct strmap tags);

/* --- requests: to the gossip loop and back ---------------------------------------------------- */

struct pool_request {
    struct loop_msg msg;
    struct list node;
    struct pool *pool;
    void (*run)(struct pool_request *r);    /* on the gossip loop; pool_request_answer() follows */
    void (*finish)(struct pool_request *r); /* on home; r is freed after it */
    struct err err;
    struct arena arena; /* of the arguments, then of the answer; one thread at a time */
    void *asked;        /* the caller's object */
    pool_done_fn done;
    void *data;
    struct gossip_address to;
    struct str name, payload;
    struct strmap tags;
    bool flag;
    struct serf_keys_asking asking;
    struct node_coordinate *coordinates;
    size_t coordinates_count;
};

struct pool_request *pool_request_new(struct pool *p, void (*run)(struct pool_request *r),
                                      void (*finish)(struct pool_request *r));
void pool_request_send(struct pool_request *r);
void pool_request_answer(struct pool_request *r);
void pool_requests_end(struct pool *p); /* pool_stop(): all are answered with ERR_CLOSED */
void pool_requests_free(struct pool *p);
void pool_left(struct pool *p, bool timed_out);

/* --- figures ---------------------------------------------------------------------------------- */

void pool_measure(void *data, enum serf_measure what, struct str name, double value);
void pool_count_traffic(struct pool *p); /* what swim has counted since the last time */

/* --- streams ---------------------------------------------------------------------------------- */

void pool_stream_accept(struct tcp_listener *l, int fd, const struct address *peer);
void pool_stream_dial(void *data, struct swim_stream *stream, const struct gossip_address *to);
void pool_stream_write(void *data, struct swim_stream *stream, struct str bytes);
void pool_stream_close(void *data, struct swim_stream *stream);

/* --- joins ------------------------------------------------------------------------------------ */

void pool_joined(void *data, uint64_t token, const struct err *err); /* on the gossip loop */
void pool_rejoin_start(struct pool *p);
void pool_joins_end(struct pool *p);
