/* Who may do what, on a real server in memory with ACLs: every method, the resolver's caches, and
 * what registrations and transactions ask for. */
#include "config_fixture.h"
#include "server_fixture.h"

#include "base/clock.h"
#include "schema/acl_request.h"
#include "schema/json.h"
#include "schema/txn.h"
#include "server/acl_log.h"
#include "server/acl_resolver.h"
#include "store/acl.h"

#include <stdio.h>

#define MASTER STR("6a1f2b9e-0c5d-4e7a-9b3c-2d8e4f6a7b10")
#define UNKNOWN STR("adf4238a-882b-9ddc-4a9d-5b6758e4159e")
#define POLICY_ID STR("11111111-1111-1111-1111-111111111111")
#define SECRET STR("22222222-2222-2222-2222-222222222222")
#define ACCESSOR STR("33333333-3333-3333-3333-333333333333")

struct fixture {
    struct server_fixture base;
    bool is_done;
    struct err err;    /* of the last call */
    struct buf answer; /* its reply in JSON */
};

static bool is_done(void *data)
{
    return ((struct fixture *)data)->is_done;
}

static void note_done(struct rpc_call *call)
{
    struct fixture *f = call->data;
    f->is_done = true;
    f->err = call->err != NULL ? *call->err : (struct err){0};
    buf_clear(&f->answer);
    if (call->err == NULL && call->method->reply != NULL) {
        struct json_writer w = json_writer_make(&f->answer, false);
        json_object(&w, call->method->reply, call->reply);
    }
    rpc_call_free(call);
}

static struct rpc_call *call_make(struct fixture *f, const struct rpc_method *method)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, method);
    call->done = note_done;
    call->data = f;
    return call;
}

static void call_run(struct fixture *f, struct rpc_call *call, struct str token)
{
    size_t offset;
    const struct field *field = schema_find(call->method->args, STR("Token"), &offset);
    if (field != NULL && field->kind == FIELD_STR) {
        *(struct str *)((char *)call->args + offset) = token;
    }
    f->is_done = false;
    server_fixture_call(&f->base, call);
    server_fixture_run_until(&f->base, is_done, f);
}

/* Arguments in JSON, with ' for ". */
static void ask(struct fixture *f, const struct rpc_method *method, const char *json,
                struct str token)
{
    struct rpc_call *call = call_make(f, method);
    struct err err = {0};
    if (schema_decode(method->args, config_value(&call->arena, json), call->args, &call->arena, 0,
                      &err) < 0) {
        fail_msg("%s: %s", json, err_text(&err));
    }
    call_run(f, call, token);
}

static void must(struct fixture *f, const struct rpc_method *method, const char *json,
                 struct str token)
{
    ask(f, method, json, token);
    if (f->err.code != 0) {
        fail_msg("%s %s: %s", method->name, json, err_text(&f->err));
    }
}

static void must_not(struct fixture *f, const struct rpc_method *method, const char *json,
                     struct str token, const char *sentence)
{
    ask(f, method, json, token);
    assert_string_equal(err_text(&f->err), sentence);
}

static bool answer_has(const struct fixture *f, const char *text)
{
    return str_contains(buf_view(&f->answer), str_from_cstr(text));
}

/* The leader has made what is always there; a view is held for a turn of the loop only. */
static bool has_tokens(void *data)
{
    const struct fixture *f = data;
    const struct store_view *v = store_view(f->base.server->store);
    return acl_token_by_secret(v, MASTER) != NULL &&
           acl_token_by_secret(v, ACL_TOKEN_ANONYMOUS_SECRET) != NULL;
}

static void start(struct fixture *f, enum acl_default fallback)
{
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.acl.enabled = true;
    options.acl.fallback = fallback;
    options.acl_master_token = MASTER;
    options.connect_enabled = true;
    server_fixture_init(&f->base, &options);
    server_fixture_start(&f->base);
    server_fixture_run_until(&f->base, has_tokens, f);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    start(f, ACL_DEFAULT_DENY);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    server_fixture_deinit(&f->base);
    buf_deinit(&f->answer);
    mem_free(f);
    return 0;
}

/* --- tokens ---------------------------------------------------------------------------------- */

static void policy_set(struct fixture *f, struct str rules)
{
    struct rpc_call *call = call_make(f, &acl_log_policy_set);
    struct acl_policy_batch_set_request *args = call->args;
    struct acl_policy_row *row = ARENA_NEW(&call->arena, struct acl_policy_row);
    *row = (struct acl_policy_row){.id = POLICY_ID, .name = STR("test"), .rules = rules};
    acl_policy_hash_set(&call->arena, row);
    args->policies.v = ARENA_ARRAY(&call->arena, void *, 1);
    args->policies.v[0] = row;
    args->policies.n = 1;
    call->is_duty = true;
    call_run(f, call, STR(""));
    assert_int_equal(f->err.code, 0);
}

static void token_set(struct fixture *f, int64_t expires_ns)
{
    struct rpc_call *call = call_make(f, &acl_log_token_set);
    struct acl_token_batch_set_request *args = call->args;
    struct acl_token *token = ARENA_NEW(&call->arena, struct acl_token);
    struct acl_link *link = ARENA_NEW(&call->arena, struct acl_link);
    link->id = POLICY_ID;
    *token = (struct acl_token){
        .accessor_id = ACCESSOR,
        .secret_id = SECRET,
        .policies = {link, 1},
        .expiration_time = expires_ns,
        .create_time = clock_wall_ns(),
    };
    acl_token_hash_set(&call->arena, token);
    args->tokens.v = ARENA_ARRAY(&call->arena, void *, 1);
    args->tokens.v[0] = token;
    args->tokens.n = 1;
    call->is_duty = true;
    call_run(f, call, STR(""));
    assert_int_equal(f->err.code, 0);
}

/* One policy, and a token that has it. */
static void holder_set(struct fixture *f, struct str rules)
{
    policy_set(f, rules);
    token_set(f, TIME_ZERO);
}

/* --- all methods ------------------------------------------------------------------------------ */

static void entry_set(struct fixture *f, const char *json)
{
    struct rpc_call *call = call_make(f, &rpc_config_entry_apply);
    struct config_entry_request *args = call->args;
    args->op = CONFIG_ENTRY_UPSERT;
    args->entry = config_entry_from(&call->arena, json);
    call_run(f, call, MASTER);
    if (f->err.code != 0) {
        fail_msg("%s: %s", json, err_text(&f->err));
    }
}

/* Everything there is a kind of, under one name. */
static void seed(struct fixture *f)
{
    must(f, &rpc_catalog_register,
         "{'Node':'sesame','Address':'10.0.0.1','Service':{'Service':'sesame','Port':1},"
         "'Check':{'CheckID':'sesame','Name':'sesame','Status':'passing','ServiceID':'sesame'}}",
         MASTER);
    must(f, &rpc_kvs_apply, "{'Op':'set','DirEnt':{'Key':'sesame'}}", MASTER);
    must(f, &rpc_session_apply, "{'Op':'create','Session':{'Node':'sesame','Name':'sesame'}}",
         MASTER);
    must(f, &rpc_prepared_query_apply,
         "{'Op':'create','Query':{'Name':'sesame','Service':{'Service':'sesame'}}}", MASTER);
    entry_set(f, "{'Kind':'service-defaults','Name':'sesame','Protocol':'http'}");
    entry_set(f, "{'Kind':'service-intentions','Name':'sesame','Sources':[{'Name':'sesame',"
                 "'Action':'allow'}]}");
    entry_set(f, "{'Kind':'terminating-gateway','Name':'sesame','Services':[{'Name':'sesame'}]}");
}

/* Every name is the one that everything has. */
static void fill_names(struct rpc_call *call)
{
    for (const struct field *field = call->method->args->fields; field->name != NULL; field++) {
        struct str name = str_from_cstr(field->name);
        if (field->kind == FIELD_STR && !str_eq_lit(name, "Datacenter") &&
            !str_eq_lit(name, "TargetDatacenter") && !str_eq_lit(name, "Token")) {
            *(struct str *)((char *)call->args + field->offset) = STR("sesame");
        }
    }
}

static bool is_any_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What is wrong with an empty request, or is the same for all, is told before the token is. */
static void test_unknown_token_is_refused_by_all(void **state)
{
    struct fixture *f = *state;
    static const char *const judged_before[] = {
        "Catalog.NodeServices",
        "Coordinate.Update",
        "Health.ServiceChecks",
        "Intention.Match",
        "Intention.Check",
        "Internal.GatewayIntentions",
        "Intention.Get",
        "PreparedQuery.Get",
        "PreparedQuery.Explain",
        "Session.Apply",
        "PreparedQuery.Apply",
        "PreparedQuery.Execute",
        "Session.Get",
        "ACL.TokenRead",
        "ACL.TokenSet",
        "ACL.TokenClone",
        "ACL.Login",
        /* Not before all servers of the data center can do these. */
        "FederationState.Apply",
        "FederationState.Get",
        "FederationState.List",
        "FederationState.ListMeshGateways",
    };
    unsigned failures = 0;
    seed(f);
    for (size_t i = 0; i < rpc_method_count(); i++) {
        const struct rpc_method *method = rpc_method_at(i);
        if (strcmp(method->acl, "none") == 0 || method == &rpc_acl_token_read) {
            continue; /* whoever knows a secret may ask what it is */
        }
        struct rpc_call *call = call_make(f, method);
        fill_names(call);
        call_run(f, call, UNKNOWN);
        bool is_fine =
            f->err.code == ERR_ACL_NOT_FOUND ||
            (f->err.code != 0 && is_any_of(method->name, judged_before, ARRAY_SIZE(judged_before)));
        if (!is_fine) {
            print_error("%s: %d %s\n", method->name, f->err.code, err_text(&f->err));
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

static void test_nothing_is_shown_to_the_anonymous(void **state)
{
    struct fixture *f = *state;
    /* The query's service is told to whoever may run it, that is to all. */
    static const char *const tell[] = {"PreparedQuery.Execute", "PreparedQuery.ExecuteRemote"};
    size_t shown = 0;
    seed(f);
    for (size_t i = 0; i < rpc_method_count(); i++) {
        const struct rpc_method *method = rpc_method_at(i);
        if ((method->flags & RPC_READ) == 0 || method->reply == NULL || method->ask != NULL) {
            continue;
        }
        for (unsigned as_master = 0; as_master < 2; as_master++) {
            struct rpc_call *call = call_make(f, method);
            fill_names(call);
            call_run(f, call, as_master ? MASTER : STR(""));
            bool has = f->err.code == 0 && answer_has(f, "sesame");
            if (!as_master && has && !is_any_of(method->name, tell, ARRAY_SIZE(tell))) {
                fail_msg("%s: %.*s", method->name, STRF(buf_view(&f->answer)));
            }
            shown += as_master && has;
        }
    }
    assert_true(shown >= 20); /* or the test is blind */
}

/* --- the resolver ------------------------------------------------------------------------------
 */

static void test_changes_hold_at_once(void **state)
{
    struct fixture *f = *state;
    const char *get = "{'Key':'a'}";
    must_not(f, &rpc_kvs_get, get, SECRET, "ACL not found");
    holder_set(f, STR("key \"a\" { policy = \"read\" }"));
    must(f, &rpc_kvs_get, get, SECRET);
    must(f, &rpc_kvs_get, get, SECRET); /* remembered */
    policy_set(f, STR("key \"b\" { policy = \"read\" }"));
    must_not(f, &rpc_kvs_get, get, SECRET, "Permission denied");
    policy_set(f, STR("key \"a\" { policy = \"read\" }"));
    must(f, &rpc_kvs_get, get, SECRET);
    token_set(f, clock_wall_ns() - 1);
    must_not(f, &rpc_kvs_get, get, SECRET, "ACL not found");
    token_set(f, clock_wall_ns() + INT64_C(3600) * 1000000000);
    must(f, &rpc_kvs_get, get, SECRET);
    struct rpc_call *call = call_make(f, &acl_log_token_delete);
    struct acl_token_batch_delete_request *args = call->args;
    struct str id = ACCESSOR;
    args->token_ids = (struct strlist){&id, 1};
    call->is_duty = true;
    call_run(f, call, STR(""));
    must_not(f, &rpc_kvs_get, get, SECRET, "ACL not found");
}

static void test_roots_and_the_agents_own(void **state)
{
    struct fixture *f = *state;
    seed(f);
    must_not(f, &rpc_kvs_get, "{'Key':'a'}", STR("allow"), "Cannot resolve root ACL");
    must_not(f, &rpc_kvs_get, "{'Key':'a'}", STR("manage"), "Cannot resolve root ACL");
    must_not(f, &rpc_catalog_list_nodes, "{}", STR("own"), "ACL not found");
    acl_secrets_set(&f->base.server->delegate.secrets, ACL_SECRET_AGENT_MASTER, STR("own"));
    must(f, &rpc_catalog_list_nodes, "{}", STR("own")); /* any node may be read */
    assert_true(answer_has(f, "sesame"));
    must_not(f, &rpc_kvs_get, "{'Key':'a'}", STR("own"), "Permission denied");
    acl_secrets_set(&f->base.server->delegate.secrets, ACL_SECRET_AGENT_MASTER, STR(""));
    must_not(f, &rpc_catalog_list_nodes, "{}", STR("own"), "ACL not found");
}

/* What several tokens may do alike is compiled once, and goes when nobody needs it. */
static void test_holders_are_counted(void **state)
{
    struct fixture *f = *state;
    struct acl_who *a, *b;
    struct err err = {0};
    holder_set(f, STR("key \"a\" { policy = \"read\" }"));
    assert_int_equal(acl_resolve(f->base.main.acl, SECRET, NULL, &a, &err), 0);
    assert_int_equal(acl_resolve(f->base.main.acl, SECRET, NULL, &b, &err), 0);
    assert_ptr_equal(a, b);
    assert_str_equal(a->accessor_id, ACCESSOR);
    policy_set(f, STR("key \"a\" { policy = \"deny\" }"));
    acl_who_unref(b);
    assert_int_equal(acl_resolve(f->base.main.acl, SECRET, NULL, &b, &err), 0);
    assert_ptr_not_equal(a->rights, b->rights);
    assert_true(
        acl_allows(a->rights, ACL_KEY_READ, STR("a"))); /* as it was, for who still has it */
    assert_false(acl_allows(b->rights, ACL_KEY_READ, STR("a")));
    acl_who_unref(a);
    acl_who_unref(b);
}

static void test_default_allow(void **state)
{
    struct fixture *f = *state;
    server_fixture_deinit(&f->base);
    start(f, ACL_DEFAULT_ALLOW);
    must(f, &rpc_kvs_apply, "{'Op':'set','DirEnt':{'Key':'a'}}", STR(""));
    must_not(f, &rpc_acl_policy_list, "{}", STR(""), "Permission denied");
    holder_set(f, STR("key_prefix \"a\" { policy = \"deny\" }"));
    must_not(f, &rpc_kvs_get, "{'Key':'a'}", SECRET, "Permission denied");
    must(f, &rpc_kvs_get, "{'Key':'b'}", SECRET);
}

/* --- some methods in detail --------------------------------------------------------------------
 */

static void test_registering(void **state)
{
    struct fixture *f = *state;
    must(f, &rpc_catalog_register,
         "{'Node':'n','Address':'10.0.0.1','Datacenter':'dc1','Service':{'Service':'db'}}", MASTER);
    holder_set(f, STR("service \"web\" { policy = \"write\" }"));
    /* The node's particulars come along; they may not change. */
    must(f, &rpc_catalog_register,
         "{'Node':'n','Address':'10.0.0.1','Datacenter':'dc1',"
         "'Service':{'Service':'web'}}",
         SECRET);
    must_not(f, &rpc_catalog_register,
             "{'Node':'n','Address':'10.0.0.2','Datacenter':'dc1',"
             "'Service':{'Service':'web'}}",
             SECRET, "Permission denied");
    must_not(f, &rpc_catalog_register,
             "{'Node':'o','Address':'10.0.0.1','Service':{'Service':'web'}}", SECRET,
             "Permission denied");
    /* Nor may another's service be replaced, or be found where this proxy is. */
    must_not(f, &rpc_catalog_register,
             "{'Node':'n','SkipNodeUpdate':true,"
             "'Service':{'ID':'db','Service':'web'}}",
             SECRET, "Permission denied");
    must_not(f, &rpc_catalog_register,
             "{'Node':'n','SkipNodeUpdate':true,'Service':{'Kind':'connect-proxy','Service':'web',"
             "'Port':1,'Proxy':{'DestinationServiceName':'db'}}}",
             SECRET, "Permission denied");
    /* Checks belong to the node, or to a service that is there. */
    must_not(f, &rpc_catalog_register,
             "{'Node':'n','SkipNodeUpdate':true,'Check':{'CheckID':'c',"
             "'Status':'passing'}}",
             SECRET, "Permission denied");
    must(f, &rpc_catalog_register,
         "{'Node':'n','SkipNodeUpdate':true,'Check':{'CheckID':'c',"
         "'Status':'passing','ServiceID':'web'}}",
         SECRET);
    must_not(f, &rpc_catalog_register,
             "{'Node':'n','SkipNodeUpdate':true,'Check':{'CheckID':'d',"
             "'Status':'passing','ServiceID':'x'}}",
             SECRET, "Unknown service 'x' for check 'd'");
    must_not(f, &rpc_catalog_register,
             "{'Node':'n','SkipNodeUpdate':true,'Check':{'Node':'m',"
             "'CheckID':'d','Status':'passing'}}",
             SECRET, "Node 'm' for check 'd' doesn't match register request node 'n'");
    must_not(f, &rpc_catalog_deregister, "{'Node':'n','ServiceID':'db'}", SECRET,
             "Permission denied");
    must_not(f, &rpc_catalog_deregister, "{'Node':'n','ServiceID':'x'}", SECRET,
             "Unknown service 'x'");
    must_not(f, &rpc_catalog_deregister, "{'Node':'n','CheckID':'x'}", SECRET, "Unknown check 'x'");
    must_not(f, &rpc_catalog_deregister, "{'Node':'n'}", SECRET, "Permission denied");
    must(f, &rpc_catalog_deregister, "{'Node':'n','CheckID':'c'}", SECRET);
    must(f, &rpc_catalog_deregister, "{'Node':'n','ServiceID':'web'}", SECRET);
}

static void test_transactions(void **state)
{
    struct fixture *f = *state;
    must(f, &rpc_kvs_apply, "{'Op':'set','DirEnt':{'Key':'closed'}}", MASTER);
    holder_set(f, STR("key_prefix \"open\" { policy = \"write\" }"));
    must(f, &rpc_txn_apply,
         "{'Ops':[{'KV':{'Verb':'set','DirEnt':{'Key':'open/a'}}},"
         "{'KV':{'Verb':'get','DirEnt':{'Key':'closed'}}}]}",
         SECRET);
    assert_true(answer_has(f, "open/a"));
    assert_false(answer_has(f, "closed")); /* was read, and is not told */
    must(f, &rpc_txn_apply,
         "{'Ops':[{'KV':{'Verb':'set','DirEnt':{'Key':'open/b'}}},"
         "{'KV':{'Verb':'set','DirEnt':{'Key':'closed'}}},"
         "{'KV':{'Verb':'check-index','DirEnt':{'Key':'closed'}}},"
         "{'Node':{'Verb':'set','Node':{'Node':'n','Address':'10.0.0.1'}}},"
         "{'Service':{'Verb':'set','Node':'n','Service':{'Service':'s'}}},"
         "{'Check':{'Verb':'set','Check':{'Node':'n','CheckID':'c'}}}]}",
         SECRET);
    for (const char *index = "12345"; *index != '\0'; index++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "\"OpIndex\":%c,\"What\":\"Permission denied\"", *index);
        assert_true(answer_has(f, text));
    }
    assert_false(answer_has(f, "\"OpIndex\":0"));
    must_not(f, &rpc_kvs_get, "{'Key':'open/b'}", STR(""), "Permission denied");
    must(f, &rpc_kvs_get, "{'Key':'open/b'}", SECRET);
    assert_false(answer_has(f, "open/b")); /* nothing of it was done */
}

static void test_prepared_queries(void **state)
{
    struct fixture *f = *state;
    must(f, &rpc_catalog_register, "{'Node':'n','Address':'10.0.0.1','Service':{'Service':'web'}}",
         MASTER);
    holder_set(f, STR("service \"web\" { policy = \"read\" } node \"n\" { policy = \"read\" } "
                      "query \"q\" { policy = \"read\" }"));
    must(f, &rpc_prepared_query_apply,
         "{'Op':'create','Query':{'Name':'q','Token':'22222222-2222-2222-2222-222222222222',"
         "'Service':{'Service':'web'}}}",
         MASTER);
    must(f, &rpc_prepared_query_list, "{}", SECRET);
    assert_true(answer_has(f, "\"Token\":\"\\u003chidden\\u003e\""));
    must(f, &rpc_prepared_query_list, "{}", MASTER);
    assert_true(answer_has(f, "22222222-2222"));
    /* It finds what its own token may find, whoever runs it. */
    must(f, &rpc_prepared_query_execute, "{'QueryIDOrName':'q'}", STR(""));
    assert_true(answer_has(f, "10.0.0.1"));
    policy_set(f, STR("service \"web\" { policy = \"read\" }"));
    must(f, &rpc_prepared_query_execute, "{'QueryIDOrName':'q'}", MASTER);
    assert_false(answer_has(f, "10.0.0.1"));
    must_not(f, &rpc_prepared_query_apply,
             "{'Op':'create','Query':{'Name':'r','Service':{'Service':'web'}}}", SECRET,
             "Permission denied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unknown_token_is_refused_by_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_shown_to_the_anonymous, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_hold_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_roots_and_the_agents_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_holders_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_default_allow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registering, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transactions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prepared_queries, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
