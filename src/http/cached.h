/* cached.h - what ?cached adds to an answer: X-Cache and Age.
 *
 * 1.10.3's agent keeps answers in a cache that it refreshes behind the scenes. A server of ours
 * answers such a request from its tables at no more cost than from a cache, and never with
 * something old; so all that is kept is which requests were asked before, for the headers that
 * clients look at. */
#pragma once
#include "http/http.h"

/* Set the headers if the request asked for a cached answer (args' query options say so). kind is
 * the method's name. Refreshed kinds are always of age 0; others grow old from the first asking. */
void http_cached(struct http_req *req, const struct rpc_call *call, bool is_refreshed);
