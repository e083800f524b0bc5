#include "store/tree.h"

#include "base/epoch.h"
#include "base/mem.h"

#include <stdatomic.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A leaf holds its whole key. An inner node holds the compressed path to it in full (not a part of
 * it, as the paper's optimistic variant does), behind its children in the same block: no node
 * without need of one pays for it, and no lookup has to be checked against a leaf's key again,
 * except for what follows the last branch. A key that ends where others go on is the inner node's
 * own leaf.
 *
 * Path copying is done on the way down: a node not stamped by the running transaction is copied
 * into the slot of its parent, which is ours already, before going further. */
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
static const uint16_t room[] = {[NODE_4] = 4, [NODE_16] = 16, [NODE_48] = 48, [NODE_256] = 256};

/* --- blocks to free later ------------------------------------------------------------------- */

/* One growing block: handed to the epoch as a single object. */
struct tree_blocks {
    size_t count, cap;
    void *v[];
};

#define TREE_BLOCKS_MIN 30u

static void blocks_push(struct tree_blocks **blocks, void *block)
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

static void blocks_free(void *object)
{
    struct tree_blocks *b = object;
    if (b != NULL) {
        for (size_t i = 0; i < b->count; i++) {
            mem_free(b->v[i]);
        }
        mem_free(b);
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
            epoch_retire(txn->epoch, txn->retired, blocks_free);
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

/* --- nodes ---------------------------------------------------------------------------------- */

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

static struct leaf *leaf_new(struct tree_txn *txn, struct str key, void *value)
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

static struct tree_node *inner_new(struct tree_txn *txn, enum node_kind kind, struct str prefix)
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

/* The node in *slot under another prefix, ours to change: itself if it is ours and the prefix is a
 * tail of its own, else a copy. */
static struct tree_node *inner_own(struct tree_txn *txn, struct tree_node **slot, struct str prefix)
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

static inline struct tree_node *node_own(struct tree_txn *txn, struct tree_node **slot)
{
    struct tree_node *n = *slot;
    if (as_inner(n)->stamp == txn->id) {
        return n;
    }
    return inner_own(txn, slot, str_make(node_prefix(n), n->size));
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

/* Into a node of ours that has room and no child behind this byte. */
static void child_put(struct tree_node *n, uint8_t byte, struct tree_node *child)
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

/* From a node of ours that has it. */
static void child_drop(struct tree_node *n, uint8_t byte)
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

/* Replace the node in *slot by one of another kind with the same content. */
static struct tree_node *node_resize(struct tree_txn *txn, struct tree_node **slot,
                                     enum node_kind kind)
{
    struct tree_node *n = *slot;
    struct tree_node *to = inner_new(txn, kind, str_make(node_prefix(n), n->size));
    as_inner(to)->leaf = as_inner(n)->leaf;
    uint32_t pos = 0;
    uint8_t byte;
    struct tree_node *child;
    while ((child = child_next(n, &pos, &byte)) != NULL) {
        child_put(to, byte, child);
    }
    blocks_push(&txn->retired, n);
    *slot = to;
    return to;
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

/* --- changing ------------------------------------------------------------------------------- */

void *tree_insert(struct tree_txn *txn, struct tree *t, struct str key, void *value)
{
    ASSERT(value != NULL && key.n <= TREE_KEY_SIZE_MAX);
    key = key_fix(key);
    struct leaf *leaf = leaf_new(txn, key, value);
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
            struct tree_node *fork = inner_new(txn, NODE_4, str_make(key.p + depth, shared));
            depth += shared;
            if (depth == other.n) {
                as_inner(fork)->leaf = as_leaf(n);
            } else {
                child_put(fork, (uint8_t)other.p[depth], n);
            }
            if (depth == key.n) {
                as_inner(fork)->leaf = leaf;
            } else {
                child_put(fork, (uint8_t)key.p[depth], &leaf->head);
            }
            *slot = fork;
            break;
        }
        const char *prefix = node_prefix(n);
        size_t shared = common_size(prefix, key.p + depth, MIN(left, n->size));
        if (shared < n->size) { /* the path forks within the prefix */
            struct tree_node *fork = inner_new(txn, NODE_4, str_make(prefix, shared));
            uint8_t byte = (uint8_t)prefix[shared];
            struct tree_node *below =
                inner_own(txn, slot, str_make(prefix + shared + 1, n->size - shared - 1));
            child_put(fork, byte, below);
            depth += shared;
            if (depth == key.n) {
                as_inner(fork)->leaf = leaf;
            } else {
                child_put(fork, (uint8_t)key.p[depth], &leaf->head);
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
                n = node_resize(txn, slot, (enum node_kind)(n->kind + 1));
            } else {
                n = node_own(txn, slot);
            }
            child_put(n, byte, &leaf->head);
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
        (void)node_resize(txn, slot, (enum node_kind)(n->kind - 1));
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
            child_drop(n, byte);
            blocks_push(&txn->retired, leaf);
            node_shrink(txn, slot);
            return leaf->value;
        }
        slot = child;
        depth++;
    }
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

void tree_clear(struct tree_txn *txn, struct tree *t)
{
    nodes_each(t->root, tree_txn_retire, txn);
    *t = (struct tree){0};
}

/* --- reading -------------------------------------------------------------------------------- */

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
