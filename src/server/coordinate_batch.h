/* coordinate_batch.h - coordinates of nodes on their way into the log.
 *
 * Agents send theirs every few seconds; one log entry each would be a waste. Updates are collected
 * for options.coordinate_update_period_ms, only the latest of a node and segment is kept, and they
 * are written in batches. What is over the limit of a period is dropped: the next update mends it.
 *
 * Owned by the server; lives on its main loop. */
#pragma once
#include "schema/coordinate.h"

struct coordinate_batch;
struct server;

struct coordinate_batch *coordinate_batch_new(struct server *s);
/* After the loops have ended. */
struct coordinate_batch *coordinate_batch_free(struct coordinate_batch *b);

/* Any worker's thread; copies what it is given. */
void coordinate_batch_add(struct coordinate_batch *b, const struct node_coordinate *update);
