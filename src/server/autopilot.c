/* The state is built in an arena from Raft's configuration, its status and the catalog, compared
 * with the one before (a server is stable since its health last changed), cloned into one block,
 * and put in the place of the old one under a lock, which readers hold while they copy it. */
#include "server/autopilot.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "loop/loop.h"
#include "raft/configuration.h"
#include "raft/raft.h"
#include "schema/operator.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/autopilot.h"
#include "store/catalog.h"

#include <pthread.h>
#include <stdlib.h>

#define RAFT_PROTOCOL 3

static struct metric metric_healthy = METRIC_GAUGE("autopilot.healthy");
static struct metric metric_tolerance = METRIC_GAUGE("autopilot.failure_tolerance");

struct autopilot {
    struct server *server;
    struct loop_timer timer;
    bool is_running, is_writing;
    pthread_mutex_t lock;
    struct autopilot_state *state; /* one block; under the lock */
};

/* --- the first configuration ----------------------------------------------------------------- */

static void config_written(struct rpc_call *call)
{
    struct autopilot *p = call->data;
    p->is_writing = false; /* the next turn of the timer tries again when it failed */
    if (call->err != NULL && p->is_running) {
        log_write(LOG_ERROR, "agent.server.autopilot", "failed to initialize config",
                  LOG_CSTR("error", err_text(call->err)));
    }
    rpc_call_free(call);
}

static void config_write_first(struct autopilot *p)
{
    struct server *s = p->server;
    if (p->is_writing || autopilot_config_get(store_view(s->store)) != NULL) {
        return;
    }
    struct rpc_call *call = rpc_call_new(s->main, &rpc_operator_autopilot_set_configuration);
    struct autopilot_set_config_request *args = call->args;
    args->config = s->options.autopilot;
    call->done = config_written;
    call->data = p;
    p->is_writing = true;
    call->is_duty = true;
    rpc_start(call);
}

/* --- the state ------------------------------------------------------------------------------- */

static bool is_healthy(const struct autopilot_server_state *server,
                       const struct autopilot_config *config, const struct raft_status *leader)
{
    const struct autopilot_stats *stats = &server->stats;
    bool trails = leader->last_log_index > config->max_trailing_logs &&
                  stats->last_index < leader->last_log_index - config->max_trailing_logs;
    return str_eq_lit(server->server.node_status, "alive") &&
           stats->last_contact <= config->last_contact_threshold &&
           stats->last_term == leader->last_log_term && !trails;
}

/* What is known of one server of Raft's configuration. */
static void server_fill(struct autopilot *p, struct arena *a, const struct raft_server *from,
                        const struct raft_status *status, struct autopilot_server_state *to)
{
    const struct server *s = p->server;
    struct autopilot_server *known = &to->server;
    struct node *node = NULL;
    bool is_self = str_eq(str_from_cstr(from->id), s->options.node_id);
    known->id = arena_str(a, str_from_cstr(from->id));
    known->address = arena_str(a, str_from_cstr(from->address));
    known->node_type = STR("voter");
    known->raft_version = RAFT_PROTOCOL;
    known->is_leader = is_self;
    known->node_status = is_self ? STR("alive") : STR("unknown");
    known->name = is_self ? s->options.node_name : STR("");
    known->version = is_self ? STR(CONSUL_VERSION) : STR("");
    if (catalog_node_by_id(store_view(s->store), known->id, &node, NULL) == 0 && node != NULL) {
        known->meta = node->meta;
    }
    to->state = is_self                          ? STR("leader")
                : from->suffrage == RAFT_VOTER   ? STR("voter")
                : from->suffrage == RAFT_STAGING ? STR("staging")
                                                 : STR("non-voter");
    if (is_self) {
        to->stats = (struct autopilot_stats){.last_term = status->last_log_term,
                                             .last_index = status->last_log_index};
    }
}

static const struct autopilot_server_state *server_before(const struct autopilot *p, struct str id)
{
    return p->state != NULL ? objmap_get(p->state->servers, id) : NULL;
}

static int pair_cmp(const void *x, const void *y)
{
    const struct objmap_pair *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

static void state_build(struct autopilot *p, struct arena *a, struct autopilot_state *to)
{
    struct raft_configuration *c = ARENA_NEW(a, struct raft_configuration);
    const struct autopilot_config *config = autopilot_config_get(store_view(p->server->store));
    struct raft_status status;
    uint64_t index;
    raft_get_configuration(p->server->raft, c, &index);
    raft_status(p->server->raft, &status);
    config = config != NULL ? config : &p->server->options.autopilot;
    struct str *voters = ARENA_ARRAY(a, struct str, c->count);
    to->servers.v = ARENA_ARRAY(a, struct objmap_pair, c->count);
    to->leader = arena_str(a, str_from_cstr(status.leader_id));
    to->healthy = c->count > 0;
    int64_t healthy_voters = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        struct autopilot_server_state *server = ARENA_NEW(a, struct autopilot_server_state);
        server_fill(p, a, &c->servers[i], &status, server);
        const struct autopilot_server_state *before = server_before(p, server->server.id);
        server->health.healthy = is_healthy(server, config, &status);
        server->health.stable_since =
            before != NULL && before->health.healthy == server->health.healthy
                ? before->health.stable_since
                : clock_wall_ns();
        to->healthy &= server->health.healthy;
        if (c->servers[i].suffrage == RAFT_VOTER) {
            voters[to->voters.n++] = server->server.id;
            healthy_voters += server->health.healthy;
        }
        to->servers.v[to->servers.n++] = (struct objmap_pair){server->server.id, server};
    }
    qsort(to->servers.v, to->servers.n, sizeof(*to->servers.v), pair_cmp);
    to->voters.v = voters;
    int64_t quorum = (int64_t)to->voters.n / 2 + 1;
    to->failure_tolerance = MAX(healthy_voters - quorum, (int64_t)0);
}

static void state_put(struct autopilot *p, struct autopilot_state *take_state)
{
    pthread_mutex_lock(&p->lock);
    struct autopilot_state *old = p->state;
    p->state = take_state;
    pthread_mutex_unlock(&p->lock);
    mem_free(old);
}

const struct autopilot_state *autopilot_state(struct autopilot *p, struct arena *a)
{
    pthread_mutex_lock(&p->lock);
    const struct autopilot_state *copy =
        p->state != NULL ? schema_copy(a, &autopilot_state_schema, p->state) : NULL;
    pthread_mutex_unlock(&p->lock);
    return copy;
}

static void autopilot_due(struct loop_timer *t)
{
    struct autopilot *p = container_of(t, struct autopilot, timer);
    struct arena a = {0};
    struct autopilot_state state = {0};
    config_write_first(p);
    state_build(p, &a, &state);
    metric_set(&metric_healthy, state.healthy);
    metric_set(&metric_tolerance, (double)state.failure_tolerance);
    state_put(p, schema_clone(&autopilot_state_schema, &state, NULL));
    arena_deinit(&a);
    loop_timer_start(p->server->main->loop, &p->timer, AUTOPILOT_INTERVAL_MS, autopilot_due);
}

/* --- life ------------------------------------------------------------------------------------ */

void autopilot_start(struct autopilot *p)
{
    p->is_running = true;
    autopilot_due(&p->timer);
}

void autopilot_stop(struct autopilot *p)
{
    p->is_running = false;
    loop_timer_stop(p->server->main->loop, &p->timer);
    state_put(p, NULL);
}

struct autopilot *autopilot_new(struct server *s)
{
    struct autopilot *p = xcalloc(1, sizeof(*p));
    p->server = s;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

struct autopilot *autopilot_free(struct autopilot *p)
{
    if (p == NULL) {
        return NULL;
    }
    mem_free(p->state);
    pthread_mutex_destroy(&p->lock);
    return mem_free(p);
}
