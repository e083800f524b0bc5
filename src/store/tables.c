#include "store/tables.h"

#include "schema/acl.h"
#include "schema/catalog.h"
#include "schema/config_gateways.h"
#include "schema/connect_ca.h"
#include "schema/coordinate.h"
#include "schema/federation_state.h"
#include "schema/intention.h"
#include "schema/kv.h"
#include "schema/prepared_query.h"
#include "schema/session.h"
#include "schema/system_metadata.h"
#include "schema/topology.h"
#include "store/kv.h"
#include "store/query_template.h"
#include "store/session.h"

/* A name: lower-cased and ended by a NUL, as in Consul's schema. */
static void put_name(struct buf *to, struct str name)
{
    char *p = buf_reserve(to, name.n + 1);
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        p[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    p[name.n] = '\0';
    to->n += name.n + 1;
}

struct str store_key(struct buf *to, const struct str *parts, size_t count)
{
    buf_clear(to);
    for (size_t i = 0; i < count; i++) {
        put_name(to, parts[i]);
    }
    return buf_view(to);
}

static bool key_index(const void *row, struct buf *to)
{
    buf_str(to, ((const struct index_row *)row)->name);
    return true;
}

static bool key_node(const void *row, struct buf *to)
{
    put_name(to, ((const struct node *)row)->node);
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The 16 bytes of a UUID in text; what is none is not indexed. */
static bool key_node_uuid(const void *row, struct buf *to)
{
    struct str id = ((const struct node *)row)->id;
    uint8_t bytes[16];
    size_t digits = 0;
    for (size_t i = 0; i < id.n; i++) {
        int digit = hex_digit(id.p[i]);
        if (digit < 0) {
            if (id.p[i] != '-') {
                return false;
            }
            continue;
        }
        if (digits == 32) {
            return false;
        }
        if (digits % 2 == 0) {
            bytes[digits / 2] = (uint8_t)(digit << 4);
        } else {
            bytes[digits / 2] |= (uint8_t)digit;
        }
        digits++;
    }
    if (digits != 32) {
        return false;
    }
    buf_put(to, bytes, sizeof(bytes));
    return true;
}

static bool key_service(const void *row, struct buf *to)
{
    const struct service_row *s = row;
    put_name(to, s->node);
    put_name(to, s->service.id);
    return true;
}

static bool key_service_name(const void *row, struct buf *to)
{
    const struct service_row *s = row;
    put_name(to, s->service.service);
    return true;
}

/* What is reached through Connect: a proxy under the name it stands for, a native service under
 * its own. */
static bool key_service_connect(const void *row, struct buf *to)
{
    const struct node_service *s = &((const struct service_row *)row)->service;
    if (str_eq(s->kind, SERVICE_KIND_CONNECT_PROXY)) {
        put_name(to, s->proxy.destination_service_name);
        return true;
    }
    if (s->connect.native) {
        put_name(to, s->service);
        return true;
    }
    return false;
}

static bool key_service_kind(const void *row, struct buf *to)
{
    put_name(to, ((const struct service_row *)row)->service.kind);
    return true;
}

static bool key_check(const void *row, struct buf *to)
{
    const struct health_check *c = row;
    put_name(to, c->node);
    put_name(to, c->check_id);
    return true;
}

static bool key_check_status(const void *row, struct buf *to)
{
    put_name(to, ((const struct health_check *)row)->status);
    return true;
}

static bool key_check_service(const void *row, struct buf *to)
{
    const struct health_check *c = row;
    put_name(to, c->service_name);
    return c->service_name.n > 0;
}

static bool key_check_node_service(const void *row, struct buf *to)
{
    const struct health_check *c = row;
    put_name(to, c->node);
    put_name(to, c->service_id);
    return true;
}

static bool key_kv(const void *row, struct buf *to)
{
    buf_str(to, ((const struct dir_entry *)row)->key);
    return true;
}

static bool key_kv_session(const void *row, struct buf *to)
{
    const struct dir_entry *e = row;
    put_name(to, e->session);
    return e->session.n > 0;
}

static bool key_tombstone(const void *row, struct buf *to)
{
    buf_str(to, ((const struct tombstone *)row)->key);
    return true;
}

static bool key_session(const void *row, struct buf *to)
{
    put_name(to, ((const struct session *)row)->id);
    return true;
}

static bool key_session_node(const void *row, struct buf *to)
{
    put_name(to, ((const struct session *)row)->node);
    return true;
}

static bool key_session_check(const void *row, struct buf *to)
{
    const struct session_check *c = row;
    put_name(to, c->node);
    put_name(to, c->check_id);
    put_name(to, c->session);
    return true;
}

static bool key_session_check_session(const void *row, struct buf *to)
{
    put_name(to, ((const struct session_check *)row)->session);
    return true;
}

static bool key_coordinate(const void *row, struct buf *to)
{
    const struct node_coordinate *c = row;
    put_name(to, c->node);
    put_name(to, c->segment);
    return true;
}

static bool key_ca_provider_state(const void *row, struct buf *to)
{
    put_name(to, ((const struct ca_provider_state *)row)->id);
    return true;
}

/* There is one at most. */
static bool key_single(const void *row, struct buf *to)
{
    (void)row;
    (void)to;
    return true;
}

static bool key_ca_root(const void *row, struct buf *to)
{
    put_name(to, ((const struct ca_root *)row)->id);
    return true;
}

static bool key_config_entry(const void *row, struct buf *to)
{
    const struct config_entry *e = row;
    put_name(to, e->kind);
    put_name(to, e->name);
    return true;
}

static bool key_gateway_service(const void *row, struct buf *to)
{
    const struct gateway_service *g = row;
    put_name(to, g->gateway.name);
    put_name(to, g->service.name);
    buf_be64(to, (uint64_t)g->port);
    return true;
}

static bool key_gateway_service_service(const void *row, struct buf *to)
{
    put_name(to, ((const struct gateway_service *)row)->service.name);
    return true;
}

static bool key_system_metadata(const void *row, struct buf *to)
{
    put_name(to, ((const struct system_metadata_entry *)row)->key);
    return true;
}

static bool key_federation_state(const void *row, struct buf *to)
{
    put_name(to, ((const struct federation_state *)row)->datacenter);
    return true;
}

void store_key_uuid(struct buf *to, struct str id)
{
    int high = -1;
    for (size_t i = 0; i < id.n; i++) {
        int digit = hex_digit(id.p[i]);
        if (digit >= 0 && high >= 0) {
            buf_byte(to, (uint8_t)(high << 4 | digit));
            high = -1;
        } else if (digit >= 0) {
            high = digit;
        }
    }
}

void store_key_exact(struct buf *to, struct str name)
{
    buf_str(to, name);
    buf_byte(to, 0);
}

static bool key_acl_token(const void *row, struct buf *to)
{
    store_key_exact(to, ((const struct acl_token *)row)->secret_id);
    return true;
}

static bool key_acl_token_accessor(const void *row, struct buf *to)
{
    const struct acl_token *token = row;
    store_key_uuid(to, token->accessor_id);
    return token->accessor_id.n > 0;
}

static bool key_acl_token_auth_method(const void *row, struct buf *to)
{
    const struct acl_token *token = row;
    store_key_exact(to, token->auth_method);
    return token->auth_method.n > 0;
}

static bool key_acl_token_expires(const struct acl_token *token, bool local, struct buf *to)
{
    if (token->local != local || token->expiration_time == TIME_ZERO) {
        return false;
    }
    buf_be64(to, (uint64_t)MAX(token->expiration_time / INT64_C(1000000000), 0));
    return true;
}

static bool key_acl_token_expires_global(const void *row, struct buf *to)
{
    return key_acl_token_expires(row, false, to);
}

static bool key_acl_token_expires_local(const void *row, struct buf *to)
{
    return key_acl_token_expires(row, true, to);
}

static bool key_acl_token_no_accessor(const void *row, struct buf *to)
{
    (void)to;
    return ((const struct acl_token *)row)->accessor_id.n == 0;
}

static bool key_acl_policy(const void *row, struct buf *to)
{
    store_key_uuid(to, ((const struct acl_policy_row *)row)->id);
    return true;
}

static bool key_acl_policy_name(const void *row, struct buf *to)
{
    put_name(to, ((const struct acl_policy_row *)row)->name);
    return true;
}

static bool key_acl_role(const void *row, struct buf *to)
{
    store_key_uuid(to, ((const struct acl_role *)row)->id);
    return true;
}

static bool key_acl_role_name(const void *row, struct buf *to)
{
    put_name(to, ((const struct acl_role *)row)->name);
    return true;
}

static bool key_acl_binding_rule(const void *row, struct buf *to)
{
    store_key_uuid(to, ((const struct acl_binding_rule *)row)->id);
    return true;
}

static bool key_acl_binding_rule_method(const void *row, struct buf *to)
{
    put_name(to, ((const struct acl_binding_rule *)row)->auth_method);
    return true;
}

static bool key_acl_auth_method(const void *row, struct buf *to)
{
    put_name(to, ((const struct acl_auth_method *)row)->name);
    return true;
}

static bool key_prepared_query(const void *row, struct buf *to)
{
    store_key_uuid(to, ((const struct prepared_query *)row)->id);
    return true;
}

static bool key_prepared_query_name(const void *row, struct buf *to)
{
    const struct prepared_query *q = row;
    put_name(to, q->name);
    return q->name.n > 0;
}

static bool key_prepared_query_template(const void *row, struct buf *to)
{
    const struct prepared_query *q = row;
    put_name(to, q->name);
    return query_is_template(q);
}

static bool key_prepared_query_session(const void *row, struct buf *to)
{
    const struct prepared_query *q = row;
    put_name(to, q->session);
    return q->session.n > 0;
}

/* Sources, unlike destinations, are told apart by the case of their letters. */
static void put_exact(struct buf *to, struct str name)
{
    buf_str(to, name);
    buf_byte(to, 0);
}

static bool key_intention(const void *row, struct buf *to)
{
    const struct intention *i = row;
    put_name(to, i->destination_name);
    put_exact(to, i->source_name);
    return true;
}

static bool key_intention_source(const void *row, struct buf *to)
{
    put_exact(to, ((const struct intention *)row)->source_name);
    return true;
}

static bool key_intention_legacy_id(const void *row, struct buf *to)
{
    const struct intention *i = row;
    put_exact(to, i->id);
    return i->id.n > 0;
}

static bool key_mesh_link(const void *row, struct buf *to)
{
    const struct mesh_link *l = row;
    put_name(to, l->upstream.name);
    put_name(to, l->downstream.name);
    return true;
}

static bool key_mesh_link_downstream(const void *row, struct buf *to)
{
    put_name(to, ((const struct mesh_link *)row)->downstream.name);
    return true;
}

static bool key_opaque(const void *row, struct buf *to)
{
    const struct opaque_row *o = row;
    buf_byte(to, o->type);
    buf_be64(to, o->sequence);
    return true;
}

static bool key_chunk(const void *row, struct buf *to)
{
    const struct chunk_row *c = row;
    buf_be64(to, c->op);
    buf_be32(to, c->sequence);
    return true;
}

_Static_assert(offsetof(struct node, rendered) == 0, "store.c frees it there");
_Static_assert(offsetof(struct service_row, rendered) == 0, "store.c frees it there");
_Static_assert(offsetof(struct health_check, rendered) == 0, "store.c frees it there");
_Static_assert(offsetof(struct config_entry, rendered) == 0, "store.c frees it there");

/* clang-format off */
const struct table_def table_defs[TABLE_COUNT] = {
    [TABLE_INDEX] = {false, 1, {{INDEX_INDEX_ID, key_index}}},
    [TABLE_NODES] = {true, 2, {
        {INDEX_NODES_ID, key_node},
        {INDEX_NODES_UUID, key_node_uuid}}},
    [TABLE_SERVICES] = {true, 4, {
        {INDEX_SERVICES_ID, key_service},
        {INDEX_SERVICES_SERVICE, key_service_name, true},
        {INDEX_SERVICES_CONNECT, key_service_connect, true},
        {INDEX_SERVICES_KIND, key_service_kind}}},
    [TABLE_CHECKS] = {true, 4, {
        {INDEX_CHECKS_ID, key_check},
        {INDEX_CHECKS_STATUS, key_check_status, true},
        {INDEX_CHECKS_SERVICE, key_check_service, true},
        {INDEX_CHECKS_NODE_SERVICE, key_check_node_service}}},
    [TABLE_KVS] = {false, 2, {
        {INDEX_KVS_ID, key_kv},
        {INDEX_KVS_SESSION, key_kv_session}}},
    [TABLE_TOMBSTONES] = {false, 1, {{INDEX_TOMBSTONES_ID, key_tombstone}}},
    [TABLE_SESSIONS] = {false, 2, {
        {INDEX_SESSIONS_ID, key_session},
        {INDEX_SESSIONS_NODE, key_session_node, true}}},
    [TABLE_SESSION_CHECKS] = {false, 2, {
        {INDEX_SESSION_CHECKS_ID, key_session_check},
        {INDEX_SESSION_CHECKS_SESSION, key_session_check_session}}},
    [TABLE_COORDINATES] = {false, 1, {{INDEX_COORDINATES_ID, key_coordinate}}},
    [TABLE_AUTOPILOT_CONFIG] = {false, 1, {{INDEX_AUTOPILOT_CONFIG_ID, key_single}}},
    [TABLE_PREPARED_QUERIES] = {false, 4, {
        {INDEX_PREPARED_QUERIES_ID, key_prepared_query},
        {INDEX_PREPARED_QUERIES_NAME, key_prepared_query_name},
        {INDEX_PREPARED_QUERIES_TEMPLATE, key_prepared_query_template},
        {INDEX_PREPARED_QUERIES_SESSION, key_prepared_query_session}}},
    [TABLE_CONFIG_ENTRIES] = {true, 1, {{INDEX_CONFIG_ENTRIES_ID, key_config_entry}}},
    [TABLE_INTENTIONS] = {false, 3, {
        {INDEX_INTENTIONS_ID, key_intention},
        {INDEX_INTENTIONS_SOURCE, key_intention_source, true},
        {INDEX_INTENTIONS_LEGACY_ID, key_intention_legacy_id, true}}},
    [TABLE_MESH_TOPOLOGY] = {false, 2, {
        {INDEX_MESH_TOPOLOGY_ID, key_mesh_link},
        {INDEX_MESH_TOPOLOGY_DOWNSTREAM, key_mesh_link_downstream, true}}},
    [TABLE_GATEWAY_SERVICES] = {false, 2, {
        {INDEX_GATEWAY_SERVICES_ID, key_gateway_service},
        {INDEX_GATEWAY_SERVICES_SERVICE, key_gateway_service_service, true}}},
    [TABLE_CA_BUILTIN] = {false, 1, {{INDEX_CA_BUILTIN_ID, key_ca_provider_state}}},
    [TABLE_CA_CONFIG] = {false, 1, {{INDEX_CA_CONFIG_ID, key_single}}},
    [TABLE_CA_ROOTS] = {false, 1, {{INDEX_CA_ROOTS_ID, key_ca_root}}},
    [TABLE_ACL_TOKENS] = {false, 6, {
        {INDEX_ACL_TOKENS_ID, key_acl_token},
        {INDEX_ACL_TOKENS_ACCESSOR, key_acl_token_accessor, true},
        {INDEX_ACL_TOKENS_AUTH_METHOD, key_acl_token_auth_method},
        {INDEX_ACL_TOKENS_EXPIRES_GLOBAL, key_acl_token_expires_global},
        {INDEX_ACL_TOKENS_EXPIRES_LOCAL, key_acl_token_expires_local},
        {INDEX_ACL_TOKENS_NO_ACCESSOR, key_acl_token_no_accessor}}},
    [TABLE_ACL_POLICIES] = {false, 2, {
        {INDEX_ACL_POLICIES_ID, key_acl_policy},
        {INDEX_ACL_POLICIES_NAME, key_acl_policy_name, true}}},
    [TABLE_ACL_ROLES] = {false, 2, {
        {INDEX_ACL_ROLES_ID, key_acl_role},
        {INDEX_ACL_ROLES_NAME, key_acl_role_name, true}}},
    [TABLE_ACL_BINDING_RULES] = {false, 2, {
        {INDEX_ACL_BINDING_RULES_ID, key_acl_binding_rule},
        {INDEX_ACL_BINDING_RULES_METHOD, key_acl_binding_rule_method, true}}},
    [TABLE_ACL_AUTH_METHODS] = {false, 1, {{INDEX_ACL_AUTH_METHODS_ID, key_acl_auth_method}}},
    [TABLE_SYSTEM_METADATA] = {false, 1, {{INDEX_SYSTEM_METADATA_ID, key_system_metadata}}},
    [TABLE_FEDERATION_STATES] = {false, 1, {{INDEX_FEDERATION_STATES_ID, key_federation_state}}},
    [TABLE_OPAQUE] = {false, 1, {{INDEX_OPAQUE_ID, key_opaque}}},
    [TABLE_CHUNKS] = {false, 1, {{INDEX_CHUNKS_ID, key_chunk}}},
};
/* clang-format on */

_Static_assert(INDEX_COUNT_NOW <= STORE_INDEX_MAX, "a view has room for all trees");
