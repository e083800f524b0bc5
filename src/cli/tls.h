/* tls.h - what the `tls` commands share. */
#pragma once
#include "cli/tls_make.h"

/* Both files, and a line on stdout for each; the exit code. */
int tls_pair_save(struct str cert_path, struct str key_path, const struct tls_pair *pair);
