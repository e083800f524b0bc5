#include "base/clock.h"

#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define SEC_PER_DAY 86400
#define DURATION_TEXT_SIZE_MAX 32u /* "-2562047h47m16.854775808s" */
#define TIME_TEXT_SIZE_MAX 40u

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    ASSERT(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * (int64_t)NS_PER_SEC + t.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
    return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_ns() / NS_PER_MS;
}

int64_t clock_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint64_t clock_wall_ms(void)
{
    return (uint64_t)clock_wall_ns() / NS_PER_MS;
}

/* Days since 1970 to and from a Gregorian date, by counting years from March, so that the leap day
 * comes last (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *ret_month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

struct civil time_civil(int64_t wall_ns)
{
    if (wall_ns == TIME_ZERO) {
        return (struct civil){.year = 1, .month = 1, .day = 1};
    }
    int64_t sec = wall_ns / (int64_t)NS_PER_SEC, ns = wall_ns % (int64_t)NS_PER_SEC;
    if (ns < 0) {
        ns += (int64_t)NS_PER_SEC;
        sec--;
    }
    int64_t days = sec / SEC_PER_DAY, rest = sec % SEC_PER_DAY;
    if (rest < 0) {
        rest += SEC_PER_DAY;
        days--;
    }
    struct civil c = {.hour = (int)(rest / 3600),
                      .minute = (int)(rest / 60 % 60),
                      .second = (int)(rest % 60),
                      .ns = (int)ns};
    date_from_days(days, &c.year, &c.month, &c.day);
    return c;
}

/* `value` with at least `width` digits. */
static char *put_digits(char *to, int value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        to[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + width;
}

static size_t time_text(char text[TIME_TEXT_SIZE_MAX], int64_t wall_ns)
{
    struct civil c = time_civil(wall_ns);
    char *p = put_digits(text, c.year, 4);
    *p++ = '-';
    p = put_digits(p, c.month, 2);
    *p++ = '-';
    p = put_digits(p, c.day, 2);
    *p++ = 'T';
    p = put_digits(p, c.hour, 2);
    *p++ = ':';
    p = put_digits(p, c.minute, 2);
    *p++ = ':';
    p = put_digits(p, c.second, 2);
    if (c.ns != 0) {
        *p++ = '.';
        p = put_digits(p, c.ns, 9);
        while (p[-1] == '0') {
            p--;
        }
    }
    *p++ = 'Z';
    return (size_t)(p - text);
}

void time_put_rfc3339(struct buf *to, int64_t wall_ns)
{
    char text[TIME_TEXT_SIZE_MAX];
    buf_put(to, text, time_text(text, wall_ns));
}

struct str time_format_rfc3339(struct arena *a, int64_t wall_ns)
{
    char text[TIME_TEXT_SIZE_MAX];
    return arena_str(a, str_make(text, time_text(text, wall_ns)));
}

/* Exactly `width` digits of a cursor, at most `max`. */
static int take_digits(struct cur *c, size_t width, int max)
{
    struct str s = cur_take(c, width);
    int value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            c->failed = true;
            return 0;
        }
        value = value * 10 + (s.p[i] - '0');
    }
    c->failed |= value > max;
    return value;
}

static void take_char(struct cur *c, char want)
{
    c->failed |= cur_u8(c) != (uint8_t)want;
}

static bool next_is(const struct cur *c, char want)
{
    return cur_left(c) > 0 && *c->p == (uint8_t)want;
}

/* ".123" to nanoseconds; digits after the ninth are dropped. */
static int64_t take_fraction(struct cur *c)
{
    int64_t ns = 0, unit = (int64_t)NS_PER_SEC / 10;
    size_t digits = 0;
    take_char(c, '.');
    while (cur_left(c) > 0 && *c->p >= '0' && *c->p <= '9') {
        ns += (cur_u8(c) - '0') * unit;
        unit /= 10;
        digits++;
    }
    c->failed |= digits == 0;
    return ns;
}

/* "Z" or "+hh:mm", in seconds east of UTC. */
static int64_t take_offset(struct cur *c)
{
    uint8_t sign = cur_u8(c);
    if (sign == 'Z') {
        return 0;
    }
    c->failed |= sign != '+' && sign != '-';
    int64_t hours = take_digits(c, 2, 23);
    take_char(c, ':');
    int64_t seconds = (hours * 60 + take_digits(c, 2, 59)) * 60;
    return sign == '-' ? -seconds : seconds;
}

static int month_days(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

int time_parse_rfc3339(struct str s, int64_t *ret_wall_ns)
{
    struct cur c = cur_make(s);
    int year = take_digits(&c, 4, 9999);
    take_char(&c, '-');
    int month = take_digits(&c, 2, 12);
    take_char(&c, '-');
    int day = take_digits(&c, 2, 31);
    take_char(&c, 'T');
    int hour = take_digits(&c, 2, 23);
    take_char(&c, ':');
    int minute = take_digits(&c, 2, 59);
    take_char(&c, ':');
    int second = take_digits(&c, 2, 59);
    int64_t ns = next_is(&c, '.') ? take_fraction(&c) : 0;
    int64_t offset = take_offset(&c);
    if (c.failed || cur_left(&c) > 0 || month < 1 || day < 1 || day > month_days(year, month)) {
        return -ERR_INVALID;
    }
    int64_t sec = days_from_date(year, month, day) * SEC_PER_DAY + hour * 3600 + minute * 60 +
                  second - offset;
    if (sec == days_from_date(1, 1, 1) * SEC_PER_DAY && ns == 0) {
        *ret_wall_ns = TIME_ZERO;
        return 0;
    }
    __int128 wall_ns = (__int128)sec * (int64_t)NS_PER_SEC + ns;
    if (wall_ns <= TIME_ZERO || wall_ns > INT64_MAX) {
        return -ERR_RANGE;
    }
    *ret_wall_ns = (int64_t)wall_ns;
    return 0;
}

struct unit {
    struct str name;
    int64_t ns;
};

/* Both micro signs, U+00B5 and the Greek letter U+03BC, as Go takes them. */
static const struct unit units[] = {
    {STR_INIT("ns"), 1},
    {STR_INIT("us"), 1000},
    {STR_INIT("\302\265s"), 1000},
    {STR_INIT("\316\274s"), 1000},
    {STR_INIT("ms"), 1000000},
    {STR_INIT("s"), 1000000000},
    {STR_INIT("m"), 60 * 1000000000ll},
    {STR_INIT("h"), 3600 * 1000000000ll},
};

static const struct unit *unit_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (str_eq(units[i].name, name)) {
            return &units[i];
        }
    }
    return NULL;
}

static bool take_digit(struct str *s, int *ret_digit)
{
    if (s->n == 0 || s->p[0] < '0' || s->p[0] > '9') {
        return false;
    }
    *ret_digit = s->p[0] - '0';
    *s = str_from(*s, 1);
    return true;
}

/* One "12.5h" of a duration, taken off the front of *s. */
static int take_duration_part(struct str *s, int64_t *ret_ns)
{
    size_t digits = 0;
    int digit;
    int64_t value = 0, fraction = 0;
    double scale = 1;
    bool overflow = false, fraction_full = false;
    for (; take_digit(s, &digit); digits++) {
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_add_overflow(value, digit, &value);
    }
    if (s->n > 0 && s->p[0] == '.') {
        *s = str_from(*s, 1);
        /* Digits that an int64 has no room for do not count any more. */
        for (; take_digit(s, &digit); digits++) {
            fraction_full = fraction_full || fraction > (INT64_MAX - digit) / 10;
            if (!fraction_full) {
                fraction = fraction * 10 + digit;
                scale *= 10;
            }
        }
    }
    size_t name_size = 0;
    while (name_size < s->n && s->p[name_size] != '.' &&
           (s->p[name_size] < '0' || s->p[name_size] > '9')) {
        name_size++;
    }
    const struct unit *unit = unit_find(str_first(*s, name_size));
    if (digits == 0 || unit == NULL) {
        return -ERR_INVALID;
    }
    *s = str_from(*s, name_size);
    overflow |= __builtin_mul_overflow(value, unit->ns, &value);
    if (fraction > 0) {
        /* In floating point, in this order, for the same last digit as Go's. */
        double part = (double)fraction * ((double)unit->ns / scale);
        overflow |= __builtin_add_overflow(value, (int64_t)part, &value);
    }
    *ret_ns = value;
    return overflow ? -ERR_RANGE : 0;
}

int duration_parse(struct str s, int64_t *ret_ns)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        s = str_from(s, 1);
    }
    if (str_eq(s, STR("0"))) {
        *ret_ns = 0;
        return 0;
    }
    if (s.n == 0) {
        return -ERR_INVALID;
    }
    int64_t total = 0;
    bool overflow = false;
    while (s.n > 0) {
        int64_t part = 0;
        int r = take_duration_part(&s, &part);
        if (r == -ERR_INVALID) {
            return r;
        }
        overflow |= r < 0 || __builtin_add_overflow(total, part, &total);
    }
    if (overflow) {
        return -ERR_RANGE;
    }
    *ret_ns = negative ? -total : total;
    return 0;
}

/* Write `value` / 10^`places` leftwards from `end` (no trailing zeros, no dot without a fraction);
 * returns the new front. The integral part is returned in *value and not written. */
static char *put_fraction_left(char *end, uint64_t *value, int places)
{
    bool any = false;
    for (int i = 0; i < places; i++) {
        char digit = (char)('0' + *value % 10);
        *value /= 10;
        any |= digit != '0';
        if (any) {
            *--end = digit;
        }
    }
    if (any) {
        *--end = '.';
    }
    return end;
}

static char *put_integer_left(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return end;
}

static char *put_left(char *end, struct str s)
{
    return memcpy(end - s.n, s.p, s.n);
}

static struct str duration_text(char text[DURATION_TEXT_SIZE_MAX], int64_t ns)
{
    char *end = text + DURATION_TEXT_SIZE_MAX, *p = end;
    uint64_t value = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (value == 0) {
        p = put_left(p, STR("0s"));
    } else if (value < NS_PER_SEC) {
        int places = value < 1000 ? 0 : value < NS_PER_MS ? 3 : 6;
        p = put_left(p, places == 0 ? STR("ns") : places == 3 ? STR("\302\265s") : STR("ms"));
        p = put_fraction_left(p, &value, places);
        p = put_integer_left(p, value);
    } else {
        p = put_left(p, STR("s"));
        p = put_fraction_left(p, &value, 9);
        p = put_integer_left(p, value % 60);
        value /= 60;
        if (value > 0) {
            p = put_left(p, STR("m"));
            p = put_integer_left(p, value % 60);
            value /= 60;
        }
        if (value > 0) {
            p = put_left(p, STR("h"));
            p = put_integer_left(p, value);
        }
    }
    if (ns < 0) {
        *--p = '-';
    }
    return str_make(p, (size_t)(end - p));
}

void duration_put(struct buf *to, int64_t ns)
{
    char text[DURATION_TEXT_SIZE_MAX];
    buf_str(to, duration_text(text, ns));
}

struct str duration_format(struct arena *a, int64_t ns)
{
    char text[DURATION_TEXT_SIZE_MAX];
    return arena_str(a, duration_text(text, ns));
}

/* In quotes; what is not printable ASCII by its bytes. */
static void put_quoted(struct buf *to, struct str s)
{
    buf_lit(to, "\"");
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c >= 0x80 || c < ' ') {
            buf_printf(to, "\\x%02x", c);
        } else {
            buf_printf(to, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
        }
    }
    buf_lit(to, "\"");
}

void duration_put_fault(struct buf *to, struct str s)
{
    struct str rest = s;
    if (rest.n > 0 && (rest.p[0] == '-' || rest.p[0] == '+')) {
        rest = str_from(rest, 1);
    }
    const char *what = "invalid";
    while (rest.n > 0) {
        size_t digits = 0, n = 0;
        while (n < rest.n && ((rest.p[n] >= '0' && rest.p[n] <= '9') || rest.p[n] == '.')) {
            digits += rest.p[n++] != '.';
        }
        if (digits == 0) {
            break;
        }
        rest = str_from(rest, n);
        for (n = 0; n < rest.n && !(rest.p[n] >= '0' && rest.p[n] <= '9') && rest.p[n] != '.';) {
            n++;
        }
        if (n == 0) {
            what = "missing unit in";
            break;
        }
        if (unit_find(str_first(rest, n)) == NULL) {
            buf_lit(to, "time: unknown unit ");
            put_quoted(to, str_first(rest, n));
            buf_lit(to, " in duration ");
            put_quoted(to, s);
            return;
        }
        rest = str_from(rest, n);
    }
    buf_printf(to, "time: %s duration ", what);
    put_quoted(to, s);
}

struct str duration_fault(struct arena *a, struct str s)
{
    struct buf text = {0};
    duration_put_fault(&text, s);
    struct str fault = arena_str(a, buf_view(&text));
    buf_deinit(&text);
    return fault;
}
