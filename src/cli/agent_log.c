#include "cli/agent_log.h"

#include "agent/config.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/agent_syslog.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

struct log_file {
    struct arena arena;
    struct str dir, stem, ext; /* dir ends with '/', or is empty */
    int fd;                    /* -1: none is open */
    uint64_t opened_ms;
    int64_t size;
    int64_t rotate_ms, size_max, files_max;
};

struct agent_log {
    struct log_sink *out, *file_sink, *syslog_sink;
    struct log_file file;
};

static void out_write(void *data, enum log_level level, struct str line)
{
    (void)data;
    (void)level;
    while (line.n > 0) {
        ssize_t n = write(STDOUT_FILENO, line.p, line.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* nobody to tell */
        }
        line = str_from(line, (size_t)n);
    }
}

/* --- files ---------------------------------------------------------------------------------------
 */

static void log_file_split(struct log_file *f, struct str path)
{
    ptrdiff_t slash = str_rfind_byte(path, '/');
    struct str name = str_from(path, (size_t)(slash + 1));
    f->dir = arena_str(&f->arena, str_first(path, (size_t)(slash + 1)));
    if (name.n == 0) {
        name = STR("consul.log");
    }
    ptrdiff_t dot = str_rfind_byte(name, '.');
    f->stem = arena_str(&f->arena, dot > 0 ? str_first(name, (size_t)dot) : name);
    f->ext = dot > 0 ? arena_str(&f->arena, str_from(name, (size_t)dot)) : STR(".log");
}

static int log_file_open(struct log_file *f, struct err *err)
{
    struct arena a = {0};
    struct str path = arena_printf(&a, "%.*s%.*s-%lld%.*s", STRF(f->dir), STRF(f->stem),
                                   (long long)clock_wall_ns(), STRF(f->ext));
    f->fd = open(path.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    int rc = 0;
    if (f->fd < 0 && err != NULL) {
        rc = err_from_errno(err, errno,
                            arena_printf(&a, "Failed to setup logging: open %.*s", STRF(path)).p);
    } else if (f->fd < 0) {
        rc = -errno;
    }
    arena_deinit(&a);
    f->opened_ms = clock_mono_ms();
    f->size = 0;
    return rc;
}

/* Remove the oldest archives until one more file fits in: all of them when files_max is negative.
 */
static void log_file_prune(struct log_file *f)
{
    if (f->files_max == 0) {
        return;
    }
    struct arena a = {0};
    struct str pattern =
        arena_printf(&a, "%.*s%.*s-*%.*s", STRF(f->dir), STRF(f->stem), STRF(f->ext));
    glob_t found = {0};
    if (glob(pattern.p, 0, NULL, &found) == 0) { /* sorted: the names end in the time */
        size_t keep = f->files_max < 0 ? 0 : (size_t)f->files_max;
        for (size_t i = 0; found.gl_pathc >= keep && i < found.gl_pathc - keep; i++) {
            (void)unlink(found.gl_pathv[i]);
        }
    }
    globfree(&found);
    arena_deinit(&a);
}

static void log_file_write(void *data, enum log_level level, struct str line)
{
    struct log_file *f = data;
    (void)level;
    bool is_full = f->size_max > 0 && f->size >= f->size_max;
    bool is_old = clock_mono_ms() - f->opened_ms >= (uint64_t)f->rotate_ms;
    if (f->fd >= 0 && (is_full || is_old)) {
        (void)close(f->fd);
        log_file_prune(f);
        f->fd = -1;
    }
    if (f->fd < 0 && log_file_open(f, NULL) < 0) {
        return; /* tried again with the next line */
    }
    ssize_t n = write(f->fd, line.p, line.n);
    if (n > 0) {
        f->size += n;
    }
}

static void syslog_write(void *data, enum log_level level, struct str line)
{
    (void)data;
    agent_syslog_write(level == LOG_ERROR  ? AGENT_SYSLOG_ERROR
                       : level == LOG_WARN ? AGENT_SYSLOG_WARNING
                       : level == LOG_INFO ? AGENT_SYSLOG_INFO
                                           : AGENT_SYSLOG_DEBUG,
                       str_trim(line));
}

/* --- all of them ---------------------------------------------------------------------------------
 */

int agent_log_open(const struct config_log *options, struct agent_log **ret_log, struct err *err)
{
    enum log_level level;
    if (log_level_parse(options->level, &level) < 0) {
        return err_set(
            err, ERR_INVALID,
            "Invalid log level: %.*s. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]",
            STRF(options->level));
    }
    if (options->syslog && agent_syslog_open(options->syslog_facility) < 0) {
        return err_set(err, ERR_INVALID, "Syslog setup failed: invalid syslog facility: %.*s",
                       STRF(options->syslog_facility));
    }
    struct agent_log *l = xcalloc(1, sizeof(*l));
    struct log_file *f = &l->file;
    f->fd = -1;
    if (options->file.n > 0) {
        log_file_split(f, options->file);
        f->rotate_ms = options->rotate_duration / (int64_t)NS_PER_MS;
        f->size_max = options->rotate_bytes;
        f->files_max = options->rotate_max_files;
        log_file_prune(f);
        int rc = log_file_open(f, err);
        if (rc < 0) {
            arena_deinit(&f->arena);
            mem_free(l);
            return rc;
        }
        l->file_sink = log_sink_add(level, options->json, log_file_write, f);
    }
    l->out = log_sink_add(level, options->json, out_write, NULL);
    if (options->syslog) {
        l->syslog_sink = log_sink_add(level, options->json, syslog_write, NULL);
    }
    *ret_log = l;
    return 0;
}

void agent_log_set_level(struct agent_log *l, enum log_level level)
{
    struct log_sink *sinks[] = {l->out, l->file_sink, l->syslog_sink};
    for (size_t i = 0; i < ARRAY_SIZE(sinks); i++) {
        if (sinks[i] != NULL) {
            log_sink_set_level(sinks[i], level);
        }
    }
}

struct agent_log *agent_log_close(struct agent_log *l)
{
    if (l == NULL) {
        return NULL;
    }
    struct log_sink *sinks[] = {l->out, l->file_sink, l->syslog_sink};
    for (size_t i = 0; i < ARRAY_SIZE(sinks); i++) {
        if (sinks[i] != NULL) {
            log_sink_remove(sinks[i]);
        }
    }
    if (l->file.fd >= 0) {
        (void)close(l->file.fd);
    }
    arena_deinit(&l->file.arena);
    return mem_free(l);
}
