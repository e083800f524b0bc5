/* What a change leaves to be freed, when and by whom. */
#include "store/tree_node.h"

#include "base/epoch.h"

#include <stdatomic.h>

#define BLOCKS_PART 64u /* freed at a time */

static bool blocks_free_part(void *object)
{
    struct tree_blocks *b = object;
    for (size_t n = 0; n < BLOCKS_PART && b->count > 0; n++) {
        mem_free(b->v[--b->count]);
    }
    if (b->count > 0) {
        return false;
    }
    mem_free(b);
    return true;
}

static void blocks_free(struct tree_blocks *b)
{
    while (b != NULL && !blocks_free_part(b)) {
    }
}

void tree_txn_retire(struct tree_txn *txn, void *block)
{
    blocks_push(&txn->retired, block);
}

void tree_txn_created(struct tree_txn *txn, void *block)
{
    blocks_push(&txn->created, block);
}

void tree_txn_begin(struct tree_txn *txn, struct epoch *epoch)
{
    /* Zero is nobody's stamp. */
    static _Atomic uint64_t last_id;
    *txn = (struct tree_txn){
        .epoch = epoch,
        .id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1,
    };
}

void tree_txn_commit(struct tree_txn *txn)
{
    if (txn->retired != NULL) {
        if (txn->epoch != NULL) {
            epoch_retire_large(txn->epoch, txn->retired, blocks_free_part);
        } else {
            blocks_free(txn->retired);
        }
    }
    mem_free(txn->created);
    txn->retired = txn->created = NULL;
    txn->id = 0;
}

void tree_txn_abort(struct tree_txn *txn)
{
    blocks_free(txn->created);
    mem_free(txn->retired);
    txn->retired = txn->created = NULL;
    txn->id = 0;
}

/* Call fn on every node, children before parents are forgotten. An explicit stack, since hostile
 * keys can make a tree as deep as they are long. */
static void nodes_each(struct tree_node *root, void (*fn)(struct tree_txn *, void *),
                       struct tree_txn *txn)
{
    struct tree_blocks *stack = NULL;
    if (root != NULL) {
        blocks_push(&stack, root);
    }
    while (stack != NULL && stack->count > 0) {
        struct tree_node *n = stack->v[--stack->count];
        if (n->kind != NODE_LEAF) {
            uint32_t pos = 0;
            uint8_t byte;
            struct tree_node *child;
            while ((child = child_next(n, &pos, &byte)) != NULL) {
                blocks_push(&stack, child);
            }
            if (as_inner(n)->leaf != NULL) {
                fn(txn, as_inner(n)->leaf);
            }
        }
        fn(txn, n);
    }
    mem_free(stack);
}

static void node_free_now(UNUSED struct tree_txn *txn, void *node)
{
    mem_free(node);
}

void tree_destroy(struct tree *t)
{
    nodes_each(t->root, node_free_now, NULL);
    *t = (struct tree){0};
}

void tree_ruin_begin(struct tree_ruin *ruin, struct tree *t)
{
    ruin->left = NULL;
    if (t->root != NULL) {
        blocks_push(&ruin->left, t->root);
    }
    *t = (struct tree){0};
}

bool tree_ruin_part(struct tree_ruin *ruin, size_t count, void (*value)(void *value))
{
    struct tree_blocks *left = ruin->left;
    for (; left != NULL && left->count > 0 && count > 0; count--) {
        struct tree_node *n = left->v[--left->count];
        if (n->kind == NODE_LEAF) {
            if (value != NULL) {
                value(as_leaf(n)->value);
            }
        } else {
            uint32_t pos = 0;
            uint8_t byte;
            struct tree_node *child;
            if (as_inner(n)->leaf != NULL) {
                blocks_push(&left, as_inner(n)->leaf);
            }
            while ((child = child_next(n, &pos, &byte)) != NULL) {
                blocks_push(&left, child);
            }
        }
        mem_free(n);
    }
    ruin->left = left;
    if (left != NULL && left->count > 0) {
        return false;
    }
    ruin->left = mem_free(left);
    return true;
}

void tree_clear(struct tree_txn *txn, struct tree *t)
{
    nodes_each(t->root, tree_txn_retire, txn);
    *t = (struct tree){0};
}
