/* Looking up and iterating: for any thread that is inside the epoch of what it reads. */
#include "store/tree_node.h"

/* The position for child_next() of the first child behind a byte greater than `byte`. */
static uint32_t child_pos_after(const struct tree_node *n, uint8_t byte)
{
    switch (n->kind) {
    case NODE_4: {
        const struct inner4 *in = (const struct inner4 *)n;
        unsigned i = rank16(in->bytes, n->count, byte);
        return i < n->count && in->bytes[i] == byte ? i + 1 : i;
    }
    case NODE_16: {
        const struct inner16 *in = (const struct inner16 *)n;
        unsigned i = rank16(in->bytes, n->count, byte);
        return i < n->count && in->bytes[i] == byte ? i + 1 : i;
    }
    default:
        return (uint32_t)byte + 1;
    }
}

void *tree_get(const struct tree *t, struct str key)
{
    key = key_fix(key);
    const struct tree_node *n = t->root;
    const char *p = key.p;
    const char *end = key.p + key.n;
    while (n != NULL) {
        size_t left = (size_t)(end - p);
        if (n->kind == NODE_LEAF) {
            const struct leaf *leaf = as_leaf(n);
            return n->size == key.n &&
                           (left == 0 || memcmp(leaf->key + (key.n - left), p, left) == 0)
                       ? leaf->value
                       : NULL;
        }
        if (n->size > 0) {
            if (n->size > left || memcmp(node_prefix(n), p, n->size) != 0) {
                return NULL;
            }
            p += n->size;
        }
        if (p == end) {
            const struct leaf *leaf = as_inner(n)->leaf;
            return leaf != NULL ? leaf->value : NULL;
        }
        struct tree_node **slot = child_slot(n, (uint8_t)*p++);
        n = slot != NULL ? *slot : NULL;
    }
    return NULL;
}

/* The smallest leaf below. */
static const struct tree_node *leaf_min(const struct tree_node *n)
{
    while (n->kind != NODE_LEAF) {
        if (as_inner(n)->leaf != NULL) {
            return &as_inner(n)->leaf->head;
        }
        uint32_t pos = 0;
        uint8_t byte;
        n = child_next(n, &pos, &byte);
    }
    return n;
}

/* The smallest leaf below n (whose path has `depth` bytes, equal to those of key) whose key is
 * greater than key, or no less with `equal`; NULL when there is none. */
static const struct tree_node *leaf_after(const struct tree_node *n, size_t depth, struct str key,
                                          bool equal)
{
    const struct tree_node *beside = NULL; /* the nearest subtree to the right of the path */
    while (n != NULL) {
        if (n->kind == NODE_LEAF) {
            int order = str_cmp(leaf_key(n), key);
            if (order > 0 || (order == 0 && equal)) {
                return n;
            }
            break;
        }
        size_t left = key.n - depth;
        size_t shared = common_size(node_prefix(n), key.p + depth, MIN(left, n->size));
        if (shared < n->size) {
            if (shared == left ||
                (uint8_t)node_prefix(n)[shared] > (uint8_t)key.p[depth + shared]) {
                return leaf_min(n);
            }
            break;
        }
        depth += shared;
        uint32_t pos = 0;
        uint8_t byte;
        if (depth == key.n) {
            if (equal) {
                return leaf_min(n);
            }
            return leaf_min(child_next(n, &pos, &byte)); /* a node has a child always */
        }
        pos = child_pos_after(n, (uint8_t)key.p[depth]);
        const struct tree_node *next = child_next(n, &pos, &byte);
        beside = next != NULL ? next : beside;
        struct tree_node **slot = child_slot(n, (uint8_t)key.p[depth]);
        n = slot != NULL ? *slot : NULL;
        depth++;
    }
    return beside != NULL ? leaf_min(beside) : NULL;
}

/* The node below which exactly the keys with this prefix are, or NULL; *ret_depth is the size of
 * the path above it. */
static const struct tree_node *find_subtree(const struct tree *t, struct str prefix,
                                            size_t *ret_depth)
{
    const struct tree_node *n = t->root;
    size_t depth = 0;
    prefix = key_fix(prefix);
    while (n != NULL) {
        size_t left = prefix.n - depth;
        *ret_depth = depth;
        if (n->kind == NODE_LEAF) {
            return str_has_prefix(leaf_key(n), prefix) ? n : NULL;
        }
        size_t shared = common_size(node_prefix(n), prefix.p + depth, MIN(left, n->size));
        if (shared == left) {
            return n;
        }
        if (shared < n->size) {
            return NULL;
        }
        depth += shared;
        struct tree_node **slot = child_slot(n, (uint8_t)prefix.p[depth]);
        n = slot != NULL ? *slot : NULL;
        depth++;
    }
    return NULL;
}

/* Go down into n, whose path has `depth` bytes, starting with what `next` says. */
static bool iter_push(struct tree_iter *it, const struct tree_node *n, size_t depth, uint32_t next)
{
    if (it->depth == TREE_ITER_DEPTH) {
        return false;
    }
    it->stack[it->depth].node = n;
    it->stack[it->depth].next = next;
    it->stack[it->depth].depth = (uint32_t)(depth + n->size);
    it->depth++;
    return true;
}

static void iter_init(struct tree_iter *it)
{
    it->depth = 0;
    it->overflow_depth = 0;
    it->overflow = it->pending = NULL;
    it->last_key = STR_NULL;
}

static void iter_start(struct tree_iter *it, const struct tree_node *n, size_t depth)
{
    if (n == NULL) {
        return;
    }
    if (n->kind == NODE_LEAF) {
        it->pending = n;
    } else {
        (void)iter_push(it, n, depth, 0);
    }
}

void tree_iter_prefix(struct tree_iter *it, const struct tree *t, struct str prefix)
{
    size_t depth = 0;
    iter_init(it);
    const struct tree_node *n = find_subtree(t, prefix, &depth);
    iter_start(it, n, depth);
}

void tree_iter_from(struct tree_iter *it, const struct tree *t, struct str prefix, struct str from)
{
    size_t depth = 0;
    iter_init(it);
    from = key_fix(from);
    const struct tree_node *n = find_subtree(t, prefix, &depth);
    if (n == NULL) {
        return;
    }
    if (!str_has_prefix(from, prefix)) {
        if (str_cmp(from, prefix) < 0) {
            iter_start(it, n, depth);
        }
        return;
    }
    while (n != NULL) {
        if (n->kind == NODE_LEAF) {
            if (str_cmp(leaf_key(n), from) >= 0) {
                it->pending = n;
            }
            return;
        }
        size_t left = from.n - depth;
        size_t shared = common_size(node_prefix(n), from.p + depth, MIN(left, n->size));
        bool whole = shared == left;
        if (!whole && shared < n->size) {
            if ((uint8_t)node_prefix(n)[shared] < (uint8_t)from.p[depth + shared]) {
                return;
            }
            whole = true;
        }
        uint32_t next = whole ? 0 : 1 + child_pos_after(n, (uint8_t)from.p[depth + shared]);
        if (!iter_push(it, n, depth, next)) {
            it->pending = leaf_after(n, depth, from, true);
            it->overflow = n;
            it->overflow_depth = (uint32_t)depth;
            if (it->pending == NULL) {
                it->overflow = NULL;
            }
            return;
        }
        if (whole) {
            return;
        }
        depth += shared;
        struct tree_node **slot = child_slot(n, (uint8_t)from.p[depth]);
        n = slot != NULL ? *slot : NULL;
        depth++;
    }
}

static const struct tree_node *iter_leaf(struct tree_iter *it)
{
    if (it->pending != NULL) {
        return TAKE(it->pending);
    }
    if (it->overflow != NULL) {
        const struct tree_node *leaf =
            leaf_after(it->overflow, it->overflow_depth, it->last_key, false);
        if (leaf != NULL) {
            return leaf;
        }
        it->overflow = NULL;
    }
    while (it->depth > 0) {
        const struct tree_node *n = it->stack[it->depth - 1].node;
        uint32_t next = it->stack[it->depth - 1].next;
        if (next == 0) {
            it->stack[it->depth - 1].next = next = 1;
            if (as_inner(n)->leaf != NULL) {
                return &as_inner(n)->leaf->head;
            }
        }
        uint32_t pos = next - 1;
        uint8_t byte;
        const struct tree_node *child = child_next(n, &pos, &byte);
        if (child == NULL) {
            it->depth--;
            continue;
        }
        it->stack[it->depth - 1].next = pos + 1;
        if (child->kind == NODE_LEAF) {
            return child;
        }
        size_t depth = it->stack[it->depth - 1].depth + 1;
        if (!iter_push(it, child, depth, 0)) {
            it->overflow = child;
            it->overflow_depth = (uint32_t)depth;
            return leaf_min(child);
        }
    }
    return NULL;
}

void *tree_next(struct tree_iter *it, struct str *ret_key)
{
    const struct tree_node *leaf = iter_leaf(it);
    if (leaf == NULL) {
        return NULL;
    }
    it->last_key = leaf_key(leaf);
    if (ret_key != NULL) {
        *ret_key = it->last_key;
    }
    return as_leaf(leaf)->value;
}

void tree_iter_skip_prefix(struct tree_iter *it, struct str prefix)
{
    if (it->last_key.p == NULL || it->pending != NULL || !str_has_prefix(it->last_key, prefix)) {
        return;
    }
    while (it->overflow != NULL) {
        const struct tree_node *leaf =
            leaf_after(it->overflow, it->overflow_depth, it->last_key, false);
        if (leaf == NULL) {
            it->overflow = NULL;
        } else if (str_has_prefix(leaf_key(leaf), prefix)) {
            it->last_key = leaf_key(leaf);
        } else {
            return;
        }
    }
    /* All below a frame share the frame's path, which is a prefix of the last key. */
    while (it->depth > 0 && it->stack[it->depth - 1].depth >= prefix.n) {
        it->depth--;
    }
}
