/* Files and directories to texts. Nothing is parsed here: Consul reads everything before it looks
 * at anything, so an unreadable file is reported before a faulty one. */
#include "agent/config_build.h"
#include "base/buf.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NAME_SIZE_MAX 4096u

static struct str format_of(struct str name)
{
    return str_has_suffix(name, STR(".json"))  ? STR("json")
           : str_has_suffix(name, STR(".hcl")) ? STR("hcl")
                                               : STR("");
}

static bool is_wanted(struct config_builder *b, struct str path)
{
    if (b->sources->format.n > 0 || format_of(path).n > 0) {
        return true;
    }
    builder_warn(b,
                 "skipping file %.*s, extension must be .hcl or .json, or config format must be "
                 "set",
                 STRF(path));
    return false;
}

static int file_read(struct config_builder *b, struct str path, struct err *err)
{
    if (b->texts.n >= CONFIG_FILES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "config: more than %u files", CONFIG_FILES_MAX);
    }
    FILE *file = fopen(path.p, "re");
    if (file == NULL) {
        const char *why = err_code_text(errno);
        return err_set(err, ERR_FAILED, "config: failed to read %.*s: open %.*s: %s", STRF(path),
                       STRF(path), why);
    }
    struct buf text;
    buf_init(&text, CONFIG_FILE_SIZE_MAX);
    char chunk[16384];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0 && !text.failed) {
        buf_put(&text, chunk, n);
    }
    int rc = 0;
    if (ferror(file)) {
        const char *why = err_code_text(errno);
        rc = err_set(err, ERR_FAILED, "config: failed to read %.*s: read %.*s: %s", STRF(path),
                     STRF(path), why);
    } else if (text.failed) {
        rc = err_set(err, ERR_TOO_LARGE, "config: failed to read %.*s: larger than %u bytes",
                     STRF(path), CONFIG_FILE_SIZE_MAX);
    } else {
        struct config_text source = {path, b->sources->format, arena_str(b->a, buf_view(&text))};
        if (source.format.n == 0) {
            source.format = format_of(path);
        }
        avec_push(b->a, &b->texts, source);
    }
    buf_deinit(&text);
    (void)fclose(file);
    return rc;
}

/* As Go's filepath.Join cleans the simple cases: "./conf.d/" and "a" give "conf.d/a". */
static struct str path_join(struct arena *a, struct str dir, const char *name)
{
    while (str_has_prefix(dir, STR("./"))) {
        dir = str_from(dir, 2);
    }
    while (dir.n > 1 && dir.p[dir.n - 1] == '/') {
        dir.n--;
    }
    if (dir.n == 0 || str_eq_lit(dir, ".")) {
        return arena_str(a, str_from_cstr(name));
    }
    return arena_printf(a, "%.*s%s%s", STRF(dir), str_eq_lit(dir, "/") ? "" : "/", name);
}

static int names_compare(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static int dir_read(struct config_builder *b, struct str path, struct err *err)
{
    DIR *dir = opendir(path.p);
    if (dir == NULL) {
        const char *why = err_code_text(errno);
        return err_set(err, ERR_FAILED, "config: Readdir failed on %.*s. open %.*s: %s", STRF(path),
                       STRF(path), why);
    }
    VEC(struct str) names = {0};
    for (struct dirent *entry; (entry = readdir(dir)) != NULL && names.n < CONFIG_FILES_MAX;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            avec_push(b->a, &names, arena_str(b->a, str_from_cstr(entry->d_name)));
        }
    }
    (void)closedir(dir);
    if (names.n > 0) {
        qsort(names.v, names.n, sizeof(names.v[0]), names_compare);
    }
    for (size_t i = 0; i < names.n; i++) {
        struct str file = path_join(b->a, path, names.v[i].p);
        struct stat st;
        if (lstat(file.p, &st) == 0 && S_ISLNK(st.st_mode)) {
            char *real = realpath(file.p, NULL); /* a link goes by the name of what it points to */
            if (real == NULL) {
                const char *why = err_code_text(errno);
                return err_set(err, ERR_FAILED, "lstat %.*s: %s", STRF(file), why);
            }
            file = arena_str(b->a, str_from_cstr(real));
            free(real);
        }
        if (stat(file.p, &st) == 0 && S_ISDIR(st.st_mode)) {
            continue;
        }
        if (is_wanted(b, file)) {
            int rc = file_read(b, file, err);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

int config_path_read(struct config_builder *b, struct str path, struct err *err)
{
    if (path.n > NAME_SIZE_MAX || memchr(path.p, '\0', path.n) != NULL) {
        return err_set(err, ERR_INVALID, "config: Open failed on a path that is none");
    }
    path = arena_str(b->a, path);
    FILE *file = fopen(path.p, "re");
    if (file == NULL) {
        const char *why = err_code_text(errno);
        return err_set(err, ERR_FAILED, "config: Open failed on %.*s. open %.*s: %s", STRF(path),
                       STRF(path), why);
    }
    struct stat st;
    bool is_dir = fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode);
    (void)fclose(file);
    if (is_dir) {
        return dir_read(b, path, err);
    }
    return is_wanted(b, path) ? file_read(b, path, err) : 0;
}
