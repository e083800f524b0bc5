/* Routers and splitters by themselves; resolvers are in config_check_resolver.c. */
#include "base/err.h"
#include "base/gofmt.h"
#include "schema/config_chain.h"
#include "store/config_check.h"

#include <math.h>

/* --- what routes and permissions have in common ---------------------------------------------- */

struct strlist config_upper_methods(struct arena *a, struct strlist methods)
{
    struct str *upper = methods.n > 0 ? ARENA_ARRAY(a, struct str, methods.n) : NULL;
    for (size_t i = 0; i < methods.n; i++) {
        upper[i] = arena_str(a, methods.v[i]);
        for (size_t j = 0; j < upper[i].n; j++) {
            char *c = (char *)(uintptr_t)&upper[i].p[j];
            *c = *c >= 'a' && *c <= 'z' ? (char)(*c - ('a' - 'A')) : *c;
        }
    }
    return methods.n > 0 ? (struct strlist){upper, methods.n} : methods;
}

int config_validate_headers(struct objlist headers, struct str where, const char *each,
                            struct err *err)
{
    const struct http_match_header *h = headers.v;
    for (size_t i = 0; i < headers.n; i++, h++) {
        if (h->name.n == 0) {
            return err_set(err, ERR_FAILED, "%.*s%s[%zu] missing required Name field", STRF(where),
                           each, i);
        }
        int parts = h->present + (h->exact.n > 0) + (h->regex.n > 0) + (h->prefix.n > 0) +
                    (h->suffix.n > 0);
        if (parts != 1) {
            return err_set(err, ERR_FAILED,
                           "%.*s%s[%zu] should only contain one of Present, Exact, Prefix, "
                           "Suffix, or Regex",
                           STRF(where), each, i);
        }
    }
    return 0;
}

static bool is_http_method(struct str m)
{
    static const struct str known[] = {
        STR_INIT("GET"),     STR_INIT("HEAD"),    STR_INIT("POST"),
        STR_INIT("PUT"),     STR_INIT("PATCH"),   STR_INIT("DELETE"),
        STR_INIT("CONNECT"), STR_INIT("OPTIONS"), STR_INIT("TRACE"),
    };
    return strlist_contains((struct strlist){known, ARRAY_SIZE(known)}, m);
}

int config_validate_methods(struct arena *a, struct strlist methods, struct str where,
                            struct err *err)
{
    for (size_t i = 0; i < methods.n; i++) {
        struct str m = methods.v[i];
        if (!is_http_method(m)) {
            return err_set(err, ERR_FAILED, "%.*sMethods contains an invalid method %.*s",
                           STRF(where), STRF(go_quoted(a, m)));
        }
        if (strlist_contains((struct strlist){methods.v, i}, m)) {
            return err_set(err, ERR_FAILED, "%.*sMethods contains %.*s more than once", STRF(where),
                           STRF(go_quoted(a, m)));
        }
    }
    return 0;
}

/* --- service-router -------------------------------------------------------------------------- */

void config_normalize_router(struct arena *a, struct service_router *e)
{
    struct service_route *routes = e->routes.v;
    for (size_t i = 0; i < e->routes.n; i++) {
        if (routes[i].match != NULL && routes[i].match->http != NULL) {
            struct route_http_match *http = routes[i].match->http;
            http->methods = config_upper_methods(a, http->methods);
        }
    }
}

static int validate_path(struct arena *a, struct str path, const char *which, size_t route,
                         struct err *err)
{
    return path.n == 0 || path.p[0] == '/'
               ? 0
               : err_set(err, ERR_FAILED, "Route[%zu] %s doesn't start with '/': %.*s", route,
                         which, STRF(go_quoted(a, path)));
}

static int validate_query_params(const struct route_http_match *http, size_t route, struct err *err)
{
    const struct http_match_query_param *q = http->query_param.v;
    for (size_t i = 0; i < http->query_param.n; i++, q++) {
        if (q->name.n == 0) {
            return err_set(err, ERR_FAILED,
                           "Route[%zu] QueryParam[%zu] missing required Name field", route, i);
        }
        if (q->present + (q->exact.n > 0) + (q->regex.n > 0) != 1) {
            return err_set(err, ERR_FAILED,
                           "Route[%zu] QueryParam[%zu] should only contain one of Present, "
                           "Exact, or Regex",
                           route, i);
        }
    }
    return 0;
}

static int validate_http_match(struct arena *a, const struct route_http_match *http, size_t route,
                               struct err *err)
{
    struct str where = arena_printf(a, "Route[%zu] ", route);
    int r = validate_path(a, http->path_exact, "PathExact", route, err);
    if (r < 0 || (r = validate_path(a, http->path_prefix, "PathPrefix", route, err)) < 0) {
        return r;
    }
    if ((http->path_exact.n > 0) + (http->path_prefix.n > 0) + (http->path_regex.n > 0) > 1) {
        return err_set(err, ERR_FAILED,
                       "Route[%zu] should only contain at most one of PathExact, PathPrefix, or "
                       "PathRegex",
                       route);
    }
    if ((r = config_validate_headers(http->header, where, "Header", err)) < 0 ||
        (r = validate_query_params(http, route, err)) < 0) {
        return r;
    }
    return config_validate_methods(a, http->methods, where, err);
}

int config_validate_router(struct arena *a, const struct service_router *e, struct err *err)
{
    if (e->head.name.n == 0) {
        return err_set(err, ERR_FAILED, "Name is required");
    }
    int r = config_validate_meta(a, e->head.meta, err);
    const struct service_route *route = e->routes.v;
    for (size_t i = 0; r >= 0 && i < e->routes.n; i++, route++) {
        const struct route_http_match *http = route->match != NULL ? route->match->http : NULL;
        r = http != NULL ? validate_http_match(a, http, i, err) : 0;
        bool may_rewrite = http != NULL && (http->path_exact.n > 0 || http->path_prefix.n > 0);
        if (r >= 0 && route->destination != NULL && route->destination->prefix_rewrite.n > 0 &&
            !may_rewrite) {
            r = err_set(err, ERR_FAILED,
                        "Route[%zu] cannot make use of PrefixRewrite without configuring either "
                        "PathExact or PathPrefix",
                        i);
        }
    }
    return r;
}

/* --- service-splitter ------------------------------------------------------------------------ */

#define WEIGHT_SCALE 100 /* a hundredth of a percent is the smallest weight */

/* In float32, as the reference works it out. */
static int64_t scale_weight(double weight)
{
    double scaled = round((double)((float)weight * 100.0f));
    return scaled > -1e15 && scaled < 1e15 ? (int64_t)scaled : INT32_MIN;
}

double config_normalize_weight(double weight)
{
    return (double)((float)scale_weight(weight) / 100.0f);
}

void config_normalize_splitter(struct service_splitter *e)
{
    struct service_split *split = e->splits.v;
    for (size_t i = 0; i < e->splits.n; i++, split++) {
        split->weight = config_normalize_weight(split->weight);
    }
}

static bool is_same_target(const struct service_splitter *e, const struct service_split *x,
                           const struct service_split *y)
{
    struct str x_service = x->service.n > 0 ? x->service : e->head.name;
    struct str y_service = y->service.n > 0 ? y->service : e->head.name;
    return str_eq(x_service, y_service) && str_eq(x->service_subset, y->service_subset) &&
           str_eq(x->ns, y->ns);
}

int config_validate_splitter(struct arena *a, const struct service_splitter *e, struct err *err)
{
    const struct service_split *splits = e->splits.v;
    int64_t sum = 0;
    if (e->head.name.n == 0) {
        return err_set(err, ERR_FAILED, "Name is required");
    }
    if (e->splits.n == 0) {
        return err_set(err, ERR_FAILED, "no splits configured");
    }
    int r = config_validate_meta(a, e->head.meta, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < e->splits.n; i++) {
        const struct service_split *s = &splits[i];
        for (size_t j = 0; j < i; j++) {
            if (is_same_target(e, s, &splits[j])) {
                struct str service = s->service.n > 0 ? s->service : e->head.name;
                return err_set(err, ERR_FAILED,
                               "split destination occurs more than once: service=%.*s, "
                               "subset=%.*s, namespace=%.*s",
                               STRF(go_quoted(a, service)), STRF(go_quoted(a, s->service_subset)),
                               STRF(go_quoted(a, s->ns)));
            }
        }
        sum += scale_weight(s->weight);
    }
    if (sum != 100 * WEIGHT_SCALE) {
        return err_set(err, ERR_FAILED, "the sum of all split weights must be 100, not %f",
                       (double)((float)sum / 100.0f));
    }
    return 0;
}
