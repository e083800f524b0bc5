/* chain_graph.h - the graph of a discovery chain while it is being compiled (private to
 * discovery_chain.c): nodes, what leads from one to the next, and what is done to all of it once it
 * stands. */
#pragma once
#include "base/map.h"
#include "base/vec.h"
#include "schema/discovery_chain.h"

struct arena;
struct err;

struct chain_node;

struct chain_edge {
    void *what; /* struct discovery_route or discovery_split; its next_node is set last */
    struct chain_node *to;
};

struct chain_node {
    struct discovery_graph_node node; /* routes and splits are set last */
    struct str key;                   /* "type:name" */
    VEC(struct chain_edge) edges;
    enum { NODE_NEW, NODE_OPEN, NODE_CLOSED } visit;
};

struct chain_graph {
    struct arena *a;
    struct map nodes; /* by key, in the order they came */
    size_t splits;    /* of all splitters */
};

void chain_graph_init(struct chain_graph *g, struct arena *a);
void chain_graph_deinit(struct chain_graph *g);

/* A node that is no part of the graph until it is put there. */
struct chain_node *chain_node_new(struct chain_graph *g, struct str type, struct str name);
void chain_graph_put(struct chain_graph *g, struct chain_node *node);
/* `what`: a struct discovery_split of a splitter, discovery_route of a router. */
void chain_node_lead(struct chain_graph *g, struct chain_node *from, void *what,
                     struct chain_node *to);

/* No node leads to itself: "detected circular reference: […]". */
NODISCARD int chain_graph_check_circles(struct chain_graph *g, struct chain_node *start,
                                        struct str service, struct err *err);
/* Splits that lead to a splitter become that one's splits, weighted. */
NODISCARD int chain_graph_flatten(struct chain_graph *g, struct str service, struct err *err);
/* Those that can be reached from `start`. */
struct objmap chain_graph_nodes(struct chain_graph *g, struct chain_node *start);

int chain_fail_depth(struct arena *a, struct str service, struct err *err);
