#include "cli/agent_pool.h"

#include "agent/config.h"
#include "agent/gossip_keys.h"
#include "agent/member.h"
#include "base/arena.h"
#include "gossip/pool_address.h"
#include "server/membership.h"
#include "server/serf_pool.h"
#include "server/worker.h"

/* --- what the configuration says of gossip ------------------------------------------------------
 */

static void config_gossip(const struct config_gossip *from, struct swim_config *to)
{
    to->gossip_interval_ns = (uint64_t)from->gossip_interval;
    to->gossip_nodes = (uint32_t)from->gossip_nodes;
    to->probe_interval_ns = (uint64_t)from->probe_interval;
    to->probe_timeout_ns = (uint64_t)from->probe_timeout;
    to->suspicion_mult = (uint32_t)from->suspicion_mult;
    to->retransmit_mult = (uint32_t)from->retransmit_mult;
}

static void config_serf(const struct agent_config *c, bool is_wan, struct serf_config *to)
{
    int64_t reconnect = is_wan ? c->reconnect_timeout_wan : c->reconnect_timeout_lan;
    serf_config_init(to, is_wan);
    config_gossip(is_wan ? &c->gossip_wan : &c->gossip_lan, &to->swim);
    to->swim.verify_incoming = c->encrypt_verify_incoming;
    to->swim.verify_outgoing = c->encrypt_verify_outgoing;
    to->rejoin_after_leave = c->rejoin_after_leave;
    /* A server never ends itself for that: a vote must not cost a cluster its voters. */
    to->enable_name_conflict_resolution = !c->is_server;
    if (reconnect > 0) {
        to->reconnect_timeout_ns = (uint64_t)reconnect;
    }
}

static int config_address(const struct config_addr *from, const char *what, struct address *to,
                          struct err *err)
{
    int rc = address_parse(to, from->host, from->port, err);
    return rc < 0 ? err_wrap(err, "%s", what) : 0;
}

static bool cidrs_allow(struct config_cidrlist cidrs, const struct gossip_address *address)
{
    char bytes[64];
    struct buf ip = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    gossip_address_format_ip(address, &ip);
    return config_cidrs_contain(cidrs, buf_view(&ip));
}

static bool lan_allows(void *data, const struct gossip_address *address)
{
    const struct agent_config *c = data;
    return cidrs_allow(c->serf_lan_allowed_cidrs, address);
}

static bool wan_allows(void *data, const struct gossip_address *address)
{
    const struct agent_config *c = data;
    return cidrs_allow(c->serf_wan_allowed_cidrs, address);
}

/* --- pools ---------------------------------------------------------------------------------------
 */

struct making {
    const struct agent_pool_options *options;
    struct gossip_threads *threads;
    struct arena arena;
};

static int make_pool(struct making *k, bool is_wan, const struct gossip_keys *keys,
                     struct membership **ret, struct err *err)
{
    const struct agent_config *c = k->options->config;
    const struct config_addresses *at = &c->addresses;
    const struct config_cidrlist *cidrs =
        is_wan ? &c->serf_wan_allowed_cidrs : &c->serf_lan_allowed_cidrs;
    const struct config_addr *advertise =
        is_wan ? &at->serf_advertise_wan : &at->serf_advertise_lan;
    struct member self;
    member_self(c, k->options->node_id, is_wan, &k->arena, &self);
    struct serf_pool_options o = {
        .pool = {.threads = k->threads,
                 .home = k->options->main->loop,
                 .serf_module = is_wan         ? "agent.server.serf.wan"
                                : c->is_server ? "agent.server.serf.lan"
                                               : "agent.client.serf.lan",
                 .memberlist_module = is_wan         ? "agent.server.memberlist.wan"
                                      : c->is_server ? "agent.server.memberlist.lan"
                                                     : "agent.client.memberlist.lan",
                 .name = self.name,
                 .tags = self.tags,
                 .key_path = keys->path,
                 .keys = keys->ring},
        .is_wan = is_wan,
        .datacenter = c->datacenter,
        .segment = c->segment,
        .node_id = k->options->node_id,
        .allowed = cidrs->n == 0 ? NULL
                   : is_wan      ? wan_allows
                                 : lan_allows,
        .allowed_data = (void *)(uintptr_t)c,
    };
    config_serf(c, is_wan, &o.pool.config);
    if (!c->is_dev) {
        o.pool.snapshot_path = arena_printf(&k->arena, "%.*s/serf/%s.snapshot", STRF(c->data_dir),
                                            is_wan ? "remote" : "local");
    }
    int rc = config_address(is_wan ? &at->serf_bind_wan : &at->serf_bind_lan, "bind address",
                            &o.pool.bind, err);
    if (rc >= 0 && !gossip_address_parse(advertise->host, advertise->port, &o.pool.advertise)) {
        rc = err_set(err, ERR_INVALID, "Failed to parse advertise address \"%.*s\"",
                     STRF(advertise->host));
    }
    if (rc < 0) {
        (void)seal_ring_free(keys->ring);
        return rc;
    }
    return serf_pool_new(&o, ret, err);
}

int agent_pools_new(const struct agent_pool_options *options, struct agent_pools *ret_pools,
                    struct err *err)
{
    const struct agent_config *c = options->config;
    bool has_wan = c->is_server && c->addresses.serf_bind_wan.host.n > 0;
    struct making k = {.options = options};
    struct agent_pools pools = {0};
    struct gossip_keys lan, wan;
    int rc = gossip_keys_setup(c, has_wan, &k.arena, &lan, &wan, err);
    if (rc >= 0) {
        k.threads = gossip_threads_new();
        rc = make_pool(&k, false, &lan, &pools.lan, err);
        rc = rc < 0 ? err_wrap(err, "Failed to start LAN Serf: Failed to create memberlist: Could "
                                    "not set up network transport: failed to obtain an address")
                    : rc;
        if (rc < 0) {
            (void)seal_ring_free(wan.ring);
        } else if (has_wan) {
            rc = make_pool(&k, true, &wan, &pools.wan, err);
            rc = rc < 0 ? err_wrap(err, "Failed to start WAN Serf") : rc;
        }
        if (rc < 0) {
            (void)membership_free(pools.lan);
            (void)err_wrap(err, "Failed to start Consul %s", c->is_server ? "server" : "client");
        }
    }
    arena_deinit(&k.arena);
    if (rc >= 0) {
        *ret_pools = pools;
    }
    return rc;
}
