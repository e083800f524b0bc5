/* client_fixture.h - servers that are stubs, each at a port of its own, and what they say to a
 * client: what the key of a KVS.Get or KVS.Apply tells them to.
 *
 *     "hold"       nothing for now: client_answer_held()
 *     "error"      an error that is the request's fault
 *     "no leader"  that, `refusals` times; then as below
 *     "hang up"    the connection ends, `refusals` times; then as below
 *     others       the name of the server, as the value
 */
#pragma once
#include "stub_server.h"

#include "base/clock.h"
#include "member_make.h"
#include "schema/kv.h"
#include "schema/operator.h"
#include "scripted_membership.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/worker.h"

#define CLIENT_SERVERS 3
#define CLIENT_HELD_MAX 16u
#define GIVE_UP_MS 30000u

struct client_servers;

struct client_server {
    struct client_servers *all;
    struct stub stub;
    char name[16];
    struct member member;
    bool is_silent; /* answers no ping */
    unsigned pings;
    int64_t wait_ns; /* of the last KVS.Get */
    struct stub_call held[CLIENT_HELD_MAX];
    unsigned held_count;
};

struct client_servers {
    struct worker main;
    struct arena arena;
    struct client_server of[CLIENT_SERVERS];
    unsigned refusals;
    struct loop_timer poll, limit;
    bool (*until)(void *data);
    void *until_data;
    bool gave_up;
};

static void client_reply(const struct client_server *s, const struct stub_call *call)
{
    struct dir_entry entry = {.key = STR("k"), .value = str_from_cstr(s->name)};
    void *list = &entry;
    struct indexed_dir_entries entries = {.entries = {&list, 1}, .meta = {.index = 7}};
    const struct bool_reply yes = {true};
    if (str_eq_lit(call->method, "KVS.Get")) {
        stub_reply(call, rpc_kvs_get.reply, &entries);
    } else {
        stub_reply(call, rpc_kvs_apply.reply, &yes);
    }
}

static void client_handle_key(struct client_server *s, struct stub_call *call, struct str key)
{
    bool is_refused = str_eq_lit(key, "no leader") || str_eq_lit(key, "hang up");
    if (str_eq_lit(key, "hold")) {
        assert_true(s->held_count < CLIENT_HELD_MAX);
        s->held[s->held_count] = *call;
        s->held[s->held_count++].method = arena_str(&s->all->arena, call->method);
    } else if (str_eq_lit(key, "error")) {
        stub_error(call, "Permission denied");
    } else if (is_refused && s->all->refusals > 0) {
        s->all->refusals--;
        if (str_eq_lit(key, "no leader")) {
            stub_error(call, "No cluster leader");
        } else {
            stub_hang_up(&s->stub);
        }
    } else {
        client_reply(s, call);
    }
}

static void client_handle(struct stub *stub, struct stub_call *call)
{
    struct client_server *s = container_of(stub, struct client_server, stub);
    struct arena a = {0};
    struct err err = {0};
    if (str_eq_lit(call->method, "Status.Ping")) {
        s->pings++;
        if (s->is_silent) {
            stub_error(call, "not now");
        } else {
            stub_reply(call, NULL, NULL);
        }
    } else if (str_eq_lit(call->method, "KVS.Get")) {
        struct key_request args = {0};
        assert_ok(rpc_body_decode(call->body, rpc_kvs_get.args, &args, &a, &err));
        s->wait_ns = args.options.max_query_time;
        client_handle_key(s, call, args.key);
    } else {
        struct kvs_request args = {0};
        assert_ok(rpc_body_decode(call->body, rpc_kvs_apply.args, &args, &a, &err));
        client_handle_key(s, call, args.dir_ent.key);
    }
    arena_deinit(&a);
}

UNUSED static void client_answer_held(struct client_server *s)
{
    for (unsigned i = 0; i < s->held_count; i++) {
        client_reply(s, &s->held[i]);
    }
    s->held_count = 0;
}

static struct member client_member(struct client_servers *c, int n, const char *address)
{
    const char *port = strrchr(address, ':') + 1;
    const struct extra_tag tag[] = {{"port", arena_str(&c->arena, str_from_cstr(port)).p}};
    struct member m = member_make(&c->arena, n, MEMBER_ALIVE, tag, 1);
    m.addr = STR("127.0.0.1");
    return m;
}

/* On this loop, where it is not that of c->main. */
static void client_servers_listen(struct client_servers *c, struct loop *loop)
{
    for (int i = 0; i < CLIENT_SERVERS; i++) {
        struct client_server *s = &c->of[i];
        s->all = c;
        (void)snprintf(s->name, sizeof(s->name), "s%d", i + 1);
        stub_start(&s->stub, loop, client_handle, NULL);
        s->member = client_member(c, i + 1, s->stub.address);
    }
}

UNUSED static void client_servers_init(struct client_servers *c)
{
    worker_init(&c->main, loop_new("test"), 0);
    client_servers_listen(c, c->main.loop);
}

static void client_servers_hang_up(struct client_servers *c)
{
    for (int i = 0; i < CLIENT_SERVERS; i++) {
        stub_stop_listening(&c->of[i].stub);
        stub_hang_up(&c->of[i].stub);
    }
}

/* The servers' ends, and the loop; what was called with the worker has been stopped. */
UNUSED static void client_servers_deinit(struct client_servers *c)
{
    client_servers_hang_up(c);
    loop_stop(c->main.loop);
    loop_run(c->main.loop); /* what was posted last */
    struct loop *loop = c->main.loop;
    worker_deinit(&c->main);
    (void)loop_free(loop);
    arena_deinit(&c->arena);
}

static void client_poll(struct loop_timer *t)
{
    struct client_servers *c = container_of(t, struct client_servers, poll);
    if (c->until(c->until_data)) {
        loop_stop(c->main.loop);
        return;
    }
    loop_timer_start(c->main.loop, t, 1, client_poll);
}

static void client_limit(struct loop_timer *t)
{
    struct client_servers *c = container_of(t, struct client_servers, limit);
    c->gave_up = true;
    loop_stop(c->main.loop);
}

UNUSED static void client_run_until(struct client_servers *c, bool (*until)(void *data), void *data)
{
    c->until = until;
    c->until_data = data;
    loop_timer_start(c->main.loop, &c->poll, 0, client_poll);
    loop_timer_start(c->main.loop, &c->limit, GIVE_UP_MS, client_limit);
    loop_run(c->main.loop);
    loop_timer_stop(c->main.loop, &c->poll);
    loop_timer_stop(c->main.loop, &c->limit);
    assert_false(c->gave_up);
}
