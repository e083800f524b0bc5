#include "loop/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/vec.h"

static int fail(struct err *err, const char *what, const char *path)
{
    int code = errno;
    return err_set(err, code, "%s %s: %s", what, path, err_code_text(code));
}

int file_read(struct str path, size_t size_max, struct arena *a, struct str *ret_bytes,
              struct err *err)
{
    const char *p = arena_str(a, path).p;
    int fd = open(p, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0) {
        return fail(err, "open", p);
    }
    int rc = 0;
    if (fstat(fd, &st) < 0) {
        rc = fail(err, "stat", p);
    } else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > size_max) {
        rc = err_set(err, ERR_TOO_LARGE, "%s: not a file of at most %zu bytes", p, size_max);
    } else {
        /* What the kernel makes up (/proc) has no size before it is read. */
        size_t size = st.st_size > 0 ? (size_t)st.st_size : size_max;
        char *to = arena_alloc(a, size + 1);
        size_t n = 0;
        ssize_t r = 1;
        while (n < size && r > 0) {
            r = read(fd, to + n, size - n);
            n += r > 0 ? (size_t)r : 0;
        }
        if (r < 0) {
            rc = fail(err, "read", p);
        } else {
            *ret_bytes = str_make(to, n);
        }
    }
    (void)close(fd);
    return rc;
}

/* mkdir -p of everything above the last slash. */
static int make_parents(char *path, struct err *err)
{
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            int rc = mkdir(path, 0700);
            if (rc < 0 && errno != EEXIST) {
                rc = fail(err, "mkdir", path);
                *at = '/';
                return rc;
            }
            *at = '/';
        }
    }
    return 0;
}

int file_make_parents(struct str path, struct err *err)
{
    char *copy = str_to_cstr(path);
    int rc = make_parents(copy, err);
    mem_free(copy);
    return rc;
}

static int write_all(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

int file_replace(struct str path, struct str bytes, bool durable, struct err *err)
{
    struct arena a = {0};
    char *p = (char *)(uintptr_t)arena_str(&a, path).p;
    const char *tmp = arena_printf(&a, "%s.tmp", p).p;
    int rc = 0;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT) {
        rc = make_parents(p, err);
        fd = rc < 0 ? -1 : open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    if (rc == 0 && fd < 0) {
        rc = fail(err, "create", tmp);
    }
    if (rc == 0 && (write_all(fd, bytes) < 0 || (durable && fdatasync(fd) < 0))) {
        rc = fail(err, "write", tmp);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (rc == 0 && rename(tmp, p) < 0) {
        rc = fail(err, "rename", tmp);
    }
    if (rc < 0 && fd >= 0) {
        (void)unlink(tmp);
    }
    arena_deinit(&a);
    return rc;
}

int file_remove(struct str path, struct err *err)
{
    struct arena a = {0};
    const char *p = arena_str(&a, path).p;
    int rc = unlink(p) < 0 && errno != ENOENT ? fail(err, "remove", p) : 0;
    arena_deinit(&a);
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

int dir_files(struct str path, size_t count_max, struct arena *a, struct strlist *ret_names,
              struct err *err)
{
    const char *p = arena_str(a, path).p;
    *ret_names = (struct strlist){0};
    DIR *dir = opendir(p);
    if (dir == NULL) {
        return errno == ENOENT ? 0 : fail(err, "open", p);
    }
    VEC(struct str) names = {0};
    int rc = 0;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        struct stat st;
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode)) {
            continue;
        }
        if (names.n == count_max) {
            rc = err_set(err, ERR_TOO_LARGE, "%s: more than %zu files", p, count_max);
            break;
        }
        avec_push(a, &names, arena_str(a, str_from_cstr(entry->d_name)));
    }
    (void)closedir(dir);
    if (rc == 0 && names.n > 0) {
        qsort(names.v, names.n, sizeof(names.v[0]), compare_names);
    }
    *ret_names = (struct strlist){names.v, names.n};
    return rc;
}
