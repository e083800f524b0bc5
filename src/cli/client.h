/* client.h - the commands' way to an agent: requests to its HTTP API, one after the other.
 *
 *     CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
 *     if (c == NULL) return 1;
 *     struct client_request r;
 *     client_request_init(&r, c, "GET", "/v1/catalog/node/%.*s", STRF(node));
 *     client_param(&r, STR("near"), near);
 *     const struct value *answer;
 *     if (client_get(&r, &answer, &err) < 0) …
 *
 * Where the agent is, the token and the rest come from the flags (cli_client_flags or
 * cli_http_flags go into the command's groups), else from CONSUL_HTTP_ADDR and its kin. Requests
 * and answers live in the client's arena until client_free(). Nothing but sockets (client_socket.c)
 * and, for https, OpenSSL (client_tls.c) is used, which is what makes the command line quick;
 * proxies are reached by libcurl (client_curl.c), loaded for that.
 *
 * Error texts are those of Go's client, method and URL in front. One thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/flags.h"
#include "schema/value.h"

#include <signal.h>

struct client;
struct ssl_ctx_st;

#define CLIENT_TITLE "HTTP API Options"
#define CLIENT_PARAMS_MAX 64u
#define CLIENT_HEAD_SIZE_MAX (64u * 1024u)
#define CLIENT_REDIRECTS_MAX 10u
#define CLIENT_CONNECT_TIMEOUT_MS 30000

/* What the flags said; zeroed before the command line is parsed. */
struct client_flags {
    struct str addr, token, token_file, ca_file, ca_path, cert_file, key_file, server_name;
    struct str datacenter, ns;
    bool is_stale;
};
extern struct client_flags client_flags;
extern const struct cli_flag cli_client_flags[]; /* the address, the token, TLS */
extern const struct cli_flag cli_http_flags[];   /* those, -datacenter and -stale */
/* Among a command's own. */
#define CLIENT_NAMESPACE_FLAG                                                               \
    {                                                                                       \
        "namespace", CLI_STR, &client_flags.ns,                                             \
            "Namespace to ask for, a feature of Consul Enterprise. By default the token's." \
    }

/* Flags and environment together, tokens read from their file. */
struct client_config {
    bool is_https, is_unix, skip_verify;
    struct str address; /* host:port, or the path of the socket */
    struct str token, auth_user, auth_password;
    struct str ca_file, ca_path, cert_file, key_file, server_name;
    struct str datacenter, ns;
    bool has_auth;
    struct ssl_ctx_st *tls; /* what those files hold; NULL: there are none, and it is not HTTPS */
};

struct client_param {
    struct str key, value;
};

struct client_header {
    struct str name, value;
};

struct client_request {
    struct client *client;
    const char *method;
    struct str path; /* not escaped */
    struct client_param params[CLIENT_PARAMS_MAX];
    size_t params_count;
    bool has_body;
    struct str body, content_type; /* JSON when the type is empty */
    struct str token;              /* in place of the configuration's, unless empty */
    /* When set, told the content of a 200 as it comes; negative ends the request with
     * -ERR_CANCELED. Other answers are collected as usual. */
    int (*on_body)(void *data, struct str bytes);
    void *data;
};

struct client_response {
    int status;
    struct client_header *headers;
    size_t headers_count;
    struct str body;
};

/* A client as flags and environment say; they may be wrong: "Unknown protocol scheme: x". */
NODISCARD int client_new(struct client **ret_client, struct err *err);
struct client *client_free(struct client *c);
DEFINE_CLEANUP(struct client, client_free)
/* The same for a command: when there can be none, NULL, and `failure` with the reason is on
 * stderr. */
struct client *client_open(const char *failure);
struct arena *client_arena(struct client *c);
const struct client_config *client_config(const struct client *c);
/* What ends a wait: a flag, and the thread's signal mask while it waits. The flag's signals are to
 * be blocked otherwise, and have a handler, so that none is missed between a look at the flag and
 * the wait. */
struct client_interrupt {
    volatile sig_atomic_t *flag;
    sigset_t mask;
};
/* Requests and sleeps end with -ERR_CANCELED once the flag is set. NULL: none does. Borrowed. */
void client_set_interrupt(struct client *c, const struct client_interrupt *interrupt);
/* Forget requests and answers so far, for those who go on for long. */
void client_reset(struct client *c);
/* 0 after the time, or -ERR_CANCELED. */
NODISCARD int client_sleep(struct client *c, uint64_t ms);

/* The datacenter and namespace of the configuration are among the parameters already. */
void client_request_init(struct client_request *r, struct client *c, const char *method,
                         const char *path_format, ...) PRINTF(4, 5);
/* Set a parameter; `value` must live as long as the request. */
void client_param(struct client_request *r, struct str key, struct str value);
/* Another one of the same key. */
void client_param_add(struct client_request *r, struct str key, struct str value);
/* One for each of the pairs, as "key:value". */
void client_param_pairs(struct client_request *r, struct str key, const struct cli_map *pairs);
/* ?stale, when -stale is given. */
void client_param_stale(struct client_request *r);
void client_body(struct client_request *r, struct str body, struct str content_type);

/* Send; any status is an answer. */
NODISCARD int client_send(struct client_request *r, struct client_response *ret_response,
                          struct err *err);
/* Send; anything but 200 is an error: "Unexpected response code: 500 (text)". */
NODISCARD int client_send_ok(struct client_request *r, struct client_response *ret_response,
                             struct err *err);
/* client_send_ok() and the body's JSON. */
NODISCARD int client_get(struct client_request *r, const struct value **ret_value, struct err *err);
int client_status_error(const struct client_response *response, struct err *err);
/* The first header of that name, NULL-like when there is none. */
struct str client_response_header(const struct client_response *response, struct str name);

/* --- answers' values: a member, or what stands for none -------------------------------------- */

struct str value_member_str(const struct value *v, const char *key);
uint64_t value_member_u64(const struct value *v, const char *key);
int64_t value_member_i64(const struct value *v, const char *key);
bool value_member_bool(const struct value *v, const char *key);
const struct value *value_member(const struct value *v, const char *key);
/* The elements of a list; 0 for anything else. */
size_t value_count(const struct value *v);

/* --- arguments ------------------------------------------------------------------------------- */

#define CLI_DATA_SIZE_MAX (1u << 30)

/* What a data argument means: "@path" a file's content, "-" standard input, else itself. */
NODISCARD int cli_data_read(struct arena *a, struct str argument, struct str *ret_data,
                            struct err *err);
/* A whole file: "open PATH: no such file or directory". */
NODISCARD int cli_file_read(struct arena *a, struct str path, struct str *ret_data,
                            struct err *err);
