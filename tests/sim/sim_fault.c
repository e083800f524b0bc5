/* What goes wrong: links, machines, disks, clocks. Every fault passes, by itself or at the end. */
#include "sim.h"

#include <errno.h>

static void restart_run(struct sim *s, struct sim_event *e)
{
    (void)s;
    if (e->server->raft == NULL) {
        (void)sim_server_start(e->server);
    }
}

static void restart_soon(struct sim_server *sv)
{
    struct sim *s = sv->sim;
    sim_after(s, sv, sim_below(s, sim_chance(s, 0.5) ? 5 * SIM_MS : 3 * SIM_SECOND), restart_run);
}

/* Whoever looks after them restarts a server that says it takes no further part. */
static void operator_run(struct sim *s, struct sim_event *e)
{
    (void)e;
    for (int i = 0; i < SIM_SERVERS; i++) {
        struct sim_server *sv = &s->servers[i];
        if (sim_server_is_broken(sv) && (s->is_quiet || sim_chance(s, 0.3))) {
            s->stats.halts++;
            sim_server_crash(sv);
            restart_soon(sv);
        }
    }
    sim_after(s, NULL, 500 * SIM_MS, operator_run);
}

/* --- links --- */

void sim_fault_heal(struct sim *s)
{
    memset(s->cut, 0, sizeof(s->cut));
}

void sim_fault_halve(struct sim *s, uint64_t side)
{
    for (uint64_t i = 0; i < SIM_SERVERS; i++) {
        for (uint64_t k = 0; k < SIM_SERVERS; k++) {
            s->cut[i][k] = (side >> i & 1) != (side >> k & 1);
        }
    }
}

void sim_fault_starve(struct sim_server *leader, const struct sim_server *friend)
{
    struct sim *s = leader->sim;
    for (int i = 0; i < SIM_SERVERS; i++) {
        s->cut[leader->number][i] = s->cut[i][leader->number] = i != friend->number;
    }
}

/* The leader is cut off, and for the others time leaps: they elect another while it still believes
 * to lead. */
static void links_coup(struct sim *s, const struct sim_server *leader)
{
    for (int i = 0; i < SIM_SERVERS; i++) {
        s->cut[leader->number][i] = s->cut[i][leader->number] = i != leader->number;
        if (i != leader->number) {
            s->servers[i].leap_us += 3 * SIM_SECOND;
            sim_server_poke(&s->servers[i]);
        }
    }
}

/* --- machines and disks --- */

static void disk_heal_run(struct sim *s, struct sim_event *e)
{
    (void)s;
    e->server->io->is_full = false;
}

static void disk_fill(struct sim *s, struct sim_server *sv)
{
    struct sim_event *e = xcalloc(1, sizeof(*e));
    sv->io->is_full = true;
    e->server = sv;
    e->run = disk_heal_run;
    sim_push(s, e, 50 * SIM_MS + sim_below(s, 3 * SIM_SECOND));
}

void sim_fault_disk(struct sim_server *sv)
{
    struct sim *s = sv->sim;
    switch (sim_below(s, 4)) {
    case 0:
        sv->disk.slow_until_us = s->now_us + sim_below(s, 5 * SIM_SECOND);
        break;
    case 1:
        sv->disk.stalled_until_us =
            s->now_us + 300 * SIM_MS + sim_below(s, (sim_chance(s, 0.3) ? 5 : 1) * SIM_SECOND);
        break;
    case 2:
        disk_fill(s, sv);
        break;
    case 3: /* one operation fails, be it a write or a sync */
        sv->io->fail_error = EIO;
        sv->io->fail_at = sv->io->ops + 1 + sim_below(s, 8);
        break;
    }
}

static void clock_fault(struct sim *s, struct sim_server *sv)
{
    sv->leap_us += sim_below(s, sim_chance(s, 0.2) ? 20 * SIM_SECOND : 2 * SIM_SECOND);
    sim_server_poke(sv);
}

void sim_fault_machine(struct sim_server *sv)
{
    struct sim *s = sv->sim;
    if (sim_chance(s, 0.15)) {
        sim_server_stop(sv);
    } else {
        sim_server_crash(sv);
    }
    restart_soon(sv);
}

static void fault_run(struct sim *s, struct sim_event *e)
{
    (void)e;
    if (s->is_quiet) {
        return;
    }
    if (s->now_us < s->plots_us) { /* one at a time, on a cluster that is well */
        sim_after(s, NULL, SIM_SECOND + sim_below(s, 2 * SIM_SECOND), fault_run);
        sim_fault_heal(s);
        sim_plot(s);
        return;
    }
    sim_after(s, NULL, 10 * SIM_MS + sim_below(s, (uint64_t)(s->fault_rate * 1e6)), fault_run);
    struct sim_server *sv = sim_any(s), *leader = sim_leader(s);
    if (leader != NULL && sim_chance(s, 0.5)) {
        sv = leader;
    }
    switch (sim_below(s, 17)) {
    case 0:
        sim_fault_halve(s, rng_u64(&s->rng));
        break;
    case 1:
        if (leader != NULL) {
            sim_fault_starve(leader, sim_any(s));
        }
        break;
    case 2:
        s->cut[sim_below(s, SIM_SERVERS)][sim_below(s, SIM_SERVERS)] = true;
        break;
    case 3:
    case 4:
    case 5:
        sim_fault_heal(s);
        break;
    case 6: /* as slow as between continents, or not */
        s->delay_us = sim_chance(s, 0.3) ? 200 * SIM_MS : 2 * SIM_MS;
        break;
    case 7:
        clock_fault(s, sv);
        break;
    case 8:
        if (leader != NULL) {
            links_coup(s, leader);
        }
        break;
    case 9:
    case 10:
        if (sv->raft != NULL) {
            sim_fault_machine(sv);
        }
        break;
    case 11:
    case 12:
    case 13:
    case 14:
        sim_plot(s);
        break;
    default:
        if (sv->raft != NULL) {
            sim_fault_disk(sv);
        }
    }
}

void sim_fault_begin(struct sim *s)
{
    sim_after(s, NULL, SIM_SECOND, fault_run);
    sim_after(s, NULL, SIM_SECOND, operator_run);
}

void sim_fault_end(struct sim *s)
{
    s->is_quiet = s->is_ordered = true;
    s->loss = s->duplicate = 0;
    s->delay_us = SIM_MS;
    memset(s->held_us, 0, sizeof(s->held_us));
    sim_release(s);
    sim_fault_heal(s);
    for (int i = 0; i < SIM_SERVERS; i++) {
        struct sim_server *sv = &s->servers[i];
        sv->disk = (struct sim_disk){0};
        sv->io->is_full = false;
        if (sim_server_is_broken(sv)) {
            sim_server_crash(sv);
        }
        sv->io->fail_at = 0;
        if (sv->raft == NULL) {
            (void)sim_server_start(sv);
        }
    }
}
