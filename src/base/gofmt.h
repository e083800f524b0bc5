/* gofmt.h - numbers and strings printed exactly as Go prints them, where clients compare the text.
 *
 *     go_quote(&out, STR("say \"hi\"\n"));   "say \"hi\"\n" as %q prints it
 *     go_json_float(&out, 0.1);               0.1 as encoding/json prints it
 */
#pragma once
#include "base/buf.h"

struct arena;

/* strconv.Quote. Go's tables tell unassigned characters from printable ones; here those outside the
 * blocks of format, space and private characters count as printable. */
void go_quote(struct buf *to, struct str s);
struct str go_quoted(struct arena *a, struct str s); /* the same, in an arena */
/* unicode.IsPrint, within the same bounds. */
bool go_is_printable(uint32_t rune);

/* A float64 as encoding/json writes it: the fewest digits that read back as the same value, with
 * an exponent only below 1e-6 and from 1e21 on. NaN and the infinities, which Go refuses to encode,
 * are written as null. */
void go_json_float(struct buf *to, double v);
void go_json_float32(struct buf *to, float v); /* the digits a float32 needs */
/* A string as encoding/json writes it: <, >, & and U+2028, U+2029 are escaped too, and bytes that
 * are not UTF-8 become U+FFFD. */
void go_json_str(struct buf *to, struct str s);
/* strconv.FormatFloat(v, 'g' or 'f', -1, 64): the fewest digits, with an exponent by Go's %g and %v
 * below 1e-4 and from 1e6 on, or never. NaN, +Inf and -Inf are written so. */
void go_float_g(struct buf *to, double v);
void go_float_f(struct buf *to, double v);
