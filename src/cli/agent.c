/* `consul agent`: everything is started here and ended here.
 *
 * Start: configuration, log, data directory, node id; then the loops (the main one and one worker a
 * core, not running yet), the server or the client on top of them, the agent, the front ends on
 * every worker; then the workers' threads, consensus, the agent, and last the main loop on this
 * thread, which ends with a signal or a leave. The end runs backwards. */
#include "agent/agent.h"
#include "agent/config.h"
#include "agent/config_flags.h"
#include "agent/telemetry.h"
#include "agent/tls.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/agent_front.h"
#include "cli/agent_log.h"
#include "cli/agent_pool.h"
#include "cli/command.h"
#include "loop/tls_context.h"
#include "schema/session.h"
#include "server/client_agent.h"
#include "server/rpc_pool.h"
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* A leave that takes longer is cut short. */
#define LEAVE_TIMEOUT_MS 15000u
#define AGENT_WORKERS_MAX 16u
#define PROTOCOL_MIN 2 /* of Consul, that 1.10.3 starts with */
#define PROTOCOL_MAX 3
#define ACL_TTL_MS_DEFAULT 30000u

struct program {
    struct config_flags flags;
    struct config_sources sources;
    struct agent_config *config; /* as started */
    struct acl_settings acl;
    struct arena arena;
    struct agent_log *log;
    struct worker main;
    struct worker *workers;
    uint32_t workers_count;
    struct server *server; /* one of these */
    struct client_agent *client;
    struct agent *agent;
    struct agent_front *front;
    struct tls_configurator *tls;
    struct telemetry *telemetry;
    struct loop_timer leave_timer;
    bool is_leaving;
    int exit_code;
    bool is_banner_shown;
    struct err err;
};

/* --- configuration
 * ---------------------------------------------------------------------------------- */

static int flag_apply(void *data, const struct cli_flag *flag, struct str text, struct err *err)
{
    return config_flag_apply(data, flag->name, text, err);
}

/* The configuration's flags as a table for the command line parser. */
static struct cli_flag *program_flags(struct program *p)
{
    size_t count = 0;
    while (config_flag_table[count].name != NULL) {
        count++;
    }
    struct cli_flag *flags = ARENA_ARRAY(&p->arena, struct cli_flag, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct config_flag *f = &config_flag_table[i];
        flags[i] = (struct cli_flag){.name = f->name,
                                     .kind = CLI_FUNC,
                                     .target = &p->flags,
                                     .usage = f->usage,
                                     .fn = flag_apply,
                                     .is_bool = f->kind == CONFIG_FLAG_BOOL};
    }
    return flags;
}

/* Warnings are logged once it is known to be good; at the first load there is no log yet, so they
 * wait in *ret_warnings, in the program's arena. */
static int program_load_config(struct program *p, struct agent_config **ret_config,
                               struct strlist *ret_warnings, struct err *err)
{
    struct strlist warnings = {0};
    int rc = config_load(&p->sources, &p->arena, ret_config, &warnings, err);
    if (rc >= 0) {
        *ret_warnings = warnings;
    }
    return rc;
}

static void program_log_warnings(struct program *p, struct strlist warnings)
{
    for (size_t i = 0; i < warnings.n; i++) {
        log_write(LOG_WARN, "agent", arena_str(&p->arena, warnings.v[i]).p);
    }
}

/* --- what the agent asks for
 * ------------------------------------------------------------------------ */

static int ops_load_config(void *data, struct agent_config **ret_config, struct err *err)
{
    struct program *p = data;
    struct strlist warnings;
    int rc = program_load_config(p, ret_config, &warnings, err);
    if (rc >= 0) {
        program_log_warnings(p, warnings);
    }
    return rc;
}

static void program_limit_calls(struct program *p, const struct agent_config *config)
{
    rate_limit_set(&p->main.delegate->rate, config->limits.rpc_rate, config->limits.rpc_max_burst);
}

static void ops_config_changed(void *data, const struct agent_config *config)
{
    struct program *p = data;
    enum log_level level;
    if (log_level_parse(config->log.level, &level) == 0) {
        agent_log_set_level(p->log, level);
    }
    program_limit_calls(p, config);
    telemetry_config_changed(p->telemetry, config);
    agent_front_config_changed(p->front, config);
}

static void program_end(struct program *p, int exit_code)
{
    p->exit_code = exit_code;
    loop_stop(p->main.loop);
}

static void ops_leave(void *data)
{
    struct program *p = data;
    log_write(LOG_INFO, "agent", "Graceful exit completed");
    program_end(p, 0);
}

static void ops_failed(void *data)
{
    program_end(data, 1);
}

static const struct agent_ops program_agent_ops = {
    .load_config = ops_load_config,
    .config_changed = ops_config_changed,
    .leave = ops_leave,
    .failed = ops_failed,
};

/* --- signals
 * ---------------------------------------------------------------------------------------- */

static void leave_timed_out(struct loop_timer *t)
{
    log_write(LOG_INFO, "agent", "Timeout on graceful leave. Exiting");
    program_end(container_of(t, struct program, leave_timer), 1);
}

static void program_signal(void *data, int signum)
{
    struct program *p = data;
    const struct agent_config *config = agent_config(p->agent);
    struct str name = signum == SIGHUP    ? STR("hangup")
                      : signum == SIGINT  ? STR("interrupt")
                      : signum == SIGTERM ? STR("terminated")
                                          : STR("signal");
    if (signum == SIGHUP) {
        struct err err = {0};
        log_write(LOG_INFO, "agent", "Caught", LOG_STR("signal", name));
        if (agent_reload(p->agent, &err) < 0) {
            log_write(LOG_ERROR, "agent", "Reload config failed",
                      LOG_CSTR("error", err_text(&err)));
        }
        return;
    }
    if (signum == SIGUSR1) {
        telemetry_dump(p->telemetry);
        return;
    }
    if (p->is_leaving) {
        log_write(LOG_INFO, "agent", "Caught second signal, Exiting", LOG_STR("signal", name));
        program_end(p, 1);
        return;
    }
    log_write(LOG_INFO, "agent", "Caught", LOG_STR("signal", name));
    bool is_graceful = (signum == SIGINT && !config->skip_leave_on_interrupt) ||
                       (signum == SIGTERM && config->leave_on_terminate);
    if (!is_graceful) {
        log_write(LOG_INFO, "agent", "Graceful shutdown disabled. Exiting");
        program_end(p, 1);
        return;
    }
    log_write(LOG_INFO, "agent", "Gracefully shutting down agent...");
    p->is_leaving = true;
    loop_timer_start(p->main.loop, &p->leave_timer, LEAVE_TIMEOUT_MS, leave_timed_out);
    agent_leave(p->agent);
}

static int program_catch_signals(struct program *p)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        int rc = loop_signal(p->main.loop, signals[i], program_signal, p);
        if (rc < 0) {
            return err_from_errno(&p->err, rc, "cannot catch signals");
        }
    }
    return 0;
}

/* --- pieces
 * ----------------------------------------------------------------------------------------- */

static int program_write_pid(struct program *p)
{
    if (p->config->pid_file.n == 0) {
        return 0;
    }
    struct str path = arena_str(&p->arena, p->config->pid_file);
    int fd = open(path.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || dprintf(fd, "%ld", (long)getpid()) < 0) {
        int saved = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return err_set(&p->err, saved, "Could not open pid file: open %s: %s", path.p,
                       err_code_text(saved));
    }
    (void)close(fd);
    return 0;
}

static void program_banner(const struct program *p, const char *node_id)
{
    const struct agent_config *c = p->config;
    const struct config_ports *ports = &c->ports;
    if (c->log.json) {
        return; /* nothing but JSON on standard output */
    }
    printf("==> Starting Consul agent...\n"
           "           Version: '" CONSUL_VERSION "'\n"
           "           Node ID: '%s'\n"
           "         Node name: '%.*s'\n"
           "        Datacenter: '%.*s' (Segment: '%s')\n"
           "            Server: %s (Bootstrap: %s)\n",
           node_id, STRF(c->node_name), STRF(c->datacenter), c->is_server ? "<all>" : "",
           c->is_server ? "true" : "false", c->bootstrap ? "true" : "false");
    printf("       Client Addr: [");
    for (size_t i = 0; i < c->addresses.client.n; i++) {
        printf("%s%.*s", i > 0 ? " " : "", STRF(c->addresses.client.v[i]));
    }
    printf("] (HTTP: %lld, HTTPS: %lld, gRPC: %lld, DNS: %lld)\n", (long long)ports->http,
           (long long)ports->https, (long long)ports->grpc, (long long)ports->dns);
    printf("      Cluster Addr: %.*s (LAN: %lld, WAN: %lld)\n", STRF(c->addresses.advertise),
           (long long)ports->serf_lan, (long long)ports->serf_wan);
    printf("           Encrypt: Gossip: %s, TLS-Outgoing: %s, TLS-Incoming: %s, "
           "Auto-Encrypt-TLS: %s\n\n==> Log data will now stream in as it occurs:\n\n",
           c->encrypt.n > 0 ? "true" : "false", c->tls.verify_outgoing ? "true" : "false",
           c->tls.verify_incoming ? "true" : "false",
           c->auto_encrypt.tls || c->auto_encrypt.allow_tls ? "true" : "false");
    (void)fflush(stdout);
}

static struct str addr_text(struct arena *a, const struct config_addr *addr)
{
    bool is_v6 = str_find_byte(addr->host, ':') >= 0;
    return arena_printf(a, "%s%.*s%s:%u", is_v6 ? "[" : "", STRF(addr->host), is_v6 ? "]" : "",
                        addr->port);
}

/* Unless it is the unspecified one, which nothing can come from. */
static struct str rpc_bind_host(const struct agent_config *c)
{
    struct str host = c->addresses.rpc_bind.host;
    bool is_any = str_eq_lit(host, "0.0.0.0") || str_eq_lit(host, "::");
    return is_any ? STR("") : host;
}

static void program_make_client(struct program *p, struct str node_id,
                                struct membership *take_membership)
{
    const struct agent_config *c = p->config;
    const struct client_agent_options options = {
        .membership = take_membership,
        .datacenter = c->datacenter,
        .primary_datacenter = c->primary_datacenter,
        .node_name = c->node_name,
        .node_id = node_id,
        .max_query_time_ms = (uint64_t)c->max_query_time / NS_PER_MS,
        .default_query_time_ms = (uint64_t)c->default_query_time / NS_PER_MS,
        .rpc_hold_timeout_ms = (uint64_t)c->rpc_hold_timeout / NS_PER_MS,
        .kv_max_value_size = c->limits.kv_max_value_size,
        .txn_max_req_len = c->limits.txn_max_req_len,
        .acl = p->acl,
    };
    p->client = client_agent_new(&options, &p->main);
}

static int program_make_server(struct program *p, struct str node_id,
                               const struct agent_pools *take_pools)
{
    const struct agent_config *c = p->config;
    const struct server_options options = {
        .membership = take_pools->lan,
        .wan = take_pools->wan,
        .datacenter = c->datacenter,
        .primary_datacenter = c->primary_datacenter,
        .node_name = c->node_name,
        .node_id = node_id,
        .rpc_address = addr_text(&p->arena, &c->addresses.rpc_advertise),
        .advertise_address = c->addresses.advertise,
        .rpc_bind_host = rpc_bind_host(c),
        .tls = p->tls,
        .data_dir = c->data_dir,
        .in_memory = c->is_dev,
        .bootstrap = c->bootstrap || c->is_dev,
        .bootstrap_expect = c->bootstrap ? 0 : c->bootstrap_expect,
        .raft_protocol = c->raft.protocol,
        .leave_drain_ms = (uint64_t)c->leave_drain_time / NS_PER_MS,
        .max_query_time_ms = (uint64_t)c->max_query_time / NS_PER_MS,
        .default_query_time_ms = (uint64_t)c->default_query_time / NS_PER_MS,
        .rpc_hold_timeout_ms = (uint64_t)c->rpc_hold_timeout / NS_PER_MS,
        .session_ttl_min_ns =
            c->session_ttl_min > 0 ? c->session_ttl_min : SESSION_TTL_MIN_NS_DEFAULT,
        .kv_max_value_size = c->limits.kv_max_value_size,
        .txn_max_req_len = c->limits.txn_max_req_len,
        .acl = p->acl,
        .snapshot_threshold = (uint64_t)c->raft.snapshot_threshold,
        .snapshot_interval_ms = (uint64_t)c->raft.snapshot_interval / NS_PER_MS,
        .trailing_logs = (uint64_t)c->raft.trailing_logs,
        .tombstone_ttl_ms = 15u * 60u * 1000u,
        .tombstone_granularity_ms = 30u * 1000u,
        .coordinate_update_period_ms = (uint64_t)c->coordinates.update_period / NS_PER_MS,
        .coordinate_update_batch_size = (uint32_t)c->coordinates.update_batch_size,
        .coordinate_update_max_batches = (uint32_t)c->coordinates.update_max_batches,
        .raft_multiplier = (uint32_t)c->raft.multiplier,
        .acl_master_token = c->acl.master_token,
        .connect_enabled = c->connect.enabled,
        .ca_provider = c->connect.ca_provider,
        .ca_config = c->connect.ca_config,
        .config_entries = c->config_entries,
        .autopilot = {.cleanup_dead_servers = c->autopilot.cleanup_dead_servers,
                      .last_contact_threshold = c->autopilot.last_contact_threshold,
                      .max_trailing_logs = (uint64_t)c->autopilot.max_trailing_logs,
                      .min_quorum = c->autopilot.min_quorum,
                      .server_stabilization_time = c->autopilot.server_stabilization_time,
                      .redundancy_zone_tag = c->autopilot.redundancy_zone_tag,
                      .disable_upgrade_migration = c->autopilot.disable_upgrade_migration,
                      .upgrade_version_tag = c->autopilot.upgrade_version_tag},
    };
    return server_new(&options, &p->main, &p->server, &p->err);
}

/* What the agent has of its cluster. */
static int program_make_delegate(struct program *p, struct str node_id)
{
    const struct agent_pool_options options = {
        .config = p->config,
        .node_id = node_id,
        .main = &p->main,
    };
    struct agent_pools pools;
    int rc = agent_pools_new(&options, &pools, &p->err);
    if (rc < 0) {
        return rc;
    }
    if (p->config->is_server) {
        rc = program_make_server(p, node_id, &pools);
    } else {
        program_make_client(p, node_id, pools.lan);
    }
    for (uint32_t i = 0; rc >= 0 && i < p->workers_count; i++) {
        if (p->server != NULL) {
            server_add_worker(p->server, &p->workers[i]);
        } else {
            client_agent_add_worker(p->client, &p->workers[i]);
        }
    }
    if (rc >= 0) {
        program_limit_calls(p, p->config);
    }
    return rc;
}

static int program_start_delegate(struct program *p)
{
    if (p->server != NULL) {
        return server_start(p->server, &p->err);
    }
    client_agent_start(p->client);
    return 0;
}

static int program_make_worker(struct program *p, struct worker *w, const char *name, uint32_t id)
{
    worker_init(w, loop_new(name), id);
    rpc_pool_set_tls(w->pool, p->tls);
    return rpc_pool_bind(w->pool, rpc_bind_host(p->config), &p->err);
}

static int program_make_loops(struct program *p)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    p->workers_count = (uint32_t)MIN(MAX(cores, 1L), (long)AGENT_WORKERS_MAX);
    p->workers = xcalloc(p->workers_count, sizeof(*p->workers));
    int rc = program_make_worker(p, &p->main, "main", 0);
    for (uint32_t i = 0; i < p->workers_count; i++) { /* all of them: all are freed */
        int r = program_make_worker(p, &p->workers[i], "worker", i + 1);
        rc = rc < 0 ? rc : r;
    }
    return rc;
}

/* --- life
 * ------------------------------------------------------------------------------------------- */

/* What is asked for and would silently not happen, where somebody relies on it, is refused. */
static int program_check_available(struct program *p)
{
    const struct agent_config *c = p->config;
    if (c->auto_encrypt.tls || c->auto_config.enabled) {
        return err_set(&p->err, ERR_UNSUPPORTED,
                       "%s: certificates from the servers are not available yet",
                       c->auto_encrypt.tls ? "auto_encrypt.tls" : "auto_config.enabled");
    }
    if (c->auto_encrypt.allow_tls) {
        log_write(LOG_WARN, "agent",
                  "auto_encrypt.allow_tls: this server cannot sign certificates of clients yet");
    }
    return 0;
}

/* 0 is the default, as in Consul. */
static uint64_t acl_ttl_ms(int64_t ttl)
{
    return ttl > 0 ? (uint64_t)ttl / NS_PER_MS : ACL_TTL_MS_DEFAULT;
}

static int program_acl_settings(struct program *p)
{
    const struct config_acl *c = &p->config->acl;
    struct acl_settings *s = &p->acl;
    *s = (struct acl_settings){
        .enabled = c->enabled,
        .replicates_tokens = c->enable_token_replication,
        .has_key_list = c->enable_key_list_policy,
        .token_ttl_ms = acl_ttl_ms(c->token_ttl),
        .policy_ttl_ms = acl_ttl_ms(c->policy_ttl),
        .role_ttl_ms = acl_ttl_ms(c->role_ttl),
        .disabled_ttl_ms = (uint64_t)MAX(c->disabled_ttl, 0) / NS_PER_MS,
    };
    int rc = acl_default_parse(c->default_policy, &s->fallback, &p->err);
    return rc < 0 ? rc : acl_down_parse(c->down_policy, &s->down, &p->err);
}

static int program_load_tls(struct program *p)
{
    struct tls_context *context;
    int rc = agent_tls_context(p->config, &context, &p->err);
    if (rc >= 0) {
        p->tls = tls_configurator_new(context);
    }
    return rc;
}

static int program_prepare(struct program *p, struct strlist *ret_warnings)
{
    int rc = program_load_config(p, &p->config, ret_warnings, &p->err);
    if (rc < 0) {
        return rc;
    }
    rc = agent_log_open(&p->config->log, &p->log, &p->err);
    if (rc >= 0) {
        rc = program_check_available(p);
    }
    if (rc >= 0) {
        rc = program_acl_settings(p);
    }
    if (rc >= 0) {
        rc = program_load_tls(p);
    }
    if (rc >= 0) {
        rc = config_setup_data_dir(p->config, &p->err);
    }
    return rc;
}

static int program_check_protocol(struct program *p)
{
    int64_t version = p->config->rpc_protocol;
    if (version >= PROTOCOL_MIN && version <= PROTOCOL_MAX) {
        return 0;
    }
    return err_set(&p->err, ERR_INVALID,
                   "Failed to start Consul %s: Protocol version '%lld' too %s. Must be in range: "
                   "[%d, %d]",
                   p->config->is_server ? "server" : "client", (long long)version,
                   version < PROTOCOL_MIN ? "low" : "high", PROTOCOL_MIN, PROTOCOL_MAX);
}

/* Before the banner there is no log; behind it nothing but the log. */
static void program_tell_failure(struct program *p)
{
    if (!p->is_banner_shown) {
        fprintf(stderr, "==> %s\n", err_text(&p->err));
        return;
    }
    log_write(LOG_ERROR, "agent", "Error starting agent", LOG_CSTR("error", err_text(&p->err)));
    log_write(LOG_INFO, "agent", "Exit code", LOG_INT("code", 1));
}

static int program_start(struct program *p)
{
    char node_id[CONFIG_NODE_ID_SIZE];
    struct strlist warnings;
    int rc = program_prepare(p, &warnings);
    if (rc >= 0) {
        rc = config_setup_node_id(p->config, node_id, &p->err);
    }
    if (rc < 0) {
        return rc;
    }
    program_banner(p, node_id);
    p->is_banner_shown = true;
    program_log_warnings(p, warnings); /* like everything in the log, behind the banner */
    rc = program_check_protocol(p);
    rc = rc < 0 ? rc : program_make_loops(p);
    rc = rc < 0 ? rc : program_make_delegate(p, str_from_cstr(node_id));
    if (rc < 0) {
        return rc;
    }
    const struct agent_options agent = {
        .config = config_ref(p->config),
        .node_id = str_from_cstr(node_id),
        .main = &p->main,
        .tls = p->tls,
        .ops = &program_agent_ops,
        .ops_data = p,
    };
    rc = agent_new(&agent, &p->agent, &p->err);
    if (rc >= 0) {
        rc = agent_front_new(p->config, p->server, p->agent, p->tls, p->workers, p->workers_count,
                             &p->front, &p->err);
    }
    if (rc >= 0) {
        rc = program_write_pid(p);
    }
    if (rc >= 0) {
        rc = program_catch_signals(p);
    }
    if (rc >= 0) {
        rc = program_start_delegate(p);
    }
    if (rc < 0) {
        return rc;
    }
    for (uint32_t i = 0; i < p->workers_count; i++) {
        loop_thread_start(p->workers[i].loop);
    }
    p->telemetry = telemetry_new(p->config, p->main.loop, p->server);
    if (!p->config->telemetry.disable_compat_one_nine) {
        log_write(LOG_WARN, "agent",
                  "DEPRECATED Backwards compatibility with pre-1.9 metrics enabled. These metrics "
                  "will be removed in a future version of Consul. Set `telemetry { "
                  "disable_compat_1.9 = true }` to disable them.");
    }
    return agent_start(p->agent, &p->err);
}

static void program_stop(struct program *p)
{
    if (p->telemetry != NULL) {
        telemetry_stop(p->telemetry);
    }
    if (p->agent != NULL) {
        agent_stop(p->agent);
    }
    agent_front_stop(p->front);
    if (p->server != NULL) {
        server_stop(p->server);
    }
    if (p->client != NULL) {
        client_agent_stop(p->client);
    }
    for (uint32_t i = 0; i < p->workers_count; i++) {
        loop_stop(p->workers[i].loop);
        loop_thread_join(p->workers[i].loop);
    }
    if (p->config != NULL && p->config->pid_file.n > 0) {
        struct str path = arena_str(&p->arena, p->config->pid_file);
        (void)unlink(path.p);
    }
}

static void program_free(struct program *p)
{
    for (uint32_t i = 0; i < p->workers_count; i++) {
        struct loop *loop = p->workers[i].loop;
        worker_deinit(&p->workers[i]);
        (void)loop_free(loop);
    }
    if (p->main.loop != NULL) {
        struct loop *loop = p->main.loop;
        worker_deinit(&p->main);
        (void)loop_free(loop);
    }
    p->telemetry = telemetry_free(p->telemetry);
    p->front = agent_front_free(p->front);
    p->agent = agent_free(p->agent);
    p->server = server_free(p->server);
    p->client = client_agent_free(p->client);
    p->tls = tls_configurator_free(p->tls);
    p->log = agent_log_close(p->log);
    config_unref(p->config);
    config_flags_deinit(&p->flags);
    mem_free(p->workers);
    arena_deinit(&p->arena);
}

static int agent_run(int argc, char **argv)
{
    struct program *p = xcalloc(1, sizeof(*p));
    const struct cli_flag_group groups[] = {{"Command Options", program_flags(p)}};
    struct cli_args args;
    int code;
    if (!cli_parse("agent", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        program_free(p);
        mem_free(p);
        return code;
    }
    if (args.argc > 0) {
        fprintf(stderr, "==> Unexpected extra arguments: [");
        for (int i = 0; i < args.argc; i++) {
            fprintf(stderr, "%s%s", i > 0 ? " " : "", args.argv[i]);
        }
        fprintf(stderr, "]\n");
        program_free(p);
        mem_free(p);
        return 1;
    }
    p->sources = config_sources_from_flags(&p->flags);
    if (program_start(p) < 0) {
        program_tell_failure(p);
        p->exit_code = 1;
    } else {
        log_write(LOG_INFO, "agent", "Consul agent running!");
        loop_run(p->main.loop);
    }
    program_stop(p);
    code = p->exit_code;
    program_free(p);
    mem_free(p);
    return code;
}

const struct cli_command cli_agent_commands[] = {
    {.name = "agent",
     .synopsis = "Run an agent",
     .run = agent_run,
     .help = "  Starts the agent and runs it until it is told to stop by a signal or by leave. The "
             "agent\n  keeps the services and checks of its node and serves the HTTP and DNS "
             "interfaces."},
};
const size_t cli_agent_commands_count = ARRAY_SIZE(cli_agent_commands);
