/* /v1/txn: a list of operations in the API's own form, which differs from the log's: values are
 * base64, indexes are plain fields. Those that only read go to Txn.Read, which knows ?stale. */
#include "schema/txn.h"

#include "base/vec.h"
#include "http/http.h"
#include "server/delegate.h"
#include "server/rpc.h"
#include "server/worker.h"

/* --- the form of the API
 * -------------------------------------------------------------------------- */

struct api_kv_op {
    struct str verb, key, value;
    uint64_t flags, index;
    struct str session, namespace_;
};

struct api_service {
    struct node_service service;
    struct weights weights;
    struct str content_hash, namespace_, datacenter;
};

struct api_check_definition {
    struct health_check_definition definition;
    /* Old clients send the same under these names. */
    int64_t interval, timeout, deregister_critical_service_after;
};

struct api_check {
    struct health_check check;
    struct api_check_definition definition;
    struct str namespace_;
};

struct api_node_op {
    struct str verb;
    struct node node;
};

struct api_service_op {
    struct str verb, node;
    struct api_service service;
};

struct api_check_op {
    struct str verb;
    struct api_check check;
};

struct api_op {
    struct api_kv_op *kv;
    struct api_node_op *node;
    struct api_service_op *service;
    struct api_check_op *check;
};

/* clang-format off */
static const struct field api_kv_op_fields[] = {
    F_STR(struct api_kv_op, verb, "Verb", 0),
    F_STR(struct api_kv_op, key, "Key", 0),
    F_BYTES(struct api_kv_op, value, "Value", 0),
    F_UINT(struct api_kv_op, flags, "Flags", 0),
    F_UINT(struct api_kv_op, index, "Index", 0),
    F_STR(struct api_kv_op, session, "Session", 0),
    F_STR(struct api_kv_op, namespace_, "Namespace", 0),
    FIELDS_END,
};
static const struct schema api_kv_op_schema =
    SCHEMA("KVTxnOp", struct api_kv_op, api_kv_op_fields);

static const struct field api_node_op_fields[] = {
    F_STR(struct api_node_op, verb, "Verb", 0),
    F_OBJ(struct api_node_op, node, struct node, "Node", 0, &node_schema),
    FIELDS_END,
};
static const struct schema api_node_op_schema =
    SCHEMA("NodeTxnOp", struct api_node_op, api_node_op_fields);

static const struct field api_service_fields[] = {
    F_OBJ(struct api_service, weights, struct weights, "Weights", 0, &weights_schema),
    F_STR(struct api_service, content_hash, "ContentHash", 0),
    F_STR(struct api_service, namespace_, "Namespace", 0),
    F_STR(struct api_service, datacenter, "Datacenter", 0),
    F_SPLICE(struct api_service, service, struct node_service, &node_service_schema),
    FIELDS_END,
};
static const struct schema api_service_schema =
    SCHEMA("AgentService", struct api_service, api_service_fields);

static const struct field api_service_op_fields[] = {
    F_STR(struct api_service_op, verb, "Verb", 0),
    F_STR(struct api_service_op, node, "Node", 0),
    F_OBJ(struct api_service_op, service, struct api_service, "Service", 0, &api_service_schema),
    FIELDS_END,
};
static const struct schema api_service_op_schema =
    SCHEMA("ServiceTxnOp", struct api_service_op, api_service_op_fields);

static const struct field api_check_definition_fields[] = {
    F_DURATION(struct api_check_definition, interval, "IntervalDuration", 0),
    F_DURATION(struct api_check_definition, timeout, "TimeoutDuration", 0),
    F_DURATION(struct api_check_definition, deregister_critical_service_after,
               "DeregisterCriticalServiceAfterDuration", 0),
    F_SPLICE(struct api_check_definition, definition, struct health_check_definition,
             &health_check_definition_schema),
    FIELDS_END,
};
static const struct schema api_check_definition_schema =
    SCHEMA("HealthCheckDefinition", struct api_check_definition, api_check_definition_fields);

static const struct field api_check_fields[] = {
    F_OBJ(struct api_check, definition, struct api_check_definition, "Definition", F_LENIENT,
          &api_check_definition_schema),
    F_STR(struct api_check, namespace_, "Namespace", 0),
    F_SPLICE(struct api_check, check, struct health_check, &health_check_schema),
    FIELDS_END,
};
static const struct schema api_check_schema =
    SCHEMA("HealthCheck", struct api_check, api_check_fields);

static const struct field api_check_op_fields[] = {
    F_STR(struct api_check_op, verb, "Verb", 0),
    F_OBJ(struct api_check_op, check, struct api_check, "Check", 0, &api_check_schema),
    FIELDS_END,
};
static const struct schema api_check_op_schema =
    SCHEMA("CheckTxnOp", struct api_check_op, api_check_op_fields);

static const struct field api_op_fields[] = {
    F_PTR(struct api_op, kv, struct api_kv_op, "KV", 0, &api_kv_op_schema),
    F_PTR(struct api_op, node, struct api_node_op, "Node", 0, &api_node_op_schema),
    F_PTR(struct api_op, service, struct api_service_op, "Service", 0, &api_service_op_schema),
    F_PTR(struct api_op, check, struct api_check_op, "Check", 0, &api_check_op_schema),
    FIELDS_END,
};
static const struct schema api_op_schema = SCHEMA("TxnOp", struct api_op, api_op_fields);
/* clang-format on */

/* --- into the form of the log
 * ----------------------------------------------------------------------- */

static struct txn_op convert_kv(struct arena *a, const struct api_kv_op *in)
{
    struct txn_kv_op *out = ARENA_NEW(a, struct txn_kv_op);
    out->verb = in->verb;
    out->dir_ent = (struct dir_entry){
        .key = in->key,
        .value = in->value,
        .flags = in->flags,
        .session = in->session,
        .raft.modify_index = in->index,
    };
    return (struct txn_op){.kv = out};
}

static struct txn_op convert_node(struct arena *a, struct str datacenter,
                                  const struct api_node_op *in)
{
    struct txn_node_op *out = ARENA_NEW(a, struct txn_node_op);
    out->verb = in->verb;
    memcpy(&out->node, &in->node, sizeof(out->node));
    out->node.raft.create_index = 0;
    if (out->node.datacenter.n == 0) {
        out->node.datacenter = datacenter;
    }
    return (struct txn_op){.node = out};
}

/* Only these fields of a service take part. */
static struct txn_op convert_service(struct arena *a, const struct api_service_op *in)
{
    const struct node_service *service = &in->service.service;
    struct txn_service_op *out = ARENA_NEW(a, struct txn_service_op);
    struct weights *weights = ARENA_NEW(a, struct weights);
    *weights = in->service.weights;
    out->verb = in->verb;
    out->node = in->node;
    out->service = (struct node_service){
        .id = service->id,
        .service = service->service,
        .tags = service->tags,
        .address = service->address,
        .meta = service->meta,
        .port = service->port,
        .weights = weights,
        .enable_tag_override = service->enable_tag_override,
        .raft.modify_index = service->raft.modify_index,
    };
    return (struct txn_op){.service = out};
}

static struct txn_op convert_check(struct arena *a, const struct api_check_op *in)
{
    const struct health_check *check = &in->check.check;
    const struct api_check_definition *d = &in->check.definition;
    struct txn_check_op *out = ARENA_NEW(a, struct txn_check_op);
    out->verb = in->verb;
    out->check.node = check->node;
    out->check.check_id = check->check_id;
    out->check.name = check->name;
    out->check.status = check->status;
    out->check.notes = check->notes;
    out->check.output = check->output;
    out->check.service_id = check->service_id;
    out->check.service_name = check->service_name;
    out->check.service_tags = check->service_tags;
    out->check.raft.modify_index = check->raft.modify_index;
    out->check.definition = (struct health_check_definition){
        .http = d->definition.http,
        .tls_server_name = d->definition.tls_server_name,
        .tls_skip_verify = d->definition.tls_skip_verify,
        .header = d->definition.header,
        .method = d->definition.method,
        .body = d->definition.body,
        .tcp = d->definition.tcp,
        .interval = d->definition.interval != 0 ? d->definition.interval : d->interval,
        .timeout = d->definition.timeout != 0 ? d->definition.timeout : d->timeout,
        .deregister_critical_service_after = d->definition.deregister_critical_service_after != 0
                                                 ? d->definition.deregister_critical_service_after
                                                 : d->deregister_critical_service_after,
    };
    return (struct txn_op){.check = out};
}

static bool kv_verb_writes(struct str verb)
{
    return str_eq(verb, KV_SET) || str_eq(verb, KV_DELETE) || str_eq(verb, KV_DELETE_CAS) ||
           str_eq(verb, KV_DELETE_TREE) || str_eq(verb, KV_CAS) || str_eq(verb, KV_LOCK) ||
           str_eq(verb, KV_UNLOCK);
}

/* False, and answered, when an operation is refused. */
static bool convert_ops(struct http_req *req, const struct value *list, struct objlist *ret_ops,
                        bool *ret_writes)
{
    struct txn_op *ops = ARENA_ARRAY(req->arena, struct txn_op, list->list.n + 1);
    size_t n = 0;
    *ret_writes = false;
    for (size_t i = 0; i < list->list.n; i++) {
        struct err err = {0};
        struct api_op op = {0};
        if (schema_decode(&api_op_schema, &list->list.v[i], &op, req->arena, DECODE_STRICT, &err) <
            0) {
            http_error(req, 400, "Failed to parse body: %s", err_text(&err));
            return false;
        }
        bool writes;
        if (op.kv != NULL) {
            uint64_t size_max = req->worker->delegate->kv_max_value_size;
            if (op.kv->value.n > size_max) {
                http_error(req, 413, "Value for key \"%.*s\" is too large (%zu > %llu bytes)",
                           STRF(op.kv->key), op.kv->value.n, (unsigned long long)size_max);
                return false;
            }
            writes = kv_verb_writes(op.kv->verb);
            ops[n++] = convert_kv(req->arena, op.kv);
        } else if (op.node != NULL) {
            writes = !str_eq_lit(op.node->verb, "get");
            ops[n++] = convert_node(req->arena, req->worker->delegate->datacenter, op.node);
        } else if (op.service != NULL) {
            writes = !str_eq_lit(op.service->verb, "get");
            ops[n++] = convert_service(req->arena, op.service);
        } else if (op.check != NULL) {
            writes = !str_eq_lit(op.check->verb, "get");
            ops[n++] = convert_check(req->arena, op.check);
        } else {
            continue; /* an operation of no kind is none */
        }
        *ret_writes |= writes;
    }
    *ret_ops = (struct objlist){ops, n};
    return true;
}

static bool parse_body(struct http_req *req, struct value **ret_list)
{
    static struct value nothing = {.kind = VALUE_LIST};
    struct err err = {0};
    struct str rest = req->body;
    if (json_parse_next(req->arena, &rest, ret_list, &err) < 0) {
        http_error(req, 400, "Failed to parse body: %s", err_text(&err));
        return false;
    }
    if ((*ret_list)->kind == VALUE_NULL) {
        *ret_list = &nothing;
    }
    if ((*ret_list)->kind != VALUE_LIST) {
        http_error(req, 400,
                   "Failed to parse body: json: cannot unmarshal %s into Go value of type "
                   "api.TxnOps",
                   value_kind_text((*ret_list)->kind));
        return false;
    }
    if ((*ret_list)->list.n > TXN_OPS_MAX) {
        http_error(req, 413, "Transaction contains too many operations (%zu > %u)",
                   (*ret_list)->list.n, TXN_OPS_MAX);
        return false;
    }
    return true;
}

/* --- the requests
 * ------------------------------------------------------------------------------------- */

static void txn_reply(struct http_req *req, struct rpc_call *call)
{
    /* Both replies begin with the same part. */
    const struct txn_response *answer = call->reply;
    struct json_writer w = http_json_begin(req);
    json_object(&w, call->method->reply, call->reply);
    http_finish(req, answer->errors.n > 0 ? 409 : 200);
}

static void txn_read_reply(struct http_req *req, struct rpc_call *call)
{
    const struct txn_read_response *reply = call->reply;
    struct str ms =
        arena_printf(req->arena, "%lld", (long long)(reply->meta.last_contact / 1000000));
    /* No index: a transaction does not block. */
    http_set_header(req, STR("X-Consul-Lastcontact"), ms);
    http_set_header(req, STR("X-Consul-Knownleader"),
                    reply->meta.known_leader ? STR("true") : STR("false"));
    txn_reply(req, call);
}

static void txn_handle(struct http_req *req)
{
    const struct delegate *d = req->worker->delegate;
    uint64_t size_max = MAX(d->txn_max_req_len, d->kv_max_value_size);
    if (req->body_size > size_max) {
        http_error(req, 413,
                   "Request body(%llu bytes) too large, max size: %llu bytes. See "
                   "https://www.consul.io/docs/agent/options.html#txn_max_req_len.",
                   (unsigned long long)req->body_size, (unsigned long long)size_max);
        return;
    }
    struct value *list;
    struct objlist ops;
    bool writes;
    if (!parse_body(req, &list) || !convert_ops(req, list, &ops, &writes)) {
        return;
    }
    if (writes) {
        struct rpc_call *call = http_rpc(req, &rpc_txn_apply, txn_reply);
        if (call != NULL) {
            ((struct txn_request *)call->args)->ops = ops;
            http_rpc_start(req, call);
        }
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_txn_read, txn_read_reply);
    if (call != NULL) {
        ((struct txn_read_request *)call->args)->ops = ops;
        http_rpc_start(req, call);
    }
}

const struct http_route http_txn_routes[] = {
    {"/v1/txn", HTTP_PUT, "PUT", HTTP_ROUTE_LARGE_BODY | HTTP_ROUTE_NO_META, txn_handle},
};
const size_t http_txn_routes_count = ARRAY_SIZE(http_txn_routes);
