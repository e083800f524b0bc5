/* datacenters.h - the data centers this server knows by the WAN pool: its servers' lists in the
 * router, and which is how far.
 *
 *     struct datacenters *d = datacenters_new(server);      // listens to the WAN pool
 *     datacenters_stop(d);  datacenters_free(d)
 *
 * Of this server's own data center there is no list: nothing is ever sent there this way. Where
 * there is no WAN pool there is only this one. On the main loop.
 *
 * The methods that tell of data centers are here, too: Catalog.ListDatacenters and
 * Coordinate.ListDatacenters. */
#pragma once
#include "base/str.h"

struct arena;
struct datacenters;
struct member_list;
struct node_coordinate;
struct server;

struct datacenters *datacenters_new(struct server *s);
void datacenters_stop(struct datacenters *d);
struct datacenters *datacenters_free(struct datacenters *d);

/* All whose servers are members and have not left, the nearest first: by the median of the round
 * trips to them, this one's own first of all, those of which nothing is known last; equals by name.
 * own_name: this server's in the pool. Pure; names point into the list and to `own`. */
struct strlist datacenters_by_distance(const struct member_list *wan, struct str own,
                                       struct str own_name, const struct node_coordinate *known,
                                       size_t known_count, struct arena *a);
