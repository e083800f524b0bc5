/* Following: take entries from the leader, agree or say where the logs part, take its snapshot.
 *
 * An APPEND is answered when its entries are durable, in the order the requests came; a heartbeat
 * at once. Everything the message claims is checked before anything is changed: it may come from a
 * server that is broken. What is committed is never cut off, whoever asks. */
#include "raft/core/internal.h"

static void append_reply(struct raft_core *c, uint64_t token, bool success, bool no_backoff,
                         uint64_t conflict_index, struct raft_core_out *out)
{
    struct raft_core_output *o = core_put(out, RAFT_OUT_REPLY);
    o->msg = (struct raft_msg){.kind = RAFT_MSG_APPEND_RESULT,
                               .term = c->term,
                               .token = token,
                               .append_result = {.success = success,
                                                 .no_backoff = no_backoff,
                                                 .last_index = c->log.last_index,
                                                 .conflict_index = conflict_index}};
}

void core_acks_durable(struct raft_core *c, struct raft_core_out *out)
{
    while (c->acks_count > 0 && c->acks[c->acks_first].last_index <= c->log.durable_index) {
        append_reply(c, c->acks[c->acks_first].token, true, false, 0, out);
        c->acks_first = (c->acks_first + 1) % RAFT_ACKS_MAX;
        c->acks_count--;
    }
}

void core_acks_fail(struct raft_core *c, struct raft_core_out *out)
{
    while (c->acks_count > 0) {
        append_reply(c, c->acks[c->acks_first].token, false, false, 0, out);
        c->acks_first = (c->acks_first + 1) % RAFT_ACKS_MAX;
        c->acks_count--;
    }
}

static void ack_when_durable(struct raft_core *c, uint64_t token, uint64_t last_index,
                             struct raft_core_out *out)
{
    if (c->acks_count == RAFT_ACKS_MAX) {
        append_reply(c, token, false, false, 0, out);
        return;
    }
    c->acks[(c->acks_first + c->acks_count++) % RAFT_ACKS_MAX] = (struct ack){token, last_index};
    core_acks_durable(c, out);
}

/* Of a term that is not over, from a server that may lead it: follow it. */
static bool leader_accept(struct raft_core *c, const struct raft_msg *m, struct str leader,
                          struct raft_core_out *out)
{
    if (m->term < c->term || (m->term == c->term && c->state == RAFT_LEADER)) {
        return false;
    }
    if (m->term > c->term || c->state != RAFT_FOLLOWER) {
        core_follow(c, m->term, out);
    }
    c->leader_heard_ms = c->silent_since_ms = c->now_ms;
    c->elections = 0;
    c->voted_ms = 0;
    if (!str_eq(str_from_cstr(c->leader), str_first(leader, RAFT_NAME_SIZE_MAX))) {
        core_set_name(c->leader, leader);
        c->follow_ms = c->heartbeat_timeout_ms; /* until it says more of itself */
        core_role_out(c, out);
    }
    core_election_defer(c);
    return true;
}

static bool entries_are_valid(const struct raft_msg *m)
{
    uint64_t index = m->append.prev_index, term = m->append.prev_term;
    struct raft_configuration configuration;
    for (size_t i = 0; i < m->append.count; i++) {
        const struct raft_entry *e = &m->append.entries[i];
        if (e->index != ++index || e->term < term || e->term > m->term || e->term == 0) {
            return false;
        }
        if (e->type == RAFT_ENTRY_CONFIGURATION &&
            (raft_configuration_decode(e->data, &configuration, NULL) < 0 ||
             raft_configuration_check(&configuration, NULL) < 0)) {
            return false;
        }
        term = e->term;
    }
    return index >= m->append.prev_index;
}

/* Add what the log does not have. */
static bool entries_take(struct raft_core *c, struct raft_entry *entries, size_t count,
                         struct raft_core_out *out)
{
    size_t i = 0;
    for (; i < count && entries[i].index <= c->log.last_index; i++) {
        uint64_t term = core_term_at(&c->log, entries[i].index); /* 0: compacted, so committed */
        if (term == entries[i].term || term == 0) {
            continue;
        }
        if (entries[i].index <= c->commit_out) {
            return false; /* committed here; what follows it would not fit */
        }
        break;
    }
    if (i == count) {
        return true;
    }
    if (entries[i].term < core_term_at(&c->log, entries[i].index - 1)) {
        return false; /* terms never go down in a log */
    }
    if (entries[i].index <= c->log.last_index) {
        uint64_t index = entries[i].index;
        core_put(out, RAFT_OUT_TRUNCATE)->index = index;
        core_log_truncate(&c->log, index);
        core_configuration_truncated(c, index, out);
    }
    struct raft_core_output *o = core_put(out, RAFT_OUT_APPEND);
    o->entries = entries + i;
    o->count = count - i;
    for (; i < count; i++) {
        core_log_append(&c->log, entries[i].index, entries[i].term);
        struct raft_configuration configuration;
        if (entries[i].type == RAFT_ENTRY_CONFIGURATION &&
            raft_configuration_decode(entries[i].data, &configuration, NULL) == 0) {
            core_configuration_latest(c, entries[i].index, &configuration, out);
        }
    }
    return true;
}

void core_on_append(struct raft_core *c, const struct raft_msg *m, struct raft_core_out *out)
{
    if (!leader_accept(c, m, m->append.leader, out)) {
        append_reply(c, m->token, false, false, 0, out);
        return;
    }
    if (m->append.interval_ms > 0) {
        uint64_t silence = MIN(m->append.interval_ms, c->heartbeat_timeout_ms) * 10;
        c->follow_ms = MIN(c->heartbeat_timeout_ms, MAX(silence, c->quick_ms));
        core_election_defer(c);
    }
    uint64_t prev = m->append.prev_index;
    if (prev == 0 && m->append.count == 0) {
        append_reply(c, m->token, true, false, 0, out); /* a heartbeat */
        return;
    }
    if (prev > c->log.last_index) {
        append_reply(c, m->token, false, true, c->log.last_index + 1, out);
        return;
    }
    if (prev > c->commit_out && core_term_at(&c->log, prev) != m->append.prev_term) {
        uint64_t start = core_run_start(&c->log, prev);
        append_reply(c, m->token, false, true, MAX(start, c->commit_out + 1), out);
        return;
    }
    if (c->is_installing || c->is_restoring || !entries_are_valid(m) ||
        !entries_take(c, m->append.entries, (size_t)m->append.count, out)) {
        append_reply(c, m->token, false, false, 0, out);
        return;
    }
    uint64_t last_index = prev + m->append.count; /* up to here our logs are the same */
    uint64_t commit_index = MIN(m->append.commit_index, last_index);
    if (commit_index > c->commit_index) {
        c->commit_index = commit_index;
        core_configuration_committed(c, out);
    }
    ack_when_durable(c, m->token, last_index, out);
    core_commit_out(c, out);
}

static void install_reply(struct raft_core *c, uint64_t token, bool success,
                          struct raft_core_out *out)
{
    struct raft_core_output *o = core_put(out, RAFT_OUT_REPLY);
    o->msg = (struct raft_msg){.kind = RAFT_MSG_INSTALL_RESULT,
                               .term = c->term,
                               .token = token,
                               .install_result = {.success = success}};
}

void core_on_install(struct raft_core *c, const struct raft_msg *m, struct raft_core_out *out)
{
    if (!leader_accept(c, m, m->install.leader, out) || c->is_installing || c->is_restoring ||
        raft_configuration_check(&m->install.configuration, NULL) < 0 ||
        m->install.configuration_index > m->install.index) {
        install_reply(c, m->token, false, out);
        return;
    }
    if (m->install.index <= c->commit_out) {
        install_reply(c, m->token, true, out); /* nothing in it is new */
        return;
    }
    c->is_installing = true;
    c->install_token = m->token;
    core_put(out, RAFT_OUT_INSTALL)->msg = *m;
}

void core_on_installed(struct raft_core *c, const struct raft_core_event *e,
                       struct raft_core_out *out)
{
    if (!c->is_installing) {
        return;
    }
    c->is_installing = false;
    if (e->ok && e->index > c->commit_out) {
        if (core_term_at(&c->log, e->index) == e->term && e->index <= c->log.durable_index) {
            c->log.snapshot_index = e->index; /* what stands behind it in our log may be of use */
            c->log.snapshot_term = e->term;
        } else {
            core_put(out, RAFT_OUT_RESET)->index = e->index + 1;
            core_log_reset(&c->log, e->index, e->term);
            core_acks_fail(c, out);
        }
        c->commit_out = e->index;
        c->commit_index = MAX(c->commit_index, e->index);
        c->committed = *e->configuration;
        c->committed_index = e->configuration_index;
        if (c->latest_index <= e->index || c->latest_index > c->log.last_index) {
            c->latest = c->committed;
            c->latest_index = c->committed_index;
        }
        core_peers_update(c);
        core_put(out, RAFT_OUT_CONFIGURATION)->index = c->latest_index;
        c->leader_heard_ms = c->silent_since_ms = c->now_ms;
        core_election_defer(c);
    }
    install_reply(c, c->install_token, e->ok, out);
}
