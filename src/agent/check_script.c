/* A script passes with exit code 0, warns with 1, and is critical otherwise: another code, a
 * signal, a timeout. After a timeout its process group is killed, and the next run waits until it
 * has gone. */
#include "agent/check.h"
#include "agent/state.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/process.h"

struct check_script {
    struct check check;
    struct process *process;
    struct loop_timer timeout;
    bool has_timed_out;
};

static void put_output(struct buf *to, const struct process *p)
{
    struct buf output = {0};
    uint64_t total = process_output(p, &output);
    check_put_captured(to, buf_view(&output), total);
    buf_deinit(&output);
}

static void script_exited(void *data, struct process *p)
{
    struct check_script *s = data;
    struct check *c = &s->check;
    struct process_status status = process_status(p);
    loop_timer_stop(check_loop(c), &s->timeout);
    struct buf output = {0};
    put_output(&output, p);
    process_free(TAKE(s->process));
    if (s->has_timed_out) {
        /* It was reported when the time was up; only now may it run again. */
        check_report_now(c, c->entry->row->status, c->entry->row->output);
    } else {
        bool has_exited = status.signal == 0;
        check_report(c,
                     has_exited && status.exit_code == 0   ? HEALTH_PASSING
                     : has_exited && status.exit_code == 1 ? HEALTH_WARNING
                                                           : HEALTH_CRITICAL,
                     buf_view(&output));
    }
    buf_deinit(&output);
}

static void script_timed_out(struct loop_timer *t)
{
    struct check_script *s = container_of(t, struct check_script, timeout);
    struct check *c = &s->check;
    struct agent *a = c->checks->agent;
    struct buf output = {0}, captured = {0};
    struct arena arena = {0};
    struct str timeout = duration_format(
        &arena, (int64_t)(check_timeout_ms(c, CHECK_SCRIPT_TIMEOUT_MS_DEFAULT) * NS_PER_MS));
    log_write(LOG_WARN, "agent", "Timed out running check", LOG_STR("check", c->entry->id),
              LOG_STR("timeout", timeout));
    buf_printf(&output, "Timed out (%.*s) running check", STRF(timeout));
    put_output(&captured, s->process);
    if (captured.n > 0) {
        buf_printf(&output, "\n\n%.*s", STRF(buf_view(&captured)));
    }
    if (local_update_check(a->local, c->entry, HEALTH_CRITICAL, buf_view(&output))) {
        agent_publish_soon(a);
    }
    buf_deinit(&captured);
    buf_deinit(&output);
    arena_deinit(&arena);
    s->has_timed_out = true;
    process_kill(s->process);
}

static void script_probe(struct check *c)
{
    struct check_script *s = container_of(c, struct check_script, check);
    struct arena arena = {0};
    const struct strlist *list = &c->def->script_args;
    const char **args = ARENA_ARRAY(&arena, const char *, list->n + 1);
    for (size_t i = 0; i < list->n; i++) {
        args[i] = arena_str(&arena, list->v[i]).p;
    }
    struct process_options options = {
        .args = args, .output_size_max = c->output_size_max, .exited = script_exited, .data = s};
    struct err err = {0};
    s->has_timed_out = false;
    if (process_start(check_loop(c), &options, &s->process, &err) < 0) {
        log_write(LOG_ERROR, "agent", "Check failed to invoke", LOG_STR("check", c->entry->id),
                  LOG_CSTR("error", err.text));
        struct str text =
            strchr(args[0], '/') == NULL
                ? arena_printf(&arena, "exec: \"%s\": executable file not found in $PATH", args[0])
                : arena_printf(&arena, "fork/exec %s: %s", args[0], err.text);
        check_report_now(c, HEALTH_CRITICAL, text);
    } else {
        loop_timer_start(check_loop(c), &s->timeout,
                         check_timeout_ms(c, CHECK_SCRIPT_TIMEOUT_MS_DEFAULT), script_timed_out);
    }
    arena_deinit(&arena);
}

static void script_stop(struct check *c)
{
    struct check_script *s = container_of(c, struct check_script, check);
    loop_timer_stop(check_loop(c), &s->timeout);
    process_free(TAKE(s->process));
}

const struct check_ops check_script_ops = {.type = "script",
                                           .size = sizeof(struct check_script),
                                           .is_periodic = true,
                                           .probe = script_probe,
                                           .stop = script_stop};
