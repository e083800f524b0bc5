#include "server/delegate.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "server/client_agent.h"
#include "server/leave.h"
#include "server/membership.h"
#include "server/server.h"

static struct metric metric_calls = METRIC_COUNTER("client.rpc");
static struct metric metric_exceeded = METRIC_COUNTER("client.rpc.exceeded");

bool delegate_has_member(const struct delegate *d, struct str name)
{
    struct member_list *list = membership_list(d->membership);
    bool has_it = member_list_find(list, name) != NULL;
    (void)member_list_unref(list);
    return has_it;
}

int delegate_count_call(struct delegate *d, struct err *err)
{
    metric_add(&metric_calls, 1);
    if (rate_limit_is_on(&d->rate) && !rate_limit_allow(&d->rate, clock_mono_ns())) {
        metric_add(&metric_exceeded, 1);
        return err_set(err, ERR_RATE_LIMIT, "RPC rate limit exceeded");
    }
    return 0;
}

/* In the WAN pool it is called "name.dc", whichever of its names it is given by. */
static int force_leave_wan(struct delegate *d, struct str name, bool prune, struct err *err)
{
    struct arena a = {0};
    struct str suffix = arena_printf(&a, ".%.*s", STRF(d->datacenter));
    struct str wan_name = str_has_suffix(name, suffix) ? name : arena_concat(&a, name, suffix);
    int rc = membership_force_leave(d->wan, wan_name, prune, err);
    arena_deinit(&a);
    return rc;
}

int delegate_force_leave(struct delegate *d, struct str name, bool prune, struct err *err)
{
    int rc = membership_force_leave(d->membership, name, prune, err);
    return rc < 0 || d->wan == NULL ? rc : force_leave_wan(d, name, prune, err);
}

void delegate_leave(struct delegate *d, void (*done)(void *data), void *data)
{
    if (d->client != NULL) {
        client_agent_leave(d->client, done, data);
    } else {
        server_leave_start(container_of(d, struct server, delegate), done, data);
    }
}
