/* filter_ast.h - the syntax tree between the filter's parser and its evaluation; private to
 * schema/. */
#pragma once
#include "schema/filter.h"

enum filter_node_kind { FILTER_MATCH, FILTER_NOT, FILTER_AND, FILTER_OR };

enum filter_op {
    FILTER_EQUAL,
    FILTER_NOT_EQUAL,
    FILTER_IN,
    FILTER_NOT_IN,
    FILTER_IS_EMPTY,
    FILTER_IS_NOT_EMPTY,
    FILTER_MATCHES,
    FILTER_NOT_MATCHES,
};

struct filter_match;

struct filter_node {
    enum filter_node_kind kind;
    struct filter_node *left, *right; /* NOT: left alone */
    /* FILTER_MATCH */
    enum filter_op op;
    struct strlist selector;
    bool has_value;
    struct str value;
    struct filter_match *match; /* what compiling made of it */
};

/* Parse; the errors are those of the grammar ("1:8 (7): no match found, expected: …"). */
NODISCARD int filter_parse(struct arena *a, struct str text, struct filter_node **ret_node,
                           struct err *err);
