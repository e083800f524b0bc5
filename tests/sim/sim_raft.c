/* sim_raft - clusters of the real node under faults, from seeds. What is simulated and checked:
 * docs/raft.md, "Tests"; the parts: sim.h.
 *
 *     sim_raft                    the seeds of the test: seeds.txt, then the first few
 *     sim_raft 1234               one seed
 *     sim_raft 1 100000           a range
 *     sim_raft --planted 1 3000   seeds of the range until one fails: a bug was planted, and must
 *                                 be found */
#include "base/str.h"
#include "sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS_OF_THE_TEST 20u
#define SEED_TIME_MAX_S 300u

/* An assertion of ours has failed: say with which seed. */
static void on_abort(int number)
{
    char line[64];
    int n = snprintf(line, sizeof(line), "# Replay: sim_raft %" PRIu64 "\n",
                     sim_current != NULL ? sim_current->seed : 0);
    (void)!write(STDERR_FILENO, line, (size_t)n);
    (void)signal(number, SIG_DFL);
}

/* Sanitizers die in the same way. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}

static int run_range(uint64_t first, uint64_t last)
{
    for (uint64_t seed = first; seed <= last; seed++) {
        sim_run_seed(seed, last - first < 100);
        fflush(stdout);
    }
    printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n", first, last);
    return 0;
}

/* Each seed in a process of its own, which dies of what it finds, or of going on for ever. */
static bool seed_fails(uint64_t seed)
{
    fflush(NULL);
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        alarm(SEED_TIME_MAX_S);
        sim_run_seed(seed, false);
        _exit(0);
    }
    int status = 0;
    ASSERT(waitpid(pid, &status, 0) == pid);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static int run_planted(uint64_t first, uint64_t last)
{
    for (uint64_t seed = first; seed <= last; seed++) {
        if (seed_fails(seed)) {
            printf("ok 1 - the planted bug is found by seed %" PRIu64 "\n", seed);
            return 0;
        }
    }
    printf("not ok 1 - the planted bug is not found by seeds %" PRIu64 " to %" PRIu64 "\n", first,
           last);
    return 1;
}

/* Those that have found a bug once, by line; what follows a # is why. */
static void run_kept(void)
{
    FILE *f = fopen(SEEDS_FILE, "r");
    char line[256];
    ASSERT(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        if (end != line) {
            sim_run_seed(seed, true);
        }
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    bool is_planted = argc > 1 && strcmp(argv[1], "--planted") == 0;
    uint64_t first = 1, last = SEEDS_OF_THE_TEST;
    int at = 1 + is_planted;
    if (argc > at) {
        if (str_parse_u64(str_from_cstr(argv[at]), &first) < 0 ||
            (argc > at + 1 && str_parse_u64(str_from_cstr(argv[at + 1]), &last) < 0)) {
            fprintf(stderr, "usage: sim_raft [--planted] [first seed [last seed]]\n");
            return 2;
        }
        last = argc > at + 1 ? last : first;
    }
    (void)signal(SIGABRT, on_abort);
    printf("1..1\n");
    fflush(stdout);
    if (is_planted) {
        return run_planted(first, last);
    }
    if (argc == 1) {
        run_kept();
    }
    return run_range(first, last);
}
