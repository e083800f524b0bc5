/* file.h - small files kept in the data directory: read whole, replaced whole.
 *
 * Calls block, for the microseconds a small file takes; they are for the main loop, not for
 * workers. */
#pragma once
#include "base/err.h"
#include "schema/field.h"

/* The file's bytes in the arena. -ENOENT when there is none, -ERR_TOO_LARGE over size_max. */
NODISCARD int file_read(struct str path, size_t size_max, struct arena *a, struct str *ret_bytes,
                        struct err *err);
/* Written beside and renamed over: a crash leaves the old file or the new. With `durable` the bytes
 * are on the disk before. Mode 0600; missing directories above are made with mode 0700. */
NODISCARD int file_replace(struct str path, struct str bytes, bool durable, struct err *err);
/* Make the directories above it that are missing, with mode 0700. */
NODISCARD int file_make_parents(struct str path, struct err *err);
/* One that is not there is fine. */
NODISCARD int file_remove(struct str path, struct err *err);
/* Names of the regular files in a directory, sorted; none when there is no such directory. */
NODISCARD int dir_files(struct str path, size_t count_max, struct arena *a,
                        struct strlist *ret_names, struct err *err);
