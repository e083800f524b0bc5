/* summary.h - services as the web interface lists them: one line for each name, over all its
 * instances.
 *
 *     struct summaries all;
 *     summaries_init(&all, req->arena);
 *     for each instance: summaries_add(&all, instance);
 *     summaries_write(&all, &w, true);
 *     summaries_deinit(&all);
 *
 * Lives in the request's arena; names and checks are borrowed from the reply. */
#pragma once
#include "base/map.h"
#include "base/vec.h"
#include "schema/config_gateways.h"
#include "schema/json.h"

struct summary;

struct summaries {
    struct arena *arena;
    struct map by_name;
    VEC(struct summary *) list;
};

void summaries_init(struct summaries *all, struct arena *a);
void summaries_deinit(struct summaries *all);
/* A line for a service, even if it has no instance; the second says where it is. */
void summaries_name(struct summaries *all, struct str service);
void summaries_place(struct summaries *all, struct str service, struct str datacenter);
void summaries_add(struct summaries *all, const struct check_service_node *instance);
/* After all instances: a service is behind a gateway. */
void summaries_link(struct summaries *all, const struct gateway_service *g);
/* host:port is where an ingress gateway serves the service. */
void summaries_add_address(struct summaries *all, struct str service, struct str host,
                           int64_t port);
/* A list by name. is_listing: what a service is connected with, too. */
void summaries_write(struct summaries *all, struct json_writer *w, bool is_listing);

/* What follows the members of one line. */
typedef void (*summary_more_fn)(struct json_writer *w, struct str service, const void *data);
/* The lines of services and ingress gateways alone, by name, into an array that is open. */
void summaries_write_ends(struct summaries *all, struct json_writer *w, summary_more_fn more,
                          const void *data);
