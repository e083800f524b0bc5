/* Leading: bring every server's log to ours, find what a majority has, know that we still lead.
 *
 * To each peer entries flow in one of three modes: probing (one message, to find where the logs
 * part), pipelined (up to RAFT_PIPELINE_MAX messages, and RAFT_PIPELINE_SIZE_MAX bytes, ahead of
 * the answers, so that a slow server costs a bounded amount of memory), or by snapshot, when the
 * entries it needs are gone from the log. A refusal or a lost connection leads back to probing.
 *
 * The leader's own disk is one of the majority: its share is what is durable, and entries are sent
 * before that. Only an entry of its own term is committed by counting (section 5.4.2 of the paper);
 * those before it come along. */
#include "raft/core/internal.h"

#define BACKOFF_MS_MIN 10u
#define BACKOFF_MS_MAX 500u

static struct raft_core_output *peer_send(struct raft_core *c, struct peer *p,
                                          enum raft_msg_kind kind, struct raft_core_out *out)
{
    struct raft_core_output *o = core_put(out, RAFT_OUT_SEND);
    o->server = str_from_cstr(p->id);
    o->address = str_from_cstr(p->address);
    o->msg = (struct raft_msg){.kind = kind, .term = c->term, .token = c->round};
    return o;
}

static void send_heartbeats(struct raft_core *c, struct raft_core_out *out)
{
    c->round++;
    c->heartbeat_at_ms = c->now_ms + c->interval_ms;
    for (size_t i = 0; i < c->peers_count; i++) {
        struct raft_core_output *o = peer_send(c, &c->peers[i], RAFT_MSG_APPEND, out);
        o->msg.append.leader = str_from_cstr(c->address);
        o->msg.append.interval_ms = c->interval_ms;
    }
}

/* --- replication --- */

static void flight_add(struct peer *p, uint64_t last_index, uint64_t size)
{
    ASSERT(p->flight.count < RAFT_PIPELINE_MAX);
    uint32_t at = (p->flight.first + p->flight.count++) % RAFT_PIPELINE_MAX;
    p->flight.v[at].last_index = last_index;
    p->flight.v[at].size = size;
    p->flight.size += size;
}

/* What is matched has arrived, whichever answer said so; an answer to what was sent before a probe
 * says nothing of what was sent since. */
static void flight_update(struct peer *p)
{
    while (p->flight.count > 0 && p->flight.v[p->flight.first].last_index <= p->match_index) {
        p->flight.size -= p->flight.v[p->flight.first].size;
        p->flight.first = (p->flight.first + 1) % RAFT_PIPELINE_MAX;
        p->flight.count--;
    }
}

static void peer_probe(struct peer *p, uint64_t next_index)
{
    p->mode = PEER_PROBE;
    p->is_asked = false;
    p->next_index = MAX(next_index, (uint64_t)1);
    p->flight.first = p->flight.count = 0;
    p->flight.size = 0;
}

static void peer_send_snapshot(struct raft_core *c, struct peer *p, struct raft_core_out *out)
{
    p->mode = PEER_SNAPSHOT;
    struct raft_core_output *o = peer_send(c, p, RAFT_MSG_INSTALL, out);
    o->msg.install.leader = str_from_cstr(c->address);
    o->msg.install.index = c->log.snapshot_index;
    o->msg.install.term = c->log.snapshot_term;
}

static void peer_send_entries(struct raft_core *c, struct peer *p, struct raft_core_out *out)
{
    uint64_t prev = p->next_index - 1;
    uint64_t prev_term = core_term_at(&c->log, prev);
    if (p->next_index < c->log.first_index || (prev_term == 0 && prev != 0)) {
        peer_send_snapshot(c, p, out);
        return;
    }
    uint64_t count = MIN(c->log.last_index - prev, (uint64_t)RAFT_APPEND_COUNT_MAX), size = 0;
    if (count > 0 && c->fit != NULL) {
        count = c->fit(c->fit_data, p->next_index, count, RAFT_APPEND_SIZE_MAX, &size);
    }
    struct raft_core_output *o = peer_send(c, p, RAFT_MSG_APPEND, out);
    o->msg.append.leader = str_from_cstr(c->address);
    o->msg.append.prev_index = prev;
    o->msg.append.prev_term = prev_term;
    o->msg.append.commit_index = c->commit_index;
    o->msg.append.count = count;
    if (p->mode == PEER_PROBE) { /* it may have no heartbeat of ours yet */
        o->msg.append.interval_ms = c->interval_ms;
    }
    p->commit_sent = c->commit_index;
    p->is_asked = p->mode == PEER_PROBE;
    if (p->mode == PEER_PIPELINE && count > 0) {
        flight_add(p, prev + count, size);
        p->next_index += count;
    }
}

static void peer_replicate(struct raft_core *c, struct peer *p, struct raft_core_out *out)
{
    if (p->retry_ms > c->now_ms) {
        return;
    }
    if (p->mode == PEER_PROBE && !p->is_asked) {
        peer_send_entries(c, p, out);
    }
    while (p->mode == PEER_PIPELINE && p->flight.count < RAFT_PIPELINE_MAX &&
           p->flight.size < RAFT_PIPELINE_SIZE_MAX && p->next_index <= c->log.last_index) {
        peer_send_entries(c, p, out);
    }
}

void core_replicate(struct raft_core *c, struct raft_core_out *out)
{
    for (size_t i = 0; i < c->peers_count; i++) {
        peer_replicate(c, &c->peers[i], out);
    }
}

static void peer_fail(struct raft_core *c, struct peer *p)
{
    uint64_t wait = BACKOFF_MS_MIN << MIN(p->failures, 6u);
    p->failures++;
    p->retry_ms = c->now_ms + MIN(wait, (uint64_t)BACKOFF_MS_MAX);
}

void core_on_unreachable(struct raft_core *c, struct peer *p)
{
    peer_probe(p, p->match_index > 0 ? p->match_index + 1 : p->next_index);
    peer_fail(c, p);
}

/* --- commitment --- */

/* The largest of n values that a majority reaches, by insertion: n is small. */
static uint64_t majority_of(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        for (size_t k = i; k > 0 && v[k] > v[k - 1]; k--) {
            uint64_t x = v[k];
            v[k] = v[k - 1];
            v[k - 1] = x;
        }
    }
    return v[n / 2]; /* descending: n / 2 + 1 of them are at least this */
}

static uint64_t majority(const struct raft_core *c, bool of_rounds)
{
    uint64_t v[RAFT_SERVERS_MAX + 1];
    size_t n = 0;
    if (core_may_campaign(c)) {
        v[n++] = of_rounds ? c->round : c->log.durable_index;
    }
    for (size_t i = 0; i < c->peers_count; i++) {
        if (c->peers[i].is_voter) {
            v[n++] = of_rounds ? c->peers[i].round : c->peers[i].match_index;
        }
    }
    return n > 0 ? majority_of(v, n) : 0;
}

static void send_commit_notices(struct raft_core *c, struct raft_core_out *out)
{
    c->commit_notice_at_ms = 0;
    for (size_t i = 0; i < c->peers_count; i++) {
        struct peer *p = &c->peers[i];
        if (p->mode == PEER_PIPELINE && p->commit_sent < c->commit_index &&
            p->next_index > c->log.last_index && p->retry_ms <= c->now_ms) {
            peer_send_entries(c, p, out);
        }
    }
}

void core_advance_commit(struct raft_core *c, struct raft_core_out *out)
{
    uint64_t index = majority(c, false);
    if (index <= c->commit_index || index < c->term_start) {
        return;
    }
    c->commit_index = index;
    if (c->commit_notice_at_ms == 0) {
        c->commit_notice_at_ms = c->now_ms + c->commit_timeout_ms;
    }
    core_commit_out(c, out);
    if (c->latest_index <= index && c->latest_index != c->committed_index &&
        !core_may_campaign(c)) {
        send_commit_notices(c, out); /* its last words: it is about to step down */
    }
    core_configuration_committed(c, out);
}

/* --- leadership transfer --- */

static void transfer_end(struct raft_core *c, int code, struct raft_core_out *out)
{
    if (c->transfer[0] != '\0') {
        core_set_name(c->transfer, STR_NULL);
        core_put(out, RAFT_OUT_TRANSFERRED)->code = code;
    }
}

static void transfer_try(struct raft_core *c, struct raft_core_out *out)
{
    struct peer *p = core_peer(c, str_from_cstr(c->transfer));
    if (p == NULL || !p->is_voter) {
        transfer_end(c, -ERR_NOT_FOUND, out);
    } else if (!c->transfer_sent && p->match_index == c->log.last_index) {
        c->transfer_sent = true;
        (void)peer_send(c, p, RAFT_MSG_TIMEOUT_NOW, out);
    }
}

int core_transfer(struct raft_core *c, struct str id, struct raft_core_out *out, struct err *err)
{
    if (c->state != RAFT_LEADER) {
        return err_set(err, ERR_NO_LEADER, "not the leader");
    }
    if (c->transfer[0] != '\0') {
        return err_set(err, ERR_AGAIN, "a transfer of leadership is under way");
    }
    struct peer *best = id.n > 0 ? core_peer(c, id) : NULL;
    for (size_t i = 0; i < c->peers_count && id.n == 0; i++) {
        struct peer *p = &c->peers[i];
        if (p->is_voter && (best == NULL || p->match_index > best->match_index)) {
            best = p;
        }
    }
    if (best == NULL || !best->is_voter) {
        return err_set(err, ERR_NOT_FOUND, "no such voter to hand leadership to");
    }
    core_set_name(c->transfer, str_from_cstr(best->id));
    c->transfer_at_ms = c->now_ms + MIN(c->election_timeout_ms, c->quick_ms);
    c->transfer_sent = false;
    transfer_try(c, out);
    return 0;
}

/* --- do we still lead? --- */

static void verifies_answer(struct raft_core *c, struct raft_core_out *out)
{
    uint64_t round = majority(c, true);
    size_t kept = 0;
    bool wants_round = false;
    for (size_t i = 0; i < c->verifies_count; i++) {
        struct verify v = c->verifies[i];
        if (v.round <= round) {
            core_put(out, RAFT_OUT_VERIFIED)->token = v.token;
        } else {
            wants_round |= v.round > c->round;
            c->verifies[kept++] = v;
        }
    }
    c->verifies_count = kept;
    if (wants_round && round == c->round) {
        send_heartbeats(c, out);
    }
}

/* A round that began after the question must come back from a majority. While one is out, all that
 * ask share the next. */
int core_verify(struct raft_core *c, uint64_t token, struct raft_core_out *out)
{
    if (c->state != RAFT_LEADER) {
        return -ERR_NO_LEADER;
    }
    if (c->verifies_count == RAFT_VERIFY_MAX) {
        return -ERR_RATE_LIMIT;
    }
    c->verifies[c->verifies_count++] = (struct verify){token, c->round + 1};
    if (majority(c, true) == c->round) {
        send_heartbeats(c, out);
    }
    verifies_answer(c, out);
    return 0;
}

/* --- life of a leader --- */

void core_peers_update(struct raft_core *c)
{
    static const struct peer blank;
    struct peer old[RAFT_SERVERS_MAX];
    size_t old_count = c->peers_count;
    memcpy(old, c->peers, old_count * sizeof(old[0]));
    c->peers_count = 0;
    for (uint32_t i = 0; i < c->latest.count; i++) {
        const struct raft_server *s = &c->latest.servers[i];
        if (strcmp(s->id, c->id) == 0) {
            continue;
        }
        struct peer *p = &c->peers[c->peers_count++];
        *p = blank;
        p->next_index = c->log.last_index + 1;
        p->contact_ms = c->now_ms;
        for (size_t k = 0; k < old_count; k++) {
            if (strcmp(old[k].id, s->id) == 0) {
                *p = old[k];
            }
        }
        core_set_name(p->id, str_from_cstr(s->id));
        core_set_name(p->address, str_from_cstr(s->address));
        p->is_voter = s->suffrage == RAFT_VOTER;
    }
}

static void append_noop(struct raft_core *c)
{
    c->own = (struct raft_entry){
        .index = c->log.last_index + 1, .term = c->term, .type = RAFT_ENTRY_NOOP};
    core_log_append(&c->log, c->own.index, c->term);
}

static void append_noop_out(struct raft_core *c, struct raft_core_out *out)
{
    struct raft_core_output *o = core_put(out, RAFT_OUT_APPEND);
    o->entries = &c->own;
    o->count = 1;
}

/* The state was replaced by one that no entry leads to. The snapshot lies beyond everything, so the
 * others have to take it; the entry behind it tells when a majority has. */
void core_on_restored(struct raft_core *c, const struct raft_core_event *e,
                      struct raft_core_out *out)
{
    c->is_restoring = false;
    if (!e->ok) {
        return;
    }
    ASSERT(c->state == RAFT_LEADER && e->term == c->term && e->index > c->log.last_index);
    core_put(out, RAFT_OUT_RESET)->index = e->index + 1;
    core_log_reset(&c->log, e->index, e->term);
    c->commit_index = c->commit_out = e->index;
    append_noop(c);
    append_noop_out(c, out);
    core_replicate(c, out);
}

void core_lead(struct raft_core *c, struct raft_core_out *out)
{
    c->state = RAFT_LEADER;
    c->is_standing = false;
    c->elections = 0;
    core_set_name(c->leader, str_from_cstr(c->address));
    for (size_t i = 0; i < c->peers_count; i++) {
        struct peer *p = &c->peers[i];
        peer_probe(p, c->log.last_index + 1);
        p->match_index = p->commit_sent = p->round = p->retry_ms = 0;
        p->failures = 0;
        p->contact_ms = c->now_ms;
    }
    c->round = c->verifies_count = 0;
    c->commit_notice_at_ms = 0;
    c->lease_at_ms = c->now_ms + c->lease_timeout_ms;
    append_noop(c);
    c->term_start = c->own.index;
    core_role_out(c, out);
    append_noop_out(c, out);
    send_heartbeats(c, out);
    core_replicate(c, out);
}

void core_leader_stop(struct raft_core *c, struct raft_core_out *out)
{
    for (size_t i = 0; i < c->verifies_count; i++) {
        struct raft_core_output *o = core_put(out, RAFT_OUT_VERIFIED);
        o->token = c->verifies[i].token;
        o->code = -ERR_LEADERSHIP_LOST;
    }
    c->verifies_count = 0;
    transfer_end(c, 0, out);
}

static bool lease_holds(const struct raft_core *c)
{
    uint32_t heard = core_may_campaign(c);
    for (size_t i = 0; i < c->peers_count; i++) {
        const struct peer *p = &c->peers[i];
        heard += p->is_voter && c->now_ms - p->contact_ms <= c->lease_timeout_ms;
    }
    return heard > raft_configuration_voters(&c->latest) / 2;
}

void core_leader_tick(struct raft_core *c, struct raft_core_out *out)
{
    if (c->now_ms >= c->lease_at_ms) {
        c->lease_at_ms = c->now_ms + c->lease_timeout_ms / 4;
        if (!lease_holds(c)) {
            core_follow(c, c->term, out);
            return;
        }
    }
    if (c->now_ms >= c->heartbeat_at_ms) {
        send_heartbeats(c, out);
    }
    if (c->commit_notice_at_ms != 0 && c->now_ms >= c->commit_notice_at_ms) {
        send_commit_notices(c, out);
    }
    if (c->transfer[0] != '\0') {
        if (c->now_ms >= c->transfer_at_ms) {
            transfer_end(c, -ERR_TIMEOUT, out);
        } else {
            transfer_try(c, out);
        }
    }
    core_replicate(c, out);
}

uint64_t core_leader_deadline_ms(const struct raft_core *c)
{
    uint64_t at = MIN(c->heartbeat_at_ms, c->lease_at_ms);
    if (c->commit_notice_at_ms != 0) {
        at = MIN(at, c->commit_notice_at_ms);
    }
    if (c->transfer[0] != '\0') {
        at = MIN(at, c->transfer_at_ms);
    }
    for (size_t i = 0; i < c->peers_count; i++) {
        if (c->peers[i].retry_ms > c->now_ms) {
            at = MIN(at, c->peers[i].retry_ms);
        }
    }
    return at;
}

int core_propose(struct raft_core *c, struct raft_entry *entries, size_t count,
                 struct raft_core_out *out)
{
    if (c->state != RAFT_LEADER) {
        return -ERR_NO_LEADER;
    }
    if (c->transfer[0] != '\0' || c->is_restoring) {
        return -ERR_AGAIN;
    }
    if (count == 0) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        entries[i].index = c->log.last_index + 1;
        entries[i].term = c->term;
        core_log_append(&c->log, entries[i].index, c->term);
    }
    struct raft_core_output *o = core_put(out, RAFT_OUT_APPEND);
    o->entries = entries;
    o->count = count;
    core_replicate(c, out);
    return 0;
}

/* --- answers --- */

/* To the probe that is under way, or to something that was sent before it? */
static bool answers_probe(const struct peer *p, const struct raft_msg *m)
{
    return p->mode == PEER_PROBE && p->is_asked && m->append_result.prev_index == p->next_index - 1;
}

static void append_refused(struct raft_core *c, struct peer *p, const struct raft_msg *m,
                           struct raft_core_out *out)
{
    uint64_t prev = m->append_result.prev_index, last = prev + m->append_result.count;
    if (!answers_probe(p, m) && (p->mode != PEER_PIPELINE || last <= p->match_index)) {
        return; /* of before we went back to probing, or it has taken those entries since */
    }
    uint64_t next = MIN(prev, m->append_result.last_index + 1);
    if (m->append_result.conflict_index != 0) {
        next = MIN(next, m->append_result.conflict_index);
    }
    if (prev == p->match_index && m->append_result.last_index < prev) {
        p->match_index = 0; /* its log is gone */
    }
    peer_probe(p, MAX(next, p->match_index + 1));
    if (m->append_result.no_backoff) {
        p->failures = 0;
    } else {
        peer_fail(c, p);
    }
    peer_replicate(c, p, out);
}

void core_on_append_result(struct raft_core *c, struct peer *p, const struct raft_msg *m,
                           struct raft_core_out *out)
{
    uint64_t prev = m->append_result.prev_index, last = prev + m->append_result.count;
    if (last == 0) { /* a heartbeat's */
        if (m->append_result.success && m->append_result.round > p->round) {
            p->round = MIN(m->append_result.round, c->round);
            verifies_answer(c, out);
        }
        return;
    }
    if (!m->append_result.success) {
        append_refused(c, p, m, out);
        return;
    }
    if (last > c->log.last_index) {
        return; /* we never sent that */
    }
    if (answers_probe(p, m)) {
        p->mode = PEER_PIPELINE;
        p->is_asked = false;
    }
    if (p->mode == PEER_PIPELINE) {
        p->failures = 0;
        p->retry_ms = 0;
    }
    if (last > p->match_index) {
        p->match_index = last;
        flight_update(p);
        core_advance_commit(c, out);
        if (c->state != RAFT_LEADER) {
            return;
        }
    }
    if (!p->is_asked) {
        p->next_index = MAX(p->next_index, p->match_index + 1);
    }
    peer_replicate(c, p, out);
    if (c->transfer[0] != '\0') {
        transfer_try(c, out);
    }
}

void core_on_install_result(struct raft_core *c, struct peer *p, const struct raft_msg *m,
                            struct raft_core_out *out)
{
    if (p->mode != PEER_SNAPSHOT) {
        return;
    }
    if (!m->install_result.success) {
        peer_probe(p, p->match_index > 0 ? p->match_index + 1 : p->next_index);
        peer_fail(c, p);
        return;
    }
    uint64_t index = m->install_result.index;
    if (index > p->match_index && index <= c->log.last_index) {
        p->match_index = index;
    }
    p->failures = 0;
    peer_probe(p, p->match_index + 1);
    core_advance_commit(c, out);
    if (c->state == RAFT_LEADER) {
        peer_replicate(c, p, out);
    }
}
