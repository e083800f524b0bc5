/* What servers make of what they tell each other: some cores in one place, a clock in hand. The
 * events of each are put down as a line, to be read. */
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "member_make.h"
#include "server/exchange_core.h"
#include "server/membership.h"

#define CORES_MAX 6

struct world {
    struct exchange_core *cores[CORES_MAX];
    uint64_t incarnations[CORES_MAX];
    uint64_t now_ms;
    struct arena arena;
    struct buf out;
};

static void core_start(struct world *w, int n)
{
    struct member self = member_make(&w->arena, n, MEMBER_NONE, NULL, 0);
    const struct exchange_options options = {&self, w->incarnations[n], STR("dc1")};
    w->cores[n] = exchange_core_new(&options);
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    w->now_ms = 1000000;
    buf_init(&w->out, 65536);
    for (int n = 0; n < CORES_MAX; n++) {
        w->incarnations[n] = 100;
        core_start(w, n);
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (int n = 0; n < CORES_MAX; n++) {
        exchange_core_free(w->cores[n]);
    }
    buf_deinit(&w->out);
    arena_deinit(&w->arena);
    mem_free(w);
    return 0;
}

static int tell(struct world *w, int from, int to, struct err *err)
{
    struct exchange_message m;
    exchange_core_message(w->cores[from], &w->arena, &m);
    return exchange_core_merge(w->cores[to], &m, w->now_ms, err);
}

/* A question and its answer. */
static void ask(struct world *w, int from, int to)
{
    struct err err = {0};
    assert_ok(tell(w, from, to, &err));
    assert_ok(tell(w, to, from, &err));
}

/* What happened at n since the last look: "join s1, failed s2". */
static struct str events(struct world *w, int n)
{
    static const char *const texts[] = {"join", "update", "leave", "failed", "reap"};
    struct exchange_event e;
    buf_clear(&w->out);
    while (exchange_core_next_event(w->cores[n], &e)) {
        buf_printf(&w->out, "%s%s %.*s", w->out.n > 0 ? ", " : "", texts[e.kind],
                   STRF(e.member->name));
        mem_free(e.member);
    }
    return buf_view(&w->out);
}

/* "s0 alive, s1 failed" */
static struct str listed(struct world *w, int n)
{
    struct member *members;
    size_t count = exchange_core_members(w->cores[n], &w->arena, &members);
    buf_clear(&w->out);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&w->out, "%s%.*s %.*s", i > 0 ? ", " : "", STRF(members[i].name),
                   STRF(member_status_text(members[i].status)));
    }
    return buf_view(&w->out);
}

static void pass(struct world *w, uint64_t ms)
{
    w->now_ms += ms;
    for (int n = 0; n < CORES_MAX; n++) {
        exchange_core_tick(w->cores[n], w->now_ms);
    }
}

static void test_news_spreads(void **state)
{
    struct world *w = *state;
    assert_str_lit(events(w, 0), "join s0");
    ask(w, 1, 0);
    ask(w, 2, 0);
    assert_str_lit(events(w, 0), "join s1, join s2");
    assert_str_lit(events(w, 2), "join s2, join s0, join s1");
    assert_str_lit(events(w, 1), "join s1, join s0");
    ask(w, 1, 0);
    assert_str_lit(events(w, 1), "join s2");
    assert_str_lit(listed(w, 1), "s1 alive, s0 alive, s2 alive");
    assert_true(exchange_core_knows(w->cores[1], STR("10.0.0.2:8300")));
    assert_false(exchange_core_knows(w->cores[1], STR("10.0.0.3:8300")));
}

static void test_whom_to_ask(void **state)
{
    struct world *w = *state;
    struct exchange_ask *asks;
    assert_int_equal(exchange_core_due(w->cores[0], w->now_ms, &w->arena, &asks), 0);
    ask(w, 1, 0);
    assert_int_equal(exchange_core_due(w->cores[0], w->now_ms, &w->arena, &asks), 1);
    assert_str_lit(asks[0].name, "s1");
    assert_str_lit(asks[0].address, "10.0.0.1:8300");
    w->now_ms += EXCHANGE_ASK_INTERVAL_MS;
    /* Never two questions at once. */
    assert_int_equal(exchange_core_due(w->cores[0], w->now_ms, &w->arena, &asks), 0);
    exchange_core_answered(w->cores[0], STR("s1"));
    assert_int_equal(exchange_core_due(w->cores[0], w->now_ms, &w->arena, &asks), 1);
    exchange_core_answered(w->cores[0], STR("s1"));
    w->now_ms += EXCHANGE_ASK_INTERVAL_MS - 1;
    assert_int_equal(exchange_core_due(w->cores[0], w->now_ms, &w->arena, &asks), 0);
}

static void test_silence_is_failure(void **state)
{
    struct world *w = *state;
    ask(w, 1, 0);
    ask(w, 2, 0);
    (void)events(w, 0);
    pass(w, EXCHANGE_FAILED_AFTER_MS);
    assert_str_lit(events(w, 0), "");
    ask(w, 2, 0);
    pass(w, 1);
    assert_str_lit(events(w, 0), "failed s1");
    assert_str_lit(listed(w, 0), "s0 alive, s1 failed, s2 alive");
    /* That is 0's opinion alone. */
    (void)events(w, 2);
    ask(w, 2, 0);
    assert_str_lit(events(w, 2), "");
    ask(w, 1, 0);
    assert_str_lit(events(w, 0), "join s1");
}

static void test_leaving_is_believed_of_him_alone(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    ask(w, 1, 0);
    ask(w, 2, 0);
    ask(w, 1, 0);
    for (int n = 0; n < 3; n++) {
        (void)events(w, n);
    }
    exchange_core_leave(w->cores[1]);
    assert_str_lit(listed(w, 1), "s1 leaving, s0 alive, s2 alive");
    assert_ok(tell(w, 1, 0, &err));
    assert_str_lit(events(w, 0), "leave s1");
    ask(w, 2, 0); /* passed on */
    assert_str_lit(events(w, 2), "leave s1");
    exchange_core_left(w->cores[1]);
    assert_str_lit(listed(w, 1), "s1 left, s0 alive, s2 alive");
    struct exchange_ask *asks;
    assert_int_equal(exchange_core_due(w->cores[2], w->now_ms, &w->arena, &asks), 1);
    assert_str_lit(asks[0].name, "s0");
    /* It comes again, with a clock that went back. */
    exchange_core_free(w->cores[1]);
    w->incarnations[1] = 50;
    core_start(w, 1);
    ask(w, 1, 0);
    assert_str_lit(events(w, 0), "");
    ask(w, 1, 0); /* it has heard what they think, and took a newer incarnation */
    assert_str_lit(events(w, 0), "join s1");
}

static void test_force_leave(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    ask(w, 1, 0);
    ask(w, 2, 0);
    (void)events(w, 0);
    exchange_core_force_leave(w->cores[0], STR("s1"), false, w->now_ms);
    assert_str_lit(events(w, 0), ""); /* it lives */
    pass(w, EXCHANGE_FAILED_AFTER_MS + 1);
    (void)events(w, 0);
    (void)events(w, 2);
    exchange_core_force_leave(w->cores[0], STR("s1"), false, w->now_ms);
    assert_str_lit(events(w, 0), "leave s1");
    ask(w, 2, 0); /* where it is failed, too, it has left now */
    assert_str_lit(events(w, 2), "leave s1, join s0");
    /* Where it is heard it lives on, and refutes it. */
    ask(w, 1, 3);
    (void)events(w, 3);
    assert_ok(tell(w, 0, 3, &err));
    assert_str_lit(events(w, 3), "join s2");
    assert_str_lit(events(w, 0), "join s2");
    ask(w, 0, 1);
    assert_str_lit(events(w, 0), "join s1, join s3");
}

static void test_prune(void **state)
{
    struct world *w = *state;
    ask(w, 1, 0);
    ask(w, 2, 0);
    pass(w, EXCHANGE_FAILED_AFTER_MS + 1);
    ask(w, 2, 0);
    (void)events(w, 0);
    (void)events(w, 2);
    exchange_core_force_leave(w->cores[0], STR("s1"), true, w->now_ms);
    assert_str_lit(events(w, 0), "leave s1, reap s1");
    assert_str_lit(listed(w, 0), "s0 alive, s2 alive");
    ask(w, 2, 0); /* the others must not bring it back */
    assert_str_lit(events(w, 2), "leave s1, reap s1");
    ask(w, 2, 0);
    assert_str_lit(listed(w, 0), "s0 alive, s2 alive");
    ask(w, 1, 0);
    ask(w, 1, 0); /* but itself */
    assert_str_lit(events(w, 0), "join s1");
}

static void test_reap(void **state)
{
    struct world *w = *state;
    ask(w, 1, 0);
    ask(w, 2, 0);
    exchange_core_leave(w->cores[2]);
    ask(w, 2, 0);
    pass(w, EXCHANGE_FAILED_AFTER_MS + 1);
    (void)events(w, 0);
    pass(w, EXCHANGE_REAP_LEFT_AFTER_MS);
    assert_str_lit(events(w, 0), "reap s2");
    pass(w, EXCHANGE_REAP_FAILED_AFTER_MS);
    assert_str_lit(events(w, 0), "reap s1");
    assert_str_lit(listed(w, 0), "s0 alive");
}

static void test_a_new_address_is_an_update(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    ask(w, 1, 0);
    (void)events(w, 0);
    struct exchange_record r = {member_make(&w->arena, 1, MEMBER_NONE, NULL, 0), 101, 0};
    r.member.addr = STR("10.0.0.99");
    const struct exchange_message m = {STR("s1"), {&r, 1}};
    assert_ok(exchange_core_merge(w->cores[0], &m, w->now_ms, &err));
    assert_str_lit(events(w, 0), "update s1");
    assert_true(exchange_core_knows(w->cores[0], STR("10.0.0.99:8300")));
}

/* So fast that nobody missed it: the leader must learn of it all the same. */
static void test_a_restart_is_an_update(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    ask(w, 1, 0);
    (void)events(w, 0);
    struct exchange_record r = {member_make(&w->arena, 1, MEMBER_NONE, NULL, 0), 101, 0};
    const struct exchange_message m = {STR("s1"), {&r, 1}};
    assert_ok(exchange_core_merge(w->cores[0], &m, w->now_ms, &err));
    assert_str_lit(events(w, 0), "update s1");
    assert_ok(exchange_core_merge(w->cores[0], &m, w->now_ms, &err));
    assert_str_lit(events(w, 0), "");
}

static void test_refusals(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    static const struct extra_tag other_dc[] = {{"dc", "dc2"}};
    static const struct extra_tag our_id[] = {{"id", "id0"}};
    struct exchange_record r = {member_make(&w->arena, 1, MEMBER_NONE, other_dc, 1), 1, 0};
    const struct exchange_message m = {STR("s1"), {&r, 1}};
    (void)events(w, 0);
    assert_int_equal(exchange_core_merge(w->cores[0], &m, w->now_ms, &err), -ERR_FAILED);
    assert_string_equal(err_text(&err), "Member 's1' part of wrong datacenter 'dc2'");
    r.member = member_make(&w->arena, 1, MEMBER_NONE, our_id, 1);
    assert_int_equal(exchange_core_merge(w->cores[0], &m, w->now_ms, &err), -ERR_FAILED);
    assert_string_equal(err_text(&err),
                        "Member 's1' has conflicting node ID 'id0' with this agent's ID");
    r.member = member_make(&w->arena, 1, MEMBER_NONE, NULL, 0);
    r.state = 3;
    assert_int_equal(exchange_core_merge(w->cores[0], &m, w->now_ms, &err), -ERR_INVALID);
    r.state = 0;
    r.member.name = STR("");
    assert_int_equal(exchange_core_merge(w->cores[0], &m, w->now_ms, &err), -ERR_INVALID);
    /* Somebody else of our name changes nothing here. */
    r.member = member_make(&w->arena, 1, MEMBER_NONE, NULL, 0);
    r.member.name = STR("s0");
    r.incarnation = 1000;
    assert_ok(exchange_core_merge(w->cores[0], &m, w->now_ms, &err));
    assert_str_lit(events(w, 0), "");
    struct exchange_message told;
    exchange_core_message(w->cores[0], &w->arena, &told);
    assert_int_equal(((struct exchange_record *)told.records.v)[0].incarnation, 100);
}

/* Whatever was told to whom, who left and who fell silent: once all talk to all for a while,
 * everybody agrees with what is. */
static void test_agreement(void **state)
{
    struct world *w = *state;
    struct rng rng;
    rng_seed(&rng, 42);
    bool has_left[CORES_MAX] = {false};
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 40; i++) {
            int from = (int)rng_below(&rng, CORES_MAX), to = (int)rng_below(&rng, CORES_MAX);
            if (from != to && rng_below(&rng, 10) > 0) {
                ask(w, from, to);
            }
            pass(w, rng_below(&rng, 900));
            if (rng_below(&rng, 8) == 0) {
                struct str name = arena_printf(&w->arena, "s%d", (int)rng_below(&rng, CORES_MAX));
                exchange_core_force_leave(w->cores[from], name, rng_below(&rng, 2) == 0, w->now_ms);
            }
        }
        int n = (int)rng_below(&rng, CORES_MAX);
        if (has_left[n]) { /* it starts anew */
            exchange_core_free(w->cores[n]);
            w->incarnations[n] = w->now_ms;
            core_start(w, n);
            has_left[n] = false;
        } else if (rng_below(&rng, 2) == 0) {
            exchange_core_leave(w->cores[n]);
            has_left[n] = true;
        }
        for (int k = 0; k < 3; k++) {
            for (int i = 0; i < CORES_MAX * CORES_MAX; i++) {
                if (i / CORES_MAX != i % CORES_MAX) {
                    ask(w, i / CORES_MAX, i % CORES_MAX);
                }
            }
        }
        for (int i = 0; i < CORES_MAX * CORES_MAX; i++) {
            int at = i / CORES_MAX, of = i % CORES_MAX;
            struct member *members;
            size_t count = exchange_core_members(w->cores[at], &w->arena, &members);
            int64_t status = MEMBER_NONE;
            for (size_t k = 0; k < count; k++) {
                if (str_eq(members[k].name, arena_printf(&w->arena, "s%d", of))) {
                    status = members[k].status;
                }
            }
            if (at != of && !has_left[at]) {
                if (has_left[of]) {
                    assert_true(status == MEMBER_LEFT || status == MEMBER_NONE);
                } else {
                    assert_int_equal(status, MEMBER_ALIVE);
                }
            }
        }
        for (int i = 0; i < CORES_MAX; i++) {
            (void)events(w, i);
        }
        arena_reset(&w->arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_news_spreads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whom_to_ask, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_is_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leaving_is_believed_of_him_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_force_leave, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prune, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_address_is_an_update, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_restart_is_an_update, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_agreement, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
