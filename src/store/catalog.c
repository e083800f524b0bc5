/* Registrations as a whole, and what the other files of the catalog have in common: keys, indexes,
 * watches. */
#include "store/catalog.h"

#include "base/err.h"
#include "store/catalog_internal.h"

struct str catalog_key1(struct buf *b, struct str part)
{
    buf_clear(b);
    return store_key(b, &part, 1);
}

struct str catalog_key2(struct buf *b, struct str first, struct str second)
{
    struct str parts[] = {first, second};
    buf_clear(b);
    return store_key(b, parts, 2);
}

/* --- indexes --------------------------------------------------------------------------------- */

static struct str service_index_name(struct buf *b, struct str service)
{
    buf_clear(b);
    buf_lit(b, "service.");
    buf_str(b, service);
    return buf_view(b);
}

static struct str kind_index_name(struct buf *b, struct str kind)
{
    buf_clear(b);
    buf_lit(b, "service_kind.");
    buf_str(b, kind.n > 0 ? kind : STR("typical"));
    return buf_view(b);
}

void catalog_raise_service(struct store_txn *tx, struct str service, uint64_t index)
{
    struct buf b = {0};
    store_index_raise(tx, service_index_name(&b, service), index);
    buf_deinit(&b);
}

void catalog_raise_kind(struct store_txn *tx, struct str kind, uint64_t index)
{
    struct buf b = {0};
    store_index_raise(tx, kind_index_name(&b, kind), index);
    buf_deinit(&b);
}

void catalog_raise_node(struct store_txn *tx, struct str node, uint64_t index)
{
    struct buf b = {0};
    struct tree_iter it;
    const struct service_row *row;
    /* Only TABLE_INDEX changes under way, so that the iterator stays good. */
    store_iter(&it, store_txn_view(tx), INDEX_SERVICES_ID, catalog_key1(&b, node));
    while ((row = tree_next(&it, NULL)) != NULL) {
        catalog_raise_service(tx, row->service.service, index);
        catalog_raise_kind(tx, row->service.kind, index);
    }
    buf_deinit(&b);
}

static struct str left_index_name(struct buf *b, struct str service)
{
    buf_clear(b);
    buf_lit(b, "service_left.");
    buf_str(b, service);
    return buf_view(b);
}

void catalog_note_left(struct store_txn *tx, struct str service)
{
    struct buf b = {0};
    store_era_begin(tx);
    store_index_raise(tx, left_index_name(&b, service), store_txn_raft_index(tx));
    buf_deinit(&b);
}

void catalog_note_left_node(struct store_txn *tx, struct str node)
{
    struct buf b = {0};
    struct tree_iter it;
    const struct service_row *row;
    store_iter(&it, store_txn_view(tx), INDEX_SERVICES_ID, catalog_key1(&b, node));
    while ((row = tree_next(&it, NULL)) != NULL) {
        catalog_note_left(tx, row->service.service);
    }
    buf_deinit(&b);
}

uint64_t catalog_left_index(const struct store_view *v, struct watch_set *ws, struct str service)
{
    uint64_t index = 0;
    if (ws != NULL) {
        struct buf b = {0};
        struct str name = left_index_name(&b, service);
        store_index_watch(ws, name);
        index = store_index(v, name);
        buf_deinit(&b);
    }
    return index;
}

void catalog_forget_left(struct store_txn *tx, struct str service)
{
    struct buf b = {0};
    store_index_delete(tx, left_index_name(&b, service));
    buf_deinit(&b);
}

uint64_t catalog_service_index(const struct store_view *v, struct str service)
{
    struct buf b = {0};
    uint64_t index = store_index(v, service_index_name(&b, service));
    buf_deinit(&b);
    return index;
}

uint64_t catalog_kind_index(const struct store_view *v, struct str kind)
{
    struct buf b = {0};
    uint64_t index = store_index(v, kind_index_name(&b, kind));
    buf_deinit(&b);
    return index;
}

uint64_t catalog_index_max(const struct store_view *v, bool checks)
{
    const struct str names[] = {STR("nodes"), STR("services"), STR("checks")};
    return store_index_max(v, names, checks ? 3 : 2);
}

uint64_t catalog_answer_index(const struct store_view *v, struct str service, bool exists,
                              bool checks)
{
    if (!exists) {
        uint64_t extinction = store_index(v, CATALOG_INDEX_EXTINCTION);
        if (extinction > 0) {
            return extinction;
        }
    }
    uint64_t index = catalog_service_index(v, service);
    return index > 0 ? index : catalog_index_max(v, checks);
}

/* --- watches --------------------------------------------------------------------------------- */

void catalog_watch_service(struct watch_set *ws, struct str service)
{
    if (ws != NULL) {
        struct buf b = {0};
        store_index_watch(ws, service_index_name(&b, service));
        buf_deinit(&b);
    }
}

void catalog_watch_kind(struct watch_set *ws, struct str kind)
{
    if (ws != NULL) {
        struct buf b = {0};
        store_index_watch(ws, kind_index_name(&b, kind));
        buf_deinit(&b);
    }
}

void catalog_watch_node(struct watch_set *ws, struct str node)
{
    if (ws != NULL) {
        struct buf b = {0};
        watch_key(ws, TABLE_NODES, catalog_key1(&b, node));
        buf_deinit(&b);
    }
}

void catalog_watch_of_node(struct watch_set *ws, enum store_table table, struct str node)
{
    if (ws != NULL) {
        struct buf b = {0};
        watch_prefix(ws, table, catalog_key1(&b, node));
        buf_deinit(&b);
    }
}

/* --- comparing ------------------------------------------------------------------------------- */

bool catalog_has_tags(const struct node_service *service, const struct strlist *tags)
{
    for (size_t i = 0; i < tags->n; i++) {
        if (!strlist_contains_fold(service->tags, tags->v[i])) {
            return false;
        }
    }
    return true;
}

bool catalog_same_list(struct strlist a, struct strlist b)
{
    return (a.v == NULL) == (b.v == NULL) && strlist_eq(a, b);
}

bool catalog_same_map(struct strmap a, struct strmap b)
{
    return (a.v == NULL) == (b.v == NULL) && strmap_eq(a, b);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

int catalog_parse_uuid(struct str text, uint8_t ret_id[16], struct err *err)
{
    if (text.n != 36) {
        return err_set(err, ERR_INVALID, "uuid string is wrong length");
    }
    if (text.p[8] != '-' || text.p[13] != '-' || text.p[18] != '-' || text.p[23] != '-') {
        return err_set(err, ERR_INVALID, "uuid is improperly formatted");
    }
    size_t at = 0;
    for (size_t i = 0; i < text.n;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            i++;
            continue;
        }
        for (size_t k = i; k < i + 2; k++) {
            if (hex_digit(text.p[k]) < 0) {
                return err_set(err, ERR_INVALID, "encoding/hex: invalid byte: U+%04X '%c'",
                               (unsigned char)text.p[k], text.p[k]);
            }
        }
        ret_id[at++] = (uint8_t)(hex_digit(text.p[i]) << 4 | hex_digit(text.p[i + 1]));
        i += 2;
    }
    return 0;
}

/* --- registrations --------------------------------------------------------------------------- */

/* Nodes are written with every registration but hardly ever change, so this is asked first. */
static bool changes_node(const struct register_request *req, const struct node *existing)
{
    if (existing == NULL) {
        return true;
    }
    if (req->skip_node_update) {
        return false;
    }
    return !str_eq(req->id, existing->id) || !str_eq(req->node, existing->node) ||
           !str_eq(req->address, existing->address) ||
           !str_eq(req->datacenter, existing->datacenter) ||
           !catalog_same_map(req->tagged_addresses, existing->tagged_addresses) ||
           !catalog_same_map(req->node_meta, existing->meta);
}

static int register_check(struct store_txn *tx, struct str node, const struct health_check *check,
                          unsigned flags, struct err *err)
{
    if (!str_eq(check->node, node)) {
        return err_set(err, ERR_FAILED, "check node \"%.*s\" does not match node \"%.*s\"",
                       STRF(check->node), STRF(node));
    }
    struct err inner = {0};
    int r = catalog_check_set(tx, check, flags, &inner);
    if (r < 0) {
        return err_set(err, inner.code, "failed inserting check: %s on node \"%.*s\"",
                       err_text(&inner), STRF(check->node));
    }
    return 0;
}

int catalog_register(struct store_txn *tx, const struct register_request *req, unsigned flags,
                     struct err *err)
{
    int r;
    if (changes_node(req, catalog_node(store_txn_view(tx), req->node))) {
        struct node node = {
            .id = req->id,
            .node = req->node,
            .address = req->address,
            .datacenter = req->datacenter,
            .tagged_addresses = req->tagged_addresses,
            .meta = req->node_meta,
        };
        if ((flags & CATALOG_RESTORE) != 0) {
            node.raft = req->raft;
        }
        r = catalog_node_set(tx, &node, flags, err);
        if (r < 0) {
            return err_wrap(err, "failed inserting node");
        }
    }
    if (req->service != NULL) {
        r = catalog_service_set(tx, req->node, req->service, flags, err);
        if (r < 0) {
            return err_wrap(err, "failed inserting service");
        }
    }
    if (req->check != NULL) {
        r = register_check(tx, req->node, req->check, flags, err);
        if (r < 0) {
            return r;
        }
    }
    for (size_t i = 0; i < req->checks.n; i++) {
        r = register_check(tx, req->node, req->checks.v[i], flags, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int catalog_deregister(struct store_txn *tx, const struct deregister_request *req,
                       struct err *err UNUSED)
{
    if (req->service_id.n > 0) {
        catalog_service_delete(tx, req->node, req->service_id);
    } else if (req->check_id.n > 0) {
        catalog_check_delete(tx, req->node, req->check_id);
    } else {
        catalog_node_delete(tx, req->node);
    }
    return 0;
}
