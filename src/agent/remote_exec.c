/* A job: fetch its spec (a stale read, since every node asks at once; then a consistent one), write
 * the ack, start the process, write chunks one after the other as they fill up or have waited half
 * a second, write the exit code. While PENDING_MAX bytes wait to be written the process's output is
 * not read. A write that fails ends the job. */
#include "agent/remote_exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/state.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/process.h"
#include "schema/json.h"
#include "schema/kv.h"
#include "server/reply.h"
#include "server/rpc.h"

#define CHUNK_SIZE 4096u
#define PENDING_MAX (16u * CHUNK_SIZE)
#define CHUNK_WAIT_MS 500u
#define EXIT_CODE_NOT_STARTED 255

struct exec_event {
    struct str prefix, session;
};
static const struct field exec_event_fields[] = {
    F_STR(struct exec_event, prefix, "Prefix", 0),
    F_STR(struct exec_event, session, "Session", 0),
    FIELDS_END,
};
static const struct schema exec_event_schema =
    SCHEMA("remoteExecEvent", struct exec_event, exec_event_fields);

struct exec_spec {
    struct str command;
    struct strlist args;
    struct str script;
    int64_t wait;
};
static const struct field exec_spec_fields[] = {
    F_STR(struct exec_spec, command, "Command", 0),
    F_STRLIST(struct exec_spec, args, "Args", 0),
    F_BYTES(struct exec_spec, script, "Script", 0),
    F_INT(struct exec_spec, wait, "Wait", 0),
    FIELDS_END,
};
static const struct schema exec_spec_schema =
    SCHEMA("remoteExecSpec", struct exec_spec, exec_spec_fields);

enum job_step { JOB_READING, JOB_ACKING, JOB_RUNNING, JOB_EXITING };

struct job {
    struct list node;
    struct remote_exec *owner;
    struct arena arena;
    struct str prefix, session;
    struct exec_spec spec;
    enum job_step step;
    bool is_consistent;
    struct rpc_call *call;
    struct process *process;
    const char *script_path; /* of a script's temporary file */
    struct buf pending;
    uint64_t chunks; /* written or being written */
    bool has_exited, is_paused;
    int64_t exit_code;
    struct loop_timer flush, heartbeat;
};

static void job_write_next(struct job *j, bool flush);

static void job_free(struct job *j)
{
    struct loop *loop = j->owner->agent->loop;
    loop_timer_stop(loop, &j->flush);
    loop_timer_stop(loop, &j->heartbeat);
    if (j->call != NULL) {
        rpc_cancel(TAKE(j->call));
    }
    process_free(TAKE(j->process));
    if (j->script_path != NULL) {
        (void)unlink(j->script_path);
    }
    list_remove(&j->node);
    j->owner->count--;
    buf_deinit(&j->pending);
    arena_deinit(&j->arena);
    mem_free(j);
}

/* --- writing --------------------------------------------------------------------------------- */

static void job_start_process(struct job *j);

static void job_written(struct rpc_call *call)
{
    struct job *j = call->data;
    const struct bool_reply *reply = call->reply;
    bool is_written = call->err == NULL && reply->value;
    if (!is_written) {
        log_write(LOG_ERROR, "agent", "failed to write for remote exec job",
                  LOG_CSTR("error", call->err != NULL ? err_text(call->err) : "write failed"));
    }
    j->call = NULL;
    rpc_call_free(call);
    if (!is_written || j->step == JOB_EXITING) {
        job_free(j);
        return;
    }
    if (j->step == JOB_ACKING) {
        job_start_process(j);
        return;
    }
    job_write_next(j, false);
}

/* Where something of the job is kept; the prefix may be empty. */
static struct str job_key(struct arena *a, const struct job *j, struct str rest)
{
    return arena_printf(a, "%.*s%s%.*s/%.*s", STRF(j->prefix), j->prefix.n > 0 ? "/" : "",
                        STRF(j->session), STRF(rest));
}

static void job_write(struct job *j, struct str suffix, struct str value)
{
    struct agent *a = j->owner->agent;
    struct rpc_call *call = rpc_call_new(a->worker, &rpc_kvs_apply);
    struct kvs_request *args = call->args;
    args->datacenter = arena_str(&call->arena, conf(a)->datacenter);
    args->op = KV_LOCK;
    args->dir_ent.key =
        job_key(&call->arena, j,
                arena_printf(&call->arena, "%.*s/%.*s", STRF(conf(a)->node_name), STRF(suffix)));
    args->dir_ent.value = arena_str(&call->arena, value);
    args->dir_ent.session = arena_str(&call->arena, j->session);
    args->write.token = arena_str(&call->arena, tokens_agent(&a->tokens));
    call->done = job_written;
    call->data = j;
    j->call = call;
    rpc_start(call);
}

static void job_heartbeat(struct loop_timer *t)
{
    struct job *j = container_of(t, struct job, heartbeat);
    if (j->call == NULL && j->pending.n == 0 && !j->has_exited) {
        struct arena a = {0};
        struct str suffix = arena_printf(&a, "out/%05llx", (unsigned long long)j->chunks++);
        job_write(j, suffix, STR(""));
        arena_deinit(&a);
    }
}

static void job_plan_heartbeat(struct job *j)
{
    if (j->spec.wait > 0) {
        loop_timer_start(j->owner->agent->loop, &j->heartbeat, (uint64_t)j->spec.wait / NS_PER_MS,
                         job_heartbeat);
    }
}

/* The next chunk if it is full (or it is time), or the exit code behind the last. */
static void job_write_next(struct job *j, bool flush)
{
    if (j->call != NULL || j->step != JOB_RUNNING) {
        return;
    }
    if (j->pending.n >= CHUNK_SIZE || (j->pending.n > 0 && (flush || j->has_exited))) {
        struct arena a = {0};
        struct str chunk = arena_str(&a, str_first(buf_view(&j->pending), CHUNK_SIZE));
        struct str suffix = arena_printf(&a, "out/%05llx", (unsigned long long)j->chunks++);
        buf_consume(&j->pending, chunk.n);
        if (j->is_paused && j->process != NULL) {
            j->is_paused = false;
            process_resume(j->process);
        }
        job_plan_heartbeat(j);
        job_write(j, suffix, chunk);
        arena_deinit(&a);
        return;
    }
    if (j->has_exited && j->pending.n == 0) {
        char text[24];
        int n = snprintf(text, sizeof(text), "%lld", (long long)j->exit_code);
        j->step = JOB_EXITING;
        job_write(j, STR("exit"), str_make(text, (size_t)n));
        return;
    }
    job_plan_heartbeat(j);
}

/* --- the process ----------------------------------------------------------------------------- */

static void job_flush(struct loop_timer *t)
{
    job_write_next(container_of(t, struct job, flush), true);
}

static void job_output(void *data, struct process *p, struct str bytes)
{
    struct job *j = data;
    buf_str(&j->pending, bytes);
    if (j->pending.n >= PENDING_MAX) {
        j->is_paused = true;
        process_pause(p);
    }
    loop_timer_start(j->owner->agent->loop, &j->flush, CHUNK_WAIT_MS, job_flush);
    job_write_next(j, false);
}

static void job_exited(void *data, struct process *p)
{
    struct job *j = data;
    struct process_status status = process_status(p);
    j->has_exited = true;
    j->exit_code = status.signal != 0 ? -1 : status.exit_code;
    process_free(TAKE(j->process));
    job_write_next(j, true);
}

/* A script goes to a file of its own, to be run by the shell. */
static const char *job_keep_script(struct job *j)
{
    char *path = (char *)(uintptr_t)arena_str(&j->arena, STR("/tmp/rexecXXXXXX")).p;
    int fd = mkstemp(path);
    if (fd < 0) {
        return NULL;
    }
    j->script_path = path;
    bool is_good = fchmod(fd, 0750) == 0 &&
                   write(fd, j->spec.script.p, j->spec.script.n) == (ssize_t)j->spec.script.n;
    (void)close(fd);
    return is_good ? path : NULL;
}

static void job_start_process(struct job *j)
{
    const char *shell = getenv("SHELL");
    const char **args = ARENA_ARRAY(&j->arena, const char *, j->spec.args.n + 4);
    struct err err = {0};
    j->step = JOB_RUNNING;
    if (j->spec.args.n > 0) {
        for (size_t i = 0; i < j->spec.args.n; i++) {
            args[i] = arena_str(&j->arena, j->spec.args.v[i]).p;
        }
    } else {
        args[0] = shell != NULL && shell[0] != '\0' ? shell : "/bin/sh";
        args[1] = "-c";
        args[2] = j->spec.script.n > 0 ? job_keep_script(j) : j->spec.command.p;
    }
    const struct process_options options = {
        .args = args, .output = job_output, .exited = job_exited, .data = j};
    int rc = args[0] == NULL || (j->spec.args.n == 0 && args[2] == NULL)
                 ? err_set(&err, ERR_INVALID, "nothing to run")
                 : process_start(j->owner->agent->loop, &options, &j->process, &err);
    if (rc < 0) {
        log_write(LOG_DEBUG, "agent", "failed to start remote exec",
                  LOG_CSTR("error", err_text(&err)));
        j->has_exited = true;
        j->exit_code = EXIT_CODE_NOT_STARTED;
        job_write_next(j, true);
        return;
    }
    log_write(LOG_INFO, "agent", "remote exec script", LOG_CSTR("script", args[0]));
    job_plan_heartbeat(j);
}

/* --- the job --------------------------------------------------------------------------------- */

static void job_read(struct job *j);

static void job_known(struct rpc_call *call)
{
    struct job *j = call->data;
    const struct indexed_dir_entries *reply = call->reply;
    struct err err = call->err != NULL ? *call->err : (struct err){0};
    struct value *value;
    bool is_missing = err.code == 0 && reply->entries.n == 0;
    if (err.code == 0 && !is_missing) {
        const struct dir_entry *entry = reply->entries.v[0];
        struct exec_spec spec = {0};
        if (json_parse(&j->arena, arena_str(&j->arena, entry->value), &value, &err) >= 0 &&
            schema_decode(&exec_spec_schema, value, &spec, &j->arena, 0, &err) >= 0) {
            const struct exec_spec *copy = schema_copy(&j->arena, &exec_spec_schema, &spec);
            j->spec = *copy;
        }
    }
    j->call = NULL;
    rpc_call_free(call);
    if (is_missing && !j->is_consistent) {
        log_write(LOG_DEBUG, "agent", "trying consistent fetch of remote exec job spec");
        j->is_consistent = true;
        job_read(j);
    } else if (is_missing || err.code != 0) {
        log_write(is_missing ? LOG_DEBUG : LOG_ERROR, "agent", "failed to get remote exec job",
                  LOG_CSTR("error", is_missing ? "job spec missing" : err_text(&err)));
        job_free(j);
    } else {
        j->step = JOB_ACKING;
        job_write(j, STR("ack"), STR(""));
    }
}

static void job_read(struct job *j)
{
    struct agent *a = j->owner->agent;
    struct rpc_call *call = rpc_call_new(a->worker, &rpc_kvs_get);
    struct key_request *args = call->args;
    args->datacenter = arena_str(&call->arena, conf(a)->datacenter);
    args->key = job_key(&call->arena, j, STR("job"));
    args->options.allow_stale = !j->is_consistent;
    args->options.token = arena_str(&call->arena, tokens_agent(&a->tokens));
    call->done = job_known;
    call->data = j;
    j->call = call;
    rpc_start(call);
}

void remote_exec_init(struct remote_exec *r, struct agent *a)
{
    *r = (struct remote_exec){.agent = a};
    list_init(&r->jobs);
}

void remote_exec_start(struct remote_exec *r, struct str payload)
{
    struct arena a = {0};
    struct err err = {0};
    struct value *value;
    struct exec_event event = {0};
    if (r->count >= REMOTE_EXEC_JOBS_MAX) {
        log_write(LOG_WARN, "agent", "ignoring remote exec event, too many are running");
    } else if (json_parse(&a, payload, &value, &err) < 0 ||
               schema_decode(&exec_event_schema, value, &event, &a, 0, &err) < 0) {
        log_write(LOG_ERROR, "agent", "failed to decode remote exec event",
                  LOG_CSTR("error", err_text(&err)));
    } else {
        struct job *j = xcalloc(1, sizeof(*j));
        j->owner = r;
        j->prefix = arena_str(&j->arena, event.prefix);
        j->session = arena_str(&j->arena, event.session);
        list_push_back(&r->jobs, &j->node);
        r->count++;
        job_read(j);
    }
    arena_deinit(&a);
}

void remote_exec_stop(struct remote_exec *r)
{
    list_for_each (node, &r->jobs) {
        job_free(list_entry(node, struct job, node));
    }
}
