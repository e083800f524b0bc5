/* config_entry.h - centralized configuration: entries of nine kinds, found by kind and name, and
 * the requests that write and read them (Consul's structs of the same names).
 *
 * Every kind's struct begins with a struct config_entry, as a row of the store begins with its
 * `rendered`; config_entry_schema stands for "an entry of some kind" and finds the kind's own table
 * by head.kind. An entry is made by config_entry_new() before anything is decoded into it, so its
 * kind always is one of the nine. Entries of kind mesh have no name of their own: theirs is "mesh".
 *
 *     struct config_entry *e;
 *     r = config_entry_decode(a, value, 0, &e, &err);     // JSON or HCL, {"Kind": ..., ...}
 *     json_object(&w, &config_entry_schema, e);
 *
 * The kinds themselves: config_defaults.h, config_chain.h, config_gateways.h, config_intentions.h.
 * For normalizing and validating them see store/config_check.h. */
#pragma once
#include "schema/catalog.h"

struct err;

/* In the order of Consul's AllConfigEntryKinds. X(id, text, struct) */
#define CONFIG_ENTRY_KINDS(X)                                                 \
    X(CONFIG_SERVICE_DEFAULTS, "service-defaults", service_defaults)          \
    X(CONFIG_PROXY_DEFAULTS, "proxy-defaults", proxy_defaults)                \
    X(CONFIG_SERVICE_ROUTER, "service-router", service_router)                \
    X(CONFIG_SERVICE_SPLITTER, "service-splitter", service_splitter)          \
    X(CONFIG_SERVICE_RESOLVER, "service-resolver", service_resolver)          \
    X(CONFIG_INGRESS_GATEWAY, "ingress-gateway", ingress_gateway)             \
    X(CONFIG_TERMINATING_GATEWAY, "terminating-gateway", terminating_gateway) \
    X(CONFIG_SERVICE_INTENTIONS, "service-intentions", service_intentions)    \
    X(CONFIG_MESH, "mesh", mesh_config)

enum config_entry_kind {
#define X(id, text, type) id,
    CONFIG_ENTRY_KINDS(X)
#undef X
        CONFIG_ENTRY_KINDS_COUNT
};

struct config_entry {
    _Atomic(struct rendered *) rendered;
    enum config_entry_kind type;
    struct str kind; /* the type's text */
    struct str name;
    struct strmap meta;
    struct raft_index raft;
};

#define CONFIG_PROXY_GLOBAL STR("global") /* the only name of proxy-defaults */
#define CONFIG_MESH_NAME STR("mesh")      /* the only one of mesh */
#define CONFIG_WILDCARD STR("*")

struct str config_entry_kind_text(enum config_entry_kind type);
struct strlist config_entry_kinds(void); /* all of them */
/* Negative when there is no such kind: "invalid config entry kind: x". */
NODISCARD int config_entry_kind_find(struct str kind, struct err *err);
/* An empty entry of a kind. */
struct config_entry *config_entry_new(struct arena *a, enum config_entry_kind type,
                                      struct str name);
/* An entry from a map of any of the spellings: CamelCase, snake_case, with HCL's lists around
 * blocks and values that are nearly of the right type. Keys it does not know are an error that
 * names all of them. flags: DECODE_FLOATS for JSON, whose numbers are floats in free-form
 * configuration. */
NODISCARD int config_entry_decode(struct arena *a, const struct value *value, unsigned flags,
                                  struct config_entry **ret_entry, struct err *err);

/* An entry of a kind from msgpack. */
NODISCARD int config_entry_read(struct cur *c, struct str kind, struct arena *a,
                                struct config_entry **ret_entry, struct err *err);

/* --- requests -------------------------------------------------------------------------------- */

#define CONFIG_ENTRY_UPSERT STR("upsert")
#define CONFIG_ENTRY_UPSERT_CAS STR("upsert-cas")
#define CONFIG_ENTRY_DELETE STR("delete")

struct config_entry_request { /* Raft entry type 22, ConfigEntry.Apply and .Delete */
    struct str op;
    struct str datacenter;
    struct config_entry *entry;
    struct write_request write;
};

struct config_entry_query { /* ConfigEntry.Get, .List */
    struct str kind;
    struct str name;
    struct str datacenter;
    struct query_options options;
};

struct config_entry_list_all_request { /* ConfigEntry.ListAll */
    struct strlist kinds;
    struct str datacenter;
    struct query_options options;
};

struct service_id {
    struct str id;
};

struct service_config_request { /* ConfigEntry.ResolveServiceConfig */
    struct str name;
    struct str datacenter;
    struct mesh_gateway_config mesh_gateway;
    struct str mode;
    struct objlist upstream_ids; /* struct service_id */
    struct strlist upstreams;    /* the same, as old agents say it */
    struct query_options options;
};

/* --- answers --------------------------------------------------------------------------------- */

struct config_entry_response {
    const struct config_entry *entry; /* NULL: there is none */
    struct query_meta meta;
};

struct indexed_config_entries { /* all of one kind; of every kind when it is empty */
    struct str kind;
    struct ptrlist entries; /* struct config_entry */
    struct query_meta meta;
};

struct indexed_generic_config_entries {
    struct ptrlist entries;
    struct query_meta meta;
};

struct opaque_upstream_config {
    struct service_id upstream;
    const struct value *config;
};

struct service_config_response { /* what the entries say about one service's proxies */
    const struct value *proxy_config;
    const struct value *upstream_configs; /* by name, for agents that asked by name */
    struct objlist upstream_id_configs;   /* struct opaque_upstream_config */
    struct mesh_gateway_config mesh_gateway;
    struct expose_config expose;
    struct transparent_proxy_config transparent_proxy;
    struct str mode;
    struct query_meta meta;
};

extern const struct schema config_entry_schema, config_entry_request_schema,
    config_entry_query_schema, config_entry_list_all_request_schema, service_id_schema,
    service_config_request_schema, config_entry_response_schema, indexed_config_entries_schema,
    indexed_generic_config_entries_schema, opaque_upstream_config_schema,
    service_config_response_schema;
