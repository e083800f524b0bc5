#include "agent/check.h"

#include "agent/state.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/http_client.h"

void checks_init(struct checks *checks, struct agent *a)
{
    *checks = (struct checks){.agent = a};
    list_init(&checks->all);
    list_init(&checks->aliases);
}

void checks_deinit(struct checks *checks)
{
    ASSERT(checks->agent == NULL || list_is_empty(&checks->all));
    checks->http = http_client_free(checks->http);
}

struct http_client *checks_http(struct checks *checks)
{
    if (checks->http == NULL) {
        checks->http = http_client_new(checks->agent->loop);
    }
    return checks->http;
}

struct loop *check_loop(const struct check *c)
{
    return c->checks->agent->loop;
}

struct http_client_tls check_tls(const struct check *c)
{
    struct agent *a = c->checks->agent;
    const struct agent_config *config = conf(a);
    struct http_client_tls tls = {.skip_verify = c->def->tls_skip_verify};
    if (config->tls.enable_agent_tls_for_checks) {
        tls.agent = a->options.tls;
        tls.server_name =
            config->tls.server_name.n > 0 ? config->tls.server_name : config->node_name;
    }
    if (c->def->tls_server_name.n > 0) {
        tls.server_name = c->def->tls_server_name;
    }
    return tls;
}

static const struct check_ops *ops_of(const struct check_def *def)
{
    /* In the order in which Consul looks: a definition may fit several. */
    bool has_interval = def->interval > 0, is_script = def->script_args.n > 0;
    return def->ttl > 0                                                  ? &check_ttl_ops
           : def->http.n > 0 && has_interval                             ? &check_http_ops
           : def->tcp.n > 0 && has_interval                              ? &check_tcp_ops
           : def->grpc.n > 0 && has_interval                             ? &check_grpc_ops
           : is_script && def->docker_container_id.n > 0 && has_interval ? &check_docker_ops
           : is_script && has_interval                                   ? &check_script_ops
           : def->h2ping.n > 0 && has_interval                           ? &check_h2ping_ops
                                                                         : &check_alias_ops;
}

static void probe_due(struct loop_timer *t)
{
    struct check *c = container_of(t, struct check, timer);
    c->ops->probe(c);
}

static uint64_t ms_of_ns(int64_t ns)
{
    return ns > 0 ? ((uint64_t)ns + 999999u) / 1000000u : 0;
}

static void count(struct check *c, size_t by)
{
    c->checks->count += by;
    c->checks->ttl_count += c->ops == &check_ttl_ops ? by : 0;
    c->checks->script_count += c->ops == &check_script_ops ? by : 0;
}

void check_add(struct checks *checks, struct check_entry *entry, const struct check_def *def,
               size_t output_size_max)
{
    ASSERT(entry->runner == NULL);
    const struct check_ops *ops = ops_of(def);
    struct check *c = xcalloc(1, ops->size);
    c->ops = ops;
    c->checks = checks;
    c->entry = entry;
    c->def = schema_clone(&check_type_schema, def, NULL);
    c->output_size_max = MIN(output_size_max, (size_t)CHECK_OUTPUT_SIZE_MAX);
    c->interval_ms = ms_of_ns(def->interval);
    c->timeout_ms = ms_of_ns(def->timeout);
    c->successes = def->success_before_passing;
    c->failures = def->failures_before_critical;
    entry->runner = c;
    list_push_back(&checks->all, &c->node);
    count(c, 1);

    if (def->deregister_critical_service_after > 0) {
        uint64_t min_ms = ms_of_ns(conf(checks->agent)->checks_config.deregister_interval_min);
        c->reap_after_ms = ms_of_ns(def->deregister_critical_service_after);
        if (c->reap_after_ms < min_ms) {
            c->reap_after_ms = min_ms;
            log_write(LOG_WARN, "agent", "check has deregister interval below minimum",
                      LOG_STR("check", entry->id), LOG_UINT("minimum_interval_ms", min_ms));
        }
    }
    if (!ops->is_periodic) {
        ops->start(c);
        return;
    }
    if (c->interval_ms < CHECK_INTERVAL_MIN_MS) {
        c->interval_ms = CHECK_INTERVAL_MIN_MS;
        log_write(LOG_WARN, "agent", "check has interval below minimum",
                  LOG_STR("check", entry->id), LOG_CSTR("minimum_interval", "1s"));
    }
    loop_timer_start(check_loop(c), &c->timer,
                     rng_below(&checks->agent->worker->rng, c->interval_ms), probe_due);
}

void check_remove(struct check *c)
{
    if (c == NULL) {
        return;
    }
    loop_timer_stop(check_loop(c), &c->timer);
    if (c->ops->stop != NULL) {
        c->ops->stop(c);
    }
    count(c, (size_t)-1);
    list_remove(&c->node);
    c->entry->runner = NULL;
    mem_free(c->def);
    mem_free(c);
}

void check_report_now(struct check *c, struct str status, struct str output)
{
    struct agent *a = c->checks->agent;
    if (local_update_check(a->local, c->entry, status, output)) {
        agent_publish_soon(a);
    }
    if (c->ops->is_periodic) {
        loop_timer_start(check_loop(c), &c->timer, c->interval_ms, probe_due);
    }
}

void check_report(struct check *c, struct str status, struct str output)
{
    bool is_success = !str_eq(status, HEALTH_CRITICAL);
    int64_t *counter = is_success ? &c->successes : &c->failures;
    int64_t threshold =
        is_success ? c->def->success_before_passing : c->def->failures_before_critical;
    *(is_success ? &c->failures : &c->successes) = 0;
    if (*counter < INT64_MAX) {
        ++*counter;
    }
    if (*counter >= threshold) {
        if (is_success) {
            log_write(LOG_DEBUG, "agent", "Check status updated", LOG_STR("check", c->entry->id),
                      LOG_STR("status", status));
        } else {
            log_write(LOG_WARN, "agent", "Check is now critical", LOG_STR("check", c->entry->id));
        }
        check_report_now(c, status, output);
        return;
    }
    log_write(LOG_WARN, "agent",
              is_success ? "Check passed but has not reached success threshold"
                         : "Check failed but has not reached failure threshold",
              LOG_STR("check", c->entry->id), LOG_STR("status", status),
              LOG_INT(is_success ? "success_count" : "failure_count", *counter),
              LOG_INT(is_success ? "success_threshold" : "failure_threshold", threshold));
    loop_timer_start(check_loop(c), &c->timer, c->interval_ms, probe_due);
}

void check_put_captured(struct buf *to, struct str output, uint64_t total)
{
    if (total > output.n) {
        buf_printf(to, "Captured %zu of %llu bytes\n...\n", output.n, (unsigned long long)total);
    }
    buf_str(to, output);
}
