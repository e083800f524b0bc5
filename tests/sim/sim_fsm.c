/* State machines. In most seeds the real one: fsm/ over store/, as a server has it (see
 * src/server/server.c), fed with requests over few names, so that they meet. In the others a toy,
 * whose whole state is a hash, so that states can be compared at every index. */
#include "base/encode.h"
#include "base/epoch.h"
#include "base/mem.h"
#include "fsm/fsm.h"
#include "fsm/snapshot.h"
#include "schema/msgpack.h"
#include "sim.h"
#include "store/lock_delay.h"
#include "store/store.h"

#define TOY_MAGIC 0x796f74u
#define DIGEST_EVERY 128u

struct sim_fsm {
    struct sim_server *server;
    uint64_t last_index;
    uint64_t hash; /* the toy's state */
    struct epoch *epoch;
    struct store *store;
    struct lock_delay *delays;
    struct fsm *fsm;
    struct arena arena;
};

bool sim_fsm_is_cheap(const struct sim *s)
{
    return s->is_toy;
}

struct sim_fsm *sim_fsm_new(struct sim_server *sv)
{
    struct sim_fsm *f = xcalloc(1, sizeof(*f));
    f->server = sv;
    if (!sv->sim->is_toy) {
        f->epoch = epoch_new();
        f->store = store_new(f->epoch);
        f->delays = lock_delay_new();
        f->fsm = fsm_new(f->store, f->delays);
    }
    return f;
}

struct sim_fsm *sim_fsm_free(struct sim_fsm *f)
{
    if (f != NULL && f->fsm != NULL) {
        fsm_free(f->fsm);
        store_free(f->store);
        lock_delay_free(f->delays);
        epoch_free(f->epoch);
        arena_deinit(&f->arena);
    }
    return mem_free(f);
}

/* --- the state as bytes --- */

/* Padded by its own hash, so that sizes differ. */
static void toy_bytes(uint64_t hash, struct buf *to)
{
    char bytes[16];
    put_le64(bytes, TOY_MAGIC);
    put_le64(bytes + 8, hash);
    buf_put(to, bytes, sizeof(bytes));
    buf_fill(to, (char)hash, hash % 3000);
}

static int chunk_append(void *data, struct str chunk)
{
    buf_str(data, chunk);
    return 0;
}

void sim_fsm_bytes(struct sim_fsm *f, struct buf *to)
{
    struct err err = {0};
    if (f->fsm == NULL) {
        toy_bytes(f->hash, to);
    } else if (snapshot_write(store_view(f->store), chunk_append, to, &err) < 0) {
        sim_fail("a snapshot cannot be written", 0, 0);
    }
}

uint64_t sim_fsm_digest(struct sim_fsm *f)
{
    if (f->fsm == NULL) {
        return f->hash;
    }
    struct buf b = {0};
    sim_fsm_bytes(f, &b);
    uint64_t digest = fnv1a64(buf_view(&b));
    buf_deinit(&b);
    f->server->sim->stats.digests++;
    return digest;
}

/* --- what the node calls --- */

static uint64_t result_hash(const struct fsm_result *r)
{
    uint64_t hash = r->kind * 31u + r->b * 7u + r->u;
    hash = hash * 31 + fnv1a64(r->s) + fnv1a64(r->text);
    if (r->kind == FSM_RESULT_TXN) {
        struct buf b = {0};
        msgpack_object(&b, &txn_response_schema, r->txn);
        hash = hash * 31 + fnv1a64(buf_view(&b));
        buf_deinit(&b);
    }
    return hash;
}

static uint64_t toy_apply(struct sim_fsm *f, uint64_t index, struct str entry, uint64_t hash)
{
    struct sim *s = f->server->sim;
    uint64_t number = get_le64(entry.p);
    SIM_CHECK(entry.n >= 8 && number < s->refused.n, index, number);
    SIM_CHECK(s->refused.v[number] == 0, index, number); /* it left no trace */
    f->hash = f->hash * 31 + index * 7 + hash;
    return f->hash;
}

static uint64_t real_apply(struct sim_fsm *f, uint64_t index, struct str entry)
{
    struct fsm_result result;
    int k = fsm_apply(f->fsm, index, entry, sim_server_now_ms(f->server), &f->arena, &result);
    SIM_CHECK(k == 0, index, -k);
    uint64_t hash = result_hash(&result);
    arena_reset(&f->arena);
    return hash;
}

static int sim_apply(void *data, uint64_t index, uint64_t term, struct str entry,
                     struct str extensions, struct raft_proposal *proposal)
{
    (void)extensions;
    struct sim_fsm *f = data;
    SIM_CHECK(index > f->last_index, index, f->last_index);
    f->last_index = index;
    uint64_t hash = fnv1a64(entry), result;
    if (proposal != NULL) {
        struct sim_op *op = container_of(proposal, struct sim_op, proposal);
        SIM_CHECK(op->hash == hash && op->server == f->server, index, op->number);
        op->applied_at = index;
    }
    result = f->fsm == NULL ? toy_apply(f, index, entry, hash) : real_apply(f, index, entry);
    sim_check_apply(f->server, index, term, hash, result);
    if (f->fsm != NULL && index % DIGEST_EVERY == 0) {
        sim_check_state(f->server, index);
    }
    return 0;
}

struct handle {
    struct sim_fsm *fsm;
    uint64_t hash;
    const struct store_view *view;
    uint32_t pin;
};

static void *sim_snapshot_begin(void *data, uint64_t last_index)
{
    struct sim_fsm *f = data;
    struct handle *h = xcalloc(1, sizeof(*h));
    h->fsm = f;
    h->hash = f->hash;
    if (f->fsm != NULL) {
        h->view = store_view(f->store);
        SIM_CHECK(epoch_pin(f->epoch, &h->pin) == 0, 0, 0);
        sim_check_state(f->server, last_index);
    }
    return h;
}

struct target {
    struct raft_snapshot_sink *sink;
    struct err *err;
};

static int chunk_sink(void *data, struct str chunk)
{
    const struct target *t = data;
    return raft_snapshot_sink_write(t->sink, chunk, t->err);
}

static int sim_snapshot_write(void *handle, struct raft_snapshot_sink *sink, struct err *err)
{
    const struct handle *h = handle;
    struct target target = {sink, err};
    if (h->view != NULL) {
        return snapshot_write(h->view, chunk_sink, &target, err);
    }
    struct buf b = {0};
    toy_bytes(h->hash, &b);
    int k = raft_snapshot_sink_write(sink, buf_view(&b), err);
    buf_deinit(&b);
    return k;
}

static void sim_snapshot_end(void *handle)
{
    struct handle *h = handle;
    if (h->view != NULL) {
        epoch_unpin(h->fsm->epoch, h->pin);
    }
    mem_free(h);
}

static int sim_state_new(void *data, struct str bytes, void **ret_state, struct err *err)
{
    struct sim_fsm *f = data;
    int k = 0;
    if (f->fsm != NULL) {
        struct store *store = NULL;
        k = snapshot_load(bytes, &store, err);
        *ret_state = store;
    } else if (bytes.n < 16 || get_le64(bytes.p) != TOY_MAGIC ||
               bytes.n != 16 + get_le64(bytes.p + 8) % 3000) {
        k = err_set(err, ERR_CORRUPT, "not a toy");
    } else {
        *ret_state = xmemdup(bytes.p + 8, 8);
    }
    SIM_CHECK(k == 0, bytes.n, -k); /* what comes here has passed a checksum, or was ours */
    return 0;
}

static void sim_state_free(void *data, void *state)
{
    const struct sim_fsm *f = data;
    if (f->fsm != NULL) {
        store_free(state);
    } else {
        mem_free(state);
    }
}

static void sim_state_take(void *data, void *take_state)
{
    struct sim_fsm *f = data;
    if (f->fsm != NULL) {
        store_adopt(f->store, take_state, NULL, NULL);
    } else {
        f->hash = get_le64(take_state);
        mem_free(take_state);
    }
    f->last_index = 0;
    f->server->was_restored = true;
}

static bool sim_batch_end(void *data)
{
    struct sim_fsm *f = data;
    if (f->fsm != NULL) {
        epoch_collect(f->epoch);
    }
    return f->fsm != NULL && epoch_is_behind(f->epoch);
}

const struct raft_fsm_ops sim_fsm_ops = {
    .apply = sim_apply,
    .snapshot_begin = sim_snapshot_begin,
    .snapshot_write = sim_snapshot_write,
    .snapshot_end = sim_snapshot_end,
    .state_new = sim_state_new,
    .state_take = sim_state_take,
    .state_free = sim_state_free,
    .batch_end = sim_batch_end,
};
