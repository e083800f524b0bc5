/* tls_files.h - the files that TLS flags and variables name, looked at before they are needed: one
 * that is missing or holds nothing of use ends a command even where it speaks plain HTTP. */
#pragma once
#include "base/str.h"

struct arena;
struct client_config;
struct err;

NODISCARD int tls_files_check(struct arena *a, const struct client_config *config, struct err *err);
