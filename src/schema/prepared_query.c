#include "schema/prepared_query.h"

/* clang-format off */
static const struct field query_datacenter_options_fields[] = {
    F_INT(struct query_datacenter_options, nearest_n, "NearestN", 0),
    F_STRLIST(struct query_datacenter_options, datacenters, "Datacenters", 0),
    FIELDS_END,
};
const struct schema query_datacenter_options_schema =
    SCHEMA("QueryDatacenterOptions", struct query_datacenter_options, query_datacenter_options_fields);

static const struct field query_dns_options_fields[] = {
    F_STR(struct query_dns_options, ttl, "TTL", 0),
    FIELDS_END,
};
const struct schema query_dns_options_schema =
    SCHEMA("QueryDNSOptions", struct query_dns_options, query_dns_options_fields);

static const struct field service_query_fields[] = {
    F_STR(struct service_query, service, "Service", 0),
    F_OBJ(struct service_query, failover, struct query_datacenter_options, "Failover", 0,
          &query_datacenter_options_schema),
    F_BOOL(struct service_query, only_passing, "OnlyPassing", 0),
    F_STRLIST(struct service_query, ignore_check_ids, "IgnoreCheckIDs", 0),
    F_STR(struct service_query, near, "Near", 0),
    F_STRLIST(struct service_query, tags, "Tags", 0),
    F_STRMAP(struct service_query, node_meta, "NodeMeta", 0),
    F_STRMAP(struct service_query, service_meta, "ServiceMeta", 0),
    F_BOOL(struct service_query, connect, "Connect", 0),
    FIELDS_END,
};
const struct schema service_query_schema =
    SCHEMA("ServiceQuery", struct service_query, service_query_fields);

static const struct field query_template_options_fields[] = {
    F_STR(struct query_template_options, type, "Type", 0),
    F_STR(struct query_template_options, regexp, "Regexp", 0),
    F_BOOL(struct query_template_options, remove_empty_tags, "RemoveEmptyTags", 0),
    FIELDS_END,
};
const struct schema query_template_options_schema =
    SCHEMA("QueryTemplateOptions", struct query_template_options, query_template_options_fields);

static const struct field prepared_query_fields[] = {
    F_STR(struct prepared_query, id, "ID", 0),
    F_STR(struct prepared_query, name, "Name", 0),
    F_STR(struct prepared_query, session, "Session", 0),
    F_STR(struct prepared_query, token, "Token", 0),
    F_OBJ(struct prepared_query, template_, struct query_template_options, "Template", 0,
          &query_template_options_schema),
    F_OBJ(struct prepared_query, service, struct service_query, "Service", 0,
          &service_query_schema),
    F_OBJ(struct prepared_query, dns, struct query_dns_options, "DNS", 0,
          &query_dns_options_schema),
    F_SPLICE(struct prepared_query, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema prepared_query_schema =
    SCHEMA("PreparedQuery", struct prepared_query, prepared_query_fields);

static const struct field prepared_query_request_fields[] = {
    F_STR(struct prepared_query_request, datacenter, "Datacenter", 0),
    F_STR(struct prepared_query_request, op, "Op", 0),
    F_PTR(struct prepared_query_request, query, struct prepared_query, "Query", 0,
          &prepared_query_schema),
    F_SPLICE(struct prepared_query_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema prepared_query_request_schema =
    SCHEMA("PreparedQueryRequest", struct prepared_query_request, prepared_query_request_fields);

static const struct field prepared_query_specific_request_fields[] = {
    F_STR(struct prepared_query_specific_request, datacenter, "Datacenter", 0),
    F_STR(struct prepared_query_specific_request, query_id, "QueryID", 0),
    F_SPLICE(struct prepared_query_specific_request, options, struct query_options,
             &query_options_schema),
    FIELDS_END,
};
const struct schema prepared_query_specific_request_schema =
    SCHEMA("PreparedQuerySpecificRequest", struct prepared_query_specific_request,
           prepared_query_specific_request_fields);

static const struct field prepared_query_execute_request_fields[] = {
    F_STR(struct prepared_query_execute_request, datacenter, "Datacenter", 0),
    F_STR(struct prepared_query_execute_request, query_id_or_name, "QueryIDOrName", 0),
    F_INT(struct prepared_query_execute_request, limit, "Limit", 0),
    F_BOOL(struct prepared_query_execute_request, connect, "Connect", 0),
    F_OBJ(struct prepared_query_execute_request, source, struct query_source, "Source", 0,
          &query_source_schema),
    F_OBJ(struct prepared_query_execute_request, agent, struct query_source, "Agent", 0,
          &query_source_schema),
    F_SPLICE(struct prepared_query_execute_request, options, struct query_options,
             &query_options_schema),
    FIELDS_END,
};
const struct schema prepared_query_execute_request_schema =
    SCHEMA("PreparedQueryExecuteRequest", struct prepared_query_execute_request,
           prepared_query_execute_request_fields);

static const struct field prepared_query_execute_remote_request_fields[] = {
    F_STR(struct prepared_query_execute_remote_request, datacenter, "Datacenter", 0),
    F_OBJ(struct prepared_query_execute_remote_request, query, struct prepared_query, "Query", 0,
          &prepared_query_schema),
    F_INT(struct prepared_query_execute_remote_request, limit, "Limit", 0),
    F_BOOL(struct prepared_query_execute_remote_request, connect, "Connect", 0),
    F_SPLICE(struct prepared_query_execute_remote_request, options, struct query_options,
             &query_options_schema),
    FIELDS_END,
};
const struct schema prepared_query_execute_remote_request_schema =
    SCHEMA("PreparedQueryExecuteRemoteRequest", struct prepared_query_execute_remote_request,
           prepared_query_execute_remote_request_fields);

static const struct field indexed_prepared_queries_fields[] = {
    F_PTRLIST(struct indexed_prepared_queries, queries, "Queries", 0, &prepared_query_schema),
    F_SPLICE(struct indexed_prepared_queries, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_prepared_queries_schema = SCHEMA(
    "IndexedPreparedQueries", struct indexed_prepared_queries, indexed_prepared_queries_fields);

static const struct field prepared_query_execute_response_fields[] = {
    F_STR(struct prepared_query_execute_response, service, "Service", 0),
    F_OBJLIST(struct prepared_query_execute_response, nodes, "Nodes", F_NIL_AS_EMPTY,
              &check_service_node_schema),
    F_OBJ(struct prepared_query_execute_response, dns, struct query_dns_options, "DNS", 0,
          &query_dns_options_schema),
    F_STR(struct prepared_query_execute_response, datacenter, "Datacenter", 0),
    F_INT(struct prepared_query_execute_response, failovers, "Failovers", 0),
    F_SPLICE(struct prepared_query_execute_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema prepared_query_execute_response_schema =
    SCHEMA("PreparedQueryExecuteResponse", struct prepared_query_execute_response,
           prepared_query_execute_response_fields);

static const struct field prepared_query_explain_response_fields[] = {
    F_OBJ(struct prepared_query_explain_response, query, struct prepared_query, "Query", 0,
          &prepared_query_schema),
    F_SPLICE(struct prepared_query_explain_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema prepared_query_explain_response_schema =
    SCHEMA("PreparedQueryExplainResponse", struct prepared_query_explain_response,
           prepared_query_explain_response_fields);
/* clang-format on */
