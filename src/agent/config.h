/* config.h - the agent's effective configuration: what defaults, -dev, files, -hcl fragments and
 * flags amount to, checked and resolved.
 *
 *     struct config_sources sources = config_sources_from_flags(&flags);
 *     struct agent_config *config = NULL;
 *     struct strlist warnings;
 *     if (config_load(&sources, &arena, &config, &warnings, &err) < 0) …
 *     … config->ports.http …
 *     config_unref(config);
 *
 * Immutable once loaded; counted with config_ref/config_unref from any thread; one arena holds all
 * of it. A reload loads a second one and asks config_diff_nonreloadable() which changes will not
 * take effect. Durations are nanoseconds. A port <= 0 (always -1) is disabled. Lists and maps that
 * were not given are empty. Addresses are resolved: templates expanded, 0.0.0.0 replaced where it
 * cannot be used. */
#pragma once
#include "agent/check_def.h"
#include "agent/service_def.h"
#include "schema/field.h"

struct err;
struct json_writer;

#define CONFIG_FILE_SIZE_MAX (16u * 1024u * 1024u)
#define CONFIG_FILES_MAX 4096u
#define CONFIG_SERVICES_MAX 65536u

/* A place to listen at or to be reached at. */
struct config_addr {
    struct str host; /* an IP address in canonical text, no brackets; empty: none (or a socket) */
    uint16_t port;
    struct str path; /* of a Unix socket; else empty */
};

struct config_addrlist {
    const struct config_addr *v;
    size_t n;
};

struct config_cidr {
    uint8_t ip[16];  /* IPv4 in the first four bytes */
    uint8_t ip_size; /* 4 or 16 */
    uint8_t bits;
    struct str text; /* canonical: 10.0.0.0/8 */
};

struct config_cidrlist {
    const struct config_cidr *v;
    size_t n;
};

/* True when the IP address in text lies in one of the networks. */
bool config_cidrs_contain(struct config_cidrlist cidrs, struct str ip);

struct config_duration_pair {
    struct str key;
    int64_t value;
};

struct config_ports { /* -1: disabled */
    int64_t dns, http, https, grpc, server, serf_lan, serf_wan;
    int64_t proxy_min, proxy_max, sidecar_min, sidecar_max, expose_min, expose_max;
};

struct config_addresses {
    struct str bind;                                 /* cluster traffic */
    struct strlist client;                           /* client_addr, expanded */
    struct str advertise, advertise_wan;             /* what others should dial */
    struct config_addrlist dns, http, https, grpc;   /* TCP (dns: UDP too) and Unix sockets */
    struct config_addr rpc_bind, rpc_advertise;      /* port 0: server port disabled */
    struct config_addr serf_bind_lan, serf_bind_wan; /* wan: host empty when disabled */
    struct config_addr serf_advertise_lan, serf_advertise_wan;
    struct strmap tagged; /* tagged_addresses: lan, wan, lan_ipv4, … and the user's */
};

struct config_dns {
    struct str domain, alt_domain; /* domain as given, e.g. "consul." */
    struct strlist recursors;
    bool allow_stale, disable_compression, enable_truncate, only_passing, node_meta_txt, use_cache;
    int64_t a_record_limit, udp_answer_limit;
    int64_t max_stale, node_ttl, recursor_timeout, cache_max_age;
    const struct config_duration_pair *service_ttl; /* by name; "*" and prefixes "x*" as given */
    size_t service_ttl_count;
    uint64_t soa_refresh, soa_retry, soa_expire, soa_min_ttl;
};

struct config_http {
    struct strlist block_endpoints;
    struct config_cidrlist allow_write_from;
    struct strmap response_headers;
    bool use_cache;
    int64_t max_header_bytes; /* 0: Go's default of 1 MiB */
};

struct config_limits {
    int64_t http_max_conns_per_client, rpc_max_conns_per_client, rpc_max_burst;
    int64_t https_handshake_timeout, rpc_handshake_timeout;
    double rpc_rate; /* requests per second; < 0: no limit */
    uint64_t kv_max_value_size, txn_max_req_len;
};

struct config_log {
    struct str level; /* as given, e.g. "INFO" */
    bool json, syslog;
    struct str file, syslog_facility;
    int64_t rotate_duration, rotate_bytes, rotate_max_files;
};

struct config_telemetry {
    struct str circonus_api_app, circonus_api_token, circonus_api_url, circonus_broker_id,
        circonus_broker_select_tag, circonus_check_display_name,
        circonus_check_force_metric_activation, circonus_check_id, circonus_check_instance_id,
        circonus_check_search_tag, circonus_check_tags, circonus_submission_interval,
        circonus_submission_url;
    bool disable_compat_one_nine, disable_hostname, filter_default;
    struct str dogstatsd_addr, statsd_addr, statsite_addr, metrics_prefix;
    struct strlist dogstatsd_tags;
    struct strlist allowed_prefixes, blocked_prefixes; /* prefix_filter without its + and - */
    int64_t prometheus_retention_time;
};

struct config_gossip {
    int64_t gossip_interval, probe_interval, probe_timeout;
    int64_t gossip_nodes, suspicion_mult, retransmit_mult;
};

struct config_acl {
    bool enabled, enable_token_replication, enable_key_list_policy, enable_token_persistence;
    struct str default_policy, down_policy;
    int64_t token_ttl, policy_ttl, role_ttl, disabled_ttl;
    struct str master_token, replication_token, agent_master_token, default_token, agent_token;
};

struct config_tls {
    struct str ca_file, ca_path, cert_file, key_file, server_name;
    struct str cipher_suites; /* as given, checked */
    struct str min_version;   /* tls10, tls11, tls12, tls13 */
    bool prefer_server_cipher_suites;
    bool verify_incoming, verify_incoming_rpc, verify_incoming_https;
    bool verify_outgoing; /* implied by verify_server_hostname */
    bool verify_server_hostname, enable_agent_tls_for_checks;
};

struct config_header {
    struct str name, value;
};

struct config_ui {
    bool enabled;
    struct str dir;
    struct str content_path; /* with a slash at both ends */
    struct str metrics_provider, metrics_provider_options_json;
    struct strlist metrics_provider_files;
    struct str metrics_proxy_base_url;
    struct strlist metrics_proxy_path_allowlist;
    const struct config_header *metrics_proxy_add_headers;
    size_t metrics_proxy_add_header_count;
    struct strmap dashboard_url_templates;
};

struct config_raft {
    int64_t multiplier; /* already applied to the three timeouts */
    int64_t election_timeout, heartbeat_timeout, leader_lease_timeout;
    int64_t protocol, snapshot_threshold, snapshot_interval, trailing_logs;
};

struct config_autopilot {
    bool cleanup_dead_servers, disable_upgrade_migration;
    int64_t last_contact_threshold, server_stabilization_time;
    int64_t max_trailing_logs;
    uint64_t min_quorum;
    struct str redundancy_zone_tag, upgrade_version_tag;
};

struct config_connect {
    bool enabled, enable_mesh_gateway_wan_federation;
    struct str ca_provider;
    const struct value *ca_config; /* a map with CamelCase keys, or NULL */
    int64_t test_ca_leaf_root_change_spread;
};

struct config_auto_encrypt {
    bool tls, allow_tls;
    struct strlist dns_san, ip_san;
};

struct config_auto_config {
    bool enabled;
    struct str intro_token, intro_token_file;
    struct strlist server_addresses, dns_sans, ip_sans;
    bool authorization_enabled, allow_reuse;
    struct strlist claim_assertions;
    struct strlist jwt_supported_algs, bound_audiences, jwt_validation_pub_keys;
    struct strmap claim_mappings, list_claim_mappings;
    struct str oidc_discovery_url, oidc_discovery_ca_cert, jwks_url, jwks_ca_cert, bound_issuer;
    int64_t expiration_leeway, not_before_leeway, clock_skew_leeway;
};

struct config_join { /* one for the LAN, one for the WAN */
    struct strlist start, retry;
    int64_t retry_interval, retry_max;
};

struct config_checks {
    int64_t update_interval, output_max_size;
    bool discard_output;
    bool enable_remote_script, enable_local_script;
    int64_t reap_interval, deregister_interval_min; /* not the user's to set */
};

struct config_coordinates {
    bool disabled;
    int64_t update_batch_size, update_max_batches, update_period;
    double sync_rate_target;
    int64_t sync_interval_min;
};

struct agent_config {
    struct config_ports ports;
    struct config_addresses addresses;
    struct config_dns dns;
    struct config_http http;
    struct config_limits limits;
    struct config_log log;
    struct config_telemetry telemetry;
    struct config_gossip gossip_lan, gossip_wan;
    struct config_acl acl;
    struct config_tls tls;
    struct config_ui ui;
    struct config_raft raft;
    struct config_autopilot autopilot;
    struct config_connect connect;
    struct config_auto_encrypt auto_encrypt;
    struct config_auto_config auto_config;
    struct config_join join_lan, join_wan;
    struct config_checks checks_config;
    struct config_coordinates coordinates;

    bool is_dev, is_server, bootstrap, rejoin_after_leave, leave_on_terminate,
        skip_leave_on_interrupt, disable_host_node_id, disable_anonymous_signature,
        disable_update_check, disable_keyring_file, disable_remote_exec,
        disable_http_unprintable_char_filter, enable_debug, enable_central_service_config,
        translate_wan_addrs, use_streaming_backend, rpc_enable_streaming, read_replica;
    int64_t bootstrap_expect; /* 1 has become `bootstrap` */
    struct str datacenter, primary_datacenter;
    struct str node_name;
    struct str node_id; /* as configured, or empty: see config_setup_node_id() */
    struct strmap node_meta;
    struct str data_dir, pid_file;
    struct str encrypt; /* base64 of the gossip key, or empty */
    bool encrypt_verify_incoming, encrypt_verify_outgoing;
    struct config_cidrlist serf_lan_allowed_cidrs, serf_wan_allowed_cidrs;
    int64_t rpc_protocol;
    int64_t default_query_time, max_query_time, discovery_max_stale, session_ttl_min;
    int64_t leave_drain_time, rpc_hold_timeout;
    int64_t reconnect_timeout_lan, reconnect_timeout_wan, advertise_reconnect_timeout;
    int64_t ae_interval, server_health_interval;
    int64_t cache_entry_fetch_max_burst;
    double cache_entry_fetch_rate; /* INFINITY: no limit */
    struct strlist primary_gateways;
    int64_t primary_gateways_interval;
    struct str unix_sockets_user, unix_sockets_group, unix_sockets_mode;
    struct str segment;
    int64_t segment_limit, segment_name_limit;
    struct str version, version_prerelease, revision;

    struct objlist services;                 /* struct service_def */
    struct objlist checks;                   /* struct check_def */
    struct objlist watches;                  /* const struct value: one map each, keys as given */
    struct objlist config_entries_bootstrap; /* struct value: one map each, as they were written */
    struct ptrlist config_entries; /* struct config_entry: the same, normalized and validated */

    struct arena arena; /* holds all of the above */
    _Atomic uint64_t ref_count;
};

struct agent_config *config_ref(struct agent_config *config);
struct agent_config *config_unref(struct agent_config *config); /* accepts, returns NULL */
DEFINE_CLEANUP(struct agent_config, config_unref)

/* --- loading ------------------------------------------------------------------------------- */

struct config_flags; /* values given on the command line: config_flags.h */

struct config_sources {
    struct strlist paths;             /* -config-file and -config-dir, in the order given */
    struct str format;                /* -config-format: "", "hcl" or "json" */
    struct strlist hcl;               /* -hcl fragments; they win over everything before */
    const struct config_flags *flags; /* may be NULL */
    bool is_dev;
    struct strlist overrides; /* HCL that wins over everything, even what users cannot set: tests */
    /* For tests; when empty the system is asked. */
    struct str hostname;
    struct strlist private_ipv4, public_ipv6;
    bool addresses_given; /* the two lists above are the answer, even when empty */
};

/* The sources that a command line names. Borrows from the flags. */
struct config_sources config_sources_from_flags(const struct config_flags *flags);

/* Read, merge, resolve and check. Warnings are allocated in `a`; *ret_warnings is set on failure
 * too (whatever was collected by then). */
NODISCARD int config_load(const struct config_sources *sources, struct arena *a,
                          struct agent_config **ret_config, struct strlist *ret_warnings,
                          struct err *err);

/* The keys (dotted, as in a configuration file) whose values differ and that a reload does not
 * change in a running agent, allocated in `a`. */
struct strlist config_diff_nonreloadable(struct arena *a, const struct agent_config *running,
                                         const struct agent_config *loaded);

/* --- node id and data directory -------------------------------------------------------------- */

/* Make the data directory (mode 0755, parents too) unless there is none to make (-dev). */
NODISCARD int config_setup_data_dir(const struct agent_config *config, struct err *err);
/* The node's id, lower case: the configured one, else the one kept in <data_dir>/node-id, else one
 * made from the host's id or at random, and kept there. ret_id holds UUID_TEXT_SIZE bytes and a
 * NUL. */
#define CONFIG_NODE_ID_SIZE 37u
NODISCARD int config_setup_node_id(const struct agent_config *config,
                                   char ret_id[CONFIG_NODE_ID_SIZE], struct err *err);

/* --- what others ask of it ------------------------------------------------------------------- */

/* The configuration as /v1/agent/self shows it in DebugConfig: Consul's names, secrets "hidden". */
void config_write_debug(struct json_writer *w, const struct agent_config *config,
                        struct str node_id);
/* The URL of this agent's own HTTP API, for watches: "http://127.0.0.1:8500", "unix:///path", and
 * "https://..." where there is no other; empty when both are off. Allocated in `a`. */
struct str config_api_url(struct arena *a, const struct agent_config *config);
