#include "raft/io.h"

#include "base/buf.h"
#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The machine's files. */

static int posix_open(struct raft_io *io, const char *path, enum raft_io_open how)
{
    (void)io;
    int flags = O_CLOEXEC | (how == RAFT_IO_READ     ? O_RDONLY
                             : how == RAFT_IO_CREATE ? O_RDWR | O_CREAT | O_TRUNC
                                                     : O_RDWR);
    int fd = open(path, flags, 0600);
    return fd >= 0 ? fd : -errno;
}

static void posix_close(struct raft_io *io, int file)
{
    (void)io;
    (void)close(file);
}

static int posix_size(struct raft_io *io, int file, uint64_t *ret_size)
{
    (void)io;
    struct stat st;
    if (fstat(file, &st) < 0) {
        return -errno;
    }
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

static ptrdiff_t posix_pread(struct raft_io *io, int file, void *to, size_t n, uint64_t offset)
{
    (void)io;
    size_t done = 0;
    while (done < n) {
        ssize_t r = pread(file, (char *)to + done, n - done, (off_t)(offset + done));
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return -errno;
        }
        if (r == 0) {
            break;
        }
        done += (size_t)r;
    }
    return (ptrdiff_t)done;
}

static int posix_pwritev(struct raft_io *io, int file, struct iovec *iov, int count,
                         uint64_t offset)
{
    (void)io;
    while (count > 0) {
        ssize_t r = pwritev(file, iov, count, (off_t)offset);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r <= 0) {
            return r < 0 ? -errno : -EIO;
        }
        offset += (uint64_t)r;
        size_t left = (size_t)r;
        while (count > 0 && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            count--;
        }
        if (count > 0) {
            iov->iov_base = (char *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
    return 0;
}

static int posix_allocate(struct raft_io *io, int file, uint64_t size)
{
    (void)io;
    int r;
    do {
        r = posix_fallocate(file, 0, (off_t)size);
    } while (r == EINTR);
    return -r;
}

static int posix_truncate(struct raft_io *io, int file, uint64_t size)
{
    (void)io;
    return ftruncate(file, (off_t)size) < 0 ? -errno : 0;
}

static int posix_sync(struct raft_io *io, int file)
{
    (void)io;
    return fdatasync(file) < 0 ? -errno : 0;
}

static int posix_rename(struct raft_io *io, const char *from, const char *to)
{
    (void)io;
    return rename(from, to) < 0 ? -errno : 0;
}

static int posix_remove(struct raft_io *io, const char *path)
{
    (void)io;
    return remove(path) < 0 ? -errno : 0;
}

static int posix_dir_sync(struct raft_io *io, const char *path)
{
    (void)io;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int r = fsync(fd) < 0 ? -errno : 0;
    (void)close(fd);
    return r;
}

/* A directory just made is durable once its parent is synced. */
static int posix_dir_sync_parent(const char *path)
{
    char parent[RAFT_PATH_SIZE_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash != NULL) {
        size_t n = slash > path ? (size_t)(slash - path) : 1;
        memcpy(parent, path, n);
        parent[n] = '\0';
    }
    return posix_dir_sync(NULL, parent);
}

static int posix_dir_make(struct raft_io *io, const char *path)
{
    (void)io;
    char part[RAFT_PATH_SIZE_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(part)) {
        return -ENAMETOOLONG;
    }
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        part[i] = '\0';
        int r = mkdir(part, 0755) < 0 ? -errno : posix_dir_sync_parent(part);
        if (r < 0 && r != -EEXIST) {
            return r;
        }
        part[i] = path[i];
    }
    return 0;
}

static int posix_dir_list(struct raft_io *io, const char *path,
                          int (*fn)(void *data, const char *name, bool is_dir), void *data)
{
    (void)io;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return -errno;
    }
    int r = 0;
    struct dirent *d;
    while (r == 0 && (errno = 0, d = readdir(dir)) != NULL) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) {
            continue;
        }
        bool is_dir = d->d_type == DT_DIR;
        if (d->d_type == DT_UNKNOWN) {
            struct stat st;
            is_dir = fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                     S_ISDIR(st.st_mode);
        }
        r = fn(data, d->d_name, is_dir);
    }
    if (r == 0 && errno != 0) {
        r = -errno;
    }
    (void)closedir(dir);
    return r;
}

static struct raft_io *posix_free(struct raft_io *io)
{
    (void)io;
    return NULL;
}

static const struct raft_io_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .size = posix_size,
    .pread = posix_pread,
    .pwritev = posix_pwritev,
    .allocate = posix_allocate,
    .truncate = posix_truncate,
    .sync = posix_sync,
    .rename = posix_rename,
    .remove = posix_remove,
    .dir_make = posix_dir_make,
    .dir_sync = posix_dir_sync,
    .dir_list = posix_dir_list,
    .free = posix_free,
};

struct raft_io *raft_io_posix(void)
{
    static struct raft_io io = {.ops = &posix_ops};
    return &io;
}

struct raft_io *raft_io_free(struct raft_io *io)
{
    return io != NULL ? io->ops->free(io) : NULL;
}

/* Helpers over any table. */

int raft_io_path(char to[RAFT_PATH_SIZE_MAX], const char *dir, const char *name)
{
    int n = snprintf(to, RAFT_PATH_SIZE_MAX, "%s/%s", dir, name);
    return n < 0 || (size_t)n >= RAFT_PATH_SIZE_MAX ? -ENAMETOOLONG : 0;
}

int raft_io_read_file(struct raft_io *io, const char *path, size_t max, struct buf *to)
{
    int file = io->ops->open(io, path, RAFT_IO_READ);
    if (file < 0) {
        return file;
    }
    uint64_t size = 0;
    int r = io->ops->size(io, file, &size);
    if (r == 0 && size > max) {
        r = -ERR_TOO_LARGE;
    }
    char *at = r == 0 ? buf_reserve(to, (size_t)size) : NULL;
    if (r == 0 && at == NULL) {
        r = -ENOMEM;
    }
    if (r == 0) {
        ptrdiff_t n = io->ops->pread(io, file, at, (size_t)size, 0);
        if (n < 0) {
            r = (int)n;
        } else {
            to->n += (size_t)n;
        }
    }
    io->ops->close(io, file);
    return r;
}

struct remove_dir {
    struct raft_io *io;
    const char *path;
};

static int remove_dir_entry(void *data, const char *name, bool is_dir)
{
    struct remove_dir *d = data;
    char path[RAFT_PATH_SIZE_MAX];
    int r = raft_io_path(path, d->path, name);
    if (r < 0 || is_dir) {
        return r < 0 ? r : -ENOTEMPTY;
    }
    r = d->io->ops->remove(d->io, path);
    return r < 0 && r != -ENOENT ? r : 0;
}

int raft_io_remove_dir(struct raft_io *io, const char *path)
{
    struct remove_dir d = {io, path};
    int r = io->ops->dir_list(io, path, remove_dir_entry, &d);
    return r < 0 ? r : io->ops->remove(io, path);
}
