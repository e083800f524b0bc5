#include "cli/tls_files.h"

#include "base/arena.h"
#include "base/err.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/transport.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Of directories within -ca-path. */
#define DEPTH_MAX 16u

static bool has_pem(struct str text, const char *label)
{
    return str_contains(text, str_from_cstr(label));
}

static int check_pair(struct arena *a, const struct client_config *config, struct err *err)
{
    struct str cert, key;
    if (config->cert_file.n == 0) {
        return 0;
    }
    if (cli_file_read(a, config->cert_file, &cert, err) < 0 ||
        cli_file_read(a, config->key_file, &key, err) < 0) {
        return -ERR_INVALID;
    }
    bool cert_is_fine = has_pem(cert, "-----BEGIN ");
    if (!cert_is_fine || !has_pem(key, "-----BEGIN ")) {
        return err_set(err, ERR_INVALID, "tls: failed to find any PEM data in %s input",
                       cert_is_fine ? "key" : "certificate");
    }
    return 0;
}

static int check_authorities(struct str text, const char *what, struct str path, struct err *err)
{
    return has_pem(text, "-----BEGIN CERTIFICATE-----")
               ? 0
               : err_set(err, ERR_INVALID, "Error loading CA %s: Couldn't parse PEM in: %.*s", what,
                         STRF(path));
}

static int path_failed(const char *what, struct str path, struct err *err)
{
    const char *text = err_code_text(errno);
    return err_set(err, ERR_INVALID, "%s %.*s: %s", what, STRF(path), text);
}

/* path: ends in a NUL */
static int check_tree(struct arena *a, struct str path, unsigned depth, struct err *err)
{
    struct stat st;
    if (lstat(path.p, &st) < 0) {
        return path_failed("lstat", path, err);
    }
    if (!S_ISDIR(st.st_mode)) {
        struct str text;
        if (cli_file_read(a, path, &text, err) < 0) {
            return err_wrap(err, "Error loading file from CAPath");
        }
        return check_authorities(text, "Path", path, err);
    }
    if (depth == DEPTH_MAX) {
        return err_set(err, ERR_INVALID, "%.*s is nested too deeply", STRF(path));
    }
    struct dirent **entries = NULL;
    int count = scandir(path.p, &entries, NULL, alphasort);
    int rc = count < 0 ? path_failed("open", path, err) : 0;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (rc == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            rc = check_tree(a, arena_printf(a, "%.*s/%s", STRF(path), name), depth + 1, err);
        }
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int tls_files_check(struct arena *a, const struct client_config *config, struct err *err)
{
    int rc = check_pair(a, config, err);
    if (rc < 0) {
        return rc;
    }
    if (config->ca_file.n > 0) {
        struct str text;
        if (cli_file_read(a, config->ca_file, &text, err) < 0) {
            return err_wrap(err, "Error loading CA File");
        }
        return check_authorities(text, "File", config->ca_file, err);
    }
    return config->ca_path.n > 0 ? check_tree(a, arena_str(a, config->ca_path), 0, err) : 0;
}
