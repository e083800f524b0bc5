/* `consul lock`: a session, the lock by it, the child while it is held.
 *
 * Three threads: this one acquires, waits for the child and for signals; one renews the session
 * from its creation on; one watches whether the lock is still held while the child runs, and says
 * so by SIGUSR1. */
#include "cli/lock.h"

#include "cli/child.h"
#include "cli/command.h"
#include "cli/kv.h"
#include "cli/session.h"
#include "cli/worker.h"

#include <stdio.h>
#include <unistd.h>

#define SESSION_RENEW_MS 7500u
#define SESSION_RENEW_RETRY_MS 1000u
#define MONITOR_RETRY_MS 1000u
#define KILL_GRACE_MS 5000

static bool wants_child_code, is_shell, passes_stdin, is_verbose;
static int64_t limit, monitor_retry, timeout_ns;
static struct str name;

static const struct cli_flag flags[] = {
    {"child-exit-code", CLI_BOOL, &wants_child_code, "Exit with 2 when the command fails."},
    {"monitor-retry", CLI_INT, &monitor_retry,
     "How many errors in a row to bear while the lock is held; 3 when not given."},
    {"n", CLI_INT, &limit, "How many may hold it at once; more than 1 makes it a semaphore."},
    {"name", CLI_STR, &name, "Name of the session; by default made of the command."},
    {"pass-stdin", CLI_BOOL, &passes_stdin, "Give standard input to the command."},
    {"shell", CLI_BOOL, &is_shell,
     "Run the command in a shell ($SHELL, else /bin/sh); on by default."},
    {"timeout", CLI_DURATION, &timeout_ns, "Give up after so long; 0 is never."},
    {"try", CLI_DURATION, &timeout_ns, "The old name of -timeout."},
    {"verbose", CLI_BOOL, &is_verbose, "Say what is going on."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

struct holder {
    struct lock lock;
    const struct lock_ops *ops;
    struct client *client;
    struct cli_worker renew, monitor;
    pid_t child;
    int child_code;
};

static void verbose(const char *text)
{
    if (is_verbose) {
        puts(text);
        (void)fflush(stdout);
    }
}

/* --- threads --------------------------------------------------------------------------------- */

static int thread_start(struct holder *h, struct cli_worker *w, void (*run)(struct cli_worker *w))
{
    struct err err = {0};
    return cli_worker_start(w, run, h, &err) < 0
               ? cli_error("Lock setup failed: %s", err_text(&err))
               : 0;
}

/* Renew the session twice in its life; an error is tried again soon, a session that is gone is left
 * to the monitor. */
static void renew_run(struct cli_worker *w)
{
    const struct holder *h = w->data;
    uint64_t wait_ms = SESSION_RENEW_MS;
    while (client_sleep(w->client, wait_ms) == 0) {
        struct err err = {0};
        int rc = cli_session_renew(w->client, h->lock.session, &err);
        if (rc == -ERR_CANCELED || rc == -ERR_NOT_FOUND) {
            break;
        }
        wait_ms = rc == 0 ? SESSION_RENEW_MS : SESSION_RENEW_RETRY_MS;
        client_reset(w->client);
    }
}

/* Tell the main thread when the lock is lost. */
static void monitor_run(struct cli_worker *w)
{
    const struct holder *h = w->data;
    uint64_t index = 0;
    int64_t retries = monitor_retry;
    for (;;) {
        struct err err = {0};
        int rc = h->ops->check(&h->lock, w->client, &index, &err);
        if (rc == -ERR_CANCELED) {
            return;
        }
        bool can_retry = rc == -ERR_AGAIN || rc == -ERR_CONNECTION || rc == -ERR_CLOSED;
        if (rc == 0 || (rc < 0 && (retries == 0 || !can_retry))) {
            (void)pthread_kill(w->starter, SIGUSR1);
            return;
        }
        retries = rc < 0 ? retries - 1 : monitor_retry;
        if (rc < 0) {
            index = 0;
            if (client_sleep(w->client, MONITOR_RETRY_MS) < 0) {
                return;
            }
        }
        client_reset(w->client);
    }
}

/* --- the child ------------------------------------------------------------------------------- */

static void child_ended(struct holder *h, int status)
{
    char text[128];
    if (status != 0) {
        child_status_text(status, text, sizeof(text));
        (void)cli_error("Error running handler: %s", text);
        h->child_code = 2;
    }
}

/* SIGTERM, and SIGKILL for one that does not go. */
static void child_kill(struct holder *h)
{
    int status;
    verbose("Terminating child");
    (void)kill(h->child, SIGTERM);
    enum child_event event;
    do {
        event = child_wait(h->child, KILL_GRACE_MS, &status);
    } while (event == CHILD_SIGNAL || event == CHILD_NOTICE);
    if (event == CHILD_ENDED) {
        verbose("Child terminated");
        return;
    }
    verbose("Child did not exit after grace period, killing it");
    (void)kill(h->child, SIGKILL);
    while (child_wait(h->child, -1, &status) != CHILD_ENDED) {
    }
}

static void child_run(struct holder *h, const struct cli_args *args)
{
    struct err err = {0};
    int status = 0;
    struct child_options options = {args->argv + 1, args->argc - 1, is_shell,
                                    passes_stdin ? STDIN_FILENO : -1, "CONSUL_LOCK_HELD=true"};
    verbose("Starting handler");
    if (child_start(&options, &h->child, &err) < 0) {
        (void)cli_error("Error starting handler: %s", err_text(&err));
        h->child_code = 2;
        return;
    }
    switch (child_wait(h->child, -1, &status)) {
    case CHILD_ENDED:
        child_ended(h, status);
        verbose("Child terminated, releasing lock");
        return;
    case CHILD_NOTICE:
        verbose("Lock lost, killing child");
        break;
    case CHILD_SIGNAL:
    case CHILD_TIMEOUT:
        verbose("Shutdown triggered, killing child");
        (void)kill(h->child, cli_signal != 0 ? cli_signal : SIGTERM);
        break;
    }
    child_kill(h);
}

/* --- all of it ------------------------------------------------------------------------------- */

static int lock_release(struct holder *h)
{
    struct err err = {0};
    client_set_interrupt(h->client, NULL);
    if (h->ops->release(&h->lock, h->client, &err) < 0) {
        return cli_error("Lock release failed: %s", err_text(&err));
    }
    int rc = h->ops->destroy(&h->lock, h->client, &err);
    if (rc < 0) {
        return cli_error("Lock cleanup failed: %s", err_text(&err));
    }
    verbose(rc == LOCK_IN_USE ? "Cleanup aborted, lock in use" : "Cleanup succeeded");
    return wants_child_code ? h->child_code : 0;
}

static int lock_hold(struct holder *h, const struct cli_args *args)
{
    struct err err = {0};
    verbose("Attempting lock acquisition");
    int rc = h->ops->acquire(&h->lock, h->client, &err);
    if (rc < 0) {
        return cli_error("Lock acquisition failed: %s", err_text(&err));
    }
    if (rc == LOCK_NOT) {
        return cli_error("Shutdown triggered or timeout during lock acquisition");
    }
    if (cli_signal != 0) {
        (void)cli_error("Shutdown triggered during lock acquisition");
    } else if (thread_start(h, &h->monitor, monitor_run) == 0) {
        child_run(h, args);
    }
    cli_worker_end(&h->monitor);
    return lock_release(h);
}

static int lock_with_session(struct holder *h, struct arena *a, const struct cli_args *args)
{
    struct err err = {0};
    struct client_request r;
    const struct value *self;
    client_set_interrupt(h->client, cli_signals_catch());
    client_request_init(&r, h->client, "GET", "/v1/agent/self");
    int rc = client_get(&r, &self, &err);
    if (rc < 0) {
        return rc == -ERR_CANCELED ? 1
                                   : cli_error("Error querying Consul agent: %s", err_text(&err));
    }
    verbose((limit == 1 ? arena_printf(a, "Setting up lock at path: %.*s", STRF(h->lock.key))
                        : arena_printf(a, "Setting up semaphore (limit %lld) at prefix: %.*s",
                                       (long long)limit, STRF(h->lock.prefix)))
                .p);
    struct cli_session_options session = {.name = name, .behavior = h->ops->session_behavior};
    if (cli_session_create(h->client, &session, a, &h->lock.session, &err) < 0) {
        return cli_error("Lock acquisition failed: failed to create session: %s", err_text(&err));
    }
    int code = thread_start(h, &h->renew, renew_run);
    if (code == 0) {
        code = lock_hold(h, args);
    }
    cli_worker_end(&h->renew);
    cli_session_destroy(h->client, h->lock.session);
    return code;
}

static struct str default_name(struct arena *a, const struct cli_args *args, struct str prefix)
{
    struct str words = STR("");
    for (int i = 1; i < args->argc; i++) {
        words = arena_printf(a, "%.*s%s%s", STRF(words), i > 1 ? " " : "", args->argv[i]);
    }
    return arena_printf(a, "Consul lock for '%.*s' at '%.*s'", STRF(words), STRF(prefix));
}

static int lock_with_args(const struct cli_args *args, struct arena *a)
{
    struct holder h = {.ops = limit == 1 ? &lock_key_ops : &lock_semaphore_ops};
    if (limit <= 0) {
        return cli_error("Lock holder limit must be positive");
    }
    if (args->argc < 2) {
        return cli_error("Key prefix and child command must be specified");
    }
    if (timeout_ns < 0) {
        return cli_error("Timeout must be positive");
    }
    if (monitor_retry < 0) {
        return cli_error("Number for 'monitor-retry' must be >= 0");
    }
    struct str prefix = str_from_cstr(args->argv[0]);
    prefix = str_from(prefix, prefix.n > 0 && prefix.p[0] == '/' ? 1 : 0);
    name = name.n > 0 ? name : default_name(a, args, prefix);
    h.lock = (struct lock){
        .prefix = prefix,
        .key = kv_key_join(a, prefix, STR(LOCK_KEY_NAME)),
        .limit = limit,
        .is_once = timeout_ns > 0,
        .wait_ms = (uint64_t)timeout_ns / 1000000u + ((uint64_t)timeout_ns % 1000000u > 0),
    };
    h.client = client_open("Error connecting to Consul agent");
    if (h.client == NULL) {
        return 1;
    }
    int code = lock_with_session(&h, a, args);
    client_free(h.client);
    return code;
}

static int lock_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    limit = 1;
    monitor_retry = 3;
    is_shell = true;
    if (!cli_parse("lock", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    struct arena a = {0};
    code = lock_with_args(&args, &a);
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_lock_commands[] = {
    {.name = "lock",
     .synopsis = "Run a program while holding a lock",
     .run = lock_run,
     .usage = "[options] prefix child...",
     .help = "  Takes a lock below a prefix of the key-value store, runs a command, and gives the "
             "lock up when\n  it ends. Should the lock be lost before that, the command gets "
             "SIGTERM, and SIGKILL after a\n  while.\n\n"
             "      $ consul lock service/backup ./backup.sh"},
};
const size_t cli_lock_commands_count = ARRAY_SIZE(cli_lock_commands);
