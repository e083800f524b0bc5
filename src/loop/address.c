#include "loop/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/err.h"

static struct sockaddr_in *in4(const struct address *a)
{
    return (struct sockaddr_in *)(void *)&a->sa;
}

static struct sockaddr_in6 *in6(const struct address *a)
{
    return (struct sockaddr_in6 *)(void *)&a->sa;
}

static struct sockaddr_un *un(const struct address *a)
{
    return (struct sockaddr_un *)(void *)&a->sa;
}

static int parse_unix(struct address *a, struct str path, struct err *err)
{
    if (path.n == 0 || path.n >= sizeof(un(a)->sun_path)) {
        return err_set(err, ERR_INVALID, "a socket's path has 1 to %zu bytes: %.*s",
                       sizeof(un(a)->sun_path) - 1, STRF(path));
    }
    *a = (struct address){.size = sizeof(struct sockaddr_un)};
    un(a)->sun_family = AF_UNIX;
    memcpy(un(a)->sun_path, path.p, path.n);
    return 0;
}

int address_parse(struct address *a, struct str text, uint16_t port, struct err *err)
{
    if (str_has_prefix(text, STR("unix://"))) {
        return parse_unix(a, str_from(text, 7), err);
    }
    struct str ip = text;
    if (ip.n > 2 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']') {
        ip = str_make(ip.p + 1, ip.n - 2);
    }
    char z[INET6_ADDRSTRLEN];
    if (ip.n > 0 && ip.n < sizeof(z)) {
        memcpy(z, ip.p, ip.n);
        z[ip.n] = '\0';
        *a = (struct address){.size = sizeof(struct sockaddr_in)};
        if (inet_pton(AF_INET, z, &in4(a)->sin_addr) == 1) {
            in4(a)->sin_family = AF_INET;
            in4(a)->sin_port = htons(port);
            return 0;
        }
        a->size = sizeof(struct sockaddr_in6);
        if (inet_pton(AF_INET6, z, &in6(a)->sin6_addr) == 1) {
            in6(a)->sin6_family = AF_INET6;
            in6(a)->sin6_port = htons(port);
            return 0;
        }
    }
    *a = (struct address){0};
    return err_set(err, ERR_INVALID, "not an IP address: %.*s", STRF(str_first(text, 128)));
}

int address_parse_host_port(struct address *a, struct str text, struct err *err)
{
    ptrdiff_t colon = str_rfind_byte(text, ':');
    uint64_t port;
    if (colon < 0 || str_parse_u64(str_from(text, (size_t)colon + 1), &port) < 0 ||
        port > UINT16_MAX) {
        return err_set(err, ERR_INVALID, "not an address with a port: %.*s",
                       STRF(str_first(text, 128)));
    }
    return address_parse(a, str_first(text, (size_t)colon), (uint16_t)port, err);
}

bool address_is_unix(const struct address *a)
{
    return a->sa.ss_family == AF_UNIX;
}

uint16_t address_port(const struct address *a)
{
    switch (a->sa.ss_family) {
    case AF_INET:
        return ntohs(in4(a)->sin_port);
    case AF_INET6:
        return ntohs(in6(a)->sin6_port);
    default:
        return 0;
    }
}

void address_set_port(struct address *a, uint16_t port)
{
    if (a->sa.ss_family == AF_INET) {
        in4(a)->sin_port = htons(port);
    } else if (a->sa.ss_family == AF_INET6) {
        in6(a)->sin6_port = htons(port);
    }
}

struct str address_ip(const struct address *a, char to[ADDRESS_IP_SIZE_MAX])
{
    const void *bytes = NULL;
    int family = a->sa.ss_family;
    if (family == AF_INET) {
        bytes = &in4(a)->sin_addr;
    } else if (family == AF_INET6) {
        const struct in6_addr *v6 = &in6(a)->sin6_addr;
        bytes = v6;
        if (IN6_IS_ADDR_V4MAPPED(v6)) {
            family = AF_INET;
            bytes = &v6->s6_addr[12];
        }
    }
    if (bytes == NULL || inet_ntop(family, bytes, to, ADDRESS_IP_SIZE_MAX) == NULL) {
        return STR("@");
    }
    return str_from_cstr(to);
}

void address_format(const struct address *a, struct buf *to)
{
    if (address_is_unix(a)) {
        buf_str(to, str_make(un(a)->sun_path, strnlen(un(a)->sun_path, sizeof(un(a)->sun_path))));
        return;
    }
    char text[ADDRESS_IP_SIZE_MAX];
    struct str ip = address_ip(a, text);
    bool brackets = str_find_byte(ip, ':') >= 0;
    buf_printf(to, brackets ? "[%.*s]:%u" : "%.*s:%u", STRF(ip), address_port(a));
}

bool address_eq(const struct address *a, const struct address *b)
{
    if (a->sa.ss_family != b->sa.ss_family) {
        return false;
    }
    switch (a->sa.ss_family) {
    case AF_INET:
        return in4(a)->sin_port == in4(b)->sin_port &&
               in4(a)->sin_addr.s_addr == in4(b)->sin_addr.s_addr;
    case AF_INET6:
        return in6(a)->sin6_port == in6(b)->sin6_port &&
               memcmp(&in6(a)->sin6_addr, &in6(b)->sin6_addr, sizeof(struct in6_addr)) == 0;
    default:
        return a->size == b->size && memcmp(&a->sa, &b->sa, a->size) == 0;
    }
}
