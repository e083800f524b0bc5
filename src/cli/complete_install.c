#include "base/vec.h"
#include "cli/client.h"
#include "cli/complete.h"
#include "cli/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM "consul"

struct place {
    struct str path;
    struct str line;  /* that makes the shell ask */
    struct str setup; /* goes before it, where it is not there yet */
    bool is_whole;    /* a file of its own, which is made and removed */
};

typedef VEC(struct place) places;

static int failed(struct err *err, const char *what, struct str path)
{
    const char *text = err_code_text(errno);
    return err_set(err, ERR_FAILED, "%s %.*s: %s", what, STRF(path), text);
}

/* --- where ----------------------------------------------------------------------------------- */

static struct str home(struct arena *a)
{
    const char *variable = getenv("HOME");
    const struct passwd *user = NULL;
    if (variable == NULL || *variable == '\0') {
        user = getpwuid(getuid());
        variable = user != NULL ? user->pw_dir : "/";
    }
    return arena_str(a, str_from_cstr(variable));
}

static bool exists(struct str path, bool is_directory)
{
    struct stat st;
    return stat(path.p, &st) == 0 && (!is_directory || S_ISDIR(st.st_mode));
}

static struct str own_path(struct arena *a)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
    return n > 0 ? arena_str(a, str_make(path, (size_t)n)) : STR(PROGRAM);
}

/* The first of bash's files that is there. */
static void bash_add(struct arena *a, places *list, struct str directory, struct str program)
{
    static const char *const names[] = {".bashrc", ".bash_profile", ".bash_login", ".profile"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct place p = {.path = arena_printf(a, "%.*s/%s", STRF(directory), names[i])};
        if (exists(p.path, false)) {
            p.line = arena_printf(a, "complete -C %.*s " PROGRAM, STRF(program));
            avec_push(a, list, p);
            return;
        }
    }
}

static void zsh_add(struct arena *a, places *list, struct str directory, struct str program)
{
    struct place p = {.path = arena_printf(a, "%.*s/.zshrc", STRF(directory))};
    if (exists(p.path, false)) {
        p.line = arena_printf(a, "complete -o nospace -C %.*s " PROGRAM, STRF(program));
        p.setup = STR("autoload -U +X bashcompinit && bashcompinit");
        avec_push(a, list, p);
    }
}

static void fish_add(struct arena *a, places *list, struct str directory, struct str program)
{
    const char *variable = getenv("XDG_CONFIG_HOME");
    struct str config = variable != NULL && *variable != '\0'
                            ? arena_printf(a, "%s/fish", variable)
                            : arena_printf(a, "%.*s/.config/fish", STRF(directory));
    if (exists(config, true)) {
        struct place p = {
            .path = arena_printf(a, "%.*s/completions/" PROGRAM ".fish", STRF(config)),
            .line = arena_printf(a,
                                 "function __complete_" PROGRAM "\n"
                                 "    set -lx COMP_LINE (commandline -cp)\n"
                                 "    test -z (commandline -ct)\n"
                                 "    and set COMP_LINE \"$COMP_LINE \"\n"
                                 "    %.*s\n"
                                 "end\n"
                                 "complete -f -c " PROGRAM " -a \"(__complete_" PROGRAM ")\"\n",
                                 STRF(program)),
            .is_whole = true};
        avec_push(a, list, p);
    }
}

static places all_places(struct arena *a)
{
    places list = {0};
    struct str directory = home(a), program = own_path(a);
    bash_add(a, &list, directory, program);
    zsh_add(a, &list, directory, program);
    fish_add(a, &list, directory, program);
    return list;
}

/* --- files ----------------------------------------------------------------------------------- */

static bool has_line(struct str text, struct str line)
{
    struct str one;
    while (text.n > 0 && str_split_next(&text, '\n', &one)) {
        if (str_eq(one, line)) {
            return true;
        }
    }
    return false;
}

/* In place, so that a link to the file stays one. */
static int file_write(struct str path, struct str text, int flags, struct err *err)
{
    int fd = open(path.p, O_WRONLY | O_CLOEXEC | flags, 0666);
    if (fd < 0) {
        return failed(err, "open", path);
    }
    int rc = 0;
    while (text.n > 0 && rc == 0) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno != EINTR) {
            rc = failed(err, "write", path);
        }
        text = str_from(text, n > 0 ? (size_t)n : 0);
    }
    if (close(fd) < 0 && rc == 0) {
        rc = failed(err, "close", path);
    }
    return rc;
}

static int whole_install(struct arena *a, const struct place *p, struct err *err)
{
    struct str directory = arena_str(a, str_first(p->path, (size_t)str_rfind_byte(p->path, '/')));
    if (exists(p->path, false)) {
        return err_set(err, ERR_CONFLICT, "already installed at %.*s", STRF(p->path));
    }
    if (mkdir(directory.p, 0775) < 0 && errno != EEXIST) {
        return failed(err, "mkdir", directory);
    }
    return file_write(p->path, p->line, O_CREAT | O_TRUNC, err);
}

static int place_install(struct arena *a, const struct place *p, struct err *err)
{
    struct str text;
    if (p->is_whole) {
        return whole_install(a, p, err);
    }
    int rc = cli_file_read(a, p->path, &text, err);
    if (rc < 0) {
        return rc;
    }
    if (has_line(text, p->line)) {
        return err_set(err, ERR_CONFLICT, "already installed in %.*s", STRF(p->path));
    }
    bool needs_setup = p->setup.n > 0 && !has_line(text, p->setup);
    struct str more = arena_printf(a, "\n%.*s%s%.*s\n", STRF(needs_setup ? p->setup : STR("")),
                                   needs_setup ? "\n" : "", STRF(p->line));
    return file_write(p->path, more, O_APPEND, err);
}

static struct str without_line(struct arena *a, struct str text, struct str line)
{
    struct buf out = {0};
    struct str one;
    while (text.n > 0 && str_split_next(&text, '\n', &one)) {
        if (!str_eq(one, line)) {
            buf_str(&out, one);
            buf_byte(&out, '\n');
        }
    }
    struct str rest = arena_str(a, buf_view(&out));
    buf_deinit(&out);
    return rest;
}

static int place_uninstall(struct arena *a, const struct place *p, struct err *err)
{
    struct str text = STR("");
    if (p->is_whole && exists(p->path, false)) {
        return unlink(p->path.p) < 0 ? failed(err, "remove", p->path) : 0;
    }
    int rc = p->is_whole ? 0 : cli_file_read(a, p->path, &text, err);
    if (rc < 0) {
        return rc;
    }
    if (!has_line(text, p->line)) {
        return err_set(err, ERR_NOT_FOUND, "not installed in %.*s", STRF(p->path));
    }
    /* Should the machine stop while the file is half written, the copy has all of it. */
    struct str backup = arena_printf(a, "%.*s.bck", STRF(p->path));
    rc = file_write(backup, text, O_CREAT | O_TRUNC, err);
    if (rc == 0) {
        rc = file_write(p->path, without_line(a, text, p->line), O_TRUNC, err);
    }
    if (rc == 0) {
        (void)unlink(backup.p);
    }
    return rc;
}

/* One shell's failure does not keep the others from being done. */
static int each_place(const char *nothing,
                      int (*one)(struct arena *a, const struct place *p, struct err *err),
                      struct err *err)
{
    struct arena a = {0};
    places list = all_places(&a);
    VEC(struct str) errors = {0};
    for (size_t i = 0; i < list.n; i++) {
        struct err e = {0};
        if (one(&a, &list.v[i], &e) < 0) {
            avec_push(&a, &errors, arena_str(&a, str_from_cstr(err_text(&e))));
        }
    }
    int rc = 0;
    if (list.n == 0) {
        rc = err_set(err, ERR_NOT_FOUND, "%s", nothing);
    } else if (errors.n > 0) {
        rc = err_set(err, ERR_FAILED, "%.*s", STRF(errors_text(&a, errors.v, errors.n)));
    }
    arena_deinit(&a);
    return rc;
}

int complete_install(struct err *err)
{
    return each_place("Did not find any shells to install", place_install, err);
}

int complete_uninstall(struct err *err)
{
    return each_place("Did not find any shells to uninstall", place_uninstall, err);
}
