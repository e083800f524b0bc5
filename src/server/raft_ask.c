#include "server/raft_ask.h"

#include "server/server.h"

static void name_put(char to[128], struct str name)
{
    size_t n = MIN(name.n, (size_t)127);
    memset(to, 0, 128);
    if (n > 0) {
        memcpy(to, name.p, n);
    }
}

void raft_ask_change(struct raft_ask *q, int change, struct str id, struct str address)
{
    q->request.kind = RAFT_REQUEST_CHANGE;
    q->request.change = change;
    name_put(q->request.id, id);
    name_put(q->request.address, address);
}

static void ask_arrived(struct loop_msg *msg)
{
    struct raft_ask *q = container_of(msg, struct raft_ask, msg);
    q->done(q);
}

static void ask_answered(struct raft_request *request, int code)
{
    struct raft_ask *q = container_of(request, struct raft_ask, request);
    q->code = code;
    if (code < 0 && request->err.code == 0) {
        (void)err_set(&request->err, -code, "%s", err_code_text(-code));
    }
    q->msg.run = ask_arrived;
    loop_post(q->loop, &q->msg);
}

void raft_ask_start(struct server *s, struct raft_ask *q)
{
    raft_ask_start_on(s, q, s->main->loop);
}

void raft_ask_start_on(struct server *s, struct raft_ask *q, struct loop *loop)
{
    q->loop = loop;
    q->request.done = ask_answered;
    raft_request(s->raft, &q->request);
}
