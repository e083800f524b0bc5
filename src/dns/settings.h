/* settings.h - the configuration as the DNS front end uses it: names in wire form, times in
 * seconds, addresses parsed. Immutable; owned by one server. */
#pragma once
#include "base/arena.h"
#include "loop/address.h"
#include "proto/dns.h"

struct dns_ttl {
    struct str prefix; /* or the whole name */
    uint32_t seconds;
};

struct dns_settings {
    struct str domain;     /* text, lower case, with the dot at the end */
    struct str alt_domain; /* empty: none */
    struct str domain_wire, alt_domain_wire;
    struct str soa_names; /* wire: ns.<domain> hostmaster.<domain> */
    uint32_t soa_refresh, soa_retry, soa_expire, soa_min_ttl;
    struct str datacenter, node_name;
    bool acl_enabled; /* then every answer is what the default token may see: requests, not the view */
    bool allow_stale, disable_compression, enable_truncate, only_passing, node_meta_txt, use_cache,
        translate_wan_addrs;
    int64_t a_record_limit, udp_answer_limit;
    int64_t max_stale_ns, cache_max_age_ns;
    uint64_t recursor_timeout_ms;
    uint32_t node_ttl;
    const struct dns_ttl *ttls, *ttl_prefixes;
    size_t ttls_count, ttl_prefixes_count;
    const struct address *recursors;
    size_t recursors_count;
    struct arena arena; /* holds all of it */
};

/* A service's: by its whole name, else by the longest prefix, else 0. */
uint32_t dns_service_ttl(const struct dns_settings *settings, struct str service);
