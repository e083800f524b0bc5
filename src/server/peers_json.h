/* peers_json.h - <data-dir>/raft/peers.json: the servers that shall vote from now on, given by an
 * operator after a majority was lost for good.
 *
 *     rc = peers_json_load(dir, protocol, &configuration, &err);     1: there is one
 *     ... raft_options.recover = &configuration; raft_start() ...
 *     rc = peers_json_used(dir, &err);                               it is deleted
 *
 * Beside it lies peers.info, which explains it. Where that is missing (the data directory is new,
 * or from before version 0.7 of Consul) a peers.json that lies there is not meant for this, and is
 * deleted. Formats: Consul's outage recovery documentation. */
#pragma once
#include "raft/configuration.h"

#define PEERS_JSON_SIZE_MAX (1024u * 1024u)

/* dir: <data-dir>/raft, which exists. protocol: of Raft; below 3 the file is a list of addresses.
 * 0: nothing to recover from; 1: *ret_configuration is set. */
NODISCARD int peers_json_load(struct str dir, int64_t protocol,
                              struct raft_configuration *ret_configuration, struct err *err);
NODISCARD int peers_json_used(struct str dir, struct err *err);

/* The text alone. */
NODISCARD int peers_json_parse(struct str text, int64_t protocol,
                               struct raft_configuration *ret_configuration, struct err *err);
