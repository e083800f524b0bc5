#include "schema/dump.h"

/* clang-format off */
static const struct field service_name_fields[] = {
    F_STR(struct service_name, name, "Name", 0),
    FIELDS_END,
};
const struct schema service_name_schema =
    SCHEMA("ServiceName", struct service_name, service_name_fields);

static const struct field indexed_service_list_fields[] = {
    F_OBJLIST(struct indexed_service_list, services, "Services", 0, &service_name_schema),
    F_SPLICE(struct indexed_service_list, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_service_list_schema =
    SCHEMA("IndexedServiceList", struct indexed_service_list, indexed_service_list_fields);

static const struct field node_info_node_fields[] = {
    F_STR(struct node, id, "ID", 0),
    F_STR(struct node, node, "Node", 0),
    F_STR(struct node, address, "Address", 0),
    F_STRMAP(struct node, tagged_addresses, "TaggedAddresses", 0),
    F_STRMAP(struct node, meta, "Meta", 0),
    FIELDS_END,
};
static const struct schema node_info_node_schema =
    SCHEMA("NodeInfo", struct node, node_info_node_fields);

static const struct field node_info_fields[] = {
    F_SPLICE_PTR(struct node_info, node, const struct node, &node_info_node_schema),
    F_PTRLIST(struct node_info, services, "Services", 0, &node_service_schema),
    F_PTRLIST(struct node_info, checks, "Checks", 0, &health_check_schema),
    FIELDS_END,
};
const struct schema node_info_schema = SCHEMA("NodeInfo", struct node_info, node_info_fields);

static const struct field indexed_node_dump_fields[] = {
    F_OBJLIST(struct indexed_node_dump, dump, "Dump", 0, &node_info_schema),
    F_SPLICE(struct indexed_node_dump, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_node_dump_schema =
    SCHEMA("IndexedNodeDump", struct indexed_node_dump, indexed_node_dump_fields);

static const struct field datacenters_request_fields[] = {
    F_SPLICE(struct datacenters_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema datacenters_request_schema =
    SCHEMA("DatacentersRequest", struct datacenters_request, datacenters_request_fields);

static const struct field service_dump_request_fields[] = {
    F_STR(struct service_dump_request, datacenter, "Datacenter", 0),
    F_STR(struct service_dump_request, service_kind, "ServiceKind", 0),
    F_BOOL(struct service_dump_request, use_service_kind, "UseServiceKind", 0),
    F_OBJ(struct service_dump_request, source, struct query_source, "Source", 0,
          &query_source_schema),
    F_SPLICE(struct service_dump_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema service_dump_request_schema =
    SCHEMA("ServiceDumpRequest", struct service_dump_request, service_dump_request_fields);

static const struct field datacenter_maps_reply_fields[] = {
    F_OBJLIST(struct datacenter_maps_reply, maps, "", 0, &datacenter_map_schema),
    FIELDS_END,
};
const struct schema datacenter_maps_reply_schema =
    SCHEMA("DatacenterMaps", struct datacenter_maps_reply, datacenter_maps_reply_fields);

static const struct field empty_request_fields[] = {FIELDS_END};
const struct schema empty_request_schema =
    SCHEMA("Empty", struct empty_request, empty_request_fields);
/* clang-format on */
