#include "http/server.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/front.h"
#include "loop/conn_limit.h"
#include "loop/tls_context.h"
#include "server/worker.h"

/* --- the front ----------------------------------------------------------------------------- */

static struct strlist copy_strlist(struct arena *a, struct strlist l)
{
    struct str *v = ARENA_ARRAY(a, struct str, l.n);
    for (size_t i = 0; i < l.n; i++) {
        v[i] = arena_str(a, l.v[i]);
    }
    return (struct strlist){v, l.n};
}

/* "x-test" is sent as "X-Test": http.CanonicalHeaderKey. */
static struct str canonical_name(struct arena *a, struct str name)
{
    struct str s = arena_lower(a, name);
    char *p = (char *)(uintptr_t)s.p; /* ours, just made */
    bool upper = true;
    for (size_t i = 0; i < s.n; i++) {
        if (upper && p[i] >= 'a' && p[i] <= 'z') {
            p[i] = (char)(p[i] - 'a' + 'A');
        }
        upper = p[i] == '-';
    }
    return s;
}

static struct strmap copy_headers(struct arena *a, struct strmap m)
{
    struct strpair *v = ARENA_ARRAY(a, struct strpair, m.n);
    for (size_t i = 0; i < m.n; i++) {
        v[i].key = canonical_name(a, m.v[i].key);
        v[i].value = arena_str(a, m.v[i].value);
    }
    return (struct strmap){v, m.n};
}

static struct config_cidrlist copy_cidrs(struct arena *a, struct config_cidrlist l)
{
    struct config_cidr *v = ARENA_ARRAY(a, struct config_cidr, l.n);
    for (size_t i = 0; i < l.n; i++) {
        v[i] = l.v[i];
        v[i].text = arena_str(a, l.v[i].text);
    }
    return (struct config_cidrlist){v, l.n};
}

static void copy_options(struct http_front *f, const struct http_options *options)
{
    struct arena *a = &f->strings;
    struct http_options *o = &f->options;
    *o = *options;
    o->datacenter = arena_str(a, o->datacenter);
    o->node_name = arena_str(a, o->node_name);
    o->dns_domain = arena_str(a, o->dns_domain);
    o->dns_alt_domain = arena_str(a, o->dns_alt_domain);
    o->ui_content_path = arena_str(a, o->ui_content_path);
    o->ui_dir = arena_str(a, o->ui_dir);
    o->acl_default_policy = arena_str(a, o->acl_default_policy);
    o->response_headers = copy_headers(a, o->response_headers);
    o->block_endpoints = copy_strlist(a, o->block_endpoints);
    o->allow_write_from = copy_cidrs(a, o->allow_write_from);
}

struct http_front *http_front_new(const struct http_options *options)
{
    struct http_front *f = xcalloc(1, sizeof(*f));
    copy_options(f, options);
    bool varies = true; /* unless the configuration says of what itself */
    for (size_t i = 0; i < f->options.response_headers.n; i++) {
        varies &= !str_eq_fold(f->options.response_headers.v[i].key, STR("Vary"));
    }
    f->common_headers = varies ? STR("Vary: Accept-Encoding\r\n") : STR("");
    if (f->options.translate_wan_addrs) {
        f->common_headers = arena_concat(&f->strings, f->common_headers,
                                         STR("X-Consul-Translate-Addresses: true\r\n"));
    }
    if (f->options.acl_default_policy.n > 0) {
        f->common_headers =
            arena_printf(&f->strings, "%.*sX-Consul-Default-Acl-Policy: %.*s\r\n",
                         STRF(f->common_headers), STRF(f->options.acl_default_policy));
    }
    size_t configured_head = options->max_header_bytes;
    f->limits = (struct http1_limits){
        .head_size_max = (configured_head > 0 ? configured_head : HTTP1_HEAD_SIZE_MAX_DEFAULT) +
                         HTTP1_HEAD_SLACK,
        .headers_max = HTTP1_HEADERS_MAX_DEFAULT,
    };
    uint64_t configured = MAX(options->kv_max_value_size, options->txn_max_req_len);
    f->body_size_max = MAX(HTTP_BODY_SIZE_MAX, (size_t)configured);
    atomic_init(&f->max_conns_per_client, options->max_conns_per_client);
    f->clients = conn_limit_new();
    http_routes_init(f);
    return f;
}

struct http_front *http_front_free(struct http_front *f)
{
    if (f == NULL) {
        return NULL;
    }
    f->clients = conn_limit_free(f->clients);
    arena_deinit(&f->strings);
    return mem_free(f);
}

void http_front_set_max_conns(struct http_front *f, uint32_t max_conns_per_client)
{
    atomic_store_explicit(&f->max_conns_per_client, max_conns_per_client, memory_order_relaxed);
}

void http_options_from_config(struct http_options *o, const struct agent_config *config)
{
    const struct config_limits *limits = &config->limits;
    o->datacenter = config->datacenter;
    o->node_name = config->node_name;
    o->dns_domain = config->dns.domain;
    o->dns_alt_domain = config->dns.alt_domain;
    o->is_dev = config->is_dev;
    o->translate_wan_addrs = config->translate_wan_addrs;
    o->use_cache = config->http.use_cache;
    o->use_streaming = config->use_streaming_backend;
    o->disable_coordinates = config->coordinates.disabled;
    o->allow_unprintable_paths = config->disable_http_unprintable_char_filter;
    o->ui_content_path =
        config->ui.enabled || config->ui.dir.n > 0 ? config->ui.content_path : STR_NULL;
    o->ui_dir = config->ui.dir;
    o->acl_enabled = config->acl.enabled;
    o->acl_default_policy = config->acl.default_policy;
    o->discovery_max_stale = config->discovery_max_stale;
    o->response_headers = config->http.response_headers;
    o->block_endpoints = config->http.block_endpoints;
    o->allow_write_from = config->http.allow_write_from;
    o->max_header_bytes =
        config->http.max_header_bytes > 0 ? (size_t)config->http.max_header_bytes : 0;
    o->max_conns_per_client = limits->http_max_conns_per_client > 0
                                  ? (uint32_t)MIN(limits->http_max_conns_per_client, INT32_MAX)
                                  : 0;
    o->https_handshake_timeout_ms =
        limits->https_handshake_timeout > 0
            ? ((uint64_t)limits->https_handshake_timeout + NS_PER_MS - 1) / NS_PER_MS
            : 0;
    o->kv_max_value_size = limits->kv_max_value_size;
    o->txn_max_req_len = limits->txn_max_req_len;
    o->disable_compat_1_9 = config->telemetry.disable_compat_one_nine;
}

/* --- a worker's server --------------------------------------------------------------------- */

struct http_server *http_server_new(struct http_front *f, struct worker *w)
{
    struct http_server *s = xcalloc(1, sizeof(*s));
    s->front = f;
    s->worker = w;
    s->loop = w->loop;
    list_init(&s->conns);
    list_init(&s->handshakes);
    return s;
}

static void listener_accept(struct tcp_listener *tcp, int fd, const struct address *peer)
{
    http_accept(container_of(tcp, struct http_listener, tcp)->server, fd, peer, NULL);
}

/* With the settings of this moment: a reload may bring a certificate, or take it. */
static void tls_listener_accept(struct tcp_listener *tcp, int fd, const struct address *peer)
{
    struct http_server *s = container_of(tcp, struct http_listener, tcp)->server;
    struct tls_configurator *tls = s->front->options.tls;
    struct tls_context *context = tls != NULL ? tls_configurator_get(tls) : NULL;
    if (context != NULL && context->has_cert) {
        http_accept(s, fd, peer, context);
    } else {
        http_no_certificate_accept(s, fd, peer);
    }
    (void)tls_context_unref(context);
}

static void listener_start(struct http_server *s, int fd,
                           void (*accept)(struct tcp_listener *l, int fd,
                                          const struct address *peer))
{
    struct http_listener *l = xcalloc(1, sizeof(*l));
    l->server = s;
    l->next = s->listeners;
    s->listeners = l;
    tcp_listener_start(&l->tcp, s->loop, fd, accept);
}

void http_server_listen_fd(struct http_server *s, int fd)
{
    listener_start(s, fd, listener_accept);
}

void http_server_listen_tls_fd(struct http_server *s, int fd)
{
    listener_start(s, fd, tls_listener_accept);
}

int http_server_listen(struct http_server *s, const struct address *address,
                       const struct listen_options *options, struct err *err)
{
    int fd = listen_socket(address, options, err);
    if (fd < 0) {
        return fd;
    }
    http_server_listen_fd(s, fd);
    return 0;
}

int http_server_listen_tls(struct http_server *s, const struct address *address,
                           const struct listen_options *options, struct err *err)
{
    int fd = listen_socket(address, options, err);
    if (fd < 0) {
        return fd;
    }
    http_server_listen_tls_fd(s, fd);
    return 0;
}

void http_server_stop(struct http_server *s)
{
    s->stopping = true;
    for (struct http_listener *l = s->listeners; l != NULL; l = l->next) {
        tcp_listener_close(&l->tcp);
    }
    list_for_each (node, &s->conns) {
        http_conn_close(list_entry(node, struct http_conn, node));
    }
    http_no_certificate_stop(s);
}

struct http_server *http_server_free(struct http_server *s)
{
    if (s == NULL) {
        return NULL;
    }
    ASSERT(s->conns_count == 0);
    while (s->listeners != NULL) {
        struct http_listener *l = s->listeners;
        s->listeners = l->next;
        mem_free(l);
    }
    http_flights_drain(s);
    s->gzip = http_gzip_free(s->gzip);
    return mem_free(s);
}

uint32_t http_server_connections(const struct http_server *s)
{
    return s->conns_count;
}
