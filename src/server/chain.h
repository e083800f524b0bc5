/* chain.h - discovery chains as this cluster sees them. */
#pragma once
#include "schema/discovery_chain.h"
#include "server/rpc.h"

/* The chain of a service in a data center (empty: the server's own), and the index of the entries
 * it is made of. Fails while the cluster has no certificate authority yet, by which targets are
 * named.
 */
NODISCARD int chain_read(struct rpc_ctx *ctx, struct str service, struct str datacenter,
                         const struct chain_overrides *overrides, uint64_t *ret_index,
                         const struct compiled_discovery_chain **ret_chain);
