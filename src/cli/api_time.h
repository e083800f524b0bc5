/* api_time.h - moments in answers, as people are shown them. */
#pragma once
#include "base/str.h"

struct arena;

#define API_TIME_NONE STR("0001-01-01T00:00:00Z") /* Go's zero time */

/* RFC 3339 as Go prints a time.Time by itself: "2021-10-01 12:00:00.5 +0200 CEST", in the zone of
 * the text; a name for it is known for UTC and for the zone of this machine. What is no time is
 * returned as it is. */
struct str api_time_text(struct arena *a, struct str rfc3339);
/* The same in the zone of this machine and the form of RFC 850: "Friday, 01-Oct-21 12:00:00 CEST".
 */
struct str api_time_rfc850(struct arena *a, struct str rfc3339);
