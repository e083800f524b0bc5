/* agent_json.h - how /v1/agent shows services, checks and members: the API package's structs, which
 * differ in places from the catalog's. */
#pragma once
#include "schema/catalog.h"

struct json_writer;

struct agent_service_connect {
    bool native;
    const struct value *sidecar_service; /* nil in what is shown, but part of the hash */
};

struct agent_service { /* api.AgentService; borrows from the node_service it shows */
    struct str kind, id, service;
    struct strlist tags;
    struct strmap meta;
    int64_t port;
    struct str address, socket_path;
    struct objmap tagged_addresses;
    struct weights weights;
    bool enable_tag_override;
    uint64_t create_index, modify_index;
    struct str content_hash;
    struct connect_proxy_config *proxy; /* NULL: neither proxy nor gateway */
    struct agent_service_connect *connect;
    struct str datacenter;
    struct agent_service_connect connect_storage;
};
extern const struct schema agent_service_schema;

void agent_service_show(const struct node_service *service, struct str datacenter,
                        struct agent_service *ret_shown);

/* A check inside the local health answers: its definition is always shown empty. */
void agent_json_check(struct json_writer *w, const struct health_check *check);
