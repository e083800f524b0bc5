/* read.h - what the reading methods have in common: ?filter, ?near and the metadata of nodes.
 *
 * All three work in place on a list that lives in the call's arena; the rows it points to are left
 * alone. */
#pragma once
#include "server/rpc.h"

/* Keep the elements an expression matches; an empty expression keeps all of them. A list that was
 * filtered is not nil any more. */
NODISCARD int read_filter_ptrs(struct rpc_ctx *ctx, struct str expression,
                               const struct schema *schema, struct ptrlist *list);
NODISCARD int read_filter_objs(struct rpc_ctx *ctx, struct str expression,
                               const struct schema *schema, struct objlist *list);
/* The same over the values of a map. */
NODISCARD int read_filter_map(struct rpc_ctx *ctx, struct str expression,
                              const struct schema *schema, struct objmap *map);

/* Keep the elements, of `size` bytes and opening with the pointer to their node, whose node has all
 * of the metadata. */
void read_keep_node_meta(struct strmap wanted, size_t size, struct objlist *list);

/* The name of the node an element is about. */
typedef struct str (*read_node_fn)(const void *element);

/* Nearest to source->node first, by round trip time; elements without a coordinate last, equals in
 * the order they had. Nothing happens without a source, for one of another data center, or when the
 * source has no coordinates. */
void read_sort_ptrs(struct rpc_ctx *ctx, const struct query_source *source, read_node_fn node,
                    struct ptrlist *list);
void read_sort_objs(struct rpc_ctx *ctx, const struct query_source *source, read_node_fn node,
                    size_t size, struct objlist *list);

/* The call will be answered with this index; false when it is put to sleep and runs again. */
static inline bool read_will_answer(const struct rpc_ctx *ctx, const struct query_options *options,
                                    uint64_t index)
{
    return ctx->ws == NULL || index > options->min_query_index;
}
