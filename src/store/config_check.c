#include "store/config_check.h"

#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"
#include "schema/config_chain.h"
#include "schema/config_defaults.h"
#include "schema/config_gateways.h"
#include "schema/config_intentions.h"

#define CONFIG_DEPTH_MAX 32u

/* Sentences that are told together. */
struct faults {
    struct arena *a;
    VEC(struct str) texts;
};

PRINTF(2, 3) static void fault(struct faults *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(f->a, format, args);
    va_end(args);
    avec_push(f->a, &f->texts, text);
}

static int faults_result(const struct faults *f, struct err *err)
{
    return f->texts.n == 0
               ? 0
               : err_set(err, ERR_FAILED, "%.*s", STRF(errors_text(f->a, f->texts.v, f->texts.n)));
}

/* --- metadata -------------------------------------------------------------------------------- */

static void meta_faults(struct faults *f, struct strmap meta)
{
    if (meta.n > CONFIG_META_COUNT_MAX) {
        fault(f, "Meta exceeds maximum element count %u", CONFIG_META_COUNT_MAX);
    }
    for (size_t i = 0; i < meta.n; i++) {
        struct str key = meta.v[i].key;
        if (key.n > CONFIG_META_KEY_SIZE_MAX) {
            fault(f, "Meta key %.*s exceeds maximum length %u", STRF(go_quoted(f->a, key)),
                  CONFIG_META_KEY_SIZE_MAX);
        }
        if (meta.v[i].value.n > CONFIG_META_VALUE_SIZE_MAX) {
            fault(f, "Meta value for key %.*s exceeds maximum length %u",
                  STRF(go_quoted(f->a, key)), CONFIG_META_VALUE_SIZE_MAX);
        }
    }
}

int config_validate_meta(struct arena *a, struct strmap meta, struct err *err)
{
    struct faults f = {.a = a};
    meta_faults(&f, meta);
    return faults_result(&f, err);
}

/* --- service-defaults ------------------------------------------------------------------------ */

static void normalize_upstream(struct arena *a, struct upstream_config *u)
{
    u->protocol = arena_lower(a, u->protocol);
    u->connect_timeout_ms = MAX(u->connect_timeout_ms, 0);
}

static void normalize_service_defaults(struct arena *a, struct service_defaults *e)
{
    e->protocol = arena_lower(a, e->protocol);
    if (e->upstream_config != NULL) {
        struct ptrlist overrides = e->upstream_config->overrides;
        for (size_t i = 0; i < overrides.n; i++) {
            normalize_upstream(a, overrides.v[i]);
        }
        if (e->upstream_config->defaults != NULL) {
            normalize_upstream(a, e->upstream_config->defaults);
        }
    }
}

static bool is_negative(const int64_t *number)
{
    return number != NULL && *number < 0;
}

static const char *limits_fault(const struct upstream_limits *l)
{
    return l == NULL                                 ? NULL
           : is_negative(l->max_connections)         ? "max connections cannot be negative"
           : is_negative(l->max_pending_requests)    ? "max pending requests cannot be negative"
           : is_negative(l->max_concurrent_requests) ? "max concurrent requests cannot be negative"
                                                     : NULL;
}

/* What is wrong with an upstream's configuration; empty when nothing is. */
static struct str upstream_fault(struct arena *a, const struct upstream_config *u, bool is_named)
{
    if (is_named && u->name.n == 0) {
        return STR("Name is required");
    }
    if (is_named && str_eq(u->name, CONFIG_WILDCARD)) {
        return STR("Wildcard name is not supported");
    }
    if (!is_named && u->name.n > 0) {
        return STR("Name must be empty");
    }
    struct str texts[2];
    size_t count = 0;
    if (u->passive_health_check != NULL && u->passive_health_check->interval < 0) {
        texts[count++] = STR("passive health check interval cannot be negative");
    }
    const char *limits = limits_fault(u->limits);
    if (limits != NULL) {
        texts[count++] = str_from_cstr(limits);
    }
    return count > 0 ? errors_text(a, texts, count) : STR_NULL;
}

static int validate_service_defaults(struct arena *a, const struct service_defaults *e,
                                     struct err *err)
{
    struct faults f = {.a = a};
    if (e->head.name.n == 0) {
        return err_set(err, ERR_FAILED, "Name is required");
    }
    if (str_eq(e->head.name, CONFIG_WILDCARD)) {
        return err_set(err, ERR_FAILED,
                       "service-defaults name must be the name of a service, and not a wildcard");
    }
    meta_faults(&f, e->head.meta);
    struct ptrlist overrides =
        e->upstream_config != NULL ? e->upstream_config->overrides : (struct ptrlist){0};
    for (size_t i = 0; i < overrides.n; i++) {
        const struct upstream_config *u = overrides.v[i];
        struct str text = upstream_fault(a, u, true);
        if (text.n > 0) {
            fault(&f, "error in upstream override for %.*s: %.*s", STRF(u->name), STRF(text));
        }
    }
    if (e->upstream_config != NULL && e->upstream_config->defaults != NULL) {
        struct str text = upstream_fault(a, e->upstream_config->defaults, false);
        if (text.n > 0) {
            fault(&f, "error in upstream defaults: %.*s", STRF(text));
        }
    }
    return faults_result(&f, err);
}

/* --- proxy-defaults -------------------------------------------------------------------------- */

/* What the log cannot carry must not get into it: entries are read to a certain depth, and a server
 * of 1.10.3 ends when it meets a null. */
static int validate_free_form(const struct value *v, unsigned depth, struct err *err)
{
    int r = 0;
    if (v->kind == VALUE_NULL) {
        return err_set(err, ERR_FAILED, "Config must not contain a null value");
    }
    if (depth > CONFIG_DEPTH_MAX) {
        return err_set(err, ERR_FAILED, "Config exceeds maximum depth %u", CONFIG_DEPTH_MAX);
    }
    for (size_t i = 0; v->kind == VALUE_LIST && r >= 0 && i < v->list.n; i++) {
        r = validate_free_form(&v->list.v[i], depth + 1, err);
    }
    for (size_t i = 0; v->kind == VALUE_MAP && r >= 0 && i < v->map.n; i++) {
        r = validate_free_form(&v->map.v[i].value, depth + 1, err);
    }
    return r;
}

static int validate_proxy_defaults(struct arena *a, const struct proxy_defaults *e, struct err *err)
{
    if (!str_eq(e->head.name, CONFIG_PROXY_GLOBAL)) {
        return err_set(err, ERR_FAILED, "invalid name (%.*s), only \"global\" is supported",
                       STRF(go_quoted(a, e->head.name)));
    }
    int r = config_validate_meta(a, e->head.meta, err);
    return r < 0 || e->config == NULL ? r : validate_free_form(e->config, 0, err);
}

/* --- every kind ------------------------------------------------------------------------------ */

void config_entry_normalize(struct arena *a, struct config_entry *e)
{
    switch (e->type) {
    case CONFIG_SERVICE_DEFAULTS:
        normalize_service_defaults(a, (struct service_defaults *)e);
        break;
    case CONFIG_PROXY_DEFAULTS:
        e->name = CONFIG_PROXY_GLOBAL;
        break;
    case CONFIG_SERVICE_ROUTER:
        config_normalize_router(a, (struct service_router *)e);
        break;
    case CONFIG_SERVICE_SPLITTER:
        config_normalize_splitter((struct service_splitter *)e);
        break;
    case CONFIG_INGRESS_GATEWAY:
        config_normalize_ingress(a, (struct ingress_gateway *)e);
        break;
    case CONFIG_SERVICE_INTENTIONS:
        config_normalize_intentions(a, (struct service_intentions *)e, false);
        break;
    case CONFIG_SERVICE_RESOLVER:
    case CONFIG_TERMINATING_GATEWAY:
    case CONFIG_MESH:
    case CONFIG_ENTRY_KINDS_COUNT:
        break;
    }
}

int config_entry_validate(struct arena *a, const struct config_entry *e, struct err *err)
{
    switch (e->type) {
    case CONFIG_SERVICE_DEFAULTS:
        return validate_service_defaults(a, (const struct service_defaults *)e, err);
    case CONFIG_SERVICE_ROUTER:
        return config_validate_router(a, (const struct service_router *)e, err);
    case CONFIG_SERVICE_SPLITTER:
        return config_validate_splitter(a, (const struct service_splitter *)e, err);
    case CONFIG_SERVICE_RESOLVER:
        return config_validate_resolver(a, (const struct service_resolver *)e, err);
    case CONFIG_INGRESS_GATEWAY:
        return config_validate_ingress(a, (const struct ingress_gateway *)e, err);
    case CONFIG_TERMINATING_GATEWAY:
        return config_validate_terminating(a, (const struct terminating_gateway *)e, err);
    case CONFIG_SERVICE_INTENTIONS:
        return config_validate_intentions(a, (const struct service_intentions *)e, false, err);
    case CONFIG_PROXY_DEFAULTS:
        return validate_proxy_defaults(a, (const struct proxy_defaults *)e, err);
    case CONFIG_MESH:
    case CONFIG_ENTRY_KINDS_COUNT:
        break;
    }
    return config_validate_meta(a, e->meta, err);
}
