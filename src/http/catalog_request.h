/* catalog_request.h - what /v1/catalog and /v1/health are asked in the same words. */
#pragma once
#include <stdbool.h>

struct http_req;
struct service_request;

/* The instances of a service: its name from the path, ?near, ?tag, ?node-meta. False, and answered,
 * when that makes no sense. */
bool catalog_parse_service(struct http_req *req, struct service_request *args);
