#include "http/agent_json.h"

#include "schema/json.h"

/* clang-format off */
#define T struct expose_path
static const struct field api_expose_path_fields[] = {
    F_INT(T, listener_port, "ListenerPort", F_OMITEMPTY),
    F_STR(T, path, "Path", F_OMITEMPTY),
    F_INT(T, local_path_port, "LocalPathPort", F_OMITEMPTY),
    F_STR(T, protocol, "Protocol", F_OMITEMPTY),
    F_BOOL(T, parsed_from_check, "ParsedFromCheck", 0),
    FIELDS_END,
};
#undef T
static const struct schema api_expose_path_schema =
    SCHEMA("ExposePath", struct expose_path, api_expose_path_fields);

static const struct field api_expose_fields[] = {
    F_BOOL(struct expose_config, checks, "Checks", F_OMITEMPTY),
    F_OBJLIST(struct expose_config, paths, "Paths", F_OMITEMPTY, &api_expose_path_schema),
    FIELDS_END,
};
static const struct schema api_expose_schema =
    SCHEMA("ExposeConfig", struct expose_config, api_expose_fields);

#define T struct upstream
static const struct field api_upstream_fields[] = {
    F_STR(T, destination_type, "DestinationType", F_OMITEMPTY),
    F_STR(T, destination_namespace, "DestinationNamespace", F_OMITEMPTY),
    F_STR(T, destination_name, "DestinationName", 0),
    F_STR(T, datacenter, "Datacenter", F_OMITEMPTY),
    F_STR(T, local_bind_address, "LocalBindAddress", F_OMITEMPTY),
    F_INT(T, local_bind_port, "LocalBindPort", F_OMITEMPTY),
    F_STR(T, local_bind_socket_path, "LocalBindSocketPath", F_OMITEMPTY),
    F_STR(T, local_bind_socket_mode, "LocalBindSocketMode", F_OMITEMPTY),
    F_VALUE(T, config, "Config", F_OMITEMPTY | F_NO_FILTER),
    F_OBJ(T, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0, &mesh_gateway_config_schema),
    F_BOOL(T, centrally_configured, "CentrallyConfigured", F_NO_JSON | F_NO_FILTER),
    FIELDS_END,
};
#undef T
static const struct schema api_upstream_schema =
    SCHEMA("Upstream", struct upstream, api_upstream_fields);

#define T struct connect_proxy_config
static const struct field api_proxy_fields[] = {
    F_STR(T, destination_service_name, "DestinationServiceName", F_OMITEMPTY),
    F_STR(T, destination_service_id, "DestinationServiceID", F_OMITEMPTY),
    F_STR(T, local_service_address, "LocalServiceAddress", F_OMITEMPTY),
    F_INT(T, local_service_port, "LocalServicePort", F_OMITEMPTY),
    F_STR(T, local_service_socket_path, "LocalServiceSocketPath", F_OMITEMPTY),
    F_STR(T, mode, "Mode", F_OMITEMPTY),
    F_OBJ(T, transparent_proxy, struct transparent_proxy_config, "TransparentProxy",
          F_OMITEMPTY | F_NULLABLE, &transparent_proxy_config_schema),
    F_VALUE(T, config, "Config", F_OMITEMPTY | F_NO_FILTER),
    F_OBJLIST(T, upstreams, "Upstreams", F_OMITEMPTY, &api_upstream_schema),
    F_OBJ(T, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0, &mesh_gateway_config_schema),
    F_OBJ(T, expose, struct expose_config, "Expose", 0, &api_expose_schema),
    FIELDS_END,
};
#undef T
static const struct schema api_proxy_schema =
    SCHEMA("AgentServiceConnectProxyConfig", struct connect_proxy_config, api_proxy_fields);

static const struct field api_connect_fields[] = {
    F_BOOL(struct agent_service_connect, native, "Native", F_OMITEMPTY),
    F_VALUE(struct agent_service_connect, sidecar_service, "SidecarService",
            F_OMITEMPTY | F_NULLABLE | F_NO_FILTER),
    FIELDS_END,
};
static const struct schema api_connect_schema =
    SCHEMA("AgentServiceConnect", struct agent_service_connect, api_connect_fields);

static const struct field api_weights_fields[] = {
    F_INT(struct weights, passing, "Passing", 0),
    F_INT(struct weights, warning, "Warning", 0),
    FIELDS_END,
};
static const struct schema api_weights_schema =
    SCHEMA("AgentWeights", struct weights, api_weights_fields);

/* Names, and the types' names, are those of Go's API package: the content hash depends on them. */
#define T struct agent_service
static const struct field agent_service_fields[] = {
    F_STR(T, kind, "Kind", F_OMITEMPTY),
    F_STR(T, id, "ID", 0),
    F_STR(T, service, "Service", 0),
    F_STRLIST(T, tags, "Tags", F_NIL_AS_EMPTY),
    F_STRMAP(T, meta, "Meta", F_NIL_AS_EMPTY),
    F_INT(T, port, "Port", 0),
    F_STR(T, address, "Address", 0),
    F_STR(T, socket_path, "SocketPath", 0),
    F_OBJMAP(T, tagged_addresses, "TaggedAddresses", F_OMITEMPTY, &service_address_schema),
    F_OBJ(T, weights, struct weights, "Weights", 0, &api_weights_schema),
    F_BOOL(T, enable_tag_override, "EnableTagOverride", 0),
    F_UINT(T, create_index, "CreateIndex", F_OMITEMPTY | F_NO_FILTER),
    F_UINT(T, modify_index, "ModifyIndex", F_OMITEMPTY | F_NO_FILTER),
    F_STR(T, content_hash, "ContentHash", F_OMITEMPTY | F_NO_FILTER),
    F_PTR(T, proxy, struct connect_proxy_config, "Proxy", F_OMITEMPTY, &api_proxy_schema),
    F_PTR(T, connect, struct agent_service_connect, "Connect", F_OMITEMPTY, &api_connect_schema),
    F_STR(T, datacenter, "Datacenter", F_OMITEMPTY | F_NO_FILTER | F_NO_HASH),
    FIELDS_END,
};
#undef T
const struct schema agent_service_schema =
    SCHEMA("AgentService", struct agent_service, agent_service_fields);
/* clang-format on */

void agent_service_show(const struct node_service *service, struct str datacenter,
                        struct agent_service *ret_shown)
{
    struct str kind = service->kind;
    bool has_proxy = str_eq(kind, SERVICE_KIND_CONNECT_PROXY) ||
                     str_eq(kind, SERVICE_KIND_MESH_GATEWAY) ||
                     str_eq(kind, SERVICE_KIND_TERMINATING_GATEWAY) ||
                     str_eq(kind, SERVICE_KIND_INGRESS_GATEWAY);
    *ret_shown = (struct agent_service){
        .kind = kind,
        .id = service->id,
        .service = service->service,
        .tags = service->tags,
        .meta = service->meta,
        .port = service->port,
        .address = service->address,
        .socket_path = service->socket_path,
        .tagged_addresses = service->tagged_addresses,
        .weights = {1, 1},
        .enable_tag_override = service->enable_tag_override,
        .create_index = service->raft.create_index,
        .modify_index = service->raft.modify_index,
        .proxy = has_proxy ? (struct connect_proxy_config *)(uintptr_t)&service->proxy : NULL,
        .datacenter = datacenter,
    };
    if (service->weights != NULL) {
        ret_shown->weights.passing = service->weights->passing > 0 ? service->weights->passing : 1;
        ret_shown->weights.warning = service->weights->warning;
    }
    if (service->connect.native) {
        ret_shown->connect_storage.native = true;
        ret_shown->connect = &ret_shown->connect_storage;
    }
}

void agent_json_check(struct json_writer *w, const struct health_check *check)
{
    static const struct str definition = STR_INIT(
        "{\"Interval\":\"0s\",\"Timeout\":\"0s\",\"DeregisterCriticalServiceAfter\":\"0s\","
        "\"HTTP\":\"\",\"Header\":null,\"Method\":\"\",\"Body\":\"\",\"TLSServerName\":\"\","
        "\"TLSSkipVerify\":false,\"TCP\":\"\"}");
    const struct {
        struct str name, value;
    } members[] = {
        {STR_INIT("Node"), check->node},
        {STR_INIT("CheckID"), check->check_id},
        {STR_INIT("Name"), check->name},
        {STR_INIT("Status"), check->status},
        {STR_INIT("Notes"), check->notes},
        {STR_INIT("Output"), check->output},
        {STR_INIT("ServiceID"), check->service_id},
        {STR_INIT("ServiceName"), check->service_name},
    };
    json_object_begin(w);
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        json_key(w, members[i].name);
        json_str(w, members[i].value);
    }
    json_key(w, STR("ServiceTags"));
    json_strlist(w, check->service_tags);
    json_key(w, STR("Type"));
    json_str(w, STR(""));
    json_key(w, STR("Definition"));
    json_raw(w, definition);
    json_key(w, STR("CreateIndex"));
    json_u64(w, 0);
    json_key(w, STR("ModifyIndex"));
    json_u64(w, 0);
    json_object_end(w);
}
