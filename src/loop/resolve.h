/* resolve.h - the addresses of a host's name, by the system's resolver, without blocking the loop.
 *
 *     resolve_start(loop, &r, STR("consul-1.local"), 8300);  ... r.done(&r): r.addresses, r.count
 *
 * A numeric host needs no lookup and is answered as well, in a later turn. On the loop's thread. */
#pragma once
#include "base/err.h"
#include "loop/address.h"

struct loop;

#define RESOLVE_ADDRESSES_MAX 16u

struct resolve {
    void (*done)(struct resolve *r); /* once, unless canceled */
    struct err err;                  /* "lookup nowhere: ..." */
    struct address addresses[RESOLVE_ADDRESSES_MAX];
    size_t count;
    uint16_t port;
    void *state; /* resolve.c's; NULL when nothing is under way */
};

void resolve_start(struct loop *l, struct resolve *r, struct str host, uint16_t port);
void resolve_cancel(struct resolve *r); /* done will not be called */
