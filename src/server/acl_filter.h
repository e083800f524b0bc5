/* acl_filter.h - of a reply, what its caller may not see is left out.
 *
 * Each takes away elements of lists that live in the call's arena, in place; the rows they point to
 * stay as they are, with their rendered JSON. A list that becomes empty is still no nil one.
 * Nothing happens when ACLs are off. Each fails when the caller's token is none. */
#pragma once
#include "schema/config_entry.h"
#include "server/acl.h"

struct indexed_node_services;
struct indexed_node_service_list;
struct intention;
struct prepared_query;
struct service_topology;

NODISCARD int acl_filter_nodes(struct rpc_ctx *ctx, struct ptrlist *nodes);
NODISCARD int acl_filter_services(struct rpc_ctx *ctx, struct strlistmap *services);
NODISCARD int acl_filter_service_names(struct rpc_ctx *ctx, struct objlist *names);
NODISCARD int acl_filter_service_nodes(struct rpc_ctx *ctx, struct objlist *nodes);
NODISCARD int acl_filter_check_service_nodes(struct rpc_ctx *ctx, struct objlist *nodes);
/* Both are as if there were no such node when it is not to be seen. */
NODISCARD int acl_filter_node_services(struct rpc_ctx *ctx, struct indexed_node_services *reply);
NODISCARD int acl_filter_node_service_list(struct rpc_ctx *ctx,
                                           struct indexed_node_service_list *reply);
NODISCARD int acl_filter_checks(struct rpc_ctx *ctx, struct ptrlist *checks);
NODISCARD int acl_filter_coordinates(struct rpc_ctx *ctx, struct objlist *coordinates);
NODISCARD int acl_filter_sessions(struct rpc_ctx *ctx, struct ptrlist *sessions);
NODISCARD int acl_filter_entries(struct rpc_ctx *ctx, struct ptrlist *dir_entries);
NODISCARD int acl_filter_intentions(struct rpc_ctx *ctx, struct ptrlist *intentions);
NODISCARD int acl_filter_config_entries(struct rpc_ctx *ctx, struct ptrlist *entries);
NODISCARD int acl_filter_gateway_services(struct rpc_ctx *ctx, struct ptrlist *services);
NODISCARD int acl_filter_node_dump(struct rpc_ctx *ctx, struct objlist *dump);
NODISCARD int acl_filter_service_dump(struct rpc_ctx *ctx, struct objlist *dump);
/* *ret_filtered: something was left out. */
NODISCARD int acl_filter_topology(struct rpc_ctx *ctx, struct service_topology *topology,
                                  bool *ret_filtered);
/* Those without a name are nobody's to list; tokens are hidden from all who may not write ACLs. */
NODISCARD int acl_filter_prepared_queries(struct rpc_ctx *ctx, struct ptrlist *queries);
/* Hides the token alone: a copy takes the row's place. */
NODISCARD int acl_hide_query_token(struct rpc_ctx *ctx, const struct prepared_query **query);
NODISCARD int acl_filter_txn_results(struct rpc_ctx *ctx, struct objlist *results);

/* Of one: after acl_known(). */
bool acl_may_read_intention(const struct rpc_ctx *ctx, const struct intention *i);
bool acl_may_write_intention(const struct rpc_ctx *ctx, const struct intention *i);
bool acl_may_read_entry(const struct rpc_ctx *ctx, enum config_entry_kind kind, struct str name);
/* Who leads requests for a service elsewhere must be able to read whom they go to. */
bool acl_may_write_entry(const struct rpc_ctx *ctx, const struct config_entry *entry);
/* A query is known by its name; false: it has none, and no rule speaks of it. */
bool acl_query_name(const struct prepared_query *q, struct str *ret_name);
