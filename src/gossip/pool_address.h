/* pool_address.h - addresses as gossip has them on the wire, and as sockets have them. */
#pragma once
#include "loop/address.h"
#include "proto/memberlist.h"

/* An IPv4 address mapped into IPv6 as IPv4. What is no IP address has size 0. */
struct gossip_address gossip_address_from(const struct address *a);
/* family: of the socket it is for, AF_INET6 for one that serves both; AF_UNSPEC: as it is. False:
 * that socket cannot reach it. */
NODISCARD bool gossip_address_to(const struct gossip_address *from, int family,
                                 struct address *ret);
/* "127.0.0.1", of any size of text; false: it is none. */
NODISCARD bool gossip_address_parse(struct str ip, uint16_t port, struct gossip_address *ret);
