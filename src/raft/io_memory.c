/* The file operations of -dev: a flat table of names over growing arrays. Directories exist as
 * soon as something asks for them. No durability, no faults: those are tests/raft/sim_io. */
#include "raft/io.h"

#include "base/mem.h"
#include "base/vec.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

struct memory_file {
    char *path; /* NULL once removed */
    char *bytes;
    uint64_t size, cap;
    int opens;
};

struct memory_io {
    struct raft_io io;
    pthread_mutex_t lock; /* the snapshot thread beside the raft thread; never contended for long */
    VEC(struct memory_file *) files; /* a handle is an index; holes are reused */
};

static struct memory_io *memory_of(struct raft_io *io)
{
    return container_of(io, struct memory_io, io);
}

static int memory_find(struct memory_io *m, const char *path)
{
    for (size_t i = 0; i < m->files.n; i++) {
        struct memory_file *f = m->files.v[i];
        if (f != NULL && f->path != NULL && strcmp(f->path, path) == 0) {
            return (int)i;
        }
    }
    return -ENOENT;
}

static void memory_unlink(struct memory_io *m, int i)
{
    struct memory_file *f = m->files.v[i];
    f->path = mem_free(f->path);
    if (f->opens == 0) {
        mem_free(f->bytes);
        m->files.v[i] = mem_free(f);
    }
}

static int memory_open(struct raft_io *io, const char *path, enum raft_io_open how)
{
    struct memory_io *m = memory_of(io);
    pthread_mutex_lock(&m->lock);
    int i = memory_find(m, path);
    if (i < 0 && how == RAFT_IO_CREATE) {
        struct memory_file *f = xcalloc(1, sizeof(*f));
        f->path = xmemdup(path, strlen(path) + 1);
        for (i = 0; (size_t)i < m->files.n && m->files.v[i] != NULL; i++) {
        }
        if ((size_t)i == m->files.n) {
            vec_push(&m->files, f);
        } else {
            m->files.v[i] = f;
        }
    }
    if (i >= 0) {
        m->files.v[i]->opens++;
        if (how == RAFT_IO_CREATE) {
            m->files.v[i]->size = 0;
        }
    }
    pthread_mutex_unlock(&m->lock);
    return i;
}

static void memory_close(struct raft_io *io, int file)
{
    struct memory_io *m = memory_of(io);
    pthread_mutex_lock(&m->lock);
    struct memory_file *f = m->files.v[file];
    if (--f->opens == 0 && f->path == NULL) {
        mem_free(f->bytes);
        m->files.v[file] = mem_free(f);
    }
    pthread_mutex_unlock(&m->lock);
}

static int memory_size(struct raft_io *io, int file, uint64_t *ret_size)
{
    struct memory_io *m = memory_of(io);
    pthread_mutex_lock(&m->lock);
    *ret_size = m->files.v[file]->size;
    pthread_mutex_unlock(&m->lock);
    return 0;
}

static ptrdiff_t memory_pread(struct raft_io *io, int file, void *to, size_t n, uint64_t offset)
{
    struct memory_io *m = memory_of(io);
    pthread_mutex_lock(&m->lock);
    struct memory_file *f = m->files.v[file];
    size_t some = offset < f->size ? (size_t)MIN((uint64_t)n, f->size - offset) : 0;
    if (some > 0) {
        memcpy(to, f->bytes + offset, some);
    }
    pthread_mutex_unlock(&m->lock);
    return (ptrdiff_t)some;
}

/* Under the lock. */
static int memory_grow(struct memory_file *f, uint64_t size)
{
    if (size > f->cap) {
        uint64_t cap = MAX(size, f->cap + f->cap / 2);
        char *bytes = try_realloc(f->bytes, (size_t)cap);
        if (bytes == NULL) {
            return -ENOSPC;
        }
        f->bytes = bytes;
        f->cap = cap;
    }
    if (size > f->size) {
        memset(f->bytes + f->size, 0, (size_t)(size - f->size));
        f->size = size;
    }
    return 0;
}

static int memory_pwritev(struct raft_io *io, int file, struct iovec *iov, int count,
                          uint64_t offset)
{
    struct memory_io *m = memory_of(io);
    uint64_t end = offset;
    for (int i = 0; i < count; i++) {
        end += iov[i].iov_len;
    }
    pthread_mutex_lock(&m->lock);
    struct memory_file *f = m->files.v[file];
    int r = memory_grow(f, end);
    for (int i = 0; r == 0 && i < count; i++) {
        memcpy(f->bytes + offset, iov[i].iov_base, iov[i].iov_len);
        offset += iov[i].iov_len;
    }
    pthread_mutex_unlock(&m->lock);
    return r;
}

static int memory_allocate(struct raft_io *io, int file, uint64_t size)
{
    (void)io;
    (void)file;
    (void)size; /* a hint to a disk; memory grows as it is used */
    return 0;
}

static int memory_truncate(struct raft_io *io, int file, uint64_t size)
{
    struct memory_io *m = memory_of(io);
    pthread_mutex_lock(&m->lock);
    struct memory_file *f = m->files.v[file];
    int r = 0;
    if (size > f->size) {
        r = memory_grow(f, size);
    } else {
        f->size = size;
    }
    pthread_mutex_unlock(&m->lock);
    return r;
}

static int memory_sync(struct raft_io *io, int file)
{
    (void)io;
    (void)file;
    return 0;
}

static bool path_is_under(const char *path, const char *dir, size_t n)
{
    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

static int memory_rename(struct raft_io *io, const char *from, const char *to)
{
    struct memory_io *m = memory_of(io);
    size_t from_size = strlen(from), to_size = strlen(to);
    int r = -ENOENT;
    pthread_mutex_lock(&m->lock);
    int old = memory_find(m, to);
    for (size_t i = 0; i < m->files.n; i++) {
        struct memory_file *f = m->files.v[i];
        if (f == NULL || f->path == NULL ||
            (strcmp(f->path, from) != 0 && !path_is_under(f->path, from, from_size))) {
            continue;
        }
        size_t tail = strlen(f->path) - from_size;
        char *path = xmalloc(to_size + tail + 1);
        memcpy(path, to, to_size);
        memcpy(path + to_size, f->path + from_size, tail + 1);
        mem_free(f->path);
        f->path = path;
        r = 0;
    }
    if (r == 0 && old >= 0) {
        memory_unlink(m, old);
    }
    pthread_mutex_unlock(&m->lock);
    return r;
}

static int memory_remove(struct raft_io *io, const char *path)
{
    struct memory_io *m = memory_of(io);
    pthread_mutex_lock(&m->lock);
    int i = memory_find(m, path);
    if (i >= 0) {
        memory_unlink(m, i);
    }
    pthread_mutex_unlock(&m->lock);
    return 0; /* a directory, then: those are not kept */
}

static int memory_dir_make(struct raft_io *io, const char *path)
{
    (void)io;
    (void)path;
    return 0;
}

static int memory_dir_list(struct raft_io *io, const char *path,
                           int (*fn)(void *data, const char *name, bool is_dir), void *data)
{
    struct memory_io *m = memory_of(io);
    size_t n = strlen(path);
    int r = 0;
    /* fn may remove files, so a name is copied out and the lock given back around each call. A
     * directory is told of once for each file in it, which its users do not mind. */
    for (size_t i = 0; r == 0; i++) {
        char name[256];
        bool found = false, is_dir = false;
        pthread_mutex_lock(&m->lock);
        bool end = i >= m->files.n;
        if (!end) {
            struct memory_file *f = m->files.v[i];
            if (f != NULL && f->path != NULL && path_is_under(f->path, path, n)) {
                const char *tail = f->path + n + 1;
                const char *slash = strchr(tail, '/');
                is_dir = slash != NULL;
                snprintf(name, sizeof(name), "%.*s",
                         (int)(is_dir ? (size_t)(slash - tail) : strlen(tail)), tail);
                found = true;
            }
        }
        pthread_mutex_unlock(&m->lock);
        if (end) {
            break;
        }
        if (found) {
            r = fn(data, name, is_dir);
        }
    }
    return r;
}

static int memory_dir_sync(struct raft_io *io, const char *path)
{
    (void)io;
    (void)path;
    return 0;
}

static struct raft_io *memory_free(struct raft_io *io)
{
    struct memory_io *m = memory_of(io);
    for (size_t i = 0; i < m->files.n; i++) {
        if (m->files.v[i] != NULL) {
            mem_free(m->files.v[i]->path);
            mem_free(m->files.v[i]->bytes);
            mem_free(m->files.v[i]);
        }
    }
    vec_deinit(&m->files);
    pthread_mutex_destroy(&m->lock);
    return mem_free(m);
}

static const struct raft_io_ops memory_ops = {
    .open = memory_open,
    .close = memory_close,
    .size = memory_size,
    .pread = memory_pread,
    .pwritev = memory_pwritev,
    .allocate = memory_allocate,
    .truncate = memory_truncate,
    .sync = memory_sync,
    .rename = memory_rename,
    .remove = memory_remove,
    .dir_make = memory_dir_make,
    .dir_sync = memory_dir_sync,
    .dir_list = memory_dir_list,
    .free = memory_free,
};

struct raft_io *raft_io_memory_new(void)
{
    struct memory_io *m = xcalloc(1, sizeof(*m));
    m->io.ops = &memory_ops;
    pthread_mutex_init(&m->lock, NULL);
    return &m->io;
}
