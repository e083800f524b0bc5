/* What this agent is: itself, the members it knows, its metrics. */
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/member.h"
#include "agent/process_metrics.h"
#include "agent/state.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "gossip/pool.h"
#include "http/agent_request.h"
#include "raft/configuration.h"
#include "raft/raft.h"
#include "schema/coordinate.h"
#include "server/client_agent.h"
#include "server/delegate.h"
#include "server/membership.h"
#include "server/router.h"
#include "server/server.h"

/* --- self ------------------------------------------------------------------------------------ */

static void put_str(struct json_writer *w, struct str key, struct str value)
{
    json_key(w, key);
    json_str(w, value);
}

static void put_u64_text(struct json_writer *w, struct str key, uint64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    put_str(w, key, str_make(text, (size_t)n));
}

static void put_bool_text(struct json_writer *w, struct str key, bool value)
{
    put_str(w, key, value ? STR("true") : STR("false"));
}

static void put_config(struct json_writer *w, const struct agent_config *config, struct str node_id)
{
    json_object_begin(w);
    put_str(w, STR("Datacenter"), config->datacenter);
    put_str(w, STR("PrimaryDatacenter"), config->primary_datacenter);
    put_str(w, STR("NodeName"), config->node_name);
    put_str(w, STR("NodeID"), node_id);
    put_str(w, STR("Revision"), config->revision);
    json_key(w, STR("Server"));
    json_bool(w, config->is_server);
    put_str(w, STR("Version"), config->version);
    json_object_end(w);
}

/* What the agent's main loop counts; filled in there. */
struct agent_counts {
    size_t script_checks, ttl_checks;
};

static void put_agent_stats(struct json_writer *w, const struct local_root *root,
                            const struct agent_counts *counts)
{
    json_object_begin(w);
    put_u64_text(w, STR("check_monitors"), counts->script_checks);
    put_u64_text(w, STR("check_ttls"), counts->ttl_checks);
    put_u64_text(w, STR("checks"), root->checks.count);
    put_u64_text(w, STR("services"), root->services.count);
    json_object_end(w);
}

static void put_server_stats(struct json_writer *w, const struct agent_config *config,
                             const struct server *server, struct arena *arena)
{
    json_object_begin(w);
    put_str(w, STR("acl"), config->acl.enabled ? STR("enabled") : STR("disabled"));
    put_bool_text(w, STR("bootstrap"), config->bootstrap);
    put_u64_text(w, STR("known_datacenters"),
                 1 + router_datacenters(server->delegate.router, arena).n); /* with its own */
    put_bool_text(w, STR("leader"), server_is_leader(server));
    put_str(w, STR("leader_addr"), server_leader_address(server, arena));
    put_str(w, STR("server"), STR("true"));
    json_object_end(w);
}

static void put_client_stats(struct json_writer *w, const struct agent_config *config,
                             const struct client_agent *client)
{
    json_object_begin(w);
    put_str(w, STR("acl"), config->acl.enabled ? STR("enabled") : STR("disabled"));
    put_u64_text(w, STR("known_servers"), router_count_lan(client->delegate.router));
    put_str(w, STR("server"), STR("false"));
    json_object_end(w);
}

/* As Go prints it. */
static void put_configuration(struct buf *to, const struct server *server, struct arena *arena)
{
    static const char *const suffrages[] = {
        [RAFT_VOTER] = "Voter", [RAFT_NONVOTER] = "Nonvoter", [RAFT_STAGING] = "Staging"};
    struct raft_configuration *c = ARENA_NEW(arena, struct raft_configuration);
    uint64_t index;
    raft_get_configuration(server->raft, c, &index);
    buf_byte(to, '[');
    for (uint32_t i = 0; i < c->count; i++) {
        buf_printf(to, "%s{Suffrage:%s ID:%s Address:%s}", i > 0 ? " " : "",
                   suffrages[c->servers[i].suffrage], c->servers[i].id, c->servers[i].address);
    }
    buf_byte(to, ']');
}

static void put_raft_stats(struct json_writer *w, const struct server *server,
                           const struct agent_config *config, struct arena *arena)
{
    static const struct str states[] = {
        [RAFT_FOLLOWER] = STR_INIT("Follower"),
        [RAFT_CANDIDATE] = STR_INIT("Candidate"),
        [RAFT_LEADER] = STR_INIT("Leader"),
        [RAFT_SHUTDOWN] = STR_INIT("Shutdown"),
    };
    struct raft_status s;
    struct buf text = {0};
    raft_status(server->raft, &s);
    json_object_begin(w);
    put_u64_text(w, STR("applied_index"), s.applied_index);
    put_u64_text(w, STR("commit_index"), s.commit_index);
    put_u64_text(w, STR("fsm_pending"), s.fsm_pending);
    if (s.state == RAFT_LEADER) {
        put_str(w, STR("last_contact"), STR("0"));
    } else if (s.last_contact_ms == RAFT_CONTACT_NEVER) {
        put_str(w, STR("last_contact"), STR("never"));
    } else {
        duration_put(&text, (int64_t)(s.last_contact_ms * NS_PER_MS));
        put_str(w, STR("last_contact"), buf_view(&text));
    }
    put_u64_text(w, STR("last_log_index"), s.last_log_index);
    put_u64_text(w, STR("last_log_term"), s.last_log_term);
    put_u64_text(w, STR("last_snapshot_index"), s.last_snapshot_index);
    put_u64_text(w, STR("last_snapshot_term"), s.last_snapshot_term);
    buf_clear(&text);
    put_configuration(&text, server, arena);
    put_str(w, STR("latest_configuration"), buf_view(&text));
    put_u64_text(w, STR("latest_configuration_index"), s.configuration_index);
    put_u64_text(w, STR("num_peers"), s.peers);
    put_u64_text(w, STR("protocol_version"), (uint64_t)config->raft.protocol);
    put_str(w, STR("protocol_version_max"), STR("3"));
    put_str(w, STR("protocol_version_min"), STR("0"));
    put_str(w, STR("snapshot_version_max"), STR("1"));
    put_str(w, STR("snapshot_version_min"), STR("0"));
    put_str(w, STR("state"), states[s.state]);
    put_u64_text(w, STR("term"), s.term);
    json_object_end(w);
    buf_deinit(&text);
}

static void put_runtime_stats(struct json_writer *w)
{
    struct utsname u;
    struct str machine = uname(&u) == 0 ? str_from_cstr(u.machine) : STR("");
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t count = cpus > 0 ? (uint64_t)cpus : 1;
    json_object_begin(w);
    put_str(w, STR("arch"),
            str_eq_lit(machine, "x86_64")    ? STR("amd64")
            : str_eq_lit(machine, "aarch64") ? STR("arm64")
                                             : machine);
    put_u64_text(w, STR("cpu_count"), count);
    put_u64_text(w, STR("goroutines"), 0);
    put_u64_text(w, STR("max_procs"), count);
    put_str(w, STR("os"), STR("linux"));
    put_str(w, STR("version"), STR("C"));
    json_object_end(w);
}

static void put_serf_stats(struct json_writer *w, const struct membership *m)
{
    struct serf_stats s = {0};
    if (m->pool != NULL) {
        pool_stats(m->pool, &s);
    }
    json_object_begin(w);
    put_u64_text(w, STR("coordinate_resets"), s.coordinate_resets);
    put_bool_text(w, STR("encrypted"), s.encrypted);
    put_u64_text(w, STR("event_queue"), s.event_queue);
    put_u64_text(w, STR("event_time"), s.event_time);
    put_u64_text(w, STR("failed"), s.failed);
    put_u64_text(w, STR("health_score"), s.health_score);
    put_u64_text(w, STR("intent_queue"), s.intent_queue);
    put_u64_text(w, STR("left"), s.left);
    put_u64_text(w, STR("member_time"), s.member_time);
    put_u64_text(w, STR("members"), s.members);
    put_u64_text(w, STR("query_queue"), s.query_queue);
    put_u64_text(w, STR("query_time"), s.query_time);
    json_object_end(w);
}

static void put_stats(struct json_writer *w, struct http_req *req, const struct local_root *root,
                      const struct agent_counts *counts)
{
    const struct agent_config *config = agent_config(req->agent);
    json_object_begin(w);
    json_key(w, STR("agent"));
    put_agent_stats(w, root, counts);
    json_key(w, STR("build"));
    json_object_begin(w);
    put_str(w, STR("prerelease"), config->version_prerelease);
    put_str(w, STR("revision"), str_first(config->revision, 8));
    put_str(w, STR("version"), config->version);
    json_object_end(w);
    const struct server *server = req->worker->server;
    json_key(w, STR("consul"));
    if (server == NULL) {
        put_client_stats(w, config, req->worker->delegate->client);
    } else {
        put_server_stats(w, config, server, req->arena);
        json_key(w, STR("raft"));
        put_raft_stats(w, server, config, req->arena);
    }
    json_key(w, STR("runtime"));
    put_runtime_stats(w);
    const struct delegate *d = req->worker->delegate;
    json_key(w, STR("serf_lan"));
    put_serf_stats(w, d->membership);
    if (d->wan != NULL) {
        json_key(w, STR("serf_wan"));
        put_serf_stats(w, d->wan);
    }
    json_object_end(w);
}

/* As the pool has it: tags change while it runs. */
static void put_self_member(struct json_writer *w, struct http_req *req)
{
    struct member_list *list = membership_list(req->worker->delegate->membership);
    if (list->count > 0) {
        json_object(w, &member_schema, list->v[0]);
    } else { /* it has not begun yet */
        struct member self;
        member_self(agent_config(req->agent), agent_node_id(req->agent), false, req->arena, &self);
        json_object(w, &member_schema, &self);
    }
    (void)member_list_unref(list);
}

static void put_coordinate(struct json_writer *w, struct http_req *req)
{
    /* The coordinate of a node that has measured nothing yet. */
    static const double zeros[COORDINATE_DIMENSIONS];
    static const struct coordinate origin = {
        .vec = {zeros, COORDINATE_DIMENSIONS}, .error = 1.5, .height = 1.0e-5};
    struct pool *pool = req->worker->delegate->membership->pool;
    const struct coordinate *c = pool != NULL ? pool_coordinate(pool, req->arena) : NULL;
    json_object(w, &coordinate_schema, c != NULL ? c : &origin);
}

static void put_self(struct json_writer *w, struct http_req *req, const struct local_root *root,
                     const struct agent_counts *counts)
{
    const struct agent_config *config = agent_config(req->agent);
    json_object_begin(w);
    json_key(w, STR("Config"));
    put_config(w, config, agent_node_id(req->agent));
    json_key(w, STR("DebugConfig"));
    config_write_debug(w, config, agent_node_id(req->agent));
    json_key(w, STR("Coord"));
    if (config->coordinates.disabled) {
        json_null(w);
    } else {
        put_coordinate(w, req);
    }
    json_key(w, STR("Member"));
    put_self_member(w, req);
    json_key(w, STR("Stats"));
    put_stats(w, req, root, counts);
    json_key(w, STR("Meta"));
    json_strmap(w, root->meta != NULL ? root->meta->meta : (struct strmap){SCHEMA_EMPTY, 0});
    if (config->ports.grpc > 0) {
        json_key(w, STR("xDS"));
        json_raw(w, STR("{\"SupportedProxies\":{\"envoy\":[\"1.18.4\",\"1.17.4\",\"1.16.5\","
                        "\"1.15.5\"]}}"));
    }
    json_object_end(w);
}

static void self_run(struct agent_request *r)
{
    struct agent_counts *counts = r->args;
    counts->script_checks = r->call.agent->checks.script_count;
    counts->ttl_checks = r->call.agent->checks.ttl_count;
    agent_call_finish(&r->call);
}

static void self_reply(struct http_req *req, struct agent_request *r)
{
    const struct local_root *root = agent_read_begin(req->agent, req->worker);
    struct json_writer w = http_json_begin(req);
    put_self(&w, req, root, r->args);
    agent_read_end(req->agent, req->worker);
    http_finish(req, 200);
}

void agent_self_handle(struct http_req *req)
{
    if (!http_permit(req, ACL_AGENT_READ, http_node_name(req))) {
        return;
    }
    agent_request_start(agent_request_new(req, self_run, self_reply, sizeof(struct agent_counts)));
}

/* --- members --------------------------------------------------------------------------------- */

static void put_members(struct http_req *req, struct membership *pool)
{
    struct json_writer w = http_json_begin(req);
    if (pool == NULL) {
        json_null(&w);
        return;
    }
    struct member_list *list = membership_list(pool);
    json_array_begin(&w);
    for (size_t i = 0; i < list->count; i++) {
        if (http_may(req, ACL_NODE_READ, list->v[i]->name)) {
            json_object(&w, &member_schema, list->v[i]);
        }
    }
    json_array_end(&w);
    (void)member_list_unref(list);
}

void agent_members_handle(struct http_req *req)
{
    bool is_wan = http_param_value(req, STR("wan")).n > 0; /* "?wan" alone does not ask for it */
    struct str segment = http_param_value(req, STR("segment"));
    bool is_all = segment.n == 0 || str_eq_lit(segment, "_all");
    if (is_wan && !is_all) {
        http_error(req, 400, "Cannot provide a segment with wan=true");
        return;
    }
    if (!is_all) {
        http_error(req, 500, "Network segments are not supported in this version of Consul");
        return;
    }
    const struct delegate *d = req->worker->delegate;
    if (!http_known(req)) {
        return;
    }
    put_members(req, is_wan ? d->wan : d->membership);
    http_finish(req, 200);
}

/* --- metrics --------------------------------------------------------------------------------- */

/* By ?format, or by an Accept header that names Prometheus's types. */
static bool wants_prometheus(const struct http_req *req)
{
    if (str_eq_lit(http_param_value(req, STR("format")), "prometheus")) {
        return true;
    }
    struct str rest = http_header(req, STR("Accept")), type;
    while (rest.n > 0 && str_split_next(&rest, ',', &type)) {
        struct str name, parameter;
        (void)str_cut(type, ';', &name, &parameter);
        if (str_eq_fold(str_trim(name), STR("application/openmetrics-text")) ||
            (str_eq_fold(str_trim(name), STR("text/plain")) &&
             str_eq_lit(str_trim(parameter), "version=0.4.0"))) {
            return true;
        }
    }
    return false;
}

void agent_metrics_handle(struct http_req *req)
{
    if (!http_permit(req, ACL_AGENT_READ, http_node_name(req))) {
        return;
    }
    if (wants_prometheus(req)) {
        (void)agent_read_begin(req->agent, req->worker);
        bool is_on = agent_config(req->agent)->telemetry.prometheus_retention_time >= 1;
        agent_read_end(req->agent, req->worker);
        if (!is_on) {
            http_error(req, 415,
                       "Prometheus is not enabled since its retention time is not positive");
            return;
        }
        req->content_type = STR("text/plain; version=0.0.4; charset=utf-8");
        metrics_render_prometheus(req->out);
        process_metrics_prometheus(req->out);
        http_finish(req, 200);
        return;
    }
    struct buf json = {0};
    metrics_render_json(&json);
    struct json_writer w = http_json_begin(req);
    json_raw(&w, buf_view(&json));
    buf_deinit(&json);
    http_finish(req, 200);
}
