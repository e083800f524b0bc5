/* acl.h - what methods ask of their caller.
 *
 *     int r = acl_check(ctx, ACL_KEY_READ, args->key);     // in a method; 0 when ACLs are off
 *     if (r < 0) return r;                                 // "Permission denied", "ACL not found"
 *
 * The dispatcher has resolved the token before a method runs (acl_resolver.h): ctx->who is what its
 * holder may do, NULL when ACLs are off or the call is a duty of this server. A token that is none
 * is an error only where the method first asks, so that what is wrong with the request itself is
 * told before, as in Consul. docs/acl.md has the whole. */
#pragma once
#include "acl/authorizer.h"
#include "base/err.h"
#include "server/rpc.h"

/* In place of what may not be seen. */
#define ACL_REDACTED STR("<hidden>")

/* -ERR_PERMISSION_DENIED. */
NODISCARD int acl_deny(const struct rpc_ctx *ctx);
NODISCARD int acl_unknown(const struct rpc_ctx *ctx);

/* The token is one: 0, or its error. */
NODISCARD static inline int acl_known(const struct rpc_ctx *ctx)
{
    return LIKELY(ctx->who_err == NULL) ? 0 : acl_unknown(ctx);
}

/* After acl_known(). */
static inline bool acl_may(const struct rpc_ctx *ctx, enum acl_right right, struct str name)
{
    return ctx->who == NULL || acl_allows(ctx->who, right, name);
}

/* Both. */
NODISCARD static inline int acl_check(const struct rpc_ctx *ctx, enum acl_right right,
                                      struct str name)
{
    int r = acl_known(ctx);
    return r < 0 || acl_may(ctx, right, name) ? r : acl_deny(ctx);
}
