/* bench_raft - what a write costs in consensus alone: entries per second and latency with a number
 * of proposals under way, durable and in memory, next to the bare disk.
 *
 *     bench_raft [directory [seconds]]
 *
 * The proposals come from one thread that sends the next as soon as one is answered, as a loop of
 * connections does; the answer crosses back to it. The state machine does nothing. */
#include "base/clock.h"
#include "base/mem.h"
#include "raft/io.h"
#include "raft/raft.h"
#include "raft/wake.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define ENTRY_SIZE 300u
#define SAMPLES_MAX 4000000u

struct client {
    struct raft_proposal p;
    struct client *next;
    uint64_t sent_ns;
};

static struct wake wake;
static _Atomic(struct client *) answered;
static _Atomic int leader;
static uint32_t *samples;
static char entry[ENTRY_SIZE];

static int apply(void *fsm, uint64_t index, uint64_t term, struct str bytes, struct str extensions,
                 struct raft_proposal *p)
{
    (void)fsm, (void)index, (void)term, (void)bytes, (void)extensions, (void)p;
    return 0;
}

static bool batch_end(void *fsm)
{
    ++*(uint64_t *)fsm;
    return false;
}

static void on_leadership(void *data, bool is_leader)
{
    (void)data;
    atomic_store(&leader, is_leader);
    wake_post(&wake);
}

static void done(struct raft_proposal *p, int code, uint64_t index)
{
    (void)index;
    ASSERT(code == 0);
    struct client *c = container_of(p, struct client, p);
    struct client *head = atomic_load(&answered);
    do {
        c->next = head;
    } while (!atomic_compare_exchange_weak(&answered, &head, c));
    wake_post(&wake);
}

static void send_next(struct raft *r, struct client *c)
{
    c->p = (struct raft_proposal){.entry = {entry, ENTRY_SIZE}, .done = done};
    c->sent_ns = clock_mono_ns();
    raft_propose(r, &c->p);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(const char *what, size_t n, double seconds, double cpu, double batches)
{
    qsort(samples, n, sizeof(*samples), by_value);
    printf("%-22s %9.0f/s   p50 %7.1f us   p99 %7.1f us   cpu %5.1f us each   %.1f a batch\n", what,
           (double)n / seconds, samples[n / 2] / 1e3, samples[n * 99 / 100] / 1e3,
           cpu * 1e6 / (double)n, batches > 0 ? (double)n / batches : 0);
}

static void bench_disk(const char *dir, double seconds)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/raw", dir);
    struct raft_io *io = raft_io_posix();
    int file = io->ops->open(io, path, RAFT_IO_CREATE);
    if (file < 0 || io->ops->allocate(io, file, 4 << 20) < 0 || io->ops->sync(io, file) < 0) {
        fprintf(stderr, "cannot write %s\n", path);
        exit(1);
    }
    size_t n = 0;
    uint64_t offset = 0, start = clock_mono_ns(), end = start + (uint64_t)(seconds * 1e9),
             now = start;
    double cpu = cpu_seconds();
    while (now < end && n < SAMPLES_MAX) {
        struct iovec iov = {entry, ENTRY_SIZE};
        (void)io->ops->pwritev(io, file, &iov, 1, offset);
        (void)io->ops->sync(io, file);
        offset = (offset + ENTRY_SIZE) % (4 << 20);
        uint64_t after = clock_mono_ns();
        samples[n++] = (uint32_t)(after - now);
        now = after;
    }
    report("write + fdatasync", n, (double)(now - start) / 1e9, cpu_seconds() - cpu, (double)n);
    io->ops->close(io, file);
    (void)io->ops->remove(io, path);
}

static void bench(const char *dir, bool in_memory, size_t clients, double seconds)
{
    uint64_t batches = 0;
    static const struct raft_fsm_ops ops = {.apply = apply, .batch_end = batch_end};
    char path[4096];
    snprintf(path, sizeof(path), "%s/raft-%zu", dir, clients);
    struct raft_options o = {.in_memory = in_memory,
                             .data_dir = path,
                             .bootstrap = true,
                             .local_id = STR("bench"),
                             .local_address = STR("127.0.0.1:8300"),
                             .snapshot_interval_ms = 3600000,
                             .ops = &ops,
                             .fsm = &batches,
                             .leadership = on_leadership};
    struct raft *r = NULL;
    struct err err = {0};
    if (raft_start(&o, &r, &err) < 0) {
        fprintf(stderr, "%s\n", err_text(&err));
        exit(1);
    }
    while (!atomic_load(&leader)) {
        wake_wait(&wake, 1000);
    }
    struct client *c = xcalloc(clients, sizeof(*c));
    size_t n = 0, waiting = clients;
    double cpu = cpu_seconds();
    uint64_t start = clock_mono_ns(), end = start + (uint64_t)(seconds * 1e9), now = start;
    for (size_t i = 0; i < clients; i++) {
        send_next(r, &c[i]);
    }
    while (waiting > 0) {
        struct client *list = atomic_exchange(&answered, NULL);
        if (list == NULL) {
            wake_wait(&wake, WAKE_FOREVER);
            continue;
        }
        now = clock_mono_ns();
        for (struct client *next; list != NULL; list = next) {
            next = list->next;
            if (n < SAMPLES_MAX) {
                samples[n++] = (uint32_t)(now - list->sent_ns);
            }
            if (now < end) {
                send_next(r, list);
            } else {
                waiting--;
            }
        }
    }
    char what[64];
    snprintf(what, sizeof(what), "%s, %zu client%s", in_memory ? "memory" : "durable", clients,
             clients > 1 ? "s" : "");
    report(what, n, (double)(now - start) / 1e9, cpu_seconds() - cpu, (double)batches);
    raft_stop(r);
    raft_free(r);
    mem_free(c);
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "bench-raft.tmp";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 2;
    struct raft_io *io = raft_io_posix();
    if (io->ops->dir_make(io, dir) < 0) {
        fprintf(stderr, "cannot make %s\n", dir);
        return 1;
    }
    samples = xcalloc(SAMPLES_MAX, sizeof(*samples));
    bench_disk(dir, seconds);
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        bench(dir, in_memory, 1, seconds);
        bench(dir, in_memory, 64, seconds);
    }
    mem_free(samples);
    return 0;
}
