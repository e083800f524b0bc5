/* client_tls.h - TLS of a command's connection, on its blocking waits. Internal to the client. */
#pragma once
#include "cli/transport.h"

struct client_tls;
struct ssl_ctx_st;

/* What the flags and variables name, read and checked: "Error loading CA File: open x: no such file
 * or directory". */
NODISCARD int client_tls_context(const struct client_config *config,
                                 struct ssl_ctx_st **ret_context, struct err *err);
/* Shake hands over a connected socket, which stays the caller's. */
NODISCARD int client_tls_open(const struct transport_call *call, int fd,
                              struct client_tls **ret_tls, struct err *err);
struct client_tls *client_tls_free(struct client_tls *t);
/* As send() and recv(): bytes, 0 at the end, or negative: an error in err, or -EAGAIN with what to
 * wait for in *ret_events. */
ssize_t client_tls_send(struct client_tls *t, struct str bytes, short *ret_events, struct err *err);
ssize_t client_tls_recv(struct client_tls *t, char *to, size_t size, short *ret_events,
                        struct err *err);
