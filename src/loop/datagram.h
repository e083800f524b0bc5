/* datagram.h - datagrams to one receiver, without waiting: for what may get lost.
 *
 *     fd = datagram_open(&address, &err);          // UDP, or a unix datagram socket
 *     rc = datagram_send(fd, bytes);               // now or never
 *
 * Needs no loop. Answers are not read. (udp.h is for sockets that receive.) */
#pragma once
#include "base/err.h"
#include "loop/address.h"

/* A connected, non-blocking socket, or negative. */
NODISCARD int datagram_open(const struct address *to, struct err *err);
/* 0 also when the kernel's buffer was full and the datagram was dropped; negative when the receiver
 * is known to be away (of UDP that is only learned after the first one sent). */
NODISCARD int datagram_send(int fd, struct str bytes);
