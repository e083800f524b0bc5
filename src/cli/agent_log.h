/* agent_log.h - where the agent's log goes: standard output, a rotated file, syslog.
 *
 * Files are named as Consul names them: NAME-<nanoseconds>.EXT beside log_file; a new one is begun
 * when the current one is full or old, and the oldest go when there are more than
 * log_rotate_max_files. */
#pragma once
#include "base/err.h"
#include "base/log.h"

struct config_log;
struct agent_log;

NODISCARD int agent_log_open(const struct config_log *options, struct agent_log **ret_log,
                             struct err *err);
void agent_log_set_level(struct agent_log *l, enum log_level level);
struct agent_log *agent_log_close(struct agent_log *l);
