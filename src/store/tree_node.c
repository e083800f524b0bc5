#include "store/tree_node.h"

struct leaf *tree_leaf_new(struct tree_txn *txn, struct str key, void *value)
{
    struct leaf *leaf = xmalloc(sizeof(*leaf) + key.n);
    leaf->head = (struct tree_node){.kind = NODE_LEAF, .size = (uint32_t)key.n};
    leaf->value = value;
    if (key.n > 0) {
        memcpy(leaf->key, key.p, key.n);
    }
    blocks_push(&txn->created, leaf);
    return leaf;
}

struct tree_node *tree_inner_new(struct tree_txn *txn, enum node_kind kind, struct str prefix)
{
    struct inner *inner = xmalloc(body_size[kind] + prefix.n);
    memset(inner, 0, body_size[kind]);
    inner->head = (struct tree_node){.kind = (uint8_t)kind, .size = (uint32_t)prefix.n};
    inner->stamp = txn->id;
    if (prefix.n > 0) {
        memcpy((char *)inner + body_size[kind], prefix.p, prefix.n);
    }
    blocks_push(&txn->created, inner);
    return &inner->head;
}

struct tree_node *tree_inner_own(struct tree_txn *txn, struct tree_node **slot, struct str prefix)
{
    struct tree_node *n = *slot;
    if (as_inner(n)->stamp == txn->id && prefix.n <= n->size) {
        if (prefix.n < n->size) {
            memmove(node_prefix(n), prefix.p, prefix.n);
            n->size = (uint32_t)prefix.n;
        }
        return n;
    }
    struct inner *copy = xmalloc(body_size[n->kind] + prefix.n);
    memcpy(copy, n, body_size[n->kind]);
    if (prefix.n > 0) {
        memcpy((char *)copy + body_size[n->kind], prefix.p, prefix.n);
    }
    copy->head.size = (uint32_t)prefix.n;
    copy->stamp = txn->id;
    blocks_push(&txn->created, copy);
    blocks_push(&txn->retired, n);
    *slot = &copy->head;
    return *slot;
}

void tree_child_put(struct tree_node *n, uint8_t byte, struct tree_node *child)
{
    switch (n->kind) {
    case NODE_4:
    case NODE_16: {
        bool small = n->kind == NODE_4;
        uint8_t *bytes = small ? ((struct inner4 *)n)->bytes : ((struct inner16 *)n)->bytes;
        struct tree_node **children =
            small ? ((struct inner4 *)n)->children : ((struct inner16 *)n)->children;
        unsigned at = rank16(bytes, n->count, byte);
        memmove(bytes + at + 1, bytes + at, n->count - at);
        memmove(children + at + 1, children + at, (n->count - at) * sizeof(children[0]));
        bytes[at] = byte;
        children[at] = child;
        break;
    }
    case NODE_48: {
        struct inner48 *in = (struct inner48 *)n;
        unsigned at = 0;
        while (in->children[at] != NULL) {
            at++;
        }
        in->children[at] = child;
        in->slots[byte] = (uint8_t)(at + 1);
        break;
    }
    default:
        ((struct inner256 *)n)->children[byte] = child;
        break;
    }
    n->count++;
}

void tree_child_drop(struct tree_node *n, uint8_t byte)
{
    n->count--;
    switch (n->kind) {
    case NODE_4:
    case NODE_16: {
        bool small = n->kind == NODE_4;
        uint8_t *bytes = small ? ((struct inner4 *)n)->bytes : ((struct inner16 *)n)->bytes;
        struct tree_node **children =
            small ? ((struct inner4 *)n)->children : ((struct inner16 *)n)->children;
        unsigned at = rank16(bytes, n->count + 1u, byte);
        memmove(bytes + at, bytes + at + 1, n->count - at);
        memmove(children + at, children + at + 1, (n->count - at) * sizeof(children[0]));
        break;
    }
    case NODE_48: {
        struct inner48 *in = (struct inner48 *)n;
        in->children[in->slots[byte] - 1] = NULL;
        in->slots[byte] = 0;
        break;
    }
    default:
        ((struct inner256 *)n)->children[byte] = NULL;
        break;
    }
}

struct tree_node *tree_node_resize(struct tree_txn *txn, struct tree_node **slot,
                                   enum node_kind kind)
{
    struct tree_node *n = *slot;
    struct tree_node *to = tree_inner_new(txn, kind, str_make(node_prefix(n), n->size));
    as_inner(to)->leaf = as_inner(n)->leaf;
    uint32_t pos = 0;
    uint8_t byte;
    struct tree_node *child;
    while ((child = child_next(n, &pos, &byte)) != NULL) {
        tree_child_put(to, byte, child);
    }
    blocks_push(&txn->retired, n);
    *slot = to;
    return to;
}
