#include "server/gauges.h"

#include "base/metrics.h"
#include "raft/raft.h"
#include "server/membership.h"
#include "server/server.h"
#include "store/store.h"

static struct metric applied_index = METRIC_GAUGE("raft.applied_index");
static struct metric last_index = METRIC_GAUGE("raft.last_index");

/* The instances of a name lie together in their index, under the name and a NUL. */
static size_t services_count(const struct store_view *view)
{
    struct tree_iter it;
    struct str key;
    size_t count = 0;
    store_iter(&it, view, INDEX_SERVICES_SERVICE, STR(""));
    while (tree_next(&it, &key) != NULL) {
        ptrdiff_t end = str_find_byte(key, '\0');
        count++;
        if (end >= 0) {
            tree_iter_skip_prefix(&it, str_first(key, (size_t)end + 1));
        }
    }
    return count;
}

/* The label is only known at run time, so these are looked up; it happens once in ten seconds. */
static void set(const struct server *s, const char *name, double value)
{
    struct arena a = {0};
    const struct metric_label label = {"datacenter", arena_str(&a, s->options.datacenter).p};
    metric_set(metric_labeled(METRIC_KIND_GAUGE, name, &label, 1), value);
    arena_deinit(&a);
}

static void tables_update(const struct server *s)
{
    const struct store_view *view = store_view(s->store);
    set(s, "consul.state.nodes", (double)view->trees[INDEX_NODES_ID].count);
    set(s, "consul.state.services", (double)services_count(view));
    set(s, "consul.state.service_instances", (double)view->trees[INDEX_SERVICES_ID].count);
    set(s, "consul.state.kv_entries", (double)view->trees[INDEX_KVS_ID].count);
}

static void members_update(const struct server *s)
{
    struct member_list *list = membership_list(s->delegate.membership);
    size_t alive = 0, servers = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->v[i]->status == MEMBER_ALIVE) {
            alive++;
            servers += str_eq_lit(member_tag(list->v[i], STR("role")), "consul");
        }
    }
    (void)member_list_unref(list);
    set(s, "consul.members.servers", (double)servers);
    set(s, "consul.members.clients", (double)(alive - servers));
}

void server_gauges_update(struct server *s, bool with_tables)
{
    struct raft_status status;
    raft_status(s->raft, &status);
    metric_set(&applied_index, (double)status.applied_index);
    metric_set(&last_index, (double)status.last_log_index);
    if (with_tables) {
        tables_update(s);
        members_update(s);
    }
}
