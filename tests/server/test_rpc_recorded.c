/* Calls that servers and agents of Consul 1.10.3 made and the answers they got, through our
 * schemas: each body decodes, and what comes out again is the same bytes. */
#include "test.h"

#include "../proto/wire_fixture.h"
#include "base/err.h"
#include "proto/msgpack_scan.h"
#include "proto/rpc_frame.h"
#include "schema/msgpack.h"
#include "server/rpc.h"

static const struct rpc_method *method_of(struct str name)
{
    const struct rpc_method *m = rpc_method_find(name);
    if (m == NULL) {
        fail_msg("%.*s is missing", STRF(name));
    }
    return m;
}

/* Go writes the entries of its maps in any order; ours are sorted. Members of structs have to come
 * in the same order. */
static const char *const maps[] = {"TaggedAddresses", "Meta", "Services"};

static bool is_map(struct str key)
{
    for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
        if (str_eq(key, str_from_cstr(maps[i]))) {
            return true;
        }
    }
    return false;
}

static struct str value_take(struct cur *c)
{
    const uint8_t *from = c->p;
    assert_ok(msgpack_skip(c));
    return str_make(from, (size_t)(c->p - from));
}

static bool has_pair(struct str map, struct str pair)
{
    struct cur c = cur_make(map);
    for (size_t n = msgpack_read_map(&c); n > 0; n--) {
        const uint8_t *from = c.p;
        (void)value_take(&c);
        (void)value_take(&c);
        if (str_eq(pair, str_make(from, (size_t)(c.p - from)))) {
            return true;
        }
    }
    return false;
}

/* The first key under which they differ, or NULL. */
static const char *difference(struct str ours, struct str theirs, struct str key)
{
    static char where[256];
    struct cur a = cur_make(ours), b = cur_make(theirs);
    enum msgpack_kind kind = msgpack_peek(&a);
    if (str_eq(ours, theirs)) {
        return NULL;
    }
    (void)snprintf(where, sizeof(where), "%.*s", STRF(key));
    if (kind != msgpack_peek(&b) || (kind != MSGPACK_MAP && kind != MSGPACK_ARRAY)) {
        return where;
    }
    size_t n = kind == MSGPACK_MAP ? msgpack_read_map(&a) : msgpack_read_array(&a);
    if (n != (kind == MSGPACK_MAP ? msgpack_read_map(&b) : msgpack_read_array(&b))) {
        return where;
    }
    for (; n > 0; n--) {
        struct str name = STR("an element");
        if (kind == MSGPACK_MAP) {
            const uint8_t *from = a.p;
            name = msgpack_read_raw(&a);
            if (is_map(key)) {
                (void)value_take(&a);
                if (!has_pair(theirs, str_make(from, (size_t)(a.p - from)))) {
                    return where;
                }
                continue;
            }
            if (!str_eq(name, msgpack_read_raw(&b))) {
                return where;
            }
        }
        struct str x = value_take(&a), y = value_take(&b);
        if (difference(x, y, name) != NULL) {
            return where;
        }
    }
    return NULL;
}

static void body_check(const struct rpc_method *m, const struct schema *schema, struct str body)
{
    struct arena a = {0};
    struct buf again = {0};
    struct err err = {0};
    struct cur c = cur_make(body);
    if (schema == NULL) {
        msgpack_map(&again, 0);
    } else {
        void *object = arena_zalloc(&a, schema->size);
        schema_zero(schema, object);
        if (msgpack_decode(&c, schema, object, &a, &err) < 0) {
            fail_msg("%s: %s", m->name, err_text(&err));
        }
        msgpack_object(&again, schema, object);
    }
    const char *where = difference(buf_view(&again), body, STR("the body"));
    if (where != NULL || again.n != body.n) {
        fail_msg("%s: %s differs in %s: %zu bytes, not %zu", m->name,
                 schema != NULL ? schema->name : "struct {}", where, again.n, body.n);
    }
    buf_deinit(&again);
    arena_deinit(&a);
}

static size_t frames_check(struct str bytes, bool is_request)
{
    size_t count = 0;
    while (bytes.n > 0) {
        struct msgpack_scan scan;
        struct err err = {0};
        struct rpc_request request;
        struct rpc_response response;
        msgpack_scan_begin(&scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
        if (msgpack_scan(&scan, bytes) != 1) {
            break; /* where the capture ended */
        }
        struct str frame = str_first(bytes, scan.at);
        if (is_request) {
            assert_ok(rpc_request_decode(frame, &request, &err));
            const struct rpc_method *m = method_of(request.method);
            body_check(m, m->args, request.body);
            count++;
        } else {
            assert_ok(rpc_response_decode(frame, &response, &err));
            const struct rpc_method *m = method_of(response.method);
            if (response.error.n == 0) {
                body_check(m, m->reply, response.body);
                count++;
            }
        }
        bytes = str_from(bytes, scan.at);
    }
    return count;
}

static size_t file_check(const char *name, size_t skip, bool is_request)
{
    struct buf streams[MUX_STREAMS_MAX] = {0};
    size_t count = 0;
    recorded_streams(name, skip, streams);
    for (size_t i = 0; i < MUX_STREAMS_MAX; i++) {
        count += frames_check(buf_view(&streams[i]), is_request);
        buf_deinit(&streams[i]);
    }
    return count;
}

static const char *const numbers[] = {"005", "009", "010", "011", "020", "035"};

static void recorded_requests_are_written_the_same(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "mux-%s-to.bin", numbers[i]);
        count += file_check(name, 1, true);
    }
    assert_true(count > 35);
}

static void recorded_replies_are_written_the_same(void **state)
{
    (void)state;
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "mux-%s-from.bin", numbers[i]);
        count += file_check(name, 0, false);
    }
    assert_true(count > 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_requests_are_written_the_same),
        cmocka_unit_test(recorded_replies_are_written_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
