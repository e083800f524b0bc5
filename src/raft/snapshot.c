/* Writing: bytes gather in a buffer, are counted into the CRC as they go to state.bin under
 * <name>.tmp, synced every few megabytes; close() syncs the rest, writes and syncs meta.json, syncs
 * the directory, renames it and syncs its parent. A failure at any point removes the directory (or
 * a later open does), and the snapshots that were there before stay as they are. */
#include "raft/snapshot.h"

#include "base/encode.h"
#include "base/mem.h"
#include "schema/json.h"
#include "schema/msgpack.h"
#include "schema/value.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SNAPSHOTS_DIR "snapshots"
#define TMP_SUFFIX ".tmp"
#define SINK_BUFFER_SIZE (64u * 1024u)
/* A file system may write what all files have waiting before it has synced the log: so little of a
 * snapshot waits at a time. */
#define SINK_UNSYNCED_MAX (4u * 1024u * 1024u)
#define SNAPSHOTS_LISTED_MAX 64u

struct raft_snapshots {
    struct raft_io *io;
    char dir[RAFT_PATH_SIZE_MAX];
};

struct raft_snapshot_sink {
    struct raft_snapshots *store; /* NULL: bytes go to `to` */
    struct buf *to;
    struct raft_snapshot_meta meta;
    char dir[RAFT_PATH_SIZE_MAX], tmp[RAFT_PATH_SIZE_MAX];
    uint64_t wall_ms;
    uint64_t synced; /* of the bytes in the file */
    int file;
    int failed;
    size_t n;
    char bytes[SINK_BUFFER_SIZE];
};

/* --- CRC-64 as Go's crc64.ECMA: reflected, inverted before and after. Eight bytes a step. */

static uint64_t crc64_table[8][256];

static void crc64_make(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xc96c5795d7870f42u : 0);
        }
        crc64_table[0][i] = crc;
    }
    for (unsigned i = 0; i < 256; i++) {
        for (int k = 1; k < 8; k++) {
            uint64_t crc = crc64_table[k - 1][i];
            crc64_table[k][i] = crc >> 8 ^ crc64_table[0][crc & 0xff];
        }
    }
}

uint64_t raft_crc64(uint64_t crc, const void *bytes, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, crc64_make);
    const uint8_t *p = bytes;
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t x = crc ^ get_le64(p);
        crc = 0;
        for (int k = 0; k < 8; k++) {
            crc ^= crc64_table[7 - k][x >> 8 * k & 0xff];
        }
    }
    for (; n > 0; n--, p++) {
        crc = crc >> 8 ^ crc64_table[0][(crc ^ *p) & 0xff];
    }
    return ~crc;
}

/* --- meta.json */

/* The voters' addresses, for releases that knew no configurations. */
static void peers_encode(const struct raft_configuration *c, struct buf *to)
{
    msgpack_array(to, raft_configuration_voters(c));
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->servers[i].suffrage == RAFT_VOTER) {
            msgpack_raw(to, str_from_cstr(c->servers[i].address));
        }
    }
}

static void meta_encode(const struct raft_snapshot_meta *m, bool with_crc, struct buf *to)
{
    struct json_writer w = json_writer_make(to, false);
    struct buf peers = {0};
    char crc[8];
    put_be64(crc, m->crc);
    peers_encode(&m->configuration, &peers);
    json_object_begin(&w);
    json_key(&w, STR("Version"));
    json_u64(&w, 1);
    json_key(&w, STR("ID"));
    json_str(&w, str_from_cstr(m->id));
    json_key(&w, STR("Index"));
    json_u64(&w, m->index);
    json_key(&w, STR("Term"));
    json_u64(&w, m->term);
    json_key(&w, STR("Peers"));
    json_base64(&w, buf_view(&peers));
    json_key(&w, STR("Configuration"));
    json_object_begin(&w);
    json_key(&w, STR("Servers"));
    json_array_begin(&w);
    for (uint32_t i = 0; i < m->configuration.count; i++) {
        const struct raft_server *s = &m->configuration.servers[i];
        json_object_begin(&w);
        json_key(&w, STR("Suffrage"));
        json_i64(&w, s->suffrage);
        json_key(&w, STR("ID"));
        json_str(&w, str_from_cstr(s->id));
        json_key(&w, STR("Address"));
        json_str(&w, str_from_cstr(s->address));
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    json_key(&w, STR("ConfigurationIndex"));
    json_u64(&w, m->configuration_index);
    json_key(&w, STR("Size"));
    json_u64(&w, m->size);
    if (with_crc) {
        json_key(&w, STR("CRC"));
        json_base64(&w, str_make(crc, sizeof(crc)));
    }
    json_object_end(&w);
    buf_byte(to, '\n');
    buf_deinit(&peers);
}

void raft_snapshot_meta_encode(const struct raft_snapshot_meta *m, struct buf *to)
{
    meta_encode(m, true, to);
}

void raft_archive_meta_encode(const struct raft_snapshot_meta *m, struct buf *to)
{
    meta_encode(m, false, to);
}

static bool value_u64(const struct value *object, struct str key, uint64_t *ret)
{
    const struct value *v = value_get(object, key);
    if (v != NULL && v->kind == VALUE_INT && v->i >= 0) {
        *ret = (uint64_t)v->i;
        return true;
    }
    if (v != NULL && v->kind == VALUE_UINT) {
        *ret = v->u;
        return true;
    }
    return false;
}

static struct str value_text(const struct value *object, struct str key)
{
    const struct value *v = value_get(object, key);
    return v != NULL && v->kind == VALUE_STR ? v->s : STR_NULL;
}

static int configuration_from_value(const struct value *v, struct raft_configuration *to,
                                    struct err *err)
{
    const struct value *servers = value_get(v, STR("Servers"));
    size_t count = servers != NULL && servers->kind == VALUE_LIST ? servers->list.n : 0;
    for (size_t i = 0; i < count; i++) {
        const struct value *s = &servers->list.v[i];
        uint64_t suffrage = RAFT_VOTER;
        if (!value_u64(s, STR("Suffrage"), &suffrage) || suffrage > RAFT_STAGING) {
            return err_set(err, ERR_CORRUPT, "server %zu has no Suffrage", i);
        }
        int r = raft_configuration_add(to, (enum raft_suffrage)suffrage, value_text(s, STR("ID")),
                                       value_text(s, STR("Address")), err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int meta_from_value(const struct value *v, struct arena *a, bool with_crc,
                           struct raft_snapshot_meta *to, struct err *err)
{
    uint64_t version = 0;
    struct str id = value_text(v, STR("ID")), crc = STR_NULL;
    if (!value_u64(v, STR("Version"), &version) || version > 1) {
        return err_set(err, ERR_UNSUPPORTED, "Version is %" PRIu64 ", not 0 or 1", version);
    }
    if (id.n == 0 || id.n >= sizeof(to->id) || str_find_byte(id, '/') >= 0 ||
        str_find_byte(id, '\0') >= 0) {
        return err_set(err, ERR_CORRUPT, "ID is not the name of a directory");
    }
    memcpy(to->id, id.p, id.n);
    if (!value_u64(v, STR("Index"), &to->index) || !value_u64(v, STR("Term"), &to->term) ||
        !value_u64(v, STR("ConfigurationIndex"), &to->configuration_index) ||
        !value_u64(v, STR("Size"), &to->size)) {
        return err_set(err, ERR_CORRUPT, "Index, Term, ConfigurationIndex or Size is not a number");
    }
    if (with_crc && (base64_decode(a, value_text(v, STR("CRC")), &crc) < 0 || crc.n != 8)) {
        return err_set(err, ERR_CORRUPT, "CRC is not 8 bytes");
    }
    to->crc = with_crc ? get_be64(crc.p) : 0;
    return configuration_from_value(value_get(v, STR("Configuration")), &to->configuration, err);
}

static int meta_decode(struct str json, bool with_crc, struct raft_snapshot_meta *ret,
                       struct err *err)
{
    struct arena a = {0};
    struct value *v = NULL;
    struct raft_snapshot_meta meta = {0};
    int r = json.n > RAFT_SNAPSHOT_META_SIZE_MAX
                ? err_set(err, ERR_TOO_LARGE, "%zu bytes of metadata", json.n)
                : json_parse(&a, json, &v, err);
    r = r < 0 ? r : meta_from_value(v, &a, with_crc, &meta, err);
    arena_deinit(&a);
    if (r == 0) {
        *ret = meta;
    }
    return r < 0 ? err_wrap(err, "snapshot metadata") : 0;
}

int raft_snapshot_meta_decode(struct str json, struct raft_snapshot_meta *ret, struct err *err)
{
    return meta_decode(json, true, ret, err);
}

int raft_archive_meta_decode(struct str json, struct raft_snapshot_meta *ret, struct err *err)
{
    return meta_decode(json, false, ret, err);
}

/* --- the store */

static int store_fail(struct err *err, int r, const char *what, const char *path)
{
    return err_set(err, -r, "raft snapshot: cannot %s %s: %s", what, path, err_code_text(-r));
}

struct tmp_list {
    struct raft_snapshots *store;
    char names[16][RAFT_SNAPSHOT_NAME_SIZE_MAX];
    size_t n;
};

static int tmp_entry(void *data, const char *name, bool is_dir)
{
    struct tmp_list *l = data;
    size_t n = strlen(name);
    if (is_dir && n > strlen(TMP_SUFFIX) && n < RAFT_SNAPSHOT_NAME_SIZE_MAX &&
        strcmp(name + n - strlen(TMP_SUFFIX), TMP_SUFFIX) == 0 && l->n < ARRAY_SIZE(l->names)) {
        memcpy(l->names[l->n++], name, n + 1);
    }
    return 0;
}

int raft_snapshots_open(struct raft_io *io, const char *dir, struct raft_snapshots **ret_store,
                        struct err *err)
{
    struct raft_snapshots *s = xcalloc(1, sizeof(*s));
    s->io = io;
    int r = raft_io_path(s->dir, dir, SNAPSHOTS_DIR);
    r = r < 0 ? r : io->ops->dir_make(io, s->dir);
    struct tmp_list tmp = {.store = s};
    r = r < 0 ? r : io->ops->dir_list(io, s->dir, tmp_entry, &tmp);
    if (r < 0) {
        mem_free(s);
        return store_fail(err, r, "open the directory of", dir);
    }
    for (size_t i = 0; i < tmp.n; i++) { /* what a crash left half-written */
        char path[RAFT_PATH_SIZE_MAX];
        if (raft_io_path(path, s->dir, tmp.names[i]) == 0) {
            (void)raft_io_remove_dir(io, path);
        }
    }
    *ret_store = s;
    return 0;
}

struct raft_snapshots *raft_snapshots_free(struct raft_snapshots *s)
{
    return mem_free(s);
}

struct meta_list {
    struct raft_snapshots *store;
    char names[SNAPSHOTS_LISTED_MAX][RAFT_SNAPSHOT_NAME_SIZE_MAX];
    size_t n;
};

static int meta_entry(void *data, const char *name, bool is_dir)
{
    struct meta_list *l = data;
    size_t n = strlen(name);
    if (is_dir && n < RAFT_SNAPSHOT_NAME_SIZE_MAX && l->n < SNAPSHOTS_LISTED_MAX &&
        str_find(str_make(name, n), STR(TMP_SUFFIX)) < 0) {
        memcpy(l->names[l->n++], name, n + 1);
    }
    return 0;
}

static int meta_newer(const void *a, const void *b)
{
    const struct raft_snapshot_meta *x = a, *y = b;
    if (x->term != y->term) {
        return x->term > y->term ? -1 : 1;
    }
    if (x->index != y->index) {
        return x->index > y->index ? -1 : 1;
    }
    return strcmp(y->id, x->id);
}

static int meta_read(struct raft_snapshots *s, const char *name, struct raft_snapshot_meta *ret,
                     struct err *err)
{
    char dir[RAFT_PATH_SIZE_MAX], path[RAFT_PATH_SIZE_MAX];
    int r = raft_io_path(dir, s->dir, name);
    r = r < 0 ? r : raft_io_path(path, dir, "meta.json");
    struct buf json = {0};
    r = r < 0 ? r : raft_io_read_file(s->io, path, RAFT_SNAPSHOT_META_SIZE_MAX, &json);
    if (r < 0) {
        r = store_fail(err, r, "read", path);
    } else {
        r = raft_snapshot_meta_decode(buf_view(&json), ret, err);
        if (r < 0) {
            (void)err_wrap(err, "%s", path);
        } else {
            memset(ret->id, 0, sizeof(ret->id)); /* it goes by the name it was found under */
            memcpy(ret->id, name, strlen(name));
        }
    }
    buf_deinit(&json);
    return r;
}

/* All of them, newest first, on the heap. */
static int metas_list(struct raft_snapshots *s, struct raft_snapshot_meta **ret_metas,
                      size_t *ret_n, struct err *err)
{
    struct meta_list *l = xcalloc(1, sizeof(*l));
    int r = s->io->ops->dir_list(s->io, s->dir, meta_entry, l);
    if (r < 0) {
        mem_free(l);
        return store_fail(err, r, "list", s->dir);
    }
    struct raft_snapshot_meta *metas = xcalloc(l->n + 1, sizeof(*metas));
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        n += meta_read(s, l->names[i], &metas[n], NULL) == 0;
    }
    qsort(metas, n, sizeof(*metas), meta_newer);
    mem_free(l);
    *ret_metas = metas;
    *ret_n = n;
    return 0;
}

int raft_snapshots_list(struct raft_snapshots *s, struct raft_snapshot_meta *ret_metas, size_t max,
                        struct err *err)
{
    struct raft_snapshot_meta *metas = NULL;
    size_t n = 0;
    int r = metas_list(s, &metas, &n, err);
    if (r < 0) {
        return r;
    }
    n = MIN(n, max);
    memcpy(ret_metas, metas, n * sizeof(*metas));
    mem_free(metas);
    return (int)n;
}

/* Keep the newest. A failure to remove costs space, not correctness: the next close tries again. */
int raft_snapshot_remove(struct raft_snapshots *s, const struct raft_snapshot_meta *meta)
{
    char path[RAFT_PATH_SIZE_MAX], name[RAFT_SNAPSHOT_NAME_SIZE_MAX + 8], tmp[RAFT_PATH_SIZE_MAX];
    snprintf(name, sizeof(name), "%s" TMP_SUFFIX, meta->id);
    /* Renamed first: one that is half removed must not look like one. */
    int r = raft_io_path(path, s->dir, meta->id);
    r = r < 0 ? r : raft_io_path(tmp, s->dir, name);
    r = r < 0 ? r : s->io->ops->rename(s->io, path, tmp);
    r = r < 0 ? r : s->io->ops->dir_sync(s->io, s->dir);
    if (r == 0) {
        (void)raft_io_remove_dir(s->io, tmp);
    }
    return r == -ENOENT ? 0 : r; /* it never was there */
}

static void store_reap(struct raft_snapshots *s)
{
    struct raft_snapshot_meta *metas = NULL;
    size_t n = 0;
    if (metas_list(s, &metas, &n, NULL) < 0) {
        return;
    }
    for (size_t i = RAFT_SNAPSHOTS_KEPT; i < n; i++) {
        (void)raft_snapshot_remove(s, &metas[i]);
    }
    mem_free(metas);
}

static int state_read(struct raft_io *io, int file, const char *path,
                      const struct raft_snapshot_meta *meta, struct str *ret_bytes, struct err *err)
{
    uint64_t size = 0;
    char *bytes = NULL;
    int r = 0;
    ptrdiff_t n = io->ops->size(io, file, &size);
    if (n == 0 && size != meta->size) {
        r = err_set(err, ERR_CORRUPT, "raft snapshot: %s has %" PRIu64 " bytes, not %" PRIu64, path,
                    size, meta->size);
    } else if (n == 0 && (bytes = try_malloc((size_t)size + 1)) == NULL) {
        r = store_fail(err, -ENOMEM, "read", path);
    } else if (n == 0) {
        n = io->ops->pread(io, file, bytes, (size_t)size, 0);
    }
    if (r == 0 && n < 0) {
        r = store_fail(err, (int)n, "read", path);
    } else if (r == 0 && ((uint64_t)n != size || raft_crc64(0, bytes, (size_t)n) != meta->crc)) {
        r = err_set(err, ERR_CORRUPT, "raft snapshot: %s is damaged: CRC mismatch", path);
    }
    if (r < 0) {
        mem_free(bytes);
        return r;
    }
    *ret_bytes = str_make(bytes, (size_t)size);
    return 0;
}

int raft_snapshot_read(struct raft_snapshots *s, const struct raft_snapshot_meta *meta,
                       struct str *ret_bytes, struct err *err)
{
    char dir[RAFT_PATH_SIZE_MAX], path[RAFT_PATH_SIZE_MAX];
    int r = raft_io_path(dir, s->dir, meta->id);
    r = r < 0 ? r : raft_io_path(path, dir, "state.bin");
    int file = r < 0 ? r : s->io->ops->open(s->io, path, RAFT_IO_READ);
    if (file < 0) {
        return store_fail(err, file, "open", path);
    }
    r = state_read(s->io, file, path, meta, ret_bytes, err);
    s->io->ops->close(s->io, file);
    return r;
}

/* --- a piece at a time */

struct raft_snapshot_reader {
    struct raft_io *io;
    int file;
    uint64_t at;
};

int raft_snapshot_reader_open(struct raft_snapshots *s, const struct raft_snapshot_meta *meta,
                              struct raft_snapshot_reader **ret_reader, struct err *err)
{
    char dir[RAFT_PATH_SIZE_MAX], path[RAFT_PATH_SIZE_MAX];
    int r = raft_io_path(dir, s->dir, meta->id);
    r = r < 0 ? r : raft_io_path(path, dir, "state.bin");
    int file = r < 0 ? r : s->io->ops->open(s->io, path, RAFT_IO_READ);
    if (file < 0) {
        return store_fail(err, file, "open", meta->id);
    }
    *ret_reader = xmalloc(sizeof(**ret_reader));
    **ret_reader = (struct raft_snapshot_reader){s->io, file, 0};
    return 0;
}

ptrdiff_t raft_snapshot_reader_next(struct raft_snapshot_reader *r, char *to, size_t n,
                                    struct err *err)
{
    ptrdiff_t got = r->io->ops->pread(r->io, r->file, to, n, r->at);
    if (got < 0) {
        return store_fail(err, (int)got, "read", "state.bin");
    }
    r->at += (uint64_t)got;
    return got;
}

struct raft_snapshot_reader *raft_snapshot_reader_free(struct raft_snapshot_reader *r)
{
    if (r != NULL) {
        r->io->ops->close(r->io, r->file);
    }
    return mem_free(r);
}

/* --- the sink */

struct raft_snapshot_sink *raft_snapshot_sink_to_buf(struct buf *to)
{
    struct raft_snapshot_sink *sink = xcalloc(1, sizeof(*sink));
    sink->to = to;
    sink->file = -1;
    return sink;
}

struct raft_snapshot_sink *raft_snapshot_sink_free(struct raft_snapshot_sink *sink)
{
    if (sink != NULL && sink->file >= 0) {
        sink->store->io->ops->close(sink->store->io, sink->file);
    }
    return mem_free(sink);
}

void raft_snapshot_cancel(struct raft_snapshot_sink *sink)
{
    if (sink == NULL) {
        return;
    }
    struct raft_snapshots *store = sink->store;
    if (store != NULL) {
        if (sink->file >= 0) {
            store->io->ops->close(store->io, sink->file);
            sink->file = -1;
        }
        (void)raft_io_remove_dir(store->io, sink->tmp);
    }
    raft_snapshot_sink_free(sink);
}

/* size and crc stay. */
static int sink_name(struct raft_snapshot_sink *sink, const struct raft_snapshot_meta *meta)
{
    uint64_t size = sink->meta.size, crc = sink->meta.crc;
    sink->meta = *meta;
    sink->meta.size = size;
    sink->meta.crc = crc;
    snprintf(sink->meta.id, sizeof(sink->meta.id), "%" PRIu64 "-%" PRIu64 "-%" PRIu64, meta->term,
             meta->index, sink->wall_ms);
    return raft_io_path(sink->dir, sink->store->dir, sink->meta.id);
}

int raft_snapshot_sink_settle(struct raft_snapshot_sink *sink, struct raft_snapshot_meta *meta,
                              struct err *err)
{
    int r = sink_name(sink, meta);
    memcpy(meta->id, sink->meta.id, sizeof(meta->id));
    return r < 0 ? store_fail(err, r, "name", sink->tmp) : 0;
}

int raft_snapshot_create(struct raft_snapshots *s, const struct raft_snapshot_meta *meta,
                         uint64_t wall_ms, struct raft_snapshot_sink **ret_sink, struct err *err)
{
    struct raft_io *io = s->io;
    struct raft_snapshot_sink *sink = xcalloc(1, sizeof(*sink));
    char name[RAFT_SNAPSHOT_NAME_SIZE_MAX + 8], path[RAFT_PATH_SIZE_MAX];
    sink->store = s;
    sink->file = -1;
    sink->wall_ms = wall_ms;
    int r = sink_name(sink, meta);
    snprintf(name, sizeof(name), "%s" TMP_SUFFIX, sink->meta.id);
    r = r < 0 ? r : raft_io_path(sink->tmp, s->dir, name);
    r = r < 0 ? r : io->ops->dir_make(io, sink->tmp);
    r = r < 0 ? r : raft_io_path(path, sink->tmp, "state.bin");
    r = r < 0 ? r : io->ops->open(io, path, RAFT_IO_CREATE);
    if (r < 0) {
        r = store_fail(err, r, "create", sink->tmp);
        raft_snapshot_cancel(sink);
        return r;
    }
    sink->file = r;
    *ret_sink = sink;
    return 0;
}

/* Nothing the file has can be trusted after a failure. */
static int sink_sync_file(struct raft_snapshot_sink *sink, struct err *err)
{
    struct raft_io *io = sink->store->io;
    int r = io->ops->sync(io, sink->file);
    if (r < 0) {
        sink->failed = r;
        return store_fail(err, r, "sync", sink->tmp);
    }
    sink->synced = sink->meta.size;
    return 0;
}

/* Straight to the file. A failure sticks. */
static int sink_put(struct raft_snapshot_sink *sink, const char *p, size_t n, struct err *err)
{
    if (n == 0 || sink->failed < 0) {
        return sink->failed < 0 ? store_fail(err, sink->failed, "write", sink->tmp) : 0;
    }
    struct raft_io *io = sink->store->io;
    struct iovec iov = {(char *)p, n};
    int r = io->ops->pwritev(io, sink->file, &iov, 1, sink->meta.size);
    if (r < 0) {
        sink->failed = r;
        return store_fail(err, r, "write", sink->tmp);
    }
    sink->meta.crc = raft_crc64(sink->meta.crc, p, n);
    sink->meta.size += n;
    return sink->meta.size - sink->synced < SINK_UNSYNCED_MAX ? 0 : sink_sync_file(sink, err);
}

static int sink_flush(struct raft_snapshot_sink *sink, struct err *err)
{
    int r = sink_put(sink, sink->bytes, sink->n, err);
    sink->n = 0;
    return r;
}

int raft_snapshot_sink_write(struct raft_snapshot_sink *sink, struct str bytes, struct err *err)
{
    if (sink->to != NULL) {
        buf_str(sink->to, bytes);
        return sink->to->failed ? err_from_errno(err, ENOMEM, "snapshot") : 0;
    }
    if (bytes.n > sizeof(sink->bytes) - sink->n) {
        int r = sink_flush(sink, err);
        if (r < 0) {
            return r;
        }
        if (bytes.n >= sizeof(sink->bytes)) {
            return sink_put(sink, bytes.p, bytes.n, err);
        }
    }
    if (bytes.n > 0) {
        memcpy(sink->bytes + sink->n, bytes.p, bytes.n);
        sink->n += bytes.n;
    }
    return 0;
}

int raft_snapshot_sink_sync(struct raft_snapshot_sink *sink, struct err *err)
{
    int r = sink_flush(sink, err);
    return r < 0 ? r : sink_sync_file(sink, err);
}

int raft_snapshot_sink_read(struct raft_snapshot_sink *sink, struct str *ret_bytes, struct err *err)
{
    int r = sink_flush(sink, err);
    return r < 0 ? r
                 : state_read(sink->store->io, sink->file, sink->tmp, &sink->meta, ret_bytes, err);
}

static int sink_write_meta(struct raft_snapshot_sink *sink)
{
    struct raft_io *io = sink->store->io;
    char path[RAFT_PATH_SIZE_MAX];
    int r = raft_io_path(path, sink->tmp, "meta.json");
    int file = r < 0 ? r : io->ops->open(io, path, RAFT_IO_CREATE);
    if (file < 0) {
        return file;
    }
    struct buf json = {0};
    raft_snapshot_meta_encode(&sink->meta, &json);
    struct iovec iov = {json.p, json.n};
    r = io->ops->pwritev(io, file, &iov, 1, 0);
    r = r < 0 ? r : io->ops->sync(io, file);
    io->ops->close(io, file);
    buf_deinit(&json);
    return r;
}

int raft_snapshot_close(struct raft_snapshot_sink *sink, struct raft_snapshot_meta *ret_meta,
                        struct err *err)
{
    struct raft_snapshots *store = sink->store;
    struct raft_io *io = store->io;
    int r = raft_snapshot_sink_sync(sink, err);
    if (r < 0) {
        raft_snapshot_cancel(sink);
        return r;
    }
    r = sink_write_meta(sink);
    r = r < 0 ? r : io->ops->dir_sync(io, sink->tmp);
    r = r < 0 ? r : io->ops->rename(io, sink->tmp, sink->dir);
    if (r < 0) {
        r = store_fail(err, r, "store", sink->tmp);
        raft_snapshot_cancel(sink);
        return r;
    }
    r = io->ops->dir_sync(io, store->dir);
    if (r < 0) {
        r = store_fail(err, r, "sync the directory of", sink->dir);
    } else {
        store_reap(store);
        if (ret_meta != NULL) {
            *ret_meta = sink->meta;
        }
    }
    raft_snapshot_sink_free(sink);
    return r;
}
