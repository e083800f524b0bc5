/* flood.h - whoever is a server of this data center shall be in the WAN pool, too: servers that are
 * only in the LAN pool are joined to it, each minute and when a new one has come.
 *
 * It starts and stops the WAN pool. Nothing is done where there is none. On the main loop. */
#pragma once

struct flood;
struct server;

#define FLOOD_INTERVAL_MS 60000u

struct flood *flood_new(struct server *s); /* listens */
void flood_start(struct flood *f);
void flood_stop(struct flood *f);
struct flood *flood_free(struct flood *f);
