/* Definitions of services and checks in configuration files. Their shape has been checked against
 * the key table; here durations, modes, metadata and weights are, and defaults filled in. */
#include "agent/config_build.h"

#include "base/clock.h"

static struct value *member(struct value *map, struct str key)
{
    return (struct value *)(uintptr_t)value_get(map, key);
}

static struct str member_str(struct value *map, struct str key)
{
    struct value *v = member(map, key);
    return v != NULL && v->kind == VALUE_STR ? v->s : STR("");
}

static void member_rename(struct value *map, struct str from, struct str to)
{
    for (size_t i = 0; i < map->map.n; i++) {
        if (str_eq(map->map.v[i].key, from)) {
            map->map.v[i].key = to;
        }
    }
}

static void durations_take(struct config_builder *b, struct value *check)
{
    static const struct str keys[] = {STR_INIT("interval"), STR_INIT("timeout"), STR_INIT("ttl"),
                                      STR_INIT("deregister_critical_service_after")};
    struct str id = member_str(check, STR("id"));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        struct value *v = member(check, keys[i]);
        int64_t ns = 0;
        if (v == NULL) {
            continue;
        }
        if (duration_parse(v->s, &ns) < 0) {
            builder_error_alone(b, "check[%.*s].%.*s: invalid duration: \"%.*s\": %.*s", STRF(id),
                                STRF(keys[i]), STRF(v->s), STRF(duration_fault(b->a, v->s)));
        }
        *v = (struct value){.kind = VALUE_INT, .i = ns};
    }
}

static int check_take(struct config_builder *b, struct value *v, struct check_def *ret_check,
                      struct err *err)
{
    durations_take(b, v);
    int rc = check_def_decode(v, ret_check, b->a, err);
    if (rc == 0 && member(v, STR("output_max_size")) == NULL) {
        ret_check->output_max_size = 4096;
    }
    return rc;
}

static void mode_check(struct config_builder *b, struct value *proxy, struct str key,
                       const char *what, struct str second, struct str third)
{
    struct value *v = member(proxy, key);
    if (v != NULL && v->s.n > 0 && !str_eq(v->s, second) && !str_eq(v->s, third) &&
        !(str_eq_lit(v->s, "none") && str_eq_lit(second, "local"))) {
        builder_error(b, "Invalid %s Mode: \"%.*s\"", what, STRF(v->s));
        v->s = STR("");
    }
}

static void gateway_mode_check(struct config_builder *b, struct value *owner)
{
    struct value *gateway = member(owner, STR("mesh_gateway"));
    if (gateway != NULL) {
        mode_check(b, gateway, STR("mode"), "Mesh Gateway", STR("local"), STR("remote"));
    }
}

static bool is_octal(struct str s)
{
    bool yes = s.n > 0 && s.n <= 10;
    for (size_t i = 0; i < s.n; i++) {
        yes &= s.p[i] >= '0' && s.p[i] <= '7';
    }
    return yes;
}

static void proxy_check(struct config_builder *b, struct value *proxy)
{
    struct value *upstreams = member(proxy, STR("upstreams"));
    for (size_t i = 0; upstreams != NULL && i < upstreams->list.n; i++) {
        struct value *socket_mode = member(&upstreams->list.v[i], STR("local_bind_socket_mode"));
        if (socket_mode != NULL && !is_octal(socket_mode->s)) {
            builder_error(b, "local_bind_socket_mode: invalid mode: %.*s", STRF(socket_mode->s));
            socket_mode->s = STR("0");
        }
        gateway_mode_check(b, &upstreams->list.v[i]);
    }
    gateway_mode_check(b, proxy);
    mode_check(b, proxy, STR("mode"), "Proxy", STR("transparent"), STR("direct"));
}

/* Faults of the tree that the struct would no longer show. */
static void service_check(struct config_builder *b, struct value *v)
{
    static const struct str kinds[] = {STR_INIT("connect-proxy"), STR_INIT("mesh-gateway"),
                                       STR_INIT("terminating-gateway"),
                                       STR_INIT("ingress-gateway")};
    struct value *kind = member(v, STR("kind")), *proxy = member(v, STR("proxy"));
    struct value *socket_path = member(v, STR("socket_path"));
    if (kind != NULL) {
        struct strlist known = {kinds, ARRAY_SIZE(kinds)};
        kind->s = strlist_contains(known, kind->s) ? kind->s : STR("");
    }
    if (proxy != NULL) {
        proxy_check(b, proxy);
    }
    if (socket_path != NULL &&
        (member(v, STR("port")) != NULL || member(v, STR("address")) != NULL)) {
        builder_error(b, "service %.*s cannot have both socket path %.*s and address/port",
                      STRF(member_str(v, STR("name"))), STRF(socket_path->s));
    }
}

static void meta_and_weights_check(struct config_builder *b, struct service_def *def)
{
    static const struct weights weights_default = {1, 1};
    struct err why = {0};
    if (service_meta_validate(def->kind, def->meta, &why) < 0) {
        builder_error_alone(b, "invalid meta for service %.*s: %s", STRF(def->name),
                            err_text(&why));
        def->meta = (struct strmap){0};
    }
    if (def->weights == NULL) {
        def->weights = ARENA_NEW(b->a, struct weights);
        *def->weights = weights_default;
    }
    if (weights_validate(def->weights, &why) < 0) {
        builder_error_alone(b, "Invalid weight definition for service %.*s: %s", STRF(def->name),
                            err_text(&why));
    }
}

static void upstreams_complete(struct service_def *def)
{
    struct upstream *upstreams = def->proxy != NULL ? def->proxy->upstreams.v : NULL;
    for (size_t i = 0; upstreams != NULL && i < def->proxy->upstreams.n; i++) {
        if (upstreams[i].destination_type.n == 0) {
            upstreams[i].destination_type = STR("service");
        }
    }
}

/* Weights that are given in part have 1 for the other part. */
static void weights_complete(struct config_builder *b, struct value *v)
{
    static const struct str names[] = {STR_INIT("passing"), STR_INIT("warning")};
    struct value *weights = member(v, STR("weights"));
    for (size_t i = 0; weights != NULL && i < ARRAY_SIZE(names); i++) {
        if (member(weights, names[i]) == NULL) {
            size_t n = weights->map.n;
            struct value_pair *pairs = ARENA_ARRAY(b->a, struct value_pair, n + 1);
            for (size_t j = 0; j < n; j++) {
                pairs[j] = weights->map.v[j];
            }
            pairs[n] = (struct value_pair){names[i], {.kind = VALUE_INT, .i = 1}};
            weights->map.v = pairs;
            weights->map.n = n + 1;
        }
    }
}

static void service_checks_prepare(struct config_builder *b, struct value *v)
{
    struct value *checks = member(v, STR("checks")), *check = member(v, STR("check"));
    size_t count = checks != NULL ? checks->list.n : 0;
    for (size_t i = 0; i <= count; i++) {
        struct value *one = i < count ? &checks->list.v[i] : check;
        if (one != NULL) {
            durations_take(b, one);
            member_rename(one, STR("id"), STR("CheckID"));
        }
    }
}

static void service_checks_finish(struct config_builder *b, struct value *v,
                                  struct service_def *def)
{
    struct value *checks = member(v, STR("checks")), *check = member(v, STR("check"));
    size_t n = def->checks.n;
    void **all = ARENA_ARRAY(b->a, void *, n + 1);
    for (size_t i = 0; i < n; i++) {
        all[i] = def->checks.v[i];
    }
    if (def->check != NULL) {
        all[n] = def->check;
        def->checks.n++;
    }
    def->checks.v = all;
    def->check = NULL;
    for (size_t i = 0; i < def->checks.n; i++) {
        struct value *given = i < n ? &checks->list.v[i] : check;
        if (member(given, STR("output_max_size")) == NULL) {
            ((struct check_def *)all[i])->output_max_size = 4096;
        }
    }
}

/* What is done to a service's tree before it becomes a struct; likewise to its sidecar's. */
static void service_prepare(struct config_builder *b, struct value *v)
{
    service_checks_prepare(b, v);
    service_check(b, v);
    weights_complete(b, v);
}

static void service_finish(struct config_builder *b, struct value *v, struct service_def *def)
{
    service_checks_finish(b, v, def);
    upstreams_complete(def);
    meta_and_weights_check(b, def);
}

static int service_take(struct config_builder *b, struct value *v, struct service_def *ret_def,
                        struct err *err)
{
    struct value *connect = member(v, STR("connect"));
    struct value *sidecar = connect != NULL ? member(connect, STR("sidecar_service")) : NULL;
    service_prepare(b, v);
    if (sidecar != NULL) {
        struct value *nested = member(sidecar, STR("connect"));
        service_prepare(b, sidecar);
        if (member_str(sidecar, STR("id")).n > 0) {
            builder_error(b, "sidecar_service can't specify an ID");
            member(sidecar, STR("id"))->s = STR("");
        }
        if (nested != NULL && member(nested, STR("sidecar_service")) != NULL) {
            builder_error(b, "sidecar_service can't have a nested sidecar_service");
            member_rename(nested, STR("sidecar_service"), STR("refused"));
        }
    }
    int rc = service_def_decode(v, ret_def, b->a, err);
    if (rc < 0) {
        return rc;
    }
    service_finish(b, v, ret_def);
    if (ret_def->connect != NULL && ret_def->connect->sidecar_service != NULL) {
        service_finish(b, sidecar, ret_def->connect->sidecar_service);
    }
    return 0;
}

int config_defs_build(struct config_builder *b, struct err *err)
{
    const struct value *checks = builder_get(b, "checks"), *services = builder_get(b, "services");
    size_t check_count = checks != NULL ? checks->list.n : 0;
    size_t service_count = services != NULL ? services->list.n : 0;
    if (check_count > CONFIG_SERVICES_MAX || service_count > CONFIG_SERVICES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %u services or checks", CONFIG_SERVICES_MAX);
    }
    struct check_def *check_defs = ARENA_ARRAY(b->a, struct check_def, check_count);
    for (size_t i = 0; i < check_count; i++) {
        int rc = check_take(b, value_copy(b->a, &checks->list.v[i]), &check_defs[i], err);
        if (rc < 0) {
            return err_wrap(err, "checks[%zu]", i);
        }
    }
    struct service_def *service_defs = ARENA_ARRAY(b->a, struct service_def, service_count);
    for (size_t i = 0; i < service_count; i++) {
        int rc = service_take(b, value_copy(b->a, &services->list.v[i]), &service_defs[i], err);
        if (rc < 0) {
            return err_wrap(err, "services[%zu]", i);
        }
    }
    b->config->checks = (struct objlist){check_defs, check_count};
    b->config->services = (struct objlist){service_defs, service_count};
    return 0;
}
