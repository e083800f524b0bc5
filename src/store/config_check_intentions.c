/* Intentions by themselves. */
#include "base/clock.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "schema/config_intentions.h"
#include "store/config_check.h"

/* --- normalizing ----------------------------------------------------------------------------- */

/* 9 for exact names on both sides, 8 and 6 for one, 5 for none. */
static int64_t precedence(struct str destination, struct str source)
{
    int64_t max = str_eq(destination, CONFIG_WILDCARD) ? 6 : 9;
    return max - str_eq(source, CONFIG_WILDCARD);
}

static void normalize_source(struct arena *a, const struct service_intentions *e,
                             struct source_intention *s, bool is_legacy)
{
    if (s->type.n == 0) {
        s->type = INTENTION_SOURCE_CONSUL;
    }
    s->precedence = precedence(e->head.name, s->name);
    /* What the old intentions kept is not for those who write entries. Old metadata stays, so that
     * validation can refuse to lose it. */
    if (is_legacy) {
        s->legacy_meta.v = s->legacy_meta.v != NULL ? s->legacy_meta.v : SCHEMA_EMPTY;
    } else {
        s->legacy_meta.v = s->legacy_meta.n > 0 ? s->legacy_meta.v : NULL;
        s->legacy_id = STR_NULL;
        s->legacy_create_time = TIME_ZERO;
        s->legacy_update_time = TIME_ZERO;
    }
    for (size_t i = 0; i < s->permissions.n; i++) {
        struct intention_permission *p = s->permissions.v[i];
        if (p->http != NULL) {
            p->http->methods = config_upper_methods(a, p->http->methods);
        }
    }
}

void config_normalize_intentions(struct arena *a, struct service_intentions *e, bool is_legacy)
{
    struct source_intention **v = (struct source_intention **)e->sources.v;
    for (size_t i = 0; i < e->sources.n; i++) {
        normalize_source(a, e, v[i], is_legacy);
    }
    /* Highest first, equals as they came. */
    for (size_t i = 1; i < e->sources.n; i++) {
        struct source_intention *s = v[i];
        size_t at = i;
        for (; at > 0 && v[at - 1]->precedence < s->precedence; at--) {
            v[at] = v[at - 1];
        }
        v[at] = s;
    }
}

/* --- validating ------------------------------------------------------------------------------ */

static bool is_partial_wildcard(struct str name)
{
    return !str_eq(name, CONFIG_WILDCARD) && str_find_byte(name, '*') >= 0;
}

static bool is_action(struct str action)
{
    return str_eq(action, INTENTION_ALLOW) || str_eq(action, INTENTION_DENY);
}

static int validate_paths(struct arena *a, const struct intention_http_permission *h,
                          struct str where, struct err *err)
{
    if (h->path_exact.n > 0 && h->path_exact.p[0] != '/') {
        return err_set(err, ERR_FAILED, "%.*s.PathExact doesn't start with '/': %.*s", STRF(where),
                       STRF(go_quoted(a, h->path_exact)));
    }
    if (h->path_prefix.n > 0 && h->path_prefix.p[0] != '/') {
        return err_set(err, ERR_FAILED, "%.*s.PathPrefix doesn't start with '/': %.*s", STRF(where),
                       STRF(go_quoted(a, h->path_prefix)));
    }
    if ((h->path_exact.n > 0) + (h->path_prefix.n > 0) + (h->path_regex.n > 0) > 1) {
        return err_set(err, ERR_FAILED,
                       "%.*s should only contain at most one of PathExact, PathPrefix, or "
                       "PathRegex",
                       STRF(where));
    }
    return 0;
}

static int validate_permission(struct arena *a, size_t i, size_t j,
                               const struct intention_permission *p, struct err *err)
{
    if (!is_action(p->action)) {
        return err_set(err, ERR_FAILED,
                       "Sources[%zu].Permissions[%zu].Action must be set to 'allow' or 'deny'", i,
                       j);
    }
    struct str where = arena_printf(a, "Sources[%zu].Permissions[%zu].HTTP", i, j);
    const struct intention_http_permission *h = p->http;
    if (h == NULL) {
        return err_set(err, ERR_FAILED, "%.*s is required", STRF(where));
    }
    struct str within = arena_concat(a, where, STR("."));
    int r = validate_paths(a, h, where, err);
    if (r < 0 || (r = config_validate_headers(h->header, within, "Header", err)) < 0 ||
        (r = config_validate_methods(a, h->methods, within, err)) < 0) {
        return r;
    }
    if (h->path_exact.n == 0 && h->path_prefix.n == 0 && h->path_regex.n == 0 && h->header.n == 0 &&
        h->methods.n == 0) {
        return err_set(err, ERR_FAILED, "%.*s should not be empty", STRF(where));
    }
    return 0;
}

static int validate_legacy_meta(struct arena *a, size_t i, struct strmap meta, struct err *err)
{
    if (meta.n > CONFIG_META_COUNT_MAX) {
        return err_set(err, ERR_FAILED, "Sources[%zu].Meta exceeds maximum element count %u", i,
                       CONFIG_META_COUNT_MAX);
    }
    for (size_t k = 0; k < meta.n; k++) {
        if (meta.v[k].key.n > CONFIG_META_KEY_SIZE_MAX) {
            return err_set(err, ERR_FAILED, "Sources[%zu].Meta key %.*s exceeds maximum length %u",
                           i, STRF(go_quoted(a, meta.v[k].key)), CONFIG_META_KEY_SIZE_MAX);
        }
        if (meta.v[k].value.n > CONFIG_META_VALUE_SIZE_MAX) {
            return err_set(err, ERR_FAILED,
                           "Sources[%zu].Meta value for key %.*s exceeds maximum length %u", i,
                           STRF(go_quoted(a, meta.v[k].key)), CONFIG_META_VALUE_SIZE_MAX);
        }
    }
    return 0;
}

/* What the old API keeps with a source is there wholly, or not at all. */
static const char *legacy_fault(const struct source_intention *s, bool is_legacy)
{
    if (!is_legacy && s->legacy_meta.n > 0) {
        return "LegacyMeta must be omitted";
    }
    if ((s->legacy_create_time == TIME_ZERO) == is_legacy) {
        return is_legacy ? "LegacyCreateTime must be set" : "LegacyCreateTime must be omitted";
    }
    if ((s->legacy_update_time == TIME_ZERO) == is_legacy) {
        return is_legacy ? "LegacyUpdateTime must be set" : "LegacyUpdateTime must be omitted";
    }
    if ((s->legacy_id.n == 0) == is_legacy) {
        return is_legacy ? "LegacyID must be set" : "LegacyID must be omitted";
    }
    return NULL;
}

static int validate_source(struct arena *a, const struct service_intentions *e, size_t i,
                           bool is_legacy, struct err *err)
{
    const struct source_intention *s = e->sources.v[i];
    const char *fault = NULL;
    int r = is_legacy && s->name.n > 0 ? validate_legacy_meta(a, i, s->legacy_meta, err) : 0;
    if (r < 0) {
        return r;
    }
    if (s->name.n == 0) {
        return err_set(err, ERR_FAILED, "Sources[%zu].Name is required", i);
    }
    if (is_partial_wildcard(s->name)) {
        fault = "Name: wildcard character '*' cannot be used with partial values";
    } else if (s->description.n > CONFIG_META_VALUE_SIZE_MAX) {
        return err_set(err, ERR_FAILED, "Sources[%zu].Description exceeds maximum length %u", i,
                       CONFIG_META_VALUE_SIZE_MAX);
    } else if ((fault = legacy_fault(s, is_legacy)) != NULL) {
        /* told below, like the others */
    } else if ((is_legacy || s->permissions.n == 0) && !is_action(s->action)) {
        fault = "Action must be set to 'allow' or 'deny'";
    } else if (s->permissions.n > 0 && s->action.n > 0) {
        fault = "Action must be omitted if Permissions are specified";
    } else if (s->permissions.n > 0 && str_eq(e->head.name, CONFIG_WILDCARD)) {
        fault = "Permissions cannot be specified on intentions with wildcarded destinations";
    } else if (!str_eq(s->type, INTENTION_SOURCE_CONSUL)) {
        fault = "Type must be set to 'consul'";
    }
    r = fault != NULL ? err_set(err, ERR_FAILED, "Sources[%zu].%s", i, fault) : 0;
    for (size_t j = 0; r >= 0 && j < s->permissions.n; j++) {
        r = validate_permission(a, i, j, s->permissions.v[j], err);
    }
    for (size_t j = 0; r >= 0 && j < i; j++) {
        const struct source_intention *other = e->sources.v[j];
        if (str_eq(other->name, s->name)) {
            r = err_set(err, ERR_FAILED, "Sources[%zu] defines %.*s more than once", i,
                        STRF(go_quoted(a, s->name)));
        }
    }
    return r;
}

int config_validate_intentions(struct arena *a, const struct service_intentions *e, bool is_legacy,
                               struct err *err)
{
    if (e->head.name.n == 0) {
        return err_set(err, ERR_FAILED, "Name is required");
    }
    if (is_partial_wildcard(e->head.name)) {
        return err_set(err, ERR_FAILED,
                       "Name: wildcard character '*' cannot be used with partial values");
    }
    int r = 0;
    if (!is_legacy) {
        r = config_validate_meta(a, e->head.meta, err);
    } else if (e->head.meta.n > 0) {
        r = err_set(err, ERR_FAILED, "Meta must be omitted for legacy intention writes");
    }
    if (r >= 0 && e->sources.n == 0) {
        r = err_set(err, ERR_FAILED, "At least one source is required");
    }
    for (size_t i = 0; r >= 0 && i < e->sources.n; i++) {
        r = validate_source(a, e, i, is_legacy, err);
    }
    return r;
}
