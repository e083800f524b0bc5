#include "cli/debug.h"

#include "base/arena.h"
#include "base/clock.h"
#include "cli/client.h"
#include "fsm/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define DEPTH_MAX 2u

struct packing {
    struct arena arena;
    gzFile out;
    const char *directory; /* on disk */
    struct str base;       /* what it is called inside */
};

static int failed(struct err *err, const char *what, const char *path)
{
    return err_set(err, ERR_FAILED, "%s %s: %s", what, path, err_code_text(errno));
}

static int put(struct packing *p, struct str bytes, struct err *err)
{
    /* gzwrite() takes an unsigned. */
    while (bytes.n > 0) {
        unsigned piece = (unsigned)MIN(bytes.n, (size_t)1 << 30);
        if (gzwrite(p->out, bytes.p, piece) != (int)piece) {
            return err_set(err, ERR_FAILED, "failed to write compressed archive");
        }
        bytes = str_from(bytes, piece);
    }
    return 0;
}

static int put_header(struct packing *p, struct str name, unsigned mode, uint64_t size,
                      struct err *err)
{
    char block[ARCHIVE_TAR_BLOCK_SIZE];
    uint64_t now = clock_wall_ms() / 1000;
    if (!archive_tar_header(block, name, mode, size, now)) {
        return err_set(err, ERR_TOO_LARGE, "failed to create compressed archive header: %.*s",
                       STRF(name));
    }
    return put(p, str_make(block, sizeof(block)), err);
}

static int put_file(struct packing *p, const char *path, struct str name, struct err *err)
{
    static const char zeros[ARCHIVE_TAR_BLOCK_SIZE];
    struct str content;
    int rc = cli_file_read(&p->arena, str_from_cstr(path), &content, err);
    if (rc == 0) {
        rc = put_header(p, name, 0644, content.n, err);
    }
    if (rc == 0) {
        rc = put(p, content, err);
    }
    size_t padding = (sizeof(zeros) - content.n % sizeof(zeros)) % sizeof(zeros);
    return rc == 0 ? put(p, str_make(zeros, padding), err) : rc;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int put_tree(struct packing *p, const char *path, struct str name, unsigned depth,
                    struct err *err);

static int put_entry(struct packing *p, const char *path, struct str name, unsigned depth,
                     struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        return failed(err, "stat", path);
    }
    if (S_ISDIR(st.st_mode)) {
        return depth < DEPTH_MAX ? put_tree(p, path, name, depth + 1, err) : 0;
    }
    return S_ISREG(st.st_mode) ? put_file(p, path, name, err) : 0;
}

static int put_tree(struct packing *p, const char *path, struct str name, unsigned depth,
                    struct err *err)
{
    struct arena *a = &p->arena;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return failed(err, "open", path);
    }
    int rc = put_header(p, name, 0755, 0, err);
    for (struct dirent *e; rc == 0 && (e = readdir(directory)) != NULL;) {
        if (!is_dots(e->d_name)) {
            rc = put_entry(p, arena_printf(a, "%s/%s", path, e->d_name).p,
                           arena_printf(a, "%.*s/%s", STRF(name), e->d_name), depth, err);
        }
    }
    (void)closedir(directory);
    return rc;
}

/* Remove the tree; what cannot be removed is left. */
static int tree_remove(struct arena *a, const char *path, unsigned depth)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return -errno;
    }
    for (struct dirent *e; (e = readdir(directory)) != NULL;) {
        const char *entry = arena_printf(a, "%s/%s", path, e->d_name).p;
        if (!is_dots(e->d_name) && unlink(entry) < 0 && depth < DEPTH_MAX) {
            (void)tree_remove(a, entry, depth + 1);
        }
    }
    (void)closedir(directory);
    return rmdir(path) < 0 ? -errno : 0;
}

/* What remains of a path without its directory. */
static struct str base_name(const char *path)
{
    struct str s = str_from_cstr(path);
    while (s.n > 1 && s.p[s.n - 1] == '/') {
        s.n--;
    }
    return str_from(s, (size_t)(str_rfind_byte(s, '/') + 1));
}

static int archive_write(struct packing *p, int fd, struct err *err)
{
    static const char zeros[2 * ARCHIVE_TAR_BLOCK_SIZE];
    int copy = dup(fd); /* gzclose() closes it, and the file has to be synced after that */
    p->out = copy >= 0 ? gzdopen(copy, "wb") : NULL;
    if (p->out == NULL) {
        return err_set(err, ERR_FAILED, "failed to create compressed temp archive");
    }
    int rc = put_tree(p, p->directory, p->base, 0, err);
    if (rc == 0) {
        rc = put(p, str_make(zeros, sizeof(zeros)), err);
    }
    if (gzclose(p->out) != Z_OK && rc == 0) {
        rc = err_set(err, ERR_FAILED, "failed to write compressed archive");
    }
    if (rc == 0 && fsync(fd) < 0) {
        rc = failed(err, "sync", p->directory);
    }
    return rc;
}

int debug_archive(const char *directory, const char *path, struct err *err)
{
    struct packing p = {.directory = directory, .base = base_name(directory)};
    const char *temporary = arena_printf(&p.arena, "%s.tmp", path).p;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc;
    if (fd < 0) {
        rc = failed(err, "failed to create compressed temp archive: open", temporary);
    } else {
        rc = archive_write(&p, fd, err);
        (void)close(fd);
        if (rc == 0 && rename(temporary, path) < 0) {
            rc = failed(err, "rename", temporary);
        }
        if (rc < 0) {
            (void)unlink(temporary);
        } else if (tree_remove(&p.arena, directory, 0) < 0) {
            rc = failed(err, "failed to remove archived directory", directory);
        }
    }
    arena_deinit(&p.arena);
    return rc;
}
