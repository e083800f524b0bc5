/* transport.h - the two ways of client.c to carry a request: sockets (client_socket.c), with TLS on
 * top of them (client_tls.c), and libcurl (client_curl.c) for proxies. Internal to the client. */
#pragma once
#include "cli/client.h"

struct transport_call {
    const struct client_config *config;
    struct arena *arena; /* of the answer */
    const char *method;
    struct str target; /* path and query, escaped */
    struct client_header headers[8];
    size_t headers_count;
    bool has_body;
    struct str body;
    int (*on_body)(void *data, struct str bytes);
    void *data;
    const struct client_interrupt *interrupt; /* may be NULL */
};

/* One request and its answer; err without method and URL: "dial tcp 127.0.0.1:8500: connect:
 * connection refused". */
NODISCARD int socket_perform(const struct transport_call *call,
                             struct client_response *ret_response, struct err *err);
NODISCARD int curl_perform(const struct transport_call *call, struct client_response *ret_response,
                           struct err *err);

/* Until the descriptor (-1: none) is ready or the time is over (-1: never). 1, 0 after the time,
 * -ERR_CANCELED, or another error. */
NODISCARD int transport_wait(const struct client_interrupt *interrupt, int fd, short events,
                             int64_t timeout_ms, struct err *err);
/* errno's text in Go's letters: "connection refused". */
