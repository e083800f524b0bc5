/* The text is read once more, hcl_parse() having found it well-formed: this time comments are kept,
 * each with the item or literal it belongs to (the lines above it, the rest of its line), or by
 * itself. Then it is printed. Where blank lines go, what is aligned with what, and which comments
 * stand alone follows HCL's printer, since people compare the results. */
#include "schema/hcl_format.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "schema/hcl.h"
#include "schema/hcl_scan.h"

struct comment {
    struct pos pos;
    struct str text;
};

struct comments { /* without a blank line between them */
    VEC(struct comment) list;
    bool has_owner;
};

struct node {
    enum { LITERAL, LIST, OBJECT } kind;
    struct token token; /* a literal's, or the opening bracket */
    struct pos end;     /* of the closing bracket */
    struct comments *lead, *line;
    VEC(struct node *) list;
    VEC(struct item *) items;
};

struct item {
    VEC(struct token) keys;
    bool has_assign;
    struct node *value;
    struct comments *lead, *line;
};

/* --- reading --------------------------------------------------------------------------------- */

struct reader {
    struct arena *a;
    struct scanner scanner;
    struct token token;
    bool again;
    struct comments *lead,
        *line; /* what the token last read has above it; what its line ends with */
    VEC(struct comments *) all;
};

static unsigned newlines(struct str text)
{
    unsigned n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += text.p[i] == '\n' ? 1 : 0;
    }
    return n;
}

/* Comments up to the first that begins more than `gap` lines below the one before. */
static struct comments *comments_read(struct reader *r, unsigned gap, unsigned *ret_end)
{
    struct comments *group = ARENA_NEW(r->a, struct comments);
    unsigned end = r->token.pos.line;
    while (r->token.kind == TOKEN_COMMENT && r->token.pos.line <= end + gap) {
        end = r->token.pos.line + newlines(r->token.text);
        avec_push(r->a, &group->list, ((struct comment){r->token.pos, r->token.text}));
        r->token = hcl_scan(&r->scanner);
    }
    avec_push(r->a, &r->all, group);
    *ret_end = end;
    return group;
}

static enum token_kind scan(struct reader *r)
{
    if (r->again) {
        r->again = false;
        return r->token.kind;
    }
    unsigned before = r->token.pos.line, end = 0;
    r->token = hcl_scan(&r->scanner);
    if (r->token.kind != TOKEN_COMMENT) {
        return r->token.kind;
    }
    struct comments *group = NULL;
    bool is_lead = false;
    if (r->token.pos.line == before) {
        group = comments_read(r, 0, &end);
        if (r->token.pos.line != end) {
            r->line = group;
        }
    }
    while (r->token.kind == TOKEN_COMMENT) {
        group = comments_read(r, 1, &end);
        is_lead = true;
    }
    if (is_lead && end + 1 == r->token.pos.line && r->token.kind != TOKEN_EOF &&
        r->token.kind != TOKEN_RBRACE && r->token.kind != TOKEN_RBRACK) {
        r->lead = group;
    }
    return r->token.kind;
}

/* Hand comments to their owner. What the owner had before stands by itself then. */
static void give(struct comments **from, struct comments **to)
{
    if (*from != NULL) {
        if (*to != NULL) {
            (*to)->has_owner = false;
        }
        (*from)->has_owner = true;
        *to = *from;
        *from = NULL;
    }
}

static int items_read(struct reader *r, struct node *object);
static int value_read(struct reader *r, struct node **ret_node);

/* The opening bracket has been read. */
static int list_read(struct reader *r, struct node *list)
{
    for (;;) {
        struct node *element;
        enum token_kind kind = scan(r);
        if (kind == TOKEN_RBRACK) {
            list->end = r->token.pos;
            return 0;
        }
        if (kind == TOKEN_COMMA) {
            (void)scan(r);
            struct node *last = list->list.n > 0 ? list->list.v[list->list.n - 1] : NULL;
            if (r->line != NULL && last != NULL && last->kind == LITERAL) {
                give(&r->line, &last->line);
            }
            r->again = true;
            continue;
        }
        r->again = true;
        int rc = value_read(r, &element);
        if (rc < 0) {
            return rc;
        }
        if (element->kind == LITERAL) {
            give(&r->lead, &element->lead);
        }
        avec_push(r->a, &list->list, element);
    }
}

static int value_read(struct reader *r, struct node **ret_node)
{
    struct node *node = ARENA_NEW(r->a, struct node);
    enum token_kind kind = scan(r);
    node->token = r->token;
    *ret_node = node;
    switch (kind) {
    case TOKEN_NUMBER:
    case TOKEN_FLOAT:
    case TOKEN_BOOL:
    case TOKEN_STRING:
    case TOKEN_HEREDOC:
        node->kind = LITERAL;
        return 0;
    case TOKEN_LBRACK:
        node->kind = LIST;
        return list_read(r, node);
    case TOKEN_LBRACE:
        node->kind = OBJECT;
        return items_read(r, node);
    default:
        return -ERR_INVALID; /* `key =` at the very end of the text */
    }
}

static int item_read(struct reader *r, struct item *item)
{
    while (scan(r) == TOKEN_IDENT || r->token.kind == TOKEN_STRING) {
        avec_push(r->a, &item->keys, r->token);
    }
    give(&r->lead, &item->lead);
    item->has_assign = r->token.kind == TOKEN_ASSIGN;
    r->again = r->token.kind == TOKEN_LBRACE;
    int rc = item->keys.n == 0 || !(item->has_assign || r->again) ? -ERR_INVALID
                                                                  : value_read(r, &item->value);
    if (rc < 0) {
        return rc;
    }
    give(&r->line, &item->line);
    (void)scan(r); /* the rest of the line may be a comment */
    if (r->line != NULL && item->value->token.pos.line == item->keys.v[0].pos.line) {
        give(&r->line, &item->line);
    }
    return 0;
}

/* Up to the brace or the end, which is left to be read by nobody. */
static int items_read(struct reader *r, struct node *object)
{
    for (;;) {
        enum token_kind kind = scan(r);
        if (kind == TOKEN_RBRACE || kind == TOKEN_EOF) {
            object->end = r->token.pos;
            return 0;
        }
        r->again = true;
        struct item *item = ARENA_NEW(r->a, struct item);
        int rc = item_read(r, item);
        if (rc < 0) {
            return r->token.kind == TOKEN_EOF ? 0 : rc;
        }
        avec_push(r->a, &object->items, item);
        r->again = r->token.kind != TOKEN_COMMA;
    }
}

/* --- printing -------------------------------------------------------------------------------- */

struct printer {
    struct arena *a;
    hcl_rename_fn rename;
    struct pos prev; /* of the item printed last; line 0: none yet */
    VEC(const struct comments *) alone;
};

#define INDENT "  "
/* Lines of a literal that are not to be indented begin with this, a character of private use. */
#define FIXED "\xee\x84\xa3"

static struct str done(struct printer *p, struct buf *text)
{
    struct str s = arena_str(p->a, buf_view(text));
    buf_deinit(text);
    return s;
}

static bool is_after(struct pos a, struct pos b)
{
    return b.offset < a.offset || b.line < a.line;
}

static bool is_before(struct pos a, struct pos b)
{
    return b.offset > a.offset || b.line > a.line;
}

static void put_indented(struct buf *to, struct str text)
{
    bool at_start = true;
    for (size_t i = 0; i < text.n; i++) {
        if (at_start && text.p[i] != '\n') {
            buf_lit(to, INDENT);
        }
        buf_byte(to, (uint8_t)text.p[i]);
        at_start = text.p[i] == '\n';
    }
}

static struct str fixed(struct printer *p, struct str text)
{
    struct buf out = {0};
    bool at_start = false;
    for (size_t i = 0; i < text.n; i++) {
        if (at_start && text.p[i] != '\n') {
            buf_lit(&out, FIXED);
        }
        buf_byte(&out, (uint8_t)text.p[i]);
        at_start = text.p[i] == '\n';
    }
    return done(p, &out);
}

/* The marks, and the blanks that came before them, go. */
static struct str unfix(struct arena *a, struct str text)
{
    struct buf out = {0};
    while (text.n > 0) {
        if (str_has_prefix(text, STR(FIXED))) {
            while (out.n > 0 && out.p[out.n - 1] != '\n') {
                out.n--;
            }
            text = str_from(text, sizeof(FIXED) - 1);
        } else {
            buf_byte(&out, (uint8_t)text.p[0]);
            text = str_from(text, 1);
        }
    }
    struct str s = arena_str(a, buf_view(&out));
    buf_deinit(&out);
    return s;
}

static void put_comment_lines(struct buf *to, const struct comments *group)
{
    for (size_t i = 0; group != NULL && i < group->list.n; i++) {
        buf_str(to, group->list.v[i].text);
        buf_byte(to, '\n');
    }
}

static void put_comments(struct buf *to, const struct comments *group)
{
    for (size_t i = 0; group != NULL && i < group->list.n; i++) {
        buf_str(to, group->list.v[i].text);
    }
}

static struct pos item_pos(const struct item *item)
{
    return item->keys.v[0].pos;
}

static struct str key_text(struct printer *p, const struct item *item, size_t i)
{
    struct token key = item->keys.v[i];
    struct str name = key.text;
    if (i > 0 || p->rename == NULL) {
        return key.text;
    }
    if (key.kind == TOKEN_STRING && hcl_unquote(p->a, key.text, &name) < 0) {
        return key.text;
    }
    struct str other = p->rename(name);
    return other.p != NULL ? other : key.text;
}

static struct str node_text(struct printer *p, const struct node *node);

static struct str literal_text(struct printer *p, const struct node *node)
{
    struct str text = node->token.text;
    if (node->token.kind == TOKEN_HEREDOC && text.n > 0 && text.p[text.n - 1] == '\n') {
        text.n--;
    }
    return str_find_byte(text, '\n') >= 0 ? fixed(p, text) : text;
}

static bool has_key_line(const struct item *item)
{
    return item->value->token.pos.line == item->keys.v[0].pos.line;
}

static struct str item_text(struct printer *p, const struct item *item)
{
    struct buf out = {0};
    put_comment_lines(&out, item->lead);
    if (!has_key_line(item)) {
        put_comment_lines(&out, item->line);
    }
    for (size_t i = 0; i < item->keys.n; i++) {
        buf_str(&out, key_text(p, item, i));
        buf_byte(&out, ' ');
    }
    if (item->has_assign && item->keys.n == 1) {
        buf_lit(&out, "= ");
    }
    buf_str(&out, node_text(p, item->value));
    if (item->line != NULL && has_key_line(item)) {
        buf_byte(&out, ' ');
        put_comments(&out, item->line);
    }
    return done(p, &out);
}

/* --- lists ----------------------------------------------------------------------------------- */

static bool is_heredoc(const struct node *node)
{
    return node->kind == LITERAL && node->token.kind == TOKEN_HEREDOC;
}

static bool list_fits_line(const struct node *list)
{
    for (size_t i = 0; i < list->list.n; i++) {
        const struct node *e = list->list.v[i];
        if (e->token.pos.line != list->token.pos.line || e->kind != LITERAL || e->line != NULL ||
            (is_heredoc(e) && list->list.n != 1)) {
            return false;
        }
    }
    return true;
}

static struct str list_line_text(struct printer *p, const struct node *list)
{
    struct buf out = {0};
    buf_byte(&out, '[');
    for (size_t i = 0; i < list->list.n; i++) {
        buf_str(&out, i > 0 ? STR(", ") : STR(""));
        buf_str(&out, node_text(p, list->list.v[i]));
        buf_str(&out, is_heredoc(list->list.v[i]) ? STR("\n") : STR(""));
    }
    buf_byte(&out, ']');
    return done(p, &out);
}

static void element_put(struct printer *p, struct buf *to, const struct node *e, size_t longest)
{
    struct str text = node_text(p, e);
    put_indented(to, text);
    buf_str(to, is_heredoc(e) ? STR("\n" INDENT ",") : STR(","));
    if (e->line != NULL) {
        buf_fill(to, ' ', 1 + (longest > text.n ? longest - text.n : 0));
        put_comments(to, e->line);
    }
    buf_byte(to, '\n');
}

static struct str list_text(struct printer *p, const struct node *list)
{
    struct buf out = {0};
    size_t longest = 0;
    bool has_gap = false;
    if (list_fits_line(list)) {
        return list_line_text(p, list);
    }
    for (size_t i = 0; i < list->list.n; i++) {
        const struct node *e = list->list.v[i];
        longest = e->kind == LITERAL ? MAX(longest, e->token.text.n) : longest;
    }
    buf_lit(&out, "[\n");
    for (size_t i = 0; i < list->list.n; i++) {
        const struct node *e = list->list.v[i];
        if (e->lead != NULL && !has_gap && i > 0) {
            buf_byte(&out, '\n');
        }
        for (size_t c = 0; e->lead != NULL && c < e->lead->list.n; c++) {
            put_indented(&out, e->lead->list.v[c].text);
            buf_byte(&out, '\n');
        }
        element_put(p, &out, e, longest);
        has_gap = e->lead != NULL && i + 1 < list->list.n;
        buf_str(&out, has_gap ? STR("\n") : STR(""));
    }
    buf_byte(&out, ']');
    return done(p, &out);
}

/* --- objects --------------------------------------------------------------------------------- */

/* Items side by side: the values begin in one column, so do the comments behind them. */
static struct str aligned_text(struct printer *p, struct item *const *items, size_t count)
{
    struct buf out = {0};
    size_t key_longest = 0, value_longest = 0;
    for (size_t i = 0; i < count; i++) {
        key_longest = MAX(key_longest, key_text(p, items[i], 0).n);
        value_longest = MAX(value_longest, node_text(p, items[i]->value).n);
    }
    for (size_t i = 0; i < count; i++) {
        const struct item *item = items[i];
        struct str value = node_text(p, item->value);
        put_comment_lines(&out, item->lead);
        for (size_t k = 0; k < item->keys.n; k++) {
            struct str key = key_text(p, item, k);
            buf_str(&out, key);
            buf_fill(&out, ' ', key_longest + 1 > key.n ? key_longest + 1 - key.n : 0);
        }
        buf_str(&out, item->keys.n == 1 ? STR("= ") : STR(""));
        buf_str(&out, value);
        if (item->line != NULL && has_key_line(item)) {
            buf_fill(&out, ' ', value_longest - value.n + 1);
            put_comments(&out, item->line);
        }
        buf_str(&out, i + 1 < count ? STR("\n") : STR(""));
    }
    return done(p, &out);
}

static struct str object_text(struct printer *p, const struct node *object);

static unsigned comments_newlines(const struct comments *group, bool is_above)
{
    unsigned n = 0;
    for (size_t i = 0; group != NULL && i < group->list.n; i++) {
        n += newlines(group->list.v[i].text) + (is_above ? 1 : 0);
    }
    return n;
}

/* How many line ends the item's text has; 2 may stand for more. Asked about every item of every
 * level, it must not lay out what is below. */
static unsigned item_newlines(struct printer *p, const struct item *item)
{
    const struct node *v = item->value;
    unsigned n =
        comments_newlines(item->lead, true) + comments_newlines(item->line, !has_key_line(item));
    for (size_t i = 0; i < item->keys.n; i++) {
        n += newlines(item->keys.v[i].text);
    }
    if ((v->kind == OBJECT && v->items.n > 0) || (v->kind == LIST && !list_fits_line(v))) {
        return n + 2;
    }
    return n + newlines(v->kind == OBJECT ? object_text(p, v) : node_text(p, v));
}

/* How many items from `index` on are neighbours of one line each. */
static size_t aligned_count(struct printer *p, const struct node *object, size_t index)
{
    size_t count = 0, all = object->items.n;
    for (size_t i = index; i < all && all > 1; i++) {
        if (item_newlines(p, object->items.v[i]) > 1) {
            break;
        }
        unsigned line = item_pos(object->items.v[i]).line;
        unsigned next = i + 1 < all ? item_pos(object->items.v[i + 1]).line : 0;
        unsigned before = i > 0 ? item_pos(object->items.v[i - 1]).line : 0;
        if (line + 1 == next) {
            count++;
            continue;
        }
        return line - 1 == before ? count + 1 : count;
    }
    return count;
}

struct object_state {
    size_t index;
    bool has_newline; /* behind the brace */
    bool has_comment; /* by itself, behind an item */
};

/* The comments by themselves before the next item, or before the end. */
static void object_comments_put(struct printer *p, const struct node *object,
                                struct object_state *s, struct buf *to)
{
    bool at_end = s->index == object->items.n;
    struct pos next = at_end ? object->end : item_pos(object->items.v[s->index]);
    for (size_t g = 0; g < p->alone.n; g++) {
        unsigned last_line = 0;
        for (size_t c = 0; c < p->alone.v[g]->list.n; c++) {
            const struct comment *comment = &p->alone.v[g]->list.v[c];
            if (!is_after(comment->pos, p->prev) || !is_before(comment->pos, next)) {
                continue;
            }
            buf_str(to, s->has_newline ? STR("") : STR("\n"));
            s->has_newline = true;
            if (s->index > 0) {
                s->has_comment = true;
                buf_byte(to, '\n');
            }
            last_line = comment->pos.line;
            put_indented(to, fixed(p, comment->text));
        }
        if (last_line > 0) {
            buf_byte(to, '\n');
            buf_str(to, !at_end && next.line != last_line + 1 ? STR("\n") : STR(""));
        }
    }
}

static struct str object_text(struct printer *p, const struct node *object)
{
    struct buf out = {0};
    struct object_state s = {0};
    buf_byte(&out, '{');
    for (;;) {
        object_comments_put(p, object, &s, &out);
        if (s.index == object->items.n) {
            p->prev = object->end;
            break;
        }
        buf_str(&out, s.has_newline ? STR("") : STR("\n"));
        s.has_newline = true;
        struct pos prev = p->prev;
        size_t first = s.index, count = aligned_count(p, object, first);
        p->prev = prev;
        s.index += count;
        if (!s.has_comment && first > 0) {
            buf_byte(&out, '\n');
        }
        if (count > 0) {
            p->prev = item_pos(object->items.v[s.index - 1]);
            put_indented(&out, aligned_text(p, &object->items.v[first], count));
        } else {
            p->prev = item_pos(object->items.v[first]);
            put_indented(&out, item_text(p, object->items.v[first]));
            s.index++;
        }
        buf_byte(&out, '\n');
    }
    buf_byte(&out, '}');
    return done(p, &out);
}

static struct str node_text(struct printer *p, const struct node *node)
{
    return node->kind == LITERAL ? literal_text(p, node)
           : node->kind == LIST  ? list_text(p, node)
                                 : object_text(p, node);
}

/* --- the whole text -------------------------------------------------------------------------- */

/* "x {}" without a comment above it. */
static bool is_empty_block(const struct item *item)
{
    return item->lead == NULL && !item->has_assign && item->value->kind == OBJECT &&
           item->value->items.n == 0;
}

static void root_comments_put(struct printer *p, const struct node *root, size_t index,
                              struct buf *to)
{
    bool at_end = index == root->items.n;
    for (size_t g = 0; g < p->alone.n; g++) {
        bool any = false, has_gap = false;
        for (size_t c = 0; c < p->alone.v[g]->list.n; c++) {
            const struct comment *comment = &p->alone.v[g]->list.v[c];
            if (!is_after(comment->pos, p->prev) ||
                (!at_end && !is_before(comment->pos, item_pos(root->items.v[index])))) {
                continue;
            }
            buf_str(to, !has_gap && p->prev.line > 0 && at_end ? STR("\n\n") : STR(""));
            has_gap = true;
            buf_str(to, comment->text);
            buf_byte(to, '\n');
            any = true;
        }
        buf_str(to, any && !at_end ? STR("\n") : STR(""));
    }
}

static struct str root_text(struct printer *p, const struct node *root)
{
    struct buf out = {0};
    for (size_t i = 0; i <= root->items.n; i++) {
        root_comments_put(p, root, i, &out);
        if (i == root->items.n) {
            break;
        }
        const struct item *item = root->items.v[i];
        p->prev = item_pos(item);
        buf_str(&out, item_text(p, item));
        if (i + 1 < root->items.n) {
            const struct item *next = root->items.v[i + 1];
            bool is_close = item_pos(next).line == item_pos(item).line + 1 &&
                            is_empty_block(next) && is_empty_block(item);
            buf_str(&out, is_close ? STR("\n") : STR("\n\n"));
        }
    }
    return done(p, &out);
}

/* Windows' line ends are one character to HCL. */
static struct str lines_unify(struct arena *a, struct str text)
{
    struct buf out = {0};
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '\r' || i + 1 == text.n || text.p[i + 1] != '\n') {
            buf_byte(&out, (uint8_t)text.p[i]);
        }
    }
    struct str s = arena_str(a, buf_view(&out));
    buf_deinit(&out);
    return s;
}

int hcl_format(struct arena *a, struct str text, hcl_rename_fn rename, struct str *ret_text,
               struct err *err)
{
    struct arena tmp = {0};
    struct value *ignored;
    struct node root = {.kind = OBJECT};
    struct str trimmed = str_trim(text);
    int rc = hcl_parse(&tmp, text, &ignored, err);
    if (rc == 0 && trimmed.n > 0 && trimmed.p[0] == '{') {
        rc = err_set(err, ERR_UNSUPPORTED, "only HCL can be laid out, not JSON");
    }
    if (rc == 0) {
        struct reader r = {.a = &tmp};
        r.scanner.text = lines_unify(&tmp, text);
        r.scanner.pos.line = 1;
        struct printer p = {.a = &tmp, .rename = rename};
        rc = items_read(&r, &root);
        rc = rc < 0 ? err_set(err, ERR_INVALID, "the text cannot be laid out") : 0;
        for (size_t i = 0; i < r.all.n; i++) {
            if (!r.all.v[i]->has_owner) {
                avec_push(&tmp, &p.alone, r.all.v[i]);
            }
        }
        *ret_text = rc == 0 ? unfix(a, root_text(&p, &root)) : *ret_text;
    }
    arena_deinit(&tmp);
    return rc;
}
