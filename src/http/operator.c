/* /v1/operator/raft/ and /v1/operator/autopilot/. Their answers carry no query metadata. */
#include "schema/operator.h"

#include "base/clock.h"
#include "http/http.h"
#include "server/reply.h"
#include "server/rpc.h"

/* --- Raft ------------------------------------------------------------------------------------ */

static void raft_configuration_reply(struct http_req *req, struct rpc_call *call)
{
    http_json_reply(req, &raft_configuration_response_schema, call->reply);
}

static void raft_configuration_handle(struct http_req *req)
{
    struct rpc_call *call =
        http_rpc(req, &rpc_operator_raft_get_configuration, raft_configuration_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

static void raft_peer_reply(struct http_req *req, struct rpc_call *call)
{
    (void)call;
    http_finish(req, 200);
}

static void raft_peer_handle(struct http_req *req)
{
    bool has_id = http_has_param(req, STR("id")), has_address = http_has_param(req, STR("address"));
    if (!has_id && !has_address) {
        http_error(req, 400,
                   "Bad request: Must specify either ?id with the server's ID or ?address with "
                   "IP:port of peer to remove");
        return;
    }
    if (has_id && has_address) {
        http_error(req, 400, "Bad request: Must specify only one of ?id or ?address");
        return;
    }
    struct rpc_call *call = http_rpc(req,
                                     has_id ? &rpc_operator_raft_remove_peer_by_id
                                            : &rpc_operator_raft_remove_peer_by_address,
                                     raft_peer_reply);
    if (call == NULL) {
        return;
    }
    struct raft_remove_peer_request *args = call->args;
    args->id = http_param_value(req, STR("id"));
    args->address = http_param_value(req, STR("address"));
    http_rpc_start(req, call);
}

/* --- autopilot's configuration --------------------------------------------------------------- */

static void get_configuration_reply(struct http_req *req, struct rpc_call *call)
{
    http_json_reply(req, &autopilot_config_schema, call->reply);
}

static void set_configuration_reply(struct http_req *req, struct rpc_call *call)
{
    const struct autopilot_set_config_request *args = call->args;
    const struct bool_reply *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    json_bool(&w, !args->cas || reply->value); /* without cas there is nothing to fail */
    http_finish(req, 200);
}

static void set_configuration(struct http_req *req)
{
    struct rpc_call *call =
        http_rpc(req, &rpc_operator_autopilot_set_configuration, set_configuration_reply);
    if (call == NULL) {
        return;
    }
    struct autopilot_set_config_request *args = call->args;
    struct err err = {0};
    struct value *value;
    struct str rest = req->body;
    if (json_parse_next(req->arena, &rest, &value, &err) < 0 ||
        schema_decode(&autopilot_config_schema, value, &args->config, req->arena, DECODE_STRICT,
                      &err) < 0) {
        http_error(req, 400, "Bad request: Error parsing autopilot config: %s", err_text(&err));
        return;
    }
    args->cas = http_has_param(req, STR("cas"));
    args->config.raft = (struct raft_index){0};
    if (args->cas) {
        struct str text = http_param_value(req, STR("cas"));
        int rc = str_parse_u64(text, &args->config.raft.modify_index);
        if (rc < 0) {
            http_error(req, 400,
                       "Bad request: Error parsing cas value: strconv.ParseUint: parsing \"%.*s\": "
                       "%s",
                       STRF(text), rc == -ERR_RANGE ? "value out of range" : "invalid syntax");
            return;
        }
    }
    http_rpc_start(req, call);
}

static void configuration_handle(struct http_req *req)
{
    if (req->method == HTTP_PUT) {
        set_configuration(req);
        return;
    }
    struct rpc_call *call =
        http_rpc(req, &rpc_operator_autopilot_get_configuration, get_configuration_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

/* --- autopilot's state ----------------------------------------------------------------------- */

static void write_duration(struct json_writer *w, int64_t ns, struct arena *a)
{
    json_str(w, duration_format(a, ns));
}

static void write_time(struct json_writer *w, int64_t wall_ns, struct arena *a)
{
    json_str(w, time_format_rfc3339(a, wall_ns));
}

static struct str serf_text(int64_t status)
{
    static const struct str texts[] = {STR_INIT("none"), STR_INIT("alive"), STR_INIT("leaving"),
                                       STR_INIT("left"), STR_INIT("failed")};
    return status >= 0 && status < (int64_t)ARRAY_SIZE(texts) ? texts[status] : STR("none");
}

static int64_t round_to_second(int64_t wall_ns)
{
    const int64_t second = (int64_t)NS_PER_SEC;
    return (wall_ns + second / 2) / second * second;
}

static void write_server_health(struct json_writer *w, struct arena *a,
                                const struct autopilot_server_health *s)
{
    json_object_begin(w);
    json_key(w, STR("ID"));
    json_str(w, s->id);
    json_key(w, STR("Name"));
    json_str(w, s->name);
    json_key(w, STR("Address"));
    json_str(w, s->address);
    json_key(w, STR("SerfStatus"));
    json_str(w, serf_text(s->serf_status));
    json_key(w, STR("Version"));
    json_str(w, s->version);
    json_key(w, STR("Leader"));
    json_bool(w, s->leader);
    json_key(w, STR("LastContact"));
    write_duration(w, s->last_contact, a);
    json_key(w, STR("LastTerm"));
    json_u64(w, s->last_term);
    json_key(w, STR("LastIndex"));
    json_u64(w, s->last_index);
    json_key(w, STR("Healthy"));
    json_bool(w, s->healthy);
    json_key(w, STR("Voter"));
    json_bool(w, s->voter);
    json_key(w, STR("StableSince"));
    write_time(w, round_to_second(s->stable_since), a);
    json_object_end(w);
}

static void health_reply(struct http_req *req, struct rpc_call *call)
{
    const struct autopilot_health_reply *reply = call->reply;
    const struct autopilot_server_health *servers = reply->servers.v;
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_key(&w, STR("Healthy"));
    json_bool(&w, reply->healthy);
    json_key(&w, STR("FailureTolerance"));
    json_i64(&w, reply->failure_tolerance);
    json_key(&w, STR("Servers"));
    if (reply->servers.n == 0) {
        json_null(&w);
    } else {
        json_array_begin(&w);
        for (size_t i = 0; i < reply->servers.n; i++) {
            write_server_health(&w, req->arena, &servers[i]);
        }
        json_array_end(&w);
    }
    json_object_end(&w);
    http_finish(req, reply->healthy ? 200 : 429);
}

static void health_handle(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_operator_server_health, health_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

static void write_server_state(struct json_writer *w, struct arena *a,
                               const struct autopilot_server_state *s)
{
    json_object_begin(w);
    json_key(w, STR("ID"));
    json_str(w, s->server.id);
    json_key(w, STR("Name"));
    json_str(w, s->server.name);
    json_key(w, STR("Address"));
    json_str(w, s->server.address);
    json_key(w, STR("NodeStatus"));
    json_str(w, s->server.node_status);
    json_key(w, STR("Version"));
    json_str(w, s->server.version);
    json_key(w, STR("LastContact"));
    write_duration(w, s->stats.last_contact, a);
    json_key(w, STR("LastTerm"));
    json_u64(w, s->stats.last_term);
    json_key(w, STR("LastIndex"));
    json_u64(w, s->stats.last_index);
    json_key(w, STR("Healthy"));
    json_bool(w, s->health.healthy);
    json_key(w, STR("StableSince"));
    write_time(w, s->health.stable_since, a);
    json_key(w, STR("ReadReplica"));
    json_bool(w, false);
    json_key(w, STR("Status"));
    json_str(w, s->state);
    json_key(w, STR("Meta"));
    json_strmap(w, s->server.meta);
    json_key(w, STR("NodeType"));
    json_str(w, s->server.node_type);
    json_object_end(w);
}

static void state_reply(struct http_req *req, struct rpc_call *call)
{
    const struct autopilot_state *state = call->reply;
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_key(&w, STR("Healthy"));
    json_bool(&w, state->healthy);
    json_key(&w, STR("FailureTolerance"));
    json_i64(&w, state->failure_tolerance);
    json_key(&w, STR("OptimisticFailureTolerance"));
    json_i64(&w, state->failure_tolerance); /* more only with redundancy zones, of Enterprise */
    json_key(&w, STR("Servers"));
    json_object_begin(&w);
    for (size_t i = 0; i < state->servers.n; i++) {
        json_key(&w, state->servers.v[i].key);
        write_server_state(&w, req->arena, state->servers.v[i].value);
    }
    json_object_end(&w);
    json_key(&w, STR("Leader"));
    json_str(&w, state->leader);
    json_key(&w, STR("Voters"));
    json_strlist(&w, state->voters);
    json_object_end(&w);
    http_finish(req, 200);
}

static void state_handle(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_operator_autopilot_state, state_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

/* clang-format off */
const struct http_route http_operator_routes[] = {
    {"/v1/operator/autopilot/configuration", HTTP_GET | HTTP_PUT, "GET,PUT", 0, configuration_handle},
    {"/v1/operator/autopilot/health", HTTP_GET, "GET", 0, health_handle},
    {"/v1/operator/autopilot/state", HTTP_GET, "GET", 0, state_handle},
    {"/v1/operator/raft/configuration", HTTP_GET, "GET", 0, raft_configuration_handle},
    {"/v1/operator/raft/peer", HTTP_DELETE, "DELETE", 0, raft_peer_handle},
};
/* clang-format on */
const size_t http_operator_routes_count = ARRAY_SIZE(http_operator_routes);
