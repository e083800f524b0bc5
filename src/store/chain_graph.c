#include "store/chain_graph.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "store/config_check.h"
#include "store/discovery_chain.h"

/* --- nodes ----------------------------------------------------------------------------------- */

void chain_graph_init(struct chain_graph *g, struct arena *a)
{
    *g = (struct chain_graph){.a = a};
    map_init(&g->nodes, MAP_KEYS_BORROWED);
}

void chain_graph_deinit(struct chain_graph *g)
{
    map_deinit(&g->nodes);
}

struct chain_node *chain_node_new(struct chain_graph *g, struct str type, struct str name)
{
    struct chain_node *n = ARENA_NEW(g->a, struct chain_node);
    n->node.type = type;
    n->node.name = name;
    n->key = arena_printf(g->a, "%.*s:%.*s", STRF(type), STRF(name));
    return n;
}

void chain_graph_put(struct chain_graph *g, struct chain_node *node)
{
    (void)map_put(&g->nodes, node->key, node);
}

static bool is_splitter(const struct chain_node *n)
{
    return str_eq(n->node.type, CHAIN_SPLITTER);
}

void chain_node_lead(struct chain_graph *g, struct chain_node *from, void *what,
                     struct chain_node *to)
{
    g->splits += is_splitter(from);
    avec_push(g->a, &from->edges, ((struct chain_edge){what, to}));
}

/* --- circles --------------------------------------------------------------------------------- */

int chain_fail_depth(struct arena *a, struct str service, struct err *err)
{
    return err_set(err, ERR_FAILED, "discovery chain %.*s is deeper than %u levels",
                   STRF(go_quoted(a, service)), CHAIN_DEPTH_MAX);
}

struct walk {
    struct chain_graph *g;
    struct str service;
    struct err *err;
    struct buf path;
    unsigned depth;
};

/* Depth first, last child first, as the reference. A node whose descendants were all seen needs no
 * second look. */
static int find_circle(struct walk *w, struct chain_node *n)
{
    size_t at = w->path.n;
    if (w->depth > CHAIN_DEPTH_MAX) {
        return chain_fail_depth(w->g->a, w->service, w->err);
    }
    buf_printf(&w->path, "%s%.*s", at > 0 ? " -> " : "", STRF(n->key));
    if (n->visit == NODE_OPEN) {
        return err_set(w->err, ERR_FAILED, "detected circular reference: [%.*s]",
                       STRF(buf_view(&w->path)));
    }
    int r = 0;
    if (n->visit == NODE_NEW) {
        n->visit = NODE_OPEN;
        w->depth++;
        for (size_t i = n->edges.n; r >= 0 && i > 0; i--) {
            r = find_circle(w, n->edges.v[i - 1].to);
        }
        w->depth--;
        n->visit = NODE_CLOSED;
    }
    w->path.n = at;
    return r;
}

int chain_graph_check_circles(struct chain_graph *g, struct chain_node *start, struct str service,
                              struct err *err)
{
    struct walk w = {.g = g, .service = service, .err = err};
    int r = find_circle(&w, start);
    buf_deinit(&w.path);
    return r;
}

/* --- splitters that lead to splitters -------------------------------------------------------- */

static struct discovery_split *weighted(struct arena *a, const struct discovery_split *outer,
                                        const struct discovery_split *inner)
{
    struct discovery_split *s = ARENA_NEW(a, struct discovery_split);
    s->weight = config_normalize_weight((float)outer->weight * (float)inner->weight / 100.0f);
    return s;
}

static bool leads_to_splitter(const struct chain_node *n)
{
    for (size_t i = 0; i < n->edges.n; i++) {
        if (is_splitter(n->edges.v[i].to)) {
            return true;
        }
    }
    return false;
}

/* The splits of splitters it leads to become its own. */
static int flatten_node(struct chain_graph *g, struct chain_node *n, struct str service,
                        struct err *err)
{
    struct chain_node old = *n;
    n->edges = (typeof(n->edges)){0};
    g->splits -= old.edges.n;
    for (size_t i = 0; i < old.edges.n; i++) {
        const struct chain_edge *e = &old.edges.v[i];
        size_t count = is_splitter(e->to) ? e->to->edges.n : 0;
        if (g->splits + count > CHAIN_SPLITS_MAX) {
            return err_set(err, ERR_FAILED, "discovery chain %.*s has more than %u splits",
                           STRF(go_quoted(g->a, service)), CHAIN_SPLITS_MAX);
        }
        if (!is_splitter(e->to)) {
            chain_node_lead(g, n, e->what, e->to);
        }
        for (size_t j = 0; j < count; j++) {
            const struct chain_edge *inner = &e->to->edges.v[j];
            chain_node_lead(g, n, weighted(g->a, e->what, inner->what), inner->to);
        }
    }
    return 0;
}

/* Weights are rounded each time, so the order matters a little. The reference goes through its map,
 * in any order; here it is the order in which the nodes came. There are no circles any more, so
 * this ends. */
int chain_graph_flatten(struct chain_graph *g, struct str service, struct err *err)
{
    bool is_changed;
    do {
        size_t pos = 0;
        struct str key;
        void *value;
        is_changed = false;
        while (map_next(&g->nodes, &pos, &key, &value)) {
            struct chain_node *n = value;
            if (!is_splitter(n) || !leads_to_splitter(n)) {
                continue;
            }
            int r = flatten_node(g, n, service, err);
            if (r < 0) {
                return r;
            }
            is_changed = true;
        }
    } while (is_changed);
    return 0;
}

/* --- the outcome ----------------------------------------------------------------------------- */

/* What leads on, now that it is settled where to. */
static void set_edges(struct arena *a, struct chain_node *n)
{
    bool is_split = is_splitter(n);
    struct ptrlist list = {ARENA_ARRAY(a, void *, n->edges.n), n->edges.n};
    for (size_t i = 0; i < n->edges.n; i++) {
        list.v[i] = n->edges.v[i].what;
        if (is_split) {
            ((struct discovery_split *)list.v[i])->next_node = n->edges.v[i].to->key;
        } else {
            ((struct discovery_route *)list.v[i])->next_node = n->edges.v[i].to->key;
        }
    }
    *(is_split ? &n->node.splits : &n->node.routes) = list;
}

struct objmap chain_graph_nodes(struct chain_graph *g, struct chain_node *start)
{
    VEC(struct chain_node *) todo = {0};
    VEC(struct objmap_pair) found = {0};
    size_t pos = 0;
    struct str key;
    void *value;
    while (map_next(&g->nodes, &pos, &key, &value)) {
        ((struct chain_node *)value)->visit = NODE_NEW;
    }
    avec_push(g->a, &todo, start);
    start->visit = NODE_OPEN;
    for (size_t i = 0; i < todo.n; i++) {
        struct chain_node *n = todo.v[i];
        avec_push(g->a, &found, ((struct objmap_pair){n->key, &n->node}));
        for (size_t j = 0; j < n->edges.n; j++) {
            struct chain_node *next = n->edges.v[j].to;
            if (next->visit == NODE_NEW) {
                next->visit = NODE_OPEN;
                avec_push(g->a, &todo, next);
            }
        }
        if (n->edges.n > 0) {
            set_edges(g->a, n);
        }
    }
    return objmap_build(found.v, found.n);
}
