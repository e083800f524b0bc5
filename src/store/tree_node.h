/* tree_node.h - the nodes of a tree, for the files of the tree alone: tree.c changes, tree_read.c
 * looks up and iterates, tree_node.c makes and fills nodes, tree_txn.c keeps what is to be freed.
 *
 * A leaf holds its whole key. An inner node holds the compressed path to it in full (not a part of
 * it, as the paper's optimistic variant does), behind its children in the same block: no node
 * without need of one pays for it, and no lookup has to be checked against a leaf's key again,
 * except for what follows the last branch. A key that ends where others go on is the inner node's
 * own leaf.
 *
 * Path copying is done on the way down: a node not stamped by the running transaction is copied
 * into the slot of its parent, which is ours already, before going further. */
#pragma once
#include "base/mem.h"
#include "store/tree.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum node_kind { NODE_LEAF, NODE_4, NODE_16, NODE_48, NODE_256 };

struct tree_node {
    uint8_t kind;
    uint16_t count; /* children */
    uint32_t size;  /* leaf: of the key; inner: of the prefix */
};

struct leaf {
    struct tree_node head;
    void *value;
    char key[];
};

struct inner {
    struct tree_node head;
    uint64_t stamp;
    struct leaf *leaf; /* of the key that ends here, or NULL */
};

struct inner4 {
    struct inner inner;
    uint8_t bytes[4]; /* sorted */
    struct tree_node *children[4];
};

struct inner16 {
    struct inner inner;
    uint8_t bytes[16]; /* sorted */
    struct tree_node *children[16];
};

struct inner48 {
    struct inner inner;
    uint8_t slots[256]; /* number of the child + 1; 0: none */
    struct tree_node *children[48];
};

struct inner256 {
    struct inner inner;
    struct tree_node *children[256];
};

static const uint16_t body_size[] = {
    [NODE_LEAF] = sizeof(struct leaf),    [NODE_4] = sizeof(struct inner4),
    [NODE_16] = sizeof(struct inner16),   [NODE_48] = sizeof(struct inner48),
    [NODE_256] = sizeof(struct inner256),
};

/* --- blocks to free later --- */

/* One growing block: handed to the epoch as a single object. */
struct tree_blocks {
    size_t count, cap;
    void *v[];
};

#define TREE_BLOCKS_MIN 30u

static inline void blocks_push(struct tree_blocks **blocks, void *block)
{
    struct tree_blocks *b = *blocks;
    if (UNLIKELY(b == NULL || b->count == b->cap)) {
        size_t cap = b == NULL ? TREE_BLOCKS_MIN : b->cap * 2;
        bool is_new = b == NULL;
        b = xrealloc(b, sizeof(*b) + cap * sizeof(b->v[0]));
        b->cap = cap;
        if (is_new) {
            b->count = 0;
        }
        *blocks = b;
    }
    b->v[b->count++] = block;
}

/* --- looking into nodes --- */

static inline struct leaf *as_leaf(const struct tree_node *n)
{
    return (struct leaf *)n;
}

static inline struct inner *as_inner(const struct tree_node *n)
{
    return (struct inner *)n;
}

static inline struct str leaf_key(const struct tree_node *n)
{
    return str_make(as_leaf(n)->key, n->size);
}

static inline char *node_prefix(const struct tree_node *n)
{
    return (char *)n + body_size[n->kind];
}

/* How many of the 16 sorted bytes, of which `count` are in use, are smaller than `byte`. */
static inline unsigned rank16(const uint8_t *bytes, unsigned count, uint8_t byte)
{
    unsigned rank = 0;
    while (rank < count && bytes[rank] < byte) {
        rank++;
    }
    return rank;
}

/* The slot of the child behind `byte`, or NULL. */
static inline struct tree_node **child_slot(const struct tree_node *n, uint8_t byte)
{
    switch (n->kind) {
    case NODE_4: {
        struct inner4 *in = (struct inner4 *)n;
        for (unsigned i = 0; i < n->count; i++) {
            if (in->bytes[i] == byte) {
                return &in->children[i];
            }
        }
        return NULL;
    }
    case NODE_16: {
        struct inner16 *in = (struct inner16 *)n;
#ifdef __SSE2__
        __m128i hits = _mm_cmpeq_epi8(_mm_set1_epi8((char)byte),
                                      _mm_loadu_si128((const __m128i *)(const void *)in->bytes));
        unsigned mask = (unsigned)_mm_movemask_epi8(hits) & ((1u << n->count) - 1);
        return mask != 0 ? &in->children[__builtin_ctz(mask)] : NULL;
#else
        for (unsigned i = 0; i < n->count; i++) {
            if (in->bytes[i] == byte) {
                return &in->children[i];
            }
        }
        return NULL;
#endif
    }
    case NODE_48: {
        struct inner48 *in = (struct inner48 *)n;
        return in->slots[byte] != 0 ? &in->children[in->slots[byte] - 1] : NULL;
    }
    default: {
        struct inner256 *in = (struct inner256 *)n;
        return in->children[byte] != NULL ? &in->children[byte] : NULL;
    }
    }
}

/* Children in order: start with *pos = 0; NULL at the end. */
static inline struct tree_node *child_next(const struct tree_node *n, uint32_t *pos,
                                           uint8_t *ret_byte)
{
    uint32_t i = *pos;
    switch (n->kind) {
    case NODE_4:
        if (i < n->count) {
            *pos = i + 1;
            *ret_byte = ((const struct inner4 *)n)->bytes[i];
            return ((const struct inner4 *)n)->children[i];
        }
        return NULL;
    case NODE_16:
        if (i < n->count) {
            *pos = i + 1;
            *ret_byte = ((const struct inner16 *)n)->bytes[i];
            return ((const struct inner16 *)n)->children[i];
        }
        return NULL;
    case NODE_48:
        for (; i < 256; i++) {
            uint8_t slot = ((const struct inner48 *)n)->slots[i];
            if (slot != 0) {
                *pos = i + 1;
                *ret_byte = (uint8_t)i;
                return ((const struct inner48 *)n)->children[slot - 1];
            }
        }
        *pos = 256;
        return NULL;
    default:
        for (; i < 256; i++) {
            struct tree_node *child = ((const struct inner256 *)n)->children[i];
            if (child != NULL) {
                *pos = i + 1;
                *ret_byte = (uint8_t)i;
                return child;
            }
        }
        *pos = 256;
        return NULL;
    }
}

/* An empty key may be a NULL pointer, to which not even zero may be added. */
static inline struct str key_fix(struct str key)
{
    return key.p != NULL ? key : STR("");
}

/* The length of the common start of two strings. */
static inline size_t common_size(const char *a, const char *b, size_t max)
{
    size_t i = 0;
    while (i < max && a[i] == b[i]) {
        i++;
    }
    return i;
}

/* --- making and changing them (tree_node.c) --- */

struct leaf *tree_leaf_new(struct tree_txn *txn, struct str key, void *value);
struct tree_node *tree_inner_new(struct tree_txn *txn, enum node_kind kind, struct str prefix);
/* The node in *slot under another prefix, ours to change: itself if it is ours and the prefix is a
 * tail of its own, else a copy. */
struct tree_node *tree_inner_own(struct tree_txn *txn, struct tree_node **slot, struct str prefix);
/* Into a node of ours that has room and no child behind this byte. */
void tree_child_put(struct tree_node *n, uint8_t byte, struct tree_node *child);
/* From a node of ours that has it. */
void tree_child_drop(struct tree_node *n, uint8_t byte);
/* Replace the node in *slot by one of another kind with the same content. */
struct tree_node *tree_node_resize(struct tree_txn *txn, struct tree_node **slot,
                                   enum node_kind kind);

static inline struct tree_node *node_own(struct tree_txn *txn, struct tree_node **slot)
{
    struct tree_node *n = *slot;
    if (as_inner(n)->stamp == txn->id) {
        return n;
    }
    return tree_inner_own(txn, slot, str_make(node_prefix(n), n->size));
}
