/* broadcast.h - messages on their way to everybody: each goes out a limited number of times, as
 * many as fit into a packet: those sent least often first, the largest that fits among them, the
 * newest among equals.
 *
 *     broadcast_queue_put(q, name, message, NULL, NULL);  // replaces what waits under this name
 *     n = broadcast_queue_take(q, limit, overhead, room, put, data);
 *
 * memberlist's TransmitLimitedQueue. Insertion, replacement and taking cost O(log n). A message is
 * copied in. Pure. */
#pragma once
#include "base/str.h"

struct broadcast_queue;

struct broadcast_queue *broadcast_queue_new(void);
struct broadcast_queue *broadcast_queue_free(struct broadcast_queue *q); /* without a done() */
/* name: what it is about (a member's name): an older one of the same name is dropped. Empty: never
 * replaced. done may be NULL: called when it was sent as often as it should be, or dropped. */
void broadcast_queue_put(struct broadcast_queue *q, struct str name, struct str message,
                         void (*done)(void *data), void *data);
/* Offer messages until none fits into what is left of `room` (each costs its size + overhead), each
 * once; how many there were. Each is sent at most `limit` times in all. put() borrows the message,
 * and must leave the queue alone, as must done(). */
size_t broadcast_queue_take(struct broadcast_queue *q, uint32_t limit, size_t overhead, size_t room,
                            void (*put)(void *data, struct str message), void *data);
size_t broadcast_queue_count(const struct broadcast_queue *q);
/* Drop those sent most often, of these the smallest and oldest first, until at most `count` are
 * left. */
void broadcast_queue_prune(struct broadcast_queue *q, size_t count);
