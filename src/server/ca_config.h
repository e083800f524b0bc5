/* ca_config.h - the free-form configuration of the certificate authority, read as the built-in
 * provider takes it: keys in any case, numbers and durations also as text, unknown keys ignored. */
#pragma once
#include "schema/value.h"

struct err;

struct ca_provider_config {
    int64_t leaf_cert_ttl, intermediate_cert_ttl; /* ns */
    bool skip_validate;
    double csr_max_per_second;
    int64_t csr_max_concurrent;
    struct str private_key_type; /* "ec", "rsa" */
    int64_t private_key_bits;
    struct str private_key, root_cert; /* PEM that the operator brings along, or empty */
    bool disable_cross_signing;
};

/* Defaults where nothing is said; refused with the sentences of 1.10.3. Strings are copied into the
 * arena. config may be NULL. */
NODISCARD int ca_provider_config_parse(struct arena *a, const struct value *config,
                                       struct ca_provider_config *ret_config, struct err *err);
/* Of the provider's state: the same key, root and role give the same id. */
struct str ca_provider_id(struct arena *a, const struct ca_provider_config *config,
                          bool is_primary);
