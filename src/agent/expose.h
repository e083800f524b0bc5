/* expose.h - HTTP and gRPC checks of a service that can only be reached through its proxy: with
 * proxy.expose.checks each gets a port of a range, on which the proxy is to listen for it, and is
 * probed there. Main loop only. */
#pragma once
#include "base/map.h"

struct agent;
struct arena;
struct check_entry;
struct node_service;

struct expose {
    struct map proxies; /* id of an exposed service to struct exposer */
    struct map ports;   /* id of an exposed check to its port, in the pointer */
};

void expose_deinit(struct expose *e);
/* A service was put: if it is a proxy, the checks of what it stands for are rerouted, or no longer.
 */
void expose_service_put(struct agent *a, const struct node_service *service);
void expose_service_removed(struct agent *a, const struct node_service *service);
/* A check's runner was started, or is about to end. */
void expose_check_started(struct agent *a, struct check_entry *e);
void expose_check_ended(struct agent *a, const struct check_entry *e);

/* Another host and port in a URL, and in "host:port/service"; what is neither stays as it is. */
struct str expose_http_target(struct arena *a, struct str url, struct str host, int64_t port);
struct str expose_grpc_target(struct arena *a, struct str target, struct str host, int64_t port);
