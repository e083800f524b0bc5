/* One lock orders the lines. A line is rendered under it, once for each form that some sink wants,
 * into buffers that stay; log_is_on() needs no lock, so lines nobody wants cost one load. */
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "base/list.h"
#include "base/mem.h"

#define LINE_SIZE_MAX (4u << 20) /* over what the maxima of log.h add up to, all escaped */
#define LINE_SIZE_KEPT (64u << 10)

struct log_sink {
    struct list link;
    enum log_level level;
    bool json;
    log_sink_fn fn;
    void *data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list sinks = {&sinks, &sinks};
static _Atomic int level_lowest = LOG_OFF;
static _Thread_local bool inside_sink;

static const struct {
    const char *name, *bracket, *json;
} levels[] = {
    [LOG_TRACE] = {"TRACE", "[TRACE]", "trace"}, [LOG_DEBUG] = {"DEBUG", "[DEBUG]", "debug"},
    [LOG_INFO] = {"INFO", "[INFO] ", "info"},    [LOG_WARN] = {"WARN", "[WARN] ", "warn"},
    [LOG_ERROR] = {"ERROR", "[ERROR]", "error"}, [LOG_OFF] = {"OFF", "[?????]", "all"},
};

/* Local time with its distance from UTC: "Z", or "+0130" with `colon` "+01:30". */
static void put_time(struct buf *to, int64_t wall_ns, int fraction_digits, bool colon)
{
    time_t sec = (time_t)(wall_ns / (int64_t)NS_PER_SEC);
    long ns = (long)(wall_ns % (int64_t)NS_PER_SEC);
    struct tm tm;
    if (localtime_r(&sec, &tm) == NULL) {
        tm = (struct tm){.tm_year = 70, .tm_mday = 1};
    }
    buf_printf(to, "%04d-%02d-%02dT%02d:%02d:%02d.%0*ld", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction_digits,
               fraction_digits == 3 ? ns / 1000000 : ns / 1000);
    if (tm.tm_gmtoff == 0) {
        buf_byte(to, 'Z');
    } else {
        long minutes = labs(tm.tm_gmtoff) / 60;
        buf_printf(to, "%c%02ld%s%02ld", tm.tm_gmtoff < 0 ? '-' : '+', minutes / 60,
                   colon ? ":" : "", minutes % 60);
    }
}

static struct str value_cut(struct str s)
{
    return str_first(s, LOG_VALUE_SIZE_MAX);
}

/* A line break inside a value is printed as \n, so that no value can pose as another line (the
 * reference prints it raw); otherwise the value stands as it is, between quotes if need be. */
static void put_plain_str(struct buf *to, struct str s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        quoted |= s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r';
    }
    if (!quoted) {
        buf_str(to, s);
        return;
    }
    buf_byte(to, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n' || s.p[i] == '\r') {
            buf_byte(to, '\\');
            buf_byte(to, s.p[i] == '\n' ? 'n' : 'r');
        } else {
            buf_byte(to, (uint8_t)s.p[i]);
        }
    }
    buf_byte(to, '"');
}

static void put_value(struct buf *to, const struct log_pair *pair, bool json)
{
    switch (pair->kind) {
    case LOG_VALUE_STR:
        if (json) {
            go_json_str(to, value_cut(pair->s));
        } else {
            put_plain_str(to, value_cut(pair->s));
        }
        break;
    case LOG_VALUE_I64:
        buf_i64(to, pair->i);
        break;
    case LOG_VALUE_U64:
        buf_u64(to, (uint64_t)pair->i);
        break;
    case LOG_VALUE_F64:
        if (json) {
            go_json_float(to, pair->f);
        } else {
            go_float_g(to, pair->f);
        }
        break;
    case LOG_VALUE_BOOL:
        buf_str(to, pair->i != 0 ? STR("true") : STR("false"));
        break;
    }
}

struct line {
    enum log_level level;
    const char *module, *message;
    const struct log_pair *pairs;
    size_t count;
    int64_t wall_ns;
};

static void render_plain(struct buf *to, const struct line *line)
{
    put_time(to, line->wall_ns, 3, false);
    buf_byte(to, ' ');
    buf_str(to, str_from_cstr(levels[line->level].bracket));
    buf_byte(to, ' ');
    if (line->module != NULL && line->module[0] != '\0') {
        buf_str(to, str_from_cstr(line->module));
        buf_lit(to, ": ");
    }
    buf_str(to, value_cut(str_from_cstr(line->message)));
    for (size_t i = 0; i < line->count; i++) {
        buf_str(to, i == 0 ? STR(": ") : STR(" "));
        buf_str(to, str_from_cstr(line->pairs[i].key));
        buf_byte(to, '=');
        put_value(to, &line->pairs[i], false);
    }
    buf_byte(to, '\n');
}

/* Members in the order of their names, as encoding/json writes a map; of two pairs with one key the
 * later counts. */
static void render_json(struct buf *to, const struct line *line)
{
    struct buf time = {0};
    put_time(&time, line->wall_ns, 6, true);
    struct log_pair own[] = {LOG_CSTR("@level", levels[line->level].json),
                             LOG_CSTR("@message", line->message), LOG_CSTR("@module", line->module),
                             LOG_STR("@timestamp", buf_view(&time))};
    const struct log_pair *members[ARRAY_SIZE(own) + LOG_PAIRS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(own) + line->count; i++) {
        const struct log_pair *pair =
            i < ARRAY_SIZE(own) ? &own[i] : &line->pairs[i - ARRAY_SIZE(own)];
        if (pair == &own[2] && own[2].s.n == 0) {
            continue;
        }
        size_t at = 0;
        while (at < count && strcmp(members[at]->key, pair->key) < 0) {
            at++;
        }
        if (at == count || strcmp(members[at]->key, pair->key) != 0) {
            memmove(members + at + 1, members + at, (count - at) * sizeof(members[0]));
            count++;
        }
        members[at] = pair;
    }
    for (size_t i = 0; i < count; i++) {
        buf_byte(to, i == 0 ? '{' : ',');
        go_json_str(to, str_from_cstr(members[i]->key));
        buf_byte(to, ':');
        put_value(to, members[i], true);
    }
    buf_lit(to, "}\n");
    buf_deinit(&time);
}

static void render(struct buf *to, const struct line *line, bool json)
{
    buf_clear(to);
    to->max = LINE_SIZE_MAX;
    if (json) {
        render_json(to, line);
    } else {
        render_plain(to, line);
    }
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&level_lowest, memory_order_relaxed);
}

void log_line(enum log_level level, const char *module, const char *message,
              const struct log_pair *pairs, size_t count)
{
    static struct buf rendered[2]; /* plain, JSON; under the lock */
    if (inside_sink || !log_is_on(level) || level >= LOG_OFF) {
        return;
    }
    struct line line = {level,          module, message, pairs, MIN(count, (size_t)LOG_PAIRS_MAX),
                        clock_wall_ns()};
    bool done[2] = {false, false};
    pthread_mutex_lock(&lock);
    inside_sink = true;
    list_for_each (it, &sinks) {
        struct log_sink *sink = list_entry(it, struct log_sink, link);
        if (level < sink->level) {
            continue;
        }
        struct buf *b = &rendered[sink->json];
        if (!done[sink->json]) {
            render(b, &line, sink->json);
            done[sink->json] = true;
        }
        if (!b->failed) {
            sink->fn(sink->data, level, buf_view(b));
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(rendered); i++) {
        if (rendered[i].cap > LINE_SIZE_KEPT) {
            buf_deinit(&rendered[i]);
        }
    }
    inside_sink = false;
    pthread_mutex_unlock(&lock);
}

static void update_lowest(void)
{
    int lowest = LOG_OFF;
    list_for_each (it, &sinks) {
        lowest = MIN(lowest, (int)list_entry(it, struct log_sink, link)->level);
    }
    atomic_store_explicit(&level_lowest, lowest, memory_order_relaxed);
}

struct log_sink *log_sink_add(enum log_level level, bool json, log_sink_fn fn, void *data)
{
    struct log_sink *sink = xcalloc(1, sizeof(*sink));
    *sink = (struct log_sink){.level = level, .json = json, .fn = fn, .data = data};
    pthread_mutex_lock(&lock);
    list_push_back(&sinks, &sink->link);
    update_lowest();
    pthread_mutex_unlock(&lock);
    return sink;
}

void log_sink_set_level(struct log_sink *sink, enum log_level level)
{
    pthread_mutex_lock(&lock);
    sink->level = level;
    update_lowest();
    pthread_mutex_unlock(&lock);
}

void log_sink_remove(struct log_sink *sink)
{
    if (sink == NULL) {
        return;
    }
    ASSERT(!inside_sink);
    pthread_mutex_lock(&lock);
    list_remove(&sink->link);
    update_lowest();
    pthread_mutex_unlock(&lock);
    mem_free(sink);
}

int log_level_parse(struct str s, enum log_level *ret_level)
{
    if (str_eq_fold(s, STR("ERR"))) {
        s = STR("ERROR");
    }
    for (int level = LOG_TRACE; level < LOG_OFF; level++) {
        if (str_eq_fold(s, str_from_cstr(levels[level].name))) {
            *ret_level = (enum log_level)level;
            return 0;
        }
    }
    return -ERR_INVALID;
}

const char *log_level_text(enum log_level level)
{
    return levels[level].name;
}
