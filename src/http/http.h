/* http.h - the HTTP API: routes, requests, answers.
 *
 * The front end (http/server.c: connections, parsing, limits, compression) hands each request to
 * one handler, on the worker thread whose connection it came by. The handler fills in the answer
 * and finishes the request, at once or later (after an rpc_call, a message to the agent loop);
 * everything it allocates comes from req->arena.
 *
 *     static void kv_get(struct http_req *req)
 *     {
 *         struct rpc_call *call = http_rpc(req, &rpc_kvs_get, kv_get_reply);   // parses ?dc ?index
 * ?wait ?stale ... if (call == NULL) return;                                // answered with the
 * error already struct key_request *args = call->args;  args->key = req->tail; http_rpc_start(req,
 * call);
 *     }
 *     static void kv_get_reply(struct http_req *req, struct rpc_call *call)
 *     {
 *         const struct indexed_dir_entries *reply = call->reply;   // errors were answered by the
 * front end struct json_writer w = http_json_begin(req);             // X-Consul-* headers are set
 * already
 *         ...
 *         http_finish(req, 200);
 *     }
 *
 * Exactly one of http_finish(), http_error…(), http_stream_end(), http_stream_abort() ends a
 * request; req is gone after it, as it is after on_close. */
#pragma once
#include "acl/authorizer.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "proto/http1.h"
#include "schema/json.h"
#include "schema/query.h"

struct acl_who;
struct agent;
struct http_conn;
struct http_server;
struct rpc_call;
struct rpc_method;
struct worker;

enum http_method {
    HTTP_GET = 1u << 0,
    HTTP_PUT = 1u << 1,
    HTTP_POST = 1u << 2,
    HTTP_DELETE = 1u << 3,
    HTTP_HEAD = 1u << 4,
    HTTP_OPTIONS = 1u << 5,
    HTTP_OTHER = 1u << 6,
};

struct http_param { /* of the query string, decoded, in order */
    struct str name, value;
    bool has_value; /* "?x=" has, "?x" has not */
};

struct http_req {
    struct worker *worker;
    struct agent *agent;
    struct http_conn *conn;
    struct http_server *http; /* the front end of this worker */
    struct arena *arena;

    enum http_method method;
    struct str method_text;
    struct str path;  /* decoded */
    struct str query; /* raw */
    struct str tail;  /* what a route with a trailing parameter matched: "/v1/kv/" + tail */
    struct http_param *params;
    size_t params_count;
    const struct http_header *headers;
    size_t headers_count;
    struct str body;
    uint64_t body_size; /* body.n, or what was announced of a body that is refused unread */
    struct str remote_ip;

    /* X-Consul-Token, Authorization: Bearer, ?token; else the agent's default one. */
    struct str token;
    struct acl_who *who;       /* of routes with HTTP_ROUTE_ACL: NULL when ACLs are off */
    const struct err *who_err; /* the token is none: see http_known() */
    bool pretty;      /* ?pretty, or a -dev agent */

    /* The answer. Body goes to `out`; the front end adds length, compression, framing. */
    struct buf *out;
    struct str content_type;   /* "" until set */
    struct buf *reply_headers; /* "Name: value\r\n" lines */
    const struct http_route *route;
    void *data; /* the handler's own */
    /* The client is gone while the request waits: clean up. Optional. */
    void (*on_close)(struct http_req *req);
    /* Of a route with HTTP_ROUTE_STREAM_BODY, to be set by its handler. */
    void (*on_body)(struct http_req *req, struct str piece, bool is_last);
    /* Of an answer in pieces: the client has taken all there was. Optional; with it, a client that
     * takes nothing for HTTP_WRITE_TIMEOUT_MS is given up. */
    void (*on_room)(struct http_req *req);
};

typedef void (*http_handler)(struct http_req *req);

enum http_route_flag {
    HTTP_ROUTE_PREFIX = 1u << 0, /* the pattern ends in '/', anything may follow (req->tail) */
    /* The handler checks req->body_size: bodies beyond the limits of KV and transactions are not
     * even read. */
    HTTP_ROUTE_LARGE_BODY = 1u << 1,
    HTTP_ROUTE_STREAM = 1u << 2, /* the answer is endless (monitor) */
    /* An error of the call carries the query metadata headers too (index 1, no known leader), as
     * those of Consul's endpoints that set them before they ask. */
    HTTP_ROUTE_META_ON_ERROR = 1u << 3,
    HTTP_ROUTE_NO_META = 1u << 4,     /* a read whose answer carries no query metadata headers */
    HTTP_ROUTE_CONSISTENCY = 1u << 5, /* the answer says which consistency the read had */
    /* Any status is an answer (local health): none is logged as an error. */
    HTTP_ROUTE_NO_ERROR_LOG = 1u << 6,
    /* Not of the API: its answer has none of the API's own headers but Vary. */
    HTTP_ROUTE_PLAIN = 1u << 7,
    /* The handler is called before the body of a PUT has come, of whatever size, and gets it in
     * pieces (on_body). Finishing early ends the connection, as nobody would take the rest. */
    HTTP_ROUTE_STREAM_BODY = 1u << 8,
    /* A stale answer that is older than ?max_stale is thrown away, and the leader is asked. */
    HTTP_ROUTE_MAX_STALE = 1u << 9,
    /* Without a leader, better a stale answer than none. */
    HTTP_ROUTE_STALE_WITHOUT_LEADER = 1u << 10,
    /* The handler itself asks what the caller may do (http_permit()): his token is resolved before.
     */
    HTTP_ROUTE_ACL = 1u << 11,
};

struct http_route {
    const char *pattern; /* "/v1/kv/" */
    unsigned methods;    /* enum http_method bits, in Consul's order in Allow: see methods_text */
    const char *methods_text; /* "GET,PUT,DELETE": what Allow lists after OPTIONS */
    unsigned flags;
    http_handler handler;
};

/* Each file of http/ exports its routes. The first file that has a pattern gets it, so `later`,
 * which has them all, stays last. */
/* clang-format off */
#define HTTP_ROUTE_FILES(X) \
    X(acl) \
    X(acl_auth_method) \
    X(acl_legacy) \
    X(acl_policy) \
    X(agent) \
    X(catalog) \
    X(config_entry) \
    X(connect_authorize) \
    X(connect_ca) \
    X(coordinate) \
    X(discovery_chain) \
    X(event) \
    X(federation_state) \
    X(health) \
    X(intention) \
    X(internal) \
    X(keyring) \
    X(kv) \
    X(operator) \
    X(prepared_query) \
    X(session) \
    X(snapshot) \
    X(status) \
    X(txn) \
    X(debug) \
    X(later)
/* clang-format on */
#define X(file)                                            \
    extern const struct http_route http_##file##_routes[]; \
    extern const size_t http_##file##_routes_count;
HTTP_ROUTE_FILES(X)
#undef X

/* --- asking the request -------------------------------------------------------------------- */
const struct http_param *http_param(const struct http_req *req,
                                    struct str name); /* first, or NULL */
bool http_has_param(const struct http_req *req, struct str name);
struct str http_param_value(const struct http_req *req, struct str name); /* "" when absent */
struct str http_header(const struct http_req *req, struct str name);      /* case-insensitive */
/* All parameters as Go's url.Values.Encode() writes them: by name, name=value, escaped. */
struct str http_encode_params(const struct http_req *req);
/* ?dc, ?index, ?wait, ?stale, ?consistent, ?leader, ?max_stale, ?filter, ?cached and Cache-Control,
 * the token: false when something was malformed, and the request is answered then (400 with
 * Consul's text). */
bool http_parse_query_options(struct http_req *req, struct str *ret_datacenter,
                              struct query_options *ret_options);
/* Parts of it: what is said of consistency and caching, and ?index with ?wait. */
bool http_parse_consistency(struct http_req *req, struct query_options *options);
bool http_parse_wait(struct http_req *req, struct query_options *options);
/* ?near and ?node-meta. */
void http_parse_source(const struct http_req *req, struct query_source *ret_source);
bool http_parse_node_meta(struct http_req *req, struct strmap *ret_filters);
/* The body as JSON into a struct; answers 400 "Request decode failed: …" itself when it is not.
 * flags: enum decode_flag. */
bool http_decode_body(struct http_req *req, const struct schema *schema, void *object,
                      unsigned flags);

/* False, and answered with 400, when the request names a namespace (?ns, X-Consul-Namespace): those
 * are not in this edition. Most endpoints ask; a few of Consul's do not look. */
bool http_check_namespace(struct http_req *req);
/* False, and answered with 400 "Missing node name" (or what else the path's tail should be), when
 * nothing stands behind the route's pattern. */
bool http_check_tail(struct http_req *req, const char *what);

/* --- what the caller may do, in handlers of routes with HTTP_ROUTE_ACL ----------------------- */
/* The token is one; else false, and answered with 403. */
bool http_known(struct http_req *req);
/* After that. */
bool http_may(const struct http_req *req, enum acl_right right, struct str name);
/* Both; answers with 403 "Permission denied". */
bool http_permit(struct http_req *req, enum acl_right right, struct str name);
/* Whose token this is: then() is called with req->who and who_err of that one, now or later. */
void http_identify_as(struct http_req *req, struct str token, http_handler then);
/* "Permission denied: Missing service:write on web"; missing NULL: just the first two words. */
void http_deny(struct http_req *req, const char *missing, struct str name);

/* --- answering ----------------------------------------------------------------------------- */
void http_set_header(struct http_req *req, struct str name, struct str value);
/* Content-Type application/json, a writer on req->out that honours req->pretty. */
struct json_writer http_json_begin(struct http_req *req);
void http_finish(struct http_req *req, int status);
/* text/plain; Consul puts no newline behind the text. */
void http_error(struct http_req *req, int status, const char *format, ...) PRINTF(3, 4);
/* Status from the code (err.h's table), text from the sentence as it is: where Consul says
 * "Bad request: " in front, the sentence must. */
void http_error_from(struct http_req *req, const struct err *err);
/* The agent's own settings that handlers ask for. */
struct str http_datacenter(const struct http_req *req);
struct str http_node_name(const struct http_req *req);
void http_dns_domains(const struct http_req *req, struct str *ret_domain, struct str *ret_alt);
bool http_uses_streaming(const struct http_req *req);
bool http_has_coordinates(const struct http_req *req);
/* An answer without end: headers now, then pieces, until http_stream_end() or on_close. A piece is
 * refused (false) while the client has more than HTTP_STREAM_PENDING_MAX bytes to take. */
#define HTTP_STREAM_PENDING_MAX (256u * 1024u)
void http_stream_begin(struct http_req *req, int status);
bool http_stream_write(struct http_req *req, struct str piece);
bool http_stream_is_begun(const struct http_req *req);
/* The client has taken all there was; if not, on_room follows. */
bool http_stream_has_room(const struct http_req *req);
void http_stream_end(struct http_req *req);
/* It cannot be completed: the connection ends in the middle, so that the client sees that. */
void http_stream_abort(struct http_req *req);
/* Take no more of a streamed body until http_body_resume(); neither calls on_body. What a client
 * has sent meanwhile is left in its socket. */
void http_body_pause(struct http_req *req);
void http_body_resume(struct http_req *req);
/* One object as the whole JSON answer, 200. */
void http_json_reply(struct http_req *req, const struct schema *schema, const void *object);
void http_json_id(struct http_req *req, struct str id); /* {"ID": …}: of what was created */
/* X-Consul-Index, -KnownLeader, -LastContact, -Effective-Consistency, -Query-Backend. */
void http_set_meta(struct http_req *req, const struct query_meta *meta);
/* The same where Consul sets the metadata after the status. It is lost then, unless the client
 * accepts gzip, for which the whole head is kept back: most client libraries do. */
void http_set_meta_late(struct http_req *req, const struct query_meta *meta);

/* --- calling methods ----------------------------------------------------------------------- */
typedef void (*http_reply_fn)(struct http_req *req, struct rpc_call *call);
/* A call whose datacenter, query options and token come from the request; NULL when those were
 * malformed (answered). A call that is never started is freed when the request ends. */
struct rpc_call *http_rpc(struct http_req *req, const struct rpc_method *method,
                          http_reply_fn reply);
/* The same for one that takes nothing from the query string; never NULL. The datacenter is the
 * caller's to fill in. */
struct rpc_call *http_rpc_plain(struct http_req *req, const struct rpc_method *method,
                                http_reply_fn reply);
/* Told of an error before it is answered; true: it has answered it itself. */
typedef bool (*http_failed_fn)(struct http_req *req, struct rpc_call *call);
/* Between the two. */
void http_rpc_on_error(struct http_req *req, http_failed_fn failed);
/* Runs it; errors are answered by http_error_from(), else `reply` renders. Canceled when the client
 * goes away. The call is freed after reply. */
void http_rpc_start(struct http_req *req, struct rpc_call *call);
