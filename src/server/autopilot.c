/* A round of statistics: every server that has not left is asked (this one is looked at), and when
 * all have answered, or time is over, the state is built in an arena, cloned into one block, and
 * put in the place of the old one under a lock, which readers hold while they copy it.
 *
 * Changes of Raft's configuration are made one after the other: a queue of actions, the first of
 * which is under way. */
#include "server/autopilot.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "loop/loop.h"
#include "raft/configuration.h"
#include "server/autopilot_plan.h"
#include "server/membership.h"
#include "server/raft_ask.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/rpc_pool.h"
#include "server/server.h"
#include "server/server_info.h"
#include "store/autopilot.h"
#include "store/catalog.h"

#include <pthread.h>

#define LOG_MODULE "agent.server.autopilot"
#define STATS_TIMEOUT_MS (AUTOPILOT_INTERVAL_MS / 2)
#define EARLY_INTERVAL_MS 20u
#define EARLY_ROUNDS_MAX 50u

static struct metric metric_healthy = METRIC_GAUGE("autopilot.healthy");
static struct metric metric_tolerance = METRIC_GAUGE("autopilot.failure_tolerance");

struct autopilot {
    struct server *server;
    bool is_running, is_writing, has_reconciled;
    struct loop_timer stats_timer, reconcile_timer;
    unsigned early_rounds; /* in which this server was no member yet */
    int64_t first_ns;      /* of the first state of this term; 0: none yet */
    /* The round of statistics. */
    struct list questions; /* struct question, under way */
    struct arena arena;    /* of the round */
    struct autopilot_input in;
    struct autopilot_sample *samples;
    /* Changes to make. */
    struct list actions; /* struct action */
    bool is_acting, prune_is_due;
    struct raft_ask ask;
    pthread_mutex_t lock;
    struct autopilot_state *state; /* one block; under the lock */
};

struct question {
    struct rpc_remote remote;
    struct list node;
    struct autopilot *autopilot;
    const struct autopilot_server *server; /* in the round's arena */
    struct arena arena;
};

struct action {
    struct list node;
    int change; /* enum raft_change */
    char id[RAFT_NAME_SIZE_MAX + 1], address[RAFT_NAME_SIZE_MAX + 1];
};

/* --- the first configuration ----------------------------------------------------------------- */

static void config_written(struct rpc_call *call)
{
    struct autopilot *p = call->data;
    p->is_writing = false; /* the next round tries again when it failed */
    if (call->err != NULL && p->is_running) {
        log_write(LOG_ERROR, LOG_MODULE, "failed to initialize config",
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

/* --- what is known --------------------------------------------------------------------------- */

static struct str node_status(enum member_status status)
{
    switch (status) {
    case MEMBER_ALIVE:
    case MEMBER_LEAVING: /* it must not be removed before it has left */
        return STR("alive");
    case MEMBER_LEFT:
        return STR("left");
    case MEMBER_FAILED:
        return STR("failed");
    case MEMBER_NONE:
        break;
    }
    return STR("unknown");
}

static void known_fill(struct autopilot *p, struct autopilot_input *in, struct arena *a)
{
    struct member_list *list = membership_list(p->server->delegate.membership);
    struct autopilot_server *known = ARENA_ARRAY(a, struct autopilot_server, list->count);
    for (size_t i = 0; i < list->count; i++) {
        struct server_info info;
        struct node *node = NULL;
        if (!server_info_of(list->v[i], a, &info)) {
            continue;
        }
        (void)server_info_of(schema_copy(a, &member_schema, list->v[i]), a, &info);
        struct autopilot_server *to = &known[in->known_count++];
        *to = (struct autopilot_server){
            .id = info.id,
            .name = info.name,
            .address = info.address,
            .node_status = node_status(info.status),
            .version = info.version,
            .raft_version = info.raft_version,
        };
        if (catalog_node_by_id(store_view(p->server->store), info.id, &node, NULL) == 0 &&
            node != NULL) {
            const struct node *copy = schema_copy(a, &node_schema, node);
            to->meta = copy->meta;
        }
    }
    in->known = known;
    (void)member_list_unref(list);
}

/* Everything but the samples, in the arena; nothing of it points into the store. */
static void input_make(struct autopilot *p, struct arena *a, struct autopilot_input *in)
{
    struct server *s = p->server;
    struct raft_configuration *c = ARENA_NEW(a, struct raft_configuration);
    struct raft_status status;
    uint64_t index;
    const struct autopilot_config *config = autopilot_config_get(store_view(s->store));
    config = config != NULL ? config : &s->options.autopilot;
    raft_get_configuration(s->raft, c, &index);
    raft_status(s->raft, &status);
    *in = (struct autopilot_input){
        .config = schema_copy(a, &autopilot_config_schema, config),
        .configuration = c,
        .last_index = status.last_log_index,
        .last_term = status.last_log_term,
        .leader_id = s->options.node_id,
        .now_ns = clock_wall_ns(),
        .first_ns = p->first_ns,
        .before = p->state,
    };
    known_fill(p, in, a);
}

/* --- the round of statistics ----------------------------------------------------------------- */

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

/* All answers that come are there. */
static void round_end(struct autopilot *p)
{
    struct autopilot_state state;
    if (p->first_ns == 0) {
        p->first_ns = p->in.now_ns;
    }
    autopilot_plan_state(&p->in, &p->arena, &state);
    metric_set(&metric_healthy, state.healthy);
    metric_set(&metric_tolerance, (double)state.failure_tolerance);
    state_put(p, schema_clone(&autopilot_state_schema, &state, NULL));
    arena_reset(&p->arena);
}

static void sample_add(struct autopilot *p, struct str id, const struct raft_stats *stats)
{
    int64_t last_contact_ns;
    if (duration_parse(stats->last_contact, &last_contact_ns) < 0) {
        last_contact_ns = 0; /* "never", which counts as just now there, too */
    }
    p->samples[p->in.samples_count++] = (struct autopilot_sample){
        .id = id,
        .stats = {.last_contact = last_contact_ns,
                  .last_term = stats->last_term,
                  .last_index = stats->last_index},
    };
}

static void question_free(struct question *q)
{
    list_remove(&q->node);
    arena_deinit(&q->arena);
    mem_free(q);
}

static void question_answered(struct rpc_remote *remote)
{
    struct question *q = container_of(remote, struct question, remote);
    struct autopilot *p = q->autopilot;
    if (remote->err == NULL) {
        sample_add(p, q->server->id, remote->reply);
    } else {
        log_write(LOG_WARN, LOG_MODULE, "error getting server health from server",
                  LOG_STR("server", q->server->name), LOG_CSTR("error", err_text(remote->err)));
    }
    question_free(q);
    if (list_is_empty(&p->questions)) {
        round_end(p);
    }
}

static void question_ask(struct autopilot *p, const struct autopilot_server *server)
{
    struct question *q = xcalloc(1, sizeof(*q));
    q->autopilot = p;
    q->server = server;
    q->remote = (struct rpc_remote){
        .method = &rpc_status_raft_stats,
        .args = ARENA_NEW(&q->arena, struct empty_args),
        .arena = &q->arena,
        .done = question_answered,
    };
    list_push_back(&p->questions, &q->node);
    rpc_pool_call(p->server->main->pool, server->address, &q->remote, STATS_TIMEOUT_MS);
}

static void sample_self(struct autopilot *p, struct str id)
{
    struct raft_status status;
    raft_status(p->server->raft, &status);
    p->samples[p->in.samples_count++] = (struct autopilot_sample){
        .id = id,
        .stats = {.last_term = status.last_log_term, .last_index = status.last_log_index},
    };
}

/* A leader may be one before its own gossip has begun (-dev); nothing is told of it until then. */
static bool is_too_early(struct autopilot *p)
{
    bool knows_itself = false;
    for (size_t i = 0; i < p->in.known_count; i++) {
        knows_itself |= str_eq(p->in.known[i].id, p->server->options.node_id);
    }
    return !knows_itself && p->early_rounds++ < EARLY_ROUNDS_MAX;
}

static void round_due(struct loop_timer *t)
{
    struct autopilot *p = container_of(t, struct autopilot, stats_timer);
    loop_timer_start(p->server->main->loop, t, AUTOPILOT_INTERVAL_MS, round_due);
    config_write_first(p);
    if (!list_is_empty(&p->questions)) {
        return; /* cannot be, their time is half of ours; but then it goes on with those */
    }
    input_make(p, &p->arena, &p->in);
    if (p->state == NULL && is_too_early(p)) {
        arena_reset(&p->arena);
        loop_timer_start(p->server->main->loop, t, EARLY_INTERVAL_MS, round_due);
        return;
    }
    p->samples = ARENA_ARRAY(&p->arena, struct autopilot_sample, p->in.known_count);
    p->in.samples = p->samples;
    for (size_t i = 0; i < p->in.known_count; i++) {
        const struct autopilot_server *known = &p->in.known[i];
        if (str_eq(known->id, p->server->options.node_id)) {
            sample_self(p, known->id);
        } else if (!str_eq_lit(known->node_status, "left")) {
            question_ask(p, known);
        }
    }
    if (list_is_empty(&p->questions)) {
        round_end(p);
    }
}

/* --- changes --------------------------------------------------------------------------------- */

static void act(struct autopilot *p);

static void action_add(struct autopilot *p, enum raft_change change, struct str id,
                       struct str address)
{
    struct action *x = xcalloc(1, sizeof(*x));
    x->change = change;
    memcpy(x->id, id.p, MIN(id.n, (size_t)RAFT_NAME_SIZE_MAX));
    memcpy(x->address, address.p, MIN(address.n, (size_t)RAFT_NAME_SIZE_MAX));
    list_push_back(&p->actions, &x->node);
}

static void actions_clear(struct autopilot *p)
{
    for (struct list *node; (node = list_pop_front(&p->actions)) != NULL;) {
        mem_free(container_of(node, struct action, node));
    }
}

static void promotions_add(struct autopilot *p)
{
    struct arena a = {0};
    struct autopilot_input in;
    const struct autopilot_server_state **servers;
    input_make(p, &a, &in);
    size_t n = p->state != NULL ? autopilot_plan_promotions(&in, p->state, &a, &servers) : 0;
    for (size_t i = 0; i < n; i++) {
        log_write(LOG_INFO, LOG_MODULE, "Promoting server", LOG_STR("id", servers[i]->server.id),
                  LOG_STR("address", servers[i]->server.address),
                  LOG_STR("name", servers[i]->server.name));
        action_add(p, RAFT_ADD_VOTER, servers[i]->server.id, servers[i]->server.address);
    }
    arena_deinit(&a);
}

static void force_leave(struct autopilot *p, const struct autopilot_removal *r)
{
    struct err err = {0};
    log_write(LOG_INFO, LOG_MODULE, "Attempting removal of failed server node",
              LOG_STR("id", r->id), LOG_STR("name", r->name), LOG_STR("address", r->address));
    if (delegate_force_leave(&p->server->delegate, r->name, false, &err) < 0) {
        log_write(LOG_ERROR, LOG_MODULE, "failed to remove server", LOG_STR("name", r->name),
                  LOG_STR("id", r->id), LOG_CSTR("error", err_text(&err)));
    }
}

static void prune(struct autopilot *p)
{
    struct arena a = {0};
    struct autopilot_input in;
    struct autopilot_removal *removals;
    input_make(p, &a, &in);
    size_t n = autopilot_plan_removals(&in, &a, &removals);
    for (size_t i = 0; i < n; i++) {
        if (removals[i].is_failed) {
            force_leave(p, &removals[i]); /* its leave then takes it out of Raft */
        } else {
            log_write(LOG_DEBUG, LOG_MODULE, "removing stale raft server from configuration",
                      LOG_STR("id", removals[i].id));
            action_add(p, RAFT_REMOVE_SERVER, removals[i].id, removals[i].address);
        }
    }
    arena_deinit(&a);
}

static void action_done(struct raft_ask *q)
{
    struct autopilot *p = q->data;
    p->is_acting = false;
    if (q->code < 0) {
        log_write(LOG_ERROR, LOG_MODULE,
                  q->request.change == RAFT_ADD_VOTER ? "failed to add raft voting peer"
                                                      : "failed to remove raft server",
                  LOG_CSTR("id", q->request.id), LOG_CSTR("address", q->request.address),
                  LOG_CSTR("error", err_text(&q->request.err)));
        actions_clear(p); /* the next time will tell what is still to be done */
    } else if (q->request.change == RAFT_REMOVE_SERVER) {
        log_write(LOG_INFO, LOG_MODULE, "removed server", LOG_CSTR("id", q->request.id));
    }
    act(p);
}

static void act(struct autopilot *p)
{
    if (!p->is_running || p->is_acting) {
        return;
    }
    if (list_is_empty(&p->actions) && p->prune_is_due) {
        p->prune_is_due = false;
        prune(p);
    }
    struct list *node = list_pop_front(&p->actions);
    if (node == NULL) {
        return;
    }
    struct action *x = container_of(node, struct action, node);
    p->ask = (struct raft_ask){.done = action_done, .data = p};
    raft_ask_change(&p->ask, x->change, str_from_cstr(x->id), str_from_cstr(x->address));
    mem_free(x);
    p->is_acting = true;
    raft_ask_start(p->server, &p->ask);
}

static void reconcile_due(struct loop_timer *t)
{
    struct autopilot *p = container_of(t, struct autopilot, reconcile_timer);
    loop_timer_start(p->server->main->loop, t, AUTOPILOT_RECONCILE_INTERVAL_MS, reconcile_due);
    p->has_reconciled = true;
    if (list_is_empty(&p->actions) && !p->is_acting) {
        promotions_add(p);
        p->prune_is_due = true;
        act(p);
    }
}

/* Not before the first regular time: a leader that has just started may not have met all members
 * again. */
void autopilot_prune_soon(struct autopilot *p)
{
    if (p->is_running && p->has_reconciled) {
        p->prune_is_due = true;
        act(p);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

void autopilot_start(struct autopilot *p)
{
    if (p->is_running) {
        config_write_first(p); /* the tables were replaced */
        return;
    }
    p->is_running = true;
    p->first_ns = 0;
    round_due(&p->stats_timer);
    loop_timer_start(p->server->main->loop, &p->reconcile_timer, AUTOPILOT_RECONCILE_INTERVAL_MS,
                     reconcile_due);
}

void autopilot_stop(struct autopilot *p)
{
    p->is_running = p->has_reconciled = false;
    p->prune_is_due = false;
    loop_timer_stop(p->server->main->loop, &p->stats_timer);
    loop_timer_stop(p->server->main->loop, &p->reconcile_timer);
    while (!list_is_empty(&p->questions)) {
        struct question *q = list_entry(p->questions.next, struct question, node);
        rpc_pool_cancel(p->server->main->pool, &q->remote);
        question_free(q);
    }
    actions_clear(p);
    arena_reset(&p->arena);
    state_put(p, NULL);
}

struct autopilot *autopilot_new(struct server *s)
{
    struct autopilot *p = xcalloc(1, sizeof(*p));
    p->server = s;
    list_init(&p->questions);
    list_init(&p->actions);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

struct autopilot *autopilot_free(struct autopilot *p)
{
    if (p == NULL) {
        return NULL;
    }
    actions_clear(p);
    arena_deinit(&p->arena);
    mem_free(p->state);
    pthread_mutex_destroy(&p->lock);
    return mem_free(p);
}
