/* hcl_scan.h - HCL text to tokens, and tokens to the values they stand for.
 *
 * Internal to src/schema/hcl*.c. Errors do not stop the scanner: the last one stays in it, with its
 * place, and whoever asked for tokens looks there at the end. Tokens borrow from the text. */
#pragma once
#include "schema/value.h"

struct err;

/* clang-format off */
#define TOKENS(X)               \
    X(TOKEN_ILLEGAL, "ILLEGAL") \
    X(TOKEN_EOF, "EOF")         \
    X(TOKEN_COMMENT, "COMMENT") \
    X(TOKEN_IDENT, "IDENT")     \
    X(TOKEN_NUMBER, "NUMBER")   \
    X(TOKEN_FLOAT, "FLOAT")     \
    X(TOKEN_BOOL, "BOOL")       \
    X(TOKEN_STRING, "STRING")   \
    X(TOKEN_HEREDOC, "HEREDOC") \
    X(TOKEN_LBRACK, "LBRACK")   \
    X(TOKEN_LBRACE, "LBRACE")   \
    X(TOKEN_COMMA, "COMMA")     \
    X(TOKEN_PERIOD, "PERIOD")   \
    X(TOKEN_RBRACK, "RBRACK")   \
    X(TOKEN_RBRACE, "RBRACE")   \
    X(TOKEN_ASSIGN, "ASSIGN")   \
    X(TOKEN_ADD, "ADD")         \
    X(TOKEN_SUB, "SUB")
/* clang-format on */

enum token_kind {
#define X(name, text) name,
    TOKENS(X)
#undef X
};

extern const char *const hcl_token_texts[]; /* by enum token_kind */

struct pos {
    size_t offset; /* of the byte behind the last rune read */
    unsigned line, column;
};

struct token {
    enum token_kind kind;
    struct pos pos;
    struct str text;
};

struct scanner {
    struct str text;
    struct pos pos, prev;
    size_t rune_size;      /* bytes of the rune read last; 0 at the end */
    unsigned line_columns; /* length of the last finished line */
    bool failed;
    struct pos err_pos;
    const char *err_text;
};

/* The next token; TOKEN_EOF at the end, as often as one asks. */
struct token hcl_scan(struct scanner *s);
/* What a literal stands for, made in `a`. `name` is the member's path, for errors. */
NODISCARD int hcl_literal(struct arena *a, struct str name, const struct token *t,
                          struct value *ret_value, struct err *err);
/* The text between the quotes of a string literal. */
NODISCARD int hcl_unquote(struct arena *a, struct str quoted, struct str *ret_text);
/* As Go's base 0: 0x is hexadecimal, a leading 0 octal. -ERR_RANGE or -ERR_INVALID. */
NODISCARD int hcl_number(struct str text, int64_t *ret_value);
