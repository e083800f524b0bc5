/* The table of intentions: its rows, and what is read from them. */
#include "store/intention.h"

#include "base/blake2b.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/vec.h"
#include "store/session.h"
#include "store/system_metadata.h"

#include <stdlib.h>

#define INDEX_NAME_CONFIG STR("config-entries")
#define INDEX_NAME_LEGACY STR("connect-intentions")
#define EXTERNAL_SOURCE STR("external-source") /* a key of the metadata */

/* --- rows ------------------------------------------------------------------------------------ */

static void hash_content(const struct intention *i, uint8_t ret_hash[BLAKE2B_SIZE])
{
    const struct str parts[] = {i->id,          i->description,    i->source_ns,
                                i->source_name, i->destination_ns, i->destination_name,
                                i->source_type, i->action};
    struct blake2b h;
    uint8_t precedence[8];
    blake2b_init(&h);
    for (size_t k = 0; k < ARRAY_SIZE(parts); k++) {
        blake2b_add(&h, parts[k]);
    }
    for (unsigned k = 0; k < sizeof(precedence); k++) {
        precedence[k] = (uint8_t)((uint64_t)i->precedence >> 8 * k);
    }
    blake2b_add(&h, str_make(precedence, sizeof(precedence)));
    for (size_t k = 0; k < i->meta.n; k++) {
        blake2b_add(&h, i->meta.v[k].key);
        blake2b_add(&h, i->meta.v[k].value);
    }
    blake2b_finish(&h, ret_hash);
}

static void insert(struct store_txn *tx, const struct service_intentions *e,
                   const struct source_intention *s)
{
    uint8_t hash[BLAKE2B_SIZE];
    struct intention i = {
        .created_at = s->legacy_create_time,
        .updated_at = s->legacy_update_time,
        .id = s->legacy_id,
        .description = s->description,
        .source_ns = INTENTION_NAMESPACE,
        .source_name = s->name,
        .destination_ns = INTENTION_NAMESPACE,
        .destination_name = e->head.name,
        .source_type = s->type,
        .action = s->action,
        .permissions = s->permissions,
        .meta = s->legacy_id.n > 0 ? s->legacy_meta : e->head.meta,
        .precedence = s->precedence,
        .raft = e->head.raft,
    };
    if (i.id.n > 0) {
        hash_content(&i, hash);
        i.hash = str_make(hash, sizeof(hash));
    }
    store_insert(tx, TABLE_INTENTIONS, schema_clone(&intention_schema, &i, NULL));
}

/* A destination with a NUL byte in its name may begin with another's key, so the row is asked. */
static const struct intention *next_of_destination(struct tree_iter *it, struct str destination,
                                                   struct str *ret_key)
{
    const struct intention *row;
    while ((row = tree_next(it, ret_key)) != NULL &&
           !str_eq_fold(row->destination_name, destination)) {
    }
    return row;
}

void intention_rows_delete(struct store_txn *tx, struct str destination)
{
    struct arena a = {0};
    struct buf prefix = {0};
    VEC(struct str) keys = {0};
    struct tree_iter it;
    struct str key;
    store_iter(&it, store_txn_view(tx), INDEX_INTENTIONS_ID, store_key(&prefix, &destination, 1));
    while (next_of_destination(&it, destination, &key) != NULL) {
        avec_push(&a, &keys, arena_str(&a, key));
    }
    for (size_t i = 0; i < keys.n; i++) {
        (void)store_delete(tx, TABLE_INTENTIONS, keys.v[i]);
    }
    buf_deinit(&prefix);
    arena_deinit(&a);
}

int intention_rows_set(struct store_txn *tx, const struct service_intentions *entry,
                       struct err *err)
{
    for (size_t i = 0; i < entry->sources.n; i++) {
        const struct source_intention *s = entry->sources.v[i];
        size_t longest = MAX(s->name.n, s->legacy_id.n);
        if (longest > TREE_KEY_SIZE_MAX / 4) {
            return err_set(err, ERR_TOO_LARGE, "Sources[%zu]: %zu bytes are over the maximum of %u",
                           i, longest, TREE_KEY_SIZE_MAX / 4);
        }
    }
    intention_rows_delete(tx, entry->head.name);
    for (size_t i = 0; i < entry->sources.n; i++) {
        insert(tx, entry, entry->sources.v[i]);
    }
    return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

static bool are_there(const struct store_view *v, struct watch_set *ws)
{
    return str_eq(system_metadata_read(v, ws, SYSTEM_METADATA_INTENTION_FORMAT),
                  SYSTEM_METADATA_INTENTION_FORMAT_CONFIG);
}

static uint64_t index_of(const struct store_view *v, bool are_there)
{
    return MAX(store_index(v, are_there ? INDEX_NAME_CONFIG : INDEX_NAME_LEGACY), 1u);
}

/* A key of an index whose names are as they are written. */
static struct str exact_key(struct buf *to, struct str name)
{
    buf_str(to, name);
    buf_byte(to, 0);
    return buf_view(to);
}

int intention_get(const struct store_view *v, struct watch_set *ws, struct str id,
                  uint64_t *ret_index, const struct intention **ret, struct err *err)
{
    struct buf key = {0};
    struct tree_iter it;
    const struct intention *row = NULL;
    bool is_there = are_there(v, ws);
    if (session_id_check(id, err) < 0) {
        return err_wrap(err, is_there ? "failed config entry lookup: index error"
                                      : "failed intention lookup: index error");
    }
    if (is_there) {
        struct str prefix = exact_key(&key, id);
        watch_prefix(ws, STORE_WATCH_INDEX(INDEX_INTENTIONS_LEGACY_ID), prefix);
        store_iter(&it, v, INDEX_INTENTIONS_LEGACY_ID, prefix);
        row = tree_next(&it, NULL);
    }
    *ret_index = index_of(v, is_there);
    *ret = row;
    buf_deinit(&key);
    return 0;
}

static int check_exact(struct arena *a, const struct intention_query_exact *q, struct err *err)
{
    struct str faults[4];
    size_t n = 0;
    if (q->source_ns.n == 0) {
        faults[n++] = STR("SourceNS is missing");
    }
    if (q->source_name.n == 0) {
        faults[n++] = STR("SourceName is missing");
    }
    if (q->destination_ns.n == 0) {
        faults[n++] = STR("DestinationNS is missing");
    }
    if (q->destination_name.n == 0) {
        faults[n++] = STR("DestinationName is missing");
    }
    return n == 0 ? 0 : err_set(err, ERR_FAILED, "%.*s", STRF(errors_text(a, faults, n)));
}

int intention_get_exact(const struct store_view *v, struct watch_set *ws, struct arena *a,
                        const struct intention_query_exact *q, uint64_t *ret_index,
                        const struct intention **ret, struct err *err)
{
    struct buf key = {0};
    bool is_there = are_there(v, ws);
    int r = check_exact(a, q, err);
    if (r < 0) {
        return r;
    }
    (void)store_key(&key, &q->destination_name, 1);
    struct str whole = exact_key(&key, q->source_name);
    if (is_there) {
        watch_key(ws, TABLE_INTENTIONS, whole);
    }
    *ret = is_there ? store_get(v, INDEX_INTENTIONS_ID, whole) : NULL;
    *ret_index = index_of(v, is_there);
    buf_deinit(&key);
    return 0;
}

/* Highest precedence first, else by names. */
static int by_precedence(const void *x, const void *y)
{
    const struct intention *a = *(const struct intention *const *)x;
    const struct intention *b = *(const struct intention *const *)y;
    if (a->precedence != b->precedence) {
        return a->precedence > b->precedence ? -1 : 1;
    }
    int r = str_cmp(a->source_name, b->source_name);
    return r != 0 ? r : str_cmp(a->destination_name, b->destination_name);
}

static void sort(struct ptrlist *list)
{
    if (list->n > 1) {
        qsort(list->v, list->n, sizeof(list->v[0]), by_precedence);
    }
}

uint64_t intention_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                        struct ptrlist *ret, struct str *ret_origin)
{
    bool is_there = are_there(v, ws);
    size_t count = is_there ? v->trees[INDEX_INTENTIONS_ID].count : 0;
    *ret = (struct ptrlist){SCHEMA_EMPTY, 0};
    *ret_origin = is_there ? STR("config") : STR("legacy");
    if (is_there) {
        watch_prefix(ws, TABLE_INTENTIONS, STR(""));
    }
    if (count > 0) {
        struct tree_iter it;
        void *row;
        ret->v = ARENA_ARRAY(a, void *, count);
        store_iter(&it, v, INDEX_INTENTIONS_ID, STR_NULL);
        while ((row = tree_next(&it, NULL)) != NULL) {
            ret->v[ret->n++] = row;
        }
    }
    sort(ret);
    return index_of(v, is_there);
}

struct matches {
    struct arena *a;
    VEC(void *) rows;
};

static void match_destination(const struct store_view *v, struct watch_set *ws, struct str name,
                              struct matches *to)
{
    struct buf key = {0};
    struct str prefix = store_key(&key, &name, 1);
    struct tree_iter it;
    const struct intention *row;
    watch_prefix(ws, TABLE_INTENTIONS, prefix);
    store_iter(&it, v, INDEX_INTENTIONS_ID, prefix);
    while ((row = next_of_destination(&it, name, NULL)) != NULL) {
        avec_push(to->a, &to->rows, (void *)(uintptr_t)row);
    }
    buf_deinit(&key);
}

static void match_source(const struct store_view *v, struct watch_set *ws, struct str name,
                         struct matches *to)
{
    struct buf key = {0};
    struct str prefix = exact_key(&key, name);
    struct tree_iter it;
    const struct intention *row;
    watch_prefix(ws, STORE_WATCH_INDEX(INDEX_INTENTIONS_SOURCE), prefix);
    store_iter(&it, v, INDEX_INTENTIONS_SOURCE, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (str_eq(row->source_name, name)) { /* it may go on behind a NUL byte */
            avec_push(to->a, &to->rows, (void *)(uintptr_t)row);
        }
    }
    buf_deinit(&key);
}

uint64_t intention_match(const struct store_view *v, struct watch_set *ws, struct arena *a,
                         enum intention_side side, struct str name, struct ptrlist *ret)
{
    const struct str names[] = {name, CONFIG_WILDCARD};
    struct matches matches = {.a = a};
    bool is_there = are_there(v, ws);
    size_t count = str_eq(name, CONFIG_WILDCARD) ? 1 : ARRAY_SIZE(names);
    for (size_t i = 0; is_there && i < count; i++) {
        if (side == INTENTION_SOURCE) {
            match_source(v, ws, names[i], &matches);
        } else {
            match_destination(v, ws, names[i], &matches);
        }
    }
    *ret = (struct ptrlist){matches.rows.v, matches.rows.n};
    sort(ret);
    return index_of(v, is_there);
}

int intention_side_parse(struct str text, enum intention_side *ret, struct err *err)
{
    if (str_eq(text, INTENTION_BY_SOURCE)) {
        *ret = INTENTION_SOURCE;
    } else if (str_eq(text, INTENTION_BY_DESTINATION)) {
        *ret = INTENTION_DESTINATION;
    } else {
        return err_set(err, ERR_FAILED, "invalid intention match type: %.*s", STRF(text));
    }
    return 0;
}

/* --- deciding -------------------------------------------------------------------------------- */

static bool concerns(const struct intention *i, enum intention_side side, struct str ns,
                     struct str name)
{
    struct str its = side == INTENTION_SOURCE ? i->source_name : i->destination_name;
    return str_eq(ns, INTENTION_NAMESPACE) && (str_eq(its, CONFIG_WILDCARD) || str_eq(its, name));
}

struct intention_decision intention_decide(struct ptrlist intentions, enum intention_side side,
                                           struct str ns, struct str name, bool default_allow,
                                           bool allow_permissions)
{
    struct intention_decision d = {.allowed = default_allow, .default_allow = default_allow};
    const struct intention *i = NULL;
    for (size_t k = 0; k < intentions.n && i == NULL; k++) {
        i = concerns(intentions.v[k], side, ns, name) ? intentions.v[k] : NULL;
    }
    if (i != NULL) {
        d.has_permissions = i->permissions.n > 0;
        d.allowed = d.has_permissions ? allow_permissions : str_eq(i->action, INTENTION_ALLOW);
        d.has_exact = !str_eq(i->source_name, CONFIG_WILDCARD) &&
                      !str_eq(i->destination_name, CONFIG_WILDCARD);
        (void)strmap_get(i->meta, EXTERNAL_SOURCE, &d.external_source);
    }
    return d;
}
