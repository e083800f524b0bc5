/* file.h - files that commands leave behind: whole or not at all.
 *
 *     rc = cli_file_replace(STR("ca.pem"), text, 0666, &err);
 *
 * The bytes go to a file beside the target, are synced, and take its place by a rename. Directories
 * on the way are made. Errors have Go's words: "open PATH: permission denied". */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

#define CLI_DIRECTORY_MODE 0755

/* `mode` is that of open(2): the umask counts. */
/* Every directory above the last slash, as mkdir -p. */
NODISCARD int cli_parents_make(struct arena *a, struct str path, struct err *err);
NODISCARD int cli_file_replace(struct str path, struct str bytes, mode_t mode, struct err *err);
/* Whether something may be there: everything but a clear "no such file". */
bool cli_file_may_exist(struct str path);
