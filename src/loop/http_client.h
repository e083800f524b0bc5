/* http_client.h - requests to other programs from a loop: HTTP/1.1 and HTTP/2, over TCP or a Unix
 * socket, with TLS; and bare connections, to see whether somebody answers.
 *
 *     struct http_client *c = http_client_new(loop);                   // costs nothing until used
 *     struct http_client_options o = {.url = ..., .timeout_ms = 10000, .done = my_done, .data =
 * me}; rc = http_client_start(c, &o, &t, &err);
 *     ... my_done(me, t): http_client_result(t)->status ...; http_client_end(t)
 *
 * libcurl does the work, and is loaded (dlopen) at the first request: an agent without network
 * checks does without its dozen libraries. Everything runs on the loop's thread. Texts of errors
 * are Go's, since they become the output of health checks. */
#pragma once
#include "base/err.h"
#include "schema/field.h"

struct http_client;
struct http_transfer;
struct loop;
struct tls_configurator;

#define HTTP_CLIENT_BODY_SIZE_MAX (64u << 20)
#define HTTP_CLIENT_TRANSFERS_MAX 1024u /* at a time; more wait their turn */
#define HTTP_CLIENT_REDIRECTS_MAX 10

enum http_client_kind {
    HTTP_CLIENT_REQUEST,
    HTTP_CLIENT_REQUEST_H2C, /* HTTP/2 at once, without TLS */
    HTTP_CLIENT_REQUEST_H2,  /* HTTP/2 over TLS */
    HTTP_CLIENT_CONNECT,     /* connect (and shake hands, for https) only: see below */
};

struct http_client_tls {
    struct tls_configurator *agent; /* authorities, certificate; NULL: the system's, and none */
    struct str ca_pem;              /* in place of those authorities; copied; empty: none */
    struct str server_name;         /* empty: the host of the URL */
    bool skip_verify;
};

struct http_client_options {
    enum http_client_kind kind;
    struct str method;      /* empty: GET */
    struct str url;         /* http:// or https:// */
    struct str unix_socket; /* a path: connect there instead of to the URL's host */
    struct strlistmap headers;
    struct str body;
    uint64_t timeout_ms;
    size_t body_size_max; /* the last so many bytes of the answer are kept */
    struct http_client_tls tls;
    const char *wanted_header;                         /* of the answer; a literal; NULL: none */
    void (*done)(void *data, struct http_transfer *t); /* not from inside http_client_start() */
    /* CONNECT, after http_client_read_start(): bytes that came; empty at the end. */
    void (*read)(void *data, struct http_transfer *t, struct str bytes);
    void *data;
};

enum http_client_error {
    HTTP_CLIENT_OK,
    HTTP_CLIENT_CONNECT_FAILED, /* nobody there, or no such host */
    HTTP_CLIENT_TIMEOUT,
    HTTP_CLIENT_TLS_FAILED, /* the handshake, or what came of it */
    HTTP_CLIENT_FAILED,
};

struct http_client_result { /* valid until http_client_end() */
    enum http_client_error error;
    struct str error_text; /* "dial tcp 127.0.0.1:1: connect: connection refused" */
    int status;
    struct str status_text; /* "200 OK" */
    struct str body;
    uint64_t body_total;                  /* bytes that came, kept or not */
    struct str wanted_header;             /* its last value; empty: it did not come */
    struct str grpc_status, grpc_message; /* headers or trailers of those names */
};

struct http_client *http_client_new(struct loop *l);
struct http_client *http_client_free(struct http_client *c); /* transfers under way end silently */

NODISCARD int http_client_start(struct http_client *c, const struct http_client_options *options,
                                struct http_transfer **ret_transfer, struct err *err);
const struct http_client_result *http_client_result(const struct http_transfer *t);
/* In done() or later; before it the transfer is canceled. Takes NULL. */
void http_client_end(struct http_transfer *t);

/* CONNECT, once done: talk over the connection. Writes are small and not queued: a short write is
 * an error. */
NODISCARD int http_client_read_start(struct http_transfer *t);
NODISCARD int http_client_write(struct http_transfer *t, struct str bytes);
