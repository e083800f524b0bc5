#include "gossip/pool_members.h"

#include "test.h"

#include "base/arena.h"

#include <pthread.h>

static void put(struct member_board *b, const char *name, int64_t status)
{
    const struct member m = {
        .name = str_from_cstr(name), .addr = STR("127.0.0.1"), .status = status};
    struct member_ref *r = member_ref_new(&m);
    member_board_put(b, r);
    assert_null(member_ref_unref(r));
}

static void test_published_lists(void **state)
{
    struct member_board *b = member_board_new();
    (void)state;
    struct member_list *none = member_board_read(b);
    assert_int_equal(none->count, 0);
    put(b, "self", MEMBER_ALIVE);
    put(b, "a", MEMBER_ALIVE);
    put(b, "b", MEMBER_ALIVE);
    struct member_list *before = member_board_read(b);
    assert_ptr_equal(before, none); /* not published yet */
    (void)member_list_unref(before);
    (void)member_list_unref(none);

    member_board_publish(b);
    struct member_list *first = member_board_read(b);
    assert_int_equal(first->count, 3);
    assert_str_lit(first->v[0]->name, "self");
    put(b, "a", MEMBER_FAILED);
    member_board_remove(b, STR("b"));
    put(b, "c", MEMBER_ALIVE);
    member_board_publish(b);
    struct member_list *second = member_board_read(b);
    assert_int_equal(member_list_find(first, STR("a"))->status, MEMBER_ALIVE); /* as it was */
    assert_non_null(member_list_find(first, STR("b")));
    assert_int_equal(member_list_find(second, STR("a"))->status, MEMBER_FAILED);
    assert_null(member_list_find(second, STR("b")));
    assert_str_lit(second->v[1]->name, "a"); /* keeps its place */
    assert_str_lit(second->v[2]->name, "c");
    member_board_publish(b); /* nothing is new */
    struct member_list *third = member_board_read(b);
    assert_ptr_equal(third, second);
    (void)member_list_unref(third);
    (void)member_board_free(b);
    assert_str_lit(second->v[0]->name, "self"); /* outlives the board */
    (void)member_list_unref(first);
    (void)member_list_unref(second);
}

struct reader {
    struct member_board *board;
    _Atomic bool is_over;
    _Atomic uint64_t lists;
};

/* Every list is whole: the members of one publication, in their order. */
static void *read_lists(void *data)
{
    struct reader *r = data;
    while (!atomic_load(&r->is_over)) {
        struct member_list *list = member_board_read(r->board);
        for (size_t i = 1; i < list->count; i++) {
            assert_int_equal(list->v[i]->port, list->v[0]->port);
        }
        (void)member_list_unref(list);
        r->lists++;
    }
    return NULL;
}

static void test_readers_on_other_threads(void **state)
{
    struct reader r = {.board = member_board_new()};
    pthread_t threads[2];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_lists, &r), 0);
    }
    for (int64_t round = 0; round < 300; round++) {
        for (int i = 0; i < 20; i++) {
            char name[8] = {(char)('a' + i)};
            const struct member m = {.name = str_from_cstr(name), .port = round};
            struct member_ref *ref = member_ref_new(&m);
            member_board_put(r.board, ref);
            (void)member_ref_unref(ref);
        }
        member_board_publish(r.board);
    }
    atomic_store(&r.is_over, true);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    (void)member_board_free(r.board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_lists),
        cmocka_unit_test(test_readers_on_other_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
