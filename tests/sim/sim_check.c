/* What must never happen. The truth is what was applied first, anywhere: from then on every server,
 * in every life, must apply the very same at that index, and find the same state behind it. */
#include "base/encode.h"
#include "raft/core/internal.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct sim *sim_current;

void sim_fail(const char *what, uint64_t a, uint64_t b)
{
    const struct sim *s = sim_current;
    fprintf(stderr, "# FAILED: %s (%" PRIu64 ", %" PRIu64 ") at %.3f s\n", what, a, b,
            (double)s->now_us / 1e6);
    abort();
}

/* --- elections --- */

static int *by_term(uint64_t term, int **v, size_t *n, size_t *cap)
{
    SIM_CHECK(term < 100000, term, 0);
    while (*n <= term) {
        if (*n == *cap) {
            *v = vec_grow_(*v, *n, cap, sizeof(**v));
        }
        (*v)[(*n)++] = 0;
    }
    return &(*v)[term];
}
#define BY_TERM(vec, term) by_term((term), &(vec)->v, &(vec)->n, &(vec)->cap)

/* In one term a server votes for one, in all its lives. */
void sim_check_vote(struct sim_server *sv, uint64_t term, int candidate)
{
    int *vote = BY_TERM(&sv->votes, term);
    SIM_CHECK(*vote == 0 || *vote == candidate + 1, term, sv->number);
    *vote = candidate + 1;
}

/* Who leads has everything that was committed in the terms before. (Not all of what has an older
 * term: one that was elected long ago may learn of it now, when others lead in newer terms and have
 * committed what it never had.) */
static void check_complete(struct sim_server *sv, uint64_t term)
{
    struct sim *s = sv->sim;
    uint64_t index = s->applied_max;
    while (index > 0 && (s->truth[index].by_term >= term || s->truth[index].term == 0)) {
        index--;
    }
    SIM_CHECK(raft_core_last_index(sv->raft->core) >= index, raft_core_last_index(sv->raft->core),
              index);
    for (; index > 0 && index >= raft_log_first_index(sv->raft->log); index--) {
        uint64_t have = raft_log_term(sv->raft->log, index), truth = s->truth[index].term;
        SIM_CHECK(truth == 0 || have == 0 || have == truth, index, have);
    }
}

void sim_check_role(struct sim_server *sv)
{
    struct sim *s = sv->sim;
    struct raft *r = sv->raft;
    if (r == NULL || r->state != RAFT_LEADER || r->halted) {
        return;
    }
    uint64_t term = raft_core_term(r->core);
    int *leader = BY_TERM(&s->leaders, term);
    SIM_CHECK(*leader == 0 || *leader == sv->number + 1, term, *leader);
    if (*leader == 0) {
        *leader = sv->number + 1;
        s->stats.elections++;
        sim_plot_elected(sv);
        check_complete(sv, term);
    }
}

/* What a leader counts on, as far as that can be seen from above: it moves its commit index only to
 * entries of its own term, and what it believes a follower to have, that follower has on its disk
 * (unless it follows somebody newer by now). */
static void check_leader(struct sim_server *sv)
{
    struct sim *s = sv->sim;
    const struct raft_core *c = sv->raft->core;
    if (c->state != RAFT_LEADER || sv->raft->halted) {
        return;
    }
    if (sv->lead_term == c->term && c->commit_index > sv->lead_commit) {
        uint64_t term = core_term_at(&c->log, c->commit_index);
        SIM_CHECK(term == c->term, c->commit_index, term);
    }
    sv->lead_term = c->term;
    sv->lead_commit = c->commit_index;
    for (size_t i = 0; i < c->peers_count; i++) {
        const struct peer *p = &c->peers[i];
        struct raft *r = s->servers[p->id[2] - '0'].raft;
        if (r == NULL || r->halted || raft_core_term(r->core) > c->term || r->fsm_busy ||
            p->match_index <= r->snapshot_index) {
            continue;
        }
        uint64_t have = raft_log_term(r->log, p->match_index);
        uint64_t want = core_term_at(&c->log, p->match_index); /* 0: compacted */
        SIM_CHECK(p->match_index <= raft_log_durable_index(r->log), p->match_index, sv->number);
        SIM_CHECK(have == 0 || want == 0 || have == want, p->match_index, have);
    }
}

/* --- logs --- */

static struct sim_entry *entry_find(struct sim *s, uint64_t index, uint64_t term)
{
    for (uint64_t at = s->entry_heads[index]; at != 0; at = s->entries.v[at - 1].next) {
        if (s->entries.v[at - 1].term == term) {
            return &s->entries.v[at - 1];
        }
    }
    return NULL;
}

/* Entries of the same index and term are the same, and so is all before them. */
static void check_entry(struct sim *s, const struct raft_entry *e, uint64_t prev_term)
{
    SIM_CHECK(e->index < SIM_INDEX_MAX, e->index, 0);
    uint64_t hash = fnv1a64(e->data) * 31 + e->type;
    struct sim_entry *known = entry_find(s, e->index, e->term);
    if (known == NULL) {
        vec_push(&s->entries, ((struct sim_entry){.term = e->term,
                                                  .hash = hash,
                                                  .prev_term = prev_term,
                                                  .next = s->entry_heads[e->index],
                                                  .type = e->type}));
        s->entry_heads[e->index] = s->entries.n;
        return;
    }
    SIM_CHECK(known->hash == hash, e->index, e->term);
    SIM_CHECK(known->prev_term == prev_term || known->prev_term == 0 || prev_term == 0, e->index,
              e->term);
    known->prev_term = prev_term != 0 ? prev_term : known->prev_term;
}

static void check_log(struct sim_server *sv)
{
    struct raft_log *log = sv->raft->log;
    uint64_t first = raft_log_first_index(log), last = raft_log_last_index(log);
    uint64_t at = MIN(sv->log_seen, last);
    while (at >= first && raft_log_term(log, at) != sv->log_terms.v[at]) {
        at--;
    }
    at = MAX(at, first - 1);
    while (sv->log_terms.n <= last) {
        vec_push(&sv->log_terms, 0);
    }
    while (at < last) {
        static struct raft_entry entries[64];
        struct err err = {0};
        int n = raft_log_read(log, at + 1, ARRAY_SIZE(entries), 1 << 20, entries, &err);
        SIM_CHECK(n > 0, at + 1, -n);
        for (int i = 0; i < n; i++) {
            at++;
            check_entry(sv->sim, &entries[i], raft_log_term(log, at - 1));
            sv->log_terms.v[at] = entries[i].term;
        }
    }
    sv->log_seen = last;
}

/* --- what is applied --- */

void sim_check_apply(struct sim_server *sv, uint64_t index, uint64_t term, uint64_t hash,
                     uint64_t result)
{
    struct sim *s = sv->sim;
    SIM_CHECK(index < SIM_INDEX_MAX, index, 0);
    struct sim_truth *t = &s->truth[index];
    if (t->term == 0) {
        *t = (struct sim_truth){.term = term,
                                .by_term = raft_core_term(sv->raft->core),
                                .hash = hash,
                                .result = result,
                                .is_command = true};
    }
    SIM_CHECK(t->is_command && t->term == term && t->hash == hash, index, sv->number);
    SIM_CHECK(t->result == result, index, sv->number);
    vec_push(&sv->applied, index);
    s->stats.applied++;
}

void sim_check_state(struct sim_server *sv, uint64_t index)
{
    struct sim_truth *t = &sv->sim->truth[index];
    uint64_t state = sim_fsm_digest(sv->fsm);
    if (!t->has_state) {
        t->has_state = true;
        t->state = state;
    }
    SIM_CHECK(t->state == state, index, sv->number);
}

/* Every entry in its order, none left out; those that are no commands count for their terms. */
static void check_range(struct sim_server *sv, uint64_t from, uint64_t to)
{
    struct sim *s = sv->sim;
    size_t n = 0;
    /* It took a snapshot and halted, for its broken log cannot follow: what is in that one still
     * was never applied, and a restart drops it. */
    bool is_left_over = sv->raft->halted && sv->was_restored;
    for (uint64_t i = from + 1; i <= to; i++) {
        struct sim_truth *t = &s->truth[i];
        uint64_t term = is_left_over ? 0 : raft_log_term(sv->raft->log, i);
        if (t->term == 0) {
            t->term = term;
            t->by_term = raft_core_term(sv->raft->core);
        }
        SIM_CHECK(term == 0 || t->term == term, i, sv->number);
        if (n < sv->applied.n && sv->applied.v[n] == i) {
            n++;
            continue;
        }
        const struct sim_entry *e = term != 0 ? entry_find(s, i, term) : NULL;
        SIM_CHECK(sv->was_restored || e == NULL || e->type != RAFT_ENTRY_COMMAND, i, sv->number);
    }
    SIM_CHECK(n == sv->applied.n, n, sv->applied.n);
}

static void check_applied(struct sim_server *sv)
{
    struct sim *s = sv->sim;
    struct raft *r = sv->raft;
    SIM_CHECK(r->applied_index >= sv->applied_seen, r->applied_index, sv->applied_seen);
    SIM_CHECK(r->commit_index >= sv->commit_seen, r->commit_index, sv->commit_seen);
    SIM_CHECK(r->applied_index <= r->commit_index, r->applied_index, r->commit_index);
    sv->commit_seen = r->commit_index;
    if (r->applied_index == sv->applied_seen) {
        SIM_CHECK(sv->applied.n == 0, sv->applied.n, sv->number);
        return;
    }
    check_range(sv, sv->applied_seen, r->applied_index);
    sv->applied.n = 0;
    sv->applied_seen = r->applied_index;
    s->applied_max = MAX(s->applied_max, r->applied_index);
    if (!r->fsm_busy && (sv->was_restored || sim_fsm_is_cheap(s))) {
        sim_check_state(sv, r->applied_index);
    }
    s->stats.installs += sv->was_restored;
    sv->was_restored = false;
}

void sim_check_step(struct sim_server *sv)
{
    struct raft *r = sv->raft;
    if (r == NULL) {
        return;
    }
    uint64_t term = raft_core_term(r->core);
    if (!r->halted) {
        SIM_CHECK(term >= sv->term_seen, term, sv->term_seen);
        sv->term_seen = term;
    }
    sim_check_role(sv);
    check_leader(sv);
    check_log(sv);
    check_applied(sv);
}

/* What a server has said and done in a life before, its disk must remember. */
void sim_check_started(struct sim_server *sv)
{
    struct raft *r = sv->raft;
    SIM_CHECK(raft_core_term(r->core) >= sv->term_seen, raft_core_term(r->core), sv->term_seen);
    sv->log_seen = 0;
    sv->commit_seen = r->commit_index;
    sv->applied_seen = r->applied_index;
    sv->applied.n = 0;
    if (r->applied_index > 0) {
        sim_check_state(sv, r->applied_index);
    }
    sv->was_restored = false;
    check_log(sv);
}

/* --- what clients were told --- */

/* It took place behind everything that had been answered when it was asked for. */
void sim_check_acked(struct sim_op *op, uint64_t index)
{
    struct sim *s = op->server->sim;
    SIM_CHECK(index > op->floor && index < SIM_INDEX_MAX, index, op->floor);
    if (op->proposal.entry.n > 0) {
        SIM_CHECK(op->applied_at == index, op->applied_at, index);
        SIM_CHECK(s->truth[index].hash == op->hash, index, op->number);
    }
    s->acked_max = MAX(s->acked_max, index);
    s->stats.acked++;
}

/* The entry it is about is still in the log, for a little while. */
void sim_check_change(struct sim_server *sv)
{
    struct raft *r = sv->raft;
    uint64_t index = r->configuration_index, term = raft_log_term(r->log, index);
    sv->sim->stats.changes++;
    if (term != 0) {
        vec_push(&sv->sim->kept, ((struct sim_kept){index, term}));
    }
}

/* All have what the leader has. */
void sim_check_end(struct sim *s)
{
    struct sim_server *leader = sim_leader(s);
    SIM_CHECK(leader != NULL, 0, 0);
    const struct raft_configuration *c = &leader->raft->configuration;
    uint64_t index = leader->raft->applied_index;
    SIM_CHECK(index >= s->acked_max && index == s->applied_max, index, s->applied_max);
    for (uint32_t i = 0; i < c->count; i++) {
        for (int k = 0; k < SIM_SERVERS; k++) {
            struct sim_server *sv = &s->servers[k];
            if (str_eq(str_from_cstr(c->servers[i].id), str_from_cstr(sv->id))) {
                SIM_CHECK(sv->raft->applied_index == index, sv->raft->applied_index, k);
                sim_check_state(sv, index);
            }
        }
    }
    for (size_t i = 0; i < s->kept.n; i++) {
        uint64_t term = s->truth[s->kept.v[i].index].term;
        SIM_CHECK(term == s->kept.v[i].term || term == 0, s->kept.v[i].index, term);
    }
}
