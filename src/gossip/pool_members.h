/* pool_members.h - the members of a pool as all threads may see them.
 *
 *     struct member_list *list = member_board_read(board);      // any thread
 *     for (size_t i = 0; i < list->count; i++) { const struct member *m = list->v[i]; ... }
 *     list = member_list_unref(list);
 *
 * A list is immutable and counted; so is each member in it. The gossip loop changes its board and
 * publishes it once at the end of a turn in which something has changed: that costs a pointer and a
 * count for each member, a reader a short lock and a count. Nobody copies members, and the gossip
 * loop waits for no reader: the lock is held for the exchange of one pointer.
 *
 * This agent is the first of the list, then the others in the order they came. */
#pragma once
#include "schema/member.h"

#include <stdatomic.h>

/* One state of one member: immutable, counted, freed by whoever drops it last. */
struct member_ref {
    const struct member *member;
    _Atomic uint32_t ref_count;
};

struct member_ref *member_ref_new(const struct member *m); /* a copy */
struct member_ref *member_ref_ref(struct member_ref *r);
struct member_ref *member_ref_unref(struct member_ref *r);

struct member_list {
    size_t count;
    const struct member *const *v;
    _Atomic uint32_t ref_count;
    struct member_ref **refs;
};

struct member_list *member_list_unref(struct member_list *list); /* any thread */
/* By name; NULL: it is not there. */
const struct member *member_list_find(const struct member_list *list, struct str name);

struct member_board;

struct member_board *member_board_new(void); /* an empty list is published */
struct member_board *member_board_free(struct member_board *b);
/* The gossip loop's: a member is new or has changed; the reference stays the caller's. */
void member_board_put(struct member_board *b, struct member_ref *r);
void member_board_remove(struct member_board *b, struct str name);
void member_board_publish(struct member_board *b); /* nothing when nothing has changed */
/* Any thread: a reference to what was published last. */
struct member_list *member_board_read(struct member_board *b);
