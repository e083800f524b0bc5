#include "agent/gossip_keys.h"

#include "agent/config.h"
#include "base/arena.h"
#include "base/log.h"
#include "gossip/key_file.h"
#include "proto/seal.h"

#include <errno.h>

static int without_file(const struct agent_config *config, struct gossip_keys *keys,
                        struct err *err)
{
    if (config->encrypt.n == 0) {
        return 0;
    }
    return gossip_keys_ring((struct strlist){&config->encrypt, 1}, &keys->ring, err);
}

static int file_create(const struct agent_config *config, struct str path, struct arena *a,
                       struct strlist *ret_keys, struct err *err)
{
    struct str key;
    int rc = gossip_key_decode(config->encrypt, a, &key, err);
    if (rc < 0) {
        return err_wrap(err, "Invalid key");
    }
    *ret_keys = (struct strlist){&config->encrypt, 1};
    return key_file_create(path, config->encrypt, err);
}

static bool ring_has(const struct seal_ring *ring, struct str text, struct arena *a)
{
    struct str key;
    struct err err = {0};
    return gossip_key_decode(text, a, &key, &err) >= 0 && seal_ring_has(ring, key);
}

static int with_file(const struct agent_config *config, const char *name, const char *pool,
                     struct arena *a, struct gossip_keys *keys, struct err *err)
{
    struct str path = arena_printf(a, "%.*s/serf/%s", STRF(config->data_dir), name);
    struct strlist list;
    int rc = key_file_read(path, a, &list, err);
    bool existed = rc >= 0;
    if (rc == -ENOENT) {
        err_clear(err);
        if (config->encrypt.n == 0) {
            return 0;
        }
        rc = file_create(config, path, a, &list, err);
    }
    if (rc >= 0 && list.n == 0) {
        rc = err_set(err, ERR_INVALID, "no keys present in keyring: %.*s", STRF(path));
    }
    rc = rc < 0 ? rc : gossip_keys_ring(list, &keys->ring, err);
    if (rc < 0) {
        return rc;
    }
    keys->path = path;
    if (existed && config->encrypt.n > 0 && !ring_has(keys->ring, config->encrypt, a)) {
        log_write(LOG_WARN, "agent",
                  " keyring doesn't include key provided with -encrypt, using keyring",
                  LOG_CSTR("keyring", pool));
    }
    return 0;
}

static int setup(const struct agent_config *config, bool is_wan, struct arena *a,
                 struct gossip_keys *keys, struct err *err)
{
    if (config->disable_keyring_file || config->data_dir.n == 0) {
        return without_file(config, keys, err);
    }
    return is_wan ? with_file(config, "remote.keyring", "WAN", a, keys, err)
                  : with_file(config, "local.keyring", "LAN", a, keys, err);
}

int gossip_keys_setup(const struct agent_config *config, bool has_wan, struct arena *a,
                      struct gossip_keys *ret_lan, struct gossip_keys *ret_wan, struct err *err)
{
    struct gossip_keys lan = {0}, wan = {0};
    int rc = setup(config, false, a, &lan, err);
    rc = rc < 0 || !has_wan ? rc : setup(config, true, a, &wan, err);
    if (rc < 0) {
        (void)seal_ring_free(lan.ring);
        return err_wrap(err, "Failed to configure keyring");
    }
    *ret_lan = lan;
    *ret_wan = wan;
    return 0;
}
