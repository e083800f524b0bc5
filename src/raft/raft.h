/* raft.h - what the rest of the program knows of consensus: propose an entry, be told when it is
 * applied, ask who leads.
 *
 * One thread owns the node (the raft thread): it takes proposals, appends them to the log, applies
 * committed entries through raft_fsm_ops, and publishes its status. One disk thread writes and
 * syncs the log; a snapshot has a thread of its own while it is written. Proposals that arrive
 * while a sync is under way share the next one (group commit).
 *
 * With one voter the node elects itself at start. Servers that vote together come behind this same
 * header: nothing above it changes.
 *
 * Durable: a proposal is done only after the entry is synced, committed and applied. With
 * raft_options.in_memory there is no log on disk, the path is the same. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"

#include <stdatomic.h>

struct raft;
struct raft_configuration;
struct raft_io;

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
};

/* Any thread. Never blocks; answers through p->done (also refusals). */
void raft_propose(struct raft *r, struct raft_proposal *p);
/* An entry of no content: done when everything before it has been applied. */
void raft_barrier(struct raft *r, struct raft_proposal *p);

/* The state machine, called on the raft thread only. */
struct raft_snapshot_sink; /* raft/snapshot.h: write bytes, any thread */
struct raft_fsm_ops {
    /* Apply one committed command. proposal is that of this node, or NULL (replay, or another
     * server's): the result goes there. */
    void (*apply)(void *fsm, uint64_t index, uint64_t term, struct str entry,
                  struct raft_proposal *proposal);
    /* Take a point-in-time handle (cheap: an immutable root, pinned); written later on the disk
     * thread. */
    void *(*snapshot_begin)(void *fsm, uint64_t last_index);
    NODISCARD int (*snapshot_write)(void *handle, struct raft_snapshot_sink *sink, struct err *err);
    void (*snapshot_end)(void *handle);
    /* Replace all state by a snapshot's; the whole stream lies in memory or is mapped. */
    NODISCARD int (*restore)(void *fsm, struct str bytes, struct err *err);
    /* After a batch of applies: publish, wake, collect garbage. */
    void (*batch_end)(void *fsm);
};

enum raft_state { RAFT_FOLLOWER, RAFT_CANDIDATE, RAFT_LEADER, RAFT_SHUTDOWN };

struct raft_status { /* a copy, of one moment */
    enum raft_state state;
    uint64_t term, last_log_index, last_log_term, commit_index, applied_index;
    uint64_t last_snapshot_index, last_snapshot_term;
    uint64_t fsm_pending;
    uint64_t last_contact_ms; /* since the leader was heard; 0 on the leader */
    uint64_t peers;           /* other voters */
    char leader_address[64];  /* host:port, "" when none is known */
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
    uint64_t snapshot_threshold, snapshot_interval_ms, trailing_logs;
    const struct raft_fsm_ops *ops;
    void *fsm;
    /* Called on the raft thread when leadership is gained (after the barrier) or lost. */
    void (*leadership)(void *data, bool is_leader);
    void *leadership_data;
};

/* Opens or makes the state, restores the newest good snapshot and replays the log, then starts the
 * threads. */
NODISCARD int raft_start(const struct raft_options *options, struct raft **ret_raft,
                         struct err *err);
/* Finish what is under way, sync, stop the threads. Proposals left get -ERR_CLOSED. */
void raft_stop(struct raft *r);
struct raft *raft_free(struct raft *r);

void raft_status(const struct raft *r,
                 struct raft_status *ret_status); /* any thread, no lock held long */
bool raft_is_leader(const struct raft *r);        /* any thread, one atomic load */
/* The latest configuration and the entry it came with; any thread. */
void raft_get_configuration(struct raft *r, struct raft_configuration *ret_configuration,
                            uint64_t *ret_index);
/* One restore, embedded in the caller's object, which must live until `done`. */
struct raft_restore {
    struct raft_restore *next; /* raft's */
    uint64_t index;            /* what the state says it is of: it will be restored beyond */
    struct str bytes;          /* what snapshot_write wrote; the caller's until done */
    /* Called on the raft thread (or, when the node is closed, the caller's): 0, and restored_index
     * is set, or negative with err. */
    void (*done)(struct raft_restore *q, int code);
    uint64_t restored_index;
    struct err err;
};
/* Put another state in the place of everything, durably, at an index beyond the log's last. What
 * was proposed before is applied before. Refused without a trace when the state machine does not
 * take it; -ERR_NO_LEADER on a server that does not lead. Any thread. */
void raft_restore(struct raft *r, struct raft_restore *q);
/* Ask for a snapshot now; `done(data, code)` on the raft thread when it is stored. */
void raft_snapshot(struct raft *r, void (*done)(void *data, int code), void *data);
