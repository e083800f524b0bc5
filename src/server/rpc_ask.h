/* rpc_ask.h - methods that neither read the store nor write the log: they ask something of the main
 * loop's parts (the pools of members) and are answered by and by.
 *
 *     static void fire(struct rpc_ask *ask) { ... ask->args ...; rpc_ask_finish(ask); }
 *     const struct rpc_method rpc_x = {.flags = RPC_WRITE | RPC_LOCAL, .ask = fire, ...};
 *
 * ask() runs on the server's main loop; rpc_ask_finish() ends it there, at once or later, with
 * *reply filled in or err set. When the server stops, what is not finished by then is answered with
 * ERR_CLOSED; a later finish is harmless, but args and reply are gone: what goes on after
 * ask() must not touch them before it knows that ask->is_dropped is false. */
#pragma once
#include "base/err.h"
#include "base/list.h"
#include "loop/loop.h"

struct arena;
struct call;
struct rpc_asks;
struct server;

struct rpc_ask {
    struct server *server;
    const void *args;
    void *reply;
    struct arena *arena; /* the call's */
    struct err err;      /* code 0: it went well */
    void *data;          /* the method's own */
    bool is_dropped;
    struct call *call;
    struct list node;
    struct loop_msg msg;
};

void rpc_ask_finish(struct rpc_ask *ask);

/* --- rpc.c and server.c ----------------------------------------------------------------------- */

struct rpc_asks *rpc_asks_new(void);
/* On a worker. False: the server has stopped. c->ask is set, and again NULL when it comes back by
 * call_ask_done(). */
bool rpc_asks_start(struct rpc_asks *asks, struct call *c);
void rpc_asks_stop(struct rpc_asks *asks);
struct rpc_asks *rpc_asks_free(struct rpc_asks *asks);
