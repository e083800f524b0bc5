/* err.h - error codes and the sentence that goes with them.
 *
 * A function that can fail returns int: 0 or positive is success, negative is -ERR_x. Codes below
 * 1000 are errno's. When a person will read it, the last parameter is a struct err * that holds the
 * code and a sentence naming the thing; each level may put its own words in front with err_wrap().
 * The tables that map codes to HTTP and RPC answers are at those edges, not here.
 *
 * The texts of errors that Consul's clients see are Consul's; tests pin them. A token, key or
 * gossip secret never goes into one. */
#pragma once
#include "base/str.h"

#include <stdarg.h>

struct arena;

#define ERR_CODES(X)                                                               \
    X(ERR_INVALID, 1000, "invalid") /* malformed; the caller's fault */            \
    X(ERR_RANGE, 1001, "out of range")                                             \
    X(ERR_TOO_LARGE, 1002, "too large")     /* over a named maximum */             \
    X(ERR_BAD_REQUEST, 1003, "bad request") /* HTTP 400 */                         \
    X(ERR_NOT_FOUND, 1004, "not found")     /* HTTP 404 */                         \
    X(ERR_CONFLICT, 1005, "conflict")       /* HTTP 409 */                         \
    X(ERR_PERMISSION_DENIED, 1006, "Permission denied")                            \
    X(ERR_ACL_NOT_FOUND, 1007, "ACL not found")                                    \
    X(ERR_ACL_DISABLED, 1008, "ACL support disabled")                              \
    X(ERR_NO_LEADER, 1009, "No cluster leader")                                    \
    X(ERR_NO_DC_PATH, 1010, "No path to datacenter")                               \
    X(ERR_LEADERSHIP_LOST, 1011, "leadership lost while committing log")           \
    X(ERR_TIMEOUT, 1012, "timeout")                                                \
    X(ERR_CANCELED, 1013, "canceled")                                              \
    X(ERR_CLOSED, 1014, "closed")                                                  \
    X(ERR_CORRUPT, 1015, "corrupt") /* stored bytes fail their checks */           \
    X(ERR_UNSUPPORTED, 1016, "not supported")                                      \
    X(ERR_INTERNAL, 1017, "internal error") /* HTTP 500 */                         \
    X(ERR_FAILED, 1018, "failed")           /* the sentence says it all */         \
    X(ERR_AGAIN, 1019, "try again")                                                \
    X(ERR_UNAVAILABLE, 1020, "unavailable")   /* HTTP 503 */                       \
    X(ERR_UNAUTHORIZED, 1021, "unauthorized") /* HTTP 401 */                       \
    X(ERR_METHOD_NOT_ALLOWED, 1022, "method not allowed")                          \
    X(ERR_CONNECTION, 1023, "connection failed")                                   \
    X(ERR_RATE_LIMIT, 1024, "rate limit reached") /* HTTP 429 */                   \
    X(ERR_UNREACHABLE, 1025, "unreachable")       /* and nothing was sent there */ \
    X(ERR_NO_SERVERS, 1026, "No known Consul servers")                             \
    X(ERR_DC_NOT_AVAILABLE, 1027, "Remote DC has no server currently reachable")

enum err_code {
#define X(name, value, text) name = value,
    ERR_CODES(X)
#undef X
};

#define ERR_TEXT_SIZE_MAX 1024u

struct err {
    int code; /* 0 when unset, else positive: ERR_x or an errno */
    char text[ERR_TEXT_SIZE_MAX];
};

/* Set code and sentence; returns -code, so that a function can `return err_set(err, …)`. err may
 * be NULL. A sentence over the maximum is cut. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF(3, 4);
int err_vset(struct err *err, int code, const char *format, va_list args) PRINTF(3, 0);
/* "words: " in front of the sentence; the code stays. Returns -code (-ERR_FAILED without err). */
int err_wrap(struct err *err, const char *format, ...) PRINTF(2, 3);
/* From errno, an ERR_x, or either negated as returned: "what: <its text>". */
int err_from_errno(struct err *err, int errnum, const char *what);
/* The sentence, or the code's name where none was set. */
const char *err_text(const struct err *err);
const char *err_code_text(int code);
/* Several sentences as hashicorp/go-multierror joins them:
 * "2 errors occurred:\n\t* a\n\t* b\n\n". */
struct str errors_text(struct arena *a, const struct str *errors, size_t count);
static inline void err_clear(struct err *err)
{
    err->code = 0;
    err->text[0] = '\0';
}
