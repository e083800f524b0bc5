/* load.h - services, checks and metadata from the configuration and from the data directory: at the
 * start, and again at a reload. Definitions in the configuration win over what was kept. Main loop
 * only. */
#pragma once
#include "agent/state.h"

/* snapshot: the states to give to the checks that it knows of (a reload's); may be NULL. */
NODISCARD int load_services(struct agent *a, const struct agent_config *config,
                            const struct map *snapshot, struct err *err);
NODISCARD int load_checks(struct agent *a, const struct agent_config *config,
                          const struct map *snapshot, struct err *err);
void load_metadata(struct agent *a, const struct agent_config *config);
/* Everything goes, the files stay. */
void unload_all(struct agent *a);
