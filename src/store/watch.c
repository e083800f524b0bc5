#include "store/watch.h"

#include "store/store.h"

#include <stdatomic.h>

/* A registry is a hash table of watched points, exact ones and prefixes alike, each with the list
 * of its watchers. Which lengths of prefixes are watched at all is kept for each table, so that a
 * change looks up its own key and those of its prefixes that may be there, and nothing else. */

struct point {
    struct point *next; /* of the same hash slot */
    struct list links;
    uint64_t hash;
    uint32_t size;
    uint16_t table;
    bool prefix;
    char key[];
};

struct prefix_size {
    uint32_t size;
    uint32_t count; /* points */
};

struct watch_registry {
    struct point **slots; /* a power of two */
    size_t slots_count;
    size_t points_count;
    size_t watches_count;
    struct list watches; /* in the order of registration */
    struct {
        VEC(struct prefix_size) v;
    } sizes[STORE_WATCH_TABLES_MAX];
};

#define SLOTS_MIN 64u

/* --- sets ----------------------------------------------------------------------------------- */

static bool point_eq(const struct watch_point *p, unsigned table, bool prefix, struct str key)
{
    return p->table == table && p->prefix == prefix && str_eq(p->key, key);
}

/* Too many: watch the whole tables instead. */
static void set_widen(struct watch_set *ws)
{
    size_t kept = 0;
    for (size_t i = 0; i < ws->points.n; i++) {
        bool seen = false;
        for (size_t j = 0; j < kept && !seen; j++) {
            seen = ws->points.v[j].table == ws->points.v[i].table;
        }
        if (!seen) {
            ws->points.v[kept++] = (struct watch_point){
                .table = ws->points.v[i].table, .prefix = true, .key = STR_NULL};
        }
    }
    ws->points.n = kept;
}

static void set_add(struct watch_set *ws, unsigned table, bool prefix, struct str key)
{
    ASSERT(table < STORE_WATCH_TABLES_MAX);
    if (ws->points.n > 0 && point_eq(&ws->points.v[ws->points.n - 1], table, prefix, key)) {
        return;
    }
    if (ws->points.n == WATCH_POINTS_MAX) {
        set_widen(ws);
    }
    /* Only widened sets have whole tables first; they must not fill up again. */
    for (size_t i = 0; i < ws->points.n && ws->points.v[i].prefix && ws->points.v[i].key.n == 0;
         i++) {
        if (ws->points.v[i].table == table) {
            return;
        }
    }
    struct watch_point p = {
        .table = (uint16_t)table, .prefix = prefix, .key = arena_str(ws->arena, key)};
    avec_push(ws->arena, &ws->points, p);
}

void watch_key(struct watch_set *ws, unsigned table, struct str key)
{
    if (ws != NULL) {
        set_add(ws, table, false, key);
    }
}

void watch_prefix(struct watch_set *ws, unsigned table, struct str prefix)
{
    if (ws != NULL) {
        set_add(ws, table, true, prefix);
    }
}

/* --- change lists --------------------------------------------------------------------------- */

struct change_list *change_list_ref(struct change_list *c)
{
    (void)atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

struct change_list *change_list_unref(struct change_list *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(c);
    }
    return NULL;
}

/* --- the registry --------------------------------------------------------------------------- */

struct watch_registry *watch_registry_new(void)
{
    struct watch_registry *r = xcalloc(1, sizeof(*r));
    r->slots_count = SLOTS_MIN;
    r->slots = xcalloc(r->slots_count, sizeof(r->slots[0]));
    list_init(&r->watches);
    return r;
}

struct watch_registry *watch_registry_free(struct watch_registry *r)
{
    if (r == NULL) {
        return NULL;
    }
    ASSERT(r->watches_count == 0 && r->points_count == 0);
    for (size_t i = 0; i < STORE_WATCH_TABLES_MAX; i++) {
        vec_deinit(&r->sizes[i].v);
    }
    mem_free(r->slots);
    return mem_free(r);
}

size_t watch_registry_count(const struct watch_registry *r)
{
    return r->watches_count;
}

static uint64_t point_hash(unsigned table, bool prefix, struct str key)
{
    return str_hash(key) ^ ((uint64_t)table * 2 + (prefix ? 1 : 0)) * 0x9e3779b97f4a7c15u;
}

static struct point *point_find(const struct watch_registry *r, unsigned table, bool prefix,
                                struct str key, uint64_t hash)
{
    struct point *p = r->slots[hash & (r->slots_count - 1)];
    while (p != NULL && !(p->hash == hash && p->table == table && p->prefix == prefix &&
                          str_eq(str_make(p->key, p->size), key))) {
        p = p->next;
    }
    return p;
}

static void slots_resize(struct watch_registry *r, size_t count)
{
    struct point **slots = xcalloc(count, sizeof(slots[0]));
    for (size_t i = 0; i < r->slots_count; i++) {
        struct point *p = r->slots[i];
        while (p != NULL) {
            struct point *next = p->next;
            struct point **to = &slots[p->hash & (count - 1)];
            p->next = *to;
            *to = p;
            p = next;
        }
    }
    mem_free(r->slots);
    r->slots = slots;
    r->slots_count = count;
}

static void size_add(struct watch_registry *r, unsigned table, uint32_t size)
{
    for (size_t i = 0; i < r->sizes[table].v.n; i++) {
        if (r->sizes[table].v.v[i].size == size) {
            r->sizes[table].v.v[i].count++;
            return;
        }
    }
    vec_push(&r->sizes[table].v, ((struct prefix_size){.size = size, .count = 1}));
}

static void size_drop(struct watch_registry *r, unsigned table, uint32_t size)
{
    for (size_t i = 0; i < r->sizes[table].v.n; i++) {
        struct prefix_size *s = &r->sizes[table].v.v[i];
        if (s->size == size) {
            if (--s->count == 0) {
                *s = r->sizes[table].v.v[--r->sizes[table].v.n];
            }
            return;
        }
    }
    ASSERT(false); /* a point has its size counted */
}

static struct point *point_get(struct watch_registry *r, const struct watch_point *wanted)
{
    uint64_t hash = point_hash(wanted->table, wanted->prefix, wanted->key);
    struct point *p = point_find(r, wanted->table, wanted->prefix, wanted->key, hash);
    if (p != NULL) {
        return p;
    }
    if (r->points_count >= r->slots_count) {
        slots_resize(r, r->slots_count * 2);
    }
    p = xmalloc(sizeof(*p) + wanted->key.n);
    list_init(&p->links);
    p->hash = hash;
    p->table = wanted->table;
    p->prefix = wanted->prefix;
    p->size = (uint32_t)wanted->key.n;
    if (wanted->key.n > 0) {
        memcpy(p->key, wanted->key.p, wanted->key.n);
    }
    struct point **slot = &r->slots[hash & (r->slots_count - 1)];
    p->next = *slot;
    *slot = p;
    r->points_count++;
    if (p->prefix) {
        size_add(r, p->table, p->size);
    }
    return p;
}

static void point_free(struct watch_registry *r, struct point *p)
{
    struct point **at = &r->slots[p->hash & (r->slots_count - 1)];
    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    r->points_count--;
    if (p->prefix) {
        size_drop(r, p->table, p->size);
    }
    mem_free(p);
    if (r->slots_count > SLOTS_MIN && r->points_count < r->slots_count / 4) {
        slots_resize(r, r->slots_count / 2);
    }
}

void watch_register(struct watch_registry *r, struct watch *w, const struct watch_set *ws)
{
    ASSERT(w->links == NULL);
    size_t n = ws->points.n;
    w->links = n > 1 ? xmalloc(n * sizeof(w->links[0])) : &w->first;
    w->links_count = n;
    w->fired = false;
    w->fired_node = (struct list){0};
    for (size_t i = 0; i < n; i++) {
        struct point *p = point_get(r, &ws->points.v[i]);
        w->links[i] = (struct watch_link){.watch = w, .point = p};
        list_push_back(&p->links, &w->links[i].node);
    }
    w->node = (struct list){0};
    list_push_back(&r->watches, &w->node);
    r->watches_count++;
}

void watch_unregister(struct watch_registry *r, struct watch *w)
{
    if (w->links == NULL) {
        return;
    }
    for (size_t i = 0; i < w->links_count; i++) {
        struct point *p = w->links[i].point;
        list_remove(&w->links[i].node);
        if (list_is_empty(&p->links)) {
            point_free(r, p);
        }
    }
    if (w->links != &w->first) {
        mem_free(w->links);
    }
    w->links = NULL;
    w->links_count = 0;
    list_remove(&w->node);
    list_remove(&w->fired_node);
    r->watches_count--;
}

static void fire_watch(struct watch *w, struct list *fired)
{
    if (!w->fired) {
        w->fired = true;
        list_push_back(fired, &w->fired_node);
    }
}

static void fire_point(struct watch_registry *r, unsigned table, bool prefix, struct str key,
                       struct list *fired)
{
    struct point *p = point_find(r, table, prefix, key, point_hash(table, prefix, key));
    if (p != NULL) {
        list_for_each (it, &p->links) {
            fire_watch(list_entry(it, struct watch_link, node)->watch, fired);
        }
    }
}

void watch_fire(struct watch_registry *r, const struct change_list *changes, struct list *fired)
{
    if (r->watches_count == 0) {
        return;
    }
    for (size_t i = 0; i < changes->n; i++) {
        const struct change *c = &changes->v[i];
        if (c->table == CHANGE_ALL) {
            list_for_each (it, &r->watches) {
                fire_watch(list_entry(it, struct watch, node), fired);
            }
            return;
        }
        fire_point(r, c->table, false, c->key, fired);
        for (size_t j = 0; j < r->sizes[c->table].v.n; j++) {
            uint32_t size = r->sizes[c->table].v.v[j].size;
            if (size <= c->key.n) {
                fire_point(r, c->table, true, str_first(c->key, size), fired);
            }
        }
    }
}
