/* What clients write: requests over few names, with a number in them so that no two are alike. */
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "schema/txn.h"
#include "sim.h"

static struct str pick(struct sim *s, struct arena *a, const char *stem, uint64_t of)
{
    return arena_printf(a, "%s%u", stem, (unsigned)sim_below(s, of));
}

static struct str pick_session(struct sim *s, struct arena *a)
{
    return arena_printf(a, "0000000%u-2222-3333-4444-555555555555", (unsigned)sim_below(s, 4));
}

static struct dir_entry pick_entry(struct sim *s, struct arena *a, uint64_t number)
{
    return (struct dir_entry){
        .key = pick(s, a, sim_below(s, 3) == 0 ? "lock/" : "key/", 12),
        .value =
            arena_printf(a, "%llu %*s", (unsigned long long)number, (int)sim_below(s, 100), ""),
        .flags = number,
        .session = sim_below(s, 2) == 0 ? pick_session(s, a) : STR_NULL,
        .raft.modify_index = s->applied_max - MIN(s->applied_max, sim_below(s, 60)),
    };
}

static struct str pick_verb(struct sim *s)
{
    static const char *const verbs[] = {"set",    "set",        "set",         "cas",   "lock",
                                        "unlock", "delete-cas", "delete-tree", "delete"};
    return str_from_cstr(verbs[sim_below(s, ARRAY_SIZE(verbs))]);
}

static void encode(struct buf *to, unsigned type, const struct schema *schema, const void *object)
{
    buf_byte(to, (uint8_t)type);
    msgpack_object(to, schema, object);
}

static void encode_txn(struct sim *s, struct arena *a, uint64_t number, struct buf *to)
{
    struct txn_op *ops = ARENA_ARRAY(a, struct txn_op, 4);
    size_t n = 1 + sim_below(s, 4);
    for (size_t i = 0; i < n; i++) {
        ops[i].kv = ARENA_NEW(a, struct txn_kv_op);
        *ops[i].kv = (struct txn_kv_op){.verb = pick_verb(s), .dir_ent = pick_entry(s, a, number)};
    }
    struct txn_request req = {.ops = {.v = ops, .n = n}};
    encode(to, FSM_TXN, &txn_request_schema, &req);
}

static void encode_real(struct sim *s, struct arena *a, uint64_t number, struct buf *to)
{
    switch (sim_below(s, 12)) {
    case 0: {
        struct register_request req = {.node = pick(s, a, "node", 3),
                                       .address = pick(s, a, "10.0.0.", 9)};
        struct node_service service = {
            .id = pick(s, a, "id", 3), .service = pick(s, a, "svc", 3), .port = (int64_t)number};
        req.service = &service;
        encode(to, FSM_REGISTER, &register_request_schema, &req);
        break;
    }
    case 1: {
        struct deregister_request req = {.node = pick(s, a, "node", 3),
                                         .service_id = pick(s, a, "id", 4)};
        encode(to, FSM_DEREGISTER, &deregister_request_schema, &req);
        break;
    }
    case 2:
    case 3: {
        struct session_request req = {
            .op = sim_below(s, 4) > 0 ? STR("create") : STR("destroy"),
            .session = {.id = pick_session(s, a),
                        .node = pick(s, a, "node", 3),
                        .name = arena_printf(a, "%llu", (unsigned long long)number),
                        .behavior = sim_below(s, 2) == 0 ? SESSION_DELETE : STR_NULL}};
        encode(to, FSM_SESSION, &session_request_schema, &req);
        break;
    }
    case 4:
    case 5:
        encode_txn(s, a, number, to);
        break;
    default: {
        struct kvs_request req = {.op = pick_verb(s), .dir_ent = pick_entry(s, a, number)};
        encode(to, FSM_KVS, &kvs_request_schema, &req);
        break;
    }
    }
}

void sim_fsm_entry(struct sim *s, uint64_t number, struct buf *to)
{
    if (!s->is_toy) {
        struct arena a = {0};
        encode_real(s, &a, number, to);
        arena_deinit(&a);
        return;
    }
    char bytes[8];
    put_le64(bytes, number);
    buf_put(to, bytes, sizeof(bytes));
    buf_fill(to, (char)number, sim_chance(s, 0.01) ? sim_below(s, 6000) : sim_below(s, 190));
}
