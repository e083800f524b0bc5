/* ca_manager.h - the leader's care for Connect's certificate authority.
 *
 * When leadership begins, what is missing of it is made and written through the log: the
 * configuration (from the agent's), the built-in provider's key and root certificate, the table of
 * trusted roots. Each step looks at the tables and writes the first thing that is missing, so it
 * may be broken off anywhere and goes on under the next leader.
 *
 * On the server's main loop; writes go out as calls, nothing waits. */
#pragma once

struct ca_manager;
struct server;

struct ca_manager *ca_manager_new(struct server *s);
struct ca_manager *ca_manager_free(struct ca_manager *m); /* stopped */
/* Leadership gained. done, once, possibly before this returns: there is nothing left to make, or it
 * has failed for now and will be tried again; never after ca_manager_stop(). */
void ca_manager_start(struct ca_manager *m, void (*done)(void *data), void *data);
void ca_manager_stop(struct ca_manager *m); /* and lost */
