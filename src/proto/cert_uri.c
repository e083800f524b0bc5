/* As Go's url.Parse takes a URL apart, as far as it matters here: what it refuses is refused. */
#include "proto/cert_uri.h"

#include "base/arena.h"
#include "base/err.h"
#include "proto/http1.h"

#define SEGMENTS_MAX 7u

struct url {
    struct str host;
    struct str path; /* still escaped */
};

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_control(char c)
{
    return (uint8_t)c < 0x20 || c == 0x7f;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (is_control(s.p[i])) {
            return true;
        }
    }
    return false;
}

static bool is_of(struct str s, const char *more)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_alnum(s.p[i]) && strchr(more, s.p[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool has_bad_escape(struct str s, struct arena *a)
{
    struct str ignored;
    return http1_unescape(s, false, a, &ignored) < 0;
}

static bool is_port(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    return true;
}

/* A name or an address, and maybe a port. Escapes are for what is not ASCII. */
static bool is_host(struct str host)
{
    struct str port = STR("");
    ssize_t bracket = host.n > 0 && host.p[0] == '[' ? str_find_byte(host, ']') : 0;
    if (bracket < 0) {
        return false;
    }
    struct str rest = str_from(host, (size_t)bracket + (bracket > 0));
    for (size_t i = rest.n; i > 0 && port.n == 0; i--) {
        port = rest.p[i - 1] == ':' ? str_from(rest, i - 1) : port;
    }
    if (bracket > 0 && rest.n > 0 && port.n != rest.n) {
        return false;
    }
    for (size_t i = 0; i < host.n; i++) {
        bool is_plain = is_alnum(host.p[i]) || (uint8_t)host.p[i] >= 0x80 ||
                        strchr("-_.~!$&'()*+,;=:[]<>\"", host.p[i]) != NULL;
        bool is_escape =
            str_has_prefix(str_from(host, i), STR("%25")) ||
            (host.p[i] == '%' && i + 1 < host.n && strchr("89abcdefABCDEF", host.p[i + 1]) != NULL);
        if (!is_plain && !is_escape) {
            return false;
        }
    }
    return is_port(str_from(port, 1));
}

static bool split_authority(struct str authority, struct arena *a, struct str *ret_host)
{
    size_t at = authority.n;
    while (at > 0 && authority.p[at - 1] != '@') {
        at--;
    }
    struct str user = str_first(authority, at > 0 ? at - 1 : 0);
    *ret_host = str_from(authority, at);
    return is_of(user, "-._:~!$&'()*+,;=%@") && !has_bad_escape(user, a) && is_host(*ret_host) &&
           !has_bad_escape(*ret_host, a);
}

static int parse_url(struct str text, struct arena *a, struct url *ret_url)
{
    struct str scheme, rest, fragment, query;
    if (has_control(text)) {
        return -ERR_INVALID;
    }
    (void)str_cut(text, '#', &rest, &fragment);
    if (has_bad_escape(fragment, a) || !str_cut(rest, ':', &scheme, &rest) ||
        !str_eq_fold(scheme, STR("spiffe"))) {
        return -ERR_INVALID;
    }
    (void)str_cut(rest, '?', &rest, &query);
    *ret_url = (struct url){.host = STR(""), .path = rest};
    if (rest.n > 0 && rest.p[0] != '/') { /* nothing that is understood */
        ret_url->path = STR("");
        return 0;
    }
    if (str_has_prefix(rest, STR("//"))) {
        struct str authority = str_from(rest, 2);
        ssize_t slash = str_find_byte(authority, '/');
        size_t n = slash < 0 ? authority.n : (size_t)slash;
        ret_url->path = str_from(authority, n);
        if (!split_authority(str_first(authority, n), a, &ret_url->host)) {
            return -ERR_INVALID;
        }
    }
    return has_bad_escape(ret_url->path, a) ? -ERR_INVALID : 0;
}

/* The parts of a path between slashes; 0 when there are too many, or one is empty. */
static size_t split_path(struct str path, struct str parts[SEGMENTS_MAX])
{
    struct str rest = str_from(path, 1), part;
    size_t n = 0;
    bool is_more = path.n > 0 && path.p[0] == '/';
    while (is_more) {
        is_more = str_cut(rest, '/', &part, &rest);
        if (n == SEGMENTS_MAX || part.n == 0) {
            return 0;
        }
        parts[n++] = part;
    }
    return n;
}

int cert_uri_parse(struct str text, struct arena *a, struct cert_uri *ret_uri)
{
    struct url url;
    struct str part[SEGMENTS_MAX];
    int r = parse_url(text, a, &url);
    if (r < 0) {
        return r;
    }
    struct cert_uri uri = {.host = url.host};
    size_t n = split_path(url.path, part);
    if (n == 6 && str_eq_lit(part[0], "ns") && str_eq_lit(part[2], "dc") &&
        str_eq_lit(part[4], "svc")) {
        uri.kind = CERT_URI_SERVICE;
        r = http1_unescape(part[1], false, a, &uri.ns);
        r = r < 0 ? r : http1_unescape(part[3], false, a, &uri.datacenter);
        r = r < 0 ? r : http1_unescape(part[5], false, a, &uri.name);
    } else if (n == 6 && str_eq_lit(part[0], "agent") && str_eq_lit(part[1], "client") &&
               str_eq_lit(part[2], "dc") && str_eq_lit(part[4], "id")) {
        uri.kind = CERT_URI_AGENT;
        r = http1_unescape(part[3], false, a, &uri.datacenter);
        r = r < 0 ? r : http1_unescape(part[5], false, a, &uri.name);
    } else if (url.path.n == 0 && str_find_byte(url.host, '.') > 0) {
        uri.kind = CERT_URI_SIGNING;
    } else {
        r = -ERR_INVALID;
    }
    if (r >= 0) {
        *ret_uri = uri;
    }
    return r;
}
