/* Internal.EventFire: a user event for all members of this data center. Any server can do that. */
#include "base/log.h"
#include "base/mem.h"
#include "proto/serf.h"
#include "schema/gossip.h"
#include "server/acl.h"
#include "server/membership.h"
#include "server/rpc.h"
#include "server/rpc_ask.h"
#include "server/server.h"
#include "server/user_events.h"

static void fired(void *data, const struct err *err)
{
    struct rpc_ask *ask = data;
    if (err != NULL) {
        struct err one = *err;
        (void)err_set(&ask->err, ERR_FAILED,
                      "1 error occurred:\n\t* error broadcasting event to segment \"\": %s\n\n",
                      err_text(&one));
    } else if (!ask->is_dropped) {
        struct event_fire_response *reply = ask->reply;
        server_fill_meta(ask->server, &reply->meta);
    }
    rpc_ask_finish(ask);
}

static void fire(struct rpc_ask *ask)
{
    const struct event_fire_request *args = ask->args;
    struct str name = arena_concat(ask->arena, USER_EVENT_PREFIX, args->name);
    membership_user_event(ask->server->delegate.membership, name, args->payload, false, fired, ask);
}

static int permit(struct rpc_ctx *ctx, const void *data)
{
    const struct event_fire_request *args = data;
    int r = acl_check(ctx, ACL_EVENT_WRITE, args->name);
    if (r == -ERR_PERMISSION_DENIED) {
        log_write(LOG_WARN, "agent.server", "user event blocked by ACLs",
                  LOG_STR("event", args->name));
    }
    return r;
}

const struct rpc_method rpc_internal_event_fire = {
    .name = "Internal.EventFire",
    .flags = RPC_WRITE | RPC_LOCAL,
    .args = &event_fire_request_schema,
    .reply = &event_fire_response_schema,
    .options_offset = offsetof(struct event_fire_request, options),
    .meta_offset = -1, /* not for HTTP */
    .acl = "event:write",
    .ask = fire,
    .permit = permit,
};
