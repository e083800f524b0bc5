/* key_file.h - the gossip keys an agent keeps in its data directory: a JSON list of base64, the
 * primary one first, readable by its owner alone. Serf's keyring file.
 *
 * Calls block for as long as the disk takes. Pieces of keys never reach an error text. */
#pragma once
#include "base/err.h"
#include "schema/field.h"

struct arena;
struct seal_ring;

#define KEY_FILE_SIZE_MAX (64u * 1024u)

/* The keys as they stand in the file. -ENOENT: there is none. */
NODISCARD int key_file_read(struct str path, struct arena *a, struct strlist *ret_keys,
                            struct err *err);
/* As Consul writes a new one; mode 0600, its directory is made. */
NODISCARD int key_file_create(struct str path, struct str key, struct err *err);
/* As Serf writes a changed one. */
NODISCARD int key_file_write(struct str path, struct strlist keys, struct err *err);

/* The bytes of a key: base64 of 16, 24 or 32 of them. */
NODISCARD int gossip_key_decode(struct str text, struct arena *a, struct str *ret_key,
                                struct err *err);
/* A ring of these keys (base64), the first the primary one. */
NODISCARD int gossip_keys_ring(struct strlist keys, struct seal_ring **ret_ring, struct err *err);
/* The keys of a ring as base64. */
struct strlist gossip_keys_of(const struct seal_ring *ring, struct arena *a);
