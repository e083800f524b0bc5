/* address.h - where a socket is: an IP address with a port, or a path.
 *
 *     struct address a;
 *     r = address_parse(&a, STR("127.0.0.1"), 8500, &err);      // IPv4, IPv6, [IPv6], unix:///path
 *     address_format(&a, &out);                                  // 127.0.0.1:8500, [::1]:8500,
 * /path
 *
 * No names are resolved here. A value, copied freely. */
#pragma once
#include <sys/socket.h>

#include "base/str.h"

struct buf;
struct err;

struct address {
    socklen_t size; /* of sa; 0: none */
    struct sockaddr_storage sa;
};

NODISCARD int address_parse(struct address *a, struct str text, uint16_t port, struct err *err);
/* "host:port", "[v6]:port" */
NODISCARD int address_parse_host_port(struct address *a, struct str text, struct err *err);
bool address_is_unix(const struct address *a);
uint16_t address_port(const struct address *a); /* 0 for a path */
void address_set_port(struct address *a, uint16_t port);
void address_format(const struct address *a, struct buf *to);
/* Only the IP: "127.0.0.1"; an IPv4 address mapped into IPv6 as IPv4. "@" for a path, as Go says.
 */
#define ADDRESS_IP_SIZE_MAX 64u
struct str address_ip(const struct address *a, char to[ADDRESS_IP_SIZE_MAX]);
bool address_eq(const struct address *a, const struct address *b);
