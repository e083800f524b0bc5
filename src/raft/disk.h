/* disk.h - the thread that waits for the disk, so that the raft thread does not.
 *
 *     disk_start(&d, &owner_wake);
 *     disk_submit(&d, batch);               one at a time
 *     if (disk_poll(&d, &batch, &result))   after owner_wake was posted
 */
#pragma once
#include "raft/log.h"
#include "raft/wake.h"

#include <pthread.h>

enum disk_state { DISK_IDLE, DISK_BUSY, DISK_DONE };

struct disk {
    pthread_t thread;
    bool started;
    struct wake wake, *owner;
    _Atomic int state; /* BUSY: the job is the disk thread's; else the owner's */
    _Atomic bool stop;
    struct raft_log_batch *batch;
    int result;
    struct err err; /* what failed; the owner's while not busy */
};

NODISCARD int disk_start(struct disk *d, struct wake *owner);
void disk_submit(struct disk *d, struct raft_log_batch *batch);
bool disk_poll(struct disk *d, struct raft_log_batch **ret_batch, int *ret_result);
void disk_stop(struct disk *d); /* idle; joins */
