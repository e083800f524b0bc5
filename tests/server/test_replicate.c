/* Copies of what the primary data center has: a real server of dc1 that leads, with a stub of the
 * primary, dc2, which answers what the test says. By the example of config entries. */
#include "server_fixture.h"
#include "stub_server.h"

#include "member_make.h"

#include "schema/config_defaults.h"
#include "schema/config_entry.h"
#include "schema/intention.h"
#include "schema/system_metadata.h"
#include "store/config_entry.h"
#include "store/store.h"
#include "store/system_metadata.h"

#define ENTRIES_MAX 8u

struct fixture {
    struct server_fixture base;
    struct stub stub;
    struct arena arena;
    struct config_entry *entries[ENTRIES_MAX]; /* of the primary */
    size_t count;
    uint64_t index, asked; /* the last call's index */
    struct stub_call held;
    bool is_held;
    const char *want;
};

/* --- the primary ----------------------------------------------------------------------------- */

static void send_entries(struct fixture *f, const struct stub_call *call)
{
    struct indexed_generic_config_entries reply = {.entries = {(void **)f->entries, f->count},
                                                   .meta = {.index = f->index}};
    stub_reply(call, &indexed_generic_config_entries_schema, &reply);
}

static void handle_list(struct fixture *f, struct stub_call *call)
{
    struct config_entry_list_all_request args = {0};
    struct err err = {0};
    assert_ok(rpc_body_decode(call->body, rpc_config_entry_list_all.args, &args, &f->arena, &err));
    assert_str_lit(args.datacenter, "dc2");
    assert_true(args.options.allow_stale);
    assert_int_equal(args.kinds.n, CONFIG_ENTRY_KINDS_COUNT);
    f->asked = args.options.min_query_index;
    if (f->asked == f->index) { /* nothing is new */
        f->held = *call;
        f->held.method = STR("ConfigEntry.ListAll");
        f->is_held = true;
    } else {
        send_entries(f, call);
    }
}

static void handle(struct stub *stub, struct stub_call *call)
{
    struct fixture *f = stub->data;
    const struct indexed_intentions none = {.meta = {.index = 1}};
    if (str_eq_lit(call->method, "ConfigEntry.ListAll")) {
        handle_list(f, call);
    } else if (str_eq_lit(call->method, "Intention.List")) {
        stub_reply(call, rpc_intention_list.reply, &none);
    } else {
        stub_error(call, "nothing else");
    }
}

static void changed(struct fixture *f, uint64_t index)
{
    f->index = index;
    if (f->is_held) {
        f->is_held = false;
        send_entries(f, &f->held);
    }
}

static struct config_entry *defaults(struct fixture *f, const char *name, const char *protocol,
                                     uint64_t index)
{
    struct config_entry *e =
        config_entry_new(&f->arena, CONFIG_SERVICE_DEFAULTS, str_from_cstr(name));
    ((struct service_defaults *)e)->protocol = str_from_cstr(protocol);
    e->raft = (struct raft_index){index, index};
    return e;
}

/* --- fixture --------------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.primary_datacenter = STR("dc2");
    options.connect_enabled = true;
    f->base.wants_wan = true;
    server_fixture_init(&f->base, &options);
    stub_start(&f->stub, f->base.main.loop, handle, f);
    const char *port = strrchr(f->stub.address, ':') + 1;
    const struct extra_tag tags[] = {{"port", port}, {"dc", "dc2"}};
    struct member m = member_make(&f->arena, 1, MEMBER_ALIVE, tags, 2);
    m.name = STR("s1.dc2");
    m.addr = STR("127.0.0.1");
    scripted_member(f->base.wan, MEMBERSHIP_JOIN, &m);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    stub_stop_listening(&f->stub);
    stub_hang_up(&f->stub);
    server_fixture_deinit(&f->base);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

static bool is_as_wanted(void *data)
{
    struct fixture *f = data;
    struct arena a = {0};
    struct buf b = {0};
    struct ptrlist entries;
    (void)config_entry_list(store_view(f->base.server->store), NULL, &a, STR_NULL, &entries);
    for (size_t i = 0; i < entries.n; i++) {
        const struct config_entry *e = entries.v[i];
        buf_printf(&b, "%s%.*s", i > 0 ? " " : "", STRF(e->name));
        if (e->type == CONFIG_SERVICE_DEFAULTS) {
            buf_printf(&b, "=%.*s", STRF(((const struct service_defaults *)e)->protocol));
        }
    }
    bool is_it = str_eq(buf_view(&b), str_from_cstr(f->want));
    buf_deinit(&b);
    arena_deinit(&a);
    return is_it;
}

/* Until the entries here are these. */
static void wait_entries(struct fixture *f, const char *want)
{
    f->want = want;
    server_fixture_run_until(&f->base, is_as_wanted, f);
}

static bool is_held(void *data)
{
    return ((const struct fixture *)data)->is_held;
}

/* --- rounds ---------------------------------------------------------------------------------- */

static void test_follows(void **state)
{
    struct fixture *f = *state;
    f->entries[f->count++] = defaults(f, "b", "http", 5);
    f->entries[f->count++] = defaults(f, "a", "tcp", 4);
    f->index = 5;
    server_fixture_start(&f->base);
    wait_entries(f, "a=tcp b=http");
    server_fixture_run_until(&f->base, is_held, f); /* and asks for what is new */
    assert_int_equal(f->asked, 5);

    f->entries[1] = defaults(f, "a", "grpc", 7); /* changed */
    f->entries[0] = defaults(f, "c", "tcp", 8);  /* b is gone, c is new */
    changed(f, 9);
    wait_entries(f, "a=grpc c=tcp");
    server_fixture_run_until(&f->base, is_held, f);
    f->count = 0;
    changed(f, 10);
    wait_entries(f, "");
}

/* What was changed before the last round is not written again: here it shows that it would be. */
static void test_only_what_is_new(void **state)
{
    struct fixture *f = *state;
    f->entries[f->count++] = defaults(f, "a", "tcp", 4);
    f->index = 5;
    server_fixture_start(&f->base);
    wait_entries(f, "a=tcp");
    server_fixture_run_until(&f->base, is_held, f);
    f->entries[0] = defaults(f, "a", "http", 5); /* with an index that was seen */
    f->entries[f->count++] = defaults(f, "b", "tcp", 6);
    changed(f, 6);
    wait_entries(f, "a=tcp b=tcp");
    server_fixture_run_until(&f->base, is_held, f);
    /* The primary was built anew: nothing here is known to be current. */
    f->count = 1;
    changed(f, 3);
    wait_entries(f, "a=http");
}

/* After a failure all is compared anew, and written whatever its index says. */
static void test_failure(void **state)
{
    struct fixture *f = *state;
    f->entries[f->count++] = defaults(f, "a", "tcp", 4);
    f->index = 5;
    server_fixture_start(&f->base);
    wait_entries(f, "a=tcp");
    server_fixture_run_until(&f->base, is_held, f);
    f->entries[0] = defaults(f, "a", "http", 4);
    f->is_held = false;
    stub_error(&f->held, "not now");
    wait_entries(f, "a=http");
}

static struct config_entry *router(struct fixture *f, const char *name, uint64_t index)
{
    struct config_entry *e =
        config_entry_new(&f->arena, CONFIG_SERVICE_ROUTER, str_from_cstr(name));
    e->raft = (struct raft_index){index, index};
    return e;
}

/* A router is refused as long as its service is not http; the others are written all the same. */
static void test_what_is_refused(void **state)
{
    struct fixture *f = *state;
    f->entries[f->count++] = router(f, "a", 4);
    f->entries[f->count++] = defaults(f, "z", "http", 5);
    f->index = 5;
    server_fixture_start(&f->base);
    wait_entries(f, "z=http");
    f->entries[f->count++] = defaults(f, "a", "http", 6);
    f->index = 6;
    wait_entries(f, "a=http z=http a");
}

static bool has_format(void *data)
{
    const struct fixture *f = data;
    return str_eq(
        system_metadata_get(store_view(f->base.server->store), SYSTEM_METADATA_INTENTION_FORMAT),
        SYSTEM_METADATA_INTENTION_FORMAT_CONFIG);
}

/* Intentions live in entries once those of the primary are here. */
static void test_intentions(void **state)
{
    struct fixture *f = *state;
    f->index = 5;
    server_fixture_start(&f->base);
    server_fixture_run_until(&f->base, has_format, f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_follows),         T(test_only_what_is_new), T(test_failure),
        T(test_what_is_refused), T(test_intentions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
