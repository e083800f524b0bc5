/* prepared_query.h - prepared queries, the requests that write, read and run them, and what running
 * one answers (Consul's structs of the same names). */
#pragma once
#include "schema/catalog.h"

struct query_datacenter_options { /* QueryDatacenterOptions: where to look when there is nothing
                                     here */
    int64_t nearest_n;
    struct strlist datacenters;
};

struct query_dns_options { /* QueryDNSOptions */
    struct str ttl;        /* a duration, or "" */
};

struct service_query { /* ServiceQuery */
    struct str service;
    struct query_datacenter_options failover;
    bool only_passing;
    struct strlist ignore_check_ids;
    struct str near;     /* a node, "_agent" or "_ip" */
    struct strlist tags; /* "!tag" must not be there */
    struct strmap node_meta;
    struct strmap service_meta;
    bool connect;
};

#define QUERY_TEMPLATE_NAME_PREFIX_MATCH STR("name_prefix_match")

struct query_template_options { /* QueryTemplateOptions */
    struct str type;            /* "": the query is no template */
    struct str regexp;
    bool remove_empty_tags;
};

struct prepared_query {
    struct str id; /* a UUID */
    struct str name;
    struct str session;
    struct str token;
    struct query_template_options template_;
    struct service_query service;
    struct query_dns_options dns;
    struct raft_index raft;
};

#define PREPARED_QUERY_CREATE STR("create")
#define PREPARED_QUERY_UPDATE STR("update")
#define PREPARED_QUERY_DELETE STR("delete")

struct prepared_query_request { /* Raft entry type 7 */
    struct str datacenter;
    struct str op;
    struct prepared_query *query;
    struct write_request write;
};

struct prepared_query_specific_request { /* PreparedQuery.Get */
    struct str datacenter;
    struct str query_id;
    struct query_options options;
};

struct prepared_query_execute_request { /* PreparedQuery.Execute, .Explain */
    struct str datacenter;
    struct str query_id_or_name;
    int64_t limit; /* 0: none */
    bool connect;
    struct query_source source; /* whom "near" means, as the client said */
    struct query_source agent;  /* the agent that asks */
    struct query_options options;
};

struct prepared_query_execute_remote_request { /* PreparedQuery.ExecuteRemote */
    struct str datacenter;
    struct prepared_query query;
    int64_t limit;
    bool connect;
    struct query_options options;
};

struct indexed_prepared_queries { /* PreparedQuery.Get, .List */
    struct ptrlist queries;       /* struct prepared_query */
    struct query_meta meta;
};

struct prepared_query_execute_response {
    struct str service;
    struct objlist nodes; /* struct check_service_node */
    struct query_dns_options dns;
    struct str datacenter; /* where the nodes are */
    int64_t failovers;     /* how many data centers were asked beyond this one */
    struct query_meta meta;
};

struct prepared_query_explain_response {
    struct prepared_query query; /* a template is rendered */
    struct query_meta meta;
};

extern const struct schema query_datacenter_options_schema, query_dns_options_schema,
    service_query_schema, query_template_options_schema, prepared_query_schema,
    prepared_query_request_schema, prepared_query_specific_request_schema,
    prepared_query_execute_request_schema, prepared_query_execute_remote_request_schema,
    indexed_prepared_queries_schema, prepared_query_execute_response_schema,
    prepared_query_explain_response_schema;
