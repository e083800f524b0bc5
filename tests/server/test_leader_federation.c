/* The federation state of a leader's own data center, and of data centers that are gone. A real
 * server of dc1, the primary, on one loop. */
#include "server_fixture.h"

#include "member_make.h"

#include "schema/federation_state.h"
#include "store/federation_state.h"
#include "store/store.h"

#include <stdio.h>

struct fixture {
    struct server_fixture base;
    struct arena arena;
    unsigned done;
    const char *want;
};

static void setup_with(struct fixture *f, bool knows, uint64_t prune_ms)
{
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.primary_datacenter = STR("dc1");
    options.federation_prune_ms = prune_ms;
    f->base.wants_wan = true;
    server_fixture_init(&f->base, &options);
    atomic_store(&f->base.server->has_federation_states, knows);
    server_fixture_start(&f->base);
}

static int setup(void **state)
{
    *state = xcalloc(1, sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    server_fixture_deinit(&f->base);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

/* All states, as "dc1=2 dc2=0": the numbers are of gateways. */
static bool is_as_wanted(void *data)
{
    struct fixture *f = data;
    struct arena a = {0};
    struct buf b = {0};
    struct ptrlist states;
    (void)federation_state_list(store_view(f->base.server->store), NULL, &a, &states);
    for (size_t i = 0; i < states.n; i++) {
        const struct federation_state *s = states.v[i];
        buf_printf(&b, "%s%.*s=%zu", i > 0 ? " " : "", STRF(s->datacenter), s->mesh_gateways.n);
    }
    bool is_it = str_eq(buf_view(&b), str_from_cstr(f->want));
    buf_deinit(&b);
    arena_deinit(&a);
    return is_it;
}

static void wait_states(struct fixture *f, const char *want)
{
    f->want = want;
    server_fixture_run_until(&f->base, is_as_wanted, f);
}

static void call_done(struct rpc_call *call)
{
    assert_null(call->err);
    ((struct fixture *)call->data)->done++;
    rpc_call_free(call);
}

static bool is_done(void *data)
{
    return ((const struct fixture *)data)->done > 0;
}

static void run(struct fixture *f, struct rpc_call *call)
{
    call->done = call_done;
    call->data = f;
    f->done = 0;
    server_fixture_call(&f->base, call);
    server_fixture_run_until(&f->base, is_done, f);
}

static void register_gateway(struct fixture *f, const char *node)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, &rpc_catalog_register);
    struct register_request *args = call->args;
    args->node = str_from_cstr(node);
    args->address = STR("10.0.0.9");
    args->service = ARENA_NEW(&call->arena, struct node_service);
    args->service->kind = SERVICE_KIND_MESH_GATEWAY;
    args->service->service = STR("gw");
    args->service->port = 8443;
    run(f, call);
}

static void write_state(struct fixture *f, const char *datacenter)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, &rpc_federation_state_apply);
    struct federation_state_request *args = call->args;
    args->op = FEDERATION_STATE_UPSERT;
    args->state = ARENA_NEW(&call->arena, struct federation_state);
    args->state->datacenter = str_from_cstr(datacenter);
    run(f, call);
}

/* There is one as soon as somebody leads; then it follows the gateways. */
static void test_follows_the_gateways(void **state)
{
    struct fixture *f = *state;
    setup_with(f, true, 0);
    wait_states(f, "dc1=0");
    const struct federation_state *s =
        federation_state_get(store_view(f->base.server->store), STR("dc1"));
    assert_true(s->updated_at > 0);
    assert_int_equal(s->primary_modify_index, s->raft.modify_index);
    register_gateway(f, "n1");
    wait_states(f, "dc1=1");
    register_gateway(f, "n2");
    wait_states(f, "dc1=2");
}

/* While some server does not know of them there are none. */
static void test_not_all_know(void **state)
{
    struct fixture *f = *state;
    setup_with(f, false, 0);
    register_gateway(f, "n1");
    wait_states(f, "");
}

static void test_those_that_are_gone(void **state)
{
    struct fixture *f = *state;
    const struct extra_tag dc2[] = {{"dc", "dc2"}};
    setup_with(f, true, 20);
    struct member m = member_make(&f->arena, 1, MEMBER_ALIVE, dc2, 1);
    m.name = STR("s1.dc2");
    scripted_member(f->base.wan, MEMBERSHIP_JOIN, &m);
    write_state(f, "dc2");
    write_state(f, "dc8");
    write_state(f, "dc9");
    wait_states(f, "dc1=0 dc2=0");
    scripted_member(f->base.wan, MEMBERSHIP_FAILED, &m); /* it may come back */
    write_state(f, "dc7");
    wait_states(f, "dc1=0 dc2=0");
    scripted_member(f->base.wan, MEMBERSHIP_LEAVE, &m);
    wait_states(f, "dc1=0");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_follows_the_gateways),
        T(test_not_all_know),
        T(test_those_that_are_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
