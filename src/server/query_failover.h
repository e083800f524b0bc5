/* query_failover.h - a prepared query that has found nothing in this data center looks for it in
 * others: the nearest, and those it names. For prepared_query.c alone. */
#pragma once
#include "schema/prepared_query.h"
#include "server/rpc.h"

bool query_failover_wanted(const struct prepared_query *query);
/* rpc_method.more of PreparedQuery.Execute; call->more is the query. */
void query_failover(struct rpc_call *call);

/* Which ones are asked, in this order: the first NearestN of the known ones (the nearest first),
 * then those named. `own` is none of them. Pure; in the arena. */
struct strlist query_failover_choose(const struct query_datacenter_options *options,
                                     struct strlist known, struct str own, struct arena *a);
