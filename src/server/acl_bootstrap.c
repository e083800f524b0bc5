/* ACL.BootstrapTokens and ACL.Bootstrap: the first token, for who has none yet. Once a token was
 * made so, an administrator may allow it again by writing the index at which that was into the file
 * acl-bootstrap-reset of the data directory. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "loop/file.h"
#include "server/acl_data.h"
#include "server/acl_log.h"
#include "server/rpc_ask.h"
#include "server/server.h"
#include "store/acl.h"

#include <errno.h>
#include <inttypes.h>

#define MODULE "agent.server.acl"
#define RESET_FILE "acl-bootstrap-reset"
#define RESET_FILE_SIZE_MAX 1024u

static struct str reset_path(struct rpc_ask *ask)
{
    return arena_printf(ask->arena, "%.*s/" RESET_FILE, STRF(ask->server->options.data_dir));
}

/* What the file says; 0: there is none, or it says nothing. */
static uint64_t reset_index_read(struct rpc_ask *ask)
{
    struct str text, path = reset_path(ask);
    struct err err = {0};
    uint64_t index = 0;
    if (ask->server->options.data_dir.n == 0) {
        return 0;
    }
    int r = file_read(path, RESET_FILE_SIZE_MAX, ask->arena, &text, &err);
    if (r == -ENOENT) {
        return 0;
    }
    if (r >= 0) {
        text = str_trim(text);
        size_t digits = 0;
        while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9') {
            digits++;
        }
        r = str_parse_u64(str_first(text, digits), &index);
    }
    if (r < 0) {
        log_write(LOG_ERROR, MODULE, "failed to parse bootstrap reset index path",
                  LOG_STR("path", path), LOG_CSTR("error", err_text(&err)));
        return 0;
    }
    log_write(LOG_DEBUG, MODULE, "parsed bootstrap reset index path", LOG_STR("path", path),
              LOG_UINT("reset_index", index));
    return index;
}

/* Whatever comes of it: the file must not allow another one after a snapshot is restored. */
static void reset_file_remove(struct rpc_ask *ask)
{
    struct err err = {0};
    if (ask->server->options.data_dir.n > 0 && file_remove(reset_path(ask), &err) < 0) {
        log_write(LOG_WARN, MODULE, "failed to remove bootstrap file",
                  LOG_CSTR("error", err_text(&err)));
    }
}

static int check_allowed(struct rpc_ask *ask, uint64_t *ret_reset_index)
{
    uint64_t last;
    *ret_reset_index = 0;
    if (acl_can_bootstrap(store_view(ask->server->store), &last)) {
        return 0;
    }
    *ret_reset_index = reset_index_read(ask);
    if (*ret_reset_index == 0) {
        return err_set(&ask->err, ERR_FAILED,
                       "ACL bootstrap no longer allowed (reset index: %" PRIu64 ")", last);
    }
    if (*ret_reset_index != last) {
        return err_set(&ask->err, ERR_FAILED,
                       "Invalid bootstrap reset index (specified %" PRIu64 ", reset index: %" PRIu64
                       ")",
                       *ret_reset_index, last);
    }
    return 0;
}

static void log_done(struct rpc_call *call)
{
    struct rpc_ask *ask = call->data;
    if (call->err != NULL) {
        ask->err = *call->err;
    } else {
        log_write(LOG_INFO, MODULE, "ACL bootstrap completed");
        if (!ask->is_dropped) {
            *(struct acl_token *)ask->reply =
                *(struct acl_token *)schema_copy(ask->arena, &acl_token_schema, call->reply);
        }
    }
    rpc_call_free(call);
    rpc_ask_finish(ask);
}

static void bootstrap(struct rpc_ask *ask)
{
    struct server *s = ask->server;
    struct err err = {0};
    struct rpc_ctx ctx = {.server = s,
                          .worker = s->main,
                          .arena = ask->arena,
                          .view = store_view(s->store),
                          .err = &err};
    uint64_t reset_index;
    int r = acl_check_enabled(&ctx);
    if (r >= 0 && !acl_is_primary(&ctx)) {
        r = err_set(&err, ERR_ACL_DISABLED, "%s", err_code_text(ERR_ACL_DISABLED));
    }
    ask->err = err;
    if (r < 0 || check_allowed(ask, &reset_index) < 0) {
        rpc_ask_finish(ask);
        return;
    }
    reset_file_remove(ask);
    struct rpc_call *call = rpc_call_new(s->main, &acl_log_bootstrap);
    struct acl_token_bootstrap_request *args = call->args;
    struct acl_link *link = ARENA_NEW(&call->arena, struct acl_link);
    link->id = ACL_POLICY_GLOBAL_MANAGEMENT_ID;
    ctx.arena = &call->arena;
    args->reset_index = reset_index;
    args->token = (struct acl_token){
        .accessor_id = acl_new_id(&ctx),
        .secret_id = acl_new_id(&ctx),
        .description = STR("Bootstrap Token (Global Management)"),
        .policies = {link, 1},
        .type = ACL_TOKEN_TYPE_MANAGEMENT, /* so that the old API knows it, too */
        .expiration_time = TIME_ZERO,
        .create_time = clock_wall_ns(),
    };
    acl_token_hash_set(&call->arena, &args->token);
    call->done = log_done;
    call->data = ask;
    call->is_duty = true;
    rpc_start(call);
}

const struct rpc_method rpc_acl_bootstrap_tokens = {
    .name = "ACL.BootstrapTokens",
    .flags = RPC_WRITE,
    .args = &dc_request_schema,
    .reply = &acl_token_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .ask = bootstrap,
};
