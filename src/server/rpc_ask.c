#include "server/rpc_ask.h"

#include "base/mem.h"
#include "server/call.h"
#include "server/server.h"

#include <pthread.h>

struct rpc_asks {
    pthread_mutex_t lock;
    struct list under_way; /* struct rpc_ask */
    bool is_stopped;
};

/* The call gets its answer; the ask is nobody's any more. */
static void ask_answer(struct rpc_ask *ask)
{
    struct call *c = ask->call;
    *c->ask_err = ask->err;
    c->msg.run = call_ask_done;
    loop_post(c->pub.worker->loop, &c->msg);
}

static bool ask_take(struct rpc_ask *ask)
{
    struct rpc_asks *asks = ask->server->asks;
    pthread_mutex_lock(&asks->lock);
    bool is_ours = !ask->is_dropped;
    list_remove(&ask->node);
    pthread_mutex_unlock(&asks->lock);
    return is_ours;
}

void rpc_ask_finish(struct rpc_ask *ask)
{
    if (ask_take(ask)) {
        ask_answer(ask);
    }
    mem_free(ask);
}

static void ask_run(struct loop_msg *msg)
{
    struct rpc_ask *ask = container_of(msg, struct rpc_ask, msg);
    if (ask->is_dropped) {
        mem_free(ask);
        return;
    }
    ask->call->pub.method->ask(ask);
}

bool rpc_asks_start(struct rpc_asks *asks, struct call *c)
{
    struct server *s = c->pub.worker->server;
    struct rpc_ask *ask = xcalloc(1, sizeof(*ask));
    ask->server = s;
    ask->args = c->pub.args;
    ask->reply = c->pub.reply;
    ask->arena = &c->pub.arena;
    ask->call = c;
    ask->msg.run = ask_run;
    pthread_mutex_lock(&asks->lock);
    bool may_start = !asks->is_stopped;
    if (may_start) {
        list_push_back(&asks->under_way, &ask->node);
        loop_post(s->main->loop, &ask->msg);
    }
    pthread_mutex_unlock(&asks->lock);
    if (!may_start) {
        mem_free(ask);
    }
    return may_start;
}

void rpc_asks_stop(struct rpc_asks *asks)
{
    pthread_mutex_lock(&asks->lock);
    asks->is_stopped = true;
    for (struct list *node; (node = list_pop_front(&asks->under_way)) != NULL;) {
        struct rpc_ask *ask = list_entry(node, struct rpc_ask, node);
        ask->is_dropped = true;
        (void)err_set(&ask->err, ERR_CLOSED, "%s", err_code_text(ERR_CLOSED));
        ask_answer(ask);
    }
    pthread_mutex_unlock(&asks->lock);
}

struct rpc_asks *rpc_asks_new(void)
{
    struct rpc_asks *asks = xcalloc(1, sizeof(*asks));
    list_init(&asks->under_way);
    pthread_mutex_init(&asks->lock, NULL);
    return asks;
}

struct rpc_asks *rpc_asks_free(struct rpc_asks *asks)
{
    pthread_mutex_destroy(&asks->lock);
    return mem_free(asks);
}
