/* The endpoints of Consul 1.10 that have no handler of their own yet: their methods are right
 * (OPTIONS, 405), and whoever calls one is told so. An area that gets its own file takes its
 * patterns from here, since files listed before this one win. */
#include "http/http.h"

static void later_unsupported(struct http_req *req)
{
    http_error(req, 501, "%s is not supported by this version", req->route->pattern);
}

#define G HTTP_GET
#define U HTTP_PUT
#define PREFIX HTTP_ROUTE_PREFIX
/* clang-format off */
const struct http_route http_later_routes[] = {
    {"/v1/agent/connect/ca/leaf/", G, "GET", PREFIX, later_unsupported},
    {"/v1/txn", U, "PUT", 0, later_unsupported},
};
/* clang-format on */
const size_t http_later_routes_count = ARRAY_SIZE(http_later_routes);
