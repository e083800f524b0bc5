/* Clients: they write to whoever believes to lead (at times to somebody else), read what they
 * wrote, change the membership, hand leadership over, ask for snapshots. */
#include "base/encode.h"
#include "base/mem.h"
#include "sim.h"

#include <stdio.h>

#define SIM_HURRY 5000u /* after so many writes there is time */

struct sim_server *sim_leader(struct sim *s)
{
    uint64_t start = sim_below(s, SIM_SERVERS);
    for (uint64_t i = 0; i < SIM_SERVERS; i++) {
        struct sim_server *sv = &s->servers[(start + i) % SIM_SERVERS];
        if (sv->raft != NULL && sv->raft->state == RAFT_LEADER) {
            return sv;
        }
    }
    return NULL;
}

/* What is seen from now on must not be older than this. */
static uint64_t seen_floor(const struct sim *s)
{
    return MAX(s->acked_max, s->read_max);
}

/* --- writes --- */

static void op_done(struct raft_proposal *p, int code, uint64_t index)
{
    struct sim_op *op = container_of(p, struct sim_op, proposal);
    struct sim *s = op->server->sim;
    switch (-code) {
    case 0:
        sim_check_acked(op, index);
        break;
    case ERR_NO_LEADER:
    case ERR_RATE_LIMIT:
    case ERR_TOO_LARGE:
        s->refused.v[op->number] = 1;
        s->stats.refused++;
        break;
    default: /* nobody knows what becomes of it */
        s->stats.lost++;
    }
    buf_deinit(&op->bytes);
    mem_free(op);
}

static void propose(struct sim_server *sv, bool is_barrier)
{
    struct sim *s = sv->sim;
    struct sim_op *op = xcalloc(1, sizeof(*op));
    op->server = sv;
    op->floor = seen_floor(s);
    op->number = ++s->next_number;
    op->proposal.done = op_done;
    while (s->refused.n <= op->number) {
        vec_push(&s->refused, 0);
    }
    if (is_barrier) {
        raft_barrier(sv->raft, &op->proposal);
        return;
    }
    sim_fsm_entry(s, op->number, &op->bytes);
    op->hash = fnv1a64(buf_view(&op->bytes));
    op->proposal.entry = buf_view(&op->bytes);
    raft_propose(sv->raft, &op->proposal);
}

void sim_client_write(struct sim *s)
{
    struct sim_server *leader = sim_leader(s);
    if (leader != NULL) {
        propose(leader, false);
    }
}

/* --- requests --- */

struct sim_request {
    struct raft_request request;
    struct sim_server *server;
    uint64_t floor, index, term;
    struct buf bytes;
    int *code;
};

static void request_free(struct sim_request *q)
{
    buf_deinit(&q->bytes);
    mem_free(q);
}

static struct sim_request *request_new(struct sim_server *sv, enum raft_request_kind kind,
                                       void (*done)(struct raft_request *q, int code))
{
    struct sim_request *q = xcalloc(1, sizeof(*q));
    q->server = sv;
    q->floor = seen_floor(sv->sim);
    q->request.kind = kind;
    q->request.done = done;
    return q;
}

/* A read that was verified sees everything that was acknowledged before it was asked for. */
static void read_done(struct raft_request *request, int code)
{
    struct sim_request *q = container_of(request, struct sim_request, request);
    struct sim *s = q->server->sim;
    if (code == 0) {
        uint64_t index = q->server->raft->applied_index;
        SIM_CHECK(index >= q->floor, index, q->floor);
        s->read_max = MAX(s->read_max, index);
        s->stats.reads++;
    }
    request_free(q);
}

static void change_done(struct raft_request *request, int code)
{
    struct sim_request *q = container_of(request, struct sim_request, request);
    if (code == 0) {
        sim_check_change(q->server);
    }
    request_free(q);
}

void sim_client_change(struct sim_server *leader, enum raft_change what,
                       const struct sim_server *who)
{
    struct raft *r = leader->raft;
    struct sim_request *q = request_new(leader, RAFT_REQUEST_CHANGE, change_done);
    q->request.change = (int)what;
    q->request.prev_index = sim_chance(leader->sim, 0.3) ? r->configuration_index : 0;
    snprintf(q->request.id, sizeof(q->request.id), "%s", who->id);
    snprintf(q->request.address, sizeof(q->request.address), "%s", who->address);
    raft_request(r, &q->request);
}

static void change(struct sim_server *sv)
{
    struct sim *s = sv->sim;
    const struct sim_server *who = sim_any(s);
    enum raft_change what = (enum raft_change)sim_below(s, 4);
    bool shrinks = what == RAFT_REMOVE_SERVER || what == RAFT_DEMOTE_VOTER;
    if (shrinks && raft_configuration_voters(&sv->raft->configuration) <= 2) {
        return;
    }
    sim_client_change(sv, what, who);
}

static void transfer_done(struct raft_request *request, int code)
{
    struct sim_request *q = container_of(request, struct sim_request, request);
    q->server->sim->stats.transfers += code == 0;
    request_free(q);
}

static void transfer(struct sim_server *sv)
{
    struct sim_request *q = request_new(sv, RAFT_REQUEST_TRANSFER, transfer_done);
    if (sim_chance(sv->sim, 0.5)) {
        snprintf(q->request.id, sizeof(q->request.id), "%s", sim_any(sv->sim)->id);
    }
    raft_request(sv->raft, &q->request);
}

static void snapshot_done(struct raft_request *request, int code)
{
    struct sim_request *q = container_of(request, struct sim_request, request);
    q->server->sim->stats.snapshots += code == 0;
    request_free(q);
}

void sim_client_snapshot(struct sim_server *sv)
{
    struct sim_request *q = request_new(sv, RAFT_REQUEST_SNAPSHOT, snapshot_done);
    raft_request(sv->raft, &q->request);
}

static void restore_done(struct raft_request *request, int code)
{
    struct sim_request *q = container_of(request, struct sim_request, request);
    struct sim *s = q->server->sim;
    *q->code = code;
    if (code == 0) {
        uint64_t index = q->request.restored_index;
        SIM_CHECK(index > q->floor && index > s->acked_max, index, q->floor);
        s->acked_max = index; /* it is a write like others */
        s->stats.restores++;
    }
    request_free(q);
}

void sim_client_restore(struct sim_server *sv, struct str bytes, int *ret_code)
{
    struct sim *s = sv->sim;
    struct sim_request *q = request_new(sv, RAFT_REQUEST_RESTORE, restore_done);
    *ret_code = 1;
    q->code = ret_code;
    buf_str(&q->bytes, bytes);
    q->request.bytes = buf_view(&q->bytes);
    q->request.snapshot_index = sim_chance(s, 0.5) ? s->applied_max + sim_below(s, 100) : 5;
    raft_request(sv->raft, &q->request);
}

static void bootstrap_done(struct raft_request *request, int code)
{
    struct sim_request *q = container_of(request, struct sim_request, request);
    SIM_CHECK(code == 0 || code == -ERR_CONFLICT || code == -ERR_CLOSED, q->server->number, -code);
    request_free(q);
}

static void bootstrap_run(struct sim *s, struct sim_event *e)
{
    struct sim_request *q = request_new(e->server, RAFT_REQUEST_BOOTSTRAP, bootstrap_done);
    q->request.configuration = &s->first;
    raft_request(e->server->raft, &q->request);
}

/* One or several of the servers are told of the same configuration, not at the same moment. */
void sim_client_bootstrap(struct sim *s)
{
    for (uint32_t i = 0; i < s->first.count; i++) {
        if (i == 0 || sim_chance(s, 0.7)) {
            sim_after(s, &s->servers[i], 1 + sim_below(s, 300 * SIM_MS), bootstrap_run);
        }
    }
}

/* --- what they do --- */

static void client_asks(struct sim *s, struct sim_server *sv)
{
    uint64_t what = sim_below(s, 24);
    if (what < 3) {
        struct sim_request *q = request_new(sv, RAFT_REQUEST_VERIFY, read_done);
        raft_request(sv->raft, &q->request);
    } else if (what == 3 && !s->is_quiet && sim_chance(s, s->hands_over ? 0.4 : 0.02)) {
        transfer(sv);
    } else if (what == 4 && !s->is_quiet && s->changes_members && sim_chance(s, 0.5)) {
        change(sv);
    } else if (what == 5) {
        propose(sv, true);
    } else {
        for (uint64_t n = 1 + sim_below(s, 8); n > 0; n--) {
            propose(sv, false);
        }
    }
}

static void client_run(struct sim *s, struct sim_event *e)
{
    (void)e;
    uint64_t pace = s->next_number < SIM_HURRY ? s->client_us : 20 * s->client_us;
    sim_after(s, NULL, 200 + sim_below(s, pace), client_run);
    if (s->is_silent || s->applied_max + 10000 > SIM_INDEX_MAX) {
        return;
    }
    struct sim_server *sv = sim_any(s);
    if (sv->raft != NULL && s->snapshots_often && sim_chance(s, 0.004)) {
        sim_client_snapshot(sv);
    }
    if (!sim_chance(s, 0.05) || sv->raft == NULL) {
        sv = sim_leader(s);
    }
    if (sv != NULL) {
        client_asks(s, sv);
    }
}

void sim_client_begin(struct sim *s)
{
    sim_after(s, NULL, 0, client_run);
}
