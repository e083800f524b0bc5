#include "store/row.h"

#include "base/mem.h"
#include "schema/json.h"

struct str row_json(_Atomic(struct rendered *) *cache, const struct schema *schema,
                    const void *object)
{
    struct rendered *r = atomic_load_explicit(cache, memory_order_acquire);
    if (r == NULL) {
        struct buf text;
        buf_init(&text, UINT32_MAX);
        struct json_writer w = json_writer_make(&text, false);
        json_object(&w, schema, object);
        ASSERT(!text.failed); /* a row came out of a message far smaller than the ceiling */
        struct rendered *fresh = xmalloc(sizeof(*fresh) + text.n);
        fresh->n = (uint32_t)text.n;
        memcpy(fresh->p, text.p, text.n);
        buf_deinit(&text);
        if (atomic_compare_exchange_strong_explicit(cache, &r, fresh, memory_order_acq_rel,
                                                    memory_order_acquire)) {
            r = fresh;
        } else {
            mem_free(fresh); /* r is the winner's */
        }
    }
    return str_make(r->p, r->n);
}
