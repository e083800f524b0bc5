/* filter.h - ?filter= boolean expressions (hashicorp/go-bexpr), over any described struct.
 *
 *     r = filter_compile(arena, STR("ServicePort == 80 and web in Tags"), &schema, &f, &err);
 *     matched = filter_match(f, element, &err);
 *
 * Compile once per request against the schema of the elements, then ask for each element. Grammar:
 * or, and, not, parentheses; selectors Name.Sub, Map.key and Map["key"]; ==, !=, in, not in,
 * contains, not contains, is empty, is not empty, matches, not matches. Keywords are lower-case
 * only. Selectors are Go field names; a list of structs on the way means "any of them".
 *
 * A compiled filter lives in the arena and borrows the expression text. It is for one thread at a
 * time (regular expressions hold their match state). Regular expressions are in RE2's language,
 * with match limits; see regexp.h.
 *
 * Errors have the reference's words, complete: "Failed to create boolean expression evaluator: …"
 * is the whole text of the HTTP answer. */
#pragma once
#include "schema/field.h"

struct err;
struct filter;

#define FILTER_SIZE_MAX (64u * 1024u)

NODISCARD int filter_compile(struct arena *a, struct str expression, const struct schema *schema,
                             struct filter **ret_filter, struct err *err);
/* The two halves of it, for where Consul learns the elements' type only from the first of them, and
 * so accepts any selector while there is none: the text (with the words above), then the type (its
 * errors without them). */
NODISCARD int filter_new(struct arena *a, struct str expression, struct filter **ret_filter,
                         struct err *err);
NODISCARD int filter_bind(struct filter *f, struct arena *a, const struct schema *schema,
                          struct err *err);
/* 1 match, 0 no match, or a negative error (a regular expression over its limits). */
NODISCARD int filter_match(const struct filter *f, const void *object, struct err *err);
