#include "server/coordinate_batch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/rpc.h"
#include "server/server.h"

#include <stdatomic.h>

/* Updates on their way to the main loop; more are dropped, as those over the limit of a period. */
#define UPDATES_UNDER_WAY_MAX 4096u

struct coordinate_batch {
    struct server *server;
    _Atomic uint32_t under_way;
    struct map pending; /* "node:segment" to a clone, struct node_coordinate */
    struct loop_timer timer;
    uint64_t started_ms; /* periods are counted from here */
    uint64_t dropped;    /* of the running period */
};

/* An update on its way to the main loop. */
struct update_msg {
    struct loop_msg msg;
    struct coordinate_batch *batch;
    struct node_coordinate *update; /* a clone */
};

struct coordinate_batch *coordinate_batch_new(struct server *s)
{
    struct coordinate_batch *b = xcalloc(1, sizeof(*b));
    b->server = s;
    b->started_ms = clock_mono_ms();
    map_init(&b->pending, 0);
    return b;
}

static void drop_pending(struct coordinate_batch *b)
{
    size_t pos = 0;
    struct str key;
    void *update;
    while (map_next(&b->pending, &pos, &key, &update)) {
        mem_free(update);
    }
    map_clear(&b->pending);
}

struct coordinate_batch *coordinate_batch_free(struct coordinate_batch *b)
{
    if (b != NULL) {
        drop_pending(b);
        map_deinit(&b->pending);
    }
    return mem_free(b);
}

/* --- writing: a method of our own that is in no table, so that nobody else can call it -------- */

static const struct field batch_fields[] = {
    F_OBJLIST(struct indexed_coordinates, coordinates, "Coordinates", 0, &node_coordinate_schema),
    FIELDS_END,
};
static const struct schema batch_schema =
    SCHEMA("Coordinates", struct indexed_coordinates, batch_fields);

static int batch_prepare(struct rpc_ctx *ctx UNUSED, void *data, void *reply UNUSED,
                         struct buf *entry)
{
    const struct indexed_coordinates *args = data;
    const struct node_coordinate *list = args->coordinates.v;
    /* Servers too old to know the type may skip it. */
    buf_byte(entry, FSM_COORDINATE_BATCH_UPDATE | FSM_IGNORE_UNKNOWN);
    msgpack_array(entry, args->coordinates.n);
    for (size_t i = 0; i < args->coordinates.n; i++) {
        msgpack_object(entry, &node_coordinate_schema, &list[i]);
    }
    return RPC_PREPARE_PROPOSE;
}

static const struct rpc_method batch_method = {
    .name = "Coordinate.batchUpdate",
    .flags = RPC_WRITE,
    .args = &batch_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .prepare = batch_prepare,
};

static void batch_written(struct rpc_call *call)
{
    if (call->err != NULL) {
        log_write(LOG_WARN, "agent.server.coordinate", "Batch update failed",
                  LOG_CSTR("error", err_text(call->err)));
    }
    rpc_call_free(call);
}

static void write_batch(struct coordinate_batch *b, struct node_coordinate *const *updates,
                        size_t count)
{
    struct rpc_call *call = rpc_call_new(b->server->main, &batch_method);
    struct indexed_coordinates *args = call->args;
    struct node_coordinate *list = ARENA_ARRAY(&call->arena, struct node_coordinate, count);
    for (size_t i = 0; i < count; i++) {
        const struct node_coordinate *copy =
            schema_copy(&call->arena, &node_coordinate_schema, updates[i]);
        list[i] = *copy;
    }
    args->coordinates = (struct objlist){list, count};
    call->done = batch_written;
    call->is_duty = true;
    rpc_start(call);
}

/* --- collecting ------------------------------------------------------------------------------ */

static size_t limit(const struct coordinate_batch *b)
{
    const struct server_options *o = &b->server->options;
    return (size_t)o->coordinate_update_batch_size * o->coordinate_update_max_batches;
}

static void flush(struct loop_timer *t)
{
    struct coordinate_batch *b = container_of(t, struct coordinate_batch, timer);
    size_t size = MAX(b->server->options.coordinate_update_batch_size, 1u);
    if (b->dropped > 0) {
        log_write(LOG_WARN, "agent.server.coordinate", "Discarded coordinate updates",
                  LOG_UINT("number_discarded", b->dropped));
        b->dropped = 0;
    }
    struct node_coordinate **updates = xcalloc(size, sizeof(*updates));
    size_t pos = 0, n = 0;
    struct str key;
    void *update;
    while (map_next(&b->pending, &pos, &key, &update)) {
        updates[n++] = update;
        if (n == size) {
            write_batch(b, updates, n);
            n = 0;
        }
    }
    if (n > 0) {
        write_batch(b, updates, n);
    }
    mem_free(updates);
    drop_pending(b);
}

/* The periods go on whether or not there are updates, so that one waits for half of a period on
 * average: clients that look for what they wrote wait for no more than one. */
static uint64_t period_left_ms(const struct coordinate_batch *b)
{
    uint64_t period_ms = MAX(b->server->options.coordinate_update_period_ms, 1u);
    return period_ms - (clock_mono_ms() - b->started_ms) % period_ms;
}

static void update_run(struct loop_msg *msg)
{
    struct update_msg *m = container_of(msg, struct update_msg, msg);
    struct coordinate_batch *b = m->batch;
    atomic_fetch_sub(&b->under_way, 1);
    struct buf key = {0};
    buf_str(&key, m->update->node);
    buf_byte(&key, ':');
    buf_str(&key, m->update->segment);
    if (b->pending.n < limit(b) || map_get(&b->pending, buf_view(&key)) != NULL) {
        mem_free(map_put(&b->pending, buf_view(&key), m->update));
        if (!loop_timer_is_active(&b->timer)) {
            loop_timer_start(b->server->main->loop, &b->timer, period_left_ms(b), flush);
        }
    } else {
        b->dropped++;
        mem_free(m->update);
    }
    buf_deinit(&key);
    mem_free(m);
}

void coordinate_batch_add(struct coordinate_batch *b, const struct node_coordinate *update)
{
    if (atomic_fetch_add(&b->under_way, 1) >= UPDATES_UNDER_WAY_MAX) {
        atomic_fetch_sub(&b->under_way, 1);
        return;
    }
    struct update_msg *m = xcalloc(1, sizeof(*m));
    m->msg.run = update_run;
    m->batch = b;
    m->update = schema_clone(&node_coordinate_schema, update, NULL);
    loop_post(b->server->main->loop, &m->msg);
}
