/* service_config.h - what config entries add to registrations: proxy-defaults, service-defaults and
 * what they say of upstreams, merged into each sidecar and gateway of this agent, for as long as it
 * is registered. What was registered is kept (and persisted) as it was; what the catalog and the
 * API see is the merged form, and follows the entries. Main loop only. */
#pragma once
#include "base/map.h"

struct agent;
struct arena;
struct node_service;
struct service_config_response;

struct service_configs {
    struct map follows; /* service id to struct follow */
};

void service_configs_deinit(struct service_configs *configs); /* cancels what is under way */

/* A service was registered: follow its entries, if it is of a kind that they concern. What to put
 * into the local state: the merged form where a server answers at once, else `service`. In `arena`
 * or the caller's. */
const struct node_service *service_config_follow(struct agent *a,
                                                 const struct node_service *service,
                                                 struct str token, struct arena *arena);
void service_config_unfollow(struct agent *a, struct str id);

/* The registration with its defaults; in `arena`, and borrowing from both. */
struct node_service *service_config_merge(const struct node_service *service,
                                          const struct service_config_response *defaults,
                                          struct arena *arena);
