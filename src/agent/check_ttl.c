/* A TTL check hears from its client; silence for the TTL makes it critical. One timer each on the
 * wheel, restarted with each report. */
#include "agent/check.h"
#include "agent/state.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

struct check_ttl {
    struct check check;
    uint64_t ttl_ms;
    struct buf last_output; /* kept in the text when the TTL runs out */
};

static void ttl_expired(struct loop_timer *t)
{
    struct check_ttl *ttl =
        container_of(container_of(t, struct check, timer), struct check_ttl, check);
    log_write(LOG_WARN, "agent", "Check missed TTL, is now critical",
              LOG_STR("check", ttl->check.entry->id));
    struct buf output = {0};
    buf_lit(&output, "TTL expired");
    if (ttl->last_output.n > 0) {
        buf_lit(&output, " (last output before timeout follows): ");
        buf_str(&output, buf_view(&ttl->last_output));
    }
    check_report_now(&ttl->check, HEALTH_CRITICAL, buf_view(&output));
    buf_deinit(&output);
}

static void ttl_start(struct check *c)
{
    struct check_ttl *ttl = container_of(c, struct check_ttl, check);
    ttl->ttl_ms = ((uint64_t)c->def->ttl + 999999u) / 1000000u;
    /* A TTL of nanoseconds ("TTL": 10) runs out in Consul before the check is known to anybody, and
     * so without effect (agent_checks_errors pins it). */
    if ((uint64_t)c->def->ttl >= NS_PER_MS) {
        loop_timer_start(check_loop(c), &c->timer, ttl->ttl_ms, ttl_expired);
    }
}

static void ttl_stop(struct check *c)
{
    buf_deinit(&container_of(c, struct check_ttl, check)->last_output);
}

bool check_is_ttl(const struct check *c)
{
    return c != NULL && c->ops == &check_ttl_ops;
}

bool check_ttl_update(struct check *c, struct str status, struct str output, struct buf *stored)
{
    ASSERT(check_is_ttl(c));
    struct check_ttl *ttl = container_of(c, struct check_ttl, check);
    log_write(LOG_DEBUG, "agent", "Check status updated", LOG_STR("check", c->entry->id),
              LOG_STR("status", status));
    buf_clear(&ttl->last_output);
    buf_str(&ttl->last_output, str_first(output, c->output_size_max));
    if (output.n > c->output_size_max) {
        buf_printf(&ttl->last_output, " ... (captured %zu of %zu bytes)", c->output_size_max,
                   output.n);
    }
    bool is_changed =
        local_update_check(c->checks->agent->local, c->entry, status, buf_view(&ttl->last_output));
    if (stored != NULL) {
        buf_str(stored, buf_view(&ttl->last_output));
    }
    loop_timer_start(check_loop(c), &c->timer, ttl->ttl_ms, ttl_expired);
    return is_changed;
}

const struct check_ops check_ttl_ops = {
    .type = "ttl", .size = sizeof(struct check_ttl), .start = ttl_start, .stop = ttl_stop};
