#include "server/auth_method.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"
#include "schema/filter.h"
#include "schema/hil.h"

#include <stdlib.h>

#define CLAIM_LEEWAY_S 150   /* between a token's times, where it does not say them all */
#define CLOCK_LEEWAY_S 60    /* of go-jose */
#define OIDC_NOT_BEFORE_S 60 /* of go-oidc */
#define LIST_VALUES_MAX 4096u

/* --- configuration --------------------------------------------------------------------------- */

/* clang-format off */
static const struct field kubernetes_fields[] = {
    F_STR(struct auth_kubernetes, host, "Host", 0),
    F_STR(struct auth_kubernetes, ca_cert, "CACert", 0),
    F_STR(struct auth_kubernetes, service_account_jwt, "ServiceAccountJWT", 0),
    FIELDS_END,
};
static const struct schema kubernetes_schema =
    SCHEMA("Config", struct auth_kubernetes, kubernetes_fields);

static const struct field jwt_fields[] = {
    F_STRLIST(struct auth_jwt, supported_algs, "JWTSupportedAlgs", 0),
    F_STRLIST(struct auth_jwt, bound_audiences, "BoundAudiences", 0),
    F_STRMAP(struct auth_jwt, claim_mappings, "ClaimMappings", 0),
    F_STRMAP(struct auth_jwt, list_claim_mappings, "ListClaimMappings", 0),
    F_STR(struct auth_jwt, oidc_discovery_url, "OIDCDiscoveryURL", 0),
    F_STR(struct auth_jwt, oidc_discovery_ca_cert, "OIDCDiscoveryCACert", 0),
    F_STR(struct auth_jwt, jwks_url, "JWKSURL", 0),
    F_STR(struct auth_jwt, jwks_ca_cert, "JWKSCACert", 0),
    F_STRLIST(struct auth_jwt, validation_pub_keys, "JWTValidationPubKeys", 0),
    F_STR(struct auth_jwt, bound_issuer, "BoundIssuer", 0),
    F_INT(struct auth_jwt, expiration_leeway, "ExpirationLeeway", 0),
    F_INT(struct auth_jwt, not_before_leeway, "NotBeforeLeeway", 0),
    F_INT(struct auth_jwt, clock_skew_leeway, "ClockSkewLeeway", 0),
    FIELDS_END,
};
static const struct schema jwt_schema = SCHEMA("Config", struct auth_jwt, jwt_fields);
/* clang-format on */

bool auth_type_is_known(struct str type)
{
    return str_eq_lit(type, "jwt") || str_eq_lit(type, "kubernetes");
}

static int check_kubernetes(struct arena *a, const struct auth_kubernetes *c, struct err *err)
{
    struct jwt jwt;
    if (c->host.n == 0) {
        return err_set(err, ERR_FAILED, "Config.Host is required");
    }
    if (c->ca_cert.n == 0) {
        return err_set(err, ERR_FAILED, "Config.CACert is required");
    }
    if (!jwt_pem_has_certificate(c->ca_cert)) {
        return err_set(err, ERR_FAILED,
                       "error parsing kubernetes ca cert: data does not contain any valid RSA or "
                       "ECDSA certificates");
    }
    if (c->service_account_jwt.n == 0) {
        return err_set(err, ERR_FAILED, "Config.ServiceAccountJWT is required");
    }
    if (jwt_parse(a, c->service_account_jwt, &jwt, err) < 0) {
        return err_wrap(err, "Config.ServiceAccountJWT is not a valid JWT");
    }
    return 0;
}

static int check_pub_keys(struct strlist keys, struct err *err)
{
    for (size_t i = 0; i < keys.n; i++) {
        struct evp_pkey_st *key = jwt_key_from_pem(keys.v[i]);
        jwt_key_free(key);
        if (key == NULL) {
            return err_set(err, ERR_FAILED,
                           "error parsing public key JWTValidationPubKeys[%zu]: data does not "
                           "contain any valid RSA, ECDSA, or ED25519 public keys",
                           i);
        }
    }
    return 0;
}

static int check_ca(const char *what, struct str pem, struct err *err)
{
    return pem.n == 0 || jwt_pem_has_certificate(pem)
               ? 0
               : err_set(err, ERR_FAILED,
                         "error checking %s: could not parse CA PEM value successfully", what);
}

static int check_mappings(struct arena *a, const char *what, struct strmap map, struct err *err)
{
    for (size_t i = 0; i < map.n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (str_eq(map.v[i].value, map.v[j].value)) {
                return err_set(err, ERR_FAILED, "%s contains multiple mappings for key %.*s", what,
                               STRF(go_quoted(a, map.v[i].value)));
            }
        }
    }
    return 0;
}

static int check_algorithms(struct strlist algs, struct err *err)
{
    for (size_t i = 0; i < algs.n; i++) {
        struct str alg = algs.v[i];
        struct str kind = str_first(alg, 2), bits = str_from(alg, kind.n);
        bool known =
            (str_eq_lit(kind, "RS") || str_eq_lit(kind, "ES") || str_eq_lit(kind, "PS")) &&
            (str_eq_lit(bits, "256") || str_eq_lit(bits, "384") || str_eq_lit(bits, "512"));
        if (!known) {
            return err_set(err, ERR_FAILED, "Invalid supported algorithm: %.*s", STRF(alg));
        }
    }
    return 0;
}

static int check_jwt(struct arena *a, const struct auth_jwt *c, struct err *err)
{
    int sources =
        (c->oidc_discovery_url.n > 0) + (c->validation_pub_keys.n > 0) + (c->jwks_url.n > 0);
    if (sources != 1) {
        return err_set(err, ERR_FAILED,
                       "exactly one of 'JWTValidationPubKeys', 'JWKSURL', or 'OIDCDiscoveryURL' "
                       "must be set for type \"jwt\"");
    }
    if (c->jwks_url.n == 0 && c->jwks_ca_cert.n > 0) {
        return err_set(err, ERR_FAILED, "'JWKSCACert' should not be set unless 'JWKSURL' is set");
    }
    int r = check_ca("JWKSCACert", c->jwks_ca_cert, err);
    if (r >= 0) {
        r = check_pub_keys(c->validation_pub_keys, err);
    }
    if (r < 0) {
        return r;
    }
    if (c->oidc_discovery_url.n == 0 && c->oidc_discovery_ca_cert.n > 0) {
        return err_set(err, ERR_FAILED,
                       "'OIDCDiscoveryCACert' should not be set unless 'OIDCDiscoveryURL' is set");
    }
    if ((r = check_ca("OIDCDiscoveryCACert", c->oidc_discovery_ca_cert, err)) < 0 ||
        (r = check_algorithms(c->supported_algs, err)) < 0 ||
        (r = check_mappings(a, "ClaimMappings", c->claim_mappings, err)) < 0) {
        return r;
    }
    return check_mappings(a, "ListClaimMappings", c->list_claim_mappings, err);
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* Keys that are none of the configuration's, as mapstructure says it. */
static int fail_unused(struct arena *a, struct strlist unused, struct err *err)
{
    struct str *keys = ARENA_ARRAY(a, struct str, unused.n);
    struct buf text = {0};
    memcpy(keys, unused.v, unused.n * sizeof(*keys));
    qsort(keys, unused.n, sizeof(*keys), by_text);
    for (size_t i = 0; i < unused.n; i++) {
        buf_printf(&text, "%s%.*s", i > 0 ? ", " : "", STRF(keys[i]));
    }
    int r = err_set(err, ERR_FAILED, "1 error(s) decoding:\n\n* '' has invalid keys: %.*s",
                    STRF(buf_view(&text)));
    buf_deinit(&text);
    return r;
}

int auth_config_parse(struct arena *a, const struct acl_auth_method *method,
                      struct auth_config *ret_config, struct err *err)
{
    struct auth_config c = {.is_jwt = str_eq_lit(method->type, "jwt")};
    struct strlist unused = {0};
    int r = 0;
    if (!auth_type_is_known(method->type)) {
        return err_set(err, ERR_FAILED, "no auth method registered with type: %.*s",
                       STRF(method->type));
    }
    if (method->config != NULL && method->config->kind != VALUE_NULL) {
        r = schema_decode_unused(c.is_jwt ? &jwt_schema : &kubernetes_schema, method->config,
                                 c.is_jwt ? (void *)&c.jwt : (void *)&c.kubernetes, a, DECODE_WEAK,
                                 &unused, err);
    }
    if (r >= 0 && unused.n > 0) {
        r = fail_unused(a, unused, err);
    }
    if (r < 0) {
        return err_wrap(err, "error decoding config");
    }
    r = c.is_jwt ? check_jwt(a, &c.jwt, err) : check_kubernetes(a, &c.kubernetes, err);
    if (r >= 0) {
        *ret_config = c;
    }
    return r;
}

/* --- who ------------------------------------------------------------------------------------- */

struct service_account {
    struct str namespace_, name, uid;
};
struct kubernetes_identity {
    struct service_account service_account;
};
struct jwt_identity {
    struct strmap values;
    struct strlistmap lists;
};

/* clang-format off */
static const struct field service_account_fields[] = {
    F_STR(struct service_account, namespace_, "namespace", 0),
    F_STR(struct service_account, name, "name", 0),
    F_STR(struct service_account, uid, "uid", 0),
    FIELDS_END,
};
static const struct schema service_account_schema =
    SCHEMA("k8sFieldDetailsServiceAccount", struct service_account, service_account_fields);
static const struct field kubernetes_identity_fields[] = {
    F_OBJ(struct kubernetes_identity, service_account, struct service_account, "serviceaccount", 0,
          &service_account_schema),
    FIELDS_END,
};
static const struct schema kubernetes_identity_schema =
    SCHEMA("k8sFieldDetails", struct kubernetes_identity, kubernetes_identity_fields);

static const struct field jwt_identity_fields[] = {
    F_STRMAP(struct jwt_identity, values, "value", 0),
    F_STRLISTMAP(struct jwt_identity, lists, "list", 0),
    FIELDS_END,
};
static const struct schema jwt_identity_schema =
    SCHEMA("fieldDetails", struct jwt_identity, jwt_identity_fields);
/* clang-format on */

struct auth_identity auth_identity_kubernetes(struct arena *a, struct str namespace_,
                                              struct str name, struct str uid)
{
    struct kubernetes_identity *fields = ARENA_NEW(a, struct kubernetes_identity);
    struct strpair *vars = ARENA_ARRAY(a, struct strpair, 3);
    fields->service_account = (struct service_account){namespace_, name, uid};
    vars[0] = (struct strpair){STR("serviceaccount.namespace"), namespace_};
    vars[1] = (struct strpair){STR("serviceaccount.name"), name};
    vars[2] = (struct strpair){STR("serviceaccount.uid"), uid};
    return (struct auth_identity){&kubernetes_identity_schema, fields, vars, 3};
}

/* Every name that claims are mapped to as a variable, with its value of `values`. */
static void put_vars(struct arena *a, const struct auth_jwt *config, struct strmap values,
                     struct auth_identity *identity)
{
    struct strmap names = config->claim_mappings;
    identity->vars = ARENA_ARRAY(a, struct strpair, names.n + 1);
    identity->vars_count = names.n;
    for (size_t i = 0; i < names.n; i++) {
        struct str value = STR("");
        (void)strmap_get(values, names.v[i].value, &value);
        identity->vars[i] =
            (struct strpair){arena_printf(a, "value.%.*s", STRF(names.v[i].value)), value};
    }
}

struct auth_identity auth_identity_blank(struct arena *a, const struct auth_config *config)
{
    if (!config->is_jwt) {
        return auth_identity_kubernetes(a, STR(""), STR(""), STR(""));
    }
    struct auth_identity identity = {.schema = &jwt_identity_schema,
                                     .fields = ARENA_NEW(a, struct jwt_identity)};
    put_vars(a, &config->jwt, (struct strmap){0}, &identity);
    return identity;
}

/* --- claims ---------------------------------------------------------------------------------- */

static struct str string_claim(const struct value *claims, const char *name)
{
    const struct value *v = value_get(claims, str_from_cstr(name));
    return v != NULL && v->kind == VALUE_STR ? v->s : STR("");
}

/* Seconds since 1970; 0: it is not there. False: it is no number. */
static bool time_claim(const struct value *claims, const char *name, int64_t *ret_s)
{
    const struct value *v = value_get(claims, str_from_cstr(name));
    *ret_s = 0;
    if (v == NULL || v->kind == VALUE_NULL) {
        return true;
    }
    if (v->kind == VALUE_INT) {
        *ret_s = v->i;
        return true;
    }
    if (v->kind == VALUE_FLOAT && v->f > -1e15 && v->f < 1e15) {
        *ret_s = (int64_t)v->f;
        return true;
    }
    return false;
}

static bool has_audience(const struct value *aud, struct str wanted)
{
    if (aud->kind == VALUE_STR) {
        return str_eq(aud->s, wanted);
    }
    for (size_t i = 0; aud->kind == VALUE_LIST && i < aud->list.n; i++) {
        if (aud->list.v[i].kind == VALUE_STR && str_eq(aud->list.v[i].s, wanted)) {
            return true;
        }
    }
    return false;
}

/* is_strict: without bound audiences there must be none in the token. */
static int check_audience(struct strlist bound, const struct value *claims, bool is_strict,
                          struct err *err)
{
    const struct value *aud = value_get(claims, STR("aud"));
    bool has_any =
        aud != NULL && (aud->kind == VALUE_STR || (aud->kind == VALUE_LIST && aud->list.n > 0));
    if (is_strict && bound.n == 0 && has_any) {
        return err_set(err, ERR_FAILED,
                       "error validating claims: audience claim found in JWT but no audiences are "
                       "bound");
    }
    for (size_t i = 0; i < bound.n; i++) {
        if (has_any && has_audience(aud, bound.v[i])) {
            return 0;
        }
    }
    return bound.n == 0
               ? 0
               : err_set(err, ERR_FAILED,
                         "error validating claims: aud claim does not match any bound audience");
}

/* What a leeway of the configuration comes to, in seconds. */
static int64_t leeway_s(int64_t ns, int64_t fallback_s)
{
    return ns < 0 ? 0 : ns == 0 ? fallback_s : ns / INT64_C(1000000000);
}

int auth_claims_check(const struct auth_jwt *config, const struct jwt *jwt, int64_t now_ns,
                      struct err *err)
{
    int64_t issued_s = 0, expires_s = 0, not_before_s = 0;
    int64_t now_s = now_ns / INT64_C(1000000000);
    int64_t skew_s = leeway_s(config->clock_skew_leeway, CLOCK_LEEWAY_S);
    if (jwt->claims == NULL || !time_claim(jwt->claims, "iat", &issued_s) ||
        !time_claim(jwt->claims, "exp", &expires_s) ||
        !time_claim(jwt->claims, "nbf", &not_before_s)) {
        return err_set(err, ERR_FAILED, "no known key successfully validated the token signature");
    }
    if (issued_s == 0 && expires_s == 0 && not_before_s == 0) {
        return err_set(err, ERR_FAILED,
                       "no issue time, notbefore, or expiration time encoded in token");
    }
    if (expires_s == 0) {
        expires_s =
            MAX(issued_s, not_before_s) + leeway_s(config->expiration_leeway, CLAIM_LEEWAY_S);
    }
    if (not_before_s == 0) {
        not_before_s = issued_s != 0
                           ? issued_s
                           : expires_s - leeway_s(config->not_before_leeway, CLAIM_LEEWAY_S);
    }
    const char *fault = NULL;
    if (config->bound_issuer.n > 0 &&
        !str_eq(config->bound_issuer, string_claim(jwt->claims, "iss"))) {
        fault = "validation failed, invalid issuer claim (iss)";
    } else if (now_s + skew_s < not_before_s) {
        fault = "validation failed, token not valid yet (nbf)";
    } else if (now_s - skew_s > expires_s) {
        fault = "validation failed, token is expired (exp)";
    } else if (now_s + skew_s < issued_s) {
        fault = "validation field, token issued in the future (iat)";
    }
    if (fault != NULL) {
        return err_set(err, ERR_FAILED, "error validating claims: square/go-jose/jwt: %s", fault);
    }
    return check_audience(config->bound_audiences, jwt->claims, true, err);
}

static bool has_algorithm(const struct auth_jwt *config, struct str algorithm)
{
    return config->supported_algs.n > 0 ? strlist_contains(config->supported_algs, algorithm)
                                        : str_eq_lit(algorithm, "RS256");
}

int auth_oidc_claims_check(const struct auth_jwt *config, struct str issuer, const struct jwt *jwt,
                           int64_t now_ns, struct err *err)
{
    int64_t expires_s = 0, not_before_s = 0, now_s = now_ns / INT64_C(1000000000);
    if (jwt->claims == NULL || !time_claim(jwt->claims, "exp", &expires_s) ||
        !time_claim(jwt->claims, "nbf", &not_before_s)) {
        return err_set(err, ERR_FAILED,
                       "error validating signature: oidc: failed to unmarshal claims");
    }
    if (!str_eq(issuer, string_claim(jwt->claims, "iss"))) {
        return err_set(err, ERR_FAILED,
                       "error validating signature: oidc: id token issued by a different provider, "
                       "expected \"%.*s\" got \"%.*s\"",
                       STRF(issuer), STRF(string_claim(jwt->claims, "iss")));
    }
    if (expires_s < now_s) {
        return err_set(err, ERR_FAILED,
                       "error validating signature: oidc: token is expired (Token Expiry: %lld)",
                       (long long)expires_s);
    }
    if (not_before_s != 0 && now_s + OIDC_NOT_BEFORE_S < not_before_s) {
        return err_set(err, ERR_FAILED,
                       "error validating signature: oidc: current time %lld before the nbf (not "
                       "before) time: %lld",
                       (long long)now_s, (long long)not_before_s);
    }
    if (!has_algorithm(config, jwt->algorithm)) {
        return err_set(err, ERR_FAILED,
                       "error validating signature: oidc: id token signed with unsupported "
                       "algorithm, got \"%.*s\"",
                       STRF(str_first(jwt->algorithm, 64)));
    }
    return check_audience(config->bound_audiences, jwt->claims, false, err);
}

/* One step of a JSON pointer: ~1 is a slash, ~0 a tilde. */
static struct str pointer_step(struct arena *a, struct str step)
{
    char *to = arena_alloc(a, step.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < step.n; i++) {
        bool is_escape =
            step.p[i] == '~' && i + 1 < step.n && (step.p[i + 1] == '0' || step.p[i + 1] == '1');
        if (is_escape) {
            i++;
            to[n++] = step.p[i] == '0' ? '~' : '/';
        } else {
            to[n++] = step.p[i];
        }
    }
    return str_make(to, n);
}

/* A claim by its name or by a JSON pointer to it; NULL: there is none. */
static const struct value *claim_find(struct arena *a, const struct value *claims, struct str name)
{
    const struct value *v = claims;
    struct str rest = name, step;
    if (!str_has_prefix(name, STR("/"))) {
        v = value_get(claims, name);
        return v != NULL && v->kind != VALUE_NULL ? v : NULL;
    }
    (void)str_split_next(&rest, '/', &step); /* what is before the first slash */
    while (v != NULL && str_split_next(&rest, '/', &step)) {
        uint64_t index;
        if (v->kind == VALUE_MAP) {
            v = value_get(v, pointer_step(a, step));
        } else if (v->kind == VALUE_LIST && str_parse_u64(step, &index) >= 0 && index < v->list.n) {
            v = &v->list.v[index];
        } else {
            v = NULL;
        }
    }
    return v != NULL && v->kind != VALUE_NULL ? v : NULL;
}

static bool stringify(struct arena *a, const struct value *v, struct str *ret)
{
    switch (v->kind) {
    case VALUE_STR:
        *ret = v->s;
        return true;
    case VALUE_BOOL:
        *ret = v->b ? STR("true") : STR("false");
        return true;
    case VALUE_INT:
        *ret = arena_printf(a, "%lld", (long long)v->i);
        return true;
    case VALUE_FLOAT:
        *ret = arena_printf(a, "%.0f", __builtin_trunc(v->f));
        return true;
    default:
        return false;
    }
}

static int string_claims(struct arena *a, const struct auth_jwt *config, const struct value *claims,
                         struct strmap *ret_values, struct err *err)
{
    struct strmap mappings = config->claim_mappings;
    struct strpair *pairs = ARENA_ARRAY(a, struct strpair, mappings.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < mappings.n; i++) {
        const struct value *v = claim_find(a, claims, mappings.v[i].key);
        struct str text;
        if (v == NULL) {
            continue;
        }
        if (!stringify(a, v, &text)) {
            return err_set(err, ERR_FAILED,
                           "error converting claim '%.*s' to string from unknown type %s",
                           STRF(mappings.v[i].key),
                           v->kind == VALUE_LIST ? "[]interface {}" : "map[string]interface {}");
        }
        pairs[n++] = (struct strpair){mappings.v[i].value, text};
    }
    *ret_values = strmap_build(pairs, n);
    return 0;
}

static int list_claim(struct arena *a, struct str name, const struct value *v,
                      struct strlist *ret_list, struct err *err)
{
    VEC(struct str) list = {0};
    size_t count = v->kind == VALUE_LIST ? v->list.n : 1;
    const struct value *items = v->kind == VALUE_LIST ? v->list.v : v;
    if (v->kind == VALUE_MAP) {
        return err_set(err, ERR_FAILED, "%.*s list claim could not be converted to string list",
                       STRF(go_quoted(a, name)));
    }
    for (size_t i = 0; i < count && list.n < LIST_VALUES_MAX; i++) {
        struct str text;
        if (!stringify(a, &items[i], &text)) {
            return err_set(err, ERR_FAILED,
                           "value in %.*s list claim could not be parsed as string",
                           STRF(go_quoted(a, name)));
        }
        if (text.n > 0) {
            avec_push(a, &list, text);
        }
    }
    *ret_list = (struct strlist){list.v, list.n};
    return 0;
}

static int by_key(const void *x, const void *y)
{
    const struct strlist_pair *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

static int list_claims(struct arena *a, const struct auth_jwt *config, const struct value *claims,
                       struct strlistmap *ret_lists, struct err *err)
{
    struct strmap mappings = config->list_claim_mappings;
    struct strlist_pair *pairs = ARENA_ARRAY(a, struct strlist_pair, mappings.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < mappings.n; i++) {
        const struct value *v = claim_find(a, claims, mappings.v[i].key);
        if (v == NULL) {
            continue;
        }
        pairs[n].key = mappings.v[i].value;
        int r = list_claim(a, mappings.v[i].key, v, &pairs[n++].values, err);
        if (r < 0) {
            return r;
        }
    }
    qsort(pairs, n, sizeof(*pairs), by_key); /* no key is there twice */
    *ret_lists = (struct strlistmap){pairs, n};
    return 0;
}

int auth_identity_of_claims(struct arena *a, const struct auth_config *config,
                            const struct value *claims, struct auth_identity *ret_identity,
                            struct err *err)
{
    struct jwt_identity *fields = ARENA_NEW(a, struct jwt_identity);
    int r = string_claims(a, &config->jwt, claims, &fields->values, err);
    if (r >= 0) {
        r = list_claims(a, &config->jwt, claims, &fields->lists, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_identity = (struct auth_identity){.schema = &jwt_identity_schema, .fields = fields};
    put_vars(a, &config->jwt, fields->values, ret_identity);
    return 0;
}

/* --- binding --------------------------------------------------------------------------------- */

int auth_bind_name(struct arena *a, struct str bind_name, const struct auth_identity *identity,
                   struct str *ret_name, struct err *err)
{
    struct hil_node *tree;
    if (!str_contains(bind_name, STR("${"))) {
        *ret_name = bind_name;
        return 0;
    }
    int r = hil_parse(a, bind_name, &tree, err);
    if (r < 0) {
        return r;
    }
    struct strpair *vars = ARENA_ARRAY(a, struct strpair, identity->vars_count + 1);
    for (size_t i = 0; i < identity->vars_count; i++) {
        vars[i] = (struct strpair){identity->vars[i].key, arena_lower(a, identity->vars[i].value)};
    }
    const struct hil_scope scope = {.variables = vars, .variables_count = identity->vars_count};
    return hil_eval(a, tree, &scope, ret_name, err);
}

int auth_selector_check(struct arena *a, struct str selector, const struct auth_identity *identity,
                        struct err *err)
{
    struct filter *filter;
    struct err why = {0};
    struct str words = STR("Failed to create boolean expression evaluator: ");
    int r = filter_compile(a, selector, identity->schema, &filter, &why);
    if (r < 0) {
        struct str text = str_from_cstr(err_text(&why));
        text = str_has_prefix(text, words) ? str_from(text, words.n) : text;
        return err_set(err, why.code, "%.*s", STRF(text));
    }
    return 0;
}

bool auth_selector_matches(struct arena *a, struct str selector,
                           const struct auth_identity *identity)
{
    struct filter *filter;
    return selector.n == 0 || (filter_compile(a, selector, identity->schema, &filter, NULL) >= 0 &&
                               filter_match(filter, identity->fields, NULL) > 0);
}
