/* Entries that come in pieces, as a leader of 1.10.3 writes large values. */
#include "fsm_fixture.h"

#include "fsm/snapshot.h"
#include "schema/kv.h"
#include "schema/msgpack.h"
#include "store/kv.h"

/* "k" set to `value`. */
static struct str entry_make(struct machine *m, const char *value)
{
    struct buf b = {0};
    struct kvs_request req = {.op = KV_SET,
                              .dir_ent = {.key = STR("k"), .value = str_from_cstr(value)}};
    buf_byte(&b, FSM_KVS);
    msgpack_object(&b, &kvs_request_schema, &req);
    struct str entry = arena_str(&m->arena, buf_view(&b));
    buf_deinit(&b);
    return entry;
}

/* A third of the entry. The operation's number takes two bytes, as do most of them. */
static int piece(struct machine *m, uint64_t term, uint8_t op, uint8_t sequence, struct str entry)
{
    size_t size = entry.n / 3;
    struct str data = str_from(entry, size * sequence);
    const char note[] = {0x08, (char)(0x80 | op), 0x01, 0x10, (char)sequence, 0x18, 0x03};
    return fsm_apply_chunk(m->fsm, ++m->index, term, sequence < 2 ? str_first(data, size) : data,
                           str_make(note, sizeof(note)), 0, &m->arena, &m->result);
}

static struct str value(const struct machine *m)
{
    const struct dir_entry *e = store_get(store_view(m->store), INDEX_KVS_ID, STR("k"));
    return e != NULL ? e->value : STR("none");
}

static size_t waiting(const struct machine *m)
{
    return store_view(m->store)->trees[INDEX_CHUNKS_ID].count;
}

static void test_whole(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m);
    struct str first = entry_make(&m, "first"), second = entry_make(&m, "second");
    assert_ok(piece(&m, 2, 1, 0, first));
    assert_ok(piece(&m, 2, 2, 0, second)); /* two at the same time */
    assert_ok(piece(&m, 2, 2, 1, second));
    assert_ok(piece(&m, 2, 1, 1, first));
    assert_int_equal(m.result.kind, FSM_RESULT_NONE);
    assert_str_lit(value(&m), "none");
    assert_ok(piece(&m, 2, 1, 2, first));
    assert_str_lit(value(&m), "first");
    const struct dir_entry *e = store_get(store_view(m.store), INDEX_KVS_ID, STR("k"));
    assert_int_equal(e->raft.modify_index, m.index);
    assert_int_equal(waiting(&m), 2);
    assert_ok(piece(&m, 2, 2, 2, second));
    assert_str_lit(value(&m), "second");
    assert_int_equal(waiting(&m), 0);
    machine_deinit(&m);
}

/* The leader was another before it had written them all. */
static void test_new_term(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m);
    struct str lost = entry_make(&m, "lost"), next = entry_make(&m, "next");
    assert_ok(piece(&m, 2, 1, 0, lost));
    assert_ok(piece(&m, 2, 1, 1, lost));
    assert_ok(piece(&m, 3, 2, 0, next));
    assert_int_equal(waiting(&m), 1);
    assert_ok(piece(&m, 3, 2, 1, next));
    assert_ok(piece(&m, 3, 2, 2, next));
    assert_str_lit(value(&m), "next");
    machine_deinit(&m);
}

static int append(void *data, struct str bytes)
{
    buf_str(data, bytes);
    return 0;
}

static void test_snapshot(void **state)
{
    (void)state;
    struct machine m, again;
    machine_init(&m);
    machine_init(&again);
    struct buf first = {0}, second = {0};
    struct err err = {0};
    struct str one = entry_make(&m, "one"), two = entry_make(&m, "two");
    assert_ok(piece(&m, 2, 1, 1, one)); /* not the first */
    assert_ok(piece(&m, 2, 2, 0, two));
    assert_ok(piece(&m, 2, 2, 2, two));
    assert_ok(snapshot_write(store_view(m.store), append, &first, &err));
    assert_ok(snapshot_restore(again.store, buf_view(&first), &err));
    assert_int_equal(waiting(&again), 3);
    assert_ok(snapshot_write(store_view(again.store), append, &second, &err));
    assert_str_equal(buf_view(&second), buf_view(&first));
    again.index = m.index;
    assert_ok(piece(&again, 2, 2, 1, two));
    assert_str_lit(value(&again), "two");
    assert_ok(piece(&again, 2, 1, 0, one));
    assert_ok(piece(&again, 2, 1, 2, one));
    assert_str_lit(value(&again), "one");
    /* No beginning of it is taken for all of it. */
    for (size_t n = first.n - 1; first.n - n < 60; n--) {
        assert_true(snapshot_restore(again.store, str_first(buf_view(&first), n), &err) < 0);
    }
    buf_deinit(&first);
    buf_deinit(&second);
    machine_deinit(&m);
    machine_deinit(&again);
}

/* What cannot be understood ends it: the state would drift apart. */
static void test_refused(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m);
    const struct str notes[] = {
        STR("\x08"),                      /* no number */
        STR("\x08\x01\x10\x03\x18\x03"),  /* the fourth of three */
        STR("\x08\x01"),                  /* of how many? */
        STR("\x08\x01\x18\x81\x80\x04"),  /* 65537 */
        STR("\x08\x01\x18\x01\x22\x01x"), /* a note about the whole */
        STR("\x08\x01\x18\x01\x22\x7f"),  /* cut short */
        STR("\x2a\x00"),                  /* of another kind */
        STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    };
    struct str entry = entry_make(&m, "v");
    for (size_t i = 0; i < ARRAY_SIZE(notes); i++) {
        assert_true(fsm_apply_chunk(m.fsm, ++m.index, 2, entry, notes[i], 0, &m.arena, &m.result) <
                    0);
        assert_int_equal(m.result.kind, FSM_RESULT_ERROR);
    }
    assert_ok(piece(&m, 2, 1, 0, entry));
    assert_true(fsm_apply_chunk(m.fsm, ++m.index, 2, entry, STR("\x08\x81\x01\x10\x01\x18\x02"), 0,
                                &m.arena, &m.result) < 0); /* three, or two? */
    assert_int_equal(waiting(&m), 1);
    assert_str_lit(value(&m), "none");
    machine_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole), cmocka_unit_test(test_new_term),
        cmocka_unit_test(test_snapshot), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
