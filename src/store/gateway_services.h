/* gateway_services.h - which services are behind which gateway.
 *
 * A table that follows from the entries of ingress and terminating gateways, and from the catalog:
 * a gateway that names "*" has every service that is registered. It is not in snapshots; restoring
 * the entries makes it again. */
#pragma once
#include "schema/config_gateways.h"
#include "store/store.h"

/* An entry is about to be written (before it is in its table): when its services changed, the
 * gateway's rows are made anew. Entries of other kinds are passed over. */
void gateway_services_update(struct store_txn *tx, const struct config_entry *entry,
                             uint64_t index);
/* The gateway's entry goes. */
void gateway_services_delete(struct store_txn *tx, struct str gateway);
/* A service is being registered, and belongs to gateways that have every service. */
void gateway_services_add(struct store_txn *tx, const struct node_service *service);
/* The last instance of a service is gone. */
void gateway_services_forget(struct store_txn *tx, struct str service);

/* The gateways of a kind in front of a service, by name, each once. The index is that of the links,
 * and of the gateways' own instances, be there any or not. */
uint64_t gateway_services_gateways(const struct store_view *v, struct watch_set *ws,
                                   struct arena *a, struct str service, struct str kind,
                                   struct strlist *ret_gateways);
/* struct gateway_service, by service and port, the wildcard's own row left out; nil when there is
 * none. */
uint64_t gateway_services_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct str gateway, struct ptrlist *ret_services);
/* The same of every gateway. */
uint64_t gateway_services_list_all(const struct store_view *v, struct watch_set *ws,
                                   struct arena *a, struct ptrlist *ret_services);
