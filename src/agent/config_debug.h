/* config_debug.h - what the files behind config_write_debug() share: a JSON object with Consul's
 * names in order, texts for durations and addresses, and "hidden" for whatever by its name may be a
 * secret.
 *
 * config_debug.c has the table of all names; config_debug_parts.c the members that are put together
 * by hand; config_debug_object.c definitions, by their field tables; config_debug_value.c the
 * values. */
#pragma once
#include "agent/config.h"
#include "base/arena.h"
#include "schema/json.h"

#define HIDDEN_TEXT STR("hidden")

struct debug_writer {
    struct json_writer *w;
    const struct agent_config *config;
    struct str node_id;
    struct arena a;
};

typedef void (*debug_put_fn)(struct debug_writer *d);

enum debug_kind {
    DEBUG_STR,
    DEBUG_BOOL,
    DEBUG_INT,
    DEBUG_UINT,
    DEBUG_FLOAT,
    DEBUG_DURATION,
    DEBUG_STRLIST,
    DEBUG_JOINS,
    DEBUG_STRMAP,
    DEBUG_CIDRS,
    DEBUG_ADDR,
    DEBUG_ADDRS,
    DEBUG_VALUE,
    DEBUG_HIDDEN,
    DEBUG_BY_HAND,
};

struct debug_entry {
    const char *name;
    enum debug_kind kind;
    size_t offset;
    debug_put_fn put;
};

/* clang-format off */
#define ENTRY(n, k, m) {.name = n, .kind = k, .offset = offsetof(struct agent_config, m)}
#define STR_(n, m) ENTRY(n, DEBUG_STR, m)
#define BOOL_(n, m) ENTRY(n, DEBUG_BOOL, m)
#define INT_(n, m) ENTRY(n, DEBUG_INT, m)
#define UINT_(n, m) ENTRY(n, DEBUG_UINT, m)
#define FLOAT_(n, m) ENTRY(n, DEBUG_FLOAT, m)
#define DURATION_(n, m) ENTRY(n, DEBUG_DURATION, m)
#define STRLIST_(n, m) ENTRY(n, DEBUG_STRLIST, m)
#define JOINS_(n, m) ENTRY(n, DEBUG_JOINS, m)
#define STRMAP_(n, m) ENTRY(n, DEBUG_STRMAP, m)
#define CIDRS_(n, m) ENTRY(n, DEBUG_CIDRS, m)
#define ADDR_(n, m) ENTRY(n, DEBUG_ADDR, m)
#define ADDRS_(n, m) ENTRY(n, DEBUG_ADDRS, m)
#define VALUE_(n, m) ENTRY(n, DEBUG_VALUE, m)
#define HIDDEN_(n) {.name = n, .kind = DEBUG_HIDDEN}
#define BY_HAND_(n, f) {.name = n, .kind = DEBUG_BY_HAND, .put = f}
/* clang-format on */

/* --- values (config_debug_value.c) --- */
bool debug_is_secret(struct str name);
void debug_put_named(struct json_writer *w, const char *name);
void debug_put_duration(struct debug_writer *d, int64_t ns);
void debug_put_strlist(struct json_writer *w, struct strlist list);
void debug_put_strmap(struct json_writer *w, struct strmap map);
void debug_put_addrs(struct debug_writer *d, const char *network, struct config_addrlist addrs);
void debug_put_value(struct debug_writer *d, struct str name, const struct value *v,
                     unsigned depth);
void debug_put_value_map(struct debug_writer *d, const struct value *v);
void debug_put_nothing(struct debug_writer *d);
void debug_put_entries(struct debug_writer *d, const struct debug_entry *entries);

/* --- definitions (config_debug_object.c) --- */
void debug_put_checks(struct debug_writer *d);
void debug_put_services(struct debug_writer *d);

/* --- members put together by hand (config_debug_parts.c) --- */
void debug_put_no_list(struct debug_writer *d);
void debug_put_acl_tokens(struct debug_writer *d);
void debug_put_auto_config(struct debug_writer *d);
void debug_put_cache(struct debug_writer *d);
void debug_put_config_entries(struct debug_writer *d);
void debug_put_watches(struct debug_writer *d);
void debug_put_dns_addrs(struct debug_writer *d);
void debug_put_soa(struct debug_writer *d);
void debug_put_service_ttl(struct debug_writer *d);
void debug_put_logging(struct debug_writer *d);
void debug_put_node_id(struct debug_writer *d);
void debug_put_rpc_config(struct debug_writer *d);
void debug_put_cipher_suites(struct debug_writer *d);
void debug_put_telemetry(struct debug_writer *d);
void debug_put_ui(struct debug_writer *d);
