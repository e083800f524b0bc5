/* Changes of single intentions: what becomes of the entries, and what is refused. Each request
 * comes as a log entry brings it, through msgpack. */
#include "store/intention.h"

#include "test.h"

#include "base/clock.h"
#include "base/epoch.h"
#include "base/err.h"
#include "schema/msgpack.h"
#include "store/config_entry.h"
#include "store/system_metadata.h"

struct fixture {
    struct epoch *epoch;
    struct store *store;
    struct arena arena;
    struct err err;
    uint64_t index;
};

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.epoch = epoch_new(), .index = 10};
    f->store = store_new(f->epoch);
}

static void fixture_deinit(struct fixture *f)
{
    assert_true(store_is_consistent(store_view(f->store)));
    store_free(f->store);
    epoch_free(f->epoch);
    arena_deinit(&f->arena);
}

static void migrate(struct fixture *f)
{
    struct store_txn *tx = store_txn_begin(f->store, ++f->index);
    intentions_are_config_entries(tx);
    store_txn_commit(tx);
}

static int mutate(struct fixture *f, const char *op, const struct intention_mutation *m)
{
    struct buf b = {0};
    struct intention_mutation decoded = {0};
    msgpack_object(&b, &intention_mutation_schema, m);
    struct cur c = cur_make(buf_view(&b));
    f->err = (struct err){0};
    assert_ok(msgpack_decode(&c, &intention_mutation_schema, &decoded, &f->arena, &f->err));
    struct store_txn *tx = store_txn_begin(f->store, ++f->index);
    int r = intention_mutate(tx, str_from_cstr(op), &decoded, &f->arena, &f->err);
    if (r < 0) {
        store_txn_abort(tx);
    } else {
        store_txn_commit(tx);
    }
    buf_deinit(&b);
    return r;
}

/* The sources of the entry for "db": name, action and precedence of each. */
static const char *sources(struct fixture *f)
{
    const struct config_entry *e =
        config_entry_find(store_view(f->store), CONFIG_SERVICE_INTENTIONS, STR("db"));
    struct buf b = {0};
    for (size_t i = 0; e != NULL && i < ((const struct service_intentions *)e)->sources.n; i++) {
        const struct source_intention *s = ((const struct service_intentions *)e)->sources.v[i];
        buf_printf(&b, "%.*s=%.*s/%d ", STRF(s->name), STRF(s->action), (int)s->precedence);
    }
    buf_byte(&b, '\0');
    const char *text = arena_str(&f->arena, buf_view(&b)).p;
    buf_deinit(&b);
    return text;
}

static struct source_intention source(const char *name, const char *action)
{
    return (struct source_intention){.name = str_from_cstr(name),
                                     .action = str_from_cstr(action),
                                     .legacy_create_time = TIME_ZERO,
                                     .legacy_update_time = TIME_ZERO};
}

static void test_by_name(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct source_intention web = source("web", "allow"), any = source("*", "deny");
    struct intention_mutation m = {.destination = {STR("db")}, .source = {STR("*")}, .value = &any};
    assert_true(mutate(&f, "upsert", &m) < 0);
    assert_string_equal(err_text(&f.err),
                        "state: IntentionMutation() is not allowed when intentions are not stored "
                        "in config entries");
    migrate(&f);
    assert_ok(mutate(&f, "upsert", &m));
    assert_string_equal(sources(&f), "*=deny/8 ");
    m.source.name = STR("web");
    m.value = &web;
    assert_ok(mutate(&f, "upsert", &m));
    assert_string_equal(sources(&f), "web=allow/9 *=deny/8 ");
    web.action = STR("deny");
    assert_ok(mutate(&f, "upsert", &m));
    assert_string_equal(sources(&f), "web=deny/9 *=deny/8 ");
    const struct config_entry *e =
        config_entry_find(store_view(f.store), CONFIG_SERVICE_INTENTIONS, STR("db"));
    assert_int_equal(e->raft.create_index, 13);
    assert_int_equal(e->raft.modify_index, f.index);

    web.action = STR("perhaps");
    assert_true(mutate(&f, "upsert", &m) < 0);
    assert_string_equal(err_text(&f.err), "Sources[0].Action must be set to 'allow' or 'deny'");
    m.value = NULL;
    assert_true(mutate(&f, "upsert", &m) < 0);
    assert_true(mutate(&f, "delete-all", &m) < 0);
    assert_string_equal(err_text(&f.err), "Invalid Intention mutation operation 'delete-all'");
    assert_string_equal(sources(&f), "web=deny/9 *=deny/8 ");

    assert_ok(mutate(&f, "delete", &m));
    assert_string_equal(sources(&f), "*=deny/8 ");
    assert_ok(mutate(&f, "delete", &m)); /* there is none */
    m.source.name = STR("*");
    assert_ok(mutate(&f, "delete", &m));
    assert_null(config_entry_find(store_view(f.store), CONFIG_SERVICE_INTENTIONS, STR("db")));
    assert_ok(mutate(&f, "delete", &m));
    fixture_deinit(&f);
}

/* The old API. */
static void test_by_id(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    migrate(&f);
    struct source_intention web = source("web", "allow"), api = source("api", "deny");
    struct intention_mutation m = {.destination = {STR("db")}, .value = &web};
    web.legacy_update_time = api.legacy_create_time = api.legacy_update_time = 7000000000;
    web.legacy_id = STR("id-web");
    api.legacy_id = STR("id-api");
    assert_true(mutate(&f, "create", &m) < 0);
    assert_string_equal(err_text(&f.err), "Sources[0].LegacyCreateTime must be set");
    web.legacy_create_time = 5000000000;
    assert_ok(mutate(&f, "create", &m));
    m.value = &api;
    assert_ok(mutate(&f, "create", &m));
    assert_string_equal(sources(&f), "web=allow/9 api=deny/9 ");
    assert_true(mutate(&f, "create", &m) < 0);
    assert_string_equal(err_text(&f.err), "Sources[2] defines \"api\" more than once");

    m.id = STR("id-web");
    m.value = &web;
    web.action = STR("deny");
    assert_ok(mutate(&f, "update", &m));
    assert_string_equal(sources(&f), "web=deny/9 api=deny/9 ");
    m.id = STR("id-none");
    assert_true(mutate(&f, "update", &m) < 0);
    assert_string_equal(err_text(&f.err), "Cannot modify non-existent intention: 'id-none'");
    assert_true(mutate(&f, "delete", &m) < 0);
    assert_string_equal(err_text(&f.err), "Cannot delete non-existent intention: 'id-none'");
    m.id = STR("id-api");
    m.value = NULL;
    assert_ok(mutate(&f, "delete", &m));
    assert_string_equal(sources(&f), "web=deny/9 ");

    /* Changed by name: then its ids are gone, and it is the old API's no more. */
    struct source_intention by_name = source("x", "allow");
    m = (struct intention_mutation){
        .destination = {STR("db")}, .source = {STR("x")}, .value = &by_name};
    assert_ok(mutate(&f, "upsert", &m));
    assert_string_equal(sources(&f), "web=deny/9 x=allow/9 ");
    m.value = &api;
    assert_true(mutate(&f, "create", &m) < 0);
    assert_string_equal(err_text(&f.err),
                        "cannot use legacy intention API to edit intentions with a destination of "
                        "\"db\" after editing them via a service-intentions config entry");
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_name),
                                       cmocka_unit_test(test_by_id)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
