/* Log entries and snapshot records of config entries: those of a real 1.10.3 are read, say what it
 * said, and are written again byte for byte.
 *
 * tests/data/config-entries-1.10.3.bin: its snapshot's header and records of types 22 and 31;
 * tests/data/config-entries-1.10.3.json: its answer to /v1/config/. */
#include "store/config_entry.h"

#include "config_fixture.h"

#include "base/epoch.h"
#include "fsm/fsm.h"
#include "fsm/snapshot.h"
#include "schema/intention.h"
#include "schema/msgpack.h"
#include "store/lock_delay.h"
#include "store/system_metadata.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_SIZE_MAX (1 << 16)

struct fixture {
    struct epoch *epoch;
    struct store *store;
    struct lock_delay *lock_delay;
    struct fsm *fsm;
    struct arena arena;
    struct err err;
    struct fsm_result result;
    uint64_t index;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->epoch = epoch_new();
    f->store = store_new(f->epoch);
    f->lock_delay = lock_delay_new();
    f->fsm = fsm_new(f->store, f->lock_delay);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_true(store_is_consistent(store_view(f->store)));
    fsm_free(f->fsm);
    lock_delay_free(f->lock_delay);
    store_free(f->store);
    epoch_free(f->epoch);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

static struct str read_data(struct arena *a, const char *name)
{
    char path[1024];
    char *bytes = arena_alloc(a, FILE_SIZE_MAX);
    (void)snprintf(path, sizeof(path), "%s/%s", getenv("TEST_DATA"), name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, FILE_SIZE_MAX, file);
    fclose(file);
    assert_in_range(n, 1, FILE_SIZE_MAX - 1);
    return str_make(bytes, n);
}

static int append(void *data, struct str chunk)
{
    buf_str(data, chunk);
    return 0;
}

static struct str all_json(struct fixture *f)
{
    struct ptrlist list;
    struct buf b = {0};
    (void)config_entry_list(store_view(f->store), NULL, &f->arena, STR(""), &list);
    for (size_t i = 0; i < list.n; i++) {
        buf_byte(&b, i == 0 ? '[' : ',');
        buf_str(&b, config_entry_json(list.v[i]));
    }
    buf_lit(&b, "]\n");
    struct str text = arena_str(&f->arena, buf_view(&b));
    buf_deinit(&b);
    return text;
}

static void test_recorded_snapshot(void **state)
{
    struct fixture *f = *state;
    struct str recorded = read_data(&f->arena, "config-entries-1.10.3.bin");
    assert_ok(snapshot_restore(f->store, recorded, &f->err));
    assert_str_equal(all_json(f), read_data(&f->arena, "config-entries-1.10.3.json"));
    assert_str_lit(system_metadata_get(store_view(f->store), SYSTEM_METADATA_INTENTION_FORMAT),
                   "config-entry");

    /* Written again: the records are the same; the header differs, and indexes come behind. */
    struct buf written = {0};
    assert_ok(snapshot_write(store_view(f->store), append, &written, &f->err));
    struct cur header = cur_make(recorded), ours = cur_make(buf_view(&written));
    assert_ok(msgpack_skip(&header));
    assert_ok(msgpack_skip(&ours));
    struct str want = str_from(recorded, recorded.n - cur_left(&header));
    struct str got = str_from(buf_view(&written), written.n - cur_left(&ours));
    assert_true(got.n > want.n);
    assert_str_equal(str_first(got, want.n), want);
    buf_deinit(&written);
}

/* --- entries --------------------------------------------------------------------------------- */

static struct str entry_bytes(struct fixture *f, struct str op, const char *json,
                              uint64_t modify_index)
{
    struct buf b = {0};
    struct config_entry_request req = {.op = op, .entry = config_entry_from(&f->arena, json)};
    req.entry->raft.modify_index = modify_index;
    buf_byte(&b, FSM_CONFIG_ENTRY);
    msgpack_object(&b, &config_entry_request_schema, &req);
    struct str bytes = arena_str(&f->arena, buf_view(&b));
    buf_deinit(&b);
    return bytes;
}

static int apply(struct fixture *f, struct str bytes)
{
    return fsm_apply(f->fsm, ++f->index, bytes, 0, &f->arena, &f->result);
}

#define WEB "{'Kind':'service-defaults','Name':'web','Protocol':'http'}"

static void test_entries(void **state)
{
    struct fixture *f = *state;
    assert_ok(apply(f, entry_bytes(f, CONFIG_ENTRY_UPSERT, WEB, 99)));
    assert_int_equal(f->result.kind, FSM_RESULT_BOOL);
    assert_true(f->result.b);
    const struct config_entry *e =
        config_entry_find(store_view(f->store), CONFIG_SERVICE_DEFAULTS, STR("web"));
    assert_int_equal(e->raft.modify_index, 1);
    assert_ok(apply(f, entry_bytes(f, CONFIG_ENTRY_UPSERT_CAS, WEB, 7)));
    assert_int_equal(f->result.kind, FSM_RESULT_BOOL);
    assert_false(f->result.b);
    assert_ok(apply(f, entry_bytes(f, CONFIG_ENTRY_UPSERT_CAS, WEB, 1)));
    assert_true(f->result.b);
    assert_ok(apply(f, entry_bytes(f, CONFIG_ENTRY_DELETE, WEB, 0)));
    assert_int_equal(f->result.kind, FSM_RESULT_NONE);
    assert_null(config_entry_find(store_view(f->store), CONFIG_SERVICE_DEFAULTS, STR("web")));
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    const char *splitter = "{'Kind':'service-splitter','Name':'w','Splits':[{'Weight':100}]}";
    const struct str ops[] = {CONFIG_ENTRY_UPSERT, CONFIG_ENTRY_UPSERT_CAS};
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        assert_ok(apply(f, entry_bytes(f, ops[i], splitter, 0)));
        assert_int_equal(f->result.kind, FSM_RESULT_ERROR);
        assert_str_lit(f->result.text,
                       "discovery chain \"w\" uses a protocol \"tcp\" that does not permit "
                       "advanced routing or splitting behavior");
    }
    assert_ok(apply(f, entry_bytes(f, STR("bogus"), WEB, 0)));
    assert_str_lit(f->result.text, "invalid config entry operation type: bogus");
    assert_str_lit(all_json(f), "]\n");
    /* What no server of this version can read ends it, rather than letting it drift apart. */
    struct str bytes = entry_bytes(f, CONFIG_ENTRY_UPSERT, WEB, 0);
    assert_true(apply(f, str_first(bytes, bytes.n - 1)) < 0);
    assert_true(apply(f, STR("\x16\xc0")) < 0);
}

static void test_intentions_of_old(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    struct intention_request req = {.op = INTENTION_DELETE_ALL};
    buf_byte(&b, FSM_INTENTION);
    msgpack_object(&b, &intention_request_schema, &req);
    assert_ok(apply(f, buf_view(&b)));
    assert_int_equal(f->result.kind, FSM_RESULT_NONE);
    const struct store_view *v = store_view(f->store);
    assert_int_equal(store_index(v, STR("config-entries")), 1);
    assert_int_equal(store_index(v, STR("connect-intentions")), 1);
    assert_int_equal(store_index(v, STR("system-metadata")), 1);
    buf_clear(&b);
    req.op = STR("create");
    buf_byte(&b, FSM_INTENTION);
    msgpack_object(&b, &intention_request_schema, &req);
    assert_true(apply(f, buf_view(&b)) < 0);
    buf_deinit(&b);
}

static void test_system_metadata(void **state)
{
    struct fixture *f = *state;
    struct system_metadata_entry entry = {.key = STR("k"), .value = STR("v")};
    const struct {
        struct str op;
        struct system_metadata_entry *entry;
        enum fsm_result_kind kind;
        struct str value;
    } steps[] = {
        {SYSTEM_METADATA_UPSERT, &entry, FSM_RESULT_BOOL, STR("v")},
        {STR("bogus"), &entry, FSM_RESULT_ERROR, STR("v")},
        {SYSTEM_METADATA_UPSERT, NULL, FSM_RESULT_ERROR, STR("v")},
        {SYSTEM_METADATA_DELETE, &entry, FSM_RESULT_NONE, STR("")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct buf b = {0};
        struct system_metadata_request req = {.op = steps[i].op, .entry = steps[i].entry};
        buf_byte(&b, FSM_SYSTEM_METADATA);
        msgpack_object(&b, &system_metadata_request_schema, &req);
        assert_ok(apply(f, buf_view(&b)));
        buf_deinit(&b);
        assert_int_equal(f->result.kind, steps[i].kind);
        assert_str_equal(system_metadata_get(store_view(f->store), STR("K")), steps[i].value);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_recorded_snapshot), TEST(test_entries),         TEST(test_refused),
        TEST(test_intentions_of_old), TEST(test_system_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
