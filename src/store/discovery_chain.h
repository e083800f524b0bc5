/* discovery_chain.h - from a service's name through routers, splitters and resolvers to targets.
 *
 * Assembles the graph that config entries make of one service, as Consul's compiler does, and finds
 * what is wrong with it: protocols that differ, subsets that are not there, circles. What it tells
 * now is what the checks before a write ask: the chain's protocol, and what stands at its top.
 *
 *     struct chain_entries entries = {.view = v};                  // as stored
 *     r = chain_compile(a, &entries, STR("web"), &result, &err);
 *
 * With `override` the stored entry of that kind and name is passed over in favour of another, or of
 * none, to see what a change would do. Everything is in the arena, or borrowed from the view. */
#pragma once
#include "schema/config_entry.h"
#include "store/store.h"

struct err;

/* Splitters may lead to splitters; a chain of more than this is refused. */
#define CHAIN_DEPTH_MAX 500u

struct chain_entries {
    const struct store_view *view;
    bool has_override;
    enum config_entry_kind type;
    struct str name;
    const struct config_entry *override; /* NULL: as if it were not there */
};

const struct config_entry *chain_entry(const struct chain_entries *entries,
                                       enum config_entry_kind type, struct str name);

enum chain_node_type { CHAIN_ROUTER, CHAIN_SPLITTER, CHAIN_RESOLVER };

struct chain_result {
    struct str protocol; /* lower case; "tcp" by default */
    enum chain_node_type start;
};

NODISCARD int chain_compile(struct arena *a, const struct chain_entries *entries,
                            struct str service, struct chain_result *ret_result, struct err *err);

/* The protocol of a service by its own defaults, or those of all proxies; "tcp" without either. */
struct str chain_protocol(struct arena *a, const struct chain_entries *entries, struct str service);
/* http, http2, grpc: what can be routed and split. */
bool chain_protocol_is_http(struct str protocol);
