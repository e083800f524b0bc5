/* acl_register.h - may the caller register this, or deregister it? What is in the catalog already
 * counts as well: a service that would be replaced has to be the caller's, too.
 *
 * What is asked of the tables is of the call's view; what the log holds by the time the entry is
 * applied may be a little newer, as in Consul. */
#pragma once
#include "server/acl.h"

struct deregister_request;
struct node_service;
struct register_request;
struct txn_check_op;

/* A service by itself, before it may enter the log: write on its name, and on that of the service
 * it is a proxy of. */
NODISCARD int acl_check_service(const struct rpc_ctx *ctx, const struct node_service *service);
/* All of it; the checks have gathered in `checks`. */
NODISCARD int acl_check_register(const struct rpc_ctx *ctx, const struct register_request *args);
NODISCARD int acl_check_deregister(const struct rpc_ctx *ctx,
                                   const struct deregister_request *args);
NODISCARD int acl_check_txn_check(const struct rpc_ctx *ctx, const struct txn_check_op *op);
