/* Tokens and key sets of others: what is taken for a token keeps within it, and nothing verifies by
 * a key that was not its signer's. The input is a key set and a token, with a NUL between. */
#include "base/arena.h"
#include "base/err.h"
#include "server/auth_method.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct jwt jwt = {0};
    struct jwt_key_set keys = {.n = 0};
    struct str json, text;
    (void)str_cut(str_make(data, size), '\0', &json, &text);
    if (jwt_parse(&a, text, &jwt, &err) == 0) {
        const struct auth_config config = {.is_jwt = true};
        ASSERT(jwt.signed_text.p == text.p && jwt.signed_text.n < text.n);
        ASSERT(jwt.claims == NULL || jwt.claims->kind == VALUE_MAP);
        (void)!auth_claims_check(&config.jwt, &jwt, INT64_C(1700000000000000000), &err);
        (void)!auth_oidc_claims_check(&config.jwt, STR("i"), &jwt, INT64_C(1700000000000000000),
                                      &err);
    } else {
        ASSERT(err.text[0] != '\0');
    }
    if (jwt_key_set_parse(&a, json, &keys, &err) == 0) {
        ASSERT(keys.n <= JWT_KEYS_MAX);
        (void)jwt_verify_any(&jwt, &keys);
    }
    jwt_key_set_deinit(&keys);
    struct evp_pkey_st *key = jwt_key_from_pem(json);
    jwt_key_free(key);
    (void)jwt_pem_has_certificate(json);
    arena_deinit(&a);
    return 0;
}
