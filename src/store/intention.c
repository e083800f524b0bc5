#include "store/intention.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "store/config_check.h"
#include "store/config_entry.h"
#include "store/system_metadata.h"

/* --- entries and their sources --------------------------------------------------------------- */

static const struct service_intentions *entry_find(const struct store_view *v,
                                                   struct str destination)
{
    return (const struct service_intentions *)config_entry_find(v, CONFIG_SERVICE_INTENTIONS,
                                                                destination);
}

/* By name when `by_id` is false. The number of sources when there is none. */
static size_t source_find(const struct service_intentions *e, bool by_id, struct str what)
{
    size_t i = 0;
    for (; i < e->sources.n; i++) {
        const struct source_intention *s = e->sources.v[i];
        if (str_eq(by_id ? s->legacy_id : s->name, what)) {
            break;
        }
    }
    return i;
}

static const struct service_intentions *entry_find_by_id(const struct store_view *v, struct str id)
{
    struct buf prefix = {0};
    buf_str(&prefix, id);
    buf_byte(&prefix, 0);
    const struct intention *row = store_first(v, INDEX_INTENTIONS_LEGACY_ID, buf_view(&prefix));
    buf_deinit(&prefix);
    return row != NULL ? entry_find(v, row->destination_name) : NULL;
}

/* A copy to be changed, with room for one source more. */
static struct service_intentions *entry_copy(const struct service_intentions *e, struct arena *a)
{
    struct service_intentions *copy = schema_copy(a, &config_entry_schema, e);
    void **v = ARENA_ARRAY(a, void *, copy->sources.n + 1);
    for (size_t i = 0; i < copy->sources.n; i++) {
        v[i] = copy->sources.v[i];
    }
    copy->sources.v = v;
    return copy;
}

static struct service_intentions *entry_new(struct str destination, struct arena *a)
{
    struct service_intentions *e = ARENA_NEW(a, struct service_intentions);
    e->head.type = CONFIG_SERVICE_INTENTIONS;
    e->head.kind = config_entry_kind_text(CONFIG_SERVICE_INTENTIONS);
    e->head.name = destination;
    e->sources.v = ARENA_ARRAY(a, void *, 1);
    return e;
}

static int entry_write(struct store_txn *tx, struct service_intentions *e, bool is_legacy,
                       struct arena *a, struct err *err)
{
    config_normalize_intentions(a, e, is_legacy);
    int r = config_validate_intentions(a, e, is_legacy, err);
    return r < 0 ? r : config_entry_set(tx, &e->head, err);
}

/* Without the source at i; the last one takes the entry with it. */
static int source_remove(struct store_txn *tx, const struct service_intentions *old, size_t i,
                         bool is_legacy, struct arena *a, struct err *err)
{
    if (old->sources.n == 1) {
        return config_entry_delete(tx, CONFIG_SERVICE_INTENTIONS, arena_str(a, old->head.name),
                                   err);
    }
    struct service_intentions *e = entry_copy(old, a);
    e->sources.n--;
    for (; i < e->sources.n; i++) {
        e->sources.v[i] = e->sources.v[i + 1];
    }
    return entry_write(tx, e, is_legacy, a, err);
}

/* --- the operations -------------------------------------------------------------------------- */

static int legacy_allowed(const struct service_intentions *e, struct arena *a, struct err *err)
{
    return source_find(e, true, STR("")) == e->sources.n
               ? 0
               : err_set(err, ERR_FAILED,
                         "cannot use legacy intention API to edit intentions with a destination of "
                         "%.*s after editing them via a service-intentions config entry",
                         STRF(go_quoted(a, e->head.name)));
}

/* The entry that holds the intention with this id. */
static int legacy_find(struct store_txn *tx, struct str id, const char *what, struct arena *a,
                       const struct service_intentions **ret, struct err *err)
{
    *ret = id.n > 0 ? entry_find_by_id(store_txn_view(tx), id) : NULL;
    return *ret != NULL ? legacy_allowed(*ret, a, err)
                        : err_set(err, ERR_FAILED, "Cannot %s non-existent intention: '%.*s'", what,
                                  STRF(id));
}

static int create(struct store_txn *tx, const struct intention_mutation *m, struct arena *a,
                  struct err *err)
{
    const struct service_intentions *old = entry_find(store_txn_view(tx), m->destination.name);
    int r = old != NULL ? legacy_allowed(old, a, err) : 0;
    if (r < 0) {
        return r;
    }
    struct service_intentions *e =
        old != NULL ? entry_copy(old, a) : entry_new(m->destination.name, a);
    e->sources.v[e->sources.n++] = m->value;
    return entry_write(tx, e, true, a, err);
}

static int update(struct store_txn *tx, const struct intention_mutation *m, struct arena *a,
                  struct err *err)
{
    const struct service_intentions *old;
    int r = legacy_find(tx, m->id, "modify", a, &old, err);
    if (r < 0) {
        return r;
    }
    struct service_intentions *e = entry_copy(old, a);
    e->sources.v[source_find(e, true, m->id)] = m->value;
    return entry_write(tx, e, true, a, err);
}

static int delete_by_id(struct store_txn *tx, struct str id, struct arena *a, struct err *err)
{
    const struct service_intentions *old;
    int r = legacy_find(tx, id, "delete", a, &old, err);
    return r < 0 ? r : source_remove(tx, old, source_find(old, true, id), true, a, err);
}

static int delete_by_name(struct store_txn *tx, const struct intention_mutation *m, struct arena *a,
                          struct err *err)
{
    const struct service_intentions *old = entry_find(store_txn_view(tx), m->destination.name);
    size_t i = old != NULL ? source_find(old, false, m->source.name) : 0;
    return old == NULL || i == old->sources.n ? 0 : source_remove(tx, old, i, false, a, err);
}

static int upsert(struct store_txn *tx, const struct intention_mutation *m, struct arena *a,
                  struct err *err)
{
    const struct service_intentions *old = entry_find(store_txn_view(tx), m->destination.name);
    struct service_intentions *e =
        old != NULL ? entry_copy(old, a) : entry_new(m->destination.name, a);
    size_t i = source_find(e, false, m->source.name);
    e->sources.n = MAX(e->sources.n, i + 1);
    e->sources.v[i] = m->value;
    return entry_write(tx, e, false, a, err);
}

int intention_mutate(struct store_txn *tx, struct str op, const struct intention_mutation *m,
                     struct arena *a, struct err *err)
{
    if (!str_eq(system_metadata_get(store_txn_view(tx), SYSTEM_METADATA_INTENTION_FORMAT),
                SYSTEM_METADATA_INTENTION_FORMAT_CONFIG)) {
        return err_set(
            err, ERR_FAILED,
            "state: IntentionMutation() is not allowed when intentions are not stored in "
            "config entries");
    }
    if (str_eq(op, INTENTION_DELETE)) {
        return m->id.n > 0 ? delete_by_id(tx, m->id, a, err) : delete_by_name(tx, m, a, err);
    }
    bool is_create = str_eq(op, INTENTION_CREATE), is_update = str_eq(op, INTENTION_UPDATE);
    if (!is_create && !is_update && !str_eq(op, INTENTION_UPSERT)) {
        return err_set(err, ERR_FAILED, "Invalid Intention mutation operation '%.*s'", STRF(op));
    }
    if (m->value == NULL) {
        return err_set(err, ERR_FAILED, "intention mutation without a value");
    }
    return is_create   ? create(tx, m, a, err)
           : is_update ? update(tx, m, a, err)
                       : upsert(tx, m, a, err);
}
