#include "test.h"

#include "base/list.h"

struct item {
    int value;
    struct list link;
};

static void test_order_and_removal(void **state)
{
    (void)state;
    struct list head, other;
    struct item items[5] = {0};
    list_init(&head);
    list_init(&other);
    assert_true(list_is_empty(&head));
    assert_null(list_pop_front(&head));
    for (int i = 0; i < 5; i++) {
        items[i].value = i;
        list_push_back(&head, &items[i].link);
    }
    list_remove(&items[4].link);
    assert_false(list_is_linked(&items[4].link));
    list_remove(&items[4].link); /* harmless */
    list_push_front(&head, &items[4].link);
    int sum = 0;
    list_for_each (it, &head) {
        struct item *item = list_entry(it, struct item, link);
        sum = sum * 10 + item->value;
        if (item->value == 2) {
            list_remove(it);
        }
    }
    assert_int_equal(sum, 40123);
    list_push_back(&other, &items[2].link);
    list_splice_back(&other, &head);
    assert_true(list_is_empty(&head));
    assert_ptr_equal(list_pop_front(&other), &items[2].link);
    assert_ptr_equal(list_pop_front(&other), &items[4].link);
    list_splice_back(&other, &head);
    assert_ptr_equal(other.prev, &items[3].link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
