#include "schema/config_entry.h"

#include "base/err.h"
#include "base/gofmt.h"
#include "schema/config_chain.h"
#include "schema/config_defaults.h"
#include "schema/config_gateways.h"
#include "schema/config_intentions.h"
#include "schema/msgpack.h"

static const struct {
    struct str text;
    const struct schema *schema;
} kinds[CONFIG_ENTRY_KINDS_COUNT] = {
#define X(id, text, type) [id] = {STR_INIT(text), &type##_schema},
    CONFIG_ENTRY_KINDS(X)
#undef X
};

#define X(id, text, type) \
    _Static_assert(offsetof(struct type, head) == 0, "every kind begins with the head");
CONFIG_ENTRY_KINDS(X)
#undef X

struct str config_entry_kind_text(enum config_entry_kind type)
{
    return kinds[type].text;
}

struct strlist config_entry_kinds(void)
{
    static const struct str texts[] = {
#define X(id, text, type) STR_INIT(text),
        CONFIG_ENTRY_KINDS(X)
#undef X
    };
    return (struct strlist){texts, ARRAY_SIZE(texts)};
}

int config_entry_kind_find(struct str kind, struct err *err)
{
    for (int i = 0; i < CONFIG_ENTRY_KINDS_COUNT; i++) {
        if (str_eq(kind, kinds[i].text)) {
            return i;
        }
    }
    return err_set(err, ERR_FAILED, "invalid config entry kind: %.*s", STRF(kind));
}

/* What is not in the tables of all kinds, or must not depend on what was decoded. */
static void set_identity(struct config_entry *entry, enum config_entry_kind type)
{
    entry->type = type;
    entry->kind = kinds[type].text;
    if (type == CONFIG_MESH) {
        entry->name = CONFIG_MESH_NAME;
    }
}

struct config_entry *config_entry_new(struct arena *a, enum config_entry_kind type, struct str name)
{
    struct config_entry *entry = arena_alloc(a, kinds[type].schema->size);
    schema_zero(kinds[type].schema, entry);
    entry->name = name;
    set_identity(entry, type);
    return entry;
}

static const struct schema *entry_actual(const void *object)
{
    return kinds[((const struct config_entry *)object)->type].schema;
}

static const struct field entry_fields[] = {F_STR(struct config_entry, kind, "Kind", 0),
                                            F_STR(struct config_entry, name, "Name", 0),
                                            FIELDS_END};
const struct schema config_entry_schema = {
    .name = "ConfigEntry",
    .size = sizeof(struct config_entry),
    .fields = entry_fields,
    .plan = &(struct schema_plan *){NULL},
    .actual = entry_actual,
};

int config_entry_read(struct cur *c, struct str kind, struct arena *a,
                      struct config_entry **ret_entry, struct err *err)
{
    int type = config_entry_kind_find(kind, err);
    if (type < 0) {
        c->failed = true;
        return type;
    }
    struct config_entry *entry = config_entry_new(a, (enum config_entry_kind)type, STR_NULL);
    int r = msgpack_decode(c, kinds[type].schema, entry, a, err);
    if (r < 0) {
        return r;
    }
    set_identity(entry, (enum config_entry_kind)type);
    const struct value *config =
        type == CONFIG_PROXY_DEFAULTS ? ((struct proxy_defaults *)entry)->config : NULL;
    if (config != NULL && config->kind != VALUE_MAP) {
        c->failed = true;
        return err_set(err, ERR_CORRUPT, "the configuration of proxy-defaults is no map");
    }
    *ret_entry = entry;
    return 0;
}

/* --- from what people write ------------------------------------------------------------------ */

/* HCL says every block in a list of one, and mapstructure's hook takes it out again, whoever wrote
 * it: in free-form configuration [x] is x. Deep within what it took out, but not within maps that
 * were no list; that is the reference's way. */
static void unslice_within(struct value *v)
{
    if (v->kind == VALUE_LIST) {
        for (size_t i = 0; i < v->list.n; i++) {
            unslice_within(&v->list.v[i]);
        }
        return;
    }
    for (size_t i = 0; v->kind == VALUE_MAP && i < v->map.n; i++) {
        struct value *item = &v->map.v[i].value;
        unslice_within(item);
        if (item->kind == VALUE_LIST && item->list.n == 1) {
            *item = item->list.v[0];
        }
    }
}

static const struct value *free_form(struct arena *a, const struct value *given)
{
    struct value *v = value_copy(a, given);
    if (v->kind == VALUE_LIST && v->list.n == 1) {
        *v = v->list.v[0];
    }
    for (size_t i = 0; v->kind == VALUE_MAP && i < v->map.n; i++) {
        struct value *item = &v->map.v[i].value;
        if (item->kind == VALUE_LIST && item->list.n == 1) {
            *item = item->list.v[0];
            unslice_within(item);
        }
    }
    return v;
}

static int check_unused(struct arena *a, struct strlist unused, struct err *err)
{
    struct str *texts = ARENA_ARRAY(a, struct str, unused.n + 1);
    size_t count = 0;
    for (size_t i = 0; i < unused.n; i++) {
        struct str key = unused.v[i];
        if (str_eq_lit(key, "kind") || str_eq_lit(key, "Kind")) {
            continue;
        }
        struct str lower = arena_lower(a, key);
        struct buf quoted = {0};
        go_quote(&quoted, key);
        texts[count++] = arena_printf(a, "invalid config key %.*s%s", STRF(buf_view(&quoted)),
                                      str_has_suffix(lower, STR("namespace"))
                                          ? ", namespaces are a consul enterprise feature"
                                          : "");
        buf_deinit(&quoted);
    }
    return count == 0 ? 0 : err_set(err, ERR_INVALID, "%.*s", STRF(errors_text(a, texts, count)));
}

/* The indexes of what was read are passed over when it is written again, whatever they are. */
static struct value without_indexes(struct arena *a, const struct value *given)
{
    struct value v = *given;
    v.map.v = ARENA_ARRAY(a, struct value_pair, given->map.n + 1);
    v.map.n = 0;
    for (size_t i = 0; i < given->map.n; i++) {
        struct str key = given->map.v[i].key;
        if (!str_eq_lit(key, "CreateIndex") && !str_eq_lit(key, "ModifyIndex")) {
            v.map.v[v.map.n++] = given->map.v[i];
        }
    }
    return v;
}

int config_entry_decode(struct arena *a, const struct value *value, unsigned flags,
                        struct config_entry **ret_entry, struct err *err)
{
    const struct value *kind = value_get(value, STR("Kind"));
    kind = kind != NULL ? kind : value_get(value, STR("kind"));
    if (kind == NULL) {
        return err_set(err, ERR_INVALID,
                       "Payload does not contain a kind/Kind key at the top level");
    }
    if (kind->kind != VALUE_STR) {
        return err_set(err, ERR_INVALID, "Kind value in payload is not a string");
    }
    int type = config_entry_kind_find(kind->s, err);
    if (type < 0) {
        return type;
    }
    struct config_entry *entry = config_entry_new(a, (enum config_entry_kind)type, STR_NULL);
    struct strlist unused;
    struct value members = without_indexes(a, value);
    int r = schema_decode_unused(kinds[type].schema, &members, entry, a,
                                 flags | DECODE_SNAKE | DECODE_WEAK, &unused, err);
    if (r < 0) {
        return r;
    }
    entry->raft = (struct raft_index){0};
    set_identity(entry, (enum config_entry_kind)type);
    if (type == CONFIG_PROXY_DEFAULTS) {
        struct proxy_defaults *proxy = (struct proxy_defaults *)entry;
        if (proxy->config != NULL) {
            proxy->config = free_form(a, proxy->config);
            if (proxy->config->kind != VALUE_MAP) {
                return err_set(
                    err, ERR_INVALID, "1 error(s) decoding:\n\n* 'Config' expected a map, got '%s'",
                    proxy->config->kind == VALUE_INT || proxy->config->kind == VALUE_UINT ||
                            proxy->config->kind == VALUE_FLOAT
                        ? "float64"
                        : value_kind_text(proxy->config->kind));
            }
        }
    }
    r = check_unused(a, unused, err);
    if (r < 0) {
        return r;
    }
    *ret_entry = entry;
    return 0;
}
