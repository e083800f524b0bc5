/* fsm.h - the state machine: one Raft log entry in, changed tables and a result out.
 *
 * Called by one thread (the raft thread). Deterministic: no clock, no randomness; the same entries
 * give the same tables on every server. An entry is a message type byte (its top bit says "ignore
 * me if unknown") and the msgpack of the request. Entries it cannot read or does not know are
 * refused with an error and change nothing, except unknown ones with the top bit, which are skipped.
 * Of enum fsm_message 10 is the enterprise edition's; 14 to 16 and 29 are records of snapshots.
 *
 * Message types: enum fsm_message (Consul's numbers). */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "schema/txn.h"

struct fsm;
struct lock_delay;
struct store;

enum fsm_message {
    FSM_REGISTER = 0,
    FSM_DEREGISTER = 1,
    FSM_KVS = 2,
    FSM_SESSION = 3,
    FSM_ACL = 4, /* legacy */
    FSM_TOMBSTONE = 5,
    FSM_COORDINATE_BATCH_UPDATE = 6,
    FSM_PREPARED_QUERY = 7,
    FSM_TXN = 8,
    FSM_AUTOPILOT = 9,
    FSM_AREA = 10,
    FSM_ACL_BOOTSTRAP = 11,
    FSM_INTENTION = 12,
    FSM_CONNECT_CA = 13,
    FSM_CONNECT_CA_PROVIDER_STATE = 14,
    FSM_CONNECT_CA_CONFIG = 15,
    FSM_INDEX = 16,
    FSM_ACL_TOKEN_SET = 17,
    FSM_ACL_TOKEN_DELETE = 18,
    FSM_ACL_POLICY_SET = 19,
    FSM_ACL_POLICY_DELETE = 20,
    FSM_CONNECT_CA_LEAF = 21,
    FSM_CONFIG_ENTRY = 22,
    FSM_ACL_ROLE_SET = 23,
    FSM_ACL_ROLE_DELETE = 24,
    FSM_ACL_BINDING_RULE_SET = 25,
    FSM_ACL_BINDING_RULE_DELETE = 26,
    FSM_ACL_AUTH_METHOD_SET = 27,
    FSM_ACL_AUTH_METHOD_DELETE = 28,
    FSM_CHUNKING_STATE = 29,
    FSM_FEDERATION_STATE = 30,
    FSM_SYSTEM_METADATA = 31,
    FSM_IGNORE_UNKNOWN = 0x80,
};

enum fsm_result_kind {
    FSM_RESULT_NONE, /* done, nothing to say */
    FSM_RESULT_BOOL, /* of compare-and-set and locks */
    FSM_RESULT_UINT, /* a serial number, an index */
    FSM_RESULT_STR,  /* an id */
    FSM_RESULT_TXN,
    FSM_RESULT_ERROR, /* refused; text is what the client sees */
    FSM_RESULT_KINDS,
};

/* What the application of an entry says to whom proposed it. Memory is the arena's that was given
 * to fsm_apply. */
struct fsm_result {
    enum fsm_result_kind kind;
    bool b;
    uint64_t u;
    struct str s;
    struct txn_response *txn;
    int code;        /* ERR_x of an error */
    struct str text; /* its sentence */
};

/* store and lock_delay are borrowed. */
struct fsm *fsm_new(struct store *store, struct lock_delay *lock_delay);
struct fsm *fsm_free(struct fsm *f);
/* "Register", "KVS", …, as `snapshot inspect` prints them; NULL when the type is unknown. */
const char *fsm_message_name(unsigned type);
/* Told when a key was deleted at this index: its tombstone is to be reaped some day, by the leader. */
typedef void (*fsm_tombstone_fn)(void *data, uint64_t index);
void fsm_set_tombstone_hint(struct fsm *f, fsm_tombstone_fn fn, void *data);

/* Told after each entry that was understood, on the applier's thread: its type and, where the request
 * has one, its operation ("set"), borrowed. For metrics; time is the listener's business. */
typedef void (*fsm_applied_fn)(void *data, enum fsm_message type, struct str op);
void fsm_set_applied(struct fsm *f, fsm_applied_fn fn, void *data);

/* now_ms (monotonic) only dates lock-delays, which are not replicated. 0, also when the entry was
 * refused (that is a result like another); negative only when the entry cannot be understood by this version at all. */
int fsm_apply(struct fsm *f, uint64_t index, struct str entry, uint64_t now_ms, struct arena *arena,
              struct fsm_result *ret_result);

/* One of several entries that are the pieces of a large one, as `extensions` says: stored, or, the last
 * of them, applied as one. As fsm_apply() otherwise. */
int fsm_apply_chunk(struct fsm *f, uint64_t index, uint64_t term, struct str data,
                    struct str extensions, uint64_t now_ms, struct arena *arena,
                    struct fsm_result *ret_result);

/* 0, or the negative code with err set when the result is an error. */
static inline int fsm_result_error(const struct fsm_result *r, struct err *err)
{
    return r->kind == FSM_RESULT_ERROR ? err_set(err, r->code, "%.*s", STRF(r->text)) : 0;
}
