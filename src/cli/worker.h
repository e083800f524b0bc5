/* worker.h - a thread of a command, with a client of its own.
 *
 *     rc = cli_worker_start(&w, run, data, &err);     // run(w): requests by w->client,
 * cli_worker.data
 *     ...
 *     cli_worker_end(&w);                             // its requests and sleeps are canceled
 *
 * The thread is ended by a flag and SIGUSR2, which only it takes, while it waits. */
#pragma once
#include "cli/client.h"

#include <pthread.h>

struct cli_worker {
    struct client *client;
    void *data;
    pthread_t starter;
    /* private */
    pthread_t thread;
    bool is_running;
    volatile sig_atomic_t is_ended;
    struct client_interrupt interrupt;
    void (*run)(struct cli_worker *w);
};

NODISCARD int cli_worker_start(struct cli_worker *w, void (*run)(struct cli_worker *w), void *data,
                               struct err *err);
/* Takes one that never started, too. */
void cli_worker_end(struct cli_worker *w);
/* Wait until it ends by itself. */
void cli_worker_join(struct cli_worker *w);
