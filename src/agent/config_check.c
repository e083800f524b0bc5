/* Whether the parts of a configuration go together. The order of the checks is Consul's: with
 * several faults it is the first one that is reported. */
#include "agent/config_build.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/gofmt.h"
#include "base/map.h"
#include "schema/json.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define DNS_LABEL_SIZE_MAX 63u
#define NS_PER_HOUR ((int64_t)3600 * (int64_t)NS_PER_SEC)

static struct str quoted(struct config_builder *b, struct str s)
{
    struct buf text;
    buf_init(&text, 4096);
    go_quote(&text, s);
    struct str ret = arena_str(b->a, buf_view(&text));
    buf_deinit(&text);
    return ret;
}

static bool has_only(struct str s, const char *others, bool upper)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  (upper && c >= 'A' && c <= 'Z') || (c != '\0' && strchr(others, c) != NULL);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static int basic_name_check(struct config_builder *b, const char *field, struct str value,
                            bool allow_empty, struct err *err)
{
    if (value.n == 0) {
        return allow_empty ? 0 : err_set(err, ERR_INVALID, "%s cannot be empty", field);
    }
    if (!has_only(value, "_-", false)) {
        return err_set(err, ERR_INVALID,
                       "%s can only contain lowercase alphanumeric, - or _ characters. received: "
                       "%.*s",
                       field, STRF(quoted(b, value)));
    }
    return 0;
}

/* --- the web UI
 * -------------------------------------------------------------------------------------- */

static bool is_http_url(struct str s)
{
    return str_has_prefix(s, STR("http://")) || str_has_prefix(s, STR("https://")) ||
           str_has_prefix(s, STR("http:")) || str_has_prefix(s, STR("https:"));
}

static bool is_plain_path(struct str s)
{
    return s.n > 0 && s.p[0] == '/' && !str_has_prefix(s, STR("//")) && str_find_byte(s, '?') < 0 &&
           str_find_byte(s, '#') < 0 && str_find_byte(s, '%') < 0;
}

static bool is_version_path(struct str path)
{
    if (path.n < 4 || !str_has_prefix(path, STR("/v")) || path.p[path.n - 1] != '/') {
        return false;
    }
    for (size_t i = 2; i + 1 < path.n; i++) {
        if (path.p[i] < '0' || path.p[i] > '9') {
            return false;
        }
    }
    return true;
}

static int ui_check(struct config_builder *b, struct err *err)
{
    const struct config_ui *ui = &b->config->ui;
    int rc;
    if (!has_only(ui->content_path, "/_-", true)) {
        return err_set(err, ERR_INVALID,
                       "ui-content-path can only contain alphanumeric, -, _, or /. received: %.*s",
                       STRF(quoted(b, ui->content_path)));
    }
    if (is_version_path(ui->content_path)) {
        return err_set(err, ERR_INVALID, "ui-content-path cannot have 'v[0-9]'. received: %.*s",
                       STRF(quoted(b, ui->content_path)));
    }
    rc = basic_name_check(b, "ui_config.metrics_provider", ui->metrics_provider, true, err);
    if (rc < 0) {
        return rc;
    }
    struct str options = ui->metrics_provider_options_json;
    struct value *v = NULL;
    if (options.n > 0 && (json_parse(b->a, options, &v, NULL) < 0 ||
                          (v->kind != VALUE_MAP && v->kind != VALUE_NULL))) {
        return err_set(err, ERR_INVALID,
                       "ui_config.metrics_provider_options_json must be empty or a string "
                       "containing a valid JSON object. received: %.*s",
                       STRF(quoted(b, options)));
    }
    if (ui->metrics_proxy_base_url.n > 0 && !is_http_url(ui->metrics_proxy_base_url)) {
        return err_set(err, ERR_INVALID,
                       "ui_config.metrics_proxy.base_url must be a valid http or https URL. "
                       "received: %.*s",
                       STRF(quoted(b, ui->metrics_proxy_base_url)));
    }
    for (size_t i = 0; i < ui->metrics_proxy_path_allowlist.n; i++) {
        struct str path = ui->metrics_proxy_path_allowlist.v[i];
        if (!is_plain_path(path)) {
            return err_set(err, ERR_INVALID,
                           "ui_config.metrics_proxy.path_allowlist: path %.*s is not an absolute "
                           "path",
                           STRF(quoted(b, path)));
        }
    }
    for (size_t i = 0; i < ui->dashboard_url_templates.n; i++) {
        struct strpair pair = ui->dashboard_url_templates.v[i];
        rc = basic_name_check(b, "ui_config.dashboard_url_templates key names", pair.key, false,
                              err);
        if (rc < 0) {
            return rc;
        }
        if (!is_http_url(pair.value)) {
            return err_set(err, ERR_INVALID,
                           "ui_config.dashboard_url_templates values must be a valid http or "
                           "https URL. received: %.*s",
                           STRF(quoted(b, ui->metrics_proxy_base_url)));
        }
    }
    return 0;
}

/* --- names, directories, addresses
 * --------------------------------------------------------------------- */

static int data_dir_check(struct config_builder *b, struct err *err)
{
    struct stat st;
    struct str dir = arena_str(b->a, b->config->data_dir);
    if (b->config->is_dev) {
        return 0;
    }
    if (stat(dir.p, &st) != 0) {
        return errno == ENOENT
                   ? 0
                   : err_set(err, ERR_FAILED, "Error getting info on data_dir: stat %.*s: %s",
                             STRF(dir), err_code_text(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return err_set(err, ERR_INVALID, "data_dir %.*s is not a directory", STRF(quoted(b, dir)));
    }
    return 0;
}

static int node_name_check(struct config_builder *b, struct err *err)
{
    struct str name = b->config->node_name;
    if (name.n == 0) {
        return err_set(err, ERR_INVALID, "node_name cannot be empty");
    }
    if (!has_only(name, "-\\", true)) {
        builder_warn(b,
                     "Node name %.*s will not be discoverable via DNS due to invalid characters. "
                     "Valid characters include all alpha-numerics and dashes.",
                     STRF(quoted(b, name)));
    } else if (name.n > DNS_LABEL_SIZE_MAX) {
        builder_warn(b,
                     "Node name %.*s will not be discoverable via DNS due to it being too long. "
                     "Valid lengths are between 1 and 63 bytes.",
                     STRF(quoted(b, name)));
    }
    return 0;
}

static int addresses_check(struct config_builder *b, struct err *err)
{
    const struct agent_config *c = b->config;
    if (ip_text_is_any(c->addresses.advertise)) {
        return err_set(err, ERR_INVALID, "Advertise address cannot be 0.0.0.0, :: or [::]");
    }
    if (ip_text_is_any(c->addresses.advertise_wan)) {
        return err_set(err, ERR_INVALID, "Advertise WAN address cannot be 0.0.0.0, :: or [::]");
    }
    const struct value *segments = builder_get(b, "segments");
    if (c->segment.n > 0 || (segments != NULL && segments->list.n > 0)) {
        return err_set(err, ERR_INVALID,
                       "Network segments are not supported in this version of Consul");
    }
    for (size_t i = 0; i < c->addresses.dns.n; i++) {
        if (c->addresses.dns.v[i].path.n > 0) {
            return err_set(err, ERR_INVALID, "DNS address cannot be a unix socket");
        }
    }
    for (size_t i = 0; i < c->dns.recursors.n; i++) {
        if (ip_text_is_any(c->dns.recursors.v[i])) {
            return err_set(err, ERR_INVALID, "DNS recursor address cannot be 0.0.0.0, :: or [::]");
        }
    }
    const struct str reserved[] = {STR("service"), STR("connect"), STR("node"),
                                   STR("query"),   STR("addr"),    c->datacenter};
    struct str label, rest;
    if (str_cut(c->dns.alt_domain, '.', &label, &rest) &&
        strlist_contains((struct strlist){reserved, ARRAY_SIZE(reserved)}, label)) {
        return err_set(err, ERR_INVALID,
                       "alt_domain cannot start with {service,connect,node,query,addr,%.*s}",
                       STRF(c->datacenter));
    }
    return 0;
}

static int place_check(struct config_builder *b, struct map *in_use, const char *name,
                       struct str network, struct str host, int64_t port, struct err *err)
{
    bool is_v6 = str_find_byte(host, ':') >= 0;
    struct str text =
        str_eq_lit(network, "unix")
            ? host
            : arena_printf(b->a, is_v6 ? "[%.*s]:%lld" : "%.*s:%lld", STRF(host), (long long)port);
    struct str key = arena_printf(b->a, "%.*s:%.*s", STRF(network), STRF(text));
    const char *other = map_put(in_use, key, (void *)(uintptr_t)name);
    if (other != NULL) {
        return err_set(err, ERR_INVALID, "%s address %.*s already configured for %s", name,
                       STRF(text), other);
    }
    return 0;
}

static int places_check(struct config_builder *b, struct map *in_use, const char *name,
                        struct config_addrlist addrs, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < addrs.n && rc == 0; i++) {
        const struct config_addr *addr = &addrs.v[i];
        rc = addr->path.n > 0
                 ? place_check(b, in_use, name, STR("unix"), addr->path, 0, err)
                 : place_check(b, in_use, name, STR("tcp"), addr->host, addr->port, err);
    }
    return rc;
}

/* No two services at one address. */
static int unique_check(struct config_builder *b, struct err *err)
{
    const struct config_addresses *a = &b->config->addresses;
    const struct config_ports *ports = &b->config->ports;
    struct str tcp = STR("tcp");
    struct map in_use = {0};
    int rc;
    if ((rc = places_check(b, &in_use, "DNS", a->dns, err)) < 0 ||
        (rc = places_check(b, &in_use, "HTTP", a->http, err)) < 0 ||
        (rc = places_check(b, &in_use, "HTTPS", a->https, err)) < 0 ||
        (rc = place_check(b, &in_use, "RPC Advertise", tcp, a->advertise, ports->server, err)) <
            0 ||
        (rc = place_check(b, &in_use, "Serf Advertise LAN", tcp, a->advertise, ports->serf_lan,
                          err)) < 0) {
        map_deinit(&in_use);
        return rc;
    }
    if (ports->serf_wan >= 0) {
        rc = place_check(b, &in_use, "Serf Advertise WAN", tcp, a->advertise_wan, ports->serf_wan,
                         err);
    }
    map_deinit(&in_use);
    return rc;
}

/* --- server settings
 * ------------------------------------------------------------------------------------ */

static int bootstrap_check(const struct agent_config *c, struct err *err)
{
    if (c->bootstrap && !c->is_server) {
        return err_set(err, ERR_INVALID, "'bootstrap = true' requires 'server = true'");
    }
    if (c->bootstrap_expect < 0) {
        return err_set(err, ERR_INVALID,
                       "bootstrap_expect cannot be %lld. Must be greater than or equal to zero",
                       (long long)c->bootstrap_expect);
    }
    if (c->bootstrap_expect > 0 && !c->is_server) {
        return err_set(err, ERR_INVALID, "'bootstrap_expect > 0' requires 'server = true'");
    }
    if (c->bootstrap_expect > 0 && c->is_dev) {
        return err_set(err, ERR_INVALID, "'bootstrap_expect > 0' not allowed in dev mode");
    }
    if (c->bootstrap_expect > 0 && c->bootstrap) {
        return err_set(err, ERR_INVALID,
                       "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive");
    }
    return 0;
}

static int limits_check(struct config_builder *b, struct err *err)
{
    const struct agent_config *c = b->config;
    if (c->checks_config.output_max_size < 1) {
        return err_set(err, ERR_INVALID,
                       "check_output_max_size must be positive, to discard check "
                       "output use the discard_check_output flag");
    }
    if (c->ae_interval <= 0) {
        return err_set(err, ERR_INVALID, "ae_interval cannot be %.*s. Must be positive",
                       STRF(duration_format(b->a, c->ae_interval)));
    }
    if (c->autopilot.max_trailing_logs < 0) {
        return err_set(err, ERR_INVALID,
                       "autopilot.max_trailing_logs cannot be %lld. Must be greater than or equal "
                       "to zero",
                       (long long)c->autopilot.max_trailing_logs);
    }
    int rc = basic_name_check(b, "acl_datacenter", c->primary_datacenter, true, err);
    if (rc < 0) {
        return rc;
    }
    if (!c->is_dev && c->ui.enabled && c->ui.dir.n > 0) {
        return err_set(
            err, ERR_INVALID,
            "Both the ui_config.enabled and ui_config.dir (or -ui and -ui-dir) were specified, "
            "please provide only one.\nIf trying to use your own web UI resources, use "
            "ui_config.dir or the -ui-dir flag.\nThe web UI is included in the binary so use "
            "ui_config.enabled or the -ui flag to enable it");
    }
    if (c->dns.udp_answer_limit < 0 || c->dns.a_record_limit < 0) {
        bool is_udp = c->dns.udp_answer_limit < 0;
        return err_set(err, ERR_INVALID,
                       "dns_config.%s cannot be %lld. Must be greater than or equal to zero",
                       is_udp ? "udp_answer_limit" : "a_record_limit",
                       (long long)(is_udp ? c->dns.udp_answer_limit : c->dns.a_record_limit));
    }
    rc = node_meta_validate(c->node_meta, false, err);
    return rc < 0 ? err_wrap(err, "node_meta invalid") : 0;
}

static int gossip_check(struct config_builder *b, struct err *err)
{
    const struct agent_config *c = b->config;
    struct str key;
    if (c->encrypt.n > 0 && base64_decode(b->a, c->encrypt, &key) < 0) {
        return err_set(err, ERR_INVALID,
                       "encrypt has invalid key: illegal base64 data at input byte %zu",
                       base64_fault(c->encrypt));
    }
    if (c->connect.enable_mesh_gateway_wan_federation) {
        if (!c->is_server) {
            return err_set(err, ERR_INVALID,
                           "'connect.enable_mesh_gateway_wan_federation = true' "
                           "requires 'server = true'");
        }
        if (str_find_byte(c->node_name, '/') >= 0) {
            return err_set(err, ERR_INVALID,
                           "'connect.enable_mesh_gateway_wan_federation = true' requires that "
                           "'node_name' not contain '/' characters");
        }
        if (c->join_wan.start.n > 0 || c->join_wan.retry.n > 0) {
            return err_set(err, ERR_INVALID,
                           "'%s' is incompatible with "
                           "'connect.enable_mesh_gateway_wan_federation = true'",
                           c->join_wan.start.n > 0 ? "start_join_wan" : "retry_join_wan");
        }
    }
    if (c->primary_gateways.n > 0) {
        if (!c->is_server) {
            return err_set(err, ERR_INVALID, "'primary_gateways' requires 'server = true'");
        }
        if (str_eq(c->primary_datacenter, c->datacenter)) {
            return err_set(
                err, ERR_INVALID,
                "'primary_gateways' should only be configured in a secondary datacenter");
        }
    }
    return 0;
}

static int old_data_check(struct config_builder *b, struct err *err)
{
    struct str path = arena_printf(b->a, "%.*s%smdb", STRF(b->config->data_dir),
                                   b->config->data_dir.n > 0 ? "/" : "");
    struct stat st;
    if (!b->config->is_server || (stat(path.p, &st) != 0 && errno != EACCES)) {
        return 0;
    }
    if (stat(path.p, &st) != 0) {
        return err_set(err, ERR_FAILED,
                       "CRITICAL: Permission denied for data folder at %.*s!\nConsul will refuse "
                       "to boot without access to this directory.\nPlease correct permissions and "
                       "try starting again.",
                       STRF(quoted(b, path)));
    }
    return err_set(err, ERR_FAILED,
                   "CRITICAL: Deprecated data folder found at %.*s!\nConsul will refuse to boot "
                   "with this directory present.\nSee "
                   "https://www.consul.io/docs/upgrade-specific.html for more information.",
                   STRF(quoted(b, path)));
}

/* --- TLS and the CA
 * -------------------------------------------------------------------------------------- */

static void cipher_suites_check(struct config_builder *b)
{
    static const char *const names[] = {
        "ECDHE_ECDSA_WITH_AES_128_CBC_SHA",    "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "ECDHE_RSA_WITH_AES_128_CBC_SHA256",   "ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE_RSA_WITH_AES_256_CBC_SHA",      "ECDHE_RSA_WITH_AES_256_GCM_SHA384"};
    struct str rest = str_trim(b->config->tls.cipher_suites), suite;
    while (rest.n > 0 && str_split_next(&rest, ',', &suite)) {
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            is_known |= str_has_prefix(suite, STR("TLS_")) &&
                        str_eq(str_from(suite, 4), str_from_cstr(names[i]));
        }
        if (!is_known) {
            builder_error(b,
                          "tls_cipher_suites: invalid tls cipher suites: unsupported cipher %.*s",
                          STRF(quoted(b, suite)));
            return;
        }
    }
}

static int64_t ca_duration(const struct value *config, struct str name, int64_t initial, bool *ok)
{
    const struct value *v = value_get(config, name);
    int64_t ns = initial;
    if (v != NULL && v->kind == VALUE_INT) {
        ns = v->i;
    } else if (v != NULL && v->kind == VALUE_STR) {
        *ok &= duration_parse(v->s, &ns) == 0;
    }
    return ns;
}

static int64_t ca_int(const struct value *config, struct str name, int64_t initial)
{
    const struct value *v = value_get(config, name);
    int64_t i = initial;
    if (v != NULL && v->kind == VALUE_STR) {
        (void)!str_parse_i64(v->s, &i);
    }
    return v == NULL                                             ? initial
           : v->kind == VALUE_INT                                ? v->i
           : v->kind == VALUE_FLOAT && v->f > -1e9 && v->f < 1e9 ? (int64_t)v->f
                                                                 : i;
}

static struct str ca_str(const struct value *config, struct str name)
{
    const struct value *v = value_get(config, name);
    return v != NULL && v->kind == VALUE_STR ? v->s : STR("");
}

static int ca_common_check(struct config_builder *b, const struct value *config, struct err *err)
{
    bool ok = true;
    int64_t leaf = ca_duration(config, STR("LeafCertTTL"), 72 * NS_PER_HOUR, &ok);
    int64_t intermediate =
        ca_duration(config, STR("IntermediateCertTTL"), 24 * 365 * NS_PER_HOUR, &ok);
    const struct value *skip = value_get(config, STR("SkipValidate"));
    struct str type = value_get(config, STR("PrivateKeyType")) != NULL
                          ? ca_str(config, STR("PrivateKeyType"))
                          : STR("ec");
    int64_t bits = ca_int(config, STR("PrivateKeyBits"), 256);
    if (!ok) {
        return err_set(err, ERR_INVALID, "error decoding config: invalid duration");
    }
    if (skip != NULL && skip->kind == VALUE_BOOL && skip->b) {
        return 0;
    }
    if (leaf < NS_PER_HOUR) {
        return err_set(err, ERR_INVALID, "leaf cert TTL must be greater or equal than 1h0m0s");
    }
    if (leaf > 365 * 24 * NS_PER_HOUR) {
        return err_set(err, ERR_INVALID, "leaf cert TTL must be less than 8760h0m0s");
    }
    if (intermediate < 3 * NS_PER_HOUR) {
        return err_set(err, ERR_INVALID, "Intermediate Cert TTL must be greater or equal than 3h");
    }
    if (intermediate < 3 * leaf) {
        return err_set(err, ERR_INVALID,
                       "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL "
                       "(>=%.*s).",
                       STRF(duration_format(b->a, 3 * leaf)));
    }
    if (str_eq_lit(type, "ec")) {
        return bits == 224 || bits == 256 || bits == 384 || bits == 521
                   ? 0
                   : err_set(err, ERR_INVALID,
                             "EC key length must be one of (224, 256, 384, 521) bits");
    }
    if (str_eq_lit(type, "rsa")) {
        return bits == 2048 || bits == 4096
                   ? 0
                   : err_set(err, ERR_INVALID, "RSA key length must be 2048 or 4096 bits");
    }
    return err_set(err, ERR_INVALID, "private key type must be either 'ec' or 'rsa'");
}

static int ca_check(struct config_builder *b, struct err *err)
{
    struct str provider = b->config->connect.ca_provider;
    const struct value *config = b->config->connect.ca_config;
    static const struct value none = {.kind = VALUE_MAP};
    config = config != NULL ? config : &none;
    if (provider.n == 0) {
        return 0;
    }
    if (str_eq_lit(provider, "vault")) {
        if (ca_str(config, STR("Token")).n == 0) {
            return err_set(err, ERR_INVALID, "must provide a Vault token");
        }
        if (ca_str(config, STR("RootPKIPath")).n == 0) {
            return err_set(err, ERR_INVALID, "must provide a valid path to a root PKI backend");
        }
        if (ca_str(config, STR("IntermediatePKIPath")).n == 0) {
            return err_set(err, ERR_INVALID,
                           "must provide a valid path for the intermediate PKI backend");
        }
    } else if (str_eq_lit(provider, "consul")) {
        if (ca_str(config, STR("PrivateKey")).n == 0 && ca_str(config, STR("RootCert")).n > 0) {
            return err_set(err, ERR_INVALID,
                           "must provide a private key when providing a root cert");
        }
    } else if (!str_eq_lit(provider, "aws-pca")) {
        return err_set(err, ERR_INVALID, "%.*s is not a valid CA provider", STRF(provider));
    }
    return ca_common_check(b, config, err);
}

/* --- auto-config
 * ---------------------------------------------------------------------------------------- */

static int auto_config_check(struct config_builder *b, struct err *err)
{
    const struct agent_config *c = b->config;
    const struct config_auto_config *ac = &c->auto_config;
    if (ac->enabled && c->auto_encrypt.tls) {
        return err_set(err, ERR_INVALID,
                       "both auto_encrypt.tls and auto_config.enabled cannot be set to true.");
    }
    if (ac->authorization_enabled) {
        if (c->acl.enabled && !str_eq(c->primary_datacenter, c->datacenter) &&
            !c->acl.enable_token_replication) {
            return err_set(err, ERR_INVALID,
                           "Enabling auto-config authorization "
                           "(auto_config.authorization.enabled) in non primary datacenters with "
                           "ACLs enabled (acl.enabled) requires also enabling ACL token "
                           "replication (acl.enable_token_replication)");
        }
        if (!c->is_server) {
            return err_set(err, ERR_INVALID,
                           "auto_config.authorization.enabled cannot be set to "
                           "true for client agents");
        }
        if (c->tls.cert_file.n == 0) {
            return err_set(err, ERR_INVALID,
                           "auto_config.authorization.enabled cannot be set without providing a "
                           "TLS certificate for the server");
        }
    }
    if (!ac->enabled) {
        return 0;
    }
    if (!c->tls.verify_outgoing) {
        return err_set(err, ERR_INVALID,
                       "auto_config.enabled cannot be set without configuring "
                       "TLS for server communications");
    }
    if (c->is_server) {
        return err_set(err, ERR_INVALID,
                       "auto_config.enabled cannot be set to true for server agents.");
    }
    if (ac->intro_token.n > 0 && ac->intro_token_file.n > 0) {
        builder_warn(b, "Both an intro token and intro token file are set. The intro token will be "
                        "used instead of the file");
    } else if (ac->intro_token.n == 0 && ac->intro_token_file.n == 0) {
        return err_set(err, ERR_INVALID,
                       "One of auto_config.intro_token, auto_config.intro_token_file or the "
                       "CONSUL_INTRO_TOKEN environment variable must be set to enable auto_config");
    }
    if (ac->server_addresses.n == 0) {
        return err_set(err, ERR_INVALID,
                       "auto_config.enabled is set without providing a list of addresses");
    }
    return 0;
}

/* --- what is only worth a warning
 * --------------------------------------------------------------------------- */

static void warnings_add(struct config_builder *b)
{
    const struct agent_config *c = b->config;
    if (c->is_server && !c->is_dev && !c->bootstrap && c->bootstrap_expect == 2) {
        builder_warn(b, "bootstrap_expect = 2: A cluster with 2 servers will provide no failure "
                        "tolerance. See "
                        "https://www.consul.io/docs/internals/consensus.html#deployment-table");
    }
    if (c->is_server && !c->bootstrap && c->bootstrap_expect > 2 && c->bootstrap_expect % 2 == 0) {
        builder_warn(b, "bootstrap_expect is even number: A cluster with an even number of servers "
                        "does not achieve optimum fault tolerance. See "
                        "https://www.consul.io/docs/internals/consensus.html#deployment-table");
    }
    if (c->is_server && c->bootstrap && c->bootstrap_expect == 0) {
        builder_warn(b, "bootstrap = true: do not enable unless necessary");
    }
    if (c->is_server && !c->is_dev && !c->bootstrap && c->bootstrap_expect > 1) {
        builder_warn(b, "bootstrap_expect > 0: expecting %lld servers",
                     (long long)c->bootstrap_expect);
    }
    if (c->is_server && c->use_streaming_backend && !c->rpc_enable_streaming) {
        builder_warn(b, "use_streaming_backend = true requires rpc.enable_streaming on servers to "
                        "work properly");
    } else if (!c->is_server && c->rpc_enable_streaming) {
        builder_warn(b,
                     "rpc.enable_streaming = true has no effect when not running in server mode");
    }
    if (c->auto_encrypt.allow_tls && !c->tls.verify_incoming && !c->tls.verify_incoming_rpc) {
        builder_warn(b, "if auto_encrypt.allow_tls is turned on, either verify_incoming or "
                        "verify_incoming_rpc should be enabled. It is necessary to turn it off "
                        "during a migration to TLS, but it should definitely be turned on "
                        "afterwards.");
    }
}

static int files_limit_check(const struct agent_config *c, struct err *err)
{
    struct rlimit limit;
    int64_t conns = c->limits.http_max_conns_per_client;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && conns > 0 &&
        limit.rlim_cur < (uint64_t)conns + 20) {
        return err_set(err, ERR_INVALID,
                       "system allows a max of %llu file descriptors, but "
                       "limits.http_max_conns_per_client: %lld needs at least %lld",
                       (unsigned long long)limit.rlim_cur, (long long)conns, (long long)conns + 20);
    }
    return 0;
}

/* --- all of it
 * -------------------------------------------------------------------------------------------- */

static int services_check(struct config_builder *b, struct err *err)
{
    const struct service_def *services = b->config->services.v;
    if (b->errors.n > 0) {
        return err_set(err, ERR_INVALID, "%.*s", STRF(errors_text(b->a, b->errors.v, b->errors.n)));
    }
    for (size_t i = 0; i < b->config->services.n; i++) {
        if (service_def_validate(&services[i], err) < 0) {
            return err_wrap(err, "service %.*s", STRF(quoted(b, services[i].name)));
        }
    }
    return 0;
}

static int roles_check(const struct agent_config *c, struct err *err)
{
    if (c->is_server && c->auto_encrypt.tls) {
        return err_set(err, ERR_INVALID, "auto_encrypt.tls can only be used on a client.");
    }
    if (!c->is_server && c->auto_encrypt.allow_tls) {
        return err_set(err, ERR_INVALID, "auto_encrypt.allow_tls can only be used on a server.");
    }
    if (c->is_server && c->advertise_reconnect_timeout != 0) {
        return err_set(err, ERR_INVALID,
                       "advertise_reconnect_timeout can only be used on a client");
    }
    return 0;
}

int config_check(struct config_builder *b, struct err *err)
{
    const struct agent_config *c = b->config;
    int rc;
    if (c->raft.protocol != 3) {
        return err_set(err, ERR_INVALID,
                       "raft_protocol version %lld is not supported by this version of Consul",
                       (long long)c->raft.protocol);
    }
    if ((rc = basic_name_check(b, "datacenter", c->datacenter, false, err)) < 0) {
        return rc;
    }
    if (c->data_dir.n == 0 && !c->is_dev) {
        return err_set(err, ERR_INVALID, "data_dir cannot be empty");
    }
    cipher_suites_check(b);
    if ((rc = ui_check(b, err)) < 0 || (rc = data_dir_check(b, err)) < 0 ||
        (rc = node_name_check(b, err)) < 0 || (rc = addresses_check(b, err)) < 0 ||
        (rc = bootstrap_check(c, err)) < 0 || (rc = limits_check(b, err)) < 0 ||
        (rc = gossip_check(b, err)) < 0 || (rc = old_data_check(b, err)) < 0 ||
        (rc = unique_check(b, err)) < 0 || (rc = services_check(b, err)) < 0 ||
        (rc = ca_check(b, err)) < 0 || (rc = roles_check(c, err)) < 0) {
        return rc;
    }
    warnings_add(b);
    if ((rc = files_limit_check(c, err)) < 0 || (rc = auto_config_check(b, err)) < 0) {
        return rc;
    }
    if (c->checks_config.enable_remote_script && !c->acl.enabled &&
        c->http.allow_write_from.n == 0) {
        builder_warn(b, "using enable-script-checks without ACLs and without allow_write_http_from "
                        "is DANGEROUS, use enable-local-script-checks instead, see "
                        "https://www.hashicorp.com/blog/protecting-consul-from-rce-risk-in-"
                        "specific-configurations/");
    }
    return 0;
}
