#include "gossip/pool_members.h"

#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>

struct member_board {
    struct map by_name; /* struct member_ref, in the order they came; the gossip loop's */
    bool is_changed;
    pthread_mutex_t lock;
    struct member_list *list; /* under the lock */
};

/* --- members --------------------------------------------------------------------------------- */

struct member_ref *member_ref_new(const struct member *m)
{
    struct member_ref *r = xcalloc(1, sizeof(*r));
    r->member = schema_clone(&member_schema, m, NULL);
    atomic_init(&r->ref_count, 1);
    return r;
}

struct member_ref *member_ref_ref(struct member_ref *r)
{
    atomic_fetch_add_explicit(&r->ref_count, 1, memory_order_relaxed);
    return r;
}

struct member_ref *member_ref_unref(struct member_ref *r)
{
    if (r != NULL && atomic_fetch_sub_explicit(&r->ref_count, 1, memory_order_acq_rel) == 1) {
        mem_free((void *)r->member);
        mem_free(r);
    }
    return NULL;
}

/* --- lists ----------------------------------------------------------------------------------- */

static struct member_list *list_new(const struct map *by_name)
{
    struct member_list *list = xcalloc(1, sizeof(*list));
    const struct member **v = xcalloc(by_name->n + 1, sizeof(*v));
    list->refs = xcalloc(by_name->n + 1, sizeof(*list->refs));
    list->v = v;
    atomic_init(&list->ref_count, 1);
    size_t pos = 0;
    struct str name;
    void *value;
    while (map_next(by_name, &pos, &name, &value)) {
        struct member_ref *r = member_ref_ref(value);
        list->refs[list->count] = r;
        v[list->count++] = r->member;
    }
    return list;
}

struct member_list *member_list_unref(struct member_list *list)
{
    if (list != NULL && atomic_fetch_sub_explicit(&list->ref_count, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < list->count; i++) {
            (void)member_ref_unref(list->refs[i]);
        }
        mem_free((void *)list->v);
        mem_free(list->refs);
        mem_free(list);
    }
    return NULL;
}

const struct member *member_list_find(const struct member_list *list, struct str name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (str_eq(list->v[i]->name, name)) {
            return list->v[i];
        }
    }
    return NULL;
}

/* --- the board ------------------------------------------------------------------------------- */

struct member_board *member_board_new(void)
{
    struct member_board *b = xcalloc(1, sizeof(*b));
    map_init(&b->by_name, MAP_KEYS_BORROWED);
    pthread_mutex_init(&b->lock, NULL);
    b->list = list_new(&b->by_name);
    return b;
}

struct member_board *member_board_free(struct member_board *b)
{
    if (b == NULL) {
        return NULL;
    }
    size_t pos = 0;
    struct str name;
    void *value;
    while (map_next(&b->by_name, &pos, &name, &value)) {
        (void)member_ref_unref(value);
    }
    map_deinit(&b->by_name);
    (void)member_list_unref(b->list);
    pthread_mutex_destroy(&b->lock);
    return mem_free(b);
}

void member_board_put(struct member_board *b, struct member_ref *r)
{
    (void)member_ref_unref(map_put(&b->by_name, r->member->name, member_ref_ref(r)));
    b->is_changed = true;
}

void member_board_remove(struct member_board *b, struct str name)
{
    struct member_ref *r = map_remove(&b->by_name, name);
    b->is_changed |= r != NULL;
    (void)member_ref_unref(r);
}

void member_board_publish(struct member_board *b)
{
    if (!b->is_changed) {
        return;
    }
    struct member_list *list = list_new(&b->by_name);
    b->is_changed = false;
    pthread_mutex_lock(&b->lock);
    struct member_list *old = b->list;
    b->list = list;
    pthread_mutex_unlock(&b->lock);
    (void)member_list_unref(old);
}

struct member_list *member_board_read(struct member_board *b)
{
    pthread_mutex_lock(&b->lock);
    struct member_list *list = b->list;
    atomic_fetch_add_explicit(&list->ref_count, 1, memory_order_relaxed);
    pthread_mutex_unlock(&b->lock);
    return list;
}
