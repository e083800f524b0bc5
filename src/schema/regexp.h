/* regexp.h - regular expressions in RE2's language, as Go's regexp package takes them.
 *
 *     r = regexp_compile(arena, STR("^10\\."), &re, &err);
 *     matched = regexp_match(re, text);
 *
 * An expression is read by RE2's rules, refused with Go's words ("error parsing regexp: missing
 * closing ): `(`"), and rewritten into one that pcre2 takes to mean the same. pcre2 backtracks
 * where RE2 does not, so matching has a limit. Everything lives in the arena. A regexp has room for
 * one match at a time: not to be shared between threads. */
#pragma once
#include "schema/field.h"

struct err;
struct regexp;

#define REGEXP_SIZE_MAX (16u * 1024u)
#define REGEXP_DEPTH_MAX 200u
#define REGEXP_REPEAT_MAX 1000u
/* Steps and memory of one match; a text that needs more is answered with an error. */
#define REGEXP_MATCH_LIMIT 1000000u
#define REGEXP_MATCH_DEPTH_LIMIT 10000u
#define REGEXP_MATCH_HEAP_KB_MAX 4096u

NODISCARD int regexp_compile(struct arena *a, struct str expression, struct regexp **ret_regexp,
                             struct err *err);
/* 1: somewhere in the text; 0: nowhere; -ERR_TOO_LARGE: over the limits. */
NODISCARD int regexp_match(const struct regexp *re, struct str text);
/* As regexp_match(); on a match *ret_groups has the text that matched, then that of each group,
 * empty where a group took no part. The strings are parts of `text`. */
NODISCARD int regexp_match_groups(struct arena *a, const struct regexp *re, struct str text,
                                  struct strlist *ret_groups);
