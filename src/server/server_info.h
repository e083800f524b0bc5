/* server_info.h - what the tags of a member say of it when it is a server (Consul's
 * metadata.Server).
 *
 *     struct server_info info;
 *     if (server_info_of(&member, arena, &info)) ... dial info.address ...
 *
 * Pure. Strings point into the member and the arena. */
#pragma once
#include "schema/member.h"

struct arena;

struct server_info {
    struct str name, id, datacenter, segment;
    struct str host, address; /* address: host:port of RPC, which is its Raft address too */
    int64_t port, wan_join_port;
    int64_t expect; /* of bootstrap_expect; 0: none */
    int64_t protocol, raft_version;
    struct str version; /* "1.10.3", of the tag build */
    bool is_bootstrap, is_read_replica, uses_tls;
    bool has_federation_states; /* it knows of them */
    enum member_status status;
};

/* The first "1.10.3" in what a member says it was built from. */
bool build_version(struct str build, struct str *ret_version);
/* False for a client, and for a server whose tags are malformed. */
bool server_info_of(const struct member *m, struct arena *a, struct server_info *ret_info);
/* "node1 (Addr: tcp/127.0.0.1:8300) (DC: dc1)", as in log lines. */
struct str server_info_text(const struct server_info *info, struct arena *a);
/* host:port, an IPv6 host in brackets. */
struct str server_address(struct arena *a, struct str host, int64_t port);
