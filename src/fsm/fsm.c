#include "fsm/fsm.h"

#include "base/mem.h"
#include "fsm/internal.h"
#include "schema/msgpack.h"
#include "store/lock_delay.h"

/* An entry is decoded into the caller's arena, applied in a transaction of its own, and committed
 * unless it was refused. What follows from a change without being a part of the state (lock delays,
 * tombstones to reap) is told by the store after the commit. */

struct fsm {
    struct store *store;
    struct lock_delay *lock_delay;
    uint64_t now_ms; /* of the entry being applied */
    fsm_tombstone_fn tombstone;
    void *tombstone_data;
    fsm_applied_fn applied;
    void *applied_data;
};

/* clang-format off */
static const struct {
    const char *name;
    fsm_apply_fn apply; /* NULL: never in a log, or its tables are still to come */
} entries[] = {
    [FSM_REGISTER] = {"Register", fsm_apply_register},
    [FSM_DEREGISTER] = {"Deregister", fsm_apply_deregister},
    [FSM_KVS] = {"KVS", fsm_apply_kvs},
    [FSM_SESSION] = {"Session", fsm_apply_session},
    [FSM_ACL] = {"ACL (Deprecated)", fsm_apply_acl},
    [FSM_TOMBSTONE] = {"Tombstone", fsm_apply_tombstone},
    [FSM_COORDINATE_BATCH_UPDATE] = {"CoordinateBatchUpdate", fsm_apply_coordinates},
    [FSM_PREPARED_QUERY] = {"PreparedQuery", fsm_apply_prepared_query},
    [FSM_TXN] = {"Txn", fsm_apply_txn},
    [FSM_AUTOPILOT] = {"Autopilot", fsm_apply_autopilot},
    [FSM_AREA] = {"Area", NULL},
    [FSM_ACL_BOOTSTRAP] = {"ACLBootstrap", fsm_apply_acl_bootstrap},
    [FSM_INTENTION] = {"Intention", fsm_apply_intention},
    [FSM_CONNECT_CA] = {"ConnectCA", fsm_apply_connect_ca},
    [FSM_CONNECT_CA_PROVIDER_STATE] = {"ConnectCAProviderState", NULL},
    [FSM_CONNECT_CA_CONFIG] = {"ConnectCAConfig", NULL},
    [FSM_INDEX] = {"Index", NULL},
    [FSM_ACL_TOKEN_SET] = {"ACLToken", fsm_apply_acl_token_set},
    [FSM_ACL_TOKEN_DELETE] = {"ACLTokenDelete", fsm_apply_acl_token_delete},
    [FSM_ACL_POLICY_SET] = {"ACLPolicy", fsm_apply_acl_policy_set},
    [FSM_ACL_POLICY_DELETE] = {"ACLPolicyDelete", fsm_apply_acl_policy_delete},
    [FSM_CONNECT_CA_LEAF] = {"ConnectCALeaf", fsm_apply_connect_ca_leaf},
    [FSM_CONFIG_ENTRY] = {"ConfigEntry", fsm_apply_config_entry},
    [FSM_ACL_ROLE_SET] = {"ACLRole", fsm_apply_acl_role_set},
    [FSM_ACL_ROLE_DELETE] = {"ACLRoleDelete", fsm_apply_acl_role_delete},
    [FSM_ACL_BINDING_RULE_SET] = {"ACLBindingRule", fsm_apply_acl_binding_rule_set},
    [FSM_ACL_BINDING_RULE_DELETE] = {"ACLBindingRuleDelete", fsm_apply_acl_binding_rule_delete},
    [FSM_ACL_AUTH_METHOD_SET] = {"ACLAuthMethod", fsm_apply_acl_auth_method_set},
    [FSM_ACL_AUTH_METHOD_DELETE] = {"ACLAuthMethodDelete", fsm_apply_acl_auth_method_delete},
    [FSM_CHUNKING_STATE] = {"ChunkingState", NULL},
    [FSM_FEDERATION_STATE] = {"FederationState", fsm_apply_federation_state},
    [FSM_SYSTEM_METADATA] = {"SystemMetadata", fsm_apply_system_metadata},
};
/* clang-format on */

const char *fsm_message_name(unsigned type)
{
    type &= ~(unsigned)FSM_IGNORE_UNKNOWN;
    return type < ARRAY_SIZE(entries) ? entries[type].name : NULL;
}

static void on_lock_delay(void *data, struct str key, int64_t delay_ns)
{
    struct fsm *f = data;
    uint64_t delay_ms = ((uint64_t)delay_ns + 999999) / 1000000;
    lock_delay_set(f->lock_delay, key, f->now_ms, delay_ms);
}

static void on_tombstone(void *data, uint64_t index)
{
    struct fsm *f = data;
    if (f->tombstone != NULL) {
        f->tombstone(f->tombstone_data, index);
    }
}

struct fsm *fsm_new(struct store *store, struct lock_delay *lock_delay)
{
    struct fsm *f = xcalloc(1, sizeof(*f));
    f->store = store;
    f->lock_delay = lock_delay;
    store_set_effects(
        store,
        &(struct store_effects){.lock_delay = on_lock_delay, .tombstone = on_tombstone, .data = f});
    return f;
}

struct fsm *fsm_free(struct fsm *f)
{
    if (f != NULL) {
        store_set_effects(f->store, &(struct store_effects){0});
    }
    return mem_free(f);
}

void fsm_set_tombstone_hint(struct fsm *f, fsm_tombstone_fn fn, void *data)
{
    f->tombstone = fn;
    f->tombstone_data = data;
}

void fsm_set_applied(struct fsm *f, fsm_applied_fn fn, void *data)
{
    f->applied = fn;
    f->applied_data = data;
}

int fsm_decode(struct apply *ap, const struct schema *schema, void *object)
{
    if (msgpack_decode(ap->body, schema, object, ap->arena, ap->err) < 0) {
        struct err why = *ap->err;
        return err_set(ap->err, ERR_CORRUPT, "failed to decode request: %s", err_text(&why));
    }
    return 0;
}

static int refuse(struct fsm_result *ret_result, struct arena *arena, const struct err *err)
{
    *ret_result = (struct fsm_result){.kind = FSM_RESULT_ERROR,
                                      .code = err->code,
                                      .text = arena_str(arena, str_from_cstr(err_text(err)))};
    /* What cannot be read must not be passed over: the state would drift apart from the others'. */
    return err->code == ERR_CORRUPT || err->code == ERR_UNSUPPORTED ? -err->code : 0;
}

int fsm_apply(struct fsm *f, uint64_t index, struct str entry, uint64_t now_ms, struct arena *arena,
              struct fsm_result *ret_result)
{
    struct err err = {0};
    *ret_result = (struct fsm_result){.kind = FSM_RESULT_NONE};
    if (entry.n == 0) {
        (void)err_set(&err, ERR_CORRUPT, "log entry is empty");
        return refuse(ret_result, arena, &err);
    }
    uint8_t byte = (uint8_t)entry.p[0];
    unsigned type = byte & ~(unsigned)FSM_IGNORE_UNKNOWN;
    if (type >= ARRAY_SIZE(entries) || entries[type].apply == NULL) {
        if (byte & FSM_IGNORE_UNKNOWN) {
            return 0;
        }
        const char *name = fsm_message_name(type);
        (void)err_set(&err, ERR_UNSUPPORTED, "log entries of type %u (%s) are not supported", type,
                      name != NULL ? name : "unknown");
        return refuse(ret_result, arena, &err);
    }
    struct cur body = cur_make(str_from(entry, 1));
    f->now_ms = now_ms;
    struct apply ap = {
        .tx = store_txn_begin(f->store, index),
        .body = &body,
        .arena = arena,
        .result = ret_result,
        .err = &err,
    };
    int rc = entries[type].apply(&ap);
    if (rc < 0) {
        store_txn_abort(ap.tx);
        rc = ret_result->kind != FSM_RESULT_NONE ? 0 : refuse(ret_result, arena, &err);
    } else {
        store_txn_commit(ap.tx);
        rc = 0;
    }
    if (rc == 0 && f->applied != NULL) {
        f->applied(f->applied_data, (enum fsm_message)type, ap.op);
    }
    return rc;
}

int fsm_apply_chunk(struct fsm *f, uint64_t index, uint64_t term, struct str data,
                    struct str extensions, uint64_t now_ms, struct arena *arena,
                    struct fsm_result *ret_result)
{
    struct err err = {0};
    struct str whole;
    *ret_result = (struct fsm_result){.kind = FSM_RESULT_NONE};
    struct store_txn *tx = store_txn_begin(f->store, index);
    int r = chunk_take(tx, term, data, extensions, arena, &whole, &err);
    if (r < 0) {
        store_txn_abort(tx);
        return refuse(ret_result, arena, &err);
    }
    store_txn_commit(tx);
    return r > 0 ? fsm_apply(f, index, whole, now_ms, arena, ret_result) : 0;
}
