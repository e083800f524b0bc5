/* prepared_query.h - running prepared queries, for whoever has a name and wants instances: HTTP,
 * and DNS for <name>.query.<domain>.
 *
 *     struct rpc_call *call = rpc_call_new(worker, &rpc_prepared_query_execute);
 *     struct prepared_query_execute_request *args = call->args;
 *     args->datacenter = dc;  args->query_id_or_name = name;
 *     args->agent = the agent's own data center and node;  args->source.ip = the client's;
 *     args->options.allow_stale = …;
 *     call->done = done;  rpc_start(call);
 *     … done(call): -ERR_NOT_FOUND in call->err->code when there is no such query, else
 *       const struct prepared_query_execute_response *r = call->reply;
 *       r->nodes (struct check_service_node, in the order they should be given), r->dns.ttl ("" or
 * a valid duration), r->service (for its configured TTL), r->datacenter
 *
 * Instances that are critical are left out already, and the order is random unless the query or the
 * client asks for the nearest. Nothing is ever parked: done may run before rpc_start() returns.
 *
 * Who may read the view of this turn himself, and has nobody to wait for, calls
 * prepared_query_execute(). */
#pragma once
#include "schema/prepared_query.h"
#include "server/rpc.h"

/* What rpc_prepared_query_execute does, at once; ctx needs server, worker, arena, view and err. The
 * reply is zeroed; it points into the view and the arena. -ERR_NOT_FOUND: no such query. */
NODISCARD int prepared_query_execute(struct rpc_ctx *ctx,
                                     const struct prepared_query_execute_request *args,
                                     struct prepared_query_execute_response *reply);
