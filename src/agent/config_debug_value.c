/* The values of the configuration as /v1/agent/self shows them. */
#include "agent/config_debug.h"

#include "base/buf.h"
#include "base/clock.h"

#include <ctype.h>
#include <float.h>
#include <math.h>

#define DEBUG_DEPTH_MAX 16u

bool debug_is_secret(struct str name)
{
    static const char *const marks[] = {"key", "token", "secret"};
    if (str_eq_lit(name, "TokenLocality") || str_eq_lit(name, "IntroTokenFile")) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        struct str mark = str_from_cstr(marks[i]);
        for (size_t j = 0; j + mark.n <= name.n; j++) {
            if (str_eq_fold(str_make(name.p + j, mark.n), mark)) {
                return true;
            }
        }
    }
    return false;
}

void debug_put_named(struct json_writer *w, const char *name)
{
    json_key(w, str_from_cstr(name));
}

void debug_put_duration(struct debug_writer *d, int64_t ns)
{
    json_str(d->w, duration_format(&d->a, ns));
}

void debug_put_strlist(struct json_writer *w, struct strlist list)
{
    json_array_begin(w);
    for (size_t i = 0; i < list.n; i++) {
        json_str(w, list.v[i]);
    }
    json_array_end(w);
}

void debug_put_strmap(struct json_writer *w, struct strmap map)
{
    json_object_begin(w);
    for (size_t i = 0; i < map.n; i++) {
        json_key(w, map.v[i].key);
        json_str(w, debug_is_secret(map.v[i].key) ? HIDDEN_TEXT : map.v[i].value);
    }
    json_object_end(w);
}

/* Values of cloud auto-join are key=value words; the secret ones are hidden. */
static void put_joins(struct debug_writer *d, struct strlist joins)
{
    json_array_begin(d->w);
    for (size_t i = 0; i < joins.n; i++) {
        struct str rest = joins.v[i], word, key, value;
        struct buf text = {0};
        while (str_split_next(&rest, ' ', &word)) {
            if (word.n == 0) {
                continue;
            }
            buf_printf(&text, "%s", text.n > 0 ? " " : "");
            if (debug_is_secret(word)) {
                (void)str_cut(word, '=', &key, &value);
                buf_str(&text, key);
                buf_lit(&text, "=hidden");
            } else {
                buf_str(&text, word);
            }
        }
        json_str(d->w, buf_view(&text));
        buf_deinit(&text);
    }
    json_array_end(d->w);
}

static void put_addr(struct debug_writer *d, const char *network, struct config_addr addr)
{
    bool is_v6 = str_find_byte(addr.host, ':') >= 0;
    if (addr.path.n > 0) {
        json_str(d->w, arena_printf(&d->a, "unix://%.*s", STRF(addr.path)));
    } else if (addr.host.n == 0) {
        json_str(d->w, STR(""));
    } else {
        json_str(d->w, arena_printf(&d->a, is_v6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u", network,
                                    STRF(addr.host), addr.port));
    }
}

void debug_put_addrs(struct debug_writer *d, const char *network, struct config_addrlist addrs)
{
    for (size_t i = 0; i < addrs.n; i++) {
        put_addr(d, network, addrs.v[i]);
    }
}

static void put_float(struct json_writer *w, double f)
{
    json_f64(w, isinf(f) ? DBL_MAX : f);
}

void debug_put_value(struct debug_writer *d, struct str name, const struct value *v, unsigned depth)
{
    if (v == NULL || depth > DEBUG_DEPTH_MAX) {
        json_null(d->w);
    } else if (v->kind == VALUE_STR && debug_is_secret(name)) {
        json_str(d->w, HIDDEN_TEXT);
    } else if (v->kind == VALUE_MAP) {
        struct strpair *keys = ARENA_ARRAY(&d->a, struct strpair, v->map.n);
        for (size_t i = 0; i < v->map.n; i++) {
            keys[i].key = v->map.v[i].key;
        }
        struct strmap sorted = strmap_build(keys, v->map.n);
        json_object_begin(d->w);
        for (size_t i = 0; i < sorted.n; i++) {
            json_key(d->w, sorted.v[i].key);
            debug_put_value(d, sorted.v[i].key, value_get(v, sorted.v[i].key), depth + 1);
        }
        json_object_end(d->w);
    } else if (v->kind == VALUE_LIST) {
        json_array_begin(d->w);
        for (size_t i = 0; i < v->list.n; i++) {
            debug_put_value(d, name, &v->list.v[i], depth + 1);
        }
        json_array_end(d->w);
    } else {
        json_value(d->w, v);
    }
}

void debug_put_value_map(struct debug_writer *d, const struct value *v)
{
    static const struct value none = {.kind = VALUE_MAP};
    debug_put_value(d, STR(""), v != NULL ? v : &none, 0);
}

void debug_put_nothing(struct debug_writer *d)
{
    json_object_begin(d->w);
    json_object_end(d->w);
}

static void put_entry(struct debug_writer *d, const struct debug_entry *e)
{
    const void *p = (const char *)d->config + e->offset;
    switch (e->kind) {
    case DEBUG_STR:
        json_str(d->w, *(const struct str *)p);
        break;
    case DEBUG_BOOL:
        json_bool(d->w, *(const bool *)p);
        break;
    case DEBUG_INT:
        json_i64(d->w, *(const int64_t *)p);
        break;
    case DEBUG_UINT:
        json_u64(d->w, *(const uint64_t *)p);
        break;
    case DEBUG_FLOAT:
        put_float(d->w, *(const double *)p);
        break;
    case DEBUG_DURATION:
        debug_put_duration(d, *(const int64_t *)p);
        break;
    case DEBUG_STRLIST:
        debug_put_strlist(d->w, *(const struct strlist *)p);
        break;
    case DEBUG_JOINS:
        put_joins(d, *(const struct strlist *)p);
        break;
    case DEBUG_STRMAP:
        debug_put_strmap(d->w, *(const struct strmap *)p);
        break;
    case DEBUG_CIDRS: {
        const struct config_cidrlist *cidrs = p;
        json_array_begin(d->w);
        for (size_t i = 0; i < cidrs->n; i++) {
            json_str(d->w, cidrs->v[i].text);
        }
        json_array_end(d->w);
        break;
    }
    case DEBUG_ADDR:
        put_addr(d, "tcp", *(const struct config_addr *)p);
        break;
    case DEBUG_ADDRS:
        json_array_begin(d->w);
        debug_put_addrs(d, "tcp", *(const struct config_addrlist *)p);
        json_array_end(d->w);
        break;
    case DEBUG_VALUE:
        debug_put_value_map(d, *(const struct value *const *)p);
        break;
    case DEBUG_HIDDEN:
        json_str(d->w, HIDDEN_TEXT);
        break;
    case DEBUG_BY_HAND:
        e->put(d);
        break;
    }
}

void debug_put_entries(struct debug_writer *d, const struct debug_entry *entries)
{
    json_object_begin(d->w);
    for (const struct debug_entry *e = entries; e->name != NULL; e++) {
        debug_put_named(d->w, e->name);
        put_entry(d, e);
    }
    json_object_end(d->w);
}
