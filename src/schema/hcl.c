/* Two passes. The first reads the text into nodes that stand for what was written: items (keys and
 * a value), lists, literals. The second makes values of them by the rules of HCL 1's decoder when
 * it decodes into "anything": an object that is a member's value becomes a list of one map, members
 * of the same name are joined, labels become nested maps.
 *
 * Scanner errors win over the parser's, the last of them over earlier ones: that is what the
 * original reports, and people search for these sentences. */
#include "schema/hcl.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/vec.h"
#include "schema/hcl_scan.h"
#include "schema/json.h"

/* --- nodes ---------------------------------------------------------------------------------- */

enum node_kind { NODE_LITERAL, NODE_LIST, NODE_OBJECT };

struct item;

struct node {
    enum node_kind kind;
    struct token token; /* a literal's, or the opening bracket */
    VEC(struct node *) list;
    VEC(struct item *) items;
};

struct item {
    VEC(struct str) keys;    /* unquoted */
    VEC(struct str) written; /* the same as they stand there */
    struct node *value;
};

struct parser {
    struct scanner scanner;
    struct arena *tmp; /* for nodes */
    struct token token;
    bool again; /* the next scan gives the same token once more */
    bool eof;   /* the text ended where an item or its value could have begun */
    unsigned depth;
    bool too_deep;
    struct err *err;
};

static enum token_kind parser_scan(struct parser *p)
{
    if (p->again) {
        p->again = false;
        return p->token.kind;
    }
    do {
        p->token = hcl_scan(&p->scanner);
    } while (p->token.kind == TOKEN_COMMENT);
    return p->token.kind;
}

static int parser_fail(struct parser *p, const char *format, ...) PRINTF(2, 3);
static int parser_fail(struct parser *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)err_vset(p->err, ERR_INVALID, format, args);
    va_end(args);
    return err_wrap(p->err, "At %u:%u", p->token.pos.line, p->token.pos.column);
}

/* --- parser --------------------------------------------------------------------------------- */

static int parse_object(struct parser *p, struct node **ret_node);
static int parse_list(struct parser *p, struct node **ret_node);

static int parser_enter(struct parser *p)
{
    if (p->depth >= HCL_DEPTH_MAX) {
        p->too_deep = true;
        return parser_fail(p, "nested deeper than %u levels", HCL_DEPTH_MAX);
    }
    p->depth++;
    return 0;
}

static struct node *literal_node(struct parser *p)
{
    struct node *node = ARENA_NEW(p->tmp, struct node);
    node->kind = NODE_LITERAL;
    node->token = p->token;
    return node;
}

static int parse_value(struct parser *p, struct node **ret_node)
{
    switch (parser_scan(p)) {
    case TOKEN_NUMBER:
    case TOKEN_FLOAT:
    case TOKEN_BOOL:
    case TOKEN_STRING:
    case TOKEN_HEREDOC:
        *ret_node = literal_node(p);
        return 0;
    case TOKEN_LBRACE:
        return parse_object(p, ret_node);
    case TOKEN_LBRACK:
        return parse_list(p, ret_node);
    case TOKEN_EOF:
        p->eof = true;
        return -ERR_INVALID;
    default:
        return parser_fail(p, "Unknown token: %u:%u %s %.*s", p->token.pos.line,
                           p->token.pos.column, hcl_token_texts[p->token.kind],
                           (int)MIN(p->token.text.n, 100u), p->token.text.p);
    }
}

static int parse_list(struct parser *p, struct node **ret_node)
{
    int rc = parser_enter(p);
    if (rc < 0) {
        return rc;
    }
    struct node *node = ARENA_NEW(p->tmp, struct node);
    node->kind = NODE_LIST;
    node->token = p->token;
    bool need_comma = false;
    for (;;) {
        struct node *element = NULL;
        enum token_kind kind = parser_scan(p);
        if (need_comma && kind != TOKEN_COMMA && kind != TOKEN_RBRACK) {
            return parser_fail(p, "error parsing list, expected comma or list end, got: %s",
                               hcl_token_texts[kind]);
        }
        struct pos pos = p->token.pos;
        switch (kind) {
        case TOKEN_BOOL:
        case TOKEN_NUMBER:
        case TOKEN_FLOAT:
        case TOKEN_STRING:
        case TOKEN_HEREDOC:
            element = literal_node(p);
            need_comma = true;
            break;
        case TOKEN_COMMA:
            need_comma = false;
            continue;
        case TOKEN_LBRACE:
        case TOKEN_LBRACK:
            rc = kind == TOKEN_LBRACE ? parse_object(p, &element) : parse_list(p, &element);
            if (rc < 0 && p->too_deep) {
                return rc; /* said once, not once for each level */
            }
            if (rc < 0) {
                (void)err_wrap(p->err, "error while trying to parse %s within list",
                               kind == TOKEN_LBRACE ? "object" : "list");
                return err_wrap(p->err, "At %u:%u", pos.line, pos.column);
            }
            need_comma = kind == TOKEN_LBRACE;
            break;
        case TOKEN_RBRACK:
            p->depth--;
            *ret_node = node;
            return 0;
        default:
            return parser_fail(p, "unexpected token while parsing list: %s", hcl_token_texts[kind]);
        }
        avec_push(p->tmp, &node->list, element);
    }
}

static int parse_keys(struct parser *p, struct item *item)
{
    for (;;) {
        struct str key;
        enum token_kind kind = parser_scan(p);
        switch (kind) {
        case TOKEN_EOF:
            p->eof = item->keys.n == 0;
            return p->eof ? -ERR_INVALID : 0;
        case TOKEN_ASSIGN:
            if (item->keys.n > 1) {
                return parser_fail(p, "nested object expected: LBRACE got: ASSIGN");
            }
            return item->keys.n == 1 ? 0 : parser_fail(p, "no object keys found!");
        case TOKEN_LBRACE:
            return item->keys.n > 0 ? 0 : parser_fail(p, "expected: IDENT | STRING got: LBRACE");
        case TOKEN_IDENT:
            avec_push(p->tmp, &item->keys, p->token.text);
            avec_push(p->tmp, &item->written, p->token.text);
            break;
        case TOKEN_STRING:
            if (hcl_unquote(p->tmp, p->token.text, &key) < 0) {
                return parser_fail(p, "invalid string literal in a key");
            }
            avec_push(p->tmp, &item->keys, key);
            avec_push(p->tmp, &item->written, p->token.text);
            break;
        case TOKEN_ILLEGAL:
            return parser_fail(p, "illegal character");
        default:
            if (kind == TOKEN_RBRACE && item->keys.n > 0) {
                /* Keys without a value before the end of the block: let the caller say so. */
                p->token.kind = TOKEN_EOF;
                return 0;
            }
            return parser_fail(p, "expected: IDENT | STRING | ASSIGN | LBRACE got: %s",
                               hcl_token_texts[kind]);
        }
    }
}

static int parse_item(struct parser *p, struct item *item)
{
    int rc = parse_keys(p, item);
    if (rc < 0) {
        return rc;
    }
    if (item->keys.n + p->depth > HCL_DEPTH_MAX) {
        return parser_fail(p, "nested deeper than %u levels", HCL_DEPTH_MAX);
    }
    if (p->token.kind == TOKEN_ASSIGN) {
        return parse_value(p, &item->value);
    }
    if (p->token.kind == TOKEN_LBRACE) {
        p->depth += (unsigned)(item->keys.n - 1); /* each label is a map of its own later */
        rc = parse_object(p, &item->value);
        p->depth -= (unsigned)(item->keys.n - 1);
        return rc;
    }
    struct buf keys;
    buf_init(&keys, 256);
    for (size_t i = 0; i < item->written.n; i++) {
        buf_printf(&keys, "%s%.*s", i > 0 ? " " : "", STRF(item->written.v[i]));
    }
    rc = parser_fail(p, "key '%.*s' expected start of object ('{') or assignment ('=')",
                     STRF(buf_view(&keys)));
    buf_deinit(&keys);
    return rc;
}

static int parse_items(struct parser *p, bool in_object, struct node *node)
{
    for (;;) {
        if (in_object) {
            enum token_kind kind = parser_scan(p);
            p->again = true;
            if (kind == TOKEN_RBRACE) {
                return 0;
            }
        }
        struct item *item = ARENA_NEW(p->tmp, struct item);
        int rc = parse_item(p, item);
        if (rc < 0) {
            bool is_end = p->eof; /* `key =` at the very end is no error, and no item */
            p->eof = false;
            return is_end ? 0 : rc;
        }
        avec_push(p->tmp, &node->items, item);
        p->again = parser_scan(p) != TOKEN_COMMA;
    }
}

/* The opening brace has been read. */
static int parse_object(struct parser *p, struct node **ret_node)
{
    int rc = parser_enter(p);
    if (rc < 0) {
        return rc;
    }
    struct node *node = ARENA_NEW(p->tmp, struct node);
    node->kind = NODE_OBJECT;
    node->token = p->token;
    rc = parse_items(p, true, node);
    if (rc < 0) {
        return rc;
    }
    if (parser_scan(p) != TOKEN_RBRACE) {
        return parser_fail(p, "object expected closing RBRACE got: %s",
                           hcl_token_texts[p->token.kind]);
    }
    p->depth--;
    *ret_node = node;
    return 0;
}

/* --- nodes to values ------------------------------------------------------------------------ */

struct decoder {
    struct arena *a;
    struct arena *tmp; /* for the paths that errors name */
    struct err *err;
};

static int decode_map(struct decoder *d, struct str name, struct item *const *items, size_t count,
                      struct value *ret_value);
static int decode_node(struct decoder *d, struct str name, const struct node *node, bool in_list,
                       struct value *ret_value);

/* Append to a list that has no capacity of its own: full whenever its length is a power of two. */
static void list_append(struct arena *a, struct value *list, struct value element)
{
    size_t n = list->list.n;
    if ((n & (n - 1)) == 0) {
        struct value *grown = arena_array_(a, sizeof(*grown), n == 0 ? 1 : n * 2);
        if (n > 0) {
            memcpy(grown, list->list.v, n * sizeof(*grown));
        }
        list->list.v = grown;
    }
    list->list.v[list->list.n++] = element;
}

static const char *node_type_text(const struct node *node)
{
    return node->kind == NODE_LITERAL ? "*ast.LiteralType"
           : node->kind == NODE_LIST  ? "*ast.ListType"
                                      : "*ast.ObjectType";
}

/* A member named again: lists grow, a literal takes the new one's place in the type of the old. */
static int decode_again(struct decoder *d, struct str name, const struct node *node,
                        struct value *old)
{
    struct value more;
    int rc = decode_node(d, name, node, false, &more);
    if (rc < 0) {
        return rc;
    }
    if (old->kind == VALUE_LIST) {
        if (more.kind != VALUE_LIST) {
            return err_set(d->err, ERR_INVALID, "At %u:%u: unknown slice type: %s",
                           node->token.pos.line, node->token.pos.column, node_type_text(node));
        }
        for (size_t i = 0; i < more.list.n; i++) {
            list_append(d->a, old, more.list.v[i]);
        }
        return 0;
    }
    if (more.kind == old->kind) {
        *old = more;
        return 0;
    }
    if (old->kind == VALUE_STR && more.kind == VALUE_INT) {
        old->s = arena_str(d->a, node->token.text);
        return 0;
    }
    if (old->kind == VALUE_INT && more.kind == VALUE_STR && hcl_number(more.s, &old->i) == 0) {
        return 0;
    }
    if (old->kind == VALUE_FLOAT && more.kind == VALUE_INT) {
        old->f = (double)more.i;
        return 0;
    }
    return err_set(d->err, ERR_INVALID, "At %u:%u: %.*s: unknown type%s %s", node->token.pos.line,
                   node->token.pos.column, STRF(name), old->kind == VALUE_STR ? " for string" : "",
                   node_type_text(node));
}

static int decode_node(struct decoder *d, struct str name, const struct node *node, bool in_list,
                       struct value *ret_value)
{
    int rc = 0;
    switch (node->kind) {
    case NODE_LITERAL:
        return hcl_literal(d->a, name, &node->token, ret_value, d->err);
    case NODE_LIST:
        *ret_value = (struct value){.kind = VALUE_LIST};
        for (size_t i = 0; i < node->list.n && rc == 0; i++) {
            struct value element;
            rc = decode_node(d, name, node->list.v[i], true, &element);
            if (rc == 0) {
                list_append(d->a, ret_value, element);
            }
        }
        return rc;
    case NODE_OBJECT: {
        struct value map;
        rc = decode_map(d, name, node->items.v, node->items.n, &map);
        if (rc < 0 || in_list) {
            *ret_value = map;
            return rc;
        }
        *ret_value = (struct value){.kind = VALUE_LIST};
        list_append(d->a, ret_value, map);
        return 0;
    }
    }
    return rc;
}

/* All items whose first key is `key` and which have labels: one map for each, in one list. */
static int decode_labelled(struct decoder *d, struct str name, struct str key,
                           struct item *const *items, size_t count, struct value *old)
{
    if (old->kind != VALUE_LIST) {
        return err_set(d->err, ERR_INVALID, "%.*s: unknown type *ast.ObjectList", STRF(name));
    }
    for (size_t i = 0, index = 0; i < count; i++) {
        struct item inner = *items[i];
        if (!str_eq(inner.keys.v[0], key)) {
            continue;
        }
        if (inner.keys.n == 1) {
            return err_set(d->err, ERR_INVALID, "At -: %.*s[%zu]: map must have string keys",
                           STRF(name), index);
        }
        inner.keys.v++;
        inner.keys.n--;
        struct item *one = &inner;
        struct value map;
        int rc = decode_map(d, name, &one, 1, &map);
        if (rc < 0) {
            return rc;
        }
        list_append(d->a, old, map);
        index++;
    }
    return 0;
}

struct member {
    struct value_pair *pair;
    bool has_labels; /* the first labelled item took all of them along */
};

static int decode_map(struct decoder *d, struct str name, struct item *const *items, size_t count,
                      struct value *ret_value)
{
    struct map seen; /* key to struct member */
    map_init(&seen, MAP_KEYS_BORROWED);
    struct value_pair *pairs = ARENA_ARRAY(d->a, struct value_pair, count);
    struct member *members = ARENA_ARRAY(d->tmp, struct member, count);
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct item *item = items[i];
        struct str key = item->keys.v[0];
        struct member *member = map_get(&seen, key);
        bool is_new = member == NULL;
        if (is_new) {
            member = &members[n];
            member->pair = &pairs[n++];
            member->pair->key = arena_str(d->a, key);
            member->pair->value = (struct value){.kind = VALUE_LIST};
            (void)map_put(&seen, member->pair->key, member);
        } else if (member->has_labels) {
            continue;
        }
        struct str path = arena_printf(d->tmp, "%.*s.%.*s", STRF(str_first(name, 256)),
                                       STRF(str_first(key, 256)));
        struct value *v = &member->pair->value;
        if (item->keys.n > 1) {
            member->has_labels = true;
            rc = decode_labelled(d, path, key, items, count, v);
        } else if (is_new) {
            rc = decode_node(d, path, item->value, false, v);
        } else {
            rc = decode_again(d, path, item->value, v);
        }
    }
    map_deinit(&seen);
    *ret_value = (struct value){.kind = VALUE_MAP, .map = {pairs, n}};
    return rc;
}

/* --- JSON ----------------------------------------------------------------------------------- */

static bool value_is_map_of_maps(const struct value *v)
{
    bool yes = v->kind == VALUE_MAP && v->map.n > 0;
    for (size_t i = 0; yes && i < v->map.n; i++) {
        yes = v->map.v[i].value.kind == VALUE_MAP;
    }
    return yes;
}

/* Give a JSON tree the shape that the same thing has when written as HCL: a member that is an
 * object becomes a list of one; one whose members are all objects is taken for labels, and gives a
 * list with a map for each; null is the empty text. */
static int json_reshape(struct arena *a, struct value *v, bool in_list, unsigned depth,
                        struct err *err)
{
    int rc = 0;
    if (depth > HCL_DEPTH_MAX) {
        return err_set(err, ERR_INVALID, "nested deeper than %u levels", HCL_DEPTH_MAX);
    }
    if (v->kind == VALUE_NULL) {
        *v = (struct value){.kind = VALUE_STR};
    } else if (v->kind == VALUE_LIST) {
        for (size_t i = 0; i < v->list.n && rc == 0; i++) {
            rc = json_reshape(a, &v->list.v[i], true, depth + 1, err);
        }
    } else if (v->kind == VALUE_MAP) {
        bool is_labelled = !in_list && value_is_map_of_maps(v);
        for (size_t i = 0; i < v->map.n && rc == 0; i++) {
            rc = json_reshape(a, &v->map.v[i].value, false, depth + 1, err);
        }
        struct value list = {.kind = VALUE_LIST};
        for (size_t i = 0; is_labelled && i < v->map.n; i++) {
            list_append(a, &list, (struct value){.kind = VALUE_MAP, .map = {&v->map.v[i], 1}});
        }
        if (!in_list && !is_labelled) {
            list_append(a, &list, *v);
        }
        *v = in_list ? *v : list;
    }
    return rc;
}

static int hcl_parse_json(struct arena *a, struct str text, struct value **ret_value,
                          struct err *err)
{
    struct value *root = NULL;
    int rc = json_parse(a, text, &root, err);
    if (rc == 0) {
        rc = json_reshape(a, root, true, 0, err);
    }
    if (rc == 0) {
        *ret_value = root;
    }
    return rc;
}

/* --- entry ---------------------------------------------------------------------------------- */

static struct str normalize_newlines(struct arena *a, struct str text)
{
    if (str_find(text, STR("\r\n")) < 0) {
        return text;
    }
    char *to = arena_alloc(a, text.n);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n') {
            continue;
        }
        to[n++] = text.p[i];
    }
    return str_make(to, n);
}

int hcl_parse(struct arena *a, struct str text, struct value **ret_value, struct err *err)
{
    struct str trimmed = str_trim(text);
    if (trimmed.n > 0 && trimmed.p[0] == '{') {
        return hcl_parse_json(a, text, ret_value, err);
    }
    struct arena tmp = {0};
    struct err own = {0};
    struct node root = {.kind = NODE_OBJECT};
    struct parser p = {.tmp = &tmp, .err = err != NULL ? err : &own};
    p.scanner.text = normalize_newlines(&tmp, text);
    p.scanner.pos.line = 1;
    int rc = parse_items(&p, false, &root);
    if (p.scanner.failed) {
        rc = err_set(p.err, ERR_INVALID, "At %u:%u: %s", p.scanner.err_pos.line,
                     p.scanner.err_pos.column, p.scanner.err_text);
    }
    if (rc == 0) {
        struct decoder d = {a, &tmp, p.err};
        struct value *v = ARENA_NEW(a, struct value);
        rc = decode_map(&d, STR("root"), root.items.v, root.items.n, v);
        if (rc == 0) {
            *ret_value = v;
        }
    }
    arena_deinit(&tmp);
    return rc;
}
