#include "cli/child.h"

#include "base/buf.h"
#include "base/clock.h"
#include "cli/transport.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

volatile sig_atomic_t cli_signal;

static void caught(int signum)
{
    if (signum == SIGINT || signum == SIGTERM) {
        cli_signal = signum;
    }
}

static void wanted_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGCHLD);
    sigaddset(set, SIGUSR1);
}

const struct client_interrupt *cli_signals_catch(void)
{
    static struct client_interrupt interrupt;
    struct sigaction action = {.sa_handler = caught};
    sigset_t set;
    wanted_signals(&set);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGCHLD, &action, NULL);
    (void)sigaction(SIGUSR1, &action, NULL);
    interrupt.flag = &cli_signal;
    (void)sigprocmask(SIG_SETMASK, NULL, &interrupt.mask);
    sigdelset(&interrupt.mask, SIGINT);
    sigdelset(&interrupt.mask, SIGTERM);
    return &interrupt;
}

/* --- starting -------------------------------------------------------------------------------- */

/* What to execute, made before the fork: nothing may be allocated between it and the exec. */
struct image {
    const char *path;
    char **argv;
    char **env;
};

static char *join_words(struct arena *a, char **argv, int argc)
{
    struct buf text = {0};
    for (int i = 0; i < argc; i++) {
        buf_str(&text, i > 0 ? STR(" ") : STR(""));
        buf_str(&text, str_from_cstr(argv[i]));
    }
    char *script = (char *)arena_str(a, buf_view(&text)).p;
    buf_deinit(&text);
    return script;
}

static void image_build(const struct child_options *options, struct arena *a, struct image *ret)
{
    const char *shell = getenv("SHELL");
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **env = ARENA_ARRAY(a, char *, count + 2);
    memcpy(env, environ, count * sizeof(*env));
    env[count] = (char *)options->env;
    ret->env = env;
    if (!options->is_shell) {
        ret->argv = options->argv;
        ret->path = options->argv[0];
        return;
    }
    ret->argv = ARENA_ARRAY(a, char *, 4);
    ret->path = shell != NULL && *shell != '\0' ? shell : "/bin/sh";
    ret->argv[0] = (char *)ret->path;
    ret->argv[1] = (char *)"-c";
    ret->argv[2] = join_words(a, options->argv, options->argc);
}

/* In the child: only what is safe after a fork. The errno of a failure goes through the pipe. */
NORETURN static void child_exec(const struct image *image, int stdin_fd, int report_fd)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    static const int signals[] = {SIGINT, SIGTERM, SIGCHLD, SIGUSR1, SIGPIPE};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        (void)sigaction(signals[i], &action, NULL);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (stdin_fd >= 0) {
        (void)dup2(stdin_fd, STDIN_FILENO);
        (void)execvpe(image->path, image->argv, image->env);
    }
    int problem = errno;
    (void)!write(report_fd, &problem, sizeof(problem));
    _exit(127);
}

static int start_failed(const struct image *image, int problem, struct err *err)
{
    if (problem == ENOENT && strchr(image->path, '/') == NULL) {
        return err_set(err, ERR_FAILED, "exec: \"%s\": executable file not found in $PATH",
                       image->path);
    }
    return err_set(err, ERR_FAILED, "fork/exec %s: %s", image->path, err_code_text(problem));
}

static int image_start(const struct image *image, int stdin_fd, pid_t *ret_pid, struct err *err)
{
    int report[2], problem = 0;
    if (pipe2(report, O_CLOEXEC) < 0) {
        return err_from_errno(err, errno, "pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        child_exec(image, stdin_fd, report[1]);
    }
    int fork_errno = errno;
    (void)close(report[1]);
    ssize_t n = -1;
    while (pid > 0 && (n = read(report[0], &problem, sizeof(problem))) < 0 && errno == EINTR) {
    }
    (void)close(report[0]);
    if (pid < 0) {
        return start_failed(image, fork_errno, err);
    }
    if (n == (ssize_t)sizeof(problem)) {
        (void)waitpid(pid, NULL, 0);
        return start_failed(image, problem, err);
    }
    *ret_pid = pid;
    return 0;
}

int child_start(const struct child_options *options, pid_t *ret_pid, struct err *err)
{
    struct arena a = {0};
    struct image image;
    image_build(options, &a, &image);
    int null_fd = options->stdin_fd < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    int stdin_fd = options->stdin_fd < 0 ? null_fd : options->stdin_fd;
    int rc = image_start(&image, stdin_fd, ret_pid, err);
    if (null_fd >= 0) {
        (void)close(null_fd);
    }
    arena_deinit(&a);
    return rc;
}

/* --- waiting --------------------------------------------------------------------------------- */

enum child_event child_wait(pid_t pid, int64_t timeout_ms, int *ret_status)
{
    uint64_t end = clock_mono_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
    sigset_t set;
    wanted_signals(&set);
    for (;;) {
        if (waitpid(pid, ret_status, WNOHANG) == pid) {
            return CHILD_ENDED;
        }
        uint64_t now = clock_mono_ms(), left = end > now ? end - now : 0;
        struct timespec left_ts = {(time_t)(left / 1000), (long)(left % 1000 * NS_PER_MS)};
        int signum = timeout_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &left_ts);
        if (signum == SIGINT || signum == SIGTERM) {
            cli_signal = signum;
            return CHILD_SIGNAL;
        }
        if (signum == SIGUSR1) {
            return CHILD_NOTICE;
        }
        if (signum < 0 && errno == EAGAIN) {
            return CHILD_TIMEOUT;
        }
    }
}

void child_status_text(int status, char *to, size_t size)
{
    if (WIFSIGNALED(status)) {
        (void)snprintf(to, size, "signal: %s%s", strsignal(WTERMSIG(status)),
                       WCOREDUMP(status) ? " (core dumped)" : "");
        to[8] = (char)tolower((unsigned char)to[8]);
    } else {
        (void)snprintf(to, size, "exit status %d", WEXITSTATUS(status));
    }
}
