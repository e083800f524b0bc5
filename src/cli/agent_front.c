/* Every worker has a listening socket of its own on each TCP address (SO_REUSEPORT), so that the
 * kernel spreads connections and nothing is handed between threads. A unix socket cannot be shared
 * like that: the first worker has it. */
#include "cli/agent_front.h"

#include "agent/config.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns/server.h"
#include "http/server.h"
#include "server/rpc_listener.h"
#include "server/server.h"
#include "server/worker.h"

struct agent_front {
    struct worker *workers;
    uint32_t workers_count;
    struct http_front *http;
    struct http_server **http_servers; /* one a worker */
    struct dns_server **dns_servers;   /* one a worker */
    struct rpc_front *rpc;
    struct rpc_listener **rpc_listeners; /* one a worker */
};

/* --- listening
 * -------------------------------------------------------------------------------------- */

static int front_address(const struct config_addr *from, struct address *ret_address,
                         struct err *err)
{
    if (from->path.n > 0) {
        struct arena a = {0};
        struct str url = arena_printf(&a, "unix://%.*s", STRF(from->path));
        int rc = address_parse(ret_address, url, 0, err);
        arena_deinit(&a);
        return rc;
    }
    return address_parse(ret_address, from->host, from->port, err);
}

static const char *cstr_or_null(struct arena *a, struct str s)
{
    return s.n > 0 ? arena_str(a, s).p : NULL;
}

/* HTTPS on a unix socket is HTTP, as in Consul. */
static int front_listen_http(struct agent_front *f, const struct agent_config *config,
                             const struct config_addr *from, bool is_https, struct err *err)
{
    struct arena a = {0};
    struct address address;
    bool is_unix = from->path.n > 0;
    struct listen_options options = {
        .reuse_port = !is_unix,
        .mode = cstr_or_null(&a, config->unix_sockets_mode),
        .user = cstr_or_null(&a, config->unix_sockets_user),
        .group = cstr_or_null(&a, config->unix_sockets_group),
    };
    int rc = front_address(from, &address, err);
    for (uint32_t i = 0; rc >= 0 && i < (is_unix ? 1 : f->workers_count); i++) {
        options.exclusive = i == 0;
        rc = is_https && !is_unix
                 ? http_server_listen_tls(f->http_servers[i], &address, &options, err)
                 : http_server_listen(f->http_servers[i], &address, &options, err);
    }
    if (rc >= 0) {
        struct buf text = {0};
        address_format(&address, &text);
        log_write(LOG_INFO, "agent", "Starting server", LOG_STR("address", buf_view(&text)),
                  LOG_CSTR("network", is_unix ? "unix" : "tcp"),
                  LOG_CSTR("protocol", is_https ? "https" : "http"));
        buf_deinit(&text);
    }
    arena_deinit(&a);
    return rc;
}

/* As a list of one. */
static int one_error(struct err *err)
{
    struct err alone = *err;
    return err_set(err, alone.code, "1 error occurred:\n\t* %s\n\n", err_text(&alone));
}

static int front_new_dns(struct agent_front *f, const struct agent_config *config, struct err *err)
{
    int rc = 0;
    f->dns_servers = xcalloc(f->workers_count, sizeof(struct dns_server *));
    for (uint32_t i = 0; i < f->workers_count; i++) {
        struct dns_settings *settings = dns_settings_new(config, err);
        if (settings == NULL) {
            return -ERR_INVALID;
        }
        f->dns_servers[i] = dns_server_new(&f->workers[i], settings);
        for (size_t k = 0; rc >= 0 && k < config->addresses.dns.n; k++) {
            struct address address;
            rc = front_address(&config->addresses.dns.v[k], &address, err);
            if (rc >= 0) {
                rc = dns_server_listen(f->dns_servers[i], &address, i == 0, err);
                rc = rc < 0 ? one_error(err) : rc;
            }
        }
    }
    return rc;
}

static uint32_t rpc_max_conns(const struct agent_config *config)
{
    int64_t max_conns = config->limits.rpc_max_conns_per_client;
    return max_conns > 0 ? (uint32_t)MIN(max_conns, INT32_MAX) : 0;
}

static uint64_t rpc_handshake_timeout_ms(const struct agent_config *config)
{
    int64_t timeout = config->limits.rpc_handshake_timeout;
    return timeout > 0 ? ((uint64_t)timeout + NS_PER_MS - 1) / NS_PER_MS : 0;
}

/* Where this process is a server. */
static int front_new_rpc(struct agent_front *f, const struct agent_config *config,
                         struct server *server, struct tls_configurator *tls, struct err *err)
{
    const struct config_addr *from = &config->addresses.rpc_bind;
    const struct rpc_front_options options = {
        .max_conns_per_client = rpc_max_conns(config),
        .handshake_timeout_ms = rpc_handshake_timeout_ms(config),
        .raft_accept = server_raft_accept,
        .raft_accept_data = server,
        .tls = tls,
    };
    struct address address;
    f->rpc = rpc_front_new(&options);
    f->rpc_listeners = xcalloc(f->workers_count, sizeof(struct rpc_listener *));
    for (uint32_t i = 0; i < f->workers_count; i++) {
        f->rpc_listeners[i] = rpc_listener_new(f->rpc, &f->workers[i]);
    }
    int rc = from->port > 0 ? front_address(from, &address, err) : 0;
    for (uint32_t i = 0; rc >= 0 && from->port > 0 && i < f->workers_count; i++) {
        rc = rpc_listener_listen(f->rpc_listeners[i], &address, i == 0, err);
    }
    return rc < 0 ? err_wrap(err, "Failed to start Consul server: Failed to start RPC layer") : 0;
}

int agent_front_new(const struct agent_config *config, struct server *server, struct agent *agent,
                    struct tls_configurator *tls, struct worker *workers, uint32_t workers_count,
                    struct agent_front **ret_front, struct err *err)
{
    struct agent_front *f = xcalloc(1, sizeof(*f));
    struct http_options options = {.agent = agent, .tls = tls, .route_sets = http_all_routes};
    *ret_front = f; /* freed by the caller, failed or not */
    f->workers = workers;
    f->workers_count = workers_count;
    http_options_from_config(&options, config);
    f->http = http_front_new(&options);
    f->http_servers = xcalloc(workers_count, sizeof(struct http_server *));
    for (uint32_t i = 0; i < workers_count; i++) {
        f->http_servers[i] = http_server_new(f->http, &workers[i]);
    }
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < config->addresses.http.n; i++) {
        rc = front_listen_http(f, config, &config->addresses.http.v[i], false, err);
    }
    for (size_t i = 0; rc >= 0 && i < config->addresses.https.n; i++) {
        rc = front_listen_http(f, config, &config->addresses.https.v[i], true, err);
    }
    rc = rc < 0 ? rc : front_new_dns(f, config, err);
    return rc < 0 || server == NULL ? rc : front_new_rpc(f, config, server, tls, err);
}

struct dns_configure_msg {
    struct loop_msg msg;
    struct dns_server *dns;
    struct dns_settings *settings;
};

static void dns_configure_run(struct loop_msg *msg)
{
    struct dns_configure_msg *m = container_of(msg, struct dns_configure_msg, msg);
    dns_server_configure(m->dns, m->settings);
    mem_free(m);
}

static void front_configure_dns(struct agent_front *f, const struct agent_config *config)
{
    for (uint32_t i = 0; i < f->workers_count; i++) {
        struct err err = {0};
        struct dns_settings *settings = dns_settings_new(config, &err);
        if (settings == NULL) {
            log_write(LOG_ERROR, "agent.dns", "Failed reloading dns config",
                      LOG_CSTR("error", err_text(&err)));
            return;
        }
        struct dns_configure_msg *m = xcalloc(1, sizeof(*m));
        m->msg.run = dns_configure_run;
        m->dns = f->dns_servers[i];
        m->settings = settings;
        loop_post(f->workers[i].loop, &m->msg);
    }
}

void agent_front_config_changed(struct agent_front *f, const struct agent_config *config)
{
    int64_t max_conns = config->limits.http_max_conns_per_client;
    http_front_set_max_conns(f->http, max_conns > 0 ? (uint32_t)MIN(max_conns, INT32_MAX) : 0);
    if (f->rpc != NULL) {
        rpc_front_set_limits(f->rpc, rpc_max_conns(config), rpc_handshake_timeout_ms(config));
    }
    front_configure_dns(f, config);
}

/* --- the end
 * ---------------------------------------------------------------------------------------- */

struct stop_msg {
    struct loop_msg msg;
    struct http_server *http;
    struct dns_server *dns;   /* NULL: it did not get that far */
    struct rpc_listener *rpc; /* the same */
};

static void stop_run(struct loop_msg *msg)
{
    struct stop_msg *m = container_of(msg, struct stop_msg, msg);
    http_server_stop(m->http);
    if (m->dns != NULL) {
        dns_server_stop(m->dns);
    }
    if (m->rpc != NULL) {
        rpc_listener_stop(m->rpc);
    }
    mem_free(m);
}

void agent_front_stop(struct agent_front *f)
{
    if (f == NULL) {
        return;
    }
    for (uint32_t i = 0; i < f->workers_count; i++) {
        struct stop_msg *m = xcalloc(1, sizeof(*m));
        m->msg.run = stop_run;
        m->http = f->http_servers[i];
        m->dns = f->dns_servers != NULL ? f->dns_servers[i] : NULL;
        m->rpc = f->rpc_listeners != NULL ? f->rpc_listeners[i] : NULL;
        loop_post(f->workers[i].loop, &m->msg); /* run before the loop ends */
    }
}

struct agent_front *agent_front_free(struct agent_front *f)
{
    if (f == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < f->workers_count; i++) {
        f->http_servers[i] = http_server_free(f->http_servers[i]);
        if (f->dns_servers != NULL) {
            f->dns_servers[i] = dns_server_free(f->dns_servers[i]);
        }
        if (f->rpc_listeners != NULL) {
            f->rpc_listeners[i] = rpc_listener_free(f->rpc_listeners[i]);
        }
    }
    mem_free(f->http_servers);
    mem_free(f->dns_servers);
    mem_free(f->rpc_listeners);
    f->rpc = rpc_front_free(f->rpc);
    f->http = http_front_free(f->http);
    return mem_free(f);
}
