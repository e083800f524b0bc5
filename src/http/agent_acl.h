/* agent_acl.h - may the caller change this of the agent's services and checks? What is there
 * already counts: what would be replaced has to be the caller's as well. False, and answered, when
 * not.
 *
 * Looks at the published state, on the worker; whatever changes between this and the change itself
 * may slip through, as in Consul. On routes with HTTP_ROUTE_ACL, after http_known(). */
#pragma once
#include "http/http.h"
#include "schema/catalog.h"

bool agent_may_register_service(struct http_req *req, const struct node_service *service);
bool agent_may_register_check(struct http_req *req, const struct health_check *check);
/* Of a service or a check that must be there, by its id. */
bool agent_may_change_service(struct http_req *req, struct str id);
bool agent_may_change_check(struct http_req *req, struct str id);
/* To be shown in lists. */
bool agent_may_see_check(const struct http_req *req, const struct health_check *check,
                         struct str node_name);
