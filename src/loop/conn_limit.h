/* conn_limit.h - how many connections each client address has open, over all loops of a front end.
 *
 *     if (!conn_limit_add(l, ip, max)) { refuse; }       // ip: address_ip(), bytes of any kind
 *     ... when the connection is closed: conn_limit_remove(l, ip);
 *
 * Any thread; a lock is held for a look-up when a connection opens and when it closes. An address
 * is kept only while it has connections. */
#pragma once
#include "base/str.h"

struct conn_limit;

struct conn_limit *conn_limit_new(void);
struct conn_limit *conn_limit_free(struct conn_limit *l);
/* False when there are `max` already; max 0 is no limit. */
bool conn_limit_add(struct conn_limit *l, struct str ip, uint32_t max);
void conn_limit_remove(struct conn_limit *l, struct str ip);
