/* Merged values to struct agent_config: first every key that has a member of its own, by the table;
 * then what takes more than one key to know. */
#include "agent/config_build.h"

#include "base/buf.h"
#include "base/clock.h"
#include "schema/config_entry.h"
#include "store/config_check.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define RAFT_MULTIPLIER_MAX 10

/* --- one key, one member
 * --------------------------------------------------------------------------- */

/* The name Consul gives a duration in its error, where it is not the key's. */
static const char *duration_name(const char *path)
{
    static const char *const names[][2] = {
        {"gossip_lan.gossip_interval", "gossip_lan..gossip_interval"},
        {"gossip_lan.probe_interval", "gossip_lan..probe_interval"},
        {"gossip_lan.probe_timeout", "gossip_lan..probe_timeout"},
        {"gossip_wan.gossip_interval", "gossip_wan..gossip_interval"},
        {"gossip_wan.probe_interval", "gossip_wan..probe_interval"},
        {"gossip_wan.probe_timeout", "gossip_wan..probe_timeout"},
        {"dns_config.recursor_timeout", "recursor_timeout"},
        {"telemetry.prometheus_retention_time", "prometheus_retention_time"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(path, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return path;
}

static int64_t duration_take(struct config_builder *b, const char *name, struct str text)
{
    int64_t ns = 0;
    if (duration_parse(text, &ns) < 0) {
        builder_error_alone(b, "%s: invalid duration: \"%.*s\": %.*s", name, STRF(text),
                            STRF(duration_fault(b->a, text)));
    }
    return ns;
}

/* Numbers are numbers when they come from files and text when they come from flags and from the
 * defaults; texts were checked where they came in. */
static int64_t value_int(const struct value *v)
{
    int64_t i = v->kind == VALUE_INT ? v->i : 0;
    if (v->kind == VALUE_STR) {
        (void)!str_parse_i64(v->s, &i);
    }
    return i;
}

static bool value_bool(const struct value *v)
{
    bool yes = v->kind == VALUE_BOOL && v->b;
    if (v->kind == VALUE_STR) {
        (void)!str_parse_bool(v->s, &yes);
    }
    return yes;
}

static double value_float(const struct value *v)
{
    double f = v->kind == VALUE_FLOAT ? v->f : (double)(v->kind == VALUE_INT ? v->i : 0);
    if (v->kind == VALUE_STR) {
        (void)!str_parse_f64(v->s, &f);
    }
    return f;
}

static struct strlist value_strlist(struct arena *a, const struct value *v)
{
    if (v == NULL) {
        return (struct strlist){0};
    }
    struct str *texts = ARENA_ARRAY(a, struct str, v->list.n);
    for (size_t i = 0; i < v->list.n; i++) {
        texts[i] = v->list.v[i].s;
    }
    return (struct strlist){texts, v->list.n};
}

static struct strmap value_strmap(struct arena *a, const struct value *v)
{
    struct strpair *pairs = ARENA_ARRAY(a, struct strpair, v->map.n);
    for (size_t i = 0; i < v->map.n; i++) {
        pairs[i] = (struct strpair){v->map.v[i].key, v->map.v[i].value.s};
    }
    return strmap_build(pairs, v->map.n);
}

static int64_t port_take(struct config_builder *b, const char *path, int64_t port)
{
    if (port > 65535) {
        builder_error(b, "%s: invalid port: %lld", path, (long long)port);
    }
    return port <= 0 ? -1 : port;
}

static void member_set(struct config_builder *b, const struct config_key *key,
                       const struct value *v)
{
    void *to = (char *)b->config + key->offset;
    switch (key->kind) {
    case CONFIG_STR:
        *(struct str *)to = v->s;
        break;
    case CONFIG_BOOL:
        *(bool *)to = value_bool(v);
        break;
    case CONFIG_INT:
        *(int64_t *)to = value_int(v);
        break;
    case CONFIG_PORT:
        *(int64_t *)to = port_take(b, key->path, value_int(v));
        break;
    case CONFIG_UINT:
    case CONFIG_UINT32:
    case CONFIG_UINT64:
        *(uint64_t *)to = (uint64_t)value_int(v);
        break;
    case CONFIG_FLOAT:
        *(double *)to = value_float(v);
        break;
    case CONFIG_DURATION:
        *(int64_t *)to = duration_take(b, duration_name(key->path), v->s);
        break;
    case CONFIG_STRLIST:
        *(struct strlist *)to = value_strlist(b->a, v);
        break;
    case CONFIG_STRMAP:
        *(struct strmap *)to = value_strmap(b->a, v);
        break;
    default:
        ASSERT(false && "this kind has no member");
    }
}

/* Durations come by themselves, after the addresses: a bad one hides the faults noted before it. */
static void members_set(struct config_builder *b, bool durations)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_key_table[i];
        if (key->has_member && b->slots[i].kind != VALUE_NULL &&
            (key->kind == CONFIG_DURATION) == durations) {
            member_set(b, key, &b->slots[i]);
        }
    }
}

static int members_build(struct config_builder *b, struct err *err)
{
    const struct config_ports *ports = &b->config->ports;
    members_set(b, false);
    const struct {
        const char *name;
        int64_t min, max;
    } ranges[] = {{"proxy", ports->proxy_min, ports->proxy_max},
                  {"sidecar", ports->sidecar_min, ports->sidecar_max},
                  {"expose", ports->expose_min, ports->expose_max}};
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
        if (ranges[i].max < ranges[i].min) {
            return err_set(err, ERR_INVALID,
                           "%s_min_port must be less than %s_max_port. To disable, set both to "
                           "zero.",
                           ranges[i].name, ranges[i].name);
        }
    }
    return 0;
}

/* --- groups
 * ---------------------------------------------------------------------------------------- */

static int cidrs_build(struct config_builder *b, const char *path, struct config_cidrlist *ret_list,
                       struct err *err)
{
    struct strlist texts = value_strlist(b->a, builder_get(b, path));
    struct config_cidr *cidrs = ARENA_ARRAY(b->a, struct config_cidr, texts.n);
    VEC(struct str) faults = {0};
    for (size_t i = 0; i < texts.n; i++) {
        if (cidr_parse(b->a, str_trim(texts.v[i]), &cidrs[i]) < 0) {
            avec_push(b->a, &faults,
                      arena_printf(b->a, "invalid cidr: %.*s", STRF(str_trim(texts.v[i]))));
        }
    }
    *ret_list = (struct config_cidrlist){cidrs, texts.n};
    if (faults.n > 0) {
        return err_set(err, ERR_INVALID, "%s: %.*s", path,
                       STRF(errors_text(b->a, faults.v, faults.n)));
    }
    return 0;
}

static void write_cidrs_build(struct config_builder *b)
{
    struct strlist texts = value_strlist(b->a, builder_get(b, "http_config.allow_write_http_from"));
    struct config_cidr *cidrs = ARENA_ARRAY(b->a, struct config_cidr, texts.n);
    for (size_t i = 0; i < texts.n; i++) {
        if (cidr_parse(b->a, str_trim(texts.v[i]), &cidrs[i]) < 0) {
            builder_error(b, "allow_write_http_from: invalid cidr: %.*s", STRF(texts.v[i]));
        }
    }
    b->config->http.allow_write_from = (struct config_cidrlist){cidrs, texts.n};
}

static int pairs_compare(const void *x, const void *y)
{
    return str_cmp(((const struct config_duration_pair *)x)->key,
                   ((const struct config_duration_pair *)y)->key);
}

static int dns_build(struct config_builder *b, struct err *err)
{
    const struct value *ttls = builder_get(b, "dns_config.service_ttl");
    size_t ttl_count = ttls != NULL ? ttls->map.n : 0;
    struct config_duration_pair *pairs = ARENA_ARRAY(b->a, struct config_duration_pair, ttl_count);
    for (size_t i = 0; i < ttl_count; i++) {
        struct str key = ttls->map.v[i].key;
        struct str name = arena_printf(b->a, "dns_config.service_ttl[\"%.*s\"]", STRF(key));
        pairs[i] =
            (struct config_duration_pair){key, duration_take(b, name.p, ttls->map.v[i].value.s)};
    }
    if (ttl_count > 0) {
        qsort(pairs, ttl_count, sizeof(*pairs), pairs_compare);
    }
    b->config->dns.service_ttl = pairs;
    b->config->dns.service_ttl_count = ttl_count;

    VEC(struct str) recursors = {0};
    struct strlist given = value_strlist(b->a, builder_get(b, "recursors"));
    for (size_t i = 0; i < given.n; i++) {
        struct err why = {0};
        struct str rest, word;
        if (template_expand(b->a, given.v[i], &rest, &why) < 0) {
            return err_set(err, ERR_INVALID, "Invalid DNS recursor template \"%.*s\": %s",
                           STRF(given.v[i]), err_text(&why));
        }
        while (rest = str_trim(rest), str_split_next(&rest, ' ', &word) && word.n > 0) {
            struct strlist so_far = {recursors.v, recursors.n};
            if (str_has_prefix(word, STR("unix://"))) {
                return err_set(err, ERR_INVALID, "DNS Recursors cannot be unix sockets: %.*s",
                               STRF(word));
            }
            if (!strlist_contains(so_far, word)) {
                avec_push(b->a, &recursors, word);
            }
        }
    }
    b->config->dns.recursors = (struct strlist){recursors.v, recursors.n};
    return 0;
}

static void telemetry_build(struct config_builder *b)
{
    struct strlist rules = value_strlist(b->a, builder_get(b, "telemetry.prefix_filter"));
    VEC(struct str) allowed = {0}, blocked = {0};
    for (size_t i = 0; i < rules.n; i++) {
        struct str rule = rules.v[i];
        if (rule.n == 0) {
            builder_warn(b, "Cannot have empty filter rule in prefix_filter");
        } else if (rule.p[0] == '+') {
            avec_push(b->a, &allowed, str_from(rule, 1));
        } else if (rule.p[0] == '-') {
            avec_push(b->a, &blocked, str_from(rule, 1));
        } else {
            builder_warn(b, "Filter rule must begin with either '+' or '-': \"%.*s\"", STRF(rule));
        }
    }
    b->config->telemetry.allowed_prefixes = (struct strlist){allowed.v, allowed.n};
    b->config->telemetry.blocked_prefixes = (struct strlist){blocked.v, blocked.n};
}

static int raft_build(struct config_builder *b, struct err *err)
{
    struct config_raft *raft = &b->config->raft;
    if (raft->multiplier < 1 || raft->multiplier > RAFT_MULTIPLIER_MAX) {
        return err_set(err, ERR_INVALID,
                       "performance.raft_multiplier cannot be %lld. Must be between 1 and %d",
                       (long long)raft->multiplier, RAFT_MULTIPLIER_MAX);
    }
    raft->election_timeout *= raft->multiplier;
    raft->heartbeat_timeout *= raft->multiplier;
    raft->leader_lease_timeout *= raft->multiplier;
    return 0;
}

static struct strlist ips_only(struct config_builder *b, struct strlist texts, const char *name)
{
    VEC(struct str) out = {0};
    for (size_t i = 0; i < texts.n; i++) {
        struct ip ip;
        if (ip_parse(texts.v[i], &ip) < 0) {
            builder_warn(b, "Cannot parse ip \"%.*s\" from %s", STRF(texts.v[i]), name);
        } else {
            avec_push(b->a, &out, ip_format(b->a, &ip));
        }
    }
    return (struct strlist){out.v, out.n};
}

static void auto_config_build(struct config_builder *b)
{
    struct config_auto_config *c = &b->config->auto_config;
    const char *token = getenv("CONSUL_INTRO_TOKEN");
    if (token != NULL && token[0] != '\0') {
        if (c->intro_token.n > 0) {
            builder_warn(b, "Both auto_config.intro_token and the CONSUL_INTRO_TOKEN environment "
                            "variable are set. Using the value from the environment variable");
        }
        c->intro_token = arena_str(b->a, str_from_cstr(token));
    }
    c->server_addresses =
        config_expand_optional(b, "auto_config.server_addresses", c->server_addresses);
    c->ip_sans = ips_only(b, c->ip_sans, "auto_config.ip_sans");
}

/* The names Consul's CA providers know their settings by. */
static const char *const ca_keys[][2] = {
    {"private_key", "PrivateKey"},
    {"root_cert", "RootCert"},
    {"intermediate_cert_ttl", "IntermediateCertTTL"},
    {"address", "Address"},
    {"token", "Token"},
    {"root_pki_path", "RootPKIPath"},
    {"intermediate_pki_path", "IntermediatePKIPath"},
    {"ca_file", "CAFile"},
    {"ca_path", "CAPath"},
    {"cert_file", "CertFile"},
    {"key_file", "KeyFile"},
    {"tls_server_name", "TLSServerName"},
    {"tls_skip_verify", "TLSSkipVerify"},
    {"existing_arn", "ExistingARN"},
    {"delete_on_exit", "DeleteOnExit"},
    {"leaf_cert_ttl", "LeafCertTTL"},
    {"csr_max_per_second", "CSRMaxPerSecond"},
    {"csr_max_concurrent", "CSRMaxConcurrent"},
    {"private_key_type", "PrivateKeyType"},
    {"private_key_bits", "PrivateKeyBits"},
};

static int connect_build(struct config_builder *b, struct err *err)
{
    struct config_connect *c = &b->config->connect;
    b->config->auto_encrypt.ip_san =
        ips_only(b, b->config->auto_encrypt.ip_san, "AutoEncrypt.IPSAN");
    c->enabled |= b->config->auto_encrypt.allow_tls || b->config->auto_config.enabled;
    if (c->enable_mesh_gateway_wan_federation && !c->enabled) {
        return err_set(err, ERR_INVALID,
                       "'connect.enable_mesh_gateway_wan_federation=true' "
                       "requires 'connect.enabled=true'");
    }
    const struct value *given = builder_get(b, "connect.ca_config");
    if (given == NULL) {
        return 0;
    }
    struct value *config = value_copy(b->a, given);
    for (size_t i = 0; i < config->map.n; i++) {
        for (size_t j = 0; j < ARRAY_SIZE(ca_keys); j++) {
            struct str proper = str_from_cstr(ca_keys[j][1]);
            if (str_eq_fold(config->map.v[i].key, str_from_cstr(ca_keys[j][0])) &&
                value_get(given, proper) == NULL) {
                config->map.v[i].key = proper;
                break;
            }
        }
    }
    c->ca_config = config;
    return 0;
}

/* Newer keys first, then the ones they superseded. */
static struct str str_or_old(const struct config_builder *b, const char *path, const char *old)
{
    return builder_is_set(b, path) ? builder_str(b, path) : builder_str(b, old);
}

static void acl_build(struct config_builder *b)
{
    struct config_acl *acl = &b->config->acl;
    struct str acl_datacenter = builder_str(b, "acl_datacenter");
    if (builder_is_set(b, "acl_datacenter")) {
        builder_warn(b, "The 'acl_datacenter' field is deprecated. Use the 'primary_datacenter' "
                        "field instead.");
        if (b->config->primary_datacenter.n == 0) {
            b->config->primary_datacenter = acl_datacenter;
        }
        acl->enabled = !builder_is_set(b, "acl.enabled") || acl->enabled;
    }
    b->config->primary_datacenter = arena_lower(b->a, b->config->primary_datacenter);
    if (b->config->primary_datacenter.n == 0) {
        b->config->primary_datacenter = b->config->datacenter;
    }
    acl->default_policy = str_or_old(b, "acl.default_policy", "acl_default_policy");
    acl->down_policy = str_or_old(b, "acl.down_policy", "acl_down_policy");
    acl->master_token = str_or_old(b, "acl.tokens.master", "acl_master_token");
    acl->default_token = str_or_old(b, "acl.tokens.default", "acl_token");
    acl->agent_token = str_or_old(b, "acl.tokens.agent", "acl_agent_token");
    acl->agent_master_token = str_or_old(b, "acl.tokens.agent_master", "acl_agent_master_token");
    acl->replication_token = str_or_old(b, "acl.tokens.replication", "acl_replication_token");
    if (!builder_is_set(b, "acl.enable_key_list_policy")) {
        const struct value *old = builder_get(b, "acl_enable_key_list_policy");
        acl->enable_key_list_policy = old != NULL && value_bool(old);
    }
    if (!builder_is_set(b, "acl.token_ttl")) {
        acl->token_ttl = duration_take(b, "acl_ttl", builder_str(b, "acl_ttl"));
    }
    if (!builder_is_set(b, "acl.enable_token_replication")) {
        const struct value *old = builder_get(b, "enable_acl_replication");
        acl->enable_token_replication =
            old != NULL ? value_bool(old) : builder_is_set(b, "acl_replication_token");
    }
}

/* "/ui/" unless given; a slash at each end. */
static struct str ui_path(struct arena *a, struct str path)
{
    if (path.n == 0) {
        return STR("/ui/");
    }
    while (path.n > 0 && path.p[0] == '/') {
        path = str_from(path, 1);
    }
    while (path.n > 0 && path.p[path.n - 1] == '/') {
        path.n--;
    }
    return arena_printf(a, "/%.*s/", STRF(path));
}

static void ui_build(struct config_builder *b)
{
    struct config_ui *ui = &b->config->ui;
    static const char *const old[][2] = {{"ui", "ui_config.enabled"},
                                         {"ui_dir", "ui_config.dir"},
                                         {"ui_content_path", "ui_config.content_path"}};
    for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
        const struct value *given = builder_get(b, old[i][0]);
        if (given == NULL) {
            continue;
        }
        builder_warn(b, "The '%s' field is deprecated. Use the '%s' field instead.", old[i][0],
                     old[i][1]);
        if (!builder_is_set(b, old[i][1])) {
            member_set(b, &config_key_table[config_key_index(old[i][1])], given);
        }
    }
    ui->content_path = ui_path(b->a, ui->content_path);
    const struct value *headers = builder_get(b, "ui_config.metrics_proxy.add_headers");
    size_t count = headers != NULL ? headers->list.n : 0;
    struct config_header *to = ARENA_ARRAY(b->a, struct config_header, count);
    for (size_t i = 0; i < count; i++) {
        const struct value *name = value_get(&headers->list.v[i], STR("name"));
        const struct value *value = value_get(&headers->list.v[i], STR("value"));
        to[i].name = name != NULL ? name->s : STR("");
        to[i].value = value != NULL ? value->s : STR("");
    }
    ui->metrics_proxy_add_headers = to;
    ui->metrics_proxy_add_header_count = count;
    if (str_eq_lit(ui->metrics_provider, "prometheus") && ui->metrics_proxy_path_allowlist.n == 0) {
        static const struct str allowed[] = {STR_INIT("/api/v1/query"),
                                             STR_INIT("/api/v1/query_range")};
        ui->metrics_proxy_path_allowlist = (struct strlist){allowed, ARRAY_SIZE(allowed)};
    }
}

static void node_name_build(struct config_builder *b)
{
    struct str name = b->config->node_name;
    char host[256] = "";
    if (name.n == 0) {
        name = b->sources->hostname;
    }
    if (name.n == 0 && gethostname(host, sizeof(host) - 1) == 0) {
        name = str_from_cstr(host);
    }
    b->config->node_name = arena_str(b->a, str_trim(name));
}

static struct objlist values_list(const struct config_builder *b, const char *path)
{
    const struct value *v = builder_get(b, path);
    return v != NULL ? (struct objlist){v->list.v, v->list.n} : (struct objlist){0};
}

static int config_entry_build(struct config_builder *b, const struct value *given,
                              struct config_entry **ret_entry, struct err *err)
{
    int r = config_entry_decode(b->a, given, 0, ret_entry, err);
    if (r >= 0) {
        config_entry_normalize(b->a, *ret_entry);
        r = config_entry_validate(b->a, *ret_entry, err);
    }
    return r;
}

static int config_entries_build(struct config_builder *b, struct err *err)
{
    struct agent_config *c = b->config;
    const struct value *given = c->config_entries_bootstrap.v;
    size_t count = c->config_entries_bootstrap.n;
    void **entries = ARENA_ARRAY(b->a, void *, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct config_entry *entry;
        int r = config_entry_build(b, &given[i], &entry, err);
        if (r < 0) {
            return err_wrap(err, "config_entries.bootstrap[%zu]", i);
        }
        entries[i] = entry;
    }
    c->config_entries = (struct ptrlist){entries, count};
    return 0;
}

static int misc_build(struct config_builder *b, struct err *err)
{
    struct agent_config *c = b->config;
    if (!builder_is_set(b, "leave_on_terminate")) {
        c->leave_on_terminate = !c->is_server;
    }
    if (!builder_is_set(b, "skip_leave_on_interrupt")) {
        c->skip_leave_on_interrupt = c->is_server;
    }
    if (!builder_is_set(b, "rpc.enable_streaming")) {
        c->rpc_enable_streaming = c->is_server;
    }
    if (!builder_is_set(b, "enable_local_script_checks")) {
        c->checks_config.enable_local_script = c->checks_config.enable_remote_script;
    }
    if (!builder_is_set(b, "cache.entry_fetch_max_burst")) {
        c->cache_entry_fetch_max_burst = 2;
    }
    if (!builder_is_set(b, "cache.entry_fetch_rate")) {
        c->cache_entry_fetch_rate = (double)INFINITY;
    }
    /* Otherwise TCP would go out in clear although servers' names were to be verified. */
    c->tls.verify_outgoing |= c->tls.verify_server_hostname;
    c->watches = values_list(b, "watches");
    c->config_entries_bootstrap = values_list(b, "config_entries.bootstrap");
    int rc = config_entries_build(b, err);
    if (rc < 0) {
        return rc;
    }
    c->primary_gateways = config_expand_optional(b, "primary_gateways", c->primary_gateways);
    c->join_lan.retry = config_expand_optional(b, "retry_join", c->join_lan.retry);
    c->join_wan.retry = config_expand_optional(b, "retry_join_wan", c->join_wan.retry);
    c->join_lan.start = config_expand_optional(b, "start_join", c->join_lan.start);
    c->join_wan.start = config_expand_optional(b, "start_join_wan", c->join_wan.start);
    if (c->cache_entry_fetch_max_burst <= 0) {
        return err_set(err, ERR_INVALID,
                       "cache.entry_fetch_max_burst must be strictly positive, was: %lld",
                       (long long)c->cache_entry_fetch_max_burst);
    }
    if (!(c->cache_entry_fetch_rate > 0)) {
        return err_set(err, ERR_INVALID,
                       "cache.entry_fetch_rate must be strictly positive, was: %g",
                       c->cache_entry_fetch_rate);
    }
    if (c->bootstrap_expect == 1) {
        c->bootstrap = true;
        c->bootstrap_expect = 0;
        builder_warn(b, "BootstrapExpect is set to 1; this is the same as Bootstrap mode.");
    }
    return 0;
}

int config_build(struct config_builder *b, struct err *err)
{
    int rc;
    if ((rc = config_defs_build(b, err)) < 0 || (rc = members_build(b, err)) < 0 ||
        (rc = config_addresses_build(b, err)) < 0 || (rc = dns_build(b, err)) < 0) {
        return rc;
    }
    members_set(b, true);
    b->config->datacenter = arena_lower(b->a, b->config->datacenter);
    telemetry_build(b);
    if ((rc = raft_build(b, err)) < 0) {
        return rc;
    }
    auto_config_build(b);
    if ((rc = connect_build(b, err)) < 0) {
        return rc;
    }
    acl_build(b);
    if ((rc = cidrs_build(b, "serf_lan_allowed_cidrs", &b->config->serf_lan_allowed_cidrs, err)) <
            0 ||
        (rc = cidrs_build(b, "serf_wan_allowed_cidrs", &b->config->serf_wan_allowed_cidrs, err)) <
            0) {
        return rc;
    }
    ui_build(b);
    write_cidrs_build(b);
    node_name_build(b);
    return misc_build(b, err);
}
