/* log.h - structured log lines: level, module, message, key=value.
 *
 *     log_write(LOG_INFO, "agent.server", "New leader elected", LOG_STR("payload", node_name));
 *     log_write(LOG_WARN, "agent", "Check is now critical", LOG_STR("check", id), LOG_INT("ms", 3));
 *
 * The line has Consul's form: 2006-01-02T15:04:05.000Z [INFO]  agent.server: Message: key=value
 * (or one JSON object in a sink added so), in the local time zone. A value with white space in it is
 * put between quotes. Any thread may write; a line reaches every sink whole. A sink bounds what it
 * keeps: a monitor that does not read loses lines and is told how many. Strings over
 * LOG_VALUE_SIZE_MAX are cut. Pure code does not log. Secrets never reach a log.
 *
 * <syslog.h> has macros of the same names as our levels: the one file that needs it includes it
 * after this header and uses no level of ours by name. */
#pragma once
#include "base/str.h"

#define LOG_VALUE_SIZE_MAX 8192u
#define LOG_PAIRS_MAX 32u /* further ones are dropped */

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

enum log_value_kind { LOG_VALUE_STR, LOG_VALUE_I64, LOG_VALUE_U64, LOG_VALUE_F64, LOG_VALUE_BOOL };

struct log_pair {
    const char *key;
    enum log_value_kind kind;
    struct str s;
    int64_t i;
    double f;
};

#define LOG_STR(k, v) ((struct log_pair){.key = (k), .kind = LOG_VALUE_STR, .s = (v)})
#define LOG_CSTR(k, v) LOG_STR(k, str_from_cstr(v))
#define LOG_INT(k, v) ((struct log_pair){.key = (k), .kind = LOG_VALUE_I64, .i = (int64_t)(v)})
#define LOG_UINT(k, v) ((struct log_pair){.key = (k), .kind = LOG_VALUE_U64, .i = (int64_t)(v)})
#define LOG_F64(k, v) ((struct log_pair){.key = (k), .kind = LOG_VALUE_F64, .f = (v)})
#define LOG_BOOL(k, v) ((struct log_pair){.key = (k), .kind = LOG_VALUE_BOOL, .i = (v)})

/* log_write(level, "module", "message", pairs...): evaluates the pairs only when the level is on. */
#define log_write(level, module, message, ...)                                        \
    do {                                                                              \
        if (log_is_on(level)) {                                                       \
            const struct log_pair log_pairs_[] = {__VA_ARGS__ __VA_OPT__(, )(struct log_pair){0}}; \
            log_line((level), (module), (message), log_pairs_,                        \
                     sizeof(log_pairs_) / sizeof(log_pairs_[0]) - 1);                 \
        }                                                                             \
    } while (0)

bool log_is_on(enum log_level level); /* by the lowest level any sink wants */
void log_line(enum log_level level, const char *module, const char *message,
              const struct log_pair *pairs, size_t count);

/* A sink gets whole lines, newline included, from any thread, one at a time. It must not block for
 * long, and what it logs itself is dropped. */
typedef void (*log_sink_fn)(void *data, enum log_level level, struct str line);
struct log_sink; /* opaque registration */
struct log_sink *log_sink_add(enum log_level level, bool json, log_sink_fn fn, void *data);
void log_sink_set_level(struct log_sink *sink, enum log_level level);
/* After it returns fn runs no more. */
void log_sink_remove(struct log_sink *sink);

/* TRACE, DEBUG, INFO, WARN, ERR or ERROR in either case. */
NODISCARD int log_level_parse(struct str s, enum log_level *ret_level);
const char *log_level_text(enum log_level level); /* "INFO" */
