/* agent_front.h - the agent's interfaces, HTTP, DNS and a server's RPC: the sockets of every
 * worker. */
#pragma once
#include "base/err.h"

struct agent;
struct agent_config;
struct agent_front;
struct server;
struct tls_configurator;
struct worker;

/* Before the workers' loops run: opens every listener, so that a port in use is found at once. */
NODISCARD int agent_front_new(const struct agent_config *config, struct server *server,
                              struct agent *agent, struct tls_configurator *tls,
                              struct worker *workers, uint32_t workers_count,
                              struct agent_front **ret_front, struct err *err);
/* A reload: limits of connections, DNS settings. On the main loop; the configuration is valid until
 * the next call. */
void agent_front_config_changed(struct agent_front *f, const struct agent_config *config);
/* Tell every worker to close its listeners and connections, before its loop is stopped. */
void agent_front_stop(struct agent_front *f);
/* After the loops were freed. */
struct agent_front *agent_front_free(struct agent_front *f);
