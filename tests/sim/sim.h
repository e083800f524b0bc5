/* sim.h - whole clusters in one thread and virtual time, from one seed: what the parts share.
 *
 *     sim_raft.c     seeds, the command line
 *     sim_run.c      the queue of events; the plan of a seed from its beginning to its end
 *     sim_env.c      a server: the real node (raft_start), with the time, jobs and disk of its own
 *     sim_net.c      the transport between servers; sim_stream.c snapshots on it
 *     sim_fsm.c      state machines: the real store, and a toy
 *     sim_client.c   proposals, reads, changes of the membership, transfers, snapshots; sim_write.c
 *                    what is written
 *     sim_fault.c    what goes wrong
 *     sim_plot.c     what goes wrong in several steps
 *     sim_check.c    what must never happen
 *
 * Everything is decided by the seed: nothing here depends on addresses or on the machine's clock.
 */
#pragma once
#include "base/buf.h"
#include "base/rand.h"
#include "base/vec.h"
#include "raft/node.h"
#include "sim_io.h"

#define SIM_SERVERS 5
#define SIM_INDEX_MAX 100000u
#define SIM_SEGMENT_SIZE 4096u
#define SIM_CALLS 1024u
#define SIM_MS UINT64_C(1000)
#define SIM_SECOND (1000 * SIM_MS)

struct net_call;
struct net_stream;
struct sim;
struct sim_fsm;
struct sim_net;
struct sim_server;

/* --- events ------------------------------------------------------------------------------------
 */

/* Embedded in what it carries. Meant for one life of a server (life 0: for any), or for none
 * (server NULL). While a server waits for its disk what is meant for it waits, too. */
struct sim_event {
    uint64_t at_us, sequence;
    struct sim_server *server;
    uint64_t life;
    const uint64_t *held_us; /* a message on its way: it does not arrive before; or NULL */
    void (*run)(struct sim *s, struct sim_event *e);
    void (*drop)(struct sim_event *e); /* after run, or in its place; NULL: mem_free() */
};

/* e->server, run and drop are set. */
void sim_push(struct sim *s, struct sim_event *e, uint64_t delay_us);
/* Run `run` with no more than the server. */
void sim_after(struct sim *s, struct sim_server *sv, uint64_t delay_us,
               void (*run)(struct sim *s, struct sim_event *e));
void sim_until(struct sim *s, uint64_t until_us);
/* Whatever is not held back any more arrives now. */
void sim_release(struct sim *s);

/* --- a server ----------------------------------------------------------------------------------
 */

struct sim_job { /* waits for the disk */
    struct sim_event event;
    struct raft_job *job; /* NULL: was waited for */
};

struct sim_disk {
    uint64_t slow_until_us;            /* syncs take long, now and then */
    uint64_t stalled_until_us;         /* no sync returns before */
    uint64_t log_us, log_until_us;     /* until then every write of the log takes so much longer */
    uint64_t sync_us_min, sync_us_max; /* and everything on the disk */
    uint64_t full_until_us;
};

struct sim_server {
    struct sim *sim;
    int number;
    char id[16], address[32];
    uint64_t life; /* which start this is; 0: none yet */
    struct raft_env env;
    struct raft *raft; /* NULL: down */
    struct sim_io *io;
    struct sim_net *net;
    struct sim_fsm *fsm;
    struct sim_disk disk;
    double rate;           /* of its clock */
    uint64_t leap_us;      /* by how much it has jumped */
    uint64_t turn_at_us;   /* when a turn is due; UINT64_MAX: none is */
    uint64_t blocked_us;   /* the thread waits for the disk until then */
    bool in_job, in_start; /* what runs now is not the raft thread */
    VEC(struct sim_job *) jobs;
    uint64_t snapshot_threshold, trailing_logs;

    /* sim_check.c */
    uint64_t term_seen, commit_seen, applied_seen;
    uint64_t lead_term, lead_commit;
    uint64_t log_seen;       /* the log is checked up to here ... */
    VEC(uint64_t) log_terms; /* ... and these were its terms */
    VEC(int) votes;          /* by term: server + 1 */
    VEC(uint64_t) applied;   /* commands applied since the last check */
    bool was_restored;       /* and then what the commands were does not matter */
};

void sim_server_init(struct sim *s, int number);
void sim_server_deinit(struct sim_server *sv);
/* Start or restart from what the disk holds. Whether it runs: a full disk may prevent it. */
bool sim_server_start(struct sim_server *sv);
/* The machine dies: what is under way on the disk is torn. */
void sim_server_crash(struct sim_server *sv);
/* An orderly stop. */
void sim_server_stop(struct sim_server *sv);
uint64_t sim_server_now_ms(const struct sim_server *sv);
/* What it does now happens so much later: it had to wait for its disk. */
uint64_t sim_server_ahead_us(const struct sim_server *sv);
/* Have a turn at once: its clock was changed. */
void sim_server_poke(struct sim_server *sv);
/* Whether it takes no further part until it is restarted. */
static inline bool sim_server_is_broken(const struct sim_server *sv)
{
    return sv->raft != NULL &&
           ((sv->raft->halted && sv->raft->resume_at_ms == 0) || sv->raft->log_failed);
}

/* --- the network --- */

struct raft_transport *sim_net_new(struct sim_server *sv);
/* Its server has died: who waits for an answer of it learns so in time. */
void sim_net_died(struct sim_server *sv);
/* The connection for entries is reset: nothing that was asked on it has an answer any more, though
 * all of it may arrive. */
void sim_net_reset(struct sim_server *from, const struct sim_server *to);

/* --- state machines ----------------------------------------------------------------------------
 */

extern const struct raft_fsm_ops sim_fsm_ops;

/* A proposal, freed when it is answered. */
struct sim_op {
    struct raft_proposal proposal;
    struct sim_server *server;
    uint64_t life, number;
    struct buf bytes;
    uint64_t hash;       /* of the bytes */
    uint64_t floor;      /* the highest index that was acknowledged when it was made */
    uint64_t applied_at; /* the index at which the state machine met this very proposal */
};

struct sim_fsm *sim_fsm_new(struct sim_server *sv);
struct sim_fsm *sim_fsm_free(struct sim_fsm *f);
/* Something to write, of which no two are the same. */
void sim_fsm_entry(struct sim *s, uint64_t number, struct buf *to);
/* The whole state in one number. */
uint64_t sim_fsm_digest(struct sim_fsm *f);
/* A snapshot's bytes, as a user has them from `snapshot save`. */
void sim_fsm_bytes(struct sim_fsm *f, struct buf *to);
bool sim_fsm_is_cheap(const struct sim *s); /* digests are to be had at every index */

/* --- a run -------------------------------------------------------------------------------------
 */

struct sim_truth { /* what was applied at an index, anywhere, first */
    uint64_t term, hash, result, state;
    uint64_t by_term; /* it was committed in this one at the latest */
    bool is_command, has_state;
};

struct sim_entry { /* an entry that was in somebody's log */
    uint64_t term, hash, prev_term, next;
    enum raft_entry_type type;
};

struct sim_kept { /* a change of the membership that was acknowledged */
    uint64_t index, term;
};

struct sim_stats {
    uint64_t applied, acked, refused, lost, reads, elections, installs, snapshots, changes,
        transfers, restores, crashes, halts, digests;
};

struct sim {
    uint64_t seed, now_us, sequence;
    struct rng rng;
    VEC(struct sim_event *) heap, held;
    struct sim_server servers[SIM_SERVERS];
    uint64_t events;

    /* The seed's plan. */
    bool is_toy, is_ordered, knows_pre_vote, changes_members, hands_over, snapshots_often;
    double loss, duplicate, slow_disk, fault_rate;
    uint64_t delay_us, client_us;
    struct raft_configuration first;
    uint64_t plots_us, faults_us; /* until when only plots are carried out, and things go wrong */

    /* The moment. */
    bool cut[SIM_SERVERS][SIM_SERVERS];         /* messages from, to are lost */
    uint64_t held_us[SIM_SERVERS][SIM_SERVERS]; /* entries and snapshots come not before */
    uint64_t last_us[SIM_SERVERS][SIM_SERVERS];
    uint64_t turmoil_until_us;             /* nobody leads for long */
    struct sim_server *deposed, *follower; /* who led last, and whom it could reach */
    bool is_vacant;                        /* nobody has been elected since */
    uint64_t side; /* who could reach the leader that is to die: a bit each */
    struct {
        uint64_t second, count; /* requests sent in a second of the simulation's */
    } sent[SIM_SERVERS][SIM_SERVERS];
    bool is_quiet;                     /* nothing goes wrong any more */
    bool is_silent;                    /* and nobody writes */
    uint64_t tokens;                   /* of the network */
    struct net_call *calls[SIM_CALLS]; /* sim_net.c's, by number */
    VEC(struct net_stream *) streams;

    /* The truth. */
    struct sim_truth *truth; /* by index */
    uint64_t *entry_heads;   /* by index: into entries, + 1 */
    VEC(struct sim_entry) entries;
    VEC(int) leaders; /* by term: server + 1 */
    VEC(struct sim_kept) kept;
    VEC(uint8_t) refused; /* by number of the proposal: 1 when it must never show */
    uint64_t applied_max, acked_max, read_max, next_number;
    struct sim_stats stats;
};

extern struct sim *sim_current;

void sim_run_seed(uint64_t seed, bool is_loud);

static inline bool sim_chance(struct sim *s, double p)
{
    return rng_f64(&s->rng) < p;
}
static inline uint64_t sim_below(struct sim *s, uint64_t n)
{
    return rng_below(&s->rng, n);
}
static inline struct sim_server *sim_any(struct sim *s)
{
    return &s->servers[sim_below(s, SIM_SERVERS)];
}
/* One that is up and believes to lead; NULL: none does. */
struct sim_server *sim_leader(struct sim *s);

/* --- clients and faults --- */

void sim_client_begin(struct sim *s);
void sim_client_write(struct sim *s); /* now, if somebody leads */
void sim_client_bootstrap(struct sim *s);
/* An operator asks the leader to change who votes, a server for a snapshot. */
void sim_client_change(struct sim_server *leader, enum raft_change what,
                       const struct sim_server *who);
void sim_client_snapshot(struct sim_server *sv);
/* Ask a server to restore a state in the place of all; *ret_code is 1 until it is answered. */
void sim_client_restore(struct sim_server *sv, struct str bytes, int *ret_code);
void sim_fault_begin(struct sim *s);
void sim_fault_end(struct sim *s);             /* everything heals */
void sim_fault_heal(struct sim *s);            /* the links only */
void sim_fault_disk(struct sim_server *sv);    /* one of several */
void sim_fault_machine(struct sim_server *sv); /* which is up; it comes back soon */
/* Servers with their bit in `side` and those without do not reach each other. */
void sim_fault_halve(struct sim *s, uint64_t side);
/* A leader reaches one other server, and nobody else. */
void sim_fault_starve(struct sim_server *leader, const struct sim_server *friend);
void sim_plot(struct sim *s);                 /* begin one */
void sim_plot_elected(struct sim_server *sv); /* it begins to lead */

/* --- checks ------------------------------------------------------------------------------------
 */

NORETURN void sim_fail(const char *what, uint64_t a, uint64_t b);
#define SIM_CHECK(expr, a, b)                              \
    do {                                                   \
        if (UNLIKELY(!(expr))) {                           \
            sim_fail(#expr, (uint64_t)(a), (uint64_t)(b)); \
        }                                                  \
    } while (0)

void sim_check_started(struct sim_server *sv);
void sim_check_step(struct sim_server *sv); /* after whatever it did */
void sim_check_role(struct sim_server *sv); /* it says that its role may have changed */
void sim_check_vote(struct sim_server *sv, uint64_t term, int candidate);
void sim_check_apply(struct sim_server *sv, uint64_t index, uint64_t term, uint64_t hash,
                     uint64_t result);
/* The state is that of `index`: the same wherever and whenever it is looked at. */
void sim_check_state(struct sim_server *sv, uint64_t index);
void sim_check_acked(struct sim_op *op, uint64_t index);
void sim_check_change(struct sim_server *sv); /* one was acknowledged */
void sim_check_end(struct sim *s);
