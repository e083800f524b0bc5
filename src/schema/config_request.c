/* Requests and answers about config entries. Go cannot decode an interface without knowing its
 * type, so those that carry entries are raws with the kinds in front of the usual map. */
#include "base/err.h"
#include "base/vec.h"
#include "schema/config_entry.h"
#include "schema/msgpack.h"

/* --- what their raws have in common ---------------------------------------------------------- */

/* The value of one key of the map at the cursor; the cursor stays. -ERR_NOT_FOUND when it has no
 * such key. */
static int find_key(const struct cur *map, struct str key, struct cur *ret_value)
{
    struct cur c = *map;
    for (size_t n = msgpack_read_map(&c); n > 0 && !c.failed; n--) {
        if (str_eq(msgpack_read_raw(&c), key) && !c.failed) {
            *ret_value = c;
            return 0;
        }
        if (msgpack_skip(&c) < 0) {
            break;
        }
    }
    return c.failed ? -ERR_CORRUPT : -ERR_NOT_FOUND;
}

static int read_list(struct cur *c, struct str kind, struct arena *a, struct ptrlist *ret_list,
                     struct err *err)
{
    VEC(void *) entries = {0};
    for (size_t n = msgpack_read_array(c); n > 0 && !c->failed; n--) {
        struct config_entry *entry;
        int r = config_entry_read(c, kind, a, &entry, err);
        if (r < 0) {
            return r;
        }
        avec_push(a, &entries, entry);
    }
    *ret_list = (struct ptrlist){entries.v != NULL ? entries.v : SCHEMA_EMPTY, entries.n};
    return c->failed ? err_set(err, ERR_CORRUPT, "entries are malformed") : 0;
}

/* --- ConfigEntryRequest ---------------------------------------------------------------------- */

/* clang-format off */
static const struct field request_plain_fields[] = {
    F_STR(struct config_entry_request, op, "Op", 0),
    F_STR(struct config_entry_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct config_entry_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
static const struct schema request_plain_schema =
    SCHEMA("ConfigEntryRequest", struct config_entry_request, request_plain_fields);

static const struct field config_entry_request_fields[] = {
    F_STR(struct config_entry_request, op, "Op", 0),
    F_STR(struct config_entry_request, datacenter, "Datacenter", 0),
    F_PTR(struct config_entry_request, entry, struct config_entry, "Entry", 0,
          &config_entry_schema),
    F_SPLICE(struct config_entry_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
/* clang-format on */

static void request_put(struct buf *to, const void *object)
{
    const struct config_entry_request *req = object;
    msgpack_raw(to, req->entry->kind);
    msgpack_fields(to, &config_entry_request_schema, req);
}

static int request_read(struct cur *c, void *object, struct arena *a, struct err *err)
{
    struct config_entry_request *req = object;
    struct str kind = msgpack_read_raw(c);
    struct cur entry, map = *c;
    int r = msgpack_decode(c, &request_plain_schema, req, a, err);
    if (r < 0) {
        return r;
    }
    if (find_key(&map, STR("Entry"), &entry) < 0) {
        return err_set(err, ERR_CORRUPT, "ConfigEntryRequest without an entry");
    }
    return config_entry_read(&entry, kind, a, &req->entry, err);
}

static const struct schema_binary request_binary = {request_put, request_read};
const struct schema config_entry_request_schema =
    SCHEMA_BINARY("ConfigEntryRequest", struct config_entry_request, config_entry_request_fields,
                  &request_binary);

/* --- ConfigEntryResponse --------------------------------------------------------------------- */

/* clang-format off */
static const struct field config_entry_response_fields[] = {
    F_PTR(struct config_entry_response, entry, const struct config_entry, "Entry", 0,
          &config_entry_schema),
    F_SPLICE(struct config_entry_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
/* clang-format on */

static void response_put(struct buf *to, const void *object)
{
    const struct config_entry_response *reply = object;
    msgpack_raw(to, reply->entry != NULL ? reply->entry->kind : STR(""));
    if (reply->entry != NULL) {
        msgpack_object(to, &config_entry_schema, reply->entry);
    }
    msgpack_object(to, &query_meta_schema, &reply->meta);
}

static int response_read(struct cur *c, void *object, struct arena *a, struct err *err)
{
    struct config_entry_response *reply = object;
    struct str kind = msgpack_read_raw(c);
    struct config_entry *entry = NULL;
    int r = kind.n > 0 ? config_entry_read(c, kind, a, &entry, err) : 0;
    reply->entry = entry;
    return r < 0 ? r : msgpack_decode(c, &query_meta_schema, &reply->meta, a, err);
}

static const struct schema_binary response_binary = {response_put, response_read};
const struct schema config_entry_response_schema =
    SCHEMA_BINARY("ConfigEntryResponse", struct config_entry_response, config_entry_response_fields,
                  &response_binary);

/* --- IndexedConfigEntries -------------------------------------------------------------------- */

/* clang-format off */
static const struct field indexed_config_entries_fields[] = {
    F_STR(struct indexed_config_entries, kind, "Kind", 0),
    F_PTRLIST(struct indexed_config_entries, entries, "Entries", 0, &config_entry_schema),
    F_SPLICE(struct indexed_config_entries, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
/* clang-format on */

/* Kind stands for all of them: a list of every kind cannot be read back, in 1.10.3 either. */
static void indexed_put(struct buf *to, const void *object)
{
    const struct indexed_config_entries *reply = object;
    msgpack_u64(to, reply->entries.n);
    msgpack_raw(to, reply->kind);
    msgpack_fields(to, &indexed_config_entries_schema, reply);
}

static int indexed_read(struct cur *c, void *object, struct arena *a, struct err *err)
{
    struct indexed_config_entries *reply = object;
    (void)msgpack_read_u64(c);
    reply->kind = msgpack_read_raw(c);
    struct cur entries, map = *c;
    int r = msgpack_decode(c, &query_meta_schema, &reply->meta, a, err);
    if (r < 0) {
        return r;
    }
    return find_key(&map, STR("Entries"), &entries) < 0
               ? err_set(err, ERR_CORRUPT, "IndexedConfigEntries without entries")
               : read_list(&entries, reply->kind, a, &reply->entries, err);
}

static const struct schema_binary indexed_binary = {indexed_put, indexed_read};
const struct schema indexed_config_entries_schema =
    SCHEMA_BINARY("IndexedConfigEntries", struct indexed_config_entries,
                  indexed_config_entries_fields, &indexed_binary);

/* --- IndexedGenericConfigEntries ------------------------------------------------------------- */

/* clang-format off */
static const struct field indexed_generic_config_entries_fields[] = {
    F_PTRLIST(struct indexed_generic_config_entries, entries, "Entries", 0, &config_entry_schema),
    F_SPLICE(struct indexed_generic_config_entries, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
/* clang-format on */

static void generic_put(struct buf *to, const void *object)
{
    const struct indexed_generic_config_entries *reply = object;
    msgpack_u64(to, reply->entries.n);
    for (size_t i = 0; i < reply->entries.n; i++) {
        msgpack_raw(to, ((const struct config_entry *)reply->entries.v[i])->kind);
        msgpack_object(to, &config_entry_schema, reply->entries.v[i]);
    }
    msgpack_object(to, &query_meta_schema, &reply->meta);
}

static int generic_read(struct cur *c, void *object, struct arena *a, struct err *err)
{
    struct indexed_generic_config_entries *reply = object;
    VEC(void *) entries = {0};
    for (uint64_t n = msgpack_read_u64(c); n > 0 && !c->failed; n--) {
        struct str kind = msgpack_read_raw(c);
        struct config_entry *entry;
        int r = config_entry_read(c, kind, a, &entry, err);
        if (r < 0) {
            return r;
        }
        avec_push(a, &entries, entry);
    }
    reply->entries = (struct ptrlist){entries.v != NULL ? entries.v : SCHEMA_EMPTY, entries.n};
    return msgpack_decode(c, &query_meta_schema, &reply->meta, a, err);
}

static const struct schema_binary generic_binary = {generic_put, generic_read};
const struct schema indexed_generic_config_entries_schema =
    SCHEMA_BINARY("IndexedGenericConfigEntries", struct indexed_generic_config_entries,
                  indexed_generic_config_entries_fields, &generic_binary);

/* --- ServiceConfigResponse ------------------------------------------------------------------- */

/* clang-format off */
static const struct field opaque_upstream_config_fields[] = {
    F_OBJ(struct opaque_upstream_config, upstream, struct service_id, "Upstream", 0,
          &service_id_schema),
    F_VALUE(struct opaque_upstream_config, config, "Config", 0),
    FIELDS_END,
};
const struct schema opaque_upstream_config_schema =
    SCHEMA("OpaqueUpstreamConfig", struct opaque_upstream_config, opaque_upstream_config_fields);

static const struct field service_config_response_fields[] = {
    F_VALUE(struct service_config_response, proxy_config, "ProxyConfig", 0),
    F_VALUE(struct service_config_response, upstream_configs, "UpstreamConfigs", 0),
    F_OBJLIST(struct service_config_response, upstream_id_configs, "UpstreamIDConfigs", 0,
              &opaque_upstream_config_schema),
    F_OBJ(struct service_config_response, mesh_gateway, struct mesh_gateway_config, "MeshGateway",
          0, &mesh_gateway_config_schema),
    F_OBJ(struct service_config_response, expose, struct expose_config, "Expose", 0,
          &expose_config_schema),
    F_OBJ(struct service_config_response, transparent_proxy, struct transparent_proxy_config,
          "TransparentProxy", 0, &transparent_proxy_config_schema),
    F_STR(struct service_config_response, mode, "Mode", F_OMITEMPTY),
    F_SPLICE(struct service_config_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
/* clang-format on */

static void service_config_put(struct buf *to, const void *object)
{
    msgpack_fields(to, &service_config_response_schema, object);
}

static int service_config_read(struct cur *c, void *object, struct arena *a, struct err *err)
{
    return msgpack_decode_fields(c, &service_config_response_schema, object, a, err);
}

static const struct schema_binary service_config_binary = {service_config_put, service_config_read};
const struct schema service_config_response_schema =
    SCHEMA_BINARY("ServiceConfigResponse", struct service_config_response,
                  service_config_response_fields, &service_config_binary);

/* --- requests that are plain maps ------------------------------------------------------------ */

/* clang-format off */
static const struct field config_entry_query_fields[] = {
    F_STR(struct config_entry_query, kind, "Kind", 0),
    F_STR(struct config_entry_query, name, "Name", 0),
    F_STR(struct config_entry_query, datacenter, "Datacenter", 0),
    F_SPLICE(struct config_entry_query, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema config_entry_query_schema =
    SCHEMA("ConfigEntryQuery", struct config_entry_query, config_entry_query_fields);

static const struct field config_entry_list_all_request_fields[] = {
    F_STRLIST(struct config_entry_list_all_request, kinds, "Kinds", 0),
    F_STR(struct config_entry_list_all_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct config_entry_list_all_request, options, struct query_options,
             &query_options_schema),
    FIELDS_END,
};
const struct schema config_entry_list_all_request_schema =
    SCHEMA("ConfigEntryListAllRequest", struct config_entry_list_all_request,
           config_entry_list_all_request_fields);

static const struct field service_id_fields[] = {
    F_STR(struct service_id, id, "ID", 0),
    FIELDS_END,
};
const struct schema service_id_schema = SCHEMA("ServiceID", struct service_id, service_id_fields);

static const struct field service_config_request_fields[] = {
    F_STR(struct service_config_request, name, "Name", 0),
    F_STR(struct service_config_request, datacenter, "Datacenter", 0),
    F_OBJ(struct service_config_request, mesh_gateway, struct mesh_gateway_config, "MeshGateway",
          0, &mesh_gateway_config_schema),
    F_STR(struct service_config_request, mode, "Mode", 0),
    F_OBJLIST(struct service_config_request, upstream_ids, "UpstreamIDs", 0, &service_id_schema),
    F_STRLIST(struct service_config_request, upstreams, "Upstreams", 0),
    F_SPLICE(struct service_config_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema service_config_request_schema =
    SCHEMA("ServiceConfigRequest", struct service_config_request, service_config_request_fields);
/* clang-format on */
