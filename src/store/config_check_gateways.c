/* Ingress and terminating gateways by themselves. */
#include "base/err.h"
#include "base/gofmt.h"
#include "schema/config_gateways.h"
#include "store/config_check.h"

#define DOMAIN_NAME_SIZE_MAX 256u
#define DOMAIN_LABEL_SIZE_MAX 63u

/* --- ingress-gateway ------------------------------------------------------------------------- */

void config_normalize_ingress(struct arena *a, struct ingress_gateway *e)
{
    struct ingress_listener *l = e->listeners.v;
    for (size_t i = 0; i < e->listeners.n; i++, l++) {
        l->protocol = l->protocol.n > 0 ? arena_lower(a, l->protocol) : STR("tcp");
    }
}

/* Loosely, as DNS libraries see it: labels of up to 63 bytes, none of them empty, backslashes
 * escape. */
static bool is_domain_name(struct str s)
{
    size_t size = 0, label = 0;
    bool was_dot = false;
    size_t end = s.n > 0 && s.p[s.n - 1] == '.' ? s.n : s.n + 1;
    for (size_t i = 0; i < end; i++) {
        char c = i < s.n ? s.p[i] : '.';
        if (c == '.') {
            size += label + 1;
            if (was_dot || label > DOMAIN_LABEL_SIZE_MAX || size > DOMAIN_NAME_SIZE_MAX) {
                return false;
            }
            label = 0;
        } else {
            label++;
        }
        if (c == '\\') {
            bool is_decimal = s.n - i > 3;
            for (size_t j = 1; is_decimal && j <= 3; j++) {
                is_decimal = s.p[i + j] >= '0' && s.p[i + j] <= '9';
            }
            i += is_decimal ? 3 : 1;
        }
        was_dot = c == '.';
    }
    return s.n > 0;
}

static int validate_host(struct arena *a, bool is_tls, struct str host, struct err *err)
{
    if (str_eq(host, CONFIG_WILDCARD)) {
        return is_tls ? err_set(err, ERR_FAILED,
                                "Host '*' is not allowed when TLS is enabled, all hosts must be "
                                "valid DNS records to add as a DNSSAN")
                      : 0;
    }
    if (!is_domain_name(host)) {
        return err_set(err, ERR_FAILED, "Host %.*s must be a valid DNS hostname",
                       STRF(go_quoted(a, host)));
    }
    struct str rest = str_has_prefix(host, STR("*.")) ? str_from(host, 2) : host;
    if (str_find_byte(rest, '*') >= 0) {
        return err_set(err, ERR_FAILED,
                       "Host %.*s is not valid, a wildcard specifier is only allowed as the "
                       "leftmost label",
                       STRF(go_quoted(a, host)));
    }
    return 0;
}

static int validate_service(const struct ingress_listener *l, const struct ingress_service *s,
                            struct err *err)
{
    bool is_wildcard = str_eq(s->name, CONFIG_WILDCARD);
    long long port = (long long)l->port;
    if (str_eq_lit(l->protocol, "tcp")) {
        if (is_wildcard) {
            return err_set(err, ERR_FAILED,
                           "Wildcard service name is only valid for protocol = 'http' (listener "
                           "on port %lld)",
                           port);
        }
        if (s->hosts.n > 0) {
            return err_set(err, ERR_FAILED,
                           "Associating hosts to a service is not supported for the %.*s protocol "
                           "(listener on port %lld)",
                           STRF(l->protocol), port);
        }
    }
    if (s->name.n == 0) {
        return err_set(err, ERR_FAILED, "Service name cannot be blank (listener on port %lld)",
                       port);
    }
    if (is_wildcard && s->hosts.n > 0) {
        return err_set(err, ERR_FAILED,
                       "Associating hosts to a wildcard service is not supported (listener on "
                       "port %lld)",
                       port);
    }
    return 0;
}

/* Is this host one of an earlier service's of the listener, or an earlier one of this service's? */
static bool is_host_taken(const struct ingress_listener *l, size_t service, size_t host)
{
    const struct ingress_service *services = l->services.v;
    struct str name = services[service].hosts.v[host];
    for (size_t i = 0; i < service; i++) {
        if (strlist_contains(services[i].hosts, name)) {
            return true;
        }
    }
    return strlist_contains((struct strlist){services[service].hosts.v, host}, name);
}

static int validate_listener(struct arena *a, const struct ingress_gateway *e,
                             const struct ingress_listener *l, struct err *err)
{
    static const struct str protocols[] = {STR_INIT("tcp"), STR_INIT("http"), STR_INIT("http2"),
                                           STR_INIT("grpc")};
    long long port = (long long)l->port;
    if (!strlist_contains((struct strlist){protocols, ARRAY_SIZE(protocols)}, l->protocol)) {
        return err_set(err, ERR_FAILED,
                       "protocol must be 'tcp', 'http', 'http2', or 'grpc'. '%.*s' is an "
                       "unsupported protocol",
                       STRF(l->protocol));
    }
    if (l->services.n == 0) {
        return err_set(err, ERR_FAILED, "No service declared for listener with port %lld", port);
    }
    if (!str_eq_lit(l->protocol, "http") && l->services.n > 1) {
        return err_set(err, ERR_FAILED,
                       "Multiple services per listener are only supported for protocol = 'http' "
                       "(listener on port %lld)",
                       port);
    }
    const struct ingress_service *s = l->services.v;
    for (size_t i = 0; i < l->services.n; i++) {
        int r = validate_service(l, &s[i], err);
        for (size_t j = 0; r >= 0 && j < s[i].hosts.n; j++) {
            r = is_host_taken(l, i, j)
                    ? err_set(err, ERR_FAILED,
                              "Hosts must be unique within a specific listener (listener on port "
                              "%lld)",
                              port)
                    : validate_host(a, e->tls.enabled, s[i].hosts.v[j], err);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int config_validate_ingress(struct arena *a, const struct ingress_gateway *e, struct err *err)
{
    int r = config_validate_meta(a, e->head.meta, err);
    const struct ingress_listener *l = e->listeners.v;
    for (size_t i = 0; r >= 0 && i < e->listeners.n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (l[j].port == l[i].port) {
                return err_set(err, ERR_FAILED, "port %lld declared on two listeners",
                               (long long)l[i].port);
            }
        }
        r = validate_listener(a, e, &l[i], err);
    }
    return r;
}

/* --- terminating-gateway --------------------------------------------------------------------- */

static int validate_linked(struct arena *a, const struct terminating_gateway *e, size_t i,
                           struct err *err)
{
    const struct linked_service *services = e->services.v, *s = &services[i];
    if (s->name.n == 0) {
        return err_set(err, ERR_FAILED, "Service name cannot be blank.");
    }
    for (size_t j = 0; j < i; j++) {
        if (str_eq(services[j].name, s->name)) {
            return err_set(err, ERR_FAILED,
                           "Service %.*s was specified more than once within a namespace",
                           STRF(go_quoted(a, s->name)));
        }
    }
    bool wants_tls = s->cert_file.n > 0 || s->key_file.n > 0;
    if (wants_tls && (s->ca_file.n == 0 || s->cert_file.n == 0 || s->key_file.n == 0)) {
        return err_set(err, ERR_FAILED,
                       "Service %.*s must have a CertFile, CAFile, and KeyFile specified for TLS "
                       "origination",
                       STRF(go_quoted(a, s->name)));
    }
    return 0;
}

int config_validate_terminating(struct arena *a, const struct terminating_gateway *e,
                                struct err *err)
{
    int r = config_validate_meta(a, e->head.meta, err);
    for (size_t i = 0; r >= 0 && i < e->services.n; i++) {
        r = validate_linked(a, e, i, err);
    }
    return r;
}
