/* tls.h - the TLS settings of a configuration. */
#pragma once
#include "base/err.h"

struct agent_config;
struct tls_context;

/* Reads the files it names. The sentence is the reference's: "VerifyOutgoing set, and no CA
 * certificate provided!". */
NODISCARD int agent_tls_context(const struct agent_config *config, struct tls_context **ret_context,
                                struct err *err);
