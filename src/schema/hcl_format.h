/* hcl_format.h - HCL 1 text laid out anew, as HCL's own printer does: one item a line, blocks
 * indented by a tab, adjacent one-line members aligned, comments kept.
 *
 *     rc = hcl_format(a, text, rename, &pretty, &err);
 *
 * Nothing but white space and the names that `rename` changes differ from the text that was given.
 * JSON, which hcl_parse() takes too, is refused. */
#pragma once
#include "base/arena.h"

struct err;

/* What the first key of an item becomes; NULL-like: what it is. The key is unquoted. */
typedef struct str (*hcl_rename_fn)(struct str key);

/* `rename` may be NULL. Errors are those of hcl_parse(). */
NODISCARD int hcl_format(struct arena *a, struct str text, hcl_rename_fn rename,
                         struct str *ret_text, struct err *err);
