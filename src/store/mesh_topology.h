/* mesh_topology.h - which service leads to which, by what is registered.
 *
 * A table that follows from the upstreams of sidecars, and from the services of ingress gateways.
 * It is not in snapshots; restoring the catalog and the entries makes it again. Names are compared
 * without regard to (ASCII) case. */
#pragma once
#include "schema/topology.h"
#include "store/store.h"

/* An instance is about to be replaced: `old` is what is registered under its id, `fresh` what will
 * be; either may be NULL. Those that are no sidecars have no upstreams. */
void mesh_topology_replace(struct store_txn *tx, const struct node_service *old,
                           const struct node_service *fresh);
/* An ingress gateway serves, or does not serve any more, this service; the second without a name:
 * any. */
void mesh_topology_add_gateway(struct store_txn *tx, struct str gateway, struct str service,
                               struct raft_index raft);
void mesh_topology_delete_gateway(struct store_txn *tx, struct str gateway, struct str service);

/* The names of the services that this one leads to, or that lead to it; nil when there is none. */
uint64_t mesh_topology_upstreams(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                 struct str service, struct strlist *ret_names);
uint64_t mesh_topology_downstreams(const struct store_view *v, struct watch_set *ws,
                                   struct arena *a, struct str service, struct strlist *ret_names);
