/* tls_make.h - the certificates agents talk TLS with: an authority, and what it signs.
 *
 *     struct tls_pair ca, server;
 *     rc = tls_ca_make(a, &(struct tls_ca_options){.days = 1825, .domain = STR("consul")}, &ca,
 * err); rc = tls_cert_make(a, &(struct tls_cert_options){.ca = ca.cert, .ca_key = ca.key, …},
 *                        &server, err);
 *
 * These are not the certificates of services (server/ca_cert.h). Names, extensions, their order and
 * the identifiers of keys (SHA-256 of the public half) are those of Consul 1.10.3; keys are EC
 * P-256. PEM in and out. Errors have the words of Go's x509 where people meet them. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "schema/field.h"

struct tls_pair {
    struct str cert, key;
};

struct tls_ca_options {
    struct str name; /* the common name; empty: "Consul Agent CA " and the serial number */
    int64_t days;    /* from now, by the local calendar; 0: 365 */
    struct str cluster_id, domain; /* a SPIFFE id of both, when there is a cluster_id */
    struct strlist constraints;    /* DNS names it may sign for; none: any */
};

struct tls_cert_options {
    struct str ca, ca_key;
    struct str name; /* the common name */
    int64_t days;
    struct strlist dns_names;
    struct strlist ip_addresses;
    /* A list of usages as OpenSSL writes them, "serverAuth,clientAuth"; NULL: any. */
    const char *usages;
};

NODISCARD int tls_ca_make(struct arena *a, const struct tls_ca_options *options,
                          struct tls_pair *ret_pair, struct err *err);
/* A certificate that its authority vouches for, or an error: it is verified before it is handed
 * out. */
NODISCARD int tls_cert_make(struct arena *a, const struct tls_cert_options *options,
                            struct tls_pair *ret_pair, struct err *err);
/* Whether a name lies within a constraint: "a.corp" and "corp" in "corp", only the former in
 * ".corp", everything in "". */
bool tls_constraint_permits(struct str constraint, struct str name);
