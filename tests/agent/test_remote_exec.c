/* Remote jobs through the KV store of a real server. */
#include "agent_fixture.h"

#include "agent/user_event.h"
#include "schema/gossip.h"
#include "schema/kv.h"
#include "schema/session.h"
#include "server/reply.h"

static char session_id[64];

static void session_made(struct rpc_call *call)
{
    struct fixture *f = call->data;
    assert_null(call->err);
    (void)snprintf(session_id, sizeof(session_id), "%.*s",
                   STRF(((const struct string_reply *)call->reply)->value));
    f->done++;
    rpc_call_free(call);
}

static void succeeded(struct rpc_call *call)
{
    struct fixture *f = call->data;
    assert_null(call->err);
    f->done++;
    rpc_call_free(call);
}

static void keys_known(struct rpc_call *call)
{
    struct fixture *f = call->data;
    const struct indexed_dir_entries *reply = call->reply;
    f->text = STR("");
    for (size_t i = 0; i < reply->entries.n; i++) {
        const struct dir_entry *e = reply->entries.v[i];
        ptrdiff_t at = str_find(e->key, STR("node1/"));
        if (at >= 0) {
            f->text = arena_printf(&f->arena, "%.*s%.*s=%.*s;", STRF(f->text),
                                   STRF(str_from(e->key, (size_t)at + 6)), STRF(e->value));
        }
    }
    f->done++;
    rpc_call_free(call);
}

static struct rpc_call *call_new(struct fixture *f, const struct rpc_method *method,
                                 void (*done)(struct rpc_call *call))
{
    struct rpc_call *call = rpc_call_new(&f->base.main, method);
    call->data = f;
    call->done = done;
    f->done = 0;
    return call;
}

static bool has_ended(void *data)
{
    struct fixture *f = data;
    return f->agent->remote_exec.count == 0;
}

/* What the node wrote: "ack=;exit=0;out/00000=…;". */
static struct str run(struct fixture *f, const char *job)
{
    struct err err = {0};
    struct rpc_call *call = call_new(f, &rpc_session_apply, session_made);
    struct session_request *session = call->args;
    session->datacenter = STR("dc1");
    session->op = STR("create");
    session->session.node = STR("node1");
    session->session.node_checks = (struct strlist){SCHEMA_EMPTY, 0};
    session->session.checks = session->session.node_checks;
    rpc_start(call);
    run_until(f, call_is_done);

    call = call_new(f, &rpc_kvs_apply, succeeded);
    struct kvs_request *set = call->args;
    set->datacenter = STR("dc1");
    set->op = KV_SET;
    set->dir_ent.key = arena_printf(&f->arena, "_rexec/%s/job", session_id);
    set->dir_ent.value = str_from_cstr(job);
    rpc_start(call);
    run_until(f, call_is_done);

    struct user_event event = {
        .name = STR("_rexec"),
        .payload =
            arena_printf(&f->arena, "{\"Prefix\":\"_rexec\",\"Session\":\"%s\"}", session_id)};
    assert_ok(user_event_complete(&event, &f->arena, &err));
    call = call_new(f, &rpc_internal_event_fire, succeeded);
    struct event_fire_request *fire = call->args;
    fire->datacenter = STR("dc1");
    fire->name = event.name;
    fire->payload = user_event_encode(&event, &f->arena);
    rpc_start(call);
    run_until(f, call_is_done);
    run_until(f, has_ended);

    call = call_new(f, &rpc_kvs_list, keys_known);
    struct key_request *list = call->args;
    list->datacenter = STR("dc1");
    list->key = arena_printf(&f->arena, "_rexec/%s/", session_id);
    rpc_start(call);
    run_until(f, call_is_done);
    return f->text;
}

static int setup_enabled(void **state)
{
    struct fixture *f = fixture_new(true);
    struct err err = {0};
    f->hcl = "disable_remote_exec = false";
    fixture_start_server(f);
    assert_ok(fixture_start_agent(f, &err));
    run_until(f, is_in_step);
    *state = f;
    return 0;
}

static void test_jobs(void **state)
{
    struct fixture *f = *state;
    assert_str_lit(run(f, "{\"Command\":\"echo hello; exit 4\",\"Wait\":1000000000}"),
                   "ack=;exit=4;out/00000=hello\n;");
    assert_str_lit(run(f, "{\"Args\":[\"/bin/echo\",\"direct\"],\"Wait\":0}"),
                   "ack=;exit=0;out/00000=direct\n;");
    assert_str_lit(run(f, "{\"Script\":\"ZXhpdCAzCg==\"}"), "ack=;exit=3;"); /* exit 3 */
    assert_str_lit(run(f, "{\"Args\":[\"/no/such\"]}"), "ack=;exit=255;");
    assert_str_lit(run(f, "not json"), "");
    /* Silence is told from death by empty chunks. */
    assert_str_lit(run(f, "{\"Command\":\"sleep 0.3\",\"Wait\":200000000}"),
                   "ack=;exit=0;out/00000=;");
}

static void test_a_flood_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct str text = run(f, "{\"Command\":\"i=0; while [ $i -lt 20000 ]; do echo 0123456789; "
                             "i=$((i+1)); done\"}");
    assert_true(str_has_prefix(text, STR("ack=;exit=0;out/00000=0123456789\n")));
    size_t lines = 0;
    for (size_t i = 0; i < text.n; i++) {
        lines += text.p[i] == '\n';
    }
    assert_int_equal(lines, 20000);
}

static void test_off_unless_allowed(void **state)
{
    struct fixture *f = *state;
    assert_str_lit(run(f, "{\"Command\":\"echo no\"}"), "");
}

static void test_stopped_under_way(void **state)
{
    struct fixture *f = *state;
    remote_exec_start(&f->agent->remote_exec, STR("{\"Prefix\":\"a\",\"Session\":\"b\"}"));
    remote_exec_start(&f->agent->remote_exec, STR("[]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_jobs, setup_enabled, teardown),
        cmocka_unit_test_setup_teardown(test_a_flood_arrives_whole, setup_enabled, teardown),
        cmocka_unit_test_setup_teardown(test_off_unless_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped_under_way, setup_enabled, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
