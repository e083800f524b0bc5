/* fixture.h - a DNS server over a store of its own, without Raft: questions go in as bytes, answers
 * come back parsed. */
#pragma once
#include "test.h"

#include "agent/config.h"
#include "base/epoch.h"
#include "base/err.h"
#include "base/mem.h"
#include "dns/internal.h"
#include "dns/server.h"
#include "server/router.h"
#include "server/server.h"
#include "server/worker.h"
#include "store/catalog.h"

struct fixture {
    struct worker worker;
    struct server server;
    struct dns_server *dns;
    struct dns_client client;
    struct agent_config config;
    struct arena arena; /* of the test: requests, and the answer */
    uint64_t index;
    unsigned answers; /* how many came back */
    struct str bytes; /* the last one */
    struct dns_msg answer;
};

/* One at a time. */
static struct fixture *fixture_of_client;

static void fixture_receive(const struct dns_client *client UNUSED, uint8_t *message, size_t size)
{
    struct fixture *f = fixture_of_client;
    f->answers++;
    f->bytes = arena_str(&f->arena, str_make(message, size));
    assert_ok(dns_parse(&f->arena, f->bytes, &f->answer));
}

UNUSED static void fixture_configure(struct fixture *f)
{
    struct err err = {0};
    struct dns_settings *settings = dns_settings_new(&f->config, &err);
    assert_non_null(settings);
    dns_server_configure(f->dns, settings);
}

static size_t fixture_nodes(void *data UNUSED)
{
    return 1;
}

static void fixture_changed(void *data UNUSED)
{
}

UNUSED static int fixture_setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err = {0};
    f->config.datacenter = STR("dc1");
    f->config.node_name = STR("node1");
    f->config.dns = (struct config_dns){
        .domain = STR("consul."),
        .allow_stale = true,
        .node_meta_txt = true,
        .udp_answer_limit = 3,
        .max_stale = INT64_MAX,
        .recursor_timeout = 2000000000,
        .soa_refresh = 3600,
        .soa_retry = 600,
        .soa_expire = 86400,
    };
    f->server.epoch = epoch_new();
    f->server.store = store_new(f->server.epoch);
    f->server.delegate.datacenter = f->server.options.datacenter = STR("dc1");
    worker_init(&f->worker, loop_new("test"), 0);
    loop_add_epoch(f->worker.loop, f->server.epoch);
    const struct router_options router = {.main = &f->worker,
                                          .datacenter = STR("dc1"),
                                          .nodes = fixture_nodes,
                                          .changed = fixture_changed};
    f->server.delegate.router = router_new(&router);
    router_add_reader(f->server.delegate.router, f->worker.loop);
    f->worker.delegate = &f->server.delegate;
    f->worker.server = &f->server;
    rng_seed(&f->worker.rng, 7);
    struct dns_settings *settings = dns_settings_new(&f->config, &err);
    assert_non_null(settings);
    f->dns = dns_server_new(&f->worker, settings);
    f->client.send = fixture_receive;
    f->index = 10;
    fixture_of_client = f;
    *state = f;
    return 0;
}

UNUSED static int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    dns_server_stop(f->dns);
    router_stop(f->server.delegate.router);
    struct loop *loop = f->worker.loop;
    loop_stop(loop);
    loop_run(loop);
    worker_deinit(&f->worker);
    (void)loop_free(loop);
    f->dns = dns_server_free(f->dns);
    f->server.delegate.router = router_free(f->server.delegate.router);
    (void)store_free(f->server.store);
    (void)epoch_free(f->server.epoch);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

/* --- the catalog ------------------------------------------------------------------------------ */

UNUSED static void fixture_register(struct fixture *f, const struct register_request *req)
{
    struct err err = {0};
    struct store_txn *tx = store_txn_begin(f->server.store, ++f->index);
    assert_ok(catalog_register(tx, req, 0, &err));
    store_txn_commit(tx);
    (void)epoch_collect(f->server.epoch);
}

UNUSED static void fixture_service(struct fixture *f, struct str node, struct str address,
                                   struct str service, struct str service_address, int64_t port)
{
    struct node_service s = {
        .id = service, .service = service, .address = service_address, .port = port};
    const struct register_request req = {
        .datacenter = STR("dc1"), .node = node, .address = address, .service = &s};
    fixture_register(f, &req);
}

UNUSED static void fixture_check(struct fixture *f, struct str node, struct str service_id,
                                 struct str status)
{
    struct err err = {0};
    const struct health_check check = {
        .node = node, .check_id = STR("c"), .service_id = service_id, .status = status};
    struct store_txn *tx = store_txn_begin(f->server.store, ++f->index);
    assert_ok(catalog_check_set(tx, &check, 0, &err));
    store_txn_commit(tx);
    (void)epoch_collect(f->server.epoch);
}

/* --- questions -------------------------------------------------------------------------------- */

UNUSED static struct str fixture_name(struct fixture *f, const char *text)
{
    uint8_t wire[DNS_NAME_SIZE_MAX];
    int n = dns_name_parse(str_from_cstr(text), wire);
    assert_ok(n);
    return arena_str(&f->arena, str_make(wire, (size_t)n));
}

/* edns: the size to offer, 0 for no EDNS. */
UNUSED static void fixture_start(struct fixture *f, const char *name, uint16_t type, uint16_t edns)
{
    uint8_t bytes[1024];
    struct dns_msg m = {.id = 77, .flags = DNS_RD};
    m.question = (struct dns_question){fixture_name(f, name), type, DNS_CLASS_IN};
    if (edns > 0) {
        struct dns_rr opt = dns_opt_make(&f->arena, edns, NULL);
        dns_add(&f->arena, &m.additional, &opt);
    }
    int n = dns_write(&m, false, NULL, bytes, sizeof(bytes));
    assert_ok(n);
    dns_query_receive(f->dns, str_make(bytes, (size_t)n), &f->client);
}

UNUSED static const struct dns_msg *fixture_ask(struct fixture *f, const char *name, uint16_t type,
                                                uint16_t edns)
{
    unsigned before = f->answers;
    fixture_start(f, name, type, edns);
    assert_int_equal(f->answers, before + 1);
    assert_int_equal(f->answer.id, 77);
    return &f->answer;
}

UNUSED static unsigned fixture_rcode(const struct dns_msg *m)
{
    return m->flags & DNS_RCODE_MASK;
}

UNUSED static void assert_name_is(struct str wire, const char *text)
{
    char to[DNS_TEXT_SIZE_MAX];
    assert_str_equal(dns_name_text(wire, false, to), str_from_cstr(text));
}
