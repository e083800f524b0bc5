/* jwt.h - signed JSON web tokens (RFC 7515, compact form), over OpenSSL.
 *
 *     r = jwt_parse(arena, text, &jwt, &err);
 *     EVP_PKEY *key = jwt_key_from_pem(pem);       // or the keys of a JSON Web Key Set
 *     if (jwt_verify(&jwt, key)) ... jwt.claims ...
 *
 * Only signatures by public keys: RS, PS and ES of 256, 384 and 512 bits, and EdDSA (Ed25519). A
 * token that says it has another, or none, verifies with no key: the key says what kind it is,
 * never the token. Functions of any thread; nothing is kept between calls. */
#pragma once
#include "schema/value.h"

struct err;
struct evp_pkey_st;

#define JWT_SIZE_MAX (256u * 1024u)
#define JWT_KEYS_MAX 64u

struct jwt {
    struct str algorithm, key_id; /* of the header */
    struct str payload;
    const struct value *claims; /* a map; the payload as JSON. NULL: it is none */
    struct str signed_text;     /* what the signature is over; points into the text */
    struct str signature;
};

/* In the words of go-jose. */
NODISCARD int jwt_parse(struct arena *a, struct str text, struct jwt *ret_jwt, struct err *err);
bool jwt_verify(const struct jwt *jwt, struct evp_pkey_st *key);

/* A public key, or that of a certificate, in PEM: RSA, EC or Ed25519. NULL when there is none. The
 * caller's, to be freed by jwt_key_free(), which takes NULL. */
struct evp_pkey_st *jwt_key_from_pem(struct str pem);
void jwt_key_free(struct evp_pkey_st *key);
/* The text is PEM with a certificate in it. */
bool jwt_pem_has_certificate(struct str pem);

struct jwt_key {
    struct str id;
    struct evp_pkey_st *key;
};

struct jwt_key_set {
    struct jwt_key v[JWT_KEYS_MAX];
    size_t n;
};

/* {"keys": […]}; keys of kinds that are not known are left out. The ids are the arena's. */
NODISCARD int jwt_key_set_parse(struct arena *a, struct str json, struct jwt_key_set *ret_keys,
                                struct err *err);
void jwt_key_set_deinit(struct jwt_key_set *keys);
/* By any key of the token's id; by any at all when it names none. */
bool jwt_verify_any(const struct jwt *jwt, const struct jwt_key_set *keys);
