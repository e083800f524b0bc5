/* hil.h - HashiCorp's interpolation language, as the templates of prepared queries use it:
 *
 *     "db-${match(1)}.${name.suffix == "" ? "any" : name.suffix}"
 *
 * Text with ${…} in it; inside, strings (which may nest ${…}), numbers, true and false, variables,
 * function calls, arithmetic, comparison, logic, and cond ? a : b. Strings, numbers and booleans
 * are converted into each other where an operator asks for it. $${ stands for ${.
 *
 *     r = hil_parse(arena, text, &tree, &err);
 *     r = hil_eval(arena, tree, &scope, &result, &err);
 *
 * What is wrong is said in the words and with the positions of the original, whose users know them.
 * All of a conditional is evaluated, as there: what fails in the branch not taken fails. Pure; all
 * memory is the arena's; a tree is used by one thread at a time. */
#pragma once
#include "schema/field.h"

struct err;
struct hil_node;

#define HIL_SIZE_MAX (64u * 1024u) /* of a text, and of what it evaluates to */
#define HIL_DEPTH_MAX 100u

/* A function from one integer to a string. */
struct hil_function {
    struct str name;
    struct str (*call)(const void *data, int64_t argument);
    const void *data;
};

struct hil_scope {
    const struct strpair *variables; /* all are strings */
    size_t variables_count;
    const struct hil_function *functions;
    size_t functions_count;
};

NODISCARD int hil_parse(struct arena *a, struct str text, struct hil_node **ret_tree,
                        struct err *err);
/* Notes in the tree what it finds out; may be called again with other values. */
NODISCARD int hil_eval(struct arena *a, struct hil_node *tree, const struct hil_scope *scope,
                       struct str *ret_text, struct err *err);
