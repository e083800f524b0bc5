/* address.h - which address of a node or a service is given out (Consul's translate_addr.go).
 *
 * A tagged address of a family that is accepted goes before the plain one, IPv6 before IPv4;
 * towards another data center (`wan`) the wan ones do. */
#pragma once
#include "base/str.h"

struct node;
struct node_service;

enum { ADDRESS_ACCEPT_V4 = 1u << 0, ADDRESS_ACCEPT_V6 = 1u << 1 };
#define ADDRESS_ACCEPT_ANY (ADDRESS_ACCEPT_V4 | ADDRESS_ACCEPT_V6)

struct str address_of_node(const struct node *node, unsigned accept, bool wan);
struct str address_of_service(const struct node_service *service, unsigned accept, bool wan);
int64_t address_port_of_service(const struct node_service *service, bool wan);
