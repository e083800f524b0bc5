/* process.h - one child process: its output collected, its end reported, its whole group killed.
 *
 *     struct process_options o = {.args = argv, .output_size_max = 4096, .exited = my_exited, .data
 * = me}; rc = process_start(loop, &o, &p, &err);
 *     ... my_exited(me, p): process_status(p), process_output(p, &buf) ...; process_free(p);
 *
 * The child leads a session of its own, reads what it was given, and writes both outputs into one
 * pipe of which the last output_size_max bytes are kept. exited() comes once the child has ended
 * and nobody holds the pipe any more (a grandchild may), or, after process_kill(), as soon as it
 * has ended. Everything runs on the loop's thread. */
#pragma once
#include "base/err.h"

struct buf;
struct loop;
struct process;

#define PROCESS_OUTPUT_SIZE_MAX (1u << 20)

struct process_options {
    const char *const *args; /* NULL-terminated; the program is args[0], looked up in PATH */
    const char *const *env;  /* NULL: this process's */
    struct str input;        /* what it may read; empty: nothing (/dev/null) */
    size_t output_size_max;  /* up to PROCESS_OUTPUT_SIZE_MAX */
    /* Output as it comes, besides what is kept; optional. */
    void (*output)(void *data, struct process *p, struct str bytes);
    void (*exited)(void *data, struct process *p); /* not called from inside process_start() */
    void *data;
};

NODISCARD int process_start(struct loop *l, const struct process_options *options,
                            struct process **ret_process, struct err *err);
/* SIGKILL to the child and what it started, as far as that stayed in its process group. When the
 * child has ended already and only its pipe was waited for, exited() comes from inside here. */
void process_kill(struct process *p);
/* In exited() or later. One that still runs is killed, and reaped behind the scenes. Takes NULL. */
void process_free(struct process *p);

struct process_status {
    int64_t exit_code;
    int signal; /* that ended it; 0: it exited */
};
struct process_status process_status(const struct process *p); /* once it has exited */
/* What was written so far, at most the last output_size_max bytes, appended to `to`. Returns how
 * many bytes were written in all. */
uint64_t process_output(const struct process *p, struct buf *to);
int process_id(const struct process *p);
/* Stop reading its output, so that it waits when the pipe is full; and go on. */
void process_pause(struct process *p);
void process_resume(struct process *p);
