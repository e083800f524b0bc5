/* members.h - what follows from the members on every server, whether it leads or not: log lines,
 * forming a cluster, figures.
 *
 * On the main loop. */
#pragma once

struct serf_user_event;
struct server;
struct server_members;

struct server_members *server_members_new(struct server *s); /* listens */
void server_members_stop(struct server_members *m);
struct server_members *server_members_free(struct server_members *m);

/* What Consul says of a user event it hears; on clients too. */
void members_log_user_event(const char *module, const struct serf_user_event *event);
