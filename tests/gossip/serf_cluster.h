/* serf_cluster.h - several Serf cores in one process, with a network between them and virtual time.
 *
 *     struct cluster c;
 *     cluster_init(&c);
 *     struct node *a = cluster_start(&c, "a"), *b = cluster_start(&c, "b");
 *     node_join(b, a);
 *     cluster_run(&c, 1000);                        // ms
 *     assert_news(a, "join b\n");                   // what it was told since the last time
 *
 * Datagrams take 1 ms, or are lost as often as c.loss says; streams are reliable. Nodes of other
 * groups (node.group) do not reach each other. */
#pragma once
#include "test.h"

#include "base/err.h"
#include "base/list.h"
#include "base/rand.h"
#include "gossip/core/serf.h"

#define CLUSTER_NODES_MAX 8u
#define CLUSTER_MS 1000000ull

enum { MEASURES_COUNT = SERF_MEASURE_COORDINATE_ZERO_RTT + 1 };

struct node {
    struct cluster *cluster;
    struct serf *serf; /* NULL: down */
    const char *name;
    struct gossip_address address;
    struct serf_config config;
    struct strmap tags;
    struct seal_ring *keys; /* NULL: none */
    struct rng rng;
    int group;
    struct buf news, statuses, snapshot, log;
    struct serf_recovered recovered;

    const char *answer; /* to queries; NULL: none. "%" stands for the query's payload */
    bool keys_fail;     /* to be written */
    bool keys_are_slow; /* the test calls serf_keys_written() with keys_token */
    uint64_t keys_token;
    unsigned keys_writes;
    struct str refuses; /* this member */
    uint64_t kept_ms;   /* what ops.reconnect_timeout_ns says */
    unsigned joined, join_failed, left, left_timed_out;
    uint64_t left_at_ms;
    char join_text[256];
    bool has_lost;
    double measures[MEASURES_COUNT];
};

struct cluster {
    uint64_t now_ns, sequence;
    struct node nodes[CLUSTER_NODES_MAX];
    size_t count;
    struct list wire; /* in order of time */
    struct rng rng;
    double loss;
    bool cut[CLUSTER_NODES_MAX][CLUSTER_NODES_MAX]; /* datagrams from the one to the other */
    uint64_t datagrams;
};

void cluster_init(struct cluster *c);
void cluster_deinit(struct cluster *c);
/* A node that is configured as on a LAN, at 127.0.0.N; two may have one name. */
struct node *cluster_node(struct cluster *c, const char *name);
struct node *cluster_start(struct cluster *c, const char *name);
void node_start(struct node *n);
void node_crash(struct node *n); /* without a word; it may be started again */
void node_join(struct node *n, const struct node *to);
void node_join_as(struct node *n, const struct node *to, bool ignore_old);
void node_key(struct node *n, char fill); /* before it starts: a ring with 16 of these */
void cluster_run(struct cluster *c, uint64_t ms);
uint64_t cluster_now_ms(const struct cluster *c);
/* As node n sees it: "alive", or "unknown". */
const char *node_status(const struct node *n, const char *of);

void assert_text_(struct buf *actual, const char *expected, const char *file, int line);
/* What was told since the last time. */
#define assert_news(n, expected) assert_text_(&(n)->news, (expected), __FILE__, __LINE__)
#define assert_snapshot(n, expected) assert_text_(&(n)->snapshot, (expected), __FILE__, __LINE__)
#define assert_statuses(n, expected) assert_text_(&(n)->statuses, (expected), __FILE__, __LINE__)
#define assert_status(n, of, expected) assert_string_equal(node_status((n), (of)), (expected))
bool node_has_logged(const struct node *n, const char *text);
