/* A program of inserts, deletes, snapshots and iterations on a tree, checked against a sorted
 * array.
 *
 * An operation is a byte, the size of a key and the key's bytes. */
#include "base/buf.h"
#include "base/mem.h"
#include "store/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEYS_MAX 512u
#define KEY_SIZE_MAX 48u

struct model {
    struct str keys[KEYS_MAX]; /* borrowed from the input */
    size_t n;
};

static size_t rank(const struct model *m, struct str key)
{
    size_t i = 0;
    while (i < m->n && str_cmp(m->keys[i], key) < 0) {
        i++;
    }
    return i;
}

static void check_from(const struct model *m, const struct tree *t, struct str prefix,
                       struct str from)
{
    struct tree_iter it;
    struct str key;
    tree_iter_from(&it, t, prefix, from);
    for (size_t i = rank(m, from); i < m->n; i++) {
        if (str_has_prefix(m->keys[i], prefix)) {
            ASSERT(tree_next(&it, &key) == m->keys[i].p && str_eq(key, m->keys[i]));
        }
    }
    ASSERT(tree_next(&it, NULL) == NULL);
}

static void check_groups(const struct model *m, const struct tree *t, size_t size)
{
    struct tree_iter it;
    struct str key;
    tree_iter_prefix(&it, t, STR_NULL);
    for (size_t i = 0; i < m->n;) {
        struct str group = str_first(m->keys[i], size);
        ASSERT(tree_next(&it, &key) == m->keys[i].p && str_eq(key, m->keys[i]));
        tree_iter_skip_prefix(&it, group);
        while (i < m->n && str_has_prefix(m->keys[i], group)) {
            i++;
        }
    }
    ASSERT(tree_next(&it, NULL) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tree t = {0}, saved = {0};
    struct model m = {.n = 0}, saved_m;
    struct tree_txn txn;
    struct cur c = cur_make(str_make(data, size));
    tree_txn_begin(&txn, NULL);
    saved_m = m;
    while (cur_left(&c) >= 2) {
        uint8_t op = cur_u8(&c);
        size_t n = MIN((size_t)cur_u8(&c) % (KEY_SIZE_MAX + 1), cur_left(&c));
        struct str key = cur_take(&c, n);
        size_t at = rank(&m, key);
        bool there = at < m.n && str_eq(m.keys[at], key);
        ASSERT(tree_get(&t, key) == (there ? m.keys[at].p : NULL));
        switch (op % 8) {
        case 0:
        case 1:
        case 2:
            if (m.n < KEYS_MAX || there) {
                void *old = tree_insert(&txn, &t, key, (void *)key.p);
                ASSERT(old == (there ? m.keys[at].p : NULL));
                if (!there) {
                    memmove(m.keys + at + 1, m.keys + at, (m.n - at) * sizeof(key));
                    m.n++;
                }
                m.keys[at] = key;
            }
            break;
        case 3:
        case 4:
            ASSERT(tree_delete(&txn, &t, key) == (there ? m.keys[at].p : NULL));
            if (there) {
                m.n--;
                memmove(m.keys + at, m.keys + at + 1, (m.n - at) * sizeof(key));
            }
            break;
        case 5:
            check_from(&m, &t, str_first(key, n / 2), key);
            check_groups(&m, &t, n);
            break;
        case 6: /* commit: what was before is gone, what is now can be come back to */
            tree_txn_commit(&txn);
            tree_txn_begin(&txn, NULL);
            saved = t;
            saved_m = m;
            break;
        default: /* the saved value is undisturbed by what came since */
            check_from(&saved_m, &saved, STR_NULL, STR_NULL);
            tree_txn_abort(&txn);
            tree_txn_begin(&txn, NULL);
            t = saved;
            m = saved_m;
            break;
        }
        ASSERT(t.count == m.n);
    }
    check_from(&m, &t, STR_NULL, STR_NULL);
    tree_txn_commit(&txn);
    tree_destroy(&t);
    return 0;
}
