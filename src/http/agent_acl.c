#include "http/agent_acl.h"

#include "agent/local.h"
#include "agent/state.h"
#include "base/gofmt.h"

static bool may_write_service(struct http_req *req, struct str service, struct str told)
{
    if (http_may(req, ACL_SERVICE_WRITE, service)) {
        return true;
    }
    http_deny(req, "service:write", told);
    return false;
}

static bool may_write_node(struct http_req *req)
{
    struct str name = http_node_name(req);
    if (http_may(req, ACL_NODE_WRITE, name)) {
        return true;
    }
    http_deny(req, "node:write", name);
    return false;
}

/* What a check is of: a service, or the node. */
static bool may_write_owner(struct http_req *req, struct str service)
{
    return service.n > 0 ? may_write_service(req, service, service) : may_write_node(req);
}

/* The name of the service of that id, in the request's arena; false: there is none. */
static bool find_service(struct http_req *req, struct str id, struct str *ret_name)
{
    const struct local_root *root = agent_read_begin(req->agent, req->worker);
    const struct node_service *service = local_root_service(root, id);
    if (service != NULL) {
        *ret_name = arena_str(req->arena, service->service);
    }
    agent_read_end(req->agent, req->worker);
    return service != NULL;
}

/* The name of the service that a check is of; "": of the node. */
static bool find_check(struct http_req *req, struct str id, struct str *ret_service)
{
    const struct local_root *root = agent_read_begin(req->agent, req->worker);
    const struct health_check *check = tree_get(&root->checks, id);
    if (check != NULL) {
        *ret_service = arena_str(req->arena, check->service_name);
    }
    agent_read_end(req->agent, req->worker);
    return check != NULL;
}

bool agent_may_register_service(struct http_req *req, const struct node_service *service)
{
    struct str old;
    if (req->who == NULL) {
        return true;
    }
    if (!may_write_service(req, service->service, service->service)) {
        return false;
    }
    struct str id = service->id.n > 0 ? service->id : service->service;
    if (find_service(req, id, &old) && !may_write_service(req, old, service->service)) {
        return false;
    }
    /* It is found where the service is asked for that it is a proxy of. */
    struct str destination = service->proxy.destination_service_name;
    return !str_eq(service->kind, SERVICE_KIND_CONNECT_PROXY) ||
           may_write_service(req, destination, destination);
}

bool agent_may_change_service(struct http_req *req, struct str id)
{
    struct str name;
    if (req->who == NULL) {
        return true;
    }
    if (find_service(req, id, &name)) {
        return may_write_service(req, name, name);
    }
    http_error(req, 500, "Unknown service %.*s", STRF(go_quoted(req->arena, id)));
    return false;
}

bool agent_may_register_check(struct http_req *req, const struct health_check *check)
{
    struct str service = check->service_name;
    if (req->who == NULL) {
        return true;
    }
    if (check->service_id.n > 0) {
        (void)find_service(req, check->service_id, &service);
    }
    if (!may_write_owner(req, service)) {
        return false;
    }
    return !find_check(req, check->check_id, &service) || may_write_owner(req, service);
}

bool agent_may_change_check(struct http_req *req, struct str id)
{
    struct str service;
    if (req->who == NULL) {
        return true;
    }
    if (find_check(req, id, &service)) {
        return may_write_owner(req, service);
    }
    http_error(req, 500, "Unknown check %.*s", STRF(go_quoted(req->arena, id)));
    return false;
}

bool agent_may_see_check(const struct http_req *req, const struct health_check *check,
                         struct str node_name)
{
    return check->service_name.n > 0 ? http_may(req, ACL_SERVICE_READ, check->service_name)
                                     : http_may(req, ACL_NODE_READ, node_name);
}
