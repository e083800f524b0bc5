#include "loop/datagram.h"

#include <errno.h>
#include <unistd.h>

int datagram_open(const struct address *to, struct err *err)
{
    int fd = socket(to->sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_from_errno(err, -errno, "socket");
    }
    if (connect(fd, (const struct sockaddr *)&to->sa, to->size) < 0) {
        int saved = errno;
        (void)close(fd);
        return err_from_errno(err, -saved, "connect");
    }
    return fd;
}

int datagram_send(int fd, struct str bytes)
{
    ssize_t n;
    do {
        n = send(fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 || errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE ? 0 : -errno;
}
