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
 * client asks for the nearest. When there are none, the data centers that the query names are asked
 * one after the other: r->datacenter is where the nodes are. */
#pragma once
#include "schema/prepared_query.h"
#include "server/rpc.h"
