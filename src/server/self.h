/* self.h - a server's own entry in the catalog: its node, the service "consul" and the check
 * serfHealth, as the leader registers every server that is a live member. */
#pragma once
#include "schema/catalog.h"

struct server;
struct store_view;

#define CONSUL_SERVICE_ID STR("consul")
#define CONSUL_SERVICE_NAME STR("consul")
#define SERF_CHECK_ALIVE_OUTPUT STR("Agent alive and reachable")

/* The entry is there and says what it should. */
bool self_is_registered(const struct server *s, const struct store_view *v);
/* Fill in the request that writes it. Memory is the arena's and the view's. */
void self_registration(const struct server *s, struct arena *a, const struct store_view *v,
                       struct register_request *ret_request);
