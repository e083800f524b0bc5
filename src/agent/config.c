/* A load from end to end, and the life of the result. The parts are described in config_build.h. */
#include "agent/config.h"

#include "agent/config_build.h"
#include "agent/config_flags.h"
#include "base/buf.h"
#include "schema/hcl.h"
#include "schema/json.h"

#include <math.h>
#include <stdatomic.h>

/* --- life
 * ------------------------------------------------------------------------------------------ */

struct agent_config *config_ref(struct agent_config *config)
{
    (void)atomic_fetch_add_explicit(&config->ref_count, 1, memory_order_relaxed);
    return config;
}

struct agent_config *config_unref(struct agent_config *config)
{
    if (config != NULL &&
        atomic_fetch_sub_explicit(&config->ref_count, 1, memory_order_acq_rel) == 1) {
        arena_deinit(&config->arena);
        mem_free(config);
    }
    return NULL;
}

/* --- warnings and errors
 * ----------------------------------------------------------------------------- */

void builder_warn(struct config_builder *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    avec_push(b->warnings_arena, &b->warnings, arena_vprintf(b->warnings_arena, format, args));
    va_end(args);
}

void builder_error(struct config_builder *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    avec_push(b->a, &b->errors, arena_vprintf(b->a, format, args));
    va_end(args);
}

void builder_error_alone(struct config_builder *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vec_clear(&b->errors);
    avec_push(b->a, &b->errors, arena_vprintf(b->a, format, args));
    va_end(args);
}

/* --- slots
 * ----------------------------------------------------------------------------------------- */

const struct value *builder_get(const struct config_builder *b, const char *path)
{
    const struct value *slot = &b->slots[config_key_index(path)];
    return slot->kind != VALUE_NULL ? slot : NULL;
}

bool builder_is_set(const struct config_builder *b, const char *path)
{
    return builder_get(b, path) != NULL;
}

struct str builder_str(const struct config_builder *b, const char *path)
{
    const struct value *v = builder_get(b, path);
    return v != NULL && v->kind == VALUE_STR ? v->s : STR("");
}

/* The built-in values: all of them at first, those a user cannot change once more at the end. */
static void slots_set_initial(struct config_builder *b, unsigned flags_wanted)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_key_table[i];
        const char *text = key->initial;
        if (b->sources->is_dev && key->initial_dev != NULL) {
            text = key->initial_dev;
        }
        if (text != NULL && (key->flags & flags_wanted) == flags_wanted) {
            b->slots[i] = (struct value){.kind = VALUE_STR, .s = str_from_cstr(text)};
        }
    }
}

/* --- sources
 * --------------------------------------------------------------------------------------- */

/* Keys of the Enterprise edition: a warning each time a source gives one, and mostly no effect. */
static const struct {
    const char *path;
    const char *shown; /* NULL: the path */
    bool even_empty;   /* warn although the text given is empty */
    bool kept;
} enterprise_keys[] = {
    {"read_replica", "read_replica (or the deprecated non_voting_server)", true, true},
    {"segment", NULL, false, true},
    {"segments", NULL, false, true},
    {"autopilot.redundancy_zone_tag", NULL, false, true},
    {"autopilot.upgrade_version_tag", NULL, false, true},
    {"autopilot.disable_upgrade_migration", NULL, true, true},
    {"dns_config.prefer_namespace", NULL, true, false},
    {"acl.msp_disable_bootstrap", NULL, true, false},
    {"acl.tokens.managed_service_provider", NULL, false, false},
    {"audit", NULL, true, false},
    {"license_path", NULL, true, false},
};

static int source_merge(struct config_builder *b, const struct value *tree, bool from_json,
                        struct err *err)
{
    struct value before[ARRAY_SIZE(enterprise_keys)];
    for (size_t i = 0; i < ARRAY_SIZE(enterprise_keys); i++) {
        struct value *slot = &b->slots[config_key_index(enterprise_keys[i].path)];
        before[i] = *slot;
        *slot = (struct value){.kind = VALUE_NULL};
    }
    int rc = config_merge(b, tree, from_json, err);
    for (size_t i = 0; i < ARRAY_SIZE(enterprise_keys); i++) {
        const char *path = enterprise_keys[i].path;
        struct value *slot = &b->slots[config_key_index(path)];
        bool is_empty = (slot->kind == VALUE_STR && slot->s.n == 0) ||
                        (slot->kind == VALUE_LIST && slot->list.n == 0);
        if (slot->kind != VALUE_NULL && (!is_empty || enterprise_keys[i].even_empty)) {
            builder_warn(b, "\"%s\" is a Consul Enterprise configuration and will have no effect",
                         enterprise_keys[i].shown != NULL ? enterprise_keys[i].shown : path);
        }
        if (slot->kind == VALUE_NULL || !enterprise_keys[i].kept) {
            *slot = before[i];
        }
    }
    return rc;
}

static int text_merge(struct config_builder *b, const struct config_text *source, struct err *err)
{
    if (source->text.n == 0 || source->name.n == 0) {
        return 0;
    }
    struct value *tree = NULL;
    bool is_json = str_eq_lit(source->format, "json");
    int rc = is_json ? json_parse(b->a, source->text, &tree, err)
                     : hcl_parse(b->a, source->text, &tree, err);
    if (rc == 0 && tree->kind != VALUE_NULL) {
        rc = source_merge(b, tree, is_json, err);
    }
    return rc < 0 ? err_wrap(err, "failed to parse %.*s", STRF(source->name)) : 0;
}

static int texts_merge(struct config_builder *b, struct strlist texts, const char *name,
                       struct err *err)
{
    for (size_t i = 0; i < texts.n; i++) {
        struct config_text source = {arena_printf(b->a, "%s-%zu.hcl", name, i), STR("hcl"),
                                     arena_str(b->a, texts.v[i])};
        int rc = text_merge(b, &source, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* Flags of top-level lists come before the files, so that files add to them; all other flags come
 * after the files, and win. */
static void flags_merge(struct config_builder *b, bool lists)
{
    const struct config_flags *flags = b->sources->flags;
    for (size_t i = 0; flags != NULL && i < flags->n; i++) {
        const struct config_flag *flag = flags->v[i].flag;
        struct str text = arena_str(b->a, flags->v[i].text);
        bool is_early = flag->kind == CONFIG_FLAG_STRLIST && strchr(flag->key, '.') == NULL;
        if (is_early != lists) {
            continue;
        }
        struct value v = {.kind = VALUE_STR, .s = text};
        if (flag->kind == CONFIG_FLAG_STRLIST) {
            struct value *element = ARENA_NEW(b->a, struct value);
            *element = v;
            v = (struct value){.kind = VALUE_LIST, .list = {element, 1}};
        } else if (flag->kind == CONFIG_FLAG_STRMAP) {
            struct value_pair *pair = ARENA_NEW(b->a, struct value_pair);
            pair->value.kind = VALUE_STR;
            (void)str_cut(text, ':', &pair->key, &pair->value.s);
            v = (struct value){.kind = VALUE_MAP, .map = {pair, 1}};
        }
        slot_merge(b, config_key_index(flag->key), &v);
        if (strcmp(flag->key, "read_replica") == 0 && !lists) {
            builder_warn(b, "\"read_replica (or the deprecated non_voting_server)\" is a Consul "
                            "Enterprise configuration and will have no effect");
        }
        if (strcmp(flag->key, "segment") == 0 && text.n > 0) {
            builder_warn(
                b, "\"segment\" is a Consul Enterprise configuration and will have no effect");
        }
    }
}

struct config_sources config_sources_from_flags(const struct config_flags *flags)
{
    return (struct config_sources){.paths = flags->paths,
                                   .format = flags->format,
                                   .hcl = flags->hcl,
                                   .flags = flags,
                                   .is_dev = flags->is_dev};
}

static int sources_merge(struct config_builder *b, struct err *err)
{
    const struct config_sources *s = b->sources;
    int rc;
    if (s->format.n > 0 && !str_eq_lit(s->format, "hcl") && !str_eq_lit(s->format, "json")) {
        return err_set(err, ERR_INVALID, "config: -config-format must be either 'hcl' or 'json'");
    }
    slots_set_initial(b, 0);
    flags_merge(b, true);
    for (size_t i = 0; i < s->paths.n; i++) {
        if ((rc = config_path_read(b, s->paths.v[i], err)) < 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < b->texts.n; i++) {
        if ((rc = text_merge(b, &b->texts.v[i], err)) < 0) {
            return rc;
        }
    }
    flags_merge(b, false);
    if ((rc = texts_merge(b, s->hcl, "flags", err)) < 0) {
        return rc;
    }
    slots_set_initial(b, CONFIG_FIXED);
    return texts_merge(b, s->overrides, "overrides", err);
}

/* --- the load
 * ---------------------------------------------------------------------------------------- */

int config_load(const struct config_sources *sources, struct arena *a,
                struct agent_config **ret_config, struct strlist *ret_warnings, struct err *err)
{
    CLEANUP(config_unref) struct agent_config *config = xcalloc(1, sizeof(*config));
    struct err own = {0};
    err = err != NULL ? err : &own;
    atomic_init(&config->ref_count, 1);
    config->is_dev = sources->is_dev;
    struct config_builder b = {
        .sources = sources, .config = config, .a = &config->arena, .warnings_arena = a};
    b.slots = ARENA_ARRAY(b.a, struct value, config_key_count);

    int rc = sources_merge(&b, err);
    if (rc == 0) {
        rc = config_build(&b, err);
    }
    if (rc == 0) {
        rc = config_check(&b, err);
    }
    *ret_warnings = (struct strlist){b.warnings.v, b.warnings.n};
    if (rc == 0) {
        *ret_config = TAKE(config);
    }
    return rc;
}

/* --- reload
 * ---------------------------------------------------------------------------------------- */

static bool member_eq(const struct config_key *key, const struct agent_config *x,
                      const struct agent_config *y)
{
    const void *p = (const char *)x + key->offset, *q = (const char *)y + key->offset;
    switch (key->kind) {
    case CONFIG_STR:
        return str_eq(*(const struct str *)p, *(const struct str *)q);
    case CONFIG_BOOL:
        return *(const bool *)p == *(const bool *)q;
    case CONFIG_FLOAT:
        return memcmp(p, q, sizeof(double)) == 0;
    case CONFIG_STRLIST:
        return strlist_eq(*(const struct strlist *)p, *(const struct strlist *)q);
    case CONFIG_STRMAP:
        return strmap_eq(*(const struct strmap *)p, *(const struct strmap *)q);
    default:
        return *(const int64_t *)p == *(const int64_t *)q;
    }
}

static bool addr_eq(struct config_addr x, struct config_addr y)
{
    return str_eq(x.host, y.host) && x.port == y.port && str_eq(x.path, y.path);
}

static bool addrs_eq(struct config_addrlist x, struct config_addrlist y)
{
    bool eq = x.n == y.n;
    for (size_t i = 0; eq && i < x.n; i++) {
        eq = addr_eq(x.v[i], y.v[i]);
    }
    return eq;
}

static bool cidrs_eq(struct config_cidrlist x, struct config_cidrlist y)
{
    bool eq = x.n == y.n;
    for (size_t i = 0; eq && i < x.n; i++) {
        eq = str_eq(x.v[i].text, y.v[i].text);
    }
    return eq;
}

struct strlist config_diff_nonreloadable(struct arena *a, const struct agent_config *running,
                                         const struct agent_config *loaded)
{
    VEC(struct str) keys = {0};
    const struct config_addresses *x = &running->addresses, *y = &loaded->addresses;
    const struct {
        const char *key;
        bool eq;
    } resolved[] = {
        {"addresses.dns", addrs_eq(x->dns, y->dns)},
        {"addresses.http", addrs_eq(x->http, y->http)},
        {"addresses.https", addrs_eq(x->https, y->https)},
        {"addresses.grpc", addrs_eq(x->grpc, y->grpc)},
        {"advertise_addr", str_eq(x->advertise, y->advertise)},
        {"advertise_addr_wan", str_eq(x->advertise_wan, y->advertise_wan)},
        {"bind_addr", str_eq(x->bind, y->bind)},
        {"client_addr", strlist_eq(x->client, y->client)},
        {"http_config.allow_write_http_from",
         cidrs_eq(running->http.allow_write_from, loaded->http.allow_write_from)},
        {"serf_lan", addr_eq(x->serf_bind_lan, y->serf_bind_lan)},
        {"serf_lan_allowed_cidrs",
         cidrs_eq(running->serf_lan_allowed_cidrs, loaded->serf_lan_allowed_cidrs)},
        {"serf_wan", addr_eq(x->serf_bind_wan, y->serf_bind_wan)},
        {"serf_wan_allowed_cidrs",
         cidrs_eq(running->serf_wan_allowed_cidrs, loaded->serf_wan_allowed_cidrs)},
        {"tagged_addresses", strmap_eq(x->tagged, y->tagged)},
    };
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_key_table[i];
        if (key->has_member && (key->flags & CONFIG_RELOADABLE) == 0 &&
            !member_eq(key, running, loaded)) {
            avec_push(a, &keys, str_from_cstr(key->path));
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(resolved); i++) {
        if (!resolved[i].eq) {
            avec_push(a, &keys, str_from_cstr(resolved[i].key));
        }
    }
    return (struct strlist){keys.v, keys.n};
}

/* --- questions
 * --------------------------------------------------------------------------------------- */

/* One that is not a wildcard, else this machine's, else a socket; empty: none. */
static struct str api_url(struct arena *a, struct config_addrlist addresses, const char *scheme)
{
    struct str any = STR("");
    struct str socket = STR("");
    for (size_t i = 0; i < addresses.n; i++) {
        struct config_addr addr = addresses.v[i];
        bool is_v6 = str_find_byte(addr.host, ':') >= 0, is_any = ip_text_is_any(addr.host);
        if (addr.path.n > 0) {
            socket = socket.n > 0 ? socket : arena_printf(a, "unix://%.*s", STRF(addr.path));
            continue;
        }
        struct str host = !is_any ? addr.host : is_v6 ? STR("::1") : STR("127.0.0.1");
        struct str text = arena_printf(a, is_v6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u", scheme,
                                       STRF(host), addr.port);
        if (!is_any) {
            return text;
        }
        any = any.n > 0 ? any : text;
    }
    return any.n > 0 ? any : socket;
}

struct str config_api_url(struct arena *a, const struct agent_config *config)
{
    struct str plain = api_url(a, config->addresses.http, "http");
    return plain.n > 0 ? plain : api_url(a, config->addresses.https, "https");
}
