/* Changing who votes: one server at a time, so that the majorities of before and after overlap. A
 * configuration is in force as soon as it is in the log; the next may come when it is committed.
 * A leader must have committed an entry of its own term first (the flaw of 2015 in the thesis). */
#include "raft/core/internal.h"

void core_configuration_latest(struct raft_core *c, uint64_t index,
                               const struct raft_configuration *configuration,
                               struct raft_core_out *out)
{
    if (c->state != RAFT_LEADER && c->latest_index > c->committed_index) {
        /* The leader made this one, so the one before is committed. */
        c->committed = c->latest;
        c->committed_index = c->latest_index;
    }
    c->latest = *configuration;
    c->latest_index = index;
    core_peers_update(c);
    core_put(out, RAFT_OUT_CONFIGURATION)->index = index;
}

void core_configuration_truncated(struct raft_core *c, uint64_t index, struct raft_core_out *out)
{
    if (c->latest_index >= index) {
        c->latest = c->committed;
        c->latest_index = c->committed_index;
        core_peers_update(c);
        core_put(out, RAFT_OUT_CONFIGURATION)->index = c->latest_index;
    }
}

void core_configuration_committed(struct raft_core *c, struct raft_core_out *out)
{
    if (c->latest_index > c->commit_index || c->latest_index == c->committed_index) {
        return;
    }
    c->committed = c->latest;
    c->committed_index = c->latest_index;
    if (c->state == RAFT_LEADER && !core_may_campaign(c)) {
        core_follow(c, c->term, out); /* it has removed itself */
    }
}

int core_change(struct raft_core *c, const struct raft_core_event *e, struct raft_core_out *out,
                struct err *err)
{
    if (c->state != RAFT_LEADER) {
        return err_set(err, ERR_NO_LEADER, "not the leader");
    }
    if (c->commit_index < c->term_start || c->latest_index != c->committed_index ||
        c->transfer[0] != '\0' || c->is_restoring) {
        return err_set(err, ERR_AGAIN, "another change of the configuration is under way");
    }
    if (e->prev_index != 0 && e->prev_index != c->latest_index) {
        return err_set(err, ERR_CONFLICT, "configuration changed since %llu (latest is %llu)",
                       (unsigned long long)e->prev_index, (unsigned long long)c->latest_index);
    }
    struct raft_configuration next;
    int r = raft_configuration_change(&c->latest, e->change, e->server, e->address, &next, err);
    if (r < 0) {
        return r;
    }
    buf_clear(&c->scratch);
    raft_configuration_encode(&next, &c->scratch);
    c->own = (struct raft_entry){.index = c->log.last_index + 1,
                                 .term = c->term,
                                 .type = RAFT_ENTRY_CONFIGURATION,
                                 .data = buf_view(&c->scratch)};
    core_log_append(&c->log, c->own.index, c->term);
    struct raft_core_output *o = core_put(out, RAFT_OUT_APPEND);
    o->entries = &c->own;
    o->count = 1;
    core_configuration_latest(c, c->own.index, &next, out);
    core_replicate(c, out);
    return 0;
}
