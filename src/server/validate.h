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

/* Before a registration may enter the log, by itself or in a transaction: */
/* There is a name, and the id, if any, is a UUID. */
NODISCARD int validate_node(struct str name, struct str id, struct err *err);
/* validate_service() and: the id defaults to the name, which must be there; the address is one. */
NODISCARD int validate_prepare_service(struct node_service *service, struct err *err);
/* The id defaults to the name. */
void validate_prepare_check(struct health_check *check);
