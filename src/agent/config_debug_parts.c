/* What is shown as one member and is not one, or is not there and shown as if. */
#include "agent/config_debug.h"

#include "schema/config_entry.h"

void debug_put_no_list(struct debug_writer *d)
{
    debug_put_strlist(d->w, (struct strlist){0});
}

static void put_null(struct debug_writer *d)
{
    json_null(d->w);
}

static void put_false(struct debug_writer *d)
{
    json_bool(d->w, false);
}

static void put_no_name(struct debug_writer *d)
{
    json_str(d->w, STR(""));
}

void debug_put_acl_tokens(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        HIDDEN_("ACLAgentMasterToken"),
        HIDDEN_("ACLAgentToken"),
        HIDDEN_("ACLDefaultToken"),
        HIDDEN_("ACLReplicationToken"),
        STR_("DataDir", data_dir),
        BOOL_("EnablePersistence", acl.enable_token_persistence),
        BY_HAND_("EnterpriseConfig", debug_put_nothing),
        {NULL},
    };
    debug_put_entries(d, entries);
}

static void put_strmap(struct json_writer *w, struct strmap m)
{
    if (m.n > 0) {
        json_strmap(w, m);
    } else {
        json_null(w);
    }
}

static void put_auth_method(struct debug_writer *d)
{
    const struct config_auto_config *c = &d->config->auto_config;
    struct json_writer *w = d->w;
    json_object_begin(w);
    json_key(w, STR("ACLAuthMethodEnterpriseFields"));
    debug_put_nothing(d);
    json_key(w, STR("Config"));
    json_object_begin(w);
    json_key(w, STR("BoundAudiences"));
    json_strlist(w, c->bound_audiences);
    json_key(w, STR("BoundIssuer"));
    json_str(w, c->bound_issuer);
    json_key(w, STR("ClaimMappings"));
    put_strmap(w, c->claim_mappings);
    json_key(w, STR("ClockSkewLeeway"));
    json_i64(w, c->clock_skew_leeway);
    json_key(w, STR("ExpirationLeeway"));
    json_i64(w, c->expiration_leeway);
    json_key(w, STR("JWKSCACert"));
    json_str(w, c->jwks_ca_cert);
    json_key(w, STR("JWKSURL"));
    json_str(w, c->jwks_url);
    json_key(w, STR("JWTSupportedAlgs"));
    json_strlist(w, c->jwt_supported_algs);
    json_key(w, STR("JWTValidationPubKeys"));
    json_strlist(w, c->jwt_validation_pub_keys);
    json_key(w, STR("ListClaimMappings"));
    put_strmap(w, c->list_claim_mappings);
    json_key(w, STR("NotBeforeLeeway"));
    json_i64(w, c->not_before_leeway);
    json_key(w, STR("OIDCDiscoveryCACert"));
    json_str(w, c->oidc_discovery_ca_cert);
    json_key(w, STR("OIDCDiscoveryURL"));
    json_str(w, c->oidc_discovery_url);
    json_object_end(w);
    json_key(w, STR("Description"));
    json_str(w, STR(""));
    json_key(w, STR("DisplayName"));
    json_str(w, STR(""));
    json_key(w, STR("EnterpriseMeta"));
    debug_put_nothing(d);
    json_key(w, STR("MaxTokenTTL"));
    json_str(w, STR("0s"));
    json_key(w, STR("Name"));
    json_str(w, STR("Auto Config Authorizer"));
    json_key(w, STR("RaftIndex"));
    json_object_begin(w);
    json_key(w, STR("CreateIndex"));
    json_i64(w, 0);
    json_key(w, STR("ModifyIndex"));
    json_i64(w, 0);
    json_object_end(w);
    json_key(w, STR("TokenLocality"));
    json_str(w, STR(""));
    json_key(w, STR("Type"));
    json_str(w, STR("jwt"));
    json_object_end(w);
}

static void put_authorizer(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        BOOL_("AllowReuse", auto_config.allow_reuse),
        BY_HAND_("AuthMethod", put_auth_method),
        STRLIST_("ClaimAssertions", auto_config.claim_assertions),
        BOOL_("Enabled", auto_config.authorization_enabled),
        {NULL},
    };
    debug_put_entries(d, entries);
}

void debug_put_auto_config(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        BY_HAND_("Authorizer", put_authorizer),
        STRLIST_("DNSSANs", auto_config.dns_sans),
        BOOL_("Enabled", auto_config.enabled),
        STRLIST_("IPSANs", auto_config.ip_sans),
        HIDDEN_("IntroToken"),
        STR_("IntroTokenFile", auto_config.intro_token_file),
        STRLIST_("ServerAddresses", auto_config.server_addresses),
        {NULL},
    };
    debug_put_entries(d, entries);
}

void debug_put_cache(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        INT_("EntryFetchMaxBurst", cache_entry_fetch_max_burst),
        FLOAT_("EntryFetchRate", cache_entry_fetch_rate),
        BY_HAND_("Logger", put_null),
        {NULL},
    };
    debug_put_entries(d, entries);
}

void debug_put_config_entries(struct debug_writer *d)
{
    json_array_begin(d->w);
    for (size_t i = 0; i < d->config->config_entries.n; i++) {
        json_object(d->w, &config_entry_schema, d->config->config_entries.v[i]);
    }
    json_array_end(d->w);
}

/* Empty objects: Consul's watches have consumed their settings by the time anybody asks. */
void debug_put_watches(struct debug_writer *d)
{
    json_array_begin(d->w);
    for (size_t i = 0; i < d->config->watches.n; i++) {
        debug_put_nothing(d);
    }
    json_array_end(d->w);
}

void debug_put_dns_addrs(struct debug_writer *d)
{
    json_array_begin(d->w);
    debug_put_addrs(d, "tcp", d->config->addresses.dns);
    debug_put_addrs(d, "udp", d->config->addresses.dns);
    json_array_end(d->w);
}

void debug_put_soa(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        UINT_("Expire", dns.soa_expire),
        UINT_("Minttl", dns.soa_min_ttl),
        UINT_("Refresh", dns.soa_refresh),
        UINT_("Retry", dns.soa_retry),
        {NULL},
    };
    debug_put_entries(d, entries);
}

void debug_put_service_ttl(struct debug_writer *d)
{
    json_object_begin(d->w);
    for (size_t i = 0; i < d->config->dns.service_ttl_count; i++) {
        json_key(d->w, d->config->dns.service_ttl[i].key);
        debug_put_duration(d, d->config->dns.service_ttl[i].value);
    }
    json_object_end(d->w);
}

void debug_put_logging(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        BOOL_("EnableSyslog", log.syslog),
        STR_("LogFilePath", log.file),
        BOOL_("LogJSON", log.json),
        STR_("LogLevel", log.level),
        INT_("LogRotateBytes", log.rotate_bytes),
        DURATION_("LogRotateDuration", log.rotate_duration),
        INT_("LogRotateMaxFiles", log.rotate_max_files),
        BY_HAND_("Name", put_no_name),
        STR_("SyslogFacility", log.syslog_facility),
        {NULL},
    };
    debug_put_entries(d, entries);
}

void debug_put_node_id(struct debug_writer *d)
{
    json_str(d->w, d->node_id);
}

void debug_put_rpc_config(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        BOOL_("EnableStreaming", rpc_enable_streaming),
        {NULL},
    };
    debug_put_entries(d, entries);
}

/* The numbers of IANA's registry, which is how Go's type prints. */
void debug_put_cipher_suites(struct debug_writer *d)
{
    static const struct {
        const char *name;
        uint16_t number;
    } suites[] = {{"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0xc009},
                  {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", 0xc023},
                  {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b},
                  {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", 0xc00a},
                  {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xc02c},
                  {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", 0xc013},
                  {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", 0xc027},
                  {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xc02f},
                  {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", 0xc014},
                  {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xc030}};
    struct str rest = str_trim(d->config->tls.cipher_suites), name;
    json_array_begin(d->w);
    while (rest.n > 0 && str_split_next(&rest, ',', &name)) {
        for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
            if (str_eq(name, str_from_cstr(suites[i].name))) {
                json_u64(d->w, suites[i].number);
            }
        }
    }
    json_array_end(d->w);
}

static void put_prometheus(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        BY_HAND_("CounterDefinitions", debug_put_no_list),
        DURATION_("Expiration", telemetry.prometheus_retention_time),
        BY_HAND_("GaugeDefinitions", debug_put_no_list),
        BY_HAND_("Registerer", put_null),
        BY_HAND_("SummaryDefinitions", debug_put_no_list),
        {NULL},
    };
    debug_put_entries(d, entries);
}

void debug_put_telemetry(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        STRLIST_("AllowedPrefixes", telemetry.allowed_prefixes),
        STRLIST_("BlockedPrefixes", telemetry.blocked_prefixes),
        STR_("CirconusAPIApp", telemetry.circonus_api_app),
        HIDDEN_("CirconusAPIToken"),
        STR_("CirconusAPIURL", telemetry.circonus_api_url),
        STR_("CirconusBrokerID", telemetry.circonus_broker_id),
        STR_("CirconusBrokerSelectTag", telemetry.circonus_broker_select_tag),
        STR_("CirconusCheckDisplayName", telemetry.circonus_check_display_name),
        STR_("CirconusCheckForceMetricActivation",
             telemetry.circonus_check_force_metric_activation),
        STR_("CirconusCheckID", telemetry.circonus_check_id),
        STR_("CirconusCheckInstanceID", telemetry.circonus_check_instance_id),
        STR_("CirconusCheckSearchTag", telemetry.circonus_check_search_tag),
        STR_("CirconusCheckTags", telemetry.circonus_check_tags),
        STR_("CirconusSubmissionInterval", telemetry.circonus_submission_interval),
        STR_("CirconusSubmissionURL", telemetry.circonus_submission_url),
        BY_HAND_("Disable", put_false),
        BOOL_("DisableCompatOneNine", telemetry.disable_compat_one_nine),
        BOOL_("DisableHostname", telemetry.disable_hostname),
        STR_("DogstatsdAddr", telemetry.dogstatsd_addr),
        STRLIST_("DogstatsdTags", telemetry.dogstatsd_tags),
        BOOL_("FilterDefault", telemetry.filter_default),
        STR_("MetricsPrefix", telemetry.metrics_prefix),
        BY_HAND_("PrometheusOpts", put_prometheus),
        STR_("StatsdAddr", telemetry.statsd_addr),
        STR_("StatsiteAddr", telemetry.statsite_addr),
        {NULL},
    };
    debug_put_entries(d, entries);
}

static void put_metrics_proxy(struct debug_writer *d)
{
    const struct config_ui *ui = &d->config->ui;
    json_object_begin(d->w);
    debug_put_named(d->w, "AddHeaders");
    json_array_begin(d->w);
    for (size_t i = 0; i < ui->metrics_proxy_add_header_count; i++) {
        json_object_begin(d->w);
        debug_put_named(d->w, "Name");
        json_str(d->w, ui->metrics_proxy_add_headers[i].name);
        debug_put_named(d->w, "Value");
        json_str(d->w, HIDDEN_TEXT);
        json_object_end(d->w);
    }
    json_array_end(d->w);
    debug_put_named(d->w, "BaseURL");
    json_str(d->w, ui->metrics_proxy_base_url);
    debug_put_named(d->w, "PathAllowlist");
    debug_put_strlist(d->w, ui->metrics_proxy_path_allowlist);
    json_object_end(d->w);
}

void debug_put_ui(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        STR_("ContentPath", ui.content_path),
        STRMAP_("DashboardURLTemplates", ui.dashboard_url_templates),
        STR_("Dir", ui.dir),
        BOOL_("Enabled", ui.enabled),
        STR_("MetricsProvider", ui.metrics_provider),
        STRLIST_("MetricsProviderFiles", ui.metrics_provider_files),
        STR_("MetricsProviderOptionsJSON", ui.metrics_provider_options_json),
        BY_HAND_("MetricsProxy", put_metrics_proxy),
        {NULL},
    };
    debug_put_entries(d, entries);
}
