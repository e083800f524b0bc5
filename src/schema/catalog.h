/* catalog.h - the structs of the catalog: nodes, services, health checks, and the requests that write
 * them (Consul's structs of the same names; field tables in catalog.c).
 *
 * A struct serves as RPC argument (decoded into an arena) and as row of the store (one heap block,
 * immutable once published). `rendered` is the store's, see store/row.h; everybody else leaves it
 * zero. */
#pragma once
#include "schema/query.h"

struct rendered; /* a row's cached JSON, store/row.h */

struct raft_index {
    uint64_t create_index;
    uint64_t modify_index;
};

struct node {
    _Atomic(struct rendered *) rendered;
    struct str id;   /* a UUID in text, or empty */
    struct str node; /* the name */
    struct str address;
    struct str datacenter;
    struct strmap tagged_addresses;
    struct strmap meta;
    struct raft_index raft;
};

struct weights {
    int64_t passing;
    int64_t warning;
};

struct service_address {
    struct str address;
    int64_t port;
};

struct mesh_gateway_config {
    struct str mode;
};

struct expose_path {
    int64_t listener_port;
    struct str path;
    int64_t local_path_port;
    struct str protocol;
    bool parsed_from_check;
};

struct expose_config {
    bool checks;
    struct objlist paths; /* struct expose_path */
};

struct transparent_proxy_config {
    int64_t outbound_listener_port;
    bool dialed_directly;
};

struct upstream {
    struct str destination_type;
    struct str destination_namespace;
    struct str destination_name;
    struct str datacenter;
    struct str local_bind_address;
    int64_t local_bind_port;
    struct str local_bind_socket_path;
    struct str local_bind_socket_mode;
    const struct value *config;
    struct mesh_gateway_config mesh_gateway;
    struct strlist ingress_hosts;
    bool centrally_configured;
};

struct connect_proxy_config {
    struct str destination_service_name;
    struct str destination_service_id;
    struct str local_service_address;
    int64_t local_service_port;
    struct str local_service_socket_path;
    struct str mode;
    const struct value *config;
    struct objlist upstreams; /* struct upstream */
    struct mesh_gateway_config mesh_gateway;
    struct expose_config expose;
    struct transparent_proxy_config transparent_proxy;
};

struct service_connect {
    bool native;
    const struct value *sidecar_service; /* a service definition; only in agent requests */
};

/* NodeService: a service instance as seen from its node. */
struct node_service {
    struct str kind; /* "", connect-proxy, mesh-gateway, terminating-gateway, ingress-gateway */
    struct str id;
    struct str service; /* the name */
    struct strlist tags;
    struct str address;
    struct objmap tagged_addresses; /* struct service_address */
    struct strmap meta;
    int64_t port;
    struct str socket_path;
    struct weights *weights; /* NULL: none given */
    bool enable_tag_override;
    struct connect_proxy_config proxy;
    struct service_connect connect;
    bool locally_registered_as_sidecar; /* the agent's own note, never sent */
    struct raft_index raft;
};

/* A row of the services table. */
struct service_row {
    _Atomic(struct rendered *) rendered;
    struct str node; /* name of the node it is on */
    struct node_service service;
};

struct health_check_definition {
    struct str http;
    struct str tls_server_name;
    bool tls_skip_verify;
    struct strlistmap header;
    struct str method;
    struct str body;
    struct str tcp;
    struct str h2ping;
    int64_t interval; /* ns, like all durations here */
    uint64_t output_max_size;
    int64_t timeout;
    int64_t deregister_critical_service_after;
    struct strlist script_args;
    struct str docker_container_id;
    struct str shell;
    struct str grpc;
    bool grpc_use_tls;
    struct str alias_node;
    struct str alias_service;
    int64_t ttl;
};

struct health_check {
    _Atomic(struct rendered *) rendered;
    struct str node;
    struct str check_id;
    struct str name;
    struct str status; /* passing, warning, critical (others are stored as they come) */
    struct str notes;
    struct str output;
    struct str service_id;
    struct str service_name;
    struct strlist service_tags;
    struct str type;
    struct str interval;
    struct str timeout;
    int64_t exposed_port;
    struct health_check_definition definition;
    struct raft_index raft;
};

#define HEALTH_ANY STR("any")
#define HEALTH_PASSING STR("passing")
#define HEALTH_WARNING STR("warning")
#define HEALTH_CRITICAL STR("critical")
#define HEALTH_MAINT STR("maintenance")
/* One that a check may have: passing, warning or critical. */
bool health_is_status(struct str status);
#define SERF_CHECK_ID STR("serfHealth")
#define SERF_CHECK_NAME STR("Serf Health Status")
#define NODE_MAINT_ID STR("_node_maintenance")
#define SERVICE_MAINT_PREFIX STR("_service_maintenance:")
#define SERVICE_KIND_CONNECT_PROXY STR("connect-proxy")
#define SERVICE_KIND_MESH_GATEWAY STR("mesh-gateway")
#define SERVICE_KIND_TERMINATING_GATEWAY STR("terminating-gateway")
#define SERVICE_KIND_INGRESS_GATEWAY STR("ingress-gateway")

struct register_request { /* Raft entry type 0 */
    struct str datacenter;
    struct str id;
    struct str node;
    struct str address;
    struct strmap tagged_addresses;
    struct strmap node_meta;
    struct node_service *service; /* NULL: none */
    struct health_check *check;   /* NULL: none */
    struct ptrlist checks;        /* struct health_check */
    bool skip_node_update;
    struct write_request write;
    struct raft_index raft;
};

struct deregister_request { /* Raft entry type 1 */
    struct str datacenter;
    struct str node;
    struct str service_id;
    struct str check_id;
    struct write_request write;
};

/* --- what reads answer: pointers to rows, valid as long as the snapshot they came from --------- */

/* ServiceNode: an instance with its node's particulars (/v1/catalog/service). */
struct service_node {
    const struct node *node;
    const struct node_service *service;
};

/* CheckServiceNode: the instance with its node and all checks that concern it (/v1/health/service). */
struct check_service_node {
    struct node *node;
    struct node_service *service;
    struct ptrlist checks; /* struct health_check */
};

struct node_services { /* /v1/catalog/node: services by id */
    struct node *node;
    struct objmap services; /* struct node_service */
};

struct node_service_list { /* /v1/catalog/node-services */
    struct node *node;
    struct ptrlist services; /* struct node_service */
};

struct indexed_nodes { /* Catalog.ListNodes */
    struct ptrlist nodes; /* struct node */
    struct query_meta meta;
};

struct indexed_services { /* Catalog.ListServices: name to the union of its instances' tags */
    struct strlistmap services;
    struct query_meta meta;
};

struct indexed_service_nodes { /* Catalog.ServiceNodes */
    struct objlist service_nodes; /* struct service_node */
    struct query_meta meta;
};

struct indexed_node_services { /* Catalog.NodeServices */
    struct node_services *node_services; /* NULL: no such node */
    struct query_meta meta;
};

struct indexed_node_service_list { /* Catalog.NodeServiceList */
    struct node_service_list node_services;
    struct query_meta meta;
};

struct indexed_health_checks { /* Health.* that answer checks */
    struct ptrlist health_checks; /* struct health_check */
    struct query_meta meta;
};

struct indexed_check_service_nodes { /* Health.ServiceNodes */
    struct objlist nodes; /* struct check_service_node */
    struct query_meta meta;
};

extern const struct schema raft_index_schema, node_schema, weights_schema, service_address_schema,
    mesh_gateway_config_schema, expose_path_schema, expose_config_schema,
    transparent_proxy_config_schema, upstream_schema, connect_proxy_config_schema,
    service_connect_schema, node_service_schema, health_check_definition_schema,
    health_check_schema, register_request_schema, deregister_request_schema, service_node_schema,
    check_service_node_schema, node_services_schema, node_service_list_schema;
extern const struct schema indexed_nodes_schema, indexed_services_schema,
    indexed_service_nodes_schema, indexed_node_services_schema, indexed_node_service_list_schema,
    indexed_health_checks_schema, indexed_check_service_nodes_schema;
/* The service_row as a whole block, for cloning: node name and service. */
extern const struct schema service_row_schema;
