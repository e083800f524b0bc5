/* autopilot_plan.h - what autopilot thinks and wants: the decisions behind autopilot.h, without
 * I/O. As HashiCorp's raft-autopilot with its stable promoter, which is Consul's of the open
 * edition.
 *
 *     autopilot_plan_state(&in, arena, &state);              every two seconds
 *     n = autopilot_plan_promotions(&in, &state, ...);       every ten
 *     n = autopilot_plan_removals(&in, arena, &removals);    every ten, and after a server was
 * added
 */
#pragma once
#include "schema/operator.h"

struct arena;
struct raft_configuration;

struct autopilot_sample { /* what a server said of its Raft */
    struct str id;
    struct autopilot_stats stats;
};

struct autopilot_input {
    const struct autopilot_config *config;
    const struct raft_configuration *configuration;
    const struct autopilot_server *known; /* by the membership; node_status as theirs */
    size_t known_count;
    const struct autopilot_sample *samples; /* of this round */
    size_t samples_count;
    uint64_t last_index, last_term; /* of the leader's log, when the samples were asked for */
    struct str leader_id;
    int64_t now_ns;                       /* wall clock */
    int64_t first_ns;                     /* when autopilot made its first state */
    const struct autopilot_state *before; /* NULL: none */
};

/* Of the servers in Raft's configuration; pointers into the input and the arena. */
void autopilot_plan_state(const struct autopilot_input *in, struct arena *a,
                          struct autopilot_state *ret_state);

/* Servers without a vote that have been healthy for long enough; right away while autopilot has
 * not run for that long itself, so that a new leader does not keep a young cluster waiting. */
size_t autopilot_plan_promotions(const struct autopilot_input *in,
                                 const struct autopilot_state *state, struct arena *a,
                                 const struct autopilot_server_state ***ret_servers);

struct autopilot_removal {
    struct str id, name, address; /* name: "" for one that only Raft knows */
    bool is_failed; /* a member that failed or left: it is made to leave. Otherwise it is taken out
                       of Raft's configuration */
};

/* Dead servers, never so many voters that the majority, or the least number that is configured,
 * would be gone. */
size_t autopilot_plan_removals(const struct autopilot_input *in, struct arena *a,
                               struct autopilot_removal **ret_removals);
