#include "server/acl.h"

int acl_deny(const struct rpc_ctx *ctx)
{
    return err_set(ctx->err, ERR_PERMISSION_DENIED, "%s", err_code_text(ERR_PERMISSION_DENIED));
}

int acl_unknown(const struct rpc_ctx *ctx)
{
    struct err *e = ctx->err;
    return err_set(e, ctx->who_err->code, "%s", ctx->who_err->text);
}
