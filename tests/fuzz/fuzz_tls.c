/* Any bytes as what a TLS port is sent: the first byte says which port, the second how they are
 * cut. Whatever comes, the stream ends in one way, once, and nothing is delivered that was not
 * encrypted. */
#include "tls_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "loop/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct end {
    struct tcp_stream s;
    int ends;
    bool is_closed;
};

static void end_read(struct tcp_stream *s, const char *p, size_t n)
{
    (void)s, (void)p, (void)n;
    ASSERT(false); /* plain text without a handshake */
}

static void end_eof(struct tcp_stream *s)
{
    ASSERT(container_of(s, struct end, s)->ends++ == 0);
    tcp_close(s);
}

static void end_fail(struct tcp_stream *s, int code)
{
    ASSERT(code < 0 && container_of(s, struct end, s)->ends++ == 0);
    (void)tls_error(s);
    tcp_close(s);
}

static void end_closed(struct tcp_stream *s)
{
    container_of(s, struct end, s)->is_closed = true;
}

static const struct tcp_ops ops = {
    .read = end_read, .eof = end_eof, .fail = end_fail, .closed = end_closed};

static struct loop *loop;
static struct tls_context *context;

static void make_context(void)
{
    struct tls_files files;
    tls_files_make(&files);
    struct tls_settings settings = tls_files_settings(&files);
    settings.min_version = STR("tls10");
    settings.verify_incoming_https = true;
    context = tls_context_make(&settings);
    tls_files_remove(&files);
    loop = loop_new("fuzz");
}

static void turn(void)
{
    (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum tls_role roles[] = {TLS_IN_HTTPS, TLS_IN_RPC, TLS_IN_RPC_NATIVE};
    struct end e = {0};
    int fds[2];
    if (size < 2) {
        return 0;
    }
    if (context == NULL) {
        make_context();
    }
    ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    tcp_start(&e.s, loop, fds[0], &ops);
    ASSERT(tls_accept(&e.s, context, roles[data[0] % ARRAY_SIZE(roles)]) == 0);
    size_t piece = data[1] == 0 ? size : data[1];
    for (size_t at = 2; at < size && !e.is_closed; at += piece) {
        (void)send(fds[1], data + at, MIN(piece, size - at), MSG_NOSIGNAL);
        turn();
    }
    (void)close(fds[1]);
    for (int i = 0; i < 100 && !e.is_closed; i++) {
        turn();
    }
    ASSERT(e.is_closed && e.ends == 1);
    return 0;
}
