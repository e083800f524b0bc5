/* front.h - the insides of the front end, shared by the files that make it up: the front, a
 * worker's server, a connection, a request under way.
 *
 * Memory. A connection is its socket, a timer and the client's address: about 400 bytes when idle
 * or when its request waits. Input is parsed where it was read, in the loop's shared buffer; only
 * an incomplete rest is kept. A request's head and small body are copied into the arena of a
 * `flight`, whose first block is part of it; flights are recycled, so that a small request costs no
 * malloc. Answers are put one behind the other into one buffer of the worker and written once for
 * each run through the connection's input (pipelining); a large body goes out from where it was
 * rendered. The buffers answers are made in go round as well.
 *
 * Life of a request: conn.c finds the head's end, parses it (proto/http1), collects the body;
 * routes.c finds the route, checks and calls the handler; that ends in reply.c's http_finish(), at
 * once or later, which composes the answer; conn.c goes on with what the client had sent meanwhile.
 */
#pragma once
#include <netinet/in.h>
#include <stdatomic.h>

#include "http/http.h"
#include "http/server.h"
#include "loop/loop.h"
#include "proto/http1.h"
#include "server/acl_resolver.h"

#define HTTP_BODY_SIZE_MAX ((size_t)64 << 20) /* or the limits of KV and transactions */
#define HTTP_INPUT_SIZE_MAX (64u * 1024u)     /* kept while a request waits; then reading stops */
#define HTTP_READ_TIMEOUT_MS 60000u           /* without a byte in the middle of a request */
#define HTTP_WRITE_TIMEOUT_MS 120000u         /* without the client taking any of its answer */
#define HTTP_LINGER_MS 500u /* after an error, for the client to read the answer */
#define HTTP_FLIGHT_ARENA_SIZE 1024u
#define HTTP_OUT_KEEP_SIZE_MAX (64u * 1024u) /* of a recycled flight's buffers */
#define HTTP_FLIGHTS_KEPT_MAX 64u
#define HTTP_INLINE_BODY_MAX 16384u /* larger answers are not copied behind their head */
#define HTTP_GZIP_SIZE_MIN 1400u

struct config_cidrlist;
struct conn_limit;
struct http_gzip;
struct metric;
struct tls_context;

/* By the place of the method's bit. Methods that have none are not measured: their names are the
 * clients'. */
#define HTTP_METHODS_MEASURED 6u

struct http_entry { /* a route as the front holds it */
    const struct http_route *route;
    struct str pattern;
    struct http_entry *parent; /* the longest other pattern that this one begins with, or NULL */
    /* Time spent, under the name of 1.9 and that of before; made with the first request. */
    _Atomic(struct metric *) time[HTTP_METHODS_MEASURED], old_time[HTTP_METHODS_MEASURED];
    struct str allow; /* "OPTIONS,GET"; empty when the handler looks to methods itself */
};

struct http_front {
    struct http_options options; /* strings in `strings` */
    struct arena strings;
    struct http_entry **entries; /* sorted by pattern */
    size_t entries_count;
    struct str common_headers; /* of every API answer */
    struct str extra_headers;  /* response_headers alone: of every other answer */
    struct http1_limits limits;
    size_t body_size_max;
    _Atomic uint32_t max_conns_per_client;
    struct conn_limit *clients; /* connections of each */
};

struct http_listener {
    struct tcp_listener tcp;
    struct http_server *server;
    struct http_listener *next;
};

struct http_server {
    struct http_front *front;
    struct worker *worker;
    struct loop *loop;
    struct list conns;
    struct list handshakes; /* at an HTTPS port without a certificate */
    uint32_t conns_count;   /* of both */
    struct http_listener *listeners;
    struct http_flight *free_flights;
    uint32_t free_flights_count;
    /* Storage that what is being answered has meanwhile: the wire of a batch or an answer, the
     * buffers of a flight. Those that wait give it back, so that there is little more than one. */
    struct buf wire, spare_out, spare_headers;
    struct http_gzip *gzip;
    int64_t date_s; /* what `date` shows */
    char date[40];  /* "Date: Fri, 20 Nov 2026 12:00:00 GMT\r\n" */
    size_t date_size;
    bool stopping;
};

enum http_phase {
    HTTP_BODY,      /* collecting the body */
    HTTP_HANDLING,  /* the handler has it */
    HTTP_STREAMING, /* an answer without end is under way */
};

struct http_flight {
    struct http_req req;
    enum http_phase phase;
    bool is_json;    /* began with http_json_begin() */
    bool is_api;     /* answered with the headers of API endpoints */
    bool keep_alive; /* what the client wants */
    bool is_bare;    /* answered without even the configured headers, as by Go's mux */
    bool no_body;    /* HEAD */
    bool call_started;
    bool chunk_reply; /* a stream in chunks */
    uint32_t minor;
    struct arena arena;
    struct buf out, reply_headers, body;
    uint64_t body_left;
    bool chunked;
    struct http1_chunked chunks;
    bool is_body_open;   /* streamed, and the handler has not had all of it */
    bool is_body_paused; /* by the handler */
    uint64_t started_ns;
    struct http_entry *entry; /* the route's, once it is known */
    struct str target;        /* as sent, for the log */
    struct acl_wait acl_wait; /* acl.c's: for req.who */
    http_handler identified;
    /* rpc_bridge.c's: the call that is under way. */
    struct rpc_call *call;
    http_reply_fn reply;
    http_failed_fn failed; /* NULL: nobody cares for errors */
    void (*cancel)(struct http_flight *f);
    bool (*is_parked)(struct http_flight *f);
    struct http_flight *next_free;
    _Alignas(ARENA_ALIGN) char block[HTTP_FLIGHT_ARENA_SIZE];
};

struct http_conn {
    struct tcp_stream stream;
    struct http_server *server;
    struct list node;
    struct loop_timer timer;
    struct buf in; /* input not yet used */
    struct http1_scan scan;
    struct http_flight *flight;
    size_t pending_seen; /* what was unwritten when the timer was set */
    struct buf *wire;    /* of the running batch, else NULL */
    struct loop_msg resume;
    bool resuming;
    bool last;      /* close once what was written is out */
    bool lingering; /* answer sent, reading on only to let it arrive */
    bool eof, closed;
    bool counted; /* among the client's connections */
    uint8_t ip_size;
    char ip[INET6_ADDRSTRLEN];
    uint16_t port; /* 0: a Unix socket's */
};

static inline struct http_flight *flight_of(const struct http_req *req)
{
    return container_of((struct http_req *)req, struct http_flight, req);
}

/* --- conn.c ---------------------------------------------------------------------------------- */
/* tls NULL: plain. */
void http_accept(struct http_server *s, int fd, const struct address *peer,
                 struct tls_context *tls);
void http_conn_close(struct http_conn *c);
/* Close it when the client takes nothing for HTTP_WRITE_TIMEOUT_MS. */
void http_conn_watch_reader(struct http_conn *c);
/* Go on with the input that came meanwhile, but from the top of the stack. */
void http_conn_resume_soon(struct http_conn *c);
/* The answer of the connection's flight: `head` (the running batch's buffer, or one of its own that
 * is taken) and `body`, the flight's. Send, recycle the flight, go on. */
void http_conn_answered(struct http_conn *c, struct buf *head, struct buf *body, bool close);
struct http_flight *http_flight_new(struct http_conn *c);
/* What a flight gave back when it began to wait, or some like it. Without it an answer has to grow
 * buffers of its own. */
void http_flight_take_bufs(struct http_flight *f);
void http_flight_free(struct http_server *s, struct http_flight *f);
void http_flights_drain(struct http_server *s);

/* --- no_certificate.c ------------------------------------------------------------------------ */
void http_no_certificate_accept(struct http_server *s, int fd, const struct address *peer);
void http_no_certificate_stop(struct http_server *s);

/* --- routes.c -------------------------------------------------------------------------------- */
struct http_entry *http_route_find(const struct http_front *f, struct str path);
void http_routes_init(struct http_front *f);
/* The request is whole: find its handler and call it. */
void http_dispatch(struct http_flight *f);
/* Whether Go's mux would redirect; the cleaned path then. */
bool http_clean_path(struct arena *a, struct str path, struct str *ret_path);

/* --- measure.c ------------------------------------------------------------------------------- */
/* The request is answered: how long it took. */
void http_measure(struct http_flight *f);

/* --- params.c -------------------------------------------------------------------------------- */
NODISCARD int http_parse_params(struct http_req *req);
void http_parse_token(struct http_req *req);

/* --- reply.c --------------------------------------------------------------------------------- */
/* Headers of an answer, up to and with the empty line. size < 0: chunked or until the end. */
void http_put_head(struct http_flight *f, struct buf *to, int status, int64_t size, bool close,
                   bool gzip);
const char *http_status_text(int status);

/* --- gzip.c ---------------------------------------------------------------------------------- */
bool http_accepts_gzip(struct str accept_encoding);
struct http_gzip *http_gzip_free(struct http_gzip *g);
/* body compressed into *ret_to; false when it could not be. */
bool http_gzip_body(struct http_gzip **g, struct str body, struct buf *ret_to);
