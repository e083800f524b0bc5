/* server.h - the DNS front end of one worker: its sockets, its connections, the questions that
 * wait.
 *
 *     settings = dns_settings_new(config, &err);                  // NULL: err says why
 *     dns = dns_server_new(worker, settings);                     // takes the settings
 *     r = dns_server_listen(dns, &address, is_first, &err);       // UDP and TCP
 *     ... dns_server_configure(dns, new_settings) ... dns_server_stop(dns) ... on its thread
 *     dns_server_free(dns);                                       // the loop was freed
 *
 * Every worker has sockets of its own on each address (SO_REUSEPORT): a question is answered by the
 * thread that read it, in the same turn, from the published view of the store. What has to wait (a
 * recursor, another data center, the leader) is parked with a copy of its bytes, and answered anew
 * when all it needs is there. docs/dns.md says what is answered, README.md how. */
#pragma once
#include "base/str.h"

struct address;
struct agent_config;
struct dns_server;
struct dns_settings;
struct err;
struct worker;

/* What the front end needs of a configuration, checked; any thread may make one. NULL on failure.
 */
struct dns_settings *dns_settings_new(const struct agent_config *config, struct err *err);
struct dns_settings *dns_settings_free(struct dns_settings *settings);

struct dns_server *dns_server_new(struct worker *w, struct dns_settings *take_settings);
struct dns_server *dns_server_free(struct dns_server *s); /* stopped, its loop gone */
/* first: the first worker on this address makes sure that nobody else is there. */
NODISCARD int dns_server_listen(struct dns_server *s, const struct address *address, bool first,
                                struct err *err);
/* On the server's thread. */
void dns_server_configure(struct dns_server *s, struct dns_settings *take_settings);
void dns_server_stop(struct dns_server *s);
