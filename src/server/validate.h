/* validate.h - what has to hold of a service or a check before it is registered, with the agent or
 * in the catalog. Pure; the sentences are those clients of 1.10.3 see. */
#pragma once
#include "schema/catalog.h"

struct err;

/* Proxies, gateways, upstreams, exposed paths: all that is wrong, in one sentence for each. */
NODISCARD int validate_service(const struct node_service *service, struct err *err);
/* 0.0.0.0 and :: are no address to be reached at. */
bool validate_address_is_any(struct str address);
/* "grpc", "http", "ttl", "tcp", "alias", "docker", "script", "h2ping", or "". */
struct str validate_check_type(const struct health_check_definition *d);
