/* What autopilot thinks of servers, and whom it promotes and removes. */
#include "test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "raft/configuration.h"
#include "server/autopilot_plan.h"

#define SERVERS_MAX 8
#define SECOND ((int64_t)NS_PER_SEC)

struct world {
    struct raft_configuration configuration;
    struct autopilot_config config;
    struct autopilot_server known[SERVERS_MAX];
    struct autopilot_sample samples[SERVERS_MAX];
    struct autopilot_input in;
    struct autopilot_state state;
    struct arena arena;
    struct buf out;
};

/* Servers 1..n, 1 leads; all of them alive and well. */
static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    buf_init(&w->out, 65536);
    w->config = (struct autopilot_config){
        .cleanup_dead_servers = true,
        .last_contact_threshold = 200 * (int64_t)NS_PER_MS,
        .max_trailing_logs = 250,
        .server_stabilization_time = 10 * SECOND,
    };
    w->in = (struct autopilot_input){
        .config = &w->config,
        .configuration = &w->configuration,
        .known = w->known,
        .samples = w->samples,
        .last_index = 1000,
        .last_term = 3,
        .leader_id = STR("id1"),
        .now_ns = 1000 * SECOND,
        .first_ns = 1000 * SECOND,
    };
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    buf_deinit(&w->out);
    arena_deinit(&w->arena);
    mem_free(w);
    return 0;
}

static void server_add(struct world *w, enum raft_suffrage suffrage, const char *status)
{
    int n = (int)w->configuration.count + 1;
    struct err err = {0};
    struct str id = arena_printf(&w->arena, "id%d", n);
    assert_ok(raft_configuration_add(&w->configuration, suffrage, id,
                                     arena_printf(&w->arena, "10.0.0.%d:8300", n), &err));
    if (status != NULL) {
        w->known[w->in.known_count++] = (struct autopilot_server){
            .id = id,
            .name = arena_printf(&w->arena, "s%d", n),
            .node_status = str_from_cstr(status),
            .version = STR("1.10.3"),
        };
        w->samples[w->in.samples_count++] =
            (struct autopilot_sample){.id = id, .stats = {.last_term = 3, .last_index = 1000}};
    }
}

/* The next state, some seconds after the one before. */
static void next(struct world *w, int64_t seconds)
{
    struct autopilot_state *before = ARENA_NEW(&w->arena, struct autopilot_state);
    *before = w->state;
    w->in.before = before->servers.n > 0 ? before : NULL;
    w->in.now_ns += seconds * SECOND;
    autopilot_plan_state(&w->in, &w->arena, &w->state);
}

static const struct autopilot_server_state *server(const struct world *w, const char *id)
{
    const struct autopilot_server_state *s = objmap_get(w->state.servers, str_from_cstr(id));
    assert_non_null(s);
    return s;
}

/* "healthy 1: id1 leader ok, id2 voter ill | id1 id2" with the failure tolerance and the voters. */
static struct str shown(struct world *w)
{
    buf_clear(&w->out);
    buf_printf(&w->out, "%s %d:", w->state.healthy ? "healthy" : "ill",
               (int)w->state.failure_tolerance);
    for (size_t i = 0; i < w->state.servers.n; i++) {
        const struct autopilot_server_state *s = w->state.servers.v[i].value;
        buf_printf(&w->out, "%s %.*s %.*s %s", i > 0 ? "," : "", STRF(s->server.id), STRF(s->state),
                   s->health.healthy ? "ok" : "ill");
    }
    buf_str(&w->out, STR(" |"));
    for (size_t i = 0; i < w->state.voters.n; i++) {
        buf_printf(&w->out, " %.*s", STRF(w->state.voters.v[i]));
    }
    return buf_view(&w->out);
}

static struct str promotions(struct world *w)
{
    const struct autopilot_server_state **servers;
    size_t n = autopilot_plan_promotions(&w->in, &w->state, &w->arena, &servers);
    buf_clear(&w->out);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&w->out, "%s%.*s", i > 0 ? " " : "", STRF(servers[i]->server.id));
    }
    return buf_view(&w->out);
}

/* "id4 stale, s2 failed" */
static struct str removals(struct world *w)
{
    struct autopilot_removal *r;
    size_t n = autopilot_plan_removals(&w->in, &w->arena, &r);
    buf_clear(&w->out);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&w->out, "%s%.*s %s", i > 0 ? ", " : "",
                   STRF(r[i].is_failed ? r[i].name : r[i].id), r[i].is_failed ? "failed" : "stale");
    }
    return buf_view(&w->out);
}

static void test_health(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        server_add(w, RAFT_VOTER, "alive");
    }
    server_add(w, RAFT_NONVOTER, "alive");
    next(w, 0);
    assert_str_lit(shown(w), "healthy 1: id1 leader ok, id2 voter ok, id3 voter ok, "
                             "id4 non-voter ok | id1 id2 id3");
    assert_str_lit(server(w, "id2")->server.name, "s2");
    assert_str_lit(server(w, "id2")->server.address, "10.0.0.2:8300");
    assert_str_lit(server(w, "id4")->server.node_type, "voter");

    w->samples[1].stats.last_contact = 201 * (int64_t)NS_PER_MS;
    next(w, 2);
    assert_str_lit(shown(w), "ill 0: id1 leader ok, id2 voter ill, id3 voter ok, "
                             "id4 non-voter ok | id1 id3 id2");
    w->samples[1].stats = (struct autopilot_stats){.last_term = 2, .last_index = 1000};
    next(w, 2);
    assert_false(server(w, "id2")->health.healthy);
    w->samples[1].stats = (struct autopilot_stats){.last_term = 3, .last_index = 749};
    next(w, 2);
    assert_false(server(w, "id2")->health.healthy);
    w->samples[1].stats.last_index = 750;
    next(w, 2);
    assert_true(server(w, "id2")->health.healthy);
    w->known[1].node_status = STR("failed");
    next(w, 2);
    assert_false(server(w, "id2")->health.healthy);
}

static void test_stable_since(void **state)
{
    struct world *w = *state;
    server_add(w, RAFT_VOTER, "alive");
    server_add(w, RAFT_VOTER, "alive");
    next(w, 0);
    int64_t first = w->in.now_ns;
    next(w, 5);
    assert_int_equal(server(w, "id2")->health.stable_since, first);
    w->known[1].node_status = STR("failed");
    next(w, 5);
    assert_int_equal(server(w, "id2")->health.stable_since, first + 10 * SECOND);
    assert_int_equal(server(w, "id1")->health.stable_since, first);
    /* One that did not answer this time is what it was. */
    w->in.samples_count = 1;
    w->known[1].node_status = STR("alive");
    next(w, 5);
    assert_true(server(w, "id2")->health.healthy);
    assert_int_equal(server(w, "id2")->stats.last_index, 1000);
    assert_int_equal(server(w, "id2")->health.stable_since, first + 15 * SECOND);
}

static void test_a_server_nobody_knows(void **state)
{
    struct world *w = *state;
    server_add(w, RAFT_VOTER, "alive");
    server_add(w, RAFT_VOTER, "alive");
    server_add(w, RAFT_VOTER, NULL);
    next(w, 0);
    assert_str_lit(server(w, "id3")->server.node_status, "left");
    assert_str_lit(server(w, "id3")->server.name, "");
    assert_false(server(w, "id3")->health.healthy);
    assert_int_equal(w->state.failure_tolerance, 0);
    /* One that was known keeps its name. */
    w->in.known_count = 1;
    next(w, 2);
    assert_str_lit(server(w, "id2")->server.name, "s2");
    assert_str_lit(server(w, "id2")->server.node_status, "left");
}

static void test_promotions(void **state)
{
    struct world *w = *state;
    server_add(w, RAFT_VOTER, "alive");
    server_add(w, RAFT_NONVOTER, "alive");
    next(w, 0);
    assert_str_lit(promotions(w), "id2"); /* autopilot is younger than the time it would take */
    w->in.now_ns += 10 * SECOND;
    assert_str_lit(promotions(w), "id2");
    w->in.now_ns += SECOND;
    server_add(w, RAFT_NONVOTER, "alive");
    server_add(w, RAFT_STAGING, "alive");
    next(w, 0);
    assert_str_lit(promotions(w), "id2"); /* stable for 11 s, and id3 for none */
    next(w, 9);
    assert_str_lit(promotions(w), "id2");
    next(w, 1);
    assert_str_lit(promotions(w), "id2 id3");
    w->known[1].node_status = STR("failed");
    next(w, 2);
    assert_str_lit(promotions(w), "id3");
}

static void test_removals(void **state)
{
    struct world *w = *state;
    server_add(w, RAFT_VOTER, "alive");
    server_add(w, RAFT_VOTER, "failed");
    assert_str_lit(removals(w), ""); /* of two voters both are needed */
    server_add(w, RAFT_VOTER, "alive");
    assert_str_lit(removals(w), "s2 failed");
    w->config.min_quorum = 3;
    assert_str_lit(removals(w), "");
    w->config.min_quorum = 2;
    assert_str_lit(removals(w), "s2 failed");
    w->config.cleanup_dead_servers = false;
    assert_str_lit(removals(w), "");
    w->config.cleanup_dead_servers = true;
    server_add(w, RAFT_VOTER, NULL);
    server_add(w, RAFT_VOTER, "left");
    /* Of five two may go: those that only Raft knows first. */
    assert_str_lit(removals(w), "id4 stale, s2 failed");
    server_add(w, RAFT_NONVOTER, NULL);
    server_add(w, RAFT_NONVOTER, "failed");
    /* Servers without a vote can always be spared. */
    assert_str_lit(removals(w), "s7 failed, id6 stale, id4 stale, s2 failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_health, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stable_since, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_server_nobody_knows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_promotions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
