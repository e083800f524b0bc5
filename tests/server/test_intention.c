/* Intention.*: what a request becomes in the log, what is refused, what is answered. */
#include "schema/intention.h"

#include "method_fixture.h"

#include "base/clock.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/reply.h"
#include "store/intention.h"
#include "store/system_metadata.h"

static int setup(void **state)
{
    (void)method_fixture_setup(state);
    struct method_fixture *f = *state;
    f->server.options.connect_enabled = true;
    struct store_txn *tx = method_fixture_begin(f);
    intentions_are_config_entries(tx);
    store_txn_commit(tx);
    return 0;
}

/* Prepared and, as the state machine would, applied from what the log says. */
static int apply(struct method_fixture *f, struct str op, const struct intention *i,
                 struct string_reply *ret_reply, struct intention_request *ret_logged)
{
    struct rpc_ctx ctx = method_fixture_context(f);
    struct buf entry = {0};
    struct intention copy = *i;
    struct intention_request args = {.op = op, .intention = &copy};
    *ret_reply = (struct string_reply){0};
    *ret_logged = (struct intention_request){0};
    int r = rpc_intention_apply.prepare(&ctx, &args, ret_reply, &entry);
    if (r == RPC_PREPARE_PROPOSE) {
        struct cur c = cur_make(arena_str(&f->arena, str_from(buf_view(&entry), 1)));
        assert_int_equal((uint8_t)entry.p[0], FSM_INTENTION);
        assert_ok(msgpack_decode(&c, &intention_request_schema, ret_logged, &f->arena, &f->err));
        struct store_txn *tx = method_fixture_begin(f);
        r = intention_mutate(tx, op, ret_logged->mutation, &f->arena, &f->err);
        if (r < 0) {
            store_txn_abort(tx);
        } else {
            store_txn_commit(tx);
            r = rpc_intention_apply.applied(&ctx, &args, NULL, ret_reply);
            assert_ok(r);
            r = RPC_PREPARE_PROPOSE;
        }
    }
    buf_deinit(&entry);
    return r;
}

#define assert_refused(f, op, i, text)                             \
    do {                                                           \
        struct string_reply reply_;                                \
        struct intention_request logged_;                          \
        assert_true(apply((f), (op), (i), &reply_, &logged_) < 0); \
        assert_string_equal(err_text(&(f)->err), (text));          \
    } while (0)

static struct intention intention(const char *from, const char *to, const char *action)
{
    return (struct intention){.created_at = TIME_ZERO,
                              .updated_at = TIME_ZERO,
                              .source_name = str_from_cstr(from),
                              .destination_name = str_from_cstr(to),
                              .action = str_from_cstr(action)};
}

static void test_by_id(void **state)
{
    struct method_fixture *f = *state;
    struct string_reply reply;
    struct intention_request logged;
    struct intention i = intention("web", "db", "allow");
    assert_int_equal(apply(f, INTENTION_CREATE, &i, &reply, &logged), RPC_PREPARE_PROPOSE);
    assert_int_equal(reply.value.n, 36);
    assert_null(logged.intention);
    assert_true(rpc_intention_apply.flags & RPC_PRIMARY); /* sees to its datacenter */
    assert_str_equal(logged.mutation->destination.name, STR("db"));
    assert_str_equal(logged.mutation->value->legacy_id, reply.value);
    assert_str_equal(logged.mutation->value->type, STR("consul"));
    assert_true(logged.mutation->value->legacy_create_time != TIME_ZERO);

    i.id = reply.value;
    i.action = STR("deny");
    assert_refused(f, INTENTION_CREATE, &i, "ID must be empty when creating a new intention");
    assert_int_equal(apply(f, INTENTION_UPDATE, &i, &reply, &logged), RPC_PREPARE_PROPOSE);
    assert_str_equal(reply.value, i.id);
    i.destination_name = STR("DB");
    assert_refused(f, INTENTION_UPDATE, &i,
                   "Cannot modify DestinationNS or DestinationName for an intention once it "
                   "exists.");
    assert_int_equal(apply(f, INTENTION_DELETE, &i, &reply, &logged), RPC_PREPARE_PROPOSE);
    assert_refused(
        f, INTENTION_DELETE, &i,
        arena_printf(&f->arena, "Cannot delete non-existent intention: '%.*s'", STRF(i.id)).p);
    assert_refused(f, INTENTION_DELETE_ALL, &i, "Invalid Intention operation: delete-all");
    i = intention("a*", "", "perhaps");
    i.source_type = STR("x");
    assert_refused(f, INTENTION_CREATE, &i,
                   "4 errors occurred:\n\t* DestinationName must be set\n\t* SourceName: wildcard "
                   "character '*' cannot be used with partial values\n\t* Action must be set to "
                   "'allow' or 'deny'\n\t* SourceType must be set to 'consul'\n\n");
    i = intention("a", "b", "allow");
    i.source_ns = STR("x");
    assert_refused(f, INTENTION_CREATE, &i,
                   "Invalid source namespace \"x\": Namespaces is a Consul Enterprise feature");
}

static void test_by_name(void **state)
{
    struct method_fixture *f = *state;
    struct string_reply reply;
    struct intention_request logged;
    static const struct strpair meta = {STR_INIT("a"), STR_INIT("b")};
    struct intention i = intention("web", "db", "allow");
    assert_int_equal(apply(f, INTENTION_DELETE, &i, &reply, &logged), RPC_PREPARE_DONE);
    assert_int_equal(apply(f, INTENTION_UPSERT, &i, &reply, &logged), RPC_PREPARE_PROPOSE);
    assert_int_equal(reply.value.n, 0);
    assert_str_equal(logged.mutation->source.name, STR("web"));
    i.meta = (struct strmap){&meta, 1};
    assert_refused(f, INTENTION_UPSERT, &i,
                   "Meta must not be specified, or should be unchanged during an update.");
    i.destination_name = STR("other");
    assert_refused(f, INTENTION_UPSERT, &i, "Meta must not be specified");
    i = intention("web", "db", "allow");
    assert_int_equal(apply(f, INTENTION_DELETE, &i, &reply, &logged), RPC_PREPARE_PROPOSE);

    struct rpc_ctx ctx = method_fixture_context(f);
    struct intention_mutation mutation = {0};
    struct intention_request args = {.op = INTENTION_UPSERT, .mutation = &mutation};
    struct buf entry = {0};
    assert_true(rpc_intention_apply.prepare(&ctx, &args, &reply, &entry) < 0);
    assert_string_equal(err_text(&f->err),
                        "Mutation field is internal only and must not be set via RPC");
    f->server.options.connect_enabled = false;
    assert_refused(f, INTENTION_UPSERT, &i,
                   "Connect must be enabled in order to use this endpoint");
}

static void put(struct method_fixture *f, const char *from, const char *to, const char *action)
{
    struct string_reply reply;
    struct intention_request logged;
    struct intention i = intention(from, to, action);
    assert_int_equal(apply(f, INTENTION_UPSERT, &i, &reply, &logged), RPC_PREPARE_PROPOSE);
}

/* The answer is a list of lists, and stays one on its way to another server. */
static void test_match(void **state)
{
    struct method_fixture *f = *state;
    put(f, "web", "db", "allow");
    put(f, "*", "db", "deny");
    struct rpc_ctx ctx = method_fixture_context(f);
    struct intention_match_entry entries[] = {{.name = STR("db")}, {.name = STR("none")}};
    struct intention_query_match match = {STR("destination"), {entries, 2}};
    struct intention_query_request args = {.match = &match};
    struct indexed_intention_matches reply = {0}, again = {0};
    struct buf b = {0};
    assert_ok(rpc_intention_match.read(&ctx, &args, &reply));
    assert_int_equal(reply.meta.index, f->index);
    msgpack_object(&b, &indexed_intention_matches_schema, &reply);
    struct cur c = cur_make(buf_view(&b));
    assert_ok(msgpack_decode(&c, &indexed_intention_matches_schema, &again, &f->arena, &f->err));
    const struct intention_list *lists = again.matches.v;
    assert_int_equal(again.matches.n, 2);
    assert_int_equal(lists[0].intentions.n, 2);
    assert_str_equal(((const struct intention *)lists[0].intentions.v[1])->source_name, STR("*"));
    assert_null(lists[1].intentions.v);
    buf_deinit(&b);

    match.type = STR("sideways");
    assert_true(rpc_intention_match.read(&ctx, &args, &reply) < 0);
    assert_string_equal(err_text(&f->err), "invalid intention match type: sideways");
    entries[1].ns = STR("x");
    assert_true(rpc_intention_match.read(&ctx, &args, &reply) < 0);
    assert_string_equal(
        err_text(&f->err),
        "Invalid match entry namespace \"x\": Namespaces is a Consul Enterprise feature");
    args.match = NULL;
    assert_true(rpc_intention_match.read(&ctx, &args, &reply) < 0);
}

static void test_check(void **state)
{
    struct method_fixture *f = *state;
    put(f, "web", "db", "allow");
    put(f, "*", "db", "deny");
    struct rpc_ctx ctx = method_fixture_context(f);
    struct intention_query_check check = {
        .source_name = STR("web"), .destination_name = STR("db"), .source_type = STR("consul")};
    struct intention_query_request args = {.check = &check};
    struct intention_check_response reply = {0};
    assert_ok(rpc_intention_check.read(&ctx, &args, &reply));
    assert_true(reply.allowed);
    check.source_name = STR("api");
    assert_ok(rpc_intention_check.read(&ctx, &args, &reply));
    assert_false(reply.allowed);
    check.destination_name = STR("cache");
    assert_ok(rpc_intention_check.read(&ctx, &args, &reply));
    assert_true(reply.allowed);
    check.source_type = STR("");
    assert_true(rpc_intention_check.read(&ctx, &args, &reply) < 0);
    assert_string_equal(err_text(&f->err), "unsupported SourceType: \"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_id, setup, method_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_by_name, setup, method_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_match, setup, method_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_check, setup, method_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
