#include "base/err.h"

#include "base/arena.h"
#include "base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
    char text[ERRNO_TEXT_SIZE];
    int code = abs(errnum);
    return err_set(err, code, "%s: %s", what,
                   code < 1000 ? errno_text(code, text) : err_code_text(code));
}

const char *errno_text(int errnum, char to[ERRNO_TEXT_SIZE])
{
    (void)snprintf(to, ERRNO_TEXT_SIZE, "%s", err_code_text(errnum));
    if (to[0] != '\0' && islower((unsigned char)to[1])) {
        to[0] = (char)tolower((unsigned char)to[0]);
    }
    return to;
}

const char *err_text(const struct err *err)
{
    return err->text[0] != '\0' ? err->text : err_code_text(err->code);
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
    default: {
        /* Not strerror(): its buffer is shared between threads for unknown numbers. */
        const char *text = strerrordesc_np(abs(code));
        return text != NULL ? text : "unknown error";
    }
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
