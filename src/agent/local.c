#include "agent/local.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/epoch.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/vec.h"

struct str local_key(struct buf *to, struct str first, struct str second)
{
    buf_clear(to);
    buf_be32(to, (uint32_t)first.n);
    buf_str(to, first);
    buf_str(to, second);
    return buf_view(to);
}

const struct node_service *local_root_service(const struct local_root *root, struct str id)
{
    const struct local_service *row = tree_get(&root->services, id);
    return row != NULL ? &row->service : NULL;
}

const struct health_check *local_root_check(const struct local_root *root, struct str id)
{
    return tree_get(&root->checks, id);
}

/* --- the published half ---------------------------------------------------------------------- */

static void free_object(void *object)
{
    mem_free(object);
}

static void begin(struct local *l)
{
    if (!l->is_changing) {
        l->is_changing = true;
        l->next = *atomic_load_explicit(&l->root, memory_order_relaxed);
        tree_txn_begin(&l->txn, l->options.epoch);
    }
}

/* Free this row once the running change is published and its readers have gone. */
static void retire(struct local *l, const void *row)
{
    if (row == NULL) {
        return;
    }
    if (l->retired_count == l->retired_cap) {
        l->retired = vec_grow_(l->retired, l->retired_count, &l->retired_cap, sizeof(void *));
    }
    l->retired[l->retired_count++] = (void *)(uintptr_t)row;
}

void local_publish(struct local *l)
{
    if (!l->is_changing) {
        return;
    }
    const struct local_root *old = atomic_load_explicit(&l->root, memory_order_relaxed);
    atomic_store(&l->root, xmemdup(&l->next, sizeof(l->next)));
    tree_txn_commit(&l->txn);
    l->is_changing = false;
    epoch_retire(l->options.epoch, (void *)(uintptr_t)old, free_object);
    for (size_t i = 0; i < l->retired_count; i++) {
        epoch_retire(l->options.epoch, l->retired[i], free_object);
    }
    l->retired_count = 0;
    (void)epoch_collect(l->options.epoch);
}

const struct local_root *local_root(const struct local *l)
{
    return atomic_load(&((struct local *)(uintptr_t)l)->root);
}

const struct local_root *local_newest(const struct local *l)
{
    return l->is_changing ? &l->next : local_root(l);
}

static void tree_put(struct local *l, struct tree *t, struct str first, struct str second,
                     const void *row)
{
    struct buf key = {0};
    (void)tree_insert(&l->txn, t, local_key(&key, first, second), (void *)(uintptr_t)row);
    buf_deinit(&key);
}

static void tree_remove(struct local *l, struct tree *t, struct str first, struct str second)
{
    struct buf key = {0};
    (void)tree_delete(&l->txn, t, local_key(&key, first, second));
    buf_deinit(&key);
}

static void publish_service(struct local *l, struct service_entry *e,
                            const struct local_service *row)
{
    begin(l);
    if (e->row != NULL && (row == NULL || !str_eq(e->row->service.service, row->service.service))) {
        tree_remove(l, &l->next.service_names, e->row->service.service, e->id);
    }
    if (row != NULL) {
        (void)tree_insert(&l->txn, &l->next.services, e->id, (void *)(uintptr_t)row);
        tree_put(l, &l->next.service_names, row->service.service, e->id, row);
    } else {
        (void)tree_delete(&l->txn, &l->next.services, e->id);
    }
    retire(l, e->row);
    e->row = row;
}

static void publish_check(struct local *l, struct check_entry *e, const struct health_check *row)
{
    begin(l);
    if (e->row != NULL && (row == NULL || !str_eq(e->row->service_id, row->service_id))) {
        tree_remove(l, &l->next.service_checks, e->row->service_id, e->id);
    }
    if (row != NULL) {
        (void)tree_insert(&l->txn, &l->next.checks, e->id, (void *)(uintptr_t)row);
        tree_put(l, &l->next.service_checks, row->service_id, e->id, row);
    } else {
        (void)tree_delete(&l->txn, &l->next.checks, e->id);
    }
    retire(l, e->row);
    e->row = row;
}

/* --- entries --------------------------------------------------------------------------------- */

static struct str own(struct str s)
{
    return str_make(str_to_cstr(s), s.n);
}

static void disown(struct str s)
{
    mem_free((void *)(uintptr_t)s.p);
}

static void set_token(struct str *to, struct str token)
{
    if (!str_eq(*to, token)) {
        disown(*to);
        *to = own(token);
    }
}

static void service_changed(struct local *l, struct service_entry *e)
{
    e->changes++;
    if (!list_is_empty(&e->waiters)) {
        l->options.wake(l->options.data, &e->waiters);
    }
}

static struct service_entry *service_entry_get(struct local *l, struct str id)
{
    struct service_entry *e = map_get(&l->services, id);
    if (e == NULL) {
        e = xcalloc(1, sizeof(*e));
        e->id = own(id);
        e->in_sync = true;
        list_init(&e->waiters);
        list_init(&e->removed_checks);
        (void)map_put(&l->services, e->id, e);
    }
    return e;
}

static struct check_entry *check_entry_get(struct local *l, struct str id)
{
    struct check_entry *e = map_get(&l->checks, id);
    if (e == NULL) {
        e = xcalloc(1, sizeof(*e));
        e->id = own(id);
        e->in_sync = true;
        e->local = l;
        (void)map_put(&l->checks, e->id, e);
    }
    return e;
}

struct service_entry *local_service(struct local *l, struct str id)
{
    struct service_entry *e = map_get(&l->services, id);
    return e != NULL && !e->is_deleted ? e : NULL;
}

struct check_entry *local_check(struct local *l, struct str id)
{
    struct check_entry *e = map_get(&l->checks, id);
    return e != NULL && !e->is_deleted ? e : NULL;
}

void local_service_set_sync(struct local *l, struct service_entry *e, bool in_sync)
{
    e->in_sync = in_sync;
    if (in_sync) {
        list_remove(&e->dirty);
    } else if (!list_is_linked(&e->dirty)) {
        list_push_back(&l->dirty_services, &e->dirty);
        l->options.out_of_step(l->options.data);
    }
}

void local_check_set_sync(struct local *l, struct check_entry *e, bool in_sync)
{
    e->in_sync = in_sync;
    if (in_sync) {
        list_remove(&e->dirty);
    } else if (!list_is_linked(&e->dirty)) {
        list_push_back(&l->dirty_checks, &e->dirty);
        l->options.out_of_step(l->options.data);
    }
}

struct service_entry *local_put_service(struct local *l, const struct node_service *service,
                                        struct str token)
{
    struct service_entry *e = service_entry_get(l, service->id);
    bool is_new = e->row == NULL;
    bool is_same =
        !is_new && !e->is_deleted && schema_equal(&node_service_schema, &e->row->service, service);
    struct local_service *row =
        schema_clone_sized(&node_service_schema, service, sizeof(struct local_service), NULL);
    row->version = ++l->versions;
    publish_service(l, e, row);
    e->is_deleted = false;
    while (list_pop_front(&e->removed_checks) != NULL) { /* they are removed one by one then */
    }
    set_token(&e->token, token);
    if (!is_same) {
        local_service_set_sync(l, e, false);
    }
    service_changed(l, e);
    if (is_new) {
        l->options.changed(l->options.data, e->id);
    }
    return e;
}

bool local_remove_service(struct local *l, struct str id)
{
    struct service_entry *e = local_service(l, id);
    if (e == NULL) {
        return false;
    }
    publish_service(l, e, NULL);
    e->is_deleted = true; /* the token is needed to remove it from the catalog */
    local_service_set_sync(l, e, false);
    service_changed(l, e);
    l->options.changed(l->options.data, e->id);
    return true;
}

static void set_critical_since(struct local *l, struct check_entry *e, struct str status)
{
    if (!str_eq(status, HEALTH_CRITICAL)) {
        e->critical_since_ms = 0;
    } else if (e->critical_since_ms == 0) {
        e->critical_since_ms = MAX(loop_now_ms(l->options.loop), (uint64_t)1);
    }
}

struct check_entry *local_put_check(struct local *l, const struct health_check *check,
                                    struct str token)
{
    struct check_entry *e = check_entry_get(l, check->check_id);
    struct health_check copy = *check;
    atomic_init(&copy.rendered, NULL);
    copy.node = l->options.node_name;
    if (l->options.discard_output) {
        copy.output = STR_NULL;
    }
    bool is_same =
        e->row != NULL && !e->is_deleted && schema_equal(&health_check_schema, e->row, &copy);
    if (!is_same) {
        publish_check(l, e, schema_clone(&health_check_schema, &copy, NULL));
    }
    e->is_deleted = false;
    list_remove(&e->of_service);
    e->critical_since_ms = 0;
    set_token(&e->token, token);
    if (!is_same) {
        e->changes++;
        local_check_set_sync(l, e, false);
    }
    l->options.changed(l->options.data, e->row->service_id);
    return e;
}

bool local_remove_check(struct local *l, struct str id)
{
    struct check_entry *e = local_check(l, id);
    if (e == NULL) {
        return false;
    }
    ASSERT(e->runner == NULL);
    struct str service_id = own(e->row->service_id);
    publish_check(l, e, NULL);
    e->is_deleted = true;
    e->critical_since_ms = 0;
    e->changes++;
    loop_timer_stop(l->options.loop, &e->defer);
    local_check_set_sync(l, e, false);
    struct service_entry *service = map_get(&l->services, service_id);
    if (service != NULL && service->is_deleted) {
        list_push_back(&service->removed_checks, &e->of_service);
    }
    l->options.changed(l->options.data, service_id);
    disown(service_id);
    return true;
}

static void defer_fired(struct loop_timer *t)
{
    struct check_entry *e = container_of(t, struct check_entry, defer);
    if (!e->is_deleted) {
        local_check_set_sync(e->local, e, false);
    }
}

bool local_update_check(struct local *l, struct check_entry *e, struct str status,
                        struct str output)
{
    if (e->is_deleted) {
        return false;
    }
    if (l->options.discard_output) {
        output = STR_NULL;
    }
    set_critical_since(l, e, status);
    if (str_eq(e->row->status, status) && str_eq(e->row->output, output)) {
        return false;
    }
    bool same_status = str_eq(e->row->status, status);
    struct health_check copy = *e->row;
    atomic_init(&copy.rendered, NULL);
    copy.status = status;
    copy.output = output;
    publish_check(l, e, schema_clone(&health_check_schema, &copy, NULL));
    e->changes++;
    uint64_t interval_ms = l->options.check_update_interval_ms;
    if (same_status && interval_ms > 0) {
        if (!loop_timer_is_active(&e->defer)) {
            loop_timer_start(l->options.loop, &e->defer,
                             interval_ms / 2 + rng_below(l->options.rng, interval_ms), defer_fired);
        }
        return true;
    }
    local_check_set_sync(l, e, false);
    l->options.changed(l->options.data, e->row->service_id);
    return true;
}

void local_set_exposed_port(struct local *l, struct check_entry *e, int64_t port)
{
    if (e->row->exposed_port == port) {
        return;
    }
    struct health_check copy = *e->row;
    atomic_init(&copy.rendered, NULL);
    copy.exposed_port = port;
    publish_check(l, e, schema_clone(&health_check_schema, &copy, NULL));
    e->changes++;
    local_check_set_sync(l, e, false);
}

static const struct field meta_fields[] = {F_STRMAP(struct local_meta, meta, "Meta", 0),
                                           FIELDS_END};
static const struct schema meta_schema = SCHEMA("Meta", struct local_meta, meta_fields);

void local_set_meta(struct local *l, struct strmap meta)
{
    begin(l);
    if (l->next.meta == NULL || !strmap_eq(l->next.meta->meta, meta)) {
        retire(l, l->next.meta);
        struct local_meta copy = {meta};
        l->next.meta = schema_clone(&meta_schema, &copy, NULL);
        l->node_in_sync = false;
        l->options.out_of_step(l->options.data);
    }
}

struct strlist local_check_ids(const struct local *l, struct str service_id, struct arena *a)
{
    const struct local_root *root = local_newest(l);
    VEC(struct str) ids = {0};
    struct buf prefix = {0};
    struct tree_iter it;
    const struct health_check *check;
    tree_iter_prefix(&it, &root->service_checks, local_key(&prefix, service_id, STR_NULL));
    while ((check = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &ids, arena_str(a, check->check_id));
    }
    buf_deinit(&prefix);
    return (struct strlist){ids.v, ids.n};
}

size_t local_service_count(const struct local *l)
{
    return local_newest(l)->services.count;
}

size_t local_check_count(const struct local *l)
{
    return local_newest(l)->checks.count;
}

/* --- for sync -------------------------------------------------------------------------------- */

void local_add_foreign_service(struct local *l, struct str id)
{
    struct service_entry *e = service_entry_get(l, id);
    ASSERT(e->row == NULL);
    e->is_deleted = true;
    local_service_set_sync(l, e, false);
}

void local_add_foreign_check(struct local *l, struct str id)
{
    struct check_entry *e = check_entry_get(l, id);
    ASSERT(e->row == NULL);
    e->is_deleted = true;
    local_check_set_sync(l, e, false);
}

static void service_entry_free(struct service_entry *e)
{
    list_remove(&e->dirty);
    disown(e->id);
    disown(e->token);
    mem_free(e);
}

static void check_entry_free(struct local *l, struct check_entry *e)
{
    if (loop_timer_is_active(&e->defer)) {
        loop_timer_stop(l->options.loop, &e->defer);
    }
    list_remove(&e->dirty);
    list_remove(&e->of_service);
    disown(e->id);
    disown(e->token);
    mem_free(e);
}

void local_forget_service(struct local *l, struct service_entry *e)
{
    ASSERT(e->is_deleted && e->row == NULL);
    if (!list_is_empty(&e->waiters)) {
        l->options.wake(l->options.data, &e->waiters);
    }
    list_for_each (node, &e->removed_checks) {
        local_forget_check(l, list_entry(node, struct check_entry, of_service));
    }
    (void)map_remove(&l->services, e->id);
    service_entry_free(e);
}

void local_forget_check(struct local *l, struct check_entry *e)
{
    ASSERT(e->is_deleted && e->row == NULL && e->runner == NULL);
    (void)map_remove(&l->checks, e->id);
    check_entry_free(l, e);
}

struct local *local_new(const struct local_options *options)
{
    struct local *l = xcalloc(1, sizeof(*l));
    l->options = *options;
    l->options.node_name = own(options->node_name);
    map_init(&l->services, MAP_KEYS_BORROWED);
    map_init(&l->checks, MAP_KEYS_BORROWED);
    list_init(&l->dirty_services);
    list_init(&l->dirty_checks);
    atomic_init(&l->root, xcalloc(1, sizeof(struct local_root)));
    return l;
}

void local_stop(struct local *l)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&l->checks, &at, &key, &value)) {
        loop_timer_stop(l->options.loop, &((struct check_entry *)value)->defer);
    }
}

struct local *local_free(struct local *l)
{
    if (l == NULL) {
        return NULL;
    }
    local_publish(l);
    struct local_root root = *local_root(l);
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&l->checks, &at, &key, &value)) {
        struct check_entry *e = value;
        mem_free((void *)(uintptr_t)e->row);
        check_entry_free(l, e);
    }
    at = 0;
    while (map_next(&l->services, &at, &key, &value)) {
        struct service_entry *e = value;
        mem_free((void *)(uintptr_t)e->row);
        service_entry_free(e);
    }
    map_deinit(&l->services);
    map_deinit(&l->checks);
    tree_destroy(&root.services);
    tree_destroy(&root.checks);
    tree_destroy(&root.service_names);
    tree_destroy(&root.service_checks);
    mem_free((void *)(uintptr_t)root.meta);
    mem_free((void *)(uintptr_t)local_root(l));
    mem_free(l->retired);
    disown(l->options.node_name);
    return mem_free(l);
}
