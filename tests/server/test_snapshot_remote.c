/* A snapshot request to another server: a script on loopback, which answers well, badly or not at
 * all. */
#include "test.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/mem.h"
#include "fsm/archive.h"
#include "loop/tcp.h"
#include "proto/msgpack_scan.h"
#include "schema/msgpack.h"
#include "schema/snapshot.h"
#include "server/snapshot_remote.h"
#include "server/worker.h"

#define GIVE_UP_MS 30000u
#define META "{\"Version\":1}"

struct fixture {
    struct loop *loop;
    struct worker worker;
    struct snapshot_remote *remote;
    struct snapshot_route to;
    struct loop_timer limit;
    bool gave_up;
    /* the other server */
    struct tcp_listener listener;
    struct tcp_stream peer;
    struct buf heard; /* by it */
    struct str say;   /* once it has heard `until` bytes, or the end */
    size_t until;
    bool hangs_up, is_deaf, is_closed, has_heard_end, has_said;
    /* of the request */
    struct buf got, archive;
    struct snapshot_response answer;
    struct err err;
    unsigned answers, ends, pauses;
    bool pauses_always;
    struct loop_timer pause;
    struct str give; /* the archive to be restored */
    bool has_room, is_finished;
};

/* --- the other server ------------------------------------------------------------------------- */

static void peer_say(struct fixture *f)
{
    if (f->has_said || (!f->has_heard_end && f->heard.n < f->until)) {
        return;
    }
    f->has_said = true;
    const struct iovec iov = {(void *)(uintptr_t)f->say.p, f->say.n};
    if (f->say.n > 0) {
        assert_int_equal(tcp_write(&f->peer, &iov, 1), 0);
    }
    if (f->hangs_up && tcp_pending(&f->peer) == 0) {
        tcp_close(&f->peer);
    }
}

static void peer_read(struct tcp_stream *tcp, const char *p, size_t n)
{
    struct fixture *f = container_of(tcp, struct fixture, peer);
    buf_put(&f->heard, p, n);
    peer_say(f);
}

static void peer_eof(struct tcp_stream *tcp)
{
    struct fixture *f = container_of(tcp, struct fixture, peer);
    f->has_heard_end = true;
    peer_say(f);
}

static void peer_drained(struct tcp_stream *tcp)
{
    if (container_of(tcp, struct fixture, peer)->hangs_up) {
        tcp_close(tcp);
    }
}

static void peer_fail(struct tcp_stream *tcp, int code)
{
    (void)code;
    tcp_close(tcp);
}

static void peer_closed(struct tcp_stream *tcp)
{
    container_of(tcp, struct fixture, peer)->is_closed = true;
}

static const struct tcp_ops peer_ops = {.read = peer_read,
                                        .eof = peer_eof,
                                        .fail = peer_fail,
                                        .drained = peer_drained,
                                        .closed = peer_closed};

static void peer_accept(struct tcp_listener *l, int fd, const struct address *peer)
{
    struct fixture *f = container_of(l, struct fixture, listener);
    (void)peer;
    tcp_start(&f->peer, f->loop, fd, &peer_ops);
    if (f->is_deaf) {
        tcp_read_stop(&f->peer);
    }
}

/* --- the request's owner ---------------------------------------------------------------------- */

static void answered(void *data, const struct snapshot_response *response)
{
    struct fixture *f = data;
    f->answers++;
    f->answer = *response;
}

static void resume(struct loop_timer *t)
{
    snapshot_remote_resume(container_of(t, struct fixture, pause)->remote);
}

static void bytes(void *data, struct str piece)
{
    struct fixture *f = data;
    assert_int_equal(f->answers, 1);
    assert_false(loop_timer_is_active(&f->pause));
    buf_str(&f->got, piece);
    if (f->pauses_always) {
        f->pauses++;
        snapshot_remote_pause(f->remote);
        loop_timer_start(f->loop, &f->pause, 1, resume);
    }
}

static void room(void *data)
{
    struct fixture *f = data;
    bool has_room = true;
    while (has_room && f->give.n > 0) {
        size_t n = MIN(f->give.n, (size_t)50000);
        has_room = snapshot_remote_write(f->remote, str_first(f->give, n));
        f->give = str_from(f->give, n);
    }
    if (f->give.n == 0 && !f->is_finished) {
        f->is_finished = true;
        snapshot_remote_finish(f->remote);
    }
}

static void ended(void *data, const struct err *err)
{
    struct fixture *f = data;
    f->ends++;
    f->err = err != NULL ? *err : (struct err){0};
    loop_stop(f->loop);
}

static const struct snapshot_remote_ops ops = {
    .answered = answered, .bytes = bytes, .room = room, .ended = ended};

/* --- fixture ---------------------------------------------------------------------------------- */

static int put(void *data, struct str piece)
{
    buf_str(data, piece);
    return 0;
}

/* Random, so that it is not packed into nothing. */
static void make_archive(struct fixture *f, size_t size)
{
    uint32_t x = 1;
    struct buf state = {0};
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        buf_byte(&state, (uint8_t)(x >> 24));
    }
    struct archive_writer *w = archive_writer_new(STR(META), size, 1, put, &f->archive);
    assert_ok(archive_writer_state(w, buf_view(&state)));
    assert_ok(archive_writer_finish(w));
    archive_writer_free(w);
    buf_deinit(&state);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct address address;
    struct sockaddr_in bound;
    socklen_t size = sizeof(bound);
    f->loop = loop_new("test");
    worker_init(&f->worker, f->loop, 0);
    assert_ok(address_parse(&address, STR("127.0.0.1"), 0, NULL));
    int fd = listen_socket(&address, &(struct listen_options){0}, NULL);
    assert_ok(fd);
    assert_ok(getsockname(fd, (struct sockaddr *)&bound, &size));
    (void)snprintf(f->to.address, sizeof(f->to.address), "127.0.0.1:%u", ntohs(bound.sin_port));
    tcp_listener_start(&f->listener, f->loop, fd, peer_accept);
    f->until = SIZE_MAX;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    worker_deinit(&f->worker);
    f->loop = loop_free(f->loop);
    assert_true(f->is_closed || f->peer.loop == NULL);
    buf_deinit(&f->heard);
    buf_deinit(&f->got);
    buf_deinit(&f->archive);
    mem_free(f);
    return 0;
}

static void limit_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, limit);
    f->gave_up = true;
    loop_stop(f->loop);
}

static void run(struct fixture *f)
{
    loop_timer_start(f->loop, &f->limit, GIVE_UP_MS, limit_due);
    loop_run(f->loop);
    loop_timer_stop(f->loop, &f->limit);
    assert_false(f->gave_up);
}

static void start(struct fixture *f, enum snapshot_op op)
{
    struct err err = {0};
    const struct snapshot_request request = {.datacenter = STR("dc1"), .token = STR("t"), .op = op};
    f->remote = snapshot_remote_new(&f->worker, &f->to, &request, &ops, f, &err);
    assert_non_null(f->remote);
}

static void ask(struct fixture *f, enum snapshot_op op)
{
    start(f, op);
    run(f);
    assert_int_equal(f->ends, 1);
}

static struct buf response_of(const char *error, struct str rest)
{
    struct buf b = {0};
    const struct snapshot_response r = {
        .error = str_from_cstr(error),
        .meta = {.index = 17, .known_leader = true, .last_contact = 5}};
    msgpack_object(&b, &snapshot_response_schema, &r);
    buf_str(&b, rest);
    return b;
}

/* What the other server heard: the kind, the request, then this. */
static void check_heard(struct fixture *f, enum snapshot_op op, struct str rest)
{
    struct arena a = {0};
    struct err err = {0};
    struct snapshot_request r = {0};
    struct cur c = cur_make(str_from(buf_view(&f->heard), 1));
    assert_int_equal(f->heard.p[0], 5);
    assert_ok(msgpack_decode(&c, &snapshot_request_schema, &r, &a, &err));
    assert_str_equal(r.datacenter, STR("dc1"));
    assert_str_equal(r.token, STR("t"));
    assert_int_equal(r.op, op);
    assert_str_equal(str_make(c.p, cur_left(&c)), rest);
    arena_deinit(&a);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_save(void **state)
{
    struct fixture *f = *state;
    make_archive(f, 3000000);
    struct buf say = response_of("", buf_view(&f->archive));
    f->say = buf_view(&say);
    f->hangs_up = true;
    ask(f, SNAPSHOT_SAVE);
    assert_string_equal(f->err.text, "");
    assert_true(f->has_heard_end);
    check_heard(f, SNAPSHOT_SAVE, STR(""));
    assert_int_equal(f->answer.meta.index, 17);
    assert_true(f->answer.meta.known_leader);
    assert_str_equal(buf_view(&f->got), buf_view(&f->archive));
    buf_deinit(&say);
}

static void test_save_to_somebody_slow(void **state)
{
    struct fixture *f = *state;
    make_archive(f, 3000000);
    struct buf say = response_of("", buf_view(&f->archive));
    f->say = buf_view(&say);
    f->hangs_up = true;
    f->pauses_always = true;
    ask(f, SNAPSHOT_SAVE);
    assert_string_equal(f->err.text, "");
    assert_true(f->pauses > 100);
    assert_str_equal(buf_view(&f->got), buf_view(&f->archive));
    buf_deinit(&say);
}

static void save_broken(struct fixture *f, struct str archive, const char *why)
{
    struct buf say = response_of("", archive);
    f->say = buf_view(&say);
    f->hangs_up = true;
    ask(f, SNAPSHOT_SAVE);
    assert_int_equal(f->answers, 1);
    if (!str_has_prefix(str_from_cstr(f->err.text), str_from_cstr(why))) {
        fail_msg("%s", f->err.text);
    }
    buf_deinit(&say);
}

static void test_save_cut_short(void **state)
{
    struct fixture *f = *state;
    make_archive(f, 100000);
    save_broken(f, str_first(buf_view(&f->archive), f->archive.n - 1),
                "failed to stream snapshot: failed to ");
}

static void test_save_of_nothing(void **state)
{
    save_broken(*state, STR(""), "failed to stream snapshot: failed to decompress snapshot: ");
}

static void test_save_damaged(void **state)
{
    struct fixture *f = *state;
    make_archive(f, 100000);
    f->archive.p[f->archive.n / 2] ^= 1;
    save_broken(f, buf_view(&f->archive), "failed to stream snapshot: ");
}

static void test_save_refused(void **state)
{
    struct fixture *f = *state;
    struct buf say = response_of("No cluster leader", STR(""));
    f->say = buf_view(&say);
    f->hangs_up = true;
    ask(f, SNAPSHOT_SAVE);
    assert_string_equal(f->err.text, "No cluster leader");
    assert_int_equal(f->err.code, ERR_NO_LEADER);
    assert_int_equal(f->answers, 0);
    buf_deinit(&say);
}

static void test_no_answer(void **state)
{
    struct fixture *f = *state;
    f->hangs_up = true;
    ask(f, SNAPSHOT_SAVE);
    assert_string_equal(f->err.text, "failed to decode response: EOF");
}

static void test_half_an_answer(void **state)
{
    struct fixture *f = *state;
    struct buf say = response_of("", STR(""));
    f->say = str_first(buf_view(&say), say.n - 1);
    f->hangs_up = true;
    ask(f, SNAPSHOT_SAVE);
    assert_string_equal(f->err.text, "failed to decode response: EOF");
    buf_deinit(&say);
}

static void test_nonsense(void **state)
{
    struct fixture *f = *state;
    f->say = STR("\xc1 HTTP/1.1 400");
    ask(f, SNAPSHOT_SAVE);
    assert_true(str_has_prefix(str_from_cstr(f->err.text), STR("failed to decode response: ")));
}

static void test_nobody_there(void **state)
{
    struct fixture *f = *state;
    tcp_listener_close(&f->listener);
    ask(f, SNAPSHOT_SAVE);
    char wanted[128];
    (void)snprintf(wanted, sizeof(wanted), "dial tcp %s: connect: connection refused",
                   f->to.address);
    assert_string_equal(f->err.text, wanted);
    assert_int_equal(f->err.code, ERR_UNREACHABLE);
}

static void test_restore(void **state)
{
    struct fixture *f = *state;
    make_archive(f, 3000000);
    struct buf say = response_of("", STR(""));
    f->say = buf_view(&say);
    f->give = buf_view(&f->archive);
    ask(f, SNAPSHOT_RESTORE);
    assert_string_equal(f->err.text, "");
    assert_true(f->has_heard_end && f->is_finished);
    assert_int_equal(f->answers, 0);
    check_heard(f, SNAPSHOT_RESTORE, buf_view(&f->archive));
    buf_deinit(&say);
}

/* It need not have heard all to refuse it. */
static void test_restore_refused_early(void **state)
{
    struct fixture *f = *state;
    make_archive(f, 30000000);
    struct buf say = response_of("snapshot is larger than 1 bytes", STR(""));
    f->say = buf_view(&say);
    f->until = 100000;
    f->give = buf_view(&f->archive);
    ask(f, SNAPSHOT_RESTORE);
    assert_string_equal(f->err.text, "snapshot is larger than 1 bytes");
    buf_deinit(&say);
}

static void test_restore_broken_off(void **state)
{
    struct fixture *f = *state;
    make_archive(f, 30000000);
    f->until = 100000;
    f->hangs_up = true;
    f->give = buf_view(&f->archive);
    ask(f, SNAPSHOT_RESTORE);
    assert_true(str_has_prefix(str_from_cstr(f->err.text), STR("failed to copy snapshot in: ")));
    assert_int_equal(f->err.code, ERR_CONNECTION);
}

/* No more is kept than the sockets take. */
static void test_restore_into_a_deaf_server(void **state)
{
    struct fixture *f = *state;
    make_archive(f, 30000000);
    f->is_deaf = true;
    f->give = buf_view(&f->archive);
    start(f, SNAPSHOT_RESTORE);
    snapshot_remote_set_limits(f->remote, GIVE_UP_MS, 20);
    run(f);
    assert_string_equal(f->err.text, "failed to copy snapshot in: i/o timeout");
    assert_true(f->give.n > 10000000);
}

static void test_answer_too_late(void **state)
{
    struct fixture *f = *state;
    f->is_deaf = true;
    start(f, SNAPSHOT_SAVE);
    snapshot_remote_set_limits(f->remote, 20, GIVE_UP_MS);
    run(f);
    assert_string_equal(f->err.text, "failed to decode response: i/o timeout");
}

static void test_save_stalls(void **state)
{
    struct fixture *f = *state;
    make_archive(f, 100000);
    struct buf say = response_of("", str_first(buf_view(&f->archive), 50000));
    f->say = buf_view(&say);
    start(f, SNAPSHOT_SAVE);
    snapshot_remote_set_limits(f->remote, GIVE_UP_MS, 20);
    run(f);
    assert_string_equal(f->err.text, "failed to stream snapshot: i/o timeout");
    assert_int_equal(f->got.n, 50000);
    buf_deinit(&say);
}

static void stop_soon(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, pause);
    if (!f->is_closed) {
        loop_timer_start(f->loop, t, 1, stop_soon);
        return;
    }
    loop_stop(f->loop);
}

/* The other server sees it, and nothing more is heard. */
static void test_cancel(void **state)
{
    struct fixture *f = *state;
    f->until = 1;
    f->say = STR("\x80"); /* an empty response: no error */
    f->hangs_up = true;
    start(f, SNAPSHOT_SAVE);
    snapshot_remote_cancel(f->remote);
    f->is_closed = true; /* unless it was accepted yet */
    loop_timer_start(f->loop, &f->pause, 1, stop_soon);
    run(f);
    assert_int_equal(f->ends + f->answers, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_save),
        T(test_save_to_somebody_slow),
        T(test_save_cut_short),
        T(test_save_of_nothing),
        T(test_save_damaged),
        T(test_save_refused),
        T(test_no_answer),
        T(test_half_an_answer),
        T(test_nonsense),
        T(test_nobody_there),
        T(test_restore),
        T(test_restore_refused_early),
        T(test_restore_broken_off),
        T(test_restore_into_a_deaf_server),
        T(test_answer_too_late),
        T(test_save_stalls),
        T(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
