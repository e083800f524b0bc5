/* discovery_chain.h - from a service's name through routers, splitters and resolvers to targets.
 *
 * Assembles the graph that config entries make of one service, as Consul's compiler does, and finds
 * what is wrong with it: protocols that differ, subsets that are not there, circles.
 *
 *     struct chain_entries entries = {.view = v, .ws = ws};       // as stored
 *     struct chain_options options = {.datacenter = …, …};
 *     r = chain_compile(a, &entries, STR("web"), &options, &chain, &err);
 *
 * With `override` the stored entry of that kind and name is passed over in favour of another, or of
 * none, to see what a change would do. Everything is in the arena, or borrowed from the view. */
#pragma once
#include "schema/config_entry.h"
#include "schema/discovery_chain.h"
#include "store/store.h"

struct err;

/* Splitters may lead to splitters; a chain of more than this is refused, and so is one that comes
 * to more than so many splits when those are taken together. */
#define CHAIN_DEPTH_MAX 500u
#define CHAIN_SPLITS_MAX 65536u

struct chain_entries {
    const struct store_view *view;
    struct watch_set *ws; /* gets what was looked at; may be NULL */
    bool has_override;
    enum config_entry_kind type;
    struct str name;
    const struct config_entry *override; /* NULL: as if it were not there */
};

const struct config_entry *chain_entry(const struct chain_entries *entries,
                                       enum config_entry_kind type, struct str name);

struct chain_options {
    struct str datacenter; /* from where the chain is seen */
    struct str use_in;     /* the data center where it will be used */
    struct str trust_domain;
    struct chain_overrides overrides;
};

/* Where it does not matter, but for the words of errors. */
extern const struct chain_options chain_options_any;

NODISCARD int chain_compile(struct arena *a, const struct chain_entries *entries,
                            struct str service, const struct chain_options *options,
                            const struct compiled_discovery_chain **ret_chain, struct err *err);

/* "router", "splitter" or "resolver". */
struct str chain_start_type(const struct compiled_discovery_chain *chain);
/* No routing, no splitting, and the resolver of the service itself says nothing. */
bool chain_is_default(const struct compiled_discovery_chain *chain);

/* The protocol of a service by its own defaults, or those of all proxies; "tcp" without either. */
struct str chain_protocol(struct arena *a, const struct chain_entries *entries, struct str service);
/* http, http2, grpc: what can be routed and split. */
bool chain_protocol_is_http(struct str protocol);
