#include "base/err.h"

#include "base/arena.h"
#include "base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define ERRNO_MAX 133 /* Linux's */
#define ERRNO_TEXT_SIZE 64

int err_vset(struct err *err, int code, const char *format, va_list args)
{
    code = abs(code);
    if (err != NULL) {
        err->code = code;
        (void)vsnprintf(err->text, sizeof(err->text), format, args);
    }
    return -code;
}

int err_set(struct err *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = err_vset(err, code, format, args);
    va_end(args);
    return r;
}

int err_wrap(struct err *err, const char *format, ...)
{
    if (err == NULL) {
        return -ERR_FAILED;
    }
    if (err->code == 0) {
        err->code = ERR_FAILED;
        err->text[0] = '\0';
    }
    char text[ERR_TEXT_SIZE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(text)) {
        (void)snprintf(text + n, sizeof(text) - (size_t)n, ": %s", err_text(err));
    }
    memcpy(err->text, text, sizeof(text));
    return -err->code;
}

int err_from_errno(struct err *err, int errnum, const char *what)
{
    int code = abs(errnum);
    return err_set(err, code, "%s: %s", what, err_code_text(code));
}

const char *err_text(const struct err *err)
{
    return err->text[0] != '\0' ? err->text : err_code_text(err->code);
}

static char errno_texts[ERRNO_MAX + 1][ERRNO_TEXT_SIZE];

static void errno_texts_make(void)
{
    for (int i = 0; i <= ERRNO_MAX; i++) {
        const char *text = strerrordesc_np(i);
        char *to = errno_texts[i];
        (void)snprintf(to, ERRNO_TEXT_SIZE, "%s", text != NULL ? text : "unknown error");
        if (islower((unsigned char)to[1])) { /* not "RPC version wrong" */
            to[0] = (char)tolower((unsigned char)to[0]);
        }
    }
}

/* In lower case, as Go has them. */
static const char *errno_text(int errnum)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, errno_texts_make);
    return errnum <= ERRNO_MAX ? errno_texts[errnum] : "unknown error";
}

const char *err_code_text(int code)
{
    switch (abs(code)) {
    case 0:
        return "success";
#define X(name, value, text) \
    case name:               \
        return text;
        ERR_CODES(X)
#undef X
    default:
        return errno_text(abs(code));
    }
}

struct str errors_text(struct arena *a, const struct str *errors, size_t count)
{
    struct buf text;
    buf_init(&text, ERR_TEXT_SIZE_MAX);
    buf_printf(&text, "%zu error%s occurred:\n", count, count == 1 ? "" : "s");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "\t* %.*s\n", STRF(errors[i]));
    }
    buf_lit(&text, "\n");
    struct str ret = arena_str(a, buf_view(&text));
    buf_deinit(&text);
    return ret;
}
