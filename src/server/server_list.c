#include "server/server_list.h"

#include "base/arena.h"
#include "base/rand.h"

#define DELAY_PER_NODE_MS 15.625

/* --- entries --------------------------------------------------------------------------------- */

static struct str put(char **to, struct str s)
{
    struct str copy = str_make(*to, s.n);
    if (s.n > 0) {
        memcpy(*to, s.p, s.n);
    }
    *to += s.n;
    return copy;
}

/* One block. */
static struct server_entry *entry_make(uint32_t id, struct str name, struct str address,
                                       struct str text)
{
    struct server_entry *e = xmalloc(sizeof(*e) + name.n + address.n + text.n);
    char *to = (char *)(e + 1);
    e->id = id;
    e->name = put(&to, name);
    e->address = put(&to, address);
    e->text = put(&to, text);
    return e;
}

static struct server_entry *entry_copy(const struct server_entry *e)
{
    return entry_make(e->id, e->name, e->address, e->text);
}

static struct server_entry *entry_of(const struct server_info *info, uint32_t id)
{
    struct arena a = {0};
    struct server_entry *e = entry_make(id, info->name, info->address, server_info_text(info, &a));
    arena_deinit(&a);
    return e;
}

/* --- the list -------------------------------------------------------------------------------- */

void server_list_init(struct server_list *l)
{
    *l = (struct server_list){.is_offline = true};
}

static void order_clear(struct server_list *l)
{
    for (size_t i = 0; i < l->order.n; i++) {
        mem_free(l->order.v[i]);
    }
    vec_clear(&l->order);
    l->is_rebalancing = false;
}

void server_list_deinit(struct server_list *l)
{
    order_clear(l);
    for (size_t i = 0; i < l->servers.n; i++) {
        mem_free(l->servers.v[i]);
    }
    vec_deinit(&l->order);
    vec_deinit(&l->servers);
}

static ptrdiff_t find(const struct server_list *l, struct str name)
{
    for (size_t i = 0; i < l->servers.n; i++) {
        if (str_eq(l->servers.v[i]->name, name)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

const struct server_entry *server_list_find(const struct server_list *l, struct str name)
{
    ptrdiff_t at = find(l, name);
    return at < 0 ? NULL : l->servers.v[at];
}

bool server_list_add(struct server_list *l, const struct server_info *info, uint32_t id)
{
    ptrdiff_t at = find(l, info->name);
    if (at < 0 && l->servers.n >= SERVER_LIST_MAX) {
        return false;
    }
    l->is_offline = false;
    if (at < 0) {
        vec_push(&l->servers, entry_of(info, id));
        return true;
    }
    struct server_entry *old = l->servers.v[at];
    bool is_same = str_eq(old->address, info->address);
    l->servers.v[at] = entry_of(info, is_same ? old->id : id);
    mem_free(old);
    return true;
}

bool server_list_remove(struct server_list *l, struct str name)
{
    ptrdiff_t at = find(l, name);
    if (at < 0) {
        return false;
    }
    mem_free(l->servers.v[at]);
    l->servers.n--;
    memmove(&l->servers.v[at], &l->servers.v[at + 1],
            (l->servers.n - (size_t)at) * sizeof(l->servers.v[0]));
    return true;
}

static void rotate(struct server_entry **v, size_t n)
{
    struct server_entry *first = v[0];
    memmove(v, v + 1, (n - 1) * sizeof(v[0]));
    v[n - 1] = first;
}

bool server_list_failed(struct server_list *l, uint32_t id)
{
    if (l->servers.n < 2 || l->servers.v[0]->id != id) {
        return false;
    }
    rotate(l->servers.v, l->servers.n);
    return true;
}

/* --- rebalancing ----------------------------------------------------------------------------- */

bool server_list_rebalance(struct server_list *l, struct rng *rng)
{
    ASSERT(!l->is_rebalancing);
    for (size_t i = 0; i < l->servers.n; i++) {
        vec_push(&l->order, entry_copy(l->servers.v[i]));
    }
    for (size_t i = l->order.n; i > 1; i--) {
        size_t other = (size_t)rng_below(rng, i);
        struct server_entry *e = l->order.v[i - 1];
        l->order.v[i - 1] = l->order.v[other];
        l->order.v[other] = e;
    }
    l->tried = 0;
    l->is_rebalancing = l->order.n > 0;
    l->is_offline |= !l->is_rebalancing;
    return l->is_rebalancing;
}

const struct server_entry *server_list_candidate(const struct server_list *l)
{
    return l->order.v[0];
}

/* The order's, as far as they are still there and as they are now; then those that have come. */
static enum server_list_outcome merge(struct server_list *l)
{
    size_t done = 0;
    if (find(l, l->order.v[0]->name) < 0) {
        return SERVER_LIST_KEPT;
    }
    for (size_t i = 0; i < l->order.n; i++) {
        ptrdiff_t at = find(l, l->order.v[i]->name);
        if (at >= 0) {
            struct server_entry *e = l->servers.v[at];
            memmove(&l->servers.v[done + 1], &l->servers.v[done],
                    ((size_t)at - done) * sizeof(l->servers.v[0]));
            l->servers.v[done++] = e;
        }
    }
    return SERVER_LIST_REORDERED;
}

enum server_list_outcome server_list_pinged(struct server_list *l, bool has_answered)
{
    ASSERT(l->is_rebalancing);
    enum server_list_outcome outcome = SERVER_LIST_OFFLINE;
    if (has_answered) {
        outcome = merge(l);
    } else if (++l->tried < l->order.n) {
        rotate(l->order.v, l->order.n);
        return SERVER_LIST_PINGING;
    }
    l->is_offline = outcome == SERVER_LIST_OFFLINE;
    order_clear(l);
    return outcome;
}

uint64_t server_list_delay_ms(size_t servers, size_t nodes, struct rng *rng)
{
    uint64_t min_ms = SERVER_LIST_DELAY_MIN_MS + rng_below(rng, SERVER_LIST_DELAY_JITTER_MS);
    if (servers == 0) {
        return min_ms;
    }
    double ms = (double)nodes * DELAY_PER_NODE_MS / (double)servers;
    return MAX(min_ms, (uint64_t)MIN(ms, 1e12));
}
