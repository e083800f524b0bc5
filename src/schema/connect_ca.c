#include "schema/connect_ca.h"

/* clang-format off */
static const struct field ca_root_fields[] = {
    F_STR(struct ca_root, id, "ID", 0),
    F_STR(struct ca_root, name, "Name", 0),
    F_UINT(struct ca_root, serial_number, "SerialNumber", 0),
    F_STR(struct ca_root, signing_key_id, "SigningKeyID", 0),
    F_STR(struct ca_root, external_trust_domain, "ExternalTrustDomain", 0),
    F_TIME(struct ca_root, not_before, "NotBefore", 0),
    F_TIME(struct ca_root, not_after, "NotAfter", 0),
    F_STR(struct ca_root, root_cert, "RootCert", 0),
    F_STRLIST(struct ca_root, intermediate_certs, "IntermediateCerts", 0),
    F_STR(struct ca_root, signing_cert, "SigningCert", F_OMITEMPTY),
    F_STR(struct ca_root, signing_key, "SigningKey", F_OMITEMPTY),
    F_BOOL(struct ca_root, active, "Active", 0),
    F_TIME(struct ca_root, rotated_out_at, "RotatedOutAt", F_NO_JSON),
    F_STR(struct ca_root, private_key_type, "PrivateKeyType", 0),
    F_INT(struct ca_root, private_key_bits, "PrivateKeyBits", 0),
    F_SPLICE(struct ca_root, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema ca_root_schema = SCHEMA("CARoot", struct ca_root, ca_root_fields);

static const struct field ca_configuration_fields[] = {
    F_STR(struct ca_configuration, cluster_id, "ClusterID", F_NO_JSON),
    F_STR(struct ca_configuration, provider, "Provider", 0),
    F_VALUE(struct ca_configuration, config, "Config", 0),
    F_STRMAP(struct ca_configuration, state, "State", 0),
    F_BOOL(struct ca_configuration, force_without_cross_signing, "ForceWithoutCrossSigning", 0),
    F_SPLICE(struct ca_configuration, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema ca_configuration_schema =
    SCHEMA("CAConfiguration", struct ca_configuration, ca_configuration_fields);

static const struct field ca_provider_state_fields[] = {
    F_STR(struct ca_provider_state, id, "ID", 0),
    F_STR(struct ca_provider_state, private_key, "PrivateKey", 0),
    F_STR(struct ca_provider_state, root_cert, "RootCert", 0),
    F_STR(struct ca_provider_state, intermediate_cert, "IntermediateCert", 0),
    F_SPLICE(struct ca_provider_state, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema ca_provider_state_schema =
    SCHEMA("CAConsulProviderState", struct ca_provider_state, ca_provider_state_fields);

static const struct field ca_request_fields[] = {
    F_STR(struct ca_request, op, "Op", 0),
    F_STR(struct ca_request, datacenter, "Datacenter", 0),
    F_UINT(struct ca_request, index, "Index", 0),
    F_PTRLIST(struct ca_request, roots, "Roots", 0, &ca_root_schema),
    F_PTR(struct ca_request, config, struct ca_configuration, "Config", 0,
          &ca_configuration_schema),
    F_PTR(struct ca_request, provider_state, struct ca_provider_state, "ProviderState", 0,
          &ca_provider_state_schema),
    F_SPLICE(struct ca_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema ca_request_schema = SCHEMA("CARequest", struct ca_request, ca_request_fields);

static const struct field ca_leaf_request_fields[] = {
    F_STR(struct ca_leaf_request, op, "Op", 0),
    F_STR(struct ca_leaf_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct ca_leaf_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema ca_leaf_request_schema =
    SCHEMA("CALeafRequest", struct ca_leaf_request, ca_leaf_request_fields);

static const struct field indexed_ca_roots_fields[] = {
    F_STR(struct indexed_ca_roots, active_root_id, "ActiveRootID", 0),
    F_STR(struct indexed_ca_roots, trust_domain, "TrustDomain", 0),
    F_PTRLIST(struct indexed_ca_roots, roots, "Roots", 0, &ca_root_schema),
    F_SPLICE(struct indexed_ca_roots, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_ca_roots_schema =
    SCHEMA("IndexedCARoots", struct indexed_ca_roots, indexed_ca_roots_fields);
/* clang-format on */
