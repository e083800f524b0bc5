/* serf_internal.h - what the files of the Serf core share.
 *
 *     serf.c           life, tick, what waits for it, joining, tags, figures
 *     serf_delegate.c  from swim: messages, broadcasts, coordinates
 *     serf_member.c    members as swim sees them; reaping, reconnecting
 *     serf_intent.c    who says that he joins or leaves; leaving ourselves
 *     serf_state.c     push/pull
 *     serf_event.c     user events
 *     serf_query.c     queries of others: filters, answers, relays
 *     serf_asking.c    queries of ours
 *     serf_keys.c      keys, both sides
 *     serf_conflict.c  a name twice: the vote, both sides */
#pragma once
#include "gossip/core/serf.h"

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"
#include "gossip/core/broadcast.h"
#include "gossip/core/vivaldi.h"

#define SERF_SNAPSHOT_CLOCK_NS 500000000ull
#define SERF_INTERNAL_PREFIX "_serf_"

struct serf_member {
    struct member *member; /* one heap block */
    struct gossip_address address;
    uint64_t status_ltime;
    uint64_t gone_ns;             /* when it failed or left */
    bool prune;                   /* forget it once it is gone */
    struct list link;             /* in failed or left */
    struct coordinate coordinate; /* what it last said, in vec; vec.n 0: nothing */
    double vec[COORDINATE_DIMENSIONS];
};

/* An intent of who is no member (yet): it may have overtaken the news that he is there. */
struct serf_recent_intent {
    struct list link; /* oldest first */
    struct str name;  /* behind the struct */
    bool is_leave;
    uint64_t ltime, seen_ns;
};

struct serf_event_slot {
    uint64_t ltime;
    struct map seen; /* keys: size of the name (32 bits), name, payload */
};

struct serf_query_seen {
    uint32_t id;
    bool is_answered;
    uint64_t deadline_ns;
};

struct serf_query_slot {
    uint64_t ltime;
    VEC(struct serf_query_seen) seen;
};

/* What must not be done where it comes up, inside of swim or of who asks for it. */
enum serf_todo_kind {
    SERF_TODO_MESSAGE,      /* from us to us: bytes */
    SERF_TODO_QUERY,        /* an internal one: bytes, behind the type byte */
    SERF_TODO_JOIN_REFUSED, /* token */
    SERF_TODO_LEFT,         /* token: timed out */
    SERF_TODO_KEYS_DONE,    /* keys, whose err is set */
};

struct serf_todo {
    struct list link;
    enum serf_todo_kind kind;
    uint64_t token;
    struct serf_keys_asking *keys;
    struct str bytes; /* behind the struct */
};

struct serf_joining {
    struct list link;
    uint64_t id, token;
    bool ignore_old;
};

enum serf_phase { SERF_ALIVE, SERF_LEAVING, SERF_LEFT, SERF_STOPPED };

enum serf_leave_step {                    /* of SERF_LEAVING */
                       SERF_LEAVE_INTENT, /* until the intent has gone out, or leave_ns */
                       SERF_LEAVE_SENT,   /* it has: on with swim's */
                       SERF_LEAVE_SWIM,   /* until swim has left */
                       SERF_LEAVE_DELAY,  /* until leave_ns */
                       SERF_LEAVE_FAILED, /* nobody heard us in time */
};

struct serf {
    struct serf_config config;
    struct str name; /* owned */
    struct gossip_address address;
    struct buf address_text; /* without the port */
    struct strmap tags;      /* in self_tags */
    struct arena self_tags;
    struct seal_ring *keys;
    bool has_key_file;
    struct rng *rng;
    uint32_t members_max;
    const struct swim_io *io;
    void *io_data;
    const struct serf_ops *ops;
    void *data;
    struct swim_io swim_io;
    struct swim_delegate swim_delegate;
    struct swim *swim;
    uint64_t now_ns; /* outside of swim's functions, see serf_now() */
    enum serf_phase phase;
    struct arena scratch;  /* of one message */
    struct buf line, text; /* of the log; of an address */

    uint64_t clock, event_clock, query_clock;
    struct map members; /* of struct serf_member */
    struct list failed, left;
    size_t failed_count, left_count;
    struct map intents; /* of struct serf_recent_intent */
    struct list intents_by_age;

    struct broadcast_queue *intent_queue, *event_queue, *query_queue;
    uint64_t dropped; /* of the queues, since the last check */

    struct serf_event_slot *events; /* SERF_EVENT_BUFFER */
    size_t events_size;
    uint64_t event_time_min;
    size_t joins_ignoring; /* joins under way with ignore_old */

    struct serf_query_slot *queries; /* SERF_QUERY_BUFFER */
    uint64_t query_time_min;
    struct serf_asking *asking; /* ours, under way */
    size_t asking_count;
    bool is_voting;
    struct serf_asking vote;
    uint32_t votes, votes_for_us;

    struct list joining;
    uint64_t join_id;
    struct list todo;
    size_t todo_count;

    enum serf_leave_step leave_step;
    uint64_t leave_ns;

    struct list key_writes; /* struct serf_key_write: whom to tell when the file is written */
    size_t key_writes_count;
    uint64_t key_write_token; /* the last one */

    uint64_t reap_ns, reconnect_ns, queue_check_ns;
    uint64_t snapshot_clock, snapshot_event_clock, snapshot_query_clock; /* as written */
    uint64_t snapshot_ns;  /* when the clock may be written again */
    bool snapshot_is_over; /* after "leave" only the clock is written on */

    struct vivaldi *vivaldi; /* NULL: disabled */
};

/* The current time, inside of swim's calls as well. */
uint64_t serf_now(const struct serf *s);
uint64_t serf_after(uint64_t now_ns, uint64_t ns); /* the sum, at most UINT64_MAX */
void serf_log(struct serf *s, enum swim_log level, const char *format, ...) PRINTF(3, 4);
void serf_measure(const struct serf *s, enum serf_measure what, struct str name, double value);
void serf_event(const struct serf *s, const struct serf_event *event);

/* A Lamport clock stands at the next time; each time that is used or heard of is witnessed. It
 * stops at its end instead of beginning again. */
void serf_clock_witness(uint64_t *clock, uint64_t time);

/* Lines of the snapshot file. */
void serf_snapshot_member(struct serf *s, enum serf_event_kind kind, const struct serf_member *m);
void serf_snapshot_event_clock(struct serf *s, uint64_t ltime);
void serf_snapshot_query_clock(struct serf *s, uint64_t ltime);

/* Queue a message for everybody; done may be NULL. */
void serf_broadcast(struct serf *s, struct broadcast_queue *queue, struct str message,
                    void (*done)(void *data));
/* A message to one: over the network, or to ourselves with the next tick. */
void serf_send(struct serf *s, const struct gossip_address *to, struct str message);
void serf_message(struct serf *s, struct str bytes);
/* False: there is too much to do already. */
bool serf_todo(struct serf *s, enum serf_todo_kind kind, struct str bytes);
void serf_todo_token(struct serf *s, enum serf_todo_kind kind, uint64_t token);
void serf_todo_keys(struct serf *s, struct serf_keys_asking *k);
extern const struct swim_delegate serf_swim_delegate;

/* --- members --------------------------------------------------------------------------------- */

struct serf_member *serf_member_find(const struct serf *s, struct str name);
void serf_member_free(struct serf_member *m);
void serf_on_member_join(struct serf *s, const struct swim_member *m);
void serf_on_member_update(struct serf *s, const struct swim_member *m);
void serf_on_member_leave(struct serf *s, const struct swim_member *m);
void serf_member_erase(struct serf *s, struct serf_member *m);
void serf_member_forced_left(struct serf *s, struct serf_member *m); /* it had failed */
/* As Serf sees a member of swim's; strings in the arena, or borrowed. */
void serf_member_view(struct serf *s, const struct swim_member *m, struct arena *a,
                      struct member *ret);
int serf_name_check(const struct serf_config *c, struct str name, struct err *err);
bool serf_has_others_alive(const struct serf *s);
void serf_reap(struct serf *s);
void serf_reconnect(struct serf *s);

/* --- intents: true: news, to be passed on ---------------------------------------------------- */

bool serf_on_join_intent(struct serf *s, const struct serf_intent *intent);
bool serf_on_leave_intent(struct serf *s, const struct serf_intent *intent);
void serf_broadcast_join(struct serf *s);
const struct serf_recent_intent *serf_intent_recent(const struct serf *s, struct str name);
void serf_intents_reap(struct serf *s);
void serf_intents_free(struct serf *s);
void serf_leave_step(struct serf *s); /* what is due of leaving */
void serf_on_left(struct serf *s, bool timed_out);

/* --- the rest -------------------------------------------------------------------------------- */

void serf_local_state(struct serf *s, struct buf *to);
void serf_remote_state(struct serf *s, bool join, struct str state);

bool serf_on_user_event(struct serf *s, const struct serf_user_event *event);
void serf_events_free(struct serf *s);
/* Each remembered event of a slot: start with *pos = 0. */
bool serf_event_next(const struct serf_event_slot *slot, size_t *pos, struct str *ret_name,
                     struct str *ret_payload);

/* bytes: the query as it came, behind its type byte. */
bool serf_on_query(struct serf *s, const struct serf_query *q, struct str bytes);
void serf_queries_free(struct serf *s);
bool serf_is_internal(struct str query_name);
void serf_on_internal_query(struct serf *s, const struct serf_query *q);

void serf_on_query_response(struct serf *s, const struct serf_query_response *r);
void serf_asking_due(struct serf *s);
uint64_t serf_asking_deadline_ns(const struct serf *s);
void serf_asking_end(struct serf *s); /* all of them are done */

void serf_on_key_query(struct serf *s, enum serf_key_action action, const struct serf_query *q);
void serf_keys_free(struct serf *s);
void serf_on_conflict(struct serf *s, const struct swim_member *existing,
                      const struct swim_member *other);
void serf_on_conflict_query(struct serf *s, const struct serf_query *q);
