#include "agent/member.h"

#include "agent/config.h"
#include "base/clock.h"

#define REVISION_SIZE_MAX 8u

struct str member_build(const struct agent_config *config, struct arena *a)
{
    return arena_printf(a, "%.*s%.*s:%.*s", STRF(config->version), STRF(config->version_prerelease),
                        STRF(str_first(config->revision, REVISION_SIZE_MAX)));
}

struct tags {
    struct arena *arena;
    struct strpair pairs[24];
    size_t n;
};

static void tag(struct tags *t, struct str key, struct str value)
{
    ASSERT(t->n < ARRAY_SIZE(t->pairs));
    t->pairs[t->n++] = (struct strpair){key, value};
}

static struct str number(struct tags *t, int64_t n)
{
    return arena_printf(t->arena, "%lld", (long long)n);
}

static void server_tags(struct tags *t, const struct agent_config *config, bool is_wan)
{
    tag(t, STR("role"), STR("consul"));
    tag(t, STR("ft_fs"), STR("1")); /* federation states */
    tag(t, STR("ft_si"), STR("1")); /* service-intentions entries */
    tag(t, STR("port"), number(t, config->ports.server));
    tag(t, STR("raft_vsn"), number(t, config->raft.protocol));
    if (!is_wan && config->ports.serf_wan > 0) {
        tag(t, STR("wan_join_port"), number(t, config->ports.serf_wan));
    }
    if (config->bootstrap && !config->is_dev) {
        tag(t, STR("bootstrap"), STR("1"));
    }
    if (config->bootstrap_expect > 0) {
        tag(t, STR("expect"), number(t, config->bootstrap_expect));
    }
    if (config->read_replica) {
        tag(t, STR("nonvoter"), STR("1"));
        tag(t, STR("read_replica"), STR("1"));
    }
    if (config->tls.ca_file.n > 0 || config->tls.ca_path.n > 0) {
        tag(t, STR("use_tls"), STR("1"));
    }
}

void member_self(const struct agent_config *config, struct str node_id, bool is_wan,
                 struct arena *a, struct member *ret_member)
{
    struct tags t = {.arena = a};
    tag(&t, STR("acls"), config->acl.enabled ? STR("1") : STR("0"));
    tag(&t, STR("build"), member_build(config, a));
    tag(&t, STR("dc"), config->datacenter);
    tag(&t, STR("id"), node_id);
    tag(&t, STR("segment"), config->segment);
    tag(&t, STR("vsn"), number(&t, config->rpc_protocol));
    tag(&t, STR("vsn_min"), STR("2"));
    tag(&t, STR("vsn_max"), STR("3"));
    if (config->is_server) {
        server_tags(&t, config, is_wan);
    } else {
        tag(&t, STR("role"), STR("node"));
        if (config->advertise_reconnect_timeout != 0) {
            tag(&t, STR("rc_tm"), duration_format(a, config->advertise_reconnect_timeout));
        }
    }
    struct strpair *pairs = ARENA_ARRAY(a, struct strpair, t.n);
    memcpy(pairs, t.pairs, t.n * sizeof(pairs[0]));
    const struct config_addresses *addresses = &config->addresses;
    *ret_member = (struct member){
        .name =
            is_wan ? arena_printf(a, "%.*s.%.*s", STRF(config->node_name), STRF(config->datacenter))
                   : config->node_name,
        .addr = is_wan ? addresses->advertise_wan : addresses->advertise,
        .port = is_wan ? config->ports.serf_wan : config->ports.serf_lan,
        .tags = strmap_build(pairs, t.n),
        .status = MEMBER_ALIVE,
        .protocol_min = 1,
        .protocol_max = 5,
        .protocol_cur = 2,
        .delegate_min = 2,
        .delegate_max = 5,
        .delegate_cur = 4,
    };
}
