/* Definitions of services and checks: any struct with a field table. */
#include "agent/config_debug.h"

#include <ctype.h>

#define DEBUG_FIELDS_MAX 64u

static void put_object(struct debug_writer *d, const struct schema *schema, const void *object);

static void put_field(struct debug_writer *d, const struct field *f, const void *object)
{
    static const struct check_def no_check = {0};
    const void *p = (const char *)object + f->offset;
    switch (f->kind) {
    case FIELD_STR:
        json_str(d->w,
                 debug_is_secret(str_from_cstr(f->name)) ? HIDDEN_TEXT : *(const struct str *)p);
        break;
    case FIELD_DURATION:
        debug_put_duration(d, *(const int64_t *)p);
        break;
    case FIELD_STRLIST:
        debug_put_strlist(d->w, *(const struct strlist *)p);
        break;
    case FIELD_STRMAP:
        debug_put_strmap(d->w, *(const struct strmap *)p);
        break;
    case FIELD_STRLISTMAP: {
        const struct strlistmap *map = p;
        json_object_begin(d->w);
        for (size_t i = 0; i < map->n; i++) {
            json_key(d->w, map->v[i].key);
            debug_put_strlist(d->w, map->v[i].values);
        }
        json_object_end(d->w);
        break;
    }
    case FIELD_VALUE:
        debug_put_value_map(d, *(const struct value *const *)p);
        break;
    case FIELD_OBJ:
        put_object(d, f->sub, p);
        break;
    case FIELD_PTR:
        if (*(void *const *)p != NULL) {
            put_object(d, f->sub, *(void *const *)p);
        } else if (f->sub == &check_type_schema) {
            put_object(d, f->sub, &no_check); /* not a pointer in Consul */
        } else {
            json_null(d->w);
        }
        break;
    case FIELD_OBJLIST:
    case FIELD_PTRLIST: {
        size_t n = f->kind == FIELD_OBJLIST ? ((const struct objlist *)p)->n
                                            : ((const struct ptrlist *)p)->n;
        json_array_begin(d->w);
        for (size_t i = 0; i < n; i++) {
            put_object(d, f->sub,
                       f->kind == FIELD_OBJLIST
                           ? (const char *)((const struct objlist *)p)->v + i * f->sub->size
                           : ((const struct ptrlist *)p)->v[i]);
        }
        json_array_end(d->w);
        break;
    }
    case FIELD_OBJMAP: {
        const struct objmap *map = p;
        json_object_begin(d->w);
        for (size_t i = 0; i < map->n; i++) {
            json_key(d->w, map->v[i].key);
            put_object(d, f->sub, map->v[i].value);
        }
        json_object_end(d->w);
        break;
    }
    default:
        json_field(d->w, f, object);
        break;
    }
}

/* Members in the order of their names, all of them, empty or not. */
static void put_object(struct debug_writer *d, const struct schema *schema, const void *object)
{
    const struct field *sorted[DEBUG_FIELDS_MAX];
    size_t n = 0;
    for (const struct field *f = schema->fields; f->name != NULL && n < DEBUG_FIELDS_MAX; f++) {
        if ((f->flags & F_ALIAS) != 0) {
            continue;
        }
        size_t i = n++;
        for (; i > 0 && strcmp(sorted[i - 1]->name, f->name) > 0; i--) {
            sorted[i] = sorted[i - 1];
        }
        sorted[i] = f;
    }
    bool has_meta = schema == &check_def_schema || schema == &service_def_schema;
    json_object_begin(d->w);
    for (size_t i = 0; i < n; i++) {
        if (has_meta && strcmp(sorted[i]->name, "EnterpriseMeta") > 0) {
            has_meta = false;
            debug_put_named(d->w, "EnterpriseMeta");
            debug_put_nothing(d);
        }
        debug_put_named(d->w, sorted[i]->name);
        put_field(d, sorted[i], object);
    }
    json_object_end(d->w);
}

static void put_objects(struct debug_writer *d, const struct schema *schema, struct objlist list)
{
    json_array_begin(d->w);
    for (size_t i = 0; i < list.n; i++) {
        put_object(d, schema, (const char *)list.v + i * schema->size);
    }
    json_array_end(d->w);
}

void debug_put_checks(struct debug_writer *d)
{
    put_objects(d, &check_def_schema, d->config->checks);
}

void debug_put_services(struct debug_writer *d)
{
    put_objects(d, &service_def_schema, d->config->services);
}
