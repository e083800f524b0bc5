/* dns_rdata.h - where the names stand in a record's data, by type; for the two halves of the codec.
 *
 * Only the types whose names a sender may compress (RFC 3597 section 4, and SRV, which some do
 * compress) are here; the data of all others is taken as it is. */
#pragma once
#include "proto/dns.h"

struct dns_rdata {
    uint16_t type;
    uint8_t before, names, after; /* bytes, names, bytes */
    bool compress;                /* we may compress them when writing */
};

/* NULL: no names in it. */
const struct dns_rdata *dns_rdata_find(uint16_t type);
