/* internal.h - the state of the core, which its files share. */
#pragma once
#include "base/mem.h"
#include "base/rand.h"
#include "raft/core/core.h"

/* The log's shape. */
struct core_log {
    uint64_t first_index, last_index, durable_index;
    uint64_t snapshot_index, snapshot_term;
    VEC(struct raft_term_run) runs;
};

enum peer_mode {
    PEER_PROBE,    /* where do our logs part? one message at a time */
    PEER_PIPELINE, /* in step: the next message does not wait for the answer */
    PEER_SNAPSHOT, /* too far behind for the log */
};

enum peer_vote { VOTE_NONE, VOTE_ASKED, VOTE_GRANTED, VOTE_REFUSED /* or lost */ };

struct peer {
    char id[RAFT_NAME_SIZE_MAX + 1], address[RAFT_NAME_SIZE_MAX + 1];
    bool is_voter;
    enum peer_mode mode;
    uint64_t next_index, match_index;
    uint64_t commit_sent;
    bool is_asked; /* probing: the message is under way */
    struct {       /* pipelined messages that are, oldest first */
        struct {
            uint64_t last_index;
            uint64_t size;
        } v[RAFT_PIPELINE_MAX];
        uint32_t first, count;
        uint64_t size; /* of all */
    } flight;
    uint32_t failures;
    uint64_t retry_ms;   /* not before; after failures */
    uint64_t contact_ms; /* the last answer */
    uint64_t round;      /* the last heartbeat round answered */
    enum peer_vote vote; /* in the term for which we stand */
    bool pre_granted;    /* it says that we could win the next one */
};

struct ack { /* an APPEND whose answer waits for the disk */
    uint64_t token, last_index;
};

struct verify {
    uint64_t token, round;
};

struct raft_core {
    char id[RAFT_NAME_SIZE_MAX + 1], address[RAFT_NAME_SIZE_MAX + 1];
    uint64_t heartbeat_timeout_ms, election_timeout_ms, lease_timeout_ms, commit_timeout_ms;
    uint64_t interval_ms; /* between heartbeats of ours */
    uint64_t quick_ms;    /* silence that means something where heartbeats come at that pace */
    uint64_t follow_ms;   /* the same for the leader of now, from what it says of its pace */
    uint64_t started_ms;
    bool pre_vote;
    uint64_t (*fit)(void *data, uint64_t index, uint64_t count_max, uint64_t size_max,
                    uint64_t *ret_size);
    void *fit_data;
    struct rng rng;
    uint64_t now_ms;

    uint64_t term;
    char voted_for[RAFT_NAME_SIZE_MAX + 1];
    enum raft_state state;
    char leader[RAFT_NAME_SIZE_MAX + 1]; /* address */
    uint64_t leader_heard_ms;
    uint64_t silent_since_ms; /* the same, but for the time in which we could not listen */
    uint64_t voted_ms;        /* when it gave a vote to another; 0: and a leader came of it */
    uint64_t election_at_ms;  /* follower, candidate: when to ask for votes */
    uint32_t elections;       /* terms that began since there was a leader */

    struct core_log log;
    uint64_t commit_index; /* known to be */
    uint64_t commit_out;   /* told to the node: not above what is durable here */
    struct raft_configuration committed, latest;
    uint64_t committed_index, latest_index;

    /* Candidate. It asks again (is_pre) in the term for which it stands: votes that come late count
     * as long as no other has begun. */
    bool is_pre, is_transfer, is_standing;
    bool is_lost; /* whoever has not answered cannot make it a majority */

    /* Leader; the candidate's votes are in it, too. */
    struct peer peers[RAFT_SERVERS_MAX]; /* the others of `latest` */
    size_t peers_count;
    uint64_t term_start; /* index of the first entry of this term */
    uint64_t heartbeat_at_ms, lease_at_ms, commit_notice_at_ms;
    uint64_t round;
    struct verify verifies[RAFT_VERIFY_MAX];
    size_t verifies_count;
    char transfer[RAFT_NAME_SIZE_MAX + 1]; /* to this id; "" when none */
    uint64_t transfer_at_ms;               /* until when */
    bool transfer_sent;

    /* Follower. */
    struct ack acks[RAFT_ACKS_MAX];
    size_t acks_first, acks_count;
    uint64_t install_token;
    bool is_installing;
    bool is_restoring; /* a leader's; it may have stopped leading since */

    struct buf scratch; /* an entry of the core's own making, until the next step */
    struct raft_entry own;
};

/* core.c */
struct raft_core_output *core_put(struct raft_core_out *out, enum raft_out_kind kind);
void core_role_out(struct raft_core *c, struct raft_core_out *out);
void core_persist(struct raft_core *c, struct raft_core_out *out);
/* Follow in `term` (at least ours); the vote is forgotten when it is a new one. */
void core_follow(struct raft_core *c, uint64_t term, struct raft_core_out *out);
void core_commit_out(struct raft_core *c, struct raft_core_out *out);
void core_set_name(char to[RAFT_NAME_SIZE_MAX + 1], struct str name);
struct peer *core_peer(struct raft_core *c, struct str id);

/* core_log.c */
uint64_t core_term_at(const struct core_log *l, uint64_t index); /* 0: not known */
uint64_t core_last_term(const struct core_log *l);
/* The first index of the run of equal terms that holds index. */
uint64_t core_run_start(const struct core_log *l, uint64_t index);
void core_log_append(struct core_log *l, uint64_t index, uint64_t term);
void core_log_truncate(struct core_log *l, uint64_t index); /* from index on */
void core_log_compact(struct core_log *l, uint64_t first_index);
void core_log_reset(struct core_log *l, uint64_t snapshot_index, uint64_t snapshot_term);

/* election.c */
void core_election_defer(struct raft_core *c); /* a new random deadline from now */
void core_election_hasten(struct raft_core *c); /* one from now, if that is sooner */
void core_on_waited(struct raft_core *c, uint64_t ms);
void core_election_lost_peer(struct raft_core *c, struct peer *p); /* no answer will come */
void core_campaign(struct raft_core *c, bool pre, bool transfer, struct raft_core_out *out);
void core_on_vote(struct raft_core *c, const struct raft_msg *m, struct raft_core_out *out);
void core_on_vote_result(struct raft_core *c, struct peer *p, const struct raft_msg *m,
                         struct raft_core_out *out);
bool core_may_campaign(const struct raft_core *c);

/* leader.c */
void core_lead(struct raft_core *c, struct raft_core_out *out);
void core_leader_tick(struct raft_core *c, struct raft_core_out *out);
void core_leader_stop(struct raft_core *c, struct raft_core_out *out);
uint64_t core_leader_deadline_ms(const struct raft_core *c);
void core_replicate(struct raft_core *c, struct raft_core_out *out);
void core_advance_commit(struct raft_core *c, struct raft_core_out *out);
void core_on_append_result(struct raft_core *c, struct peer *p, const struct raft_msg *m,
                           struct raft_core_out *out);
void core_on_install_result(struct raft_core *c, struct peer *p, const struct raft_msg *m,
                            struct raft_core_out *out);
void core_on_unreachable(struct raft_core *c, struct peer *p);
int core_propose(struct raft_core *c, struct raft_entry *entries, size_t count,
                 struct raft_core_out *out);
void core_on_restored(struct raft_core *c, const struct raft_core_event *e,
                      struct raft_core_out *out);
int core_transfer(struct raft_core *c, struct str id, struct raft_core_out *out, struct err *err);
int core_verify(struct raft_core *c, uint64_t token, struct raft_core_out *out);
/* The peers are those of `latest`; those that stay keep what is known of them. */
void core_peers_update(struct raft_core *c);

/* follower.c */
void core_on_append(struct raft_core *c, const struct raft_msg *m, struct raft_core_out *out);
void core_on_install(struct raft_core *c, const struct raft_msg *m, struct raft_core_out *out);
void core_on_installed(struct raft_core *c, const struct raft_core_event *e,
                       struct raft_core_out *out);
void core_acks_durable(struct raft_core *c, struct raft_core_out *out);
void core_acks_fail(struct raft_core *c, struct raft_core_out *out);

/* membership.c */
void core_configuration_latest(struct raft_core *c, uint64_t index,
                               const struct raft_configuration *configuration,
                               struct raft_core_out *out);
void core_configuration_truncated(struct raft_core *c, uint64_t index, struct raft_core_out *out);
void core_configuration_committed(struct raft_core *c, struct raft_core_out *out);
int core_change(struct raft_core *c, const struct raft_core_event *e, struct raft_core_out *out,
                struct err *err);
