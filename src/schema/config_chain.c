#include "schema/config_chain.h"

#include "schema/config_fields.h"

/* clang-format off */
/* --- service-router -------------------------------------------------------------------------- */

static const struct field http_match_header_fields[] = {
    F_STR(struct http_match_header, name, "Name", 0),
    F_BOOL(struct http_match_header, present, "Present", F_OMITEMPTY),
    F_STR(struct http_match_header, exact, "Exact", F_OMITEMPTY),
    F_STR(struct http_match_header, prefix, "Prefix", F_OMITEMPTY),
    F_STR(struct http_match_header, suffix, "Suffix", F_OMITEMPTY),
    F_STR(struct http_match_header, regex, "Regex", F_OMITEMPTY),
    F_BOOL(struct http_match_header, invert, "Invert", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema http_match_header_schema =
    SCHEMA("ServiceRouteHTTPMatchHeader", struct http_match_header, http_match_header_fields);

static const struct field http_match_query_param_fields[] = {
    F_STR(struct http_match_query_param, name, "Name", 0),
    F_BOOL(struct http_match_query_param, present, "Present", F_OMITEMPTY),
    F_STR(struct http_match_query_param, exact, "Exact", F_OMITEMPTY),
    F_STR(struct http_match_query_param, regex, "Regex", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema http_match_query_param_schema =
    SCHEMA("ServiceRouteHTTPMatchQueryParam", struct http_match_query_param,
           http_match_query_param_fields);

static const struct field route_http_match_fields[] = {
    F_STR(struct route_http_match, path_exact, "PathExact", F_OMITEMPTY),
    F_STR(struct route_http_match, path_prefix, "PathPrefix", F_OMITEMPTY),
    F_STR(struct route_http_match, path_regex, "PathRegex", F_OMITEMPTY),
    F_OBJLIST(struct route_http_match, header, "Header", F_OMITEMPTY, &http_match_header_schema),
    F_OBJLIST(struct route_http_match, query_param, "QueryParam", F_OMITEMPTY,
              &http_match_query_param_schema),
    F_STRLIST(struct route_http_match, methods, "Methods", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema route_http_match_schema =
    SCHEMA("ServiceRouteHTTPMatch", struct route_http_match, route_http_match_fields);

static const struct field route_match_fields[] = {
    F_PTR(struct route_match, http, struct route_http_match, "HTTP", F_OMITEMPTY,
          &route_http_match_schema),
    FIELDS_END,
};
const struct schema route_match_schema =
    SCHEMA("ServiceRouteMatch", struct route_match, route_match_fields);

/* JSON says the time-out first, as text. */
static const struct field route_destination_fields[] = {
    F_DURATION(struct route_destination, request_timeout, "RequestTimeout",
               F_OMITEMPTY | F_DUR_TEXT),
    F_STR(struct route_destination, service, "Service", F_OMITEMPTY),
    F_STR(struct route_destination, service_subset, "ServiceSubset", F_OMITEMPTY),
    F_STR(struct route_destination, ns, "Namespace", F_OMITEMPTY),
    F_STR(struct route_destination, prefix_rewrite, "PrefixRewrite", F_OMITEMPTY),
    F_UINT(struct route_destination, num_retries, "NumRetries", F_OMITEMPTY),
    F_BOOL(struct route_destination, retry_on_connect_failure, "RetryOnConnectFailure",
           F_OMITEMPTY),
    F_INTLIST(struct route_destination, retry_on_status_codes, "RetryOnStatusCodes", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema route_destination_schema =
    SCHEMA("ServiceRouteDestination", struct route_destination, route_destination_fields);

static const struct field service_route_fields[] = {
    F_PTR(struct service_route, match, struct route_match, "Match", F_OMITEMPTY,
          &route_match_schema),
    F_PTR(struct service_route, destination, struct route_destination, "Destination", F_OMITEMPTY,
          &route_destination_schema),
    FIELDS_END,
};
const struct schema service_route_schema =
    SCHEMA("ServiceRoute", struct service_route, service_route_fields);

static const struct field service_router_fields[] = {
    F_CONFIG_HEAD(struct service_router),
    F_OBJLIST(struct service_router, routes, "Routes", 0, &service_route_schema),
    F_CONFIG_TAIL(struct service_router),
};
const struct schema service_router_schema =
    SCHEMA("ServiceRouterConfigEntry", struct service_router, service_router_fields);

/* --- service-splitter ------------------------------------------------------------------------ */

static const struct field service_split_fields[] = {
    F_FLOAT(struct service_split, weight, "Weight", F_FLOAT32),
    F_STR(struct service_split, service, "Service", F_OMITEMPTY),
    F_STR(struct service_split, service_subset, "ServiceSubset", F_OMITEMPTY),
    F_STR(struct service_split, ns, "Namespace", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema service_split_schema =
    SCHEMA("ServiceSplit", struct service_split, service_split_fields);

static const struct field service_splitter_fields[] = {
    F_CONFIG_HEAD(struct service_splitter),
    F_OBJLIST(struct service_splitter, splits, "Splits", 0, &service_split_schema),
    F_CONFIG_TAIL(struct service_splitter),
};
const struct schema service_splitter_schema =
    SCHEMA("ServiceSplitterConfigEntry", struct service_splitter, service_splitter_fields);

/* --- service-resolver ------------------------------------------------------------------------ */

static const struct field resolver_subset_fields[] = {
    F_STR(struct resolver_subset, filter, "Filter", F_OMITEMPTY),
    F_BOOL(struct resolver_subset, only_passing, "OnlyPassing", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema resolver_subset_schema =
    SCHEMA("ServiceResolverSubset", struct resolver_subset, resolver_subset_fields);

static const struct field resolver_redirect_fields[] = {
    F_STR(struct resolver_redirect, service, "Service", F_OMITEMPTY),
    F_STR(struct resolver_redirect, service_subset, "ServiceSubset", F_OMITEMPTY),
    F_STR(struct resolver_redirect, ns, "Namespace", F_OMITEMPTY),
    F_STR(struct resolver_redirect, datacenter, "Datacenter", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema resolver_redirect_schema =
    SCHEMA("ServiceResolverRedirect", struct resolver_redirect, resolver_redirect_fields);

static const struct field resolver_failover_fields[] = {
    F_STR(struct resolver_failover, service, "Service", F_OMITEMPTY),
    F_STR(struct resolver_failover, service_subset, "ServiceSubset", F_OMITEMPTY),
    F_STR(struct resolver_failover, ns, "Namespace", F_OMITEMPTY),
    F_STRLIST(struct resolver_failover, datacenters, "Datacenters", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema resolver_failover_schema =
    SCHEMA("ServiceResolverFailover", struct resolver_failover, resolver_failover_fields);

static const struct field ring_hash_config_fields[] = {
    F_UINT(struct ring_hash_config, minimum_ring_size, "MinimumRingSize", F_OMITEMPTY),
    F_UINT(struct ring_hash_config, maximum_ring_size, "MaximumRingSize", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema ring_hash_config_schema =
    SCHEMA("RingHashConfig", struct ring_hash_config, ring_hash_config_fields);

static const struct field least_request_config_fields[] = {
    F_UINT(struct least_request_config, choice_count, "ChoiceCount", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema least_request_config_schema =
    SCHEMA("LeastRequestConfig", struct least_request_config, least_request_config_fields);

static const struct field cookie_config_fields[] = {
    F_BOOL(struct cookie_config, session, "Session", F_OMITEMPTY),
    F_DURATION(struct cookie_config, ttl, "TTL", F_OMITEMPTY),
    F_STR(struct cookie_config, path, "Path", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema cookie_config_schema =
    SCHEMA("CookieConfig", struct cookie_config, cookie_config_fields);

static const struct field hash_policy_fields[] = {
    F_STR(struct hash_policy, field, "Field", F_OMITEMPTY),
    F_STR(struct hash_policy, field_value, "FieldValue", F_OMITEMPTY),
    F_PTR(struct hash_policy, cookie_config, struct cookie_config, "CookieConfig", F_OMITEMPTY,
          &cookie_config_schema),
    F_BOOL(struct hash_policy, source_ip, "SourceIP", F_OMITEMPTY),
    F_BOOL(struct hash_policy, terminal, "Terminal", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema hash_policy_schema =
    SCHEMA("HashPolicy", struct hash_policy, hash_policy_fields);

static const struct field load_balancer_fields[] = {
    F_STR(struct load_balancer, policy, "Policy", F_OMITEMPTY),
    F_PTR(struct load_balancer, ring_hash_config, struct ring_hash_config, "RingHashConfig",
          F_OMITEMPTY, &ring_hash_config_schema),
    F_PTR(struct load_balancer, least_request_config, struct least_request_config,
          "LeastRequestConfig", F_OMITEMPTY, &least_request_config_schema),
    F_OBJLIST(struct load_balancer, hash_policies, "HashPolicies", F_OMITEMPTY,
              &hash_policy_schema),
    FIELDS_END,
};
const struct schema load_balancer_schema =
    SCHEMA("LoadBalancer", struct load_balancer, load_balancer_fields);

/* JSON says the time-out first, as text. */
static const struct field service_resolver_fields[] = {
    F_DURATION(struct service_resolver, connect_timeout, "ConnectTimeout",
               F_OMITEMPTY | F_DUR_TEXT),
    F_CONFIG_HEAD(struct service_resolver),
    F_STR(struct service_resolver, default_subset, "DefaultSubset", F_OMITEMPTY),
    F_OBJMAP(struct service_resolver, subsets, "Subsets", F_OMITEMPTY, &resolver_subset_schema),
    F_PTR(struct service_resolver, redirect, struct resolver_redirect, "Redirect", F_OMITEMPTY,
          &resolver_redirect_schema),
    F_OBJMAP(struct service_resolver, failover, "Failover", F_OMITEMPTY,
             &resolver_failover_schema),
    F_PTR(struct service_resolver, load_balancer, struct load_balancer, "LoadBalancer",
          F_OMITEMPTY, &load_balancer_schema),
    F_CONFIG_TAIL(struct service_resolver),
};
const struct schema service_resolver_schema =
    SCHEMA("ServiceResolverConfigEntry", struct service_resolver, service_resolver_fields);
/* clang-format on */
