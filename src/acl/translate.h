/* translate.h - rules of legacy tokens in today's syntax. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

/* `key "a" {…}` covers every key that begins with a, which is written key_prefix today. The result
 * is laid out anew. */
NODISCARD int acl_rules_translate(struct arena *a, struct str rules, struct str *ret_rules,
                                  struct err *err);
