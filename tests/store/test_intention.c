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

/* One row for each source of an entry, and no others. */
static void check_rows(struct fixture *f)
{
    const struct store_view *v = store_view(f->store);
    struct ptrlist entries, list;
    struct str origin;
    size_t count = 0;
    (void)config_entry_list(v, NULL, &f->arena, STR("service-intentions"), &entries);
    for (size_t i = 0; i < entries.n; i++) {
        const struct service_intentions *e = entries.v[i];
        for (size_t j = 0; j < e->sources.n; j++, count++) {
            const struct source_intention *s = e->sources.v[j];
            const struct intention_query_exact exact = {STR("default"), s->name, STR("default"),
                                                        e->head.name};
            const struct intention *found;
            uint64_t index;
            assert_ok(intention_get_exact(v, NULL, &f->arena, &exact, &index, &found, &f->err));
            assert_str_equal(found->action, s->action);
            assert_int_equal(found->raft.modify_index, e->head.raft.modify_index);
        }
    }
    (void)intention_list(v, NULL, &f->arena, &list, &origin);
    assert_int_equal(list.n, count);
}

static void fixture_deinit(struct fixture *f)
{
    assert_true(store_is_consistent(store_view(f->store)));
    check_rows(f);
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

/* --- reading --------------------------------------------------------------------------------- */

static void put(struct fixture *f, const char *from, const char *to, const char *action)
{
    struct source_intention s = source(from, action);
    struct intention_mutation m = {
        .destination = {str_from_cstr(to)}, .source = {s.name}, .value = &s};
    assert_ok(mutate(f, "upsert", &m));
}

static void take(struct fixture *f, const char *from, const char *to)
{
    struct intention_mutation m = {.destination = {str_from_cstr(to)},
                                   .source = {str_from_cstr(from)}};
    assert_ok(mutate(f, "delete", &m));
}

/* "web>db *>db" */
static struct str names(struct fixture *f, struct ptrlist list)
{
    struct str text = STR("");
    for (size_t i = 0; i < list.n; i++) {
        const struct intention *ixn = list.v[i];
        text = arena_printf(&f->arena, "%.*s%s%.*s>%.*s", STRF(text), i > 0 ? " " : "",
                            STRF(ixn->source_name), STRF(ixn->destination_name));
    }
    return text;
}

static struct str match(struct fixture *f, enum intention_side side, const char *name)
{
    struct ptrlist list;
    uint64_t index =
        intention_match(store_view(f->store), NULL, &f->arena, side, str_from_cstr(name), &list);
    assert_int_equal(index, store_index(store_view(f->store), STR("config-entries")));
    return names(f, list);
}

static void test_match(void **state)
{
    (void)state;
    struct fixture f;
    struct ptrlist list;
    struct str origin;
    fixture_init(&f);
    assert_int_equal(intention_list(store_view(f.store), NULL, &f.arena, &list, &origin), 1);
    assert_str_equal(origin, STR("legacy"));
    migrate(&f);
    put(&f, "*", "*", "deny");
    put(&f, "web", "*", "allow");
    put(&f, "*", "db", "deny");
    put(&f, "web", "DB", "allow"); /* the same destination */
    put(&f, "Web", "db", "allow"); /* another source */
    put(&f, "api", "cache", "allow");
    (void)intention_list(store_view(f.store), NULL, &f.arena, &list, &origin);
    assert_str_equal(origin, STR("config"));
    assert_str_equal(names(&f, list), STR("Web>db api>cache web>db *>db web>* *>*"));
    assert_str_equal(match(&f, INTENTION_DESTINATION, "db"), STR("Web>db web>db *>db web>* *>*"));
    assert_str_equal(match(&f, INTENTION_DESTINATION, "Db"), STR("Web>db web>db *>db web>* *>*"));
    assert_str_equal(match(&f, INTENTION_DESTINATION, "none"), STR("web>* *>*"));
    assert_str_equal(match(&f, INTENTION_DESTINATION, "*"), STR("web>* *>*"));
    assert_str_equal(match(&f, INTENTION_SOURCE, "web"), STR("web>db *>db web>* *>*"));
    assert_str_equal(match(&f, INTENTION_SOURCE, "WEB"), STR("*>db *>*"));
    assert_str_equal(match(&f, INTENTION_SOURCE, "*"), STR("*>db *>*"));
    take(&f, "*", "*");
    take(&f, "web", "*");
    take(&f, "*", "db");
    assert_str_equal(match(&f, INTENTION_DESTINATION, "db"), STR("Web>db web>db"));
    assert_str_equal(match(&f, INTENTION_SOURCE, "api"), STR("api>cache"));
    take(&f, "api", "Cache");
    assert_str_equal(match(&f, INTENTION_SOURCE, "api"), STR(""));
    fixture_deinit(&f);
}

/* What 1.10.3 said of one, its hash too. */
static void test_by_id_is_read(void **state)
{
    (void)state;
    static const struct str id = STR_INIT("5dfe97a3-bb3c-3c13-ebb3-f20b13d66580");
    static const struct strpair meta[] = {{STR_INIT("a"), STR_INIT("1")},
                                          {STR_INIT("b"), STR_INIT("2")}};
    static const uint8_t hash[] = {0xd3, 0xf3, 0x63, 0xb9, 0xee, 0x8e, 0x09, 0x36, 0xf5, 0xc4, 0xc1,
                                   0x13, 0xd1, 0xe8, 0xd7, 0x08, 0x34, 0x89, 0x59, 0x5d, 0x1e, 0xad,
                                   0xcf, 0x29, 0x85, 0x4c, 0x9d, 0xaa, 0xe2, 0xb9, 0x7c, 0xd6};
    struct fixture f;
    const struct intention *found;
    uint64_t index;
    fixture_init(&f);
    migrate(&f);
    struct source_intention web = source("web", "deny");
    web.legacy_id = id;
    web.description = STR("d");
    web.legacy_meta = (struct strmap){meta, 2};
    web.legacy_create_time = web.legacy_update_time = 7000000000;
    struct intention_mutation m = {.destination = {STR("db")}, .value = &web};
    assert_ok(mutate(&f, "create", &m));
    const struct store_view *v = store_view(f.store);
    assert_ok(intention_get(v, NULL, id, &index, &found, &f.err));
    assert_int_equal(index, f.index);
    assert_str_equal(found->destination_name, STR("db"));
    assert_str_equal(found->source_ns, STR("default"));
    assert_int_equal(found->created_at, 7000000000);
    assert_int_equal(found->precedence, 9);
    assert_int_equal(found->meta.n, 2);
    assert_int_equal(found->hash.n, sizeof(hash));
    assert_memory_equal(found->hash.p, hash, sizeof(hash));
    assert_ok(intention_get(v, NULL, STR("5DFE97A3-bb3c-3c13-ebb3-f20b13d66580"), &index, &found,
                            &f.err));
    assert_null(found);
    assert_true(intention_get(v, NULL, STR("xyz"), &index, &found, &f.err) < 0);
    assert_string_equal(err_text(&f.err),
                        "failed config entry lookup: index error: UUID must be 36 characters");
    struct intention_query_exact exact = {STR("default"), STR("web"), STR("default"), STR("DB")};
    assert_ok(intention_get_exact(v, NULL, &f.arena, &exact, &index, &found, &f.err));
    assert_str_equal(found->id, id);
    exact.source_name = STR("");
    assert_true(intention_get_exact(v, NULL, &f.arena, &exact, &index, &found, &f.err) < 0);
    assert_string_equal(err_text(&f.err), "1 error occurred:\n\t* SourceName is missing\n\n");
    fixture_deinit(&f);
}

static void test_deciding(void **state)
{
    (void)state;
    struct intention any = {.source_name = STR("web"), .destination_name = STR("*")};
    struct intention db = {.source_name = STR("web"), .destination_name = STR("db")};
    void *permission = &any, *list[] = {&db, &any};
    const struct strpair meta = {STR("external-source"), STR("k8s")};
    any.action = STR("allow");
    db.action = STR("deny");
    struct ptrlist both = {list, 2};
    struct intention_decision d =
        intention_decide(both, INTENTION_DESTINATION, STR("default"), STR("db"), true, true);
    assert_true(!d.allowed && d.has_exact && d.default_allow && !d.has_permissions);
    d = intention_decide(both, INTENTION_DESTINATION, STR("default"), STR("DB"), false, false);
    assert_true(d.allowed && !d.has_exact && !d.default_allow);
    d = intention_decide(both, INTENTION_DESTINATION, STR("other"), STR("db"), false, true);
    assert_true(!d.allowed && !d.has_exact);
    d = intention_decide((struct ptrlist){0}, INTENTION_DESTINATION, STR("default"), STR("db"),
                         true, false);
    assert_true(d.allowed);
    db.action = STR("");
    db.permissions = (struct ptrlist){&permission, 1};
    db.meta = (struct strmap){&meta, 1};
    d = intention_decide(both, INTENTION_DESTINATION, STR("default"), STR("db"), true, false);
    assert_true(!d.allowed && d.has_permissions);
    assert_str_equal(d.external_source, STR("k8s"));
    d = intention_decide(both, INTENTION_DESTINATION, STR("default"), STR("db"), false, true);
    assert_true(d.allowed);
}

/* --- waking ---------------------------------------------------------------------------------- */

struct listener {
    struct list fired;
    struct watch_registry *registry;
};

static void on_changes(void *data, struct change_list *changes)
{
    struct listener *l = data;
    watch_fire(l->registry, changes, &l->fired);
}

/* Does putting an intention wake who has looked? */
static bool wakes(struct fixture *f, struct watch_set *ws, const char *from, const char *to)
{
    struct listener l = {.registry = watch_registry_new()};
    struct watch watch = {0};
    list_init(&l.fired);
    watch_register(l.registry, &watch, ws);
    store_set_listener(f->store, on_changes, &l);
    put(f, from, to, "allow");
    store_set_listener(f->store, NULL, NULL);
    bool is_fired = watch.fired;
    watch_unregister(l.registry, &watch);
    watch_registry_free(l.registry);
    return is_fired;
}

static void test_who_wakes(void **state)
{
    (void)state;
    struct fixture f;
    struct ptrlist list;
    struct str origin;
    uint64_t index;
    const struct intention *found;
    fixture_init(&f);
    migrate(&f);
    put(&f, "web", "db", "allow");
    struct watch_set by_db = {.arena = &f.arena}, by_web = {.arena = &f.arena},
                     all = {.arena = &f.arena}, one = {.arena = &f.arena},
                     by_id = {.arena = &f.arena};
    const struct store_view *v = store_view(f.store);
    const struct intention_query_exact exact = {STR("default"), STR("web"), STR("default"),
                                                STR("db")};
    (void)intention_match(v, &by_db, &f.arena, INTENTION_DESTINATION, STR("db"), &list);
    (void)intention_match(v, &by_web, &f.arena, INTENTION_SOURCE, STR("web"), &list);
    (void)intention_list(v, &all, &f.arena, &list, &origin);
    assert_ok(intention_get_exact(v, &one, &f.arena, &exact, &index, &found, &f.err));
    assert_ok(intention_get(v, &by_id, STR("5dfe97a3-bb3c-3c13-ebb3-f20b13d66580"), &index, &found,
                            &f.err));
    assert_true(wakes(&f, &by_db, "api", "db"));
    assert_true(wakes(&f, &by_db, "api", "*"));
    assert_false(wakes(&f, &by_db, "web", "cache"));
    assert_true(wakes(&f, &by_web, "web", "other"));
    assert_true(wakes(&f, &by_web, "*", "another"));
    assert_false(wakes(&f, &by_web, "api", "cache2"));
    assert_true(wakes(&f, &all, "api", "cache3"));
    assert_true(wakes(&f, &one, "web", "db"));
    assert_true(wakes(&f, &one, "x", "db")); /* the entry's index is the intention's */
    assert_false(wakes(&f, &one, "web", "db2"));
    assert_false(wakes(&f, &by_id, "web", "db3"));
    fixture_deinit(&f);
}

/* A destination whose name begins with another's and a NUL byte is none of the other's. */
static void test_names_with_nul(void **state)
{
    (void)state;
    struct fixture f;
    struct ptrlist list;
    fixture_init(&f);
    migrate(&f);
    put(&f, "web", "db", "allow");
    struct source_intention s = source("x", "allow");
    struct intention_mutation m = {
        .destination = {str_make("db\0b", 4)}, .source = {s.name}, .value = &s};
    assert_ok(mutate(&f, "upsert", &m));
    (void)intention_match(store_view(f.store), NULL, &f.arena, INTENTION_DESTINATION, STR("db"),
                          &list);
    assert_int_equal(list.n, 1);
    take(&f, "web", "db");
    (void)intention_match(store_view(f.store), NULL, &f.arena, INTENTION_DESTINATION,
                          m.destination.name, &list);
    assert_int_equal(list.n, 1);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name),       cmocka_unit_test(test_by_id),
        cmocka_unit_test(test_match),         cmocka_unit_test(test_by_id_is_read),
        cmocka_unit_test(test_deciding),      cmocka_unit_test(test_who_wakes),
        cmocka_unit_test(test_names_with_nul)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
