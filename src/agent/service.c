#include "agent/service.h"

#include <arpa/inet.h>

#include "agent/persist.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/vec.h"

#define DNS_LABEL_SIZE_MAX 63u

/* --- validation ------------------------------------------------------------------------------ */

enum { NOT_IP = 0, IPV4 = 4, IPV6 = 6 };

static int ip_version(struct str s)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in6_addr ip;
    if (s.n == 0 || s.n >= sizeof(text)) {
        return NOT_IP;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET, text, &ip) == 1    ? IPV4
           : inet_pton(AF_INET6, text, &ip) == 1 ? IPV6
                                                 : 0;
}

/* Why a name cannot be asked for over DNS, or NULL. */
static const char *dns_fault(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool is_fine =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        if (!is_fine) {
            return "invalid characters. Valid characters include all alpha-numerics and dashes.";
        }
    }
    return name.n > DNS_LABEL_SIZE_MAX
               ? "it being too long. Valid lengths are between 1 and 63 bytes."
               : NULL;
}

static void warn_of_dns(const struct node_service *service)
{
    const char *fault = dns_fault(service->service);
    if (fault != NULL) {
        log_write(LOG_WARN, "agent", "Service name will not be discoverable via DNS",
                  LOG_CSTR("due_to", fault), LOG_STR("service", service->service));
    }
    for (size_t i = 0; i < service->tags.n; i++) {
        fault = dns_fault(service->tags.v[i]);
        if (fault != NULL) {
            log_write(LOG_DEBUG, "agent", "Service tag will not be discoverable via DNS",
                      LOG_CSTR("due_to", fault), LOG_STR("tag", service->tags.v[i]));
        }
    }
}

static int check_tagged(const struct node_service *service, const char *name, int version,
                        struct err *err)
{
    const struct service_address *address =
        objmap_get(service->tagged_addresses, str_from_cstr(name));
    if (address != NULL && ip_version(address->address) != version) {
        return err_set(err, ERR_FAILED,
                       "Service tagged address \"%s\" must be a valid ipv%d address", name,
                       version);
    }
    return 0;
}

static int validate(struct service_addition *req, struct err *err)
{
    struct node_service *service = req->service;
    if (service->service.n == 0) {
        return err_set(err, ERR_FAILED, "Service name missing");
    }
    if (service->id.n == 0) {
        service->id = service->service;
    }
    for (size_t i = 0; i < req->checks.n; i++) {
        if (check_def_validate(req->checks.v[i], err) < 0) {
            (void)err_wrap(err, "Check is not valid");
            err->code = ERR_FAILED;
            return -ERR_FAILED;
        }
    }
    if (service->weights == NULL) {
        /* As the catalog has it, or the two would seem to differ. */
        service->weights = ARENA_NEW(req->arena, struct weights);
        *service->weights = (struct weights){1, 1};
    }
    warn_of_dns(service);
    int rc = check_tagged(service, "lan_ipv4", IPV4, err);
    rc = rc < 0 ? rc : check_tagged(service, "wan_ipv4", IPV4, err);
    return rc < 0 ? rc : check_tagged(service, "lan_ipv6", IPV6, err);
}

/* An address that is an IP is also the tagged address of its version, unless one was given. */
static void complete_tagged(struct service_addition *req)
{
    static const char *const names[][2] = {{"lan_ipv4", "wan_ipv4"}, {"lan_ipv6", "wan_ipv6"}};
    struct node_service *service = req->service;
    int version = ip_version(service->address);
    if (version == NOT_IP) {
        if (service->tagged_addresses.v == NULL) {
            service->tagged_addresses.v = SCHEMA_EMPTY;
        }
        return;
    }
    struct objmap old = service->tagged_addresses;
    struct objmap_pair *pairs = ARENA_ARRAY(req->arena, struct objmap_pair, old.n + 2);
    size_t n = 0;
    for (size_t i = 0; i < old.n; i++) {
        pairs[n++] = old.v[i];
    }
    for (size_t i = 0; i < 2; i++) {
        struct str name = str_from_cstr(names[version == IPV6][i]);
        if (objmap_get(old, name) == NULL) {
            struct service_address *address = ARENA_NEW(req->arena, struct service_address);
            *address = (struct service_address){service->address, service->port};
            size_t at = n;
            for (; at > 0 && str_cmp(pairs[at - 1].key, name) > 0; at--) {
                pairs[at] = pairs[at - 1];
            }
            pairs[at] = (struct objmap_pair){name, address};
            n++;
        }
    }
    service->tagged_addresses = (struct objmap){pairs, n};
}

/* --- runners --------------------------------------------------------------------------------- */

static int scripts_allowed(const struct agent *a, const struct check_def *def, enum source source,
                           struct err *err)
{
    const struct config_checks *checks = &conf(a)->checks_config;
    if (def->script_args.n == 0) {
        return 0;
    }
    if (source == SOURCE_LOCAL && !checks->enable_local_script) {
        return err_set(err, ERR_FAILED,
                       "Scripts are disabled on this agent; to enable, configure "
                       "'enable_script_checks' or 'enable_local_script_checks' to true");
    }
    if (source == SOURCE_REMOTE && !checks->enable_remote_script) {
        return err_set(err, ERR_FAILED,
                       "Scripts are disabled on this agent from remote calls; to enable, configure "
                       "'enable_script_checks' to true");
    }
    return 0;
}

static size_t output_size_max(const struct agent *a, const struct check_def *def)
{
    int64_t max = conf(a)->checks_config.output_max_size;
    max = max > 0 ? max : CHECK_OUTPUT_SIZE_DEFAULT;
    return (size_t)(def->output_max_size > 0 ? MIN(max, def->output_max_size) : max);
}

static void runner_start(struct agent *a, struct check_entry *e, const struct check_def *def)
{
    check_remove(e->runner);
    check_add(&a->checks, e, def, output_size_max(a, def));
    expose_check_started(a, e);
}

/* A TTL check goes on from what it heard last before a restart. */
static void restore_ttl(struct agent *a, struct health_check *check, const struct check_def *def,
                        struct arena *arena)
{
    struct str status, output;
    if (def->ttl > 0 && persist_load_check_state(a, check->check_id, arena, &status, &output)) {
        check->status = status;
        check->output = output;
    }
}

/* --- services -------------------------------------------------------------------------------- */

/* The catalog's view of the checks of a definition, in order. */
static struct health_check *make_checks(struct agent *a, struct service_addition *req)
{
    const struct node_service *service = req->service;
    struct arena *arena = req->arena;
    struct health_check *checks = ARENA_ARRAY(arena, struct health_check, req->checks.n);
    for (size_t i = 0; i < req->checks.n; i++) {
        const struct check_def *def = req->checks.v[i];
        struct str id = def->id;
        if (id.n == 0) {
            id = req->checks.n > 1
                     ? arena_printf(arena, "service:%.*s:%zu", STRF(service->id), i + 1)
                     : arena_printf(arena, "service:%.*s", STRF(service->id));
        }
        checks[i] = (struct health_check){
            .node = conf(a)->node_name,
            .check_id = id,
            .name = def->name.n > 0
                        ? def->name
                        : arena_printf(arena, "Service '%.*s' check", STRF(service->service)),
            .status = def->status.n > 0 ? def->status : HEALTH_CRITICAL,
            .notes = def->notes,
            .service_id = service->id,
            .service_name = service->service,
            .service_tags = service->tags,
            .type = str_from_cstr(check_def_type(def)),
        };
        const struct health_check *before = NULL;
        if (req->snapshot != NULL) {
            before = map_get(req->snapshot, id);
        } else {
            struct check_entry *e = local_check(a->local, id);
            before = e != NULL ? e->row : NULL;
        }
        if (before != NULL) {
            /* Copies: the row may be replaced below. */
            checks[i].status = arena_str(arena, before->status);
            checks[i].output = arena_str(arena, before->output);
        }
        restore_ttl(a, &checks[i], def, arena);
    }
    return checks;
}

static bool is_among(const struct health_check *checks, size_t count, struct str id)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(checks[i].check_id, id)) {
            return true;
        }
    }
    return false;
}

int service_add(struct agent *a, struct service_addition *req, struct err *err)
{
    int rc = validate(req, err);
    for (size_t i = 0; rc >= 0 && i < req->checks.n; i++) {
        rc = scripts_allowed(a, req->checks.v[i], req->source, err);
    }
    if (rc >= 0 && (a->local->services.n >= AGENT_SERVICES_MAX ||
                    a->local->checks.n + req->checks.n > AGENT_CHECKS_MAX)) {
        rc = err_set(err, ERR_TOO_LARGE, "this agent has as many services and checks as it may");
    }
    if (rc < 0) {
        return rc;
    }
    complete_tagged(req);
    struct node_service *service = req->service;
    struct health_check *checks = make_checks(a, req);
    struct strlist existing = local_check_ids(a->local, service->id, req->arena);

    /* To disk first: what cannot be kept is refused before anything has changed. */
    if (req->persist) {
        for (size_t i = 0; rc >= 0 && i < req->checks.n; i++) {
            rc = persist_check(a, &checks[i], req->checks.v[i], req->token, req->source, err);
        }
        rc = rc < 0 ? rc : persist_service(a, service, req->token, req->source, err);
        if (rc < 0) {
            if (local_service(a->local, service->id) == NULL) {
                persist_purge_service(a, service->id);
                for (size_t i = 0; i < req->checks.n; i++) {
                    persist_purge_check(a, checks[i].check_id);
                }
            }
            return rc;
        }
    }
    const struct node_service *merged = service_config_follow(a, service, req->token, req->arena);
    (void)local_put_service(a->local, merged, req->token);
    for (size_t i = 0; i < req->checks.n; i++) {
        struct check_entry *e = local_put_check(a->local, &checks[i], req->token);
        runner_start(a, e, req->checks.v[i]);
    }
    expose_service_put(a, merged);
    if (req->replace_existing_checks) {
        for (size_t i = 0; i < existing.n; i++) {
            if (!is_among(checks, req->checks.n, existing.v[i])) {
                check_drop(a, existing.v[i], req->persist);
            }
        }
    }
    agent_publish_soon(a);
    return 0;
}

void service_drop(struct agent *a, struct str id, bool persist)
{
    struct service_entry *e = local_service(a->local, id);
    if (e == NULL) {
        log_write(LOG_WARN, "agent", "Failed to deregister service", LOG_STR("service", id),
                  LOG_CSTR("error", "Service does not exist"));
        return;
    }
    struct arena arena = {0};
    struct strlist ids = local_check_ids(a->local, id, &arena);
    expose_service_removed(a, &e->row->service);
    service_config_unfollow(a, id);
    (void)local_remove_service(a->local, id);
    if (persist) {
        persist_purge_service(a, id);
    }
    for (size_t i = 0; i < ids.n; i++) {
        check_drop(a, ids.v[i], persist);
    }
    log_write(LOG_DEBUG, "agent", "removed service", LOG_STR("service", id));

    struct str sidecar_id = arena_printf(&arena, "%.*s-sidecar-proxy", STRF(id));
    struct service_entry *sidecar = local_service(a->local, sidecar_id);
    if (sidecar != NULL && sidecar->row->service.locally_registered_as_sidecar) {
        service_drop(a, sidecar_id, persist);
    }
    arena_deinit(&arena);
    agent_publish_soon(a);
}

int service_remove(struct agent *a, struct str id, bool persist, struct err *err)
{
    if (id.n == 0) {
        return err_set(err, ERR_FAILED, "ServiceID missing");
    }
    service_drop(a, id, persist);
    return 0;
}

/* --- checks ---------------------------------------------------------------------------------- */

int check_register(struct agent *a, struct check_addition *req, struct err *err)
{
    struct health_check *check = req->check;
    struct service_entry *service = NULL;
    if (check->service_id.n > 0) {
        service = local_service(a->local, check->service_id);
        if (service == NULL) {
            return err_set(err, ERR_FAILED, "ServiceID \"%.*s\" does not exist",
                           STRF(check->service_id));
        }
        check->service_name = arena_str(req->arena, service->row->service.service);
        check->service_tags = service->row->service.tags; /* copied before the row can go */
    }
    if (check->check_id.n == 0) {
        return err_set(err, ERR_FAILED, "CheckID missing");
    }
    if (a->local->checks.n >= AGENT_CHECKS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "this agent has as many checks as it may");
    }
    if (req->def != NULL) {
        if (check_def_validate(req->def, err) < 0) {
            (void)err_wrap(err, "Check is not valid");
            err->code = ERR_FAILED;
            return -ERR_FAILED;
        }
        int rc = scripts_allowed(a, req->def, req->source, err);
        if (rc < 0) {
            return rc;
        }
        restore_ttl(a, check, req->def, req->arena);
    }
    if (req->persist) {
        int rc = persist_check(a, check, req->def, req->token, req->source, err);
        if (rc < 0) {
            return rc;
        }
    }
    /* Registering again does not make a check flap: it keeps its state until the next probe. */
    struct check_entry *e = local_check(a->local, check->check_id);
    bool existed = e != NULL;
    if (existed) {
        check->status = arena_str(req->arena, e->row->status);
        check->output = arena_str(req->arena, e->row->output);
    }
    e = local_put_check(a->local, check, req->token);
    if (existed) {
        (void)local_update_check(a->local, e, check->status, check->output);
    }
    if (req->def != NULL) {
        runner_start(a, e, req->def);
    }
    agent_publish_soon(a);
    return 0;
}

void check_drop(struct agent *a, struct str id, bool persist)
{
    struct check_entry *e = local_check(a->local, id);
    if (e != NULL) {
        expose_check_ended(a, e);
        check_remove(e->runner);
        (void)local_remove_check(a->local, id);
        agent_publish_soon(a);
    }
    if (persist) {
        persist_purge_check(a, id);
        persist_purge_check_state(a, id);
    }
    log_write(LOG_DEBUG, "agent", "removed check", LOG_STR("check", id));
}

int check_deregister(struct agent *a, struct str id, bool persist, struct err *err)
{
    if (id.n == 0) {
        return err_set(err, ERR_FAILED, "CheckID missing");
    }
    check_drop(a, id, persist);
    return 0;
}

int check_ttl_report(struct agent *a, struct str id, struct str status, struct str output,
                     bool *ret_changed, struct err *err)
{
    struct check_entry *e = local_check(a->local, id);
    if (e == NULL || !check_is_ttl(e->runner)) {
        return err_set(err, ERR_FAILED, "CheckID \"%.*s\" does not have associated TTL", STRF(id));
    }
    int64_t ttl = e->runner->def->ttl;
    struct buf stored = {0};
    *ret_changed = check_ttl_update(e->runner, status, output, &stored);
    if (*ret_changed) {
        agent_publish_soon(a);
    }
    int rc = persist_check_state(a, id, status, buf_view(&stored), ttl, err);
    if (rc < 0) {
        (void)err_wrap(err, "failed persisting state for check \"%.*s\"", STRF(id));
    }
    buf_deinit(&stored);
    return rc;
}

/* --- maintenance ----------------------------------------------------------------------------- */

#define SERVICE_REASON                                                                         \
    STR("Maintenance mode is enabled for this service, but no reason was provided. This is a " \
        "default message.")
#define NODE_REASON                                                                         \
    STR("Maintenance mode is enabled for this node, but no reason was provided. This is a " \
        "default message.")

int service_maintenance(struct agent *a, struct str id, bool enable, struct str reason,
                        struct str token, struct err *err)
{
    struct service_entry *service = local_service(a->local, id);
    if (service == NULL) {
        return err_set(err, ERR_NOT_FOUND, "No service registered with ID \"%.*s\"", STRF(id));
    }
    struct arena arena = {0};
    struct str check_id = arena_concat(&arena, SERVICE_MAINT_PREFIX, id);
    bool is_on = local_check(a->local, check_id) != NULL;
    int rc = 0;
    if (enable && !is_on) {
        struct health_check check = {
            .node = conf(a)->node_name,
            .check_id = check_id,
            .name = STR("Service Maintenance Mode"),
            .notes = reason.n > 0 ? reason : SERVICE_REASON,
            .service_id = id,
            .status = HEALTH_CRITICAL,
            .type = STR("maintenance"),
        };
        struct check_addition req = {.check = &check,
                                     .token = token,
                                     .source = SOURCE_LOCAL,
                                     .persist = true,
                                     .arena = &arena};
        rc = check_register(a, &req, err);
        log_write(LOG_INFO, "agent", "Service entered maintenance mode", LOG_STR("service", id));
    } else if (!enable && is_on) {
        rc = check_deregister(a, check_id, true, err);
        log_write(LOG_INFO, "agent", "Service left maintenance mode", LOG_STR("service", id));
    }
    arena_deinit(&arena);
    return rc;
}

void node_maintenance(struct agent *a, bool enable, struct str reason, struct str token)
{
    bool is_on = local_check(a->local, NODE_MAINT_ID) != NULL;
    struct err err = {0};
    int rc = 0;
    if (enable && !is_on) {
        struct arena arena = {0};
        struct health_check check = {
            .node = conf(a)->node_name,
            .check_id = NODE_MAINT_ID,
            .name = STR("Node Maintenance Mode"),
            .notes = reason.n > 0 ? reason : NODE_REASON,
            .status = HEALTH_CRITICAL,
            .type = STR("maintenance"),
        };
        struct check_addition req = {.check = &check,
                                     .token = token,
                                     .source = SOURCE_LOCAL,
                                     .persist = true,
                                     .arena = &arena};
        rc = check_register(a, &req, &err);
        arena_deinit(&arena);
        log_write(LOG_INFO, "agent", "Node entered maintenance mode");
    } else if (!enable && is_on) {
        rc = check_deregister(a, NODE_MAINT_ID, true, &err);
        log_write(LOG_INFO, "agent", "Node left maintenance mode");
    }
    if (rc < 0) {
        log_write(LOG_ERROR, "agent", "maintenance mode failed", LOG_CSTR("error", err_text(&err)));
    }
}
