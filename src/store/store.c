#include "store/store.h"

#include "base/epoch.h"
#include "base/vec.h"
#include "store/row.h"
#include "store/tables.h"

#include <stdatomic.h>

/* A commit allocates the new view, and one block with all that it retires. Rows that own nothing
 * else travel with the nodes in that block; rows that may carry rendered JSON are retired one by
 * one. */

enum effect_kind { EFFECT_LOCK_DELAY, EFFECT_TOMBSTONE };

struct effect {
    enum effect_kind kind;
    size_t key_at, key_size; /* in txn.keys */
    int64_t delay_ns;
};

struct change_at {
    uint16_t table;
    size_t key_at, key_size; /* in txn.keys */
};

struct store_txn {
    struct store *store;
    uint64_t raft_index;
    struct store_view view; /* the changed trees */
    struct tree_txn trees;
    VEC(void *) retired_rows; /* of tables whose rows may have a `rendered` */
    VEC(void *) created_rows;
    VEC(struct change_at) changes;
    VEC(struct effect) effects;
    struct buf keys;
    struct buf key, old_key, primary; /* scratch */
    bool active;
    bool changed;
    bool cleared;
};

struct store {
    struct epoch *epoch;
    _Atomic(struct store_view *) view;
    store_changed_fn listener;
    void *listener_data;
    struct store_effects effects;
    uint64_t commits;
    struct store_txn txn; /* the one that may run */
};

static const char *const table_names[TABLE_COUNT] = {
#define X(id, name) [id] = name,
    STORE_TABLES(X)
#undef X
};

const char *store_table_name(enum store_table table)
{
    return table_names[table];
}

enum store_index store_primary_index(enum store_table table)
{
    return table_defs[table].indexes[0].index;
}

/* The trees in use; the rest of a view stays untouched. */
static void view_copy(struct store_view *to, const struct store_view *from)
{
    memcpy(to->trees, from->trees, sizeof(to->trees[0]) * INDEX_COUNT_NOW);
    to->last_index = from->last_index;
    to->era = from->era;
}

struct store *store_new(struct epoch *epoch)
{
    struct store *s = xcalloc(1, sizeof(*s));
    s->epoch = epoch;
    s->txn.store = s;
    atomic_init(&s->view, xcalloc(1, sizeof(struct store_view)));
    return s;
}

static void row_free_rendered(void *row)
{
    _Atomic(struct rendered *) *cache = row;
    mem_free(atomic_load_explicit(cache, memory_order_relaxed));
    mem_free(row);
}

static void rows_free(struct store_view *v, const struct table_def *def)
{
    struct tree_iter it;
    tree_iter_prefix(&it, &v->trees[def->indexes[0].index], STR_NULL);
    void *row;
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (def->rendered) {
            row_free_rendered(row);
        } else {
            mem_free(row);
        }
    }
}

struct store *store_free(struct store *s)
{
    if (s == NULL) {
        return NULL;
    }
    ASSERT(!s->txn.active);
    struct store_view *v = atomic_load(&s->view);
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (table_defs[i].count > 0) {
            rows_free(v, &table_defs[i]);
        }
    }
    for (size_t i = 0; i < INDEX_COUNT_NOW; i++) {
        tree_destroy(&v->trees[i]);
    }
    vec_deinit(&s->txn.retired_rows);
    vec_deinit(&s->txn.created_rows);
    vec_deinit(&s->txn.changes);
    vec_deinit(&s->txn.effects);
    buf_deinit(&s->txn.keys);
    buf_deinit(&s->txn.key);
    buf_deinit(&s->txn.old_key);
    buf_deinit(&s->txn.primary);
    mem_free(v);
    return mem_free(s);
}

const struct store_view *store_view(const struct store *s)
{
    return atomic_load_explicit(&s->view, memory_order_acquire);
}

void store_set_listener(struct store *s, store_changed_fn fn, void *data)
{
    s->listener = fn;
    s->listener_data = data;
}

void store_set_effects(struct store *s, const struct store_effects *effects)
{
    s->effects = *effects;
}

/* --- reading -------------------------------------------------------------------------------- */

void *store_first(const struct store_view *v, enum store_index index, struct str prefix)
{
    struct tree_iter it;
    store_iter(&it, v, index, prefix);
    return tree_next(&it, NULL);
}

static bool index_is_primary(enum store_index index)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (table_defs[i].count > 0 && table_defs[i].indexes[0].index == index) {
            return true;
        }
    }
    return false;
}

void *store_get(const struct store_view *v, enum store_index index, struct str key)
{
    void *row = tree_get(&v->trees[index], key);
    return row != NULL || index_is_primary(index) ? row : store_first(v, index, key);
}

/* A name in lower case, on the stack where it fits. */
struct lower {
    char space[STORE_KEY_SIZE];
    char *heap;
    struct str s;
};

static void lower_init(struct lower *l, struct str name)
{
    l->heap = name.n > sizeof(l->space) ? xmalloc(name.n) : NULL;
    char *to = l->heap != NULL ? l->heap : l->space;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    l->s = str_make(to, name.n);
}

static void lower_deinit(struct lower *l)
{
    mem_free(l->heap);
}

uint64_t store_index(const struct store_view *v, struct str name)
{
    struct lower key;
    lower_init(&key, name);
    const struct index_row *row = tree_get(&v->trees[INDEX_INDEX_ID], key.s);
    lower_deinit(&key);
    return row != NULL ? row->index : 0;
}

uint64_t store_index_max(const struct store_view *v, const struct str *names, size_t count)
{
    uint64_t max = 0;
    for (size_t i = 0; i < count; i++) {
        max = MAX(max, store_index(v, names[i]));
    }
    return max;
}

void store_index_watch(struct watch_set *ws, struct str name)
{
    if (ws != NULL) {
        struct lower key;
        lower_init(&key, name);
        watch_key(ws, TABLE_INDEX, key.s);
        lower_deinit(&key);
    }
}

static bool table_is_consistent(const struct store_view *v, const struct table_def *def)
{
    struct buf key = {0};
    size_t counts[TABLE_INDEXES_MAX] = {0};
    bool ok = true;
    struct tree_iter it;
    struct str primary;
    const void *row;
    store_iter(&it, v, def->indexes[0].index, STR_NULL);
    while (ok && (row = tree_next(&it, &primary)) != NULL) {
        counts[0]++;
        buf_clear(&key);
        ok = def->indexes[0].key(row, &key) && str_eq(buf_view(&key), primary);
        for (size_t i = 1; ok && i < def->count; i++) {
            buf_clear(&key);
            if (def->indexes[i].key(row, &key)) {
                buf_str(&key, primary);
                counts[i]++;
                ok = tree_get(&v->trees[def->indexes[i].index], buf_view(&key)) == row;
            }
        }
    }
    for (size_t i = 0; ok && i < def->count; i++) {
        ok = counts[i] == v->trees[def->indexes[i].index].count;
    }
    buf_deinit(&key);
    return ok;
}

bool store_is_consistent(const struct store_view *v)
{
    bool ok = true;
    for (size_t i = 0; i < TABLE_COUNT && ok; i++) {
        ok = table_defs[i].count == 0 || table_is_consistent(v, &table_defs[i]);
    }
    return ok;
}

/* --- transactions --------------------------------------------------------------------------- */

struct store_txn *store_txn_begin(struct store *s, uint64_t raft_index)
{
    struct store_txn *tx = &s->txn;
    ASSERT(!tx->active);
    tx->active = true;
    tx->changed = tx->cleared = false;
    tx->raft_index = raft_index;
    view_copy(&tx->view, atomic_load_explicit(&s->view, memory_order_relaxed));
    tree_txn_begin(&tx->trees, s->epoch);
    vec_clear(&tx->retired_rows);
    vec_clear(&tx->created_rows);
    vec_clear(&tx->changes);
    vec_clear(&tx->effects);
    buf_clear(&tx->keys);
    return tx;
}

const struct store_view *store_txn_view(const struct store_txn *tx)
{
    return &tx->view;
}

uint64_t store_txn_raft_index(const struct store_txn *tx)
{
    return tx->raft_index;
}

static struct change_list *txn_change_list(const struct store_txn *tx)
{
    static const struct change everything = {.table = CHANGE_ALL};
    size_t n = tx->cleared ? 1 : tx->changes.n;
    size_t keys_size = tx->cleared ? 0 : tx->keys.n;
    struct change_list *list = xmalloc(sizeof(*list) + n * sizeof(struct change) + keys_size);
    atomic_init(&list->refs, 1);
    list->index = tx->raft_index;
    list->n = n;
    list->v = (struct change *)(list + 1);
    if (tx->cleared) {
        list->v[0] = everything;
        return list;
    }
    char *keys = (char *)(list->v + n);
    if (keys_size > 0) {
        memcpy(keys, tx->keys.p, keys_size);
    }
    for (size_t i = 0; i < n; i++) {
        const struct change_at *c = &tx->changes.v[i];
        list->v[i] =
            (struct change){.table = c->table, .key = str_make(keys + c->key_at, c->key_size)};
    }
    return list;
}

static void run_effects(struct store_txn *tx)
{
    const struct store_effects *to = &tx->store->effects;
    for (size_t i = 0; i < tx->effects.n; i++) {
        const struct effect *e = &tx->effects.v[i];
        if (e->kind == EFFECT_LOCK_DELAY && to->lock_delay != NULL) {
            to->lock_delay(to->data, str_make(tx->keys.p + e->key_at, e->key_size), e->delay_ns);
        } else if (e->kind == EFFECT_TOMBSTONE && to->tombstone != NULL) {
            to->tombstone(to->data, tx->raft_index);
        }
    }
}

#define COMMITS_A_COLLECTION 32u

/* Big transactions (a restore) should not leave their scratch space behind for good. */
#define TXN_KEYS_KEEP_MAX ((size_t)1 << 20)

static void txn_end(struct store_txn *tx)
{
    tx->active = false;
    if (tx->keys.cap > TXN_KEYS_KEEP_MAX) {
        buf_deinit(&tx->keys);
        vec_deinit(&tx->changes);
        vec_deinit(&tx->created_rows);
        vec_deinit(&tx->retired_rows);
    }
}

void store_txn_commit(struct store_txn *tx)
{
    struct store *s = tx->store;
    ASSERT(tx->active);
    if (tx->changed) {
        struct store_view *old = atomic_load_explicit(&s->view, memory_order_relaxed);
        struct store_view *fresh = xcalloc(1, sizeof(*fresh));
        view_copy(fresh, &tx->view);
        fresh->last_index = tx->raft_index;
        atomic_store_explicit(&s->view, fresh, memory_order_release);
        /* Only now may anything of the old view be retired. */
        tree_txn_retire(&tx->trees, old);
        for (size_t i = 0; i < tx->retired_rows.n; i++) {
            if (s->epoch != NULL) {
                epoch_retire(s->epoch, tx->retired_rows.v[i], row_free_rendered);
            } else {
                row_free_rendered(tx->retired_rows.v[i]);
            }
        }
    }
    tree_txn_commit(&tx->trees);
    if (tx->changed) {
        /* The owner collects after each batch of commits; this only bounds what one without batches
         * (a replay of the log) leaves lying about. */
        if (++s->commits % COMMITS_A_COLLECTION == 0 && s->epoch != NULL) {
            (void)epoch_collect(s->epoch);
        }
        run_effects(tx);
        if (s->listener != NULL && (tx->changes.n > 0 || tx->cleared)) {
            struct change_list *changes = txn_change_list(tx);
            s->listener(s->listener_data, changes);
            (void)change_list_unref(changes);
        }
    }
    txn_end(tx);
}

void store_txn_abort(struct store_txn *tx)
{
    ASSERT(tx->active);
    for (size_t i = 0; i < tx->created_rows.n; i++) {
        row_free_rendered(tx->created_rows.v[i]);
    }
    tree_txn_abort(&tx->trees);
    txn_end(tx);
}

static void note_change(struct store_txn *tx, unsigned table, struct str key)
{
    tx->changed = true;
    if (tx->cleared) {
        return; /* everything did */
    }
    if (tx->changes.n > 0) {
        const struct change_at *last = &tx->changes.v[tx->changes.n - 1];
        if (last->table == table &&
            str_eq(str_make(tx->keys.p + last->key_at, last->key_size), key)) {
            return;
        }
    }
    struct change_at c = {.table = (uint16_t)table, .key_at = tx->keys.n, .key_size = key.n};
    buf_str(&tx->keys, key);
    vec_push(&tx->changes, c);
}

static void note_index_change(struct store_txn *tx, const struct index_def *index, struct str key)
{
    if (index->watched) {
        note_change(tx, STORE_WATCH_INDEX(index->index), key);
    }
}

static void row_retire(struct store_txn *tx, const struct table_def *def, void *row)
{
    if (def->rendered) {
        vec_push(&tx->retired_rows, row);
    } else {
        tree_txn_retire(&tx->trees, row);
    }
}

/* Into `to`: the row's key under a secondary index, completed by its primary key. */
static bool secondary_key(const struct index_def *def, const void *row, struct str primary,
                          struct buf *to)
{
    buf_clear(to);
    if (!def->key(row, to)) {
        return false;
    }
    buf_str(to, primary);
    return true;
}

static const struct table_def *table_def(enum store_table table)
{
    ASSERT((unsigned)table < TABLE_COUNT && table_defs[table].count > 0);
    return &table_defs[table];
}

void store_insert(struct store_txn *tx, enum store_table table, void *take_row)
{
    const struct table_def *def = table_def(table);
    ASSERT(tx->active);
    if (def->rendered) {
        vec_push(&tx->created_rows, take_row);
    } else {
        tree_txn_created(&tx->trees, take_row);
    }
    buf_clear(&tx->primary);
    (void)def->indexes[0].key(take_row, &tx->primary);
    struct str primary = buf_view(&tx->primary);
    struct tree *trees = tx->view.trees;
    void *old = tree_insert(&tx->trees, &trees[def->indexes[0].index], primary, take_row);
    ASSERT(old != take_row);
    for (size_t i = 1; i < def->count; i++) {
        const struct index_def *index = &def->indexes[i];
        bool is_in = secondary_key(index, take_row, primary, &tx->key);
        bool was_in = old != NULL && secondary_key(index, old, primary, &tx->old_key);
        struct str key = buf_view(&tx->key);
        struct str old_key = buf_view(&tx->old_key);
        if (was_in && !(is_in && str_eq(key, old_key))) {
            (void)tree_delete(&tx->trees, &trees[index->index], old_key);
            note_index_change(tx, index, old_key);
        }
        if (is_in) {
            (void)tree_insert(&tx->trees, &trees[index->index], key, take_row);
            note_index_change(tx, index, key);
        }
    }
    if (old != NULL) {
        row_retire(tx, def, old);
    }
    note_change(tx, table, primary);
}

bool store_delete(struct store_txn *tx, enum store_table table, struct str primary_key)
{
    const struct table_def *def = table_def(table);
    ASSERT(tx->active);
    struct tree *trees = tx->view.trees;
    void *old = tree_delete(&tx->trees, &trees[def->indexes[0].index], primary_key);
    if (old == NULL) {
        return false;
    }
    for (size_t i = 1; i < def->count; i++) {
        const struct index_def *index = &def->indexes[i];
        if (secondary_key(index, old, primary_key, &tx->old_key)) {
            (void)tree_delete(&tx->trees, &trees[index->index], buf_view(&tx->old_key));
            note_index_change(tx, index, buf_view(&tx->old_key));
        }
    }
    row_retire(tx, def, old);
    note_change(tx, table, primary_key);
    return true;
}

void store_index_set(struct store_txn *tx, struct str name, uint64_t index)
{
    struct index_row *row = xmalloc(sizeof(*row) + name.n);
    char *to = (char *)(row + 1);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    *row = (struct index_row){.index = index, .name = str_make(to, name.n)};
    store_insert(tx, TABLE_INDEX, row);
}

void store_index_raise(struct store_txn *tx, struct str name, uint64_t index)
{
    if (store_index(&tx->view, name) < index) {
        store_index_set(tx, name, index);
    }
}

void store_index_delete(struct store_txn *tx, struct str name)
{
    struct lower key;
    lower_init(&key, name);
    (void)store_delete(tx, TABLE_INDEX, key.s);
    lower_deinit(&key);
}

void store_era_begin(struct store_txn *tx)
{
    tx->view.era++;
}

void store_clear(struct store_txn *tx)
{
    ASSERT(tx->active);
    store_era_begin(tx);
    struct tree *trees = tx->view.trees;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const struct table_def *def = &table_defs[i];
        if (def->count == 0) {
            continue;
        }
        struct tree_iter it;
        tree_iter_prefix(&it, &trees[def->indexes[0].index], STR_NULL);
        void *row;
        while ((row = tree_next(&it, NULL)) != NULL) {
            row_retire(tx, def, row);
        }
    }
    for (size_t i = 0; i < INDEX_COUNT_NOW; i++) {
        tree_clear(&tx->trees, &trees[i]);
    }
    tx->changed = tx->cleared = true;
}

/* --- another content ------------------------------------------------------------------------ */

/* A view that was replaced, with all that is in it. */
struct remains {
    struct store_view *view;
    size_t table, index; /* of which a tree is being freed */
    struct tree_ruin ruin;
    bool is_begun;
    void (*freed)(void *data);
    void *data;
};

#define REMAINS_PART 8u /* a collection frees some thousand parts */

static void row_free(void *row)
{
    mem_free(row);
}

static bool remains_free_part(void *object)
{
    struct remains *m = object;
    while (m->table < TABLE_COUNT) {
        const struct table_def *def = &table_defs[m->table];
        if (m->index == def->count) {
            m->table++;
            m->index = 0;
            continue;
        }
        if (!m->is_begun) {
            m->is_begun = true;
            /* The primary one last: the others' keys are their own, but rows are freed with it. */
            size_t at = def->count - 1 - m->index;
            tree_ruin_begin(&m->ruin, &m->view->trees[def->indexes[at].index]);
        }
        bool is_primary = m->index + 1u == def->count;
        void (*value)(void *) = !is_primary ? NULL : def->rendered ? row_free_rendered : row_free;
        if (!tree_ruin_part(&m->ruin, REMAINS_PART, value)) {
            return false;
        }
        m->is_begun = false;
        m->index++;
    }
    if (m->freed != NULL) {
        m->freed(m->data);
    }
    mem_free(m->view);
    mem_free(m);
    return true;
}

void store_adopt(struct store *s, struct store *take_other, void (*freed)(void *data), void *data)
{
    ASSERT(!s->txn.active && !take_other->txn.active && s->epoch != NULL);
    struct store_view *old = atomic_load_explicit(&s->view, memory_order_relaxed);
    struct store_view *fresh = atomic_load_explicit(&take_other->view, memory_order_relaxed);
    struct remains *remains = xcalloc(1, sizeof(*remains));
    fresh->era = old->era + 1;
    atomic_store_explicit(&s->view, fresh, memory_order_release);
    remains->view = old;
    remains->freed = freed;
    remains->data = data;
    epoch_retire_large(s->epoch, remains, remains_free_part);
    atomic_store(&take_other->view, xcalloc(1, sizeof(*fresh)));
    store_free(take_other);
    if (s->listener != NULL) {
        struct store_txn *tx = &s->txn;
        tx->cleared = true;
        tx->raft_index = fresh->last_index;
        struct change_list *changes = txn_change_list(tx);
        s->listener(s->listener_data, changes);
        (void)change_list_unref(changes);
    }
}

/* --- effects -------------------------------------------------------------------------------- */

void store_effect_lock_delay(struct store_txn *tx, struct str key, int64_t delay_ns)
{
    struct effect e = {
        .kind = EFFECT_LOCK_DELAY, .key_at = tx->keys.n, .key_size = key.n, .delay_ns = delay_ns};
    buf_str(&tx->keys, key);
    vec_push(&tx->effects, e);
}

void store_effect_tombstone(struct store_txn *tx)
{
    struct effect e = {.kind = EFFECT_TOMBSTONE};
    vec_push(&tx->effects, e);
}
