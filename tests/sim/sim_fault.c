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

static void links_heal(struct sim *s)
{
    memset(s->cut, 0, sizeof(s->cut));
}

static void links_halve(struct sim *s)
{
    uint64_t side = rng_u64(&s->rng);
    for (uint64_t i = 0; i < SIM_SERVERS; i++) {
        for (uint64_t k = 0; k < SIM_SERVERS; k++) {
            s->cut[i][k] = (side >> i & 1) != (side >> k & 1);
        }
    }
}

/* The leader reaches one other server, and nobody else. */
static void links_starve(struct sim *s)
{
    struct sim_server *leader = sim_leader(s);
    if (leader == NULL) {
        return;
    }
    uint64_t friend = sim_below(s, SIM_SERVERS);
    for (uint64_t i = 0; i < SIM_SERVERS; i++) {
        s->cut[leader->number][i] = s->cut[i][leader->number] = i != friend;
    }
}

/* The leader is cut off, and for the others time leaps: they elect another while it still believes
 * to lead. */
static void links_coup(struct sim *s)
{
    struct sim_server *leader = sim_leader(s);
    if (leader == NULL) {
        return;
    }
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

static void disk_fault(struct sim *s, struct sim_server *sv)
{
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

static void machine_fault(struct sim *s, struct sim_server *sv)
{
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
    sim_after(s, NULL, 10 * SIM_MS + sim_below(s, (uint64_t)(s->fault_rate * 1e6)), fault_run);
    struct sim_server *sv = sim_any(s), *leader = sim_leader(s);
    if (leader != NULL && sim_chance(s, 0.5)) {
        sv = leader;
    }
    switch (sim_below(s, 13)) {
    case 0:
        links_halve(s);
        break;
    case 1:
        links_starve(s);
        break;
    case 2:
        s->cut[sim_below(s, SIM_SERVERS)][sim_below(s, SIM_SERVERS)] = true;
        break;
    case 3:
    case 4:
    case 5:
        links_heal(s);
        break;
    case 6: /* as slow as between continents, or not */
        s->delay_us = sim_chance(s, 0.3) ? 200 * SIM_MS : 2 * SIM_MS;
        break;
    case 7:
        clock_fault(s, sv);
        break;
    case 8:
        links_coup(s);
        break;
    case 9:
    case 10:
        if (sv->raft != NULL) {
            machine_fault(s, sv);
        }
        break;
    default:
        if (sv->raft != NULL) {
            disk_fault(s, sv);
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
    links_heal(s);
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
