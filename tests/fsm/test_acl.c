/* Entries and records of ACLs. A snapshot of the real 1.10.3 with some of everything is read and
 * written again; the hashes in it are what ours are. */
#include "fsm_fixture.h"

#include "base/buf.h"
#include "base/mem.h"
#include "fsm/snapshot.h"
#include "schema/acl_request.h"
#include "schema/msgpack.h"
#include "store/acl.h"

#include <stdio.h>
#include <stdlib.h>

#define ID_A STR("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
#define ID_B STR("bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee")
#define SECRET_A STR("aaaaaaaa-0000-0000-0000-000000000000")
#define SECRET_B STR("bbbbbbbb-0000-0000-0000-000000000000")

static int setup(void **state)
{
    struct machine *m = xcalloc(1, sizeof(*m));
    machine_init(m);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    struct machine *m = *state;
    machine_deinit(m);
    mem_free(m);
    return 0;
}

/* The error's sentence, "" for none. */
static const char *apply(struct machine *m, enum fsm_message type, const struct schema *schema,
                         const void *request)
{
    struct buf entry = {0};
    buf_byte(&entry, (uint8_t)type);
    msgpack_object(&entry, schema, request);
    assert_ok(fsm_apply(m->fsm, ++m->index, buf_view(&entry), 0, &m->arena, &m->result));
    buf_deinit(&entry);
    return m->result.kind == FSM_RESULT_ERROR ? arena_str(&m->arena, m->result.text).p : "";
}

static const struct store_view *view(struct machine *m)
{
    return store_view(m->store);
}

static struct acl_token make_token(struct str accessor, struct str secret)
{
    return (struct acl_token){.accessor_id = accessor,
                              .secret_id = secret,
                              .expiration_time = TIME_ZERO,
                              .create_time = TIME_ZERO};
}

static const char *set_token(struct machine *m, struct acl_token token, bool cas)
{
    void *tokens[] = {&token};
    const struct acl_token_batch_set_request request = {.tokens = {tokens, 1}, .cas = cas};
    return apply(m, FSM_ACL_TOKEN_SET, &acl_token_batch_set_request_schema, &request);
}

static const char *set_policy(struct machine *m, struct str id, struct str name)
{
    struct acl_policy_row policy = {.id = id, .name = name};
    void *policies[] = {&policy};
    const struct acl_policy_batch_set_request request = {.policies = {policies, 1}};
    return apply(m, FSM_ACL_POLICY_SET, &acl_policy_batch_set_request_schema, &request);
}

static const char *delete_token(struct machine *m, struct str accessor)
{
    const struct acl_token_batch_delete_request request = {.token_ids = {&accessor, 1}};
    return apply(m, FSM_ACL_TOKEN_DELETE, &acl_token_batch_delete_request_schema, &request);
}

/* --- snapshots ------------------------------------------------------------------------------- */

static int append(void *data, struct str chunk)
{
    buf_str(data, chunk);
    return 0;
}

static struct str read_recorded(struct arena *a)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/acl-snapshot-1.10.3.bin", getenv("TEST_DATA"));
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *p = arena_alloc(a, 65536);
    size_t n = fread(p, 1, 65536, file);
    fclose(file);
    assert_in_range(n, 1, 65535);
    return str_make(p, n);
}

static void test_recorded(void **state)
{
    struct machine *m = *state;
    struct err err = {0};
    struct buf again = {0}, once_more = {0};
    struct str recorded = read_recorded(&m->arena);
    assert_ok(snapshot_restore(m->store, recorded, &err));
    struct ptrlist policies, methods, rules, tokens, roles;
    uint64_t index;
    (void)acl_policy_list(view(m), NULL, &m->arena, &policies);
    (void)acl_auth_method_list(view(m), NULL, &m->arena, &methods);
    (void)acl_binding_rule_list(view(m), NULL, &m->arena, STR("JWT1"), &rules);
    assert_ok(acl_role_list(view(m), NULL, &m->arena, STR(""), &index, &roles, &err));
    assert_ok(acl_token_list(view(m), NULL, &m->arena, &(struct acl_token_filter){0}, &index,
                             &tokens, &err));
    assert_int_equal(policies.n, 3);
    assert_int_equal(methods.n, 1);
    assert_int_equal(rules.n, 2);
    assert_int_equal(roles.n, 1);
    assert_int_equal(tokens.n, 7);
    /* Links are told under the names of now: the policy was renamed after the role was written. */
    const struct acl_role *role = roles.v[0];
    const struct acl_link *link = role->policies.v;
    assert_str_lit(link[1].name, "web-renamed");
    /* Of as many bytes: only the order of maps, which Go leaves to chance, and the zones of times
     * may differ. */
    assert_ok(snapshot_write(view(m), append, &again, &err));
    assert_int_equal(again.n, recorded.n);
    assert_ok(snapshot_restore(m->store, buf_view(&again), &err));
    assert_ok(snapshot_write(view(m), append, &once_more, &err));
    assert_true(str_eq(buf_view(&again), buf_view(&once_more)));
    buf_deinit(&once_more);
    buf_deinit(&again);
}

static void test_hashes(void **state)
{
    struct machine *m = *state;
    struct err err = {0};
    struct ptrlist policies, roles, tokens;
    uint64_t index;
    assert_ok(snapshot_restore(m->store, read_recorded(&m->arena), &err));
    (void)acl_policy_list(view(m), NULL, &m->arena, &policies);
    assert_ok(acl_role_list(view(m), NULL, &m->arena, STR(""), &index, &roles, &err));
    assert_ok(acl_token_list(view(m), NULL, &m->arena, &(struct acl_token_filter){0}, &index,
                             &tokens, &err));
    for (size_t i = 0; i < policies.n; i++) {
        struct acl_policy_row copy = *(const struct acl_policy_row *)policies.v[i];
        acl_policy_hash_set(&m->arena, &copy);
        assert_str_equal(copy.hash, ((const struct acl_policy_row *)policies.v[i])->hash);
    }
    for (size_t i = 0; i < roles.n; i++) {
        struct acl_role copy = *(const struct acl_role *)roles.v[i];
        acl_role_hash_set(&m->arena, &copy);
        assert_str_equal(copy.hash, ((const struct acl_role *)roles.v[i])->hash);
    }
    for (size_t i = 0; i < tokens.n; i++) {
        struct acl_token copy = *(const struct acl_token *)tokens.v[i];
        acl_token_hash_set(&m->arena, &copy);
        assert_str_equal(copy.hash, ((const struct acl_token *)tokens.v[i])->hash);
    }
}

/* --- entries --------------------------------------------------------------------------------- */

static void test_tokens(void **state)
{
    struct machine *m = *state;
    assert_string_equal(set_token(m, make_token(ID_A, STR("")), false),
                        "Missing ACL Token SecretID");
    assert_string_equal(set_token(m, make_token(STR(""), SECRET_A), false),
                        "Missing ACL Token AccessorID");
    assert_string_equal(set_token(m, make_token(ID_A, SECRET_A), false), "");
    uint64_t written = m->index;
    assert_string_equal(set_token(m, make_token(ID_B, SECRET_A), false),
                        "The ACL Token AccessorID field is immutable");
    struct acl_token linked = make_token(ID_A, SECRET_A);
    struct acl_link link = {.id = ID_B};
    linked.policies = (struct objlist){&link, 1};
    assert_string_equal(set_token(m, linked, false),
                        "No such policy with ID: bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee");
    assert_string_equal(set_policy(m, ID_B, STR("p")), "");
    /* Compare and set: another index does nothing, and says nothing. */
    linked.raft.modify_index = written + 1;
    assert_string_equal(set_token(m, linked, true), "");
    assert_int_equal(acl_token_by_secret(view(m), SECRET_A)->policies.n, 0);
    linked.raft.modify_index = written;
    assert_string_equal(set_token(m, linked, true), "");
    const struct acl_token *token = acl_token_by_secret(view(m), SECRET_A);
    assert_int_equal(token->policies.n, 1);
    assert_int_equal(token->raft.create_index, written);
    assert_int_equal(token->raft.modify_index, m->index);
    assert_int_equal(token->hash.n, 32);
    assert_string_equal(delete_token(m, ID_A), "");
    assert_null(acl_token_by_secret(view(m), SECRET_A));
    assert_int_equal(store_index(view(m), STR("acl-tokens")), m->index);
    assert_string_equal(delete_token(m, STR("x")),
                        "failed acl token lookup: index error: UUID must be 36 characters");
    assert_string_equal(set_token(m, make_token(ACL_TOKEN_ANONYMOUS_ID, STR("anonymous")), false),
                        "");
    assert_string_equal(delete_token(m, ACL_TOKEN_ANONYMOUS_ID),
                        "Deletion of the builtin anonymous token is not permitted");
}

static const char *bootstrap(struct machine *m, struct str accessor, struct str secret,
                             uint64_t reset_index)
{
    const struct acl_token_bootstrap_request request = {.token = make_token(accessor, secret),
                                                        .reset_index = reset_index};
    return apply(m, FSM_ACL_BOOTSTRAP, &acl_token_bootstrap_request_schema, &request);
}

static void test_bootstrap(void **state)
{
    struct machine *m = *state;
    uint64_t reset_index;
    assert_true(acl_can_bootstrap(view(m), &reset_index));
    assert_string_equal(bootstrap(m, ID_A, SECRET_A, 0), "");
    assert_false(acl_can_bootstrap(view(m), &reset_index));
    assert_int_equal(reset_index, m->index);
    assert_string_equal(bootstrap(m, ID_B, SECRET_B, 0), "ACL bootstrap no longer allowed");
    assert_string_equal(bootstrap(m, ID_B, SECRET_B, reset_index + 1),
                        "Invalid ACL bootstrap reset index");
    assert_null(acl_token_by_secret(view(m), SECRET_B));
    assert_string_equal(bootstrap(m, ID_B, SECRET_B, reset_index), "");
    assert_non_null(acl_token_by_secret(view(m), SECRET_B));
}

static void test_policies(void **state)
{
    struct machine *m = *state;
    assert_string_equal(set_policy(m, ID_A, STR("p")), "");
    assert_string_equal(set_policy(m, ID_B, STR("P")), "A policy with name \"P\" already exists");
    assert_string_equal(set_policy(m, ACL_POLICY_GLOBAL_MANAGEMENT_ID, STR("gm")), "");
    assert_string_equal(
        set_policy(m, ACL_POLICY_GLOBAL_MANAGEMENT_ID, STR("gm")),
        "Changing the Rules for the builtin global-management policy is not permitted");
    struct str id = ACL_POLICY_GLOBAL_MANAGEMENT_ID;
    const struct acl_policy_batch_delete_request request = {.policy_ids = {&id, 1}};
    assert_string_equal(
        apply(m, FSM_ACL_POLICY_DELETE, &acl_policy_batch_delete_request_schema, &request),
        "Deletion of the builtin global-management policy is not permitted");
}

/* With a method go its rules, and the tokens of its locality. */
static void test_auth_method_goes(void **state)
{
    struct machine *m = *state;
    struct acl_auth_method method = {.name = STR("m"), .type = STR("jwt")};
    void *methods[] = {&method};
    struct acl_binding_rule rule = {.id = ID_A, .auth_method = STR("M")};
    void *rules[] = {&rule};
    const struct acl_auth_method_batch_set_request set_method = {.auth_methods = {methods, 1}};
    const struct acl_binding_rule_batch_set_request set_rule = {.binding_rules = {rules, 1}};
    assert_string_equal(
        apply(m, FSM_ACL_BINDING_RULE_SET, &acl_binding_rule_batch_set_request_schema, &set_rule),
        "failed inserting acl binding rule: auth method not found");
    assert_string_equal(
        apply(m, FSM_ACL_AUTH_METHOD_SET, &acl_auth_method_batch_set_request_schema, &set_method),
        "");
    assert_string_equal(
        apply(m, FSM_ACL_BINDING_RULE_SET, &acl_binding_rule_batch_set_request_schema, &set_rule),
        "");
    struct acl_token local = make_token(ID_A, SECRET_A), global = make_token(ID_B, SECRET_B);
    local.auth_method = global.auth_method = STR("m");
    local.local = true;
    assert_string_equal(set_token(m, local, false), "");
    assert_string_equal(set_token(m, global, false), "");
    struct str name = STR("m");
    const struct acl_auth_method_batch_delete_request request = {.auth_method_names = {&name, 1}};
    assert_string_equal(apply(m, FSM_ACL_AUTH_METHOD_DELETE,
                              &acl_auth_method_batch_delete_request_schema, &request),
                        "");
    assert_null(acl_binding_rule_by_id(view(m), ID_A));
    assert_null(acl_token_by_secret(view(m), SECRET_A));
    assert_non_null(acl_token_by_secret(view(m), SECRET_B));
}

static void test_legacy(void **state)
{
    struct machine *m = *state;
    struct acl_legacy_request request = {.op = ACL_BOOTSTRAP_INIT};
    assert_string_equal(apply(m, FSM_ACL, &acl_legacy_request_schema, &request), "");
    assert_true(m->result.kind == FSM_RESULT_BOOL && m->result.b);
    request.op = ACL_SET;
    request.acl = (struct acl_legacy){.id = STR("s"), .name = STR("n"), .type = STR("client")};
    assert_string_equal(apply(m, FSM_ACL, &acl_legacy_request_schema, &request), "");
    assert_str_lit(m->result.s, "s");
    struct ptrlist tokens;
    acl_token_list_upgradeable(view(m), &m->arena, 10, &tokens);
    assert_int_equal(tokens.n, 1);
    struct acl_token token = make_token(ID_A, STR("s"));
    assert_string_equal(set_token(m, token, false), "");
    acl_token_list_upgradeable(view(m), &m->arena, 10, &tokens);
    assert_int_equal(tokens.n, 0);
    assert_string_equal(apply(m, FSM_ACL, &acl_legacy_request_schema, &request),
                        "failed inserting acl token: cannot use legacy endpoint to modify a "
                        "non-legacy token");
    request.op = ACL_DELETE;
    assert_string_equal(apply(m, FSM_ACL, &acl_legacy_request_schema, &request), "");
    assert_null(acl_token_by_secret(view(m), STR("s")));
    request.op = STR("bogus");
    assert_string_equal(apply(m, FSM_ACL, &acl_legacy_request_schema, &request),
                        "Invalid ACL operation 'bogus'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recorded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hashes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bootstrap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_auth_method_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_legacy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
