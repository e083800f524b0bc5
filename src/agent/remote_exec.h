/* remote_exec.h - `consul exec`: an event names a job in the KV store; its command is run here and
 * what it prints goes back there, under the asker's session.
 *
 *     <prefix>/<session>/job                the job, as JSON
 *     <prefix>/<session>/<node>/ack         taken on
 *     <prefix>/<session>/<node>/out/00000   what it prints, 4 KiB at a time, or nothing: it still
 * runs <prefix>/<session>/<node>/exit        its exit code
 *
 * Off unless disable_remote_exec is false. Every write acquires the key with the session, so a job
 * ends with it. Main loop only. */
#pragma once
#include "base/list.h"
#include "base/str.h"

struct agent;

#define REMOTE_EXEC_JOBS_MAX 64u /* at a time; more are ignored */

struct remote_exec {
    struct agent *agent;
    struct list jobs;
    size_t count;
};

void remote_exec_init(struct remote_exec *r, struct agent *a);
void remote_exec_start(struct remote_exec *r, struct str payload);
void remote_exec_stop(struct remote_exec *r); /* all jobs; their processes are killed */
