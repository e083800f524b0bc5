/* One ordered tree holds all messages: by how often they were sent, then size (larger first), then
 * age (newer first). It is a treap: a search tree by that order and a heap by a priority that is a
 * hash of the message's number, so it is balanced without being told of randomness. A take() goes
 * through the tiers of equal counts and finds in each, with one descent, the largest message that
 * still fits. What was taken goes back only at the end, one tier further down, so that no message
 * is given twice to one packet.
 *
 * HashiCorp memberlist, queue.go. Seidel, Aragon, "Randomized search trees" (Algorithmica 1996). */
#include "gossip/core/broadcast.h"

#include "base/map.h"
#include "base/mem.h"

struct broadcast {
    struct broadcast *left, *right;
    uint64_t priority;
    uint64_t id;
    uint32_t sent;
    struct str name, message; /* behind the struct */
    void (*done)(void *data);
    void *data;
};

struct broadcast_queue {
    struct broadcast *root;
    struct map by_name; /* keys are the broadcasts' */
    size_t count;
    uint64_t last_id;
};

/* Where something stands in the order; size and id are counted downwards. */
struct place {
    uint32_t sent;
    size_t size;
    uint64_t id;
};

static struct place place_of(const struct broadcast *b)
{
    return (struct place){b->sent, b->message.n, b->id};
}

static bool before(struct place a, struct place b)
{
    if (a.sent != b.sent) {
        return a.sent < b.sent;
    }
    return a.size != b.size ? a.size > b.size : a.id > b.id;
}

/* Finalizer of SplitMix64 (Steele, Lea, Flood). */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* --- the tree --- */

/* What stands before `at`, and the rest. */
static void split(struct broadcast *t, struct place at, struct broadcast **left,
                  struct broadcast **right)
{
    while (t != NULL) {
        if (before(place_of(t), at)) {
            *left = t;
            left = &t->right;
            t = t->right;
        } else {
            *right = t;
            right = &t->left;
            t = t->left;
        }
    }
    *left = *right = NULL;
}

static struct broadcast *merge(struct broadcast *left, struct broadcast *right)
{
    struct broadcast *root = NULL, **to = &root;
    while (left != NULL && right != NULL) {
        if (left->priority > right->priority) {
            *to = left;
            to = &left->right;
            left = left->right;
        } else {
            *to = right;
            to = &right->left;
            right = right->left;
        }
    }
    *to = left != NULL ? left : right;
    return root;
}

static void tree_add(struct broadcast_queue *q, struct broadcast *b)
{
    struct broadcast **to = &q->root;
    while (*to != NULL && (*to)->priority >= b->priority) {
        to = before(place_of(b), place_of(*to)) ? &(*to)->left : &(*to)->right;
    }
    split(*to, place_of(b), &b->left, &b->right);
    *to = b;
    q->count++;
}

static void tree_remove(struct broadcast_queue *q, struct broadcast *b)
{
    struct broadcast **at = &q->root;
    while (*at != b) {
        ASSERT(*at != NULL);
        at = before(place_of(b), place_of(*at)) ? &(*at)->left : &(*at)->right;
    }
    *at = merge(b->left, b->right);
    q->count--;
}

/* The first that does not stand before `at`; NULL: none. */
static struct broadcast *tree_from(const struct broadcast_queue *q, struct place at)
{
    struct broadcast *found = NULL;
    for (struct broadcast *t = q->root; t != NULL;) {
        if (before(place_of(t), at)) {
            t = t->right;
        } else {
            found = t;
            t = t->left;
        }
    }
    return found;
}

/* --- the queue --- */

struct broadcast_queue *broadcast_queue_new(void)
{
    struct broadcast_queue *q = xcalloc(1, sizeof(*q));
    map_init(&q->by_name, MAP_KEYS_BORROWED);
    return q;
}

static void broadcast_free(struct broadcast *b)
{
    if (b->done != NULL) {
        b->done(b->data);
    }
    mem_free(b);
}

static void queue_drop(struct broadcast_queue *q, struct broadcast *b)
{
    tree_remove(q, b);
    if (b->name.n > 0) {
        (void)map_remove(&q->by_name, b->name);
    }
    broadcast_free(b);
}

struct broadcast_queue *broadcast_queue_free(struct broadcast_queue *q)
{
    if (q != NULL) {
        while (q->root != NULL) {
            q->root->done = NULL;
            queue_drop(q, q->root);
        }
        map_deinit(&q->by_name);
        mem_free(q);
    }
    return NULL;
}

void broadcast_queue_put(struct broadcast_queue *q, struct str name, struct str message,
                         void (*done)(void *data), void *data)
{
    struct broadcast *old = name.n > 0 ? map_get(&q->by_name, name) : NULL;
    struct broadcast *b = xcalloc(1, sizeof(*b) + name.n + message.n);
    char *bytes = (char *)(b + 1);
    b->name = str_make(bytes, name.n);
    b->message = str_make(bytes + name.n, message.n);
    if (name.n > 0) {
        memcpy(bytes, name.p, name.n);
    }
    if (message.n > 0) {
        memcpy(bytes + name.n, message.p, message.n);
    }
    b->id = ++q->last_id;
    b->priority = mix(b->id);
    b->done = done;
    b->data = data;
    if (old != NULL) {
        queue_drop(q, old);
    }
    tree_add(q, b);
    if (name.n > 0) {
        (void)map_put(&q->by_name, b->name, b);
    }
}

size_t broadcast_queue_take(struct broadcast_queue *q, uint32_t limit, size_t overhead, size_t room,
                            void (*put)(void *data, struct str message), void *data)
{
    size_t count = 0;
    struct broadcast *taken = NULL; /* by left; to go back */
    uint32_t tier = 0;
    while (room > overhead) {
        struct broadcast *b = tree_from(q, (struct place){tier, room - overhead, UINT64_MAX});
        if (b == NULL) {
            break;
        }
        if (b->sent > tier) { /* nothing more of this tier fits; of that one, larger ones may */
            tier = b->sent;
            continue;
        }
        put(data, b->message);
        count++;
        room -= overhead + b->message.n;
        if (b->sent + 1 >= limit) {
            queue_drop(q, b);
        } else {
            tree_remove(q, b);
            b->left = taken;
            taken = b;
        }
    }
    while (taken != NULL) {
        struct broadcast *b = taken;
        taken = b->left;
        b->left = NULL;
        b->sent++;
        tree_add(q, b);
    }
    return count;
}

size_t broadcast_queue_count(const struct broadcast_queue *q)
{
    return q->count;
}

void broadcast_queue_prune(struct broadcast_queue *q, size_t count)
{
    while (q->count > count) {
        struct broadcast *last = q->root;
        while (last->right != NULL) {
            last = last->right;
        }
        queue_drop(q, last);
    }
}
