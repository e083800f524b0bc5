/* What is told to all: user events, queries and their answers, keys, the vote about a name. */
#include "serf_cluster.h"

#include "base/clock.h"
#include "proto/serf.h"

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

static void forget_news(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        buf_clear(&c->nodes[i].news);
    }
}

/* `count` nodes a, b, c... in one pool; those that were made before are started. */
static void pool(struct cluster *c, size_t count)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < count; i++) {
        struct node *n = i < c->count ? &c->nodes[i] : cluster_node(c, names[i]);
        node_start(n);
        if (i > 0) {
            node_join(n, &c->nodes[0]);
        }
        cluster_run(c, 500);
    }
    cluster_run(c, 3000);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(serf_members_count(c->nodes[i].serf), count);
    }
    forget_news(c);
}

static void tell(struct node *n, const char *name, const char *payload)
{
    struct err err;
    assert_ok(serf_user_event(n->serf, n->cluster->now_ns, str_from_cstr(name),
                              str_from_cstr(payload), false, &err));
}

/* --- user events ------------------------------------------------------------------------------ */

static void test_event(void **state)
{
    struct cluster *c = *state;
    pool(c, 3);
    struct node *a = &c->nodes[0], *b = &c->nodes[1];
    buf_clear(&a->snapshot);
    tell(a, "deploy", "1");
    assert_news(a, "user deploy=1\n"); /* at once */
    tell(a, "deploy", "1");            /* the same again is another */
    cluster_run(c, 5000);
    assert_news(a, "user deploy=1\n");
    assert_news(b, "user deploy=1\nuser deploy=1\n");
    assert_news(&c->nodes[2], "user deploy=1\nuser deploy=1\n");
    assert_snapshot(a, "event-clock: 1\nevent-clock: 2\n");
    assert_true(b->measures[SERF_MEASURE_EVENTS] == 2);
    assert_true(a->measures[SERF_MEASURE_MSGS_SENT] > 0);
    struct serf_stats stats;
    serf_stats(b->serf, &stats);
    assert_int_equal(stats.event_time, 3);
    assert_int_equal(stats.event_queue, 0);
}

static void test_event_sizes(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_node(c, "a");
    struct err err;
    char bytes[9300];
    memset(bytes, 'x', sizeof(bytes));
    pool(c, 1);
    struct str name = STR("n");
    assert_int_equal(serf_user_event(a->serf, c->now_ns, name, str_make(bytes, 512), false, &err),
                     -ERR_TOO_LARGE);
    assert_string_equal(err.text,
                        "user event exceeds configured limit of 512 bytes before encoding");
    assert_int_equal(serf_user_event(a->serf, c->now_ns, name, str_make(bytes, 500), false, &err),
                     -ERR_TOO_LARGE);
    assert_string_equal(err.text,
                        "encoded user event exceeds configured limit of 512 bytes after encoding");
    assert_ok(serf_user_event(a->serf, c->now_ns, name, str_make(bytes, 450), false, &err));

    node_crash(a);
    a->config.user_event_size_max = 20000;
    node_start(a);
    assert_int_equal(serf_user_event(a->serf, c->now_ns, name, str_make(bytes, 9216), false, &err),
                     -ERR_TOO_LARGE);
    assert_string_equal(err.text, "user event exceeds sane limit of 9216 bytes before encoding");
    assert_int_equal(serf_user_event(a->serf, c->now_ns, name, str_make(bytes, 9200), false, &err),
                     -ERR_TOO_LARGE);
    assert_string_equal(err.text,
                        "encoded user event exceeds sane limit of 9216 bytes before encoding");
}

/* However many ways an event takes, and however many datagrams are lost: once. */
static void test_event_once(void **state)
{
    struct cluster *c = *state;
    pool(c, 6);
    c->loss = 0.3;
    for (size_t i = 0; i < 6; i++) {
        static const char *const payloads[] = {"0", "1", "2", "3", "4", "5"};
        tell(&c->nodes[i], "e", payloads[i]);
    }
    cluster_run(c, 120000); /* push/pull brings what gossip did not */
    for (size_t i = 0; i < 6; i++) {
        char text[4096];
        struct str news = buf_view(&c->nodes[i].news);
        assert_true(news.n < sizeof(text));
        assert_int_equal(news.n, 6 * STR("user e=0\n").n);
        memcpy(text, news.p, news.n);
        text[news.n] = '\0';
        for (char k = '0'; k < '6'; k++) {
            char line[] = "user e=0\n";
            line[7] = k;
            assert_non_null(strstr(text, line));
        }
    }
}

static void test_event_before_a_join(void **state)
{
    struct cluster *c = *state;
    pool(c, 2);
    struct node *a = &c->nodes[0];
    tell(a, "old", "1");
    struct node *d = cluster_start(c, "d"), *e = cluster_start(c, "e");
    node_join_as(d, a, false);
    node_join_as(e, a, true);
    cluster_run(c, 60000);
    assert_non_null(strstr(buf_view(&d->news).p, "user old=1\n"));
    assert_null(strstr(buf_view(&e->news).p, "user old=1\n"));
    forget_news(c);
    tell(a, "new", "2");
    cluster_run(c, 5000);
    assert_news(d, "user new=2\n");
    assert_news(e, "user new=2\n");
    struct node *f = cluster_start(c, "f"); /* it comes to e with what it has told alone */
    for (int i = 0; i < 9; i++) {
        tell(f, "lone", "3");
    }
    node_join(f, e);
    cluster_run(c, 1000);
    assert_non_null(strstr(buf_view(&e->news).p, "user lone=3\n"));
}

/* After a restart with the clocks of the snapshot file, nothing is told again. */
static void test_event_before_a_restart(void **state)
{
    struct cluster *c = *state;
    pool(c, 2);
    struct node *a = &c->nodes[0], *b = &c->nodes[1];
    tell(a, "old", "1");
    cluster_run(c, 2000);
    assert_news(b, "user old=1\n");
    node_crash(b);
    tell(a, "missed", "2");
    cluster_run(c, 2000);
    b->recovered = (struct serf_recovered){.clock = 5, .event_clock = 1, .query_clock = 3};
    forget_news(c);
    node_start(b);
    struct serf_stats stats;
    serf_stats(b->serf, &stats);
    assert_int_equal(stats.member_time, 6);
    assert_int_equal(stats.event_time, 2);
    assert_int_equal(stats.query_time, 4);
    node_join(b, a);
    cluster_run(c, 5000);
    assert_news(b, "join b\njoin a\nuser missed=2\n");
}

/* --- queries ---------------------------------------------------------------------------------- */

struct asked {
    struct serf_asking q;
    struct buf text;
    bool is_done;
};

static void asked_ack(struct serf_asking *q, struct str from)
{
    struct asked *a = q->data;
    buf_printf(&a->text, "ack %.*s\n", STRF(from));
}

static void asked_answer(struct serf_asking *q, struct str from, struct str payload)
{
    struct asked *a = q->data;
    buf_printf(&a->text, "%.*s: %.*s\n", STRF(from), STRF(payload));
}

static void asked_done(struct serf_asking *q)
{
    ((struct asked *)q->data)->is_done = true;
}

static int ask(struct node *n, const struct serf_query_params *p, struct asked *a, struct err *err)
{
    buf_deinit(&a->text);
    *a = (struct asked){.q = {.ack = asked_ack, .answer = asked_answer, .done = asked_done}};
    a->q.data = a;
    return serf_query(n->serf, n->cluster->now_ns, p, &a->q, err);
}

static size_t lines(const struct asked *a, const char *with)
{
    size_t count = 0;
    struct str rest = buf_view(&a->text), line;
    while (str_cut(rest, '\n', &line, &rest)) {
        count += str_contains(line, str_from_cstr(with)) ? 1 : 0;
    }
    return count;
}

static void test_query(void **state)
{
    struct cluster *c = *state;
    struct asked q = {0};
    struct err err;
    pool(c, 3);
    c->nodes[0].answer = c->nodes[1].answer = "% yourself";
    const struct serf_query_params p = {.name = STR("hello"), .payload = STR("hi"), .ack = true};
    assert_ok(ask(&c->nodes[0], &p, &q, &err));
    assert_int_equal(q.text.n, 0); /* nothing from inside */
    assert_news(&c->nodes[0], "query hello=hi\n");
    cluster_run(c, 1600); /* 200 ms * 16 * ceil(log10(4)) = 3200 */
    assert_int_equal(lines(&q, "ack "), 3);
    assert_true(str_contains(buf_view(&c->nodes[1].snapshot), STR("query-clock: 1\n")));
    assert_int_equal(lines(&q, "a: hi yourself"), 1);
    assert_int_equal(lines(&q, "b: hi yourself"), 1);
    assert_int_equal(q.text.n, 3 * 6 + 2 * 15);
    assert_false(q.is_done);
    cluster_run(c, 1599);
    assert_false(q.is_done);
    cluster_run(c, 2);
    assert_true(q.is_done);
    assert_news(&c->nodes[1], "query hello=hi\n");
    assert_news(&c->nodes[2], "query hello=hi\n");
    assert_true(c->nodes[0].measures[SERF_MEASURE_QUERY_ACKS] == 3);
    assert_true(c->nodes[0].measures[SERF_MEASURE_QUERY_RESPONSES] == 2);
    assert_true(c->nodes[2].measures[SERF_MEASURE_QUERIES] == 1);
    buf_deinit(&q.text);
}

static void test_query_filters(void **state)
{
    struct cluster *c = *state;
    struct asked q = {0};
    struct err err;
    const struct strpair tag_b = {STR("role"), STR("web-1")}, tag_c = {STR("role"), STR("db")};
    cluster_node(c, "a");
    cluster_node(c, "b")->tags = (struct strmap){&tag_b, 1};
    cluster_node(c, "c")->tags = (struct strmap){&tag_c, 1};
    pool(c, 3);
    for (size_t i = 0; i < 3; i++) {
        c->nodes[i].answer = "yes";
    }
    const struct strpair web = {STR("role"), STR("^web-[0-9]$")}, none = {STR("x"), STR("^$")},
                         bad = {STR("role"), STR("(")};
    const struct str a_and_c[] = {STR("a"), STR("c")};
    const struct {
        struct serf_query_params p;
        const char *answers;
    } cases[] = {
        {{.filter_nodes = {a_and_c, 2}}, "ac"},
        {{.filter_tags = {&web, 1}}, "b"},
        {{.filter_tags = {&none, 1}}, "abc"}, /* a tag that is not there is empty */
        {{.filter_nodes = {a_and_c, 2}, .filter_tags = {&web, 1}}, ""},
        {{.filter_tags = {&bad, 1}}, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct serf_query_params p = cases[i].p;
        p.name = STR("q");
        p.ack = true; /* from those that are meant only */
        assert_ok(ask(&c->nodes[0], &p, &q, &err));
        cluster_run(c, 5000);
        assert_int_equal(lines(&q, ": yes"), strlen(cases[i].answers));
        assert_int_equal(lines(&q, "ack"), strlen(cases[i].answers));
        for (const char *k = cases[i].answers; *k != '\0'; k++) {
            assert_int_equal(lines(&q, (char[]){*k, ':', ' ', 'y', '\0'}), 1);
        }
    }
    assert_true(node_has_logged(&c->nodes[1], "failed to compile filter regex (()"));
    buf_deinit(&q.text);
}

/* The direct way back from b is cut: its answer comes by the others, as those of all do. */
static void test_query_relay(void **state)
{
    struct cluster *c = *state;
    struct asked q = {0};
    struct err err;
    pool(c, 6);
    for (size_t i = 0; i < 6; i++) {
        c->nodes[i].answer = "here";
    }
    c->cut[1][0] = true;
    for (uint8_t relay_factor = 0; relay_factor <= 3; relay_factor += 3) {
        const struct serf_query_params p = {
            .name = STR("q"), .ack = true, .relay_factor = relay_factor};
        size_t answers = relay_factor > 0 ? 6 : 5;
        double *measures = c->nodes[0].measures;
        assert_ok(ask(&c->nodes[0], &p, &q, &err));
        cluster_run(c, 6000);
        assert_true(q.is_done);
        assert_int_equal(lines(&q, ": here"), answers);
        assert_int_equal(lines(&q, "ack"), answers);
        assert_int_equal(measures[SERF_MEASURE_QUERY_DUPLICATE_RESPONSES] > 0, relay_factor > 0);
        assert_int_equal(measures[SERF_MEASURE_QUERY_DUPLICATE_ACKS] > 0, relay_factor > 0);
    }
    buf_deinit(&q.text);
}

/* In a pool so small that others could not help, nobody is asked to. */
static void test_query_relay_of_few(void **state)
{
    struct cluster *c = *state;
    struct asked q = {0};
    struct err err;
    pool(c, 2);
    c->nodes[1].answer = "here";
    const struct serf_query_params p = {.name = STR("q"), .relay_factor = 2};
    assert_ok(ask(&c->nodes[0], &p, &q, &err));
    cluster_run(c, 6000);
    assert_int_equal(lines(&q, ": here"), 1);
    assert_true(c->nodes[0].measures[SERF_MEASURE_QUERY_DUPLICATE_RESPONSES] == 0);
    buf_deinit(&q.text);
}

static void test_query_close(void **state)
{
    struct cluster *c = *state;
    struct asked q = {0};
    struct err err;
    pool(c, 2);
    c->nodes[1].answer = "late";
    const struct serf_query_params p = {.name = STR("q")};
    assert_ok(ask(&c->nodes[0], &p, &q, &err));
    serf_query_close(c->nodes[0].serf, &q.q);
    serf_query_close(c->nodes[0].serf, &q.q);
    cluster_run(c, 5000);
    assert_int_equal(q.text.n, 0);
    assert_false(q.is_done);
    assert_true(node_has_logged(&c->nodes[0], "reply for non-running query"));

    assert_ok(ask(&c->nodes[0], &p, &q, &err)); /* the end of the pool ends it */
    serf_stop(c->nodes[0].serf, c->now_ns);
    assert_true(q.is_done);
    assert_int_equal(ask(&c->nodes[0], &p, &q, &err), -ERR_CLOSED);
    buf_deinit(&q.text);
}

static void test_query_bounds(void **state)
{
    struct cluster *c = *state;
    struct asked q = {0}, many[SERF_QUERIES_MAX];
    struct err err;
    char bytes[1024];
    memset(bytes, 'x', sizeof(bytes));
    memset(many, 0, sizeof(many));
    pool(c, 1);
    struct serf_query_params p = {.name = STR("q"), .payload = str_make(bytes, sizeof(bytes))};
    assert_int_equal(ask(&c->nodes[0], &p, &q, &err), -ERR_TOO_LARGE);
    assert_string_equal(err.text, "query exceeds limit of 1024 bytes");
    p.payload = STR("small");
    for (size_t i = 0; i < SERF_QUERIES_MAX; i++) {
        assert_ok(ask(&c->nodes[0], &p, &many[i], &err));
    }
    assert_int_equal(ask(&c->nodes[0], &p, &q, &err), -ERR_AGAIN);
    cluster_run(c, 20000);
    for (size_t i = 0; i < SERF_QUERIES_MAX; i++) {
        assert_true(many[i].is_done);
    }
    assert_ok(ask(&c->nodes[0], &p, &q, &err));
    cluster_run(c, 20000);
}

/* A query of the network, answered when its time is over, twice, or with too much. */
static void test_respond(void **state)
{
    struct cluster *c = *state;
    struct err err;
    struct buf bytes = {0};
    char large[2000];
    memset(large, 'x', sizeof(large));
    pool(c, 2);
    struct node *a = &c->nodes[0], *b = &c->nodes[1];
    const struct serf_query q = {.ltime = 7,
                                 .id = 99,
                                 .source = b->address,
                                 .source_node = STR("b"),
                                 .timeout_ns = 2000 * (int64_t)CLUSTER_MS,
                                 .flags = SERF_QUERY_FLAG_NO_BROADCAST,
                                 .name = STR("q")};
    serf_query_encode(&q, &bytes);
    swim_send(serf_swim(b->serf), c->now_ns, &a->address, buf_view(&bytes));
    swim_send(serf_swim(b->serf), c->now_ns, &a->address, buf_view(&bytes)); /* once is enough */
    cluster_run(c, 100);
    assert_news(a, "query q=\n");
    assert_news(b, "");
    assert_int_equal(
        serf_query_respond(a->serf, c->now_ns, &q, str_make(large, sizeof(large)), &err),
        -ERR_TOO_LARGE);
    assert_string_equal(err.text,
                        "failed to respond to key query: response exceeds limit of 1024 bytes");
    assert_ok(serf_query_respond(a->serf, c->now_ns, &q, STR("x"), &err));
    assert_int_equal(serf_query_respond(a->serf, c->now_ns, &q, STR("x"), &err), -ERR_CONFLICT);
    assert_string_equal(err.text, "failed to respond to key query: response already sent");
    cluster_run(c, 3000);
    assert_news(b, ""); /* it was not passed on */
    assert_int_equal(serf_query_respond(a->serf, c->now_ns, &q, STR("x"), &err), -ERR_TIMEOUT);
    assert_string_equal(err.text, "failed to respond to key query: response is past the deadline");
    assert_true(node_has_logged(b, "reply for non-running query (LTime: 7, ID: 99) From: a"));
    buf_deinit(&bytes);
}

static void test_ping(void **state)
{
    struct cluster *c = *state;
    struct asked q = {0};
    struct err err;
    pool(c, 3);
    const struct serf_query_params p = {.name = STR("_serf_ping"), .ack = true};
    assert_ok(ask(&c->nodes[0], &p, &q, &err));
    cluster_run(c, 5000);
    assert_int_equal(lines(&q, "ack"), 3);
    assert_news(&c->nodes[1], ""); /* nobody else is told */
    const struct serf_query_params odd = {.name = STR("_serf_odd")};
    assert_ok(ask(&c->nodes[0], &odd, &q, &err));
    cluster_run(c, 5000);
    assert_true(node_has_logged(&c->nodes[1], "Unhandled internal query 'odd'"));
    buf_deinit(&q.text);
}

/* --- keys ------------------------------------------------------------------------------------- */

struct keys {
    struct serf_keys_asking k;
    struct buf
        text; /* "1/3 nodes reported failure", "b: the disk is full", "KEY 3", "first KEY 3" */
    bool is_done;
};

static void keys_done(struct serf_keys_asking *k)
{
    struct keys *keys = k->data;
    keys->is_done = true;
    if (k->err.code != 0) {
        buf_printf(&keys->text, "%s\n", k->err.text);
    }
    for (size_t i = 0; i < k->messages.n; i++) {
        buf_printf(&keys->text, "%.*s: %.*s\n", STRF(k->messages.v[i].key),
                   STRF(k->messages.v[i].value));
    }
    for (size_t i = 0; i < k->keys_count; i++) {
        buf_printf(&keys->text, "%.*s %u\n", STRF(k->keys[i].key), k->keys[i].count);
    }
    for (size_t i = 0; i < k->primary_count; i++) {
        buf_printf(&keys->text, "first %.*s %u\n", STRF(k->primary[i].key), k->primary[i].count);
    }
}

#define KEY_1 "MTExMTExMTExMTExMTExMQ==" /* sixteen times "1" */
#define KEY_2 "MjIyMjIyMjIyMjIyMjIyMg=="

/* waits: somebody does not answer, else it is over before its time. */
static void keys_run(struct node *n, enum serf_key_action action, const char *key,
                     const char *expected, bool waits)
{
    struct keys keys = {.k = {.done = keys_done}};
    keys.k.data = &keys;
    serf_keys(n->serf, n->cluster->now_ns, action, str_from_cstr(key), 0, &keys.k);
    assert_false(keys.is_done); /* not from inside */
    cluster_run(n->cluster, waits ? 10000 : 1500);
    assert_true(keys.is_done);
    assert_text_(&keys.text, expected, __FILE__, __LINE__);
    buf_deinit(&keys.text);
}

static void test_keys_rotation(void **state)
{
    struct cluster *c = *state;
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        node_key(cluster_node(c, names[i]), '1');
    }
    pool(c, 3);
    struct node *a = &c->nodes[0], *b = &c->nodes[1];
    keys_run(a, SERF_KEY_LIST, "", KEY_1 " 3\nfirst " KEY_1 " 3\n", false);
    keys_run(a, SERF_KEY_USE, KEY_2,
             "3/3 nodes reported failure\n"
             "a: Requested key is not in the keyring\n"
             "b: Requested key is not in the keyring\n"
             "c: Requested key is not in the keyring\n"
             "first  3\n",
             false);
    keys_run(a, SERF_KEY_INSTALL, KEY_2, "first  3\n", false);
    assert_int_equal(b->keys_writes, 1);
    keys_run(b, SERF_KEY_LIST, "", KEY_1 " 3\n" KEY_2 " 3\nfirst " KEY_1 " 3\n", false);
    keys_run(a, SERF_KEY_USE, KEY_2, "first  3\n", false);
    assert_str_lit(seal_ring_key(b->keys, 0), "2222222222222222");
    keys_run(b, SERF_KEY_REMOVE, KEY_2,
             "3/3 nodes reported failure\n"
             "a: Removing the primary key is not allowed\n"
             "b: Removing the primary key is not allowed\n"
             "c: Removing the primary key is not allowed\n"
             "first  3\n",
             false);
    keys_run(a, SERF_KEY_REMOVE, KEY_1, "first  3\n", false);
    keys_run(a, SERF_KEY_LIST, "", KEY_2 " 3\nfirst " KEY_2 " 3\n", false);
    struct serf_stats stats;
    serf_stats(a->serf, &stats);
    assert_true(stats.encrypted);
    forget_news(c);
    tell(a, "sealed", "1"); /* and all still understand each other */
    cluster_run(c, 60000);
    assert_news(b, "user sealed=1\n");
    assert_news(&c->nodes[2], "user sealed=1\n");
}

static void test_keys_one_refuses(void **state)
{
    struct cluster *c = *state;
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        node_key(cluster_node(c, names[i]), '1');
    }
    pool(c, 3);
    c->nodes[1].keys_fail = true;
    keys_run(&c->nodes[0], SERF_KEY_INSTALL, KEY_2,
             "1/3 nodes reported failure\nb: the disk is full\nfirst  3\n", false);
    c->nodes[1].keys_fail = false;
    c->nodes[2].group = 1; /* this one does not answer */
    keys_run(&c->nodes[0], SERF_KEY_INSTALL, KEY_2, "2/3 nodes reported success\nfirst  2\n", true);
}

/* Nobody is told that a key is kept before it is. */
static void test_keys_written_later(void **state)
{
    struct cluster *c = *state;
    static const char *const names[] = {"a", "b"};
    for (size_t i = 0; i < 2; i++) {
        node_key(cluster_node(c, names[i]), '1');
    }
    pool(c, 2);
    struct node *a = &c->nodes[0], *b = &c->nodes[1];
    struct keys keys = {.k = {.done = keys_done}};
    struct err full = {.code = ERR_FAILED, .text = "the disk is full"};
    keys.k.data = &keys;
    b->keys_are_slow = true;
    serf_keys(a->serf, c->now_ns, SERF_KEY_INSTALL, STR(KEY_2), 0, &keys.k);
    cluster_run(c, 1500);
    assert_int_equal(b->keys_writes, 1);
    assert_false(keys.is_done);
    serf_keys_written(b->serf, c->now_ns, b->keys_token, &full);
    cluster_run(c, 100);
    assert_true(keys.is_done);
    assert_text_(&keys.text, "1/2 nodes reported failure\nb: the disk is full\nfirst  2\n", __FILE__,
                 __LINE__);
    buf_deinit(&keys.text);
    serf_keys_written(b->serf, c->now_ns, b->keys_token, NULL); /* told before: nothing */
    serf_keys(a->serf, c->now_ns, SERF_KEY_USE, STR(KEY_2), 0, &keys.k);
    cluster_run(c, 1500); /* and one that is under way at the end */
    (void)serf_free(TAKE(b->serf));
    cluster_run(c, 10000);
    buf_deinit(&keys.text);
}

static void test_keys_without_encryption(void **state)
{
    struct cluster *c = *state;
    pool(c, 2);
    keys_run(&c->nodes[0], SERF_KEY_INSTALL, KEY_1,
             "2/2 nodes reported failure\n"
             "a: No keyring to modify (encryption not enabled)\n"
             "b: No keyring to modify (encryption not enabled)\n"
             "first  2\n",
             false);
    keys_run(&c->nodes[0], SERF_KEY_LIST, "",
             "2/2 nodes reported failure\n"
             "a: Keyring is empty (encryption not enabled)\n"
             "b: Keyring is empty (encryption not enabled)\n"
             "first  2\n",
             false);
}

static void test_keys_bad_key(void **state)
{
    struct cluster *c = *state;
    node_key(cluster_node(c, "a"), '1');
    pool(c, 1);
    keys_run(&c->nodes[0], SERF_KEY_INSTALL, "MTEx!", "illegal base64 data at input byte 4\n",
             false);
    keys_run(&c->nodes[0], SERF_KEY_INSTALL, "MTEx",
             "1/1 nodes reported failure\n"
             "a: key size must be 16, 24 or 32 bytes\nfirst  1\n",
             false);
}

/* More keys than an answer has room for. */
static void test_keys_many(void **state)
{
    struct cluster *c = *state;
    struct node *a = cluster_node(c, "a");
    for (char k = '0'; k < '0' + 50; k++) {
        node_key(a, k);
    }
    pool(c, 1);
    struct keys keys = {.k = {.done = keys_done}};
    keys.k.data = &keys;
    serf_keys(a->serf, c->now_ns, SERF_KEY_LIST, STR_NULL, 0, &keys.k);
    cluster_run(c, 5000);
    assert_true(keys.is_done);
    struct str text = buf_view(&keys.text);
    assert_true(str_has_prefix(text, STR("a: truncated key list response, showing first ")));
    assert_true(str_contains(text, STR(" of 50 keys\n")));
    assert_true(node_has_logged(a, "truncated key list response"));
    buf_deinit(&keys.text);
}

/* --- a name twice ----------------------------------------------------------------------------- */

static void test_conflict(void **state)
{
    struct cluster *c = *state;
    pool(c, 3);
    struct node *b = &c->nodes[1], *other = cluster_node(c, "b");
    for (size_t i = 0; i < c->count; i++) {
        c->nodes[i].config.enable_name_conflict_resolution = true;
    }
    node_crash(b); /* to be started with that */
    node_start(b);
    node_join(b, &c->nodes[0]);
    cluster_run(c, 2000);
    node_start(other);
    node_join(other, &c->nodes[0]);
    cluster_run(c, 20000);
    assert_true(other->has_lost);
    assert_true(node_has_logged(other, "minority in name conflict resolution, quiting [0 / 2]"));
    assert_false(b->has_lost); /* it has not even heard of it */
    node_join(b, other);
    cluster_run(c, 20000);
    assert_false(b->has_lost);
    assert_true(node_has_logged(b, "majority in name conflict resolution [2 / 2]"));
    assert_true(node_has_logged(&c->nodes[0], "Name conflict for 'b' both 127.0.0.2:8301 and "
                                              "127.0.0.4:8301 are claiming"));
}

static void test_conflict_unresolved(void **state)
{
    struct cluster *c = *state;
    pool(c, 2);
    struct node *other = cluster_start(c, "b");
    node_join(other, &c->nodes[0]);
    cluster_run(c, 20000);
    assert_false(other->has_lost);
    assert_true(node_has_logged(other, "Names must be unique! (Resolution enabled: false)"));
    assert_str_lit(serf_find(c->nodes[0].serf, STR("b"))->addr, "127.0.0.2");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_event),
        T(test_event_sizes),
        T(test_event_once),
        T(test_event_before_a_join),
        T(test_event_before_a_restart),
        T(test_query),
        T(test_query_filters),
        T(test_query_relay),
        T(test_query_relay_of_few),
        T(test_query_close),
        T(test_query_bounds),
        T(test_respond),
        T(test_ping),
        T(test_keys_rotation),
        T(test_keys_one_refuses),
        T(test_keys_written_later),
        T(test_keys_without_encryption),
        T(test_keys_bad_key),
        T(test_keys_many),
        T(test_conflict),
        T(test_conflict_unresolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
