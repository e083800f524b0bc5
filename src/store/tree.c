/* Inserting and deleting, by copying the path. */
#include "store/tree.h"

#include "base/mem.h"
#include "store/tree_node.h"

static const uint16_t room[] = {[NODE_4] = 4, [NODE_16] = 16, [NODE_48] = 48, [NODE_256] = 256};

void *tree_insert(struct tree_txn *txn, struct tree *t, struct str key, void *value)
{
    ASSERT(value != NULL && key.n <= TREE_KEY_SIZE_MAX);
    key = key_fix(key);
    struct leaf *leaf = tree_leaf_new(txn, key, value);
    struct tree_node **slot = &t->root;
    size_t depth = 0;
    for (;;) {
        struct tree_node *n = *slot;
        if (n == NULL) {
            *slot = &leaf->head;
            break;
        }
        size_t left = key.n - depth;
        if (n->kind == NODE_LEAF) {
            struct str other = leaf_key(n);
            size_t shared = common_size(key.p + depth, other.p + depth, MIN(left, other.n - depth));
            if (shared == left && shared == other.n - depth) {
                *slot = &leaf->head;
                blocks_push(&txn->retired, n);
                return as_leaf(n)->value;
            }
            struct tree_node *fork = tree_inner_new(txn, NODE_4, str_make(key.p + depth, shared));
            depth += shared;
            if (depth == other.n) {
                as_inner(fork)->leaf = as_leaf(n);
            } else {
                tree_child_put(fork, (uint8_t)other.p[depth], n);
            }
            if (depth == key.n) {
                as_inner(fork)->leaf = leaf;
            } else {
                tree_child_put(fork, (uint8_t)key.p[depth], &leaf->head);
            }
            *slot = fork;
            break;
        }
        const char *prefix = node_prefix(n);
        size_t shared = common_size(prefix, key.p + depth, MIN(left, n->size));
        if (shared < n->size) { /* the path forks within the prefix */
            struct tree_node *fork = tree_inner_new(txn, NODE_4, str_make(prefix, shared));
            uint8_t byte = (uint8_t)prefix[shared];
            struct tree_node *below =
                tree_inner_own(txn, slot, str_make(prefix + shared + 1, n->size - shared - 1));
            tree_child_put(fork, byte, below);
            depth += shared;
            if (depth == key.n) {
                as_inner(fork)->leaf = leaf;
            } else {
                tree_child_put(fork, (uint8_t)key.p[depth], &leaf->head);
            }
            *slot = fork;
            break;
        }
        depth += shared;
        if (depth == key.n) {
            struct inner *in = as_inner(node_own(txn, slot));
            struct leaf *old = in->leaf;
            in->leaf = leaf;
            if (old != NULL) {
                blocks_push(&txn->retired, old);
                return old->value;
            }
            break;
        }
        uint8_t byte = (uint8_t)key.p[depth];
        if (child_slot(n, byte) == NULL) {
            if (n->count == room[n->kind]) {
                n = tree_node_resize(txn, slot, (enum node_kind)(n->kind + 1));
            } else {
                n = node_own(txn, slot);
            }
            tree_child_put(n, byte, &leaf->head);
            break;
        }
        n = node_own(txn, slot);
        slot = child_slot(n, byte);
        depth++;
    }
    t->count++;
    return NULL;
}

/* After a removal from the node of ours in *slot: keep the tree canonical. */
static void node_shrink(struct tree_txn *txn, struct tree_node **slot)
{
    struct tree_node *n = *slot;
    struct leaf *own = as_inner(n)->leaf;
    if (n->count == 0) { /* then there is a leaf, as every node has two things at least */
        *slot = &own->head;
        blocks_push(&txn->retired, n);
        return;
    }
    if (n->count == 1 && own == NULL) { /* the path goes straight on: join it with the child */
        uint32_t pos = 0;
        uint8_t byte;
        struct tree_node *child = child_next(n, &pos, &byte);
        *slot = child;
        if (child->kind != NODE_LEAF) {
            size_t size = (size_t)n->size + 1 + child->size;
            struct inner *joined = xmalloc(body_size[child->kind] + size);
            memcpy(joined, child, body_size[child->kind]);
            char *prefix = (char *)joined + body_size[child->kind];
            memcpy(prefix, node_prefix(n), n->size);
            prefix[n->size] = (char)byte;
            memcpy(prefix + n->size + 1, node_prefix(child), child->size);
            joined->head.size = (uint32_t)size;
            joined->stamp = txn->id;
            blocks_push(&txn->created, joined);
            blocks_push(&txn->retired, child);
            *slot = &joined->head;
        }
        blocks_push(&txn->retired, n);
        return;
    }
    /* With some slack, so that a count that swings does not copy each time. */
    if ((n->kind == NODE_256 && n->count <= 36) || (n->kind == NODE_48 && n->count <= 12) ||
        (n->kind == NODE_16 && n->count <= 3)) {
        (void)tree_node_resize(txn, slot, (enum node_kind)(n->kind - 1));
    }
}

void *tree_delete(struct tree_txn *txn, struct tree *t, struct str key)
{
    /* First look: without the key nothing is to be copied. */
    if (tree_get(t, key) == NULL) {
        return NULL;
    }
    key = key_fix(key);
    t->count--;
    struct tree_node **slot = &t->root;
    size_t depth = 0;
    for (;;) {
        struct tree_node *n = *slot;
        if (n->kind == NODE_LEAF) { /* only the root gets here */
            *slot = NULL;
            blocks_push(&txn->retired, n);
            return as_leaf(n)->value;
        }
        n = node_own(txn, slot);
        depth += n->size;
        if (depth == key.n) {
            struct leaf *leaf = as_inner(n)->leaf;
            as_inner(n)->leaf = NULL;
            blocks_push(&txn->retired, leaf);
            node_shrink(txn, slot);
            return leaf->value;
        }
        uint8_t byte = (uint8_t)key.p[depth];
        struct tree_node **child = child_slot(n, byte);
        if ((*child)->kind == NODE_LEAF) {
            struct leaf *leaf = as_leaf(*child);
            tree_child_drop(n, byte);
            blocks_push(&txn->retired, leaf);
            node_shrink(txn, slot);
            return leaf->value;
        }
        slot = child;
        depth++;
    }
}
