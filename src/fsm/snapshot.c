#include "fsm/snapshot.h"

#include "base/arena.h"
#include "base/mem.h"
#include "fsm/internal.h"
#include "schema/coordinate.h"
#include "schema/kv.h"
#include "schema/msgpack.h"
#include "schema/session.h"
#include "store/catalog.h"
#include "store/coordinate.h"
#include "store/kv.h"
#include "store/session.h"
#include "store/tables.h"

/* --- writing -------------------------------------------------------------------------------- */

struct snapshot_out {
    struct buf chunk;
    snapshot_sink_fn sink;
    void *data;
    int result; /* of the sink: the first negative one stays */
};

static int flush(struct snapshot_out *out)
{
    if (out->result >= 0 && out->chunk.failed) {
        out->result = -ERR_TOO_LARGE;
    }
    if (out->result >= 0 && out->chunk.n > 0) {
        int r = out->sink(out->data, buf_view(&out->chunk));
        out->result = MIN(r, 0);
    }
    buf_clear(&out->chunk);
    return out->result;
}

struct buf *snapshot_record(struct snapshot_out *out, enum fsm_message type)
{
    if (out->chunk.n >= SNAPSHOT_CHUNK_SIZE) {
        (void)flush(out);
    }
    buf_byte(&out->chunk, (uint8_t)type);
    return &out->chunk;
}

static void write_object(struct snapshot_out *out, enum fsm_message type,
                         const struct schema *schema, const void *object)
{
    msgpack_object(snapshot_record(out, type), schema, object);
}

/* A node, then each of its services and checks with the node's particulars again, as requests to
 * register them. */
static int write_nodes(struct snapshot_out *out, const struct store_view *v)
{
    struct tree_iter nodes, it;
    struct str key;
    const struct node *n;
    store_iter(&nodes, v, INDEX_NODES_ID, STR_NULL);
    while (out->result >= 0 && (n = tree_next(&nodes, &key)) != NULL) {
        struct register_request req = {
            .datacenter = n->datacenter,
            .id = n->id,
            .node = n->node,
            .address = n->address,
            .tagged_addresses = n->tagged_addresses,
            .node_meta = n->meta,
            .raft = n->raft,
        };
        write_object(out, FSM_REGISTER, &register_request_schema, &req);
        struct service_row *s;
        store_iter(&it, v, INDEX_SERVICES_ID, key);
        while ((s = tree_next(&it, NULL)) != NULL) {
            req.service = &s->service;
            write_object(out, FSM_REGISTER, &register_request_schema, &req);
        }
        req.service = NULL;
        store_iter(&it, v, INDEX_CHECKS_ID, key);
        while ((req.check = tree_next(&it, NULL)) != NULL) {
            write_object(out, FSM_REGISTER, &register_request_schema, &req);
        }
    }
    return out->result;
}

static int write_coordinates(struct snapshot_out *out, const struct store_view *v)
{
    struct tree_iter it;
    const struct node_coordinate *c;
    store_iter(&it, v, INDEX_COORDINATES_ID, STR_NULL);
    while (out->result >= 0 && (c = tree_next(&it, NULL)) != NULL) {
        struct buf *to = snapshot_record(out, FSM_COORDINATE_BATCH_UPDATE);
        msgpack_array(to, 1);
        msgpack_object(to, &node_coordinate_schema, c);
    }
    return out->result;
}

int snapshot_write_rows(struct snapshot_out *out, const struct store_view *v,
                        enum store_index index, enum fsm_message type, const struct schema *schema)
{
    struct tree_iter it;
    const void *row;
    store_iter(&it, v, index, STR_NULL);
    while (out->result >= 0 && (row = tree_next(&it, NULL)) != NULL) {
        write_object(out, type, schema, row);
    }
    return out->result;
}

static int write_sessions(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_SESSIONS_ID, FSM_SESSION, &session_schema);
}

static int write_kvs(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_KVS_ID, FSM_KVS, &dir_entry_schema);
}

/* In the guise of entries that have nothing but a key and an index. */
static int write_tombstones(struct snapshot_out *out, const struct store_view *v)
{
    struct tree_iter it;
    const struct tombstone *t;
    store_iter(&it, v, INDEX_TOMBSTONES_ID, STR_NULL);
    while (out->result >= 0 && (t = tree_next(&it, NULL)) != NULL) {
        struct dir_entry guise = {.key = t->key, .raft.modify_index = t->index};
        write_object(out, FSM_TOMBSTONE, &dir_entry_schema, &guise);
    }
    return out->result;
}

static int write_indexes(struct snapshot_out *out, const struct store_view *v)
{
    struct tree_iter it;
    const struct index_row *row;
    store_iter(&it, v, INDEX_INDEX_ID, STR_NULL);
    while (out->result >= 0 && (row = tree_next(&it, NULL)) != NULL) {
        struct buf *to = snapshot_record(out, FSM_INDEX);
        msgpack_map(to, 2);
        msgpack_raw(to, STR("Key"));
        msgpack_raw(to, row->name);
        msgpack_raw(to, STR("Value"));
        msgpack_u64(to, row->index);
    }
    return out->result;
}

static int write_opaque(struct snapshot_out *out, const struct store_view *v, uint8_t type)
{
    struct tree_iter it;
    const struct opaque_row *row;
    store_iter(&it, v, INDEX_OPAQUE_ID, str_make(&type, 1));
    while (out->result >= 0 && (row = tree_next(&it, NULL)) != NULL) {
        buf_str(snapshot_record(out, (enum fsm_message)row->type), row->body);
    }
    return out->result;
}

/* --- reading -------------------------------------------------------------------------------- */

int snapshot_read_object(struct snapshot_in *in, const struct schema *schema, void *object)
{
    return msgpack_decode(in->body, schema, object, in->arena, in->err);
}

static int check_key(struct snapshot_in *in, struct str key)
{
    return key.n <= TREE_KEY_SIZE_MAX
               ? 0
               : err_set(in->err, ERR_TOO_LARGE, "key of %zu bytes is over the maximum of %u",
                         key.n, TREE_KEY_SIZE_MAX);
}

static int read_register(struct snapshot_in *in)
{
    struct register_request req = {0};
    int r = snapshot_read_object(in, &register_request_schema, &req);
    return r < 0 ? r : catalog_register(in->tx, &req, CATALOG_RESTORE, in->err);
}

static int read_coordinates(struct snapshot_in *in)
{
    size_t count = msgpack_read_array(in->body);
    for (size_t i = 0; i < count; i++) {
        struct node_coordinate c = {0};
        int r = snapshot_read_object(in, &node_coordinate_schema, &c);
        if (r < 0) {
            return r;
        }
        coordinate_restore(in->tx, &c, 1);
    }
    return in->body->failed ? err_set(in->err, ERR_CORRUPT, "coordinates are no list") : 0;
}

static int read_session(struct snapshot_in *in)
{
    struct session s = {0};
    int r = snapshot_read_object(in, &session_schema, &s);
    if (r == 0) {
        session_restore(in->tx, &s);
    }
    return r;
}

static int read_kv(struct snapshot_in *in)
{
    struct dir_entry e = {0};
    int r = snapshot_read_object(in, &dir_entry_schema, &e);
    if (r == 0 && (r = check_key(in, e.key)) == 0) {
        kv_restore(in->tx, &e);
    }
    return r;
}

static int read_tombstone(struct snapshot_in *in)
{
    struct dir_entry e = {0};
    int r = snapshot_read_object(in, &dir_entry_schema, &e);
    if (r == 0 && (r = check_key(in, e.key)) == 0) {
        kv_restore_tombstone(in->tx, e.key, e.raft.modify_index);
    }
    return r;
}

static int read_index(struct snapshot_in *in)
{
    struct str name = STR_NULL;
    uint64_t value = 0;
    size_t count = msgpack_read_map(in->body);
    for (size_t i = 0; i < count && !in->body->failed; i++) {
        struct str key = msgpack_read_raw(in->body);
        if (str_eq_lit(key, "Key")) {
            name = msgpack_read_raw(in->body);
        } else if (str_eq_lit(key, "Value")) {
            value = msgpack_read_u64(in->body);
        } else if (msgpack_skip(in->body) < 0) {
            break;
        }
    }
    if (in->body->failed) {
        return err_set(in->err, ERR_CORRUPT, "index entry is malformed");
    }
    int r = check_key(in, name);
    if (r == 0) {
        store_index_set(in->tx, name, value);
    }
    return r;
}

static int read_opaque(struct snapshot_in *in, uint8_t type, uint64_t sequence)
{
    const char *from = (const char *)in->body->p;
    if (msgpack_skip(in->body) < 0) {
        return err_set(in->err, ERR_CORRUPT, "record is no msgpack");
    }
    size_t n = (size_t)((const char *)in->body->p - from);
    struct opaque_row *row = xmalloc(sizeof(*row) + n);
    memcpy(row + 1, from, n);
    *row = (struct opaque_row){.type = type, .sequence = sequence, .body = str_make(row + 1, n)};
    store_insert(in->tx, TABLE_OPAQUE, row);
    return 0;
}

/* Read from snapshots of older versions only. */
static int write_nothing(struct snapshot_out *out, const struct store_view *v)
{
    (void)out;
    (void)v;
    return 0;
}

/* --- the kinds ------------------------------------------------------------------------------ */

/* In the order they are written. Those without functions are opaque yet. */
/* clang-format off */
static const struct {
    enum fsm_message type;
    snapshot_write_fn write;
    snapshot_read_fn read;
} kinds[] = {
    {FSM_REGISTER, write_nodes, read_register},
    {FSM_COORDINATE_BATCH_UPDATE, write_coordinates, read_coordinates},
    {FSM_SESSION, write_sessions, read_session},
    {FSM_ACL, write_nothing, snapshot_read_acl_legacy},
    {FSM_ACL_BOOTSTRAP, write_nothing, snapshot_read_acl_bootstrap},
    {FSM_ACL_TOKEN_SET, snapshot_write_acl_tokens, snapshot_read_acl_token},
    {FSM_ACL_POLICY_SET, snapshot_write_acl_policies, snapshot_read_acl_policy},
    {FSM_ACL_ROLE_SET, snapshot_write_acl_roles, snapshot_read_acl_role},
    {FSM_ACL_BINDING_RULE_SET, snapshot_write_acl_binding_rules, snapshot_read_acl_binding_rule},
    {FSM_ACL_AUTH_METHOD_SET, snapshot_write_acl_auth_methods, snapshot_read_acl_auth_method},
    {FSM_KVS, write_kvs, read_kv},
    {FSM_TOMBSTONE, write_tombstones, read_tombstone},
    {FSM_PREPARED_QUERY, snapshot_write_prepared_queries, snapshot_read_prepared_query},
    {FSM_AUTOPILOT, snapshot_write_autopilot, snapshot_read_autopilot},
    {FSM_INTENTION, NULL, NULL},
    {FSM_CONNECT_CA, snapshot_write_ca_roots, snapshot_read_ca_root},
    {FSM_CONNECT_CA_PROVIDER_STATE, snapshot_write_ca_provider_states,
     snapshot_read_ca_provider_state},
    {FSM_CONNECT_CA_CONFIG, snapshot_write_ca_config, snapshot_read_ca_config},
    {FSM_CONFIG_ENTRY, snapshot_write_config_entries, snapshot_read_config_entry},
    {FSM_FEDERATION_STATE, snapshot_write_federation_states, snapshot_read_federation_state},
    {FSM_SYSTEM_METADATA, snapshot_write_system_metadata, snapshot_read_system_metadata},
    {FSM_INDEX, write_indexes, read_index},
    {FSM_CHUNKING_STATE, snapshot_write_chunks, snapshot_read_chunks},
};
/* clang-format on */

static uint64_t view_last_index(const struct store_view *v)
{
    uint64_t max = 0;
    struct tree_iter it;
    const struct index_row *row;
    store_iter(&it, v, INDEX_INDEX_ID, STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        max = MAX(max, row->index);
    }
    return max;
}

int snapshot_write(const struct store_view *v, snapshot_sink_fn sink, void *data, struct err *err)
{
    struct snapshot_out out = {.sink = sink, .data = data};
    msgpack_map(&out.chunk, 1);
    msgpack_raw(&out.chunk, STR("LastIndex"));
    msgpack_u64(&out.chunk, view_last_index(v));
    for (size_t i = 0; i < ARRAY_SIZE(kinds) && out.result >= 0; i++) {
        (void)(kinds[i].write != NULL ? kinds[i].write(&out, v)
                                      : write_opaque(&out, v, (uint8_t)kinds[i].type));
    }
    int r = flush(&out);
    buf_deinit(&out.chunk);
    return r < 0 ? err_set(err, -r, "snapshot could not be written: %s", err_code_text(-r)) : 0;
}

static int read_header(struct cur *c, uint64_t *ret_index, struct err *err)
{
    size_t count = msgpack_read_map(c);
    *ret_index = 0;
    for (size_t i = 0; i < count && !c->failed; i++) {
        if (str_eq_lit(msgpack_read_raw(c), "LastIndex")) {
            *ret_index = msgpack_read_u64(c);
        } else if (msgpack_skip(c) < 0) {
            break;
        }
    }
    return c->failed ? err_set(err, ERR_CORRUPT, "snapshot header is malformed") : 0;
}

int snapshot_last_index(struct str bytes, uint64_t *ret_index, struct err *err)
{
    struct cur c = cur_make(bytes);
    return read_header(&c, ret_index, err);
}

static int read_record(struct snapshot_in *in, uint8_t type, uint64_t sequence)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if ((uint8_t)kinds[i].type == type) {
            return kinds[i].read != NULL ? kinds[i].read(in) : read_opaque(in, type, sequence);
        }
    }
    return err_set(in->err, ERR_UNSUPPORTED, "Unrecognized msg type %u", type);
}

int snapshot_load(struct str bytes, struct store **ret_store, struct err *err)
{
    struct cur c = cur_make(bytes);
    uint64_t last_index;
    int r = read_header(&c, &last_index, err);
    if (r < 0) {
        return r;
    }
    struct arena arena = {0};
    struct store *store = store_new(NULL);
    struct snapshot_in in = {
        .tx = store_txn_begin(store, last_index), .body = &c, .arena = &arena, .err = err};
    store_clear(in.tx);
    for (uint64_t sequence = 1; r >= 0 && cur_left(&c) > 0; sequence++) {
        size_t at = bytes.n - cur_left(&c);
        uint8_t type = cur_u8(&c);
        r = read_record(&in, type, sequence);
        if (r < 0) {
            r = err_wrap(err, "snapshot record of type %u at byte %zu", type, at);
        }
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    if (r < 0) {
        store_txn_abort(in.tx);
        store_free(store);
        return r;
    }
    store_txn_commit(in.tx);
    *ret_store = store;
    return 0;
}

int snapshot_restore(struct store *store, struct str bytes, struct err *err)
{
    struct store *other = NULL;
    int r = snapshot_load(bytes, &other, err);
    if (r == 0) {
        store_adopt(store, other, NULL, NULL);
    }
    return r;
}
