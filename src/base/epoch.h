/* epoch.h - deferred freeing, so that readers need no locks (quiescent-state based reclamation).
 *
 * One domain guards one family of shared immutable objects (the store's trees and rows, the running
 * configuration). A reader thread registers a slot. Between epoch_enter() and epoch_leave(), which
 * the event loop calls around each turn, whatever it loads from an atomic root stays valid. A
 * parked request holds nothing.
 *
 * The writer unpublishes an object first (stores the new root), then retires it. It is freed by
 * epoch_collect() once every reader has left, or entered anew since. A pin keeps everything that is
 * reachable at the time it was taken for as long as a thread likes, across turns: snapshots being
 * written use it. retire and collect are for the one writer thread of the domain; pins and slots
 * are for any.
 *
 * What a collection does is bounded, for the writer has more urgent things to do than freeing a
 * million rows: epoch_is_behind() says when another one should follow soon.
 *
 *     writer: atomic_store(&root, new); epoch_retire(d, old, free_fn); epoch_collect(d);
 *
 * Refused: liburcu. It wants one process-wide set of registered threads, while the simulator runs
 * many nodes in one thread, each with its own domain. */
#pragma once
#include "base/compiler.h"

#define EPOCH_READERS_MAX 64u
#define EPOCH_PINS_MAX 64u
#define EPOCH_FREES_MAX 4096u /* calls of free functions in one collection */

struct epoch;
struct epoch_slot; /* one reader thread's */

typedef void (*epoch_free_fn)(void *object);
/* Frees a bounded part of an object; true when that was the last. */
typedef bool (*epoch_free_part_fn)(void *object);

struct epoch *epoch_new(void);
/* No reader may be inside; frees everything retired. */
struct epoch *epoch_free(struct epoch *e);

struct epoch_slot *epoch_register(struct epoch *e);
void epoch_unregister(struct epoch *e, struct epoch_slot *slot);
/* Enter and leave nest not. A thread that is inside may call epoch_enter again: that is a
 * quiescent point, nothing loaded before it may be used after. */
void epoch_enter(struct epoch *e, struct epoch_slot *slot);
void epoch_leave(struct epoch *e, struct epoch_slot *slot);

/* A pin from inside a reader's turn (what it has loaded in this turn stays valid) or on the writer
 * thread. The id is given back to epoch_unpin(). -ERR_AGAIN when EPOCH_PINS_MAX are out. */
NODISCARD int epoch_pin(struct epoch *e, uint32_t *ret_pin);
void epoch_unpin(struct epoch *e, uint32_t pin);

void epoch_retire(struct epoch *e, void *object, epoch_free_fn free_fn);
/* The same for what is large: freed part by part. */
void epoch_retire_large(struct epoch *e, void *object, epoch_free_part_fn free_part);
/* Free what no reader can hold any more, and no more than EPOCH_FREES_MAX at a time; how many
 * objects are still waiting. */
size_t epoch_collect(struct epoch *e);
/* Whether that bound, and not a reader, has ended the last collection. */
bool epoch_is_behind(const struct epoch *e);
