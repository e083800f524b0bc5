/* check.h - what watches the health of something and reports to the local state: one runner for
 * each check that has a definition.
 *
 *     check_add(checks, entry, &def, output_size_max);   // starts it
 *     ... its probes end in check_report() ...
 *     check_remove(entry->runner);                        // whatever is under way is dropped
 *
 * A periodic check is probed first at a random moment of its interval, so that a restart with many
 * checks does not probe them all at once, and then an interval after each probe's end; no two
 * probes of one check overlap. Types differ in a struct check_ops; each has a file check_<type>.c.
 * Main loop only. */
#pragma once
#include "agent/check_def.h"
#include "base/list.h"
#include "loop/loop.h"

struct agent;
struct check_entry;
struct check;
struct checks;
struct http_client;
struct http_client_tls;

#define CHECK_INTERVAL_MIN_MS 1000u
#define CHECK_TIMEOUT_MS_DEFAULT 10000u
#define CHECK_SCRIPT_TIMEOUT_MS_DEFAULT 30000u
#define CHECK_OUTPUT_SIZE_DEFAULT 4096u
#define CHECK_OUTPUT_SIZE_MAX (1u << 20)

struct check_ops {
    const char *type;
    size_t size; /* of the struct that embeds struct check first */
    bool is_periodic;
    void (*start)(struct check *c); /* not periodic: begin; optional */
    void (*probe)(struct check *c); /* periodic: ends in check_report() */
    void (*stop)(struct check *c);  /* drop what is under way; optional */
};

struct check {
    const struct check_ops *ops;
    struct checks *checks;
    struct check_entry *entry;
    struct check_def *def; /* own */
    size_t output_size_max;
    uint64_t interval_ms, timeout_ms; /* timeout 0: the type's default */
    uint64_t reap_after_ms;           /* 0: never */
    struct loop_timer timer;
    int64_t successes,
        failures;     /* in a row; start at the thresholds, so that the first result counts */
    struct list node; /* in checks->all */
};

struct checks {
    struct agent *agent;
    struct http_client *http; /* made with the first network check */
    struct list all;
    size_t count, ttl_count, script_count;
    struct list aliases; /* struct check_alias of local services */
    struct loop_msg alias_msg;
    bool alias_is_due;
};

void checks_init(struct checks *checks, struct agent *a);
void checks_deinit(struct checks *checks); /* no check is left */

/* The entry must have no runner. The definition is copied; it was validated. */
void check_add(struct checks *checks, struct check_entry *entry, const struct check_def *def,
               size_t output_size_max);
void check_remove(struct check *c); /* takes NULL */

/* A probe has ended: applies the thresholds, tells the local state, plans the next. */
void check_report(struct check *c, struct str status, struct str output);
/* The same without thresholds (timeouts of scripts, and types without a period). */
void check_report_now(struct check *c, struct str status, struct str output);

/* For the runners. */
struct http_client *checks_http(struct checks *checks);
struct http_client_tls check_tls(const struct check *c);
struct loop *check_loop(const struct check *c);
static inline uint64_t check_timeout_ms(const struct check *c, uint64_t otherwise)
{
    return c->timeout_ms > 0 ? c->timeout_ms : otherwise;
}
struct buf;
/* What was captured of a longer output. */
void check_put_captured(struct buf *to, struct str output, uint64_t total);

/* TTL checks: a client reported; true if the state changed. The output as stored, cut to size,
 * goes into `stored` when it is not NULL. */
bool check_is_ttl(const struct check *c);
bool check_ttl_update(struct check *c, struct str status, struct str output, struct buf *stored);

/* Checks of this service ("": of the node), or the service itself, have changed. */
void checks_service_changed(struct checks *checks, struct str service_id);

extern const struct check_ops check_ttl_ops, check_script_ops, check_docker_ops, check_http_ops,
    check_tcp_ops, check_grpc_ops, check_h2ping_ops, check_alias_ops;
