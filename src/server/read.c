#include "server/read.h"

#include "schema/filter.h"
#include "server/server.h"
#include "store/coordinate.h"

#include <math.h>
#include <stdlib.h>

/* --- filters --------------------------------------------------------------------------------- */

/* Move the matching ones of n elements to the front. is_pointer: an element is a pointer to what is
 * matched. The elements are the caller's own, not rows. */
static int filter_elements(struct rpc_ctx *ctx, struct str expression, const struct schema *schema,
                           void *elements, size_t size, bool is_pointer, size_t *n)
{
    struct filter *filter;
    int r = filter_compile(ctx->arena, expression, schema, &filter, ctx->err);
    if (r < 0) {
        return r;
    }
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        char *element = (char *)elements + i * size;
        r = filter_match(filter, is_pointer ? *(void **)(void *)element : element, ctx->err);
        if (r < 0) {
            return r;
        }
        if (r > 0) {
            memmove((char *)elements + kept++ * size, element, size);
        }
    }
    *n = kept;
    return 0;
}

int read_filter_ptrs(struct rpc_ctx *ctx, struct str expression, const struct schema *schema,
                     struct ptrlist *list)
{
    if (expression.n == 0) {
        return 0;
    }
    int r = filter_elements(ctx, expression, schema, list->v, sizeof(void *), true, &list->n);
    if (r >= 0 && list->v == NULL) {
        list->v = SCHEMA_EMPTY;
    }
    return r;
}

int read_filter_objs(struct rpc_ctx *ctx, struct str expression, const struct schema *schema,
                     struct objlist *list)
{
    if (expression.n == 0) {
        return 0;
    }
    int r = filter_elements(ctx, expression, schema, list->v, schema->size, false, &list->n);
    if (r >= 0 && list->v == NULL) {
        list->v = SCHEMA_EMPTY;
    }
    return r;
}

int read_filter_map(struct rpc_ctx *ctx, struct str expression, const struct schema *schema,
                    struct objmap *map)
{
    struct filter *filter;
    if (expression.n == 0) {
        return 0;
    }
    int r = filter_compile(ctx->arena, expression, schema, &filter, ctx->err);
    if (r < 0) {
        return r;
    }
    size_t kept = 0;
    for (size_t i = 0; i < map->n; i++) {
        r = filter_match(filter, map->v[i].value, ctx->err);
        if (r < 0) {
            return r;
        }
        if (r > 0) {
            map->v[kept++] = map->v[i];
        }
    }
    map->n = kept;
    return 0;
}

/* --- metadata of nodes ----------------------------------------------------------------------- */

_Static_assert(offsetof(struct service_node, node) == 0 &&
                   offsetof(struct check_service_node, node) == 0,
               "an element opens with the pointer to its node");

void read_keep_node_meta(struct strmap wanted, size_t size, struct objlist *list)
{
    if (wanted.n == 0) {
        return;
    }
    char *elements = list->v;
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        char *element = elements + i * size;
        const struct node *node = *(const struct node *const *)(const void *)element;
        if (strmap_has_all(node->meta, wanted)) {
            memmove(elements + kept++ * size, element, size);
        }
    }
    list->n = kept;
}

/* --- nearness -------------------------------------------------------------------------------- */

struct distance {
    double seconds;
    size_t at;
};

static int by_distance(const void *x, const void *y)
{
    const struct distance *a = x, *b = y;
    if (a->seconds != b->seconds) {
        return a->seconds < b->seconds ? -1 : 1;
    }
    return a->at < b->at ? -1 : 1;
}

static void sort_elements(struct rpc_ctx *ctx, const struct query_source *source, read_node_fn node,
                          bool is_pointer, void *elements, size_t size, size_t n)
{
    struct ptrlist from, to;
    if (n < 2 || source->node.n == 0 ||
        !str_eq(source->datacenter, ctx->server->options.datacenter)) {
        return;
    }
    (void)coordinate_node(ctx->view, NULL, ctx->arena, source->node, &from);
    if (from.n == 0) {
        return;
    }
    struct distance *distances = ARENA_ARRAY(ctx->arena, struct distance, n);
    for (size_t i = 0; i < n; i++) {
        const char *element = (const char *)elements + i * size;
        struct str name = node(is_pointer ? *(void *const *)(const void *)element : element);
        (void)coordinate_node(ctx->view, NULL, ctx->arena, name, &to);
        distances[i] = (struct distance){coordinate_set_distance(from, to), i};
    }
    qsort(distances, n, sizeof(distances[0]), by_distance);
    char *sorted = arena_alloc(ctx->arena, n * size);
    for (size_t i = 0; i < n; i++) {
        memcpy(sorted + i * size, (const char *)elements + distances[i].at * size, size);
    }
    memcpy(elements, sorted, n * size);
}

void read_sort_ptrs(struct rpc_ctx *ctx, const struct query_source *source, read_node_fn node,
                    struct ptrlist *list)
{
    sort_elements(ctx, source, node, true, list->v, sizeof(void *), list->n);
}

void read_sort_objs(struct rpc_ctx *ctx, const struct query_source *source, read_node_fn node,
                    size_t size, struct objlist *list)
{
    sort_elements(ctx, source, node, false, list->v, size, list->n);
}
