/* members.h - what follows from the members on every server, whether it leads or not: log lines,
 * forming a cluster, figures.
 *
 * On the main loop. */
#pragma once

struct server;
struct server_members;

struct server_members *server_members_new(struct server *s); /* listens */
void server_members_stop(struct server_members *m);
struct server_members *server_members_free(struct server_members *m);
