/* configuration.h - which servers vote together: the value, its rules, its bytes.
 *
 * Pure. A value without pointers, so that it is copied by assignment and kept in histories. The
 * bytes are those of HashiCorp Raft's LogConfiguration entries and snapshot metadata: msgpack of
 * {"Servers": [{"Address", "ID", "Suffrage"}]}. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define RAFT_SERVERS_MAX 32u
#define RAFT_NAME_SIZE_MAX 127u /* of an id, of an address */

enum raft_suffrage { RAFT_VOTER, RAFT_NONVOTER, RAFT_STAGING }; /* numbers are in the log */

struct raft_server {
    enum raft_suffrage suffrage;
    char id[RAFT_NAME_SIZE_MAX + 1];
    char address[RAFT_NAME_SIZE_MAX + 1]; /* host:port */
};

struct raft_configuration {
    uint32_t count; /* 0: none is known yet */
    struct raft_server servers[RAFT_SERVERS_MAX];
};

enum raft_change {
    RAFT_ADD_VOTER,
    RAFT_ADD_NONVOTER,
    RAFT_DEMOTE_VOTER,
    RAFT_REMOVE_SERVER,
};

/* -ERR_TOO_LARGE for a name over the maximum or a server too many. */
NODISCARD int raft_configuration_add(struct raft_configuration *c, enum raft_suffrage suffrage,
                                     struct str id, struct str address, struct err *err);
const struct raft_server *raft_configuration_find(const struct raft_configuration *c,
                                                  struct str id);
bool raft_configuration_is_voter(const struct raft_configuration *c, struct str id);
uint32_t raft_configuration_voters(const struct raft_configuration *c);
bool raft_configuration_eq(const struct raft_configuration *a, const struct raft_configuration *b);
/* No empty or repeated id or address, at least one voter. */
NODISCARD int raft_configuration_check(const struct raft_configuration *c, struct err *err);
/* What a change makes of a configuration; checked. An added server that is there already keeps or
 * gains its vote and takes the new address; demoting or removing one that is not there changes
 * nothing. */
NODISCARD int raft_configuration_change(const struct raft_configuration *from,
                                        enum raft_change change, struct str id, struct str address,
                                        struct raft_configuration *ret, struct err *err);

void raft_configuration_encode(const struct raft_configuration *c, struct buf *to);
NODISCARD int raft_configuration_decode(struct str bytes, struct raft_configuration *ret,
                                        struct err *err);
