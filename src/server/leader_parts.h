/* leader_parts.h - the leader's duties, a file each, for leader.c alone. All on the main loop,
 * between start and stop; what comes outside of that changes nothing. */
#pragma once
#include "server/membership.h"

struct acl_replication_status;
struct leader_acl;
struct leader_acl_replication;
struct leader_federation;
struct leader_reconcile;
struct leader_replication;
struct leader_sessions;
struct leader_tombstones;
struct server;

/* Sessions' TTLs. start: every session with one starts its time anew. */
struct leader_sessions *leader_sessions_new(struct server *s);
struct leader_sessions *leader_sessions_free(struct leader_sessions *l);
void leader_sessions_start(struct leader_sessions *l);
void leader_sessions_stop(struct leader_sessions *l);
void leader_sessions_touch(struct leader_sessions *l, struct str id, uint64_t ttl_ms);
void leader_sessions_forget(struct leader_sessions *l, struct str id);

/* Tombstones, reaped when they are old enough. */
struct leader_tombstones *leader_tombstones_new(struct server *s);
struct leader_tombstones *leader_tombstones_free(struct leader_tombstones *l);
void leader_tombstones_start(struct leader_tombstones *l);
void leader_tombstones_stop(struct leader_tombstones *l);
void leader_tombstones_add(struct leader_tombstones *l, uint64_t raft_index);

/* The catalog's and Raft's agreement with the members: now, every RECONCILE_INTERVAL_MS, and after
 * each of their events. Once this server's own entry is in the catalog, server->is_established. */
#define RECONCILE_INTERVAL_MS 60000u
struct leader_reconcile *leader_reconcile_new(struct server *s);
struct leader_reconcile *leader_reconcile_free(struct leader_reconcile *l);
void leader_reconcile_start(struct leader_reconcile *l);
void leader_reconcile_stop(struct leader_reconcile *l);
void leader_reconcile_event(struct leader_reconcile *l, enum membership_event event,
                            const struct member *member);

/* Built-in policies and tokens, accessors of legacy tokens, expired tokens. start: what has to be
 * there comes into the log before whatever is asked for after it. */
struct leader_acl *leader_acl_new(struct server *s);
struct leader_acl *leader_acl_free(struct leader_acl *l);
void leader_acl_start(struct leader_acl *l);
void leader_acl_stop(struct leader_acl *l);
void leader_acl_legacy_token(struct leader_acl *l); /* one has come */
/* Copies of what the primary data center has; in the primary itself there is nothing to do. */
struct leader_replication *leader_replication_new(struct server *s);
struct leader_replication *leader_replication_free(struct leader_replication *l);
void leader_replication_start(struct leader_replication *l);
void leader_replication_stop(struct leader_replication *l);

/* This data center's federation state follows its mesh gateways; in the primary, those of data
 * centers that are gone are removed, each FEDERATION_PRUNE_MS. */
#define FEDERATION_PRUNE_MS 3600000u
struct leader_federation *leader_federation_new(struct server *s);
struct leader_federation *leader_federation_free(struct leader_federation *l);
void leader_federation_start(struct leader_federation *l);
void leader_federation_stop(struct leader_federation *l);

/* Policies, roles and tokens, copied from the primary data center; nothing happens in that. */
struct leader_acl_replication *leader_acl_replication_new(struct server *s);
struct leader_acl_replication *leader_acl_replication_free(struct leader_acl_replication *l);
void leader_acl_replication_start(struct leader_acl_replication *l);
void leader_acl_replication_stop(struct leader_acl_replication *l);
/* Points to the server's own strings. */
void leader_acl_replication_status(const struct leader_acl_replication *l,
                                   struct acl_replication_status *ret);
