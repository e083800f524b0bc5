/* News of members on their way home: what waits, in which order, and from when on it is told. */
#include "test.h"

#include "base/mem.h"
#include "gossip/pool_news.h"
#include "loop/loop.h"

struct fixture {
    struct loop *home;
    struct pool_news *news;
    unsigned told; /* that there is something */
};

static void ready(void *data)
{
    struct fixture *f = data;
    f->told++;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->home = loop_new("home");
    f->news = pool_news_new(f->home, ready, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)loop_free(f->home);
    (void)pool_news_free(f->news);
    mem_free(f);
    return 0;
}

static void put(struct fixture *f, enum serf_event_kind kind, const char *name)
{
    const struct member m = {.name = str_from_cstr(name)};
    struct member_ref *r = member_ref_new(&m);
    pool_news_member(f->news, kind, r);
    (void)member_ref_unref(r);
}

/* What was posted is run. */
static void run(struct fixture *f)
{
    loop_stop(f->home);
    loop_run(f->home);
}

static void expect(struct fixture *f, enum serf_event_kind kind, const char *name)
{
    struct pool_news_item item;
    assert_true(pool_news_next(f->news, &item));
    assert_int_equal(item.kind, kind);
    assert_str_equal(item.member->member->name, str_from_cstr(name));
    pool_news_item_deinit(&item);
}

static void expect_none(struct fixture *f)
{
    struct pool_news_item item;
    assert_false(pool_news_next(f->news, &item));
}

/* Who is told of a member looks for it in the list, which comes first. */
static void test_held_until_published(void **state)
{
    struct fixture *f = *state;
    put(f, SERF_EVENT_MEMBER_JOIN, "a");
    run(f);
    assert_int_equal(f->told, 0);
    expect_none(f);
    pool_news_publish(f->news);
    put(f, SERF_EVENT_MEMBER_LEAVE, "a");
    run(f);
    assert_int_equal(f->told, 1);
    expect(f, SERF_EVENT_MEMBER_JOIN, "a");
    expect_none(f);
    pool_news_publish(f->news);
    run(f);
    assert_int_equal(f->told, 2);
    expect(f, SERF_EVENT_MEMBER_LEAVE, "a");
    pool_news_publish(f->news); /* of nothing */
    run(f);
    assert_int_equal(f->told, 2);
}

static void test_last_of_each_kind(void **state)
{
    struct fixture *f = *state;
    put(f, SERF_EVENT_MEMBER_JOIN, "a");
    put(f, SERF_EVENT_MEMBER_JOIN, "b");
    pool_news_publish(f->news);
    put(f, SERF_EVENT_MEMBER_FAILED, "a");
    put(f, SERF_EVENT_MEMBER_JOIN, "a"); /* what was to be told goes */
    pool_news_publish(f->news);
    expect(f, SERF_EVENT_MEMBER_JOIN, "b");
    expect(f, SERF_EVENT_MEMBER_FAILED, "a");
    expect(f, SERF_EVENT_MEMBER_JOIN, "a");
    expect_none(f);
}

static void test_users_come_last(void **state)
{
    struct fixture *f = *state;
    const struct serf_user_event event = {.name = STR("e"), .payload = STR("p")};
    struct pool_news_item item;
    pool_news_user(f->news, &event);
    put(f, SERF_EVENT_MEMBER_JOIN, "a");
    pool_news_publish(f->news);
    run(f);
    assert_int_equal(f->told, 1);
    expect(f, SERF_EVENT_MEMBER_JOIN, "a");
    assert_true(pool_news_next(f->news, &item));
    assert_int_equal(item.kind, SERF_EVENT_USER);
    assert_str_lit(item.user->payload, "p");
    pool_news_item_deinit(&item);
    put(f, SERF_EVENT_MEMBER_JOIN, "left behind");
}

#define NEWS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NEWS(test_held_until_published),
        NEWS(test_last_of_each_kind),
        NEWS(test_users_come_last),
    };
    return cmocka_run_group_tests_name("gossip/pool_news", tests, NULL, NULL);
}
