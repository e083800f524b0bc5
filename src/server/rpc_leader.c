/* Where a call runs on a server. The happy paths: this server leads, or need not (stale reads,
 * Status.*): here. Another leads: the call goes there, and what comes back is its end.
 *
 * Nobody leads: it is held until rpc_worker_leader_known() says that somebody does, or
 * rpc_hold_timeout has passed since it first was without a leader. What has failed at the leader is
 * held as well, for a while, since the next leader may be the one that is known already.
 *
 * Another leader becomes known while a read is with the last one: it moves. So a leader that is
 * still connected but does not get to answer keeps nobody waiting.
 *
 * A write that this server took and Raft refused before it came into the log (leadership is being
 * handed over) is placed anew.
 *
 * ?consistent: the leader runs the call once verify.c has found that it still is the leader. If
 * not, the call is placed anew. */
#include "base/err.h"
#include "raft/raft.h"
#include "server/call.h"
#include "server/rpc.h"
#include "server/server.h"
#include "server/verify.h"

static bool needs_leader(const struct call *c)
{
    unsigned flags = c->pub.method->flags;
    const struct query_options *options = call_options(c);
    if ((flags & RPC_LOCAL) != 0) {
        return false;
    }
    return (flags & (RPC_WRITE | RPC_LEADER_ONLY)) != 0 || options == NULL || !options->allow_stale;
}

static void hold_without_leader(struct call *c)
{
    if (call_may_hold(c)) {
        call_hold(c, UINT64_MAX);
    } else {
        call_fail(c, ERR_NO_LEADER, "%s", err_code_text(ERR_NO_LEADER));
    }
}

/* The address calls are sent to, "" when there is none to send to: nobody leads, or this server is
 * about to. */
static const char *leader_elsewhere(struct worker *w)
{
    struct raft_status status;
    raft_status(w->server->raft, &status);
    struct str address = str_from_cstr(status.leader_address);
    if (status.state == RAFT_LEADER || str_eq(address, w->server->options.rpc_address)) {
        return "";
    }
    if (address.n > 0 && !str_eq(address, str_from_cstr(w->leader_address))) {
        memcpy(w->leader_address, status.leader_address, sizeof(w->leader_address));
        w->leader_generation++;
    }
    return address.n > 0 ? w->leader_address : "";
}

/* --- here ------------------------------------------------------------------------------------- */

/* A lone voter need not ask anybody. */
static bool has_peers(const struct worker *w)
{
    struct raft_status status;
    raft_status(w->server->raft, &status);
    return status.peers > 0;
}

static void run_as_leader(struct call *c)
{
    const struct query_options *options = call_options(c);
    if (options != NULL && options->require_consistent && !call_is_write(c) && !c->is_verified &&
        has_peers(c->pub.worker)) {
        c->state = CALL_VERIFYING;
        verify_start(c->pub.worker->verifies, c);
        return;
    }
    call_run_here(c);
}

void call_verified(struct call *c, int code)
{
    c->is_verified = code == 0;
    if (code == 0) {
        call_run_here(c);
    } else {
        call_place(c);
    }
}

/* --- both ------------------------------------------------------------------------------------- */

void call_place_on_server(struct call *c)
{
    struct worker *w = c->pub.worker;
    if (!needs_leader(c)) {
        call_run_here(c);
        return;
    }
    if (server_is_leader(w->server)) {
        run_as_leader(c);
        return;
    }
    if (w->watches == NULL) { /* the worker has ended: nobody will tell it of a leader */
        call_fail(c, ERR_CLOSED, "%s", err_code_text(ERR_CLOSED));
        return;
    }
    if (c->pub.is_duty) {
        call_fail(c, ERR_NO_LEADER, "%s", err_code_text(ERR_NO_LEADER));
        return;
    }
    const char *leader = leader_elsewhere(w);
    if (leader[0] != '\0') {
        call_forward(c, str_from_cstr(leader), w->leader_generation);
    } else {
        hold_without_leader(c);
    }
}

static bool is_with_another(const struct call *c)
{
    return !c->is_abroad && c->route != c->pub.worker->leader_generation;
}

void rpc_worker_leader_known(struct worker *w)
{
    if (server_is_leader(w->server)) {
        w->leader_address[0] = '\0';
        w->leader_generation++;
    } else {
        (void)leader_elsewhere(w);
    }
    calls_place_anew(w, is_with_another);
}
