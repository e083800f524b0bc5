#include "cli/worker.h"

static void ignored(int signum)
{
    (void)signum;
}

static void *worker_main(void *data)
{
    struct cli_worker *w = data;
    w->run(w);
    return NULL;
}

int cli_worker_start(struct cli_worker *w, void (*run)(struct cli_worker *w), void *data,
                     struct err *err)
{
    struct sigaction action = {.sa_handler = ignored};
    sigset_t set;
    int rc = client_new(&w->client, err);
    if (rc < 0) {
        return rc;
    }
    (void)sigaction(SIGUSR2, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* the thread inherits it */
    (void)pthread_sigmask(SIG_SETMASK, NULL, &w->interrupt.mask);
    sigdelset(&w->interrupt.mask, SIGUSR2);
    w->interrupt.flag = &w->is_ended;
    w->run = run;
    w->data = data;
    w->starter = pthread_self();
    client_set_interrupt(w->client, &w->interrupt);
    rc = pthread_create(&w->thread, NULL, worker_main, w);
    w->is_running = rc == 0;
    return w->is_running ? 0 : err_from_errno(err, rc, "thread");
}

void cli_worker_join(struct cli_worker *w)
{
    if (w->is_running) {
        (void)pthread_join(w->thread, NULL);
        w->is_running = false;
    }
    w->client = client_free(w->client);
}

void cli_worker_end(struct cli_worker *w)
{
    if (w->is_running) {
        w->is_ended = 1;
        (void)pthread_kill(w->thread, SIGUSR2);
    }
    cli_worker_join(w);
}
