/* acl.h - what the files of /v1/acl have in common (private to them). */
#pragma once
#include "http/http.h"
#include "schema/acl_request.h"

/* False, and answered with 401, where ACLs are off. */
bool acl_http_enabled(struct http_req *req);
/* The body into an object. False, and answered with 400 "<what>: …", when that is not possible. */
bool acl_http_decode(struct http_req *req, const char *what, const struct schema *schema,
                     void *object);
bool acl_http_bad_request(struct http_req *req, const char *why); /* false */
/* A call that takes nothing from the query string but the token, in this agent's data center. */
struct rpc_call *acl_http_write(struct http_req *req, const struct rpc_method *method,
                                http_reply_fn reply);
/* One that reads; NULL: it is answered already. */
struct rpc_call *acl_http_read(struct http_req *req, const struct rpc_method *method,
                               http_reply_fn reply);
/* The id of an update: the URL's, which the body may repeat. False, and answered with 400 "<what>
 * in URL and payload do not match", when it says another one. */
bool acl_http_match_id(struct http_req *req, const char *what, struct str *id);
/* GET, PUT and DELETE of one object: the handler is one of three. Without a name only PUT goes on;
 * others are answered with 400 "Missing <what>". */
void acl_http_crud(struct http_req *req, const char *what, http_handler read, http_handler write,
                   http_handler remove);

/* --- answers --------------------------------------------------------------------------------- */

void acl_http_reply_true(struct http_req *req, struct rpc_call *call);
/* What was written, by the method's table. */
void acl_http_reply_object(struct http_req *req, struct rpc_call *call);
/* A list of what `schema` says, [] for none. */
void acl_http_reply_list(struct http_req *req, const struct schema *schema, struct ptrlist list);
/* One that may be missing; of a route without metadata: 404 comes before it. */
void acl_http_reply_or_404(struct http_req *req, const struct query_meta *meta,
                           const struct schema *schema, const void *object);
/* 403 "ACL not found". */
void acl_http_not_found(struct http_req *req);
