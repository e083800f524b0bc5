#include "server/rpc_body.h"

#include "base/err.h"
#include "schema/msgpack.h"

void rpc_body_encode(struct buf *to, const struct schema *schema, const void *object)
{
    if (schema == NULL) {
        msgpack_map(to, 0);
    } else {
        msgpack_object(to, schema, object);
    }
}

int rpc_body_decode(struct str bytes, const struct schema *schema, void *object, struct arena *a,
                    struct err *err)
{
    if (schema == NULL) {
        return 0;
    }
    struct cur c = cur_make(arena_str(a, bytes));
    int r = msgpack_decode(&c, schema, object, a, err);
    if (r == 0 && cur_left(&c) > 0) {
        r = err_set(err, ERR_INVALID, "msgpack: %zu bytes behind a %s", cur_left(&c), schema->name);
    }
    return r;
}
