/* filter.h - ?filter= boolean expressions (hashicorp/go-bexpr), over any described struct.
 *
 * Compile once per request against the schema of the elements, then ask for each element. Grammar:
 * or, and, not, parentheses; selectors Name.Sub, Map.key, Map["key"] and JSON-pointer style; ==, !=, in, not in, contains, is empty, is not
 * empty, matches, not matches. Keywords are lower-case only. A compiled filter lives in the arena
 * and borrows the expression text. Errors have the reference's words. Regular expressions use RE2's
 * language (through pcre2, refusing what RE2 refuses), with match limits. */
#pragma once
#include "schema/field.h"

struct err;
struct filter;

#define FILTER_SIZE_MAX (64u * 1024u)

NODISCARD int filter_compile(struct arena *a, struct str expression, const struct schema *schema,
                             struct filter **ret_filter, struct err *err);
/* 1 match, 0 no match, or a negative error (a regular expression over its limits). */
NODISCARD int filter_match(const struct filter *f, const void *object, struct err *err);
