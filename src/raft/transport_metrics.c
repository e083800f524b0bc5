/* How long the other servers take to answer, under the names of the reference: each figure once
 * with the server's id as a label, and once with it in the name. They are looked up with a server's
 * first answer of a kind. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "raft/transport_internal.h"

static struct metric metric_vote = METRIC_SAMPLE("raft.candidate.electSelf");

static void pair_find(const struct remote *s, struct metric *pair[2], enum metric_kind kind,
                      const char *name)
{
    if (pair[0] != NULL) {
        return;
    }
    struct arena a = {0};
    const struct metric_label label = {"peer_id", s->id};
    pair[0] = metric_labeled(kind, name, &label, 1);
    pair[1] = metric_labeled(kind, arena_printf(&a, "%s.%s", name, s->id).p, NULL, 0);
    arena_deinit(&a);
}

static void pair_observe(const struct remote *s, struct metric *pair[2], const char *name,
                         double ms)
{
    pair_find(s, pair, METRIC_KIND_SAMPLE, name);
    metric_observe(pair[0], ms);
    metric_observe(pair[1], ms);
}

void transport_measure(struct remote *s, const struct asked *asked)
{
    double ms = (double)(clock_mono_ns() - asked->at_ns) / (double)NS_PER_MS;
    switch (asked->kind) {
    case RAFT_MSG_APPEND:
        if (asked->is_heartbeat) {
            pair_observe(s, s->heartbeat_time, "raft.replication.heartbeat", ms);
            break;
        }
        pair_observe(s, s->append_time, "raft.replication.appendEntries.rpc", ms);
        pair_find(s, s->append_logs, METRIC_KIND_COUNTER, "raft.replication.appendEntries.logs");
        metric_add(s->append_logs[0], (double)asked->count);
        metric_add(s->append_logs[1], (double)asked->count);
        break;
    case RAFT_MSG_INSTALL:
        pair_observe(s, s->install_time, "raft.replication.installSnapshot", ms);
        break;
    case RAFT_MSG_VOTE:
        if (!asked->pre) {
            metric_observe(&metric_vote, ms);
        }
        break;
    default:
        break;
    }
}
