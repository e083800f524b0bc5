/* tls_files.h - certificates, keys and authorities from files into an SSL_CTX.
 *
 * Sentences are Go's, without what the caller puts in front of them. Calls block, for the moment
 * that small files take. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <openssl/ssl.h>

#define TLS_FILE_SIZE_MAX (4u << 20)
#define TLS_CA_FILES_MAX 4096u

/* The certificate with what leads up to its authority, and its key: "open PATH: no such file or
 * directory", "tls: private key does not match public key". */
NODISCARD int tls_load_key_pair(SSL_CTX *ctx, struct str cert_file, struct str key_file,
                                struct err *err);
/* Authorities to trust, and to tell clients of: those of a file, or of every file below a
 * directory, in the order of names; how many files that were. Which file failed is in *ret_path, in
 * the arena (none: the directory itself, with ENOENT); -ERR_CORRUPT: it can be read, and has none.
 */
NODISCARD int tls_load_ca_file(SSL_CTX *ctx, struct str path, struct arena *a, struct str *ret_path,
                               struct err *err);
NODISCARD int tls_load_ca_path(SSL_CTX *ctx, struct str path, struct arena *a, struct str *ret_path,
                               struct err *err);
