/* cert_uri.h - the URI in a certificate of the mesh, by which Consul knows whose it is.
 *
 *     spiffe://<trust domain>/ns/default/dc/dc1/svc/web          a service's
 *     spiffe://<trust domain>/agent/client/dc/dc1/id/node1       a client agent's
 *     spiffe://<cluster id>.<domain>                             the authority's own
 *
 * Pure. */
#pragma once
#include "base/str.h"

struct arena;

enum cert_uri_kind { CERT_URI_SERVICE, CERT_URI_AGENT, CERT_URI_SIGNING };

struct cert_uri {
    enum cert_uri_kind kind;
    struct str host; /* the trust domain, as it is written */
    struct str ns;   /* of a service */
    struct str datacenter;
    struct str name; /* the service, or the agent's node */
};

/* -ERR_INVALID when it is none of these. Strings borrow from the text or are in the arena. */
NODISCARD int cert_uri_parse(struct str text, struct arena *a, struct cert_uri *ret_uri);
