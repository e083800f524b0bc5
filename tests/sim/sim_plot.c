/* Faults in several steps, each aimed at what single ones seldom bring about: leaders that hardly
 * begin, change who votes, and come back while answers to what they sent as leaders before are
 * still under way; a follower that is sent a snapshot of what it has in its log, but not on its
 * disk yet; a leader that dies with what its followers have on their disks, and it has not. */
#include "sim.h"

static void release_run(struct sim *s, struct sim_event *e)
{
    (void)e;
    sim_release(s);
}

static void hold_until(struct sim *s, uint64_t *held_us, uint64_t delay_us)
{
    *held_us = s->now_us + delay_us;
    sim_after(s, NULL, delay_us, release_run);
}

/* What is large, from one server to another, comes seconds late. */
static void link_hold(struct sim *s, const struct sim_server *from, const struct sim_server *to)
{
    hold_until(s, &s->held_us[from->number][to->number],
               300 * SIM_MS + sim_below(s, 5 * SIM_SECOND));
}

/* An operator removes a voter who seems to be gone, or brings one back. */
static void members_repair(struct sim *s, struct sim_server *leader,
                           const struct sim_server *follower)
{
    const struct raft_configuration *c = &leader->raft->configuration;
    const struct sim_server *sv = sim_any(s);
    bool is_voter = raft_configuration_is_voter(c, str_from_cstr(sv->id));
    if (sv != leader && sv != follower && (!is_voter || raft_configuration_voters(c) > 2)) {
        sim_client_change(leader, is_voter ? RAFT_REMOVE_SERVER : RAFT_ADD_VOTER, sv);
    }
}

/* --- leaders that hardly begin --- */

static struct sim_server *follower_pick(struct sim *s, const struct sim_server *leader)
{
    struct sim_server *picks[] = {s->follower, s->deposed, sim_any(s)};
    struct sim_server *sv = picks[sim_below(s, ARRAY_SIZE(picks))];
    if (sv == NULL || sv == leader) {
        sv = &s->servers[(leader->number + 1) % SIM_SERVERS];
    }
    return sv;
}

static void leap(struct sim_server *sv, uint64_t us)
{
    sv->leap_us += us;
    sim_server_poke(sv);
}

/* One by one the others ask for votes, until one is elected. */
static void candidates_run(struct sim *s, struct sim_event *e)
{
    if (s->is_quiet || s->deposed != e->server || !s->is_vacant ||
        s->now_us >= s->turmoil_until_us) {
        return;
    }
    struct sim_server *sv = sim_any(s);
    if (sv != s->deposed) {
        leap(sv, 2 * SIM_SECOND);
    }
    sim_after(s, e->server, 20 * SIM_MS + sim_below(s, 50 * SIM_MS), candidates_run);
}

/* For the others it is silent for long. */
static void forgotten_run(struct sim *s, struct sim_event *e)
{
    for (int i = 0; i < SIM_SERVERS && !s->is_quiet; i++) {
        if (&s->servers[i] != e->server) {
            leap(&s->servers[i], SIM_SECOND + sim_below(s, SIM_SECOND / 2));
        }
    }
    candidates_run(s, e);
}

/* It has one follower left, and often does not hear what that one has taken; the others elect the
 * next, which those that were cut off before may be, or follow. */
static void usurp_run(struct sim *s, struct sim_event *e)
{
    struct sim_server *leader = e->server;
    if (s->is_quiet || leader->raft == NULL || leader->raft->state != RAFT_LEADER) {
        return;
    }
    struct sim_server *follower = follower_pick(s, leader);
    sim_fault_heal(s);
    sim_fault_starve(leader, follower);
    if (sim_chance(s, 0.6)) {
        link_hold(s, follower, leader);
    }
    if (s->changes_members && sim_chance(s, 0.5)) {
        members_repair(s, leader, follower);
    }
    sim_after(s, leader, sim_below(s, 100 * SIM_MS), forgotten_run); /* first they have something */
    if (s->follower != NULL && s->follower->raft != NULL && sim_chance(s, 0.3)) {
        sim_fault_disk(s->follower); /* just when its log is to be cut */
    }
    s->deposed = leader;
    s->follower = follower;
    s->is_vacant = true;
}

/* Now it is told what it was told when it led before. */
static void late_answers(struct sim *s, const struct sim_server *leader)
{
    for (int i = 0; i < SIM_SERVERS; i++) {
        if (s->held_us[i][leader->number] > s->now_us) {
            hold_until(s, &s->held_us[i][leader->number], sim_below(s, 10 * SIM_MS));
        }
    }
}

void sim_plot_elected(struct sim_server *sv)
{
    static const uint64_t after_us[] = {1, 10 * SIM_MS, 200 * SIM_MS};
    struct sim *s = sv->sim;
    s->is_vacant = false;
    if (!s->is_quiet && s->now_us < s->turmoil_until_us) {
        late_answers(s, sv);
        sim_after(s, sv, sim_below(s, after_us[sim_below(s, ARRAY_SIZE(after_us))]), usurp_run);
    }
}

static void plot_turmoil(struct sim *s, struct sim_server *leader)
{
    s->turmoil_until_us = s->now_us + SIM_SECOND + sim_below(s, 4 * SIM_SECOND);
    sim_plot_elected(leader);
}

/* --- a snapshot of what is in the log --- */

static void lag_hold_run(struct sim *s, struct sim_event *e)
{
    struct sim_server *leader = sim_leader(s), *sv = e->server;
    if (leader != NULL && !s->is_quiet) {
        hold_until(s, &s->held_us[leader->number][sv->number],
                   sv->disk.log_us + sim_below(s, sv->disk.log_us));
    }
}

static void lag_reset_run(struct sim *s, struct sim_event *e)
{
    struct sim_server *leader = sim_leader(s);
    if (leader != NULL && leader != e->server && !s->is_quiet) {
        sim_net_reset(leader, e->server);
        sim_after(s, e->server, sim_below(s, 60 * SIM_MS), lag_hold_run);
    }
}

static void lag_snapshot_run(struct sim *s, struct sim_event *e)
{
    struct sim_server *leader = sim_leader(s);
    if (leader != NULL && !s->is_quiet) {
        sim_client_snapshot(leader);
        sim_after(s, e->server, 20 * SIM_MS + sim_below(s, 100 * SIM_MS), lag_reset_run);
    }
}

/* Its log is slow, so it knows of more commits than it has on disk. The leader has to begin again
 * with what was acknowledged, and has only a snapshot of that by then. While it is on its way the
 * disk gets as far. */
static void plot_lag(struct sim *s, struct sim_server *sv)
{
    struct sim_disk *d = &sv->disk;
    d->log_us = 150 * SIM_MS + sim_below(s, 500 * SIM_MS);
    d->log_until_us = s->now_us + 4 * d->log_us;
    sim_after(s, sv, d->log_us / 2 + sim_below(s, d->log_us), lag_snapshot_run);
}

/* --- a majority that loses one --- */

static void swap_run(struct sim *s, struct sim_event *e)
{
    struct sim_server *leader = e->server;
    if (s->is_quiet || leader->raft == NULL) {
        return;
    }
    sim_fault_machine(leader);
    sim_fault_halve(s, s->side & ~(UINT64_C(1) << leader->number));
    for (int i = 0; i < SIM_SERVERS; i++) {
        leap(&s->servers[i], SIM_SECOND + sim_below(s, 2 * SIM_SECOND));
    }
}

/* With a slow log it leads just as many as it needs. Then it dies, and comes back to the others:
 * who were with it, and have what it had not on its disk yet, are cut off. */
static void plot_swap(struct sim *s, struct sim_server *leader)
{
    const struct raft_configuration *c = &leader->raft->configuration;
    uint32_t left = raft_configuration_voters(c) / 2;
    uint64_t first = sim_below(s, SIM_SERVERS);
    s->side = UINT64_C(1) << leader->number;
    for (uint64_t i = 0; i < SIM_SERVERS && left > 0; i++) {
        const struct sim_server *sv = &s->servers[(first + i) % SIM_SERVERS];
        if (sv != leader && raft_configuration_is_voter(c, str_from_cstr(sv->id))) {
            s->side |= UINT64_C(1) << sv->number;
            left--;
        }
    }
    sim_fault_halve(s, s->side);
    leader->disk.log_us = 100 * SIM_MS + sim_below(s, 400 * SIM_MS);
    leader->disk.log_until_us = s->now_us + SIM_SECOND;
    sim_after(s, leader, 20 * SIM_MS + sim_below(s, leader->disk.log_us), swap_run);
}

void sim_plot(struct sim *s)
{
    struct sim_server *leader = sim_leader(s), *sv = sim_any(s);
    if (leader == NULL) {
        return;
    }
    switch (sim_below(s, 10)) {
    case 0:
    case 1:
    case 2:
        plot_turmoil(s, leader);
        break;
    case 3:
    case 4:
    case 5:
        plot_lag(s, sv != leader ? sv : &s->servers[(sv->number + 1) % SIM_SERVERS]);
        break;
    case 6:
    case 7:
        plot_swap(s, leader);
        break;
    default:
        link_hold(s, sv, sim_chance(s, 0.7) ? leader : sim_any(s));
        break;
    }
}
