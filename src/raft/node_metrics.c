/* What consensus tells of itself that does not arise in one place: on leading, on losing it, and
 * now and then while it lasts. The names and their meanings are the reference's; times are of the
 * real clock, also where a test's env has another. */
#include "base/clock.h"
#include "base/metrics.h"
#include "raft/node.h"

#define OLDEST_LOG_INTERVAL_MS 10000u

static struct metric metric_leader = METRIC_COUNTER("raft.state.leader");
static struct metric metric_follower = METRIC_COUNTER("raft.state.follower");
static struct metric metric_candidate = METRIC_COUNTER("raft.state.candidate");
static struct metric metric_timeout = METRIC_COUNTER("raft.transition.heartbeat_timeout");
static struct metric metric_lease = METRIC_COUNTER("raft.transition.leader_lease_timeout");
static struct metric metric_peers = METRIC_GAUGE("raft.peers");
static struct metric metric_contact = METRIC_SAMPLE("raft.leader.lastContact");
static struct metric metric_oldest = METRIC_GAUGE("raft.leader.oldestLogAge");
static struct metric metric_barrier = METRIC_SAMPLE("leader.barrier");
static struct metric metric_restore = METRIC_SAMPLE("raft.fsm.restore");
static struct metric metric_restored = METRIC_GAUGE("raft.fsm.lastRestoreDuration");

double node_ms_since(uint64_t began_ns)
{
    return (double)(clock_mono_ns() - began_ns) / (double)NS_PER_MS;
}

/* The leader gave up in its own term, and nothing but the silence of the others can have been why.
 */
static bool is_lease_over(const struct raft *r, const struct raft_core_output *o)
{
    return r->state == RAFT_LEADER && o->state == RAFT_FOLLOWER &&
           o->term == r->measure.role_term && !r->log_broken && !r->append_failed &&
           raft_configuration_is_voter(&r->configuration, str_from_cstr(r->id));
}

/* Before r->state says so. */
void node_measure_role(struct raft *r, const struct raft_core_output *o)
{
    struct node_measure *m = &r->measure;
    if (o->state == r->state) {
        m->role_term = o->term;
        return;
    }
    if (o->state == RAFT_LEADER) {
        metric_add(&metric_leader, 1);
        m->led_since_ns = clock_mono_ns();
        m->contact_at_ms = node_now_ms(r) + r->lease_timeout_ms;
        m->oldest_at_ms = node_now_ms(r) + OLDEST_LOG_INTERVAL_MS;
    } else if (o->state == RAFT_CANDIDATE) {
        metric_add(&metric_candidate, 1);
        if (r->state == RAFT_FOLLOWER) {
            metric_add(&metric_timeout, 1);
        }
    } else if (o->state == RAFT_FOLLOWER) {
        metric_add(&metric_follower, 1);
        if (is_lease_over(r, o)) {
            metric_add(&metric_lease, 1);
        }
    }
    m->role_term = o->term;
}

void node_measure_start(void)
{
    metric_add(&metric_follower, 1);
}

/* Everything of the terms before is applied, which is what a barrier waits for. */
void node_measure_announced(const struct raft *r)
{
    metric_observe(&metric_barrier, node_ms_since(r->measure.led_since_ns));
}

void node_measure_peers(const struct raft *r)
{
    if (r->state == RAFT_LEADER) {
        metric_set(&metric_peers, r->configuration.count);
    }
}

static void measure_contact(struct raft *r)
{
    struct raft_peer_status peer;
    uint64_t now_ms = node_now_ms(r);
    for (size_t i = 0; raft_core_peer(r->core, i, &peer); i++) {
        if (peer.contact_ms != 0 && raft_configuration_is_voter(&r->configuration, peer.id)) {
            metric_observe(&metric_contact, (double)(now_ms - MIN(now_ms, peer.contact_ms)));
        }
    }
}

static void measure_oldest(struct raft *r)
{
    struct raft_entry e;
    uint64_t first = raft_log_first_index(r->log);
    double ms = 0;
    if (first <= raft_log_last_index(r->log) && raft_log_read(r->log, first, 1, 1, &e, NULL) == 1 &&
        e.appended_ns != 0) {
        int64_t age_ns = r->env->ops->wall_ns(r->env) - e.appended_ns;
        ms = age_ns > 0 ? (double)(age_ns / (int64_t)NS_PER_MS) : 0;
    }
    metric_set(&metric_oldest, ms);
}

void node_measure_turn(struct raft *r)
{
    struct node_measure *m = &r->measure;
    if (r->state != RAFT_LEADER || r->halted) {
        return;
    }
    uint64_t now_ms = node_now_ms(r);
    if (now_ms >= m->contact_at_ms) {
        m->contact_at_ms = now_ms + r->lease_timeout_ms;
        measure_contact(r);
    }
    if (now_ms >= m->oldest_at_ms) {
        m->oldest_at_ms = now_ms + OLDEST_LOG_INTERVAL_MS;
        measure_oldest(r);
    }
}

int node_state_new(struct raft *r, struct str bytes, void **ret_state, struct err *err)
{
    uint64_t began_ns = clock_mono_ns();
    int k = r->ops->state_new(r->fsm, bytes, ret_state, err);
    if (k == 0) {
        double ms = node_ms_since(began_ns);
        metric_observe(&metric_restore, ms);
        metric_set(&metric_restored, (double)(uint64_t)ms);
    }
    return k;
}
