/* One value into one number, string, span or moment. */
#include "base/clock.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "schema/decode.h"

int decode_bool(struct decoder *d, const struct value *v, bool weak, bool *ret)
{
    if (v->kind == VALUE_BOOL) {
        *ret = v->b;
        return 0;
    }
    if (weak) {
        switch (v->kind) {
        case VALUE_INT:
            *ret = v->i != 0;
            return 0;
        case VALUE_UINT:
            *ret = v->u != 0;
            return 0;
        case VALUE_FLOAT:
            *ret = v->f < 0 || v->f > 0;
            return 0;
        case VALUE_STR:
            *ret = false;
            return v->s.n == 0 || str_parse_bool(v->s, ret) == 0
                       ? 0
                       : decode_fail_parse(d, v->s, "bool");
        default:
            break;
        }
    }
    return decode_fail_type(d, v, "bool");
}

/* Go's strconv.ParseInt(text, 0, 64): 0x, 0o, 0b and 0 prefixes, underscores left out of it. */
static int i64_from_text(struct str s, int64_t *ret)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    struct str digits = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+') ? str_from(s, 1) : s;
    unsigned base = 10;
    if (digits.n > 1 && digits.p[0] == '0') {
        char c = (char)(digits.p[1] | 0x20);
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        digits = str_from(digits, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
    }
    if (base == 10) {
        return str_parse_i64(s, ret);
    }
    uint64_t u = 0;
    for (size_t i = 0; i < digits.n; i++) {
        char c = (char)(digits.p[i] | 0x20);
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 99;
        if (digit >= base) {
            return -ERR_INVALID;
        }
        if (u > (UINT64_MAX >> 5)) {
            return -ERR_RANGE;
        }
        u = u * base + digit;
    }
    if (digits.n == 0 || u > INT64_MAX) {
        return digits.n == 0 ? -ERR_INVALID : -ERR_RANGE;
    }
    *ret = negative ? -(int64_t)u : (int64_t)u;
    return 0;
}

int decode_int(struct decoder *d, const struct value *v, bool weak, int64_t *ret)
{
    if (v->kind == VALUE_INT) {
        *ret = v->i;
        return 0;
    }
    if (weak) {
        switch (v->kind) {
        case VALUE_BOOL:
            *ret = v->b;
            return 0;
        case VALUE_FLOAT:
            if (v->f > -9.2e18 && v->f < 9.2e18) {
                *ret = (int64_t)v->f;
                return 0;
            }
            break;
        case VALUE_STR:
            if (v->s.n == 0) {
                *ret = 0;
                return 0;
            }
            return i64_from_text(v->s, ret) == 0 ? 0 : decode_fail_parse(d, v->s, "int");
        default:
            break;
        }
    }
    return decode_fail_type(d, v, "int");
}

int decode_uint(struct decoder *d, const struct value *v, bool weak, uint64_t *ret)
{
    if (v->kind == VALUE_UINT) {
        *ret = v->u;
        return 0;
    }
    int64_t i = 0;
    if (v->kind == VALUE_STR && weak && v->s.n > 0) {
        return str_parse_u64(v->s, ret) == 0 ? 0 : decode_fail_parse(d, v->s, "uint");
    }
    if (v->kind != VALUE_INT && !weak) {
        return decode_fail_type(d, v, "uint64");
    }
    int r = decode_int(d, v, weak, &i);
    if (r < 0) {
        return r;
    }
    if (i < 0) {
        return decode_fail_type(d, v, "uint64");
    }
    *ret = (uint64_t)i;
    return 0;
}

int decode_float(struct decoder *d, const struct value *v, bool weak, double *ret)
{
    switch (v->kind) {
    case VALUE_INT:
        *ret = (double)v->i;
        return 0;
    case VALUE_UINT:
        *ret = (double)v->u;
        return 0;
    case VALUE_FLOAT:
        *ret = v->f;
        return 0;
    case VALUE_BOOL:
        if (weak) {
            *ret = v->b;
            return 0;
        }
        break;
    case VALUE_STR:
        if (weak) {
            return str_parse_f64(v->s, ret) == 0 ? 0 : decode_fail_parse(d, v->s, "float");
        }
        break;
    default:
        break;
    }
    return decode_fail_type(d, v, "float64");
}

int decode_str(struct decoder *d, const struct value *v, bool weak, struct str *ret)
{
    if (v->kind == VALUE_STR || v->kind == VALUE_BYTES) {
        *ret = v->s;
        return 0;
    }
    if (!weak) {
        return decode_fail_type(d, v, "string");
    }
    struct buf b = {0};
    switch (v->kind) {
    case VALUE_BOOL:
        *ret = v->b ? STR("1") : STR("0");
        return 0;
    case VALUE_INT:
        *ret = arena_printf(d->a, "%lld", (long long)v->i);
        return 0;
    case VALUE_UINT:
        *ret = arena_printf(d->a, "%llu", (unsigned long long)v->u);
        return 0;
    case VALUE_FLOAT:
        go_float_f(&b, v->f);
        *ret = arena_str(d->a, buf_view(&b));
        buf_deinit(&b);
        return 0;
    default:
        return decode_fail_type(d, v, "string");
    }
}

int decode_bytes(struct decoder *d, const struct value *v, bool weak, struct str *ret)
{
    if (v->kind == VALUE_BYTES || (weak && v->kind == VALUE_STR)) {
        *ret = v->s;
        return 0;
    }
    if (v->kind != VALUE_STR) {
        return decode_fail_type(d, v, "[]uint8");
    }
    struct str bytes;
    if (base64_decode(d->a, v->s, &bytes) < 0) {
        return err_set(d->err, ERR_INVALID, "illegal base64 data at input byte %zu",
                       base64_fault(v->s));
    }
    *ret = bytes.n > 0 ? bytes : str_make(SCHEMA_EMPTY, 0);
    return 0;
}

/* A float64 made an int64 as the reference's machine does it. */
static int64_t i64_from_float(double f)
{
    return f >= -0x1p63 && f < 0x1p63 ? (int64_t)f : INT64_MIN;
}

int decode_duration(struct decoder *d, const struct value *v, bool weak, int64_t *ret)
{
    switch (v->kind) {
    case VALUE_STR:
        break;
    case VALUE_INT:
        *ret = v->i;
        return 0;
    case VALUE_UINT:
        *ret = INT64_MIN;
        return 0;
    case VALUE_FLOAT:
        *ret = i64_from_float(v->f);
        return 0;
    default:
        /* JSON's are of any type in Go, and only text and numbers are looked at. */
        if (d->unused == NULL) {
            *ret = 0;
            return 0;
        }
        return weak && v->kind == VALUE_BOOL ? decode_int(d, v, weak, ret)
                                             : decode_fail_type(d, v, "time.Duration");
    }
    if (duration_parse(v->s, ret) < 0) {
        struct buf b = {0};
        duration_put_fault(&b, str_first(v->s, DECODE_PATH_SIZE_MAX));
        int r = d->unused == NULL
                    ? err_set(d->err, ERR_INVALID, "%.*s", STRF(buf_view(&b)))
                    : decode_fail_weakly(d, "error decoding '%.*s': %.*s",
                                         STRF(decode_path_text(d)), STRF(buf_view(&b)));
        buf_deinit(&b);
        return r;
    }
    return 0;
}

/* Where Go's parser stops in a time in its quotes; nothing where the numbers are out of range. */
static struct str time_fault(struct arena *a, struct str text)
{
    static const struct str layout[] = {STR_INIT("\""), STR_INIT("2006"), STR_INIT("-"),
                                        STR_INIT("01"), STR_INIT("-"),    STR_INIT("02"),
                                        STR_INIT("T"),  STR_INIT("15"),   STR_INIT(":"),
                                        STR_INIT("04"), STR_INIT(":"),    STR_INIT("05")};
    for (size_t i = 0; i < ARRAY_SIZE(layout); i++) {
        bool is_there = i % 2 == 0 ? str_has_prefix(text, layout[i]) : text.n >= layout[i].n;
        for (size_t j = 0; i % 2 == 1 && is_there && j < layout[i].n; j++) {
            is_there = text.p[j] >= '0' && text.p[j] <= '9';
        }
        if (!is_there) {
            return arena_printf(a, ": cannot parse %.*s as %.*s", STRF(go_quoted(a, text)),
                                STRF(go_quoted(a, layout[i])));
        }
        text = str_from(text, layout[i].n);
    }
    return STR("");
}

int decode_time(struct decoder *d, const struct value *v, int64_t *ret)
{
    if (v->kind != VALUE_STR) {
        return err_set(d->err, ERR_INVALID, "Time.UnmarshalJSON: input is not a JSON string");
    }
    if (time_parse_rfc3339(v->s, ret) < 0) {
        struct str text =
            arena_printf(d->a, "\"%.*s\"", STRF(str_first(v->s, DECODE_PATH_SIZE_MAX)));
        return err_set(d->err, ERR_INVALID,
                       "parsing time %.*s as \"\\\"2006-01-02T15:04:05Z07:00\\\"\"%.*s",
                       STRF(go_quoted(d->a, text)), STRF(time_fault(d->a, text)));
    }
    return 0;
}
