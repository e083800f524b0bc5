/* tree.h - a persistent (immutable) radix tree from bytes to pointers.
 *
 * A struct tree is a value: copy it and you have a snapshot. Changing one copies the path from the
 * root to the leaf and shares the rest, so that readers of older values are undisturbed. Within one
 * transaction a node is copied at most once: nodes the transaction made itself are changed in
 * place.
 *
 *     struct tree_txn txn; tree_txn_begin(&txn, epoch);
 *     old = tree_insert(&txn, &t, key, row);
 *     ... publish t ...
 *     tree_txn_commit(&txn);        // retires what was replaced
 *
 * Keys are any bytes, up to TREE_KEY_SIZE_MAX, ordered bytewise; one may be a prefix of another.
 * Values are the caller's. Nodes are adaptive (4, 16, 48, 256 children) with compressed paths
 * (Leis et al., The Adaptive Radix Tree, 2013). Reading takes no lock: any thread inside an
 * epoch_enter() may walk a tree it got from a published root. With a NULL epoch nothing is
 * deferred: what a commit replaced is freed at once (tests, tools). */
#pragma once
#include "base/str.h"

struct epoch;
struct tree_node;
struct tree_blocks;

#define TREE_KEY_SIZE_MAX (1u << 20)

struct tree {
    struct tree_node *root; /* NULL: empty */
    size_t count;
};

/* One writer's running change to any number of trees. */
struct tree_txn {
    struct epoch *epoch;
    uint64_t id;                 /* nodes stamped with it are ours to change */
    struct tree_blocks *retired; /* what was replaced, given to the epoch on commit */
    struct tree_blocks *created; /* what this transaction made, freed on abort */
};

void tree_txn_begin(struct tree_txn *txn, struct epoch *epoch);
/* After the new trees were published. */
void tree_txn_commit(struct tree_txn *txn);
/* The caller drops its changed trees and keeps the old ones. */
void tree_txn_abort(struct tree_txn *txn);

/* Insert or replace; returns the value that was there, or NULL. value is not NULL. */
void *tree_insert(struct tree_txn *txn, struct tree *t, struct str key, void *value);
/* Remove; returns the value that was there, or NULL. */
void *tree_delete(struct tree_txn *txn, struct tree *t, struct str key);
/* Free all nodes of a tree nobody shares (tests, shutdown); values are the caller's. */
void tree_destroy(struct tree *t);

void *tree_get(const struct tree *t, struct str key);

/* Remove everything: all nodes are retired on commit; the values are the caller's. */
void tree_clear(struct tree_txn *txn, struct tree *t);
/* Free the nodes of a tree that nobody can see any more a part at a time; `value`, unless NULL, is
 * called once for each value.
 *
 *     tree_ruin_begin(&ruin, tree);   while (!tree_ruin_part(&ruin, 64, free_row)) { ... } */
struct tree_ruin {
    struct tree_blocks *left;
};
void tree_ruin_begin(struct tree_ruin *ruin, struct tree *t); /* t is empty then */
/* At most count nodes; true: that was all, and `ruin` owns nothing any more. */
bool tree_ruin_part(struct tree_ruin *ruin, size_t count, void (*value)(void *value));

/* Have the commit retire a block of the caller's (freed by mem_free) along with the nodes; a
 * block that an abort should free. The two lists are independent: a block made and replaced in one
 * transaction is in both. */
void tree_txn_retire(struct tree_txn *txn, void *block);
void tree_txn_created(struct tree_txn *txn, void *block);

/* In key order over everything that starts with a prefix. The iterator's memory is bounded by
 * TREE_ITER_DEPTH frames (what lies deeper is found again from the last key), so it needs no
 * allocation and no destructor. It borrows nothing of the caller's. A change to the tree within the
 * same transaction ends the iterator's life: collect first, then change. */
#define TREE_ITER_DEPTH 24u
struct tree_iter {
    struct {
        const struct tree_node *node;
        uint32_t next;  /* what to visit next in it: 0 its own value, then its children */
        uint32_t depth; /* bytes of the key that all below it share */
    } stack[TREE_ITER_DEPTH];
    uint32_t depth;                   /* frames in use */
    uint32_t overflow_depth;          /* bytes of the key above overflow */
    const struct tree_node *overflow; /* a subtree too deep for the stack, walked by key */
    const struct tree_node *pending;  /* a leaf already found, to be given first */
    struct str last_key;              /* the last one given */
};
void tree_iter_prefix(struct tree_iter *it, const struct tree *t, struct str prefix);
/* Over keys >= from that start with prefix. */
void tree_iter_from(struct tree_iter *it, const struct tree *t, struct str prefix, struct str from);
/* The next value, or NULL at the end; *ret_key (may be NULL) is borrowed from the tree. */
void *tree_next(struct tree_iter *it, struct str *ret_key);
/* Skip what starts with `prefix` (the keys of one ?separator= group) and was not given yet. The
 * last key given starts with it; else nothing is skipped. */
void tree_iter_skip_prefix(struct tree_iter *it, struct str prefix);
