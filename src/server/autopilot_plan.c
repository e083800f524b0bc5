#include "server/autopilot_plan.h"

#include "base/arena.h"
#include "raft/configuration.h"

#include <stdlib.h>

/* --- the state ------------------------------------------------------------------------------- */

static const struct autopilot_server *find_known(const struct autopilot_input *in, struct str id)
{
    for (size_t i = 0; i < in->known_count; i++) {
        if (str_eq(in->known[i].id, id)) {
            return &in->known[i];
        }
    }
    return NULL;
}

static const struct autopilot_stats *find_sample(const struct autopilot_input *in, struct str id)
{
    for (size_t i = 0; i < in->samples_count; i++) {
        if (str_eq(in->samples[i].id, id)) {
            return &in->samples[i].stats;
        }
    }
    return NULL;
}

static bool is_healthy(const struct autopilot_input *in, const struct autopilot_server_state *s)
{
    uint64_t trailing = in->config->max_trailing_logs;
    bool trails = in->last_index > trailing && s->stats.last_index < in->last_index - trailing;
    return str_eq_lit(s->server.node_status, "alive") && s->stats.last_contact >= 0 &&
           s->stats.last_contact <= in->config->last_contact_threshold &&
           s->stats.last_term == in->last_term && !trails;
}

static struct str state_text(const struct autopilot_input *in, const struct raft_server *s)
{
    static const struct str texts[] = {[RAFT_VOTER] = STR_INIT("voter"),
                                       [RAFT_NONVOTER] = STR_INIT("non-voter"),
                                       [RAFT_STAGING] = STR_INIT("staging")};
    return str_eq(str_from_cstr(s->id), in->leader_id) ? STR("leader") : texts[s->suffrage];
}

/* From what was known before, what the membership says, and what the server itself says, the later
 * over the earlier. */
static void server_state(const struct autopilot_input *in, const struct raft_server *from,
                         struct arena *a, struct autopilot_server_state *to)
{
    struct str id = arena_str(a, str_from_cstr(from->id));
    const struct autopilot_server_state *before =
        in->before != NULL ? objmap_get(in->before->servers, id) : NULL;
    const struct autopilot_server *known = find_known(in, id);
    const struct autopilot_stats *sample = find_sample(in, id);
    *to = before != NULL ? *before : (struct autopilot_server_state){0};
    if (known != NULL) {
        to->server = *known;
    } else {
        to->server.node_status = STR("left");
    }
    to->server.id = id;
    to->server.address = arena_str(a, str_from_cstr(from->address));
    to->server.node_type = STR("voter"); /* what it is meant to become: all of them */
    to->state = state_text(in, from);
    if (sample != NULL) {
        to->stats = *sample;
    }
    to->health.healthy = is_healthy(in, to);
    if (before == NULL || before->health.healthy != to->health.healthy) {
        to->health.stable_since = in->now_ns;
    }
}

static bool has_vote(const struct autopilot_server_state *s)
{
    return str_eq_lit(s->state, "leader") || str_eq_lit(s->state, "voter");
}

static int pair_cmp(const void *x, const void *y)
{
    const struct objmap_pair *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

/* The leader, then the healthy, the longest so first; then the others, the last to fall ill first.
 */
static int voter_cmp(const void *x, const void *y)
{
    const struct autopilot_server_state *a = *(void *const *)x, *b = *(void *const *)y;
    bool a_leads = str_eq_lit(a->state, "leader"), b_leads = str_eq_lit(b->state, "leader");
    if (a_leads != b_leads) {
        return a_leads ? -1 : 1;
    }
    if (a->health.healthy != b->health.healthy) {
        return a->health.healthy ? -1 : 1;
    }
    if (a->health.stable_since != b->health.stable_since) {
        bool is_older = a->health.stable_since < b->health.stable_since;
        return is_older == a->health.healthy ? -1 : 1;
    }
    return str_cmp(a->server.id, b->server.id);
}

void autopilot_plan_state(const struct autopilot_input *in, struct arena *a,
                          struct autopilot_state *ret_state)
{
    uint32_t count = in->configuration->count;
    struct autopilot_state to = {.healthy = true};
    struct autopilot_server_state **voters = ARENA_ARRAY(a, struct autopilot_server_state *, count);
    struct str *ids = ARENA_ARRAY(a, struct str, count);
    int64_t healthy_voters = 0;
    to.servers.v = ARENA_ARRAY(a, struct objmap_pair, count);
    for (uint32_t i = 0; i < count; i++) {
        struct autopilot_server_state *s = ARENA_NEW(a, struct autopilot_server_state);
        server_state(in, &in->configuration->servers[i], a, s);
        to.servers.v[to.servers.n++] = (struct objmap_pair){s->server.id, s};
        to.healthy &= s->health.healthy;
        if (str_eq_lit(s->state, "leader")) {
            to.leader = s->server.id;
        }
        if (has_vote(s)) {
            voters[to.voters.n++] = s;
            healthy_voters += s->health.healthy;
        }
    }
    int64_t quorum = (int64_t)to.voters.n / 2 + 1;
    to.failure_tolerance = MAX(healthy_voters - quorum, (int64_t)0);
    qsort(voters, to.voters.n, sizeof(voters[0]), voter_cmp);
    for (size_t i = 0; i < to.voters.n; i++) {
        ids[i] = voters[i]->server.id;
    }
    to.voters.v = ids;
    qsort(to.servers.v, to.servers.n, sizeof(*to.servers.v), pair_cmp);
    *ret_state = to;
}

/* --- votes ----------------------------------------------------------------------------------- */

size_t autopilot_plan_promotions(const struct autopilot_input *in,
                                 const struct autopilot_state *state, struct arena *a,
                                 const struct autopilot_server_state ***ret_servers)
{
    int64_t needed_ns = in->config->server_stabilization_time;
    if (in->now_ns - in->first_ns <= needed_ns) {
        needed_ns = 0;
    }
    *ret_servers = ARENA_ARRAY(a, const struct autopilot_server_state *, state->servers.n);
    size_t n = 0;
    for (size_t i = 0; i < state->servers.n; i++) {
        const struct autopilot_server_state *s = state->servers.v[i].value;
        if (str_eq_lit(s->state, "non-voter") && s->health.healthy &&
            in->now_ns - s->health.stable_since >= needed_ns) {
            (*ret_servers)[n++] = s;
        }
    }
    return n;
}

/* --- the dead -------------------------------------------------------------------------------- */

struct removals {
    struct autopilot_removal *v;
    size_t n;
    uint64_t voters, voters_may_go, voters_min;
};

static void removal_add(struct removals *r, const struct raft_server *s,
                        const struct autopilot_server *known, struct arena *a)
{
    if (s->suffrage == RAFT_VOTER) {
        if (r->voters - 1 < r->voters_min || r->voters_may_go == 0) {
            return;
        }
        r->voters--;
        r->voters_may_go--;
    }
    r->v[r->n++] = (struct autopilot_removal){
        .id = arena_str(a, str_from_cstr(s->id)),
        .name = known != NULL ? known->name : STR(""),
        .address = arena_str(a, str_from_cstr(s->address)),
        .is_failed = known != NULL,
    };
}

static int server_cmp(const void *x, const void *y)
{
    const struct raft_server *const *a = x, *const *b = y;
    return strcmp((*a)->id, (*b)->id);
}

size_t autopilot_plan_removals(const struct autopilot_input *in, struct arena *a,
                               struct autopilot_removal **ret_removals)
{
    const struct raft_configuration *c = in->configuration;
    const struct raft_server **sorted = ARENA_ARRAY(a, const struct raft_server *, c->count);
    uint64_t voters = raft_configuration_voters(c);
    struct removals r = {
        .v = ARENA_ARRAY(a, struct autopilot_removal, c->count),
        .voters = voters,
        .voters_may_go = voters > 0 ? (voters - 1) / 2 : 0,
        .voters_min = in->config->min_quorum,
    };
    *ret_removals = r.v;
    if (!in->config->cleanup_dead_servers) {
        return 0;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        sorted[i] = &c->servers[i];
    }
    qsort(sorted, c->count, sizeof(sorted[0]), server_cmp);
    /* Without a vote first; of each the strangers before the failed members among the voters, and
     * after them among the others. */
    static const struct {
        bool has_vote, is_failed;
    } groups[] = {{false, true}, {false, false}, {true, false}, {true, true}};
    for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
        for (uint32_t i = 0; i < c->count; i++) {
            const struct autopilot_server *known = find_known(in, str_from_cstr(sorted[i]->id));
            bool is_dead = known == NULL || !str_eq_lit(known->node_status, "alive");
            if (is_dead && (sorted[i]->suffrage == RAFT_VOTER) == groups[g].has_vote &&
                (known != NULL) == groups[g].is_failed) {
                removal_add(&r, sorted[i], known, a);
            }
        }
    }
    return r.n;
}
