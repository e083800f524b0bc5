/* hil_tree.h - tokens and syntax tree of hil.h; private to schema/. */
#pragma once
#include "schema/hil.h"

struct hil_pos {
    uint32_t line, column; /* from 1; columns count characters */
};

enum hil_token_kind {
    HIL_TOKEN_LITERAL, /* text outside of ${…} */
    HIL_TOKEN_STRING,  /* text between quotes */
    HIL_TOKEN_INTEGER,
    HIL_TOKEN_FLOAT,
    HIL_TOKEN_BOOL,
    HIL_TOKEN_IDENTIFIER,
    HIL_TOKEN_BEGIN, /* ${ */
    HIL_TOKEN_END,
    HIL_TOKEN_OPEN_QUOTE,
    HIL_TOKEN_CLOSE_QUOTE,
    HIL_TOKEN_PUNCTUATION, /* one character, standing for itself */
    HIL_TOKEN_AND,
    HIL_TOKEN_OR,
    HIL_TOKEN_NOT,
    HIL_TOKEN_EQUAL,
    HIL_TOKEN_NOT_EQUAL,
    HIL_TOKEN_LESS,
    HIL_TOKEN_LESS_EQUAL,
    HIL_TOKEN_GREATER,
    HIL_TOKEN_GREATER_EQUAL,
    HIL_TOKEN_EOF,
    HIL_TOKEN_INVALID,
};

struct hil_token {
    enum hil_token_kind kind;
    struct str text; /* as it stands in the source, escapes and all */
    struct hil_pos pos;
};

struct hil_scanner {
    struct str rest;
    struct hil_pos pos;
    uint32_t nesting;    /* of ${ */
    bool is_inside;      /* of ${…}, but not of a quoted string in it */
    bool has_terminator; /* of the literal that was given last */
    bool is_over;
    struct hil_token terminator;
};

void hil_scanner_init(struct hil_scanner *s, struct str text);
struct hil_token hil_scan(struct hil_scanner *s);

enum hil_type { HIL_STRING, HIL_INT, HIL_FLOAT, HIL_BOOL };

enum hil_node_kind {
    HIL_NODE_LITERAL,
    HIL_NODE_OUTPUT, /* children one after the other, as text */
    HIL_NODE_VARIABLE,
    HIL_NODE_CALL,
    HIL_NODE_OPERATION,   /* op over two children */
    HIL_NODE_CONDITIONAL, /* condition, then, else */
    HIL_NODE_INDEX,       /* target, key */
};

enum hil_op {
    HIL_OP_NONE,
    HIL_OP_OR,
    HIL_OP_AND,
    HIL_OP_EQUAL,
    HIL_OP_NOT_EQUAL,
    HIL_OP_LESS,
    HIL_OP_LESS_EQUAL,
    HIL_OP_GREATER,
    HIL_OP_GREATER_EQUAL,
    HIL_OP_ADD,
    HIL_OP_SUBTRACT,
    HIL_OP_MULTIPLY,
    HIL_OP_DIVIDE,
    HIL_OP_MODULO,
};

struct hil_value {
    enum hil_type type;
    union {
        struct str s;
        int64_t i;
        double f;
        bool b;
    };
};

struct hil_node {
    enum hil_node_kind kind;
    enum hil_op op;
    struct hil_pos pos;
    struct hil_value literal;
    struct str name; /* of a variable or a function */
    struct hil_node **children;
    uint32_t children_count;
    uint32_t depth; /* of the tree below, itself included */
    /* By the check: what it gives, and what its parent wants it turned into. */
    enum hil_type type, wanted;
};
