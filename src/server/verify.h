/* verify.h - does this server still lead? Asked by a worker for its consistent reads.
 *
 *     verify_start(worker->verifies, call);   ... call_verified(call, code) follows, never from
 * inside
 *
 * The answer must come of a round to a majority that was begun after the question: so what is asked
 * while a round is under way shares the next one, and a round costs the same for one as for a
 * thousand. A lone voter needs none. On the worker's thread only. */
#pragma once
#include "base/compiler.h"

struct call;
struct verifies;
struct worker;

struct verifies *verifies_new(struct worker *w);
struct verifies *verifies_free(struct verifies *v); /* no round is under way */

/* The call's node is in a list of ours until it is answered; unlink it to forget it. */
void verify_start(struct verifies *v, struct call *c);
/* rpc_forward.c: code 0, or -ERR_NO_LEADER, -ERR_LEADERSHIP_LOST, … */
void call_verified(struct call *c, int code);
