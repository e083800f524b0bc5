/* What a decoder says of a value it cannot take. */
#include "base/err.h"
#include "base/gofmt.h"
#include "schema/decode.h"
#include "schema/plan.h"

#include <stdio.h>

static void path_put(struct buf *to, const struct path *path)
{
    if (path->up != NULL) {
        path_put(to, path->up);
    }
    if (path->kind == PATH_INDEX) {
        buf_printf(to, "[%zu]", path->index);
        return;
    }
    if (path->kind == PATH_KEY) {
        buf_byte(to, '[');
    } else if (path->up != NULL) {
        buf_byte(to, '.');
    }
    buf_str(to, str_first(path->name, DECODE_PATH_SIZE_MAX));
    if (path->kind == PATH_KEY) {
        buf_byte(to, ']');
    }
}

struct str decode_path_text(struct decoder *d)
{
    struct buf b = {0};
    if (d->path != NULL) {
        path_put(&b, d->path);
    }
    struct str text = arena_str(d->a, str_first(buf_view(&b), DECODE_PATH_SIZE_MAX));
    buf_deinit(&b);
    return text;
}

int decode_fail_weakly(struct decoder *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = err_vset(d->err, ERR_INVALID, format, args);
    va_end(args);
    char text[ERR_TEXT_SIZE_MAX];
    (void)snprintf(text, sizeof(text), "%s", err_text(d->err));
    (void)err_set(d->err, ERR_INVALID, "1 error(s) decoding:\n\n* %s", text);
    return r;
}

static const char *weak_kind_text(const struct decoder *d, enum value_kind kind)
{
    switch (kind) {
    case VALUE_BOOL:
        return "bool";
    case VALUE_INT:
    case VALUE_UINT:
        return (d->flags & DECODE_FLOATS) != 0 ? "float64" : "int"; /* of JSON, of HCL */
    case VALUE_FLOAT:
        return "float64";
    case VALUE_LIST:
        return "slice";
    case VALUE_MAP:
        return "map";
    default:
        return "string";
    }
}

/* Go names a type by its package, too; nearly all are of structs. Anonymous ones it spells out. */
static bool is_anonymous(const struct schema *schema)
{
    return schema->name[0] == '\0' || strchr(schema->name, ' ') != NULL;
}

const char *decode_type_name(struct decoder *d, const struct schema *schema)
{
    bool is_qualified = is_anonymous(schema) || strchr(schema->name, '.') != NULL;
    return is_qualified ? schema->name : arena_printf(d->a, "structs.%s", schema->name).p;
}

const char *decode_type_of(struct decoder *d, const struct field *f)
{
    const char *before = f->kind == FIELD_OBJLIST   ? "[]"
                         : f->kind == FIELD_PTRLIST ? "[]*"
                         : f->kind == FIELD_OBJMAP  ? "map[string]"
                                                    : NULL;
    return before == NULL ? field_type_text(f)
                          : arena_printf(d->a, "%s%s", before, decode_type_name(d, f->sub)).p;
}

/* Without its package, as in front of a member's name. */
static const char *short_name(const struct schema *schema)
{
    const char *dot = strrchr(schema->name, '.');
    return is_anonymous(schema) ? "" : dot != NULL ? dot + 1 : schema->name;
}

int decode_fail_map(struct decoder *d, const struct value *v, const char *type)
{
    return d->unused == NULL
               ? decode_fail_type(d, v, type)
               : decode_fail_weakly(d, "'%.*s' expected a map, got '%s'", STRF(decode_path_text(d)),
                                    weak_kind_text(d, v->kind));
}

static void value_put(struct decoder *d, struct buf *to, const struct value *v);

static void map_put(struct decoder *d, struct buf *to, const struct value *v)
{
    struct value_pair *pairs = ARENA_ARRAY(d->a, struct value_pair, v->map.n);
    if (v->map.n > 0) {
        memcpy(pairs, v->map.v, v->map.n * sizeof(*pairs));
    }
    size_t count = pairs_sort(pairs, v->map.n, sizeof(*pairs));
    buf_lit(to, "map[");
    for (size_t i = 0; i < count && to->n < DECODE_PATH_SIZE_MAX; i++) {
        buf_str(to, i > 0 ? STR(" ") : STR(""));
        buf_str(to, pairs[i].key);
        buf_byte(to, ':');
        value_put(d, to, &pairs[i].value);
    }
    buf_byte(to, ']');
}

/* As Go's %v prints it, where numbers are floats. */
static void value_put(struct decoder *d, struct buf *to, const struct value *v)
{
    switch (v->kind) {
    case VALUE_NULL:
        buf_lit(to, "<nil>");
        break;
    case VALUE_BOOL:
        buf_str(to, v->b ? STR("true") : STR("false"));
        break;
    case VALUE_INT:
        go_float_g(to, (double)v->i);
        break;
    case VALUE_UINT:
        go_float_g(to, (double)v->u);
        break;
    case VALUE_FLOAT:
        go_float_g(to, v->f);
        break;
    case VALUE_STR:
    case VALUE_BYTES:
        buf_str(to, v->s);
        break;
    case VALUE_LIST:
        buf_byte(to, '[');
        for (size_t i = 0; i < v->list.n && to->n < DECODE_PATH_SIZE_MAX; i++) {
            buf_str(to, i > 0 ? STR(" ") : STR(""));
            value_put(d, to, &v->list.v[i]);
        }
        buf_byte(to, ']');
        break;
    case VALUE_MAP:
        map_put(d, to, v);
        break;
    }
}

/* A list or a map where mapstructure wants something plain. */
static int fail_unconvertible(struct decoder *d, const struct value *v, const char *type)
{
    struct buf b = {0};
    value_put(d, &b, v);
    int r = decode_fail_weakly(
        d, "'%.*s' expected type '%s', got unconvertible type '%s', value: '%.*s'",
        STRF(decode_path_text(d)), type,
        v->kind == VALUE_LIST ? "[]interface {}" : "map[string]interface {}",
        STRF(str_first(buf_view(&b), DECODE_PATH_SIZE_MAX)));
    buf_deinit(&b);
    return r;
}

int decode_fail_type(struct decoder *d, const struct value *v, const char *type)
{
    if (d->unused != NULL && (v->kind == VALUE_LIST || v->kind == VALUE_MAP)) {
        return fail_unconvertible(d, v, type);
    }
    struct buf b = {0};
    if (v->kind == VALUE_FLOAT) {
        buf_byte(&b, ' ');
        go_json_float(&b, v->f);
    } else if (v->kind == VALUE_INT || v->kind == VALUE_UINT) {
        /* Go names the number where its value is what does not fit */
        bool fits = strcmp(type, "int") != 0 && strcmp(type, "uint64") != 0;
        if (!fits) {
            buf_byte(&b, ' ');
            if (v->kind == VALUE_INT) {
                buf_i64(&b, v->i);
            } else {
                buf_u64(&b, v->u);
            }
        }
    }
    int r;
    if (d->path != NULL) {
        r = err_set(d->err, ERR_INVALID,
                    "json: cannot unmarshal %s%.*s into Go struct field %s.%.*s of type %s",
                    value_kind_text(v->kind), STRF(buf_view(&b)), short_name(d->schema),
                    STRF(decode_path_text(d)), type);
    } else {
        r = err_set(d->err, ERR_INVALID, "json: cannot unmarshal %s%.*s into Go value of type %s",
                    value_kind_text(v->kind), STRF(buf_view(&b)), type);
    }
    buf_deinit(&b);
    return r;
}

int decode_fail_unknown(struct decoder *d)
{
    struct buf b = {0};
    go_quote(&b, str_first(d->path->name, DECODE_PATH_SIZE_MAX));
    int r = err_set(d->err, ERR_INVALID, "json: unknown field %.*s", STRF(buf_view(&b)));
    buf_deinit(&b);
    return r;
}

int decode_fail_parse(struct decoder *d, struct str text, const char *type)
{
    struct str quoted = go_quoted(d->a, str_first(text, DECODE_PATH_SIZE_MAX));
    const char *parse = strcmp(type, "int") == 0    ? "Int"
                        : strcmp(type, "uint") == 0 ? "Uint"
                        : strcmp(type, "bool") == 0 ? "Bool"
                                                    : "Float";
    return decode_fail_weakly(d,
                              "cannot parse '%.*s' as %s: strconv.Parse%s: parsing %.*s: "
                              "invalid syntax",
                              STRF(decode_path_text(d)), type, parse, STRF(quoted));
}
