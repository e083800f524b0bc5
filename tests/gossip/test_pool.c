/* Pools on real sockets of the loopback interface, each with threads of its own as agents have
 * them; one home loop for all, driven until a condition holds. */
#include "gossip/pool.h"

#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "gossip/key_file.h"
#include "gossip/pool_address.h"
#include "loop/file.h"
#include "loop/loop.h"
#include "proto/seal.h"
#include "schema/coordinate.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define POOLS_MAX 4u
#define GIVE_UP_MS 60000u
#define KEY_1 "cg8StVXbQJ0gPvMd9o7yrg=="
#define KEY_2 "pUqJrVyVRj5jsiYEkM/tFQ=="

struct fixture;

struct node {
    struct fixture *f;
    struct pool *pool;
    struct buf heard;    /* "join a " */
    const char *refuses; /* a name that may not be in its pool */
};

struct fixture {
    struct loop *home;
    struct arena arena;
    char dir[64];
    struct node nodes[POOLS_MAX];
    size_t count;
    struct loop_timer poll, limit;
    bool (*until)(struct fixture *f);
    /* answers */
    unsigned done;
    struct err err;
    uint32_t joined;
};

/* --- driving --------------------------------------------------------------------------------- */

static void limit_reached(struct loop_timer *t)
{
    (void)t;
    fail_msg("it took too long");
}

static void poll_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, poll);
    if (f->until(f)) {
        loop_stop(f->home);
    } else {
        loop_timer_start(f->home, t, 1, poll_due);
    }
}

static void run_until(struct fixture *f, bool (*until)(struct fixture *f))
{
    f->until = until;
    loop_timer_start(f->home, &f->limit, GIVE_UP_MS, limit_reached);
    loop_timer_start(f->home, &f->poll, 0, poll_due);
    loop_run(f->home);
    loop_timer_stop(f->home, &f->limit);
}

static bool is_done(struct fixture *f)
{
    return f->done > 0;
}

/* --- pools ----------------------------------------------------------------------------------- */

static void heard_member(void *data, enum serf_event_kind kind, const struct member *m)
{
    static const char *const kinds[] = {"join", "update", "leave", "failed", "reap"};
    struct node *n = data;
    buf_printf(&n->heard, "%s %.*s ", kinds[kind], STRF(m->name));
}

static void heard_user(void *data, const struct serf_user_event *e)
{
    struct node *n = data;
    buf_printf(&n->heard, "user %.*s=%.*s ", STRF(e->name), STRF(e->payload));
}

static bool has_heard(const struct node *n, const char *text)
{
    return str_contains(buf_view(&n->heard), str_from_cstr(text));
}

/* On the gossip loop: it does not change. */
static int merge(void *data, const struct member *members, size_t count, struct err *err)
{
    const struct node *n = data;
    for (size_t i = 0; i < count; i++) {
        if (n->refuses != NULL && str_eq(members[i].name, str_from_cstr(n->refuses))) {
            return err_set(err, ERR_CONFLICT, "Member '%s' is not wanted", n->refuses);
        }
    }
    return 0;
}

struct setting {
    const char *key; /* base64; NULL: none */
    bool keeps;      /* snapshot and key file, in the test's directory */
    const char *refuses;
    uint16_t port; /* 0: any */
    bool votes;    /* when its name is another's, too */
};

static struct serf_config quick(void)
{
    struct serf_config c;
    serf_config_init(&c, false);
    c.swim.gossip_interval_ns = 20 * NS_PER_MS;
    c.swim.probe_interval_ns = 200 * NS_PER_MS;
    c.swim.probe_timeout_ns = 100 * NS_PER_MS;
    c.swim.suspicion_mult = 2;
    c.leave_propagate_delay_ns = 50 * NS_PER_MS;
    return c;
}

static int node_new(struct fixture *f, const char *name, const struct setting *s, struct node *n,
                    struct err *err)
{
    struct str key = str_from_cstr(s->key);
    const struct strpair tags[] = {{STR("role"), STR("test")}};
    struct pool_options o = {
        .threads = gossip_threads_new(),
        .home = f->home,
        .serf_module = "test.serf",
        .memberlist_module = "test.memberlist",
        .config = quick(),
        .name = str_from_cstr(name),
        .tags = {tags, 1},
        .merge = merge,
        .member = heard_member,
        .user_event = heard_user,
        .data = n,
    };
    o.config.enable_name_conflict_resolution = s->votes;
    if (s->key != NULL) {
        assert_ok(gossip_keys_ring((struct strlist){&key, 1}, &o.keys, err));
    }
    if (s->keeps) {
        o.snapshot_path = arena_printf(&f->arena, "%s/%s.snapshot", f->dir, name);
        o.key_path =
            s->key != NULL ? arena_printf(&f->arena, "%s/%s.keyring", f->dir, name) : STR("");
    }
    assert_ok(address_parse(&o.bind, STR("127.0.0.1"), s->port, err));
    assert_true(gossip_address_parse(STR("127.0.0.1"), s->port, &o.advertise));
    n->f = f;
    n->refuses = s->refuses;
    return pool_new(&o, &n->pool, err);
}

static struct node *node_start(struct fixture *f, const char *name, struct setting s)
{
    struct err err = {0};
    struct node *n = &f->nodes[f->count++];
    assert_ok(node_new(f, name, &s, n, &err));
    pool_start(n->pool);
    return n;
}

static void node_stop(struct node *n)
{
    if (n->pool != NULL) {
        pool_stop(n->pool);
        loop_stop(n->f->home); /* what it has posted */
        loop_run(n->f->home);
        n->pool = pool_free(n->pool);
    }
}

static uint16_t node_port(const struct node *n)
{
    struct member_list *list = pool_members(n->pool);
    uint16_t port = list->count > 0 ? (uint16_t)list->v[0]->port : 0;
    (void)member_list_unref(list);
    return port;
}

static bool all_are_up(struct fixture *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->nodes[i].pool != NULL && node_port(&f->nodes[i]) == 0) {
            return false;
        }
    }
    return true;
}

static enum member_status status_of(const struct node *n, const char *name)
{
    struct member_list *list = pool_members(n->pool);
    const struct member *m = member_list_find(list, str_from_cstr(name));
    enum member_status status = m != NULL ? (enum member_status)m->status : MEMBER_NONE;
    (void)member_list_unref(list);
    return status;
}

static void joined(struct pool_join *join)
{
    struct fixture *f = join->data;
    f->joined = join->joined;
    f->err = join->err;
    f->done++;
}

static void join_text(struct fixture *f, struct node *n, struct strlist addresses)
{
    struct pool_join join = {.addresses = addresses, .done = joined, .data = f};
    f->done = 0;
    pool_join(n->pool, &join);
    assert_int_equal(f->done, 0); /* not from inside */
    run_until(f, is_done);
}

static void join(struct fixture *f, struct node *n, struct node *to)
{
    run_until(f, all_are_up);
    struct str address = arena_printf(&f->arena, "127.0.0.1:%u", node_port(to));
    join_text(f, n, (struct strlist){&address, 1});
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->home = loop_new("home");
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/consul-pool-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct strlist names;
    struct err err;
    for (size_t i = 0; i < f->count; i++) {
        node_stop(&f->nodes[i]);
        buf_deinit(&f->nodes[i].heard);
    }
    (void)loop_free(f->home);
    assert_ok(dir_files(str_from_cstr(f->dir), 100, &f->arena, &names, &err));
    for (size_t i = 0; i < names.n; i++) {
        (void)unlink(arena_printf(&f->arena, "%s/%.*s", f->dir, STRF(names.v[i])).p);
    }
    (void)rmdir(f->dir);
    arena_deinit(&f->arena);
    test_free(f);
    return 0;
}

/* --- tests ----------------------------------------------------------------------------------- */

static bool know_each_other(struct fixture *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct member_list *list = pool_members(f->nodes[i].pool);
        size_t alive = 0;
        for (size_t m = 0; m < list->count; m++) {
            alive += list->v[m]->status == MEMBER_ALIVE;
        }
        (void)member_list_unref(list);
        if (alive != f->count) {
            return false;
        }
    }
    return true;
}

static bool all_have_heard_event(struct fixture *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (!has_heard(&f->nodes[i], "user deploy=now ")) {
            return false;
        }
    }
    return true;
}

static void fired(void *data, const struct err *err)
{
    struct fixture *f = data;
    err_clear(&f->err);
    if (err != NULL) {
        f->err = *err;
    }
    f->done++;
}

static void test_three_meet(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_start(f, "a", (struct setting){0});
    struct node *b = node_start(f, "b", (struct setting){0});
    struct node *c = node_start(f, "c", (struct setting){0});
    join(f, b, a);
    assert_int_equal(f->joined, 1);
    assert_int_equal(f->err.code, 0);
    join(f, c, a);
    run_until(f, know_each_other);
    struct member_list *list = pool_members(c->pool);
    assert_str_lit(list->v[0]->name, "c"); /* itself first */
    assert_str_lit(member_tag(list->v[1], STR("role")), "test");
    (void)member_list_unref(list);
    assert_true(has_heard(a, "join a ") && has_heard(a, "join b ") && has_heard(a, "join c "));

    f->done = 0;
    pool_user_event(b->pool, STR("deploy"), STR("now"), false, fired, f);
    run_until(f, is_done);
    assert_int_equal(f->err.code, 0);
    run_until(f, all_have_heard_event);

    f->done = 0;
    char large[600];
    memset(large, 'x', sizeof(large));
    pool_user_event(b->pool, STR("e"), str_make(large, sizeof(large)), false, fired, f);
    run_until(f, is_done);
    assert_string_equal(f->err.text,
                        "user event exceeds configured limit of 512 bytes before encoding");
    struct serf_stats stats;
    pool_stats(a->pool, &stats);
    assert_int_equal(stats.members, 3);
    assert_false(stats.encrypted);
}

static bool second_has_left(struct fixture *f)
{
    return f->done > 0 && status_of(&f->nodes[0], "b") == MEMBER_LEFT;
}

static void left(struct pool_leave *leave)
{
    struct fixture *f = leave->data;
    f->err = leave->err;
    f->done++;
}

static void test_leave(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_start(f, "a", (struct setting){0});
    struct node *b = node_start(f, "b", (struct setting){0});
    struct pool_leave leave = {.done = left, .data = f};
    join(f, b, a);
    run_until(f, know_each_other);
    f->done = 0;
    pool_leave(b->pool, &leave);
    run_until(f, second_has_left);
    assert_int_equal(f->err.code, 0);
    assert_false(leave.timed_out);
    assert_true(has_heard(a, "leave b "));
}

static bool second_has_failed(struct fixture *f)
{
    return status_of(&f->nodes[0], "b") == MEMBER_FAILED && has_heard(&f->nodes[0], "failed b ");
}

static bool second_is_gone(struct fixture *f)
{
    return status_of(&f->nodes[0], "b") == MEMBER_NONE && has_heard(&f->nodes[0], "reap b ");
}

static void test_failed_and_pruned(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_start(f, "a", (struct setting){0});
    struct node *b = node_start(f, "b", (struct setting){0});
    join(f, b, a);
    run_until(f, know_each_other);
    node_stop(b);
    run_until(f, second_has_failed);
    pool_force_leave(a->pool, STR("b"), true, NULL, NULL);
    run_until(f, second_is_gone);
}

/* In Consul's words, one line for each address that did not do. */
static void test_join_errors(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_start(f, "a", (struct setting){0});
    struct node *b = node_start(f, "b", (struct setting){0});
    run_until(f, all_are_up);
    uint16_t closed = node_port(b);
    node_stop(b);
    struct str refused = arena_printf(&f->arena, "127.0.0.1:%u", closed);
    join_text(f, a, (struct strlist){&refused, 1});
    assert_int_equal(f->joined, 0);
    assert_str_equal(str_from_cstr(f->err.text),
                     arena_printf(&f->arena,
                                  "1 error occurred:\n\t* Failed to join 127.0.0.1: dial tcp "
                                  "127.0.0.1:%u: connect: connection refused\n\n",
                                  closed));
    struct str bad[] = {STR("127.0.0.1:many"), STR("/127.0.0.1"), STR("127.0.0.1:70000"),
                        STR("[::1"), STR("")};
    join_text(f, a, (struct strlist){bad, ARRAY_SIZE(bad)});
    assert_string_equal(
        f->err.text,
        "5 errors occurred:\n"
        "\t* Failed to resolve 127.0.0.1:many: strconv.ParseUint: parsing \"many\": invalid "
        "syntax\n"
        "\t* Failed to resolve /127.0.0.1: empty node name provided\n"
        "\t* Failed to resolve 127.0.0.1:70000: strconv.ParseUint: parsing \"70000\": value out of "
        "range\n"
        "\t* Failed to resolve [::1: address [::1: missing ']' in address\n"
        "\t* Failed to resolve : lookup : no such host\n\n");
    /* One that answers is enough. */
    struct str mixed[] = {bad[0], arena_printf(&f->arena, "127.0.0.1:%u", node_port(a))};
    join_text(f, a, (struct strlist){mixed, 2});
    assert_int_equal(f->joined, 1);
    assert_int_equal(f->err.code, 0);
    join_text(f, a, (struct strlist){0});
    assert_int_equal(f->joined, 0);
    assert_int_equal(f->err.code, 0);
}

static void test_merge_refuses(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_start(f, "a", (struct setting){0});
    struct node *b = node_start(f, "b", (struct setting){.refuses = "a"});
    join(f, b, a);
    assert_int_equal(f->joined, 0);
    assert_non_null(strstr(f->err.text, "Member 'a' is not wanted"));
    assert_int_equal(status_of(b, "a"), MEMBER_NONE);
}

static void test_rejoins_by_its_snapshot(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_start(f, "a", (struct setting){0});
    struct node *b = node_start(f, "b", (struct setting){.keeps = true});
    join(f, b, a);
    run_until(f, know_each_other);
    uint16_t port = node_port(b);
    node_stop(b);
    buf_clear(&a->heard);
    f->count = 1;
    b = node_start(f, "b", (struct setting){.keeps = true, .port = port});
    run_until(f, know_each_other);
    (void)b;
}

static void test_address_in_use(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct node second = {0};
    struct node *a = node_start(f, "a", (struct setting){0});
    run_until(f, all_are_up);
    const struct setting same = {.port = node_port(a)};
    assert_true(node_new(f, "b", &same, &second, &err) < 0);
    assert_str_equal(str_from_cstr(err.text),
                     arena_printf(&f->arena,
                                  "Failed to start TCP listener on \"127.0.0.1\" port %u: listen "
                                  "tcp 127.0.0.1:%u: bind: address already in use",
                                  same.port, same.port));
}

/* --- keys ------------------------------------------------------------------------------------- */

static void keys_answered(struct pool_keys *keys)
{
    struct fixture *f = keys->data;
    f->err = keys->err;
    f->done++;
}

static struct pool_keys ask_keys(struct fixture *f, struct node *n, enum serf_key_action action,
                                 const char *key)
{
    struct pool_keys keys = {.action = action,
                             .key = str_from_cstr(key),
                             .arena = &f->arena,
                             .done = keys_answered,
                             .data = f};
    f->done = 0;
    pool_keys(n->pool, &keys);
    run_until(f, is_done);
    return keys;
}

static void test_keys(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct strlist kept;
    const struct setting sealed = {.key = KEY_1, .keeps = true};
    struct node *a = node_start(f, "a", sealed), *b = node_start(f, "b", sealed);
    struct node *stranger = node_start(f, "c", (struct setting){.key = KEY_2});
    struct node *open = node_start(f, "d", (struct setting){0});
    join(f, stranger, a);
    assert_int_equal(f->joined, 0);
    join(f, open, a);
    assert_int_equal(f->joined, 0);
    join(f, b, a);
    assert_int_equal(f->joined, 1);

    struct pool_keys keys = ask_keys(f, a, SERF_KEY_LIST, "");
    assert_int_equal(keys.err.code, 0);
    assert_int_equal(keys.members_count, 2);
    assert_int_equal(keys.keys_count, 1);
    assert_str_lit(keys.keys[0].key, KEY_1);
    assert_int_equal(keys.keys[0].count, 2);
    keys = ask_keys(f, a, SERF_KEY_USE, KEY_2);
    assert_string_equal(keys.err.text, "2/2 nodes reported failure");
    assert_int_equal(keys.messages.n, 2);
    (void)ask_keys(f, a, SERF_KEY_INSTALL, KEY_2);
    assert_int_equal(f->err.code, 0);
    (void)ask_keys(f, b, SERF_KEY_USE, KEY_2);
    assert_int_equal(f->err.code, 0);
    (void)ask_keys(f, a, SERF_KEY_REMOVE, KEY_1);
    assert_int_equal(f->err.code, 0);
    /* Once that was answered it was kept. */
    assert_ok(
        key_file_read(arena_printf(&f->arena, "%s/b.keyring", f->dir), &f->arena, &kept, &err));
    assert_int_equal(kept.n, 1);
    assert_str_lit(kept.v[0], KEY_2);
    join(f, stranger, a); /* is none any more */
    assert_int_equal(f->joined, 1);
}

static void coordinates_known(struct pool_coordinates *c)
{
    struct fixture *f = c->data;
    f->done++;
}

static bool has_ended(struct fixture *f)
{
    if (f->done > 0 && f->err.code != ERR_CLOSED) {
        f->done = 0;
        pool_user_event(f->nodes[3].pool, STR("e"), STR(""), false, fired, f);
    }
    return f->done > 0;
}

/* The name it says is its own is another's: two of three say so, and it goes. */
static void test_name_of_another(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_start(f, "a", (struct setting){0});
    struct node *b = node_start(f, "b", (struct setting){0});
    struct node *c = node_start(f, "c", (struct setting){0});
    join(f, b, a);
    join(f, c, a);
    run_until(f, know_each_other);
    struct node *other = node_start(f, "c", (struct setting){.votes = true});
    join(f, other, a);
    f->done = 1;
    run_until(f, has_ended);
    assert_int_equal(f->err.code, ERR_CLOSED);
    assert_int_equal(status_of(a, "c"), MEMBER_ALIVE);
    struct member_list *list = pool_members(a->pool);
    assert_int_equal(member_list_find(list, STR("c"))->port, node_port(c));
    (void)member_list_unref(list);
    struct str address = arena_printf(&f->arena, "127.0.0.1:%u", node_port(a));
    join_text(f, other, (struct strlist){&address, 1});
    assert_int_equal(f->joined, 0);
}

static void test_coordinates(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_start(f, "a", (struct setting){0});
    struct node *b = node_start(f, "b", (struct setting){0});
    join(f, b, a);
    run_until(f, know_each_other);
    const struct coordinate *own = pool_coordinate(a->pool, &f->arena);
    assert_int_equal(own->vec.n, COORDINATE_DIMENSIONS);
    struct pool_coordinates c = {.done = coordinates_known, .arena = &f->arena, .data = f};
    do { /* until b has been measured */
        f->done = 0;
        pool_coordinates(a->pool, &c);
        run_until(f, is_done);
    } while (c.count < 2);
    assert_true(str_eq_lit(c.v[0].node, "a") || str_eq_lit(c.v[1].node, "a"));
}

/* --- ends ------------------------------------------------------------------------------------- */

static void test_stop_answers_all(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_start(f, "a", (struct setting){.key = KEY_1});
    run_until(f, all_are_up);
    struct str address = STR("127.0.0.1:1"), name = STR("localhost:1");
    struct pool_join one = {.addresses = {&address, 1}, .done = joined, .data = f};
    struct pool_join two = {.addresses = {&name, 1}, .done = joined, .data = f};
    struct pool_leave leave = {.done = left, .data = f};
    struct pool_keys keys = {.arena = &f->arena, .done = keys_answered, .data = f};
    struct pool_coordinates c = {.done = coordinates_known, .arena = &f->arena, .data = f};
    pool_join(a->pool, &one);
    pool_join(a->pool, &two);
    pool_keys(a->pool, &keys);
    pool_coordinates(a->pool, &c);
    pool_user_event(a->pool, STR("e"), STR(""), false, fired, f);
    pool_leave(a->pool, &leave);
    pool_stop(a->pool);
    assert_int_equal(f->done, 6);
    assert_int_equal(one.err.code, ERR_CLOSED);
    pool_user_event(a->pool, STR("e"), STR(""), false, fired, f); /* and what comes later */
    f->done = 0;
    run_until(f, is_done);
    assert_int_equal(f->err.code, ERR_CLOSED);
}

static void test_never_started(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct node n = {0};
    const struct setting s = {.key = KEY_1, .keeps = true};
    assert_ok(node_new(f, "a", &s, &n, &err));
    pool_stop(n.pool);
    assert_null(pool_free(n.pool));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_three_meet),        T(test_leave),
        T(test_failed_and_pruned), T(test_join_errors),
        T(test_merge_refuses),     T(test_rejoins_by_its_snapshot),
        T(test_address_in_use),    T(test_keys),
        T(test_coordinates),       T(test_name_of_another),
        T(test_stop_answers_all),  T(test_never_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
