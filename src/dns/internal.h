/* internal.h - what the files of the DNS front end share: the server of one worker, a question on
 * its way, and what a question may wait for.
 *
 * The life of a question: query.c parses it and chooses the zone; node.c, service.c, reverse.c add
 * records to q->reply from the view of this turn; trim.c cuts; query.c writes and sends. Everything
 * is in the arena of the question and gone after the turn.
 *
 * When something is missing that another has to be asked for, dns_need() says so by returning NULL.
 * The run goes on, so that it finds out all it needs; its reply is thrown away, the question is
 * parked (struct dns_wait, with its bytes), and run again when every need is settled. A run has the
 * same randomness each time (q->rng), so that it comes by the same names. DNS_ROUNDS_MAX ends it.
 */
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "dns/name.h"
#include "dns/settings.h"
#include "loop/loop.h"
#include "loop/udp.h"
#include "proto/dns.h"

#define DNS_WAITS_MAX 4096u     /* parked questions of a worker; further ones get SERVFAIL */
#define DNS_ROUNDS_MAX 8u       /* runs of one question */
#define DNS_NEEDS_MAX 256u      /* things one question may wait for */
#define DNS_CONNS_MAX 4096u     /* TCP connections of a worker */
#define DNS_CONN_WAITS_MAX 128u /* parked questions of one connection: it is not read meanwhile */
#define DNS_CONN_PENDING_MAX (256u * 1024u) /* unread answers of one connection, likewise */
#define DNS_LISTENERS_MAX 16u
#define DNS_CACHE_SIZE_MAX ((size_t)32 << 20) /* prepared record sets of a worker */
#define DNS_CACHE_SETS_MAX 4096u
#define DNS_RECURSION_MAX 3u /* names of ours that point to names of ours */
#define DNS_OUT_SIZE (DNS_SIZE_MAX + DNS_NAME_SIZE_MAX + 1u)

struct check_service_node;
struct dns_conn;
struct dns_resolver;
struct dns_set;
struct dns_wait;
struct metric;
struct node;
struct objlist;
struct rpc_call;
struct store_view;

/* --- sets of records prepared for a service: set.c -------------------------------------------- */

/* By what the records show: an address of one family or any, SRV, NS. */
enum dns_set_type { DNS_SET_A, DNS_SET_AAAA, DNS_SET_ANY, DNS_SET_SRV, DNS_SET_NS };

struct dns_lookup {
    enum dns_kind kind; /* service, connect, ingress, or query: service is its name */
    enum dns_set_type type;
    struct str service, tag, datacenter; /* lower case */
};

/* One record to be, or several that look the same. */
struct dns_instance {
    struct str address; /* 4 or 16 bytes; empty: a name, which is srv's target */
    struct str srv;     /* SRV data: priority, weight, port, target */
    /* Of names: the node's address and SRV data, for when the service is told to be its own alias.
     */
    struct str node_address, node_srv;
    struct str meta_owner;
    const struct str *metas; /* TXT data, of the node */
    uint32_t metas_count;
    uint32_t stamp; /* given out in this drawing already */
};

struct dns_set {
    struct str key;
    struct list node; /* least recently used first */
    struct arena arena;
    enum dns_set_type type;
    uint64_t era, view_index; /* of the view it was last found to be true of */
    uint64_t service_index, kind_index;
    uint32_t ttl;
    uint32_t stamp;
    bool in_order;          /* drawn as they come: a prepared query has ordered them */
    size_t healthy;         /* instances that may be given out, with or without such records */
    struct dns_instance *v; /* those with an address first */
    size_t n, n_addresses;
    /* What is drawn from: an index into v for each instance of the service. Any permutation will
     * do, so it is shuffled in place, only as far as records are wanted. */
    uint32_t *order;
    size_t order_count, order_addresses; /* those with an address are first here too */
};

struct dns_cache {
    struct map sets;
    struct dns_set *empty; /* of all services that are not there */
    struct list lru, dead;
    size_t size;
};

/* --- addresses to names: reverse.c ------------------------------------------------------------ */

struct dns_reverse {
    struct map nodes, services; /* address bytes to name */
    struct arena arena;
    uint64_t era, view_index, nodes_index, services_index;
    bool is_built;
};

/* --- the server ------------------------------------------------------------------------------- */

struct dns_listener; /* server.c */

struct dns_server {
    struct worker *worker;
    struct dns_settings *settings;
    struct arena arena;      /* of the question being answered */
    struct dns_names *names; /* of the message being written */
    uint8_t *out;            /* DNS_OUT_SIZE */
    struct dns_cache cache;
    struct dns_reverse reverse;
    struct dns_resolver *resolver;
    struct list waits, conns;
    uint32_t waits_count, conns_count;
    struct dns_listener *listeners[DNS_LISTENERS_MAX];
    uint32_t listeners_count;
    struct metric *domain_queries, *ptr_queries;
    bool stopping;
};

/* Where an answer goes. */
struct dns_client {
    void (*send)(const struct dns_client *client, uint8_t *message, size_t size);
    uint64_t received_ns; /* by clock_mono_ns() */
    bool is_tcp;
    struct udp_socket *udp; /* or */
    struct dns_conn *conn;
    struct udp_peer peer; /* both have an address */
};
/* A wait keeps the connection's memory and counts against it. */
void dns_conn_wait_begin(struct dns_conn *conn);
void dns_conn_wait_end(struct dns_conn *conn);

/* --- a question: query.c ---------------------------------------------------------------------- */

enum dns_outcome {
    DNS_OK,
    DNS_NO_DATA, /* the name is there, no such records: NOERROR with SOA */
    DNS_NO_NAME, /* NXDOMAIN */
    DNS_FAILED,  /* SERVFAIL */
};

struct dns_query {
    struct dns_server *server;
    const struct dns_settings *settings;
    const struct store_view *view; /* NULL: no store here */
    const struct dns_client *client;
    struct arena *arena;
    struct rng rng, rng_start; /* the worker's when the question came, now and then */
    struct str bytes;
    struct dns_msg request, reply;
    const struct dns_rr *opt; /* of the request */
    struct dns_wait *wait;    /* NULL in the first run */
    bool is_tcp, is_incomplete, ecs_not_global;
    uint64_t start_ns;
    struct list missing; /* needs found in this run */
    uint32_t missing_count;
};

/* What is being asked: the client's question, or a CNAME's target that is ours. */
struct dns_ask {
    struct str name; /* wire, as it was asked */
    uint16_t type;
    unsigned depth; /* further names that may be followed */
};

/* A message that came in; it lives until the call returns. */
void dns_query_receive(struct dns_server *s, struct str bytes, const struct dns_client *client);
/* The steps of that, for a question that is run again. */
void dns_query_init(struct dns_query *q, struct dns_server *s, struct arena *a, struct str bytes,
                    const struct dns_client *client);
void dns_query_fail(struct dns_query *q);  /* SERVFAIL */
bool dns_query_parse(struct dns_query *q); /* false: it was answered, or is not worth an answer */
void dns_query_answer(struct dns_query *q);
/* Records of a name in our domain go to q->reply's answer and additional sections. */
enum dns_outcome dns_dispatch(struct dns_query *q, const struct dns_ask *ask);

/* Fill a record in and add it. */
void dns_reply_add(struct dns_query *q, struct dns_rrs *rrs, struct str owner, uint16_t type,
                   uint32_t ttl, struct str data);
/* Text to wire form in the query's arena; empty when no record can hold it. */
struct str dns_query_name(struct dns_query *q, struct str text);
/* What has to be asked of others when this turn's view may not answer: see wait.c. */
enum dns_need_kind {
    DNS_NEED_NAME,    /* what recursors say about a name */
    DNS_NEED_SERVICE, /* a service, from where it is known */
    DNS_NEED_QUERY,   /* what a prepared query finds; name: the client's IP address */
    DNS_NEED_NODE,
    DNS_NEED_NODE_AT,    /* the name of a node with an address */
    DNS_NEED_SERVICE_AT, /* the name of a service with one */
};
/* May the view of this turn answer for a data center (empty: ours)? */
bool dns_may_read(const struct dns_query *q, struct str datacenter, enum dns_need_kind kind);
/* Whether a stale answer is older than dns_config.max_stale allows. */
bool dns_is_too_stale(const struct dns_settings *s, enum dns_need_kind kind,
                      int64_t last_contact_ns);
/* How many answers of a type could be sent at most. */
size_t dns_answers_max(const struct dns_query *q, const struct dns_ask *ask);

enum dns_outcome dns_answer_node(struct dns_query *q, const struct dns_ask *ask,
                                 const struct dns_name_parts *parts);
enum dns_outcome dns_answer_service(struct dns_query *q, const struct dns_ask *ask,
                                    const struct dns_name_parts *parts);
enum dns_outcome dns_answer_query(struct dns_query *q, const struct dns_ask *ask,
                                  const struct dns_name_parts *parts);
/* text: the name without our domain */
enum dns_outcome dns_answer_addr(struct dns_query *q, struct str text, struct str digits);
/* The set of a look-up, from here or from elsewhere. NULL: *ret_outcome (may be NULL) says why. */
struct dns_set *dns_find_set(struct dns_query *q, const struct dns_lookup *lookup,
                             enum dns_outcome *ret_outcome);
/* Up to three servers: NS records, and their addresses. */
void dns_add_nameservers(struct dns_query *q, struct dns_rrs *to);
/* False: not known. */
bool dns_answer_ptr(struct dns_query *q);
/* TXT records of a node's metadata. */
struct str dns_meta_text(struct arena *a, struct str key, struct str value);
/* The records behind a CNAME's target; nothing when that cannot be found out. */
struct dns_rrs dns_resolve_name(struct dns_query *q, struct str name, unsigned depth);

/* --- trim.c ----------------------------------------------------------------------------------- */

struct dns_trim {
    struct dns_names *names;
    bool compress, is_tcp, set_truncated;
    size_t udp_size;       /* what the client takes */
    int64_t answers_limit; /* without EDNS */
};
/* Cut answers until the message fits, and write it to `out` (DNS_OUT_SIZE): as dns_write(). */
NODISCARD int dns_trim_write(struct dns_msg *m, struct arena *a, const struct dns_trim *trim,
                             uint8_t *out);

void dns_reverse_clear(struct dns_reverse *reverse);

/* --- set.c ------------------------------------------------------------------------------------ */

/* The set for a look-up that the view may answer; kept until something it shows changes. Never
 * NULL. */
struct dns_set *dns_set_find(struct dns_query *q, const struct dns_lookup *lookup);
/* One of these instances, for a look-up that was answered elsewhere. */
struct dns_set *dns_set_new(const struct dns_settings *settings, const struct dns_lookup *lookup,
                            const struct objlist *nodes);
struct dns_set *dns_set_free(struct dns_set *set);
void dns_cache_init(struct dns_cache *cache);
void dns_cache_clear(struct dns_cache *cache);
void dns_cache_collect(struct dns_cache *cache); /* between questions */
void dns_cache_deinit(struct dns_cache *cache);
/* Draw up to `want` different instances at random, without looking at the others: those with an
 * address, or of SRV and NS sets any. */
size_t dns_set_draw(struct dns_query *q, struct dns_set *set, size_t want, uint32_t *to);

/* --- address.c -------------------------------------------------------------------------------- */

/* 4, 16 (IPv4 mapped into IPv6 is 4), or 0: no IP address. */
unsigned dns_ip_parse(struct str text, uint8_t ret_ip[16]);
/* Which of a node's or service's addresses counts for this type of set. */
struct str dns_node_address(const struct dns_settings *settings, enum dns_set_type type,
                            const struct node *node, struct str datacenter);
struct node_service;
struct str dns_service_address(const struct dns_settings *settings, enum dns_set_type type,
                               const struct node_service *service, struct str datacenter);
int64_t dns_service_port(const struct dns_settings *settings, const struct node_service *service,
                         struct str datacenter);

/* --- waiting: wait.c -------------------------------------------------------------------------- */

struct dns_need {
    struct list node;
    enum dns_need_kind kind;
    struct str key; /* tells needs of a kind apart */
    struct str name;
    struct dns_lookup lookup;
    /* when it is settled */
    bool is_settled;
    int code;            /* 0 or -ERR_x */
    struct dns_rrs rrs;  /* NAME: in the wait's arena */
    struct dns_set *set; /* SERVICE, QUERY: its own; NULL: the request failed */
    struct node *found;  /* NODE: its own; NULL: no such node */
    struct str found_at; /* …_AT: in the wait's arena; empty: none */
    /* wait.c's */
    bool is_retry;
    struct dns_wait *wait;
    struct rpc_call *call;
    struct dns_exchange *exchange;
};

/* The settled need of this kind and key, or NULL: it was noted, and the run is void. want: kind,
 * name and lookup are filled in. */
const struct dns_need *dns_need(struct dns_query *q, const struct dns_need *want);
/* Park the question of an incomplete run; false when that is not possible. */
bool dns_wait_start(struct dns_query *q);
/* Hand the question to the recursors and their answer to the client. */
void dns_forward(struct dns_query *q);
void dns_waits_cancel(struct dns_server *s);

/* --- recursor.c ------------------------------------------------------------------------------- */

struct dns_exchange {
    struct list node;
    struct dns_server *server;
    char *request; /* lives as long as the exchange; its id is replaced */
    size_t request_size;
    bool is_tcp;
    bool any_rcode; /* whatever a recursor says is an answer; else NOERROR and NXDOMAIN are */
    /* Once, never from inside dns_exchange_start(): the reply (valid in the call), or empty. */
    void (*done)(struct dns_exchange *x, struct str reply);
    void *data;
    /* recursor.c's */
    size_t recursor;
    uint16_t id;
    bool is_starting;
    struct loop_timer timer;
    struct dns_socket *socket;
    struct dns_stream *stream;
};

struct dns_resolver *dns_resolver_new(struct dns_server *s);
void dns_resolver_stop(struct dns_resolver *r);
struct dns_resolver *dns_resolver_free(struct dns_resolver *r);
void dns_exchange_start(struct dns_exchange *x);
void dns_exchange_cancel(struct dns_exchange *x);
