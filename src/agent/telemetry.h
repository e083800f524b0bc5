/* telemetry.h - what becomes of the metrics (base/metrics.h): their names and filter, the end of
 * their intervals, the figures of the process among them, and the sinks they are sent to.
 *
 *     t = telemetry_new(config, loop, server);      // before the loop runs
 *     telemetry_config_changed(t, config);          // a reload: the prefix filter
 *     telemetry_stop(t); ... loop_free(loop) ...; telemetry_free(t)
 *
 * Owned by the main loop; all of it runs there. Once a second it looks at the process and the
 * server (about 10 µs); with a sink, ten times a second at what the metrics got since (base/
 * metrics.h: about 1 µs for each hundred of them). */
#pragma once

struct agent_config;
struct loop;
struct server;
struct telemetry;

#define TELEMETRY_FLUSH_MS 100u
#define TELEMETRY_SAMPLE_MS 1000u

struct telemetry *telemetry_new(const struct agent_config *config, struct loop *l,
                                struct server *server);
void telemetry_config_changed(struct telemetry *t, const struct agent_config *config);
/* What SIGUSR1 asks for: the finished intervals, on standard error. */
void telemetry_dump(const struct telemetry *t);
void telemetry_stop(struct telemetry *t);
struct telemetry *telemetry_free(struct telemetry *t); /* after the loop has ended */
