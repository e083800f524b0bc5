/* A parsed source is walked along the key table. For each key that is listed under the object in
 * hand the source is asked for it, exactly and then regardless of case, and its value is checked
 * against the key's kind. What the table did not ask for is an invalid key.
 *
 * The rules of what fits what are those of the decoder Consul uses: no text for numbers or the
 * other way round; but a list of one element stands for the element wherever no list is wanted,
 * because that is how HCL blocks arrive. */
#include "agent/config_build.h"
#include "base/gofmt.h"

#define MERGE_ERRORS_MAX 64u

struct merge {
    struct config_builder *b;
    struct arena *a;
    bool from_json;
    VEC(struct str) errors; /* wrong types */
    VEC(struct str) unused; /* unknown keys */
};

/* --- how Go names and prints what was given ------------------------------------------------------
 */

static bool is_list_of_maps(const struct value *v)
{
    bool yes = v->kind == VALUE_LIST && v->list.n > 0;
    for (size_t i = 0; yes && i < v->list.n; i++) {
        yes = v->list.v[i].kind == VALUE_MAP;
    }
    return yes;
}

static const char *go_type(const struct merge *m, const struct value *v)
{
    switch (v->kind) {
    case VALUE_BOOL:
        return "bool";
    case VALUE_INT:
    case VALUE_UINT:
        return m->from_json ? "float64" : "int";
    case VALUE_FLOAT:
        return "float64";
    case VALUE_LIST:
        return !m->from_json && is_list_of_maps(v) ? "[]map[string]interface {}" : "[]interface {}";
    case VALUE_MAP:
        return "map[string]interface {}";
    default:
        return "string";
    }
}

static const char *go_kind(const struct merge *m, const struct value *v)
{
    return v->kind == VALUE_LIST ? "slice" : v->kind == VALUE_MAP ? "map" : go_type(m, v);
}

static void go_print(struct buf *to, const struct value *v, unsigned depth)
{
    switch (v->kind) {
    case VALUE_NULL:
        buf_lit(to, "<nil>");
        break;
    case VALUE_BOOL:
        buf_printf(to, "%s", v->b ? "true" : "false");
        break;
    case VALUE_INT:
        buf_i64(to, v->i);
        break;
    case VALUE_UINT:
        buf_u64(to, v->u);
        break;
    case VALUE_FLOAT:
        go_json_float(to, v->f);
        break;
    case VALUE_STR:
    case VALUE_BYTES:
        buf_str(to, v->s);
        break;
    case VALUE_LIST:
        buf_lit(to, "[");
        for (size_t i = 0; i < v->list.n && depth < 8; i++) {
            buf_printf(to, "%s", i > 0 ? " " : "");
            go_print(to, &v->list.v[i], depth + 1);
        }
        buf_lit(to, "]");
        break;
    case VALUE_MAP:
        buf_lit(to, "map[");
        for (size_t i = 0; i < v->map.n && depth < 8; i++) {
            buf_printf(to, "%s%.*s:", i > 0 ? " " : "", STRF(v->map.v[i].key));
            go_print(to, &v->map.v[i].value, depth + 1);
        }
        buf_lit(to, "]");
        break;
    }
}

static void merge_fail(struct merge *m, const char *format, ...) PRINTF(2, 3);
static void merge_fail(struct merge *m, const char *format, ...)
{
    if (m->errors.n < MERGE_ERRORS_MAX) {
        va_list args;
        va_start(args, format);
        avec_push(m->a, &m->errors, arena_vprintf(m->a, format, args));
        va_end(args);
    }
}

static void merge_fail_type(struct merge *m, struct str name, const char *wanted,
                            const struct value *v)
{
    struct buf text;
    buf_init(&text, 256);
    go_print(&text, v, 0);
    merge_fail(m, "'%.*s' expected type '%s', got unconvertible type '%s', value: '%.*s'",
               STRF(name), wanted, go_type(m, v), STRF(buf_view(&text)));
    buf_deinit(&text);
}

/* --- values against kinds ------------------------------------------------------------------------
 */

static const struct value *unwrap(const struct value *v)
{
    return v->kind == VALUE_LIST && v->list.n == 1 ? &v->list.v[0] : v;
}

/* Lists of one give way to their element, at every depth: free-form maps written in HCL then read
 * as they do in JSON. */
static void unwrap_deep(struct value *v)
{
    if (v->kind == VALUE_LIST) {
        for (size_t i = 0; i < v->list.n; i++) {
            unwrap_deep(&v->list.v[i]);
        }
    } else if (v->kind == VALUE_MAP) {
        for (size_t i = 0; i < v->map.n; i++) {
            struct value *member = &v->map.v[i].value;
            unwrap_deep(member);
            if (member->kind == VALUE_LIST && member->list.n == 1) {
                *member = member->list.v[0];
            }
        }
    }
}

static bool value_to_int(const struct value *v, int64_t *ret_int)
{
    if (v->kind == VALUE_INT) {
        *ret_int = v->i;
        return true;
    }
    if (v->kind == VALUE_FLOAT || v->kind == VALUE_UINT) { /* what is too large for Go wraps */
        double f = v->kind == VALUE_FLOAT ? v->f : (double)v->u;
        *ret_int = f > -0x1p63 && f < 0x1p63 ? (int64_t)f : INT64_MIN;
        return true;
    }
    return false;
}

static bool take_strlist(struct merge *m, struct str name, const struct value *v,
                         struct value *ret_value)
{
    if (v->kind != VALUE_LIST) {
        merge_fail(m, "'%.*s': source data must be an array or slice, got %s", STRF(name),
                   go_kind(m, v));
        return false;
    }
    *ret_value = (struct value){.kind = VALUE_LIST,
                                .list = {ARENA_ARRAY(m->a, struct value, v->list.n), v->list.n}};
    for (size_t i = 0; i < v->list.n; i++) {
        const struct value *element = unwrap(&v->list.v[i]);
        ret_value->list.v[i] = (struct value){.kind = VALUE_STR};
        if (element->kind == VALUE_STR) {
            ret_value->list.v[i] = *element;
        } else if (element->kind != VALUE_NULL) {
            merge_fail_type(m, arena_printf(m->a, "%.*s[%zu]", STRF(name), i), "string", element);
        }
    }
    return true;
}

static bool take_map(struct merge *m, struct str name, const struct value *v, unsigned kind,
                     struct value *ret_value)
{
    v = unwrap(v);
    if (v->kind != VALUE_MAP) {
        merge_fail(m, "'%.*s' expected a map, got '%s'", STRF(name), go_kind(m, v));
        return false;
    }
    if (kind == CONFIG_ANYMAP) {
        struct value *copy = value_copy(m->a, v);
        unwrap_deep(copy);
        *ret_value = *copy;
        return true;
    }
    *ret_value = (struct value){.kind = VALUE_MAP,
                                .map = {ARENA_ARRAY(m->a, struct value_pair, v->map.n), v->map.n}};
    for (size_t i = 0; i < v->map.n; i++) {
        const struct value_pair *from = &v->map.v[i];
        struct value_pair *to = &ret_value->map.v[i];
        struct str element_name = arena_printf(m->a, "%.*s[%.*s]", STRF(name), STRF(from->key));
        to->key = from->key;
        if (kind == CONFIG_STRLISTMAP) {
            (void)take_strlist(m, element_name, &from->value, &to->value);
            continue;
        }
        const struct value *element = unwrap(&from->value);
        to->value = (struct value){.kind = VALUE_STR};
        if (element->kind == VALUE_STR) {
            to->value = *element;
        } else if (element->kind != VALUE_NULL) {
            merge_fail_type(m, element_name, "string", element);
        }
    }
    return true;
}

static bool is_unsigned(const struct config_key *key)
{
    return key->kind == CONFIG_UINT || key->kind == CONFIG_UINT32 || key->kind == CONFIG_UINT64;
}

static bool is_negative(const struct value *v)
{
    return v->kind == VALUE_INT ? v->i < 0 : v->kind == VALUE_FLOAT && v->f < 0;
}

static void fail_negative(struct merge *m, struct str name, const struct value *v)
{
    if (v->kind == VALUE_INT && !m->from_json) {
        merge_fail(m, "cannot parse '%.*s', %lld overflows uint", STRF(name), (long long)v->i);
    } else {
        merge_fail(m, "cannot parse '%.*s', %f overflows uint", STRF(name),
                   v->kind == VALUE_INT ? (double)v->i : v->f);
    }
}

static bool take_scalar(struct merge *m, struct str name, const struct config_key *key,
                        const struct value *v, struct value *ret_value)
{
    static const char *const wanted[] = {
        [CONFIG_STR] = "string",    [CONFIG_BOOL] = "bool",     [CONFIG_INT] = "int",
        [CONFIG_PORT] = "int",      [CONFIG_UINT] = "uint",     [CONFIG_UINT32] = "uint32",
        [CONFIG_UINT64] = "uint64", [CONFIG_FLOAT] = "float64", [CONFIG_DURATION] = "string"};
    v = unwrap(v);
    int64_t i;
    switch (key->kind) {
    case CONFIG_STR:
    case CONFIG_DURATION:
        if (v->kind == VALUE_STR) {
            *ret_value = *v;
            return true;
        }
        break;
    case CONFIG_BOOL:
        if (v->kind == VALUE_BOOL) {
            *ret_value = *v;
            return true;
        }
        break;
    case CONFIG_FLOAT:
        if (v->kind == VALUE_INT || v->kind == VALUE_UINT || v->kind == VALUE_FLOAT) {
            *ret_value = (struct value){.kind = VALUE_FLOAT};
            ret_value->f = v->kind == VALUE_INT    ? (double)v->i
                           : v->kind == VALUE_UINT ? (double)v->u
                                                   : v->f;
            return true;
        }
        break;
    default:
        if (value_to_int(v, &i)) {
            if (is_unsigned(key) && is_negative(v)) {
                fail_negative(m, name, v);
                return false;
            }
            *ret_value = (struct value){.kind = VALUE_INT, .i = i};
            return true;
        }
        break;
    }
    merge_fail_type(m, name, wanted[key->kind], v);
    return false;
}

/* --- objects --------------------------------------------------------------------------------- */

/* Which members of an object have been asked for. */
struct asked {
    const struct value *object;
    bool *used;
};

static const struct value *ask(struct asked *asked, struct str name, const char *alias)
{
    const struct value_pair *pairs = asked->object->map.v;
    size_t count = asked->object->map.n;
    const struct value *found = NULL;
    for (size_t i = count; i-- > 0;) {
        if (str_eq(pairs[i].key, name)) {
            found = found != NULL ? found : &pairs[i].value; /* the last of equal ones counts */
            asked->used[i] = true;
        }
    }
    for (size_t i = 0; i < count && alias != NULL; i++) {
        if (str_eq_fold(pairs[i].key, str_from_cstr(alias))) {
            found = found != NULL ? found : &pairs[i].value;
            asked->used[i] = true;
        }
    }
    for (size_t i = 0; i < count && found == NULL; i++) {
        if (!asked->used[i] && str_eq_fold(pairs[i].key, name)) {
            found = &pairs[i].value;
            asked->used[i] = true;
        }
    }
    return found;
}

static bool take_object(struct merge *m, struct str name, struct str prefix, const struct value *v,
                        struct value *ret_value);

static bool take_objects(struct merge *m, struct str name, const struct config_key *key,
                         struct str prefix, const struct value *v, struct value *ret_value)
{
    if (key->kind == CONFIG_OBJMAP) {
        v = unwrap(v);
        if (v->kind != VALUE_MAP) {
            merge_fail(m, "'%.*s' expected a map, got '%s'", STRF(name), go_kind(m, v));
            return false;
        }
        *ret_value = (struct value){
            .kind = VALUE_MAP, .map = {ARENA_ARRAY(m->a, struct value_pair, v->map.n), v->map.n}};
        for (size_t i = 0; i < v->map.n; i++) {
            ret_value->map.v[i].key = v->map.v[i].key;
            (void)take_object(m,
                              arena_printf(m->a, "%.*s[%.*s]", STRF(name), STRF(v->map.v[i].key)),
                              prefix, &v->map.v[i].value, &ret_value->map.v[i].value);
        }
        return true;
    }
    if (v->kind != VALUE_LIST) {
        merge_fail(m, "'%.*s': source data must be an array or slice, got %s", STRF(name),
                   go_kind(m, v));
        return false;
    }
    *ret_value = (struct value){.kind = VALUE_LIST,
                                .list = {ARENA_ARRAY(m->a, struct value, v->list.n), v->list.n}};
    for (size_t i = 0; i < v->list.n; i++) {
        struct str element_name = arena_printf(m->a, "%.*s[%zu]", STRF(name), i);
        if (key->kind == CONFIG_ANYLIST) {
            (void)take_map(m, element_name, &v->list.v[i], CONFIG_ANYMAP, &ret_value->list.v[i]);
        } else {
            (void)take_object(m, element_name, prefix, &v->list.v[i], &ret_value->list.v[i]);
        }
    }
    return true;
}

static bool take_value(struct merge *m, struct str name, const struct config_key *key,
                       const struct value *v, struct value *ret_value)
{
    struct str prefix = str_from_cstr(key->sub != NULL ? key->sub : key->path);
    switch (key->kind) {
    case CONFIG_STRLIST:
        return take_strlist(m, name, v, ret_value);
    case CONFIG_STRMAP:
    case CONFIG_STRLISTMAP:
    case CONFIG_ANYMAP:
        return take_map(m, name, v, key->kind, ret_value);
    case CONFIG_OBJ:
        return take_object(m, name, prefix, v, ret_value);
    case CONFIG_OBJLIST:
    case CONFIG_OBJMAP:
    case CONFIG_ANYLIST:
        return take_objects(m, name, key, prefix, v, ret_value);
    default:
        return take_scalar(m, name, key, v, ret_value);
    }
}

static void note_unused(struct merge *m, struct str name, const struct asked *asked)
{
    for (size_t i = 0; i < asked->object->map.n; i++) {
        struct str key = asked->object->map.v[i].key;
        if (asked->used[i] || m->unused.n >= MERGE_ERRORS_MAX) {
            continue;
        }
        if (name.n > 0) {
            key = arena_printf(m->a, "%.*s.%.*s", STRF(name), STRF(key));
        }
        if (str_eq_lit(key, "acl_enforce_version_8")) {
            builder_warn(m->b, "config key \"acl_enforce_version_8\" is deprecated and should be "
                               "removed");
        } else {
            avec_push(m->a, &m->unused, key);
        }
    }
}

/* An object that stays a value: a definition, an element of a list. Its members come out under the
 * names of the table, in the table's order. */
static bool take_object(struct merge *m, struct str name, struct str prefix, const struct value *v,
                        struct value *ret_value)
{
    v = unwrap(v);
    *ret_value = (struct value){.kind = VALUE_MAP};
    if (v->kind == VALUE_NULL) {
        return true;
    }
    if (v->kind != VALUE_MAP) {
        merge_fail(m, "'%.*s' expected a map, got '%s'", STRF(name), go_kind(m, v));
        return false;
    }
    struct asked asked = {v, ARENA_ARRAY(m->a, bool, v->map.n)};
    VEC(struct value_pair) pairs = {0};
    for (size_t i = 0; i < config_key_count && v->map.n > 0; i++) {
        const struct config_key *key = &config_key_table[i];
        if (!config_key_is_under(key, prefix)) {
            continue;
        }
        struct str key_name = config_key_name(key);
        const struct value *member = ask(&asked, key_name, key->alias);
        struct value_pair pair = {.key = key_name};
        if (member != NULL && member->kind != VALUE_NULL &&
            take_value(m, arena_printf(m->a, "%.*s.%.*s", STRF(name), STRF(key_name)), key, member,
                       &pair.value)) {
            avec_push(m->a, &pairs, pair);
        }
    }
    note_unused(m, name, &asked);
    ret_value->map.v = pairs.v;
    ret_value->map.n = pairs.n;
    return true;
}

/* --- merging --------------------------------------------------------------------------------- */

static void map_overlay(struct arena *a, struct value *slot, const struct value *v)
{
    struct value_pair *pairs = ARENA_ARRAY(a, struct value_pair, slot->map.n + v->map.n);
    size_t n = 0;
    for (size_t i = 0; i < slot->map.n; i++) {
        if (value_get(v, slot->map.v[i].key) == NULL) {
            pairs[n++] = slot->map.v[i];
        }
    }
    for (size_t i = 0; i < v->map.n; i++) {
        pairs[n++] = v->map.v[i];
    }
    slot->map.v = pairs;
    slot->map.n = n;
}

void slot_merge(struct config_builder *b, size_t index, const struct value *v)
{
    struct value *slot = &b->slots[index];
    if (slot->kind == VALUE_LIST && v->kind == VALUE_LIST) {
        struct value *both = ARENA_ARRAY(b->a, struct value, slot->list.n + v->list.n);
        if (slot->list.n > 0) {
            memcpy(both, slot->list.v, slot->list.n * sizeof(*both));
        }
        if (v->list.n > 0) {
            memcpy(both + slot->list.n, v->list.v, v->list.n * sizeof(*both));
        }
        slot->list.v = both;
        slot->list.n += v->list.n;
    } else if (slot->kind == VALUE_MAP && v->kind == VALUE_MAP) {
        map_overlay(b->a, slot, v);
    } else {
        *slot = *v;
    }
}

static void slots_clear_under(struct config_builder *b, struct str prefix)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_key_table[i];
        if (config_key_is_under(key, prefix)) {
            b->slots[i] = (struct value){.kind = VALUE_NULL};
            if (key->initial != NULL) {
                b->slots[i] = (struct value){.kind = VALUE_STR, .s = str_from_cstr(key->initial)};
            }
        }
    }
}

static void merge_object(struct merge *m, struct str prefix, const struct value *v);

static void merge_member(struct merge *m, size_t index, const struct value *v)
{
    const struct config_key *key = &config_key_table[index];
    struct str path = str_from_cstr(key->path);
    bool is_definition = str_eq_lit(path, "service") || str_eq_lit(path, "check");
    if (key->kind == CONFIG_OBJ && !is_definition) {
        v = unwrap(v);
        if (v->kind != VALUE_MAP) {
            merge_fail(m, "'%s' expected a map, got '%s'", key->path, go_kind(m, v));
            return;
        }
        if ((key->flags & CONFIG_REPLACE) != 0) {
            slots_clear_under(m->b, path);
        }
        if (str_eq_lit(path, "audit")) {
            m->b->slots[index] = (struct value){.kind = VALUE_BOOL, .b = true}; /* it was given */
        }
        merge_object(m, path, v);
        return;
    }
    struct value taken;
    if (!take_value(m, path, key, v, &taken)) {
        return;
    }
    if (is_definition) {
        struct value *one = ARENA_NEW(m->a, struct value);
        *one = taken;
        struct value list = {.kind = VALUE_LIST, .list = {one, 1}};
        slot_merge(m->b, config_key_index(str_eq_lit(path, "service") ? "services" : "checks"),
                   &list);
    } else {
        slot_merge(m->b, index, &taken);
    }
}

/* An object whose members have slots of their own. */
static void merge_object(struct merge *m, struct str prefix, const struct value *v)
{
    struct asked asked = {v, ARENA_ARRAY(m->a, bool, v->map.n)};
    for (size_t i = 0; i < config_key_count && v->map.n > 0; i++) {
        const struct config_key *key = &config_key_table[i];
        if (!config_key_is_under(key, prefix)) {
            continue;
        }
        const struct value *member = ask(&asked, config_key_name(key), key->alias);
        if (member != NULL && member->kind != VALUE_NULL) {
            merge_member(m, i, member);
        }
    }
    note_unused(m, prefix, &asked);
}

static void sort_texts(struct str *texts, size_t n)
{
    for (size_t i = 1; i < n; i++) { /* few: MERGE_ERRORS_MAX */
        struct str text = texts[i];
        size_t j = i;
        for (; j > 0 && str_cmp(texts[j - 1], text) > 0; j--) {
            texts[j] = texts[j - 1];
        }
        texts[j] = text;
    }
}

int config_merge(struct config_builder *b, const struct value *tree, bool from_json,
                 struct err *err)
{
    struct merge m = {.b = b, .a = b->a, .from_json = from_json};
    if (tree->kind != VALUE_MAP) {
        return err_set(err, ERR_INVALID,
                       "json: cannot unmarshal %s into Go value of type map[string]interface {}",
                       value_kind_text(tree->kind));
    }
    merge_object(&m, STR(""), tree);
    if (m.errors.n > 0) {
        struct buf text;
        buf_init(&text, ERR_TEXT_SIZE_MAX);
        sort_texts(m.errors.v, m.errors.n);
        for (size_t i = 0; i < m.errors.n; i++) {
            buf_printf(&text, "%s* %.*s", i > 0 ? "\n" : "", STRF(m.errors.v[i]));
        }
        (void)err_set(err, ERR_INVALID, "%zu error(s) decoding:\n\n%.*s", m.errors.n,
                      STRF(buf_view(&text)));
        buf_deinit(&text);
        return -ERR_INVALID;
    }
    if (m.unused.n > 0) {
        sort_texts(m.unused.v, m.unused.n);
        for (size_t i = 0; i < m.unused.n; i++) {
            m.unused.v[i] = arena_printf(m.a, "invalid config key %.*s", STRF(m.unused.v[i]));
        }
        return err_set(err, ERR_INVALID, "%.*s", STRF(errors_text(m.a, m.unused.v, m.unused.n)));
    }
    return 0;
}
