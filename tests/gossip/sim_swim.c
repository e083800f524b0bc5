/* sim_swim - pools of SWIM cores in virtual time (world.h), from seeds. A seed's pool is formed,
 * lives through quiet times with one thing at a time (a crash, a leave, a pause, ...), then through
 * chaos, and is healed.
 *
 * Checked:
 *   - all agree, within a bounded time, after each of these: who is there, with which meta;
 *   - a member that runs is not declared dead while nothing is lost and nobody stands still (nor
 *     one that stands still for three seconds at most; nor any other, by one that stood still for
 *     long);
 *   - a crashed one is dead to all, not before the shortest time of a suspicion and within the
 *     longest (and what it takes to notice it);
 *   - who has left stays so, and nobody comes back who does not run, in whatever chaos the first,
 *     in quiet times the second;
 *   - messages reach everybody;
 *   - an agent in a quiet pool sends a ping and an ack a second, and in chaos a bounded number of
 *     datagrams.
 *
 *     sim_swim                    the seeds of the test
 *     sim_swim 1234               one seed; 1 1000: a range
 *     sim_swim --verbose 1234     with what happens
 *     sim_swim --large 1          a pool of 1,000
 *     sim_swim --planted 1 3000   seeds of the range until one fails: a bug was planted, and must
 *                                 be found */
#include "base/err.h"
#include "base/mem.h"
#include "world.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS_OF_THE_TEST 8u
#define SEED_TIME_MAX_S 600u
/* Gossip takes a second or two, but may miss somebody: then it comes with push/pull. */
#define NEWS_NS (75 * S)
#define MS WORLD_MS
#define S WORLD_SECOND

struct sim {
    struct world *world;
    struct rng rng;
    unsigned count;
    bool is_calm;       /* nothing goes wrong now */
    unsigned sleeper;   /* who may be declared dead even so */
    uint32_t *left_inc; /* [who][whom]: the incarnation in which it was seen to leave */
    uint32_t *seen_inc; /* the last one that was told */
    uint64_t events;    /* joins, updates, leaves that were told */
    uint64_t reconnect_ns, dead_total;
    uint64_t slowest_agree_ns;
};

static uint64_t current_seed;
static bool verbose;
static const char *current_mode = "";

static void say(const struct sim *sim, const char *format, ...) PRINTF(2, 3);
static void say(const struct sim *sim, const char *format, ...)
{
    if (verbose) {
        va_list args;
        va_start(args, format);
        printf("# %9.3f ", (double)(sim->world->now_ns - S) / 1e9);
        vprintf(format, args);
        printf("\n");
        va_end(args);
    }
}

NORETURN static void sim_fail(const struct sim *sim, const char *format, ...) PRINTF(2, 3);
static void sim_fail(const struct sim *sim, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fprintf(stderr, "# seed %" PRIu64 ", at %.3f s: ", current_seed,
            (double)(sim->world->now_ns - S) / 1e9);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

static bool chance(struct sim *sim, double p)
{
    return rng_f64(&sim->rng) < p;
}

static uint64_t below(struct sim *sim, uint64_t bound)
{
    return rng_below(&sim->rng, bound);
}

static bool is_there(const struct world_node *n)
{
    return n->swim != NULL && !n->is_leaving;
}

/* A node that runs and is not about to leave; WORLD_ANY: none. */
static unsigned any_there(struct sim *sim, unsigned but)
{
    unsigned from = (unsigned)below(sim, sim->count);
    for (unsigned i = 0; i < sim->count; i++) {
        unsigned at = (from + i) % sim->count;
        if (at != but && is_there(&sim->world->nodes[at])) {
            return at;
        }
    }
    return WORLD_ANY;
}

static unsigned count_there(const struct sim *sim)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sim->count; i++) {
        count += is_there(&sim->world->nodes[i]);
    }
    return count;
}

/* --- what the cores tell --- */

static uint32_t *left_inc(struct sim *sim, const struct world_node *n, const struct swim_member *m)
{
    return &sim->left_inc[(size_t)n->number * sim->count + world_number(m->name)];
}

/* What is told of a member is never of an older incarnation than what was told before. */
static void see(struct sim *sim, const struct world_node *n, const struct swim_member *m,
                bool is_join)
{
    uint32_t *seen = &sim->seen_inc[(size_t)n->number * sim->count + world_number(m->name)];
    if (!is_join && m->incarnation < *seen) { /* before a join it may have been forgotten */
        sim_fail(sim, "%s believes of %.*s what is over (%u after %u)", n->name, STRF(m->name),
                 m->incarnation, *seen);
    }
    *seen = m->incarnation;
}

static void watch_join(struct world_node *n, const struct swim_member *m)
{
    struct sim *sim = n->world->data;
    const struct world_node *who = &n->world->nodes[world_number(m->name)];
    sim->events++;
    say(sim, "%s: join %s %u", n->name, who->name, m->incarnation);
    see(sim, n, m, true);
    if (m->incarnation <= *left_inc(sim, n, m)) {
        sim_fail(sim, "%s takes %s for alive (%u) again, who has left", n->name, who->name,
                 m->incarnation);
    }
    if (sim->is_calm && !is_there(who)) {
        sim_fail(sim, "%s takes %s for alive, who is not there", n->name, who->name);
    }
    *left_inc(sim, n, m) = 0; /* and if it dies now, it may be forgotten */
}

static void watch_update(struct world_node *n, const struct swim_member *m)
{
    struct sim *sim = n->world->data;
    sim->events++;
    say(sim, "%s: update %.*s %u", n->name, STRF(m->name), m->incarnation);
    see(sim, n, m, false);
}

static uint64_t suspicion_min_ns(const struct sim *sim)
{
    return (uint64_t)(4000 * MAX(1.0, log10((double)sim->count))) * MS;
}

static void watch_leave(struct world_node *n, const struct swim_member *m)
{
    struct sim *sim = n->world->data;
    const struct world_node *who = &n->world->nodes[world_number(m->name)];
    sim->events++;
    say(sim, "%s: %s %s %u", n->name, m->state == MEMBERLIST_STATE_LEFT ? "left" : "dead",
        who->name, m->incarnation);
    see(sim, n, m, false);
    if (m->state == MEMBERLIST_STATE_LEFT) {
        *left_inc(sim, n, m) = m->incarnation;
        return;
    }
    sim->dead_total++;
    /* The death of its life before may be news yet. */
    bool is_new = sim->world->now_ns < who->started_ns + NEWS_NS;
    if (sim->is_calm && is_there(who) && !is_new && who->number != sim->sleeper) {
        sim_fail(sim, "%s takes %s for dead, who is not", n->name, who->name);
    }
    /* Every pool here is known to all as of this size at least by half. */
    uint64_t min_ns = suspicion_min_ns(sim) / 2 + sim->world->config.probe_interval_ns;
    if (sim->is_calm && who->swim == NULL && sim->world->now_ns < who->stopped_ns + min_ns) {
        sim_fail(sim, "%s takes %s for dead too soon", n->name, who->name);
    }
}

static void watch_log(struct world_node *n, enum swim_log level, struct str line)
{
    if (verbose && level != SWIM_LOG_DEBUG) {
        say(n->world->data, "%s: [%u] %.*s", n->name, level, STRF(line));
    }
}

static void watch_left(struct world_node *n, bool timed_out)
{
    struct sim *sim = n->world->data;
    if (sim->is_calm && timed_out) {
        sim_fail(sim, "%s could not tell that it leaves", n->name);
    }
}

static const struct world_watch watch = {
    .left = watch_left,
    .join = watch_join,
    .update = watch_update,
    .leave = watch_leave,
    .log = watch_log,
};

/* --- what is done --- */

static void node_start(struct sim *sim, unsigned i)
{
    struct world_node *n = &sim->world->nodes[i];
    memset(&sim->left_inc[(size_t)i * sim->count], 0, sim->count * sizeof(uint32_t));
    memset(&sim->seen_inc[(size_t)i * sim->count], 0, sim->count * sizeof(uint32_t));
    if (chance(sim, 0.5)) {
        buf_clear(&n->meta);
        buf_printf(&n->meta, "meta %u of life %u", (unsigned)below(sim, 1000), (unsigned)n->life);
    }
    world_start(sim->world, i);
    unsigned to = any_there(sim, i);
    say(sim, "start n%u, which joins n%u", i, to);
    if (to != WORLD_ANY) {
        world_join(sim->world, i, to);
    }
}

static void node_crash(struct sim *sim, unsigned i)
{
    say(sim, "crash n%u", i);
    world_crash(sim->world, i);
}

static void node_leave(struct sim *sim, unsigned i)
{
    say(sim, "leave n%u", i);
    world_leave(sim->world, i);
}

static void node_update(struct sim *sim, unsigned i)
{
    char meta[40];
    int size = snprintf(meta, sizeof(meta), "meta %u", (unsigned)below(sim, 100000));
    say(sim, "update n%u", i);
    world_update(sim->world, i, str_make(meta, (size_t)size));
}

/* What Serf does above: dead members are joined again at times, and who is alone joins anybody. */
static void reconnect(struct sim *sim)
{
    struct world *w = sim->world;
    for (unsigned i = 0; i < sim->count; i++) {
        struct world_node *n = &w->nodes[i];
        unsigned to = (unsigned)below(sim, sim->count);
        if (!is_there(n) || n->paused_until_ns > w->now_ns) {
            continue;
        }
        if (swim_members_count(n->swim) == 1) {
            to = any_there(sim, i);
            if (to != WORLD_ANY) {
                world_join(w, i, to);
            }
            continue;
        }
        const struct swim_member *m = swim_find(n->swim, str_from_cstr(w->nodes[to].name));
        if (to != i && (m == NULL || m->state == MEMBERLIST_STATE_DEAD) &&
            sim->left_inc[(size_t)i * sim->count + to] == 0) {
            world_join(w, i, to);
        }
    }
}

/* Those that have left end. */
static void bury(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        struct world_node *n = &sim->world->nodes[i];
        if (n->swim != NULL && n->has_left) {
            node_crash(sim, i);
        }
    }
}

static void run(struct sim *sim, uint64_t span_ns)
{
    uint64_t until_ns = sim->world->now_ns + span_ns;
    while (sim->world->now_ns < until_ns) {
        world_run(sim->world, MIN(S, until_ns - sim->world->now_ns));
        bury(sim);
        if (sim->world->now_ns >= sim->reconnect_ns) {
            sim->reconnect_ns = sim->world->now_ns + 5 * S;
            reconnect(sim);
        }
    }
}

/* --- what must be --- */

/* Does n know the truth of who? Otherwise say what it thinks. */
static bool knows(const struct world_node *n, const struct world_node *who, bool is_loud)
{
    const struct swim_member *m = swim_find(n->swim, str_from_cstr(who->name));
    bool is_live =
        m != NULL && (m->state == MEMBERLIST_STATE_ALIVE || m->state == MEMBERLIST_STATE_SUSPECT);
    bool is_right = !is_there(who) ? !is_live
                                   : m != NULL && m->state == MEMBERLIST_STATE_ALIVE &&
                                         m->incarnation == swim_self(who->swim)->incarnation &&
                                         str_eq(m->meta, swim_self(who->swim)->meta);
    if (!is_right && is_loud) {
        fprintf(stderr, "# %s knows of %s, which is %s: state %d, incarnation %u (of %u)\n",
                n->name, who->name, is_there(who) ? "there" : "not there",
                m != NULL ? (int)m->state : -1, m != NULL ? m->incarnation : 0,
                is_there(who) ? swim_self(who->swim)->incarnation : 0);
    }
    return is_right;
}

static bool all_agree(const struct sim *sim, bool is_loud)
{
    for (unsigned i = 0; i < sim->count; i++) {
        const struct world_node *n = &sim->world->nodes[i];
        for (unsigned k = 0; is_there(n) && k < sim->count; k++) {
            if (!knows(n, &sim->world->nodes[k], is_loud)) {
                return false;
            }
        }
    }
    return true;
}

static void agree(struct sim *sim, const char *what, uint64_t within_ns)
{
    uint64_t from_ns = sim->world->now_ns;
    uint64_t step_ns = sim->count > 200 ? 3 * S : S / 2;
    while (!all_agree(sim, false)) {
        if (sim->world->now_ns - from_ns > within_ns) {
            (void)all_agree(sim, true);
            sim_fail(sim, "no agreement %.0f s after %s", (double)within_ns / 1e9, what);
        }
        run(sim, step_ns);
    }
    uint64_t took_ns = sim->world->now_ns - from_ns;
    say(sim, "agreed %.1f s after %s", (double)took_ns / 1e9, what);
    sim->slowest_agree_ns = MAX(sim->slowest_agree_ns, took_ns);
}

static uint64_t sent_of_all(const struct sim *sim)
{
    uint64_t sent = 0;
    for (unsigned i = 0; i < sim->count; i++) {
        sent += sim->world->nodes[i].sent;
    }
    return sent;
}

/* Nothing happens: nothing is told, and only probes are sent. */
static void check_quiet(struct sim *sim)
{
    unsigned there = count_there(sim);
    run(sim, (8 + sim->count / 10) * S); /* until the last news is old */
    const struct world *w = sim->world;
    uint64_t sent = sent_of_all(sim), events = sim->events, turns = w->events - w->pieces;
    run(sim, 10 * S);
    turns = w->events - w->pieces - turns;
    sent = sent_of_all(sim) - sent;
    if (sim->events != events) {
        sim_fail(sim, "something was told in quiet times");
    }
    if (sent > 10u * there * 2 + there / 5 + 4) {
        sim_fail(sim, "%u members sent %" PRIu64 " datagrams in 10 quiet seconds", there, sent);
    }
    /* A probe's tick, what is left of its timeout's; a ping, an ack; a push/pull, in however many
     * pieces. */
    if (turns > 10u * there * 6) {
        sim_fail(sim, "%u members woke %" PRIu64 " times in 10 quiet seconds", there, turns);
    }
    for (unsigned i = 0; i < sim->count; i++) {
        const struct world_node *n = &sim->world->nodes[i];
        if (is_there(n) && swim_health_score(n->swim) > 0 && there > 1) {
            sim_fail(sim, "%s feels ill in quiet times", n->name);
        }
    }
}

/* --- one thing at a time --- */

/* A first probe: by chance, so with a bound that is as good as sure. Then a suspicion. */
static uint64_t dead_within_ns(const struct sim *sim)
{
    return (MIN(2 * sim->count, 30u) + 2) * S + 6 * suspicion_min_ns(sim) + 10 * S;
}

static void calm_crash(struct sim *sim)
{
    uint64_t dead = 0;
    unsigned crashes = 1 + (unsigned)below(sim, 1 + count_there(sim) / 8);
    for (unsigned i = 0; i < crashes && count_there(sim) > 1; i++) {
        node_crash(sim, any_there(sim, WORLD_ANY));
        dead++;
    }
    agree(sim, "a crash", dead > 0 ? dead_within_ns(sim) : 0);
}

static void calm_leave(struct sim *sim)
{
    if (count_there(sim) > 1) {
        unsigned who = any_there(sim, WORLD_ANY);
        node_leave(sim, who);
        agree(sim, "a leave", NEWS_NS);
        unsigned missed = 0;
        for (unsigned i = 0; i < sim->count; i++) {
            const struct world_node *n = &sim->world->nodes[i];
            const struct swim_member *m =
                is_there(n) ? swim_find(n->swim, str_from_cstr(sim->world->nodes[who].name)) : NULL;
            missed += m != NULL && m->state != MEMBERLIST_STATE_LEFT;
        }
        if (missed > 1 + sim->count / 20) { /* gossip may miss some: to them it is dead */
            sim_fail(sim, "n%u has left, but not to %u of the others", who, missed);
        }
    }
}

/* So fast that nobody has seen it dead; with other meta. */
static void calm_restart(struct sim *sim)
{
    unsigned who = any_there(sim, WORLD_ANY);
    node_crash(sim, who);
    node_start(sim, who);
    agree(sim, "a restart", NEWS_NS);
}

static void calm_start(struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        if (sim->world->nodes[i].swim == NULL) {
            node_start(sim, i);
        }
    }
    agree(sim, "starts", NEWS_NS);
}

static void calm_update(struct sim *sim)
{
    node_update(sim, any_there(sim, WORLD_ANY));
    agree(sim, "an update", NEWS_NS);
}

static void calm_message(struct sim *sim)
{
    if (sim->world->messages_count == sim->world->messages_max) {
        return;
    }
    unsigned number = world_tell(sim->world, any_there(sim, WORLD_ANY)), missed = 0;
    run(sim, 8 * S);
    for (unsigned i = 0; i < sim->count; i++) {
        const struct world_node *n = &sim->world->nodes[i];
        missed += is_there(n) && !n->heard[number];
    }
    if (missed > 3 + sim->count / 20) { /* gossip may miss some */
        sim_fail(sim, "%u members have not heard message %u", missed, number);
    }
}

/* Three seconds are forgiven. */
static void calm_nap(struct sim *sim)
{
    unsigned who = any_there(sim, WORLD_ANY);
    say(sim, "a nap of n%u", who);
    world_pause(sim->world, who, 200 * MS + below(sim, 2800) * MS);
    run(sim, 4 * S);
    agree(sim, "a nap", 20 * S);
    run(sim, 20 * S); /* the ill feel better */
}

/* Longer is not; but it does no harm to the others. */
static void calm_coma(struct sim *sim)
{
    unsigned who = any_there(sim, WORLD_ANY);
    uint64_t span_ns = (5 + below(sim, 50)) * S;
    sim->sleeper = who;
    say(sim, "a coma of n%u for %.0f s", who, (double)span_ns / 1e9);
    world_pause(sim->world, who, span_ns);
    run(sim, span_ns);
    run(sim, 2 * S);
    agree(sim, "a coma", 30 * S);
    run(sim, 20 * S);
    sim->sleeper = WORLD_ANY;
}

static void live_calmly(struct sim *sim)
{
    static void (*const things[])(struct sim * sim) = {
        calm_crash, calm_leave, calm_start,   calm_update, calm_message,
        calm_nap,   calm_coma,  calm_restart, check_quiet,
    };
    sim->is_calm = true;
    for (unsigned i = 0; i < 6; i++) {
        things[below(sim, ARRAY_SIZE(things))](sim);
        if (count_there(sim) < 2) {
            calm_start(sim);
        }
    }
}

/* --- chaos --- */

static void chaos_network(struct sim *sim)
{
    struct world *w = sim->world;
    w->loss = chance(sim, 0.6) ? rng_f64(&sim->rng) * 0.4 : 0;
    w->duplicate = chance(sim, 0.4) ? rng_f64(&sim->rng) * 0.3 : 0;
    w->delay_max_ns = w->delay_min_ns + below(sim, chance(sim, 0.2) ? 1500 : 50) * MS;
}

static void chaos_partition(struct sim *sim)
{
    unsigned sides = 1 + (unsigned)below(sim, 3);
    say(sim, "partition into %u", sides);
    for (unsigned i = 0; i < sim->count; i++) {
        sim->world->side[i] = (unsigned)below(sim, sides);
    }
}

static void chaos_cut(struct sim *sim)
{
    struct world_cut c = {(unsigned)below(sim, sim->count), (unsigned)below(sim, sim->count),
                          chance(sim, 0.8), chance(sim, 0.5)};
    c.from = chance(sim, 0.1) ? WORLD_ANY : c.from;
    vec_push(&sim->world->cuts, c);
}

static void chaos_one(struct sim *sim)
{
    unsigned i = (unsigned)below(sim, sim->count);
    struct world_node *n = &sim->world->nodes[i];
    switch (below(sim, 10)) {
    case 0:
        chaos_network(sim);
        break;
    case 1:
        chaos_partition(sim);
        break;
    case 2:
        chaos_cut(sim);
        break;
    case 3:
        vec_clear(&sim->world->cuts);
        break;
    case 4:
        say(sim, "pause n%u", i);
        world_pause(sim->world, i, below(sim, chance(sim, 0.3) ? 40 : 5) * S);
        break;
    case 5:
        if (is_there(n)) {
            node_update(sim, i);
        }
        break;
    case 6:
        if (is_there(n) && chance(sim, 0.4)) {
            node_leave(sim, i);
        }
        break;
    case 7:
        if (n->swim != NULL && chance(sim, 0.6)) {
            node_crash(sim, i);
        }
        break;
    default:
        if (n->swim == NULL) {
            node_start(sim, i);
        }
    }
}

static void live_in_chaos(struct sim *sim)
{
    uint64_t until_ns = sim->world->now_ns + (10 + below(sim, 60)) * S;
    uint64_t pace_ns = (50 + below(sim, 3000)) * MS;
    uint64_t sent = sent_of_all(sim), from_ns = sim->world->now_ns;
    sim->is_calm = false;
    while (sim->world->now_ns < until_ns) {
        chaos_one(sim);
        run(sim, below(sim, 2 * pace_ns) + 1);
    }
    sent = sent_of_all(sim) - sent;
    double seconds = (double)(sim->world->now_ns - from_ns) / 1e9;
    if ((double)sent > 30 * seconds * sim->count) {
        sim_fail(sim, "%u members sent %" PRIu64 " datagrams in %.0f s of chaos", sim->count, sent,
                 seconds);
    }
}

static void heal(struct sim *sim)
{
    struct world *w = sim->world;
    say(sim, "heal");
    w->loss = w->duplicate = 0;
    w->delay_max_ns = w->delay_min_ns + 20 * MS;
    memset(w->side, 0, sim->count * sizeof(*w->side));
    vec_clear(&w->cuts);
    for (unsigned i = 0; i < sim->count; i++) {
        world_wake(w, i);
    }
    run(sim, 6 * S); /* those that leave have left */
    if (any_there(sim, WORLD_ANY) == WORLD_ANY) {
        node_start(sim, 0);
    }
    /* Without a clock a new life may come to the same incarnation as an old one, with other meta:
     * until it has a push/pull with whoever believes the old. */
    uint64_t patience_ns = w->has_clock ? 0 : 150 * sim->count * S;
    agree(sim, "healing", 120 * S + dead_within_ns(sim) + patience_ns);
    run(sim, 20 * S);
}

/* --- a seed --- */

static void sim_begin(struct sim *sim, uint64_t seed, unsigned count)
{
    static const char key[] = "0123456789abcdef";
    rng_seed(&sim->rng, seed);
    if (count == 0) {
        count = 2 + (unsigned)below(sim, chance(sim, 0.2) ? 60 : 12);
    }
    struct world *w = sim->world = world_new(rng_u64(&sim->rng), count);
    sim->count = count;
    sim->sleeper = WORLD_ANY;
    sim->left_inc = xcalloc((size_t)count * count, sizeof(*sim->left_inc));
    sim->seen_inc = xcalloc((size_t)count * count, sizeof(*sim->seen_inc));
    w->watch = &watch;
    w->data = sim;
    w->has_ack_payload = chance(sim, 0.5);
    w->has_clock = chance(sim, 0.7);
    w->config.enable_compression = chance(sim, 0.3);
    w->delay_min_ns = below(sim, 3) * MS;
    w->delay_max_ns = w->delay_min_ns + below(sim, 20) * MS;
    w->chunk_max = chance(sim, 0.5) ? 1 + below(sim, 3000) : 0;
    bool is_sealed = chance(sim, 0.3);
    for (unsigned i = 0; is_sealed && i < count; i++) {
        w->nodes[i].keys = seal_ring_new();
        ASSERT(seal_ring_add(w->nodes[i].keys, str_from_cstr(key), NULL) >= 0);
    }
}

static void sim_run(uint64_t seed, unsigned count, bool is_loud)
{
    struct sim *sim = xcalloc(1, sizeof(*sim));
    current_seed = seed;
    sim_begin(sim, seed, count);
    for (unsigned i = 0; i < sim->count; i++) {
        node_start(sim, i);
        run(sim, 1 + below(sim, 200) * MS);
    }
    agree(sim, "the beginning", 60 * S);
    sim->is_calm = true;
    check_quiet(sim);
    for (unsigned i = 0; i < (sim->count > 200 ? 1 : 2); i++) {
        live_calmly(sim);
        live_in_chaos(sim);
        heal(sim);
        sim->is_calm = true;
        check_quiet(sim);
    }
    if (is_loud) {
        printf("# seed %" PRIu64 ": %u members, %.0f s, %" PRIu64 " events, %" PRIu64
               " datagrams, %" PRIu64 " times dead, slowest agreement %.1f s\n",
               seed, sim->count, (double)sim->world->now_ns / 1e9, sim->world->events,
               sent_of_all(sim), sim->dead_total, (double)sim->slowest_agree_ns / 1e9);
    }
    (void)world_free(sim->world);
    mem_free(sim->left_inc);
    mem_free(sim->seen_inc);
    mem_free(sim);
}

/* --- the command line --- */

/* A check, or an assertion of ours, has failed: say with which seed. */
static void on_abort(int number)
{
    char line[80];
    int n = snprintf(line, sizeof(line), "# Replay: sim_swim --verbose %s%" PRIu64 "\n",
                     current_mode, current_seed);
    (void)!write(STDERR_FILENO, line, (size_t)n);
    (void)signal(number, SIG_DFL);
}

/* Sanitizers die in the same way. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}

/* In a process of its own, which dies of what it finds, or of going on for ever. */
static bool seed_fails(uint64_t seed)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        alarm(SEED_TIME_MAX_S);
        sim_run(seed, 0, false);
        _exit(0);
    }
    ASSERT(waitpid(pid, &status, 0) == pid);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static int run_planted(uint64_t first, uint64_t last)
{
    for (uint64_t seed = first; seed <= last; seed++) {
        if (seed_fails(seed)) {
            printf("ok 1 - the planted bug is found by seed %" PRIu64 "\n", seed);
            return 0;
        }
    }
    printf("not ok 1 - the planted bug is not found by seeds %" PRIu64 " to %" PRIu64 "\n", first,
           last);
    return 1;
}

static int run_range(uint64_t first, uint64_t last, unsigned count)
{
    for (uint64_t seed = first; seed <= last; seed++) {
        sim_run(seed, count, last - first < 100);
        fflush(stdout);
    }
    printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n", first, last);
    return 0;
}

int main(int argc, char **argv)
{
    bool is_planted = false, is_large = false;
    uint64_t seeds[2] = {1, SEEDS_OF_THE_TEST};
    int given = 0;
    for (int i = 1; i < argc; i++) {
        struct str word = str_from_cstr(argv[i]);
        if (str_eq_lit(word, "--verbose")) {
            verbose = true;
        } else if (str_eq_lit(word, "--planted")) {
            is_planted = true;
        } else if (str_eq_lit(word, "--large")) {
            is_large = true;
            current_mode = "--large ";
        } else if (given == 2 || str_parse_u64(word, &seeds[given++]) < 0) {
            fprintf(stderr, "usage: sim_swim [--verbose] [--planted] [--large] [first [last]]\n");
            return 2;
        }
    }
    if (given == 1) {
        seeds[1] = seeds[0];
    }
    (void)signal(SIGABRT, on_abort);
    printf("1..1\n");
    fflush(stdout);
    return is_planted ? run_planted(seeds[0], seeds[1])
                      : run_range(seeds[0], seeds[1], is_large ? 1000 : 0);
}
