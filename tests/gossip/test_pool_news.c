#include "gossip/pool_news.h"

#include "test.h"

#include "base/buf.h"
#include "loop/loop.h"

#include <stdio.h>

struct fixture {
    struct loop *home;
    struct pool_news *news;
    struct buf heard;
    unsigned readies;
};

static void take_all(struct fixture *f)
{
    static const char *const kinds[] = {"join", "update", "leave", "failed", "reap", "user"};
    struct pool_news_item item;
    while (pool_news_next(f->news, &item)) {
        if (item.dropped > 0) {
            buf_printf(&f->heard, "dropped %llu ", (unsigned long long)item.dropped);
        }
        struct str name = item.member != NULL ? item.member->member->name : item.user->name;
        buf_printf(&f->heard, "%s %.*s", kinds[item.kind], STRF(name));
        if (item.user != NULL) {
            buf_printf(&f->heard, "=%.*s", STRF(item.user->payload));
        }
        buf_byte(&f->heard, ' ');
        pool_news_item_deinit(&item);
    }
}

static void ready(void *data)
{
    struct fixture *f = data;
    f->readies++;
    take_all(f);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
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
    buf_deinit(&f->heard);
    test_free(f);
    return 0;
}

static void tell(struct fixture *f, enum serf_event_kind kind, const char *name)
{
    const struct member m = {.name = str_from_cstr(name)};
    struct member_ref *r = member_ref_new(&m);
    pool_news_member(f->news, kind, r);
    (void)member_ref_unref(r);
}

static void tell_user(struct fixture *f, const char *name, struct str payload)
{
    const struct serf_user_event e = {.name = str_from_cstr(name), .payload = payload};
    pool_news_user(f->news, &e);
}

static void run_home(struct fixture *f)
{
    loop_stop(f->home);
    loop_run(f->home);
}

/* After the list of members was published. */
static void assert_heard(struct fixture *f, const char *expected)
{
    pool_news_publish(f->news);
    run_home(f);
    assert_str_equal(buf_view(&f->heard), str_from_cstr(expected));
    buf_clear(&f->heard);
}

static void test_in_order(void **state)
{
    struct fixture *f = *state;
    tell(f, SERF_EVENT_MEMBER_JOIN, "a");
    tell(f, SERF_EVENT_MEMBER_JOIN, "b");
    tell_user(f, "deploy", STR("1"));
    tell(f, SERF_EVENT_MEMBER_FAILED, "a");
    assert_heard(f, "join a join b failed a user deploy=1 ");
    assert_int_equal(f->readies, 1); /* one wake-up for all */
    tell(f, SERF_EVENT_MEMBER_JOIN, "a");
    assert_heard(f, "join a ");
    assert_int_equal(f->readies, 2);
}

/* Who is told of a member looks for it in the list, which comes first. */
static void test_held_until_published(void **state)
{
    struct fixture *f = *state;
    tell(f, SERF_EVENT_MEMBER_JOIN, "a");
    run_home(f);
    assert_int_equal(f->readies, 0);
    pool_news_publish(f->news);
    tell(f, SERF_EVENT_MEMBER_LEAVE, "a");
    run_home(f);
    assert_str_equal(buf_view(&f->heard), STR("join a "));
    buf_clear(&f->heard);
    assert_heard(f, "leave a ");
    assert_heard(f, ""); /* of nothing */
    assert_int_equal(f->readies, 2);
}

/* Of each kind the last waits, as late as it came. */
static void test_members_wait_once_for_each_kind(void **state)
{
    struct fixture *f = *state;
    tell(f, SERF_EVENT_MEMBER_JOIN, "a");
    for (int i = 0; i < 1000; i++) {
        tell(f, SERF_EVENT_MEMBER_FAILED, "a");
        tell(f, SERF_EVENT_MEMBER_JOIN, "a");
        tell(f, SERF_EVENT_MEMBER_UPDATE, "a");
    }
    tell(f, SERF_EVENT_MEMBER_JOIN, "b");
    assert_heard(f, "failed a join a update a join b ");
}

static void test_the_oldest_user_events_go(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < POOL_NEWS_USER_EVENTS_MAX + 10; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%u", i);
        tell_user(f, "e", str_from_cstr(text));
    }
    pool_news_publish(f->news);
    run_home(f);
    struct str heard = buf_view(&f->heard);
    assert_true(str_has_prefix(heard, STR("dropped 10 user e=10 user e=11 ")));
    assert_true(str_has_suffix(heard, STR("user e=1032 user e=1033 ")));
}

static void test_what_was_not_taken(void **state)
{
    struct fixture *f = *state;
    tell(f, SERF_EVENT_MEMBER_JOIN, "a");
    tell_user(f, "e", STR("p"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_in_order),
        T(test_held_until_published),
        T(test_members_wait_once_for_each_kind),
        T(test_the_oldest_user_events_go),
        T(test_what_was_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
