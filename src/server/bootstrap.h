/* bootstrap.h - forming a cluster with bootstrap_expect: when as many servers as expected have met
 * and none of them has state, each of them makes the same first configuration of Raft by itself,
 * and one is elected.
 *
 *     struct bootstrap *b = bootstrap_new(server, expect);
 *     bootstrap_consider(b);              // at start, and whenever a server joins
 *
 * It ends for good, one way or the other, when there is state here (a cluster was formed, or this
 * server was taken into one) or a member says that it has peers. On the main loop. */
#pragma once
#include "raft/configuration.h"

struct bootstrap;
struct member;
struct server;

/* A server that does not say whether it has peers is asked so often, after 1, 2, 4 ... seconds;
 * then it is taken to have none. As in Consul. */
#define BOOTSTRAP_ATTEMPTS_MAX 6u

struct bootstrap *bootstrap_new(struct server *s, int64_t expect);
struct bootstrap *bootstrap_free(struct bootstrap *b); /* stopped */
void bootstrap_consider(struct bootstrap *b);
void bootstrap_stop(struct bootstrap *b);

/* --- the decision, without I/O --------------------------------------------------------------- */

struct bootstrap_input {
    int64_t expect;
    struct str datacenter;
    const struct member *const *members;
    size_t count;
    uint64_t last_index; /* of the log here, 0: there is no state */
};

enum bootstrap_step {
    BOOTSTRAP_WAIT,     /* too few have come */
    BOOTSTRAP_ENDED,    /* there is state here */
    BOOTSTRAP_CONFLICT, /* a member's flags do not fit */
    BOOTSTRAP_ASK,      /* enough: ask all of the configuration for their peers, then form it */
};

struct bootstrap_plan {
    enum bootstrap_step step;
    struct raft_configuration configuration; /* BOOTSTRAP_ASK: the same on every server */
    const char *problem;                     /* BOOTSTRAP_CONFLICT, with the member's name */
    struct str member;
};

void bootstrap_decide(const struct bootstrap_input *in, struct bootstrap_plan *ret_plan);
