/* internal.h - the tables that the files of fsm/ fill: who applies an entry, who writes and reads
 * the records of a snapshot.
 *
 * A new area brings its own file with its functions, declares them
 * here and enters them in the tables of fsm.c and snapshot.c. */
#pragma once
#include "fsm/fsm.h"
#include "fsm/snapshot.h"
#include "store/store.h"

struct cur;

/* --- entries -------------------------------------------------------------------------------- */

/* One entry being applied. */
struct apply {
    struct store_txn *tx;
    struct cur *body; /* msgpack behind the type byte */
    struct arena *arena;
    struct str op;             /* of the request, for who counts them; set by those that have one */
    struct fsm_result *result; /* FSM_RESULT_NONE at first */
    struct err *err;
};

/* 0: commit. Negative: the transaction is aborted; err has the reason unless *result is set to
 * something else than FSM_RESULT_NONE (a transaction's list of errors). */
typedef int (*fsm_apply_fn)(struct apply *ap);

int fsm_apply_register(struct apply *ap);
int fsm_apply_deregister(struct apply *ap);
int fsm_apply_kvs(struct apply *ap);
int fsm_apply_session(struct apply *ap);
int fsm_apply_tombstone(struct apply *ap);
int fsm_apply_coordinates(struct apply *ap);
int fsm_apply_txn(struct apply *ap);
int fsm_apply_autopilot(struct apply *ap);
int fsm_apply_prepared_query(struct apply *ap);
int fsm_apply_config_entry(struct apply *ap);
int fsm_apply_intention(struct apply *ap);
int fsm_apply_system_metadata(struct apply *ap);
int fsm_apply_federation_state(struct apply *ap);
int fsm_apply_connect_ca(struct apply *ap);
int fsm_apply_connect_ca_leaf(struct apply *ap);
int fsm_apply_acl(struct apply *ap);
int fsm_apply_acl_bootstrap(struct apply *ap);
int fsm_apply_acl_token_set(struct apply *ap);
int fsm_apply_acl_token_delete(struct apply *ap);
int fsm_apply_acl_policy_set(struct apply *ap);
int fsm_apply_acl_policy_delete(struct apply *ap);
int fsm_apply_acl_role_set(struct apply *ap);
int fsm_apply_acl_role_delete(struct apply *ap);
int fsm_apply_acl_binding_rule_set(struct apply *ap);
int fsm_apply_acl_binding_rule_delete(struct apply *ap);
int fsm_apply_acl_auth_method_set(struct apply *ap);
int fsm_apply_acl_auth_method_delete(struct apply *ap);

/* Decode the body; -ERR_CORRUPT (which is fatal, see fsm_apply) with err set when it is malformed. */
NODISCARD int fsm_decode(struct apply *ap, const struct schema *schema, void *object);

/* A piece of an entry that comes in several; `extensions` says which. 1: it was the last, and
 * *ret_whole is the entry, in the arena; 0: others are to come. */
NODISCARD int chunk_take(struct store_txn *tx, uint64_t term, struct str data,
                         struct str extensions, struct arena *a, struct str *ret_whole,
                         struct err *err);
#define FSM_CHUNKS_COUNT_MAX 65536u
#define FSM_CHUNKS_SIZE_MAX (512u * 1024u * 1024u) /* of the whole */

/* --- snapshots ------------------------------------------------------------------------------ */

struct snapshot_out; /* a snapshot being written */
/* Begin a record: the type byte; the msgpack follows in the buffer that is returned. */
struct buf *snapshot_record(struct snapshot_out *out, enum fsm_message type);

/* A snapshot being read. */
struct snapshot_in {
    struct store_txn *tx;
    struct cur *body;
    struct arena *arena; /* reset after each record */
    struct err *err;
};

/* Write all records of the kind. Negative when the sink has had enough. */
typedef int (*snapshot_write_fn)(struct snapshot_out *out, const struct store_view *v);
typedef int (*snapshot_read_fn)(struct snapshot_in *in);

/* For areas whose records are rows: every row of an index in its order; one object of a record. */
int snapshot_write_rows(struct snapshot_out *out, const struct store_view *v,
                        enum store_index index, enum fsm_message type,
                        const struct schema *schema);
NODISCARD int snapshot_read_object(struct snapshot_in *in, const struct schema *schema,
                                   void *object);

int snapshot_write_autopilot(struct snapshot_out *out, const struct store_view *v);
int snapshot_read_autopilot(struct snapshot_in *in);
int snapshot_write_prepared_queries(struct snapshot_out *out, const struct store_view *v);
int snapshot_read_prepared_query(struct snapshot_in *in);
int snapshot_write_config_entries(struct snapshot_out *out, const struct store_view *v);
int snapshot_read_config_entry(struct snapshot_in *in);
int snapshot_write_system_metadata(struct snapshot_out *out, const struct store_view *v);
int snapshot_read_system_metadata(struct snapshot_in *in);
int snapshot_write_federation_states(struct snapshot_out *out, const struct store_view *v);
int snapshot_read_federation_state(struct snapshot_in *in);
int snapshot_write_chunks(struct snapshot_out *out, const struct store_view *v);
int snapshot_read_chunks(struct snapshot_in *in);
int snapshot_write_ca_roots(struct snapshot_out *out, const struct store_view *v);
int snapshot_write_ca_provider_states(struct snapshot_out *out, const struct store_view *v);
int snapshot_write_ca_config(struct snapshot_out *out, const struct store_view *v);
int snapshot_read_ca_root(struct snapshot_in *in);
int snapshot_read_ca_provider_state(struct snapshot_in *in);
int snapshot_read_ca_config(struct snapshot_in *in);
int snapshot_write_acl_tokens(struct snapshot_out *out, const struct store_view *v);
int snapshot_write_acl_policies(struct snapshot_out *out, const struct store_view *v);
int snapshot_write_acl_roles(struct snapshot_out *out, const struct store_view *v);
int snapshot_write_acl_binding_rules(struct snapshot_out *out, const struct store_view *v);
int snapshot_write_acl_auth_methods(struct snapshot_out *out, const struct store_view *v);
int snapshot_read_acl_token(struct snapshot_in *in);
int snapshot_read_acl_policy(struct snapshot_in *in);
int snapshot_read_acl_role(struct snapshot_in *in);
int snapshot_read_acl_binding_rule(struct snapshot_in *in);
int snapshot_read_acl_auth_method(struct snapshot_in *in);
int snapshot_read_acl_legacy(struct snapshot_in *in);
int snapshot_read_acl_bootstrap(struct snapshot_in *in);
