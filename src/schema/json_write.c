/* JSON out. The separators are the caller-facing functions' business (element_begin); the put_…
 * functions below write bare values, and members_put writes whole keys from the plan. */
#include "base/clock.h"
#include "base/encode.h"
#include "base/gofmt.h"
#include "schema/json.h"
#include "schema/plan.h"
#include "schema/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define JSON_INDENT_SIZE 4u

/* --- strings ------------------------------------------------------------------------------- */

/* 1 for bytes that stand for themselves inside quotes: not controls, " \ < > &, nor non-ASCII. */
static const uint8_t plain_byte[256] = {
    [' '] = 1, ['!'] = 1,         ['#' ... '%'] = 1,  ['\'' ... ';'] = 1,
    ['='] = 1, ['?' ... '['] = 1, [']' ... 0x7f] = 1,
};

static const char hex_digit[] = "0123456789abcdef";

/* One character at p that is not plain; how many bytes it was. */
static size_t put_escape(struct buf *to, const uint8_t *p, size_t n)
{
    uint8_t c = p[0];
    if (c < 0x80) {
        char text[6] = {'\\', (char)c, '0', '0', 0, 0};
        switch (c) {
        case '"':
        case '\\':
            break;
        case '\n':
            text[1] = 'n';
            break;
        case '\r':
            text[1] = 'r';
            break;
        case '\t':
            text[1] = 't';
            break;
        default:
            text[1] = 'u';
            text[4] = hex_digit[c >> 4];
            text[5] = hex_digit[c & 15];
            buf_put(to, text, 6);
            return 1;
        }
        buf_put(to, text, 2);
        return 1;
    }
    uint32_t rune;
    size_t width = utf8_decode(p, n, &rune);
    if (width == 1) {
        buf_lit(to, "\\ufffd");
    } else if (rune == 0x2028) {
        buf_lit(to, "\\u2028");
    } else if (rune == 0x2029) {
        buf_lit(to, "\\u2029");
    } else {
        buf_put(to, p, width);
    }
    return width;
}

/* Copy plain bytes from p to `to` (which has room for n + 16), up to the first that is not. */
static inline size_t copy_plain(char *to, const uint8_t *p, size_t n)
{
    size_t i = 0;
#if defined(__SSE2__)
    for (; i + 16 <= n; i += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        /* signed compare: bytes over 0x7f are negative, so "below space" finds them as well */
        __m128i bad = _mm_cmplt_epi8(x, _mm_set1_epi8(' '));
        bad = _mm_or_si128(bad, _mm_cmpeq_epi8(x, _mm_set1_epi8('"')));
        bad = _mm_or_si128(bad, _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
        bad = _mm_or_si128(bad, _mm_cmpeq_epi8(x, _mm_set1_epi8('&')));
        /* '<' (0x3c) and '>' (0x3e) differ in one bit */
        bad = _mm_or_si128(
            bad, _mm_cmpeq_epi8(_mm_and_si128(x, _mm_set1_epi8((char)0xfd)), _mm_set1_epi8('<')));
        _mm_storeu_si128((__m128i *)(void *)(to + i), x);
        unsigned mask = (unsigned)_mm_movemask_epi8(bad);
        if (mask != 0) {
            return i + (size_t)__builtin_ctz(mask);
        }
    }
#endif
    for (; i < n && plain_byte[p[i]]; i++) {
        to[i] = (char)p[i];
    }
    return i;
}

static void put_str(struct buf *to, struct str s)
{
    char *out = buf_reserve(to, s.n + 2 + 16);
    if (UNLIKELY(out == NULL)) {
        return;
    }
    out[0] = '"';
    const uint8_t *p = (const uint8_t *)s.p;
    size_t n = copy_plain(out + 1, p, s.n);
    if (LIKELY(n == s.n)) {
        out[n + 1] = '"';
        to->n += n + 2;
        return;
    }
    to->n += n + 1;
    while (n < s.n) {
        n += put_escape(to, p + n, s.n - n);
        out = buf_reserve(to, s.n - n + 16);
        if (UNLIKELY(out == NULL)) {
            return;
        }
        size_t run = copy_plain(out, p + n, s.n - n);
        to->n += run;
        n += run;
    }
    buf_byte(to, '"');
}

void json_quote(struct buf *to, struct str s)
{
    put_str(to, s);
}

/* --- numbers, times, bytes ----------------------------------------------------------------- */

static void put_u64(struct buf *to, uint64_t u)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";
    char text[20];
    size_t at = sizeof(text);
    while (u >= 100) {
        at -= 2;
        memcpy(text + at, pairs + (u % 100) * 2, 2);
        u /= 100;
    }
    if (u >= 10) {
        at -= 2;
        memcpy(text + at, pairs + u * 2, 2);
    } else {
        text[--at] = (char)('0' + u);
    }
    buf_put(to, text + at, sizeof(text) - at);
}

static void put_i64(struct buf *to, int64_t i)
{
    if (i < 0) {
        buf_byte(to, '-');
        put_u64(to, 0 - (uint64_t)i);
    } else {
        put_u64(to, (uint64_t)i);
    }
}

static void put_base64(struct buf *to, struct str bytes)
{
    if (bytes.p == NULL) {
        buf_lit(to, "null");
        return;
    }
    buf_byte(to, '"');
    base64_encode(to, bytes);
    buf_byte(to, '"');
}

/* The text of a time or duration comes from an arena; this one is on the stack. */
#define TEXT_ARENA_SIZE 256u

static void put_time(struct buf *to, int64_t ns)
{
    _Alignas(ARENA_ALIGN) char room[TEXT_ARENA_SIZE];
    struct arena a = {.p = room, .end = room + sizeof(room)};
    put_str(to, time_format_rfc3339(&a, ns));
    arena_deinit(&a);
}

static void put_duration(struct buf *to, unsigned flags, int64_t ns)
{
    if ((flags & F_DUR_OMIT_ZERO) != 0 && ns == 0) {
        buf_lit(to, "\"\"");
        return;
    }
    if ((flags & F_DUR_TEXT) == 0) {
        put_i64(to, ns);
        return;
    }
    _Alignas(ARENA_ALIGN) char room[TEXT_ARENA_SIZE];
    struct arena a = {.p = room, .end = room + sizeof(room)};
    put_str(to, duration_format(&a, ns));
    arena_deinit(&a);
}

/* --- structure ----------------------------------------------------------------------------- */

static void newline(const struct json_writer *w)
{
    buf_byte(w->to, '\n');
    buf_fill(w->to, ' ', (size_t)w->indent * JSON_INDENT_SIZE);
}

/* Before a list's element or a key. At the top level (pretty, depth 0) there is no line to start.
 */
static void separate(struct json_writer *w)
{
    if (w->comma) {
        buf_byte(w->to, ',');
    }
    if (w->indent > 0) {
        newline(w);
    }
    w->comma = true;
}

static void element_begin(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
    } else {
        separate(w);
    }
}

static void open_put(struct json_writer *w, char c)
{
    buf_byte(w->to, (uint8_t)c);
    w->comma = false;
    if (w->indent >= 0) {
        w->indent++;
    }
}

static void close_put(struct json_writer *w, char c)
{
    if (w->indent >= 0) {
        w->indent--;
        if (w->comma) {
            newline(w);
        }
    }
    buf_byte(w->to, (uint8_t)c);
    w->comma = true;
}

static void key_put(struct json_writer *w, struct str key)
{
    separate(w);
    put_str(w->to, key);
    buf_byte(w->to, ':');
    if (w->indent >= 0) {
        buf_byte(w->to, ' ');
    }
}

static void members_put(struct json_writer *w, const struct schema *schema, const void *object);
static void member_put(struct json_writer *w, const struct field *f, const void *at);

static void object_put(struct json_writer *w, const struct schema *schema, const void *object)
{
    schema = schema_actual(schema, object);
    const struct plan_list *list = &plan_of(schema)->json;
    if (UNLIKELY(plan_is_bare(list))) {
        member_put(w, list->v[0].field, plan_at(&list->v[0], object));
        w->comma = true;
        return;
    }
    open_put(w, '{');
    members_put(w, schema, object);
    close_put(w, '}');
}

static void value_put(struct json_writer *w, const struct value *v);

/* Entries of a map in key order, of several with one key only the last. */
static void map_put(struct json_writer *w, const struct value *v)
{
    open_put(w, '{');
    bool sorted = true;
    for (size_t i = 1; i < v->map.n && sorted; i++) {
        sorted = str_cmp(v->map.v[i - 1].key, v->map.v[i].key) < 0;
    }
    struct value_pair *pairs = v->map.v;
    size_t count = v->map.n;
    struct arena a = {0};
    if (!sorted) {
        pairs = ARENA_ARRAY(&a, struct value_pair, count);
        memcpy(pairs, v->map.v, count * sizeof(*pairs));
        count = pairs_sort(pairs, count, sizeof(*pairs));
    }
    for (size_t i = 0; i < count; i++) {
        key_put(w, pairs[i].key);
        value_put(w, &pairs[i].value);
        w->comma = true;
    }
    arena_deinit(&a);
    close_put(w, '}');
}

static void value_put(struct json_writer *w, const struct value *v)
{
    switch (v != NULL ? v->kind : VALUE_NULL) {
    case VALUE_NULL:
        buf_lit(w->to, "null");
        return;
    case VALUE_BOOL:
        buf_str(w->to, v->b ? STR("true") : STR("false"));
        return;
    case VALUE_INT:
        put_i64(w->to, v->i);
        return;
    case VALUE_UINT:
        put_u64(w->to, v->u);
        return;
    case VALUE_FLOAT:
        go_json_float(w->to, v->f);
        return;
    case VALUE_STR:
        put_str(w->to, v->s);
        return;
    case VALUE_BYTES:
        put_base64(w->to, v->s);
        return;
    case VALUE_LIST:
        open_put(w, '[');
        for (size_t i = 0; i < v->list.n; i++) {
            separate(w);
            value_put(w, &v->list.v[i]);
            w->comma = true;
        }
        close_put(w, ']');
        return;
    case VALUE_MAP:
        map_put(w, v);
        return;
    }
}

static void strlist_put(struct json_writer *w, struct strlist l)
{
    open_put(w, '[');
    for (size_t i = 0; i < l.n; i++) {
        separate(w);
        put_str(w->to, l.v[i]);
    }
    close_put(w, ']');
}

static void strmap_put(struct json_writer *w, struct strmap m)
{
    open_put(w, '{');
    for (size_t i = 0; i < m.n; i++) {
        key_put(w, m.v[i].key);
        put_str(w->to, m.v[i].value);
    }
    close_put(w, '}');
}

/* A nil list or map: true when it was written. */
static bool nil_put(struct json_writer *w, const void *v, unsigned flags, bool map)
{
    if (v != NULL) {
        return false;
    }
    if ((flags & F_NIL_AS_EMPTY) == 0) {
        buf_lit(w->to, "null");
    } else if (map) {
        buf_lit(w->to, "{}");
    } else {
        buf_lit(w->to, "[]");
    }
    return true;
}

static void strlistmap_put(struct json_writer *w, const struct strlistmap *m)
{
    open_put(w, '{');
    for (size_t i = 0; i < m->n; i++) {
        key_put(w, m->v[i].key);
        if (!nil_put(w, m->v[i].values.v, 0, false)) {
            strlist_put(w, m->v[i].values);
        }
        w->comma = true;
    }
    close_put(w, '}');
}

static void intmap_put(struct json_writer *w, const struct intmap *m)
{
    open_put(w, '{');
    for (size_t i = 0; i < m->n; i++) {
        key_put(w, m->v[i].key);
        put_i64(w->to, m->v[i].value);
    }
    close_put(w, '}');
}

static void objmap_put(struct json_writer *w, const struct field *f, const struct objmap *m)
{
    open_put(w, '{');
    for (size_t i = 0; i < m->n; i++) {
        key_put(w, m->v[i].key);
        object_put(w, f->sub, m->v[i].value);
    }
    close_put(w, '}');
}

static void objlist_put(struct json_writer *w, const struct field *f, const struct objlist *l)
{
    open_put(w, '[');
    for (size_t i = 0; i < l->n; i++) {
        separate(w);
        object_put(w, f->sub, (const char *)l->v + i * f->sub->size);
    }
    close_put(w, ']');
}

static void ptrlist_put(struct json_writer *w, const struct field *f, const struct ptrlist *l)
{
    open_put(w, '[');
    for (size_t i = 0; i < l->n; i++) {
        separate(w);
        object_put(w, f->sub, l->v[i]);
    }
    close_put(w, ']');
}

static void numbers_put(struct json_writer *w, const struct field *f, const void *at)
{
    open_put(w, '[');
    if (f->kind == FIELD_INTLIST) {
        const struct intlist *l = at;
        for (size_t i = 0; i < l->n; i++) {
            separate(w);
            put_i64(w->to, l->v[i]);
        }
    } else {
        const struct f64list *l = at;
        for (size_t i = 0; i < l->n; i++) {
            separate(w);
            go_json_float(w->to, l->v[i]);
        }
    }
    close_put(w, ']');
}

static void member_put(struct json_writer *w, const struct field *f, const void *at)
{
    if ((f->flags & F_NULLABLE) != 0 && f->kind < FIELD_INT_PTR && field_is_empty(f, at)) {
        buf_lit(w->to, "null");
        return;
    }
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
        buf_str(w->to, *(const bool *)at ? STR("true") : STR("false"));
        return;
    case FIELD_INT:
        put_i64(w->to, *(const int64_t *)at);
        return;
    case FIELD_UINT:
        put_u64(w->to, *(const uint64_t *)at);
        return;
    case FIELD_FLOAT:
        if ((f->flags & F_FLOAT32) != 0) {
            go_json_float32(w->to, (float)*(const double *)at);
        } else {
            go_json_float(w->to, *(const double *)at);
        }
        return;
    case FIELD_STR:
        put_str(w->to, *(const struct str *)at);
        return;
    case FIELD_BYTES:
        put_base64(w->to, *(const struct str *)at);
        return;
    case FIELD_DURATION:
        put_duration(w->to, f->flags, *(const int64_t *)at);
        return;
    case FIELD_TIME:
        put_time(w->to, *(const int64_t *)at);
        return;
    case FIELD_INT_PTR:
        if (!nil_put(w, *(const void *const *)at, 0, false)) {
            put_i64(w->to, **(const int64_t *const *)at);
        }
        return;
    case FIELD_BOOL_PTR:
        if (!nil_put(w, *(const void *const *)at, 0, false)) {
            buf_str(w->to, **(const bool *const *)at ? STR("true") : STR("false"));
        }
        return;
    case FIELD_INTLIST:
        if (!nil_put(w, ((const struct intlist *)at)->v, f->flags, false)) {
            numbers_put(w, f, at);
        }
        return;
    case FIELD_F64LIST:
        if (!nil_put(w, ((const struct f64list *)at)->v, f->flags, false)) {
            numbers_put(w, f, at);
        }
        return;
    case FIELD_INTMAP:
        if (!nil_put(w, ((const struct intmap *)at)->v, f->flags, true)) {
            intmap_put(w, at);
        }
        return;
    case FIELD_STRLIST:
        if (!nil_put(w, ((const struct strlist *)at)->v, f->flags, false)) {
            strlist_put(w, *(const struct strlist *)at);
        }
        return;
    case FIELD_STRMAP:
        if (!nil_put(w, ((const struct strmap *)at)->v, f->flags, true)) {
            strmap_put(w, *(const struct strmap *)at);
        }
        return;
    case FIELD_STRLISTMAP:
        if (!nil_put(w, ((const struct strlistmap *)at)->v, f->flags, true)) {
            strlistmap_put(w, at);
        }
        return;
    case FIELD_VALUE: {
        const struct value *v = *(const struct value *const *)at;
        if (!nil_put(w, v, f->flags, true)) {
            value_put(w, v);
        }
        return;
    }
    case FIELD_OBJ:
        object_put(w, f->sub, at);
        return;
    case FIELD_PTR:
        if (!nil_put(w, *(const void *const *)at, f->flags, true)) {
            object_put(w, f->sub, *(const void *const *)at);
        }
        return;
    case FIELD_OBJLIST:
        if (!nil_put(w, ((const struct objlist *)at)->v, f->flags, false)) {
            objlist_put(w, f, at);
        }
        return;
    case FIELD_PTRLIST:
        if (!nil_put(w, ((const struct ptrlist *)at)->v, f->flags, false)) {
            ptrlist_put(w, f, at);
        }
        return;
    case FIELD_OBJMAP:
        if (!nil_put(w, ((const struct objmap *)at)->v, f->flags, true)) {
            objmap_put(w, f, at);
        }
        return;
    case FIELD_SPLICE:
        object_put(w, f->sub, at);
        return;
    case FIELD_SPLICE_PTR:
        if (!nil_put(w, *(const void *const *)at, 0, true)) {
            object_put(w, f->sub, *(const void *const *)at);
        }
        return;
    }
}

static void members_put(struct json_writer *w, const struct schema *schema, const void *object)
{
    const struct schema_plan *plan = plan_of(schema);
    for (size_t i = 0; i < plan->json.n; i++) {
        const struct plan_step *s = &plan->json.v[i];
        const void *at = plan_at(s, object);
        if (at == NULL || ((s->flags & F_OMITEMPTY) != 0 && field_is_empty(s->field, at))) {
            continue;
        }
        if (w->indent < 0) {
            size_t skip = w->comma ? 0 : 1;
            if (!plan_key_put(w->to, s->key + skip, s->key_size - skip)) {
                return;
            }
        } else {
            separate(w);
            buf_put(w->to, s->key + 1, s->key_size - 1);
            buf_byte(w->to, ' ');
        }
        member_put(w, s->field, at);
        w->comma = true;
    }
}

/* --- the calls ----------------------------------------------------------------------------- */

void json_object_begin(struct json_writer *w)
{
    element_begin(w);
    open_put(w, '{');
}

void json_object_end(struct json_writer *w)
{
    close_put(w, '}');
}

void json_array_begin(struct json_writer *w)
{
    element_begin(w);
    open_put(w, '[');
}

void json_array_end(struct json_writer *w)
{
    close_put(w, ']');
}

void json_key(struct json_writer *w, struct str key)
{
    key_put(w, key);
    w->after_key = true;
}

void json_null(struct json_writer *w)
{
    element_begin(w);
    buf_lit(w->to, "null");
}

void json_bool(struct json_writer *w, bool b)
{
    element_begin(w);
    buf_str(w->to, b ? STR("true") : STR("false"));
}

void json_i64(struct json_writer *w, int64_t i)
{
    element_begin(w);
    put_i64(w->to, i);
}

void json_u64(struct json_writer *w, uint64_t u)
{
    element_begin(w);
    put_u64(w->to, u);
}

void json_f64(struct json_writer *w, double f)
{
    element_begin(w);
    go_json_float(w->to, f);
}

void json_str(struct json_writer *w, struct str s)
{
    element_begin(w);
    put_str(w->to, s);
}

void json_base64(struct json_writer *w, struct str bytes)
{
    element_begin(w);
    put_base64(w->to, bytes);
}

void json_value(struct json_writer *w, const struct value *v)
{
    element_begin(w);
    value_put(w, v);
    w->comma = true;
}

void json_strlist(struct json_writer *w, struct strlist l)
{
    element_begin(w);
    if (!nil_put(w, l.v, 0, false)) {
        strlist_put(w, l);
    }
}

void json_strmap(struct json_writer *w, struct strmap m)
{
    element_begin(w);
    if (!nil_put(w, m.v, 0, true)) {
        strmap_put(w, m);
    }
}

void json_object(struct json_writer *w, const struct schema *schema, const void *object)
{
    element_begin(w);
    object_put(w, schema, object);
}

void json_members(struct json_writer *w, const struct schema *schema, const void *object)
{
    members_put(w, schema, object);
}

void json_field(struct json_writer *w, const struct field *field, const void *object)
{
    element_begin(w);
    member_put(w, field, field_at(field, object));
    w->comma = true;
}

/* Re-indent from depth `depth`; strings are copied as they are. */
static void indent_put(struct buf *to, struct str json, int depth)
{
    struct json_writer w = {.to = to, .indent = depth};
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        switch (c) {
        case '"': {
            size_t end = i + 1;
            while (end < json.n && json.p[end] != '"') {
                end += json.p[end] == '\\' ? 2 : 1;
            }
            end = MIN(end + 1, json.n);
            buf_put(to, json.p + i, end - i);
            i = end - 1;
            break;
        }
        case '{':
        case '[':
            buf_byte(to, (uint8_t)c);
            w.indent++;
            if (i + 1 < json.n && (json.p[i + 1] == '}' || json.p[i + 1] == ']')) {
                w.indent--;
                buf_byte(to, (uint8_t)json.p[++i]);
            } else {
                newline(&w);
            }
            break;
        case '}':
        case ']':
            w.indent -= w.indent > 0;
            newline(&w);
            buf_byte(to, (uint8_t)c);
            break;
        case ',':
            buf_byte(to, ',');
            newline(&w);
            break;
        case ':':
            buf_lit(to, ": ");
            break;
        case ' ':
        case '\t':
        case '\r':
        case '\n':
            break;
        default:
            buf_byte(to, (uint8_t)c);
        }
    }
}

void json_raw(struct json_writer *w, struct str json)
{
    element_begin(w);
    if (w->indent < 0) {
        buf_str(w->to, json);
    } else {
        indent_put(w->to, json, w->indent);
    }
}

void json_indent(struct buf *to, struct str compact)
{
    indent_put(to, compact, 0);
}
