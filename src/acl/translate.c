#include "acl/translate.h"

#include "base/gofmt.h"
#include "schema/hcl_format.h"
#include "schema/json.h"

#define TRANSLATE_SIZE_MAX (4u << 20)

static struct str key_translate(struct str key)
{
    static const struct {
        struct str from, to;
    } keys[] = {
        {STR_INIT("policy"), STR_INIT("policy")}, /* without quotes, if it had any */
        {STR_INIT("agent"), STR_INIT("agent_prefix")},
        {STR_INIT("key"), STR_INIT("key_prefix")},
        {STR_INIT("node"), STR_INIT("node_prefix")},
        {STR_INIT("query"), STR_INIT("query_prefix")},
        {STR_INIT("service"), STR_INIT("service_prefix")},
        {STR_INIT("session"), STR_INIT("session_prefix")},
        {STR_INIT("event"), STR_INIT("event_prefix")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (str_eq(keys[i].from, key)) {
            return keys[i].to;
        }
    }
    return STR_NULL;
}

/* --- rules in JSON: written down as HCL first --------------------------------------------------
 */

static void put_members(struct buf *to, const struct value *map);

/* Objects of objects are blocks with more than one key. */
static bool is_all_maps(const struct value *v)
{
    for (size_t i = 0; i < v->map.n; i++) {
        if (v->map.v[i].value.kind != VALUE_MAP) {
            return false;
        }
    }
    return v->map.n > 0;
}

static void put_value(struct buf *to, const struct value *v)
{
    switch (v->kind) {
    case VALUE_MAP:
        buf_lit(to, "{\n");
        put_members(to, v);
        buf_lit(to, "}");
        break;
    case VALUE_LIST:
        buf_lit(to, "[");
        for (size_t i = 0; i < v->list.n; i++) {
            put_value(to, &v->list.v[i]);
            buf_lit(to, ", ");
        }
        buf_lit(to, "]");
        break;
    case VALUE_BOOL:
        buf_printf(to, "%s", v->b ? "true" : "false");
        break;
    case VALUE_INT:
        buf_printf(to, "%lld", (long long)v->i);
        break;
    case VALUE_UINT:
        buf_printf(to, "%llu", (unsigned long long)v->u);
        break;
    case VALUE_FLOAT:
        go_float_f(to, v->f);
        break;
    case VALUE_STR:
    case VALUE_BYTES:
        go_quote(to, v->s);
        break;
    case VALUE_NULL:
        buf_lit(to, "\"\"");
        break;
    }
}

static bool is_list_of_maps(const struct value *v)
{
    bool is_all = v->kind == VALUE_LIST && v->list.n > 0;
    for (size_t i = 0; is_all && i < v->list.n; i++) {
        is_all = v->list.v[i].kind == VALUE_MAP;
    }
    return is_all;
}

/* keys: those before it, quoted and apart. A list of objects is the same key again and again. */
static void put_item(struct buf *to, struct str keys, struct str key, const struct value *v)
{
    if (is_list_of_maps(v)) {
        for (size_t i = 0; i < v->list.n; i++) {
            put_item(to, keys, key, &v->list.v[i]);
        }
        return;
    }
    struct buf path = {0};
    buf_str(&path, keys);
    go_quote(&path, key);
    buf_byte(&path, ' ');
    if (v->kind == VALUE_MAP && is_all_maps(v)) {
        for (size_t i = 0; i < v->map.n; i++) {
            put_item(to, buf_view(&path), v->map.v[i].key, &v->map.v[i].value);
        }
    } else {
        buf_str(to, buf_view(&path));
        if (v->kind != VALUE_MAP || keys.n == 0) {
            buf_lit(to, "= ");
        }
        put_value(to, v);
        buf_byte(to, '\n');
    }
    buf_deinit(&path);
}

static void put_members(struct buf *to, const struct value *map)
{
    for (size_t i = 0; i < map->map.n; i++) {
        put_item(to, STR(""), map->map.v[i].key, &map->map.v[i].value);
    }
}

static int from_json(struct arena *a, struct str text, struct str *ret_text, struct err *err)
{
    struct value *value;
    int r = json_parse(a, text, &value, err);
    if (r < 0) {
        return r;
    }
    struct buf out;
    buf_init(&out, TRANSLATE_SIZE_MAX);
    put_members(&out, value);
    if (out.failed) {
        r = err_set(err, ERR_TOO_LARGE, "rules are over the maximum of %u bytes",
                    TRANSLATE_SIZE_MAX);
    } else {
        *ret_text = arena_str(a, buf_view(&out));
    }
    buf_deinit(&out);
    return r;
}

int acl_rules_translate(struct arena *a, struct str rules, struct str *ret_rules, struct err *err)
{
    int r = 0;
    if (str_has_prefix(str_trim(rules), STR("{"))) {
        r = from_json(a, rules, &rules, err);
    }
    if (r >= 0) {
        r = hcl_format(a, rules, key_translate, ret_rules, err);
    }
    return r < 0 ? err_wrap(err, "Failed to parse rules") : 0;
}
