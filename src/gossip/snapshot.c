#include "gossip/snapshot.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "loop/file.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODULE "agent.serf"

static struct metric metric_append = METRIC_SAMPLE("serf.snapshot.appendLine"),
                     metric_compact = METRIC_SAMPLE("serf.snapshot.compact");

static void observe_since(struct metric *m, uint64_t started_ns)
{
    metric_observe(m, (double)(clock_mono_ns() - started_ns) / (double)NS_PER_MS);
}

/* --- lines ----------------------------------------------------------------------------------- */

enum line_kind {
    LINE_UNKNOWN,
    LINE_SKIPPED,
    LINE_ALIVE,
    LINE_NOT_ALIVE,
    LINE_CLOCK,
    LINE_EVENT_CLOCK,
    LINE_QUERY_CLOCK,
    LINE_LEAVE,
};

struct line {
    enum line_kind kind;
    struct str name, address;
    uint64_t clock;
};

/* What stands behind a prefix. */
static bool line_rest(struct str text, const char *prefix, struct str *ret_rest)
{
    struct str p = str_from_cstr(prefix);
    if (!str_has_prefix(text, p)) {
        return false;
    }
    *ret_rest = str_from(text, p.n);
    return true;
}

static struct line line_alive(struct str rest)
{
    ptrdiff_t space = str_rfind_byte(rest, ' ');
    if (space < 0) {
        return (struct line){.kind = LINE_UNKNOWN};
    }
    return (struct line){.kind = LINE_ALIVE,
                         .name = str_first(rest, (size_t)space),
                         .address = str_from(rest, (size_t)space + 1)};
}

static struct line line_clock(enum line_kind kind, struct str rest)
{
    struct line line = {.kind = kind};
    if (str_parse_u64(rest, &line.clock) < 0) {
        line.kind = LINE_UNKNOWN;
    }
    return line;
}

static struct line line_parse(struct str text)
{
    struct str rest;
    if (line_rest(text, "alive: ", &rest)) {
        return line_alive(rest);
    }
    if (line_rest(text, "not-alive: ", &rest)) {
        return (struct line){.kind = LINE_NOT_ALIVE, .name = rest};
    }
    if (line_rest(text, "clock: ", &rest)) {
        return line_clock(LINE_CLOCK, rest);
    }
    if (line_rest(text, "event-clock: ", &rest)) {
        return line_clock(LINE_EVENT_CLOCK, rest);
    }
    if (line_rest(text, "query-clock: ", &rest)) {
        return line_clock(LINE_QUERY_CLOCK, rest);
    }
    if (str_eq_lit(text, "leave")) {
        return (struct line){.kind = LINE_LEAVE};
    }
    bool is_skipped = line_rest(text, "coordinate: ", &rest) || line_rest(text, "#", &rest);
    return (struct line){.kind = is_skipped ? LINE_SKIPPED : LINE_UNKNOWN};
}

/* --- what they amount to --------------------------------------------------------------------- */

/* Members that live: name to address, in the order they came. Values are heap strings. */
struct facts {
    struct map alive;
    uint64_t clock, event_clock, query_clock;
};

static void facts_clear_alive(struct facts *f)
{
    size_t pos = 0;
    struct str name;
    void *value;
    while (map_next(&f->alive, &pos, &name, &value)) {
        mem_free(value);
    }
    map_clear(&f->alive);
}

static void facts_deinit(struct facts *f)
{
    facts_clear_alive(f);
    map_deinit(&f->alive);
}

static void facts_take(struct facts *f, const struct line *line, bool rejoin_after_leave)
{
    switch (line->kind) {
    case LINE_ALIVE:
        mem_free(map_put(&f->alive, line->name, str_to_cstr(line->address)));
        break;
    case LINE_NOT_ALIVE:
        mem_free(map_remove(&f->alive, line->name));
        break;
    case LINE_CLOCK:
        f->clock = line->clock;
        break;
    case LINE_EVENT_CLOCK:
        f->event_clock = line->clock;
        break;
    case LINE_QUERY_CLOCK:
        f->query_clock = line->clock;
        break;
    case LINE_LEAVE:
        if (!rejoin_after_leave) {
            facts_clear_alive(f);
            f->clock = f->event_clock = f->query_clock = 0;
        }
        break;
    case LINE_UNKNOWN:
    case LINE_SKIPPED:
        break;
    }
}

static void facts_text(const struct facts *f, struct buf *to)
{
    size_t pos = 0;
    struct str name;
    void *value;
    while (map_next(&f->alive, &pos, &name, &value)) {
        buf_printf(to, "alive: %.*s %s\n", STRF(name), (const char *)value);
    }
    buf_printf(to, "clock: %llu\nevent-clock: %llu\nquery-clock: %llu\n",
               (unsigned long long)f->clock, (unsigned long long)f->event_clock,
               (unsigned long long)f->query_clock);
}

/* --- reading --------------------------------------------------------------------------------- */

static void facts_read(struct facts *f, struct str bytes, bool rejoin_after_leave)
{
    struct str text;
    /* A last line without its end was not written whole. */
    while (str_find_byte(bytes, '\n') >= 0 && str_split_next(&bytes, '\n', &text)) {
        struct line line = line_parse(text);
        if (line.kind == LINE_UNKNOWN) {
            log_write(LOG_WARN, MODULE, "serf: Unrecognized snapshot line", LOG_STR("line", text));
        } else if (line.kind == LINE_LEAVE && rejoin_after_leave) {
            log_write(LOG_INFO, MODULE, "serf: Ignoring previous leave in snapshot");
        }
        facts_take(f, &line, rejoin_after_leave);
    }
}

int snapshot_read(struct str path, bool rejoin_after_leave, struct arena *a,
                  struct snapshot_state *ret, struct err *err)
{
    struct facts f = {0};
    struct str bytes = STR_NULL, name;
    int rc = file_read(path, SNAPSHOT_SIZE_MAX, a, &bytes, err);
    if (rc < 0 && rc != -ENOENT) {
        return err_wrap(err, "failed to open snapshot");
    }
    facts_read(&f, bytes, rejoin_after_leave);
    *ret = (struct snapshot_state){
        .clock = f.clock, .event_clock = f.event_clock, .query_clock = f.query_clock};
    ret->nodes = ARENA_ARRAY(a, struct snapshot_node, f.alive.n);
    size_t pos = 0;
    void *value;
    while (map_next(&f.alive, &pos, &name, &value)) {
        ret->nodes[ret->count++] =
            (struct snapshot_node){arena_str(a, name), arena_str(a, str_from_cstr(value))};
    }
    facts_deinit(&f);
    return 0;
}

/* --- writing --------------------------------------------------------------------------------- */

/* What waits about one member. */
struct change {
    char *address; /* NULL: it does not live */
};

struct snapshot_writer {
    struct loop *files;
    char *path;
    bool rejoin_after_leave;
    pthread_mutex_t lock;
    /* Under the lock. */
    struct map changes; /* struct change, by name */
    uint64_t clock, event_clock, query_clock;
    bool has_clock, has_event_clock, has_query_clock;
    bool is_leaving, has_left; /* to be written; and nothing is taken after it */
    bool is_posted;
    struct loop_msg msg;
    /* The files loop's. */
    struct facts facts;
    bool is_open; /* it was, once: there is something to keep */
    int fd;       /* -1: it could not be opened again */
    uint64_t size, retry_at_ms;
};

static void change_free(struct change *c)
{
    if (c != NULL) {
        mem_free(c->address);
        mem_free(c);
    }
}

static void writer_post(struct snapshot_writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool is_first = !w->is_posted;
    w->is_posted = true;
    pthread_mutex_unlock(&w->lock);
    if (is_first) {
        loop_post(w->files, &w->msg);
    }
}

static void put_change(struct snapshot_writer *w, const struct line *line)
{
    struct change *c = xcalloc(1, sizeof(*c));
    if (line->kind == LINE_ALIVE) {
        c->address = str_to_cstr(line->address);
    }
    pthread_mutex_lock(&w->lock);
    struct change *old = map_remove(&w->changes, line->name);
    (void)map_put(&w->changes, line->name, c);
    pthread_mutex_unlock(&w->lock);
    change_free(old);
}

void snapshot_writer_put(struct snapshot_writer *w, struct str text)
{
    struct line line = line_parse(text);
    if (w->has_left || str_find_byte(text, '\n') >= 0) {
        return;
    }
    if (line.kind == LINE_ALIVE || line.kind == LINE_NOT_ALIVE) {
        put_change(w, &line);
        writer_post(w);
        return;
    }
    pthread_mutex_lock(&w->lock);
    switch (line.kind) {
    case LINE_CLOCK:
        w->clock = line.clock;
        w->has_clock = true;
        break;
    case LINE_EVENT_CLOCK:
        w->event_clock = line.clock;
        w->has_event_clock = true;
        break;
    case LINE_QUERY_CLOCK:
        w->query_clock = line.clock;
        w->has_query_clock = true;
        break;
    case LINE_LEAVE:
        w->is_leaving = w->has_left = true;
        break;
    default:
        break;
    }
    pthread_mutex_unlock(&w->lock);
    writer_post(w);
}

static void take_clock(struct buf *to, const char *what, bool *has, uint64_t value, uint64_t *fact)
{
    if (*has) {
        buf_printf(to, "%s: %llu\n", what, (unsigned long long)value);
        *fact = value;
        *has = false;
    }
}

/* Everything that waits, as text and into the facts; whether it ends in a leave. */
static bool writer_take(struct snapshot_writer *w, struct buf *to)
{
    struct map changes;
    pthread_mutex_lock(&w->lock);
    w->is_posted = false;
    changes = w->changes;
    map_init(&w->changes, 0);
    uint64_t clock = w->clock, event_clock = w->event_clock, query_clock = w->query_clock;
    bool has_clock = w->has_clock, has_event_clock = w->has_event_clock;
    bool has_query_clock = w->has_query_clock, is_leaving = w->is_leaving;
    w->has_clock = w->has_event_clock = w->has_query_clock = w->is_leaving = false;
    pthread_mutex_unlock(&w->lock);

    size_t pos = 0;
    struct str name;
    void *value;
    while (map_next(&changes, &pos, &name, &value)) {
        struct change *c = value;
        const struct line line = {.kind = c->address != NULL ? LINE_ALIVE : LINE_NOT_ALIVE,
                                  .name = name,
                                  .address = str_from_cstr(c->address)};
        facts_take(&w->facts, &line, w->rejoin_after_leave);
        if (c->address != NULL) {
            buf_printf(to, "alive: %.*s %s\n", STRF(name), c->address);
        } else {
            buf_printf(to, "not-alive: %.*s\n", STRF(name));
        }
        change_free(c);
    }
    map_deinit(&changes);
    take_clock(to, "clock", &has_clock, clock, &w->facts.clock);
    take_clock(to, "event-clock", &has_event_clock, event_clock, &w->facts.event_clock);
    take_clock(to, "query-clock", &has_query_clock, query_clock, &w->facts.query_clock);
    if (is_leaving) {
        buf_lit(to, "leave\n");
        facts_take(&w->facts, &(struct line){.kind = LINE_LEAVE}, w->rejoin_after_leave);
    }
    return is_leaving;
}

static int write_all(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static int writer_open(struct snapshot_writer *w, struct err *err)
{
    struct stat st;
    w->fd = open(w->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (w->fd < 0 || fstat(w->fd, &st) < 0) {
        int code = errno;
        return err_set(err, code, "failed to open snapshot: open %s: %s", w->path,
                       err_code_text(code));
    }
    w->size = (uint64_t)st.st_size;
    return 0;
}

/* The facts as they are, in place of how they came about. */
static int writer_compact(struct snapshot_writer *w, struct err *err)
{
    struct buf text = {0};
    facts_text(&w->facts, &text);
    if (w->fd >= 0) {
        (void)close(w->fd);
        w->fd = -1;
    }
    int rc = file_replace(str_from_cstr(w->path), buf_view(&text), true, err);
    buf_deinit(&text);
    return rc < 0 ? rc : writer_open(w, err);
}

static uint64_t writer_size_max(const struct snapshot_writer *w)
{
    return MAX((uint64_t)SNAPSHOT_SIZE_MIN, (uint64_t)w->facts.alive.n * SNAPSHOT_NODE_SIZE * 2);
}

/* After a failure the file lacks lines: it is good again when it was written anew. */
static void writer_recover(struct snapshot_writer *w)
{
    struct err err = {0};
    uint64_t started_ns = clock_mono_ns();
    if (w->retry_at_ms > clock_mono_ms()) {
        return;
    }
    if (writer_compact(w, &err) < 0) {
        log_write(LOG_ERROR, MODULE, "serf: Compaction failed, will reattempt",
                  LOG_CSTR("error", err_text(&err)));
        w->retry_at_ms = clock_mono_ms() + SNAPSHOT_RETRY_MS;
    } else {
        w->retry_at_ms = 0;
    }
    observe_since(&metric_compact, started_ns);
}

static void writer_flush(struct snapshot_writer *w, bool sync)
{
    struct buf text = {0};
    bool is_leaving = writer_take(w, &text);
    int rc = 0;
    if (w->fd >= 0 && w->retry_at_ms == 0) {
        uint64_t started_ns = clock_mono_ns();
        rc = write_all(w->fd, buf_view(&text));
        w->size += text.n;
        observe_since(&metric_append, started_ns);
    }
    if (rc < 0) {
        log_write(LOG_ERROR, MODULE, "serf: Failed to update snapshot",
                  LOG_CSTR("error", err_code_text(-rc)));
        w->retry_at_ms = clock_mono_ms(); /* now */
    }
    bool is_broken = w->fd < 0 || w->retry_at_ms > 0;
    if (is_broken && sync) {
        w->retry_at_ms = clock_mono_ms(); /* it is the last chance */
    }
    if (is_broken || (text.n > 0 && w->size > writer_size_max(w) && !is_leaving)) {
        writer_recover(w);
    }
    if ((sync || is_leaving) && w->fd >= 0 && fdatasync(w->fd) < 0) {
        log_write(LOG_ERROR, MODULE, "serf: failed to sync snapshot",
                  LOG_CSTR("error", err_code_text(errno)));
    }
    buf_deinit(&text);
}

static void writer_run(struct loop_msg *msg)
{
    writer_flush(container_of(msg, struct snapshot_writer, msg), false);
}

int snapshot_writer_new(struct loop *files, struct str path, const struct snapshot_state *before,
                        bool rejoin_after_leave, struct snapshot_writer **ret_writer,
                        struct err *err)
{
    struct snapshot_writer *w = xcalloc(1, sizeof(*w));
    w->files = files;
    w->path = str_to_cstr(path);
    w->rejoin_after_leave = rejoin_after_leave;
    w->msg.run = writer_run;
    pthread_mutex_init(&w->lock, NULL);
    w->facts.clock = before->clock;
    w->facts.event_clock = before->event_clock;
    w->facts.query_clock = before->query_clock;
    for (size_t i = 0; i < before->count; i++) {
        const struct line line = {
            .kind = LINE_ALIVE, .name = before->nodes[i].name, .address = before->nodes[i].address};
        facts_take(&w->facts, &line, rejoin_after_leave);
    }
    int rc = file_make_parents(path, err);
    w->fd = -1;
    rc = rc < 0 ? rc : writer_open(w, err);
    if (rc < 0) {
        (void)snapshot_writer_free(w);
        return rc;
    }
    w->is_open = true;
    *ret_writer = w;
    return 0;
}

struct snapshot_writer *snapshot_writer_free(struct snapshot_writer *w)
{
    if (w == NULL) {
        return NULL;
    }
    if (w->is_open) {
        writer_flush(w, true);
    }
    if (w->fd >= 0) {
        (void)close(w->fd);
    }
    size_t pos = 0;
    struct str name;
    void *value;
    while (map_next(&w->changes, &pos, &name, &value)) {
        change_free(value);
    }
    map_deinit(&w->changes);
    facts_deinit(&w->facts);
    pthread_mutex_destroy(&w->lock);
    mem_free(w->path);
    return mem_free(w);
}
