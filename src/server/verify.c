#include "server/verify.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "raft/raft.h"
#include "server/call.h"
#include "server/server.h"

static struct metric metric_consistent = METRIC_SAMPLE("rpc.consistentRead");

struct verifies {
    struct worker *worker;
    struct list waiting, asked;  /* calls, for the next round and of the running one */
    struct raft_request request; /* the round */
    struct loop_msg msg;
    bool is_asked;
    int code;
};

struct verifies *verifies_new(struct worker *w)
{
    struct verifies *v = xcalloc(1, sizeof(*v));
    v->worker = w;
    list_init(&v->waiting);
    list_init(&v->asked);
    return v;
}

struct verifies *verifies_free(struct verifies *v)
{
    return mem_free(v);
}

static void round_run(struct verifies *v);

static void round_answered(struct loop_msg *msg)
{
    struct verifies *v = container_of(msg, struct verifies, msg);
    struct list answered;
    v->is_asked = false;
    list_init(&answered);
    list_splice_back(&answered, &v->asked);
    round_run(v); /* first: what follows may ask again */
    for (struct list *node; (node = list_pop_front(&answered)) != NULL;) {
        struct call *c = container_of(node, struct call, node);
        uint64_t ns = clock_mono_ns() - c->verify_started_ns;
        metric_observe(&metric_consistent, (double)ns / (double)NS_PER_MS);
        call_verified(c, v->code);
    }
}

/* On the raft thread. */
static void round_done(struct raft_request *q, int code)
{
    struct verifies *v = container_of(q, struct verifies, request);
    v->code = code;
    v->msg.run = round_answered;
    loop_post(v->worker->loop, &v->msg);
}

static void round_run(struct verifies *v)
{
    if (v->is_asked || list_is_empty(&v->waiting)) {
        return;
    }
    v->is_asked = true;
    list_splice_back(&v->asked, &v->waiting);
    v->request = (struct raft_request){.kind = RAFT_REQUEST_VERIFY, .done = round_done};
    raft_request(v->worker->server->raft, &v->request);
}

void verify_start(struct verifies *v, struct call *c)
{
    c->verify_started_ns = clock_mono_ns();
    list_push_back(&v->waiting, &c->node);
    round_run(v);
}
