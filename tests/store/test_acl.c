/* Tokens, policies, roles: random operations against plain arrays; what expires, and in which
 * order; who is woken. */
#include "store/acl.h"

#include "store_fixture.h"

#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>

#define MODEL_COUNT 12u /* of each kind */
#define MODEL_STEPS 4000u

struct thing {
    bool is_there;
    bool links[MODEL_COUNT];  /* of roles: to policies; of tokens: to roles */
    bool direct[MODEL_COUNT]; /* of tokens: to policies */
    unsigned name;
    uint64_t created, modified;
};

struct model {
    struct store_fixture *f;
    struct rng rng;
    struct thing policies[MODEL_COUNT], roles[MODEL_COUNT], tokens[MODEL_COUNT];
    uint64_t index[3];
};

static struct str id_of(struct arena *a, unsigned kind, unsigned i)
{
    return arena_printf(a, "%08x-0000-0000-0000-%012x", kind, i);
}

static struct str name_of(struct arena *a, unsigned kind, unsigned i)
{
    return arena_printf(a, "%s-%u", kind == 1 ? "Policy" : "Role", i);
}

static struct objlist links_of(struct arena *a, unsigned kind, const bool *links)
{
    struct acl_link *v = ARENA_ARRAY(a, struct acl_link, MODEL_COUNT);
    size_t n = 0;
    memset(v, 0, sizeof(*v) * MODEL_COUNT);
    for (unsigned i = 0; i < MODEL_COUNT; i++) {
        if (links[i]) {
            v[n++].id = id_of(a, kind, i);
        }
    }
    return (struct objlist){v, n};
}

static void choose(struct model *m, bool *links)
{
    for (unsigned i = 0; i < MODEL_COUNT; i++) {
        links[i] = rng_below(&m->rng, 4) == 0;
    }
}

static bool all_there(const struct thing *things, const bool *links)
{
    for (unsigned i = 0; i < MODEL_COUNT; i++) {
        if (links[i] && !things[i].is_there) {
            return false;
        }
    }
    return true;
}

static bool name_is_free(const struct thing *things, unsigned i, unsigned name)
{
    for (unsigned j = 0; j < MODEL_COUNT; j++) {
        if (j != i && things[j].is_there && things[j].name == name) {
            return false;
        }
    }
    return true;
}

/* Enter it where the store took it; both must agree on whether that was. */
static void settle(struct model *m, unsigned kind, struct thing *of, struct thing next, int r,
                   bool expected)
{
    assert_int_equal(r >= 0, expected);
    if (expected) {
        next.created = of->is_there ? of->created : m->f->index;
        next.modified = m->f->index;
        next.is_there = true;
        *of = next;
        m->index[kind] = m->f->index;
    }
}

static void step_policy(struct model *m, struct arena *a, unsigned i)
{
    struct thing next = {.name = (unsigned)rng_below(&m->rng, MODEL_COUNT)};
    bool expected = name_is_free(m->policies, i, next.name);
    struct acl_policy_row p = {.id = id_of(a, 1, i), .name = name_of(a, 1, next.name)};
    struct store_txn *tx = store_fixture_begin(m->f);
    int r = store_fixture_end(tx, acl_policy_set(tx, &p, &m->f->err));
    settle(m, 0, &m->policies[i], next, r, expected);
}

static void step_role(struct model *m, struct arena *a, unsigned i)
{
    struct thing next = {.name = (unsigned)rng_below(&m->rng, MODEL_COUNT)};
    choose(m, next.links);
    bool missing = rng_below(&m->rng, 2) == 0;
    bool expected =
        name_is_free(m->roles, i, next.name) && (missing || all_there(m->policies, next.links));
    struct acl_role role = {.id = id_of(a, 2, i),
                            .name = name_of(a, 2, next.name),
                            .policies = links_of(a, 1, next.links)};
    struct store_txn *tx = store_fixture_begin(m->f);
    int r = store_fixture_end(tx, acl_role_set(tx, &role, missing, &m->f->err));
    settle(m, 1, &m->roles[i], next, r, expected);
}

static void step_token(struct model *m, struct arena *a, unsigned i)
{
    struct thing next = {0};
    choose(m, next.links);
    choose(m, next.direct);
    bool missing = rng_below(&m->rng, 2) == 0;
    bool expected =
        missing || (all_there(m->roles, next.links) && all_there(m->policies, next.direct));
    struct acl_token token = {.accessor_id = id_of(a, 3, i),
                              .secret_id = id_of(a, 4, i),
                              .policies = links_of(a, 1, next.direct),
                              .roles = links_of(a, 2, next.links),
                              .expiration_time = TIME_ZERO,
                              .create_time = TIME_ZERO};
    struct store_txn *tx = store_fixture_begin(m->f);
    int r = store_fixture_end(
        tx, acl_token_set(tx, a, &token, missing ? ACL_TOKEN_ALLOW_MISSING_LINKS : 0, &m->f->err));
    settle(m, 2, &m->tokens[i], next, r, expected);
}

static void step_delete(struct model *m, struct arena *a, unsigned kind, unsigned i)
{
    struct thing *things[] = {m->policies, m->roles, m->tokens};
    struct store_txn *tx = store_fixture_begin(m->f);
    int r = kind == 0   ? acl_policy_delete(tx, id_of(a, 1, i), &m->f->err)
            : kind == 1 ? acl_role_delete(tx, id_of(a, 2, i), &m->f->err)
                        : acl_token_delete(tx, ACL_TOKEN_ACCESSOR, id_of(a, 3, i), &m->f->err);
    assert_ok(store_fixture_end(tx, r));
    if (things[kind][i].is_there) {
        things[kind][i].is_there = false;
        m->index[kind] = m->f->index;
    }
}

/* The links that are told are those that lead somewhere, under the names of now. */
static void check_links(struct arena *a, struct objlist links, unsigned kind, const bool *wanted,
                        const struct thing *things)
{
    const struct acl_link *v = links.v;
    size_t n = 0;
    for (unsigned i = 0; i < MODEL_COUNT; i++) {
        if (wanted[i] && things[i].is_there) {
            assert_true(n < links.n);
            assert_str_equal(v[n].id, id_of(a, kind, i));
            assert_str_equal(v[n++].name, name_of(a, kind, things[i].name));
        }
    }
    assert_int_equal(links.n, n);
}

static void check(struct model *m, struct arena *a)
{
    const struct store_view *v = store_view(m->f->store);
    static const char *const names[] = {"acl-policies", "acl-roles", "acl-tokens"};
    for (unsigned k = 0; k < 3; k++) {
        assert_int_equal(store_index(v, str_from_cstr(names[k])), m->index[k]);
    }
    for (unsigned i = 0; i < MODEL_COUNT; i++) {
        const struct acl_policy_row *p = acl_policy_by_id(v, id_of(a, 1, i));
        assert_int_equal(p != NULL, m->policies[i].is_there);
        if (p != NULL) {
            assert_ptr_equal(acl_policy_by_name(v, name_of(a, 1, m->policies[i].name)), p);
            assert_int_equal(p->raft.create_index, m->policies[i].created);
            assert_int_equal(p->raft.modify_index, m->policies[i].modified);
        }
        const struct acl_role *r = acl_role_by_id(v, id_of(a, 2, i));
        assert_int_equal(r != NULL, m->roles[i].is_there);
        if (r != NULL) {
            check_links(a, acl_role_current(v, a, r)->policies, 1, m->roles[i].links, m->policies);
        }
        const struct acl_token *t = acl_token_by_accessor(v, id_of(a, 3, i));
        assert_int_equal(t != NULL, m->tokens[i].is_there);
        assert_ptr_equal(acl_token_by_secret(v, id_of(a, 4, i)), t);
        if (t != NULL) {
            t = acl_token_current(v, a, t);
            check_links(a, t->policies, 1, m->tokens[i].direct, m->policies);
            check_links(a, t->roles, 2, m->tokens[i].links, m->roles);
        }
    }
    assert_true(store_is_consistent(v));
}

static void test_model(void **state)
{
    struct model m = {.f = *state};
    struct arena a = {0};
    rng_seed(&m.rng, 7);
    for (unsigned step = 0; step < MODEL_STEPS; step++) {
        unsigned i = (unsigned)rng_below(&m.rng, MODEL_COUNT);
        switch (rng_below(&m.rng, 5)) {
        case 0:
            step_policy(&m, &a, i);
            break;
        case 1:
            step_role(&m, &a, i);
            break;
        case 2:
        case 3:
            step_token(&m, &a, i);
            break;
        default:
            step_delete(&m, &a, (unsigned)rng_below(&m.rng, 3), i);
        }
        check(&m, &a);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

/* --- expiration ------------------------------------------------------------------------------ */

static void set_expiring(struct store_fixture *f, unsigned i, int64_t at_ns, bool local)
{
    struct acl_token token = {.accessor_id = id_of(&f->arena, 3, i),
                              .secret_id = id_of(&f->arena, 4, i),
                              .local = local,
                              .expiration_time = at_ns,
                              .create_time = TIME_ZERO};
    struct store_txn *tx = store_fixture_begin(f);
    assert_ok(store_fixture_end(tx, acl_token_set(tx, &f->arena, &token, 0, &f->err)));
}

static size_t count_expired(struct store_fixture *f, bool local, int64_t now_ns, size_t max)
{
    struct ptrlist tokens;
    acl_token_list_expired(store_view(f->store), &f->arena, local, now_ns, max, &tokens);
    for (size_t i = 1; i < tokens.n; i++) {
        const struct acl_token *before = tokens.v[i - 1], *t = tokens.v[i];
        assert_true(before->expiration_time <= t->expiration_time);
    }
    return tokens.n;
}

static void test_expiration(void **state)
{
    struct store_fixture *f = *state;
    const int64_t s = INT64_C(1000000000);
    set_expiring(f, 1, TIME_ZERO, false);
    assert_int_equal(acl_token_expiration_min(store_view(f->store), false), TIME_ZERO);
    set_expiring(f, 2, 300 * s, false);
    set_expiring(f, 3, 100 * s, false);
    set_expiring(f, 4, 200 * s, true);
    assert_int_equal(acl_token_expiration_min(store_view(f->store), false), 100 * s);
    assert_int_equal(acl_token_expiration_min(store_view(f->store), true), 200 * s);
    assert_int_equal(count_expired(f, false, 100 * s, 10), 0); /* at the moment itself it holds */
    assert_int_equal(count_expired(f, false, 100 * s + 1, 10), 1);
    assert_int_equal(count_expired(f, false, 1000 * s, 10), 2);
    assert_int_equal(count_expired(f, false, 1000 * s, 1), 1);
    assert_int_equal(count_expired(f, true, 1000 * s, 10), 1);
}

/* --- lists and watches ----------------------------------------------------------------------- */

static size_t count(struct store_fixture *f, struct acl_token_filter filter)
{
    struct ptrlist tokens;
    uint64_t index;
    assert_ok(
        acl_token_list(store_view(f->store), NULL, &f->arena, &filter, &index, &tokens, &f->err));
    return tokens.n;
}

static void test_list(void **state)
{
    struct store_fixture *f = *state;
    struct ptrlist tokens;
    uint64_t index;
    set_expiring(f, 1, TIME_ZERO, false);
    set_expiring(f, 2, TIME_ZERO, true);
    set_expiring(f, 3, TIME_ZERO, true);
    assert_int_equal(count(f, (struct acl_token_filter){0}), 3);
    assert_int_equal(count(f, (struct acl_token_filter){.local = true, .global = true}), 3);
    assert_int_equal(count(f, (struct acl_token_filter){.local = true}), 2);
    assert_int_equal(count(f, (struct acl_token_filter){.global = true}), 1);
    assert_int_equal(count(f, (struct acl_token_filter){.policy = STR("x")}), 0);
    struct acl_policy_row policy = {.id = id_of(&f->arena, 1, 1), .name = STR("p")};
    struct acl_link link = {.id = policy.id};
    struct store_txn *tx = store_fixture_begin(f);
    assert_ok(acl_policy_set(tx, &policy, &f->err));
    for (unsigned i = 5; i <= 7; i++) {
        struct acl_token linked = {.accessor_id = id_of(&f->arena, 3, i),
                                   .secret_id = id_of(&f->arena, 4, i),
                                   .local = i == 5,
                                   .expiration_time = TIME_ZERO,
                                   .create_time = TIME_ZERO,
                                   .policies = {&link, 1}};
        assert_ok(acl_token_set(tx, &f->arena, &linked, 0, &f->err));
    }
    assert_ok(store_fixture_end(tx, 0));
    assert_int_equal(count(f, (struct acl_token_filter){.policy = policy.id}), 3);
    assert_int_equal(count(f, (struct acl_token_filter){.policy = policy.id, .local = true}), 1);
    assert_int_equal(count(f, (struct acl_token_filter){.policy = policy.id, .global = true}), 2);
    assert_true(acl_token_list(store_view(f->store), NULL, &f->arena,
                               &(struct acl_token_filter){.policy = STR("x"), .role = STR("y")},
                               &index, &tokens, &f->err) < 0);
}

static void test_ids(void **state)
{
    struct store_fixture *f = *state;
    const struct acl_policy_row *policy;
    uint64_t index;
    static const struct {
        struct str id;
        const char *fault;
    } cases[] = {
        {STR_INIT("x"), "failed acl policy lookup: index error: UUID must be 36 characters"},
        {STR_INIT("-----aaa-bbbb-cccc-dddd-eeeeeeeeeeee"),
         "failed acl policy lookup: index error: UUID should have maximum of 4 \"-\"; got 9"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(
            acl_policy_get(store_view(f->store), NULL, cases[i].id, &index, &policy, &f->err),
            -ERR_INVALID);
        assert_string_equal(err_text(&f->err), cases[i].fault);
        assert_null(acl_policy_by_id(store_view(f->store), cases[i].id));
        assert_null(acl_token_by_accessor(store_view(f->store), cases[i].id));
    }
    /* As many characters, fewer hyphens: an id like another, of nobody. */
    set_expiring(f, 1, TIME_ZERO, false);
    assert_null(
        acl_token_by_accessor(store_view(f->store), STR("000000030000000000000000000000000001")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_model, store_fixture_setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_expiration, store_fixture_setup,
                                        store_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_list, store_fixture_setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ids, store_fixture_setup, store_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
