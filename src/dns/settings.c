#include "dns/settings.h"

#include "agent/config.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "dns/server.h"

#define RECURSOR_PORT 53

static uint32_t seconds(int64_t ns)
{
    int64_t s = ns / (int64_t)NS_PER_SEC;
    return s < 0 ? 0 : (uint32_t)MIN(s, (int64_t)UINT32_MAX);
}

static struct str wire_name(struct arena *a, struct str text)
{
    uint8_t name[DNS_NAME_SIZE_MAX];
    int n = dns_name_parse(text, name);
    return n < 0 ? STR_NULL : arena_str(a, str_make(name, (size_t)n));
}

static int read_domain(struct dns_settings *s, struct str given, struct str *ret_text,
                       struct str *ret_wire, struct err *err)
{
    struct str text = arena_lower(&s->arena, given);
    if (text.n == 0 || text.p[text.n - 1] != '.') {
        text = arena_concat(&s->arena, text, STR("."));
    }
    *ret_text = text;
    *ret_wire = wire_name(&s->arena, text);
    return ret_wire->n > 0 ? 0 : err_set(err, ERR_INVALID, "not a domain: %.*s", STRF(given));
}

static int read_domains(struct dns_settings *s, const struct config_dns *c, struct err *err)
{
    int r = read_domain(s, c->domain, &s->domain, &s->domain_wire, err);
    if (r >= 0 && c->alt_domain.n > 0) {
        r = read_domain(s, c->alt_domain, &s->alt_domain, &s->alt_domain_wire, err);
        if (s->alt_domain.n == 1) {
            s->alt_domain = s->alt_domain_wire = STR_NULL;
        }
    }
    if (r < 0) {
        return r;
    }
    struct str ns = wire_name(&s->arena, arena_concat(&s->arena, STR("ns."), s->domain));
    struct str mbox = wire_name(&s->arena, arena_concat(&s->arena, STR("hostmaster."), s->domain));
    s->soa_names = arena_concat(&s->arena, ns, mbox);
    return 0;
}

static void read_ttls(struct dns_settings *s, const struct config_dns *c)
{
    struct dns_ttl *whole = ARENA_ARRAY(&s->arena, struct dns_ttl, c->service_ttl_count);
    struct dns_ttl *prefixes = ARENA_ARRAY(&s->arena, struct dns_ttl, c->service_ttl_count);
    for (size_t i = 0; i < c->service_ttl_count; i++) {
        struct str key = arena_str(&s->arena, c->service_ttl[i].key);
        uint32_t ttl = seconds(c->service_ttl[i].value);
        if (str_has_suffix(key, STR("*"))) {
            prefixes[s->ttl_prefixes_count++] = (struct dns_ttl){str_first(key, key.n - 1), ttl};
        } else {
            whole[s->ttls_count++] = (struct dns_ttl){key, ttl};
        }
    }
    s->ttls = whole;
    s->ttl_prefixes = prefixes;
}

uint32_t dns_service_ttl(const struct dns_settings *s, struct str service)
{
    for (size_t i = 0; i < s->ttls_count; i++) {
        if (str_eq(s->ttls[i].prefix, service)) {
            return s->ttls[i].seconds;
        }
    }
    const struct dns_ttl *best = NULL;
    for (size_t i = 0; i < s->ttl_prefixes_count; i++) {
        const struct dns_ttl *ttl = &s->ttl_prefixes[i];
        if (str_has_prefix(service, ttl->prefix) &&
            (best == NULL || ttl->prefix.n > best->prefix.n)) {
            best = ttl;
        }
    }
    return best != NULL ? best->seconds : 0;
}

static int read_recursors(struct dns_settings *s, const struct config_dns *c, struct err *err)
{
    struct address *recursors = ARENA_ARRAY(&s->arena, struct address, c->recursors.n);
    for (size_t i = 0; i < c->recursors.n; i++) {
        struct str text = c->recursors.v[i];
        if (address_parse(&recursors[i], text, RECURSOR_PORT, NULL) < 0 &&
            address_parse_host_port(&recursors[i], text, err) < 0) {
            if (str_find_byte(text, ':') != str_rfind_byte(text, ':')) {
                (void)err_set(err, ERR_INVALID, "address %.*s: too many colons in address",
                              STRF(text));
            }
            return err_wrap(err, "Invalid recursor address");
        }
        if (address_is_unix(&recursors[i])) {
            return err_set(err, ERR_INVALID, "Invalid recursor address: %.*s", STRF(text));
        }
    }
    s->recursors = recursors;
    s->recursors_count = c->recursors.n;
    return 0;
}

struct dns_settings *dns_settings_new(const struct agent_config *config, struct err *err)
{
    const struct config_dns *c = &config->dns;
    struct dns_settings *s = xcalloc(1, sizeof(*s));
    s->allow_stale = c->allow_stale;
    s->disable_compression = c->disable_compression;
    s->enable_truncate = c->enable_truncate;
    s->only_passing = c->only_passing;
    s->node_meta_txt = c->node_meta_txt;
    s->use_cache = c->use_cache;
    s->translate_wan_addrs = config->translate_wan_addrs;
    s->a_record_limit = c->a_record_limit;
    s->udp_answer_limit = c->udp_answer_limit;
    s->max_stale_ns = c->max_stale;
    s->cache_max_age_ns = c->cache_max_age;
    s->node_ttl = seconds(c->node_ttl);
    s->recursor_timeout_ms = (uint64_t)MAX(c->recursor_timeout, 0) / NS_PER_MS;
    s->soa_refresh = (uint32_t)c->soa_refresh;
    s->soa_retry = (uint32_t)c->soa_retry;
    s->soa_expire = (uint32_t)c->soa_expire;
    s->soa_min_ttl = (uint32_t)c->soa_min_ttl;
    s->datacenter = arena_str(&s->arena, config->datacenter);
    s->node_name = arena_str(&s->arena, config->node_name);
    s->acl_enabled = config->acl.enabled;
    read_ttls(s, c);
    if (read_domains(s, c, err) < 0 || read_recursors(s, c, err) < 0) {
        return dns_settings_free(s);
    }
    return s;
}

struct dns_settings *dns_settings_free(struct dns_settings *s)
{
    if (s != NULL) {
        arena_deinit(&s->arena);
    }
    return mem_free(s);
}
