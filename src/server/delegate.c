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

static bool has_member(struct membership *m, struct str name)
{
    struct member_list *list = m != NULL ? membership_list(m) : NULL;
    bool has_it = list != NULL && member_list_find(list, name) != NULL;
    if (list != NULL) {
        (void)member_list_unref(list);
    }
    return has_it;
}

bool delegate_has_member(const struct delegate *d, struct str name)
{
    return has_member(d->membership, name) || has_member(d->wan, name);
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

/* In the WAN pool a server of this data center is called "node.dc". */
int delegate_force_leave(struct delegate *d, struct str name, bool prune, struct err *err)
{
    struct arena a = {0};
    struct str suffix = arena_printf(&a, ".%.*s", STRF(d->datacenter));
    struct str lan = name, wan = arena_concat(&a, name, suffix);
    int rc = 0;
    if (!has_member(d->membership, name) && has_member(d->wan, name)) {
        wan = name;
        lan = str_has_suffix(name, suffix) ? str_first(name, name.n - suffix.n) : STR_NULL;
    }
    if (lan.n > 0) {
        rc = membership_force_leave(d->membership, lan, prune, err);
    }
    if (rc >= 0 && d->wan != NULL) {
        rc = membership_force_leave(d->wan, wan, prune, err);
    }
    arena_deinit(&a);
    return rc;
}

void delegate_leave(struct delegate *d, void (*done)(void *data), void *data)
{
    if (d->client != NULL) {
        client_agent_leave(d->client, done, data);
    } else {
        server_leave_start(container_of(d, struct server, delegate), done, data);
    }
}
