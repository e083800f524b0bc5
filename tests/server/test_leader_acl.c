/* ACLs of a real server in memory: what a leader writes, bootstrapping with the reset file, tokens
 * that expire or come by the old API. */
#include "server_fixture.h"

#include "base/clock.h"
#include "base/mem.h"
#include "schema/acl_request.h"
#include "store/acl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MASTER STR("11111111-1111-1111-1111-111111111111")

struct fixture {
    struct server_fixture base;
    char dir[64];
    uint32_t done;
    struct err err;         /* of the last call */
    struct acl_token token; /* of its reply */
    uint64_t reset_index;   /* of the last look() */
    bool can_bootstrap, has_token;
    struct arena arena;
};

static struct fixture *fixture_new(struct str master)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.acl.enabled = true;
    options.acl.token_ttl_ms = options.acl.policy_ttl_ms = options.acl.role_ttl_ms = 30000;
    options.acl_master_token = master;
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/consul-acl-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    options.data_dir = str_from_cstr(f->dir);
    server_fixture_init(&f->base, &options);
    server_fixture_start(&f->base);
    return f;
}

static void fixture_free(struct fixture *f)
{
    server_fixture_deinit(&f->base);
    (void)rmdir(f->dir);
    arena_deinit(&f->arena);
    mem_free(f);
}

static const struct store_view *view(struct fixture *f)
{
    return store_view(f->base.server->store);
}

static void note_done(struct rpc_call *call)
{
    struct fixture *f = call->data;
    f->done++;
    f->err = call->err != NULL ? *call->err : (struct err){0};
    if (call->err == NULL && call->method->reply == &acl_token_schema) {
        f->token = *(struct acl_token *)schema_copy(&f->arena, &acl_token_schema, call->reply);
    }
    rpc_call_free(call);
}

static bool is_done(void *data)
{
    return ((struct fixture *)data)->done > 0;
}

static struct rpc_call *call_make(struct fixture *f, const struct rpc_method *method)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, method);
    call->done = note_done;
    call->data = f;
    return call;
}

static const char *run(struct fixture *f, struct rpc_call *call)
{
    f->done = 0;
    server_fixture_call(&f->base, call);
    server_fixture_run_until(&f->base, is_done, f);
    return f->err.code != 0 ? err_text(&f->err) : "";
}

static bool has_builtin(void *data)
{
    struct fixture *f = data;
    return acl_token_by_secret(view(f), ACL_TOKEN_ANONYMOUS_SECRET) != NULL;
}

/* Rows are read in a turn of the loop only: outside of one they may be freed. */
static bool look(void *data)
{
    struct fixture *f = data;
    f->can_bootstrap = acl_can_bootstrap(view(f), &f->reset_index);
    f->has_token = acl_token_by_secret(view(f), f->token.secret_id) != NULL;
    return true;
}

static const char *bootstrap(struct fixture *f)
{
    return run(f, call_make(f, &rpc_acl_bootstrap_tokens));
}

static void write_reset(struct fixture *f, uint64_t index)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/acl-bootstrap-reset", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, " %llu\n", (unsigned long long)index);
    fclose(file);
}

static bool builtin_is_right(void *data)
{
    struct fixture *f = data;
    uint64_t reset_index;
    const struct acl_token *master = acl_token_by_secret(view(f), MASTER);
    assert_non_null(master);
    assert_str_lit(master->description, "Master Token");
    assert_str_equal(((const struct acl_link *)master->policies.v)->id,
                     ACL_POLICY_GLOBAL_MANAGEMENT_ID);
    assert_non_null(acl_policy_by_name(view(f), STR("global-management")));
    assert_str_equal(acl_token_by_secret(view(f), STR("anonymous"))->accessor_id,
                     ACL_TOKEN_ANONYMOUS_ID);
    assert_false(acl_can_bootstrap(view(f), &reset_index)); /* that was it */
    return true;
}

static void test_builtin(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(MASTER);
    server_fixture_run_until(&f->base, has_builtin, f);
    server_fixture_run_until(&f->base, builtin_is_right, f);
    fixture_free(f);
}

static void test_bootstrap(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(STR(""));
    char expected[128];
    server_fixture_run_until(&f->base, has_builtin, f);
    assert_string_equal(bootstrap(f), "");
    server_fixture_run_until(&f->base, look, f);
    assert_true(f->has_token);
    assert_str_lit(((const struct acl_link *)f->token.policies.v)->name, "global-management");
    assert_false(f->can_bootstrap);
    (void)snprintf(expected, sizeof(expected),
                   "ACL bootstrap no longer allowed (reset index: %llu)",
                   (unsigned long long)f->reset_index);
    assert_string_equal(bootstrap(f), expected);
    write_reset(f, f->reset_index + 1);
    (void)snprintf(expected, sizeof(expected),
                   "Invalid bootstrap reset index (specified %llu, reset index: %llu)",
                   (unsigned long long)f->reset_index + 1, (unsigned long long)f->reset_index);
    assert_string_equal(bootstrap(f), expected);
    write_reset(f, f->reset_index);
    assert_string_equal(bootstrap(f), "");
    assert_string_not_equal(bootstrap(f), ""); /* the file is gone */
    fixture_free(f);
}

static struct rpc_call *token_set(struct fixture *f, struct acl_token token)
{
    struct rpc_call *call = call_make(f, &rpc_acl_token_set);
    struct acl_token_set_request *args = call->args;
    args->token = token;
    args->create = true;
    args->write.token = MASTER;
    return call;
}

static struct acl_token token_like(struct str description)
{
    return (struct acl_token){
        .description = description, .expiration_time = TIME_ZERO, .create_time = TIME_ZERO};
}

static void test_expiration(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(MASTER);
    server_fixture_run_until(&f->base, has_builtin, f);
    struct acl_token token = token_like(STR("t"));
    token.expiration_ttl = 59 * (int64_t)NS_PER_SEC;
    assert_string_equal(run(f, token_set(f, token)),
                        "ExpirationTime cannot be less than 1m0s in the future (was 59s)");
    token.expiration_ttl = 25 * 3600 * (int64_t)NS_PER_SEC;
    assert_string_equal(run(f, token_set(f, token)),
                        "ExpirationTime cannot be more than 24h0m0s in the future (was 25h0m0s)");
    token.expiration_ttl = -1;
    assert_string_equal(run(f, token_set(f, token)), "Token Expiration TTL '-1ns' should be > 0");
    token.expiration_ttl = INT64_MAX;
    assert_string_not_equal(run(f, token_set(f, token)), "");
    token.expiration_ttl = 3600 * (int64_t)NS_PER_SEC;
    assert_string_equal(run(f, token_set(f, token)), "");
    assert_int_equal(f->token.expiration_time - f->token.create_time, token.expiration_ttl);
    /* It cannot be changed. */
    struct acl_token again = f->token;
    struct rpc_call *call = token_set(f, again);
    ((struct acl_token_set_request *)call->args)->create = false;
    ((struct acl_token_set_request *)call->args)->token.expiration_time += 1;
    assert_string_not_equal(run(f, call), "");
    fixture_free(f);
}

/* A leader that finds an expired token deletes it, at once: it has no time to wait for. */
static bool is_reaped(void *data)
{
    struct fixture *f = data;
    return acl_token_by_secret(view(f), STR("old")) == NULL;
}

static void test_reaping(void **state)
{
    (void)state;
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.acl.enabled = true;
    server_fixture_init(&f->base, &options);
    struct store *store = f->base.server->store;
    struct store_txn *tx = store_txn_begin(store, 1);
    struct acl_token token = token_like(STR("t"));
    struct err err;
    token.accessor_id = STR("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    token.secret_id = STR("old");
    token.expiration_time = clock_wall_ns() - 1;
    assert_ok(acl_token_restore(tx, &token, &err));
    store_txn_commit(tx);
    server_fixture_start(&f->base);
    server_fixture_run_until(&f->base, is_reaped, f);
    server_fixture_deinit(&f->base);
    arena_deinit(&f->arena);
    mem_free(f);
}

static bool has_accessor(void *data)
{
    struct fixture *f = data;
    const struct acl_token *token = acl_token_by_secret(view(f), STR("legacy-secret"));
    if (token == NULL || token->accessor_id.n == 0) {
        return false;
    }
    assert_int_equal(token->policies.n, 1); /* all power, by today's means */
    assert_str_lit(token->type, "management");
    return true;
}

static void test_legacy(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(MASTER);
    server_fixture_run_until(&f->base, has_builtin, f);
    struct rpc_call *call = call_make(f, &rpc_acl_apply);
    struct acl_legacy_request *args = call->args;
    args->op = ACL_SET;
    args->write.token = MASTER;
    args->acl = (struct acl_legacy){.id = STR("legacy-secret"), .type = STR("management")};
    assert_string_equal(run(f, call), "");
    server_fixture_run_until(&f->base, has_accessor, f);
    fixture_free(f);
}

static void test_permissions(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(MASTER);
    server_fixture_run_until(&f->base, has_builtin, f);
    struct rpc_call *call = token_set(f, token_like(STR("t")));
    ((struct acl_token_set_request *)call->args)->write.token = STR("");
    assert_string_equal(run(f, call), "Permission denied");
    call = token_set(f, token_like(STR("t")));
    ((struct acl_token_set_request *)call->args)->write.token = STR("unknown");
    assert_string_equal(run(f, call), "ACL not found");
    struct acl_token token = token_like(STR("t"));
    token.auth_method = STR("m");
    assert_string_equal(run(f, token_set(f, token)),
                        "AuthMethod field is disallowed outside of Login");
    call = call_make(f, &rpc_acl_login);
    ((struct acl_login_request *)call->args)->auth =
        ARENA_NEW(&call->arena, struct acl_login_params);
    assert_string_equal(run(f, call), "ACL not found: auth method \"\" not found");
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin),    cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_expiration), cmocka_unit_test(test_reaping),
        cmocka_unit_test(test_legacy),     cmocka_unit_test(test_permissions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
