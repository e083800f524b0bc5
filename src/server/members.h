/* members.h - what follows from the members on every server, whether it leads or not: log lines,
 * forming a cluster, figures; and the pool a server has.
 *
 * On the main loop. */
#pragma once
#include "schema/member.h"

struct arena;
struct membership;
struct server;
struct server_members;
struct server_options;

/* The pool this server takes part in. */
struct membership *server_membership_new(struct server *s);
/* This server as a member, copied into the arena; made of the other options when none is given. */
struct member server_self_member(const struct server_options *o, struct arena *a);

struct server_members *server_members_new(struct server *s); /* listens */
/* Raft knows another leader, or none. */
void server_members_leader_known(struct server_members *m);
void server_members_stop(struct server_members *m);
struct server_members *server_members_free(struct server_members *m);
