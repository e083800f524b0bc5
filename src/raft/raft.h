/* raft.h - what the rest of the program knows of consensus: propose an entry, be told when it is
 * applied, ask who leads, change who votes.
 *
 * One thread owns the node (the raft thread, an event loop): it takes proposals, steps the core
 * (core/core.h), appends to the log, talks with the other servers through a transport
 * (transport.h), applies committed entries through raft_fsm_ops, and publishes its status. One disk
 * thread writes and syncs the log; a snapshot being written, received or restored has a thread of
 * its own. Nothing that waits for a disk but a vote runs on the raft thread, so heartbeats never
 * wait behind one. Proposals that arrive while a sync is under way share the next (group commit).
 *
 * A lone voter elects itself at start and needs no transport.
 *
 * Durable: a proposal is done only after the entry is durable on a majority, committed, and applied
 * here. With raft_options.in_memory there is no log on disk, the path is the same. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"

#include <stdatomic.h>

struct loop;
struct raft;
struct raft_configuration;
struct raft_env;
struct raft_io;
struct raft_transport;

/* Log entry types of the consensus layer itself (HashiCorp Raft's LogType). */
enum raft_entry_type {
    RAFT_ENTRY_COMMAND = 0, /* for the state machine */
    RAFT_ENTRY_NOOP = 1,    /* first entry of a term */
    RAFT_ENTRY_BARRIER = 4,
    RAFT_ENTRY_CONFIGURATION = 5, /* the voters */
};

#define RAFT_ENTRY_SIZE_MAX (64u * 1024u * 1024u)
#define RAFT_PENDING_MAX 65536u /* proposals under way; past it ERR_RATE_LIMIT */
#define RAFT_PENDING_SIZE_MAX (256u * 1024u * 1024u)

/* One proposal, embedded in the caller's object, which must live until `done`. */
struct raft_proposal {
    struct list node; /* raft.c's */
    struct str entry; /* message type byte + msgpack; the caller's until done */
    /* Called on the raft thread, once: code 0 and the index it was applied at, or negative
     * (-ERR_NO_LEADER, -ERR_LEADERSHIP_LOST, -ERR_RATE_LIMIT, -ERR_TOO_LARGE, -ERR_CLOSED). After
     * -ERR_LEADERSHIP_LOST the entry may still come to be applied. Only a proposal made after
     * raft_stop() is answered at once, on the caller's thread. The batch it was applied in has been
     * published (batch_end) before. Must not block. */
    void (*done)(struct raft_proposal *p, int code, uint64_t index);
    /* raft.c's, too: */
    struct raft_proposal *next; /* of the inbound queue */
    enum raft_entry_type type;
    uint64_t index;
    uint64_t proposed_ns; /* to measure by */
};

/* Any thread. Never blocks; answers through p->done (also refusals). */
void raft_propose(struct raft *r, struct raft_proposal *p);
/* An entry of no content: done when everything before it has been applied. */
void raft_barrier(struct raft *r, struct raft_proposal *p);

/* The state machine, called on the raft thread only. */
struct raft_snapshot_sink; /* raft/snapshot.h: write bytes, any thread */
struct raft_fsm_ops {
    /* Apply one committed command; extensions: what its leader has put beside it, usually nothing
     * (Consul's: which piece of a large entry it is). proposal is that of this node, or NULL
     * (replay, or another server's): the result goes there. Negative when it cannot be applied
     * here: the node halts, for going on would make this server's state another than that of the
     * others. */
    NODISCARD int (*apply)(void *fsm, uint64_t index, uint64_t term, struct str entry,
                           struct str extensions, struct raft_proposal *proposal);
    /* Take a point-in-time handle (cheap: an immutable root, pinned); written later on a thread of
     * the snapshot's own. */
    void *(*snapshot_begin)(void *fsm, uint64_t last_index);
    NODISCARD int (*snapshot_write)(void *handle, struct raft_snapshot_sink *sink, struct err *err);
    void (*snapshot_end)(void *handle);
    /* Make another state of a snapshot's bytes, beside the one there is, which goes on meanwhile.
     * Any thread. It ends in state_take() or state_free(). */
    NODISCARD int (*state_new)(void *fsm, struct str bytes, void **ret_state, struct err *err);
    /* Put it in the place of all there is; cheap. */
    void (*state_take)(void *fsm, void *take_state);
    /* Any thread. */
    void (*state_free)(void *fsm, void *state);
    /* After a batch of applies, or a restore: publish, wake, collect garbage. True: there is more
     * to collect, call again soon. */
    bool (*batch_end)(void *fsm);
};

enum raft_state { RAFT_FOLLOWER, RAFT_CANDIDATE, RAFT_LEADER, RAFT_SHUTDOWN };

struct raft_status { /* a copy, of one moment */
    enum raft_state state;
    uint64_t term, last_log_index, last_log_term, commit_index, applied_index;
    uint64_t last_snapshot_index, last_snapshot_term;
    uint64_t fsm_pending;
    uint64_t last_contact_ms; /* since the leader was heard; 0 on the leader */
#define RAFT_CONTACT_NEVER UINT64_MAX
    uint64_t peers;          /* other voters */
    char leader_address[64]; /* host:port, "" when none is known */
    char leader_id[40];
    uint64_t configuration_index;
};

struct raft_options {
    const char *data_dir; /* <data-dir>/raft; ignored with in_memory */
    bool in_memory;
    struct raft_io *io;       /* NULL: the machine's files (raft/io.h); tests bring their own */
    struct str local_id;      /* node id (raft protocol 3) */
    struct str local_address; /* host:port of RPC */
    bool bootstrap;           /* form a cluster of this one voter when there is no state */
    /* peers.json: take this configuration in the place of the one that is found. NULL: none. */
    const struct raft_configuration *recover;
    uint64_t snapshot_threshold, snapshot_interval_ms, trailing_logs; /* 0: the defaults */
    /* 0: RAFT_*_TIMEOUT_MS_DEFAULT. Consul multiplies the defaults by raft_multiplier. */
    uint64_t heartbeat_timeout_ms, election_timeout_ms, lease_timeout_ms, commit_timeout_ms;
    /* The loop of the raft thread, not running yet: raft_start() gives it a thread. NULL: the node
     * makes one. A transport belongs to the same loop. */
    struct loop *loop;
    struct raft_transport *transport; /* NULL: there are no other servers. Freed by raft_free() */
    struct raft_env *env;             /* NULL: real time and threads (raft/env.h); tests only */
    uint64_t salt_seed;               /* of the log's segments; 0: from the system */
    uint64_t log_segment_size;        /* 0: RAFT_SEGMENT_SIZE, in memory a quarter of it */
    const struct raft_fsm_ops *ops;
    void *fsm;
    /* Called on the raft thread when leadership is gained (after everything of the terms before has
     * been applied) or lost. */
    void (*leadership)(void *data, bool is_leader);
    void *leadership_data;
    /* Called on the raft thread when another leader (or none) is known, or the configuration
     * changed: raft_status() and raft_get_configuration() say what is. May be NULL. */
    void (*observe)(void *data);
};

#define RAFT_HEARTBEAT_TIMEOUT_MS_DEFAULT 1000u
#define RAFT_ELECTION_TIMEOUT_MS_DEFAULT 1000u
#define RAFT_LEASE_TIMEOUT_MS_DEFAULT 500u
#define RAFT_COMMIT_TIMEOUT_MS_DEFAULT 50u

/* Opens or makes the state, restores the newest good snapshot and replays the log, then starts the
 * threads. */
NODISCARD int raft_start(const struct raft_options *options, struct raft **ret_raft,
                         struct err *err);
/* Finish what is under way, sync, stop the threads. Proposals and requests left get -ERR_CLOSED.
 * With an env of one's own: on the raft thread, and what is under way is not waited for longer than
 * its jobs take. */
void raft_stop(struct raft *r);
struct raft *raft_free(struct raft *r);

void raft_status(const struct raft *r,
                 struct raft_status *ret_status); /* any thread, no lock held long */
bool raft_is_leader(const struct raft *r);        /* any thread, one atomic load */
/* The latest configuration and the entry it came with; any thread. */
void raft_get_configuration(struct raft *r, struct raft_configuration *ret_configuration,
                            uint64_t *ret_index);

/* --- requests: anything asked of the node that is not a proposal --------------------------------
 */

enum raft_request_kind {
    RAFT_REQUEST_VERIFY,    /* do I lead, as of after this was asked? 0, -ERR_NO_LEADER,
                               -ERR_LEADERSHIP_LOST */
    RAFT_REQUEST_CHANGE,    /* of the configuration; done when it is committed */
    RAFT_REQUEST_TRANSFER,  /* of leadership, to `id` or, when empty, the most advanced voter */
    RAFT_REQUEST_BOOTSTRAP, /* form a cluster of `configuration`; -ERR_EXISTS when there is state */
    RAFT_REQUEST_SNAPSHOT,  /* take one now; done when it is stored */
    RAFT_REQUEST_RESTORE,   /* put `bytes` in the place of all state, durably, beyond the log's last
                               index; restored_index is then set */
};

/* Embedded in the caller's object, which must live until `done`. */
struct raft_request {
    struct raft_request *next; /* raft's */
    enum raft_request_kind kind;
    /* CHANGE: an enum raft_change of configuration.h, of the server id at address; only upon the
     * configuration of prev_index, when it is not 0. */
    int change;
    char id[128], address[128];
    uint64_t prev_index;
    const struct raft_configuration *configuration; /* BOOTSTRAP; the caller's until done */
    struct str bytes;        /* RESTORE: what snapshot_write wrote; the caller's until done */
    uint64_t snapshot_index; /* RESTORE: what the state says it is of: it will be restored beyond */
    /* Called once, on the raft thread (or, when the node is closed, the caller's): 0, or negative
     * with err. Must not block. */
    void (*done)(struct raft_request *q, int code);
    uint64_t restored_index;
    struct err err;
    uint64_t token; /* raft's */
};

/* Any thread. Never blocks. CHANGE, TRANSFER and RESTORE are the leader's: elsewhere
 * -ERR_NO_LEADER; -ERR_AGAIN while another change or transfer is under way. */
void raft_request(struct raft *r, struct raft_request *q);
