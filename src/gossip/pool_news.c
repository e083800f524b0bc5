#include "gossip/pool_news.h"

#include "base/map.h"
#include "base/mem.h"
#include "loop/loop.h"

#include <pthread.h>

#define MEMBER_KINDS (SERF_EVENT_MEMBER_REAP + 1)

struct member_news;

struct news {
    struct list node;
    enum serf_event_kind kind;
    struct member_ref *member;
    struct member_news *of; /* NULL: of a user event */
    struct serf_user_event *user;
};

struct member_news { /* what waits about one member */
    struct news *v[MEMBER_KINDS];
    uint32_t count;
};

struct pool_news {
    struct loop *home;
    void (*ready)(void *data);
    void *data;
    struct loop_msg msg;
    pthread_mutex_t lock; /* of all below */
    bool is_posted;
    struct list members, users; /* struct news, oldest first */
    struct list held;           /* of members, behind those: to be published */
    struct map by_name;         /* struct member_news; keys are copied */
    uint32_t users_count;
    uint64_t dropped;
};

static struct serf_user_event *user_copy(const struct serf_user_event *e)
{
    size_t size = e->name.n + e->payload.n;
    struct serf_user_event *copy = xmalloc(sizeof(*copy) + size);
    char *p = (char *)(copy + 1);
    *copy = *e;
    if (e->name.n > 0) {
        memcpy(p, e->name.p, e->name.n);
    }
    if (e->payload.n > 0) {
        memcpy(p + e->name.n, e->payload.p, e->payload.n);
    }
    copy->name.p = p;
    copy->payload.p = p + e->name.n;
    return copy;
}

static struct news *news_free(struct news *w)
{
    if (w != NULL) {
        list_remove(&w->node);
        (void)member_ref_unref(w->member);
        mem_free(w->user);
    }
    return mem_free(w);
}

static void news_ready(struct loop_msg *msg)
{
    struct pool_news *n = container_of(msg, struct pool_news, msg);
    pthread_mutex_lock(&n->lock);
    n->is_posted = false;
    pthread_mutex_unlock(&n->lock);
    n->ready(n->data);
}

/* Under the lock: whether the home loop must be told. */
static bool news_wake(struct pool_news *n)
{
    bool is_first = !n->is_posted;
    n->is_posted = true;
    return is_first;
}

/* Under the lock: it does not wait any more. */
static void member_news_drop(struct pool_news *n, struct news *w)
{
    struct member_news *of = w->of;
    of->v[w->kind] = NULL;
    if (--of->count == 0) {
        (void)map_remove(&n->by_name, w->member->member->name);
        mem_free(of);
    }
    list_remove(&w->node);
}

void pool_news_member(struct pool_news *n, enum serf_event_kind kind, struct member_ref *member)
{
    struct news *w = xcalloc(1, sizeof(*w));
    w->kind = kind;
    w->member = member_ref_ref(member);
    pthread_mutex_lock(&n->lock);
    struct member_news *of = map_get(&n->by_name, member->member->name);
    struct news *old = NULL;
    if (of == NULL) {
        of = xcalloc(1, sizeof(*of));
        (void)map_put(&n->by_name, member->member->name, of);
    }
    w->of = of;
    of->count++;
    if (of->v[kind] != NULL) {
        old = of->v[kind];
        member_news_drop(n, old);
    }
    of->v[kind] = w;
    list_push_back(&n->held, &w->node);
    pthread_mutex_unlock(&n->lock);
    (void)news_free(old);
}

void pool_news_publish(struct pool_news *n)
{
    pthread_mutex_lock(&n->lock);
    bool is_first = !list_is_empty(&n->held) && news_wake(n);
    list_splice_back(&n->members, &n->held);
    pthread_mutex_unlock(&n->lock);
    if (is_first) {
        loop_post(n->home, &n->msg);
    }
}

void pool_news_user(struct pool_news *n, const struct serf_user_event *event)
{
    struct news *w = xcalloc(1, sizeof(*w)), *old = NULL;
    w->kind = SERF_EVENT_USER;
    w->user = user_copy(event);
    pthread_mutex_lock(&n->lock);
    if (n->users_count == POOL_NEWS_USER_EVENTS_MAX) {
        old = list_entry(list_pop_front(&n->users), struct news, node);
        n->users_count--;
        n->dropped++;
    }
    list_push_back(&n->users, &w->node);
    n->users_count++;
    bool is_first = news_wake(n);
    pthread_mutex_unlock(&n->lock);
    (void)news_free(old);
    if (is_first) {
        loop_post(n->home, &n->msg);
    }
}

bool pool_news_next(struct pool_news *n, struct pool_news_item *ret)
{
    struct news *w = NULL;
    *ret = (struct pool_news_item){0};
    pthread_mutex_lock(&n->lock);
    if (!list_is_empty(&n->members)) {
        w = list_entry(n->members.next, struct news, node);
        member_news_drop(n, w);
    } else if (!list_is_empty(&n->users)) {
        w = list_entry(list_pop_front(&n->users), struct news, node);
        n->users_count--;
        ret->dropped = n->dropped;
        n->dropped = 0;
    }
    pthread_mutex_unlock(&n->lock);
    if (w == NULL) {
        return false;
    }
    ret->kind = w->kind;
    ret->member = w->member;
    ret->user = w->user;
    mem_free(w);
    return true;
}

void pool_news_item_deinit(struct pool_news_item *item)
{
    item->member = member_ref_unref(item->member);
    item->user = mem_free(item->user);
}

struct pool_news *pool_news_new(struct loop *home, void (*ready)(void *data), void *data)
{
    struct pool_news *n = xcalloc(1, sizeof(*n));
    n->home = home;
    n->ready = ready;
    n->data = data;
    n->msg.run = news_ready;
    list_init(&n->members);
    list_init(&n->users);
    list_init(&n->held);
    pthread_mutex_init(&n->lock, NULL);
    return n;
}

struct pool_news *pool_news_free(struct pool_news *n)
{
    if (n == NULL) {
        return NULL;
    }
    struct pool_news_item item;
    list_splice_back(&n->members, &n->held);
    while (pool_news_next(n, &item)) {
        pool_news_item_deinit(&item);
    }
    map_deinit(&n->by_name);
    pthread_mutex_destroy(&n->lock);
    return mem_free(n);
}
