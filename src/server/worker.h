/* worker.h - what each worker thread has of its own: its loop, the calls parked on it, a source of
 * randomness, recycled memory. HTTP and DNS connections live on one worker each; nothing here is
 * shared, so nothing here is locked. */
#pragma once
#include "base/rand.h"
#include "loop/loop.h"

struct server;
struct watch_registry;

struct worker {
    struct loop *loop;
    struct server *server;
    struct rng rng;
    struct watch_registry *watches; /* of the calls parked here */
    struct list parked;
    uint32_t id;                    /* 0.. */
    struct rpc_pool *pool;          /* rpc.c's recycled calls */
};
