/* memberlist_priv.h - what the files memberlist*.c share. */
#pragma once
#include "proto/memberlist.h"

/* The plain text of what stands behind COMPRESS. */
NODISCARD int memberlist_decompress(struct str s, size_t size_max, struct arena *a, struct str *ret,
                                    struct err *err);

/* One state of a push/pull; into a zeroed one. */
void memberlist_node_state_put(const struct memberlist_node_state *m, struct buf *to);
NODISCARD int memberlist_node_state_read(struct cur *c, struct memberlist_node_state *m,
                                         struct err *err);
