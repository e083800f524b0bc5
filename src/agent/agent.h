/* agent.h - the agent: what this node itself knows (services, checks, tokens, events), keeps in
 * step with the catalog, and watches the health of.
 *
 *     agent_new(&options, &agent, &err);       // before the workers' loops run
 *     agent_start(agent, &err);                // on the main loop's thread: loads, starts checks
 * and sync loop_run(main loop) ... agent_stop(agent) on it ... join all loops ... agent_free(agent)
 *
 * Threads. Everything is owned by the main loop (the server's main worker) and changed there alone.
 * Any worker reads the published state without waiting, between agent_read_begin() and _end() of
 * one loop turn; whoever wants a change sends an agent_call, which is run on the main loop and
 * answered on the caller's. The local state is never held while a server is waited for. */
#pragma once
#include "base/err.h"
#include "base/list.h"
#include "loop/loop.h"

struct agent;
struct agent_call;
struct agent_config;
struct arena;
struct epoch;
struct local_root;
struct tls_configurator;
struct worker;

struct agent_ops {
    /* Read the configuration again, from where it came. The agent takes the reference. */
    int (*load_config)(void *data, struct agent_config **ret_config, struct err *err);
    /* A reload has taken this configuration: what is not the agent's (log level, limits of the
     * HTTP and DNS front ends) follows it. The pointer stays valid until the next call. */
    void (*config_changed)(void *data, const struct agent_config *config);
    /* The cluster was left: end the program. */
    void (*leave)(void *data);
    /* It cannot go on (nobody to join): end the program with an error, which has been logged. */
    void (*failed)(void *data);
};

struct agent_options {
    struct agent_config *config;  /* a reference, taken */
    struct str node_id;           /* from config_setup_node_id() */
    struct worker *main;          /* its loop is the agent's, its delegate too */
    struct tls_configurator *tls; /* given what a reload brings; NULL: nobody's */
    const struct agent_ops *ops;
    void *ops_data;
};

NODISCARD int agent_new(const struct agent_options *options, struct agent **ret_agent,
                        struct err *err);
/* Load metadata, services and checks from the configuration and the data directory, start their
 * checks, and keep the catalog in step from now on. */
NODISCARD int agent_start(struct agent *a, struct err *err);
/* SIGINT: leave the cluster; ops->leave is called when that is done. On the main loop. */
void agent_leave(struct agent *a);
/* PUT /v1/agent/leave, in a call's run(): the same, and the call is answered before. */
void agent_leave_call(struct agent *a, struct agent_call *call);
/* Checks end, sync ends, waiting calls are answered. On the main loop's thread once the loop has
 * been stopped, while the workers' loops still run. */
void agent_stop(struct agent *a);
struct agent *agent_free(struct agent *a); /* after all loops have ended */

/* SIGHUP: as PUT /v1/agent/reload. On the main loop. */
NODISCARD int agent_reload(struct agent *a, struct err *err);
/* A server has come, or a leader was found: compare with the catalog soon. Any thread. */
void agent_sync_soon(struct agent *a);

/* --- reading, on any worker's loop ------------------------------------------------------------ */

/* The published state, valid until agent_read_end() in the same turn. They do not nest. */
const struct local_root *agent_read_begin(struct agent *a, const struct worker *w);
void agent_read_end(struct agent *a, const struct worker *w);
/* Inside agent_read_begin()/_end(), or on the main loop. */
const struct agent_config *agent_config(const struct agent *a);

struct str agent_node_id(const struct agent *a);
struct loop *agent_loop(const struct agent *a);

/* --- changing, from any loop ------------------------------------------------------------------ */

/* A request to the agent. The caller embeds it in an object that lives until done has run. */
struct agent_call {
    struct agent *agent;
    void (*run)(struct agent_call *call);  /* on the main loop; ends in one of the two below */
    void (*done)(struct agent_call *call); /* on the caller's loop */
    struct err err;
    /* the agent's own */
    struct loop *home;
    struct loop_msg msg, abort_msg;
    struct list node;
    struct loop_timer timer;
    bool abort_is_out, done_is_due; /* the caller's thread */
};

/* Send it from the thread of loop `home`. */
void agent_call(struct agent *a, struct loop *home, struct agent_call *call);
/* In run(): answer now; every worker sees the change before done() runs. */
void agent_call_finish(struct agent_call *call);
/* In run(): answer when the catalog has it too, or was found unable to take it. At once when
 * nothing is out of step. */
void agent_call_finish_synced(struct agent_call *call);
/* In run(): answer when somebody finishes what waits in this list, or after wait_ms. */
void agent_call_wait(struct agent_call *call, struct list *waiters, uint64_t wait_ms);
/* From the caller's thread, at most once, before done() has run: the answer is not wanted any more.
 * done() still runs, soon, and only after that may the call go. */
void agent_call_abort(struct agent_call *call);
