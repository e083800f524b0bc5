/* ConnectCA.*: what the certificate authority is, for those who ask. */
#include "schema/connect_ca.h"

#include "base/clock.h"
#include "server/acl.h"
#include "server/ca_cert.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/connect_ca.h"

/* Only what everybody may see, and certificates that end in a newline. */
static struct ca_root *root_shown(struct arena *a, const struct ca_root *row)
{
    struct ca_root *root = ARENA_NEW(a, struct ca_root);
    *root = *row;
    root->signing_cert = root->signing_key = STR_NULL;
    root->rotated_out_at = TIME_ZERO;
    if (root->root_cert.n > 0 && !str_has_suffix(root->root_cert, STR("\n"))) {
        root->root_cert = arena_concat(a, root->root_cert, STR("\n"));
    }
    return root;
}

static int roots_read(struct rpc_ctx *ctx, const void *args, void *reply)
{
    struct indexed_ca_roots *r = reply;
    const struct ca_configuration *config;
    (void)args;
    int rc = rpc_check_connect(ctx);
    if (rc < 0) {
        return rc;
    }
    uint64_t config_index = ca_config_get(ctx->view, ctx->ws, &config);
    uint64_t roots_index = ca_roots_list(ctx->view, ctx->ws, ctx->arena, &r->roots);
    r->meta.index = MAX(config_index, roots_index);
    if (config != NULL) {
        r->trust_domain = ca_trust_domain(ctx->arena, config->cluster_id);
    }
    if (r->roots.v == NULL) {
        r->roots.v = SCHEMA_EMPTY;
    }
    for (size_t i = 0; i < r->roots.n; i++) {
        struct ca_root *root = root_shown(ctx->arena, r->roots.v[i]);
        r->roots.v[i] = root;
        if (root->active) {
            r->active_root_id = root->id;
        }
    }
    return 0;
}

const struct rpc_method rpc_connect_ca_roots = {
    .name = "ConnectCA.Roots",
    .flags = RPC_READ | RPC_BLOCKING | RPC_INDEX_ONLY,
    .args = &dc_request_schema,
    .reply = &indexed_ca_roots_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct indexed_ca_roots, meta),
    .acl = "none",
    .read = roots_read,
};

static int configuration_get(struct rpc_ctx *ctx, const void *args, void *reply)
{
    const struct ca_configuration *config;
    (void)args;
    int rc = rpc_check_connect(ctx);
    if (rc < 0) {
        return rc;
    }
    rc = acl_check(ctx, ACL_OPERATOR_WRITE, STR(""));
    if (rc < 0) {
        return rc;
    }
    (void)ca_config_get(ctx->view, NULL, &config);
    if (config == NULL) {
        return err_set(ctx->err, ERR_FAILED, "CA is uninitialized and has no configuration yet");
    }
    *(struct ca_configuration *)reply = *config;
    return 0;
}

const struct rpc_method rpc_connect_ca_configuration_get = {
    .name = "ConnectCA.ConfigurationGet",
    .flags = RPC_READ,
    .args = &dc_request_schema,
    .reply = &ca_configuration_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = -1,
    .acl = "operator:write",
    .read = configuration_get,
};
