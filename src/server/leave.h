/* leave.h - a server leaves the cluster for good: hands over leadership, tells the others, lets
 * requests drain, and waits until it is no part of Raft's configuration any more.
 *
 *     server_leave_start(server, done, me);     ... done(me): end the program
 *
 * A leader asks for another one in its place, and takes itself out of the configuration where that
 * fails; whoever leads then takes out the server that has left. A lone voter just goes: its cluster
 * is all its own. On the main loop; once. */
#pragma once

struct server;
struct server_leave;

/* How long it is waited for being taken out of Raft's configuration (Consul's). */
#define LEAVE_RAFT_GRACE_MS 5000u

void server_leave_start(struct server *s, void (*done)(void *data), void *data);
struct server_leave *server_leave_free(struct server_leave *l); /* stopped */
void server_leave_stop(struct server_leave *l); /* done will not be called; accepts NULL */
