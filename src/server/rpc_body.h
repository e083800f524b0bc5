/* rpc_body.h - arguments and replies of methods as the msgpack that stands behind an RPC header.
 *
 * Almost all are structs, so maps. A reply that is a plain value in Go (a string, a bool, a list of
 * strings) is described here by a struct whose one field has no name (reply.h), and is just that
 * value on the wire. Without a schema (a method that answers nothing but success) it is an empty
 * struct. Pure. */
#pragma once
#include "base/buf.h"

struct arena;
struct err;
struct schema;

void rpc_body_encode(struct buf *to, const struct schema *schema, const void *object);
/* object is zeroed by the caller; its strings point into the arena, not into the bytes.
 * -ERR_INVALID, with err. */
NODISCARD int rpc_body_decode(struct str bytes, const struct schema *schema, void *object,
                              struct arena *a, struct err *err);
