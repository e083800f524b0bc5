/* The configuration as /v1/agent/self shows it: a JSON object with Consul's names in order, texts
 * for durations and addresses, and "hidden" for whatever by its name may be a secret. */
#include "agent/config.h"

#include "base/buf.h"
#include "base/clock.h"
#include "schema/json.h"

#include <ctype.h>
#include <float.h>
#include <math.h>

#define HIDDEN_TEXT STR("hidden")
#define DEBUG_FIELDS_MAX 64u
#define DEBUG_DEPTH_MAX 16u

struct debug_writer {
    struct json_writer *w;
    const struct agent_config *config;
    struct str node_id;
    struct arena a;
};

typedef void (*debug_put_fn)(struct debug_writer *d);

enum debug_kind {
    DEBUG_STR,
    DEBUG_BOOL,
    DEBUG_INT,
    DEBUG_UINT,
    DEBUG_FLOAT,
    DEBUG_DURATION,
    DEBUG_STRLIST,
    DEBUG_JOINS,
    DEBUG_STRMAP,
    DEBUG_CIDRS,
    DEBUG_ADDR,
    DEBUG_ADDRS,
    DEBUG_VALUE,
    DEBUG_HIDDEN,
    DEBUG_BY_HAND,
};

struct debug_entry {
    const char *name;
    enum debug_kind kind;
    size_t offset;
    debug_put_fn put;
};

/* --- pieces
 * ------------------------------------------------------------------------------------------ */

static bool is_secret(struct str name)
{
    static const char *const marks[] = {"key", "token", "secret"};
    if (str_eq_lit(name, "TokenLocality") || str_eq_lit(name, "IntroTokenFile")) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        struct str mark = str_from_cstr(marks[i]);
        for (size_t j = 0; j + mark.n <= name.n; j++) {
            if (str_eq_fold(str_make(name.p + j, mark.n), mark)) {
                return true;
            }
        }
    }
    return false;
}

static void put_named(struct json_writer *w, const char *name)
{
    json_key(w, str_from_cstr(name));
}

static void put_duration(struct debug_writer *d, int64_t ns)
{
    json_str(d->w, duration_format(&d->a, ns));
}

static void put_strlist(struct json_writer *w, struct strlist list)
{
    json_array_begin(w);
    for (size_t i = 0; i < list.n; i++) {
        json_str(w, list.v[i]);
    }
    json_array_end(w);
}

static void put_strmap(struct json_writer *w, struct strmap map)
{
    json_object_begin(w);
    for (size_t i = 0; i < map.n; i++) {
        json_key(w, map.v[i].key);
        json_str(w, is_secret(map.v[i].key) ? HIDDEN_TEXT : map.v[i].value);
    }
    json_object_end(w);
}

/* Values of cloud auto-join are key=value words; the secret ones are hidden. */
static void put_joins(struct debug_writer *d, struct strlist joins)
{
    json_array_begin(d->w);
    for (size_t i = 0; i < joins.n; i++) {
        struct str rest = joins.v[i], word, key, value;
        struct buf text = {0};
        while (str_split_next(&rest, ' ', &word)) {
            if (word.n == 0) {
                continue;
            }
            buf_printf(&text, "%s", text.n > 0 ? " " : "");
            if (is_secret(word)) {
                (void)str_cut(word, '=', &key, &value);
                buf_str(&text, key);
                buf_lit(&text, "=hidden");
            } else {
                buf_str(&text, word);
            }
        }
        json_str(d->w, buf_view(&text));
        buf_deinit(&text);
    }
    json_array_end(d->w);
}

static void put_addr(struct debug_writer *d, const char *network, struct config_addr addr)
{
    bool is_v6 = str_find_byte(addr.host, ':') >= 0;
    if (addr.path.n > 0) {
        json_str(d->w, arena_printf(&d->a, "unix://%.*s", STRF(addr.path)));
    } else if (addr.host.n == 0) {
        json_str(d->w, STR(""));
    } else {
        json_str(d->w, arena_printf(&d->a, is_v6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u", network,
                                    STRF(addr.host), addr.port));
    }
}

static void put_addrs(struct debug_writer *d, const char *network, struct config_addrlist addrs)
{
    for (size_t i = 0; i < addrs.n; i++) {
        put_addr(d, network, addrs.v[i]);
    }
}

static void put_float(struct json_writer *w, double f)
{
    json_f64(w, isinf(f) ? DBL_MAX : f);
}

static void put_value(struct debug_writer *d, struct str name, const struct value *v,
                      unsigned depth)
{
    if (v == NULL || depth > DEBUG_DEPTH_MAX) {
        json_null(d->w);
    } else if (v->kind == VALUE_STR && is_secret(name)) {
        json_str(d->w, HIDDEN_TEXT);
    } else if (v->kind == VALUE_MAP) {
        struct strpair *keys = ARENA_ARRAY(&d->a, struct strpair, v->map.n);
        for (size_t i = 0; i < v->map.n; i++) {
            keys[i].key = v->map.v[i].key;
        }
        struct strmap sorted = strmap_build(keys, v->map.n);
        json_object_begin(d->w);
        for (size_t i = 0; i < sorted.n; i++) {
            json_key(d->w, sorted.v[i].key);
            put_value(d, sorted.v[i].key, value_get(v, sorted.v[i].key), depth + 1);
        }
        json_object_end(d->w);
    } else if (v->kind == VALUE_LIST) {
        json_array_begin(d->w);
        for (size_t i = 0; i < v->list.n; i++) {
            put_value(d, name, &v->list.v[i], depth + 1);
        }
        json_array_end(d->w);
    } else {
        json_value(d->w, v);
    }
}

static void put_value_map(struct debug_writer *d, const struct value *v)
{
    static const struct value none = {.kind = VALUE_MAP};
    put_value(d, STR(""), v != NULL ? v : &none, 0);
}

static void put_nothing(struct debug_writer *d)
{
    json_object_begin(d->w);
    json_object_end(d->w);
}

/* --- definitions: any struct with a field table
 * --------------------------------------------------------- */

static void put_object(struct debug_writer *d, const struct schema *schema, const void *object);

static void put_field(struct debug_writer *d, const struct field *f, const void *object)
{
    static const struct check_def no_check = {0};
    const void *p = (const char *)object + f->offset;
    switch (f->kind) {
    case FIELD_STR:
        json_str(d->w, is_secret(str_from_cstr(f->name)) ? HIDDEN_TEXT : *(const struct str *)p);
        break;
    case FIELD_DURATION:
        put_duration(d, *(const int64_t *)p);
        break;
    case FIELD_STRLIST:
        put_strlist(d->w, *(const struct strlist *)p);
        break;
    case FIELD_STRMAP:
        put_strmap(d->w, *(const struct strmap *)p);
        break;
    case FIELD_STRLISTMAP: {
        const struct strlistmap *map = p;
        json_object_begin(d->w);
        for (size_t i = 0; i < map->n; i++) {
            json_key(d->w, map->v[i].key);
            put_strlist(d->w, map->v[i].values);
        }
        json_object_end(d->w);
        break;
    }
    case FIELD_VALUE:
        put_value_map(d, *(const struct value *const *)p);
        break;
    case FIELD_OBJ:
        put_object(d, f->sub, p);
        break;
    case FIELD_PTR:
        if (*(void *const *)p != NULL) {
            put_object(d, f->sub, *(void *const *)p);
        } else if (f->sub == &check_type_schema) {
            put_object(d, f->sub, &no_check); /* not a pointer in Consul */
        } else {
            json_null(d->w);
        }
        break;
    case FIELD_OBJLIST:
    case FIELD_PTRLIST: {
        size_t n = f->kind == FIELD_OBJLIST ? ((const struct objlist *)p)->n
                                            : ((const struct ptrlist *)p)->n;
        json_array_begin(d->w);
        for (size_t i = 0; i < n; i++) {
            put_object(d, f->sub,
                       f->kind == FIELD_OBJLIST
                           ? (const char *)((const struct objlist *)p)->v + i * f->sub->size
                           : ((const struct ptrlist *)p)->v[i]);
        }
        json_array_end(d->w);
        break;
    }
    case FIELD_OBJMAP: {
        const struct objmap *map = p;
        json_object_begin(d->w);
        for (size_t i = 0; i < map->n; i++) {
            json_key(d->w, map->v[i].key);
            put_object(d, f->sub, map->v[i].value);
        }
        json_object_end(d->w);
        break;
    }
    default:
        json_field(d->w, f, object);
        break;
    }
}

/* Members in the order of their names, all of them, empty or not. */
static void put_object(struct debug_writer *d, const struct schema *schema, const void *object)
{
    const struct field *sorted[DEBUG_FIELDS_MAX];
    size_t n = 0;
    for (const struct field *f = schema->fields; f->name != NULL && n < DEBUG_FIELDS_MAX; f++) {
        if ((f->flags & F_ALIAS) != 0) {
            continue;
        }
        size_t i = n++;
        for (; i > 0 && strcmp(sorted[i - 1]->name, f->name) > 0; i--) {
            sorted[i] = sorted[i - 1];
        }
        sorted[i] = f;
    }
    bool has_meta = schema == &check_def_schema || schema == &service_def_schema;
    json_object_begin(d->w);
    for (size_t i = 0; i < n; i++) {
        if (has_meta && strcmp(sorted[i]->name, "EnterpriseMeta") > 0) {
            has_meta = false;
            put_named(d->w, "EnterpriseMeta");
            put_nothing(d);
        }
        put_named(d->w, sorted[i]->name);
        put_field(d, sorted[i], object);
    }
    json_object_end(d->w);
}

static void put_objects(struct debug_writer *d, const struct schema *schema, struct objlist list)
{
    json_array_begin(d->w);
    for (size_t i = 0; i < list.n; i++) {
        put_object(d, schema, (const char *)list.v + i * schema->size);
    }
    json_array_end(d->w);
}

static void put_checks(struct debug_writer *d)
{
    put_objects(d, &check_def_schema, d->config->checks);
}

static void put_services(struct debug_writer *d)
{
    put_objects(d, &service_def_schema, d->config->services);
}

/* --- what is not one member
 * ---------------------------------------------------------------------------- */

static void put_entries(struct debug_writer *d, const struct debug_entry *entries);

#define ENTRY(n, k, m)                                                   \
    {                                                                    \
        .name = n, .kind = k, .offset = offsetof(struct agent_config, m) \
    }
#define STR_(n, m) ENTRY(n, DEBUG_STR, m)
#define BOOL_(n, m) ENTRY(n, DEBUG_BOOL, m)
#define INT_(n, m) ENTRY(n, DEBUG_INT, m)
#define UINT_(n, m) ENTRY(n, DEBUG_UINT, m)
#define FLOAT_(n, m) ENTRY(n, DEBUG_FLOAT, m)
#define DURATION_(n, m) ENTRY(n, DEBUG_DURATION, m)
#define STRLIST_(n, m) ENTRY(n, DEBUG_STRLIST, m)
#define JOINS_(n, m) ENTRY(n, DEBUG_JOINS, m)
#define STRMAP_(n, m) ENTRY(n, DEBUG_STRMAP, m)
#define CIDRS_(n, m) ENTRY(n, DEBUG_CIDRS, m)
#define ADDR_(n, m) ENTRY(n, DEBUG_ADDR, m)
#define ADDRS_(n, m) ENTRY(n, DEBUG_ADDRS, m)
#define VALUE_(n, m) ENTRY(n, DEBUG_VALUE, m)
#define HIDDEN_(n)                      \
    {                                   \
        .name = n, .kind = DEBUG_HIDDEN \
    }
#define BY_HAND_(n, f)                             \
    {                                              \
        .name = n, .kind = DEBUG_BY_HAND, .put = f \
    }

static void put_no_list(struct debug_writer *d)
{
    put_strlist(d->w, (struct strlist){0});
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

static void put_acl_tokens(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        HIDDEN_("ACLAgentMasterToken"),
        HIDDEN_("ACLAgentToken"),
        HIDDEN_("ACLDefaultToken"),
        HIDDEN_("ACLReplicationToken"),
        STR_("DataDir", data_dir),
        BOOL_("EnablePersistence", acl.enable_token_persistence),
        BY_HAND_("EnterpriseConfig", put_nothing),
        {NULL},
    };
    put_entries(d, entries);
}

static void put_authorizer(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        BOOL_("AllowReuse", auto_config.allow_reuse),
        STRLIST_("ClaimAssertions", auto_config.claim_assertions),
        BOOL_("Enabled", auto_config.authorization_enabled),
        {NULL},
    };
    put_entries(d, entries);
}

static void put_auto_config(struct debug_writer *d)
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
    put_entries(d, entries);
}

static void put_cache(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        INT_("EntryFetchMaxBurst", cache_entry_fetch_max_burst),
        FLOAT_("EntryFetchRate", cache_entry_fetch_rate),
        BY_HAND_("Logger", put_null),
        {NULL},
    };
    put_entries(d, entries);
}

static void put_config_entries(struct debug_writer *d)
{
    const struct value *v = d->config->config_entries_bootstrap.v;
    json_array_begin(d->w);
    for (size_t i = 0; i < d->config->config_entries_bootstrap.n; i++) {
        put_value(d, STR(""), &v[i], 0);
    }
    json_array_end(d->w);
}

/* Empty objects: Consul's watches have consumed their settings by the time anybody asks. */
static void put_watches(struct debug_writer *d)
{
    json_array_begin(d->w);
    for (size_t i = 0; i < d->config->watches.n; i++) {
        put_nothing(d);
    }
    json_array_end(d->w);
}

static void put_dns_addrs(struct debug_writer *d)
{
    json_array_begin(d->w);
    put_addrs(d, "tcp", d->config->addresses.dns);
    put_addrs(d, "udp", d->config->addresses.dns);
    json_array_end(d->w);
}

static void put_soa(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        UINT_("Expire", dns.soa_expire),
        UINT_("Minttl", dns.soa_min_ttl),
        UINT_("Refresh", dns.soa_refresh),
        UINT_("Retry", dns.soa_retry),
        {NULL},
    };
    put_entries(d, entries);
}

static void put_service_ttl(struct debug_writer *d)
{
    json_object_begin(d->w);
    for (size_t i = 0; i < d->config->dns.service_ttl_count; i++) {
        json_key(d->w, d->config->dns.service_ttl[i].key);
        put_duration(d, d->config->dns.service_ttl[i].value);
    }
    json_object_end(d->w);
}

static void put_logging(struct debug_writer *d)
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
    put_entries(d, entries);
}

static void put_node_id(struct debug_writer *d)
{
    json_str(d->w, d->node_id);
}

static void put_rpc_config(struct debug_writer *d)
{
    static const struct debug_entry entries[] = {
        BOOL_("EnableStreaming", rpc_enable_streaming),
        {NULL},
    };
    put_entries(d, entries);
}

/* The numbers of IANA's registry, which is how Go's type prints. */
static void put_cipher_suites(struct debug_writer *d)
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
        BY_HAND_("CounterDefinitions", put_no_list),
        DURATION_("Expiration", telemetry.prometheus_retention_time),
        BY_HAND_("GaugeDefinitions", put_no_list),
        BY_HAND_("Registerer", put_null),
        BY_HAND_("SummaryDefinitions", put_no_list),
        {NULL},
    };
    put_entries(d, entries);
}

static void put_telemetry(struct debug_writer *d)
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
    put_entries(d, entries);
}

static void put_metrics_proxy(struct debug_writer *d)
{
    const struct config_ui *ui = &d->config->ui;
    json_object_begin(d->w);
    put_named(d->w, "AddHeaders");
    json_array_begin(d->w);
    for (size_t i = 0; i < ui->metrics_proxy_add_header_count; i++) {
        json_object_begin(d->w);
        put_named(d->w, "Name");
        json_str(d->w, ui->metrics_proxy_add_headers[i].name);
        put_named(d->w, "Value");
        json_str(d->w, HIDDEN_TEXT);
        json_object_end(d->w);
    }
    json_array_end(d->w);
    put_named(d->w, "BaseURL");
    json_str(d->w, ui->metrics_proxy_base_url);
    put_named(d->w, "PathAllowlist");
    put_strlist(d->w, ui->metrics_proxy_path_allowlist);
    json_object_end(d->w);
}

static void put_ui(struct debug_writer *d)
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
    put_entries(d, entries);
}

/* --- the table
 * ------------------------------------------------------------------------------------------- */

static void put_entry(struct debug_writer *d, const struct debug_entry *e)
{
    const void *p = (const char *)d->config + e->offset;
    switch (e->kind) {
    case DEBUG_STR:
        json_str(d->w, *(const struct str *)p);
        break;
    case DEBUG_BOOL:
        json_bool(d->w, *(const bool *)p);
        break;
    case DEBUG_INT:
        json_i64(d->w, *(const int64_t *)p);
        break;
    case DEBUG_UINT:
        json_u64(d->w, *(const uint64_t *)p);
        break;
    case DEBUG_FLOAT:
        put_float(d->w, *(const double *)p);
        break;
    case DEBUG_DURATION:
        put_duration(d, *(const int64_t *)p);
        break;
    case DEBUG_STRLIST:
        put_strlist(d->w, *(const struct strlist *)p);
        break;
    case DEBUG_JOINS:
        put_joins(d, *(const struct strlist *)p);
        break;
    case DEBUG_STRMAP:
        put_strmap(d->w, *(const struct strmap *)p);
        break;
    case DEBUG_CIDRS: {
        const struct config_cidrlist *cidrs = p;
        json_array_begin(d->w);
        for (size_t i = 0; i < cidrs->n; i++) {
            json_str(d->w, cidrs->v[i].text);
        }
        json_array_end(d->w);
        break;
    }
    case DEBUG_ADDR:
        put_addr(d, "tcp", *(const struct config_addr *)p);
        break;
    case DEBUG_ADDRS:
        json_array_begin(d->w);
        put_addrs(d, "tcp", *(const struct config_addrlist *)p);
        json_array_end(d->w);
        break;
    case DEBUG_VALUE:
        put_value_map(d, *(const struct value *const *)p);
        break;
    case DEBUG_HIDDEN:
        json_str(d->w, HIDDEN_TEXT);
        break;
    case DEBUG_BY_HAND:
        e->put(d);
        break;
    }
}

static void put_entries(struct debug_writer *d, const struct debug_entry *entries)
{
    json_object_begin(d->w);
    for (const struct debug_entry *e = entries; e->name != NULL; e++) {
        put_named(d->w, e->name);
        put_entry(d, e);
    }
    json_object_end(d->w);
}

/* clang-format off */
static const struct debug_entry debug_entries[] = {
    STR_("ACLDatacenter", primary_datacenter),
    STR_("ACLDefaultPolicy", acl.default_policy),
    DURATION_("ACLDisabledTTL", acl.disabled_ttl),
    STR_("ACLDownPolicy", acl.down_policy),
    BOOL_("ACLEnableKeyListPolicy", acl.enable_key_list_policy),
    HIDDEN_("ACLMasterToken"),
    DURATION_("ACLPolicyTTL", acl.policy_ttl),
    DURATION_("ACLRoleTTL", acl.role_ttl),
    BOOL_("ACLTokenReplication", acl.enable_token_replication),
    DURATION_("ACLTokenTTL", acl.token_ttl),
    BY_HAND_("ACLTokens", put_acl_tokens),
    BOOL_("ACLsEnabled", acl.enabled),
    DURATION_("AEInterval", ae_interval),
    STR_("AdvertiseAddrLAN", addresses.advertise),
    STR_("AdvertiseAddrWAN", addresses.advertise_wan),
    DURATION_("AdvertiseReconnectTimeout", advertise_reconnect_timeout),
    CIDRS_("AllowWriteHTTPFrom", http.allow_write_from),
    BY_HAND_("AutoConfig", put_auto_config),
    BOOL_("AutoEncryptAllowTLS", auto_encrypt.allow_tls),
    STRLIST_("AutoEncryptDNSSAN", auto_encrypt.dns_san),
    STRLIST_("AutoEncryptIPSAN", auto_encrypt.ip_san),
    BOOL_("AutoEncryptTLS", auto_encrypt.tls),
    BOOL_("AutopilotCleanupDeadServers", autopilot.cleanup_dead_servers),
    BOOL_("AutopilotDisableUpgradeMigration", autopilot.disable_upgrade_migration),
    DURATION_("AutopilotLastContactThreshold", autopilot.last_contact_threshold),
    INT_("AutopilotMaxTrailingLogs", autopilot.max_trailing_logs),
    UINT_("AutopilotMinQuorum", autopilot.min_quorum),
    STR_("AutopilotRedundancyZoneTag", autopilot.redundancy_zone_tag),
    DURATION_("AutopilotServerStabilizationTime", autopilot.server_stabilization_time),
    STR_("AutopilotUpgradeVersionTag", autopilot.upgrade_version_tag),
    STR_("BindAddr", addresses.bind),
    BOOL_("Bootstrap", bootstrap),
    INT_("BootstrapExpect", bootstrap_expect),
    STR_("CAFile", tls.ca_file),
    STR_("CAPath", tls.ca_path),
    BY_HAND_("Cache", put_cache),
    STR_("CertFile", tls.cert_file),
    DURATION_("CheckDeregisterIntervalMin", checks_config.deregister_interval_min),
    INT_("CheckOutputMaxSize", checks_config.output_max_size),
    DURATION_("CheckReapInterval", checks_config.reap_interval),
    DURATION_("CheckUpdateInterval", checks_config.update_interval),
    BY_HAND_("Checks", put_checks),
    STRLIST_("ClientAddrs", addresses.client),
    BY_HAND_("ConfigEntryBootstrap", put_config_entries),
    VALUE_("ConnectCAConfig", connect.ca_config),
    STR_("ConnectCAProvider", connect.ca_provider),
    BOOL_("ConnectEnabled", connect.enabled),
    BOOL_("ConnectMeshGatewayWANFederationEnabled", connect.enable_mesh_gateway_wan_federation),
    INT_("ConnectSidecarMaxPort", ports.sidecar_max),
    INT_("ConnectSidecarMinPort", ports.sidecar_min),
    DURATION_("ConnectTestCALeafRootChangeSpread", connect.test_ca_leaf_root_change_spread),
    INT_("ConsulCoordinateUpdateBatchSize", coordinates.update_batch_size),
    INT_("ConsulCoordinateUpdateMaxBatches", coordinates.update_max_batches),
    DURATION_("ConsulCoordinateUpdatePeriod", coordinates.update_period),
    DURATION_("ConsulRaftElectionTimeout", raft.election_timeout),
    DURATION_("ConsulRaftHeartbeatTimeout", raft.heartbeat_timeout),
    DURATION_("ConsulRaftLeaderLeaseTimeout", raft.leader_lease_timeout),
    DURATION_("ConsulServerHealthInterval", server_health_interval),
    INT_("DNSARecordLimit", dns.a_record_limit),
    BY_HAND_("DNSAddrs", put_dns_addrs),
    BOOL_("DNSAllowStale", dns.allow_stale),
    STR_("DNSAltDomain", dns.alt_domain),
    DURATION_("DNSCacheMaxAge", dns.cache_max_age),
    BOOL_("DNSDisableCompression", dns.disable_compression),
    STR_("DNSDomain", dns.domain),
    BOOL_("DNSEnableTruncate", dns.enable_truncate),
    DURATION_("DNSMaxStale", dns.max_stale),
    BOOL_("DNSNodeMetaTXT", dns.node_meta_txt),
    DURATION_("DNSNodeTTL", dns.node_ttl),
    BOOL_("DNSOnlyPassing", dns.only_passing),
    INT_("DNSPort", ports.dns),
    DURATION_("DNSRecursorTimeout", dns.recursor_timeout),
    STRLIST_("DNSRecursors", dns.recursors),
    BY_HAND_("DNSSOA", put_soa),
    BY_HAND_("DNSServiceTTL", put_service_ttl),
    INT_("DNSUDPAnswerLimit", dns.udp_answer_limit),
    BOOL_("DNSUseCache", dns.use_cache),
    STR_("DataDir", data_dir),
    STR_("Datacenter", datacenter),
    DURATION_("DefaultQueryTime", default_query_time),
    BOOL_("DevMode", is_dev),
    BOOL_("DisableAnonymousSignature", disable_anonymous_signature),
    BOOL_("DisableCoordinates", coordinates.disabled),
    BOOL_("DisableHTTPUnprintableCharFilter", disable_http_unprintable_char_filter),
    BOOL_("DisableHostNodeID", disable_host_node_id),
    BOOL_("DisableKeyringFile", disable_keyring_file),
    BOOL_("DisableRemoteExec", disable_remote_exec),
    BOOL_("DisableUpdateCheck", disable_update_check),
    BOOL_("DiscardCheckOutput", checks_config.discard_output),
    DURATION_("DiscoveryMaxStale", discovery_max_stale),
    BOOL_("EnableAgentTLSForChecks", tls.enable_agent_tls_for_checks),
    BOOL_("EnableCentralServiceConfig", enable_central_service_config),
    BOOL_("EnableDebug", enable_debug),
    BOOL_("EnableLocalScriptChecks", checks_config.enable_local_script),
    BOOL_("EnableRemoteScriptChecks", checks_config.enable_remote_script),
    HIDDEN_("EncryptKey"),
    BOOL_("EncryptVerifyIncoming", encrypt_verify_incoming),
    BOOL_("EncryptVerifyOutgoing", encrypt_verify_outgoing),
    BY_HAND_("EnterpriseRuntimeConfig", put_nothing),
    INT_("ExposeMaxPort", ports.expose_max),
    INT_("ExposeMinPort", ports.expose_min),
    ADDRS_("GRPCAddrs", addresses.grpc),
    INT_("GRPCPort", ports.grpc),
    DURATION_("GossipLANGossipInterval", gossip_lan.gossip_interval),
    INT_("GossipLANGossipNodes", gossip_lan.gossip_nodes),
    DURATION_("GossipLANProbeInterval", gossip_lan.probe_interval),
    DURATION_("GossipLANProbeTimeout", gossip_lan.probe_timeout),
    INT_("GossipLANRetransmitMult", gossip_lan.retransmit_mult),
    INT_("GossipLANSuspicionMult", gossip_lan.suspicion_mult),
    DURATION_("GossipWANGossipInterval", gossip_wan.gossip_interval),
    INT_("GossipWANGossipNodes", gossip_wan.gossip_nodes),
    DURATION_("GossipWANProbeInterval", gossip_wan.probe_interval),
    DURATION_("GossipWANProbeTimeout", gossip_wan.probe_timeout),
    INT_("GossipWANRetransmitMult", gossip_wan.retransmit_mult),
    INT_("GossipWANSuspicionMult", gossip_wan.suspicion_mult),
    ADDRS_("HTTPAddrs", addresses.http),
    STRLIST_("HTTPBlockEndpoints", http.block_endpoints),
    INT_("HTTPMaxConnsPerClient", limits.http_max_conns_per_client),
    INT_("HTTPMaxHeaderBytes", http.max_header_bytes),
    INT_("HTTPPort", ports.http),
    STRMAP_("HTTPResponseHeaders", http.response_headers),
    ADDRS_("HTTPSAddrs", addresses.https),
    DURATION_("HTTPSHandshakeTimeout", limits.https_handshake_timeout),
    INT_("HTTPSPort", ports.https),
    BOOL_("HTTPUseCache", http.use_cache),
    UINT_("KVMaxValueSize", limits.kv_max_value_size),
    HIDDEN_("KeyFile"),
    DURATION_("LeaveDrainTime", leave_drain_time),
    BOOL_("LeaveOnTerm", leave_on_terminate),
    BY_HAND_("Logging", put_logging),
    DURATION_("MaxQueryTime", max_query_time),
    BY_HAND_("NodeID", put_node_id),
    STRMAP_("NodeMeta", node_meta),
    STR_("NodeName", node_name),
    STR_("PidFile", pid_file),
    STR_("PrimaryDatacenter", primary_datacenter),
    STRLIST_("PrimaryGateways", primary_gateways),
    DURATION_("PrimaryGatewaysInterval", primary_gateways_interval),
    ADDR_("RPCAdvertiseAddr", addresses.rpc_advertise),
    ADDR_("RPCBindAddr", addresses.rpc_bind),
    BY_HAND_("RPCConfig", put_rpc_config),
    DURATION_("RPCHandshakeTimeout", limits.rpc_handshake_timeout),
    DURATION_("RPCHoldTimeout", rpc_hold_timeout),
    INT_("RPCMaxBurst", limits.rpc_max_burst),
    INT_("RPCMaxConnsPerClient", limits.rpc_max_conns_per_client),
    INT_("RPCProtocol", rpc_protocol),
    FLOAT_("RPCRateLimit", limits.rpc_rate),
    INT_("RaftProtocol", raft.protocol),
    DURATION_("RaftSnapshotInterval", raft.snapshot_interval),
    INT_("RaftSnapshotThreshold", raft.snapshot_threshold),
    INT_("RaftTrailingLogs", raft.trailing_logs),
    BOOL_("ReadReplica", read_replica),
    DURATION_("ReconnectTimeoutLAN", reconnect_timeout_lan),
    DURATION_("ReconnectTimeoutWAN", reconnect_timeout_wan),
    BOOL_("RejoinAfterLeave", rejoin_after_leave),
    DURATION_("RetryJoinIntervalLAN", join_lan.retry_interval),
    DURATION_("RetryJoinIntervalWAN", join_wan.retry_interval),
    JOINS_("RetryJoinLAN", join_lan.retry),
    INT_("RetryJoinMaxAttemptsLAN", join_lan.retry_max),
    INT_("RetryJoinMaxAttemptsWAN", join_wan.retry_max),
    JOINS_("RetryJoinWAN", join_wan.retry),
    STR_("Revision", revision),
    INT_("SegmentLimit", segment_limit),
    STR_("SegmentName", segment),
    INT_("SegmentNameLimit", segment_name_limit),
    BY_HAND_("Segments", put_no_list),
    ADDR_("SerfAdvertiseAddrLAN", addresses.serf_advertise_lan),
    ADDR_("SerfAdvertiseAddrWAN", addresses.serf_advertise_wan),
    CIDRS_("SerfAllowedCIDRsLAN", serf_lan_allowed_cidrs),
    CIDRS_("SerfAllowedCIDRsWAN", serf_wan_allowed_cidrs),
    ADDR_("SerfBindAddrLAN", addresses.serf_bind_lan),
    ADDR_("SerfBindAddrWAN", addresses.serf_bind_wan),
    INT_("SerfPortLAN", ports.serf_lan),
    INT_("SerfPortWAN", ports.serf_wan),
    BOOL_("ServerMode", is_server),
    STR_("ServerName", tls.server_name),
    INT_("ServerPort", ports.server),
    BY_HAND_("Services", put_services),
    DURATION_("SessionTTLMin", session_ttl_min),
    BOOL_("SkipLeaveOnInt", skip_leave_on_interrupt),
    STRLIST_("StartJoinAddrsLAN", join_lan.start),
    STRLIST_("StartJoinAddrsWAN", join_wan.start),
    DURATION_("SyncCoordinateIntervalMin", coordinates.sync_interval_min),
    FLOAT_("SyncCoordinateRateTarget", coordinates.sync_rate_target),
    BY_HAND_("TLSCipherSuites", put_cipher_suites),
    STR_("TLSMinVersion", tls.min_version),
    BOOL_("TLSPreferServerCipherSuites", tls.prefer_server_cipher_suites),
    STRMAP_("TaggedAddresses", addresses.tagged),
    BY_HAND_("Telemetry", put_telemetry),
    BOOL_("TranslateWANAddrs", translate_wan_addrs),
    UINT_("TxnMaxReqLen", limits.txn_max_req_len),
    BY_HAND_("UIConfig", put_ui),
    STR_("UnixSocketGroup", unix_sockets_group),
    STR_("UnixSocketMode", unix_sockets_mode),
    STR_("UnixSocketUser", unix_sockets_user),
    BOOL_("UseStreamingBackend", use_streaming_backend),
    BOOL_("VerifyIncoming", tls.verify_incoming),
    BOOL_("VerifyIncomingHTTPS", tls.verify_incoming_https),
    BOOL_("VerifyIncomingRPC", tls.verify_incoming_rpc),
    BOOL_("VerifyOutgoing", tls.verify_outgoing),
    BOOL_("VerifyServerHostname", tls.verify_server_hostname),
    STR_("Version", version),
    STR_("VersionPrerelease", version_prerelease),
    BY_HAND_("Watches", put_watches),
    {NULL},
};
/* clang-format on */

void config_write_debug(struct json_writer *w, const struct agent_config *config,
                        struct str node_id)
{
    struct debug_writer d = {.w = w, .config = config, .node_id = node_id};
    put_entries(&d, debug_entries);
    arena_deinit(&d.a);
}
