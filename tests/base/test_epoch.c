#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/epoch.h"
#include "base/err.h"
#include "base/mem.h"

static size_t freed;

static void count_free(void *object)
{
    freed++;
    mem_free(object);
}

static void test_without_readers(void **state)
{
    (void)state;
    freed = 0;
    struct epoch *e = epoch_new();
    assert_int_equal(epoch_collect(e), 0);
    for (int i = 0; i < 10; i++) {
        epoch_retire(e, xmalloc(1), count_free);
    }
    assert_int_equal(freed, 0);
    assert_int_equal(epoch_collect(e), 0);
    assert_int_equal(freed, 10);
    epoch_retire(e, xmalloc(1), count_free);
    assert_null(epoch_free(e));
    assert_int_equal(freed, 11);
}

static void test_a_reader_holds_what_it_may_have_found(void **state)
{
    (void)state;
    freed = 0;
    struct epoch *e = epoch_new();
    struct epoch_slot *one = epoch_register(e), *two = epoch_register(e);
    assert_ptr_not_equal(one, two);
    epoch_enter(e, one);
    epoch_retire(e, xmalloc(1), count_free);
    assert_int_equal(epoch_collect(e), 1);
    epoch_enter(e, two); /* too late to have found it */
    epoch_retire(e, xmalloc(1), count_free);
    assert_int_equal(epoch_collect(e), 2);
    epoch_leave(e, one);
    assert_int_equal(epoch_collect(e), 1);
    assert_int_equal(freed, 1);
    epoch_enter(e, two); /* entering anew is as good as leaving */
    assert_int_equal(epoch_collect(e), 0);
    epoch_leave(e, two);
    epoch_unregister(e, one);
    assert_ptr_equal(epoch_register(e), one);
    epoch_free(e);
}

static void test_a_pin_outlives_the_turn(void **state)
{
    (void)state;
    freed = 0;
    struct epoch *e = epoch_new();
    struct epoch_slot *slot = epoch_register(e);
    uint32_t early, late, pins[EPOCH_PINS_MAX];
    epoch_enter(e, slot);
    epoch_retire(e, xmalloc(1), count_free);
    assert_int_equal(epoch_collect(e), 1);
    assert_ok(epoch_pin(e, &early)); /* in the turn that could still find the object */
    epoch_leave(e, slot);
    assert_int_equal(epoch_collect(e), 1);
    epoch_unpin(e, early);
    assert_int_equal(epoch_collect(e), 0);
    assert_ok(epoch_pin(e, &late)); /* on the writer's thread: what is reachable now */
    epoch_retire(e, xmalloc(1), count_free);
    assert_int_equal(epoch_collect(e), 1);
    epoch_unpin(e, late);
    assert_int_equal(epoch_collect(e), 0);
    for (size_t i = 0; i < EPOCH_PINS_MAX; i++) {
        assert_ok(epoch_pin(e, &pins[i]));
    }
    assert_int_equal(epoch_pin(e, &late), -ERR_AGAIN);
    for (size_t i = 0; i < EPOCH_PINS_MAX; i++) {
        epoch_unpin(e, pins[i]);
    }
    epoch_free(e);
}

static struct epoch *chained;

static void retire_another(void *object)
{
    count_free(object);
    for (int i = 0; i < 20; i++) {
        epoch_retire(chained, xmalloc(1), count_free);
    }
}

/* Large things, and many of them, are freed a bounded part at a time. */
static bool free_part(void *object)
{
    size_t *parts = object;
    freed++;
    return --*parts == 0;
}

static void test_bounded(void **state)
{
    (void)state;
    struct epoch *e = epoch_new();
    size_t parts = 2 * EPOCH_FREES_MAX;
    freed = 0;
    epoch_retire_large(e, &parts, free_part);
    epoch_retire(e, xmalloc(1), count_free);
    assert_int_equal(epoch_collect(e), 2);
    assert_int_equal(freed, EPOCH_FREES_MAX);
    assert_true(epoch_is_behind(e));
    assert_int_equal(epoch_collect(e), 1);
    assert_int_equal(freed, 2 * EPOCH_FREES_MAX);
    assert_true(epoch_is_behind(e));
    assert_int_equal(epoch_collect(e), 0);
    assert_int_equal(freed, 2 * EPOCH_FREES_MAX + 1);
    assert_false(epoch_is_behind(e));

    struct epoch_slot *reader = epoch_register(e);
    epoch_enter(e, reader);
    epoch_retire(e, xmalloc(1), count_free);
    assert_int_equal(epoch_collect(e), 1);
    assert_false(epoch_is_behind(e)); /* the reader is why */
    epoch_leave(e, reader);
    epoch_unregister(e, reader);
    epoch_free(e);
}

static void test_freeing_may_retire_more(void **state)
{
    (void)state;
    freed = 0;
    chained = epoch_new();
    epoch_retire(chained, xmalloc(1), retire_another);
    assert_int_equal(epoch_collect(chained), 20);
    assert_int_equal(epoch_collect(chained), 0);
    assert_int_equal(freed, 21);
    epoch_free(chained);
}

/* A writer swaps a pointer, readers follow it: ASan and TSan see a mistake. */
#define OBJECT_MAGIC 0x600df00d600df00du

struct object {
    uint64_t magic;
    uint64_t version;
};

static struct epoch *shared_epoch;
static struct object *_Atomic shared_root;
static _Atomic bool stop;

static void object_free(void *p)
{
    struct object *o = p;
    o->magic = 0;
    mem_free(o);
}

static struct object *object_new(uint64_t version)
{
    struct object *o = xmalloc(sizeof(*o));
    *o = (struct object){OBJECT_MAGIC, version};
    return o;
}

static void *reader_main(void *data)
{
    _Atomic uint64_t *turns = data;
    struct epoch_slot *slot = epoch_register(shared_epoch);
    uint64_t version = 0;
    uint32_t pin = 0;
    struct object *pinned = NULL;
    while (!atomic_load(&stop)) {
        epoch_enter(shared_epoch, slot);
        struct object *o = atomic_load_explicit(&shared_root, memory_order_acquire);
        ASSERT(o->magic == OBJECT_MAGIC && o->version >= version);
        version = o->version;
        if (pinned == NULL && epoch_pin(shared_epoch, &pin) == 0) {
            pinned = o;
        } else if (pinned != NULL && version % 16 == 0) {
            ASSERT(pinned->magic == OBJECT_MAGIC);
            pinned = NULL;
            epoch_unpin(shared_epoch, pin);
        }
        epoch_leave(shared_epoch, slot);
        ASSERT(pinned == NULL || pinned->magic == OBJECT_MAGIC);
        atomic_fetch_add(turns, 1);
    }
    if (pinned != NULL) {
        epoch_unpin(shared_epoch, pin);
    }
    epoch_unregister(shared_epoch, slot);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[3];
    static _Atomic uint64_t turns[3];
    shared_epoch = epoch_new();
    atomic_store(&shared_root, object_new(0));
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &turns[i]), 0);
    }
    uint64_t version = 0;
    bool enough = false;
    while (!enough || version < 20000) {
        struct object *before = atomic_load_explicit(&shared_root, memory_order_relaxed);
        atomic_store_explicit(&shared_root, object_new(++version), memory_order_release);
        epoch_retire(shared_epoch, before, object_free);
        if (version % 3 == 0) {
            (void)epoch_collect(shared_epoch);
        }
        enough = true;
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
            enough = enough && atomic_load(&turns[i]) > 100;
        }
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    while (epoch_collect(shared_epoch) > 0) {
        assert_true(epoch_is_behind(shared_epoch));
    }
    epoch_free(shared_epoch);
    object_free(atomic_load(&shared_root));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_readers),
        cmocka_unit_test(test_a_reader_holds_what_it_may_have_found),
        cmocka_unit_test(test_a_pin_outlives_the_turn),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_freeing_may_retire_more),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
