#include "raft/disk.h"

static void *disk_run(void *data)
{
    struct disk *d = data;
    while (!atomic_load(&d->stop)) {
        if (atomic_load(&d->state) != DISK_BUSY) {
            wake_wait(&d->wake, WAKE_FOREVER);
            continue;
        }
        d->result = raft_log_batch_write(d->batch, &d->err);
        atomic_store(&d->state, DISK_DONE);
        wake_post(d->owner);
    }
    return NULL;
}

int disk_start(struct disk *d, struct wake *owner)
{
    *d = (struct disk){.owner = owner};
    int r = pthread_create(&d->thread, NULL, disk_run, d);
    d->started = r == 0;
    if (d->started) {
        (void)pthread_setname_np(d->thread, "raft-disk");
    }
    return -r;
}

void disk_submit(struct disk *d, struct raft_log_batch *batch)
{
    ASSERT(atomic_load(&d->state) == DISK_IDLE);
    d->batch = batch;
    err_clear(&d->err);
    atomic_store(&d->state, DISK_BUSY);
    wake_post(&d->wake);
}

bool disk_poll(struct disk *d, struct raft_log_batch **ret_batch, int *ret_result)
{
    if (atomic_load(&d->state) != DISK_DONE) {
        return false;
    }
    *ret_batch = d->batch;
    *ret_result = d->result;
    atomic_store(&d->state, DISK_IDLE);
    return true;
}

void disk_stop(struct disk *d)
{
    if (d->started) {
        atomic_store(&d->stop, true);
        wake_post(&d->wake);
        pthread_join(d->thread, NULL);
        d->started = false;
    }
}
