/* pool_threads.h - the insides of struct gossip_threads: shared by the pools that run on it. */
#pragma once
#include "base/list.h"

struct loop;

struct gossip_threads {
    struct loop *gossip, *files;
    struct list
        pools;        /* struct pool, threads_node; all that were made and are not freed for good */
    uint32_t running; /* pools that were started and not stopped */
    uint32_t alive;   /* pools that were not freed */
    bool has_started;
};
