#include "test.h"

#include "base/err.h"
#include "proto/msgpack_scan.h"
#include "proto/rpc_frame.h"
#include "wire_fixture.h"

static size_t frames_check(struct str bytes, bool is_request)
{
    size_t count = 0;
    while (bytes.n > 0) {
        struct msgpack_scan scan;
        struct buf again = {0};
        struct err err = {0};
        msgpack_scan_begin(&scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
        int r = msgpack_scan(&scan, bytes);
        if (r == 0) {
            break; /* where the capture ended */
        }
        assert_int_equal(r, 1);
        struct str frame = str_first(bytes, scan.at);
        if (is_request) {
            struct rpc_request request;
            assert_ok(rpc_request_decode(frame, &request, &err));
            assert_true(str_contains(request.method, STR(".")));
            rpc_request_header_encode(&again, request.seq, request.method);
            buf_str(&again, request.body);
        } else {
            struct rpc_response response;
            assert_ok(rpc_response_decode(frame, &response, &err));
            if (response.error.n > 0) {
                rpc_error_encode(&again, response.seq, response.method, response.error);
            } else {
                rpc_response_header_encode(&again, response.seq, response.method);
                buf_str(&again, response.body);
            }
        }
        assert_str_equal(buf_view(&again), frame);
        buf_deinit(&again);
        bytes = str_from(bytes, scan.at);
        count++;
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

static void test_recorded(void **state)
{
    (void)state;
    static const char *const numbers[] = {"005", "009", "010", "011", "020", "035"};
    size_t requests = 0, responses = 0;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "mux-%s-to.bin", numbers[i]);
        requests += file_check(name, 1, true);
        (void)snprintf(name, sizeof(name), "mux-%s-from.bin", numbers[i]);
        responses += file_check(name, 0, false);
    }
    assert_true(requests > 20);
    assert_true(responses > 20 && responses <= requests);
}

static void test_pieces(void **state)
{
    (void)state;
    struct buf b = {0};
    struct err err = {0};
    struct rpc_response r;
    struct msgpack_scan scan;
    rpc_error_encode(&b, 300, STR("KVS.Get"), STR("No cluster leader"));
    msgpack_scan_begin(&scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
    for (size_t n = 0; n < b.n; n++) {
        assert_int_equal(msgpack_scan(&scan, str_first(buf_view(&b), n)), 0);
        assert_int_equal(rpc_response_decode(str_first(buf_view(&b), n), &r, &err), -ERR_INVALID);
    }
    assert_int_equal(msgpack_scan(&scan, buf_view(&b)), 1);
    assert_int_equal(scan.at, b.n);
    assert_ok(rpc_response_decode(buf_view(&b), &r, &err));
    assert_int_equal(r.seq, 300);
    assert_str_lit(r.method, "KVS.Get");
    assert_str_lit(r.error, "No cluster leader");
    buf_deinit(&b);
}

static void test_refused(void **state)
{
    (void)state;
    struct msgpack_scan scan;
    struct rpc_request r;
    struct err err = {0};
    static const struct {
        struct str bytes;
        int code;
    } bad[] = {
        {STR_INIT("\xc1"), -ERR_INVALID},
        {STR_INIT("\xdb\xff\xff\xff\xff"), -ERR_TOO_LARGE},
        {STR_INIT("\xdd\xff\xff\xff\xff"), -ERR_TOO_LARGE},
        {STR_INIT("\xdf\xff\xff\xff\xff"), -ERR_TOO_LARGE},
        {STR_INIT("\xc9\xff\xff\xff\xff\x01"), -ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        msgpack_scan_begin(&scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
        assert_int_equal(msgpack_scan(&scan, bad[i].bytes), bad[i].code);
    }
    assert_int_equal(rpc_request_decode(STR("\x90\x80"), &r, &err), -ERR_INVALID);
    struct buf b = {0};
    char method[RPC_METHOD_SIZE_MAX + 1];
    memset(method, 'm', sizeof(method));
    rpc_request_header_encode(&b, 1, str_make(method, sizeof(method)));
    buf_byte(&b, 0x80);
    assert_int_equal(rpc_request_decode(buf_view(&b), &r, &err), -ERR_TOO_LARGE);
    buf_deinit(&b);
    assert_string_equal(rpc_conn_kind_text(1), "Raft");
    assert_null(rpc_conn_kind_text(9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
