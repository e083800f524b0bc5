#include "cli/url.h"

#include "cli/client.h"

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.~", c) != NULL);
}

static void percent(struct buf *to, char c)
{
    static const char digits[] = "0123456789ABCDEF";
    buf_byte(to, '%');
    buf_byte(to, (uint8_t)digits[(uint8_t)c >> 4]);
    buf_byte(to, (uint8_t)digits[(uint8_t)c & 15]);
}

void url_query_escape(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (is_unreserved(s.p[i])) {
            buf_byte(to, (uint8_t)s.p[i]);
        } else if (s.p[i] == ' ') {
            buf_byte(to, '+');
        } else {
            percent(to, s.p[i]);
        }
    }
}

void url_host_escape(struct buf *to, struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (is_unreserved(c) || (c != '\0' && strchr("!$&'()*+,;=:[]<>\"", c) != NULL)) {
            buf_byte(to, (uint8_t)c);
        } else {
            percent(to, c);
        }
    }
}

void url_params_encode(struct buf *to, struct client_param *params, size_t count)
{
    /* By insertion, which keeps the order of those with one key. */
    for (size_t i = 1; i < count; i++) {
        struct client_param p = params[i];
        size_t at = i;
        for (; at > 0 && str_cmp(params[at - 1].key, p.key) > 0; at--) {
            params[at] = params[at - 1];
        }
        params[at] = p;
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_byte(to, '&');
        }
        url_query_escape(to, params[i].key);
        buf_byte(to, '=');
        url_query_escape(to, params[i].value);
    }
}

bool url_host_port_split(struct str address, struct str *ret_host, struct str *ret_port)
{
    struct str host = address, port = STR_NULL;
    if (address.n > 0 && address.p[0] == '[') {
        ptrdiff_t end = str_find_byte(address, ']');
        if (end < 0) {
            return false;
        }
        host = str_first(str_from(address, 1), (size_t)end - 1);
        struct str rest = str_from(address, (size_t)end + 1);
        if (rest.n > 0 && rest.p[0] != ':') {
            return false;
        }
        port = str_from(rest, rest.n > 0 ? 1 : 0);
    } else {
        ptrdiff_t colon = str_find_byte(address, ':');
        if (colon >= 0 && colon == str_rfind_byte(address, ':')) {
            host = str_first(address, (size_t)colon);
            port = str_from(address, (size_t)colon + 1);
        } else if (colon >= 0) {
            return false; /* more than one: an IPv6 address wants its brackets */
        }
    }
    *ret_host = host;
    *ret_port = port;
    return true;
}

void url_authority_split(struct str authority, struct str *ret_host, struct str *ret_port)
{
    if (authority.n > 0 && authority.p[0] == '[' &&
        url_host_port_split(authority, ret_host, ret_port)) {
        return;
    }
    *ret_host = authority;
    *ret_port = STR_NULL;
    ptrdiff_t colon = str_rfind_byte(authority, ':');
    struct str port = str_from(authority, (size_t)(colon + 1));
    for (size_t i = 0; i < port.n; i++) {
        if (port.p[i] < '0' || port.p[i] > '9') {
            return;
        }
    }
    if (colon >= 0) {
        *ret_host = str_first(authority, (size_t)colon);
        *ret_port = port;
    }
}
