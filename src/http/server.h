/* server.h - the HTTP front end: what is shared by all workers, and each worker's part.
 *
 *     front = http_front_new(&options);                       // once, at start-up
 *     s = http_server_new(front, worker);                     // for each worker, before its loop
 * runs http_server_listen(s, &address, &listen_options, &err); // a socket of its own
 * (SO_REUSEPORT)
 *     ... http_server_stop(s) on the worker's loop ... loop_free ... http_server_free(s);
 * http_front_free(front)
 *
 * The front is immutable but for the limit of connections (atomic) and their counts by client (a
 * lock, taken when a connection opens and closes, never for a request). Connections, requests and
 * buffers belong to one worker. */
#pragma once
#include "agent/config.h"
#include "http/http.h"
#include "loop/tcp.h"

struct agent;
struct http_front;
struct http_server;
struct tls_configurator;
struct worker;

struct http_route_set {
    const struct http_route *routes;
    const size_t *count;
};
extern const struct http_route_set http_all_routes[]; /* of all HTTP_ROUTE_FILES */

struct http_options {
    struct agent *agent;          /* NULL in tests */
    struct tls_configurator *tls; /* of HTTPS; NULL: without a certificate */
    struct str datacenter, node_name;
    struct str dns_domain, dns_alt_domain;
    bool is_dev; /* answers are always pretty */
    bool translate_wan_addrs, use_cache, use_streaming, allow_unprintable_paths;
    bool disable_coordinates;
    struct str ui_content_path;    /* "/ui/"; empty: no UI */
    struct str ui_dir;             /* its files; empty: the page that is built in */
    bool acl_enabled;
    struct str acl_default_policy; /* "allow" */
    int64_t discovery_max_stale;   /* ns */
    struct strmap response_headers;
    struct strlist block_endpoints;
    struct config_cidrlist allow_write_from; /* v NULL: from anywhere */
    size_t max_header_bytes;                 /* 0: Go's default */
    uint32_t max_conns_per_client;           /* 0: no limit */
    uint64_t https_handshake_timeout_ms;     /* 0: none */
    uint64_t kv_max_value_size, txn_max_req_len;
    bool disable_compat_1_9;                 /* no metrics under the names of before 1.9 */
    const struct http_route_set *route_sets; /* ended by NULL; http_all_routes, or a test's own */
};

/* What a configuration says of it; the strings stay the configuration's. */
void http_options_from_config(struct http_options *o, const struct agent_config *config);

/* Copies what it keeps. */
struct http_front *http_front_new(const struct http_options *options);
struct http_front *http_front_free(struct http_front *f);
void http_front_set_max_conns(struct http_front *f, uint32_t max_conns_per_client);

struct http_server *http_server_new(struct http_front *f, struct worker *w);
NODISCARD int http_server_listen(struct http_server *s, const struct address *address,
                                 const struct listen_options *options, struct err *err);
/* The same with TLS; while options.tls has no certificate, every handshake is refused. */
NODISCARD int http_server_listen_tls(struct http_server *s, const struct address *address,
                                     const struct listen_options *options, struct err *err);
/* The same with a socket that listens already, which is taken over. */
void http_server_listen_fd(struct http_server *s, int fd);
void http_server_listen_tls_fd(struct http_server *s, int fd);
/* On the worker's loop. Closes listeners and connections; waiting requests are canceled. */
void http_server_stop(struct http_server *s);
/* After the loop was freed, which has closed everything. */
struct http_server *http_server_free(struct http_server *s);
uint32_t http_server_connections(const struct http_server *s);
