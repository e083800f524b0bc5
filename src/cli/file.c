#include "cli/file.h"

#include "base/arena.h"
#include "base/rand.h"
#include "cli/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(struct err *err, const char *what, const char *path)
{
    const char *text = err_code_text(errno);
    return err_set(err, ERR_FAILED, "%s %s: %s", what, path, text);
}

int cli_parents_make(struct arena *a, struct str path, struct err *err)
{
    for (size_t i = 1; i < path.n; i++) {
        if (path.p[i] != '/') {
            continue;
        }
        struct stat st;
        const char *directory = arena_str(a, str_first(path, i)).p;
        if (mkdir(directory, CLI_DIRECTORY_MODE) < 0 && errno != EEXIST) {
            return failed(err, "mkdir", directory);
        }
        if (stat(directory, &st) == 0 && !S_ISDIR(st.st_mode)) {
            errno = ENOTDIR;
            return failed(err, "mkdir", directory);
        }
    }
    return 0;
}

static int bytes_write(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return fsync(fd);
}

static int replace(const char *path, const char *temporary, struct str bytes, mode_t mode,
                   struct err *err)
{
    int fd = open(temporary, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) {
        return failed(err, "open", temporary);
    }
    int rc = bytes_write(fd, bytes) < 0 ? failed(err, "write", temporary) : 0;
    if (close(fd) < 0 && rc == 0) {
        rc = failed(err, "close", temporary);
    }
    if (rc == 0 && rename(temporary, path) < 0) {
        const char *text = err_code_text(errno);
        rc = err_set(err, ERR_FAILED, "rename %s %s: %s", temporary, path, text);
    }
    if (rc < 0) {
        (void)unlink(temporary);
    }
    return rc;
}

int cli_file_replace(struct str path, struct str bytes, mode_t mode, struct err *err)
{
    struct arena a = {0};
    char id[UUID_TEXT_SIZE];
    uuid_generate(id);
    struct str temporary = arena_printf(&a, "%.*s-%.*s.tmp", STRF(path), (int)UUID_TEXT_SIZE, id);
    int rc = cli_parents_make(&a, path, err);
    if (rc == 0) {
        rc = replace(arena_str(&a, path).p, temporary.p, bytes, mode, err);
    }
    arena_deinit(&a);
    return rc;
}

bool cli_file_may_exist(struct str path)
{
    struct arena a = {0};
    struct stat st;
    bool may = stat(arena_str(&a, path).p, &st) == 0 || errno != ENOENT;
    arena_deinit(&a);
    return may;
}
