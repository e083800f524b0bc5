/* Every worker has a listening socket of its own on each TCP address (SO_REUSEPORT), so that the
 * kernel spreads connections and nothing is handed between threads. A unix socket cannot be shared
 * like that: the first worker has it. */
#include "cli/agent_front.h"

#include "agent/config.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/server.h"
#include "server/worker.h"

struct agent_front {
    struct worker *workers;
    uint32_t workers_count;
    struct http_front *http;
    struct http_server **http_servers; /* one a worker */
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

static int front_listen_http(struct agent_front *f, const struct agent_config *config,
                             const struct config_addr *from, struct err *err)
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
        rc = http_server_listen(f->http_servers[i], &address, &options, err);
    }
    if (rc >= 0) {
        struct buf text = {0};
        address_format(&address, &text);
        log_write(LOG_INFO, "agent", "Starting server", LOG_STR("address", buf_view(&text)),
                  LOG_CSTR("network", is_unix ? "unix" : "tcp"), LOG_CSTR("protocol", "http"));
        buf_deinit(&text);
    }
    arena_deinit(&a);
    return rc;
}

int agent_front_new(const struct agent_config *config, struct server *server, struct agent *agent,
                    struct worker *workers, uint32_t workers_count, struct agent_front **ret_front,
                    struct err *err)
{
    struct agent_front *f = xcalloc(1, sizeof(*f));
    struct http_options options = {.server = server, .agent = agent, .route_sets = http_all_routes};
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
        rc = front_listen_http(f, config, &config->addresses.http.v[i], err);
    }
    return rc;
}

void agent_front_config_changed(struct agent_front *f, const struct agent_config *config)
{
    int64_t max_conns = config->limits.http_max_conns_per_client;
    http_front_set_max_conns(f->http, max_conns > 0 ? (uint32_t)MIN(max_conns, INT32_MAX) : 0);
}

/* --- the end
 * ---------------------------------------------------------------------------------------- */

struct stop_msg {
    struct loop_msg msg;
    struct http_server *http;
};

static void stop_run(struct loop_msg *msg)
{
    struct stop_msg *m = container_of(msg, struct stop_msg, msg);
    http_server_stop(m->http);
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
    }
    mem_free(f->http_servers);
    f->http = http_front_free(f->http);
    return mem_free(f);
}
