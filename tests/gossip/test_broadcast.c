#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/vec.h"
#include "gossip/core/broadcast.h"

#include <stdio.h>

struct taken {
    struct buf text; /* "a b c " */
    size_t size, overhead;
};

static void put(void *data, struct str message)
{
    struct taken *t = data;
    buf_str(&t->text, message);
    buf_byte(&t->text, ' ');
    t->size += message.n + t->overhead;
}

#define assert_takes(q, limit, overhead, room, text) \
    assert_takes_((q), (limit), (overhead), (room), STR(text), __LINE__)
static void assert_takes_(struct broadcast_queue *q, uint32_t limit, size_t overhead, size_t room,
                          struct str text, int line)
{
    struct taken t = {.overhead = overhead};
    (void)broadcast_queue_take(q, limit, overhead, room, put, &t);
    if (!str_eq(buf_view(&t.text), text)) {
        print_error("line %d: took %.*s\n", line, STRF(buf_view(&t.text)));
    }
    assert_str_equal(buf_view(&t.text), text);
    assert_true(t.size <= room);
    buf_deinit(&t.text);
}

static void add(struct broadcast_queue *q, const char *name, const char *message)
{
    broadcast_queue_put(q, str_from_cstr(name), str_from_cstr(message), NULL, NULL);
}

static void count_up(void *data)
{
    ++*(int *)data;
}

/* Those sent least often; the largest of them that fits; the newest of its size. */
static void test_order(void **state)
{
    (void)state;
    struct broadcast_queue *q = broadcast_queue_new();
    add(q, "", "aa");
    add(q, "", "b");
    add(q, "", "cc");
    assert_takes(q, 10, 0, 2, "cc ");
    assert_takes(q, 10, 0, 3, "aa b ");
    add(q, "", "dddd");
    assert_takes(q, 10, 0, 3, "cc b ");
    assert_takes(q, 10, 2, 6, "dddd ");
    assert_takes(q, 10, 2, 100, "dddd aa cc b ");
    assert_takes(q, 10, 2, 2, "");
    assert_int_equal(broadcast_queue_count(q), 4);
    (void)broadcast_queue_free(q);
}

/* Each so often and no more; once to a packet, however much room there is. */
static void test_limit(void **state)
{
    (void)state;
    int done = 0;
    struct broadcast_queue *q = broadcast_queue_new();
    broadcast_queue_put(q, STR("x"), STR("news"), count_up, &done);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(done, 0);
        assert_takes(q, 3, 2, 1000, "news ");
    }
    assert_int_equal(done, 1);
    assert_takes(q, 3, 2, 1000, "");
    broadcast_queue_put(q, STR("x"), STR("news"), count_up, &done);
    assert_takes(q, 0, 2, 1000, "news "); /* a limit of none is one, as the reference's */
    assert_int_equal(broadcast_queue_count(q), 0);
    (void)broadcast_queue_free(q);
}

static void test_names(void **state)
{
    (void)state;
    int done = 0;
    struct broadcast_queue *q = broadcast_queue_new();
    broadcast_queue_put(q, STR("x"), STR("old"), count_up, &done);
    broadcast_queue_put(q, STR(""), STR("own"), count_up, &done);
    broadcast_queue_put(q, STR(""), STR("own"), count_up, &done);
    assert_takes(q, 9, 0, 3, "own ");
    broadcast_queue_put(q, STR("x"), STR("new"), count_up, &done);
    assert_int_equal(done, 1);
    assert_int_equal(broadcast_queue_count(q), 3);
    assert_takes(q, 9, 0, 100, "new own own ");
    broadcast_queue_put(q, STR("x"), STR("last"), count_up, &done);
    broadcast_queue_prune(q, 1);
    assert_int_equal(done, 4);
    assert_takes(q, 9, 0, 100, "last ");
    (void)broadcast_queue_free(q);
    assert_int_equal(done, 4);
}

/* --- against a plain array --- */

struct model_entry {
    uint32_t name, sent;
    size_t size;
    uint64_t id;
};

#define MODEL_MAX 400u
struct model {
    struct model_entry v[MODEL_MAX];
    size_t n;
    uint64_t ids;
};

static bool model_before(const struct model_entry *a, const struct model_entry *b)
{
    return a->sent != b->sent   ? a->sent < b->sent
           : a->size != b->size ? a->size > b->size
                                : a->id > b->id;
}

static void model_remove(struct model *m, size_t i)
{
    m->v[i] = m->v[--m->n];
}

static void model_put(struct model *m, uint32_t name, size_t size)
{
    for (size_t i = 0; name != 0 && i < m->n; i++) {
        if (m->v[i].name == name) {
            model_remove(m, i);
            break;
        }
    }
    m->v[m->n++] = (struct model_entry){name, 0, size, ++m->ids};
}

/* Ids of what fits, in the order of giving. */
static void model_take(struct model *m, uint32_t limit, size_t overhead, size_t room,
                       struct buf *ids)
{
    bool is_taken[MODEL_MAX] = {false};
    uint32_t tier = 0;
    while (room > overhead) {
        size_t best = m->n;
        for (size_t i = 0; i < m->n; i++) {
            if (!is_taken[i] && m->v[i].sent >= tier && m->v[i].size <= room - overhead &&
                (best == m->n || model_before(&m->v[i], &m->v[best]))) {
                best = i;
            }
        }
        if (best == m->n) {
            break;
        }
        tier = m->v[best].sent;
        is_taken[best] = true;
        room -= overhead + m->v[best].size;
        buf_printf(ids, "%llu ", (unsigned long long)m->v[best].id);
    }
    for (size_t i = m->n; i-- > 0;) {
        if (is_taken[i]) {
            m->v[i].sent++;
            if (m->v[i].sent >= limit) {
                model_remove(m, i);
            }
        }
    }
}

static void put_id(void *data, struct str message)
{
    uint64_t id;
    memcpy(&id, message.p, sizeof(id));
    buf_printf(data, "%llu ", (unsigned long long)id);
}

static void test_model(void **state)
{
    (void)state;
    struct rng rng;
    struct model *m = xcalloc(1, sizeof(*m));
    struct broadcast_queue *q = broadcast_queue_new();
    rng_seed(&rng, 7);
    for (int step = 0; step < 20000; step++) {
        uint64_t what = rng_below(&rng, 10);
        if (what < 6 && m->n < MODEL_MAX) {
            char bytes[64] = {0}, name[16] = {0};
            uint32_t number = (uint32_t)rng_below(&rng, 40);
            size_t size = 8 + rng_below(&rng, 20);
            model_put(m, number, size);
            memcpy(bytes, &m->ids, sizeof(m->ids));
            if (number > 0) { /* else without a name */
                (void)snprintf(name, sizeof(name), "%u", number);
            }
            broadcast_queue_put(q, str_from_cstr(name), str_make(bytes, size), NULL, NULL);
        } else if (what < 9) {
            struct buf got = {0}, want = {0};
            uint32_t limit = (uint32_t)rng_below(&rng, 6);
            size_t overhead = rng_below(&rng, 4), room = rng_below(&rng, 200);
            (void)broadcast_queue_take(q, limit, overhead, room, put_id, &got);
            model_take(m, limit, overhead, room, &want);
            assert_str_equal(buf_view(&got), buf_view(&want));
            buf_deinit(&got);
            buf_deinit(&want);
        } else if (rng_below(&rng, 20) == 0) {
            size_t left = rng_below(&rng, m->n + 1);
            broadcast_queue_prune(q, left);
            while (m->n > left) {
                size_t last = 0;
                for (size_t i = 1; i < m->n; i++) {
                    last = model_before(&m->v[last], &m->v[i]) ? i : last;
                }
                model_remove(m, last);
            }
        }
        assert_int_equal(broadcast_queue_count(q), m->n);
    }
    (void)broadcast_queue_free(q);
    mem_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
