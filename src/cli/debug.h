/* debug.h - the archive of `consul debug`. */
#pragma once
#include "base/err.h"

/* `directory` and all below it into the gzipped tar `path`, which appears when it is whole; then
 * the directory is removed. Two levels deep, which is what the command makes. */
NODISCARD int debug_archive(const char *directory, const char *path, struct err *err);
