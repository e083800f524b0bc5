#include "schema/kv.h"

/* clang-format off */
static const struct field dir_entry_fields[] = {
    F_UINT(struct dir_entry, lock_index, "LockIndex", 0),
    F_STR(struct dir_entry, key, "Key", 0),
    F_UINT(struct dir_entry, flags, "Flags", 0),
    F_BYTES(struct dir_entry, value, "Value", 0),
    F_STR(struct dir_entry, session, "Session", F_OMITEMPTY),
    F_SPLICE(struct dir_entry, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema dir_entry_schema = SCHEMA("DirEntry", struct dir_entry, dir_entry_fields);

static const struct field kvs_request_fields[] = {
    F_STR(struct kvs_request, datacenter, "Datacenter", 0),
    F_STR(struct kvs_request, op, "Op", 0),
    F_OBJ(struct kvs_request, dir_ent, struct dir_entry, "DirEnt", 0, &dir_entry_schema),
    F_SPLICE(struct kvs_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema kvs_request_schema = SCHEMA("KVSRequest", struct kvs_request, kvs_request_fields);

static const struct field key_request_fields[] = {
    F_STR(struct key_request, datacenter, "Datacenter", 0),
    F_STR(struct key_request, key, "Key", 0),
    F_SPLICE(struct key_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema key_request_schema = SCHEMA("KeyRequest", struct key_request, key_request_fields);

static const struct field key_list_request_fields[] = {
    F_STR(struct key_list_request, datacenter, "Datacenter", 0),
    F_STR(struct key_list_request, prefix, "Prefix", 0),
    F_STR(struct key_list_request, separator, "Seperator", 0), /* Consul's spelling */
    F_SPLICE(struct key_list_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema key_list_request_schema =
    SCHEMA("KeyListRequest", struct key_list_request, key_list_request_fields);

static const struct field tombstone_request_fields[] = {
    F_STR(struct tombstone_request, datacenter, "Datacenter", 0),
    F_STR(struct tombstone_request, op, "Op", 0),
    F_UINT(struct tombstone_request, reap_index, "ReapIndex", 0),
    F_SPLICE(struct tombstone_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema tombstone_request_schema =
    SCHEMA("TombstoneRequest", struct tombstone_request, tombstone_request_fields);

static const struct field indexed_dir_entries_fields[] = {
    F_PTRLIST(struct indexed_dir_entries, entries, "Entries", 0, &dir_entry_schema),
    F_SPLICE(struct indexed_dir_entries, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_dir_entries_schema =
    SCHEMA("IndexedDirEntries", struct indexed_dir_entries, indexed_dir_entries_fields);

static const struct field indexed_key_list_fields[] = {
    F_STRLIST(struct indexed_key_list, keys, "Keys", 0),
    F_SPLICE(struct indexed_key_list, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_key_list_schema =
    SCHEMA("IndexedKeyList", struct indexed_key_list, indexed_key_list_fields);
/* clang-format on */
