/* Members that come, go, fail and are forgotten, as the others see it. */
#include "serf_cluster.h"

#include "base/clock.h"

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

/* a, b, c in one pool, and nothing told that was not looked at. */
static void three(struct cluster *c)
{
    struct node *a = cluster_start(c, "a");
    for (size_t i = 1; i < 3; i++) {
        node_join(cluster_start(c, i == 1 ? "b" : "c"), a);
        cluster_run(c, 2000);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(serf_members_count(c->nodes[i].serf), 3);
        buf_clear(&c->nodes[i].news);
        buf_clear(&c->nodes[i].statuses);
        buf_clear(&c->nodes[i].snapshot);
    }
}

static void test_join(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    assert_news(a, "join a\n");
    struct node *b = cluster_start(c, "b");
    node_join(b, a);
    cluster_run(c, 1000);
    assert_int_equal(b->joined, 1);
    assert_news(a, "join b\n");
    assert_news(b, "join b\njoin a\n");
    assert_status(a, "b", "alive");
    const struct member *m = serf_find(a->serf, STR("b"));
    assert_str_lit(m->addr, "127.0.0.2");
    assert_int_equal(m->port, 8301);
    assert_int_equal(m->protocol_max, 5);
    assert_int_equal(m->delegate_cur, 4);
    assert_snapshot(b, "alive: b 127.0.0.2:8301\nalive: a 127.0.0.1:8301\nclock: 1\n");
    struct serf_stats stats;
    serf_stats(a->serf, &stats);
    assert_int_equal(stats.members, 2);
    assert_int_equal(stats.member_time, 2);
    assert_false(stats.encrypted);

    struct node *d = cluster_start(c, "d"); /* heard of by gossip alone */
    node_join(d, b);
    cluster_run(c, 3000);
    assert_news(a, "join d\n");
    assert_int_equal(serf_members_count(d->serf), 3);
}

static void test_join_fails(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a"), *b = cluster_node(c, "b");
    node_join(a, b);
    cluster_run(c, 1000);
    assert_int_equal(a->join_failed, 1);
    assert_non_null(strstr(a->join_text, "connection refused"));
    struct serf_stats stats;
    serf_stats(a->serf, &stats);
    assert_int_equal(stats.member_time, 1); /* nothing was said */
}

static void test_unwanted(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a"), *b = cluster_start(c, "b");
    a->refuses = STR("b");
    node_join(b, a);
    cluster_run(c, 20000);
    assert_status(a, "b", "unknown");
    assert_true(node_has_logged(a, "b is not wanted here"));
}

static void test_tags(void **state)
{
    struct cluster *c = *state;
    struct err err;
    three(c);
    struct node *a = &c->nodes[0], *b = &c->nodes[1];
    const struct strpair pairs[] = {{STR("role"), STR("node")}, {STR("x"), STR("1")}};
    const struct strmap tags = {pairs, 2};
    assert_ok(serf_set_tags(b->serf, c->now_ns, tags, &err));
    assert_news(b, "update b\n");
    cluster_run(c, 2000);
    assert_news(a, "update b\n");
    assert_true(strmap_eq(serf_find(a->serf, STR("b"))->tags, tags));
    assert_status(a, "b", "alive");

    char big[600];
    memset(big, 'x', sizeof(big));
    const struct strpair large = {STR("x"), str_make(big, sizeof(big))};
    assert_int_equal(serf_set_tags(b->serf, c->now_ns, (struct strmap){&large, 1}, &err),
                     -ERR_TOO_LARGE);
    assert_string_equal(err.text, "Encoded length of tags exceeds limit of 512 bytes");
    cluster_run(c, 1000);
    assert_true(strmap_eq(serf_find(b->serf, STR("b"))->tags, tags));
}

static void test_check(void **state)
{
    (void)state;
    struct err err;
    char big[600];
    memset(big, 'x', sizeof(big));
    const struct strpair large = {STR("x"), str_make(big, sizeof(big))};
    struct serf_options o = {.name = STR("a b"), .tags = {&large, 1}};
    serf_config_init(&o.config, true);
    assert_int_equal(serf_check(&o, &err), -ERR_TOO_LARGE);
    o.tags.n = 0;
    assert_ok(serf_check(&o, &err));
    o.config.validate_node_names = true;
    assert_int_equal(serf_check(&o, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "Node name contains invalid characters a b "));
    o.name = str_make(big, 129);
    assert_int_equal(serf_check(&o, &err), -ERR_INVALID);
    assert_string_equal(
        err.text, "Node name is 129 characters. Valid length is between 1 and 128 characters");
    o.name.n = 128;
    assert_ok(serf_check(&o, &err));
}

static void test_leave(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *b = &c->nodes[1], *d = &c->nodes[2];
    uint64_t began_ms = cluster_now_ms(c);
    serf_leave(d->serf, c->now_ns);
    assert_statuses(d, "c leaving\n");
    serf_leave(d->serf, c->now_ns); /* once more: one answer for both */
    cluster_run(c, 10000);
    assert_int_equal(d->left, 1);
    assert_true(d->left_at_ms - began_ms > 3000);
    assert_news(a, "leave c\n");
    assert_news(b, "leave c\n");
    assert_news(d, "leave c\n");
    assert_statuses(a, "c leaving\n");
    assert_status(a, "c", "left");
    assert_status(d, "c", "left");
    assert_status(d, "a", "alive");
    assert_true(a->measures[SERF_MEASURE_MEMBER_LEFT] == 1);
    /* What was known is kept for the next start, but not that we want to be back. */
    assert_snapshot(a, "clock: 3\nnot-alive: c\n");
    assert_snapshot(d, "leave\nclock: 3\n");

    node_join(d, a); /* too late */
    cluster_run(c, 100);
    assert_int_equal(d->join_failed, 1);
    assert_string_equal(d->join_text, "Serf can't Join after Leave or Shutdown");
    serf_leave(d->serf, c->now_ns);
    cluster_run(c, 100);
    assert_int_equal(d->left, 2);
    node_crash(d);
    cluster_run(c, 60000);
    assert_news(a, "");
    assert_status(b, "c", "left");
}

/* Who has left stays in his own list, whatever others wish, and looks for nobody. */
static void test_after_leaving(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *d = &c->nodes[2];
    node_crash(d);
    d->config.tombstone_timeout_ns = 20 * NS_PER_SEC;
    node_start(d);
    node_join(d, a);
    cluster_run(c, 2000);
    serf_leave(d->serf, c->now_ns);
    serf_remove_failed(a->serf, c->now_ns, STR("nobody"), true); /* so that the next is later */
    serf_remove_failed(a->serf, c->now_ns, STR("c"), true);
    cluster_run(c, 10000);
    assert_status(d, "c", "left");
    assert_status(a, "c", "unknown");
    buf_clear(&d->log);
    node_crash(&c->nodes[1]);
    cluster_run(c, 300000);
    assert_status(d, "b", "failed");
    assert_status(d, "c", "left");
    assert_false(node_has_logged(d, "attempting reconnect"));
}

static void test_leave_alone(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_start(c, "a");
    serf_leave(a->serf, c->now_ns);
    assert_int_equal(a->left, 0); /* not from inside */
    cluster_run(c, 10);
    assert_int_equal(a->left, 1);
    assert_news(a, "join a\nleave a\n");
}

/* Who leaves and is not heard by anybody says so. */
static void test_leave_unheard(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *d = &c->nodes[2];
    node_crash(d);
    d->config.swim.gossip_interval_ns = 3600 * NS_PER_SEC;
    d->config.swim.probe_interval_ns = 3600 * NS_PER_SEC;
    buf_clear(&d->news);
    node_start(d);
    node_join(d, &c->nodes[0]);
    cluster_run(c, 1000);
    d->group = 1; /* with nobody's probes to ride on */
    serf_leave(d->serf, c->now_ns);
    cluster_run(c, 4900);
    assert_int_equal(d->left_timed_out, 0);
    cluster_run(c, 200);
    assert_int_equal(d->left_timed_out, 1);
    assert_int_equal(d->left, 0);
}

static void test_stop_while_leaving(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *d = &c->nodes[2];
    serf_leave(d->serf, c->now_ns);
    cluster_run(c, 100);
    serf_stop(d->serf, c->now_ns);
    assert_int_equal(d->left_timed_out, 1);
    cluster_run(c, 10000);
    assert_int_equal(d->left + d->left_timed_out, 1);
}

static void test_failed_and_back(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *d = &c->nodes[2];
    node_crash(d);
    cluster_run(c, 20000);
    assert_news(a, "failed c\n");
    assert_status(a, "c", "failed");
    assert_snapshot(a, "not-alive: c\n");
    struct serf_stats stats;
    serf_stats(a->serf, &stats);
    assert_int_equal(stats.failed, 1);
    assert_true(a->measures[SERF_MEASURE_MEMBER_FAILED] == 1);
    /* It comes back by itself: somebody tries to reach it now and then. */
    node_start(d);
    cluster_run(c, 180000);
    assert_news(a, "join c\n");
    assert_status(a, "c", "alive");
    assert_true(node_has_logged(a, "attempting reconnect to c 127.0.0.3:8301") ||
                node_has_logged(&c->nodes[1], "attempting reconnect to c 127.0.0.3:8301"));
    assert_int_equal(serf_members_count(d->serf), 3);
}

static void test_flap(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *d = &c->nodes[2];
    node_crash(d);
    cluster_run(c, 20000);
    assert_news(a, "failed c\n");
    node_start(d);
    node_join(d, a);
    cluster_run(c, 1000);
    assert_news(a, "join c\n");
    assert_true(a->measures[SERF_MEASURE_MEMBER_FLAP] == 1);
}

static void test_reap(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *b = &c->nodes[1], *d = &c->nodes[2];
    for (size_t i = 0; i < 2; i++) { /* with other timeouts */
        node_crash(&c->nodes[i]);
        c->nodes[i].config.reconnect_timeout_ns = 200 * NS_PER_SEC;
        c->nodes[i].config.tombstone_timeout_ns = 100 * NS_PER_SEC;
        node_start(&c->nodes[i]);
        node_join(&c->nodes[i], d);
        cluster_run(c, 1000);
        buf_clear(&c->nodes[i].news);
    }
    b->kept_ms = 400000;
    cluster_run(c, 60000);
    buf_clear(&a->news);
    buf_clear(&b->news);
    assert_non_null(serf_cached_coordinate(a->serf, STR("c")));
    node_crash(d);
    cluster_run(c, 180000);
    assert_news(a, "failed c\n");
    cluster_run(c, 60000);
    assert_news(a, "reap c\n");
    assert_status(a, "c", "unknown");
    assert_null(serf_cached_coordinate(a->serf, STR("c")));
    assert_news(b, "failed c\n");
    cluster_run(c, 200000); /* the override is longer */
    assert_news(b, "reap c\n");

    /* Who left is remembered for a shorter time. */
    b->kept_ms = 0;
    node_start(d);
    node_join(d, a);
    cluster_run(c, 1000);
    assert_news(a, "join c\n");
    serf_leave(d->serf, c->now_ns);
    cluster_run(c, 90000);
    assert_news(a, "leave c\n");
    cluster_run(c, 30000);
    assert_news(a, "reap c\n");
}

static void test_force_leave(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *b = &c->nodes[1], *d = &c->nodes[2];
    node_crash(d);
    cluster_run(c, 20000);
    assert_news(b, "failed c\n");
    serf_remove_failed(a->serf, c->now_ns, STR("nobody"), false);
    serf_remove_failed(a->serf, c->now_ns, STR("c"), false);
    assert_news(a, "failed c\nleave c\n");
    cluster_run(c, 2000);
    assert_news(b, "leave c\n");
    assert_status(b, "c", "left");
    cluster_run(c, 180000); /* nobody looks for it any more */
    assert_false(node_has_logged(a, "attempting reconnect"));

    serf_remove_failed(b->serf, c->now_ns, STR("c"), true);
    assert_news(b, "reap c\n");
    cluster_run(c, 2000);
    assert_news(a, "reap c\n");
    assert_status(a, "c", "unknown");
    cluster_run(c, 60000);
    assert_status(a, "c", "unknown");

    node_start(d); /* as if nothing had been */
    node_join(d, a);
    cluster_run(c, 60000);
    assert_news(a, "join c\n");
    assert_news(b, "join c\n");
    assert_status(a, "c", "alive");
    assert_status(b, "c", "alive");
}

static void test_force_leave_prune_at_once(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *b = &c->nodes[1];
    node_crash(&c->nodes[2]);
    cluster_run(c, 20000);
    serf_remove_failed(a->serf, c->now_ns, STR("c"), true);
    assert_news(a, "failed c\nleave c\nreap c\n");
    cluster_run(c, 2000);
    assert_news(b, "failed c\nleave c\nreap c\n");
}

/* Who lives refutes it, pruned or not. */
static void test_force_leave_of_the_living(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *b = &c->nodes[1], *d = &c->nodes[2];
    for (int prune = 0; prune < 2; prune++) {
        serf_remove_failed(a->serf, c->now_ns, STR("c"), prune != 0);
        assert_status(a, "c", "leaving");
        cluster_run(c, 5000);
        assert_status(a, "c", "alive");
        assert_status(b, "c", "alive");
        assert_statuses(a, "c leaving\nc alive\n");
        assert_true(node_has_logged(d, "Refuting an older leave intent"));
    }
    cluster_run(c, 30000);
    assert_news(a, "");
    assert_status(a, "c", "alive");
    /* The wish to forget it went with that. */
    node_crash(d);
    cluster_run(c, 20000);
    assert_news(a, "failed c\n");
}

/* Pruned while it is failing, before that was noticed: it is forgotten when it is. */
static void test_prune_of_the_dying(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *b = &c->nodes[1];
    node_crash(&c->nodes[2]);
    serf_remove_failed(a->serf, c->now_ns, STR("c"), true);
    assert_status(a, "c", "leaving");
    cluster_run(c, 20000);
    assert_news(a, "leave c\nreap c\n");
    assert_news(b, "leave c\nreap c\n");
}

static void test_back_after_leaving(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *b = &c->nodes[1], *d = &c->nodes[2];
    serf_leave(d->serf, c->now_ns);
    cluster_run(c, 10000);
    node_crash(d);
    buf_clear(&a->news);
    buf_clear(&b->news);
    node_start(d); /* with its clock at the beginning */
    node_join(d, a);
    cluster_run(c, 60000);
    assert_news(a, "join c\n");
    assert_news(b, "join c\n");
    assert_status(a, "c", "alive");
    assert_status(b, "c", "alive");
    assert_status(d, "c", "alive");
}

/* A member that both sides of a cut call failed; and an intent that only a push/pull brings. */
static void test_partition(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0], *b = &c->nodes[1], *d = &c->nodes[2];
    node_crash(d);
    cluster_run(c, 20000);
    b->group = 1;
    serf_remove_failed(a->serf, c->now_ns, STR("c"), false);
    cluster_run(c, 20000);
    assert_news(a, "failed c\nleave c\nfailed b\n");
    assert_news(b, "failed c\nfailed a\n");
    b->group = 0;
    cluster_run(c, 120000);
    assert_news(a, "join b\n");
    assert_non_null(strstr(buf_view(&b->news).p, "leave c\n"));
    assert_status(b, "c", "left");
}

static void test_coordinates(void **state)
{
    struct cluster *c = *state;
    three(c);
    struct node *a = &c->nodes[0];
    cluster_run(c, 120000);
    const struct coordinate *mine = serf_coordinate(a->serf);
    assert_ptr_equal(serf_cached_coordinate(a->serf, STR("a")), mine);
    const struct coordinate *theirs = serf_cached_coordinate(a->serf, STR("b"));
    double rtt = coordinate_distance(mine, theirs); /* 2 ms */
    assert_true(rtt > 0.001 && rtt < 0.004);
    assert_null(serf_cached_coordinate(a->serf, STR("nobody")));
    assert_true(a->measures[SERF_MEASURE_COORDINATE_REJECTED] == 0);
}

static void test_no_coordinates(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_node(c, "a"), *b = cluster_start(c, "b");
    a->config.disable_coordinates = true;
    node_start(a);
    node_join(b, a);
    cluster_run(c, 20000);
    assert_null(serf_coordinate(a->serf));
    assert_null(serf_cached_coordinate(a->serf, STR("b")));
    assert_null(serf_cached_coordinate(b->serf, STR("a"))); /* it does not say */
}

/* Datagrams are lost: what is to be known is known in the end. */
static void test_lossy(void **state)
{
    struct cluster *c = *state;
    c->loss = 0.3;
    struct node *a = cluster_start(c, "a");
    static const char *const names[] = {"b", "c", "d", "e", "f"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        node_join(cluster_start(c, names[i]), a);
        cluster_run(c, 200);
    }
    cluster_run(c, 60000);
    serf_leave(c->nodes[3].serf, c->now_ns);
    node_crash(&c->nodes[4]);
    cluster_run(c, 180000);
    for (size_t i = 0; i < 3; i++) {
        assert_status(&c->nodes[i], "d", "left");
        assert_status(&c->nodes[i], "e", "failed");
        assert_status(&c->nodes[i], "f", "alive");
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_join),
        T(test_join_fails),
        T(test_unwanted),
        T(test_tags),
        T(test_check),
        T(test_leave),
        T(test_after_leaving),
        T(test_leave_alone),
        T(test_leave_unheard),
        T(test_stop_while_leaving),
        T(test_failed_and_back),
        T(test_flap),
        T(test_reap),
        T(test_force_leave),
        T(test_force_leave_prune_at_once),
        T(test_force_leave_of_the_living),
        T(test_prune_of_the_dying),
        T(test_back_after_leaving),
        T(test_partition),
        T(test_coordinates),
        T(test_no_coordinates),
        T(test_lossy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
