/* agent_fixture.h - an agent on a server in memory, all on one loop that each test drives until its
 * condition holds. */
#pragma once
#include "server_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/config.h"
#include "agent/service.h"
#include "agent/state.h"
#include "agent/sync.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/rpc.h"
#include "server/server.h"

#define FIXTURE_NODE_ID STR("11111111-2222-3333-4444-555555555555")

struct fixture {
    struct server_fixture base;
    struct agent *agent;
    struct arena arena;
    const char *hcl;   /* of the next configuration that is loaded */
    char data_dir[64]; /* "" with none */
    /* answers of calls */
    int done;
    struct err err;
    struct str text; /* in the arena */
};

UNUSED static void run_until(struct fixture *f, bool (*until)(void *data))
{
    server_fixture_run_until(&f->base, until, f);
}

UNUSED static void call_on_loop(struct fixture *f, struct rpc_call *call, bool (*until)(void *data))
{
    f->done = 0;
    server_fixture_call(&f->base, call);
    run_until(f, until);
}

static int fixture_load_config(void *data, struct agent_config **ret_config, struct err *err)
{
    static const struct str address[] = {STR_INIT("127.0.0.1")};
    struct fixture *f = data;
    struct strlist warnings;
    struct str hcl = arena_printf(
        &f->arena, "node_name = \"node1\" data_dir = \"%s\" server = true bootstrap = true %s",
        f->data_dir[0] != '\0' ? f->data_dir : "unused", f->hcl != NULL ? f->hcl : "");
    struct str *list = ARENA_NEW(&f->arena, struct str);
    *list = hcl;
    struct config_sources sources = {.hcl = {list, 1},
                                     .addresses_given = true,
                                     .private_ipv4 = {address, 1},
                                     .hostname = STR("node1")};
    int rc = config_load(&sources, &f->arena, ret_config, &warnings, err);
    if (rc >= 0 && f->data_dir[0] == '\0') {
        (*ret_config)->data_dir = STR_NULL; /* as -dev: nothing is kept */
    }
    return rc;
}

static void fixture_leave(void *data)
{
    (void)data;
}

UNUSED static bool leads(void *data)
{
    struct fixture *f = data;
    return server_is_leader(f->base.server);
}

UNUSED static bool is_in_step(void *data)
{
    struct fixture *f = data;
    return sync_is_settled(f->agent->sync);
}

static const struct agent_ops fixture_ops = {.load_config = fixture_load_config,
                                             .leave = fixture_leave};

UNUSED static int fixture_start_agent(struct fixture *f, struct err *err)
{
    struct agent_options options = {
        .node_id = FIXTURE_NODE_ID, .main = &f->base.main, .ops = &fixture_ops, .ops_data = f};
    assert_ok(fixture_load_config(f, &options.config, err));
    assert_ok(agent_new(&options, &f->agent, err));
    return agent_start(f->agent, err);
}

UNUSED static void fixture_stop_agent(struct fixture *f)
{
    agent_stop(f->agent);
    loop_stop(f->base.main.loop);
    loop_run(f->base.main.loop); /* what it has deferred */
    f->agent = agent_free(f->agent);
}

UNUSED static struct fixture *fixture_new(bool bootstrap)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.node_name = STR("other-server");
    options.node_id = STR("99999999-2222-3333-4444-555555555555");
    options.advertise_address = STR("127.0.0.2");
    options.bootstrap = bootstrap;
    options.rpc_hold_timeout_ms = 50;
    server_fixture_init(&f->base, &options);
    return f;
}

UNUSED static void fixture_start_server(struct fixture *f)
{
    server_fixture_start(&f->base);
}

/* Server and agent, in step. */
UNUSED static int setup(void **state)
{
    struct fixture *f = fixture_new(true);
    struct err err = {0};
    fixture_start_server(f);
    assert_ok(fixture_start_agent(f, &err));
    run_until(f, is_in_step);
    *state = f;
    return 0;
}

static int fixture_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

UNUSED static void fixture_make_data_dir(struct fixture *f)
{
    (void)snprintf(f->data_dir, sizeof(f->data_dir), "/tmp/consul-agent-test-XXXXXX");
    assert_non_null(mkdtemp(f->data_dir));
}

UNUSED static int teardown(void **state)
{
    struct fixture *f = *state;
    server_stop(f->base.server);
    if (f->agent != NULL) {
        agent_stop(f->agent);
    }
    loop_stop(f->base.main.loop);
    loop_run(f->base.main.loop); /* what was posted last */
    struct loop *loop = f->base.main.loop;
    worker_deinit(&f->base.main);
    (void)loop_free(loop);
    f->agent = agent_free(f->agent);
    (void)server_free(f->base.server);
    if (f->data_dir[0] != '\0') {
        (void)nftw(f->data_dir, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
    }
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

/* --- services and checks --------------------------------------------------------------------- */

UNUSED static int add_service(struct fixture *f, struct node_service service,
                              struct check_def *defs, size_t count, struct err *err)
{
    struct arena a = {0};
    void *pointers[8];
    for (size_t i = 0; i < count; i++) {
        pointers[i] = &defs[i];
    }
    struct service_addition req = {.service = &service,
                                   .checks = {pointers, count},
                                   .source = SOURCE_REMOTE,
                                   .persist = true,
                                   .arena = &a};
    int rc = service_add(f->agent, &req, err);
    arena_deinit(&a);
    return rc;
}

UNUSED static int add_check(struct fixture *f, struct check_def def, struct err *err)
{
    struct arena a = {0};
    struct health_check check;
    check_def_to_health_check(&def, STR("node1"), &a, &check);
    check.type = str_from_cstr(check_def_type(&def));
    struct check_addition req = {
        .check = &check, .def = &def, .source = SOURCE_REMOTE, .persist = true, .arena = &a};
    int rc = check_register(f->agent, &req, err);
    arena_deinit(&a);
    return rc;
}

UNUSED static const struct health_check *check_row(struct fixture *f, struct str id)
{
    struct check_entry *e = local_check(f->agent->local, id);
    return e != NULL ? e->row : NULL;
}

/* Probe now instead of at a random moment of the first interval. */
UNUSED static void probe_now(struct fixture *f, struct str id)
{
    struct check *c = local_check(f->agent->local, id)->runner;
    loop_timer_start(f->base.main.loop, &c->timer, 0, c->timer.fire);
}

/* --- the catalog ----------------------------------------------------------------------------- */

static bool call_is_done(void *data)
{
    struct fixture *f = data;
    return f->done > 0;
}

static void catalog_known(struct rpc_call *call)
{
    struct fixture *f = call->data;
    const struct indexed_node_services *reply = call->reply;
    f->err = call->err != NULL ? *call->err : (struct err){0};
    f->text = STR("");
    if (call->err == NULL && reply->node_services != NULL) {
        for (size_t i = 0; i < reply->node_services->services.n; i++) {
            const struct node_service *s = reply->node_services->services.v[i].value;
            f->text = arena_printf(&f->arena, "%.*s%.*s:%lld ", STRF(f->text), STRF(s->id),
                                   (long long)s->port);
        }
    }
    f->done++;
    rpc_call_free(call);
}

/* "id:port id:port " of the services that the catalog has of node1. */
UNUSED static struct str catalog_services(struct fixture *f)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, &rpc_catalog_node_services);
    struct node_request *args = call->args;
    args->datacenter = STR("dc1");
    args->node = STR("node1");
    call->done = catalog_known;
    call->data = f;
    call_on_loop(f, call, call_is_done);
    return f->text;
}

/* Wait until the catalog has just these. */
UNUSED static void catalog_becomes(struct fixture *f, const char *services)
{
    uint64_t end_ms = clock_mono_ms() + GIVE_UP_MS;
    while (!str_eq(catalog_services(f), str_from_cstr(services)) && clock_mono_ms() < end_ms) {
    }
    assert_true(str_eq(f->text, str_from_cstr(services)));
}

static void checks_seen(struct rpc_call *call)
{
    struct fixture *f = call->data;
    const struct indexed_health_checks *reply = call->reply;
    f->text = STR("");
    for (size_t i = 0; call->err == NULL && i < reply->health_checks.n; i++) {
        const struct health_check *c = reply->health_checks.v[i];
        f->text = arena_printf(&f->arena, "%.*s%.*s=%.*s(%.*s) ", STRF(f->text), STRF(c->check_id),
                               STRF(c->status), STRF(c->output));
    }
    f->done++;
    rpc_call_free(call);
}

/* "id=status(output) " of the checks that the catalog has of node1. */
UNUSED static struct str catalog_checks(struct fixture *f)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, &rpc_health_node_checks);
    struct node_request *args = call->args;
    args->datacenter = STR("dc1");
    args->node = STR("node1");
    call->done = checks_seen;
    call->data = f;
    call_on_loop(f, call, call_is_done);
    return f->text;
}

static void written(struct rpc_call *call)
{
    struct fixture *f = call->data;
    f->err = call->err != NULL ? *call->err : (struct err){0};
    f->done++;
    rpc_call_free(call);
}

/* Somebody else writes to the catalog. */
UNUSED static void catalog_write(struct fixture *f, const struct register_request *req)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, &rpc_catalog_register);
    memcpy(call->args, schema_copy(&call->arena, &register_request_schema, req), sizeof(*req));
    call->done = written;
    call->data = f;
    call_on_loop(f, call, call_is_done);
    assert_int_equal(f->err.code, 0);
}
