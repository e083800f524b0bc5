/* query.h - what every request and every answer of a read carries: Consul's QueryOptions,
 * WriteRequest, QuerySource and QueryMeta, and the requests that need little else. */
#pragma once
#include "schema/field.h"

struct query_options {
    struct str token;
    uint64_t min_query_index;
    int64_t max_query_time; /* ns */
    bool allow_stale;
    bool require_consistent;
    bool use_cache;
    int64_t max_stale_duration; /* ns */
    int64_t max_age;            /* ns */
    bool must_revalidate;
    int64_t stale_if_error; /* ns */
    struct str filter;
    bool allow_not_modified_response;
};

struct write_request {
    struct str token;
};

/* Whom "near" means; ip is EDNS client subnet's. */
struct query_source {
    struct str datacenter;
    struct str segment;
    struct str node;
    struct str ip;
};

struct query_meta {
    uint64_t index;
    int64_t last_contact; /* ns */
    bool known_leader;
    struct str consistency_level;
    bool not_modified;
    uint64_t backend; /* 0 blocking-query, 1 streaming */
};

struct dc_request { /* DCSpecificRequest */
    struct str datacenter;
    struct strmap node_meta_filters;
    struct query_source source;
    struct query_options options;
};

struct node_request { /* NodeSpecificRequest */
    struct str datacenter;
    struct str node;
    struct query_options options;
};

struct service_request { /* ServiceSpecificRequest */
    struct str datacenter;
    struct strmap node_meta_filters;
    struct str service_name;
    struct str service_kind;
    struct str service_tag;
    struct strlist service_tags;
    struct str service_address;
    bool tag_filter;
    struct query_source source;
    bool connect;
    bool ingress;
    struct query_options options;
};

struct checks_in_state_request {
    struct str datacenter;
    struct strmap node_meta_filters;
    struct str state;
    struct query_source source;
    struct query_options options;
};

/* The tags of a service to look for: agents before 1.3 send a single one in a field of its own.
 * Points into the request. */
struct strlist service_request_tags(const struct service_request *r);

extern const struct schema query_options_schema, write_request_schema, query_source_schema,
    query_meta_schema, dc_request_schema, node_request_schema, service_request_schema,
    checks_in_state_request_schema;
