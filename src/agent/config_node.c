/* The data directory and the node's id in it. */
#include "agent/config.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE_MAX 4096u
#define ID_FILE_SIZE_MAX 256u

static int path_error(struct err *err, const char *what, const char *path, int errnum)
{
    return err_set(err, errnum > 0 ? errnum : EIO, "%s %s: %s", what, path, err_code_text(errnum));
}

/* mkdir -p */
static int dirs_make(const char *path, struct err *err)
{
    char z[PATH_SIZE_MAX];
    size_t n = strlen(path);
    if (n >= sizeof(z)) {
        return err_set(err, ERR_TOO_LARGE, "data_dir is longer than %u bytes", PATH_SIZE_MAX);
    }
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(z, path, i);
        z[i] = '\0';
        if (mkdir(z, 0755) != 0 && errno != EEXIST) {
            return path_error(err, "mkdir", z, errno);
        }
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return path_error(err, "mkdir", path, ENOTDIR);
    }
    return 0;
}

static int data_path(const struct agent_config *config, const char *name, char *to, size_t size,
                     struct err *err)
{
    int n =
        snprintf(to, size, "%.*s%s%s", STRF(config->data_dir), name[0] != '\0' ? "/" : "", name);
    return n > 0 && (size_t)n < size
               ? 0
               : err_set(err, ERR_TOO_LARGE, "data_dir is longer than %u bytes", PATH_SIZE_MAX);
}

int config_setup_data_dir(const struct agent_config *config, struct err *err)
{
    char path[PATH_SIZE_MAX];
    if (config->data_dir.n == 0) {
        return 0;
    }
    int rc = data_path(config, "", path, sizeof(path), err);
    return rc < 0 ? rc : dirs_make(path, err);
}

static bool file_first_line(const char *path, char *to, size_t size)
{
    FILE *file = fopen(path, "re");
    bool ok = file != NULL && fgets(to, (int)size, file) != NULL;
    if (file != NULL) {
        (void)fclose(file);
    }
    return ok;
}

/* The text that names this machine for good: what its firmware says, else systemd's id, else the id
 * of this boot. */
static struct str host_id(char *text, size_t size)
{
    static const char *const paths[] = {"/sys/class/dmi/id/product_uuid", "/etc/machine-id",
                                        "/proc/sys/kernel/random/boot_id"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        if (file_first_line(paths[i], text, size)) {
            for (char *p = text; *p != '\0'; p++) {
                *p = (char)tolower((unsigned char)*p);
            }
            struct str id = str_trim(str_from_cstr(text));
            if (id.n > 0) {
                return id;
            }
        }
    }
    return STR("");
}

static void id_make(bool use_host, char ret_id[CONFIG_NODE_ID_SIZE])
{
    char text[128];
    struct str host = use_host ? host_id(text, sizeof(text)) : STR("");
    if (host.n == 0) {
        uuid_generate(ret_id);
    } else { /* hashed: machines of one batch often have similar ids */
        uint8_t digest[SHA512_DIGEST_LENGTH];
        (void)SHA512((const uint8_t *)host.p, host.n, digest);
        uuid_format(digest, ret_id);
    }
    ret_id[UUID_TEXT_SIZE] = '\0';
}

static bool id_take(struct str text, char ret_id[CONFIG_NODE_ID_SIZE])
{
    text = str_trim(text);
    if (!uuid_is_valid(text)) {
        return false;
    }
    for (size_t i = 0; i < UUID_TEXT_SIZE; i++) {
        ret_id[i] = (char)tolower((unsigned char)text.p[i]);
    }
    ret_id[UUID_TEXT_SIZE] = '\0';
    return true;
}

static int id_write(const char *path, const char *id, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return path_error(err, "failed to write NodeID to disk: open", path, errno);
    }
    ssize_t n = write(fd, id, UUID_TEXT_SIZE);
    int errnum = n == (ssize_t)UUID_TEXT_SIZE ? 0 : n < 0 ? errno : ENOSPC;
    if (close(fd) != 0 && errnum == 0) {
        errnum = errno;
    }
    return errnum == 0 ? 0 : path_error(err, "failed to write NodeID to disk: write", path, errnum);
}

int config_setup_node_id(const struct agent_config *config, char ret_id[CONFIG_NODE_ID_SIZE],
                         struct err *err)
{
    char path[PATH_SIZE_MAX], text[ID_FILE_SIZE_MAX], id[CONFIG_NODE_ID_SIZE];
    struct stat st;
    if (config->node_id.n > 0) {
        return id_take(config->node_id, ret_id)
                   ? 0
                   : err_set(err, ERR_INVALID,
                             "failed to setup node ID: specified NodeID is invalid: uuid "
                             "string is wrong length");
    }
    if (config->data_dir.n == 0) {
        id_make(!config->disable_host_node_id, ret_id);
        return 0;
    }
    int rc = data_path(config, "node-id", path, sizeof(path), err);
    if (rc < 0) {
        return rc;
    }
    if (stat(path, &st) == 0) {
        text[0] = '\0';
        if (!file_first_line(path, text, sizeof(text)) && st.st_size > 0) {
            return path_error(err, "open", path, errno);
        }
        return id_take(str_from_cstr(text), ret_id)
                   ? 0
                   : err_set(err, ERR_INVALID,
                             "NodeID in %s is invalid: uuid string is wrong length", path);
    }
    if ((rc = config_setup_data_dir(config, err)) < 0) {
        return rc;
    }
    id_make(!config->disable_host_node_id, id);
    rc = id_write(path, id, err);
    if (rc == 0) {
        memcpy(ret_id, id, sizeof(id));
    }
    return rc;
}
