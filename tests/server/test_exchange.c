/* Exchanges of three servers on one loop, whose calls are carried by the test: joining, news,
 * failure, leaving. */
#include "test.h"

#include "base/mem.h"
#include "loop/loop.h"
#include "member_make.h"
#include "server/exchange.h"
#include "server/rpc_pool.h"
#include "server/server_info.h"

#define SERVERS 3
#define GIVE_UP_MS 60000u

struct fixture;

struct node {
    struct fixture *fixture;
    int n;
    struct membership *membership;
    struct membership_listener listener;
    bool is_down; /* nobody reaches it */
    uint32_t joins, leaves, failures;
};

struct fixture {
    struct loop *loop;
    struct node nodes[SERVERS]; /* server n at [n - 1] */
    struct list calls;          /* struct carried */
    struct loop_timer poll, limit;
    bool (*until)(struct fixture *f);
    bool gave_up;
    uint32_t joined, left;
    struct err join_err;
};

/* A call on its way. */
struct carried {
    struct list node;
    struct loop_timer timer;
    struct fixture *fixture;
    struct rpc_remote *remote;
    int target; /* -1: nobody */
    struct arena arena;
    struct exchange_message *message;
};

static void carried_free(struct carried *c)
{
    list_remove(&c->node);
    loop_timer_stop(c->fixture->loop, &c->timer);
    arena_deinit(&c->arena);
    mem_free(c);
}

static void carried_arrive(struct loop_timer *t)
{
    struct carried *c = container_of(t, struct carried, timer);
    struct rpc_remote *remote = c->remote;
    struct node *to = c->target >= 0 ? &c->fixture->nodes[c->target] : NULL;
    if (to == NULL || to->is_down) {
        remote->err = ARENA_NEW(remote->arena, struct err);
        (void)err_set(remote->err, ERR_UNREACHABLE, "connection refused");
    } else {
        struct exchange_message *reply = ARENA_NEW(remote->arena, struct exchange_message);
        struct err *err = ARENA_NEW(remote->arena, struct err);
        if (exchange_serve(to->membership, c->message, remote->arena, reply, err) == 0) {
            remote->reply = reply;
        } else {
            remote->err = err;
        }
    }
    carried_free(c);
    remote->done(remote);
}

static void calls_call(void *data, struct str address, struct rpc_remote *remote,
                       uint64_t timeout_ms)
{
    struct node *from = data;
    struct carried *c = xcalloc(1, sizeof(*c));
    (void)timeout_ms;
    c->fixture = from->fixture;
    c->remote = remote;
    c->target = -1;
    c->message = schema_copy(&c->arena, &exchange_message_schema, remote->args);
    for (int i = 0; i < SERVERS; i++) {
        struct str own =
            server_address(&c->arena, arena_printf(&c->arena, "10.0.0.%d", i + 1), 8300);
        c->target = str_eq(own, address) ? i : c->target;
    }
    list_push_back(&from->fixture->calls, &c->node);
    loop_timer_start(c->fixture->loop, &c->timer, 1, carried_arrive);
}

static void calls_cancel(void *data, struct rpc_remote *remote)
{
    struct node *from = data;
    list_for_each (it, &from->fixture->calls) {
        struct carried *c = list_entry(it, struct carried, node);
        if (c->remote == remote) {
            carried_free(c);
            return;
        }
    }
    fail();
}

static void node_event(struct membership_listener *l, enum membership_event event,
                       const struct member *member)
{
    struct node *n = container_of(l, struct node, listener);
    (void)member;
    n->joins += event == MEMBERSHIP_JOIN;
    n->leaves += event == MEMBERSHIP_LEAVE;
    n->failures += event == MEMBERSHIP_FAILED;
}

static void poll_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, poll);
    if (f->until(f)) {
        loop_stop(f->loop);
        return;
    }
    loop_timer_start(f->loop, t, 1, poll_due);
}

static void limit_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, limit);
    f->gave_up = true;
    loop_stop(f->loop);
}

static void run_until(struct fixture *f, bool (*until)(struct fixture *f))
{
    f->until = until;
    loop_timer_start(f->loop, &f->poll, 0, poll_due);
    loop_timer_start(f->loop, &f->limit, GIVE_UP_MS, limit_due);
    loop_run(f->loop);
    loop_timer_stop(f->loop, &f->poll);
    loop_timer_stop(f->loop, &f->limit);
    assert_false(f->gave_up);
}

static void node_start(struct fixture *f, int n)
{
    struct node *node = &f->nodes[n - 1];
    struct arena a = {0};
    struct member self = member_make(&a, n, MEMBER_ALIVE, NULL, 0);
    const struct exchange_new_options options = {
        .loop = f->loop,
        .core = {&self, 100, STR("dc1")},
        .calls = {calls_call, calls_cancel, node},
        .rpc_port = 8300,
        .serf_port = 8301,
    };
    *node = (struct node){.fixture = f, .n = n};
    node->membership = exchange_new(&options);
    node->listener.event = node_event;
    membership_listen(node->membership, &node->listener);
    membership_start(node->membership);
    arena_deinit(&a);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->loop = loop_new("test");
    list_init(&f->calls);
    for (int n = 1; n <= SERVERS; n++) {
        node_start(f, n);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (int n = 0; n < SERVERS; n++) {
        membership_stop(f->nodes[n].membership);
    }
    assert_true(list_is_empty(&f->calls));
    (void)loop_free(f->loop);
    for (int n = 0; n < SERVERS; n++) {
        (void)membership_free(f->nodes[n].membership);
    }
    mem_free(f);
    return 0;
}

static void join_done(struct membership_join *join)
{
    struct fixture *f = join->data;
    f->joined++;
    f->join_err = join->err;
}

static bool joined(struct fixture *f)
{
    return f->joined > 0;
}

/* Server `from` joins by these addresses; how many answered. */
static uint32_t join(struct fixture *f, int from, const struct str *addresses, size_t count)
{
    struct membership_join j = {.addresses = {addresses, count}, .done = join_done, .data = f};
    f->joined = 0;
    membership_join(f->nodes[from - 1].membership, &j);
    assert_int_equal(f->joined, 0); /* never from inside the call */
    run_until(f, joined);
    return j.joined;
}

static bool all_know_all(struct fixture *f)
{
    for (int n = 0; n < SERVERS; n++) {
        if (f->nodes[n].joins < SERVERS) {
            return false;
        }
    }
    return true;
}

static void join_all(struct fixture *f)
{
    const struct str address = STR("10.0.0.1");
    assert_int_equal(join(f, 2, &address, 1), 1);
    assert_int_equal(join(f, 3, &address, 1), 1);
    run_until(f, all_know_all);
}

static void test_join(void **state)
{
    struct fixture *f = *state;
    struct arena a = {0};
    struct member *members;
    join_all(f);
    assert_int_equal(membership_members(f->nodes[1].membership, &a, &members), 3);
    assert_str_lit(members[0].name, "s2");
    arena_deinit(&a);
}

static void test_addresses(void **state)
{
    struct fixture *f = *state;
    /* Without a port, with gossip's, with the RPC port; a node's name in front is skipped. */
    static const struct str good[] = {STR_INIT("10.0.0.2"), STR_INIT("10.0.0.2:8301"),
                                      STR_INIT("10.0.0.2:8300"), STR_INIT("s2/10.0.0.2")};
    assert_int_equal(join(f, 1, good, ARRAY_SIZE(good)), 4);
    assert_int_equal(f->join_err.code, 0);
    /* One of them is enough. */
    static const struct str mixed[] = {STR_INIT("10.0.0.9"), STR_INIT("10.0.0.3")};
    assert_int_equal(join(f, 1, mixed, 2), 1);
    assert_int_equal(f->join_err.code, 0);
    static const struct str bad[] = {STR_INIT("10.0.0.9"), STR_INIT("10.0.0.2:99999")};
    assert_int_equal(join(f, 1, bad, 2), 0);
    assert_string_equal(err_text(&f->join_err),
                        "2 errors occurred:\n\t* Failed to join 10.0.0.9: connection refused\n"
                        "\t* Failed to resolve 10.0.0.2:99999: not an address\n\n");
    assert_int_equal(join(f, 1, bad, 1), 0);
    assert_string_equal(err_text(&f->join_err),
                        "1 error occurred:\n\t* Failed to join 10.0.0.9: connection refused\n\n");
}

static bool two_failed_at_one(struct fixture *f)
{
    return f->nodes[0].failures > 0;
}

static bool back_at_one(struct fixture *f)
{
    return f->nodes[0].joins > SERVERS;
}

static bool left_at_one(struct fixture *f)
{
    return f->nodes[0].leaves > 0;
}

static void test_failure_and_return(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    join_all(f);
    f->nodes[1].is_down = true;
    membership_stop(f->nodes[1].membership); /* nor does it ask */
    run_until(f, two_failed_at_one);
    assert_ok(membership_force_leave(f->nodes[0].membership, STR("s2"), false, &err));
    run_until(f, left_at_one);
    (void)membership_free(f->nodes[1].membership);
    node_start(f, 2);
    const struct str address = STR("10.0.0.3");
    assert_int_equal(join(f, 2, &address, 1), 1);
    run_until(f, back_at_one);
}

static void leave_done(struct membership_leave *leave)
{
    (void)leave;
}

static bool everybody_knows_two_left(struct fixture *f)
{
    return f->nodes[0].leaves == 1 && f->nodes[2].leaves == 1;
}

static void test_leave(void **state)
{
    struct fixture *f = *state;
    struct membership_leave leave = {.done = leave_done};
    struct arena a = {0};
    struct member *members;
    join_all(f);
    membership_leave(f->nodes[1].membership, &leave);
    run_until(f, everybody_knows_two_left);
    assert_int_equal(f->nodes[0].failures, 0);
    size_t n = membership_members(f->nodes[0].membership, &a, &members);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(members[i].status,
                         str_eq_lit(members[i].name, "s2") ? MEMBER_LEFT : MEMBER_ALIVE);
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_join, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_and_return, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leave, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
