/* services.h - what `services register` and `services deregister` share: service definitions in
 * configuration files. */
#pragma once
#include "base/arena.h"
#include "cli/command.h"

struct agent_config;

/* The configuration that the files named by the arguments make; its `services` are what counts.
 * Nonzero: the exit code, after the error has been told. Free with config_unref(). */
NODISCARD int services_from_files(const struct cli_args *args, struct arena *a,
                                  struct agent_config **ret_config);
