/* auth_method.h - auth methods of the types kubernetes and jwt: what their configuration says, and
 * whom what they were told makes of somebody who logs in.
 *
 * Pure but for OpenSSL: asking other programs is auth_login.h's. */
#pragma once
#include "schema/acl.h"
#include "server/jwt.h"

struct err;

struct auth_kubernetes {
    struct str host;                /* a host, host:port, or a URL */
    struct str ca_cert;             /* PEM */
    struct str service_account_jwt; /* by which this server may ask */
};

struct auth_jwt {
    struct strlist supported_algs, bound_audiences;
    struct strmap claim_mappings,
        list_claim_mappings; /* a claim's name or JSON pointer: its name here */
    struct str oidc_discovery_url, oidc_discovery_ca_cert;
    struct str jwks_url, jwks_ca_cert;
    struct strlist validation_pub_keys; /* PEM */
    struct str bound_issuer;
    int64_t expiration_leeway, not_before_leeway,
        clock_skew_leeway; /* ns; 0: the default, below: none */
};

struct auth_config {
    bool is_jwt;
    struct auth_kubernetes kubernetes;
    struct auth_jwt jwt;
};

/* "jwt", "kubernetes". */
bool auth_type_is_known(struct str type);
/* All that can be said without asking anybody. Points into the method and the arena. */
NODISCARD int auth_config_parse(struct arena *a, const struct acl_auth_method *method,
                                struct auth_config *ret_config, struct err *err);

/* Whom the method knows: what selectors look at, and what names are made of. */
struct auth_identity {
    const struct schema *schema; /* of `fields` */
    const void *fields;
    struct strpair *vars;
    size_t vars_count;
};

/* Of nobody: every field is there and empty. For judging binding rules. */
struct auth_identity auth_identity_blank(struct arena *a, const struct auth_config *config);
struct auth_identity auth_identity_kubernetes(struct arena *a, struct str namespace_,
                                              struct str name, struct str uid);
/* The claims of a token whose signature was found good: their times, issuer and audience. now_ns
 * since 1970. is_oidc: as go-oidc judges them, who has issued it by the discovery's issuer. */
NODISCARD int auth_claims_check(const struct auth_jwt *config, const struct jwt *jwt,
                                int64_t now_ns, struct err *err);
NODISCARD int auth_oidc_claims_check(const struct auth_jwt *config, struct str issuer,
                                     const struct jwt *jwt, int64_t now_ns, struct err *err);
NODISCARD int auth_identity_of_claims(struct arena *a, const struct auth_config *config,
                                      const struct value *claims,
                                      struct auth_identity *ret_identity, struct err *err);

/* HIL over the variables, in lower case. */
NODISCARD int auth_bind_name(struct arena *a, struct str bind_name,
                             const struct auth_identity *identity, struct str *ret_name,
                             struct err *err);
/* False also for a selector that is none. */
bool auth_selector_matches(struct arena *a, struct str selector,
                           const struct auth_identity *identity);
/* Its error, without the words for HTTP. */
NODISCARD int auth_selector_check(struct arena *a, struct str selector,
                                  const struct auth_identity *identity, struct err *err);
