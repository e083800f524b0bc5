#include "cli/api_time.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"

#include <time.h>

#define ZERO_S (-62135596800) /* Go's zero time, in seconds since 1970 */

/* Seconds east of Greenwich that the text ends with. */
static int64_t offset_parse(struct str rfc3339)
{
    struct str s = rfc3339.n > 6 ? str_from(rfc3339, rfc3339.n - 6) : STR_NULL;
    uint64_t hours, minutes;
    if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') ||
        str_parse_u64(str_first(str_from(s, 1), 2), &hours) < 0 ||
        str_parse_u64(str_from(s, 4), &minutes) < 0) {
        return 0;
    }
    int64_t offset = (int64_t)(hours * 3600 + minutes * 60);
    return s.p[0] == '-' ? -offset : offset;
}

/* What the zone is called, or its offset where no name is known. */
static struct str zone_name(struct arena *a, int64_t wall_ns, int64_t offset, bool is_utc)
{
    time_t at = (time_t)(wall_ns / (int64_t)NS_PER_SEC);
    struct tm tm;
    if (is_utc) {
        return STR("UTC");
    }
    if (localtime_r(&at, &tm) != NULL && tm.tm_gmtoff == offset) {
        return arena_str(a, str_from_cstr(tm.tm_zone));
    }
    int64_t minutes = (offset < 0 ? -offset : offset) / 60;
    return arena_printf(a, "%c%02d%02d", offset < 0 ? '-' : '+', (int)(minutes / 60),
                        (int)(minutes % 60));
}

/* ".5", or "" for whole seconds. */
static struct str fraction_text(struct arena *a, int ns)
{
    struct str text = arena_printf(a, ".%09d", ns);
    while (text.p[text.n - 1] == '0') {
        text.n--;
    }
    return text.n == 1 ? STR("") : text;
}

struct str api_time_text(struct arena *a, struct str rfc3339)
{
    int64_t wall_ns;
    if (time_parse_rfc3339(rfc3339, &wall_ns) < 0) {
        return rfc3339;
    }
    if (wall_ns == TIME_ZERO) {
        return STR("0001-01-01 00:00:00 +0000 UTC");
    }
    bool is_utc = str_has_suffix(rfc3339, STR("Z"));
    int64_t offset = is_utc ? 0 : offset_parse(rfc3339);
    int64_t minutes = (offset < 0 ? -offset : offset) / 60;
    struct civil c = time_civil(wall_ns + offset * (int64_t)NS_PER_SEC);
    return arena_printf(a, "%04d-%02d-%02d %02d:%02d:%02d%.*s %c%02d%02d %.*s", c.year, c.month,
                        c.day, c.hour, c.minute, c.second, STRF(fraction_text(a, c.ns)),
                        offset < 0 ? '-' : '+', (int)(minutes / 60), (int)(minutes % 60),
                        STRF(zone_name(a, wall_ns, offset, is_utc)));
}

struct str api_time_rfc850(struct arena *a, struct str rfc3339)
{
    int64_t wall_ns;
    char text[64];
    struct tm tm;
    if (time_parse_rfc3339(rfc3339, &wall_ns) < 0) {
        return rfc3339;
    }
    time_t at = wall_ns == TIME_ZERO
                    ? ZERO_S
                    : (time_t)(wall_ns / (int64_t)NS_PER_SEC - (wall_ns % (int64_t)NS_PER_SEC < 0));
    if (localtime_r(&at, &tm) == NULL) {
        return rfc3339;
    }
    size_t n = strftime(text, sizeof(text), "%A, %d-%b-", &tm);
    return arena_printf(a, "%.*s%02d %02d:%02d:%02d %s", (int)n, text, (tm.tm_year + 1900) % 100,
                        tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_zone);
}
