#include "agent/config.h"

#include "agent/config_flags.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "schema/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a load and all it takes
 * ------------------------------------------------------------------------- */

struct load {
    struct arena a;
    struct agent_config *config;
    struct strlist warnings;
    struct err err;
    int rc;
};

static void load_deinit(struct load *l)
{
    l->config = config_unref(l->config);
    arena_deinit(&l->a);
}

static void load_init(struct load *l, const struct config_sources *sources)
{
    static const struct str address[] = {STR_INIT("10.1.2.3")};
    struct config_sources s = *sources;
    *l = (struct load){0};
    if (!s.addresses_given) {
        s.addresses_given = true;
        s.private_ipv4 = (struct strlist){address, 1};
    }
    if (s.hostname.n == 0) {
        s.hostname = STR("host1");
    }
    l->rc = config_load(&s, &l->a, &l->config, &l->warnings, &l->err);
}

/* Fragments of HCL on top of a data directory and an address. */
static void load_hcl(struct load *l, const char *first, const char *second)
{
    struct str texts[] = {STR("data_dir = \"data\" bind_addr = \"127.0.0.1\""),
                          str_from_cstr(first), str_from_cstr(second)};
    struct str joined[3];
    struct arena a = {0};
    joined[0] = arena_printf(&a, "%.*s %.*s", STRF(texts[0]), STRF(texts[1]));
    joined[1] = texts[2];
    struct config_sources s = {.hcl = {joined, second != NULL ? 2 : 1}};
    load_init(l, &s);
    arena_deinit(&a);
}

static void load_ok(struct load *l, const char *first, const char *second)
{
    load_hcl(l, first, second);
    if (l->rc < 0) {
        print_error("# %s\n", err_text(&l->err));
    }
    assert_int_equal(l->rc, 0);
}

static void assert_str(struct str got, const char *want)
{
    struct buf b = {0};
    buf_str(&b, got);
    buf_byte(&b, '\0');
    assert_string_equal(b.p, want);
    buf_deinit(&b);
}

static void assert_strs(struct strlist got, const char *want)
{
    struct buf b = {0};
    for (size_t i = 0; i < got.n; i++) {
        buf_printf(&b, "%s%.*s", i > 0 ? "|" : "", STRF(got.v[i]));
    }
    buf_byte(&b, '\0');
    assert_string_equal(b.p, want);
    buf_deinit(&b);
}

/* --- errors and warnings
 * ------------------------------------------------------------------------------- */

/* What is refused, and in which words; W: accepted, with these warnings. */
static void test_faults(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *hcl, *want;
    } examples[] = {
        {"foo=1 bar { a = 1 }",
         "failed to parse flags-0.hcl: 2 errors occurred:\n\t* invalid config key bar\n\t* invalid config key foo"},
        {"ports { htp=1 http=\"x\" }",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'ports.http' expected type 'int', got unconvertible type 'string', value: 'x'"},
        {"ports { htp=1 }",
         "failed to parse flags-0.hcl: 1 error occurred:\n\t* invalid config key ports.htp"},
        {"datacenter = 5",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'datacenter' expected type 'string', got unconvertible type 'int', value: '5'"},
        {"datacenter = [\"dc1\",\"b\"]",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'datacenter' expected type 'string', got unconvertible type '[]interface {}', value: '[dc1 b]'"},
        {"bootstrap_expect = \"3\"",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'bootstrap_expect' expected type 'int', got unconvertible type 'string', value: '3'"},
        {"bootstrap_expect = 3.7 server=true",
         "W bootstrap_expect > 0: expecting 3 servers"},
        {"server = \"yes\" retry_join = \"x\" node_meta { a = 1 }",
         "failed to parse flags-0.hcl: 3 error(s) decoding:\n\n* 'node_meta[a]' expected type 'string', got unconvertible type 'int', value: '1'\n* 'retry_join': source data must be an array or slice, got string\n* 'server' expected type 'bool', got unconvertible type 'string', value: 'yes'"},
        {"node_meta = \"x\"",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'node_meta' expected a map, got 'string'"},
        {"ports = 3",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'ports' expected a map, got 'int'"},
        {"autopilot { min_quorum = -1 }",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* cannot parse 'autopilot.min_quorum', -1 overflows uint"},
        {"limits { rpc_rate = \"fast\" kv_max_value_size = 1.5 }",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'limits.rpc_rate' expected type 'float64', got unconvertible type 'string', value: 'fast'"},
        {"services = [{ name = \"x\" bogus = 1, checks = [{ttl=\"1s\" zz=1}] }]",
         "failed to parse flags-0.hcl: 2 errors occurred:\n\t* invalid config key services[0].bogus\n\t* invalid config key services[0].checks[0].zz"},
        {"service { name = \"x\" check { interval = \"5\" http=\"http://x\"} }",
         "1 error occurred:\n\t* check[].interval: invalid duration: \"5\": time: missing unit in duration \"5\""},
        {"service { name = \"x\" port = 3 socket_path=\"/x\" }",
         "1 error occurred:\n\t* service x cannot have both socket path /x and address/port"},
        {"service { name = \"x\" meta { \"a b\" = \"c\" } }",
         "1 error occurred:\n\t* invalid meta for service x: Couldn't load metadata pair ('a b', 'c'): Key contains invalid characters"},
        {"service { name = \"x\" weights { passing = 0 } }",
         "1 error occurred:\n\t* Invalid weight definition for service x: Passing must be greater than 0"},
        {"service { name = \"x\" weights { passing = 70000 } }",
         "1 error occurred:\n\t* Invalid weight definition for service x: DNS Weight must be between 0 and 65535"},
        {"service { name = \"x\" kind = \"connect-proxy\" }",
         "service \"x\": 2 errors occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n\t* Port or SocketPath must be set for a Connect proxy"},
        {"service { name = \"x\" kind = \"connect-proxy\" port=3 proxy { destination_service_name=\"a\" upstreams=[{destination_name=\"b\"},{destination_name=\"c\" local_bind_port=1},{destination_name=\"c\" local_bind_port=2},{destination_name=\"d\" local_bind_port=1}] expose { paths=[{path=\"\" listener_port=0},{path=\"/x\" listener_port=70000}] } } }",
         "service \"x\": 6 errors occurred:\n\t* upstream local bind port or local socket path must be defined and nonzero\n\t* upstreams cannot contain duplicates of [type=\"service\", name=\"c\", namespace=\"\", datacenter=\"\"]\n\t* upstreams cannot contain duplicates by local bind address and port or unix path; \"127.0.0.1:1\" is specified twice\n\t* expose.paths: empty path exposed\n\t* expose.paths: invalid listener port: 0\n\t* expose.paths: invalid listener port: 70000"},
        {"service { name = \"x\" kind = \"mesh-gateway\" proxy { destination_service_name=\"a\" } connect { sidecar_service { } } }",
         "service \"x\": 3 errors occurred:\n\t* Port must be non-zero for a mesh-gateway\n\t* A mesh-gateway cannot have a sidecar service defined\n\t* The Proxy.DestinationServiceName configuration is invalid for a mesh-gateway"},
        {"service { name = \"x\" connect { sidecar_service { id = \"q\" connect { sidecar_service {} } } } }",
         "2 errors occurred:\n\t* sidecar_service can't specify an ID\n\t* sidecar_service can't have a nested sidecar_service"},
        {"service { name = \"x\" proxy { mode=\"weird\" mesh_gateway { mode=\"zz\" } } }",
         "2 errors occurred:\n\t* Invalid Mesh Gateway Mode: \"zz\"\n\t* Invalid Proxy Mode: \"weird\""},
        {"check { name = \"x\" ttl = \"abc\" }",
         "1 error occurred:\n\t* check[].ttl: invalid duration: \"abc\": time: invalid duration \"abc\""},
        {"check { name = \"x\" ttl = \"5x\" timeout=\"\" }",
         "1 error occurred:\n\t* check[].ttl: invalid duration: \"5x\": time: unknown unit \"x\" in duration \"5x\""},
        {"default_query_time=\"10\" max_query_time=\"x\"",
         "1 error occurred:\n\t* max_query_time: invalid duration: \"x\": time: invalid duration \"x\""},
        {"default_query_time=\"10\" client_addr=\"bogus\" ports { dns = 70000 }",
         "1 error occurred:\n\t* default_query_time: invalid duration: \"10\": time: missing unit in duration \"10\""},
        {"client_addr=\"bogus\" ports { dns = 70000 }",
         "2 errors occurred:\n\t* ports.dns: invalid port: 70000\n\t* client_addr: invalid ip address: bogus"},
        {"client_addr=\"unix:///x\"",
         "1 error occurred:\n\t* client_addr cannot be a unix socket"},
        {"addresses { dns=\"unix:///x\" }",
         "DNS address cannot be a unix socket"},
        {"ports { http=8600 }",
         "HTTP address 127.0.0.1:8600 already configured for DNS"},
        {"ports { serf_lan=8300 }",
         "Serf Advertise LAN address 127.0.0.1:8300 already configured for RPC Advertise"},
        {"ports { server=-1 serf_lan=-1 }",
         "Serf Advertise LAN address 127.0.0.1:-1 already configured for RPC Advertise"},
        {"advertise_addr=\"0.0.0.0\"",
         "Advertise address cannot be 0.0.0.0, :: or [::]"},
        {"advertise_addr=\"1.2.3.4 1.2.3.5\"",
         "2 errors occurred:\n\t* advertise_addr: multiple addresses found: 1.2.3.4 1.2.3.5\n\t* advertise_addr: multiple addresses found: 1.2.3.4 1.2.3.5"},
        {"advertise_addr_ipv4=\"::1\"",
         "advertise_addr_ipv4 must be an ipv4 address"},
        {"advertise_addr_ipv6=\"1.2.3.4\"",
         "advertise_addr_ipv6 must be an ipv6 address"},
        {"bind_addr=\"1.2.3.4 1.2.3.5\"",
         "bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead."},
        {"bind_addr=\"unix:///a\"",
         "bind_addr cannot be a unix socket"},
        {"primary_gateways=[\"a\"]",
         "'primary_gateways' requires 'server = true'"},
        {"raft_protocol=2",
         "raft_protocol version 2 is not supported by this version of Consul"},
        {"performance { raft_multiplier = 11 }",
         "performance.raft_multiplier cannot be 11. Must be between 1 and 10"},
        {"performance { raft_multiplier = 0 }",
         "performance.raft_multiplier cannot be 0. Must be between 1 and 10"},
        {"ui_config { enabled=true dir=\"/x\" }",
         "Both the ui_config.enabled and ui_config.dir (or -ui and -ui-dir) were specified, please provide only one.\nIf trying to use your own web UI resources, use ui_config.dir or the -ui-dir flag.\nThe web UI is included in the binary so use ui_config.enabled or the -ui flag to enable it"},
        {"ui_config { content_path=\"/v1/\" }",
         "ui-content-path cannot have 'v[0-9]'. received: \"/v1/\""},
        {"ui_config { metrics_provider=\"A b\" }",
         "ui_config.metrics_provider can only contain lowercase alphanumeric, - or _ characters. received: \"A b\""},
        {"ui_config { metrics_provider_options_json=\"[]\" }",
         "ui_config.metrics_provider_options_json must be empty or a string containing a valid JSON object. received: \"[]\""},
        {"ui_config { metrics_proxy { base_url=\"ftp://x\" } }",
         "ui_config.metrics_proxy.base_url must be a valid http or https URL. received: \"ftp://x\""},
        {"ui_config { metrics_proxy { path_allowlist=[\"x\"] } }",
         "ui_config.metrics_proxy.path_allowlist: path \"x\" is not an absolute path"},
        {"ui_config { dashboard_url_templates { service=\"x\" } }",
         "ui_config.dashboard_url_templates values must be a valid http or https URL. received: \"\""},
        {"ui=true ui_dir=\"/x\"",
         "Both the ui_config.enabled and ui_config.dir (or -ui and -ui-dir) were specified, please provide only one.\nIf trying to use your own web UI resources, use ui_config.dir or the -ui-dir flag.\nThe web UI is included in the binary so use ui_config.enabled or the -ui flag to enable it"},
        {"node_meta { \"consul-x\" = \"y\" }",
         "node_meta invalid: Couldn't load metadata pair ('consul-x', 'y'): Key prefix 'consul-' is reserved for internal use"},
        {"node_name=\"a b\" ",
         "W Node name \"a b\" will not be discoverable via DNS due to invalid characters. Valid characters include all alpha-numerics and dashes."},
        {"node_name=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
         "W Node name \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" will not be discoverable via DNS due to it being too long. Valid lengths are between 1 and 63 bytes."},
        {"server=true bootstrap=true",
         "W bootstrap = true: do not enable unless necessary"},
        {"server=true bootstrap_expect=2",
         "W bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. See https://www.consul.io/docs/internals/consensus.html#deployment-table|bootstrap_expect > 0: expecting 2 servers"},
        {"server=true bootstrap_expect=4",
         "W bootstrap_expect is even number: A cluster with an even number of servers does not achieve optimum fault tolerance. See https://www.consul.io/docs/internals/consensus.html#deployment-table|bootstrap_expect > 0: expecting 4 servers"},
        {"server=true bootstrap_expect=1",
         "W BootstrapExpect is set to 1; this is the same as Bootstrap mode.|bootstrap = true: do not enable unless necessary"},
        {"connect { ca_provider=\"foo\" }",
         "foo is not a valid CA provider"},
        {"connect { ca_provider=\"vault\" }",
         "must provide a Vault token"},
        {"connect { ca_provider=\"consul\" ca_config { leaf_cert_ttl=\"1m\" } }",
         "leaf cert TTL must be greater or equal than 1h0m0s"},
        {"connect { ca_provider=\"consul\" ca_config { private_key_type=\"rsa\" private_key_bits=1024 } }",
         "RSA key length must be 2048 or 4096 bits"},
        {"connect { ca_provider=\"consul\" ca_config { root_cert=\"x\" } }",
         "must provide a private key when providing a root cert"},
        {"connect { ca_provider=\"consul\" ca_config { leaf_cert_ttl=\"48h\" intermediate_cert_ttl=\"24h\" } }",
         "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL (>=144h0m0s)."},
        {"connect { enable_mesh_gateway_wan_federation=true }",
         "'connect.enable_mesh_gateway_wan_federation=true' requires 'connect.enabled=true'"},
        {"auto_encrypt { allow_tls=true }",
         "auto_encrypt.allow_tls can only be used on a server."},
        {"auto_encrypt { allow_tls=true } server=true",
         "W if auto_encrypt.allow_tls is turned on, either verify_incoming or verify_incoming_rpc should be enabled. It is necessary to turn it off during a migration to TLS, but it should definitely be turned on afterwards."},
        {"auto_encrypt { tls=true } server=true",
         "auto_encrypt.tls can only be used on a client."},
        {"auto_config { enabled=true }",
         "auto_config.enabled cannot be set without configuring TLS for server communications"},
        {"verify_outgoing=true auto_config { enabled=true }",
         "One of auto_config.intro_token, auto_config.intro_token_file or the CONSUL_INTRO_TOKEN environment variable must be set to enable auto_config"},
        {"verify_outgoing=true auto_config { enabled=true intro_token=\"x\" intro_token_file=\"y\"}",
         "auto_config.enabled is set without providing a list of addresses"},
        {"auto_config { authorization { enabled=true } }",
         "auto_config.authorization.enabled cannot be set to true for client agents"},
        {"enable_script_checks=true",
         "W using enable-script-checks without ACLs and without allow_write_http_from is DANGEROUS, use enable-local-script-checks instead, see https://www.hashicorp.com/blog/protecting-consul-from-rce-risk-in-specific-configurations/"},
        {"tls_cipher_suites=\"abc\"",
         "1 error occurred:\n\t* tls_cipher_suites: invalid tls cipher suites: unsupported cipher \"abc\""},
        {"telemetry { prefix_filter=[\"\",\"x\",\"+a\"] }",
         "W Cannot have empty filter rule in prefix_filter|Filter rule must begin with either '+' or '-': \"x\""},
        {"segment=\"x\"",
         "Network segments are not supported in this version of Consul"},
        {"segments=[{name=\"a\" port=5}]",
         "Network segments are not supported in this version of Consul"},
        {"read_replica=true audit { enabled=true } license_path=\"/x\" autopilot { redundancy_zone_tag=\"z\" disable_upgrade_migration=true upgrade_version_tag=\"q\" } acl { msp_disable_bootstrap=true tokens { managed_service_provider=[{accessor_id=\"a\" secret_id=\"b\"}] } } dns_config { prefer_namespace=true }",
         "W \"read_replica (or the deprecated non_voting_server)\" is a Consul Enterprise configuration and will have no effect|\"autopilot.redundancy_zone_tag\" is a Consul Enterprise configuration and will have no effect|\"autopilot.upgrade_version_tag\" is a Consul Enterprise configuration and will have no effect|\"autopilot.disable_upgrade_migration\" is a Consul Enterprise configuration and will have no effect|\"dns_config.prefer_namespace\" is a Consul Enterprise configuration and will have no effect|\"acl.msp_disable_bootstrap\" is a Consul Enterprise configuration and will have no effect|\"acl.tokens.managed_service_provider\" is a Consul Enterprise configuration and will have no effect|\"audit\" is a Consul Enterprise configuration and will have no effect|\"license_path\" is a Consul Enterprise configuration and will have no effect"},
        {"acl_enforce_version_8=true",
         "W config key \"acl_enforce_version_8\" is deprecated and should be removed"},
        {"dns_config { service_ttl { a=\"x\" } udp_answer_limit=-1 }",
         "dns_config.udp_answer_limit cannot be -1. Must be greater than or equal to zero"},
        {"dns_config { udp_answer_limit=-1 }",
         "dns_config.udp_answer_limit cannot be -1. Must be greater than or equal to zero"},
        {"recursors=[\"unix:///x\"]",
         "DNS Recursors cannot be unix sockets: unix:///x"},
        {"recursors=[\"0.0.0.0\"]",
         "DNS recursor address cannot be 0.0.0.0, :: or [::]"},
        {"check_output_max_size=0",
         "check_output_max_size must be positive, to discard check output use the discard_check_output flag"},
        {"cache { entry_fetch_rate=0 }",
         "cache.entry_fetch_rate must be strictly positive, was: 0"},
        {"cache { entry_fetch_max_burst=0 }",
         "cache.entry_fetch_max_burst must be strictly positive, was: 0"},
        {"cache { entry_fetch_rate=-1.5 }",
         "cache.entry_fetch_rate must be strictly positive, was: -1.5"},
        {"serf_wan_allowed_cidrs=[\"a\",\"b\"]",
         "serf_wan_allowed_cidrs: 2 errors occurred:\n\t* invalid cidr: a\n\t* invalid cidr: b"},
        {"http_config { allow_write_http_from=[\"a\",\"b\"] }",
         "2 errors occurred:\n\t* allow_write_http_from: invalid cidr: a\n\t* allow_write_http_from: invalid cidr: b"},
        {"rpc { enable_streaming=true } use_streaming_backend=true",
         "W rpc.enable_streaming = true has no effect when not running in server mode"},
        {"server=true rpc { enable_streaming=false }",
         "W use_streaming_backend = true requires rpc.enable_streaming on servers to work properly"},
        {"advertise_reconnect_timeout=\"3s\" server=true",
         "advertise_reconnect_timeout can only be used on a client"},
        {"ports { proxy_min_port=5 proxy_max_port=3 }",
         "proxy_min_port must be less than proxy_max_port. To disable, set both to zero."},
        {"watches = \"x\"",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'watches': source data must be an array or slice, got string"},
        {"watches = [1]",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'watches[0]' expected a map, got 'int'"},
        {"ports { http=1 } ports { dns=2 }",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'ports' expected a map, got 'slice'"},
        {"service { name=\"a\" } service { name=\"b\" }",
         "failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* 'service' expected a map, got 'slice'"},
        {"service \"x\" { name=\"a\" }",
         "failed to parse flags-0.hcl: 1 error occurred:\n\t* invalid config key service.x"},
        {"encrypt=\"abc!\"",
         "encrypt has invalid key: illegal base64 data at input byte 3"},
        {"encrypt=\"abc\"",
         "encrypt has invalid key: illegal base64 data at input byte 0"},
        {"check { scriptargs=[\"a\"] interval=\"3s\" TTL=\"x\" }",
         "1 error occurred:\n\t* check[].ttl: invalid duration: \"x\": time: invalid duration \"x\""},
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        struct load l;
        struct buf got = {0};
        load_hcl(&l, examples[i].hcl, NULL);
        if (l.rc == 0) {
            buf_lit(&got, "W ");
            for (size_t j = 0; j < l.warnings.n; j++) {
                buf_printf(&got, "%s%.*s", j > 0 ? "|" : "", STRF(l.warnings.v[j]));
            }
        } else {
            buf_str(&got, str_trim(str_from_cstr(err_text(&l.err))));
        }
        buf_byte(&got, '\0');
        if (strcmp(got.p, examples[i].want) != 0) {
            print_error("# in: %s\n", examples[i].hcl);
        }
        assert_string_equal(got.p, examples[i].want);
        buf_deinit(&got);
        load_deinit(&l);
    }
}

static void test_required(void **state)
{
    (void)state;
    struct load l;
    struct config_sources s = {0};
    load_init(&l, &s);
    assert_true(l.rc < 0);
    assert_string_equal(err_text(&l.err), "data_dir cannot be empty");
    load_deinit(&l);
    s.format = STR("yaml");
    load_init(&l, &s);
    assert_string_equal(err_text(&l.err), "config: -config-format must be either 'hcl' or 'json'");
    load_deinit(&l);
}

/* --- values
 * ---------------------------------------------------------------------------------------------- */

static void test_defaults(void **state)
{
    (void)state;
    struct load l;
    load_ok(&l, "", NULL);
    const struct agent_config *c = l.config;
    assert_false(c->is_server);
    assert_false(c->is_dev);
    assert_str(c->datacenter, "dc1");
    assert_str(c->primary_datacenter, "dc1");
    assert_str(c->node_name, "host1");
    assert_str(c->dns.domain, "consul.");
    assert_str(c->acl.default_policy, "allow");
    assert_str(c->acl.down_policy, "extend-cache");
    assert_int_equal(c->acl.token_ttl, 30 * 1000000000ll);
    assert_int_equal(c->acl.disabled_ttl, 120 * 1000000000ll);
    assert_int_equal(c->ports.http, 8500);
    assert_int_equal(c->ports.https, -1);
    assert_int_equal(c->ports.grpc, -1);
    assert_int_equal(c->raft.multiplier, 5);
    assert_int_equal(c->raft.election_timeout, 5 * 1000000000ll);
    assert_int_equal(c->raft.leader_lease_timeout, 2500 * 1000000ll);
    assert_int_equal(c->gossip_wan.suspicion_mult, 6);
    assert_int_equal(c->limits.kv_max_value_size, 524288);
    assert_true(c->limits.rpc_rate < 0);
    assert_true(c->dns.allow_stale && c->dns.node_meta_txt && c->http.use_cache);
    assert_true(c->leave_on_terminate);
    assert_false(c->skip_leave_on_interrupt);
    assert_false(c->rpc_enable_streaming);
    assert_true(c->use_streaming_backend);
    assert_true(c->cache_entry_fetch_rate > 1e300);
    assert_str(c->ui.content_path, "/ui/");
    assert_str(c->version, CONSUL_VERSION);
    assert_int_equal(c->ae_interval, 60 * 1000000000ll);
    assert_strs(c->addresses.client, "127.0.0.1");
    assert_int_equal(c->addresses.http.n, 1);
    assert_int_equal(c->addresses.https.n, 0);
    load_deinit(&l);
}

static void test_dev(void **state)
{
    (void)state;
    struct load l;
    struct config_sources s = {.is_dev = true};
    load_init(&l, &s);
    assert_int_equal(l.rc, 0);
    const struct agent_config *c = l.config;
    assert_true(c->is_dev && c->is_server && c->connect.enabled && c->ui.enabled);
    assert_true(c->disable_keyring_file && c->enable_debug);
    assert_str(c->addresses.bind, "127.0.0.1");
    assert_str(c->addresses.advertise, "127.0.0.1");
    assert_str(c->log.level, "DEBUG");
    assert_int_equal(c->ports.grpc, 8502);
    assert_int_equal(c->raft.election_timeout, 52 * 1000000);
    assert_int_equal(c->gossip_lan.probe_interval, 100 * 1000000);
    assert_false(c->leave_on_terminate);
    assert_true(c->skip_leave_on_interrupt && c->rpc_enable_streaming);
    assert_int_equal(l.warnings.n, 0);
    load_deinit(&l);
}

static void test_merge(void **state)
{
    (void)state;
    struct load l;
    load_ok(&l,
            "datacenter = \"ONE\" retry_join = [\"a\"] node_meta { x = \"1\" y = \"2\" } "
            "ports { http = 1 dns = 2 } dns_config { soa { refresh = 1 retry = 2 } } "
            "check { name = \"c1\" ttl = \"1s\" }",
            "datacenter = \"TWO\" retry_join = [\"b\", \"c\"] node_meta { y = \"3\" } "
            "ports { dns = 3 } dns_config { soa { refresh = 4 } } "
            "check { name = \"c2\" ttl = \"1s\" } checks = [{ name = \"c3\" ttl = \"1s\" }]");
    const struct agent_config *c = l.config;
    struct str value;
    assert_str(c->datacenter, "two");
    assert_strs(c->join_lan.retry, "a|b|c");
    assert_int_equal(c->node_meta.n, 2);
    assert_true(strmap_get(c->node_meta, STR("y"), &value));
    assert_str(value, "3");
    assert_int_equal(c->ports.http, 1);
    assert_int_equal(c->ports.dns, 3);
    assert_int_equal(c->dns.soa_refresh, 4);
    assert_int_equal(c->dns.soa_retry, 600); /* the object was replaced as a whole */
    const struct check_def *checks = c->checks.v;
    assert_int_equal(c->checks.n, 3);
    assert_str(checks[0].name, "c1");
    assert_str(checks[1].name, "c3"); /* lists go before the single definition */
    assert_str(checks[2].name, "c2");
    load_deinit(&l);
}

static void test_fixed_values(void **state)
{
    (void)state;
    struct load l;
    struct str hcl[] = {STR("data_dir = \"data\" bind_addr = \"127.0.0.1\" ae_interval = \"1s\"")};
    struct str overrides[] = {STR("check_reap_interval = \"5s\"")};
    struct config_sources s = {.hcl = {hcl, 1}, .overrides = {overrides, 1}};
    load_init(&l, &s);
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.config->ae_interval, 60 * 1000000000ll); /* not for users */
    assert_int_equal(l.config->checks_config.reap_interval, 5 * 1000000000ll);
    load_deinit(&l);
}

static void test_old_acl_keys(void **state)
{
    (void)state;
    struct load l;
    load_ok(&l,
            "acl_datacenter = \"DC9\" acl_default_policy = \"deny\" acl_master_token = \"m\" "
            "acl_token = \"t\" acl_replication_token = \"r\" acl_ttl = \"5s\" "
            "acl { tokens { default = \"new\" } }",
            NULL);
    const struct config_acl *acl = &l.config->acl;
    assert_true(acl->enabled && acl->enable_token_replication);
    assert_str(l.config->primary_datacenter, "dc9");
    assert_str(acl->default_policy, "deny");
    assert_str(acl->master_token, "m");
    assert_str(acl->default_token, "new");
    assert_int_equal(acl->token_ttl, 5 * 1000000000ll);
    load_deinit(&l);
}

static void test_addresses(void **state)
{
    (void)state;
    struct load l;
    load_ok(&l,
            "client_addr = \"127.0.0.1 ::1\" addresses { http = \"unix:///s.sock 10.0.0.9\" } "
            "advertise_addr = \"10.0.0.1\" advertise_addr_wan = \"198.18.0.1\" "
            "advertise_addr_ipv6 = \"2001:db8::1\" tagged_addresses { custom = \"x\" } "
            "serf_wan = \"10.0.0.2\" ports { serf_wan = 5 }",
            NULL);
    const struct config_addresses *a = &l.config->addresses;
    assert_strs(a->client, "127.0.0.1|::1");
    assert_int_equal(a->dns.n, 2);
    assert_str(a->dns.v[1].host, "::1");
    assert_int_equal(a->dns.v[1].port, 8600);
    assert_int_equal(a->http.n, 2);
    assert_str(a->http.v[0].path, "/s.sock");
    assert_str(a->http.v[1].host, "10.0.0.9");
    assert_str(a->advertise, "10.0.0.1");
    assert_str(a->rpc_advertise.host, "10.0.0.1");
    assert_str(a->rpc_bind.host, "127.0.0.1");
    assert_str(a->serf_bind_wan.host, "10.0.0.2");
    assert_int_equal(a->serf_bind_wan.port, 5);
    assert_str(a->serf_advertise_wan.host, "198.18.0.1");
    static const char *const tagged[][2] = {{"custom", "x"},          {"lan", "10.0.0.1"},
                                            {"lan_ipv4", "10.0.0.1"}, {"lan_ipv6", "2001:db8::1"},
                                            {"wan", "198.18.0.1"},    {"wan_ipv4", "198.18.0.1"}};
    assert_int_equal(a->tagged.n, ARRAY_SIZE(tagged));
    for (size_t i = 0; i < ARRAY_SIZE(tagged); i++) {
        assert_str(a->tagged.v[i].key, tagged[i][0]);
        assert_str(a->tagged.v[i].value, tagged[i][1]);
    }
    struct str http = config_api_url(&l.a, l.config);
    assert_str(http, "http://10.0.0.9:8500");
    load_deinit(&l);
}

static void detect(const char *hcl, struct strlist v4, struct strlist v6, const char *want)
{
    struct load l;
    struct str texts[] = {STR("data_dir = \"data\""), str_from_cstr(hcl)};
    struct config_sources s = {
        .hcl = {texts, 2}, .addresses_given = true, .private_ipv4 = v4, .public_ipv6 = v6};
    load_init(&l, &s);
    assert_str(l.rc < 0 ? str_from_cstr(err_text(&l.err)) : l.config->addresses.advertise, want);
    load_deinit(&l);
}

static void test_advertise_is_detected(void **state)
{
    (void)state;
    static const struct str one[] = {STR_INIT("10.0.0.1")}, six[] = {STR_INIT("2001:db9::1")};
    static const struct str two[] = {STR_INIT("10.0.0.1"), STR_INIT("10.0.0.2")};
    struct strlist none = {0};
    detect("", (struct strlist){one, 1}, none, "10.0.0.1");
    detect("", (struct strlist){two, 2}, none,
           "Multiple private IPv4 addresses found. Please configure one with 'bind' and/or "
           "'advertise'.");
    detect("", none, none, "No private IPv4 address found");
    detect("bind_addr = \"::\"", none, (struct strlist){six, 1}, "2001:db9::1");
    detect("bind_addr = \"[::]\"", none, none, "No public IPv6 address found");
    detect("bind_addr = \"0.0.0.0\" advertise_addr = \"1.2.3.4\"", none, none, "1.2.3.4");
    detect("bind_addr = \"5.6.7.8\"", none, none, "5.6.7.8");
}

static void test_templates(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* what client_addr becomes, or what the error has in it */
    } examples[] = {
        {"{{ GetInterfaceIP \\\"lo\\\" }}", "is_empty"}, /* loopback is not forwardable */
        {"{{ GetInterfaceIPs \\\"^lo$\\\" }}", "127.0.0.1"},
        {"{{GetAllInterfaces | include \\\"name\\\" \\\"^lo$\\\" | include \\\"type\\\" "
         "\\\"ipv4\\\" | attr \\\"address\\\"}}",
         "127.0.0.1"},
        {"{{ GetAllInterfaces | include `network` `127.0.0.0/8` | sort \\\"address\\\" | limit 1 "
         "| join \\\"address\\\" \\\" \\\" }} 10.0.0.1",
         "127.0.0.1|10.0.0.1"},
        {"{{ GetAllInterfaces }}", "attr or join is missing"},
        {"{{ Foo }}", "function \"Foo\" not defined"},
        {"{{ GetPrivateIP", "unclosed action"},
        {"{{ GetInterfaceIP }}", "wrong number of args"},
        {"{{ }}", "missing value for command"},
        {"{{ \\\"10.0.0.7\\\" }}", "10.0.0.7"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        struct load l;
        char hcl[512];
        (void)snprintf(hcl, sizeof(hcl), "client_addr = \"%s\" ports { dns = -1 }",
                       examples[i].text);
        load_hcl(&l, hcl, NULL);
        if (l.rc < 0) {
            if (strstr(err_text(&l.err), examples[i].want) == NULL) {
                print_error("# %s: %s\n", examples[i].text, err_text(&l.err));
            }
            assert_non_null(strstr(err_text(&l.err), examples[i].want));
        } else if (strcmp(examples[i].want, "is_empty") == 0) {
            assert_int_equal(l.config->addresses.client.n, 0);
        } else if (strchr(examples[i].want, '|') != NULL) {
            assert_strs(l.config->addresses.client, examples[i].want);
        } else { /* there may be an IPv6 address besides */
            assert_str(l.config->addresses.client.v[0], examples[i].want);
        }
        load_deinit(&l);
    }
}

static void test_services(void **state)
{
    (void)state;
    struct load l;
    load_ok(&l,
            "service { name = \"web\" port = 80 tags = [\"a\"] meta { k = \"v\" } "
            "  check { id = \"c1\" http = \"http://x\" interval = \"5s\" } "
            "  checks = [{ ttl = \"9s\" output_max_size = 7 }] "
            "  proxy { config { a { b = [1] } } upstreams = [{ destination_name = \"db\" "
            "    local_bind_port = 1 }] } "
            "  connect { sidecar_service { port = 9 } } "
            "  tagged_addresses { lan { address = \"1.1.1.1\" port = 3 } } "
            "  weights { passing = 5 } kind = \"odd\" enable_tag_override = true }",
            NULL);
    assert_int_equal(l.config->services.n, 1);
    const struct service_def *def = l.config->services.v;
    assert_str(def->name, "web");
    assert_str(def->kind, "");
    assert_int_equal(def->port, 80);
    assert_true(def->enable_tag_override);
    assert_int_equal(def->weights->passing, 5);
    assert_int_equal(def->weights->warning, 1);
    assert_null(def->check);
    assert_int_equal(def->checks.n, 2);
    const struct check_def *ttl = def->checks.v[0], *http = def->checks.v[1];
    assert_int_equal(ttl->ttl, 9 * 1000000000ll);
    assert_int_equal(ttl->output_max_size, 7);
    assert_str(http->id, "c1");
    assert_string_equal(check_def_type(http), "http");
    assert_int_equal(http->output_max_size, 4096);
    assert_int_equal(def->connect->sidecar_service->port, 9);
    assert_int_equal(def->tagged_addresses.n, 1);
    const struct upstream *upstream = def->proxy->upstreams.v;
    assert_str(upstream->destination_type, "service");
    /* Lists of one unfold in free-form settings: blocks then read as JSON objects do. */
    const struct value *a = value_get(def->proxy->config, STR("a"));
    assert_int_equal(a->kind, VALUE_MAP);
    assert_int_equal(value_get(a, STR("b"))->kind, VALUE_INT);
    struct node_service ns;
    service_def_to_node_service(def, &l.a, &ns);
    assert_str(ns.id, "web");
    assert_str(ns.service, "web");
    load_deinit(&l);
}

static void test_misc_values(void **state)
{
    (void)state;
    struct load l;
    load_ok(&l,
            "telemetry { prefix_filter = [\"+a\", \"-b\"] \"disable_compat_1.9\" = true } "
            "dns_config { service_ttl { b = \"2s\" \"*\" = \"1s\" } } "
            "http_config { allow_write_http_from = [\"10.1.2.3/8\"] } "
            "serf_lan_allowed_cidrs = [\"2001:db8::/33\"] verify_server_hostname = true "
            "ui_config { metrics_provider = \"prometheus\" content_path = \"x\" metrics_proxy { "
            "add_headers = [{ name = \"n\" value = \"v\" }] } } "
            "connect { ca_config { leaf_cert_ttl = \"48h\" Other = 1 } } "
            "watches = [{ type = \"key\" key = \"k\" args = [\"/bin/x\"] }] "
            "recursors = [\"1.1.1.1\", \"1.1.1.1\", \"8.8.8.8:53\"]",
            NULL);
    const struct agent_config *c = l.config;
    assert_strs(c->telemetry.allowed_prefixes, "a");
    assert_strs(c->telemetry.blocked_prefixes, "b");
    assert_true(c->telemetry.disable_compat_one_nine);
    assert_int_equal(c->dns.service_ttl_count, 2);
    assert_str(c->dns.service_ttl[0].key, "*");
    assert_int_equal(c->dns.service_ttl[1].value, 2 * 1000000000ll);
    assert_str(c->http.allow_write_from.v[0].text, "10.0.0.0/8");
    assert_true(config_cidrs_contain(c->http.allow_write_from, STR("10.9.9.9")));
    assert_false(config_cidrs_contain(c->http.allow_write_from, STR("11.9.9.9")));
    assert_false(config_cidrs_contain(c->http.allow_write_from, STR("::1")));
    assert_true(config_cidrs_contain(c->serf_lan_allowed_cidrs, STR("2001:db8:7fff::1")));
    assert_false(config_cidrs_contain(c->serf_lan_allowed_cidrs, STR("2001:db8:8000::1")));
    assert_true(c->tls.verify_outgoing);
    assert_str(c->ui.content_path, "/x/");
    assert_strs(c->ui.metrics_proxy_path_allowlist, "/api/v1/query|/api/v1/query_range");
    assert_str(c->ui.metrics_proxy_add_headers[0].value, "v");
    assert_non_null(value_get(c->connect.ca_config, STR("LeafCertTTL")));
    assert_non_null(value_get(c->connect.ca_config, STR("Other")));
    assert_int_equal(c->watches.n, 1);
    assert_strs(c->dns.recursors, "1.1.1.1|8.8.8.8:53");
    load_deinit(&l);
}

/* --- flags, files, reload
 * --------------------------------------------------------------------------------- */

static void test_flags(void **state)
{
    (void)state;
    struct config_flags flags = {0};
    struct err err = {0};
    struct load l;
    static const char *const given[][2] = {
        {"data-dir", "data"},      {"bind", "127.0.0.1"},
        {"http-port", "81"},       {"server", "true"},
        {"retry-join", "flag1"},   {"retry-join", "flag2"},
        {"node-meta", "a:b:c"},    {"node-meta", "d"},
        {"ui-content-path", "/p"}, {"hcl", "ports { dns = 7 http = 82 } retry_join = [\"hcl\"]"},
        {"log-level", "trace"}};
    for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
        assert_int_equal(config_flag_apply(&flags, given[i][0], str_from_cstr(given[i][1]), &err),
                         0);
    }
    struct config_sources s = config_sources_from_flags(&flags);
    load_init(&l, &s);
    assert_int_equal(l.rc, 0);
    assert_true(l.config->is_server);
    assert_int_equal(l.config->ports.http, 82); /* -hcl wins over other flags */
    assert_int_equal(l.config->ports.dns, 7);
    assert_strs(l.config->join_lan.retry, "flag1|flag2|hcl");
    assert_int_equal(l.config->node_meta.n, 2);
    assert_str(l.config->node_meta.v[0].value, "b:c");
    assert_str(l.config->ui.content_path, "/p/");
    load_deinit(&l);

    assert_true(config_flag_apply(&flags, "http-port", STR("x"), &err) < 0);
    assert_string_equal(err_text(&err), "invalid value \"x\" for flag -http-port: strconv.Atoi: "
                                        "parsing \"x\": invalid syntax");
    assert_true(config_flag_apply(&flags, "server", STR("maybe"), &err) < 0);
    assert_non_null(strstr(err_text(&err), "invalid boolean value \"maybe\" for -server"));
    assert_true(config_flag_apply(&flags, "nonsense", STR("x"), &err) < 0);
    assert_string_equal(err_text(&err), "flag provided but not defined: -nonsense");
    config_flags_deinit(&flags);
}

static void file_put(const char *dir, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static void test_files(void **state)
{
    (void)state;
    char dir[] = "config-test-XXXXXX", sub[64], file[64], missing[64];
    struct load l;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(sub, sizeof(sub), "%s/sub", dir);
    (void)snprintf(file, sizeof(file), "%s/z.conf", dir);
    (void)snprintf(missing, sizeof(missing), "%s/missing.json", dir);
    file_put(dir, "b.hcl", "datacenter = \"b\" retry_join = [\"b\"]");
    file_put(dir, "a.json",
             "{\"datacenter\": \"a\", \"retry_join\": [\"a\"], \"data_dir\": "
             "\"data\", \"bind_addr\": \"127.0.0.1\"}");
    file_put(dir, "z.conf", "domain = \"z.\"");
    file_put(dir, "empty.json", "");
    assert_int_equal(mkdir(sub, 0755), 0);

    struct str paths[] = {str_from_cstr(dir)};
    struct config_sources s = {.paths = {paths, 1}};
    load_init(&l, &s);
    assert_int_equal(l.rc, 0);
    assert_str(l.config->datacenter, "b"); /* by name: a before b */
    assert_strs(l.config->join_lan.retry, "a|b");
    assert_int_equal(l.warnings.n, 1);
    assert_non_null(strstr(l.warnings.v[0].p, "z.conf, extension must be .hcl or .json, or config "
                                              "format must be set"));
    load_deinit(&l);

    paths[0] = str_from_cstr(file);
    s.format = STR("hcl");
    s.is_dev = true;
    load_init(&l, &s);
    assert_int_equal(l.rc, 0);
    assert_str(l.config->dns.domain, "z.");
    load_deinit(&l);

    paths[0] = str_from_cstr(missing);
    load_init(&l, &s);
    char want[256];
    (void)snprintf(want, sizeof(want),
                   "config: Open failed on %s. open %s: no such file or directory", missing,
                   missing);
    assert_string_equal(err_text(&l.err), want);
    load_deinit(&l);

    static const char *const names[] = {"a.json", "b.hcl", "z.conf", "empty.json"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void)snprintf(file, sizeof(file), "%s/%s", dir, names[i]);
        assert_int_equal(unlink(file), 0);
    }
    assert_int_equal(rmdir(sub), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void test_node_id(void **state)
{
    (void)state;
    char dir[] = "config-test-XXXXXX", hcl[128], path[64], first[CONFIG_NODE_ID_SIZE],
         second[CONFIG_NODE_ID_SIZE];
    struct load l;
    struct err err = {0};
    struct stat st;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(hcl, sizeof(hcl), "data_dir = \"%s/d/e\"", dir);
    load_ok(&l, hcl, NULL);
    assert_int_equal(config_setup_node_id(l.config, first, &err), 0);
    assert_int_equal(config_setup_node_id(l.config, second, &err), 0);
    assert_string_equal(first, second);
    assert_int_equal(strlen(first), 36);
    (void)snprintf(path, sizeof(path), "%s/d/e/node-id", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 36);
    file_put(dir, "d/e/node-id", "DEADBEEF-0000-0000-0000-000000000001\n");
    assert_int_equal(config_setup_node_id(l.config, first, &err), 0);
    assert_string_equal(first, "deadbeef-0000-0000-0000-000000000001");
    file_put(dir, "d/e/node-id", "junk");
    assert_true(config_setup_node_id(l.config, first, &err) < 0);
    assert_non_null(strstr(err_text(&err), "is invalid"));
    load_deinit(&l);

    load_ok(&l, "node_id = \"3C1B3C1B-1111-4222-8333-444455556666\"", NULL);
    assert_int_equal(config_setup_node_id(l.config, first, &err), 0);
    assert_string_equal(first, "3c1b3c1b-1111-4222-8333-444455556666");
    load_deinit(&l);

    assert_int_equal(unlink(path), 0);
    static const char *const dirs[] = {"/d/e", "/d", ""};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", dir, dirs[i]);
        assert_int_equal(rmdir(path), 0);
    }
}

static void test_reload_diff(void **state)
{
    (void)state;
    struct load l, m;
    load_ok(&l, "ports { http = 1 } log_level = \"INFO\" acl { tokens { agent = \"a\" } }", NULL);
    load_ok(&m,
            "ports { http = 2 } log_level = \"WARN\" acl { tokens { agent = \"b\" } } "
            "datacenter = \"x\" node_meta { a = \"b\" }",
            NULL);
    struct strlist keys = config_diff_nonreloadable(&l.a, l.config, m.config);
    assert_strs(keys, "datacenter|ports.http|primary_datacenter|addresses.http");
    keys = config_diff_nonreloadable(&l.a, l.config, l.config);
    assert_int_equal(keys.n, 0);
    load_deinit(&l);
    load_deinit(&m);
}

static void test_debug_hides_secrets(void **state)
{
    (void)state;
    struct load l;
    struct buf out = {0};
    struct value *v = NULL;
    load_ok(&l,
            "encrypt = \"c2VzYW1lc2VzYW1lc2VzYW1lcw==\" acl { tokens { master = \"SECRET1\" agent "
            "= \"SECRET2\" } } retry_join = [\"provider=aws secret_access_key=SECRET3 tag=x\"] "
            "service { name = \"a\" token = \"SECRET4\" } connect { ca_config { private_key = "
            "\"SECRET5\" } } key_file = \"SECRET6\" node_meta { api_key = \"SECRET7\" }",
            NULL);
    struct json_writer w = json_writer_make(&out, false);
    config_write_debug(&w, l.config, STR("the-id"));
    assert_false(str_contains(buf_view(&out), STR("SECRET")));
    assert_false(str_contains(buf_view(&out), STR("c2VzYW1l")));
    assert_true(str_contains(buf_view(&out), STR("secret_access_key=hidden tag=x")));
    assert_int_equal(json_parse(&l.a, buf_view(&out), &v, &l.err), 0);
    assert_str(value_get(v, STR("NodeID"))->s, "the-id");
    assert_str(value_get(v, STR("DNSMaxStale"))->s, "87600h0m0s");
    for (size_t i = 1; i < v->map.n; i++) {
        assert_true(str_cmp(v->map.v[i - 1].key, v->map.v[i].key) < 0);
    }
    buf_deinit(&out);
    load_deinit(&l);
}

/* --- every key
 * --------------------------------------------------------------------------------------------- */

static const char *sample(struct str type)
{
    static const char *const samples[][2] = {
        {"string", "\"x\""},         {"bool", "true"},
        {"duration", "\"1s\""},      {"float", "1.5"},
        {"list(string)", "[\"x\"]"}, {"list(object)", "[]"},
        {"list(map)", "[]"},         {"map(string)", "{\"a\": \"b\"}"},
        {"map(any)", "{\"a\": 1}"},  {"map(list(string))", "{\"a\": [\"b\"]}"},
        {"map(object)", "{}"},       {"object", "{}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        if (str_eq(type, str_from_cstr(samples[i][0]))) {
            return samples[i][1];
        }
    }
    return "1"; /* int and its kin */
}

/* a.b[].c to {"a": {"b": [{"c": value}]}} */
static void key_to_json(struct buf *to, struct str key, const char *value)
{
    struct buf tail = {0};
    struct str part;
    while (key.n > 0) {
        if (str_eq_lit(key, "disable_compat_1.9")) { /* the one name with a dot */
            part = key;
            key = STR("");
        } else if (!str_cut(key, '.', &part, &key)) {
            key = STR("");
        }
        bool is_list = str_has_suffix(part, STR("[]"));
        part.n -= is_list ? 2 : 0;
        buf_printf(to, "{\"%.*s\": %s", STRF(part), is_list ? "[" : "");
        buf_printf(&tail, is_list ? "}]" : "}");
    }
    buf_printf(to, "%s", value);
    while (tail.n > 0) { /* close what was opened last first */
        buf_byte(to, (uint8_t)tail.p[--tail.n]);
    }
    buf_deinit(&tail);
}

static void test_every_key_is_known(void **state)
{
    (void)state;
    char path[1024], line[512];
    unsigned count = 0;
    (void)snprintf(path, sizeof(path), "%s/config_keys.tsv", getenv("TEST_DATA"));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file)); /* the heading */
    while (fgets(line, sizeof(line), file) != NULL) {
        struct str key, type;
        struct buf json = {0};
        struct load l;
        assert_true(str_cut(str_trim(str_from_cstr(line)), '\t', &key, &type));
        key_to_json(&json, key, sample(type));
        struct str texts[] = {buf_view(&json)};
        struct config_sources s = {.is_dev = true, .hcl = {texts, 1}};
        load_init(&l, &s);
        if (l.rc < 0 && strstr(err_text(&l.err), "failed to parse") != NULL) {
            print_error("# %.*s: %s\n", STRF(texts[0]), err_text(&l.err));
            fail();
        }
        load_deinit(&l);
        buf_deinit(&json);
        count++;
    }
    (void)fclose(file);
    assert_true(count > 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_dev),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_fixed_values),
        cmocka_unit_test(test_old_acl_keys),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_advertise_is_detected),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_misc_values),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_node_id),
        cmocka_unit_test(test_reload_diff),
        cmocka_unit_test(test_debug_hides_secrets),
        cmocka_unit_test(test_every_key_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
