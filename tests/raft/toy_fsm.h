/* toy_fsm.h - a state machine for tests: the number, the sum and the order of the commands it has
 * seen. A command is 8 bytes, its number; its result goes to the proposal. */
#pragma once
#include "raft/raft.h"

#define TOY_MAGIC 0x796f74u /* its snapshot: this, count, sum, hash, last index; 8 bytes each */

struct toy {
    struct raft_fsm_ops ops;
    uint64_t count, sum, hash; /* hash depends on order and indexes */
    uint64_t last_index, batches, published;
    uint64_t restores, snapshots;
    int fail_snapshot;
    uint64_t fail_apply; /* the entry that it does not take */
};

struct toy_proposal {
    struct raft_proposal p;
    char bytes[8];
    uint64_t result;   /* count after it */
    _Atomic int state; /* 0 waiting, 1 done */
    int code;
    uint64_t index;
    struct toy *toy;
};

void toy_init(struct toy *t);
void toy_propose(struct raft *r, struct toy *t, struct toy_proposal *p, uint64_t number);
void toy_barrier(struct raft *r, struct toy *t, struct toy_proposal *p);
/* Wait until it is answered; its code. */
int toy_wait(struct toy_proposal *p);
/* Propose and wait. */
int toy_apply(struct raft *r, struct toy *t, uint64_t number);
