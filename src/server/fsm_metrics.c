#include "server/fsm_metrics.h"

#include "base/clock.h"
#include "base/metrics.h"

/* The operations of a type are few; what comes after these is looked up each time. */
#define OPS_REMEMBERED 8u
#define OP_SIZE_MAX 32u

struct remembered {
    char op[OP_SIZE_MAX];
    size_t op_size;
    struct metric *metric, *old_metric;
};

/* Consul's names by type. A type without one is not measured there either. */
static const struct {
    const char *name, *old_name; /* the name of before 1.9, still sent */
    bool has_op;
} names[] = {
    [FSM_REGISTER] = {"fsm.register", NULL, false},
    [FSM_DEREGISTER] = {"fsm.deregister", NULL, false},
    [FSM_KVS] = {"fsm.kvs", NULL, true},
    [FSM_SESSION] = {"fsm.session", NULL, true},
    [FSM_TOMBSTONE] = {"fsm.tombstone", NULL, true},
    [FSM_COORDINATE_BATCH_UPDATE] = {"fsm.coordinate.batch-update", NULL, false},
    [FSM_PREPARED_QUERY] = {"fsm.prepared-query", NULL, true},
    [FSM_TXN] = {"fsm.txn", NULL, false},
    [FSM_AUTOPILOT] = {"fsm.autopilot", NULL, false},
    [FSM_INTENTION] = {"fsm.intention", "consul.fsm.intention", true},
    [FSM_CONNECT_CA] = {"fsm.ca", "consul.fsm.ca", true},
    [FSM_ACL] = {"fsm.acl", NULL, true},
    [FSM_ACL_BOOTSTRAP] = {"fsm.acl.token", NULL, true},
    [FSM_ACL_TOKEN_SET] = {"fsm.acl.token", NULL, true},
    [FSM_ACL_TOKEN_DELETE] = {"fsm.acl.token", NULL, true},
    [FSM_ACL_POLICY_SET] = {"fsm.acl.policy", NULL, true},
    [FSM_ACL_POLICY_DELETE] = {"fsm.acl.policy", NULL, true},
    [FSM_ACL_ROLE_SET] = {"fsm.acl.role", NULL, true},
    [FSM_ACL_ROLE_DELETE] = {"fsm.acl.role", NULL, true},
    [FSM_ACL_BINDING_RULE_SET] = {"fsm.acl.bindingrule", NULL, true},
    [FSM_ACL_BINDING_RULE_DELETE] = {"fsm.acl.bindingrule", NULL, true},
    [FSM_ACL_AUTH_METHOD_SET] = {"fsm.acl.authmethod", NULL, true},
    [FSM_ACL_AUTH_METHOD_DELETE] = {"fsm.acl.authmethod", NULL, true},
    [FSM_CONNECT_CA_LEAF] = {"fsm.ca.leaf", NULL, true},
};

static struct metric time_persist = METRIC_SAMPLE("fsm.persist");

static _Thread_local struct remembered remembered[ARRAY_SIZE(names)][OPS_REMEMBERED];

static struct remembered look_up(enum fsm_message type, struct str op)
{
    struct remembered r = {.op_size = op.n};
    memcpy(r.op, op.p, op.n);
    const struct metric_label label = {"op", r.op}; /* ended by a NUL: op.n is below the size */
    size_t labels = names[type].has_op ? 1 : 0;
    r.metric = metric_labeled(METRIC_KIND_SAMPLE, names[type].name, &label, labels);
    if (names[type].old_name != NULL) {
        r.old_metric = metric_labeled(METRIC_KIND_SAMPLE, names[type].old_name, &label, labels);
    }
    return r;
}

static struct remembered find(enum fsm_message type, struct str op)
{
    for (size_t i = 0; i < OPS_REMEMBERED; i++) {
        struct remembered *r = &remembered[type][i];
        if (r->metric == NULL) {
            *r = look_up(type, op);
            return *r;
        }
        if (str_eq(str_make(r->op, r->op_size), op)) {
            return *r;
        }
    }
    return look_up(type, op);
}

void fsm_metrics_applied(enum fsm_message type, struct str op, double ms)
{
    if ((size_t)type >= ARRAY_SIZE(names) || names[type].name == NULL) {
        return;
    }
    struct str key = names[type].has_op ? str_first(op, OP_SIZE_MAX - 1) : STR("");
    struct remembered r = find(type, key);
    metric_observe(r.metric, ms);
    if (r.old_metric != NULL) {
        metric_observe(r.old_metric, ms);
    }
}

void fsm_metrics_persisted(uint64_t started_ns)
{
    metric_observe(&time_persist, (double)(clock_mono_ns() - started_ns) / (double)NS_PER_MS);
}
