#include "toy_fsm.h"

#include "base/buf.h"
#include "base/mem.h"
#include "raft/snapshot.h"

#include <sched.h>
#include <time.h>

static int toy_fsm_apply(void *fsm, uint64_t index, uint64_t term, struct str entry,
                         struct str extensions, struct raft_proposal *proposal)
{
    (void)extensions;
    struct toy *t = fsm;
    ASSERT(index > t->last_index && term > 0 && entry.n == 8);
    t->last_index = index;
    t->count++;
    t->sum += get_le64(entry.p);
    t->hash = t->hash * 31 + index * 7 + get_le64(entry.p);
    if (proposal != NULL) {
        container_of(proposal, struct toy_proposal, p)->result = t->count;
    }
    return t->fail_apply == index ? -ERR_INVALID : 0;
}

static void *toy_snapshot_begin(void *fsm, uint64_t last_index)
{
    (void)last_index;
    struct toy *copy = xmalloc(sizeof(*copy));
    *copy = *(struct toy *)fsm;
    ((struct toy *)fsm)->snapshots++;
    return copy;
}

static int toy_snapshot_write(void *handle, struct raft_snapshot_sink *sink, struct err *err)
{
    const struct toy *t = handle;
    if (t->fail_snapshot != 0) {
        return err_set(err, t->fail_snapshot, "the toy is broken");
    }
    char bytes[40];
    put_le64(bytes, TOY_MAGIC);
    put_le64(bytes + 8, t->count);
    put_le64(bytes + 16, t->sum);
    put_le64(bytes + 24, t->hash);
    put_le64(bytes + 32, t->last_index);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        int r = raft_snapshot_sink_write(sink, str_make(bytes + i, 1), err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void toy_snapshot_end(void *handle)
{
    mem_free(handle);
}

static int toy_state_new(void *fsm, struct str bytes, void **ret_state, struct err *err)
{
    (void)fsm;
    if (bytes.n != 40 || get_le64(bytes.p) != TOY_MAGIC) {
        return err_set(err, ERR_CORRUPT, "not a toy");
    }
    *ret_state = xmemdup(bytes.p, bytes.n);
    return 0;
}

static void toy_state_take(void *fsm, void *take_state)
{
    struct toy *t = fsm;
    const char *bytes = take_state;
    t->count = get_le64(bytes + 8);
    t->sum = get_le64(bytes + 16);
    t->hash = get_le64(bytes + 24);
    t->last_index = get_le64(bytes + 32);
    t->restores++;
    mem_free(take_state);
}

static void toy_state_free(void *fsm, void *state)
{
    (void)fsm;
    mem_free(state);
}

static bool toy_batch_end(void *fsm)
{
    struct toy *t = fsm;
    t->batches++;
    t->published = t->count;
    return false;
}

void toy_init(struct toy *t)
{
    *t = (struct toy){.ops = {.apply = toy_fsm_apply,
                              .snapshot_begin = toy_snapshot_begin,
                              .snapshot_write = toy_snapshot_write,
                              .snapshot_end = toy_snapshot_end,
                              .state_new = toy_state_new,
                              .state_take = toy_state_take,
                              .state_free = toy_state_free,
                              .batch_end = toy_batch_end}};
}

static void toy_done(struct raft_proposal *proposal, int code, uint64_t index)
{
    struct toy_proposal *p = container_of(proposal, struct toy_proposal, p);
    if (code == 0 && p->toy != NULL) {
        ASSERT(p->toy->published >= p->result); /* what it did can be seen by now */
    }
    p->code = code;
    p->index = index;
    atomic_store(&p->state, 1);
}

void toy_propose(struct raft *r, struct toy *t, struct toy_proposal *p, uint64_t number)
{
    put_le64(p->bytes, number);
    p->p = (struct raft_proposal){.entry = {p->bytes, 8}, .done = toy_done};
    p->toy = t;
    p->result = 0;
    atomic_store(&p->state, 0);
    raft_propose(r, &p->p);
}

void toy_barrier(struct raft *r, struct toy *t, struct toy_proposal *p)
{
    p->p = (struct raft_proposal){.done = toy_done};
    p->toy = t;
    p->result = 0;
    atomic_store(&p->state, 0);
    raft_barrier(r, &p->p);
}

int toy_wait(struct toy_proposal *p)
{
    for (int i = 0; atomic_load(&p->state) == 0; i++) {
        if (i < 10) {
            sched_yield();
        } else {
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
        }
    }
    return p->code;
}

int toy_apply(struct raft *r, struct toy *t, uint64_t number)
{
    struct toy_proposal p;
    toy_propose(r, t, &p, number);
    return toy_wait(&p);
}
