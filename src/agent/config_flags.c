#include "agent/config_flags.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"

#define B CONFIG_FLAG_BOOL
#define I CONFIG_FLAG_INT
#define S CONFIG_FLAG_STR
#define D CONFIG_FLAG_DURATION
#define L CONFIG_FLAG_STRLIST
#define M CONFIG_FLAG_STRMAP

/* clang-format off */
const struct config_flag config_flag_table[] = {
    {"advertise", S, "advertise_addr", "Address that other members of the LAN are told to use."},
    {"advertise-wan", S, "advertise_addr_wan", "Address that other datacenters are told to use; by default that of -advertise."},
    {"allow-write-http-from", L, "http_config.allow_write_http_from", "Network (CIDR) from which HTTP requests may write; all when not given. May be repeated."},
    {"alt-domain", S, "alt_domain", "A second domain that the DNS server answers for."},
    {"bind", S, "bind_addr", "Address to listen at for traffic within the cluster."},
    {"bootstrap", B, "bootstrap", "Let this server elect itself leader without others."},
    {"bootstrap-expect", I, "bootstrap_expect", "Number of servers to wait for before the first election."},
    {"check_output_max_size", I, "check_output_max_size", "Most bytes of a check's output that are kept."},
    {"client", S, "client_addr", "Addresses to listen at for clients: HTTP, HTTPS, DNS, gRPC."},
    {"config-dir", L, NULL, "Directory whose .json and .hcl files are read in order of their names. May be repeated."},
    {"config-file", L, NULL, "Configuration file, .json or .hcl. May be repeated."},
    {"config-format", S, NULL, "Read all configuration files as this format: hcl or json."},
    {"data-dir", S, "data_dir", "Directory in which the agent keeps its state."},
    {"datacenter", S, "datacenter", "Datacenter this agent belongs to."},
    {"default-query-time", D, "default_query_time", "How long a blocking query waits when it does not say."},
    {"dev", B, NULL, "Development mode: one server, everything in memory."},
    {"disable-host-node-id", B, "disable_host_node_id", "Make the node's id at random instead of from the host's."},
    {"disable-keyring-file", B, "disable_keyring_file", "Do not keep the gossip keys in a file."},
    {"dns-port", I, "ports.dns", "Port of the DNS server; -1 turns it off."},
    {"domain", S, "domain", "Domain that the DNS server answers for."},
    {"enable-local-script-checks", B, "enable_local_script_checks", "Allow script checks that are defined in configuration files."},
    {"enable-script-checks", B, "enable_script_checks", "Allow script checks, those registered through the API included."},
    {"encrypt", S, "encrypt", "Key for the encryption of gossip, in base64."},
    {"grpc-port", I, "ports.grpc", "Port of the gRPC API (xDS for Envoy); -1 turns it off."},
    {"hcl", L, NULL, "A piece of configuration in HCL. May be repeated."},
    {"http-port", I, "ports.http", "Port of the HTTP API; -1 turns it off."},
    {"https-port", I, "ports.https", "Port of the HTTPS API; -1 turns it off."},
    {"join", L, "start_join", "Address of an agent to join at start. May be repeated."},
    {"join-wan", L, "start_join_wan", "Address of a server of another datacenter to join at start. May be repeated."},
    {"log-file", S, "log_file", "File that log lines are written to."},
    {"log-json", B, "log_json", "Write log lines as JSON."},
    {"log-level", S, "log_level", "Least level of the lines that are logged."},
    {"log-rotate-bytes", I, "log_rotate_bytes", "Size at which the log file is rotated."},
    {"log-rotate-duration", D, "log_rotate_duration", "Time after which the log file is rotated."},
    {"log-rotate-max-files", I, "log_rotate_max_files", "Number of rotated log files that are kept."},
    {"max-query-time", D, "max_query_time", "The longest a blocking query may wait; jitter comes on top, up to this."},
    {"node", S, "node_name", "Name of this node, unique in the cluster."},
    {"node-id", S, "node_id", "Id of this node, a UUID; by default made once and kept in the data directory."},
    {"node-meta", M, "node_meta", "Metadata of this node, as key:value. May be repeated."},
    {"non-voting-server", B, "read_replica", "Enterprise only; the old name of -read-replica."},
    {"pid-file", S, "pid_file", "File to write the process id to."},
    {"primary-gateway", L, "primary_gateways", "Address of a mesh gateway in the primary datacenter, to federate through. May be repeated."},
    {"protocol", I, "protocol", "Version of the gossip protocol."},
    {"raft-protocol", I, "raft_protocol", "Version of the Raft protocol."},
    {"read-replica", B, "read_replica", "Enterprise only: a server that does not vote."},
    {"recursor", L, "recursors", "DNS server to ask for names outside the domain. May be repeated."},
    {"rejoin", B, "rejoin_after_leave", "Join again although the agent left the cluster before."},
    {"retry-interval", D, "retry_interval", "Time between attempts to join."},
    {"retry-interval-wan", D, "retry_interval_wan", "Time between attempts to join other datacenters."},
    {"retry-join", L, "retry_join", "Address of an agent to join, tried until it works. May be repeated."},
    {"retry-join-wan", L, "retry_join_wan", "Address of a server of another datacenter to join, tried until it works. May be repeated."},
    {"retry-max", I, "retry_max", "Most attempts to join; 0 is no limit."},
    {"retry-max-wan", I, "retry_max_wan", "Most attempts to join other datacenters; 0 is no limit."},
    {"segment", S, "segment", "Enterprise only: network segment to join."},
    {"serf-lan-allowed-cidrs", L, "serf_lan_allowed_cidrs", "Network (CIDR) whose members may join the LAN pool. May be repeated."},
    {"serf-lan-bind", S, "serf_lan", "Address to listen at for LAN gossip."},
    {"serf-lan-port", I, "ports.serf_lan", "Port of LAN gossip."},
    {"serf-wan-allowed-cidrs", L, "serf_wan_allowed_cidrs", "Network (CIDR) whose members may join the WAN pool. May be repeated."},
    {"serf-wan-bind", S, "serf_wan", "Address to listen at for WAN gossip."},
    {"serf-wan-port", I, "ports.serf_wan", "Port of WAN gossip; -1 turns it off."},
    {"server", B, "server", "Run as a server."},
    {"server-port", I, "ports.server", "Port that servers are reached at by RPC."},
    {"syslog", B, "enable_syslog", "Log to syslog too."},
    {"ui", B, "ui_config.enabled", "Serve the built-in web UI."},
    {"ui-content-path", S, "ui_config.content_path", "URL path of the web UI; /ui/ by default."},
    {"ui-dir", S, "ui_config.dir", "Directory with the files of a web UI of one's own."},
    {NULL, B, NULL, NULL},
};
/* clang-format on */

static const struct config_flag *flag_find(const char *name)
{
    for (const struct config_flag *f = config_flag_table; f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0) {
            return f;
        }
    }
    return NULL;
}

static int invalid(struct err *err, const struct config_flag *flag, struct str text)
{
    struct buf quoted;
    buf_init(&quoted, 512);
    go_quote(&quoted, str_first(text, 100));
    if (flag->kind == CONFIG_FLAG_BOOL) {
        (void)err_set(err, ERR_INVALID,
                      "invalid boolean value %.*s for -%s: strconv.ParseBool: parsing %.*s: "
                      "invalid syntax",
                      STRF(buf_view(&quoted)), flag->name, STRF(buf_view(&quoted)));
    } else {
        (void)err_set(err, ERR_INVALID,
                      "invalid value %.*s for flag -%s: strconv.Atoi: parsing %.*s: invalid syntax",
                      STRF(buf_view(&quoted)), flag->name, STRF(buf_view(&quoted)));
    }
    buf_deinit(&quoted);
    return -ERR_INVALID;
}

static void list_add(struct arena *a, struct strlist *list, struct str text)
{
    struct str *v = ARENA_ARRAY(a, struct str, list->n + 1);
    for (size_t i = 0; i < list->n; i++) {
        v[i] = list->v[i];
    }
    v[list->n] = text;
    *list = (struct strlist){v, list->n + 1};
}

/* Flags that are no configuration themselves but say where it comes from. */
static void source_apply(struct config_flags *flags, const struct config_flag *flag,
                         struct str text, bool yes)
{
    if (strcmp(flag->name, "dev") == 0) {
        flags->is_dev = yes;
    } else if (strcmp(flag->name, "hcl") == 0) {
        list_add(&flags->arena, &flags->hcl, text);
    } else if (strcmp(flag->name, "config-format") == 0) {
        flags->format = text;
    } else {
        list_add(&flags->arena, &flags->paths, text);
    }
}

int config_flag_apply(struct config_flags *flags, const char *name, struct str text,
                      struct err *err)
{
    const struct config_flag *flag = flag_find(name);
    bool yes = false;
    int64_t number;
    if (flag == NULL) {
        return err_set(err, ERR_INVALID, "flag provided but not defined: -%s", name);
    }
    if (flags->n >= CONFIG_FLAG_VALUES_MAX || flags->paths.n >= CONFIG_FLAG_VALUES_MAX ||
        flags->hcl.n >= CONFIG_FLAG_VALUES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %u flags", CONFIG_FLAG_VALUES_MAX);
    }
    if ((flag->kind == CONFIG_FLAG_BOOL && str_parse_bool(text, &yes) < 0) ||
        (flag->kind == CONFIG_FLAG_INT && str_parse_i64(text, &number) < 0)) {
        return invalid(err, flag, text);
    }
    text = arena_str(&flags->arena, text);
    if (flag->key == NULL) {
        source_apply(flags, flag, text, yes);
    } else {
        struct config_flag_value value = {flag, text};
        vec_push(flags, value);
    }
    return 0;
}

void config_flags_deinit(struct config_flags *flags)
{
    flags->v = mem_free(flags->v);
    arena_deinit(&flags->arena);
    *flags = (struct config_flags){0};
}
