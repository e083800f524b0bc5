#include "server/self.h"

#include "server/server.h"
#include "store/store.h"

/* What Consul tells of a server in the metadata of its service. */
static struct strmap self_meta(struct arena *a)
{
    static const struct strpair pairs[] = {
        {STR_INIT("non_voter"), STR_INIT("false")},
        {STR_INIT("raft_version"), STR_INIT("3")},
        {STR_INIT("read_replica"), STR_INIT("false")},
        {STR_INIT("serf_protocol_current"), STR_INIT("2")},
        {STR_INIT("serf_protocol_max"), STR_INIT("5")},
        {STR_INIT("serf_protocol_min"), STR_INIT("1")},
        {STR_INIT("version"), STR_INIT(CONSUL_VERSION)},
    };
    struct strpair *copy = ARENA_ARRAY(a, struct strpair, ARRAY_SIZE(pairs));
    memcpy(copy, pairs, sizeof(pairs));
    return strmap_build(copy, ARRAY_SIZE(pairs));
}

static int64_t self_port(const struct server *s)
{
    ptrdiff_t colon = str_rfind_byte(s->options.rpc_address, ':');
    uint64_t port;
    if (colon < 0 ||
        str_parse_u64(str_from(s->options.rpc_address, (size_t)colon + 1), &port) < 0) {
        return 0;
    }
    return (int64_t)port;
}

static void *self_row(const struct store_view *v, enum store_index index, struct str node,
                      struct str id)
{
    char bytes[STORE_KEY_SIZE];
    struct buf key = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    struct str parts[] = {node, id};
    return store_get(v, index, store_key(&key, parts, id.p == NULL ? 1 : 2));
}

bool self_is_registered(const struct server *s, const struct store_view *v)
{
    const struct server_options *o = &s->options;
    const struct node *node = self_row(v, INDEX_NODES_ID, o->node_name, STR_NULL);
    const struct service_row *service =
        self_row(v, INDEX_SERVICES_ID, o->node_name, CONSUL_SERVICE_ID);
    const struct health_check *check = self_row(v, INDEX_CHECKS_ID, o->node_name, SERF_CHECK_ID);
    if (node == NULL || service == NULL || check == NULL) {
        return false;
    }
    struct arena a = {0};
    bool same = str_eq(node->address, o->advertise_address) && str_eq(node->id, o->node_id) &&
                strmap_eq(service->service.meta, self_meta(&a)) &&
                str_eq(check->status, HEALTH_PASSING);
    arena_deinit(&a);
    return same;
}

void self_registration(const struct server *s, struct arena *a, const struct store_view *v,
                       struct register_request *ret_request)
{
    const struct server_options *o = &s->options;
    const struct node *node = self_row(v, INDEX_NODES_ID, o->node_name, STR_NULL);

    struct node_service *service = ARENA_NEW(a, struct node_service);
    service->id = CONSUL_SERVICE_ID;
    service->service = CONSUL_SERVICE_NAME;
    service->port = self_port(s);
    service->weights = ARENA_NEW(a, struct weights);
    *service->weights = (struct weights){.passing = 1, .warning = 1};
    service->meta = self_meta(a);

    struct health_check *check = ARENA_NEW(a, struct health_check);
    check->node = o->node_name;
    check->check_id = SERF_CHECK_ID;
    check->name = SERF_CHECK_NAME;
    check->status = HEALTH_PASSING;
    check->output = SERF_CHECK_ALIVE_OUTPUT;

    *ret_request = (struct register_request){
        .datacenter = o->datacenter,
        .id = o->node_id,
        .node = o->node_name,
        .address = o->advertise_address,
        .service = service,
        .check = check,
        /* What the agent has said of the node (addresses, metadata) may be on its way: it stays. */
        .skip_node_update = true,
    };
    if (node != NULL) {
        ret_request->tagged_addresses = node->tagged_addresses;
        ret_request->node_meta = node->meta;
    }
}
