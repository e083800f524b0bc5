/* tls.h - TLS on a tcp_stream, whose owner goes on as with a plain one.
 *
 *     tcp_start(&me->stream, loop, fd, &my_ops);            // accepted
 *     r = tls_accept(&me->stream, context, TLS_IN_HTTPS);
 *
 *     r = tcp_connect(&me->stream, loop, &to, NULL, &my_ops); // or connecting
 *     tls_connect(&me->stream, context, RPC_CONN_TLS, STR("dc1")); // that byte goes in the clear
 *
 * From then on tcp_write(), tcp_shutdown_write(), tcp_close(), tcp_pending() and all ops mean the
 * plain text. ops->connected() comes when the handshake is through, on the accepting side too;
 * what is written before waits, and counts as pending. ops->eof() comes when the peer says that it
 * is done, or hangs up between two records. When anything is wrong ops->fail() comes with
 * -ERR_CONNECTION and tls_error() says of what.
 *
 * Everything one read brings is decrypted and then delivered in one piece, so that
 * tcp_read_stop() holds from the next one on, and nothing of a stream waits between two turns but a
 * record that is not whole. Buffers are the loop's: docs/tls.md says what a connection costs.
 *
 * How long a handshake may take is the owner's to say. Renegotiation is refused. On the loop's
 * thread only; a session may move to another with tls_detach() and tls_attach(). */
#pragma once
#include "loop/tcp.h"
#include "loop/tls_context.h"

struct tls_session;

#define TLS_HANDSHAKE 0x16 /* the first byte of what begins as TLS */

/* Sent in the clear to one that speaks HTTP on an HTTPS port, as Go's server does. */
#define TLS_HTTP_REFUSAL               \
    "HTTP/1.0 400 Bad Request\r\n\r\n" \
    "Client sent an HTTP request to an HTTPS server.\n"
/* From its first bytes; five have to be there. */
bool tls_looks_like_http(struct str first);

/* The other side begins. Negative: the context has no certificate (the stream is as before).
 * The context is kept by the connection. */
NODISCARD int tls_accept(struct tcp_stream *s, struct tls_context *c, enum tls_role role);
/* What was read of it already. May end in any of the ops. */
void tls_feed(struct tcp_stream *s, struct str bytes);
/* Right after tcp_connect(): we begin, as soon as it is connected. The context has authorities.
 * With verify_server_hostname the other side has to be a server of that data center; empty: of
 * ours. */
void tls_connect(struct tcp_stream *s, struct tls_context *c, uint8_t first_byte,
                 struct str datacenter);

/* The same, where the settings of this moment say that connections to other servers are TLS; else
 * nothing. */
void tls_connect_if(struct tcp_stream *s, struct tls_configurator *tls, uint8_t first_byte,
                    struct str datacenter);

/* Why it failed, in Go's words; NULL when it did not, when it is not TLS, and when the peer just
 * went. Valid until tcp_close(). */
const char *tls_error(const struct tcp_stream *s);
/* The protocol that was agreed on; empty: none. */
struct str tls_protocol(const struct tcp_stream *s);
/* The name the client asked for; empty: none. */
struct str tls_asked_name(const struct tcp_stream *s);
/* Of an accepted, open connection: whether its peer has shown a certificate that was verified, and
 * is good for the name. */
bool tls_peer_is(const struct tcp_stream *s, const char *name);

/* Takes the session off an open stream, of which nothing may be pending, before tcp_detach(). From
 * ops->read() too. */
struct tls_session *tls_detach(struct tcp_stream *s);
/* Onto another stream, right after tcp_start(). */
void tls_attach(struct tcp_stream *s, struct tls_session *take_session);
/* One that is on no stream; takes NULL. */
struct tls_session *tls_session_free(struct tls_session *t);
