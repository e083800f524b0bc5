#include "schema/query.h"

static const struct field query_options_fields[] = {
    F_STR(struct query_options, token, "Token", 0),
    F_UINT(struct query_options, min_query_index, "MinQueryIndex", 0),
    F_DURATION(struct query_options, max_query_time, "MaxQueryTime", 0),
    F_BOOL(struct query_options, allow_stale, "AllowStale", 0),
    F_BOOL(struct query_options, require_consistent, "RequireConsistent", 0),
    F_BOOL(struct query_options, use_cache, "UseCache", 0),
    F_DURATION(struct query_options, max_stale_duration, "MaxStaleDuration", 0),
    F_DURATION(struct query_options, max_age, "MaxAge", 0),
    F_BOOL(struct query_options, must_revalidate, "MustRevalidate", 0),
    F_DURATION(struct query_options, stale_if_error, "StaleIfError", 0),
    F_STR(struct query_options, filter, "Filter", 0),
    F_BOOL(struct query_options, allow_not_modified_response, "AllowNotModifiedResponse", 0),
    FIELDS_END,
};
const struct schema query_options_schema =
    SCHEMA("QueryOptions", struct query_options, query_options_fields);

static const struct field write_request_fields[] = {
    F_STR(struct write_request, token, "Token", 0),
    FIELDS_END,
};
const struct schema write_request_schema =
    SCHEMA("WriteRequest", struct write_request, write_request_fields);

static const struct field query_source_fields[] = {
    F_STR(struct query_source, datacenter, "Datacenter", 0),
    F_STR(struct query_source, segment, "Segment", 0),
    F_STR(struct query_source, node, "Node", 0),
    F_STR(struct query_source, ip, "Ip", 0),
    FIELDS_END,
};
const struct schema query_source_schema =
    SCHEMA("QuerySource", struct query_source, query_source_fields);

static const struct field query_meta_fields[] = {
    F_UINT(struct query_meta, index, "Index", 0),
    F_DURATION(struct query_meta, last_contact, "LastContact", 0),
    F_BOOL(struct query_meta, known_leader, "KnownLeader", 0),
    F_STR(struct query_meta, consistency_level, "ConsistencyLevel", 0),
    F_BOOL(struct query_meta, not_modified, "NotModified", 0),
    F_UINT(struct query_meta, backend, "Backend", 0),
    FIELDS_END,
};
const struct schema query_meta_schema = SCHEMA("QueryMeta", struct query_meta, query_meta_fields);

static const struct field dc_request_fields[] = {
    F_STR(struct dc_request, datacenter, "Datacenter", 0),
    F_STRMAP(struct dc_request, node_meta_filters, "NodeMetaFilters", 0),
    F_OBJ(struct dc_request, source, struct query_source, "Source", 0, &query_source_schema),
    F_SPLICE(struct dc_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema dc_request_schema =
    SCHEMA("DCSpecificRequest", struct dc_request, dc_request_fields);

static const struct field node_request_fields[] = {
    F_STR(struct node_request, datacenter, "Datacenter", 0),
    F_STR(struct node_request, node, "Node", 0),
    F_SPLICE(struct node_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema node_request_schema =
    SCHEMA("NodeSpecificRequest", struct node_request, node_request_fields);

static const struct field service_request_fields[] = {
    F_STR(struct service_request, datacenter, "Datacenter", 0),
    F_STRMAP(struct service_request, node_meta_filters, "NodeMetaFilters", 0),
    F_STR(struct service_request, service_name, "ServiceName", 0),
    F_STR(struct service_request, service_kind, "ServiceKind", 0),
    F_STR(struct service_request, service_tag, "ServiceTag", 0),
    F_STRLIST(struct service_request, service_tags, "ServiceTags", 0),
    F_STR(struct service_request, service_address, "ServiceAddress", 0),
    F_BOOL(struct service_request, tag_filter, "TagFilter", 0),
    F_OBJ(struct service_request, source, struct query_source, "Source", 0, &query_source_schema),
    F_BOOL(struct service_request, connect, "Connect", 0),
    F_BOOL(struct service_request, ingress, "Ingress", 0),
    F_SPLICE(struct service_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema service_request_schema =
    SCHEMA("ServiceSpecificRequest", struct service_request, service_request_fields);

static const struct field checks_in_state_request_fields[] = {
    F_STR(struct checks_in_state_request, datacenter, "Datacenter", 0),
    F_STRMAP(struct checks_in_state_request, node_meta_filters, "NodeMetaFilters", 0),
    F_STR(struct checks_in_state_request, state, "State", 0),
    F_OBJ(struct checks_in_state_request, source, struct query_source, "Source", 0,
          &query_source_schema),
    F_SPLICE(struct checks_in_state_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema checks_in_state_request_schema =
    SCHEMA("ChecksInStateRequest", struct checks_in_state_request, checks_in_state_request_fields);

struct strlist service_request_tags(const struct service_request *r)
{
    return r->service_tag.n > 0 ? (struct strlist){&r->service_tag, 1} : r->service_tags;
}
