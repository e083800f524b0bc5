/* watch_plan.h - the watches of the configuration: ask this agent's own HTTP API, again and again
 * with a blocking query, and run a handler with each new answer: a program (the answer on its
 * standard input, CONSUL_INDEX in its environment) or a request to somebody's URL.
 *
 *     watch_plans_load(plans, config, &err);   // replaces what runs
 *
 * One handler of a plan runs at a time; what changes meanwhile is seen by the next query. A query
 * that fails is tried again after 5 s times the square of the failures, at most 3 minutes. Main
 * loop only. */
#pragma once
#include "base/list.h"

struct agent;
struct agent_config;
struct err;

#define WATCH_PLANS_MAX 1024u

struct watch_plans {
    struct agent *agent;
    struct list all;
};

void watch_plans_init(struct watch_plans *plans, struct agent *a);
/* On failure none runs. */
int watch_plans_load(struct watch_plans *plans, const struct agent_config *config, struct err *err);
void watch_plans_stop(struct watch_plans *plans);
