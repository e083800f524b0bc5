#include "agent/load.h"

#include "agent/persist.h"
#include "agent/service.h"
#include "base/log.h"

#define META_SEGMENT STR("consul-network-segment")

/* --- services -------------------------------------------------------------------------------- */

static int fail(struct err *err, const char *what, struct str name)
{
    (void)err_wrap(err, "%s \"%.*s\"", what, STRF(name));
    return -err->code;
}

static int load_service(struct agent *a, const struct service_def *def, const struct map *snapshot,
                        struct arena *arena, struct err *err)
{
    struct node_service *service = ARENA_NEW(arena, struct node_service);
    service_def_to_node_service(def, arena, service);
    struct service_addition req = {
        .service = service,
        .token = def->token,
        .source = SOURCE_LOCAL,
        .snapshot = snapshot,
        .arena = arena,
    };
    struct service_addition sidecar = req;
    if (service_def_checks(def, arena, &req.checks, err) < 0) {
        return fail(err, "Failed to validate checks for service", def->name);
    }
    if (sidecar_from_service(a, def, service, def->token, arena, &sidecar.service, &sidecar.checks,
                             &sidecar.token, err) < 0) {
        return fail(err, "Failed to validate sidecar for service", def->name);
    }
    if (service_add(a, &req, err) < 0) {
        return fail(err, "Failed to register service", def->name);
    }
    if (sidecar.service != NULL && service_add(a, &sidecar, err) < 0) {
        return fail(err, "Failed to register sidecar for service", def->name);
    }
    return 0;
}

static int restore_service(struct agent *a, struct persisted_service *p, struct str file,
                           struct arena *arena, void *data, struct err *err)
{
    const struct map *snapshot = data;
    enum source source;
    if (source_parse(p->source, &source) < 0) {
        log_write(LOG_WARN, "agent", "service exists with invalid source, purging",
                  LOG_STR("service", p->service->id), LOG_STR("source", p->source));
        persist_purge_service(a, p->service->id);
        return 0;
    }
    if (local_service(a->local, p->service->id) != NULL) {
        log_write(LOG_DEBUG, "agent", "service exists, not restoring from file",
                  LOG_STR("service", p->service->id), LOG_STR("file", file));
        persist_purge_service(a, p->service->id);
        return 0;
    }
    struct service_addition req = {
        .service = p->service,
        .token = p->token,
        .source = source,
        .snapshot = snapshot,
        .arena = arena,
    };
    if (service_add(a, &req, err) < 0) {
        return fail(err, "failed adding service", p->service->id);
    }
    log_write(LOG_DEBUG, "agent", "restored service definition from file",
              LOG_STR("service", p->service->id), LOG_STR("file", file));
    return 0;
}

int load_services(struct agent *a, const struct agent_config *config, const struct map *snapshot,
                  struct err *err)
{
    const struct service_def *defs = config->services.v;
    for (size_t i = 0; i < config->services.n; i++) {
        struct arena arena = {0};
        int rc = load_service(a, &defs[i], snapshot, &arena, err);
        arena_deinit(&arena);
        if (rc < 0) {
            return rc;
        }
    }
    return persist_each_service(a, restore_service, (void *)(uintptr_t)snapshot, err);
}

/* --- checks ---------------------------------------------------------------------------------- */

static void restore_state(const struct map *snapshot, struct health_check *check)
{
    const struct health_check *before =
        snapshot != NULL ? map_get(snapshot, check->check_id) : NULL;
    if (before != NULL) {
        check->status = before->status;
        check->output = before->output;
    }
}

static int restore_check(struct agent *a, struct persisted_check *p, struct str file,
                         struct arena *arena, void *data, struct err *err)
{
    const struct map *snapshot = data;
    struct str id = p->check->check_id;
    enum source source;
    (void)err;
    if (source_parse(p->source, &source) < 0) {
        log_write(LOG_WARN, "agent", "check exists with invalid source, purging",
                  LOG_STR("check", id), LOG_STR("source", p->source));
        persist_purge_check(a, id);
        return 0;
    }
    if (local_check(a->local, id) != NULL) {
        log_write(LOG_DEBUG, "agent", "check exists, not restoring from file", LOG_STR("check", id),
                  LOG_STR("file", file));
        persist_purge_check(a, id);
        return 0;
    }
    /* Nobody knows how it is now: unhealthy until shown otherwise. */
    p->check->status = HEALTH_CRITICAL;
    restore_state(snapshot, p->check);
    struct check_addition req = {
        .check = p->check, .def = p->def, .token = p->token, .source = source, .arena = arena};
    struct err why = {0};
    if (check_register(a, &req, &why) < 0) {
        log_write(LOG_WARN, "agent", "Failed to restore check", LOG_STR("check", id),
                  LOG_CSTR("error", err_text(&why)));
        persist_purge_check(a, id);
        return 0;
    }
    log_write(LOG_DEBUG, "agent", "restored health check from file", LOG_STR("check", id),
              LOG_STR("file", file));
    return 0;
}

int load_checks(struct agent *a, const struct agent_config *config, const struct map *snapshot,
                struct err *err)
{
    const struct check_def *defs = config->checks.v;
    for (size_t i = 0; i < config->checks.n; i++) {
        struct arena arena = {0};
        struct health_check check;
        check_def_to_health_check(&defs[i], config->node_name, &arena, &check);
        restore_state(snapshot, &check);
        struct check_addition req = {.check = &check,
                                     .def = &defs[i],
                                     .token = defs[i].token,
                                     .source = SOURCE_LOCAL,
                                     .arena = &arena};
        int rc = check_register(a, &req, err);
        if (rc < 0) {
            rc = err_wrap(err, "Failed to register check '%.*s'", STRF(defs[i].name));
        }
        arena_deinit(&arena);
        if (rc < 0) {
            return rc;
        }
    }
    return persist_each_check(a, restore_check, (void *)(uintptr_t)snapshot, err);
}

/* --- the rest -------------------------------------------------------------------------------- */

void load_metadata(struct agent *a, const struct agent_config *config)
{
    struct arena arena = {0};
    struct strpair *pairs = ARENA_ARRAY(&arena, struct strpair, config->node_meta.n + 1);
    for (size_t i = 0; i < config->node_meta.n; i++) {
        pairs[i] = config->node_meta.v[i];
    }
    pairs[config->node_meta.n] = (struct strpair){META_SEGMENT, config->segment};
    local_set_meta(a->local, strmap_build(pairs, config->node_meta.n + 1));
    arena_deinit(&arena);
    agent_publish_soon(a);
}

void unload_all(struct agent *a)
{
    struct arena arena = {0};
    /* Not published in between: readers are not to see the middle of a reload. */
    struct local_root root = *local_newest(a->local);
    struct tree_iter it;
    struct strlist ids = {0};
    struct str *v = ARENA_ARRAY(&arena, struct str, root.services.count + root.checks.count + 1);
    const struct local_service *service;
    tree_iter_prefix(&it, &root.services, STR_NULL);
    while ((service = tree_next(&it, NULL)) != NULL) {
        v[ids.n++] = arena_str(&arena, service->service.id);
    }
    for (size_t i = 0; i < ids.n; i++) {
        if (local_service(a->local, v[i]) != NULL) { /* a sidecar went with its service */
            service_drop(a, v[i], false);
        }
    }
    root = *local_newest(a->local);
    ids.n = 0;
    const struct health_check *check;
    tree_iter_prefix(&it, &root.checks, STR_NULL);
    while ((check = tree_next(&it, NULL)) != NULL) {
        v[ids.n++] = arena_str(&arena, check->check_id);
    }
    for (size_t i = 0; i < ids.n; i++) {
        check_drop(a, v[i], false);
    }
    arena_deinit(&arena);
}
