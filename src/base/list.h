/* list.h - intrusive doubly linked lists with a sentinel head.
 *
 * A node that is not in a list is zeroed (list_is_linked() is false), so that removing twice is
 * harmless. The owner of the embedding struct owns the memory. */
#pragma once
#include "base/compiler.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}
static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}
static inline bool list_is_linked(const struct list *node)
{
    return node->next != NULL;
}
static inline void list_insert_before(struct list *at, struct list *node)
{
    node->next = at;
    node->prev = at->prev;
    at->prev->next = node;
    at->prev = node;
}
static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}
static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}
static inline void list_remove(struct list *node)
{
    if (node->next != NULL) {
        node->next->prev = node->prev;
        node->prev->next = node->next;
        node->next = node->prev = NULL;
    }
}
/* Take the first node out, or NULL. */
static inline struct list *list_pop_front(struct list *head)
{
    if (list_is_empty(head)) {
        return NULL;
    }
    struct list *node = head->next;
    list_remove(node);
    return node;
}
/* Move everything from `from` to the end of `to`. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (!list_is_empty(from)) {
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        list_init(from);
    }
}
#define list_entry(node, type, member) container_of(node, type, member)
/* The current node may be removed inside the loop, no other. */
#define list_for_each(it, head)                                                      \
    for (struct list *it = (head)->next, *it##_next_ = it->next; it != (head);       \
         it = it##_next_, it##_next_ = it->next)
