/* child.h - commands that run other programs, and the signals that end them.
 *
 *     client_set_interrupt(c, cli_signals_catch());        // once; from then on SIGINT and SIGTERM
 *     ...                                                  // end requests, and child_wait() passes
 *     rc = child_start(&options, &pid, &err);              // them on
 *     rc = child_wait(pid, &status);
 *
 * cli_signals_catch() blocks SIGINT, SIGTERM, SIGCHLD and SIGUSR1 for the process (threads made
 * later included); they are taken while waiting only. One thread catches. */
#pragma once
#include "base/err.h"
#include "cli/client.h"

#include <signal.h>
#include <sys/types.h>

/* The last SIGINT or SIGTERM; 0: none yet. */
extern volatile sig_atomic_t cli_signal;

const struct client_interrupt *cli_signals_catch(void);

struct child_options {
    char **argv;
    int argc;
    bool is_shell;   /* one script for $SHELL -c: the words with blanks between */
    int stdin_fd;    /* -1: /dev/null */
    const char *env; /* "NAME=value" on top of our own; NULL: nothing */
};

/* err: "fork/exec /no/such: no such file or directory". */
NODISCARD int child_start(const struct child_options *options, pid_t *ret_pid, struct err *err);

enum child_event {
    CHILD_ENDED,
    CHILD_SIGNAL, /* SIGINT or SIGTERM came: cli_signal */
    CHILD_NOTICE, /* SIGUSR1 came: from another thread */
    CHILD_TIMEOUT,
};
/* What happens first. *ret_status is the child's when it ended. */
enum child_event child_wait(pid_t pid, int64_t timeout_ms, int *ret_status);
/* "exit status 7", "signal: killed". */
void child_status_text(int status, char *to, size_t size);
