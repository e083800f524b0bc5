#include "sim_io.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>

#define SECTOR 512u
#define ALLOCATE_MAX 65536u

static struct sim_io *sim_of(struct raft_io *io)
{
    return container_of(io, struct sim_io, io);
}

static void sim_unlock(struct sim_io **s)
{
    pthread_mutex_unlock(&(*s)->lock);
}

/* The simulator behind a table, locked until the end of the block. */
#define SIM_LOCKED(name, from)                                               \
    __attribute__((cleanup(sim_unlock))) struct sim_io *name = sim_of(from); \
    pthread_mutex_lock(&name->lock)

/* Count a change; whether it is the one to fail. */
static bool sim_fails(struct sim_io *s)
{
    s->ops++;
    if (s->fail_at != 0 && (s->ops == s->fail_at || (s->fail_stays && s->ops > s->fail_at))) {
        s->failed = true;
        return true;
    }
    return false;
}

/* A change that needs room; 0, or the error it fails with. */
static int sim_takes(struct sim_io *s)
{
    return sim_fails(s) ? -s->fail_error : s->is_full ? -ENOSPC : 0;
}

static int names_find(const struct sim_name *v, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(v[i].path, path) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static char *path_dup(const char *path)
{
    return xmemdup(path, strlen(path) + 1);
}

#define names_set(names, name, to)                                      \
    do {                                                                \
        int at_ = names_find((names)->v, (names)->n, (name));           \
        if (at_ >= 0 && (to) >= 0) {                                    \
            (names)->v[at_].file = (to);                                \
        } else if (at_ >= 0) {                                          \
            mem_free((names)->v[at_].path);                             \
            (names)->v[at_] = (names)->v[--(names)->n];                 \
        } else if ((to) >= 0) {                                         \
            vec_push((names), ((struct sim_name){path_dup(name), to})); \
        }                                                               \
    } while (0)

static void sim_name(struct sim_io *s, const char *path, int file)
{
    names_set(&s->names, path, file);
    vec_push(&s->name_ops, ((struct sim_name_op){path_dup(path), file, false}));
}

static void name_ops_apply(struct sim_io *s, size_t count)
{
    for (size_t i = 0; i < s->name_ops.n; i++) {
        if (i < count) {
            names_set(&s->durable_names, s->name_ops.v[i].path, s->name_ops.v[i].file);
        }
        mem_free(s->name_ops.v[i].path);
    }
    s->name_ops.n = 0;
}

static void resize(char **bytes, uint64_t *size, uint64_t to)
{
    if (to > *size) {
        *bytes = xrealloc(*bytes, (size_t)to + 1);
        memset(*bytes + *size, 0, (size_t)(to - *size));
    }
    *size = to;
}

static int sim_open(struct raft_io *io, const char *path, enum raft_io_open how)
{
    SIM_LOCKED(s, io);
    int at = names_find(s->names.v, s->names.n, path);
    int file = at >= 0 ? s->names.v[at].file : -1;
    if (how == RAFT_IO_CREATE) {
        int k = sim_takes(s);
        if (k < 0) {
            return k;
        }
        file = (int)s->files.n;
        vec_push(&s->files, xcalloc(1, sizeof(struct sim_file)));
        sim_name(s, path, file);
    }
    if (file < 0) {
        return -ENOENT;
    }
    vec_push(&s->handles, file);
    return (int)s->handles.n - 1;
}

static struct sim_file *handle_file(struct sim_io *s, int handle)
{
    ASSERT(handle >= 0 && (size_t)handle < s->handles.n && s->handles.v[handle] >= 0);
    return s->files.v[s->handles.v[handle]];
}

static void sim_close(struct raft_io *io, int file)
{
    SIM_LOCKED(s, io);
    (void)handle_file(s, file);
    s->handles.v[file] = -1;
}

static int sim_size(struct raft_io *io, int file, uint64_t *ret_size)
{
    SIM_LOCKED(s, io);
    *ret_size = handle_file(s, file)->size;
    return 0;
}

static ptrdiff_t sim_pread(struct raft_io *io, int file, void *to, size_t n, uint64_t offset)
{
    SIM_LOCKED(s, io);
    struct sim_file *f = handle_file(s, file);
    size_t some = offset < f->size ? (size_t)MIN((uint64_t)n, f->size - offset) : 0;
    if (some > 0) {
        memcpy(to, f->bytes + offset, some);
    }
    return (ptrdiff_t)some;
}

static void file_write(struct sim_file *f, const void *p, size_t n, uint64_t offset)
{
    if (n == 0) {
        return;
    }
    if (offset + n > f->size) {
        resize(&f->bytes, &f->size, offset + n);
    }
    memcpy(f->bytes + offset, p, n);
    vec_push(&f->writes, ((struct sim_write){offset, xmemdup(p, n), n, false}));
}

static int sim_pwritev(struct raft_io *io, int file, struct iovec *iov, int count, uint64_t offset)
{
    SIM_LOCKED(s, io);
    struct sim_file *f = handle_file(s, file);
    int k = sim_takes(s);
    s->writes++;
    for (int i = 0; i < count; i++) {
        size_t n = iov[i].iov_len;
        if (k < 0 && i == count - 1) {
            n = rng_below(&s->rng, n + 1); /* a part may have got through */
        }
        file_write(f, iov[i].iov_base, n, offset);
        offset += n;
    }
    return k;
}

static int sim_set_size(struct raft_io *io, int file, uint64_t size, bool may_cut)
{
    SIM_LOCKED(s, io);
    struct sim_file *f = handle_file(s, file);
    int k = may_cut ? (sim_fails(s) ? -s->fail_error : 0) : sim_takes(s);
    if (k < 0) {
        return k;
    }
    if (size > f->size || may_cut) {
        resize(&f->bytes, &f->size, size);
        vec_push(&f->writes, ((struct sim_write){size, NULL, 0, true}));
    }
    return 0;
}

static int sim_allocate(struct raft_io *io, int file, uint64_t size)
{
    /* Real files are large and mostly zeros; a few of them do. */
    sim_of(io)->allocates++;
    return sim_set_size(io, file, MIN(size, (uint64_t)ALLOCATE_MAX), false);
}

static int sim_truncate(struct raft_io *io, int file, uint64_t size)
{
    return sim_set_size(io, file, size, true);
}

static void writes_drop(struct sim_file *f)
{
    for (size_t i = 0; i < f->writes.n; i++) {
        mem_free(f->writes.v[i].bytes);
    }
    f->writes.n = 0;
}

static void file_settle(struct sim_file *f)
{
    writes_drop(f);
    mem_free(f->durable);
    f->durable = xmalloc((size_t)f->size + 1);
    if (f->size > 0) {
        memcpy(f->durable, f->bytes, (size_t)f->size);
    }
    f->durable_size = f->size;
}

/* Only what was written since reaches the disk: bytes whose sync failed before do not. */
static void file_flush(struct sim_file *f)
{
    for (size_t i = 0; i < f->writes.n; i++) {
        const struct sim_write *w = &f->writes.v[i];
        uint64_t end = w->offset + w->n;
        if (w->is_size || end > f->durable_size) {
            resize(&f->durable, &f->durable_size, end);
        }
        if (w->n > 0) {
            memcpy(f->durable + w->offset, w->bytes, w->n);
        }
    }
    writes_drop(f);
}

static int sim_sync(struct raft_io *io, int file)
{
    if (sim_of(io)->sync_hook != NULL) {
        sim_of(io)->sync_hook(sim_of(io)->hook_data);
    }
    SIM_LOCKED(s, io);
    struct sim_file *f = handle_file(s, file);
    s->syncs++;
    if (sim_fails(s)) {
        writes_drop(
            f); /* as Linux does: the pages are called clean, and are read back, but not kept */
        return -s->fail_error;
    }
    file_flush(f);
    return 0;
}

static int sim_rename(struct raft_io *io, const char *from, const char *to)
{
    SIM_LOCKED(s, io);
    if (sim_fails(s)) {
        return -s->fail_error;
    }
    size_t n = strlen(from);
    bool found = false;
    size_t first_op = s->name_ops.n;
    for (size_t i = 0; i < s->names.n; i++) {
        const char *path = s->names.v[i].path;
        if (strncmp(path, from, n) != 0 || (path[n] != '\0' && path[n] != '/')) {
            continue;
        }
        char moved[RAFT_PATH_SIZE_MAX * 2];
        snprintf(moved, sizeof(moved), "%s%s", to, path + n);
        char *old = path_dup(path);
        int file = s->names.v[i].file;
        sim_name(s, moved, file);
        sim_name(s, old, -1);
        mem_free(old);
        found = true;
        i = SIZE_MAX; /* the table has moved */
    }
    for (size_t i = first_op; i + 1 < s->name_ops.n; i++) {
        s->name_ops.v[i].more = true; /* a directory moves with all that is in it */
    }
    return found ? 0 : -ENOENT;
}

static int sim_remove(struct raft_io *io, const char *path)
{
    SIM_LOCKED(s, io);
    if (sim_fails(s)) {
        return -s->fail_error;
    }
    if (names_find(s->names.v, s->names.n, path) >= 0) {
        sim_name(s, path, -1);
    }
    return 0;
}

static int sim_dir_make(struct raft_io *io, const char *path)
{
    (void)path;
    SIM_LOCKED(s, io);
    return sim_fails(s) ? -s->fail_error : 0;
}

static int sim_dir_sync(struct raft_io *io, const char *path)
{
    (void)path;
    SIM_LOCKED(s, io);
    s->syncs++;
    if (sim_fails(s)) {
        return -s->fail_error;
    }
    name_ops_apply(s, s->name_ops.n);
    return 0;
}

static int sim_dir_list(struct raft_io *io, const char *path,
                        int (*fn)(void *data, const char *name, bool is_dir), void *data)
{
    struct sim_io *s = sim_of(io);
    size_t n = strlen(path);
    VEC(char *) seen = {0};
    int r = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->names.n; i++) {
        const char *p = s->names.v[i].path;
        if (strncmp(p, path, n) != 0 || p[n] != '/') {
            continue;
        }
        char *name = path_dup(p + n + 1);
        char *slash = strchr(name, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        bool again = false;
        for (size_t k = 0; k < seen.n; k++) {
            again |= strcmp(seen.v[k] + 1, name) == 0;
        }
        if (!again) {
            char *entry = xmalloc(strlen(name) + 2);
            entry[0] = slash != NULL ? 'd' : 'f';
            memcpy(entry + 1, name, strlen(name) + 1);
            vec_push(&seen, entry);
        }
        mem_free(name);
    }
    pthread_mutex_unlock(&s->lock); /* fn may remove what it is told of */
    for (size_t k = 0; k < seen.n; k++) {
        r = r != 0 ? r : fn(data, seen.v[k] + 1, seen.v[k][0] == 'd');
        mem_free(seen.v[k]);
    }
    vec_deinit(&seen);
    return r;
}

static struct raft_io *sim_free(struct raft_io *io)
{
    (void)io; /* the test's, and outlives the node */
    return NULL;
}

static const struct raft_io_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .size = sim_size,
    .pread = sim_pread,
    .pwritev = sim_pwritev,
    .allocate = sim_allocate,
    .truncate = sim_truncate,
    .sync = sim_sync,
    .rename = sim_rename,
    .remove = sim_remove,
    .dir_make = sim_dir_make,
    .dir_sync = sim_dir_sync,
    .dir_list = sim_dir_list,
    .free = sim_free,
};

struct sim_io *sim_io_new(uint64_t seed)
{
    struct sim_io *s = xcalloc(1, sizeof(*s));
    s->io.ops = &sim_ops;
    s->fail_error = EIO;
    pthread_mutex_init(&s->lock, NULL);
    rng_seed(&s->rng, seed);
    return s;
}

static void names_free(struct sim_name *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(v[i].path);
    }
}

struct sim_io *sim_io_free(struct sim_io *s)
{
    if (s == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < s->files.n; i++) {
        struct sim_file *f = s->files.v[i];
        writes_drop(f);
        vec_deinit(&f->writes);
        mem_free(f->bytes);
        mem_free(f->durable);
        mem_free(f);
    }
    name_ops_apply(s, 0);
    names_free(s->names.v, s->names.n);
    names_free(s->durable_names.v, s->durable_names.n);
    vec_deinit(&s->files);
    vec_deinit(&s->names);
    vec_deinit(&s->durable_names);
    vec_deinit(&s->name_ops);
    vec_deinit(&s->handles);
    pthread_mutex_destroy(&s->lock);
    return mem_free(s);
}

/* Sizes change in order, as a journal has them; sectors of writes come as they please. */
static void file_crash(struct sim_io *s, struct sim_file *f)
{
    size_t sizes = rng_below(&s->rng, f->writes.n + 1);
    uint64_t mood = rng_below(&s->rng, 3); /* nothing got through, everything, or some */
    for (size_t i = 0; i < f->writes.n; i++) {
        const struct sim_write *w = &f->writes.v[i];
        if (w->is_size) {
            if (i < sizes) {
                resize(&f->durable, &f->durable_size, w->offset);
            }
            continue;
        }
        for (size_t at = 0; at < w->n;) {
            size_t n = MIN(w->n - at, SECTOR - (size_t)((w->offset + at) % SECTOR));
            if (mood == 1 || (mood == 2 && rng_below(&s->rng, 2) == 0)) {
                if (w->offset + at + n > f->durable_size) {
                    resize(&f->durable, &f->durable_size, w->offset + at + n);
                }
                memcpy(f->durable + w->offset + at, w->bytes + at, n);
            }
            at += n;
        }
    }
    writes_drop(f);
    mem_free(f->bytes);
    f->size = f->durable_size;
    f->bytes = xmalloc((size_t)f->size + 1);
    if (f->size > 0) {
        memcpy(f->bytes, f->durable, (size_t)f->size);
    }
}

void sim_io_crash(struct sim_io *s)
{
    size_t kept = rng_below(&s->rng, s->name_ops.n + 1);
    while (kept > 0 && s->name_ops.v[kept - 1].more) {
        kept++;
    }
    name_ops_apply(s, kept);
    names_free(s->names.v, s->names.n);
    s->names.n = 0;
    for (size_t i = 0; i < s->durable_names.n; i++) {
        vec_push(&s->names, ((struct sim_name){path_dup(s->durable_names.v[i].path),
                                               s->durable_names.v[i].file}));
    }
    for (size_t i = 0; i < s->files.n; i++) {
        file_crash(s, s->files.v[i]);
    }
    s->handles.n = 0;
    s->fail_at = 0;
    s->failed = false;
}

struct sim_file *sim_io_file(struct sim_io *s, const char *path)
{
    int at = names_find(s->names.v, s->names.n, path);
    return at >= 0 ? s->files.v[s->names.v[at].file] : NULL;
}

void sim_io_flip(struct sim_file *f, uint64_t offset, char mask)
{
    ASSERT(offset < f->size && offset < f->durable_size);
    f->bytes[offset] = (char)(f->bytes[offset] ^ mask);
    f->durable[offset] = (char)(f->durable[offset] ^ mask);
}

void sim_io_settle(struct sim_io *s)
{
    name_ops_apply(s, s->name_ops.n);
    for (size_t i = 0; i < s->files.n; i++) {
        file_settle(s->files.v[i]);
    }
}
