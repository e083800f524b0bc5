/* core.h - Raft as a pure state machine: events in, outputs out. No clock, files, sockets, threads,
 * randomness of its own or logging; the node around it does what the outputs say.
 *
 *     struct raft_core_out out = {0};
 *     raft_core_step(core, &event, &out);     a tick, a message, a proposal, a completed sync
 *     for each out.v[i], in order:            persist the vote, cut or extend the log, send, apply
 *     raft_core_out_clear(&out);
 *
 * The core knows of the log only its shape (indexes, terms, what is durable), never its bytes:
 * to send entries it names a range and the node reads them; received and proposed entries pass
 * through as pointers. What an output points at is valid until the next step.
 *
 * Outputs are ordered. RAFT_OUT_PERSIST must be durable before a later output is acted upon. Log
 * writes are not waited for: the node reports RAFT_EVENT_DURABLE when they are synced, and what
 * depends on them (a follower's answer, the leader's own share in a majority) comes out then.
 *
 * The rules, the failure modes and how this talks with servers of HashiCorp Raft: docs/raft.md. */
#pragma once
#include "base/vec.h"
#include "raft/configuration.h"
#include "raft/entry.h"

struct raft_core;

#define RAFT_APPEND_COUNT_MAX 64u            /* entries in one message, as the reference's */
#define RAFT_APPEND_SIZE_MAX (1024u * 1024u) /* and of their data, or one entry */
#define RAFT_PIPELINE_MAX 128u               /* messages under way to a server */
/* And of entries in them, but for the last one. */
#define RAFT_PIPELINE_SIZE_MAX (16u * 1024u * 1024u)
#define RAFT_ACKS_MAX 512u /* messages of the leader not answered yet */
#define RAFT_VERIFY_MAX 1024u

/* --- messages --- */

enum raft_msg_kind {
    RAFT_MSG_APPEND,
    RAFT_MSG_APPEND_RESULT,
    RAFT_MSG_VOTE,
    RAFT_MSG_VOTE_RESULT,
    RAFT_MSG_INSTALL,
    RAFT_MSG_INSTALL_RESULT,
    RAFT_MSG_TIMEOUT_NOW,
};

/* The fields of one kind. A result repeats the `token` of the request it answers: the transport
 * keeps the two together, on the wire of the reference there is none. */
struct raft_msg {
    enum raft_msg_kind kind;
    uint64_t term;
    uint64_t token; /* of the sender of the request; 0 in TIMEOUT_NOW */
    union {
        struct {
            struct str leader; /* its address */
            uint64_t prev_index, prev_term, commit_index;
            uint64_t count;             /* entries prev_index + 1 ... */
            struct raft_entry *entries; /* received only; sent: the node reads them */
            uint64_t interval_ms;       /* heartbeats come so often; 0: not said (reference) */
        } append;                       /* a heartbeat has zeros throughout */
        struct {
            bool success, no_backoff;
            uint64_t last_index;     /* of the answering log: a hint */
            uint64_t conflict_index; /* where the conflicting term begins; 0: unknown (reference) */
            uint64_t prev_index, count; /* of the request; filled in by the transport */
            uint64_t round;             /* likewise: sent in `token` */
        } append_result;
        struct {
            struct str candidate; /* its address */
            uint64_t last_index, last_term;
            bool transfer; /* the leader wishes it */
            bool pre;      /* asks whether it could win; changes nothing */
        } vote;
        struct {
            bool granted, pre;
            bool unsupported; /* a server that knows no pre-vote; made by the transport */
        } vote_result;
        struct {
            struct str leader;
            uint64_t index, term; /* of the snapshot's last entry */
            struct raft_configuration configuration;
            uint64_t configuration_index;
            /* Between nodes, not the core's: the bytes are to be kept under the number `stage`; or
             * what is kept under it takes the place of the bytes. */
            bool pre;
            uint64_t stage;
        } install; /* sent: the node fills it from the snapshot it opens */
        struct {
            bool success;
            bool pre;       /* of the request; filled in by the transport */
            uint64_t index; /* of the request; filled in by the transport */
        } install_result;
    };
};

/* --- events --- */

enum raft_event_kind {
    RAFT_EVENT_TICK,        /* now_ms has passed; see raft_core_deadline_ms() */
    RAFT_EVENT_MESSAGE,     /* msg; results: from which server */
    RAFT_EVENT_UNREACHABLE, /* a request to `server` had no answer; what was under way is lost */
    RAFT_EVENT_PROPOSE,     /* entries: type and data; index and term are written into them */
    RAFT_EVENT_WAITED,      /* until now the node was busy with what the step before put out */
    RAFT_EVENT_DURABLE,     /* the log is synced up to index, whose term was term */
    RAFT_EVENT_COMPACTED, /* a snapshot of index and term is stored; first_index is the log's now */
    RAFT_EVENT_INSTALLED, /* the snapshot announced by RAFT_OUT_INSTALL: stored and restored, or not
                           */
    RAFT_EVENT_RESTORING, /* the leader's state is being replaced: nothing is taken into the log */
    RAFT_EVENT_RESTORED,  /* that is over; ok: by a stored snapshot of index (beyond the log) and
                             term */
    RAFT_EVENT_CHANGE,    /* of the configuration */
    RAFT_EVENT_TRANSFER,  /* hand leadership to `server`, or to the best when empty */
    RAFT_EVENT_VERIFY,    /* am I leader still? answered by RAFT_OUT_VERIFIED with token */
    RAFT_EVENT_LOG_FAILED, /* entries after index are gone: the disk failed; step down */
};

struct raft_core_event {
    enum raft_event_kind kind;
    uint64_t now_ms;   /* every event tells the time; it never goes back */
    struct str server; /* id */
    const struct raft_msg *msg;
    struct raft_entry *entries;
    size_t count;
    uint64_t index, term, first_index, token;
    bool ok;
    enum raft_change change;
    struct str address;
    uint64_t prev_index; /* CHANGE: only upon this configuration; 0: any */
    const struct raft_configuration *configuration; /* INSTALLED */
    uint64_t configuration_index;
};

/* --- outputs --- */

enum raft_out_kind {
    RAFT_OUT_PERSIST,       /* term and vote: durable before what follows */
    RAFT_OUT_TRUNCATE,      /* remove the log's entries from index on */
    RAFT_OUT_APPEND,        /* add entries (count of them) to the log; report DURABLE */
    RAFT_OUT_RESET,         /* the log is now empty and continues at index */
    RAFT_OUT_SEND,          /* msg to server, a request at `address` */
    RAFT_OUT_REPLY,         /* msg, to the request of msg.token */
    RAFT_OUT_COMMIT,        /* apply up to index */
    RAFT_OUT_ROLE,          /* state, term or leader changed */
    RAFT_OUT_CONFIGURATION, /* a new one is in force (not yet committed) */
    RAFT_OUT_INSTALL,       /* receive the snapshot of request msg.token; report INSTALLED */
    RAFT_OUT_VERIFIED,      /* token, code */
    RAFT_OUT_TRANSFERRED,   /* code */
};

struct raft_core_output {
    enum raft_out_kind kind;
    uint64_t index, term, token;
    int code;
    enum raft_state state;
    struct str server, address; /* SEND: to whom; PERSIST: server is the vote; ROLE: the leader */
    struct raft_entry *entries;
    size_t count;
    struct raft_msg msg;
};

struct raft_core_out {
    struct raft_core_output *v;
    size_t n, cap;
};

static inline void raft_core_out_clear(struct raft_core_out *out)
{
    out->n = 0;
}
void raft_core_out_deinit(struct raft_core_out *out);

/* --- life --- */

struct raft_core_options {
    struct str id, address;
    /* A follower that hears nothing for this long asks for votes, an election that takes longer
     * begins again, a leader that hears of no majority for this long steps down: at the latest, and
     * with servers that know no better; see docs/raft.md, "Time". */
    uint64_t heartbeat_timeout_ms, election_timeout_ms, lease_timeout_ms;
    uint64_t commit_timeout_ms; /* followers learn of a commit this late at the latest */
    bool pre_vote;
    uint64_t seed, now_ms;
    /* How many of count_max entries from index on make one message of size_max bytes (at least one
     * is told), and their bytes. They are in the log, or among those of the event whose step is
     * under way. NULL: all, and they count for nothing. */
    uint64_t (*fit)(void *data, uint64_t index, uint64_t count_max, uint64_t size_max,
                    uint64_t *ret_size);
    void *fit_data;

    /* What was found on disk. */
    uint64_t term;
    struct str voted_for;
    uint64_t snapshot_index, snapshot_term;
    uint64_t log_first_index, log_last_index;
    const struct raft_term_run *runs; /* the log's terms; copied */
    size_t runs_count;
    const struct raft_configuration *committed, *latest; /* NULL: none */
    uint64_t committed_index, latest_index;
};

struct raft_core *raft_core_new(const struct raft_core_options *options);
struct raft_core *raft_core_free(struct raft_core *c);

/* 0, or the refusal of a proposal, change, transfer or verify: -ERR_NO_LEADER, -ERR_AGAIN (a
 * transfer or another change is under way), -ERR_INVALID (err says what), -ERR_RATE_LIMIT. */
int raft_core_step(struct raft_core *c, const struct raft_core_event *event,
                   struct raft_core_out *out, struct err *err);

/* When the next TICK is due. */
uint64_t raft_core_deadline_ms(const struct raft_core *c);

/* --- what it knows --- */

enum raft_state raft_core_state(const struct raft_core *c);
uint64_t raft_core_term(const struct raft_core *c);
uint64_t raft_core_commit_index(const struct raft_core *c);
uint64_t raft_core_last_index(const struct raft_core *c);
struct str raft_core_leader_address(const struct raft_core *c); /* empty: unknown */
const struct raft_configuration *raft_core_configuration(const struct raft_core *c,
                                                         uint64_t *ret_index);
const struct raft_configuration *raft_core_committed_configuration(const struct raft_core *c,
                                                                   uint64_t *ret_index);
/* Whether the first entry of this leader's term is committed: before that its state may be old. */
bool raft_core_is_ready(const struct raft_core *c);
uint64_t raft_core_last_contact_ms(const struct raft_core *c, uint64_t now_ms);

struct raft_peer_status {
    struct str id;
    uint64_t match_index, next_index, contact_ms; /* last answer; 0: none yet */
    bool is_snapshotting;
};
/* Of the leader; false when i is past the last. */
bool raft_core_peer(const struct raft_core *c, size_t i, struct raft_peer_status *ret);
