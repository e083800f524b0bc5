/* connect_ca.h - Connect's certificate authority: its roots, its configuration, what the built-in
 * provider keeps, and the requests that write and read them (Consul's structs of the same names).
 */
#pragma once
#include "schema/catalog.h"

struct ca_root {
    struct str id; /* SHA-1 of the certificate, as aa:bb:… */
    struct str name;
    uint64_t serial_number;
    struct str signing_key_id; /* subject key id of the certificate that signs leaves */
    struct str external_trust_domain;
    int64_t not_before, not_after; /* wall clock, ns */
    struct str root_cert;          /* PEM, like all certificates here */
    struct strlist intermediate_certs;
    struct str signing_cert;
    struct str signing_key;
    bool active;
    int64_t rotated_out_at;
    struct str private_key_type; /* "ec", "rsa" */
    int64_t private_key_bits;
    struct raft_index raft;
};

struct ca_configuration {
    struct str cluster_id; /* a UUID; the trust domain is <it>.consul */
    struct str provider;
    const struct value *config; /* a map; keys in CamelCase */
    struct strmap state;        /* of providers elsewhere */
    bool force_without_cross_signing;
    struct raft_index raft;
};

/* What the built-in provider keeps. The private key is in here: no answer ever shows it. */
struct ca_provider_state {
    struct str id; /* of the provider's configuration */
    struct str private_key;
    struct str root_cert;
    struct str intermediate_cert;
    struct raft_index raft;
};

#define CA_SET_ROOTS STR("set-roots")
#define CA_SET_CONFIG STR("set-config")
#define CA_SET_PROVIDER_STATE STR("set-provider-state")
#define CA_DELETE_PROVIDER_STATE STR("delete-provider-state")
#define CA_SET_ROOTS_AND_CONFIG STR("set-roots-config")
#define CA_INCREMENT_PROVIDER_SERIAL STR("increment-provider-serial")
#define CA_LEAF_INCREMENT_INDEX STR("increment-index")
#define CA_PROVIDER_CONSUL STR("consul")

struct ca_request { /* Raft entry type 13, ConnectCA.ConfigurationSet */
    struct str op;
    struct str datacenter;
    uint64_t index;       /* of the roots, for compare-and-set */
    struct ptrlist roots; /* struct ca_root */
    struct ca_configuration *config;
    struct ca_provider_state *provider_state;
    struct write_request write;
};

struct ca_leaf_request { /* Raft entry type 21 */
    struct str op;
    struct str datacenter;
    struct write_request write;
};

struct indexed_ca_roots { /* ConnectCA.Roots */
    struct str active_root_id;
    struct str trust_domain;
    struct ptrlist roots; /* struct ca_root */
    struct query_meta meta;
};

extern const struct schema ca_root_schema, ca_configuration_schema, ca_provider_state_schema,
    ca_request_schema, ca_leaf_request_schema, indexed_ca_roots_schema;
