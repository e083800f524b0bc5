#include "base/gofmt.h"

#include "base/arena.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGITS_MAX 17 /* always enough for a double */
#define INTEGER_MAX 0x1p53
#define INTEGER_MAX_32 0x1p24

/* 0.d1d2d3… times 10 to the power of `point`. */
struct decimal {
    char digits[DIGITS_MAX + 8];
    int count;
    int point;
};

/* `v` (positive, finite) rounded to `count` digits. */
static void decimal_round(double v, int count, struct decimal *ret)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%.*e", count - 1, v);
    ASSERT(n > 0 && (size_t)n < sizeof(text));
    const char *e = strchr(text, 'e');
    ret->count = 0;
    for (const char *p = text; p < e; p++) {
        if (*p != '.') {
            ret->digits[ret->count++] = *p;
        }
    }
    ret->point = (int)strtol(e + 1, NULL, 10) + 1;
}

static double decimal_value(const struct decimal *d, bool narrow)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "0.%.*se%d", d->count, d->digits, d->point);
    return narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
}

/* The next larger decimal of as many digits, where that one reads back as v. */
static bool decimal_up(double v, bool narrow, struct decimal *d)
{
    struct decimal up = *d;
    int i = up.count - 1;
    while (i >= 0 && up.digits[i] == '9') {
        up.digits[i--] = '0';
    }
    if (i < 0) {
        return false;
    }
    up.digits[i]++;
    if (decimal_value(&up, narrow) != v) {
        return false;
    }
    *d = up;
    return true;
}

/* The fewest digits that read back as v (as a float32, if `narrow`), and of those the nearest to v.
 * Up to 15 digits survive the way through a normal double unharmed, so if 15 suffice, the shortest
 * is what is left without trailing zeros. (Exact powers of two have a rounding interval that is
 * wider above; a decimal with one digit less may lie there although the nearest one of that length
 * does not read back. Go finds it, hence decimal_up.) */
static void decimal_shortest(double v, bool narrow, struct decimal *ret)
{
    int exponent;
    bool power_of_two = frexp(v, &exponent) == 0.5;
    for (int count = narrow || v < DBL_MIN ? 1 : DBL_DIG; count <= DIGITS_MAX; count++) {
        decimal_round(v, count, ret);
        if (decimal_value(ret, narrow) == v || (power_of_two && decimal_up(v, narrow, ret))) {
            break;
        }
    }
    while (ret->count > 1 && ret->digits[ret->count - 1] == '0') {
        ret->count--;
    }
}

/* 123.45 or 0.00012345 */
static void put_plain(struct buf *to, const struct decimal *d)
{
    if (d->point <= 0) {
        buf_lit(to, "0.");
        buf_fill(to, '0', (size_t)-d->point);
        buf_put(to, d->digits, (size_t)d->count);
    } else if (d->point >= d->count) {
        buf_put(to, d->digits, (size_t)d->count);
        buf_fill(to, '0', (size_t)(d->point - d->count));
    } else {
        buf_put(to, d->digits, (size_t)d->point);
        buf_byte(to, '.');
        buf_put(to, d->digits + d->point, (size_t)(d->count - d->point));
    }
}

/* 1.2345e+21; the exponent has at least `exponent_width` digits. */
static void put_exponent(struct buf *to, const struct decimal *d, int exponent_width)
{
    int exponent = d->point - 1;
    buf_byte(to, (uint8_t)d->digits[0]);
    if (d->count > 1) {
        buf_byte(to, '.');
        buf_put(to, d->digits + 1, (size_t)(d->count - 1));
    }
    buf_printf(to, "e%c%0*d", exponent < 0 ? '-' : '+', exponent_width, abs(exponent));
}

/* The sign, and all of it when v is an integer below `limit`: that needs no digits worked out. */
static bool put_easy(struct buf *to, double *v, double limit)
{
    if (signbit(*v)) {
        buf_byte(to, '-');
        *v = -*v;
    }
    if (*v < limit && *v == floor(*v)) {
        buf_u64(to, (uint64_t)*v);
        return true;
    }
    return false;
}

static bool put_not_finite(struct buf *to, double v)
{
    if (isnan(v)) {
        buf_lit(to, "NaN");
        return true;
    }
    if (isinf(v)) {
        buf_str(to, v < 0 ? STR("-Inf") : STR("+Inf"));
        return true;
    }
    return false;
}

void go_json_float(struct buf *to, double v)
{
    struct decimal d;
    if (!isfinite(v)) {
        buf_lit(to, "null");
    } else if (!put_easy(to, &v, INTEGER_MAX)) {
        decimal_shortest(v, false, &d);
        if (v < 1e-6 || v >= 1e21) {
            put_exponent(to, &d, 1); /* 1e-7, where Go's other printing gives 1e-07 */
        } else {
            put_plain(to, &d);
        }
    }
}

void go_json_float32(struct buf *to, float v)
{
    double wide = (double)v;
    if (!isfinite(v)) {
        buf_lit(to, "null");
    } else if (!put_easy(to, &wide, INTEGER_MAX_32)) {
        struct decimal d;
        decimal_shortest(wide, true, &d);
        if ((float)wide < 1e-6f || (float)wide >= 1e21f) {
            put_exponent(to, &d, 1);
        } else {
            put_plain(to, &d);
        }
    }
}

void go_float_g(struct buf *to, double v)
{
    struct decimal d;
    if (!put_not_finite(to, v) && !put_easy(to, &v, 1e6)) {
        decimal_shortest(v, false, &d);
        if (d.point - 1 < -4 || d.point - 1 >= 6) {
            put_exponent(to, &d, 2);
        } else {
            put_plain(to, &d);
        }
    }
}

void go_float_f(struct buf *to, double v)
{
    struct decimal d;
    if (!put_not_finite(to, v) && !put_easy(to, &v, INTEGER_MAX)) {
        decimal_shortest(v, false, &d);
        put_plain(to, &d);
    }
}

bool go_is_printable(uint32_t rune)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x0, 0x1f},         {0x7f, 0xa0},       {0xad, 0xad},       {0x61c, 0x61c},
        {0x6dd, 0x6dd},      {0x70f, 0x70f},     {0x1680, 0x1680},   {0x180e, 0x180e},
        {0x2000, 0x200f},    {0x2028, 0x202f},   {0x205f, 0x206f},   {0x3000, 0x3000},
        {0xd800, 0xf8ff},    {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},   {0xfff0, 0xfffb},
        {0xfffe, 0xffff},    {0x1d173, 0x1d17a}, {0x2fffe, 0x2ffff}, {0x323b0, 0xe00ff},
        {0xe01f0, 0x10ffff},
    };
    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
        if (rune >= hidden[i].first && rune <= hidden[i].last) {
            return false;
        }
    }
    return true;
}

static char short_escape(uint32_t rune)
{
    switch (rune) {
    case '\a':
        return 'a';
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\v':
        return 'v';
    case '\\':
    case '"':
        return (char)rune;
    default:
        return '\0';
    }
}

void go_quote(struct buf *to, struct str s)
{
    buf_byte(to, '"');
    while (s.n > 0) {
        uint32_t rune = 0;
        size_t size = str_utf8_next(s, &rune);
        if (size == 0) {
            buf_printf(to, "\\x%02x", (unsigned)(uint8_t)s.p[0]);
            size = 1;
        } else if (short_escape(rune) != '\0') {
            buf_byte(to, '\\');
            buf_byte(to, (uint8_t)short_escape(rune));
        } else if (go_is_printable(rune)) {
            buf_put(to, s.p, size);
        } else if (rune < 0x80) {
            buf_printf(to, "\\x%02x", (unsigned)rune);
        } else if (rune < 0x10000) {
            buf_printf(to, "\\u%04x", (unsigned)rune);
        } else {
            buf_printf(to, "\\U%08x", (unsigned)rune);
        }
        s = str_from(s, size);
    }
    buf_byte(to, '"');
}

struct str go_quoted(struct arena *a, struct str s)
{
    struct buf b = {0};
    go_quote(&b, s);
    struct str text = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return text;
}

static void put_json_char(struct buf *to, struct str s, size_t size, uint32_t rune)
{
    static const char digits[] = "0123456789abcdef";
    if (size == 0) {
        buf_lit(to, "\\ufffd");
    } else if (rune == '"' || rune == '\\') {
        buf_byte(to, '\\');
        buf_byte(to, (uint8_t)rune);
    } else if (rune == '\n' || rune == '\r' || rune == '\t') {
        buf_byte(to, '\\');
        buf_byte(to, (uint8_t)short_escape(rune));
    } else if (rune < 0x20 || rune == '<' || rune == '>' || rune == '&') {
        buf_lit(to, "\\u00");
        buf_byte(to, (uint8_t)digits[rune >> 4]);
        buf_byte(to, (uint8_t)digits[rune & 15]);
    } else if (rune == 0x2028 || rune == 0x2029) {
        buf_lit(to, "\\u202");
        buf_byte(to, (uint8_t)digits[rune & 15]);
    } else {
        buf_put(to, s.p, size);
    }
}

void go_json_str(struct buf *to, struct str s)
{
    buf_byte(to, '"');
    while (s.n > 0) {
        uint32_t rune = 0;
        size_t size = str_utf8_next(s, &rune);
        put_json_char(to, s, size, rune);
        s = str_from(s, size > 0 ? size : 1);
    }
    buf_byte(to, '"');
}
