/* Every file of routes, in the order in which they get their patterns. */
#include "http/http.h"
#include "http/server.h"

const struct http_route_set http_all_routes[] = {
#define X(file) {http_##file##_routes, &http_##file##_routes_count},
    HTTP_ROUTE_FILES(X)
#undef X
        {NULL, NULL},
};
