/* One core by itself: what it makes of messages and states, its bounds, its timers. */
#include "serf_cluster.h"

#include "base/clock.h"
#include "gossip/core/serf_internal.h"
#include "proto/serf.h"

#include <stdio.h>

static int setup(void **state)
{
    static struct cluster c;
    cluster_init(&c);
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    cluster_deinit(*state);
    return 0;
}

static void say_intent(struct node *n, enum serf_type type, const char *node, uint64_t ltime)
{
    struct buf b = {0};
    const struct serf_intent m = {.ltime = ltime, .node = str_from_cstr(node)};
    serf_intent_encode(type, &m, &b);
    serf_message(n->serf, buf_view(&b));
    buf_deinit(&b);
}

static void say_event(struct node *n, const char *name, uint64_t ltime)
{
    struct buf b = {0};
    const struct serf_user_event m = {.ltime = ltime, .name = str_from_cstr(name)};
    serf_user_event_encode(&m, &b);
    serf_message(n->serf, buf_view(&b));
    buf_deinit(&b);
}

static void say_query(struct node *n, const struct serf_query *q)
{
    struct buf b = {0};
    serf_query_encode(q, &b);
    serf_message(n->serf, buf_view(&b));
    buf_deinit(&b);
}

static struct serf_query a_query(const struct node *n, uint64_t ltime, uint32_t id)
{
    return (struct serf_query){.ltime = ltime,
                               .id = id,
                               .source = n->address,
                               .source_node = STR("x"),
                               .timeout_ns = NS_PER_SEC,
                               .name = STR("q")};
}

/* A member that nobody runs. */
static void alive(struct node *n, const char *name, uint8_t last, uint32_t incarnation)
{
    struct buf b = {0};
    const struct memberlist_alive m = {
        .incarnation = incarnation,
        .node = str_from_cstr(name),
        .address = {.ip = {127, 0, 1, last}, .size = 4, .port = 8301},
        .vsn = {1, 5, 2, 2, 5, 4},
        .has_vsn = true,
    };
    memberlist_alive_encode(&m, &b);
    swim_packet(serf_swim(n->serf), n->cluster->now_ns, &m.address, buf_view(&b));
    buf_deinit(&b);
}

static void dead(struct node *n, const char *name, uint32_t incarnation)
{
    struct buf b = {0};
    const struct memberlist_suspect m = {
        .incarnation = incarnation, .node = str_from_cstr(name), .from = STR("x")};
    memberlist_dead_encode(&m, &b);
    swim_packet(serf_swim(n->serf), n->cluster->now_ns, &n->address, buf_view(&b));
    buf_deinit(&b);
}

static struct serf_stats stats_of(const struct node *n)
{
    struct serf_stats stats;
    serf_stats(n->serf, &stats);
    return stats;
}

static void test_config(void **state)
{
    (void)state;
    struct serf_config lan, wan;
    serf_config_init(&lan, false);
    serf_config_init(&wan, true);
    assert_true(lan.swim.dead_node_reclaim_ns == 30 * NS_PER_SEC);
    assert_true(wan.swim.dead_node_reclaim_ns == 30 * NS_PER_SEC);
    assert_true(lan.swim.probe_interval_ns == 1 * NS_PER_SEC);
    assert_true(wan.swim.probe_interval_ns == 5 * NS_PER_SEC);
    assert_true(wan.reconnect_timeout_ns == 72 * 3600 * NS_PER_SEC);
    assert_false(lan.enable_name_conflict_resolution);
}

/* --- intents ---------------------------------------------------------------------------------- */

static void test_intent_before_the_member(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    say_intent(a, SERF_JOIN, "b", 5);
    say_intent(a, SERF_LEAVE, "b", 9);
    say_intent(a, SERF_JOIN, "b", 7); /* older: it does not count */
    assert_int_equal(stats_of(a).member_time, 10);
    assert_int_equal(stats_of(a).intent_queue, 2); /* what was news is passed on */
    say_intent(a, SERF_LEAVE, "b", 9);
    assert_int_equal(stats_of(a).intent_queue, 2);
    alive(a, "b", 2, 1);
    assert_status(a, "b", "leaving");
    say_intent(a, SERF_JOIN, "b", 9); /* not newer than the leave */
    assert_status(a, "b", "leaving");
    say_intent(a, SERF_JOIN, "b", 10);
    assert_status(a, "b", "alive");
    assert_statuses(a, "b alive\n");

    say_intent(a, SERF_JOIN, "c", 20);
    alive(a, "c", 3, 1);
    assert_status(a, "c", "alive");
    say_intent(a, SERF_LEAVE, "c", 20);
    assert_status(a, "c", "alive");
    say_intent(a, SERF_LEAVE, "c", 21);
    assert_status(a, "c", "leaving");
}

static void test_intent_is_forgotten(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    say_intent(a, SERF_LEAVE, "b", 9);
    cluster_run(c, 200000);
    say_intent(a, SERF_LEAVE, "c", 9);
    cluster_run(c, 120000);
    alive(a, "b", 2, 1);
    assert_status(a, "b", "alive");
    alive(a, "c", 3, 1);
    assert_status(a, "c", "leaving");
}

static void test_intents_are_bounded(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    a->serf->members_max = 3;
    static const char *const names[] = {"b", "c", "d", "e"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        say_intent(a, SERF_LEAVE, names[i], 9);
    }
    assert_int_equal(a->serf->intents.n, 3);
    a->serf->members_max = 100;
    alive(a, "b", 2, 1); /* the oldest had to go */
    alive(a, "e", 5, 1);
    assert_status(a, "b", "alive");
    assert_status(a, "e", "leaving");
}

/* A second leave of who is leaving, or has left: his time moves on, so that it ends. */
static void test_leave_twice(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    alive(a, "b", 2, 1);
    for (uint64_t ltime = 5; ltime < 8; ltime++) {
        say_intent(a, SERF_LEAVE, "b", ltime);
        assert_int_equal(stats_of(a).intent_queue, ltime - 4);
        say_intent(a, SERF_LEAVE, "b", ltime);
        assert_int_equal(stats_of(a).intent_queue, ltime - 4);
        dead(a, "b", 1);
        assert_status(a, "b", "left");
    }
    assert_news(a, "join a\njoin b\nleave b\n");
    alive(a, "b", 2, 2); /* an intent of before does not make the new one leave */
    assert_status(a, "b", "alive");
}

static void test_refute(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    say_intent(a, SERF_LEAVE, "a", 30);
    assert_status(a, "a", "alive");
    assert_int_equal(serf_member_find(a->serf, STR("a"))->status_ltime, 31);
    assert_int_equal(stats_of(a).intent_queue, 1); /* that we are here */
    say_intent(a, SERF_LEAVE, "a", 30);
    assert_int_equal(stats_of(a).intent_queue, 1);
}

/* Times stop at the end of their range, they do not begin again. */
static void test_clock_end(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    struct err err;
    say_intent(a, SERF_JOIN, "b", UINT64_MAX);
    say_event(a, "e", UINT64_MAX);
    const struct serf_query q = a_query(a, UINT64_MAX, 1);
    say_query(a, &q);
    assert_true(stats_of(a).member_time == UINT64_MAX);
    assert_true(stats_of(a).event_time == UINT64_MAX);
    assert_true(stats_of(a).query_time == UINT64_MAX);
    serf_remove_failed(a->serf, c->now_ns, STR("b"), false);
    assert_ok(serf_user_event(a->serf, c->now_ns, STR("e2"), STR_NULL, false, &err));
    assert_true(stats_of(a).member_time == UINT64_MAX);
    assert_true(stats_of(a).event_time == UINT64_MAX);
    assert_news(a, "join a\nuser e=\nquery q=\nuser e2=\n");
}

/* --- user events ------------------------------------------------------------------------------ */

static void test_event_window(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    buf_clear(&a->news);
    say_event(a, "one", 1);
    say_event(a, "new", 512);
    say_event(a, "one", 1); /* still known */
    assert_news(a, "user one=\nuser new=\n");
    say_event(a, "newer", 513);
    say_event(a, "one", 1); /* no more: the time 513 has its place */
    say_event(a, "two", 2);
    say_event(a, "two", 513);
    assert_news(a, "user newer=\nuser two=\nuser two=\n");
    assert_true(node_has_logged(a, "received old event one from time 1 (current: 514)"));
}

/* More than is kept: the oldest are taken for told. */
static void test_event_memory(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    char payload[9000];
    memset(payload, 'x', sizeof(payload));
    for (uint32_t i = 0; i < 600; i++) {
        memcpy(payload, &i, sizeof(i));
        (void)serf_on_user_event(
            a->serf, &(struct serf_user_event){.ltime = 1 + i / 100,
                                               .name = STR("e"),
                                               .payload = str_make(payload, sizeof(payload))});
        assert_true(a->serf->events_size <= SERF_EVENTS_SIZE_MAX);
    }
    assert_true(a->measures[SERF_MEASURE_EVENTS] == 600);
    assert_int_equal(a->serf->event_time_min, 3);
    assert_true(node_has_logged(a, "too many user events at once, ignoring those up to time 1"));
    buf_clear(&a->news);
    say_event(a, "late", 2);
    say_event(a, "new", 3);
    assert_news(a, "user new=\n");
    char large[9300] = {0};
    (void)serf_on_user_event(
        a->serf, &(struct serf_user_event){.ltime = 9, .payload = str_make(large, sizeof(large))});
    assert_news(a, "");
}

/* It would be kept, and told in every push/pull, which nobody could read. */
static void test_event_without_name(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a"), *b = cluster_start(c, "b");
    struct err err;
    struct buf bytes = {0};
    assert_int_equal(serf_user_event(a->serf, c->now_ns, STR(""), STR("x"), false, &err),
                     -ERR_INVALID);
    say_event(a, "", 5);
    assert_news(a, "join a\n");
    assert_true(node_has_logged(a, "received an event without a name"));
    say_event(a, "e", 6);
    serf_local_state(a->serf, &bytes);
    serf_remote_state(b->serf, false, buf_view(&bytes));
    assert_news(b, "join b\nuser e=\n");
    buf_deinit(&bytes);
}

/* --- queries ---------------------------------------------------------------------------------- */

static void test_query_window(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    buf_clear(&a->news);
    struct serf_query q = a_query(a, 1, 7);
    say_query(a, &q);
    say_query(a, &q);
    q.id = 8;
    say_query(a, &q);
    assert_news(a, "query q=\nquery q=\n");
    q.ltime = 600;
    say_query(a, &q);
    q.ltime = 1;
    q.id = 9;
    say_query(a, &q);
    assert_news(a, "query q=\n");
    assert_true(node_has_logged(a, "received old query q from time 1 (current: 601)"));
    assert_int_equal(stats_of(a).query_queue, 3);
    for (uint32_t i = 0; i < SERF_QUERIES_AT_MAX + 10; i++) {
        q = a_query(a, 601, i);
        say_query(a, &q);
    }
    assert_true(node_has_logged(a, "too many queries at once, ignoring q"));
    assert_int_equal(stats_of(a).query_queue, 3 + SERF_QUERIES_AT_MAX);
}

static void test_query_odd_filters(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    buf_clear(&a->news);
    struct str filters[] = {STR(""), STR("\x02\x90"), STR("\x00\xc1"), STR("\x01")};
    for (uint32_t i = 0; i < ARRAY_SIZE(filters); i++) {
        struct serf_query q = a_query(a, 1, i);
        q.filters = &filters[i];
        q.filters_count = 1;
        say_query(a, &q);
        assert_int_equal(stats_of(a).query_queue, i + 1); /* others may understand it */
    }
    assert_news(a, "");
}

/* Answers that nobody has asked for, of the wrong number, after the end. */
static void test_odd_answers(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    struct serf_asking q = {0};
    struct err err;
    q.done = NULL;
    assert_ok(
        serf_query(a->serf, c->now_ns, &(struct serf_query_params){.name = STR("q")}, &q, &err));
    serf_on_query_response(a->serf, &(struct serf_query_response){.ltime = q.ltime + 1});
    assert_true(node_has_logged(a, "reply for non-running query"));
    serf_on_query_response(a->serf,
                           &(struct serf_query_response){.ltime = q.ltime, .id = q.id + 1});
    assert_true(node_has_logged(a, "query reply ID mismatch"));
    for (uint32_t i = 0; i < 100; i++) { /* more names than there can be */
        serf_on_query_response(a->serf,
                               &(struct serf_query_response){
                                   .ltime = q.ltime, .id = q.id, .from = str_make(&i, sizeof(i))});
    }
    assert_true(a->measures[SERF_MEASURE_QUERY_RESPONSES] == 18);
    serf_query_close(a->serf, &q);
}

static void test_late_answer(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    struct serf_asking q = {0};
    struct err err;
    assert_ok(
        serf_query(a->serf, c->now_ns, &(struct serf_query_params){.name = STR("q")}, &q, &err));
    a->serf->now_ns = q.deadline_ns + 1; /* its time is over, the tick has not come */
    serf_on_query_response(
        a->serf, &(struct serf_query_response){.ltime = q.ltime, .id = q.id, .from = STR("b")});
    assert_true(a->measures[SERF_MEASURE_QUERY_RESPONSES] == 0);
    serf_query_close(a->serf, &q);
}

static void test_query_before_a_restart(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_node(c, "a");
    a->recovered.query_clock = 3;
    node_start(a);
    buf_clear(&a->news);
    struct serf_query q = a_query(a, 3, 1);
    say_query(a, &q);
    assert_news(a, "");
    q.ltime = 4;
    say_query(a, &q);
    assert_news(a, "query q=\n");
}

/* --- the vote --------------------------------------------------------------------------------- */

static void vote(struct node *n, const char *from, uint8_t last)
{
    struct buf payload = {0};
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.%u", last);
    const struct member m = {.name = STR("a"), .addr = str_from_cstr(address), .port = 8301};
    serf_conflict_response_encode(&m, &payload);
    serf_on_query_response(n->serf, &(struct serf_query_response){.ltime = n->serf->vote.ltime,
                                                                  .id = n->serf->vote.id,
                                                                  .from = str_from_cstr(from),
                                                                  .payload = buf_view(&payload)});
    buf_deinit(&payload);
}

static void test_votes(void **state)
{
    struct cluster *c = *state;
    static const struct {
        uint8_t votes[4];
        bool has_lost;
    } cases[] = {
        {{0}, true}, {{1}, false}, {{1, 2}, true}, {{1, 1, 2}, false}, {{1, 1, 2, 2}, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct node *a = cluster_node(c, "a");
        a->config.enable_name_conflict_resolution = true;
        a->address.ip[3] = 1;
        node_start(a);
        alive(a, "a", 77, 9);
        alive(a, "a", 78, 9); /* once more, while the vote is on */
        assert_int_equal(a->serf->asking_count, 1);
        for (size_t k = 0; k < 4 && cases[i].votes[k] > 0; k++) {
            vote(a, (const char[]){(char)('b' + k), '\0'}, cases[i].votes[k]);
        }
        cluster_run(c, 10000);
        assert_int_equal(a->has_lost, cases[i].has_lost);
        a->serf = serf_free(a->serf);
    }
}

static void test_unknown_messages(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    serf_message(a->serf, STR_NULL);
    serf_message(a->serf, STR("\x63junk"));
    assert_true(node_has_logged(a, "Received message of unknown type: 99"));
    static const char *const types[] = {"\x00", "\x01", "\x03", "\x04", "\x05", "\x09"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        serf_message(a->serf, (struct str){types[i], 1});
    }
    assert_true(node_has_logged(a, "Error decoding leave message"));
    assert_true(node_has_logged(a, "Error decoding join message"));
    assert_true(node_has_logged(a, "Error decoding user event message"));
    assert_true(node_has_logged(a, "Error decoding query message"));
    assert_true(node_has_logged(a, "Error decoding query response message"));
    assert_true(node_has_logged(a, "Error decoding relay header"));
    assert_int_equal(stats_of(a).intent_queue + stats_of(a).event_queue + stats_of(a).query_queue,
                     0);
}

/* --- states ----------------------------------------------------------------------------------- */

static void test_state(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a"), *b = cluster_start(c, "b");
    struct buf bytes = {0};
    for (int i = 0; i < 2; i++) {
        struct node *n = i == 0 ? a : b;
        alive(n, "x", 2, 1);
        alive(n, "y", 3, 1);
        alive(n, "z", 4, 1);
    }
    say_intent(a, SERF_JOIN, "x", 40);
    say_intent(a, SERF_LEAVE, "y", 41);
    dead(a, "y", 1);
    say_event(a, "e", 8);
    say_event(a, "f", 8);
    const struct serf_query q = a_query(a, 11, 1);
    say_query(a, &q);
    dead(b, "y", 1);
    assert_status(b, "y", "failed");
    buf_clear(&b->news);

    serf_local_state(a->serf, &bytes);
    serf_remote_state(b->serf, true, buf_view(&bytes));
    assert_status(b, "x", "alive");
    assert_status(b, "y", "left");
    assert_int_equal(serf_member_find(b->serf, STR("x"))->status_ltime, 40);
    assert_int_equal(serf_member_find(b->serf, STR("y"))->status_ltime, 42);
    assert_news(b, "leave y\nuser e=\nuser f=\n");
    assert_int_equal(stats_of(b).member_time, 43); /* past what was made up for y */
    assert_int_equal(stats_of(b).event_time, 9);
    assert_int_equal(stats_of(b).query_time, 12);
    assert_int_equal(stats_of(b).intent_queue, 0); /* gossip passes on, states do not */
    assert_int_equal(stats_of(b).event_queue, 0);
    serf_remote_state(b->serf, false, buf_view(&bytes));
    assert_news(b, "");

    serf_remote_state(b->serf, false, STR_NULL);
    assert_true(node_has_logged(b, "Remote state is zero bytes"));
    serf_remote_state(b->serf, false, STR("\x03\x80"));
    assert_true(node_has_logged(b, "Remote state has bad type prefix: 3"));
    serf_remote_state(b->serf, false, STR("\x02\xc1"));
    assert_true(node_has_logged(b, "Failed to decode remote state"));
    buf_deinit(&bytes);
}

/* --- bounds and timers ------------------------------------------------------------------------ */

static void test_queue_bound(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_node(c, "a");
    a->config.min_queue_depth = 10;
    node_start(a);
    for (uint64_t i = 1; i < 100; i++) {
        say_event(a, "e", i);
        assert_true(stats_of(a).event_queue <= 10);
    }
    cluster_run(c, 31000);
    assert_true(node_has_logged(a, "queues exceeded the limit (10), 89 messages were dropped!"));
    assert_true(a->measures[SERF_MEASURE_QUEUE_EVENT] > 0);
}

/* What no packet has room for is not passed on, and does not clog the queue. */
static void test_long_messages(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    char name[3000];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    say_event(a, name, 5);
    assert_true(a->measures[SERF_MEASURE_EVENTS] == 1);
    assert_int_equal(stats_of(a).event_queue, 0);
}

static void test_todo_bound(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    for (uint32_t i = 0; i < 2000; i++) {
        struct serf_query q = a_query(a, 1 + i / 1000, i);
        q.name = STR("_serf_ping");
        q.flags = SERF_QUERY_FLAG_ACK;
        say_query(a, &q);
        assert_true(a->serf->todo_count <= SERF_TODO_MAX);
    }
    assert_true(node_has_logged(a, "too many messages wait to be handled"));
    cluster_run(c, 1);
    assert_int_equal(a->serf->todo_count, 0);
}

/* The clock is written when it has moved, not more often than twice a second; at rest nothing is
 * due before the next probe. */
static void test_snapshot_clock(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    a->config.swim.probe_interval_ns = 0;
    cluster_run(c, 1000);
    buf_clear(&a->snapshot);
    for (uint64_t i = 1; i <= 30; i++) { /* three seconds */
        say_intent(a, SERF_JOIN, "b", i * 10);
        cluster_run(c, 100);
    }
    size_t written = 0;
    for (size_t i = 0; i < a->snapshot.n; i++) {
        written += a->snapshot.p[i] == '\n' ? 1 : 0;
    }
    assert_true(written >= 6 && written <= 7);
    cluster_run(c, 1000);
    assert_true(str_has_suffix(buf_view(&a->snapshot), STR("clock: 300\n")));
    buf_clear(&a->snapshot);
    cluster_run(c, 60000);
    assert_snapshot(a, "");
}

static void test_relay(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a"), *b = cluster_start(c, "b");
    struct buf inner = {0}, outer = {0};
    const struct serf_user_event e = {.ltime = 3, .name = STR("hi")};
    serf_user_event_encode(&e, &inner);
    const struct serf_relay r = {
        .to = b->address, .to_name = STR("b"), .message = buf_view(&inner)};
    serf_relay_encode(&r, &outer);
    buf_clear(&b->news);
    serf_message(a->serf, buf_view(&outer));
    cluster_run(c, 10);
    assert_news(b, "user hi=\n");
    buf_deinit(&inner);
    buf_deinit(&outer);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_config),
        T(test_intent_before_the_member),
        T(test_intent_is_forgotten),
        T(test_intents_are_bounded),
        T(test_leave_twice),
        T(test_refute),
        T(test_clock_end),
        T(test_event_window),
        T(test_event_memory),
        T(test_event_without_name),
        T(test_query_window),
        T(test_query_odd_filters),
        T(test_odd_answers),
        T(test_late_answer),
        T(test_query_before_a_restart),
        T(test_votes),
        T(test_unknown_messages),
        T(test_state),
        T(test_queue_bound),
        T(test_long_messages),
        T(test_todo_bound),
        T(test_snapshot_clock),
        T(test_relay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
