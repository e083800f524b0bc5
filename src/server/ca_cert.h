/* ca_cert.h - keys and certificates of the built-in certificate authority, over OpenSSL.
 *
 * Everything goes in and out as PEM. What a root looks like is Consul's: its name, its SPIFFE id,
 * its extensions and their order; tests/server/test_ca_cert.c pins it. Functions of any thread;
 * nothing is kept between calls. An EC key takes about a tenth of a millisecond, an RSA key of 4096
 * bits up to seconds. */
#pragma once
#include "base/arena.h"

struct err;

#define CA_PEM_SIZE_MAX (64u * 1024u)

/* Bytes as aa:bb:cc. */
struct str ca_colon_hex(struct arena *a, struct str bytes);
struct str ca_sha256_hex(struct arena *a, struct str bytes);

/* type "ec" (224, 256, 384, 521 bits) or "rsa". */
NODISCARD int ca_key_generate(struct arena *a, struct str type, int64_t bits, struct str *ret_pem,
                              struct err *err);
/* The SPIFFE trust domain of a cluster: its id, lower-cased, under ".consul". */
struct str ca_trust_domain(struct arena *a, struct str cluster_id);
/* A root certificate signed with its own key, good for ten years from now. */
NODISCARD int ca_root_generate(struct arena *a, struct str key_pem, struct str cluster_id,
                               uint64_t serial, int64_t now_ns, struct str *ret_pem,
                               struct err *err);

struct ca_cert_info {
    struct str fingerprint;        /* SHA-1, colon hex */
    struct str subject_key_id;     /* colon hex; "" without one */
    uint64_t serial;               /* the lowest 64 bits */
    int64_t not_before, not_after; /* ns */
    struct str key_type;           /* "ec", "rsa" */
    int64_t key_bits;
};

/* The first certificate of the text. */
NODISCARD int ca_cert_parse(struct arena *a, struct str pem, struct ca_cert_info *ret_info,
                            struct err *err);
