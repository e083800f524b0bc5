/* Prepared queries: names, templates, sessions; and against a plain list. */
#include "store/prepared_query.h"

#include "store_fixture.h"

#include "store/session.h"

#define ID_A STR("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
#define ID_B STR("bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee")
#define SESSION STR("11111111-2222-3333-4444-555555555555")

static int setup(void **state)
{
    int r = store_fixture_setup(state);
    struct store_fixture *f = *state;
    struct store_txn *tx = store_fixture_begin(f);
    store_insert(tx, TABLE_NODES,
                 schema_clone(&node_schema, &(struct node){.node = STR("node1")}, NULL));
    struct session s = {.id = SESSION, .node = STR("node1")};
    assert_int_equal(session_create(tx, &s, &f->err), 0);
    store_txn_commit(tx);
    return r;
}

static int set(struct store_fixture *f, struct prepared_query query)
{
    struct store_txn *tx = store_fixture_begin(f);
    if (query.service.service.n == 0) {
        query.service.service = STR("web");
    }
    return store_fixture_end(tx, prepared_query_set(tx, &query, &f->err));
}

static const struct prepared_query *find(struct store_fixture *f, const char *name)
{
    const struct prepared_query *query;
    if (prepared_query_resolve(store_view(f->store), &f->arena, str_from_cstr(name), STR("segment"),
                               &query, &f->err) < 0) {
        fail_msg("%s", err_text(&f->err));
    }
    return query;
}

static uint64_t table_index(struct store_fixture *f)
{
    struct ptrlist all;
    return prepared_query_list(store_view(f->store), NULL, &f->arena, &all);
}

static void test_names(void **state)
{
    struct store_fixture *f = *state;
    assert_int_equal(set(f, (struct prepared_query){.id = ID_A, .name = STR("First")}), 0);
    assert_int_equal(table_index(f), f->index);
    const struct prepared_query *q = find(f, "fIRST");
    assert_true(q != NULL && str_eq(q->id, ID_A));
    assert_ptr_equal(find(f, "AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee"), q);
    assert_null(find(f, "other"));
    assert_null(find(f, "First "));
    /* Another may have neither its name nor its id for a name. */
    assert_true(set(f, (struct prepared_query){.id = ID_B, .name = STR("FIRST")}) < 0);
    assert_string_equal(err_text(&f->err), "name 'FIRST' aliases an existing query name");
    assert_true(set(f, (struct prepared_query){.id = ID_B, .name = ID_A}) < 0);
    assert_string_equal(err_text(&f->err),
                        "name 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee' aliases an existing query ID");
    /* It may itself be renamed, and keeps the index it was created at. */
    uint64_t created = q->raft.create_index;
    assert_int_equal(set(f, (struct prepared_query){.id = ID_A, .name = STR("second")}), 0);
    assert_null(find(f, "first"));
    q = find(f, "second");
    assert_int_equal(q->raft.create_index, created);
    assert_int_equal(q->raft.modify_index, f->index);
    assert_true(set(f, (struct prepared_query){.id = STR("no id"), .name = STR("x")}) < 0);
    assert_string_equal(err_text(&f->err), "failed prepared query lookup: index error: UUID must "
                                           "be 36 characters");
}

static struct prepared_query template_of(struct str id, struct str name)
{
    return (struct prepared_query){
        .id = id,
        .name = name,
        .template_ = {.type = QUERY_TEMPLATE_NAME_PREFIX_MATCH, .regexp = STR("^(.*?)-(.*)$")},
        .service = {.service = STR("${match(2)}"), .near = STR("${agent.segment}")},
    };
}

static void test_templates(void **state)
{
    struct store_fixture *f = *state;
    static const struct str tags[] = {STR_INIT("${name.suffix}"), STR_INIT("${match(7)}")};
    struct prepared_query query = template_of(ID_A, STR("Geo-"));
    query.service.tags = (struct strlist){tags, 2};
    query.template_.remove_empty_tags = true;
    assert_int_equal(set(f, query), 0);
    assert_int_equal(set(f, template_of(ID_B, STR(""))), 0);
    const struct prepared_query *q = find(f, "geo-db");
    assert_true(str_eq(q->id, ID_A));
    assert_true(str_eq_lit(q->service.service, "db"));
    assert_true(str_eq_lit(q->service.near, "segment"));
    assert_int_equal(q->service.tags.n, 1);
    assert_true(str_eq_lit(q->service.tags.v[0], "geo-db")); /* the prefix differs in case */
    assert_true(str_eq(find(f, "ge-o")->id, ID_B));
    assert_true(str_eq(find(f, "x")->service.service, STR("")));
    assert_true(
        prepared_query_resolve(store_view(f->store), &f->arena, ID_A, STR(""), &q, &f->err) < 0);
    assert_string_equal(err_text(&f->err),
                        "prepared query templates can only be resolved up by name, not by ID");
    /* There is one for all names at most. */
    query = template_of(STR("cccccccc-bbbb-cccc-dddd-eeeeeeeeeeee"), STR(""));
    assert_true(set(f, query) < 0);
    assert_string_equal(err_text(&f->err), "a query template with an empty name already exists");
    query.name = STR("bad");
    query.template_.regexp = STR("(");
    assert_true(set(f, query) < 0);
    assert_string_equal(err_text(&f->err), "failed compiling template: Bad Regexp: error parsing "
                                           "regexp: missing closing ): `(`");
    query.template_.regexp = STR("");
    query.service.near = STR("${nope}");
    assert_true(set(f, query) < 0);
    assert_string_equal(err_text(&f->err),
                        "failed compiling template: Bad evaluation for '${nope}' in Service.Near: "
                        "1:3: unknown variable accessed: nope");
}

/* Longer names than are looked for by prefix are found by themselves. */
static void test_long_names(void **state)
{
    struct store_fixture *f = *state;
    static char name[QUERY_TEMPLATE_NAME_SIZE_MAX * 3];
    memset(name, 'n', sizeof(name) - 1);
    assert_int_equal(set(f, template_of(ID_A, str_make(name, QUERY_TEMPLATE_NAME_SIZE_MAX))), 0);
    assert_true(str_eq(find(f, name)->id, ID_A));
    assert_int_equal(set(f, (struct prepared_query){.id = ID_B, .name = str_from_cstr(name)}), 0);
    assert_true(str_eq(find(f, name)->id, ID_B));
    name[QUERY_TEMPLATE_NAME_SIZE_MAX - 1] = '\0';
    assert_null(find(f, name));
}

static void test_session(void **state)
{
    struct store_fixture *f = *state;
    assert_true(set(f, (struct prepared_query){.id = ID_A, .session = ID_B}) < 0);
    assert_string_equal(err_text(&f->err),
                        "invalid session \"bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee\"");
    assert_true(set(f, (struct prepared_query){.id = ID_A, .session = STR("x")}) < 0);
    assert_string_equal(err_text(&f->err),
                        "invalid session: index error: UUID must be 36 characters");
    assert_int_equal(set(f, (struct prepared_query){.id = ID_A, .session = SESSION}), 0);
    assert_int_equal(set(f, (struct prepared_query){.id = ID_B, .name = STR("stays")}), 0);
    struct store_txn *tx = store_fixture_begin(f);
    assert_int_equal(session_destroy(tx, SESSION, &f->err), 0);
    store_txn_commit(tx);
    assert_null(find(f, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"));
    assert_non_null(find(f, "stays"));
    assert_int_equal(table_index(f), f->index);
}

/* --- model: the same as a list that is searched from end to end --------------------------------
 */

#define MODEL_QUERIES 6u

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng_state >> 33) % below;
}

static struct str model_id(struct arena *a, uint32_t i)
{
    return arena_printf(a, "0000000%u-0000-0000-0000-00000000000%u", i, i);
}

struct model_query {
    bool is_there, is_template;
    struct str name;
};

static int model_find(const struct model_query *m, struct str name)
{
    int best = -1;
    for (uint32_t i = 0; i < MODEL_QUERIES; i++) {
        if (m[i].is_there && m[i].name.n > 0 && str_eq_fold(m[i].name, name)) {
            return (int)i;
        }
    }
    for (uint32_t i = 0; i < MODEL_QUERIES; i++) {
        if (m[i].is_there && m[i].is_template && m[i].name.n <= name.n &&
            str_eq_fold(m[i].name, str_first(name, m[i].name.n)) &&
            (best < 0 || m[i].name.n > m[best].name.n)) {
            best = (int)i;
        }
    }
    return best;
}

/* Whether the model would take a query of this name in place i. */
static bool model_takes(const struct model_query *m, uint32_t at, struct str name, bool is_template)
{
    for (uint32_t i = 0; i < MODEL_QUERIES; i++) {
        if (i != at && m[i].is_there && str_eq_fold(m[i].name, name) &&
            (name.n > 0 || (is_template && m[i].is_template))) {
            return false;
        }
    }
    return true;
}

static struct str random_name(struct arena *a)
{
    static const char letters[] = {'a', 'A', 'b', '-', '\0'};
    char *p = arena_alloc(a, 4);
    size_t n = rng(4);
    for (size_t i = 0; i < n; i++) {
        p[i] = letters[rng(ARRAY_SIZE(letters))];
    }
    return str_make(p, n);
}

static void test_model(void **state)
{
    struct store_fixture *f = *state;
    struct model_query model[MODEL_QUERIES] = {0};
    uint32_t found = 0;
    rng_state = 7;
    for (uint32_t step = 0; step < 4000; step++) {
        uint32_t at = rng(MODEL_QUERIES);
        struct str name = random_name(&f->arena);
        if (rng(4) == 0) {
            struct store_txn *tx = store_fixture_begin(f);
            assert_int_equal(prepared_query_delete(tx, model_id(&f->arena, at), &f->err), 0);
            store_txn_commit(tx);
            model[at].is_there = false;
        } else {
            bool is_template = rng(2) == 0;
            struct prepared_query q = {.id = model_id(&f->arena, at), .name = name};
            if (is_template) {
                q.template_.type = QUERY_TEMPLATE_NAME_PREFIX_MATCH;
            }
            bool taken = set(f, q) == 0;
            assert_int_equal(taken, model_takes(model, at, name, is_template));
            if (taken) {
                model[at] = (struct model_query){true, is_template, name};
            }
        }
        struct str ask = arena_concat(&f->arena, random_name(&f->arena), STR("b"));
        const struct prepared_query *q;
        assert_int_equal(
            prepared_query_resolve(store_view(f->store), &f->arena, ask, STR(""), &q, &f->err), 0);
        int expected = model_find(model, ask);
        assert_int_equal(q != NULL, expected >= 0);
        if (q != NULL) {
            assert_true(str_eq(q->id, model_id(&f->arena, (uint32_t)expected)));
            found++;
        }
    }
    assert_in_range(found, 500, 3900);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_names),   TEST(test_templates), TEST(test_long_names),
        TEST(test_session), TEST(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
