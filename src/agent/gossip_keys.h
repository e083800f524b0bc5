/* gossip_keys.h - which keys this agent's pools start with: the configured one, and those of its
 * key files (gossip/key_file.h), which win once they are there.
 *
 *     rc = gossip_keys_setup(config, has_wan, &lan, &wan, &err);   // before the pools are made
 *
 * serf/local.keyring and serf/remote.keyring in the data directory are made from `encrypt` the
 * first time; with disable_keyring_file they are neither read nor made. Blocks for the disk. */
#pragma once
#include "base/err.h"

struct agent_config;
struct arena;
struct seal_ring;

struct gossip_keys {
    struct seal_ring *ring; /* the caller's; NULL: no encryption */
    struct str path;        /* where changes are kept; "": nowhere */
};

/* Paths are the arena's. On failure nothing is the caller's. */
NODISCARD int gossip_keys_setup(const struct agent_config *config, bool has_wan, struct arena *a,
                                struct gossip_keys *ret_lan, struct gossip_keys *ret_wan,
                                struct err *err);
