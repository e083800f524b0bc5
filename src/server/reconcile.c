#include "server/reconcile.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "raft/configuration.h"
#include "server/server_info.h"
#include "store/catalog.h"

/* --- Raft's configuration -------------------------------------------------------------------- */

/* How many voters may be removed at once without losing the majority. */
static uint32_t voters_to_spare(const struct raft_configuration *c)
{
    uint32_t voters = raft_configuration_voters(c);
    return voters - (voters / 2 + 1);
}

static void step_change(struct reconcile_step *step, enum raft_change change, struct str id,
                        struct str address)
{
    step->kind = RECONCILE_RAFT_CHANGE;
    step->change = change;
    step->id = id;
    step->address = address;
}

int reconcile_raft_add(const struct raft_configuration *c, struct str id, struct str address,
                       struct reconcile_step *ret_step)
{
    const struct raft_server *own = NULL, *other = NULL;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct raft_server *s = &c->servers[i];
        if (str_eq(str_from_cstr(s->id), id)) {
            own = s;
        } else if (str_eq(str_from_cstr(s->address), address)) {
            other = s;
        }
    }
    if (own != NULL && str_eq(str_from_cstr(own->address), address)) {
        return 0;
    }
    if (other != NULL) {
        if (other->suffrage == RAFT_VOTER && voters_to_spare(c) < 1) {
            return err_set(&ret_step->err, ERR_FAILED,
                           "Preventing server addition that would require removal of too many "
                           "servers and cause cluster instability");
        }
        step_change(ret_step, RAFT_REMOVE_SERVER, str_from_cstr(other->id),
                    str_from_cstr(other->address));
        ret_step->replaces = true;
        return 1;
    }
    bool had_vote = own != NULL && own->suffrage != RAFT_NONVOTER;
    step_change(ret_step, had_vote ? RAFT_ADD_VOTER : RAFT_ADD_NONVOTER, id, address);
    return 1;
}

/* Two servers that were both told to form a cluster of their own must not be brought together. */
static bool has_other_bootstrap(const struct reconcile_input *in, const struct server_info *info,
                                struct arena *a)
{
    for (size_t i = 0; i < in->count && info->is_bootstrap; i++) {
        struct server_info other;
        if (server_info_of(in->members[i], a, &other) && other.is_bootstrap &&
            !str_eq(other.name, info->name)) {
            return true;
        }
    }
    return false;
}

/* --- the catalog ----------------------------------------------------------------------------- */

static void *row(const struct store_view *v, enum store_index index, struct str node, struct str id)
{
    char bytes[STORE_KEY_SIZE];
    struct buf key = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    struct str parts[] = {node, id};
    return store_get(v, index, store_key(&key, parts, 2));
}

static struct strmap service_meta(const struct member *m, const struct server_info *info,
                                  struct arena *a)
{
    bool non_voter = str_eq_lit(member_tag(m, STR("nonvoter")), "1");
    bool replica = str_eq_lit(member_tag(m, STR("read_replica")), "1");
    const struct strpair pairs[] = {
        {STR("non_voter"), non_voter ? STR("true") : STR("false")},
        {STR("raft_version"), arena_printf(a, "%lld", (long long)info->raft_version)},
        {STR("read_replica"), replica ? STR("true") : STR("false")},
        {STR("serf_protocol_current"), arena_printf(a, "%lld", (long long)m->protocol_cur)},
        {STR("serf_protocol_max"), arena_printf(a, "%lld", (long long)m->protocol_max)},
        {STR("serf_protocol_min"), arena_printf(a, "%lld", (long long)m->protocol_min)},
        {STR("version"), info->version},
    };
    struct strpair *copy = ARENA_ARRAY(a, struct strpair, ARRAY_SIZE(pairs));
    memcpy(copy, pairs, sizeof(pairs));
    return strmap_build(copy, ARRAY_SIZE(pairs));
}

static struct node_service *service_of(const struct member *m, const struct server_info *info,
                                       struct arena *a)
{
    struct node_service *service = ARENA_NEW(a, struct node_service);
    service->id = CONSUL_SERVICE_ID;
    service->service = CONSUL_SERVICE_NAME;
    service->port = info->port;
    service->weights = ARENA_NEW(a, struct weights);
    *service->weights = (struct weights){.passing = 1, .warning = 1};
    service->meta = service_meta(m, info, a);
    return service;
}

/* node has the member's address, its check this status, its service (if any) this metadata. */
static bool is_as_it_should(const struct store_view *v, const struct node *node,
                            const struct member *m, const struct node_service *service,
                            struct str status)
{
    const struct health_check *check = row(v, INDEX_CHECKS_ID, m->name, SERF_CHECK_ID);
    if (node == NULL || check == NULL || !str_eq(node->address, m->addr) ||
        !str_eq(check->status, status)) {
        return false;
    }
    const struct service_row *now = row(v, INDEX_SERVICES_ID, m->name, CONSUL_SERVICE_ID);
    return service == NULL || (now != NULL && strmap_eq(now->service.meta, service->meta));
}

bool reconcile_is_registered(const struct store_view *v, const struct member *member)
{
    struct arena a = {0};
    struct server_info info;
    const struct node_service *service =
        server_info_of(member, &a, &info) ? service_of(member, &info, &a) : NULL;
    bool is_there =
        is_as_it_should(v, catalog_node(v, member->name), member, service, HEALTH_PASSING);
    arena_deinit(&a);
    return is_there;
}

static void step_register(const struct reconcile_input *in, const struct member *m,
                          struct node_service *service, struct str status, struct str output,
                          struct arena *a, struct reconcile_step *step)
{
    struct health_check *check = ARENA_NEW(a, struct health_check);
    check->node = m->name;
    check->check_id = SERF_CHECK_ID;
    check->name = SERF_CHECK_NAME;
    check->status = status;
    check->output = output;
    step->kind = RECONCILE_REGISTER;
    step->registration = (struct register_request){
        .datacenter = in->datacenter,
        .id = member_tag(m, STR("id")),
        .node = m->name,
        .address = m->addr,
        .service = service,
        .check = check,
    };
}

/* --- a member, by its status ----------------------------------------------------------------- */

/* True when there is something to do in Raft, or it must not be. */
static bool alive_raft(const struct reconcile_input *in, const struct server_info *info,
                       struct arena *a, struct reconcile_step *step)
{
    if (has_other_bootstrap(in, info, a)) {
        return false; /* reconcile_next() has a word for it */
    }
    int rc = reconcile_raft_add(in->configuration, info->id, info->address, step);
    if (rc < 0) {
        step->kind = RECONCILE_REFUSED;
    }
    return rc != 0;
}

static void next_alive(const struct reconcile_input *in, const struct member *m, struct arena *a,
                       struct reconcile_step *step)
{
    struct server_info info;
    struct node_service *service = NULL;
    if (server_info_of(m, a, &info)) {
        service = service_of(m, &info, a);
        if (alive_raft(in, &info, a, step)) {
            return;
        }
    }
    const struct node *node = catalog_node(in->view, m->name);
    if (is_as_it_should(in->view, node, m, service, HEALTH_PASSING)) {
        return;
    }
    step_register(in, m, service, HEALTH_PASSING, SERF_CHECK_ALIVE_OUTPUT, a, step);
    step->log = "member joined, marking health alive";
    /* What the agent itself says of its node (addresses, metadata) is kept, also when it is still
     * on its way into the log. */
    step->registration.skip_node_update = node == NULL || str_eq(node->address, m->addr);
    if (node != NULL) {
        step->registration.tagged_addresses = node->tagged_addresses;
        step->registration.node_meta = node->meta;
    }
}

static void next_failed(const struct reconcile_input *in, const struct member *m, struct arena *a,
                        struct reconcile_step *step)
{
    const struct node *node = catalog_node(in->view, m->name);
    if (node == NULL) {
        step->log = "ignoring failed event for member because it does not exist in the catalog";
        return;
    }
    if (is_as_it_should(in->view, node, m, NULL, HEALTH_CRITICAL)) {
        return;
    }
    step_register(in, m, NULL, HEALTH_CRITICAL, SERF_CHECK_FAILED_OUTPUT, a, step);
    step->registration.skip_node_update = true;
    step->log = "member failed, marking health critical";
}

static void next_gone(const struct reconcile_input *in, const struct member *m, struct arena *a,
                      struct reconcile_step *step)
{
    struct server_info info;
    if (str_eq(m->name, in->self)) {
        step->log = "deregistering self should be done by follower";
        return;
    }
    if (server_info_of(m, a, &info)) {
        const struct raft_server *server = raft_configuration_find(in->configuration, info.id);
        if (info.id.n > 0 && server != NULL) {
            step_change(step, RAFT_REMOVE_SERVER, info.id, str_from_cstr(server->address));
            return;
        }
    }
    if (catalog_node(in->view, m->name) != NULL) {
        step->kind = RECONCILE_DEREGISTER;
        step->log = "deregistering member";
    }
}

bool reconcile_concerns(const struct reconcile_input *in, const struct member *member,
                        struct arena *a)
{
    struct server_info info;
    if (str_eq_lit(member_tag(member, STR("role")), "node")) {
        return str_eq(member_tag(member, STR("dc")), in->datacenter);
    }
    return server_info_of(member, a, &info) && info.segment.n == 0 &&
           str_eq(info.datacenter, in->datacenter);
}

void reconcile_next(const struct reconcile_input *in, const struct member *member, struct arena *a,
                    struct reconcile_step *ret_step)
{
    *ret_step = (struct reconcile_step){.kind = RECONCILE_NOTHING};
    switch (member->status) {
    case MEMBER_ALIVE:
        next_alive(in, member, a, ret_step);
        break;
    case MEMBER_FAILED:
        next_failed(in, member, a, ret_step);
        break;
    case MEMBER_LEFT:
        next_gone(in, member, a, ret_step);
        break;
    default: /* one that is leaving is waited for */
        break;
    }
}

void reconcile_next_reaped(const struct reconcile_input *in, const struct member *member,
                           struct arena *a, struct reconcile_step *ret_step)
{
    *ret_step = (struct reconcile_step){.kind = RECONCILE_NOTHING};
    next_gone(in, member, a, ret_step);
}

/* --- nodes that nobody knows ----------------------------------------------------------------- */

/* The catalog has a server of Raft's configuration there. */
static bool is_configured(const struct reconcile_input *in, struct str name, struct arena *a)
{
    const struct node *node = catalog_node(in->view, name);
    const struct service_row *service = row(in->view, INDEX_SERVICES_ID, name, CONSUL_SERVICE_ID);
    if (node == NULL || service == NULL) {
        return false;
    }
    struct str address = server_address(a, node->address, service->service.port);
    for (uint32_t i = 0; i < in->configuration->count; i++) {
        if (str_eq(str_from_cstr(in->configuration->servers[i].address), address)) {
            return true;
        }
    }
    return false;
}

static struct member unknown_member(const struct reconcile_input *in, struct str name,
                                    struct arena *a)
{
    struct strpair *tags = ARENA_ARRAY(a, struct strpair, 2);
    tags[0] = (struct strpair){STR("dc"), in->datacenter};
    tags[1] = (struct strpair){STR("role"), STR("node")};
    return (struct member){.name = name, .tags = strmap_build(tags, 2)};
}

size_t reconcile_unknown(const struct reconcile_input *in, struct arena *a,
                         struct member **ret_members)
{
    struct {
        struct member *v;
        size_t n, cap;
    } unknown = {0};
    struct tree_iter it;
    struct map names = {0};
    map_init(&names, MAP_KEYS_BORROWED);
    for (size_t i = 0; i < in->count; i++) {
        (void)map_put(&names, in->members[i]->name, (void *)(uintptr_t)in->members[i]);
    }
    store_iter(&it, in->view, INDEX_CHECKS_ID, STR(""));
    for (const struct health_check *check; (check = tree_next(&it, NULL)) != NULL;) {
        if (str_eq(check->check_id, SERF_CHECK_ID) && map_get(&names, check->node) == NULL &&
            !is_configured(in, check->node, a)) {
            struct member m = unknown_member(in, check->node, a);
            avec_push(a, &unknown, m);
        }
    }
    map_deinit(&names);
    *ret_members = unknown.v;
    return unknown.n;
}
