#include "cli/client.h"
#include "cli/command.h"
#include "cli/transport.h"

#include "fsm/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags}};

/* The one FILE argument; NULL after an error has been told. */
static const char *file_argument(const struct cli_args *args)
{
    if (args->argc == 0) {
        (void)cli_error("Missing FILE argument");
        return NULL;
    }
    if (args->argc > 1) {
        (void)cli_error("Too many arguments (expected 1, got %d)", args->argc);
        return NULL;
    }
    return args->argv[0];
}

/* --- save ------------------------------------------------------------------------------------ */

struct save {
    int fd;
    int problem; /* errno of a write */
};

static int save_write(void *data, struct str bytes)
{
    struct save *s = data;
    while (bytes.n > 0) {
        ssize_t n = write(s->fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR) {
            s->problem = errno;
            return -1;
        }
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static int told(const char *what, const char *path, int errnum)
{
    const char *text = err_code_text(errnum);
    return cli_error("%s: open %s: %s", what, path, text);
}

/* Whether what is on disk is a whole archive. */
static int file_verify(const char *path)
{
    struct archive_reader *r = archive_reader_new(NULL, NULL);
    struct err err = {0};
    struct str meta;
    static char bytes[ARCHIVE_CHUNK_SIZE];
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        archive_reader_free(r);
        return told("Error opening snapshot file for verify", path, errno);
    }
    ssize_t n = 1;
    while (rc == 0 && n != 0) {
        n = read(fd, bytes, sizeof(bytes));
        if (n > 0) {
            rc = archive_reader_feed(r, str_make(bytes, (size_t)n), &err);
        } else if (n < 0 && errno != EINTR) {
            rc = err_from_errno(&err, errno, "read");
        }
    }
    if (rc == 0) {
        rc = archive_reader_finish(r, &meta, &err);
    }
    (void)close(fd);
    archive_reader_free(r);
    return rc < 0 ? cli_error("Error verifying snapshot file: %s", err_text(&err)) : 0;
}

/* Fetch into `path`; it is synced when this returns 0. */
static int save_fetch(struct client *c, const char *path, struct str *ret_index)
{
    struct save save = {.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    if (save.fd < 0) {
        return told("Error writing unverified snapshot file", path, errno);
    }
    client_request_init(&r, c, "GET", "/v1/snapshot");
    client_param_stale(&r);
    r.on_body = save_write;
    r.data = &save;
    int code = 0;
    if (client_send_ok(&r, &response, &err) < 0) {
        code = save.problem != 0
                   ? told("Error writing unverified snapshot file", path, save.problem)
                   : cli_error("Error saving snapshot: %s", err_text(&err));
    } else if (fsync(save.fd) < 0) {
        code = told("Error writing unverified snapshot file", path, errno);
    } else {
        *ret_index = client_response_header(&response, STR("X-Consul-Index"));
    }
    (void)close(save.fd);
    return code;
}

/* The name is in place for good once its directory is on disk. */
static void directory_sync(struct arena *a, const char *path)
{
    struct str file = str_from_cstr(path);
    ptrdiff_t slash = str_rfind_byte(file, '/');
    struct str directory = slash > 0 ? str_first(file, (size_t)slash) : STR(".");
    int fd = open(arena_str(a, directory).p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

static int snapshot_save(struct client *c, const char *path)
{
    struct arena *a = client_arena(c);
    const char *unverified = arena_printf(a, "%s.unverified", path).p;
    struct str index = STR_NULL;
    int code = save_fetch(c, unverified, &index);
    if (code == 0) {
        code = file_verify(unverified);
    }
    if (code == 0 && rename(unverified, path) < 0) {
        const char *text = err_code_text(errno);
        code = cli_error("Error renaming \"%s\" to \"%s\": rename %s %s: %s", unverified, path,
                         unverified, path, text);
    }
    if (code != 0) {
        (void)unlink(unverified);
        return code;
    }
    directory_sync(a, path);
    printf("Saved and verified snapshot to index %.*s\n", STRF(index.n > 0 ? index : STR("0")));
    return 0;
}

static int snapshot_save_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("snapshot save", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    const char *path = file_argument(&args);
    if (path == NULL) {
        return 1;
    }
    struct client *c = NULL;
    struct err err = {0};
    if (client_new(&c, &err) < 0) {
        return cli_error("Error connecting to Consul agent: %s", err_text(&err));
    }
    code = snapshot_save(c, path);
    client_free(c);
    return code;
}

/* --- restore --------------------------------------------------------------------------------- */

static int snapshot_restore(struct client *c, const char *path)
{
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    struct str archive;
    if (cli_file_read(client_arena(c), str_from_cstr(path), &archive, &err) < 0) {
        return cli_error("Error opening snapshot file: %s", err_text(&err));
    }
    client_request_init(&r, c, "PUT", "/v1/snapshot");
    client_body(&r, archive, STR("application/octet-stream"));
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error restoring snapshot: %s", err_text(&err));
    }
    puts("Restored snapshot");
    return 0;
}

static int snapshot_restore_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("snapshot restore", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    const char *path = file_argument(&args);
    if (path == NULL) {
        return 1;
    }
    struct client *c = NULL;
    struct err err = {0};
    if (client_new(&c, &err) < 0) {
        return cli_error("Error connecting to Consul agent: %s", err_text(&err));
    }
    code = snapshot_restore(c, path);
    client_free(c);
    return code;
}

const struct cli_command cli_snapshot_commands[] = {
    {.name = "snapshot",
     .synopsis = "Archives of the servers' state",
     .help = "  Archives of what the servers know: to keep, to look at, and to start again from."},
    {.name = "snapshot save",
     .synopsis = "Save the servers' state to an archive",
     .run = snapshot_save_run,
     .usage = "[options] FILE",
     .help =
         "  Fetches the state of the servers as of one moment, checks it, and writes it to FILE. "
         "With -stale\n  any server gives it, even when there is no leader."},
    {.name = "snapshot restore",
     .synopsis = "Put an archive in the place of the servers' state",
     .run = snapshot_restore_run,
     .usage = "[options] FILE",
     .help =
         "  Replaces the state of the servers by that of FILE. It is meant for recovery, into a "
         "cluster that\n  is otherwise healthy."},
};
const size_t cli_snapshot_commands_count = ARRAY_SIZE(cli_snapshot_commands);
